/*
 * The link of a command to a running server.
 */
#include "cmd/remote.h"

#include <string.h>

#include "fleet/azure.h"
#include "io/loop.h"

#define ARENA_MAX (16 << 20)

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
remote_open(struct remote *r, struct err *e)
{
	struct target t;
	if (r->output && strcmp(r->output, "json") != 0 &&
	    strcmp(r->output, "table") != 0)
		return err_set(e, ERR_USAGE, "--output %s: table or json", r->output);
	r->json = r->output && strcmp(r->output, "json") == 0;
	if (target_find(&r->opts, r->arena, &t, e))
		return -1;
	r->loop = loop_new(&clock_system, e);
	if (!r->loop)
		return -1;
	r->rest = rest_new(r->loop, &t.rest, e);
	return r->rest ? 0 : -1;
}

void
remote_done(struct remote *r)
{
	rest_free(r->rest);
	loop_free(r->loop);
	arena_free(r->arena);
}

int
remote_get(struct remote *r, const char *target, const char *what, struct buf *body,
    struct err *e)
{
	struct rest_response answer;
	const struct rest_request q = {.method = "GET", .target = target};
	if (rest_wait(r->rest, &q, body, &answer, e))
		return err_wrap(e, "%s", what);
	answer.body = buf_span(body);
	return azure_check(&answer, what, e);
}
