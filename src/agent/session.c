/*
 * The session: a table of operations, each with the stages its generation may be at. The
 * stage is read from the device directory at every request, so a session that was killed
 * is gone on with by the next one.
 */
#include "agent/session.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/agent_config.h"
#include "agent/control.h"
#include "agent/keystore.h"
#include "agent/prove.h"
#include "codec/js.h"
#include "crypto/csr.h"
#include "io/file.h"

#define SKEW_MAX_MS   (5 * 60 * 1000)
#define SANE_MS       INT64_C(1704067200000) /* 2024 */
#define STATUS_MS     10000                  /* for the running agent to answer */
#define SETTLE_MS     60000                  /* for the running agent to connect */
#define NONCE_MAX     128
#define REQUEST_DEPTH 4

_Static_assert((int)AGENT_CONFIG_KEY_P256 == KEY_P256 &&
		   (int)AGENT_CONFIG_KEY_RSA4096 == KEY_RSA4096,
    "tbl/agent_config.def names key algorithms in the order of crypto/key.h");

struct session {
	const char *dir;
	int in, out;
	const struct clock *clock;
	struct arena *arena;
	struct agent_config cfg;
	struct keystore *keys;
	struct buf pending;             /* input behind the line in hand */
	struct keystore_ref generation; /* of the request in hand */
	enum keystore_stage stage;
	const char *fix; /* what to do about this failure; NULL: its code's words */
	bool quit;
	bool unsure; /* which credential is active: no answer may tell */
};

/* --- what to do about a failure --- */

static const char *const fixes[ERR_N] = {
    [ERR_INTERNAL] = "report this: it is a defect of muster-agent",
    [ERR_PARSE] = "check what was sent; the text names the place",
    [ERR_LIMIT] = "send less: a line holds 64 KB",
    [ERR_UNSUPPORTED] = "use matching versions of muster and muster-agent",
    [ERR_NOT_FOUND] =
	"check the device directory and the enrollment; the text names what is "
	"missing",
    [ERR_EXISTS] = "another device or agent has this place; choose one",
    [ERR_CONFLICT] = "begin this device again with keygen",
    [ERR_DENIED] = "check the enrollment group's CA and that the device is enabled",
    [ERR_FORBIDDEN] = "enable the device or its enrollment group",
    [ERR_BUSY] = "another session is at work or the service throttles; try again later",
    [ERR_TIMEOUT] =
	"check the network between the device and the service, then try again",
    [ERR_UNAVAILABLE] =
	"start the agent (muster-agent run) and check that the service can be "
	"reached",
    [ERR_IO] = "check the device's file system and the network",
    [ERR_FULL] =
	"free space on the device's file system (df, quota, ulimit -f), then run again",
    [ERR_PERM] = "the text names the chmod or chown that cures it",
    [ERR_CORRUPT] = "restore the named file, or begin this device again with keygen",
    [ERR_CRYPTO] = "check the CA file in agent.conf and the device's clock",
};

/* --- the running agent --- */

static int
call_agent(
    struct session *s, const char *op, int64_t wait_ms, struct js **ret, struct err *e)
{
	auto_(js_free) struct js *req = js_object();
	js_set_text(req, "op", op);
	if (wait_ms)
		js_set_int(req, "waitMs", wait_ms);
	return control_call(s->dir, req, STATUS_MS + wait_ms, ret, e);
}

/* --- what is the case --- */

/* The members that preflight and status share. st: the agent's answer, NULL for none. */
static int
facts(struct session *s, const struct js *st, struct js *ans, struct err *e)
{
	struct keystore_ref ref;
	uint64_t disk;
	auto_keystore_credential c = {0};
	if (keystore_active(s->keys, &ref, e) || keystore_load(s->keys, &ref, &c, e) ||
	    file_free_bytes(s->dir, &disk, e))
		return -1;
	js_set_int(ans, "diskFreeBytes", disk > INT64_MAX ? INT64_MAX : (int64_t)disk);
	js_set_text(ans, "keyStore", "file");
	js_set_text(ans, "auth", ref.x509 ? "x509" : "sas");
	js_set_text(ans, "generation", ref.generation);
	js_set_text(ans, "thumbprint", c.thumbprint);
	js_set_int(ans, "notAfterMs", c.not_after_ms);
	js_set_bool(ans, "connected", js_as_bool(js_get(st, "connected")));
	js_set_text(ans, "hub", js_as_text(js_get(st, "hub")));
	return 0;
}

