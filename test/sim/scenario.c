/*
 * What happens: habits, troubles, outages, an operator, a rollover, a compromise.
 */
#include "fleet.h"

#include <stdio.h>
#include <string.h>

#include "dice.h"
#include "domain/pki/rollover.h"
#include "server_impl.h"

/* Days of the calendar. */
#define FAULTS_FROM     5
#define HOLD_AT         100
#define HOLD_UNTIL      104
#define DISABLE_AT      120
#define DISABLE_UNTIL   135
#define NEW_CA_AT       150
#define WAVES_FROM      154
#define THIRD_CA_AT     330
#define DRILL_AT        331
#define FAULTS_PERMILLE 120
#define SPREAD_MS       (5 * DAY)

#define ALLOW_MS      (14 * DAY)
#define QUARANTINE_MS (12 * HOUR)
#define RESCUE_DAYS   7 /* kept out for so long, somebody drives there */

/* Outages of the server's parts, in hours since the beginning; none while the first
 * certificates are renewed, whose spread is looked at. */
enum part { PART_SERVER, PART_SIGNER, PART_TOKEN };
static const struct {
	enum part part;
	int from_h, hours;
} outages[] = {
    {PART_SERVER, 40 * 24 + 7, 5},
    {PART_SERVER, 66 * 24, 76},
    {PART_TOKEN, 78 * 24 + 3, 110},
    {PART_SIGNER, 90 * 24 + 13, 9},
    {PART_TOKEN, 139 * 24, 60},
    {PART_SERVER, 171 * 24 + 20, 30},
    {PART_SIGNER, 200 * 24 + 2, 6},
    {PART_TOKEN, 236 * 24 + 9, 120},
    {PART_SERVER, 288 * 24 + 1, 90},
    {PART_SIGNER, 331 * 24 + 4, 3},
    {PART_TOKEN, 352 * 24, 48},
};

void
scenario_server(struct fleet *f)
{
	int64_t hour = (sim_now_ms - f->t0_ms) / HOUR;
	bool away[] = {false, false, false};
	for (size_t i = 0; i < sizeof(outages) / sizeof(outages[0]); i++)
		if (hour >= outages[i].from_h &&
		    hour < outages[i].from_h + outages[i].hours)
			away[outages[i].part] = true;
	f->s.down = away[PART_SERVER];
	f->s.signer_down = away[PART_SIGNER];
	f->s.token_away = away[PART_TOKEN];
}

/* ---- the fleet ------------------------------------------------------------------------
 */

static void
add_spell(
    struct fleet *f, struct device *d, enum trouble kind, int min_days, int max_days)
{
	int64_t last = f->t0_ms + (DAYS - CALM_DAYS) * DAY;
	if (d->n_spells == SPELLS_MAX)
		return;
	struct spell *sp = &d->spells[d->n_spells++];
	sp->kind = kind;
	sp->from_ms = f->t0_ms + dice_between(10 * DAY, (DAYS - CALM_DAYS - 5) * DAY);
	sp->to_ms = sp->from_ms + dice_between(min_days * DAY, max_days * DAY);
	if (sp->to_ms > last)
		sp->to_ms = last;
}

static void
draw_life(struct fleet *f, struct device *d)
{
	static const int64_t period[HABITS] = {DAY, DAY, 7 * DAY};
	d->habit = dice_permille(120) ? ALWAYS : dice_permille(750) ? DAILY : WEEKLY;
	d->phase_ms = f->t0_ms + dice_between(0, period[d->habit]);
	if (dice_permille(300))
		add_spell(f, d, OFFLINE, 5, 45);
	if (dice_permille(150))
		add_spell(f, d, OFFLINE, 50, 85);
	if (dice_permille(120))
		add_spell(f, d, OFFLINE, 100, 200);
	if (dice_permille(120))
		add_spell(f, d, CLOCK_1970, 1, 60);
	if (dice_permille(80))
		add_spell(f, d, CLOCK_AHEAD, 1, 25);
	if (dice_permille(80))
		add_spell(f, d, CLOCK_BEHIND, 1, 50);
	if (dice_permille(100))
		add_spell(f, d, KEYS_AWAY, 1, 12);
}

static void
bring_token(struct fleet *f, struct device *d)
{
	server_token(&f->s, d->id, d->token);
	if (d->running)
		d->look_at = d->next_ms = sim_now_ms;
}

void
scenario_begin(struct fleet *f)
{
	server_add_ca(&f->s, "root", CA_ROOT);
	server_add_ca(&f->s, "device-ca", CA_DEVICE);
	server_add_ca(&f->s, "service-ca", CA_SERVICE);
	server_put_group(&f->s, "device-ca", NULL);
	for (size_t i = 0; i < f->n; i++) {
		device_make(&f->v[i], &f->s, f->top, (int)i);
		draw_life(f, &f->v[i]);
		bring_token(f, &f->v[i]);
	}
	f->log_seen_ms = sim_now_ms;
}

