/*
 * The session: a table of operations, each with the stages its generation may be at. The
 * stage is read from the device directory at every request, so a session that was killed
 * is gone on with by the next one.
 */
#include "agent/session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/steps.h"
#include "codec/js.h"
#include "crypto/csr.h"
#include "io/file.h"

#define SKEW_MAX_MS   (5 * 60 * 1000)
#define SANE_MS       INT64_C(1704067200000) /* 2024 */
#define NONCE_MAX     128
#define REQUEST_DEPTH 4

_Static_assert((int)AGENT_CONFIG_KEY_P256 == KEY_P256 &&
		   (int)AGENT_CONFIG_KEY_RSA4096 == KEY_RSA4096,
    "tbl/agent_config.def names key algorithms in the order of crypto/key.h");

struct session {
	struct steps steps;
	struct clock_floor time;
	int in, out;
	struct arena *arena;
	struct agent_config cfg;
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

/* --- what is the case --- */

/* The members that preflight and status share. st: the agent's answer, NULL for none. */
static int
facts(struct session *s, const struct js *st, struct js *ans, struct err *e)
{
	struct keystore_ref ref;
	uint64_t disk;
	auto_keystore_credential c = {0};
	if (keystore_active(s->steps.keys, &ref, e) ||
	    keystore_load(s->steps.keys, &ref, &c, e) ||
	    file_free_bytes(s->steps.dir, &disk, e))
		return -1;
	js_set_int(ans, "diskFreeBytes", disk > INT64_MAX ? INT64_MAX : (int64_t)disk);
	js_set_text(
	    ans, "keyStore", key_custody_name(keystore_custody(&c, s->cfg.auth.key_uri)));
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
	if (file_free_bytes(s->steps.dir, &disk, e) || keystore_probe(s->steps.keys, e))
		return -1;
	if (disk >= (uint64_t)need)
		return 0;
	return err_set(e, ERR_FULL, "%llu bytes free in %s, %lld needed",
	    (unsigned long long)disk, s->steps.dir, (long long)need);
}

/* --- operations --- */

static int
op_preflight(struct session *s, const struct js *req, struct js *ans, struct err *e)
{
	int64_t time_ms, need = 0;
	if (js_need_int(req, "timeMs", 0, INT64_MAX / 2, &time_ms, e) ||
	    js_opt_int(req, "needBytes", 0, INT64_MAX / 2, &need, e))
		return -1;
	int64_t now_ms = clock_wall_ms(s->time.base);
	int64_t skew_ms = now_ms - time_ms;
	if (check_clock(s, skew_ms, now_ms, e) || check_disk(s, need, e))
		return -1;
	auto_(js_free) struct js *st = NULL;
	if (steps_call_agent(&s->steps, "status", 0, &st, e))
		return -1;
	js_set_int(ans, "clockSkewMs", skew_ms);
	return facts(s, st, ans, e);
}

static int
op_keygen(struct session *s, const struct js *req, struct js *ans, struct err *e)
{
	struct span name = span_str(key_alg_name((enum key_alg)s->cfg.auth.key));
	struct keystore_place p = {
	    .uri = s->cfg.auth.key_uri, .device_id = s->cfg.device.id};
	struct keystore_ref r;
	auto_(key_free) struct key *key = NULL;
	if (js_opt_str(req, "alg", &name, e) || key_alg_parse(name, &p.alg, e) ||
	    keystore_keygen(s->steps.keys, &p, &r, &key, e))
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
	    keystore_install(s->steps.keys, &s->generation, chain, s->cfg.device.id,
		clock_wall_ms(s->time.base), &c, e))
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
	struct prove_result r;
	if (nonce_parse(req, nonce, e) ||
	    keystore_load(s->steps.keys, &s->generation, &c, e) ||
	    steps_prove(&s->steps, &s->generation, nonce, false, &r, e))
		return -1;
	js_set_text(ans, "thumbprint", c.thumbprint);
	if (js_set_str(ans, "hub", span_str(r.assignment.hub), e) ||
	    js_set_str(ans, "deviceId", span_str(r.assignment.device_id), e) ||
	    js_set_str(ans, "substatus", span_str(r.substatus), e))
		return -1;
	return 0;
}

