/*
 * A device on virtual time.
 */
#include "device.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/backoff.h"
#include "agent/chain_up.h"
#include "agent/generation.h"
#include "base/map.h"
#include "cut.h"
#include "dice.h"
#include "io/file.h"

#define BUILT_MS     INT64_C(1798761600000) /* 2027-01-01: the program */
#define FALL_BACK_AT 3                      /* agent/agent.c */
#define CLOCK_MS     5000                   /* agent/renewal.c */
#define SESSION_MS   (22 * HOUR)            /* then the network breaks it */
#define REBOOT_MS    (2 * MINUTE)
#define TRY_AGAIN_MS (2 * MINUTE)
#define CUT_SPAN     70 /* changes of a renewal, about */

/* ---- keys -----------------------------------------------------------------------------
 */

struct known_key {
	uint8_t key[32];
	char id[24];
	UT_hash_handle hh;
};
static struct known_key *keys;

const char *
device_of_key(const uint8_t key[32], const char *id)
{
	struct known_key *k;
	HASH_FIND(hh, keys, key, 32, k);
	if (k)
		return k->id;
	k = own_alloc(sizeof(*k));
	memcpy(k->key, key, 32);
	snprintf(k->id, sizeof(k->id), "%s", id);
	HASH_ADD(hh, keys, key, 32, k);
	return NULL;
}

void
device_keys_done(void)
{
	struct known_key *k, *next;
	HASH_ITER (hh, keys, k, next) {
		HASH_DEL(keys, k);
		free(k);
	}
}

/* ---- time and troubles ----------------------------------------------------------------
 */

static int64_t
on_wall(const struct clock *c)
{
	return sim_now_ms + c->skew_ms;
}

static int64_t
on_mono(const struct clock *c)
{
	(void)c;
	return sim_now_ms;
}

static const struct spell *
spell_of(const struct device *d, enum trouble kind)
{
	for (size_t i = 0; i < d->n_spells; i++) {
		const struct spell *sp = &d->spells[i];
		if (sp->kind == kind && sim_now_ms >= sp->from_ms &&
		    sim_now_ms < sp->to_ms)
			return sp;
	}
	return NULL;
}

bool
device_in_spell(const struct device *d, enum trouble kind)
{
	return spell_of(d, kind) != NULL;
}

static int64_t
skew(const struct device *d)
{
	const struct spell *lost = spell_of(d, CLOCK_1970);
	if (lost)
		return -lost->from_ms;
	if (device_in_spell(d, CLOCK_AHEAD))
		return 730 * DAY;
	return device_in_spell(d, CLOCK_BEHIND) ? -40 * DAY : 0;
}

/* The place of the keys is not there: a token that was pulled. */
static void
move_keys(struct device *d)
{
	char here[200], there[200];
	bool away = device_in_spell(d, KEYS_AWAY);
	if (away == d->away)
		return;
	snprintf(here, sizeof(here), "%s/cred", d->dir);
	snprintf(there, sizeof(there), "%s/cred.away", d->dir);
	if (rename(away ? here : there, away ? there : here))
		sim_die("moving keys", NULL);
	d->away = away;
}

/* Whether it runs now, and until when that stays so. */
static bool
is_awake(const struct device *d, int64_t *ret_until)
{
	const struct spell *off = spell_of(d, OFFLINE);
	static const int64_t period[HABITS] = {DAY, DAY, 7 * DAY};
	static const int64_t length[HABITS] = {DAY, HOUR, 2 * HOUR};
	if (off) {
		*ret_until = off->to_ms;
		return false;
	}
	int64_t every = period[d->habit];
	int64_t at = (sim_now_ms - d->phase_ms) % every;
	at += at < 0 ? every : 0;
	bool up = at < length[d->habit];
	*ret_until = sim_now_ms - at + (up ? length[d->habit] : every);
	return up;
}

/* ---- the network ----------------------------------------------------------------------
 */