static int
check_clock(struct session *s, int64_t skew_ms, int64_t now_ms, struct err *e)
{
	if (now_ms >= SANE_MS && skew_ms >= -SKEW_MAX_MS && skew_ms <= SKEW_MAX_MS)
		return 0;
	s->fix = "set the device's clock (NTP), then run again";
	return err_set(e, ERR_CONFLICT, "the device's clock is %lld s %s",
	    (long long)(skew_ms < 0 ? -skew_ms : skew_ms) / 1000,
	    skew_ms < 0 ? "slow" : "fast");
}

static int
check_disk(struct session *s, int64_t need, struct err *e)
{
	uint64_t disk;
	if (file_free_bytes(s->dir, &disk, e) || keystore_probe(s->keys, e))
		return -1;
	if (disk >= (uint64_t)need)
		return 0;
	return err_set(e, ERR_FULL, "%llu bytes free in %s, %lld needed",
	    (unsigned long long)disk, s->dir, (long long)need);
}

/* --- operations --- */

static int
op_preflight(struct session *s, const struct js *req, struct js *ans, struct err *e)
{
	int64_t time_ms, need = 0;
	if (js_need_int(req, "timeMs", 0, INT64_MAX / 2, &time_ms, e) ||
	    js_opt_int(req, "needBytes", 0, INT64_MAX / 2, &need, e))
		return -1;
	int64_t now_ms = clock_wall_ms(s->clock);
	int64_t skew_ms = now_ms - time_ms;
	if (check_clock(s, skew_ms, now_ms, e) || check_disk(s, need, e))
		return -1;
	auto_(js_free) struct js *st = NULL;
	if (call_agent(s, "status", 0, &st, e))
		return -1;
	js_set_int(ans, "clockSkewMs", skew_ms);
	return facts(s, st, ans, e);
}

static int
op_keygen(struct session *s, const struct js *req, struct js *ans, struct err *e)
{
	struct span name = span_str(key_alg_name((enum key_alg)s->cfg.auth.key));
	enum key_alg alg;
	struct keystore_ref r;
	auto_(key_free) struct key *key = NULL;
	if (js_opt_str(req, "alg", &name, e) || key_alg_parse(name, &alg, e) ||
	    keystore_keygen(s->keys, alg, &r, &key, e))
		return -1;
	auto_buf csr = BUF_INIT(2 * CSR_MAX);
	if (csr_write_pem(key, s->cfg.device.id, NULL, &csr, e))
		return -1;
	js_set_text(ans, "generation", r.generation);
	return js_set_str(ans, "csr", buf_span(&csr), e);
}

static int
op_install(struct session *s, const struct js *req, struct js *ans, struct err *e)
{
	struct span chain;
	auto_keystore_credential c = {0};
	if (js_need_str(req, "chain", &chain, e) ||
	    keystore_install(s->keys, &s->generation, chain, s->cfg.device.id,
		clock_wall_ms(s->clock), &c, e))
		return -1;
	js_set_text(ans, "thumbprint", c.thumbprint);
	js_set_int(ans, "notAfterMs", c.not_after_ms);
	return 0;
}

