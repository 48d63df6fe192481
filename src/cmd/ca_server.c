/*
 * muster ca states, trust, activate, standby, retire, revoke: what a running server does
 * with each CA.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/ca.h"
#include "cmd/cmd.h"
#include "codec/js.h"
#include "fleet/azure.h"

#define ANSWER_MAX   (8 << 20)
#define ANSWER_DEPTH 8

static void
print_row(const struct js *row)
{
	char seen[CLOCK_TEXT];
	printf("%-16s %-8s %-9s %-7s %10lld %8lld %8lld  %s\n", remote_text(row, "name"),
	    remote_text(row, "purpose"), remote_text(row, "state"),
	    remote_text(row, "custody"), (long long)js_as_int(js_get(row, "unexpired")),
	    (long long)js_as_int(js_get(row, "revoked")),
	    (long long)js_as_int(js_get(row, "inUse")),
	    remote_time(row, "lastSeenMs", seen));
}

static void
print_head(void)
{
	printf("%-16s %-8s %-9s %-7s %10s %8s %8s  %s\n", "NAME", "PURPOSE", "STATE",
	    "KEY", "UNEXPIRED", "REVOKED", "IN USE", "LAST SEEN");
}

/* The rows as they came are what a program wants; a person gets a table. */
static int
print_list(const struct remote *r, struct span body, struct err *e)
{
	if (!r->json)
		print_head();
	while (body.len) {
		struct span line = span_split(&body, '\n');
		auto_(js_free) struct js *row =
		    js_parse(line, ANSWER_MAX, ANSWER_DEPTH, e);
		if (!row)
			return -1;
		if (js_as_bool(js_get(row, "end")))
			return 0;
		if (r->json)
			printf("%.*s\n", SPAN_FMT(line));
		else
			print_row(row);
	}
	return err_set(e, ERR_CORRUPT, "the answer was cut off");
}

int
ca_server_states(struct ca_args *a, int argc, char **argv, struct err *e)
{
	auto_buf body = BUF_INIT(ANSWER_MAX);
	(void)argv;
	if (argc)
		return err_set(e, ERR_USAGE, "muster ca states");
	if (remote_open(&a->r, e) ||
	    remote_get(&a->r, "/muster/issuers", "CAs", &body, e))
		return -1;
	return print_list(&a->r, buf_span(&body), e);
}

/* ---- changes --------------------------------------------------------------------------
 */

static const struct {
	const char *verb, *state;
} moves[] = {{"trust", "trusted"}, {"activate", "active"}, {"standby", "standby"},
    {"retire", "retired"}};

static void
write_order(const struct ca_args *a, const char *state, struct buf *out)
{
	auto_(js_free) struct js *o = js_object();
	js_set_text(o, "state", state);
	if (a->reason)
		js_set_text(o, "reason", a->reason);
	if (a->force)
		js_set_bool(o, "force", true);
	js_dump(o, JS_AS_BUILT, out);
}

static int
put(struct ca_args *a, const char *name, const char *state, struct err *e)
{
	char target[200];
	auto_buf order = BUF_INIT(1024), body = BUF_INIT(ANSWER_MAX);
	struct rest_response answer;
	write_order(a, state, &order);
	snprintf(target, sizeof(target), "/muster/issuers/%s", name);
	const struct rest_request q = {
	    .method = "PUT", .target = target, .body = buf_span(&order), .once = true};
	if (rest_wait(a->r.rest, &q, &body, &answer, e))
		return -1;
	answer.body = buf_span(&body);
	if (azure_check(&answer, name, e))
		return -1;
	if (a->r.json) {
		printf("%s", buf_text(&body));
		return 0;
	}
	auto_(js_free) struct js *row =
	    js_parse(span_trim(buf_span(&body)), ANSWER_MAX, ANSWER_DEPTH, e);
	if (!row)
		return -1;
	print_head();
	print_row(row);
	return 0;
}

int
ca_server_put(struct ca_args *a, int argc, char **argv, struct err *e)
{
	const char *state = NULL;
	for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++)
		if (strcmp(argv[-1], moves[i].verb) == 0)
			state = moves[i].state;
	if (argc != 1 || !state || !ca_conf_is_name(span_str(argv[0])))
		return err_set(e, ERR_USAGE, "muster ca %s NAME", argv[-1]);
	if (remote_open(&a->r, e))
		return -1;
	return put(a, argv[0], state, e);
}

/* ---- revoking -------------------------------------------------------------------------
 */

/* Do devices, servers or operators stand on it? */
static int
is_in_use(struct ca_args *a, const char *name, bool *ret, struct err *e)
{
	static const char *const states[] = {"trusted", "active", "retiring"};
	char target[200];
	auto_buf body = BUF_INIT(ANSWER_MAX);
	snprintf(target, sizeof(target), "/muster/issuers?name=%s", name);
	if (remote_get(&a->r, target, "CA", &body, e))
		return -1;
	struct span rest = buf_span(&body);
	auto_(js_free) struct js *row =
	    js_parse(span_split(&rest, '\n'), ANSWER_MAX, ANSWER_DEPTH, e);
	if (!row)
		return -1;
	const char *purpose = remote_text(row, "purpose");
	bool issues = strcmp(purpose, "device") == 0 || strcmp(purpose, "service") == 0;
	*ret = false;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		*ret |= issues && strcmp(remote_text(row, "state"), states[i]) == 0;
	return 0;
}

/* In an emergency the shorter name has to do the whole of it. --force passes what
 * protects whoever asks, and then the only thing that is left: that there is no other CA
 * for its devices to go to. */
int
ca_server_revoke(struct ca_args *a, int argc, char **argv, struct err *e)
{
	bool in_use;
	if (argc != 1 || !ca_conf_is_name(span_str(argv[0])))
		return err_set(e, ERR_USAGE, "muster ca revoke NAME");
	if (remote_open(&a->r, e) || is_in_use(a, argv[0], &in_use, e))
		return -1;
	if (!in_use)
		return put(a, argv[0], "revoked", e);
	const struct cmd_alarm m = {
	    .issuer = argv[0], .reason = a->reason, .comment = "", .force = a->force};
	int rc = cmd_revoke_issuer(&a->r, &m, e);
	return rc && a->force && e->code == ERR_GATE ? put(a, argv[0], "revoked", e) : rc;
}
