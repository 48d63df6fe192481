/*
 * muster ca rollover, muster ca drill, muster revoke --issuer: a CA and what comes after
 * it, asked of the running server.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/num.h"
#include "cmd/cmd.h"
#include "cmd/remote.h"
#include "codec/js.h"
#include "codec/uri.h"
#include "fleet/azure.h"
#include "io/file.h"

#define ANSWER_MAX    (16 << 20)
#define ANSWER_DEPTH  5
#define SPREAD_MAX_MS (INT64_C(366) * 86400 * 1000)
#define SPREAD_MS     3600000
#define TARGET        "/muster/rollover"

/* What stands on the command line. */
struct args {
	struct remote r;
	const char *from, *ca, *to, *spread, *list, *evidence;
	const char *reason, *since, *comment;
	bool force;
};

/* ---- exchanges ---- */

static int
send(struct args *a, const char *method, const char *target, const struct js *body,
    struct js **ret, struct err *e)
{
	auto_buf text = BUF_INIT(65536), got = BUF_INIT(ANSWER_MAX);
	struct rest_response answer;
	js_dump(body, JS_AS_BUILT, &text);
	const struct rest_request q = {
	    .method = method, .target = target, .body = buf_span(&text), .once = true};
	if (rest_wait(a->r.rest, &q, &got, &answer, e))
		return -1;
	answer.body = buf_span(&got);
	if (azure_check(&answer, target, e))
		return -1;
	*ret = js_parse(answer.body, ANSWER_MAX, ANSWER_DEPTH, e);
	return *ret ? 0 : err_wrap(e, "%s", target);
}

/* A list's rows but its last, which says that it is whole; *ret_next: where it goes on.
 */
static int
get_rows(struct args *a, const char *target, struct js *list, char *ret_next, size_t size,
    struct err *e)
{
	auto_buf body = BUF_INIT(ANSWER_MAX);
	if (remote_get(&a->r, target, TARGET, &body, e))
		return -1;
	for (struct span rest = buf_span(&body); rest.len;) {
		struct span line = span_split(&rest, '\n');
		struct js *row = js_parse(line, ANSWER_MAX, ANSWER_DEPTH, e);
		if (!row)
			return err_wrap(e, TARGET);
		if (!js_as_bool(js_get(row, "end"))) {
			js_append(list, row);
			continue;
		}
		snprintf(ret_next, size, "%s", js_as_text(js_get(row, "next")));
		js_free(row);
		return 0;
	}
	return err_set(e, ERR_IO, "%s: the list was cut", TARGET);
}

static void
print_json(const struct js *v)
{
	auto_buf b = BUF_INIT(ANSWER_MAX);
	js_dump(v, JS_AS_BUILT, &b);
	printf("%s\n", buf_text(&b));
}

/* ---- words ---- */

static int64_t
int_of(const struct js *o, const char *key)
{
	return js_as_int(js_get(o, key));
}

static void
show_count(const struct js *o, const char *key, const char *name, const char *what)
{
	printf("  %-10s %-10" PRId64 " %s\n", name, int_of(o, key), what);
}

