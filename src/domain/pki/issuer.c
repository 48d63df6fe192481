/*
 * States of the CAs. What they sign is the signer's.
 */
#include "domain/pki/issuer.h"

#include <string.h>

#include "base/hex.h"
#include "base/sm.h"
#include "crypto/digest.h"
#include "store/pki.h"

static const struct sm_state states[] = {
    [ISSUER_STANDBY] = {"standby", SM_TO(ISSUER_TRUSTED) | SM_TO(ISSUER_REVOKED)},
    [ISSUER_TRUSTED] = {"trusted",
	SM_TO(ISSUER_STANDBY) | SM_TO(ISSUER_ACTIVE) | SM_TO(ISSUER_REVOKED)},
    [ISSUER_ACTIVE] = {"active", SM_TO(ISSUER_RETIRING) | SM_TO(ISSUER_REVOKED)},
    [ISSUER_RETIRING] = {"retiring",
	/* trusted: a rollover that is stopped */
	SM_TO(ISSUER_ACTIVE) | SM_TO(ISSUER_TRUSTED) | SM_TO(ISSUER_RETIRED) |
	    SM_TO(ISSUER_REVOKED)},
    [ISSUER_RETIRED] = {"retired", SM_TO(ISSUER_REVOKED)},
    [ISSUER_REVOKED] = {"revoked", 0},
};
static const struct sm machine = {"issuer", states, ISSUER_STATE_N};

const char *
issuer_state_name(enum issuer_state s)
{
	return sm_name(&machine, (int)s);
}

int
issuer_state_parse(struct span name, enum issuer_state *ret, struct err *e)
{
	for (int i = 0; i < ISSUER_STATE_N; i++) {
		if (!span_eq_str(name, states[i].name))
			continue;
		*ret = (enum issuer_state)i;
		return 0;
	}
	return err_set(e, ERR_PARSE,
	    "state '%.*s' is none of standby, trusted, active, retiring, retired, "
	    "revoked",
	    SPAN_FMT(span_head(name, 40)));
}

bool
issuer_is_trusted(enum issuer_state s)
{
	return s == ISSUER_TRUSTED || s == ISSUER_ACTIVE || s == ISSUER_RETIRING;
}

/* ---- the book -------------------------------------------------------------------------
 */

static int
read_row(const struct store_issuer *i, struct issuer_entry *ret, struct err *e)
{
	struct issuer_entry en = {.state = ISSUER_STANDBY};
	if (strlen(i->name) >= sizeof(en.name) || strlen(i->sha256) != 64 ||
	    hex_parse(span_str(i->sha256), en.sha256, sizeof(en.sha256), e) ||
	    ca_conf_purpose_parse(span_str(i->purpose), &en.purpose, e) ||
	    issuer_state_parse(span_str(i->state), &en.state, e))
		return err_set(e, ERR_CORRUPT, "CA %s: its row cannot be read", i->name);
	memcpy(en.name, i->name, strlen(i->name) + 1);
	memcpy(en.hex, i->sha256, sizeof(en.hex));
	*ret = en;
	return 0;
}

static int
visit_entry(void *ctx, const struct store_issuer *i, struct err *e)
{
	struct issuer_book *b = ctx;
	if (b->n == ISSUER_MAX)
		return err_set(e, ERR_CORRUPT, "over %d CAs", ISSUER_MAX);
	if (read_row(i, &b->v[b->n], e))
		return -1;
	b->n++;
	return 0;
}

int
issuer_load(struct domain *d, struct issuer_book *ret, struct err *e)
{
	auto_(free) struct issuer_book *b = own_alloc(sizeof(*b));
	if (store_issuer_each(d->store, visit_entry, b, e) < 0)
		return -1;
	*ret = *b;
	return 0;
}

bool
issuer_is_ready(const struct domain *d)
{
	return d->issuers && d->issuers->n > 0;
}

const struct issuer_entry *
issuer_find(const struct domain *d, struct span sha256)
{
	for (size_t i = 0; d->issuers && i < d->issuers->n; i++) {
		const struct issuer_entry *en = &d->issuers->v[i];
		if (span_eq(sha256, span_of(en->sha256, sizeof(en->sha256))))
			return en;
	}
	return NULL;
}

int
issuer_active(const struct domain *d, enum ca_purpose purpose,
    const struct issuer_entry **ret, struct err *e)
{
	if (!issuer_is_ready(d))
		return err_set(
		    e, ERR_UNAVAILABLE, "the signer has not named the CAs yet");
	for (size_t i = 0; i < d->issuers->n; i++) {
		const struct issuer_entry *en = &d->issuers->v[i];
		if (en->purpose != purpose || en->state != ISSUER_ACTIVE)
			continue;
		*ret = en;
		return 0;
	}
	return err_set(
	    e, ERR_UNAVAILABLE, "no %s CA is active", ca_conf_purpose_name(purpose));
}

