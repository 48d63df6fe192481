/*
 * What the signer says of certificates afterwards: CRLs, signed by the CA itself, and
 * OCSP answers, signed by a delegate whose key lives in this process for some days.
 */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "crypto/crl.h"
#include "role/signer_impl.h"

#define URL_MAX 512
#define TURN_MS 60000 /* the asker's clock was read a while ago, or set back since */

static int
find_ca(struct signer *s, struct span issuer, size_t *ret, struct err *e)
{
	const struct ca_member *by = ca_find(&s->ca, issuer);
	if (!by)
		return err_set(e, ERR_NOT_FOUND, "there is no such CA here");
	*ret = (size_t)(by - s->ca.v);
	return signer_check(s, *ret, e);
}

/* What the signer says ends as soon as its configuration has it: whoever could have
 * anything else said would have "not revoked" for as long as he liked. */
static int
check_times(int64_t this_ms, int64_t next_ms, int64_t life_ms, struct err *e)
{
	int64_t now = clock_wall_ms(&clock_system);
	if (this_ms > now + TURN_MS || next_ms > now + life_ms + TURN_MS)
		return err_set(e, ERR_FORBIDDEN,
		    "a CRL or OCSP answer of the future, or for longer than is "
		    "configured");
	return 0;
}

/* ---- CRLs -----------------------------------------------------------------------------
 */

static int
take_entries(struct span packed, struct crl_entry **ret, size_t *ret_n, struct err *e)
{
	size_t n = 0, room = packed.len / 11 + 1; /* the shortest entry has 11 octets */
	auto_(free) struct crl_entry *v = own_alloc(room * sizeof(*v));
	for (; packed.len; n++)
		if (crl_entry_unpack(&packed, &v[n], e))
			return -1;
	*ret = TAKE(v);
	*ret_n = n;
	return 0;
}

static int
build_crl(
    struct signer *s, const struct ipc_signer_crl *m, struct buf *der, struct err *e)
{
	char url[URL_MAX], freshest[URL_MAX];
	size_t by = 0;
	auto_(free) struct crl_entry *entries = NULL;
	struct crl_fields f = {.number = (uint64_t)m->number,
	    .base = (uint64_t)m->base,
	    .this_ms = m->this_ms,
	    .next_ms = m->next_ms};
	if (m->number <= 0 || m->base < 0 || m->shard < -1)
		return err_set(e, ERR_USAGE, "CRL: number, base or shard out of range");
	if (check_times(m->this_ms, m->next_ms, s->cfg.pki.crl_life_ms, e) ||
	    find_ca(s, m->issuer, &by, e) || take_entries(m->entries, &entries, &f.n, e))
		return -1;
	f.entries = entries;
	if (m->shard >= 0 && s->url[0]) {
		const char *name = s->ca.v[by].name;
		snprintf(url, sizeof(url), "%s/crl/%s/%" PRId64 ".crl", s->url, name,
		    m->shard);
		snprintf(freshest, sizeof(freshest), "%s/crl/%s/%" PRId64 "-delta.crl",
		    s->url, name, m->shard);
		f.url = url;
		f.freshest = m->base ? NULL : freshest;
	}
	return crl_build(s->ca.v[by].issuer, &f, der, e);
}

static void
answer_signed(struct signer *s, uint64_t id, uint32_t index, struct span der)
{
	struct ipc_signer_signed m = {.index = index, .der = der};
	signer_answer(s, IPC_SIGNER_SIGNED, id, &m);
}

static void
answer_done(struct signer *s, uint64_t id)
{
	struct ipc_done m = {0};
	signer_answer(s, IPC_DONE, id, &m);
}

void
signer_status_take_crl(struct signer *s, const struct ipc_frame *f)
{
	struct ipc_signer_crl m;
	struct err e;
	auto_buf der = BUF_INIT(CAP_CRL);
	if (ipc_msg_unpack(IPC_SIGNER_CRL, f->body, &m, &e) ||
	    build_crl(s, &m, &der, &e)) {
		signer_answer_error(s, f->id, &e);
		return;
	}
	answer_signed(s, f->id, 0, buf_span(&der));
	answer_done(s, f->id);
}

/* ---- OCSP delegates -------------------------------------------------------------------
 */

/* Long enough that half of its life still covers an answer's. */
static int64_t
delegate_life_s(const struct config *cfg)
{
	int64_t need = 3 * (cfg->pki.ocsp_life_ms / 1000);
	int64_t usual = profile_get(PROFILE_OCSP)->life_default_s;
	return need > usual ? need : usual;
}

/* Issued by the CA it answers for (RFC 6960 4.2.2.2) and journaled like any other. */
static int
issue_delegate(struct signer *s, size_t by, struct key *key, struct buf *pem,
    int64_t *ret_renew_ms, struct err *e)
{
	char cn[64];
	auto_buf der = BUF_INIT(CERT_MAX);
	uint8_t serial[TBS_SERIAL];
	int64_t now_s = clock_wall_s(&clock_system);
	tbs_serial(serial);
	snprintf(cn, sizeof(cn), "%s OCSP", s->ca.v[by].name);
	struct sign_job j = {.by = by,
	    .requester = "ocsp",
	    .req = {.profile = PROFILE_OCSP,
		.cn = cn,
		.org = s->cfg.pki.organization,
		.spki = key_spki(key),
		.now_s = now_s,
		.life_s = delegate_life_s(&s->cfg),
		.serial = serial}};
	if (issuer_sign(s->ca.v[by].issuer, &j.req, &der, &j.result, e))
		return -1;
	if (signer_issue_journal(s, &j, e) || journal_sync(s->journal, e))
		signer_issue_die(e);
	cert_write_pem(buf_span(&der), pem);
	*ret_renew_ms = (now_s + (j.result.not_after_s - now_s) / 2) * 1000;
	return buf_check(pem, "OCSP delegate", e);
}

