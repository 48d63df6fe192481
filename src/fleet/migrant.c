/*
 * One device's way. Each step begins in next(), which the loop calls after the commit of
 * what came before; each ends in migrant_moved() or failed(). Nothing here waits.
 */
#include "fleet/migrant_impl.h"

#include <stdio.h>

#include "base/hex.h"
#include "base/rand.h"
#include "codec/js.h"
#include "fleet/enroll.h"
#include "fleet/identity.h"
#include "fleet/inventory.h"

#define ARENA_MAX   (16 * 1024 * 1024)
#define NEED_BYTES  65536
#define NONCE_BYTES 16

#define HELLO_MS     30000 /* login included */
#define PREFLIGHT_MS 30000
#define KEYGEN_MS    60000 /* an RSA key on a small device */
#define INSTALL_MS   30000
/* Longer than the agent's own limits (dps.timeout, hub.connect_timeout and the
 * acknowledgement; twice the time to settle): a device whose work goes on behind a
 * deadline of ours would register after its identity was put back. */
#define PROVE_MS   240000
#define PROMOTE_MS 180000
#define TRIES      3 /* of an operation that fails for what may pass */
#define AGAIN_MS   1500

#define POLL_MIN_MS  150
#define POLL_MAX_MS  5000
#define IDENTITY_MAX (1024 * 1024)

/* ---- small things ---- */

struct loop *
migrant_loop(const struct migrant *g)
{
	return g->run->m->loop;
}

int64_t
migrant_wall_ms(const struct migrant *g)
{
	return clock_wall_ms(loop_clock(migrant_loop(g)));
}

void
migrant_set(struct migrant *g, const char **field, struct span text)
{
	*field = arena_str(g->a, text);
}

static void
drop_session(struct migrant *g)
{
	session_free(TAKE(g->session));
	g->checked = false;
}

/* The device needs no session any more. */
void
migrant_release(struct migrant *g)
{
	drop_session(g);
	if (!g->holds_slot)
		return;
	g->holds_slot = false;
	g->run->on_free_slot(g->run->arg);
}

static void
save(struct migrant *g)
{
	g->d.state = sm_name(&state_machine, g->state);
	g->d.updated_ms = migrant_wall_ms(g);
	g->run->on_save(g->run->arg, &g->d);
}

/* A step is done: on record first, the next one after the commit. */
void
migrant_moved(struct migrant *g, int to)
{
	sm_move(&state_machine, &g->state, to);
	g->tries = 0;
	save(g);
	loop_defer(migrant_loop(g), LOOP_FLUSH, &g->next);
}

/* ---- failing ---- */

static const struct {
	enum err_code code;
	const char *fix;
} fixes[] = {
    {ERR_FULL, "free disk space on the device"},
    {ERR_PERM, "correct the permissions of the device directory"},
    {ERR_NOT_FOUND,
	"make sure that the device is on the hub and muster-agent on the device"},
    {ERR_TIMEOUT, "make sure that the device is on the network and not overloaded"},
    {ERR_UNAVAILABLE, "make sure that the device is on the network, and that the server "
		      "takes requests"},
    {ERR_BUSY, "wait: the server throttles"},
    {ERR_DENIED, "check the credential that was refused, and the connection log"},
    {ERR_UNSUPPORTED, "update muster-agent on the device"},
};

static const char *
fix_of(enum err_code code)
{
	for (size_t i = 0; i < sizeof(fixes) / sizeof(fixes[0]); i++)
		if (fixes[i].code == code)
			return fixes[i].fix;
	return "see the reason";
}

static void
finish_failed(struct migrant *g)
{
	migrant_release(g);
	migrant_moved(g, STATE_FAILED);
}

/* The old identity could not be put back, or was better left alone. */
static void
also(struct migrant *g, const char *text)
{
	migrant_set(g, &g->d.reason,
	    span_str(arena_printf(g->a, "%s; and %s", g->d.reason, text)));
	finish_failed(g);
}

static void look_at_identity(struct migrant *g);

static void
on_restored(void *arg, const struct rest_response *r, const struct err *why)
{
	struct migrant *g = arg;
	struct err e;
	g->asking = NULL;
	if (r && r->status == 412 && ++g->tries < TRIES) { /* changed meanwhile */
		look_at_identity(g);
		return;
	}
	if (!r)
		e = *why;
	if (!r || azure_check(r, "identity", &e))
		also(g,
		    arena_printf(g->a, "its old identity was not put back: %s", e.text));
	else
		finish_failed(g);
}

