/*
 * Certificates as the inventory shows them.
 */
#include "domain/pki/certificates.h"

#include <string.h>

#include "crypto/crl.h"
#include "domain/pki/issuer.h"
#include "store/pki.h"

struct page {
	struct domain *d;
	int (*visit)(void *ctx, const struct ipc_cert_row *row, struct err *e);
	void *ctx;
	int64_t now_ms, n, last;
};

static const char *
state_of(const struct store_cert *c, int64_t now_ms)
{
	if (c->revoked_ms)
		return "revoked";
	if (now_ms > c->not_after_ms)
		return "expired";
	return c->superseded_ms ? "superseded" : "valid";
}

/* What its device told and did, where it is the one that the device uses. */
static int
add_use(
    struct page *p, const struct store_cert *c, struct ipc_cert_row *row, struct err *e)
{
	struct store_device_cert seen;
	if (strcmp(c->profile, "device") != 0)
		return 0;
	if (store_device_cert_get(p->d->store, c->subject, p->d->arena, &seen, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (strcmp(seen.issuer, c->issuer) != 0 || strcmp(seen.serial, c->serial) != 0)
		return 0;
	row->seen_ms = seen.seen_ms;
	row->custody = span_str(seen.custody);
	row->generation = span_str(seen.generation);
	return 0;
}

static struct span
issuer_name(struct domain *d, const char *hex)
{
	struct store_issuer ca;
	struct err e;
	if (store_issuer_get(d->store, hex, d->arena, &ca, &e))
		return span_str(hex);
	return span_str(ca.name);
}

static int
on_cert(void *ctx, const struct store_cert *c, struct err *e)
{
	struct page *p = ctx;
	struct ipc_cert_row row = {.n = c->n,
	    .serial = span_str(c->serial),
	    .issuer = issuer_name(p->d, c->issuer),
	    .profile = span_str(c->profile),
	    .subject = span_str(c->subject),
	    .sha256 = span_str(c->sha256),
	    .key_sha256 = span_str(c->key_sha256),
	    .requester = span_str(c->requester),
	    .state = span_str(state_of(c, p->now_ms)),
	    .not_before_ms = c->not_before_ms,
	    .not_after_ms = c->not_after_ms,
	    .issued_ms = c->issued_ms,
	    .revoked_ms = c->revoked_ms};
	if (c->revoked_ms)
		row.reason = span_str(crl_reason_name((unsigned)c->reason));
	p->n++;
	p->last = c->n;
	return add_use(p, c, &row, e) ? -1 : p->visit(p->ctx, &row, e);
}

static int
choose_state(
    struct span state, int64_t now_ms, struct store_cert_filter *f, struct err *e)
{
	if (!state.len)
		return 0;
	f->revoked = span_eq_str(state, "revoked") ? 1 : -1;
	if (span_eq_str(state, "revoked"))
		return 0;
	if (span_eq_str(state, "expired")) {
		f->expires_before_ms = now_ms;
		return 0;
	}
	f->expires_after_ms = now_ms;
	if (span_eq_str(state, "superseded")) {
		f->superseded_before_ms = now_ms + 1;
		return 0;
	}
	if (span_eq_str(state, "valid"))
		return 0;
	return err_set(e, ERR_PARSE,
	    "state '%.*s': valid, superseded, expired or revoked",
	    SPAN_FMT(span_head(state, 16)));
}

static int
choose_issuer(
    struct domain *d, struct span name, struct store_cert_filter *f, struct err *e)
{
	struct store_issuer ca;
	if (!name.len)
		return 0;
	if (store_issuer_by_name(d->store, arena_str(d->arena, name), d->arena, &ca, e))
		return err_wrap(e, "issuer %.*s", SPAN_FMT(name));
	f->issuer = ca.sha256;
	return 0;
}

int
certificates_page(struct domain *d, const struct ipc_cert_query *m,
    int (*visit)(void *ctx, const struct ipc_cert_row *row, struct err *e), void *ctx,
    int64_t *ret_next, struct err *e)
{
	int64_t limit =
	    m->limit && m->limit < CERTIFICATES_PAGE ? m->limit : CERTIFICATES_PAGE;
	struct page p = {.d = d, .visit = visit, .ctx = ctx, .now_ms = domain_now(d)};
	struct store_cert_filter f = {.after = m->after,
	    .subject = arena_str(d->arena, m->device_id),
	    .issuer = "",
	    .key_sha256 = "",
	    .profile = "",
	    .limit = limit};
	if (choose_state(m->state, p.now_ms, &f, e) || choose_issuer(d, m->issuer, &f, e))
		return -1;
	if (m->expires_before_ms &&
	    (!f.expires_before_ms || m->expires_before_ms < f.expires_before_ms))
		f.expires_before_ms = m->expires_before_ms;
	if (store_cert_find(d->store, &f, on_cert, &p, e))
		return -1;
	*ret_next = p.n == limit ? p.last : 0;
	return 0;
}
