/*
 * muster est: one-time tokens, requests that wait for a word, devices that may renew
 * late. Everything is asked of the running server, as an operator.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "cmd/cmd.h"
#include "cmd/remote.h"
#include "codec/id.h"
#include "codec/js.h"

#define LIFE_MAX_MS (INT64_C(365) * 86400 * 1000)
#define FOR_MS      (INT64_C(7) * 86400 * 1000)
#define ID_LEN      64
#define ID_SHOWN    12

struct args {
	struct remote r;
	const char *life, *until, *state, *comment;
	bool create, take_back;
};

/* ---- rows ---- */

/* ---- tokens ---- */

static int
need_device(int argc, char **argv, struct err *e)
{
	if (argc == 1 && id_is_registration(span_str(argv[0])))
		return 0;
	return err_set(e, ERR_USAGE,
	    argc == 1 ? "'%s' is no device's ID" : "DEVICE is wanted%s",
	    argc == 1 ? argv[0] : "");
}

static int
take_token_back(struct args *a, const char *target, const char *device, struct err *e)
{
	auto_(js_free) struct js *v = NULL;
	if (remote_send(&a->r, "DELETE", target, NULL, &v, e))
		return -1;
	printf("the token of %s is good for nothing now\n", device);
	return 0;
}

/* The secret goes to stdout alone, so that a script can pass it on. */
static int
est_token(struct args *a, int argc, char **argv, struct err *e)
{
	int64_t life = 0;
	char until[CLOCK_TEXT];
	if (need_device(argc, argv, e))
		return -1;
	const char *target = remote_path(&a->r, "/muster/tokens/", argv[0]);
	if (a->take_back)
		return take_token_back(a, target, argv[0], e);
	if (a->life &&
	    num_parse_duration_ms(span_str(a->life), 60000, LIFE_MAX_MS, &life, e))
		return err_wrap(e, "--life");
	auto_(js_free) struct js *o = js_object(), *v = NULL;
	if (life)
		js_set_int(o, "lifeMs", life);
	js_set_bool(o, "create", a->create);
	if (remote_send(&a->r, "PUT", target, o, &v, e))
		return -1;
	if (a->r.json) {
		remote_print(v);
		return 0;
	}
	(void)remote_time(v, "expiresMs", until);
	printf("%s\n", remote_text(v, "secret"));
	fprintf(stderr,
	    "good for one certificate for %s until %s; user %s, this as the password "
	    "(HTTP Basic)\n",
	    argv[0], until, argv[0]);
	return 0;
}

static int
show_token(void *ctx, const struct js *row, struct err *e)
{
	const struct args *a = ctx;
	char created[CLOCK_TEXT], expires[CLOCK_TEXT], used[CLOCK_TEXT];
	if (a->r.json) {
		remote_print(row);
		return 0;
	}
	(void)remote_time(row, "createdMs", created);
	(void)remote_time(row, "expiresMs", expires);
	(void)remote_time(row, "usedMs", used);
	printf("%-32s %-20s %-20s %-20s %s\n", remote_text(row, "deviceId"), created,
	    expires, used, remote_text(row, "createdBy"));
	return 0;
}

static int
est_tokens(struct args *a, int argc, char **argv, struct err *e)
{
	if (!a->r.json)
		printf("%-32s %-20s %-20s %-20s %s\n", "DEVICE", "MADE", "ENDS", "USED",
		    "BY");
	const char *target = argc
				 ? remote_path(&a->r, "/muster/tokens?deviceId=", argv[0])
				 : "/muster/tokens";
	return remote_each(&a->r, target, show_token, a, e);
}

/* ---- requests ---- */

static int
show_request(void *ctx, const struct js *row, struct err *e)
{
	const struct args *a = ctx;
	char created[CLOCK_TEXT];
	const char *key = remote_text(row, "keySha256");
	if (a->r.json) {
		remote_print(row);
		return 0;
	}
	(void)remote_time(row, "createdMs", created);
	printf("%-12.*s %-9s %-32s %-20s %-16.16s %s\n", ID_SHOWN, remote_text(row, "id"),
	    remote_text(row, "state"), remote_text(row, "deviceId"), created,
	    key[0] ? key : "(made here)", remote_text(row, "address"));
	return 0;
}