static void
put_back(struct migrant *g, const struct js *now, const struct js *was)
{
	struct rest_request q;
	char words[IDENTITY_TEXT];
	const char *etag = js_as_text(js_get(now, "etag"));
	enum identity_state is = identity_judge(now, was, g->d.thumb, "");
	identity_words(now, words);
	if (is == IDENTITY_BEFORE) {
		finish_failed(g);
		return;
	}
	if (is == IDENTITY_OTHER || !etag[0]) {
		also(g, arena_printf(g->a,
			    "its identity on the hub is %s, which is neither the old one "
			    "nor what the campaign makes of it: somebody else changed "
			    "it, and it is left as it is",
			    words));
		return;
	}
	auto_(js_free) struct js *identity = identity_restore(now, was);
	azure_device_put(g->a, g->d.id, identity, etag, &q);
	g->asking = exchange_start(g->run->m->calls, PACE_REGISTRY, &q, on_restored, g);
}

static void
on_identity_after(void *arg, const struct rest_response *r, const struct err *why)
{
	struct migrant *g = arg;
	struct err e;
	auto_(js_free) struct js *now = NULL, *was = NULL;
	g->asking = NULL;
	if (!r)
		e = *why;
	if (r && azure_check(r, "identity", &e) == 0 &&
	    (now = js_parse(r->body, IDENTITY_MAX, 16, &e)))
		was = js_parse(span_str(g->d.identity), IDENTITY_MAX, 16, &e);
	if (was)
		put_back(g, now, was);
	else
		also(
		    g, arena_printf(g->a,
			   "whether its old identity has to be put back is not known: %s",
			   e.text));
}

static void
look_at_identity(struct migrant *g)
{
	struct rest_request q;
	azure_device_get(g->a, g->d.id, &q);
	g->asking =
	    exchange_start(g->run->m->calls, PACE_REGISTRY, &q, on_identity_after, g);
}

/* The device goes on with SAS; where the hub took it for an X.509 device already (what
 * the azure profile does at registration) its old identity is put back. Where the switch
 * may have happened without our knowing, nothing is touched: the next run asks the
 * device. Only promote's own answer tells that it did not: a pre-flight that fails may be
 * that of a device which switched for a run that was killed. */
static void
failed(struct migrant *g, const char *step, const struct session_failure *why)
{
	bool proving = g->state == STATE_INSTALLED || g->state == STATE_PROVED;
	bool reverted = g->state == STATE_CONFIRMED && g->checked && why->answered;
	migrant_set(g, &g->d.step, span_str(step));
	migrant_set(g, &g->d.error, span_str(err_row(why->err.code)->name));
	migrant_set(g, &g->d.reason, span_str(why->err.text));
	migrant_set(
	    g, &g->d.fix, span_str(why->fix[0] ? why->fix : fix_of(why->err.code)));
	g->failing = true;
	loop_timer_cancel(g->timer);
	if (!proving && !reverted) {
		finish_failed(g);
		return;
	}
	g->d.proved_ms = 0;
	g->tries = 0;
	look_at_identity(g);
}

void
migrant_failed_with(struct migrant *g, const char *step, const struct err *e)
{
	struct session_failure why = {.err = *e};
	failed(g, step, &why);
}

/* ---- sign ---- */

static void
signed_with(struct migrant *g, const char *chain)
{
	struct err e;
	char thumb[65];
	int64_t not_after_ms;
	if (enroll_thumb(chain, thumb, &not_after_ms, &e)) {
		migrant_failed_with(g, "sign", &e);
		return;
	}
	migrant_set(g, &g->d.chain, span_str(chain));
	migrant_set(g, &g->d.thumb, span_str(thumb));
	g->d.not_after_ms = not_after_ms;
	migrant_moved(g, STATE_SIGNED);
}

static void
on_signed(void *arg, const struct rest_response *r, const struct err *why)
{
	struct migrant *g = arg;
	struct err e;
	auto_buf chain = BUF_INIT(65536);
	g->call = NULL;
	if (!r)
		e = *why;
	if (!r || azure_check(r, "EST simpleenroll", &e) ||
	    enroll_chain(g->run->enroll, r->body, g->d.csr, g->d.id, migrant_wall_ms(g),
		&chain, &e)) {
		migrant_failed_with(g, "sign", &e);
		return;
	}
	signed_with(g, buf_text(&chain));
}