/* As a duration is written: 90m, 36h, 4d. */
static void
span_text(int64_t ms, char out[24])
{
	static const struct {
		int64_t ms;
		const char *unit;
	} units[] = {
	    {86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
	size_t i = 0;
	while (i < 4 && (ms % units[i].ms || ms < units[i].ms))
		i++;
	snprintf(out, 24, "%" PRId64 "%s", ms / units[i].ms, units[i].unit);
}

static void
show_counts(const struct js *o)
{
	char last[CLOCK_TEXT], eta[CLOCK_TEXT];
	bool is_service = strcmp(remote_text(o, "purpose"), "service") == 0;
	if (!js_get(o, "old"))
		return;
	if (is_service) {
		show_count(o, "lackingAnchor", "lacking",
		    "devices are around and have not told that they trust the new root");
		return;
	}
	int64_t all = int_of(o, "old") + int_of(o, "moved");
	printf("  %-10s %-10" PRId64 " of %" PRId64 " devices used the new CA last\n",
	    "moved", int_of(o, "moved"), all);
	show_count(o, "old", "to go", "used the old one last");
	show_count(o, "called", "called", "of them are called");
	show_count(o, "silent", "silent", "of the called were not heard of since");
	show_count(
	    o, "overdue", "overdue", "of the called were told, and their time is over");
	show_count(o, "ended", "ended", "to go have a certificate that is past its end");
	show_count(o, "mute", "mute", "to go never checked in: no muster-agent there");
	printf("  %-10s %s\n", "last old", remote_time(o, "lastOldMs", last));
	printf("  %-10s %s\n", "done by", remote_time(o, "etaMs", eta));
}

static void
show_rollover(const struct js *o)
{
	char wave[CLOCK_TEXT], over[24];
	int64_t share = int_of(o, "share");
	span_text(int_of(o, "spreadMs"), over);
	printf("%s CAs: from %s (%s) to %s (%s): %s\n", remote_text(o, "purpose"),
	    remote_text(o, "from"), remote_text(o, "fromState"), remote_text(o, "to"),
	    remote_text(o, "toState"), remote_text(o, "state"));
	if (share)
		printf("  %-10s %" PRId64 ".%02" PRId64 " %% since %s, over %s\n", "wave",
		    share / 100, share % 100, remote_time(o, "waveMs", wave), over);
	show_counts(o);
}

static void
show_answer(const struct args *a, const struct js *v)
{
	if (a->r.json)
		print_json(v);
	else
		show_rollover(js_get(v, "rollover"));
}

/* ---- arguments ---- */

static int
read_spread(const char *text, int64_t *ret, struct err *e)
{
	if (text && num_parse_duration_ms(span_str(text), 0, SPREAD_MAX_MS, ret, e))
		return err_wrap(e, "--spread");
	return 0;
}

/* "10", "2.5", "100%": in ten thousandths. */
static int
read_share(const char *text, int64_t *ret, struct err *e)
{
	struct span rest = span_str(text), whole;
	int64_t n = 0, part = 0;
	if (span_ends(rest, SPAN_LIT("%")))
		rest = span_head(rest, rest.len - 1);
	whole = span_split(&rest, '.');
	if (!num_ok(whole, 0, 100, &n) || rest.len > 2 ||
	    (rest.len && !num_ok(rest, 0, 99, &part)))
		return err_set(e, ERR_USAGE, "PERCENT '%s': 0.01 to 100", text);
	n = n * 100 + (rest.len == 1 ? part * 10 : part);
	if (n < 1 || n > 10000)
		return err_set(e, ERR_USAGE, "PERCENT '%s': 0.01 to 100", text);
	*ret = n;
	return 0;
}

/* A moment, or how long ago it was. */
static int
read_moment(const char *text, int64_t *ret, struct err *e)
{
	int64_t ago;
	struct tm tm = {0};
	struct err ignored;
	int64_t now = clock_wall_ms(&clock_system);
	if (num_parse_duration_ms(span_str(text), 0, now, &ago, &ignored) == 0) {
		*ret = now - ago;
		return 0;
	}
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (!end || *end)
		return err_set(e, ERR_USAGE,
		    "--since %s: a moment (2026-11-20T08:00:00Z), or how long ago (36h)",
		    text);
	*ret = (int64_t)timegm(&tm) * 1000;
	return 0;
}

static struct js *
act(const char *action, const struct args *a)
{
	struct js *o = js_object();
	js_set_text(o, "action", action);
	js_set_bool(o, "force", a->force);
	if (a->ca)
		js_set_text(o, "from", a->ca);
	return o;
}

/* ---- verbs ---- */

static int
verb_start(struct args *a, int argc, char **argv, struct err *e)
{
	int64_t spread = SPREAD_MS;
	auto_(js_free) struct js *v = NULL;
	auto_(js_free) struct js *o = act("start", a);
	(void)argc;
	js_set_text(o, "to", argv[0]);
	if (a->from)
		js_set_text(o, "from", a->from);
	if (read_spread(a->spread, &spread, e))
		return -1;
	js_set_int(o, "spreadMs", spread);
	if (remote_open(&a->r, e) || send(a, "PUT", TARGET, o, &v, e))
		return -1;
	show_answer(a, v);
	if (!a->r.json)
		printf("both are trusted now; muster ca rollover wave PERCENT lets %s "
		       "issue\n",
		    argv[0]);
	return 0;
}

static int
verb_wave(struct args *a, int argc, char **argv, struct err *e)
{
	int64_t share = 0, spread = -1;
	auto_(js_free) struct js *v = NULL;
	auto_(js_free) struct js *o = act("wave", a);
	(void)argc;
	if (read_share(argv[0], &share, e) || read_spread(a->spread, &spread, e))
		return -1;
	js_set_int(o, "share", share);
	if (spread >= 0)
		js_set_int(o, "spreadMs", spread);
	if (remote_open(&a->r, e) || send(a, "PUT", TARGET, o, &v, e))
		return -1;
	show_answer(a, v);
	return 0;
}

/* What is kept for auditors: counts, times, fingerprints, the journal's head. */
static int
write_evidence(
    const struct args *a, const struct js *rollover, const char *path, struct err *e)
{
	auto_buf b = BUF_INIT(65536);
	auto_(js_free) struct js *o = js_copy(rollover);
	js_set_bool(o, "forced", a->force);
	js_dump(o, JS_AS_BUILT, &b);
	buf_str(&b, "\n");
	return file_write(path, buf_span(&b), 0644, e);
}

static bool
is_meant(const struct args *a, const struct js *row)
{
	return !a->ca || strcmp(remote_text(row, "from"), a->ca) == 0 ||
	       strcmp(remote_text(row, "to"), a->ca) == 0;
}

/* How it stands before the end, beside where the evidence will be: what cannot be written
 * there is found out while nothing has happened, and whatever happens now leaves a
 * record. */
static int
write_before(struct args *a, const char *path, struct err *e)
{
	char next[256];
	auto_(js_free) struct js *list = js_array();
	if (get_rows(a, TARGET, list, next, sizeof(next), e))
		return -1;
	for (size_t i = 0; i < js_len(list); i++)
		if (is_meant(a, js_at(list, i)))
			return write_evidence(a, js_at(list, i), path, e);
	return 0; /* the server says that there is none */
}

/* What ended it is not to be undone because of a file. */
static int
end_with_evidence(struct args *a, const struct js *o, struct err *e)
{
	auto_(js_free) struct js *v = NULL;
	auto_buf before = BUF_INIT(4096);
	buf_printf(&before, "%s.before", a->evidence);
	if (buf_check(&before, "--evidence", e) || write_before(a, buf_text(&before), e))
		return err_wrap(e, "--evidence; nothing was changed");
	if (send(a, "PUT", TARGET, o, &v, e)) {
		struct err ignored;
		/* refused: nothing happened that would want a record */
		if (e->code != ERR_UNAVAILABLE && e->code != ERR_TIMEOUT)
			(void)!file_remove(buf_text(&before), &ignored);
		return -1;
	}
	show_answer(a, v);
	if (write_evidence(a, js_get(v, "rollover"), a->evidence, e))
		return err_wrap(e, "it is finished; %s has how it stood before, but",
		    buf_text(&before));
	return file_remove(buf_text(&before), e);
}

static int
verb_finish(struct args *a, int argc, char **argv, struct err *e)
{
	auto_(js_free) struct js *v = NULL;
	auto_(js_free) struct js *o = act("finish", a);
	(void)argc, (void)argv;
	if (remote_open(&a->r, e))
		return -1;
	if (a->evidence)
		return end_with_evidence(a, o, e);
	if (send(a, "PUT", TARGET, o, &v, e))
		return -1;
	show_answer(a, v);
	return 0;
}

static int
verb_stop(struct args *a, int argc, char **argv, struct err *e)
{
	auto_(js_free) struct js *v = NULL;
	auto_(js_free) struct js *o = act("stop", a);
	(void)argc, (void)argv;
	if (remote_open(&a->r, e) || send(a, "PUT", TARGET, o, &v, e))
		return -1;
	show_answer(a, v);
	return 0;
}

static void
show_device(const struct args *a, const struct js *row)
{
	char seen[CLOCK_TEXT], told[CLOCK_TEXT];
	if (a->r.json)
		print_json(row);
	else
		printf("%-32s %-20s %-20s %s\n", remote_text(row, "deviceId"),
		    remote_time(row, "seenMs", seen), remote_time(row, "checkinMs", told),
		    remote_text(row, "peer"));
}

/* Page after page, so that a list of a million holds no memory. */
static int
show_devices(struct args *a, struct err *e)
{
	char next[256] = "";
	if (!a->r.json)
		printf("%-32s %-20s %-20s %s\n", "DEVICE", "CONNECTED", "CHECKED IN",
		    "FROM");
	do {
		auto_(js_free) struct js *list = js_array();
		auto_buf target = BUF_INIT(4096);
		buf_printf(&target, TARGET "/devices?list=%s&after=", a->list);
		uri_encode(&target, span_str(next));
		if (a->ca)
			buf_printf(&target, "&ca=%s", a->ca);
		if (get_rows(a, buf_text(&target), list, next, sizeof(next), e))
			return -1;
		for (size_t i = 0; i < js_len(list); i++)
			show_device(a, js_at(list, i));
	} while (next[0]);
	return 0;
}

static int
verb_status(struct args *a, int argc, char **argv, struct err *e)
{
	char next[256];
	auto_(js_free) struct js *list = js_array();
	(void)argc, (void)argv;
	if (remote_open(&a->r, e))
		return -1;
	if (a->list)
		return show_devices(a, e);
	if (get_rows(a, TARGET, list, next, sizeof(next), e))
		return -1;
	if (a->r.json)
		print_json(list);
	else if (!js_len(list))
		printf("there never was a rollover\n");
	for (size_t i = 0; !a->r.json && i < js_len(list); i++)
		show_rollover(js_at(list, i));
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct args *a, int argc, char **argv, struct err *e);
	int args;
} verbs[] = {
    {"start", verb_start, 1},
    {"wave", verb_wave, 1},
    {"status", verb_status, 0},
    {"finish", verb_finish, 0},
    {"stop", verb_stop, 0},
};

static int
run_verb(struct args *a, int argc, char **argv, struct err *e)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[0], verbs[i].name) != 0)
			continue;
		if (argc - 1 != verbs[i].args)
			return err_set(e, ERR_USAGE,
			    "rollover %s takes %d argument%s; muster ca rollover --help",
			    argv[0], verbs[i].args, verbs[i].args == 1 ? "" : "s");
		return verbs[i].run(a, argc - 1, argv + 1, e);
	}
	return err_set(
	    e, ERR_USAGE, "no verb '%s'; muster ca rollover --help lists them", argv[0]);
}