static int
est_requests(struct args *a, int argc, char **argv, struct err *e)
{
	if (!a->r.json)
		printf("%-12s %-9s %-32s %-20s %-16s %s\n", "REQUEST", "STATE", "DEVICE",
		    "MADE", "KEY (SHA-256)", "FROM");
	const char *state = a->state ? a->state : "pending";
	return remote_each(&a->r,
	    remote_path(&a->r,
		"/muster/enrolments?state=", strcmp(state, "any") == 0 ? "" : state),
	    show_request, a, e);
}

struct prefix {
	const char *text;
	char id[ID_LEN + 1];
	int found;
};

static int
match(void *ctx, const struct js *row, struct err *e)
{
	struct prefix *p = ctx;
	struct span id = js_as_str(js_get(row, "id"));
	if (span_starts(id, span_str(p->text)) && span_to_str(id, p->id, sizeof(p->id)))
		p->found++;
	return 0;
}

/* A request may be named by as much of its ID as no other that waits begins with. */
static int
find_request(struct args *a, struct prefix *p, struct err *e)
{
	if (strlen(p->text) == ID_LEN) {
		snprintf(p->id, sizeof(p->id), "%s", p->text);
		return 0;
	}
	if (remote_each(&a->r, "/muster/enrolments?state=pending", match, p, e))
		return -1;
	if (p->found == 1)
		return 0;
	return err_set(e, p->found ? ERR_USAGE : ERR_NOT_FOUND,
	    p->found ? "several requests that wait begin with %s"
		     : "no request that waits begins with %s",
	    p->text);
}

static int
decide(struct args *a, bool approve, int argc, char **argv, struct err *e)
{
	if (argc != 1 || strlen(argv[0]) < 4)
		return err_set(
		    e, ERR_USAGE, "REQUEST is wanted: four characters of its ID or more");
	struct prefix p = {.text = argv[0]};
	auto_(js_free) struct js *o = js_object(), *v = NULL;
	js_set_bool(o, "approve", approve);
	if (a->comment)
		js_set_text(o, "comment", a->comment);
	if (find_request(a, &p, e) ||
	    remote_send(
		&a->r, "POST", remote_path(&a->r, "/muster/enrolments/", p.id), o, &v, e))
		return -1;
	if (a->r.json)
		remote_print(v);
	else
		printf("%s: %s\n", remote_text(v, "deviceId"), remote_text(v, "state"));
	return 0;
}

static int
est_approve(struct args *a, int argc, char **argv, struct err *e)
{
	return decide(a, true, argc, argv, e);
}

static int
est_deny(struct args *a, int argc, char **argv, struct err *e)
{
	return decide(a, false, argc, argv, e);
}

/* ---- late renewals ---- */

static int
show_allowed(void *ctx, const struct js *row, struct err *e)
{
	const struct args *a = ctx;
	char until[CLOCK_TEXT], since[CLOCK_TEXT];
	if (a->r.json) {
		remote_print(row);
		return 0;
	}
	(void)remote_time(row, "untilMs", until);
	(void)remote_time(row, "quarantinedMs", since);
	printf("%-32s %-20s %-20s %s\n", remote_text(row, "deviceId"), until, since,
	    remote_text(row, "addedBy"));
	return 0;
}

static int
list_allowed(struct args *a, struct err *e)
{
	if (!a->r.json)
		printf("%-32s %-20s %-20s %s\n", "DEVICE", "MAY RENEW UNTIL",
		    "QUARANTINED SINCE", "BY");
	return remote_each(&a->r, "/muster/renew-allow", show_allowed, a, e);
}

static int
put_allowed(struct args *a, const char *device, const struct js *o, struct err *e)
{
	auto_(js_free) struct js *v = NULL;
	char until[CLOCK_TEXT], since[CLOCK_TEXT];
	if (remote_send(&a->r, "PUT", remote_path(&a->r, "/muster/renew-allow/", device),
		o, &v, e))
		return -1;
	if (a->r.json) {
		remote_print(v);
		return 0;
	}
	(void)remote_time(v, "untilMs", until);
	(void)remote_time(v, "quarantinedMs", since);
	printf("%s: may renew an expired certificate until %s; in quarantine since %s\n",
	    device, until, since);
	return 0;
}