static struct device *
find(struct fleet *f, const char *id)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->v[i].id, id) == 0)
			return &f->v[i];
	return NULL;
}

/* ---- the operator ---------------------------------------------------------------------
 */

static bool
is_reason(const char *text, enum refusal_code code)
{
	const char *words = refusal_row(code)->words;
	return strncmp(text, words, strlen(words)) == 0;
}

struct reading {
	struct fleet *f;
	bool late[4096], over[4096];
};

/* What has ended under a CA that was revoked is good for nothing (domain/pki/renew.h). */
static bool
is_late(struct device *d)
{
	auto_keystore_credential c = {0};
	return device_credential(d, &c) && c.not_after_ms < sim_now_ms;
}

static int
read_line(void *ctx, const struct store_conn *c, struct err *e)
{
	struct reading *r = ctx;
	struct device *d = find(r->f, c->device_id);
	(void)e;
	if (!d || d->stolen || d->disabled)
		return 0;
	if (is_reason(c->reason, REFUSAL_EST_TOKEN) ||
	    (is_reason(c->reason, REFUSAL_ISSUER_REVOKED) && is_late(d)))
		r->over[d - r->f->v] = true; /* nothing else is left */
	if (!is_reason(c->reason, REFUSAL_EST_EXPIRED))
		return 0;
	bool hopeless =
	    strstr(c->reason, "grace is over") || strstr(c->reason, "newer one");
	*(hopeless ? &r->over[d - r->f->v] : &r->late[d - r->f->v]) = true;
	return 0;
}

struct release {
	struct fleet *f;
	struct device *v[256];
	size_t n;
};

static int
note_quarantined(void *ctx, const struct store_allow *w, struct err *e)
{
	struct release *r = ctx;
	(void)e;
	if (w->quarantined_ms && sim_now_ms - w->quarantined_ms > QUARANTINE_MS &&
	    r->n < sizeof(r->v) / sizeof(r->v[0]))
		r->v[r->n++] = find(r->f, w->device_id);
	return 0;
}

static void
release_all(struct fleet *f)
{
	struct err e;
	struct release r = {.f = f};
	arena_reset(f->s.arena);
	if (store_allow_each(f->s.store, note_quarantined, &r, &e) < 0)
		sim_die("allowances", &e);
	for (size_t i = 0; i < r.n; i++)
		server_release(&f->s, r.v[i]->id);
}

void
scenario_operator(struct fleet *f)
{
	struct err e;
	auto_(free) struct reading *r = own_alloc(sizeof(*r));
	const struct store_conn_filter all = {.since_ms = f->log_seen_ms,
	    .limit = -1,
	    .device_id = "",
	    .what = "refused",
	    .auth = "",
	    .plane = "est"};
	r->f = f;
	arena_reset(f->s.arena);
	if (store_conn_each(f->s.store, &all, read_line, r, &e) < 0)
		sim_die("connection log", &e);
	f->log_seen_ms = sim_now_ms;
	for (size_t i = 0; i < f->n; i++) {
		struct device *d = &f->v[i];
		if (d->stolen || d->disabled)
			continue;
		if (r->late[i])
			server_allow(&f->s, d->id, sim_now_ms + ALLOW_MS);
		if (!r->over[i] && (d->token[0] || d->unserved_days < RESCUE_DAYS))
			continue;
		f->rescued += !r->over[i];
		bring_token(f, d);
	}
	release_all(f);
}

/* ---- days -----------------------------------------------------------------------------
 */

static void
hang_up_all(struct fleet *f)
{
	for (size_t i = 0; i < f->n; i++)
		device_hang_up(&f->v[i]);
}

/* What an operator does to a rollover; false where a gate is closed. */
typedef int rollover_act(
    struct fleet *f, struct store_rollover *r, const struct census *c, struct err *e);

static int
count(struct fleet *f, struct store_rollover *r, enum census_kind kind, struct census *c,
    struct err *e)
{
	bool more = true;
	if (census_init(c, &f->s.d, r, kind, e))
		return -1;
	while (more)
		if (census_step(&f->s.d, c, 1000, &more, e))
			return -1;
	return 0;
}

static bool
act(struct fleet *f, enum census_kind kind, rollover_act *fn)
{
	struct err e;
	struct census c;
	struct store_rollover r;
	server_begin(&f->s);
	int rc = rollover_of(&f->s.d, SPAN_LIT(""), &r, &e) ||
		 count(f, &r, kind, &c, &e) || fn(f, &r, &c, &e);
	if (rc && e.code != ERR_GATE)
		sim_die("rollover", &e);
	rc = server_end(&f->s, rc ? -1 : 0);
	server_reload(&f->s);
	return rc == 0;
}