static void
ask_signature(struct migrant *g)
{
	struct err e;
	struct rest_request q;
	auto_buf der = BUF_INIT(65536);
	if (enroll_csr(g->d.csr, g->d.id, &der, &e)) {
		migrant_failed_with(g, "sign", &e);
		return;
	}
	azure_est_enroll(g->a, buf_span(&der), &q);
	g->call = rest_start(g->run->m->est, &q, on_signed, g);
}

static void
on_known(void *arg, const struct rest_response *r, const struct err *why)
{
	struct migrant *g = arg;
	struct err e;
	g->call = NULL;
	if (!r)
		e = *why;
	bool there = r && r->status == 409;
	if (!there &&
	    (!r || azure_check(r, "identity where certificates are signed", &e)))
		migrant_failed_with(g, "sign", &e);
	else
		ask_signature(g);
}

/* A server that is not the device's hub signs for devices that it knows, and renews their
 * certificates by what they have. */
static void
make_known(struct migrant *g)
{
	struct rest_request q;
	auto_(js_free) struct js *identity = js_object();
	struct js *authentication = js_object();
	js_set_text(identity, "deviceId", g->d.id);
	js_set_text(identity, "status", "enabled");
	js_set_text(authentication, "type", "certificateAuthority");
	js_set(identity, "authentication", authentication);
	azure_device_put(g->a, g->d.id, identity, NULL, &q);
	g->call = rest_start(g->run->m->est, &q, on_known, g);
}

static void
start_sign(struct migrant *g)
{
	if (enroll_fits(
		g->run->enroll, g->d.chain, g->d.csr, g->d.id, migrant_wall_ms(g)))
		signed_with(g, g->d.chain);
	else if (g->run->m->home)
		make_known(g);
	else
		ask_signature(g);
}

/* ---- what the device does ---- */

static void
start_keygen(struct migrant *g)
{
	struct js *args = js_object();
	js_set_text(args, "alg", "p256");
	session_call(g->session, "keygen", args, KEYGEN_MS);
}

static int
take_keygen(struct migrant *g, const struct js *answer, struct err *e)
{
	struct span generation, csr;
	auto_buf der = BUF_INIT(65536);
	if (js_need_str(answer, "generation", &generation, e) ||
	    js_need_str(answer, "csr", &csr, e) ||
	    enroll_csr((const char *)csr.p, g->d.id, &der, e))
		return -1;
	migrant_set(g, &g->d.generation, generation);
	migrant_set(g, &g->d.csr, csr);
	return 0;
}

static void
start_install(struct migrant *g)
{
	struct js *args = js_object();
	js_set_text(args, "generation", g->d.generation);
	js_set_text(args, "chain", g->d.chain);
	session_call(g->session, "install", args, INSTALL_MS);
}

static int
need_thumb(struct migrant *g, const struct js *answer, struct err *e)
{
	struct span thumb;
	if (js_need_str(answer, "thumbprint", &thumb, e))
		return -1;
	if (!span_ieq_str(thumb, g->d.thumb))
		return err_set(e, ERR_CONFLICT,
		    "the device names another certificate (%.*s) than the one it was "
		    "given (%s)",
		    SPAN_FMT(span_head(thumb, 64)), g->d.thumb);
	return 0;
}

/* The nonce is on record before the device can use it. */
static int
take_install(struct migrant *g, const struct js *answer, struct err *e)
{
	uint8_t nonce[NONCE_BYTES];
	char hex[2 * NONCE_BYTES + 1];
	if (need_thumb(g, answer, e))
		return -1;
	rand_bytes(nonce, sizeof(nonce));
	hex_write(span_of(nonce, sizeof(nonce)), hex);
	migrant_set(g, &g->d.nonce, span_str(hex));
	return 0;
}

static void
start_prove(struct migrant *g)
{
	int64_t wait_ms = exchange_registers(g->run->m->calls);
	if (wait_ms) {
		loop_timer_start(g->timer, wait_ms);
		return;
	}
	struct js *args = js_object();
	js_set_text(args, "generation", g->d.generation);
	js_set_text(args, "nonce", g->d.nonce);
	session_call(g->session, "prove", args, PROVE_MS);
}

