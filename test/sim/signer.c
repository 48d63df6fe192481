/*
 * The signer's part. Its rules (which CA, which life, which places) are those of
 * role/signer_issue.c and role/signer_status.c, which read the system's clock.
 */
#include "server_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "crypto/ca.h"
#include "crypto/digest.h"
#include "store/journal.h"

#define URL_MAX 256

/* ---- CAs ------------------------------------------------------------------------------
 */

static const struct sim_ca *
first_root(const struct server *s)
{
	for (size_t i = 0; i < s->n_ca; i++)
		if (s->ca[i].purpose == CA_ROOT)
			return &s->ca[i];
	sim_die("no root", NULL);
}

void
signer_make_ca(struct server *s, const char *name, enum ca_purpose purpose)
{
	struct err e;
	char cn[64];
	struct sim_ca *ca = &s->ca[s->n_ca];
	auto_(key_free) struct key *key = key_generate(KEY_P256, &e);
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	const struct ca_subject who = {.cn = cn, .org = "muster"};
	snprintf(cn, sizeof(cn), "sim %s", name);
	int64_t now_s = sim_now_ms / 1000;
	int rc = !key || s->n_ca == SIM_CAS;
	if (rc == 0)
		rc = purpose == CA_ROOT ? ca_make_root(key, &who, now_s, &pem, &e)
					: ca_make_issuing(first_root(s)->issuer,
					      key_spki(key), &who, now_s, &pem, &e);
	if (rc == 0)
		ca->issuer = issuer_new(buf_span(&pem), key, &e);
	if (rc || !ca->issuer)
		sim_die(name, &e);
	snprintf(ca->name, sizeof(ca->name), "%s", name);
	ca->purpose = purpose;
	s->n_ca++;
}

static int
find_ca(struct server *s, struct span sha256, enum ca_purpose want, struct sim_ca **ret,
    struct err *e)
{
	if (s->signer_down)
		return err_set(e, ERR_UNAVAILABLE, "the signer is restarting");
	for (size_t i = 0; i < s->n_ca; i++) {
		struct sim_ca *ca = &s->ca[i];
		struct span own = span_of(issuer_cert(ca->issuer)->sha256, DIGEST_SHA256);
		if (sha256.len ? !span_eq(own, sha256) : ca->purpose != want)
			continue;
		if (s->token_away && ca->purpose == CA_DEVICE)
			return err_set(
			    e, ERR_UNAVAILABLE, "the token of %s is away", ca->name);
		*ret = ca;
		return 0;
	}
	return err_set(e, ERR_NOT_FOUND, "there is no such CA here");
}

/* ---- certificates ---------------------------------------------------------------------
 */

static void
write_down(struct server *s, const struct sim_ca *by, const struct issuer_request *r,
    const struct issuer_result *res, const char *requester)
{
	char serial[2 * TBS_SERIAL + 1], cert[65], issuer[65], spki[65];
	uint8_t sha[DIGEST_SHA256];
	struct err e;
	digest_sha256(r->spki, sha);
	hex_write(span_of(sha, sizeof(sha)), spki);
	hex_write(span_of(res->serial, TBS_SERIAL), serial);
	hex_write(span_of(res->sha256, DIGEST_SHA256), cert);
	hex_write(span_of(issuer_cert(by->issuer)->sha256, DIGEST_SHA256), issuer);
	const struct journal_entry en = {.time_ms = sim_now_ms,
	    .profile = profile_get(r->profile)->name,
	    .issuer_sha256 = issuer,
	    .serial = serial,
	    .subject = r->cn,
	    .spki_sha256 = spki,
	    .not_before_ms = res->not_before_s * 1000,
	    .not_after_ms = res->not_after_s * 1000,
	    .cert_sha256 = cert,
	    .requester = requester};
	if (journal_append(s->journal, &en, &e) || journal_sync(s->journal, &e))
		sim_die("journal", &e);
	struct sim_cert *was, *c = own_alloc(sizeof(*c));
	snprintf(c->serial, sizeof(c->serial), "%s", serial);
	snprintf(c->issuer, sizeof(c->issuer), "%s", issuer);
	snprintf(c->subject, sizeof(c->subject), "%s", r->cn);
	HASH_FIND_STR(s->certs, serial, was);
	if (was)
		sim_die("a serial number came twice", NULL);
	HASH_ADD_STR(s->certs, serial, c);
	s->n.signed_++;
}