static struct face *
face_for(struct device *d, const struct keystore_credential *c)
{
	struct err e;
	for (size_t i = 0; i < 2; i++)
		if (d->faces[i].chain.n && strcmp(d->faces[i].thumb, c->thumbprint) == 0)
			return &d->faces[i];
	struct face *f = &d->faces[d->old_face];
	d->old_face = 1 - d->old_face;
	face_done(f);
	if (face_of(buf_span(&c->chain_pem), f, &e))
		sim_die(d->id, &e);
	return f;
}

/* Whether a handshake comes to its end, by what the device knows of the time: as
 * credential_tls has it done. */
static int
reach(struct device *d, const struct clock_floor *t, struct err *e)
{
	if (cut_happened() || d->s->down)
		return err_set(e, ERR_UNAVAILABLE, "no connection");
	if (d->away)
		return err_set(e, ERR_UNAVAILABLE, "the key's token is not there");
	const struct cert *leaf = d->s->tls.chain.v[0];
	int64_t now = clock_wall_ms(&t->clock);
	bool early = clock_floor_is_known(t) && now < leaf->not_before_ms;
	if (early || now > leaf->not_after_ms)
		return err_set(e, ERR_CRYPTO, "certificate verify failed");
	return 0;
}

/* ---- the daemon's credential ----------------------------------------------------------
 */

static int
load(struct device *d, struct err *e)
{
	struct keystore_ref r;
	auto_keystore_credential c = {0};
	auto_(keystore_close) struct keystore *k = NULL;
	if (keystore_open(d->dir, &k, e) || keystore_active(k, &r, e))
		return -1;
	if (keystore_load(k, &r, &c, e))
		return -1;
	keystore_credential_done(&d->cred);
	d->cred = c;
	c = (struct keystore_credential){0};
	clock_floor_raise(&d->time, d->cred.not_before_ms);
	d->loaded = true;
	d->refused_by_hub = false;
	d->refusals = d->attempts = 0;
	d->fell_back = false;
	return 0;
}

bool
device_credential(struct device *d, struct keystore_credential *ret)
{
	struct err e;
	struct keystore_ref r;
	auto_(keystore_close) struct keystore *k = NULL;
	return keystore_open(d->dir, &k, &e) == 0 && keystore_active(k, &r, &e) == 0 &&
	       keystore_load(k, &r, ret, &e) == 0;
}

size_t
device_generations(const struct device *d)
{
	char path[200];
	struct err e;
	struct generation_list list;
	snprintf(path, sizeof(path), "%s/cred%s", d->dir, d->away ? ".away" : "");
	if (generation_list(path, &list, &e))
		sim_die(d->id, &e);
	return list.n;
}

/* ---- for who looks for a fault ---- */

static void
trace(const struct device *d, const char *what, const char *generation,
    const struct err *why)
{
	char when[CLOCK_TEXT], own[CLOCK_TEXT];
	if (!d->traced)
		return;
	clock_iso(sim_now_ms, 0, when);
	clock_iso(clock_wall_ms(&d->time.clock), 0, own);
	printf("%s %s (own clock %s) %s %s: %s\n", d->id, when, own, what, generation,
	    why ? why->text : "ok");
}

/* ---- connecting -----------------------------------------------------------------------
 */

static void
fall_back(struct device *d)
{
	struct err e;
	struct keystore_ref r;
	auto_(keystore_close) struct keystore *k = NULL;
	if (keystore_open(d->dir, &k, &e) || keystore_lock(k, &e) ||
	    keystore_fall_back(k, clock_wall_ms(&d->time.clock), &r, &e))
		return;
	int attempts = d->attempts;
	if (load(d, &e))
		return;
	d->attempts = attempts;
	d->refused_by_hub = d->fell_back = true;
	d->look_at = sim_now_ms;
	d->n.fall_backs++;
}