static int
nonce_parse(const struct js *req, char out[NONCE_MAX + 1], struct err *e)
{
	struct span nonce;
	if (js_need_str(req, "nonce", &nonce, e))
		return -1;
	for (size_t i = 0; i < nonce.len; i++)
		if (!span_has(SPAN_LIT("0123456789abcdefABCDEF"), nonce.p[i]))
			return err_set(e, ERR_PARSE, "\"nonce\" is not hexadecimal");
	if (nonce.len < 8 || !span_to_str(nonce, out, NONCE_MAX + 1))
		return err_set(
		    e, ERR_PARSE, "\"nonce\" is not 8 to %d digits", NONCE_MAX);
	return 0;
}

static int
op_prove(struct session *s, const struct js *req, struct js *ans, struct err *e)
{
	char nonce[NONCE_MAX + 1];
	auto_keystore_credential c = {0};
	if (nonce_parse(req, nonce, e) || keystore_load(s->keys, &s->generation, &c, e))
		return -1;
	struct prove_opts o = {.dir = s->dir,
	    .cfg = &s->cfg,
	    .credential = &c,
	    .clock = s->clock,
	    .nonce = nonce};
	struct prove_result r;
	if (prove_run(&o, &r, e) || keystore_set_proven(s->keys, &s->generation,
					&r.assignment, clock_wall_ms(s->clock), e))
		return -1;
	js_set_text(ans, "thumbprint", c.thumbprint);
	if (js_set_str(ans, "hub", span_str(r.assignment.hub), e) ||
	    js_set_str(ans, "deviceId", span_str(r.assignment.device_id), e) ||
	    js_set_str(ans, "substatus", span_str(r.substatus), e))
		return -1;
	return 0;
}

/* Does the running agent use this credential, connected? */
static bool
is_in_use(const struct js *st, const struct keystore_ref *r)
{
	return js_as_bool(js_get(st, "connected")) &&
	       span_eq_str(js_as_str(js_get(st, "auth")), r->x509 ? "x509" : "sas") &&
	       span_eq_str(js_as_str(js_get(st, "generation")), r->generation);
}

/* Has the running agent take up what `active` names, and waits until it is connected. */
static int
take_up(struct session *s, const struct keystore_ref *r, struct js *ans, struct err *e)
{
	auto_(js_free) struct js *st = NULL;
	if (call_agent(s, "status", 0, &st, e))
		return -1;
	if (!is_in_use(st, r)) {
		js_free(TAKE(st));
		if (call_agent(s, "reload", SETTLE_MS, &st, e))
			return -1;
	}
	if (!is_in_use(st, r))
		return err_set(e, ERR_CONFLICT,
		    "the running agent connected with another credential");
	js_set_text(ans, "auth", r->x509 ? "x509" : "sas");
	js_set_text(ans, "generation", r->generation);
	js_set_text(ans, "thumbprint", js_as_text(js_get(st, "thumbprint")));
	js_set_text(ans, "hub", js_as_text(js_get(st, "hub")));
	js_set_bool(ans, "connected", true);
	return 0;
}

static int
undo_promote(struct session *s, struct err *e)
{
	struct keystore_ref back;
	struct err undo;
	auto_(js_free) struct js *ignored = js_object();
	if (keystore_revert(s->keys, clock_wall_ms(s->clock), &back, &undo)) {
		s->unsure = true;
		return err_wrap(e, "not promoted, and going back failed (%s)", undo.text);
	}
	if (take_up(s, &back, ignored, &undo))
		return err_wrap(e, "went back, but is not connected yet (%s)", undo.text);
	return err_wrap(e, "went back to %s", back.x509 ? back.generation : "sas");
}

/* Old generations that cannot be removed make no failure of a promotion: journalled. */
static void
prune(struct session *s)
{
	struct err why, ignored;
	if (keystore_prune(s->keys, s->cfg.auth.keep_generations, &why) == 0)
		return;
	if (keystore_journal(s->keys, clock_wall_ms(s->clock), "prune", &ignored,
		"failed: %s", why.text))
		return;
}