void
signer_recorded(struct server *s, const struct ipc_signer_issued *got)
{
	char serial[49];
	struct sim_cert *c;
	(void)span_to_str(got->serial, serial, sizeof(serial));
	HASH_FIND_STR(s->certs, serial, c);
	if (!c)
		sim_die("recorded, but never signed", NULL);
	c->recorded = true;
}

/* Where to ask about a certificate. */
struct places {
	char crl[URL_MAX], ocsp[URL_MAX], issuers[URL_MAX];
};

static int64_t
put_places(struct server *s, const struct sim_ca *by, struct issuer_request *r,
    struct places *at)
{
	if (r->profile == PROFILE_SERVER)
		return -1;
	int64_t shard =
	    crl_shard(span_of(r->serial, TBS_SERIAL), (unsigned)s->cfg.pki.crl_shards);
	const char *url = s->cfg.pki.public_url;
	snprintf(at->crl, URL_MAX, "%s/crl/%s/%lld.crl", url, by->name, (long long)shard);
	snprintf(at->ocsp, URL_MAX, "%s/ocsp", url);
	snprintf(at->issuers, URL_MAX, "%s/ca/%s.crt", url, by->name);
	r->crl_url = at->crl;
	r->ocsp_url = at->ocsp;
	r->issuers_url = at->issuers;
	return shard;
}

static int64_t
life_of(const struct server *s, const struct ipc_signer_issue *m)
{
	int64_t cap = m->profile == PROFILE_DEVICE ? s->cfg.pki.leaf_life_ms
						   : s->cfg.pki.server_life_ms;
	return m->life_ms > 0 && m->life_ms < cap ? m->life_ms : cap;
}

int
signer_issue(struct server *s, const struct ipc_signer_issue *m, struct buf *der,
    struct signer_answer *ret, struct err *e)
{
	struct sim_ca *by;
	struct places at;
	struct issuer_result res;
	uint8_t serial[TBS_SERIAL];
	char subject[129], requester[201];
	int64_t backdate_s = s->cfg.pki.backdate_ms / 1000;
	enum ca_purpose want = ca_purpose_of((enum profile_id)m->profile);
	(void)span_to_str(m->subject, subject, sizeof(subject));
	(void)span_to_str(m->requester, requester, sizeof(requester));
	if (find_ca(s, m->issuer, want, &by, e))
		return -1;
	if (by->purpose != want)
		return err_set(
		    e, ERR_FORBIDDEN, "%s issues no such certificate", by->name);
	tbs_serial(serial);
	const char *san = "127.0.0.1";
	struct issuer_request r = {.profile = (enum profile_id)m->profile,
	    .cn = subject,
	    .org = s->cfg.pki.organization,
	    .san = &san,
	    .n_san = m->names.len > 0,
	    .spki = m->spki,
	    .now_s = sim_now_ms / 1000,
	    .life_s = life_of(s, m) / 1000,
	    .backdate_s = &backdate_s,
	    .serial = serial};
	int64_t shard = put_places(s, by, &r, &at);
	if (issuer_sign(by->issuer, &r, der, &res, e))
		return -1;
	write_down(s, by, &r, &res, requester);
	hex_write(span_of(res.serial, TBS_SERIAL), ret->serial);
	ret->msg = (struct ipc_signer_issued){.not_before_ms = res.not_before_s * 1000,
	    .not_after_ms = res.not_after_s * 1000,
	    .journal_seq = journal_count(s->journal),
	    .issuer = span_of(issuer_cert(by->issuer)->sha256, DIGEST_SHA256),
	    .shard = shard};
	return 0;
}

/* ---- CRLs -----------------------------------------------------------------------------
 */