static int
act_wave(struct fleet *f, struct store_rollover *r, const struct census *c, struct err *e)
{
	return rollover_wave(&f->s.d, r, f->share, SPREAD_MS, c, false, e);
}

static int
act_finish(
    struct fleet *f, struct store_rollover *r, const struct census *c, struct err *e)
{
	return rollover_finish(&f->s.d, r, c, false, e);
}

static void
start(struct fleet *f)
{
	struct err e;
	struct store_rollover r;
	server_add_ca(&f->s, "device-ca-2", CA_DEVICE);
	server_begin(&f->s);
	if (server_end(&f->s, rollover_start(&f->s.d, SPAN_LIT(""),
				  SPAN_LIT("device-ca-2"), SPREAD_MS, &r, &e)))
		sim_die("rollover", &e);
	server_reload(&f->s);
}

/* A tenth, a half, all; each when the gate of the one before is open. */
static void
roll_over(struct fleet *f)
{
	static const int64_t shares[] = {0, CENSUS_ALL / 10, CENSUS_ALL / 2, CENSUS_ALL};
	if (f->day == NEW_CA_AT)
		start(f);
	if (f->day >= WAVES_FROM && f->wave < 3 && f->day % 7 == 0) {
		f->share = shares[f->wave + 1];
		f->wave += act(f, CENSUS_STATUS, act_wave);
	}
	if (f->wave == 3 && !f->old_is_retired && f->day % 7 == 3 && f->day < DRILL_AT) {
		f->old_is_retired = act(f, CENSUS_FINAL, act_finish);
		if (f->old_is_retired)
			printf("day %d: the old CA is retired\n", f->day);
	}
}

static void
sound_alarm(struct fleet *f)
{
	struct err e;
	struct store_rollover r;
	const struct rollover_alarm m = {.name = SPAN_LIT("device-ca-2"),
	    .to = SPAN_LIT("device-ca-3"),
	    .reason = CRL_CA_COMPROMISE,
	    .spread_ms = -1,
	    .operator_issuer = ""};
	server_begin(&f->s);
	if (server_end(&f->s, rollover_revoke(&f->s.d, &m, &r, &e)))
		sim_die("alarm", &e);
	server_reload(&f->s);
	hang_up_all(f);
}

static void
drill(struct fleet *f)
{
	if (f->day == THIRD_CA_AT)
		server_add_ca(&f->s, "device-ca-3", CA_DEVICE);
	if (f->day == DRILL_AT)
		sound_alarm(f);
}

const char *
scenario_ca(const struct fleet *f)
{
	return f->day >= DRILL_AT ? "device-ca-3" : "device-ca-2";
}

static struct device *
any_device(struct fleet *f)
{
	for (;;) {
		struct device *d = &f->v[dice_between(0, (int64_t)f->n)];
		if (!d->stolen && !d->disabled)
			return d;
	}
}

static void
steal(struct fleet *f)
{
	struct device *d = any_device(f);
	d->stolen = true;
	server_revoke(&f->s, d->id, "keyCompromise", false);
	device_hang_up(d);
}

/* Two on hold, two disabled, for some days. */
static void
suspend(struct fleet *f)
{
	for (int i = 0; i < 2 && f->day == HOLD_AT; i++) {
		struct device *d = any_device(f);
		d->disabled = true;
		server_revoke(&f->s, d->id, "certificateHold", false);
		device_hang_up(d);
	}
	for (int i = 0; i < 2 && f->day == DISABLE_AT; i++) {
		struct device *d = any_device(f);
		d->disabled = true;
		server_enable(&f->s, d->id, false);
		device_hang_up(d);
	}
	if (f->day != HOLD_UNTIL && f->day != DISABLE_UNTIL)
		return;
	for (size_t i = 0; i < f->n; i++) {
		struct device *d = &f->v[i];
		if (!d->disabled)
			continue;
		d->disabled = false;
		if (f->day == HOLD_UNTIL)
			server_revoke(&f->s, d->id, "", true);
		else
			server_enable(&f->s, d->id, true);
	}
}

static void
set_faults(struct fleet *f)
{
	bool on = f->day >= FAULTS_FROM && f->day < DAYS - CALM_DAYS;
	for (size_t i = 0; i < f->n; i++)
		f->v[i].faults = on ? FAULTS_PERMILLE : 0;
}

void
scenario_day(struct fleet *f)
{
	set_faults(f);
	roll_over(f);
	drill(f);
	suspend(f);
	if (f->day % 60 == 59 && f->day < DAYS - CALM_DAYS)
		steal(f);
}