static int
op_promote(struct session *s, const struct js *req, struct js *ans, struct err *e)
{
	/* without a running agent there is nobody to tell whether it works: no switch */
	auto_(js_free) struct js *st = NULL;
	if (call_agent(s, "status", 0, &st, e) ||
	    keystore_promote(s->keys, &s->generation, clock_wall_ms(s->clock), e))
		return -1;
	if (take_up(s, &s->generation, ans, e))
		return undo_promote(s, e);
	prune(s);
	return 0;
}

static int
op_revert(struct session *s, const struct js *req, struct js *ans, struct err *e)
{
	struct keystore_ref back;
	if (keystore_revert(s->keys, clock_wall_ms(s->clock), &back, e))
		return -1;
	return take_up(s, &back, ans, e);
}

static int
op_status(struct session *s, const struct js *req, struct js *ans, struct err *e)
{
	auto_(js_free) struct js *st = NULL;
	struct err none = {0};
	if (call_agent(s, "status", 0, &st, &none))
		st = NULL; /* not running: a fact, not a failure */
	js_set_bool(ans, "running", st != NULL);
	return facts(s, st, ans, e);
}

static int
op_quit(struct session *s, const struct js *req, struct js *ans, struct err *e)
{
	s->quit = true;
	return 0;
}

#define AT(stage) (1u << KEYSTORE_##stage)

/* An operation: locked ones change credentials; stages says how far the generation that
 * the request names must be, 0 where it names none. promote needs the proof. */
static const struct op {
	const char *name;
	int (*fn)(struct session *s, const struct js *req, struct js *ans, struct err *e);
	bool locked;
	unsigned stages;
} ops[] = {
    {"preflight", op_preflight, true, 0},
    {"keygen", op_keygen, true, 0},
    {"install", op_install, true, AT(KEY) | AT(CERT) | AT(PROVEN)},
    {"prove", op_prove, true, AT(CERT) | AT(PROVEN) | AT(ACTIVE)},
    {"promote", op_promote, true, AT(PROVEN) | AT(ACTIVE)},
    {"revert", op_revert, true, 0},
    {"status", op_status, false, 0},
    {"quit", op_quit, false, 0},
};

static int
check_stage(struct session *s, const struct op *op, const struct js *req, struct err *e)
{
	struct span generation;
	if (!op->stages)
		return 0;
	if (js_need_str(req, "generation", &generation, e) ||
	    keystore_stage(s->keys, generation, &s->generation, &s->stage, e))
		return -1;
	if (op->stages & 1u << s->stage)
		return 0;
	return err_set(e, s->stage == KEYSTORE_ABSENT ? ERR_NOT_FOUND : ERR_CONFLICT,
	    "%s: generation %s is at \"%s\"", op->name, s->generation.generation,
	    keystore_stage_name(s->stage));
}

static const struct op *
op_find(struct span name)
{
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (span_eq_str(name, ops[i].name))
			return &ops[i];
	return NULL;
}

static int
perform(struct session *s, const struct js *req, struct js *ans, struct err *e)
{
	struct span name;
	if (js_need_str(req, "op", &name, e))
		return -1;
	const struct op *op = op_find(name);
	if (!op)
		return err_set(e, ERR_UNSUPPORTED, "no operation of that name");
	if ((op->locked && keystore_lock(s->keys, e)) || check_stage(s, op, req, e))
		return -1;
	return op->fn(s, req, ans, e);
}

/* --- lines --- */

static int
write_line(struct session *s, const struct js *o, struct err *e)
{
	auto_buf line = BUF_INIT(SESSION_LINE_MAX);
	js_dump(o, JS_AS_BUILT, &line);
	buf_u8(&line, '\n');
	if (buf_check(&line, "answer", e))
		return -1;
	for (struct span left = buf_span(&line); left.len;) {
		ssize_t n = write(s->out, left.p, left.len);
		if (n < 0 && errno != EINTR)
			return err_sys(e, ERR_IO, "session: write");
		left = span_skip(left, n > 0 ? (size_t)n : 0);
	}
	return 0;
}

