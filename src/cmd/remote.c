/*
 * The link of a command to a running server.
 */
#include "cmd/remote.h"

#include <stdio.h>
#include <string.h>

#include "codec/js.h"
#include "codec/uri.h"
#include "io/loop.h"

#define ARENA_MAX    (16 << 20)
#define ANSWER_MAX   REST_BODY_MAX
#define ANSWER_DEPTH 72 /* around a device's payload of 64 levels */
#define OWN_MAX      24

size_t
remote_rows(struct remote *r, struct opt *rows, int argc, char **argv)
{
	static char output[] = "--output";
	struct target_opts *t = &r->opts;
	const struct opt all[REMOTE_ROWS] = {
	    {"home", "DIR", OPT_TEXT, &t->home,
		"home directory (default $MUSTER_HOME, ~/.muster)"},
	    {"server", "URL", OPT_TEXT, &t->server,
		"https://host:port of the server (default: the home's)"},
	    {"ca", "FILE", OPT_TEXT, &t->ca,
		"CA of the server, PEM (default HOME/ca/root.pem)"},
	    {
		"operator",
		"NAME",
		OPT_TEXT,
		&t->operator,
		"certificate in HOME/operators (default admin)" },
		{"cert", "FILE", OPT_TEXT, &t->cert,
		    "operator's certificate, PEM (default HOME/operators/NAME.pem)"},
		{"key", "FILE", OPT_TEXT, &t->key,
		    "operator's key, PEM (default HOME/operators/NAME.key)"},
		{"target", "NAME", OPT_TEXT, &r->target,
		    "a section of HOME/targets.conf (default: the home's server)"},
		{"output", "FORM", OPT_TEXT, &r->output, "table or json; -o for short"},
	    };
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "-o") == 0)
			argv[i] = output;
	size_t n = 0;
	for (; all[n].name; n++)
		rows[n] = all[n];
	if (!r->arena)
		r->arena = arena_new(ARENA_MAX);
	return n;
}

int
remote_parse(
    struct remote *r, const struct opt_cmd *cmd, int argc, char **argv, struct err *e)
{
	struct opt rows[OWN_MAX + REMOTE_ROWS + 1] = {{0}};
	struct opt_cmd all = *cmd;
	size_t n = 0;
	for (; cmd->opts && cmd->opts[n].name && n < OWN_MAX; n++)
		rows[n] = cmd->opts[n];
	n += remote_rows(r, rows + n, argc, argv);
	rows[n - 1].help = "table, json or tsv; -o for short";
	r->tsv = true;
	all.opts = rows;
	return opt_parse(&all, argc, argv, e);
}

int
remote_open_any(struct remote *r, struct err *e)
{
	const struct service_opts o = {
	    .name = r->target, .target = r->opts, .timeout_ms = r->timeout_ms};
	if (render_form_parse(r->output, &r->form, e))
		return -1;
	if (r->form == RENDER_TSV && !r->tsv)
		return err_set(e, ERR_USAGE, "--output %s: table or json", r->output);
	r->json = r->form == RENDER_JSON;
	r->loop = loop_new(&clock_system, e);
	if (!r->loop)
		return -1;
	r->service = service_new(r->loop, &o, r->arena, e);
	if (!r->service)
		return -1;
	r->rest = service_rest(r->service);
	return 0;
}

int
remote_open(struct remote *r, struct err *e)
{
	if (remote_open_any(r, e))
		return -1;
	if (r->rest)
		return 0;
	return err_set(e, ERR_UNSUPPORTED,
	    "%s is Azure, and this is no command of Azure's service APIs: it needs a "
	    "muster",
	    service_name(r->service));
}

void
remote_done(struct remote *r)
{
	service_free(r->service);
	loop_free(r->loop);
	arena_free(r->arena);
}

int
remote_get(struct remote *r, const char *target, const char *what, struct buf *body,
    struct err *e)
{
	const struct rest_request q = {.method = "GET", .target = target};
	return service_call(r->service, SIGN_IN_HUB, &q, what, body, NULL, e);
}

int
remote_ask(struct remote *r, enum sign_in_plane p, const struct rest_request *q,
    const char *what, struct js **ret, struct rest_response *ret_answer, struct err *e)
{
	auto_buf body = BUF_INIT(ANSWER_MAX);
	struct rest_response answer;
	body.secret = true;
	if (service_call(r->service, p, q, what, &body, &answer, e))
		return -1;
	struct js *v = NULL;
	if (ret && body.len) {
		v = js_parse(buf_span(&body), ANSWER_MAX, ANSWER_DEPTH, e);
		if (!v)
			return err_wrap(e, "%s", what);
	}
	if (ret)
		*ret = v;
	answer.body = SPAN_NONE;
	if (ret_answer)
		*ret_answer = answer;
	return 0;
}

const char *
remote_path(struct remote *r, const char *prefix, const char *name)
{
	auto_buf b = BUF_INIT(4096);
	buf_str(&b, prefix);
	uri_encode(&b, span_str(name));
	return arena_str(r->arena, buf_span(&b));
}

int
remote_send(struct remote *r, const char *method, const char *target,
    const struct js *body, struct js **ret, struct err *e)
{
	auto_buf text = BUF_INIT(65536);
	if (body)
		js_dump(body, JS_AS_BUILT, &text);
	const struct rest_request q = {
	    .method = method, .target = target, .body = buf_span(&text), .once = true};
	return remote_ask(r, SIGN_IN_HUB, &q, target, ret, NULL, e);
}

int
remote_page(struct remote *r, const char *target, const char *what, remote_visit *visit,
    void *ctx, struct js **ret_end, struct err *e)
{
	auto_buf body = BUF_INIT(ANSWER_MAX);
	if (remote_get(r, target, what, &body, e))
		return -1;
	for (struct span rest = buf_span(&body); rest.len;) {
		struct span line = span_split(&rest, '\n');
		auto_(js_free) struct js *row =
		    js_parse(line, ANSWER_MAX, ANSWER_DEPTH, e);
		if (!row)
			return err_wrap(e, "%s", what);
		if (js_as_bool(js_get(row, "end"))) {
			*ret_end = TAKE(row);
			return 0;
		}
		if (visit(ctx, row, e))
			return -1;
	}
	return err_set(e, ERR_CORRUPT, "%s: the answer was cut off", what);
}

int
remote_each(
    struct remote *r, const char *target, remote_visit *visit, void *ctx, struct err *e)
{
	auto_(js_free) struct js *end = NULL;
	if (remote_page(r, target, target, visit, ctx, &end, e))
		return -1;
	if (js_as_bool(js_get(end, "truncated")))
		fprintf(stderr, "there are more than are shown here\n");
	return 0;
}

const char *
remote_text(const struct js *row, const char *key)
{
	return js_as_text(js_get(row, key));
}

const char *
remote_time(const struct js *row, const char *key, char out[CLOCK_TEXT])
{
	int64_t ms = js_as_int(js_get(row, key));
	snprintf(out, CLOCK_TEXT, "-");
	if (ms)
		clock_iso(ms, 0, out);
	return out;
}

void
remote_print(const struct js *v)
{
	auto_buf b = BUF_INIT(ANSWER_MAX);
	b.secret = true;
	js_dump(v, JS_AS_BUILT, &b);
	printf("%s\n", buf_text(&b));
}