static int
take_prove(struct migrant *g, const struct js *answer, struct err *e)
{
	struct span id;
	if (js_need_str(answer, "deviceId", &id, e) || need_thumb(g, answer, e))
		return -1;
	if (!span_eq_str(id, g->d.id))
		return err_set(e, ERR_CONFLICT, "DPS registered it as device %.*s",
		    SPAN_FMT(span_head(id, 128)));
	return 0;
}

static void
start_promote(struct migrant *g)
{
	struct js *args = js_object();
	js_set_text(args, "generation", g->d.generation);
	session_call(g->session, "promote", args, PROMOTE_MS);
}

static int
take_promote(struct migrant *g, const struct js *answer, struct err *e)
{
	bool connected;
	if (js_need_bool(answer, "connected", &connected, e) || need_thumb(g, answer, e))
		return -1;
	g->d.promoted_ms = migrant_wall_ms(g);
	/* no longer needed, and the file stays small */
	migrant_set(g, &g->d.csr, SPAN_NONE);
	migrant_set(g, &g->d.chain, SPAN_NONE);
	return 0;
}

/* ---- what the hub tells ---- */

static const struct migrant_witness *
witness(const struct migrant *g)
{
	return g->run->m->logs ? &migrant_logs : &migrant_twin;
}

static void
start_confirm(struct migrant *g)
{
	witness(g)->start_confirm(g);
}

static void
start_resume(struct migrant *g)
{
	migrant_release(g);
	migrant_poll_begin(g, migration_resume_ms(g->run->m));
	witness(g)->start_resume(g);
}

void
migrant_poll_begin(struct migrant *g, int64_t for_ms)
{
	g->poll_ms = POLL_MIN_MS;
	g->poll_until_ms = loop_now_ms(migrant_loop(g)) + for_ms;
}

int
migrant_poll_again(struct migrant *g)
{
	if (loop_now_ms(migrant_loop(g)) >= g->poll_until_ms)
		return -1;
	loop_timer_start(g->timer, g->poll_ms);
	g->poll_ms = g->poll_ms * 3 / 2 < POLL_MAX_MS ? g->poll_ms * 3 / 2 : POLL_MAX_MS;
	return 0;
}

void
migrant_silent(struct migrant *g)
{
	struct err e;
	err_set(&e, ERR_TIMEOUT, "switched to X.509, but %s",
	    g->connected ? "no telemetry came since" : "the hub saw no connection since");
	migrant_failed_with(g, "resume", &e);
}

static void
on_tagged(void *arg, const struct rest_response *r, const struct err *why)
{
	struct migrant *g = arg;
	struct err e;
	g->asking = NULL;
	if (!r)
		e = *why;
	if (!r || azure_check(r, "twin tags", &e)) {
		migrant_failed_with(g, "resume", &e);
		return;
	}
	g->d.done_ms = migrant_wall_ms(g);
	/* not before: a try that ends earlier leaves the next one this connection to find
	 */
	g->d.conn_seq = g->switched_seq;
	migrant_set(g, &g->d.step, SPAN_NONE);
	migrant_set(g, &g->d.error, SPAN_NONE);
	migrant_set(g, &g->d.reason, SPAN_NONE);
	migrant_set(g, &g->d.fix, SPAN_NONE);
	migrant_moved(g, STATE_RESUMED);
}

void
migrant_heard(struct migrant *g, int64_t seq)
{
	char date[CLOCK_TEXT], wave[24];
	struct rest_request q;
	g->switched_seq = seq;
	clock_iso(migrant_wall_ms(g), 0, date);
	snprintf(wave, sizeof(wave), "%lld", (long long)g->d.wave);
	auto_(js_free) struct js *tags = js_object();
	js_set_text(tags, "authType", "x509");
	js_set_text(tags, "migrationWave", wave);
	js_set_text(tags, "migratedDate", date);
	azure_twin_patch(g->a, g->d.id, tags, &q);
	g->asking = exchange_start(g->run->m->calls, PACE_TWIN_WRITE, &q, on_tagged, g);
}

/* ---- the steps, by the state they begin in ---- */

static void start_preflight(struct migrant *g);