bool
issuer_is_service(const struct domain *d, struct span sha256)
{
	const struct issuer_entry *en = issuer_find(d, sha256);
	return en && en->purpose == CA_SERVICE;
}

/* ---- what the signer told -------------------------------------------------------------
 */

/* A store's first CA of a purpose is at work at once; what comes later is for an operator
 * to decide. A cross certificate only helps to build paths to a root that is trusted. */
static enum issuer_state
first_state(const struct issuer_book *known, enum ca_purpose p)
{
	if (p == CA_CROSS)
		return ISSUER_TRUSTED;
	for (size_t i = 0; i < known->n; i++)
		if (known->v[i].purpose == p)
			return ISSUER_STANDBY;
	return p == CA_ROOT ? ISSUER_TRUSTED : ISSUER_ACTIVE;
}

static int
check_name(const struct issuer_book *known, const struct store_issuer *row, struct err *e)
{
	for (size_t i = 0; i < known->n; i++)
		if (strcmp(known->v[i].name, row->name) == 0 &&
		    strcmp(known->v[i].hex, row->sha256) != 0)
			return err_set(e, ERR_CONFLICT,
			    "the CA %s has another certificate than it had: a new one "
			    "needs a new name",
			    row->name);
	return 0;
}

/* before: what the store had, so that all roots of a fresh store are trusted; book: with
 * what was added since, so that one device CA alone is active. */
static int
sync_row(struct domain *d, const struct ipc_signer_ca *m,
    const struct issuer_book *before, struct issuer_book *book, struct err *e)
{
	uint8_t sha[DIGEST_SHA256];
	char hex[65];
	struct store_issuer row;
	enum ca_purpose purpose;
	digest_sha256(m->cert, sha);
	hex_write(span_of(sha, sizeof(sha)), hex);
	if (ca_conf_purpose_parse(m->purpose, &purpose, e))
		return -1;
	if (store_issuer_get(d->store, hex, d->arena, &row, e) == 0) {
		row.custody = arena_str(d->arena, m->custody);
		return store_issuer_put(d->store, &row, e);
	}
	if (e->code != ERR_NOT_FOUND)
		return -1;
	enum issuer_state state =
	    first_state(purpose == CA_ROOT ? before : book, purpose);
	row = (struct store_issuer){.sha256 = hex,
	    .name = arena_str(d->arena, m->name),
	    .purpose = ca_conf_purpose_name(purpose),
	    .state = issuer_state_name(state),
	    .custody = arena_str(d->arena, m->custody),
	    .cert = m->cert,
	    .added_ms = domain_now(d),
	    .state_ms = domain_now(d)};
	if (check_name(book, &row, e) || store_issuer_put(d->store, &row, e))
		return -1;
	return visit_entry(book, &row, e);
}

static bool
is_told(const struct issuer_entry *en, const struct ipc_signer_ca *rows, size_t n)
{
	uint8_t sha[DIGEST_SHA256];
	for (size_t i = 0; i < n; i++) {
		digest_sha256(rows[i].cert, sha);
		if (memcmp(sha, en->sha256, sizeof(sha)) == 0)
			return true;
	}
	return false;
}

/* Nobody is called to a CA that cannot issue. */
static int
take_key(struct domain *d, const struct issuer_entry *en, struct err *e)
{
	struct store_issuer row;
	if (store_issuer_get(d->store, en->hex, d->arena, &row, e))
		return -1;
	if (!row.custody[0])
		return 0;
	row.custody = "";
	return store_issuer_put(d->store, &row, e);
}

int
issuer_sync(struct domain *d, const struct ipc_signer_ca *rows, size_t n, struct err *e)
{
	auto_(free) struct issuer_book *before = own_alloc(sizeof(*before));
	auto_(free) struct issuer_book *book = own_alloc(sizeof(*book));
	if (issuer_load(d, before, e))
		return -1;
	*book = *before;
	for (size_t i = 0; i < n; i++)
		if (sync_row(d, &rows[i], before, book, e))
			return err_wrap(e, "CA %.*s", SPAN_FMT(rows[i].name));
	for (size_t i = 0; i < before->n; i++)
		if (!is_told(&before->v[i], rows, n) && take_key(d, &before->v[i], e))
			return err_wrap(e, "CA %s", before->v[i].name);
	return 0;
}

/* ---- changes --------------------------------------------------------------------------
 */