int
cmd_rollover(int argc, char **argv, struct err *e)
{
	struct args a = {.force = false};
	const struct opt own[] = {
	    {"from", "OLD", OPT_TEXT, &a.from, "start: the CA that issues now (default)"},
	    {"of", "NAME", OPT_TEXT, &a.ca,
		"which rollover is meant, where there are two: one of its CAs"},
	    {"spread", "TIME", OPT_TEXT, &a.spread,
		"start, wave: over which time the renewals are spread (1h; wave: as "
		"before)"},
	    {"list", "WHICH", OPT_TEXT, &a.list,
		"status: the devices: old, silent, overdue or lacking"},
	    {"evidence", "FILE", OPT_TEXT, &a.evidence,
		"finish: write counts, times, fingerprints and the journal's head there"},
	    {"force", NULL, OPT_FLAG, &a.force, "wave, finish: pass the gate"},
	};
	enum { OWN = sizeof(own) / sizeof(own[0]) };
	struct opt rows[OWN + REMOTE_ROWS + 1] = {{0}};
	memcpy(rows, own, sizeof(own));
	remote_rows(&a.r, rows + OWN, argc, argv);
	const struct opt_cmd cmd = {"muster ca rollover VERB [OPTIONS]",
	    "From one CA to the next, without losing a device.\n\n"
	    "verbs:\n"
	    "  start NEW     trust NEW beside the CA that issues; groups name both\n"
	    "  wave PERCENT  NEW issues; so much of the fleet is called to renew\n"
	    "  status        how far it is\n"
	    "  finish        retire the old CA, when nobody uses it any more\n"
	    "  stop          undo it, before the old CA is retired",
	    rows, 1, 2};
	int at = opt_parse(&cmd, argc, argv, e);
	int rc = at <= 0 ? at : run_verb(&a, argc - at, argv + at, e);
	remote_done(&a.r);
	return rc;
}

