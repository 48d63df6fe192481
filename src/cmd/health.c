/*
 * muster health: what needs somebody, and exit status 10 where it cannot wait.
 */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/remote.h"
#include "codec/js.h"
#include "fleet/azure.h"

#define ANSWER_MAX (8u << 20)

static void
show(const struct js *v, bool all)
{
	const struct js *items = js_get(v, "items");
	for (size_t i = 0; i < js_len(items); i++) {
		const struct js *o = js_at(items, i);
		const char *state = js_as_text(js_get(o, "state"));
		if (all || strcmp(state, "ok") != 0)
			printf("%-5s %-28s %s\n", state, js_as_text(js_get(o, "name")),
			    js_as_text(js_get(o, "text")));
	}
}

int
cmd_health(int argc, char **argv, struct err *e)
{
	bool quiet = false;
	const struct opt own = {"quiet", NULL, OPT_FLAG, &quiet, "only what is not ok"};
	struct opt rows[1 + REMOTE_ROWS + 1] = {own};
	auto_remote r = {0};
	remote_rows(&r, rows + 1, argc, argv);
	const struct opt_cmd cmd = {"muster health [OPTIONS]",
	    "What needs somebody: CRLs and OCSP answers, the signer, certificates that "
	    "end,\n"
	    "devices in quarantine, signs of copied keys. Exit status 10 where an item "
	    "is "
	    "bad.",
	    rows, 0, 0};
	int at = opt_parse(&cmd, argc, argv, e);
	if (at <= 0)
		return at;
	auto_buf body = BUF_INIT(ANSWER_MAX);
	if (remote_open(&r, e) ||
	    remote_get(&r, "/muster/health?api-version=" AZURE_API, "health", &body, e))
		return -1;
	auto_(js_free) struct js *v = js_parse(buf_span(&body), ANSWER_MAX, 8, e);
	const char *state = js_as_text(js_get(v, "state"));
	if (!v)
		return -1;
	/* an answer of something else is not "nothing is bad" */
	if (!*state)
		return err_set(e, ERR_PARSE, "health: the answer tells no state");
	if (r.json)
		printf("%s\n", buf_text(&body));
	else
		show(v, !quiet);
	return strcmp(state, "bad") == 0 ? err_row(ERR_GATE)->exit : 0;
}
