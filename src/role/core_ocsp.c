/*
 * OCSP in the core: answers signed ahead in batches, and live where somebody asks for
 * what no batch has.
 */
#include <string.h>

#include "base/log.h"
#include "role/core_pki.h"

/* ---- signed ahead ---------------------------------------------------------------------
 */

/* A batch that outlives the turn it was planned in. */
struct signing {
	struct core_pki *pki;
	struct ocsp_batch batch;
	struct ocsp_item items[];
};

static struct signing *
signing_new(struct core_pki *p, const struct ocsp_batch *b)
{
	struct signing *s = own_alloc(sizeof(*s) + b->n * sizeof(s->items[0]));
	s->pki = p;
	s->batch = *b;
	s->batch.ask = (struct ipc_signer_ocsp){.this_ms = b->ask.this_ms};
	memcpy(s->items, b->v, b->n * sizeof(s->items[0]));
	s->batch.v = s->items;
	return s;
}

static int
on_signed(struct core *c, void *arg, const struct core_reply *r, struct err *e)
{
	struct signing *s = arg;
	int rc = 0;
	if (r->type == IPC_SIGNER_SIGNED) {
		const struct ipc_signer_signed *m = r->msg;
		rc = ocsp_book_keep(&c->d, &s->batch, m->index, m->der, e);
	}
	if (r->last) {
		core_pki_settled(s->pki, "ocsp", rc ? e : r->why);
		free(s);
	}
	return rc;
}

static int
make_batch(struct core_pki *p, size_t issuer, struct err *e)
{
	struct ocsp_batch b;
	struct core *c = p->core;
	if (ocsp_book_due(&c->d, &p->book, issuer, &b, e))
		return -1;
	if (!b.n)
		return 0;
	auto_(free) struct signing *s = signing_new(p, &b);
	if (core_ask_signer(c, NULL, IPC_SIGNER_OCSP, &b.ask, on_signed, s, e))
		return -1;
	p->asked++;
	(void)TAKE(s);
	return 0;
}

void
core_ocsp_round(struct core_pki *p)
{
	struct err e;
	if (!p->core->cfg.pki.ocsp_presign)
		return;
	for (size_t i = 0; i < p->book.n; i++)
		if (make_batch(p, i, &e))
			log_event(LOG_ERROR, "core.ocsp",
			    LOG_STR("issuer", p->book.v[i].issuer), LOG_ERR(&e));
}

/* ---- answers --------------------------------------------------------------------------
 */

static int
answer(struct core *c, const struct ask *a, const struct store_ocsp *o, struct err *e)
{
	uint8_t tag[DIGEST_SHA256];
	digest_sha256(o->der, tag);
	const struct ipc_ocsp m = {.der = o->der,
	    .this_ms = o->this_ms,
	    .next_ms = o->next_ms,
	    .tag = span_of(tag, sizeof(tag))};
	if (core_answer(c, a, IPC_OCSP, &m, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
answer_status(struct core *c, const struct ask *a, enum ocsp_error status, struct err *e)
{
	const struct store_ocsp o = {.der = ocsp_error(status)};
	return answer(c, a, &o, e);
}

/* ---- live -----------------------------------------------------------------------------
 */

/* Somebody waits for it. */
struct waiting {
	struct signing *signing;
	struct store_ocsp got, instead; /* der: into bytes */
	struct buf bytes, instead_bytes;
	bool has_nonce;
};

static void
waiting_free(struct waiting *w)
{
	free(w->signing);
	buf_done(&w->bytes);
	buf_done(&w->instead_bytes);
	free(w);
}

static int
take_answer(struct core *c, struct waiting *w, struct span der, struct err *e)
{
	buf_put_span(&w->bytes, der);
	if (buf_check(&w->bytes, "OCSP answer", e) ||
	    ocsp_book_times(der, &w->got.this_ms, &w->got.next_ms, e))
		return -1;
	w->got.der = buf_span(&w->bytes);
	if (w->has_nonce)
		w->got.next_ms = 0; /* it is for one client alone */
	return w->signing->batch.keep
		   ? ocsp_book_keep(&c->d, &w->signing->batch, 0, der, e)
		   : 0;
}

/* A client that sent a nonce takes an answer without one (RFC 5019 4), and rather that
 * than none; it is not past its nextUpdate. */
static int
finish(struct core *c, struct waiting *w, const struct ask *a, struct err *e)
{
	if (w->got.der.len)
		return answer(c, a, &w->got, e);
	if (w->instead.der.len)
		return answer(c, a, &w->instead, e);
	return answer_status(c, a, OCSP_TRY_LATER, e);
}

static int
on_live(struct core *c, void *arg, const struct core_reply *r, struct err *e)
{
	struct waiting *w = arg;
	int rc = 0;
	if (r->type == IPC_SIGNER_SIGNED) {
		const struct ipc_signer_signed *m = r->msg;
		rc = take_answer(c, w, m->der, e);
	}
	if (!r->last)
		return rc;
	if (!rc && r->ask)
		rc = finish(c, w, r->ask, e);
	waiting_free(w);
	return rc;
}

static int
sign_live(struct core *c, const struct ask *a, const struct ocsp_ruling *r, bool nonce,
    struct err *e)
{
	struct waiting *w = own_alloc(sizeof(*w));
	w->signing = signing_new(c->pki, &r->batch);
	w->bytes = w->instead_bytes = BUF_INIT(OCSP_MAX);
	w->has_nonce = nonce;
	w->instead = r->ready;
	buf_put_span(&w->instead_bytes, r->ready.der);
	w->instead.der = buf_span(&w->instead_bytes);
	bool may = throttle_take(&c->pki->live, loop_now_ms(c->loop));
	if (may &&
	    core_ask_signer(c, a, IPC_SIGNER_OCSP, &r->batch.ask, on_live, w, e) == 0)
		return 0;
	int rc = finish(c, w, a, e);
	waiting_free(w);
	return rc;
}

static int
on_ocsp_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_ocsp_get *m = msg;
	struct ocsp_ruling r;
	if (!c->pki->book.n)
		return answer_status(c, a, OCSP_TRY_LATER, e);
	if (ocsp_book_judge(&c->d, &c->pki->book, m, &r, e))
		return -1;
	if (r.way == OCSP_FOREIGN)
		return answer_status(c, a, OCSP_UNAUTHORIZED, e);
	if (r.way == OCSP_READY)
		return answer(c, a, &r.ready, e);
	return sign_live(c, a, &r, m->nonce.len > 0, e);
}

core_handler *
core_ocsp_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_OCSP_GET] = on_ocsp_get,
	};
	return handlers[type];
}