static struct key *
delegate_key(struct signer *s, struct err *e)
{
	if (s->ocsp_key)
		return key_ref(s->ocsp_key);
	if (s->cfg.pki.ocsp_key[0])
		return key_client_fetch(s->keys, "pki.ocsp_key", e);
	return key_generate(KEY_P256, e);
}

static int
renew(struct signer *s, size_t by, struct err *e)
{
	struct signer_responder *d = &s->responders[by];
	auto_(key_free) struct key *key = delegate_key(s, e);
	auto_buf pem = BUF_INIT(CERT_MAX * 2);
	int64_t renew_ms;
	if (!key || issue_delegate(s, by, key, &pem, &renew_ms, e))
		return -1;
	struct ocsp_responder *r =
	    ocsp_responder_new(buf_span(&pem), key, s->ca.v[by].cert, e);
	if (!r)
		return -1;
	ocsp_responder_free(d->r);
	d->r = r;
	d->renew_at_ms = renew_ms;
	log_event(LOG_INFO, "signer.ocsp_delegate", LOG_STR("ca", s->ca.v[by].name),
	    LOG_INT("until_ms", ocsp_responder_cert(r)->not_after_ms));
	return 0;
}

/* The delegate of that CA, fresh where it is due. One that cannot be renewed goes on
 * until its end. A clock that was set back makes it one of the future: renewed too. */
static int
delegate(struct signer *s, size_t by, struct ocsp_responder **ret, struct err *e)
{
	struct signer_responder *d = &s->responders[by];
	int64_t now = clock_wall_ms(&clock_system);
	bool usable = d->r && cert_valid_at(ocsp_responder_cert(d->r), now);
	if (!usable || now >= d->renew_at_ms) {
		int rc = renew(s, by, e);
		if (rc && !usable)
			return err_wrap(e, "OCSP delegate of %s", s->ca.v[by].name);
		if (rc)
			log_event(LOG_WARN, "signer.ocsp_delegate", LOG_ERR(e));
	}
	*ret = d->r;
	return 0;
}

void
signer_status_done(struct signer *s)
{
	for (size_t i = 0; i < s->ca.n; i++)
		ocsp_responder_free(s->responders[i].r);
	key_free(s->ocsp_key);
}

/* ---- OCSP answers ---------------------------------------------------------------------
 */

struct answers {
	struct ocsp_single *singles;
	struct ocsp_fields *fields;
	size_t *ends;
	size_t n;
	struct buf der;
};

static void
answers_done(struct answers *v)
{
	free(v->singles);
	free(v->fields);
	free(v->ends);
	buf_done(&v->der);
}

static int
take_queries(
    const struct ipc_signer_ocsp *m, int64_t next_ms, struct answers *v, struct err *e)
{
	struct span rest = m->queries;
	int64_t now = clock_wall_ms(&clock_system);
	size_t room = rest.len / 13 + 1; /* the shortest query has 13 octets */
	v->singles = own_alloc(room * sizeof(*v->singles));
	v->fields = own_alloc(room * sizeof(*v->fields));
	v->ends = own_alloc(room * sizeof(*v->ends));
	for (; rest.len; v->n++) {
		struct ocsp_single *o = &v->singles[v->n];
		if (ocsp_single_unpack(&rest, o, e))
			return -1;
		o->this_ms = m->this_ms;
		o->next_ms = next_ms;
		v->fields[v->n] =
		    (struct ocsp_fields){.produced_ms = now, .singles = o, .n = 1};
	}
	return v->n ? 0 : err_set(e, ERR_USAGE, "OCSP: no query");
}

/* No answer outlives who signed it: near the CA's own end they get shorter. */
static int
build_ocsp(
    struct signer *s, const struct ipc_signer_ocsp *m, struct answers *v, struct err *e)
{
	size_t by = 0;
	struct ocsp_responder *r = NULL;
	if (check_times(m->this_ms, m->next_ms, s->cfg.pki.ocsp_life_ms, e) ||
	    find_ca(s, m->issuer, &by, e) || delegate(s, by, &r, e))
		return -1;
	int64_t end = ocsp_responder_cert(r)->not_after_ms;
	if (take_queries(m, m->next_ms < end ? m->next_ms : end, v, e))
		return -1;
	v->der = BUF_INIT((size_t)v->n * OCSP_MAX);
	if (!m->nonce.len && !m->together)
		return ocsp_build_many(r, v->fields, v->n, &v->der, v->ends, e);
	const struct ocsp_fields all = {.produced_ms = v->fields[0].produced_ms,
	    .singles = v->singles,
	    .n = v->n,
	    .nonce = m->nonce};
	v->n = 1;
	if (ocsp_build(r, &all, &v->der, e))
		return -1;
	v->ends[0] = v->der.len;
	return 0;
}

void
signer_status_take_ocsp(struct signer *s, const struct ipc_frame *f)
{
	__attribute__((cleanup(answers_done))) struct answers v = {.n = 0};
	struct ipc_signer_ocsp m;
	struct err e;
	if (ipc_msg_unpack(IPC_SIGNER_OCSP, f->body, &m, &e) ||
	    build_ocsp(s, &m, &v, &e)) {
		signer_answer_error(s, f->id, &e);
		return;
	}
	size_t from = 0;
	for (size_t i = 0; i < v.n; i++) {
		answer_signed(
		    s, f->id, (uint32_t)i, span_of(v.der.p + from, v.ends[i] - from));
		from = v.ends[i];
	}
	answer_done(s, f->id);
}
