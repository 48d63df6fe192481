/*
 * What must hold on every day, and at the end.
 */
#include "fleet.h"

#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "crypto/crl.h"
#include "base/hex.h"
#include "domain/pki/crl_plan.h"
#include "domain/pki/ocsp_book.h"
#include "store/journal.h"
#include "store/pki.h"

#define KEEP_EXTRA 2  /* staged generations beyond those that are kept */
#define BOUND_DAYS 5  /* kept out of the hub, on days on which it was reached */
#define ENOUGH     15 /* devices, to speak of a spread */
#define FEW        3  /* more than 3 times the mean, by chance, where devices are few */
#define WORDS_MAX  20 /* complaints shown of one rule */

enum rule {
	RULE_ADMITTED,
	RULE_BOUNDED,
	RULE_RESCUED,
	RULE_REVOKED,
	RULE_SUPERSEDED_REFUSED,
	RULE_SUPERSEDED_ENDS,
	RULE_GENERATIONS,
	RULE_CRL_FRESH,
	RULE_CRL_GROWS,
	RULE_CRL_HOLDS,
	RULE_OCSP_FRESH,
	RULE_SPREAD,
	RULE_RECORD,
	RULE_JOURNAL,
	RULE_NONE_LOST,
	RULE_STORE,
	RULES
};

static struct {
	const char *words;
	int64_t looked, broken;
} rules[RULES] = {
    [RULE_ADMITTED] = {"a device that reached the hub was let in", 0, 0},
    [RULE_BOUNDED] = {"who was late was out for days, not weeks", 0, 0},
    [RULE_RESCUED] = {"nobody had to be driven to", 0, 0},
    [RULE_REVOKED] = {"what was revoked stays refused", 0, 0},
    [RULE_SUPERSEDED_REFUSED] = {"a copied old certificate is refused", 0, 0},
    [RULE_SUPERSEDED_ENDS] = {"what was replaced is revoked after the soak", 0, 0},
    [RULE_GENERATIONS] = {"generations on disk are bounded", 0, 0},
    [RULE_CRL_FRESH] = {"no CRL past its nextUpdate", 0, 0},
    [RULE_CRL_GROWS] = {"CRL numbers only grow", 0, 0},
    [RULE_CRL_HOLDS] = {"what is revoked stands in its CRL", 0, 0},
    [RULE_OCSP_FRESH] = {"every valid certificate has a fresh OCSP answer", 0, 0},
    [RULE_SPREAD] = {"renewals of a batch: peak at most 3 times the mean", 0, 0},
    [RULE_RECORD] = {"the store has what was signed, and nothing else", 0, 0},
    [RULE_JOURNAL] = {"the journal has every signature once", 0, 0},
    [RULE_NONE_LOST] = {"no device lost: certificate of the last CA, at the hub", 0, 0},
    [RULE_STORE] = {"the database is whole", 0, 0},
};

static void complain(struct fleet *f, enum rule r, const char *fmt, ...)
    printf_like(3, 4);