static const struct step {
	const char *name;
	int to;
	bool on_device;
	void (*start)(struct migrant *g);
	int (*take)(struct migrant *g, const struct js *answer, struct err *e);
} steps[STATE_N] = {
    [STATE_PLANNED] = {"preflight", STATE_PREFLIGHT, false, start_preflight, NULL},
    [STATE_PREFLIGHT] = {"keygen", STATE_KEYED, true, start_keygen, take_keygen},
    [STATE_KEYED] = {"sign", STATE_SIGNED, false, start_sign, NULL},
    [STATE_SIGNED] = {"install", STATE_INSTALLED, true, start_install, take_install},
    [STATE_INSTALLED] = {"prove", STATE_PROVED, true, start_prove, take_prove},
    [STATE_PROVED] = {"confirm", STATE_CONFIRMED, false, start_confirm, NULL},
    [STATE_CONFIRMED] = {"promote", STATE_PROMOTED, true, start_promote, take_promote},
    [STATE_PROMOTED] = {"resume", STATE_RESUMED, false, start_resume, NULL},
};

/* ---- the session ---- */

static void
on_hello(void *arg, const char *device_id, const char *version)
{
	struct migrant *g = arg;
	struct err e;
	if (strcmp(device_id, g->d.id) != 0) {
		err_set(&e, ERR_CONFLICT, "what answers at %s is device %.128s",
		    g->d.address, device_id);
		migrant_failed_with(g, "preflight", &e);
		return;
	}
	struct js *args = js_object();
	js_set_int(args, "timeMs", migrant_wall_ms(g));
	js_set_int(args, "needBytes", NEED_BYTES);
	session_call(g->session, "preflight", args, PREFLIGHT_MS);
}

/* The pre-flight, on every new session: what was fine yesterday may not be. */
static void
take_preflight(struct migrant *g, const struct js *answer)
{
	struct err e;
	const char *auth = js_as_text(js_get(answer, "auth"));
	struct span thumb = js_as_str(js_get(answer, "thumbprint"));
	bool ours =
	    strcmp(auth, "x509") == 0 && thumb.len && span_ieq_str(thumb, g->d.thumb);
	g->checked = true;
	if (g->state == STATE_CONFIRMED && ours) { /* killed between switch and record */
		g->d.promoted_ms = migrant_wall_ms(g);
		migrant_moved(g, STATE_PROMOTED);
		return;
	}
	if (strcmp(auth, "sas") != 0) {
		err_set(&e, ERR_CONFLICT,
		    "the device is on X.509 already, with a certificate of "
		    "its own");
		migrant_failed_with(g, "preflight", &e);
		return;
	}
	if (g->state == STATE_PLANNED)
		migrant_moved(g, STATE_PREFLIGHT);
	else
		steps[g->state].start(g);
}

static void
on_answer(void *arg, const struct js *answer)
{
	struct migrant *g = arg;
	struct err e;
	const struct step *s = &steps[g->state];
	if (!g->checked) {
		take_preflight(g, answer);
		return;
	}
	if (s->take(g, answer, &e))
		migrant_failed_with(g, s->name, &e);
	else
		migrant_moved(g, s->to);
}

static void
on_timer(void *arg)
{
	struct migrant *g = arg;
	if (g->state == STATE_PROVED)
		witness(g)->poll_confirm(g);
	else if (g->state == STATE_PROMOTED)
		witness(g)->poll_resume(g);
	else /* once more, see tries_again, or when there is room: start_prove */
		steps[g->state].start(g);
}

/* The device could not reach a service that may be back in a moment. Its operations may
 * be repeated. */
static bool
tries_again(struct migrant *g, const struct session_failure *why)
{
	enum err_code c = why->err.code;
	/* CRYPTO: a handshake that was cut, say */
	bool passing = c == ERR_UNAVAILABLE || c == ERR_TIMEOUT || c == ERR_BUSY ||
		       c == ERR_IO || c == ERR_CRYPTO;
	if (!why->answered || !g->checked || !passing || ++g->tries >= TRIES)
		return false;
	loop_timer_start(g->timer, AGAIN_MS * g->tries);
	return true;
}

static void
on_failed(void *arg, const struct session_failure *why)
{
	struct migrant *g = arg;
	const struct step *s = &steps[g->state];
	if (g->failing || (g->checked && !s->on_device))
		drop_session(g); /* the next operation on the device opens another */
	else if (!tries_again(g, why))
		failed(g, g->checked ? s->name : "preflight", why);
}

