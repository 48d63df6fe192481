/*
 * The home directory.
 */
#include "cmd/home.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/file.h"

int
home_join(const char *home, const char *name, char *ret, size_t size, struct err *e)
{
	int n = snprintf(ret, size, "%s/%s", home, name);
	if (n < 0 || (size_t)n >= size)
		return err_set(e, ERR_LIMIT, "path too long: %s/%s", home, name);
	return 0;
}

int
home_find(const char *option, char ret[HOME_PATH], struct err *e)
{
	char text[HOME_PATH], cwd[PATH_MAX];
	const char *env = getenv("MUSTER_HOME");
	const char *from = option ? option : env && env[0] ? env : NULL;
	const char *user = getenv("HOME");
	if (!from && (!user || !user[0]))
		return err_set(
		    e, ERR_USAGE, "no home: give --home DIR or set MUSTER_HOME");
	if (!from && home_join(user, ".muster", text, sizeof(text), e))
		return -1;
	if (!from)
		from = text;
	if (!from[0])
		return err_set(e, ERR_USAGE, "--home is empty");
	if (from[0] == '/') {
		if (snprintf(ret, HOME_PATH, "%s", from) >= HOME_PATH)
			return err_set(e, ERR_LIMIT, "home: path too long");
		return 0;
	}
	if (!getcwd(cwd, sizeof(cwd)))
		return err_sys(e, ERR_IO, "current directory");
	return home_join(cwd, from, ret, HOME_PATH, e);
}

static int
set_override(struct home *h, const char *text, struct err *e)
{
	struct span value = span_str(text);
	struct span name = span_split(&value, '=');
	if (!value.p)
		return err_set(e, ERR_USAGE, "--set %s: want section.key=value", text);
	return conf_set(&config_table, name, value, &h->cfg, h->arena, e);
}

int
home_open(const char *option, const char *const *overrides, int n, struct home *ret,
    struct err *e)
{
	struct home h = {.arena = arena_new(8 * CONF_FILE_MAX)};
	auto_buf text = BUF_INIT(CONF_FILE_MAX);
	char path[HOME_PATH];
	if (home_find(option, h.path, e) ||
	    home_join(h.path, "muster.conf", path, sizeof(path), e))
		goto fail;
	if (file_read(path, &text, e)) {
		if (e->code == ERR_NOT_FOUND)
			err_set(e, ERR_NOT_FOUND,
			    "%s is no muster home (no muster.conf): run muster init "
			    "--home %s",
			    h.path, h.path);
		goto fail;
	}
	conf_defaults(&config_table, &h.cfg, h.arena);
	if (conf_parse(&config_table, buf_span(&text), &h.cfg, h.arena, e)) {
		err_wrap(e, "%s", path);
		goto fail;
	}
	for (int i = 0; i < n; i++)
		if (set_override(&h, overrides[i], e))
			goto fail;
	if (config_check(&h.cfg, e)) {
		err_wrap(e, "%s", path);
		goto fail;
	}
	*ret = h;
	return 0;
fail:
	home_done(&h);
	return -1;
}

void
home_done(struct home *h)
{
	arena_free(h->arena);
	h->arena = NULL;
}

int
home_store(const struct home *h, char ret[HOME_PATH], struct err *e)
{
	const char *name = h->cfg.store.path;
	if (name[0] != '/')
		return home_join(h->path, name, ret, HOME_PATH, e);
	if (snprintf(ret, HOME_PATH, "%s", name) >= HOME_PATH)
		return err_set(e, ERR_LIMIT, "store.path: too long");
	return 0;
}

int
home_lock(const char *home, int *ret_fd, struct err *e)
{
	char path[HOME_PATH];
	if (home_join(home, "run", path, sizeof(path), e) || file_mkdir(path, 0700, e) ||
	    home_join(home, "run/lock", path, sizeof(path), e))
		return -1;
	return file_lock(path, ret_fd, e);
}