static void
back_off(struct device *d, const struct err *why)
{
	bool refusal = backoff_is_refusal(why->code);
	struct backoff_scale sc = {
	    d->cfg.agent.backoff_min_ms, d->cfg.agent.backoff_max_ms};
	if (refusal)
		sc = (struct backoff_scale){
		    d->cfg.agent.refused_min_ms, d->cfg.agent.refused_max_ms};
	d->attempts++;
	d->refusals += refusal;
	d->refused_by_hub |= refusal;
	d->hub_at = sim_now_ms + backoff_ms(&sc, refusal, d->attempts, 0);
	snprintf(d->last_error, sizeof(d->last_error), "%s", why->text);
	if (refusal && d->refusals >= FALL_BACK_AT)
		fall_back(d);
}

static int
connect_with(struct device *d, const struct keystore_credential *c, int64_t *ret_close_ms,
    struct err *e)
{
	d->tried++;
	if (server_hub(d->s, face_for(d, c), d->id, d->peer, ret_close_ms, e))
		return -1;
	d->admitted++;
	d->last_admitted_ms = sim_now_ms;
	return 0;
}

static int
connect_hub(struct device *d, struct err *e)
{
	int64_t close_ms;
	if ((!d->loaded && load(d, e)) || reach(d, &d->time, e))
		return -1;
	if (d->refused_by_hub &&
	    server_register(d->s, face_for(d, &d->cred), d->id, d->peer, e))
		return -1;
	if (connect_with(d, &d->cred, &close_ms, e))
		return -1;
	d->connected = true;
	d->refusals = d->attempts = 0;
	d->refused_by_hub = false;
	d->close_at = sim_now_ms + SESSION_MS;
	if (close_ms && close_ms < d->close_at)
		d->close_at = close_ms;
	return 0;
}

static void
try_hub(struct device *d)
{
	struct err e;
	int rc = connect_hub(d, &e);
	trace(d, "hub", d->cred.ref.generation, rc ? &e : NULL);
	if (rc) {
		back_off(d, &e);
		return;
	}
	if (d->fell_back) {
		d->told = true;
		d->look_at = sim_now_ms;
	}
	d->fell_back = false;
}

void
device_hang_up(struct device *d)
{
	if (!d->running || !d->connected)
		return;
	d->connected = false;
	d->hub_at = d->next_ms = sim_now_ms;
}

/* ---- the outside of a renewal ---------------------------------------------------------
 */

struct outside {
	struct device *d;
	struct clock_floor *time;
};

static int
on_checkin(void *arg, const struct keystore_credential *c, const struct renew_report *r,
    struct renew_checkin *ret, struct err *e)
{
	struct outside *o = arg;
	struct device *d = o->d;
	if (reach(d, o->time, e))
		return -1;
	cut_pause(true);
	int rc = server_checkin(d->s, face_for(d, c), d->peer, r, ret, e);
	cut_pause(false);
	return rc;
}

static int
on_cacerts(void *arg, struct buf *ret_pem, struct err *e)
{
	struct outside *o = arg;
	if (reach(o->d, o->time, e))
		return -1;
	buf_put_span(ret_pem, buf_span(&o->d->s->ca_pem));
	return buf_check(ret_pem, "cacerts", e);
}

static int
write_request(struct device *d, const struct keystore_credential *c, struct key *key,
    struct csr *ret, struct err *e)
{
	auto_buf der = BUF_INIT(CSR_MAX);
	bool renews = c->key && !d->token[0];
	int rc = renews ? csr_write_name(key, face_for(d, c)->chain.v[0]->subject,
			      SPAN_NONE, &der, e)
			: csr_write(key, d->id, NULL, &der, e);
	return rc ? -1 : csr_parse(buf_span(&der), ret, e);
}

static int
ask_for(struct outside *o, const struct keystore_credential *c, const struct csr *csr,
    struct buf *der, struct renew_later *later, struct err *e)
{
	struct device *d = o->d;
	struct sim_request q = {.peer = d->peer,
	    .csr = csr,
	    .face = c->key ? face_for(d, c) : NULL,
	    .renew = c->key && !d->token[0]};
	if (d->token[0]) {
		q.user = d->id;
		q.secret = d->token;
	}
	cut_pause(true);
	int rc = server_enrol(d->s, &q, der, later, e);
	cut_pause(false);
	return rc;
}