static int
est_allow(struct args *a, int argc, char **argv, struct err *e)
{
	int64_t ms = FOR_MS;
	if (argc == 0)
		return list_allowed(a, e);
	if (need_device(argc, argv, e))
		return -1;
	if (a->until &&
	    num_parse_duration_ms(span_str(a->until), 60000, LIFE_MAX_MS, &ms, e))
		return err_wrap(e, "--for");
	auto_(js_free) struct js *o = js_object();
	js_set_int(o, "untilMs", a->take_back ? 0 : clock_wall_ms(&clock_system) + ms);
	return put_allowed(a, argv[0], o, e);
}

static int
est_release(struct args *a, int argc, char **argv, struct err *e)
{
	if (need_device(argc, argv, e))
		return -1;
	auto_(js_free) struct js *o = js_object();
	js_set_bool(o, "release", true);
	return put_allowed(a, argv[0], o, e);
}

/* ---- the command ---- */

static const struct {
	const char *name;
	int (*run)(struct args *a, int argc, char **argv, struct err *e);
	int args_max;
} verbs[] = {
    {"token", est_token, 1},
    {"tokens", est_tokens, 1},
    {"requests", est_requests, 0},
    {"approve", est_approve, 1},
    {"deny", est_deny, 1},
    {"allow", est_allow, 1},
    {"release", est_release, 1},
};

static int
run(struct args *a, int argc, char **argv, struct err *e)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[0], verbs[i].name) != 0)
			continue;
		if (argc - 1 > verbs[i].args_max)
			return err_set(
			    e, ERR_USAGE, "too much: %s", argv[1 + verbs[i].args_max]);
		return remote_open(&a->r, e) ? -1
					     : verbs[i].run(a, argc - 1, argv + 1, e);
	}
	return err_set(
	    e, ERR_USAGE, "no verb '%s'; muster est --help lists them", argv[0]);
}

int
cmd_est(int argc, char **argv, struct err *e)
{
	struct args a = {0};
	const struct opt own[] = {
	    {"life", "TIME", OPT_TEXT, &a.life,
		"token: how long it is good (default est.token_life)"},
	    {"create", NULL, OPT_FLAG, &a.create,
		"token: make the identity where there is none"},
	    {"state", "STATE", OPT_TEXT, &a.state,
		"requests: pending (default), approved, denied, issued, any"},
	    {"comment", "TEXT", OPT_TEXT, &a.comment, "approve, deny: for the record"},
	    {"for", "TIME", OPT_TEXT, &a.until, "allow: how long (default 7d)"},
	    {"take-back", NULL, OPT_FLAG, &a.take_back,
		"token, allow: what was given is no longer good"},
	};
	enum { OWN = sizeof(own) / sizeof(own[0]) };
	struct opt rows[OWN + REMOTE_ROWS + 1] = {{0}};
	memcpy(rows, own, sizeof(own));
	remote_rows(&a.r, rows + OWN, argc, argv);
	const struct opt_cmd cmd = {"muster est VERB [OPTIONS]",
	    "Enrolment over Secure Transport (RFC 7030): an operator's part in it.\n\n"
	    "verbs:\n"
	    "  token     DEVICE: a secret that is good for one certificate, once\n"
	    "  tokens    [DEVICE]: those that were given out\n"
	    "  requests  enrolments that wait for approval\n"
	    "  approve   REQUEST: give it its certificate\n"
	    "  deny      REQUEST: refuse it for good\n"
	    "  allow     [DEVICE]: let it renew a certificate that has expired; without "
	    "DEVICE,\n"
	    "            who may, and who is in quarantine\n"
	    "  release   DEVICE: end its quarantine",
	    rows, 1, 2};
	int at = opt_parse(&cmd, argc, argv, e);
	int rc = at <= 0 ? at : run(&a, argc - at, argv + at, e);
	remote_done(&a.r);
	return rc;
}
