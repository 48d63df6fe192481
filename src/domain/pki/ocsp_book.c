/*
 * What is answered over OCSP.
 */
#include "domain/pki/ocsp_book.h"

#include <string.h>

#include "base/hex.h"
#include "codec/der.h"
#include "domain/pki/crl_plan.h"

#define QUERIES_MAX 65536 /* of ipc_signer_ocsp.queries */

/* ---- the CAs --------------------------------------------------------------------------
 */

struct loading {
	struct ocsp_book *book;
};

static int
add_issuer(void *ctx, const struct store_issuer *i, struct err *e)
{
	struct ocsp_book *b = ctx;
	if (!crl_plan_has_key(i))
		return 0;
	if (b->n == OCSP_BOOK_MAX)
		return err_set(e, ERR_LIMIT, "more than %d CAs", OCSP_BOOK_MAX);
	auto_(cert_free) struct cert *ca = cert_parse(i->cert, e);
	if (!ca || ocsp_issuer_of(ca, &b->v[b->n].id, e))
		return err_wrap(e, "CA %s", i->name);
	memcpy(b->v[b->n].sha256, ca->sha256, DIGEST_SHA256);
	hex_write(span_of(ca->sha256, DIGEST_SHA256), b->v[b->n].issuer);
	b->n++;
	return 0;
}

int
ocsp_book_load(struct domain *d, struct ocsp_book *ret, struct err *e)
{
	struct ocsp_book *b = arena_alloc(d->arena, sizeof(*b));
	if (store_issuer_each(d->store, add_issuer, b, e))
		return -1;
	*ret = *b;
	return 0;
}

static size_t
find_issuer(const struct ocsp_book *b, const struct ipc_ocsp_get *m)
{
	const struct ocsp_req_id id = {.hash = (enum ocsp_req_hash)m->hash,
	    .name = m->name_hash,
	    .key = m->key_hash,
	    .serial = m->serial};
	size_t i = 0;
	while (i < b->n && !ocsp_issuer_is(&b->v[i].id, &id))
		i++;
	return i;
}

/* ---- questions for the signer ---------------------------------------------------------
 */

static void
begin_batch(struct domain *d, const struct ocsp_book *b, size_t issuer, size_t room,
    struct ocsp_batch *ret)
{
	int64_t now = domain_now(d);
	*ret = (struct ocsp_batch){
	    .v = arena_alloc(d->arena, (room ? room : 1) * sizeof(*ret->v))};
	memcpy(ret->issuer, b->v[issuer].issuer, sizeof(ret->issuer));
	ret->ask = (struct ipc_signer_ocsp){
	    .issuer = span_of(b->v[issuer].sha256, DIGEST_SHA256),
	    .this_ms = now - d->cfg->pki.backdate_ms,
	    .next_ms = now + d->cfg->pki.ocsp_life_ms};
}

static int
put_query(struct ocsp_batch *b, enum ocsp_req_hash hash, enum ocsp_status status,
    const struct ocsp_item *item, struct buf *out, struct err *e)
{
	struct ocsp_single s = {.hash = hash,
	    .status = status,
	    .reason = (uint8_t)item->reason,
	    .revoked_ms = item->revoked_ms};
	s.serial_len = (uint8_t)(strlen(item->serial) / 2);
	if (hex_parse(span_str(item->serial), s.serial, s.serial_len, e))
		return -1;
	ocsp_single_pack(&s, out);
	b->v[b->n++] = *item;
	return 0;
}

/* ---- a question of a client -----------------------------------------------------------
 */