static int
on_enrol(void *arg, const struct keystore_credential *c, struct key *key,
    struct buf *ret_chain_pem, struct renew_later *later, struct err *e)
{
	struct outside *o = arg;
	struct csr csr = {.cn = ""};
	auto_buf der = BUF_INIT(CERT_MAX);
	if (reach(o->d, o->time, e))
		return -1;
	const char *owner = device_of_key(key_fingerprint(key), o->d->id);
	if (owner && strcmp(owner, o->d->id) != 0)
		sim_die("one key on two devices", NULL);
	int rc = write_request(o->d, c, key, &csr, e);
	if (rc == 0)
		rc = ask_for(o, c, &csr, &der, later, e);
	csr_done(&csr);
	if (rc)
		return -1;
	return chain_up_write(
	    buf_span(&der), buf_span(&o->d->s->ca_pem), ret_chain_pem, e);
}

static int
on_prove(void *arg, const struct keystore_credential *c, struct keystore_assignment *ret,
    struct err *e)
{
	struct outside *o = arg;
	struct device *d = o->d;
	int64_t close_ms;
	if (reach(d, o->time, e))
		return -1;
	if (d->refuse_proofs > 0) {
		d->refuse_proofs--;
		d->n.refused_proofs++;
		return err_set(e, ERR_DENIED, "CONNACK 5");
	}
	cut_pause(true);
	int rc = server_register(d->s, face_for(d, c), d->id, d->peer, e) ||
		 connect_with(d, c, &close_ms, e);
	cut_pause(false);
	snprintf(ret->hub, sizeof(ret->hub), "127.0.0.1");
	snprintf(ret->device_id, sizeof(ret->device_id), "%s", d->id);
	return rc ? -1 : 0;
}

/* The running daemon, told to use what `active` names now. */
static int
on_take_up(void *arg, const struct keystore_ref *r, struct err *e)
{
	struct outside *o = arg;
	(void)r;
	if (cut_happened())
		return err_set(e, ERR_UNAVAILABLE, "no power");
	o->d->connected = false;
	if (load(o->d, e))
		return -1;
	cut_pause(true);
	int rc = connect_hub(o->d, e);
	cut_pause(false);
	if (rc)
		o->d->hub_at = sim_now_ms + MINUTE;
	return rc;
}

static int
on_try_anchors(void *arg, struct span pem, struct err *e)
{
	struct outside *o = arg;
	struct server *s = o->d->s;
	auto_cert_list list = {.n = 0};
	auto_(chain_set_free) struct chain_set *set = chain_set_new();
	struct chain_verdict v;
	const struct chain_options opts = {.now_ms = sim_now_ms, .purpose = CHAIN_SERVER};
	if (reach(o->d, o->time, e) || cert_list_parse(pem, "anchors", &list, e))
		return -1;
	for (size_t i = 0; i < list.n; i++)
		if (chain_set_add(set, list.v[i], CHAIN_TRUSTED, e))
			return -1;
	auto_(cert_free) struct cert *by =
	    cert_parse(issuer_cert(server_ca(s, "service-ca")->issuer)->der, e);
	if (!by || chain_set_add(set, by, CHAIN_HELPER, e))
		return -1;
	chain_verify(set, &s->tls.chain, &opts, &v);
	if (v.reason != CHAIN_OK)
		return err_set(e, ERR_CRYPTO, "certificate verify failed: %s", v.text);
	return 0;
}

static const struct renew_ops ops = {.checkin = on_checkin,
    .cacerts = on_cacerts,
    .enrol = on_enrol,
    .prove = on_prove,
    .take_up = on_take_up,
    .try_anchors = on_try_anchors};

/* ---- renewal --------------------------------------------------------------------------
 */