/* ---- a CA in other hands ---- */

static void
show_drill(const struct js *v)
{
	const struct js *d = js_get(v, "drill"), *o = js_get(v, "rollover");
	const struct js *missing = js_get(d, "missing");
	char over[24];
	bool has_next = remote_text(o, "to")[0] != '\0';
	span_text(int_of(o, "spreadMs"), over);
	printf("if %s (%s, %s) were in other hands:\n", remote_text(o, "from"),
	    remote_text(o, "purpose"), remote_text(o, "fromState"));
	printf("  %-10s %s%s%s\n", "goes on", has_next ? remote_text(o, "to") : "nothing",
	    has_next ? ", now " : "", has_next ? remote_text(o, "toState") : "");
	printf("  %-10s %-10" PRId64 " end within a second\n", "sessions",
	    int_of(d, "sessions"));
	printf("  %-10s %-10" PRId64 " get another certificate, over %s\n", "devices",
	    int_of(o, "old"), over);
	show_count(o, "silent", "silent", "of them were not heard of lately");
	show_count(
	    o, "ended", "ended", "of them are past their end: est.expired, or a token");
	show_count(o, "mute", "mute", "of them never checked in: a token each");
	printf("  %-10s %s\n", "groups",
	    remote_text(d, "groups")[0] ? remote_text(d, "groups") : "-");
	for (size_t i = 0; i < js_len(missing); i++)
		printf("  %-10s %s\n", "missing", js_as_text(js_at(missing, i)));
	printf("%s\n", js_len(missing) ? "not ready" : "ready");
}

