/*
 * The device directory. Every switch is: write new files, sync them and their directory,
 * then replace `active`. Nothing here logs; journal.log is the record.
 */
#include "agent/keystore_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rand.h"
#include "codec/js.h"
#include "crypto/sas_key.h"
#include "io/file.h"

#define SWITCH_MAX    64 /* the text of `active` */
#define SAS_TEXT_MAX  256
#define STATE_MAX     4096
#define PROBE_BYTES   (64 * 1024)
#define LOCK_PAUSE_MS 50L

int
keystore_path_of(
    const struct keystore *k, const char *name, char out[PATH_MAX], struct err *e)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", k->dir, name);
	return n < PATH_MAX ? 0 : err_set(e, ERR_LIMIT, "%s: path too long", k->dir);
}

void
keystore_generation_dir(
    const struct keystore *k, const struct keystore_ref *r, char out[PATH_MAX])
{
	/* keystore_open saw to it that this fits */
	snprintf(out, PATH_MAX, "%s/cred/%s", k->dir, r->generation);
}

/* --- making and opening --- */

static int
check_dir(const char *path, struct err *e)
{
	struct stat st;
	if (lstat(path, &st))
		return err_sys(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_PERM, "%s: not a directory", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(e, ERR_PERM,
		    "%s: belongs to user %u, not to %u: chown %u '%s'", path, st.st_uid,
		    geteuid(), geteuid(), path);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_set(e, ERR_PERM,
		    "%s: mode %04o lets others at the device's keys: chmod 700 '%s'",
		    path, st.st_mode & 07777, path);
	return 0;
}

int
keystore_create(
    const char *dir, struct span conf, struct span sas_key_base64, struct err *e)
{
	auto_buf key = BUF_INIT(SAS_KEY_MAX);
	key.secret = true;
	if (sas_key_base64.len && sas_key_parse(sas_key_base64, &key, e))
		return err_wrap(e, "the device's SAS key");
	struct keystore k = {.dir = (char *)(uintptr_t)dir, .lock = -1};
	char cred[PATH_MAX], sas[PATH_MAX], config[PATH_MAX], active[PATH_MAX];
	if (keystore_path_of(&k, "cred", cred, e) ||
	    keystore_path_of(&k, "cred/sas.key", sas, e) ||
	    keystore_path_of(&k, "agent.conf", config, e) ||
	    keystore_path_of(&k, "active", active, e))
		return -1;
	if (file_exists(active))
		return err_set(e, ERR_EXISTS, "%s: a device lives there already", dir);
	if (file_mkdir(dir, 0700, e) || check_dir(dir, e) || file_mkdir(cred, 0700, e))
		return -1;
	auto_buf text = BUF_INIT(SAS_TEXT_MAX);
	text.secret = true;
	buf_put_span(&text, span_trim(sas_key_base64));
	buf_u8(&text, '\n');
	if (buf_check(&text, "SAS key", e))
		return -1;
	/* `active` last: without it there is no device, and a repeat begins anew */
	if ((key.len && file_write(sas, buf_span(&text), 0600, e)) ||
	    file_write(config, conf, 0600, e))
		return -1;
	return file_write(active, SPAN_LIT("sas\n"), 0600, e);
}

int
keystore_open(const char *dir, struct keystore **ret, struct err *e)
{
	char cred[PATH_MAX];
	/* room for the longest name below: cred/NNNN/cert.pem and its temporary file */
	if (!*dir || strlen(dir) > PATH_MAX - 64)
		return err_set(
		    e, ERR_USAGE, "\"%s\": no usable path of a directory", dir);
	snprintf(cred, sizeof(cred), "%s/cred", dir);
	if (check_dir(dir, e) || check_dir(cred, e))
		return -1;
	struct keystore *k = own_alloc(sizeof(*k));
	k->dir = own_strdup(dir);
	k->lock = -1;
	*ret = k;
	return 0;
}

void
keystore_close(struct keystore *k)
{
	if (!k)
		return;
	own_close(&k->lock);
	free(k->dir);
	free(k);
}

const char *
keystore_dir(const struct keystore *k)
{
	return k->dir;
}

/* Temporary files of writes that a power cut ended. */
static int
sweep_dir(const char *path, struct err *e)
{
	DIR *d = opendir(path);
	if (!d)
		return err_sys(e, ERR_IO, "%s", path);
	for (struct dirent *it; (it = readdir(d));)
		if (span_ends(span_str(it->d_name), SPAN_LIT(".tmp")))
			unlinkat(dirfd(d), it->d_name, 0);
	closedir(d);
	return 0;
}

static int
sweep(struct keystore *k, struct err *e)
{
	char path[PATH_MAX];
	if (sweep_dir(k->dir, e) || keystore_path_of(k, "cred", path, e) ||
	    sweep_dir(path, e))
		return -1;
	struct generation_list list;
	if (generation_list(path, &list, e))
		return -1;
	for (size_t i = 0; i < list.n; i++) {
		struct keystore_ref r = {.x509 = true};
		generation_name(list.v[i], r.generation);
		keystore_generation_dir(k, &r, path);
		if (sweep_dir(path, e))
			return -1;
	}
	return 0;
}

int
keystore_lock(struct keystore *k, struct err *e)
{
	char path[PATH_MAX];
	if (k->lock >= 0)
		return 0;
	if (keystore_path_of(k, "lock", path, e))
		return -1;
	if (file_lock(path, &k->lock, e)) {
		if (e && e->code == ERR_EXISTS)
			e->code = ERR_BUSY;
		return -1;
	}
	if (sweep(k, e) == 0)
		return 0;
	own_close(&k->lock);
	return -1;
}

int
keystore_lock_wait(struct keystore *k, int64_t max_ms, struct err *e)
{
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_MS * 1000000};
	int64_t end = clock_mono_ms(&clock_system) + max_ms;
	struct err why;
	int failed;
	while ((failed = keystore_lock(k, &why)) && why.code == ERR_BUSY &&
	       clock_mono_ms(&clock_system) < end)
		nanosleep(&pause, NULL);
	return failed ? err_copy(e, &why) : 0;
}