static int
read_state(struct domain *d, const char *issuer, struct ocsp_item *item,
    enum ocsp_status *ret, struct err *e)
{
	struct store_cert c;
	*ret = OCSP_UNKNOWN;
	if (store_cert_get(d->store, issuer, item->serial, d->arena, &c, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	item->revoked_ms = c.revoked_ms;
	item->reason = c.reason;
	*ret = c.revoked_ms ? OCSP_REVOKED : OCSP_GOOD;
	return 0;
}

/* One of the future, from before the clock was set back, helps no client. */
static int
find_ready(struct domain *d, const char *issuer, const char *serial,
    struct store_ocsp *ret, struct err *e)
{
	struct store_ocsp o;
	if (store_ocsp_get(d->store, issuer, serial, d->arena, &o, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (o.der.len && o.next_ms > domain_now(d) && o.this_ms <= domain_now(d))
		*ret = o;
	return 0;
}

/* The serial numbers that are asked about. */
struct asked {
	struct span v[OCSP_REQ_IDS_MAX];
	size_t n;
};

static int
put_asked(struct asked *a, struct span serial, struct err *e)
{
	if (a->n == OCSP_REQ_IDS_MAX)
		return err_set(
		    e, ERR_PARSE, "more than %d serial numbers", OCSP_REQ_IDS_MAX);
	if (serial.len == 0 || serial.len > CRL_SERIAL_MAX)
		return err_set(e, ERR_PARSE, "serial number of %zu octets", serial.len);
	a->v[a->n++] = serial;
	return 0;
}

static int
read_asked(const struct ipc_ocsp_get *m, struct asked *a, struct err *e)
{
	struct cursor c = cursor_of(m->more);
	if (put_asked(a, m->serial, e))
		return -1;
	while (c.left) {
		struct span serial = cursor_take(&c, cursor_u8(&c));
		if (c.bad)
			return err_set(e, ERR_PARSE, "serial numbers cut short");
		if (put_asked(a, serial, e))
			return -1;
	}
	return 0;
}

static int
plan_one(struct domain *d, struct ocsp_batch *b, const struct ipc_ocsp_get *m,
    struct span serial, struct buf *queries, struct err *e)
{
	struct ocsp_item item = {.revoked_ms = 0};
	enum ocsp_status status;
	hex_write(serial, item.serial);
	if (read_state(d, b->issuer, &item, &status, e))
		return -1;
	b->keep &= status != OCSP_UNKNOWN;
	return put_query(b, (enum ocsp_req_hash)m->hash, status, &item, queries, e);
}

/* Kept is what answers the next question too: of one certificate, without a nonce. */
static int
plan_live(struct domain *d, const struct ocsp_book *b, size_t issuer,
    const struct ipc_ocsp_get *m, const struct asked *a, struct ocsp_batch *ret,
    struct err *e)
{
	auto_buf queries = BUF_INIT(OCSP_REQ_IDS_MAX * OCSP_PACKED_MAX);
	begin_batch(d, b, issuer, a->n, ret);
	ret->keep = m->hash == OCSP_REQ_SHA1 && !m->nonce.len && a->n == 1;
	for (size_t i = 0; i < a->n; i++)
		if (plan_one(d, ret, m, a->v[i], &queries, e))
			return -1;
	ret->ask.queries = arena_span(d->arena, buf_span(&queries));
	ret->ask.nonce = m->nonce;
	ret->ask.together = a->n > 1;
	return buf_check(&queries, "OCSP query", e);
}

int
ocsp_book_judge(struct domain *d, const struct ocsp_book *b, const struct ipc_ocsp_get *m,
    struct ocsp_ruling *ret, struct err *e)
{
	char serial[2 * CRL_SERIAL_MAX + 1];
	struct asked asked = {.n = 0};
	struct ocsp_ruling r = {.way = OCSP_FOREIGN};
	size_t issuer = find_issuer(b, m);
	*ret = r;
	if (issuer == b->n)
		return 0;
	if (read_asked(m, &asked, e))
		return -1;
	hex_write(m->serial, serial);
	if (m->hash == OCSP_REQ_SHA1 && asked.n == 1 &&
	    find_ready(d, b->v[issuer].issuer, serial, &r.ready, e))
		return -1;
	r.way = r.ready.der.len && !m->nonce.len ? OCSP_READY : OCSP_SIGN;
	if (r.way == OCSP_SIGN && plan_live(d, b, issuer, m, &asked, &r.batch, e))
		return -1;
	*ret = r;
	return 0;
}

/* ---- answers signed ahead -------------------------------------------------------------
 */

struct gathering {
	struct ocsp_batch *batch;
	struct buf queries;
};

static int
add_due(void *ctx, const struct store_cert *c, struct err *e)
{
	struct gathering *g = ctx;
	struct ocsp_item item = {.revoked_ms = c->revoked_ms, .reason = c->reason};
	if (!span_to_str(span_str(c->serial), item.serial, sizeof(item.serial)))
		return err_set(e, ERR_CORRUPT, "serial number '%.60s'", c->serial);
	return put_query(g->batch, OCSP_REQ_SHA1,
	    c->revoked_ms ? OCSP_REVOKED : OCSP_GOOD, &item, &g->queries, e);
}

int
ocsp_book_due(struct domain *d, const struct ocsp_book *b, size_t issuer,
    struct ocsp_batch *ret, struct err *e)
{
	struct gathering g = {ret, BUF_INIT(QUERIES_MAX)};
	int64_t now = domain_now(d);
	begin_batch(d, b, issuer, OCSP_BOOK_BATCH, ret);
	ret->keep = true;
	int rc = store_ocsp_due(d->store, ret->issuer, now,
	    now + d->cfg->pki.ocsp_life_ms / 2, OCSP_BOOK_BATCH, add_due, &g, e);
	if (rc == 0) {
		ret->ask.queries = arena_span(d->arena, buf_span(&g.queries));
		rc = buf_check(&g.queries, "OCSP queries", e);
	}
	buf_done(&g.queries);
	return rc ? -1 : 0;
}

/* The signer may have made it shorter than asked, near the end of who signs. */
int
ocsp_book_times(
    struct span der, int64_t *ret_this_ms, int64_t *ret_next_ms, struct err *e)
{
	struct span top, bytes, basic, data, list, one;
	struct der_tlv t;
	int64_t this_s = 0, next_s = 0;
	if (der_expect(&der, DER_SEQUENCE, &top, e) || /* OCSPResponse, RFC 6960 4.2.1 */
	    der_expect(&top, DER_ENUMERATED, &bytes, e) ||
	    der_expect(&top, DER_EXPLICIT(0), &bytes, e) ||
	    der_expect(&bytes, DER_SEQUENCE, &bytes, e) || der_next(&bytes, &t, e) ||
	    der_expect(&bytes, DER_OCTET_STRING, &basic, e) ||
	    der_expect(&basic, DER_SEQUENCE, &basic, e) ||
	    der_expect(&basic, DER_SEQUENCE, &data, e) || /* tbsResponseData */
	    der_next(&data, &t, e) ||                     /* responderID */
	    der_next(&data, &t, e) ||                     /* producedAt */
	    der_expect(&data, DER_SEQUENCE, &list, e) ||
	    der_expect(&list, DER_SEQUENCE, &one, e) || /* SingleResponse */
	    der_next(&one, &t, e) ||                    /* certID */
	    der_next(&one, &t, e) ||                    /* certStatus */
	    der_expect_time(&one, &this_s, e) ||
	    der_expect(&one, DER_EXPLICIT(0), &one, e) ||
	    der_expect_time(&one, &next_s, e))
		return err_wrap(e, "OCSP answer");
	*ret_this_ms = this_s * 1000;
	*ret_next_ms = next_s * 1000;
	return 0;
}

int
ocsp_book_keep(struct domain *d, const struct ocsp_batch *b, size_t index,
    struct span der, struct err *e)
{
	if (index >= b->n)
		return err_set(e, ERR_CORRUPT, "answer %zu to %zu queries", index, b->n);
	struct store_ocsp o = {.issuer = b->issuer,
	    .serial = b->v[index].serial,
	    .revoked_ms = b->v[index].revoked_ms,
	    .reason = b->v[index].reason,
	    .der = der};
	if (ocsp_book_times(der, &o.this_ms, &o.next_ms, e))
		return -1;
	if (store_ocsp_put(d->store, &o, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	return 0;
}