/* As agent/renewal.c waits. */
static int64_t
wait_ms(const struct device *d, const struct renew_state *st)
{
	struct renew_facts f;
	struct renew_rules rules = renew_plan_rules(&d->cfg);
	struct renew_past past = renew_state_past(st);
	renew_state_facts(st, &d->cred, &d->cfg, &f);
	int64_t ms = renew_plan_wait_ms(&f, &rules, &past, clock_wall_ms(&d->time.clock));
	return ms < rules.retry_min_ms ? rules.retry_min_ms : ms;
}

static bool
is_due(struct device *d)
{
	struct renew_state st;
	struct renew_facts f;
	struct renew_rules rules = renew_plan_rules(&d->cfg);
	renew_state_get(d->dir, &st);
	renew_state_facts(&st, &d->cred, &d->cfg, &f);
	f.told = d->told;
	return d->token[0] || renew_plan_judge(&f, &rules,
				  clock_wall_ms(&d->time.clock)) != RENEW_NOT_DUE;
}

/* What goes wrong in this one. */
static void
draw_faults(struct device *d)
{
	if (!d->faults || !is_due(d))
		return;
	if (dice_permille(d->faults))
		cut_at((int)dice_between(1, CUT_SPAN));
	/* not where a week goes by, or a token, for each try */
	if (d->habit != WEEKLY && !d->token[0] && dice_permille(d->faults / 2))
		d->refuse_proofs = (int)dice_between(1, 4);
	d->s->lose_next = dice_permille(d->faults / 2);
	d->s->crash_next = dice_permille(d->faults / 4);
}

/* What the process tells the daemon (cmd/agent_main.c). */
static void
tell_time(struct device *d, const struct clock_floor *t)
{
	struct err e;
	int64_t now = clock_wall_ms(&t->clock);
	if (t->learned_ms && clock_floor_learn(&d->time, now, now, now, &e))
		return;
}

static void
note_result(
    struct device *d, int rc, const struct renew_outcome *out, const struct err *e)
{
	trace(d, renew_plan_why(out->why), out->active.generation, rc ? e : NULL);
	d->n.runs++;
	d->n.failures += rc != 0;
	if (rc)
		snprintf(d->last_error, sizeof(d->last_error), "renew: %s", e->text);
	if (out->result != RENEW_DONE)
		return;
	d->token[0] = '\0';
	d->n.renewals++;
	if (!d->first_renewal_ms && d->n.renewals == 2) /* the first was its birth */
		d->first_renewal_ms = sim_now_ms;
}

static void
look(struct device *d)
{
	struct err e;
	struct clock_floor t;
	struct outside o = {d, &t};
	struct renew_outcome out = {.result = RENEW_FAILED};
	struct renew_state st;
	clock_floor_init(&t, &d->clock, BUILT_MS);
	const struct renew_opts opts = {.dir = d->dir,
	    .cfg = &d->cfg,
	    .time = &t,
	    .told = d->told,
	    .first = d->token[0] != '\0',
	    .ops = &ops,
	    .arg = &o};
	draw_faults(d);
	int rc = renew_run(&opts, &out, &e);
	d->s->lose_next = d->s->crash_next = false;
	if (cut_end()) {
		d->n.cuts++;
		d->running = false;
		d->next_ms = sim_now_ms + REBOOT_MS;
		return;
	}
	note_result(d, rc, &out, &e);
	tell_time(d, &t);
	d->told = d->told && rc != 0;
	renew_state_get(d->dir, &st);
	/* whoever brought a token tries until it works */
	d->look_at = sim_now_ms + (d->token[0] ? TRY_AGAIN_MS : wait_ms(d, &st));
}

/* As agent/renewal.c begins. */
static int64_t
first_ms(const struct device *d)
{
	struct renew_state st;
	struct renew_facts f;
	struct renew_rules rules = renew_plan_rules(&d->cfg);
	renew_state_get(d->dir, &st);
	struct renew_past past = renew_state_past(&st);
	renew_state_facts(&st, &d->cred, &d->cfg, &f);
	int64_t ms = renew_plan_first_ms(
	    &f, &rules, &past, st.tried_ms, clock_wall_ms(&d->time.clock));
	int64_t max = past.failures ? RENEW_PLAN_SOON_MS : CLOCK_MS;
	if (clock_floor_is_known(&d->time) || ms <= max)
		return ms;
	return 1 + (int64_t)(f.seed % (uint64_t)max);
}