static void
complain(struct fleet *f, enum rule r, const char *fmt, ...)
{
	va_list ap;
	if (rules[r].broken++ >= WORDS_MAX)
		return;
	printf("day %d: NOT (%s): ", f->day, rules[r].words);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

bool
audit_is_broken(void)
{
	for (int i = 0; i < RULES; i++)
		if (rules[i].broken)
			return true;
	return false;
}

int
audit_report(int *ret_held)
{
	int broken = 0;
	for (int i = 0; i < RULES; i++) {
		bool bad = rules[i].broken || !rules[i].looked;
		printf("  %-4s %s (%lld looks, %lld broken)\n", bad ? "FAIL" : "ok",
		    rules[i].words, (long long)rules[i].looked,
		    (long long)rules[i].broken);
		broken += bad;
	}
	*ret_held = RULES - broken;
	return broken;
}

/* ---- devices --------------------------------------------------------------------------
 */

/* Why one that is in order may be kept out for a while: its certificate has ended, or the
 * CA above it was revoked. "" where nothing is. */
static const char *
excuse_of(struct fleet *f, struct device *d)
{
	struct store_cert c;
	struct store_issuer by;
	struct err e;
	auto_keystore_credential cr = {0};
	if (!device_credential(d, &cr))
		return "its keys are away";
	if (sim_now_ms - DAY > cr.not_after_ms)
		return "expired";
	if (sim_now_ms > cr.not_after_ms)
		return "expired today";
	arena_reset(f->s.arena);
	if (store_cert_by_sha256(f->s.store, cr.thumbprint, f->s.arena, &c, &e) ||
	    store_issuer_get(f->s.store, c.issuer, f->s.arena, &by, &e))
		return "";
	return strcmp(by.state, "revoked") == 0 ? "its CA is revoked" : "";
}

static void
look_at_stolen(struct fleet *f, struct device *d)
{
	rules[RULE_REVOKED].looked += d->tried;
	if (d->admitted && d->unserved_days)
		complain(f, RULE_REVOKED, "%s was let in", d->id);
	d->unserved_days = 1; /* from the day after */
}

static void
look_at_device(struct fleet *f, struct device *d)
{
	if (d->stolen || d->disabled) {
		if (d->stolen)
			look_at_stolen(f, d);
		return;
	}
	if (d->admitted)
		d->unserved_days = 0;
	if (!d->tried)
		return;
	rules[RULE_ADMITTED].looked++;
	if (d->admitted)
		return;
	d->unserved_days++;
	const char *excuse = excuse_of(f, d);
	if (!excuse[0])
		complain(f, RULE_ADMITTED, "%s: %s", d->id, d->last_error);
	rules[RULE_BOUNDED].looked++;
	if (d->unserved_days > BOUND_DAYS)
		complain(f, RULE_BOUNDED, "%s: %d days, %s: %s", d->id, d->unserved_days,
		    excuse, d->last_error);
}

static void
look_at_devices(struct fleet *f)
{
	for (size_t i = 0; i < f->n; i++) {
		struct device *d = &f->v[i];
		look_at_device(f, d);
		d->tried = d->admitted = 0;
		if (f->day % 7)
			continue;
		size_t n = device_generations(d);
		rules[RULE_GENERATIONS].looked++;
		if (n > (size_t)d->cfg.auth.keep_generations + KEEP_EXTRA)
			complain(f, RULE_GENERATIONS, "%s has %zu", d->id, n);
	}
}

/* ---- copies of old certificates -------------------------------------------------------
 */

static void
copy_some(struct fleet *f)
{
	for (size_t i = 0; i < f->n && f->n_kept < KEPT_MAX; i += f->n / KEPT_MAX + 1) {
		struct err e;
		auto_keystore_credential c = {0};
		if (!device_credential(&f->v[i], &c) || !c.chain_pem.len)
			continue;
		struct face *face = &f->kept[f->n_kept];
		snprintf(f->kept_id[f->n_kept++], 24, "%s", f->v[i].id);
		if (face_of(buf_span(&c.chain_pem), face, &e))
			sim_die("copy", &e);
	}
}

static void
try_copies(struct fleet *f)
{
	for (size_t i = 0; i < f->n_kept; i++) {
		struct err e;
		struct store_cert c;
		int64_t close_ms;
		arena_reset(f->s.arena);
		if (f->s.down || store_cert_by_sha256(
				     f->s.store, f->kept[i].thumb, f->s.arena, &c, &e))
			continue;
		if (!c.revoked_ms && sim_now_ms < c.not_after_ms)
			continue;
		rules[RULE_SUPERSEDED_REFUSED].looked++;
		if (server_hub(&f->s, &f->kept[i], f->kept_id[i], "192.0.2.66:6666",
			&close_ms, &e) == 0)
			complain(f, RULE_SUPERSEDED_REFUSED, "%s", f->kept_id[i]);
	}
}

/* ---- certificates ---------------------------------------------------------------------
 */

static int
on_left_over(void *ctx, const struct store_cert *c, struct err *e)
{
	(void)e;
	complain(ctx, RULE_SUPERSEDED_ENDS, "%s of %s", c->serial, c->subject);
	return 0;
}

static void
look_at_superseded(struct fleet *f)
{
	struct err e;
	const struct store_cert_filter q = {.subject = "",
	    .issuer = "",
	    .key_sha256 = "",
	    .profile = "device",
	    .superseded_before_ms = f->kept_ms - f->s.cfg.pki.superseded_soak_ms,
	    .expires_after_ms = sim_now_ms,
	    .revoked = -1,
	    .limit = -1};
	arena_reset(f->s.arena);
	rules[RULE_SUPERSEDED_ENDS].looked++;
	if (store_cert_find(f->s.store, &q, on_left_over, f, &e) < 0)
		sim_die("certificates", &e);
}

/* ---- CRLs -----------------------------------------------------------------------------
 */

struct place {
	char name[96];
	int64_t number;
	UT_hash_handle hh;
};
static struct place *places;

static bool
is_kept_up(struct fleet *f, const char *issuer)
{
	struct err e;
	struct store_issuer i;
	struct store_cert_counts n;
	if (store_issuer_get(f->s.store, issuer, f->s.arena, &i, &e) ||
	    store_cert_count(f->s.store, issuer, sim_now_ms, &n, &e))
		sim_die("issuer", &e);
	bool over = strcmp(i.state, "retired") == 0 || strcmp(i.state, "revoked") == 0;
	return crl_plan_has_key(&i) && !(over && n.unexpired == 0);
}

static int
on_list(void *ctx, const struct store_crl *c, struct err *e)
{
	struct fleet *f = ctx;
	char name[96];
	struct place *p;
	(void)e;
	snprintf(name, sizeof(name), "%s/%lld%s", c->issuer, (long long)c->shard,
	    c->delta ? "-delta" : "");
	HASH_FIND_STR(places, name, p);
	if (!p) {
		p = own_alloc(sizeof(*p));
		memcpy(p->name, name, sizeof(name));
		HASH_ADD_STR(places, name, p);
	}
	rules[RULE_CRL_GROWS].looked++;
	if (c->number < p->number)
		complain(f, RULE_CRL_GROWS, "%s", name);
	p->number = c->number;
	if (sim_now_ms - f->kept_ms > DAY)
		return 0; /* nobody could make any */
	rules[RULE_CRL_FRESH].looked++;
	if (c->next_ms <= sim_now_ms && is_kept_up(f, c->issuer))
		complain(f, RULE_CRL_FRESH, "%s", name);
	return 0;
}

static bool
is_listed(struct fleet *f, const struct store_cert *c, bool delta)
{
	struct err e;
	struct crl list;
	struct store_crl l;
	struct crl_entry en;
	uint8_t serial[CRL_SERIAL_MAX];
	size_t n = strlen(c->serial) / 2;
	if (store_crl_get(f->s.store, c->issuer, c->crl_shard, delta, f->s.arena, &l, &e))
		return false;
	if (crl_parse(l.der, &list, &e) || hex_parse(span_str(c->serial), serial, n, &e))
		sim_die("CRL", &e);
	return crl_find(&list, span_of(serial, n), &en);
}

static int
on_revoked(void *ctx, const struct store_cert *c, struct err *e)
{
	struct fleet *f = ctx;
	(void)e;
	if (c->revoked_ms >= f->kept_ms || c->crl_shard < 0)
		return 0;
	rules[RULE_CRL_HOLDS].looked++;
	if (!is_listed(f, c, false) && !is_listed(f, c, true))
		complain(f, RULE_CRL_HOLDS, "%s of %s", c->serial, c->subject);
	return 0;
}

static void
look_at_lists(struct fleet *f)
{
	struct err e;
	const struct store_cert_filter q = {.subject = "",
	    .issuer = "",
	    .key_sha256 = "",
	    .profile = "device",
	    .expires_after_ms = sim_now_ms,
	    .revoked = 1,
	    .limit = -1};
	arena_reset(f->s.arena);
	if (store_crl_each(f->s.store, on_list, f, &e) < 0)
		sim_die("CRLs", &e);
	if (f->day % 14 == 0 && store_cert_find(f->s.store, &q, on_revoked, f, &e) < 0)
		sim_die("certificates", &e);
}

static int
on_unanswered(void *ctx, const struct store_cert *c, struct err *e)
{
	struct fleet *f = ctx;
	(void)e;
	/* what was revoked since has lost its answer, on purpose */
	if (c->issued_ms < f->kept_ms && c->revoked_ms < f->kept_ms)
		complain(f, RULE_OCSP_FRESH, "%s of %s", c->serial, c->subject);
	return 0;
}

static void
look_at_answers(struct fleet *f)
{
	struct err e;
	const struct ocsp_book *b = &f->s.ocsp;
	arena_reset(f->s.arena);
	if (sim_now_ms - f->kept_ms > DAY)
		return;
	for (size_t i = 0; i < b->n; i++) {
		rules[RULE_OCSP_FRESH].looked++;
		/* revoked just now: its answer is due at the next housekeeping */
		if (store_ocsp_due(f->s.store, b->v[i].issuer, sim_now_ms, sim_now_ms,
			1000, on_unanswered, f, &e) < 0)
			sim_die("OCSP", &e);
	}
}

/* ---- every day ------------------------------------------------------------------------
 */

void
audit_day(struct fleet *f)
{
	look_at_devices(f);
	if (f->day == 8)
		copy_some(f);
	if (f->day % 7 == 0)
		try_copies(f);
	if (f->day % 7 == 0)
		look_at_superseded(f);
	look_at_lists(f);
	look_at_answers(f);
}

/* ---- at the end -----------------------------------------------------------------------
 */

/* Nothing befell it before its first renewal was done. */
static bool
is_undisturbed(const struct fleet *f, const struct device *d)
{
	for (size_t i = 0; i < d->n_spells; i++)
		if (d->spells[i].from_ms < f->t0_ms + 70 * DAY)
			return false;
	return d->habit != WEEKLY && d->first_renewal_ms;
}

/* The day by which so many of n had renewed. */
static int
day_of(const int by_day[DAYS], int n)
{
	int day = 0;
	while (day < DAYS - 1 && (n -= by_day[day]) > 0)
		day++;
	return day;
}

/* Between the first and the last twentieth, so that one that came late stretches nothing.
 */
static void
look_at_spread(struct fleet *f)
{
	int by_day[DAYS] = {0}, n = 0, peak = 0;
	for (size_t i = 0; i < f->n; i++) {
		if (!is_undisturbed(f, &f->v[i]))
			continue;
		int day = (int)((f->v[i].first_renewal_ms - f->t0_ms) / DAY);
		n++;
		peak = ++by_day[day] > peak ? by_day[day] : peak;
	}
	int first = day_of(by_day, n / 20 + 1), last = day_of(by_day, n - n / 20);
	int days = last - first + 1;
	rules[RULE_SPREAD].looked = n;
	printf("spread of the first renewals: %d devices, most of them from day %d to "
	       "day %d, at most %d a day\n",
	    n, first, last, peak);
	if ((n >= ENOUGH && days < 90 / 10) || (peak - FEW) * days > 3 * n)
		complain(f, RULE_SPREAD, "peak %d, mean %.1f, %d days", peak,
		    (double)n / days, days);
}

static int
on_cert(void *ctx, const struct store_cert *c, struct err *e)
{
	struct fleet *f = ctx;
	struct sim_cert *was;
	(void)e;
	HASH_FIND_STR(f->s.certs, c->serial, was);
	rules[RULE_RECORD].looked++;
	if (!was || !was->recorded || strcmp(was->subject, c->subject) != 0 ||
	    strcmp(was->issuer, c->issuer) != 0)
		complain(f, RULE_RECORD, "%s of %s", c->serial, c->subject);
	return 0;
}

static void
look_at_record(struct fleet *f)
{
	struct err e;
	struct sim_cert *c, *next;
	int64_t recorded = 0;
	const struct store_cert_filter q = {
	    .subject = "", .issuer = "", .key_sha256 = "", .profile = "", .limit = -1};
	arena_reset(f->s.arena);
	if (store_cert_find(f->s.store, &q, on_cert, f, &e) < 0)
		sim_die("certificates", &e);
	HASH_ITER (hh, f->s.certs, c, next)
		recorded += c->recorded;
	if (recorded != rules[RULE_RECORD].looked)
		complain(f, RULE_RECORD, "%lld were recorded, %lld are there",
		    (long long)recorded, (long long)rules[RULE_RECORD].looked);
}

static int
on_line(void *ctx, const struct journal_entry *en, struct err *e)
{
	struct fleet *f = ctx;
	struct sim_cert *was;
	(void)e;
	HASH_FIND_STR(f->s.certs, en->serial, was);
	rules[RULE_JOURNAL].looked++;
	if (!was)
		complain(f, RULE_JOURNAL, "%s", en->serial);
	return 0;
}

static void
look_at_journal(struct fleet *f)
{
	struct err e;
	char path[200], head[65];
	int64_t n;
	snprintf(path, sizeof(path), "%s/journal.log", f->s.dir);
	if (journal_verify(path, on_line, f, &n, head, &e))
		sim_die("journal", &e);
	if (n != f->s.n.signed_)
		complain(f, RULE_JOURNAL, "%lld lines, %lld signatures", (long long)n,
		    (long long)f->s.n.signed_);
}

static void
look_for_lost(struct fleet *f, struct device *d)
{
	struct err e;
	struct store_cert c;
	struct store_issuer by;
	auto_keystore_credential cr = {0};
	rules[RULE_NONE_LOST].looked++;
	arena_reset(f->s.arena);
	if (!device_credential(d, &cr) || !cr.thumbprint[0]) {
		complain(f, RULE_NONE_LOST, "%s has no credential", d->id);
		return;
	}
	if (store_cert_by_sha256(f->s.store, cr.thumbprint, f->s.arena, &c, &e) ||
	    store_issuer_get(f->s.store, c.issuer, f->s.arena, &by, &e)) {
		complain(f, RULE_NONE_LOST, "%s: %s", d->id, e.text);
		return;
	}
	if (c.revoked_ms || sim_now_ms >= c.not_after_ms ||
	    strcmp(by.name, scenario_ca(f)) != 0)
		complain(f, RULE_NONE_LOST, "%s: %s, ends in %lld h, reason %d: %s",
		    d->id, by.name, (long long)((c.not_after_ms - sim_now_ms) / HOUR),
		    c.reason, d->last_error);
	if (sim_now_ms - d->last_admitted_ms > 8 * DAY)
		complain(f, RULE_NONE_LOST, "%s was last seen %lld days ago: %s", d->id,
		    (long long)((sim_now_ms - d->last_admitted_ms) / DAY), d->last_error);
}

void
audit_end(struct fleet *f)
{
	struct err e;
	struct place *p, *next;
	for (size_t i = 0; i < f->n; i++)
		if (!f->v[i].stolen)
			look_for_lost(f, &f->v[i]);
	rules[RULE_RESCUED].looked++;
	if (f->rescued)
		complain(f, RULE_RESCUED, "%zu tokens were the last resort", f->rescued);
	look_at_spread(f);
	look_at_record(f);
	look_at_journal(f);
	rules[RULE_STORE].looked++;
	if (store_verify(f->s.store, &e))
		complain(f, RULE_STORE, "%s", e.text);
	HASH_ITER (hh, places, p, next) {
		HASH_DEL(places, p);
		free(p);
	}
	for (size_t i = 0; i < f->n_kept; i++)
		face_done(&f->kept[i]);
}
