/*
 * What time brings to the server: its own certificate, CRLs, OCSP answers, certificates
 * that were replaced, trimming. Without a signer it waits, as the core does.
 */
#include "server_impl.h"

#include <string.h>

#include "domain/pki/crl_plan.h"
#include "domain/pki/est_request.h"
#include "domain/pki/issue.h"
#include "domain/pki/ocsp_book.h"
#include "domain/pki/revoke.h"

#define ROUNDS 100 /* of CRLs in one go */

/* ---- the server's own -----------------------------------------------------------------
 */

/* An edge asks for another at half of its life (role/edge.c). */
static void
renew_server(struct server *s)
{
	struct err e;
	struct ipc_signer_issue ask;
	struct signer_answer a;
	auto_buf der = BUF_INIT(CERT_MAX), pem = BUF_INIT(2 * CERT_MAX);
	const struct cert *old = s->tls.chain.n ? s->tls.chain.v[0] : NULL;
	if (s->signer_down ||
	    (old && sim_now_ms < (old->not_before_ms + old->not_after_ms) / 2))
		return;
	server_begin(s);
	if (issue_server(&s->d, key_spki(s->tls_key), &ask, &e) ||
	    signer_issue(s, &ask, &der, &a, &e))
		sim_die("server certificate", &e);
	a.msg.serial = span_str(a.serial);
	a.msg.der = buf_span(&der);
	if (issue_record(&s->d, &ask, &a.msg, &e))
		sim_die("server certificate", &e);
	(void)!server_end(s, 0);
	signer_recorded(s, &a.msg);
	cert_write_pem(buf_span(&der), &pem);
	face_done(&s->tls);
	if (face_of(buf_span(&pem), &s->tls, &e))
		sim_die("server certificate", &e);
}

/* ---- CRLs -----------------------------------------------------------------------------
 */

/* False where the key of its CA is away. */
static bool
make_list(struct server *s, const struct crl_place *p)
{
	struct err e;
	struct crl_job jobs[CRL_JOBS];
	size_t n;
	if (crl_plan_jobs(&s->d, p, jobs, &n, &e))
		sim_die("CRL", &e);
	for (size_t i = 0; i < n; i++) {
		auto_buf der = BUF_INIT(CAP_CRL);
		const struct ipc_signer_crl q = crl_plan_question(&jobs[i]);
		if (signer_crl(s, &q, &der, &e) == 0 &&
		    crl_plan_keep(&s->d, &jobs[i], buf_span(&der), &e) == 0)
			continue;
		if (e.code != ERR_UNAVAILABLE)
			sim_die("CRL", &e);
		return false;
	}
	return true;
}

static void
make_lists(struct server *s)
{
	struct err e;
	struct crl_place v[CRL_PLAN_BATCH];
	size_t n, made = 1;
	for (int round = 0; made; round++) {
		if (round == ROUNDS)
			sim_die("CRLs are due without end", NULL);
		server_begin(s);
		if (crl_plan_due(&s->d, v, &n, &e))
			sim_die("CRLs", &e);
		made = 0;
		for (size_t i = 0; i < n; i++)
			made += make_list(s, &v[i]);
		(void)!server_end(s, 0);
	}
}

/* ---- OCSP -----------------------------------------------------------------------------
 */

/* True where there may be more. */
static bool
sign_batch(struct server *s, const struct ocsp_book *b, size_t issuer)
{
	struct err e;
	struct ocsp_batch batch;
	size_t ends[OCSP_BOOK_BATCH], n = 0, from = 0;
	auto_buf der = BUF_INIT(OCSP_BOOK_BATCH * OCSP_MAX);
	server_begin(s);
	if (ocsp_book_due(&s->d, b, issuer, &batch, &e))
		sim_die("OCSP", &e);
	if (batch.n && signer_ocsp(s, &batch.ask, &der, ends, &n, &e) &&
	    e.code != ERR_UNAVAILABLE)
		sim_die("OCSP", &e);
	for (size_t i = 0; i < n; i++) {
		struct span one = span_of(der.p + from, ends[i] - from);
		if (ocsp_book_keep(&s->d, &batch, i, one, &e))
			sim_die("OCSP", &e);
		from = ends[i];
	}
	(void)!server_end(s, 0);
	return n == OCSP_BOOK_BATCH;
}

static void
sign_answers(struct server *s)
{
	struct err e;
	arena_reset(s->arena);
	if (s->ocsp_epoch != s->epoch && ocsp_book_load(&s->d, &s->ocsp, &e))
		sim_die("OCSP", &e);
	s->ocsp_epoch = s->epoch;
	for (size_t i = 0; i < s->ocsp.n; i++)
		while (sign_batch(s, &s->ocsp, i))
			;
}

/* ---- the rest -------------------------------------------------------------------------
 */

static void
end_superseded(struct server *s)
{
	struct err e;
	bool more = true;
	while (more) {
		server_begin(s);
		if (revoke_superseded(&s->d, 100, &more, &e))
			sim_die("superseded certificates", &e);
		(void)!server_end(s, 0);
	}
}

static void
trim(struct server *s, void *arg)
{
	struct err e;
	int64_t gone;
	(void)arg;
	if (store_event_trim(s->store, sim_now_ms - s->cfg.hub.retention_age_ms,
		(int64_t)s->cfg.hub.retention_bytes, 100000, &gone, &e) ||
	    store_conn_trim(s->store, sim_now_ms - s->cfg.hub.connlog_retention_ms,
		1000000, 100000, &gone, &e) ||
	    est_request_trim(&s->d, &e) ||
	    store_ocsp_trim(s->store, sim_now_ms, 1000, &e))
		sim_die("housekeeping", &e);
}

void
server_housekeeping(struct server *s)
{
	if (s->down)
		return;
	renew_server(s);
	end_superseded(s);
	server_turn(s, trim, NULL);
	if (s->signer_down)
		return;
	make_lists(s);
	sign_answers(s);
}
