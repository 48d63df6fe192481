/*
 * Finding server and credentials.
 */
#include "fleet/target.h"

#include <stdlib.h>

#include "base/num.h"
#include "codec/id.h"
#include "io/file.h"

#define PORTS_MAX   256
#define TIMEOUT_MS  30000
#define CONNECTIONS 16

const char *
target_home(const char *told, struct arena *a)
{
	const char *env = getenv("MUSTER_HOME");
	const char *user = getenv("HOME");
	if (told && told[0])
		return told;
	if (env && env[0])
		return env;
	return arena_printf(a, "%s/.muster", user ? user : "");
}

static void
take_port(struct span line, const char *key, int64_t *ret)
{
	struct span value = line;
	struct span name = span_trim(span_split(&value, '='));
	int64_t v;
	if (span_eq_str(name, key) && num_ok(span_trim(value), 1, 65535, &v))
		*ret = v;
}

int
target_ports(const char *home, int64_t *ret_mqtt, int64_t *ret_https, struct err *e)
{
	auto_buf path = BUF_INIT(4096);
	auto_buf text = BUF_INIT(PORTS_MAX);
	buf_printf(&path, "%s/run/ports", home);
	if (buf_check(&path, "path of the home", e))
		return -1;
	struct err why;
	if (file_read(buf_text(&path), &text, &why))
		return err_set(e, ERR_UNAVAILABLE,
		    "no server runs in %s (%s); start it with muster serve, or name one "
		    "with "
		    "--server",
		    home, why.text);
	int64_t mqtt = 0, https = 0;
	for (struct span rest = buf_span(&text); rest.p;) {
		struct span line = span_split(&rest, '\n');
		take_port(line, "mqtt", &mqtt);
		take_port(line, "https", &https);
	}
	if (!mqtt || !https)
		return err_set(e, ERR_PARSE, "%s: mqtt=PORT and https=PORT are wanted",
		    buf_text(&path));
	*ret_mqtt = mqtt;
	*ret_https = https;
	return 0;
}

/* "host:port" of a URL or an address. */
static int
split(const char *what, struct span text, struct arena *a, const char **ret_host,
    int64_t *ret_port, struct err *e)
{
	if (span_starts(text, SPAN_LIT("https://")))
		text = span_skip(text, 8);
	text = span_head(text, span_find(text, '/'));
	size_t colon = span_rfind(text, ':');
	struct span host = span_head(text, colon);
	if (host.len > 2 && host.p[0] == '[' && host.p[host.len - 1] == ']')
		host = span_head(span_skip(host, 1), host.len - 2);
	int64_t port;
	if (!id_is_host(host) || !num_ok(span_skip(text, colon + 1), 1, 65535, &port))
		return err_set(
		    e, ERR_USAGE, "%s %.*s: host:port is wanted", what, SPAN_FMT(text));
	*ret_host = arena_str(a, host);
	*ret_port = port;
	return 0;
}

static int
find_server(const struct target_opts *o, const char *home, struct arena *a,
    struct target *ret, struct err *e)
{
	if (!o->server) {
		int64_t https;
		if (target_ports(home, &ret->mqtt_port, &https, e))
			return -1;
		ret->mqtt_host = "127.0.0.1";
		ret->rest.base =
		    arena_printf(a, "https://127.0.0.1:%lld", (long long)https);
	} else {
		int64_t port = 443;
		ret->rest.base = o->server;
		if (split("--server", span_str(o->server), a, &ret->mqtt_host, &port, e))
			return -1;
		ret->mqtt_port = 8883;
	}
	if (!o->mqtt)
		return 0;
	return split("--mqtt", span_str(o->mqtt), a, &ret->mqtt_host, &ret->mqtt_port, e);
}

int
target_mqtt(const struct target_opts *o, const char *host, struct arena *a,
    struct target *ret, struct err *e)
{
	struct span name = span_str(host);
	size_t end = span_find(name, ']');
	bool v6 = end < name.len;
	if (o->mqtt)
		return split(
		    "--mqtt", span_str(o->mqtt), a, &ret->mqtt_host, &ret->mqtt_port, e);
	name = v6 ? span_skip(span_head(name, end), 1)
		  : span_head(name, span_find(name, ':'));
	ret->mqtt_host = arena_str(a, name);
	ret->mqtt_port = 8883;
	return 0;
}

static int
need_file(const char *path, const char *option, struct err *e)
{
	if (file_exists(path))
		return 0;
	return err_set(e, ERR_NOT_FOUND,
	    "%s: not there; muster init makes it, or name another "
	    "with %s",
	    path, option);
}

int
target_find(
    const struct target_opts *o, struct arena *a, struct target *ret, struct err *e)
{
	const char *home = target_home(o->home, a);
	const char *operator= o->operator? o->operator: "admin";
	struct target t = {.resource = o->resource ? o->resource : TARGET_RESOURCE};
	if (!id_is_registration(span_str(operator)))
		return err_set(
		    e, ERR_USAGE, "--operator %s: no operator's name", operator);
	t.rest.ca = o->ca ? o->ca : arena_printf(a, "%s/ca/root.pem", home);
	t.rest.cert =
	    o->cert ? o->cert : arena_printf(a, "%s/operators/%s.pem", home, operator);
	t.rest.key =
	    o->key ? o->key : arena_printf(a, "%s/operators/%s.key", home, operator);
	t.rest.timeout_ms = TIMEOUT_MS;
	t.rest.conns_max = CONNECTIONS;
	if (need_file(t.rest.ca, "--ca", e) || need_file(t.rest.cert, "--cert", e) ||
	    file_check_secret(t.rest.key, e) || find_server(o, home, a, &t, e))
		return -1;
	*ret = t;
	return 0;
}