void
keystore_unlock(struct keystore *k)
{
	own_close(&k->lock);
}

bool
keystore_is_locked(const struct keystore *k)
{
	return k->lock >= 0;
}

void
keystore_must_be_locked(const struct keystore *k)
{
	if (k->lock < 0)
		abort(); /* a bug: two writers could interleave */
}

/* --- the switch --- */

void
keystore_ref_name(const struct keystore_ref *r, char out[KEYSTORE_NAME_SIZE])
{
	snprintf(out, KEYSTORE_NAME_SIZE, r->x509 ? "x509 %s" : "sas", r->generation);
}

int
keystore_ref_parse(struct span s, struct keystore_ref *ret, struct err *e)
{
	struct keystore_ref r = {0};
	s = span_trim(s);
	if (span_eq_str(s, "sas")) {
		*ret = r;
		return 0;
	}
	r.x509 = true;
	if (!span_starts(s, SPAN_LIT("x509 ")) ||
	    generation_parse(span_skip(s, 5), r.generation, e) < 0)
		return err_set(e, ERR_CORRUPT, "\"%.*s\" names no credential",
		    s.len > 40 ? 40 : (int)s.len, s.len ? (const char *)s.p : "");
	*ret = r;
	return 0;
}

static int
switch_read(
    const struct keystore *k, const char *name, struct keystore_ref *ret, struct err *e)
{
	char path[PATH_MAX];
	auto_buf text = BUF_INIT(SWITCH_MAX);
	if (keystore_path_of(k, name, path, e) || file_read(path, &text, e))
		return -1;
	return keystore_ref_parse(buf_span(&text), ret, e) ? err_wrap(e, "%s", path) : 0;
}

static int
switch_write(const struct keystore *k, const char *name, const struct keystore_ref *r,
    struct err *e)
{
	char path[PATH_MAX], text[KEYSTORE_NAME_SIZE + 1];
	if (keystore_path_of(k, name, path, e))
		return -1;
	keystore_ref_name(r, text);
	size_t len = strlen(text);
	text[len] = '\n';
	return file_write(path, span_of(text, len + 1), 0600, e);
}

int
keystore_active(struct keystore *k, struct keystore_ref *ret, struct err *e)
{
	return switch_read(k, "active", ret, e);
}

int
keystore_previous(struct keystore *k, struct keystore_ref *ret, struct err *e)
{
	return switch_read(k, "previous", ret, e);
}

bool
keystore_ref_equal(const struct keystore_ref *a, const struct keystore_ref *b)
{
	return a->x509 == b->x509 && strcmp(a->generation, b->generation) == 0;
}