static int
write_failure(
    struct session *s, const struct js *id, const struct err *why, struct err *e)
{
	auto_(js_free) struct js *o = js_object();
	const char *fix = s->fix ? s->fix : fixes[why->code];
	js_set(o, "id", id ? js_copy(id) : NULL);
	js_set_bool(o, "ok", false);
	js_set_text(o, "code", err_row(why->code)->name);
	struct js *text = js_str(span_str(why->text), NULL);
	js_set(o, "text", text ? text : js_text(err_row(why->code)->words));
	js_set_text(o, "fix", fix ? fix : "see the text");
	return write_line(s, o, e);
}

static int
handle(struct session *s, struct span line, struct err *e)
{
	struct err why = {0};
	s->fix = NULL;
	auto_(js_free) struct js *req =
	    js_parse(line, SESSION_LINE_MAX, REQUEST_DEPTH, &why);
	if (req && !js_is(js_get(req, "id"), JS_INT))
		err_set(&why, ERR_PARSE, "a request is an object with an integer \"id\"");
	const struct js *id = js_get(req, "id");
	if (why.code != ERR_OK)
		return write_failure(s, js_is(id, JS_INT) ? id : NULL, &why, e);
	auto_(js_free) struct js *ans = js_object();
	js_set(ans, "id", js_copy(id));
	js_set_bool(ans, "ok", true);
	if (perform(s, req, ans, &why)) {
		/* an answered failure says that the device is on its old credential, and
		 * its old identity is put back; without one the next session looks */
		if (s->unsure)
			return err_copy(e, &why);
		return write_failure(s, id, &why, e);
	}
	return write_line(s, ans, e);
}

/* The next line, without its end, into line; false at the end of input. A line too long
 * to hold cannot be skipped over safely: the session ends. */
static int
read_line(struct session *s, struct buf *line, bool *ret_eof, struct err *e)
{
	buf_reset(line);
	for (;;) {
		struct span in = buf_span(&s->pending);
		size_t len = span_find(in, '\n');
		if (len < in.len) {
			buf_put_span(line, span_head(in, len));
			buf_drop(&s->pending, len + 1);
			return 0;
		}
		uint8_t *room = buf_room(&s->pending, 4096);
		if (!room)
			return err_set(e, ERR_LIMIT, "a line of more than %d bytes",
			    SESSION_LINE_MAX);
		ssize_t n = read(s->in, room, 4096);
		if (n < 0 && errno != EINTR)
			return err_sys(e, ERR_IO, "session: read");
		if (n == 0) {
			*ret_eof = true;
			return 0;
		}
		buf_grew(&s->pending, n > 0 ? (size_t)n : 0);
	}
}

static int
serve(struct session *s, struct err *e)
{
	auto_buf line = BUF_INIT(SESSION_LINE_MAX);
	bool eof = false;
	while (!s->quit) {
		if (read_line(s, &line, &eof, e))
			return -1;
		if (eof)
			return 0;
		if (handle(s, buf_span(&line), e))
			return -1;
	}
	return 0;
}

static int
hello(struct session *s, struct err *e)
{
	auto_(js_free) struct js *o = js_object();
	js_set_text(o, "hello", "muster-agent");
	js_set_text(o, "version", MUSTER_VERSION);
	js_set_int(o, "protocol", SESSION_PROTOCOL);
	js_set_text(o, "deviceId", s->cfg.device.id);
	return write_line(s, o, e);
}

int
session_run(const char *dir, int in, int out, const struct clock *clock, struct err *e)
{
	struct session s = {.dir = dir, .in = in, .out = out, .clock = clock};
	s.pending = BUF_INIT(SESSION_LINE_MAX + 4096);
	s.arena = arena_new(AGENT_CONFIG_ARENA_MAX);
	int failed =
	    agent_config_read(dir, &s.cfg, s.arena, e) || keystore_open(dir, &s.keys, e);
	failed = failed || hello(&s, e) || serve(&s, e);
	keystore_close(s.keys);
	buf_done(&s.pending);
	arena_free(s.arena);
	return failed ? -1 : 0;
}