/* ---- its life -------------------------------------------------------------------------
 */

static void
boot(struct device *d)
{
	struct err e;
	d->running = true;
	d->connected = d->loaded = d->told = false;
	d->refuse_proofs = 0; /* the hub is of another mind by then */
	clock_floor_init(&d->time, &d->clock, BUILT_MS);
	clock_floor_load(&d->time, d->dir);
	if (load(d, &e))
		d->hub_at = sim_now_ms + 10 * MINUTE;
	else
		d->hub_at = sim_now_ms;
	d->look_at = sim_now_ms + (d->token[0] ? 0 : first_ms(d));
}

static void
shut_down(struct device *d)
{
	d->running = d->connected = d->loaded = false;
}

static int64_t
sooner(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void
run(struct device *d, int64_t until_ms)
{
	if (d->connected && sim_now_ms >= d->close_at) {
		d->connected = false;
		d->hub_at = sim_now_ms;
	}
	if (!d->connected && sim_now_ms >= d->hub_at && (d->loaded || !d->token[0]))
		try_hub(d);
	if (sim_now_ms >= d->look_at)
		look(d);
	if (!d->running)
		return; /* the power went */
	int64_t hub = d->connected ? d->close_at : d->hub_at;
	d->next_ms = sooner(until_ms, sooner(hub, d->look_at));
	if (d->next_ms <= sim_now_ms)
		d->next_ms = sim_now_ms + 1000;
}

void
device_step(struct device *d)
{
	int64_t until_ms;
	bool up = is_awake(d, &until_ms);
	d->clock.skew_ms = skew(d);
	move_keys(d);
	if (up && !d->running)
		boot(d);
	if (up)
		return run(d, until_ms);
	if (d->running)
		shut_down(d);
	d->next_ms = until_ms;
}

/* ---- making ---------------------------------------------------------------------------
 */

static void
write_dir(struct device *d)
{
	struct err e;
	char path[200];
	auto_buf conf = BUF_INIT(AGENT_CONFIG_FILE_MAX), ca = BUF_INIT(CERT_PEM_MAX);
	buf_printf(&conf,
	    "[device]\nid = %s\n[dps]\nhost = 127.0.0.1\nid_scope = 0ne00000001\n"
	    "[est]\nhost = 127.0.0.1\n[agent]\nbackoff_max = 1h\nrefused_max = 2h\n",
	    d->id);
	cert_write_pem(issuer_cert(server_ca(d->s, "root")->issuer)->der, &ca);
	if (keystore_create(d->dir, buf_span(&conf), SPAN_NONE, &e))
		sim_die(d->id, &e);
	snprintf(path, sizeof(path), "%s/ca.pem", d->dir);
	if (file_write(path, buf_span(&ca), 0600, &e) ||
	    agent_config_read(d->dir, &d->cfg, d->arena, &e))
		sim_die(d->id, &e);
}

void
device_make(struct device *d, struct server *s, const char *top, int number)
{
	*d = (struct device){.s = s, .clock = {on_wall, on_mono, 0}};
	snprintf(d->id, sizeof(d->id), "dev-%04d", number);
	snprintf(d->dir, sizeof(d->dir), "%s/%s", top, d->id);
	snprintf(
	    d->peer, sizeof(d->peer), "10.0.%d.%d:4711", number / 250, number % 250 + 1);
	d->arena = arena_new(AGENT_CONFIG_ARENA_MAX);
	d->next_ms = sim_now_ms;
	const char *traced = getenv("MUSTER_SIM_TRACE");
	d->traced = traced && strcmp(traced, d->id) == 0;
	write_dir(d);
}

void
device_done(struct device *d)
{
	keystore_credential_done(&d->cred);
	face_done(&d->faces[0]);
	face_done(&d->faces[1]);
	arena_free(d->arena);
}