int
keystore_promote(
    struct keystore *k, const struct keystore_ref *r, int64_t now_ms, struct err *e)
{
	keystore_must_be_locked(k);
	struct keystore_ref was;
	auto_keystore_credential c = {0};
	if (keystore_active(k, &was, e) || keystore_load(k, r, &c, e))
		return -1;
	if (keystore_ref_equal(&was, r))
		return 0;
	char from[KEYSTORE_NAME_SIZE], to[KEYSTORE_NAME_SIZE];
	keystore_ref_name(&was, from);
	keystore_ref_name(r, to);
	/* the record first: an undocumented switch is worse than none */
	if (keystore_journal(k, now_ms, "promote", e,
		"from=\"%s\" to=\"%s\" thumbprint=%s", from, to, c.thumbprint))
		return -1;
	if (switch_write(k, "previous", &was, e) || switch_write(k, "active", r, e))
		return err_wrap(e, "switching from %s to %s", from, to);
	return 0;
}

struct generation_meta
keystore_meta_of(const struct keystore *k, const struct keystore_ref *r)
{
	struct generation_meta m;
	struct err ignored;
	char dir[PATH_MAX];
	keystore_generation_dir(k, r, dir);
	return generation_meta_get(dir, &m, &ignored) ? (struct generation_meta){0} : m;
}

/* Notes that r was in use, so that its key is not taken for one that never was. */
static int
note_left(struct keystore *k, const struct keystore_ref *r, int64_t now_ms, struct err *e)
{
	char dir[PATH_MAX];
	if (!r->x509)
		return 0;
	struct generation_meta m = keystore_meta_of(k, r);
	m.left_ms = now_ms;
	keystore_generation_dir(k, r, dir);
	return generation_meta_put(dir, &m, e);
}

int
keystore_switch_back(struct keystore *k, const char *event,
    const struct keystore_ref *was, const struct keystore_ref *to,
    const struct keystore_ref *previous, int64_t now_ms, struct err *e)
{
	char from[KEYSTORE_NAME_SIZE], name[KEYSTORE_NAME_SIZE];
	struct err ignored;
	keystore_ref_name(was, from);
	keystore_ref_name(to, name);
	if (keystore_journal(
		k, now_ms, event, &ignored, "from=\"%s\" to=\"%s\"", from, name) ||
	    note_left(k, was, now_ms, &ignored))
		ignored.code = ERR_OK;
	if ((previous && switch_write(k, "previous", previous, e)) ||
	    switch_write(k, "active", to, e))
		return err_wrap(e, "switching from %s to %s", from, name);
	return 0;
}

int
keystore_revert_to(
    struct keystore *k, const struct keystore_ref *to, int64_t now_ms, struct err *e)
{
	keystore_must_be_locked(k);
	struct keystore_ref was;
	auto_keystore_credential c = {0};
	if (keystore_active(k, &was, e))
		return -1;
	if (keystore_load(k, to, &c, e))
		return err_wrap(e, "going back");
	if (keystore_ref_equal(&was, to))
		return 0;
	return keystore_switch_back(k, "revert", &was, to, NULL, now_ms, e);
}

int
keystore_revert(
    struct keystore *k, int64_t now_ms, struct keystore_ref *ret, struct err *e)
{
	keystore_must_be_locked(k);
	struct keystore_ref was, to;
	if (keystore_active(k, &was, e))
		return -1;
	struct err none;
	if (keystore_previous(k, &to, &none)) {
		if (was.x509)
			return err_copy(e, &none);
		to = was; /* SAS from the beginning: nothing was ever switched */
	}
	if (keystore_revert_to(k, &to, now_ms, e))
		return -1;
	*ret = to;
	return 0;
}

/* --- loading --- */

static int
load_sas(const struct keystore *k, struct keystore_credential *c, struct err *e)
{
	char path[PATH_MAX];
	auto_buf text = BUF_INIT(SAS_TEXT_MAX);
	if (keystore_path_of(k, "cred/sas.key", path, e) ||
	    file_read_secret(path, &text, e))
		return -1;
	c->sas_key = BUF_INIT(SAS_KEY_MAX);
	c->sas_key.secret = true;
	if (sas_key_parse(span_trim(buf_span(&text)), &c->sas_key, e))
		return err_wrap(e, "%s", path);
	return 0;
}

int
keystore_load(struct keystore *k, const struct keystore_ref *r,
    struct keystore_credential *ret, struct err *e)
{
	struct keystore_credential c = {.ref = *r};
	int failed;
	if (!r->x509) {
		failed = load_sas(k, &c, e);
	} else {
		char dir[PATH_MAX];
		keystore_generation_dir(k, r, dir);
		failed = generation_load(dir, &c, e);
	}
	if (failed) {
		keystore_credential_done(&c);
		return -1;
	}
	*ret = c;
	return 0;
}