static int
drill(struct args *a, const char *name, struct err *e)
{
	int64_t spread = -1;
	auto_buf target = BUF_INIT(4096), body = BUF_INIT(ANSWER_MAX);
	if (read_spread(a->spread, &spread, e) || remote_open(&a->r, e))
		return -1;
	buf_str(&target, "/muster/issuers/");
	uri_encode(&target, span_str(name));
	buf_printf(&target, "/drill?to=");
	uri_encode(&target, span_str(a->to ? a->to : ""));
	if (spread >= 0)
		buf_printf(&target, "&spreadMs=%" PRId64, spread);
	if (remote_get(&a->r, buf_text(&target), "drill", &body, e))
		return -1;
	auto_(js_free) struct js *v =
	    js_parse(buf_span(&body), ANSWER_MAX, ANSWER_DEPTH, e);
	if (!v)
		return -1;
	if (a->r.json)
		print_json(v);
	else
		show_drill(v);
	bool ready = js_as_bool(js_get(js_get(v, "drill"), "ready"));
	return ready ? 0 : err_row(ERR_GATE)->exit;
}

int
cmd_drill(int argc, char **argv, struct err *e)
{
	struct args a = {.force = false};
	const struct opt own[] = {
	    {"to", "NAME", OPT_TEXT, &a.to,
		"the CA that would go on (default: the best)"},
	    {"spread", "TIME", OPT_TEXT, &a.spread,
		"over which time the devices would be called (default: as the server "
		"bears)"},
	};
	enum { OWN = sizeof(own) / sizeof(own[0]) };
	struct opt rows[OWN + REMOTE_ROWS + 1] = {{0}};
	memcpy(rows, own, sizeof(own));
	remote_rows(&a.r, rows + OWN, argc, argv);
	const struct opt_cmd cmd = {"muster ca drill NAME [OPTIONS]",
	    "What it would mean if the key of a CA were in other hands; changes "
	    "nothing.\n"
	    "Exit status 10 where the server is not ready for it.",
	    rows, 1, 1};
	int at = opt_parse(&cmd, argc, argv, e);
	int rc = at <= 0 ? at : drill(&a, argv[at], e);
	remote_done(&a.r);
	return rc;
}

static void
show_revoked(const struct js *v)
{
	const struct js *o = js_get(v, "rollover");
	show_rollover(o);
	printf("%s is revoked: %" PRId64 " sessions end, its devices come back for a "
	       "certificate of %s.\nRelying parties outside learn of it from the root's "
	       "CRL, which the holder of the\nroot's key makes: muster ca ceremony crl.\n"
	       "muster ca rollover status counts down; finish it when nobody is left.\n",
	    remote_text(o, "from"), int_of(v, "sessions"), remote_text(o, "to"));
}

int
cmd_revoke_issuer(struct remote *r, const struct cmd_alarm *m, struct err *e)
{
	struct args a = {.r = *r};
	int64_t spread = -1, since = 0;
	auto_(js_free) struct js *v = NULL;
	auto_(js_free) struct js *o = js_object();
	auto_buf target = BUF_INIT(4096);
	buf_str(&target, "/muster/issuers/");
	uri_encode(&target, span_str(m->issuer));
	buf_str(&target, "/revoke");
	if (read_spread(m->spread, &spread, e) ||
	    (m->since && read_moment(m->since, &since, e)))
		return -1;
	js_set_bool(o, "force", m->force);
	js_set_int(o, "sinceMs", since);
	if (spread >= 0)
		js_set_int(o, "spreadMs", spread);
	if (m->to)
		js_set_text(o, "to", m->to);
	if (m->reason && m->reason[0])
		js_set_text(o, "reason", m->reason);
	if (js_set_str(o, "comment", span_str(m->comment), e))
		return -1;
	a.r = *r;
	if (send(&a, "POST", buf_text(&target), o, &v, e))
		return -1;
	if (r->json)
		print_json(v);
	else
		show_revoked(v);
	return 0;
}