static int
put_state(struct domain *d, const struct issuer_entry *en, enum issuer_state to,
    int reason, struct err *e)
{
	struct store_issuer row;
	if (store_issuer_get(d->store, en->hex, d->arena, &row, e))
		return -1;
	row.state = issuer_state_name(to);
	row.reason = reason;
	row.state_ms = domain_now(d);
	return store_issuer_put(d->store, &row, e);
}

static const struct issuer_entry *
other(const struct issuer_book *b, const struct issuer_entry *en,
    bool (*is)(enum issuer_state))
{
	for (size_t i = 0; i < b->n; i++)
		if (&b->v[i] != en && b->v[i].purpose == en->purpose && is(b->v[i].state))
			return &b->v[i];
	return NULL;
}

static bool
is_active(enum issuer_state s)
{
	return s == ISSUER_ACTIVE;
}

/* Would nobody issue any more? */
static int
guard_active(const struct issuer_entry *en, struct err *e)
{
	if (en->state != ISSUER_ACTIVE)
		return 0;
	return err_set(e, ERR_GATE,
	    "%s is the only %s CA that issues; make another one active first", en->name,
	    ca_conf_purpose_name(en->purpose));
}

static int
guard_root(const struct issuer_book *b, const struct issuer_entry *en, struct err *e)
{
	if (en->purpose != CA_ROOT || !issuer_is_trusted(en->state) ||
	    other(b, en, issuer_is_trusted))
		return 0;
	return err_set(e, ERR_GATE, "%s is the only root that is trusted", en->name);
}

static int
guard_used(struct domain *d, const struct issuer_entry *en, struct err *e)
{
	int64_t count, last_ms;
	if (store_device_cert_count(d->store, en->hex, &count, &last_ms, e))
		return -1;
	if (count == 0)
		return 0;
	return err_set(e, ERR_GATE,
	    "%lld devices used a certificate of %s last; they would be locked out",
	    (long long)count, en->name);
}

/* What a change would take away from under somebody. */
static int
guard(struct domain *d, const struct issuer_book *b, const struct issuer_entry *en,
    enum issuer_state to, struct err *e)
{
	bool ends_trust = issuer_is_trusted(en->state) && !issuer_is_trusted(to);
	if (to != ISSUER_ACTIVE && guard_active(en, e))
		return -1;
	if (ends_trust && guard_root(b, en, e))
		return -1;
	/* a compromised CA is revoked because it is in use */
	return ends_trust && to != ISSUER_REVOKED ? guard_used(d, en, e) : 0;
}

static int
check_can_issue(struct domain *d, const struct issuer_entry *en, struct err *e)
{
	struct store_issuer row;
	if (en->purpose == CA_ROOT || en->purpose == CA_CROSS)
		return err_set(e, ERR_CONFLICT, "%s is a %s: it issues to nobody",
		    en->name, ca_conf_purpose_name(en->purpose));
	if (store_issuer_get(d->store, en->hex, d->arena, &row, e))
		return -1;
	if (row.custody[0])
		return 0;
	return err_set(e, ERR_CONFLICT, "%s: its key is not here", en->name);
}

static int
apply(struct domain *d, const struct issuer_book *b, const struct issuer_entry *en,
    const struct issuer_change *ch, struct err *e)
{
	if (en->state == ch->state)
		return 0;
	if (!sm_allows(&machine, (int)en->state, (int)ch->state))
		return err_set(e, ERR_CONFLICT, "%s is %s: from there it cannot be %s",
		    en->name, issuer_state_name(en->state), issuer_state_name(ch->state));
	if ((ch->state == ISSUER_ACTIVE && check_can_issue(d, en, e)) ||
	    (!ch->force && guard(d, b, en, ch->state, e)))
		return -1;
	const struct issuer_entry *was = other(b, en, is_active);
	if (ch->state == ISSUER_ACTIVE && was && put_state(d, was, ISSUER_RETIRING, 0, e))
		return -1;
	return put_state(
	    d, en, ch->state, ch->state == ISSUER_REVOKED ? ch->reason : 0, e);
}

int
issuer_put_state(struct domain *d, const struct issuer_change *ch, struct err *e)
{
	auto_(free) struct issuer_book *b = own_alloc(sizeof(*b));
	if (issuer_load(d, b, e))
		return -1;
	for (size_t i = 0; i < b->n; i++)
		if (span_eq_str(ch->name, b->v[i].name))
			return apply(d, b, &b->v[i], ch, e);
	return err_set(
	    e, ERR_NOT_FOUND, "there is no CA '%.*s'", SPAN_FMT(span_head(ch->name, 40)));
}