void
keystore_credential_done(struct keystore_credential *c)
{
	buf_done(&c->sas_key);
	buf_done(&c->chain_pem);
	key_free(c->key);
	free(c->key_uri);
	memset(c, 0, sizeof(*c));
}

/* --- assignments --- */

static int
state_get(const char *path, struct keystore_assignment *ret, struct err *e)
{
	auto_buf text = BUF_INIT(STATE_MAX);
	if (file_read(path, &text, e))
		return -1;
	auto_(js_free) struct js *o = js_parse(buf_span(&text), STATE_MAX, 4, e);
	struct span hub, id;
	if (!o || js_need_str(o, "hub", &hub, e) || js_need_str(o, "deviceId", &id, e))
		return err_wrap(e, "%s", path);
	struct keystore_assignment a;
	if (!span_to_str(hub, a.hub, sizeof(a.hub)) ||
	    !span_to_str(id, a.device_id, sizeof(a.device_id)))
		return err_set(e, ERR_PARSE, "%s: a name is too long", path);
	*ret = a;
	return 0;
}

static int
state_put(const char *path, const struct keystore_assignment *a, struct err *e)
{
	auto_(js_free) struct js *o = js_object();
	if (js_set_str(o, "hub", span_str(a->hub), e) ||
	    js_set_str(o, "deviceId", span_str(a->device_id), e))
		return -1;
	auto_buf text = BUF_INIT(STATE_MAX);
	js_dump(o, JS_AS_BUILT, &text);
	buf_u8(&text, '\n');
	return buf_check(&text, path, e) ? -1
					 : file_write(path, buf_span(&text), 0600, e);
}

int
keystore_assignment_get(struct keystore *k, const struct keystore_ref *r,
    struct keystore_assignment *ret, struct err *e)
{
	char path[PATH_MAX];
	if (!r->x509)
		return keystore_path_of(k, "state.json", path, e)
			   ? -1
			   : state_get(path, ret, e);
	struct generation_meta m;
	keystore_generation_dir(k, r, path);
	if (generation_meta_get(path, &m, e))
		return -1;
	if (!m.assignment.hub[0])
		return err_set(e, ERR_NOT_FOUND, "%s: not assigned yet", path);
	*ret = m.assignment;
	return 0;
}

int
keystore_assignment_put(struct keystore *k, const struct keystore_ref *r,
    const struct keystore_assignment *a, struct err *e)
{
	char path[PATH_MAX];
	if (!r->x509)
		return keystore_path_of(k, "state.json", path, e) ? -1
								  : state_put(path, a, e);
	struct generation_meta m = keystore_meta_of(k, r);
	keystore_generation_dir(k, r, path);
	m.assignment = *a;
	return generation_meta_put(path, &m, e);
}

/* --- probe and journal --- */

int
keystore_probe(struct keystore *k, struct err *e)
{
	char path[PATH_MAX];
	auto_buf data = BUF_INIT(PROBE_BYTES);
	uint8_t *room = buf_room(&data, PROBE_BYTES);
	/* random: a file system that compresses or de-duplicates must not cheat */
	rand_bytes(room, PROBE_BYTES);
	buf_grew(&data, PROBE_BYTES);
	if (keystore_path_of(k, "cred/probe.tmp", path, e))
		return -1;
	if (file_write(path, buf_span(&data), 0600, e))
		return err_wrap(e, "a trial write where keys are kept");
	return file_remove(path, e);
}

int
keystore_journal(struct keystore *k, int64_t now_ms, const char *event, struct err *e,
    const char *fmt, ...)
{
	char path[PATH_MAX], when[CLOCK_TEXT];
	auto_buf line = BUF_INIT(1024);
	clock_iso(now_ms, 3, when);
	buf_printf(&line, "%s %s ", when, event);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&line, fmt, ap);
	va_end(ap);
	buf_u8(&line, '\n');
	auto_(file_append_close) struct file_append *f = NULL;
	if (buf_check(&line, "journal line", e) ||
	    keystore_path_of(k, "journal.log", path, e) ||
	    file_append_open(path, 0600, &f, NULL, e) ||
	    file_append(f, buf_span(&line), e) || file_append_sync(f, e))
		return -1;
	return 0;
}