static const struct session_ops session_ops = {
    .on_hello = on_hello,
    .on_answer = on_answer,
    .on_failed = on_failed,
    .explain = ssh_explain,
};

static void
open_session(struct migrant *g)
{
	struct err e;
	struct proc_spec spec;
	struct ssh_target t = {
	    .id = g->d.id, .user = g->d.user, .host_key = g->d.host_key};
	if (inventory_address(span_str(g->d.address), g->a, &t.host, &t.port, &e) ||
	    ssh_spec(&g->run->m->o->ssh, &t, g->a, &spec, &e)) {
		migrant_failed_with(g, "preflight", &e);
		return;
	}
	g->session = session_new(migrant_loop(g), &spec, HELLO_MS, &session_ops, g, &e);
	if (!g->session)
		migrant_failed_with(g, "preflight", &e);
}

/* ---- the first step: the old identity on record, then the session ---- */

static int
take_identity(struct migrant *g, struct span body, struct err *e)
{
	auto_(js_free) struct js *identity = js_parse(body, 1024 * 1024, 16, e);
	if (!identity)
		return err_wrap(e, "identity");
	const char *type = azure_auth_type(identity);
	if (strcmp(type, "sas") != 0)
		return err_set(e, ERR_CONFLICT,
		    "its identity on the hub is %s, not sas, since the campaign was "
		    "planned",
		    type);
	migrant_set(g, &g->d.auth_before, span_str(type));
	migrant_set(g, &g->d.identity, body);
	save(g);
	return 0;
}

static void
on_identity(void *arg, const struct rest_response *r, const struct err *why)
{
	struct migrant *g = arg;
	struct err e;
	g->asking = NULL;
	if (!r)
		e = *why;
	if (!r || azure_check(r, "identity on the hub", &e) ||
	    take_identity(g, r->body, &e))
		migrant_failed_with(g, "preflight", &e);
	else
		open_session(g);
}

static void
start_preflight(struct migrant *g)
{
	struct rest_request q;
	if (g->d.identity[0]) { /* of an earlier try: what was there before the first
				   change */
		open_session(g);
		return;
	}
	azure_device_get(g->a, g->d.id, &q);
	g->asking = exchange_start(g->run->m->calls, PACE_REGISTRY, &q, on_identity, g);
}

static void
next(void *arg)
{
	struct migrant *g = arg;
	const struct step *s = &steps[g->state];
	if (!s->start)
		g->run->on_done(g->run->arg, g);
	else if (s->on_device && !g->checked)
		open_session(g);
	else
		s->start(g);
}

/* ---- life ---- */

/* Where a new try begins. After a failure as late as the switch the device may be on
 * either side of it: the pre-flight asks. */
static int
begin_state(const struct campaign_device *d)
{
	int state = sm_find(&state_machine, d->state);
	if (state != STATE_FAILED)
		return state == STATE_ROLLED_BACK ? STATE_PLANNED : state;
	if (d->promoted_ms)
		return STATE_PROMOTED;
	if (d->proved_ms)
		return STATE_CONFIRMED;
	return STATE_PLANNED;
}

struct migrant *
migrant_new(const struct migrant_run *run, const struct campaign_device *d)
{
	struct migrant *g = own_alloc(sizeof(*g));
	*g = (struct migrant){
	    .run = run,
	    .a = arena_new(ARENA_MAX),
	    .state = sm_find(&state_machine, d->state),
	    .next = {.fn = next, .arg = g},
	    .holds_slot = true,
	};
	g->timer = loop_timer_new(run->m->loop, on_timer, g);
	campaign_device_copy(d, g->a, &g->d);
	int from = begin_state(d);
	if (from != g->state)
		sm_move(&state_machine, &g->state, from);
	g->d.attempts++;
	if (!g->d.started_ms)
		g->d.started_ms = migrant_wall_ms(g);
	save(g);
	loop_defer(run->m->loop, LOOP_FLUSH, &g->next);
	return g;
}

const struct campaign_device *
migrant_device(const struct migrant *g)
{
	return &g->d;
}

void
migrant_free(struct migrant *g)
{
	if (!g)
		return;
	loop_defer_cancel(&g->next);
	loop_timer_free(g->timer);
	rest_cancel(g->call);
	exchange_cancel(g->asking);
	session_free(g->session);
	own_wipe((char *)g->d.identity, strlen(g->d.identity));
	arena_free(g->a);
	free(g);
}