/* What the running agent uses now. */
static void
tell_use(const struct keystore_ref *r, const struct js *st, struct js *ans)
{
	js_set_text(ans, "auth", r->x509 ? "x509" : "sas");
	js_set_text(ans, "generation", r->generation);
	js_set_text(ans, "thumbprint", js_as_text(js_get(st, "thumbprint")));
	js_set_text(ans, "hub", js_as_text(js_get(st, "hub")));
	js_set_bool(ans, "connected", true);
}

static int
op_promote(struct session *s, const struct js *req, struct js *ans, struct err *e)
{
	auto_(js_free) struct js *st = NULL;
	if (steps_promote(&s->steps, &s->generation, &st, &s->unsure, e))
		return -1;
	tell_use(&s->generation, st, ans);
	return 0;
}

/* To what was active before; with "to":"sas" to SAS, however often the device has renewed
 * its certificate since it left it. */
static int
op_revert(struct session *s, const struct js *req, struct js *ans, struct err *e)
{
	int64_t now_ms = clock_wall_ms(s->time.base);
	struct span name = SPAN_NONE;
	struct keystore_ref back;
	auto_(js_free) struct js *st = NULL;
	if (js_opt_str(req, "to", &name, e))
		return -1;
	if (name.p && keystore_ref_parse(name, &back, e)) {
		e->code = ERR_PARSE;
		return -1;
	}
	if (name.p ? keystore_revert_to(s->steps.keys, &back, now_ms, e)
		   : keystore_revert(s->steps.keys, now_ms, &back, e))
		return -1;
	if (steps_take_up(&s->steps, &back, &st, e))
		return -1;
	tell_use(&back, st, ans);
	return 0;
}

static int
op_status(struct session *s, const struct js *req, struct js *ans, struct err *e)
{
	auto_(js_free) struct js *st = NULL;
	struct err none = {0};
	if (steps_call_agent(&s->steps, "status", 0, &st, &none))
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
	    keystore_stage(s->steps.keys, generation, &s->generation, &s->stage, e))
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
	if ((op->locked && keystore_lock(s->steps.keys, e)) || check_stage(s, op, req, e))
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

/* Whoever is silent for long may be gone without a word: TCP tells no half-open line. The
 * lock goes to who wants it, as a renewal; the next operation takes it again and looks at
 * how far its generation is now. */
static int
wait_for_input(struct session *s, struct err *e)
{
	struct pollfd p = {.fd = s->in, .events = POLLIN};
	while (keystore_is_locked(s->steps.keys)) {
		int n = poll(&p, 1, (int)s->cfg.agent.lock_idle_ms);
		if (n < 0 && errno != EINTR)
			return err_sys(e, ERR_IO, "session: poll");
		if (n > 0)
			return 0;
		if (n == 0)
			keystore_unlock(s->steps.keys);
	}
	return 0; /* read waits */
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
		if (wait_for_input(s, e))
			return -1;
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
	struct session s = {.in = in, .out = out};
	clock_floor_init(&s.time, clock, clock_floor_built_ms());
	clock_floor_load(&s.time, dir);
	s.steps = (struct steps){.dir = dir, .cfg = &s.cfg, .time = &s.time};
	s.pending = BUF_INIT(SESSION_LINE_MAX + 4096);
	s.arena = arena_new(AGENT_CONFIG_ARENA_MAX);
	int failed = agent_config_read(dir, &s.cfg, s.arena, e) ||
		     keystore_open(dir, &s.steps.keys, e);
	failed = failed || hello(&s, e) || serve(&s, e);
	keystore_close(s.steps.keys);
	buf_done(&s.pending);
	arena_free(s.arena);
	return failed ? -1 : 0;
}