int
signer_crl(
    struct server *s, const struct ipc_signer_crl *m, struct buf *der, struct err *e)
{
	char url[URL_MAX], freshest[URL_MAX];
	struct sim_ca *by;
	struct span rest = m->entries;
	size_t n = 0;
	auto_(free) struct crl_entry *v = own_alloc((rest.len / 11 + 1) * sizeof(*v));
	if (find_ca(s, m->issuer, CA_DEVICE, &by, e))
		return -1;
	for (; rest.len; n++)
		if (crl_entry_unpack(&rest, &v[n], e))
			return -1;
	struct crl_fields f = {.number = (uint64_t)m->number,
	    .base = (uint64_t)m->base,
	    .this_ms = m->this_ms,
	    .next_ms = m->next_ms,
	    .entries = v,
	    .n = n};
	if (m->shard >= 0) {
		snprintf(url, URL_MAX, "%s/crl/%s/%lld.crl", s->cfg.pki.public_url,
		    by->name, (long long)m->shard);
		snprintf(freshest, URL_MAX, "%s/crl/%s/%lld-delta.crl",
		    s->cfg.pki.public_url, by->name, (long long)m->shard);
		f.url = url;
		f.freshest = m->base ? NULL : freshest;
	}
	s->n.crls++;
	return crl_build(by->issuer, &f, der, e);
}

/* ---- OCSP -----------------------------------------------------------------------------
 */

static int
renew_delegate(struct server *s, struct sim_ca *by, struct err *e)
{
	struct issuer_result res;
	auto_(key_free) struct key *key = key_generate(KEY_P256, e);
	auto_buf der = BUF_INIT(CERT_MAX), pem = BUF_INIT(2 * CERT_MAX);
	if (!key)
		return -1;
	const struct issuer_request r = {.profile = PROFILE_OCSP,
	    .cn = "sim OCSP",
	    .org = "muster",
	    .spki = key_spki(key),
	    .now_s = sim_now_ms / 1000,
	    .life_s = profile_get(PROFILE_OCSP)->life_default_s};
	if (issuer_sign(by->issuer, &r, &der, &res, e))
		return -1;
	write_down(s, by, &r, &res, "ocsp");
	cert_write_pem(buf_span(&der), &pem);
	struct ocsp_responder *fresh =
	    ocsp_responder_new(buf_span(&pem), key, issuer_cert(by->issuer), e);
	if (!fresh)
		return -1;
	ocsp_responder_free(by->ocsp);
	by->ocsp = fresh;
	by->ocsp_renew_ms = sim_now_ms + (res.not_after_s * 1000 - sim_now_ms) / 2;
	return 0;
}

int
signer_ocsp(struct server *s, const struct ipc_signer_ocsp *m, struct buf *der,
    size_t *ends, size_t *ret_n, struct err *e)
{
	struct sim_ca *by;
	struct span rest = m->queries;
	size_t n = 0;
	if (find_ca(s, m->issuer, CA_DEVICE, &by, e) ||
	    (sim_now_ms >= by->ocsp_renew_ms && renew_delegate(s, by, e)))
		return -1;
	int64_t end_ms = ocsp_responder_cert(by->ocsp)->not_after_ms;
	auto_(free) struct ocsp_single *v = own_alloc((rest.len / 13 + 1) * sizeof(*v));
	auto_(free) struct ocsp_fields *f = own_alloc((rest.len / 13 + 1) * sizeof(*f));
	for (; rest.len; n++) {
		if (ocsp_single_unpack(&rest, &v[n], e))
			return -1;
		v[n].this_ms = m->this_ms;
		v[n].next_ms = m->next_ms < end_ms ? m->next_ms : end_ms;
		f[n] = (struct ocsp_fields){
		    .produced_ms = sim_now_ms, .singles = &v[n], .n = 1};
	}
	s->n.ocsps += (int64_t)n;
	*ret_n = n;
	return ocsp_build_many(by->ocsp, f, n, der, ends, e);
}

void
signer_done(struct server *s)
{
	struct sim_cert *c, *next;
	for (size_t i = 0; i < s->n_ca; i++) {
		issuer_free(s->ca[i].issuer);
		ocsp_responder_free(s->ca[i].ocsp);
	}
	HASH_ITER (hh, s->certs, c, next) {
		HASH_DEL(s->certs, c);
		free(c);
	}
}
