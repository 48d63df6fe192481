/*
 * Registration of devices.
 */
#include "domain/dps/enrol.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/hex.h"
#include "base/rand.h"
#include "codec/hub_conf.h"
#include "crypto/digest.h"
#include "domain/dps/alloc.h"
#include "domain/dps/enrollment.h"
#include "domain/hub/identity.h"
#include "domain/pki/issuer_root.h"
#include "domain/access/poll_guard.h"
#include "domain/pki/revoke.h"
#include "domain/access/throttle.h"
#include "domain/dps/tpm.h"

/* azure profile: how long a registration is "assigning" before a poll may succeed. */
#define AZURE_ASSIGN_MS 1500
/* How long the signer may take, and what is allowed beside a webhook's own time-out. */
#define SIGNER_MS 30000
#define SLACK_MS  5000

/* A registration being decided. */
struct enrol_case {
	struct domain *d;
	struct attested a;
	struct assign_ask assign;
	struct assign_twin twin;       /* a webhook's */
	struct store_registration r;   /* as it will be */
	struct store_registration was; /* as it is; id NULL: not there */
	struct span csr_cn, csr_spki;  /* spki empty: no CSR came */
	struct enrol_result *ret;
};

static bool
is_refused(const struct refusal *no)
{
	return no->code != REFUSAL_NONE;
}

static bool
is(const struct store_registration *r, const char *status)
{
	return strcmp(r->status, status) == 0;
}

/* ---- answers --------------------------------------------------------------------------
 */

struct ipc_dps_state
enrol_state(const struct store_registration *r)
{
	return (struct ipc_dps_state){
	    .operation_id = span_str(r->operation_id),
	    .status = span_str(r->status),
	    .substatus = span_str(r->substatus),
	    .registration_id = span_str(r->id),
	    .group_id = span_str(r->group_id),
	    .device_id = span_str(r->device_id),
	    .hub = span_str(r->hub),
	    .attestation = span_str(r->attestation),
	    .thumb = span_str(r->thumb),
	    .error = (uint32_t)r->error_code,
	    .error_text = span_str(r->error_text),
	    .etag = r->etag,
	    .created_ms = r->created_ms,
	    .updated_ms = r->updated_ms,
	    .payload = r->payload,
	};
}

/* Leaf, its issuer, the root above, DER after DER; empty where the certificate is no more
 * on record. */
static int
read_chain(struct domain *d, const char *sha256, struct span *ret, struct err *e)
{
	struct store_cert leaf;
	struct store_issuer ca, root;
	bool found;
	auto_buf chain = BUF_INIT(CAP_CHAIN);
	*ret = SPAN_NONE;
	if (!sha256[0])
		return 0;
	if (store_cert_by_sha256(d->store, sha256, d->arena, &leaf, e) ||
	    store_issuer_get(d->store, leaf.issuer, d->arena, &ca, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (issuer_root_of(d, &ca, &root, &found, e))
		return -1;
	buf_put_span(&chain, leaf.der);
	buf_put_span(&chain, ca.cert);
	if (found)
		buf_put_span(&chain, root.cert);
	*ret = arena_span(d->arena, buf_span(&chain));
	return buf_check(&chain, "issued chain", e);
}

/* What the TPM imports to sign for its hub. */
static int
add_tpm_key(
    struct domain *d, const struct attested *a, struct ipc_dps_state *st, struct err *e)
{
	struct store_device dev;
	if (store_device_get(
		d->store, arena_str(d->arena, st->device_id), d->arena, &dev, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (dev.auth != STORE_AUTH_SAS || !dev.primary_key.len)
		return 0; /* it has gone over to X.509 meanwhile */
	return tpm_wrap(d, &a->by, dev.primary_key, &st->tpm_key, e);
}

static int
add_secrets(struct domain *d, const struct attested *a,
    const struct store_registration *r, struct ipc_dps_state *st, struct err *e)
{
	if (a->by.attestation == STORE_ATT_TPM && add_tpm_key(d, a, st, e))
		return -1;
	return read_chain(d, r->cert, &st->chain, e);
}

/* What a device gets now: a registration still under way says "assigning". */
static int
answer(struct domain *d, const struct attested *a, const struct store_registration *r,
    struct ipc_dps_state *ret, struct err *e)
{
	struct ipc_dps_state st = enrol_state(r);
	if (is(r, "assigned") && r->ready_ms > domain_now(d))
		st.status = SPAN_LIT("assigning");
	if (span_eq_str(st.status, "assigning"))
		st.retry_after_s = (uint32_t)d->cfg->dps.retry_after_s;
	if (span_eq_str(st.status, "assigned") && add_secrets(d, a, r, &st, e))
		return -1;
	*ret = st;
	return 0;
}

/* ---- records --------------------------------------------------------------------------
 */

/* A status that SDKs know, always with a number and words (device.md 7, row 53); and the
 * operator finds it among the registrations. */
static int
record_refused(
    struct enrol_case *c, const char *status, const struct refusal *no, struct err *e)
{
	const struct refusal_row *row = refusal_row(no->code);
	c->r.status = status;
	c->r.substatus = "initialAssignment";
	c->r.error_code = row->dps;
	c->r.error_text = row->words;
	c->r.deadline_ms = 0;
	if (store_registration_put(c->d->store, &c->r, e))
		return -1;
	c->ret->next = ENROL_DONE;
	c->ret->state = enrol_state(&c->r);
	return 0;
}

static int
record_failed(struct enrol_case *c, const struct refusal *no, struct err *e)
{
	return record_refused(c, "failed", no, e);
}

/* Until something else is told, or its time is over: then it has failed as code says. */
static int
record_waiting(struct enrol_case *c, enum enrol_next next, enum refusal_code code,
    int64_t most_ms, struct err *e)
{
	c->r.status = "assigning";
	c->r.error_code = refusal_row(code)->dps;
	c->r.error_text = refusal_row(code)->words;
	c->r.deadline_ms = domain_now(c->d) + most_ms;
	if (store_registration_put(c->d->store, &c->r, e))
		return -1;
	c->ret->next = next;
	return answer(c->d, &c->a, &c->r, &c->ret->state, e);
}

static int
record_assigned(struct enrol_case *c, struct err *e)
{
	c->r.status = "assigned";
	c->r.error_code = 0;
	c->r.error_text = "";
	c->r.deadline_ms = 0;
	if (store_registration_put(c->d->store, &c->r, e))
		return -1;
	c->ret->next = ENROL_DONE;
	return answer(c->d, &c->a, &c->r, &c->ret->state, e);
}

/* ---- what it waits with ---------------------------------------------------------------
 */

static void
keep_key(struct span key, uint8_t to[ENROL_KEY_MAX], size_t *ret_len)
{
	*ret_len = key.len <= ENROL_KEY_MAX ? key.len : 0;
	memcpy(to, key.p, *ret_len);
}

static void
keep(struct enrol_case *c)
{
	struct enrol_pending *p = &c->ret->pending;
	*p = (struct enrol_pending){.kind = c->a.by.kind,
	    .by_key = c->a.by_key,
	    .has_chain = c->a.has_chain,
	    .spki_len = c->csr_spki.len};
	snprintf(p->id, sizeof(p->id), "%s", c->r.id);
	snprintf(p->operation_id, sizeof(p->operation_id), "%s", c->r.operation_id);
	snprintf(p->enrollment, sizeof(p->enrollment), "%s", c->a.by.id);
	snprintf(p->cn, sizeof(p->cn), "%s", c->a.cn ? c->a.cn : "");
	memcpy(p->thumb, c->a.thumb, sizeof(p->thumb));
	(void)span_to_str(c->assign.address, p->address, sizeof(p->address));
	(void)span_to_str(c->assign.api_version, p->api_version, sizeof(p->api_version));
	if (c->a.by_key) {
		keep_key(c->a.primary_key, p->keys[0], &p->key_len[0]);
		keep_key(c->a.secondary_key, p->keys[1], &p->key_len[1]);
	}
	(void)span_to_str(c->csr_cn, p->csr_cn, sizeof(p->csr_cn));
	if (c->csr_spki.len)
		memcpy(p->spki, c->csr_spki.p, c->csr_spki.len);
}

/* ---- the certificate ------------------------------------------------------------------
 */

/* The identity goes by it from now on. */
static int
take_certificate(struct enrol_case *c, const struct ipc_signer_issued *got, struct err *e)
{
	uint8_t sha[DIGEST_SHA256];
	char *text = arena_alloc(c->d->arena, 2 * sizeof(sha) + 1);
	digest_sha256(got->der, sha);
	hex_write(span_of(sha, sizeof(sha)), text);
	c->r.cert = text;
	c->ret->moved = c->r.device_id;
	if (identity_certify(c->d, c->r.device_id, text, e))
		return -1;
	return record_assigned(c, e);
}

static int
ask_certificate(struct enrol_case *c, struct refusal *no, struct err *e)
{
	struct est_grant g;
	const struct est_applicant who = {.device_id = c->r.device_id,
	    .credential = c->a.by_key ? c->r.attestation : c->a.thumb,
	    .registration_id = span_str(c->r.id),
	    .cn = c->csr_cn,
	    .spki = c->csr_spki,
	    .address = c->assign.address};
	if (est_register(c->d, &who, &g, no, e))
		return -1;
	if (!is_refused(no) && g.outcome == EST_WAIT)
		refusal_set(no, g.waits_for[0] ? REFUSAL_EST_WAITS : REFUSAL_THROTTLED,
		    "%s", c->r.device_id);
	if (is_refused(no))
		return record_failed(c, no, e);
	const struct ipc_signer_issued again = {.der = g.der};
	if (g.outcome == EST_AGAIN) /* the answer to an approved one was lost */
		return take_certificate(c, &again, e);
	if (record_waiting(c, ENROL_ISSUE, REFUSAL_NOT_ISSUED, SIGNER_MS, e)) {
		est_done(c->d, &g.promise);
		return -1;
	}
	keep(c);
	c->ret->pending.promise = g.promise;
	c->ret->issue = g.issue;
	return 0;
}

/* ---- the hub --------------------------------------------------------------------------
 */

/* fresh: nothing is on record yet, so what the identity refuses is refused outright. */
static int
place(
    struct enrol_case *c, const char *hub, bool fresh, struct refusal *no, struct err *e)
{
	struct assign_outcome got;
	int64_t version;
	const struct identity_change ch = {
	    .device_id = c->r.device_id, .hub = hub, .by = &c->a, .assign = &c->assign};
	if (identity_write(c->d, &ch, &got, &version, no, e))
		return -1;
	if (is_refused(no))
		return fresh ? 0 : record_failed(c, no, e);
	c->r.substatus = got.substatus;
	c->r.hub = hub;
	c->r.hubs = assign_history(c->d, c->assign.was, hub);
	if (got.moved)
		c->ret->moved = c->r.device_id;
	c->ret->twin = (struct enrol_twin){c->r.device_id, got.change, version};
	if (c->d->cfg->server.profile == CONFIG_PROFILE_AZURE)
		c->r.ready_ms = domain_now(c->d) + AZURE_ASSIGN_MS;
	return c->csr_spki.len ? ask_certificate(c, no, e) : record_assigned(c, e);
}

static int
choose(struct enrol_case *c, struct refusal *no, struct err *e)
{
	bool custom = strcmp(c->a.by.allocation, "custom") == 0;
	struct links links;
	const char *kept = assign_kept(c->d->cfg, &c->assign);
	/* before anything is on record: nobody would decide it (device.md 1.8) */
	if (custom && !kept && c->d->hooks_full)
		return refusal_set(no, REFUSAL_THROTTLED, "webhooks under way");
	if (custom && !kept) {
		keep(c);
		return record_waiting(c, ENROL_CALL, REFUSAL_WEBHOOK,
		    c->d->cfg->dps.webhook_timeout_ms + SLACK_MS, e);
	}
	if (custom)
		c->r.payload = c->was.payload;
	if (links_load(c->d, &links, e))
		return -1;
	const char *hub = assign_choose(c->d->cfg, &links, &c->assign, span_str(c->r.id));
	if (hub)
		return place(c, hub, true, no, e);
	refusal_set(no, REFUSAL_ALLOCATION, "enrollment %s", c->a.by.id);
	return record_failed(c, no, e);
}

/* ---- a registration -------------------------------------------------------------------
 */

static const char *
new_operation_id(struct domain *d)
{
	char guid[37];
	rand_uuid(guid);
	return arena_printf(d->arena, "4.%016" PRIx64 ".%s", rand_u64(), guid);
}

/* As the certificate, the enrollment or the device spells it. */
static const char *
own_id(const struct attested *a, const char *id)
{
	if (!a->by_key)
		return a->cn;
	return a->by.kind == STORE_INDIVIDUAL ? a->by.id : id;
}

/* Which device a registration is for: the one its individual enrollment says, else the
 * one of its own ID, as it was spelled before (hub IDs keep their case, device.md 1.2). A
 * device that another enrollment said stays that one's: a group gives no other ID (2.1).
 */
static const char *
device_of(const struct enrol_case *c, const char *id)
{
	const struct attested *a = &c->a;
	const char *own = own_id(a, id);
	if (a->by.kind == STORE_INDIVIDUAL && a->by.device_id[0])
		return a->by.device_id;
	return c->was.id && strcasecmp(c->was.device_id, own) == 0 ? c->was.device_id
								   : own;
}

static const char *
attestation_name(const struct attested *a)
{
	if (!a->by_key)
		return "x509";
	return a->by.attestation == STORE_ATT_TPM ? "tpm" : "symmetricKey";
}

/* A block goes by the name an operator revoked: the registration's or the device's. */
static int
check_blocked(struct domain *d, const struct store_registration *r, struct refusal *no,
    struct err *e)
{
	if (revoke_check_enrolment(d, span_str(r->id), no, e))
		return -1;
	if (is_refused(no) || strcasecmp(r->id, r->device_id) == 0)
		return 0;
	return revoke_check_enrolment(d, span_str(r->device_id), no, e);
}

static int
load(struct enrol_case *c, const char *id, struct err *e)
{
	c->assign.by = &c->a.by;
	if (store_registration_get(c->d->store, id, c->d->arena, &c->was, e) == 0)
		c->assign.was = &c->was;
	else if (e->code == ERR_NOT_FOUND)
		c->was = (struct store_registration){0};
	else
		return -1;
	return 0;
}

/* "" where no certificate is asked for. */
static const char *
csr_key(const struct enrol_case *c)
{
	uint8_t sha[DIGEST_SHA256];
	if (!c->csr_spki.len)
		return "";
	char *text = arena_alloc(c->d->arena, 2 * sizeof(sha) + 1);
	digest_sha256(c->csr_spki, sha);
	hex_write(span_of(sha, sizeof(sha)), text);
	return text;
}

static void
begin(struct enrol_case *c, const char *id)
{
	int64_t now = domain_now(c->d);
	const struct store_registration *was = c->was.id ? &c->was : NULL;
	c->r = (struct store_registration){.id = was ? was->id : id,
	    .group_id = c->a.by.kind == STORE_GROUP ? c->a.by.id : "",
	    .device_id = device_of(c, id),
	    .hub = was ? was->hub : "",
	    .hubs = was ? was->hubs : "",
	    .operation_id = new_operation_id(c->d),
	    .attestation = attestation_name(&c->a),
	    .thumb = arena_str(c->d->arena, span_str(c->a.thumb)),
	    .substatus = "initialAssignment",
	    .error_text = "",
	    .cert = "",
	    .csr_key = csr_key(c),
	    .etag = was ? was->etag + 1 : 1,
	    .created_ms = was ? was->created_ms : now,
	    .updated_ms = now};
}

/* Asked again, by the same credential, while it is being decided: the same operation, and
 * neither the webhook nor the signer is asked twice. */
static bool
is_under_way(const struct enrol_case *c)
{
	return c->was.id && is(&c->was, "assigning") &&
	       c->was.deadline_ms > domain_now(c->d) &&
	       strcmp(c->was.thumb, c->a.thumb) == 0 &&
	       strcmp(c->was.attestation, attestation_name(&c->a)) == 0;
}

/* Its answer has a certificate for the key that it began with: nothing for who asks with
 * another one now, or with none. It is over in a moment. */
static int
answer_under_way(struct enrol_case *c, struct refusal *no, struct err *e)
{
	if (strcmp(c->was.csr_key, c->r.csr_key) != 0)
		return refusal_set(no, REFUSAL_THROTTLED,
		    "%s: one with another csr is under way", c->was.id);
	return answer(c->d, &c->a, &c->was, &c->ret->state, e);
}

/* The storage root key that the first proof came with is the TPM's from then on. */
static int
keep_root_key(struct domain *d, const struct attested *a, struct err *e)
{
	struct store_enrollment n;
	if (a->by.attestation != STORE_ATT_TPM)
		return 0;
	if (store_enrollment_get(d->store, a->by.kind, a->by.id, d->arena, &n, e))
		return -1;
	if (span_eq(n.storage_root_key, a->by.storage_root_key))
		return 0;
	n.storage_root_key = a->by.storage_root_key;
	return store_enrollment_put(d->store, &n, e);
}

static int
enrol(struct enrol_case *c, const char *id, struct refusal *no, struct err *e)
{
	if (load(c, id, e))
		return -1;
	begin(c, id);
	if (check_blocked(c->d, &c->r, no, e))
		return -1;
	if (is_refused(no))
		return 0;
	if (keep_root_key(c->d, &c->a, e))
		return -1;
	if (!c->a.by.enabled) {
		refusal_set(no, REFUSAL_ENROLLMENT_DISABLED, "%s", c->a.by.id);
		return record_refused(c, "disabled", no, e);
	}
	if (is_under_way(c))
		return answer_under_way(c, no, e);
	return choose(c, no, e);
}

/* Nothing is proven: how the device gets on, in a state that its SDK knows. */
static struct ipc_dps_state
unassigned(const struct ipc_dps_register *m, const struct attested *a)
{
	return (struct ipc_dps_state){.status = SPAN_LIT("unassigned"),
	    .registration_id = m->registration_id,
	    .attestation = SPAN_LIT("tpm"),
	    .tpm_key = a->challenge};
}

/* Who shows a revoked certificate gets no new one for it, in whatever profile. */
static int
check_csr(
    struct domain *d, const struct ipc_dps_register *m, struct refusal *no, struct err *e)
{
	return m->csr_spki.len ? revoke_check_renewal(d, &m->cred, no, e) : 0;
}

int
enrol_register(struct domain *d, const struct ipc_dps_register *m,
    struct enrol_result *ret, struct refusal *no, struct err *e)
{
	struct enrol_case c = {.d = d,
	    .assign = {.api_version = m->peer.api_version, .address = m->peer.address},
	    .csr_cn = m->csr_cn,
	    .csr_spki = m->csr_spki,
	    .ret = ret};
	*no = (struct refusal){0};
	*ret = (struct enrol_result){0};
	const struct attest_ask ask = {.cred = &m->cred,
	    .scope = m->id_scope,
	    .registration_id = m->registration_id,
	    .endorsement_key = m->endorsement_key,
	    .storage_root_key = m->storage_root_key};
	if (attest(d, &ask, &c.a, no, e) || (!is_refused(no) && check_csr(d, m, no, e)))
		return -1;
	if (is_refused(no))
		return 0;
	/* counted once it is a device: strangers may not use up what they have */
	if (!throttle_take(d->throttle, clock_mono_ms(d->clock)))
		return refusal_set(no, REFUSAL_THROTTLED, "registrations a minute");
	if (c.a.challenge.len) {
		ret->state = unassigned(m, &c.a);
		return 0;
	}
	return enrol(&c, arena_str(d->arena, m->registration_id), no, e);
}

/* ---- polls ----------------------------------------------------------------------------
 */

/* Nobody is left who could answer: the webhook's caller or the signer, or we, ended. */
static int
give_up(struct domain *d, struct store_registration *r, struct err *e)
{
	if (!is(r, "assigning") || r->deadline_ms > domain_now(d))
		return 0;
	r->status = "failed";
	r->deadline_ms = 0;
	r->updated_ms = domain_now(d);
	return store_registration_put(d->store, r, e);
}

int
enrol_poll(struct domain *d, const struct ipc_dps_poll *m, struct ipc_dps_state *ret,
    struct refusal *no, struct err *e)
{
	*no = (struct refusal){0};
	struct attested a = {0};
	const struct attest_ask ask = {.cred = &m->cred,
	    .scope = m->id_scope,
	    .registration_id = m->registration_id};
	if (attest(d, &ask, &a, no, e))
		return -1;
	if (is_refused(no))
		return 0;
	/* counted once it is the device: nobody else may use up what it has */
	if (d->polls &&
	    !poll_guard_take(d->polls, m->registration_id, clock_mono_ms(d->clock)))
		return refusal_set(no, REFUSAL_THROTTLED, "polls in ten seconds");
	struct store_registration r;
	const char *id = arena_str(d->arena, m->registration_id);
	if (store_registration_get(d->store, id, d->arena, &r, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		return refusal_set(no, REFUSAL_OPERATION, "%s was never registered", id);
	}
	if (m->operation_id.len && !span_eq_str(m->operation_id, r.operation_id))
		return refusal_set(
		    no, REFUSAL_OPERATION, "%s: not the latest operation", id);
	return give_up(d, &r, e) ? -1 : answer(d, &a, &r, ret, e);
}

/* ---- what came of it ------------------------------------------------------------------
 */

/* The case as it was when it was put aside, with what is on record now. *ret_gone:
 * another registration took its place, or it was given up. */
static int
resume(struct enrol_case *c, const struct enrol_pending *p, bool *ret_gone,
    struct refusal *no, struct err *e)
{
	struct attested *a = &c->a;
	*no = (struct refusal){0};
	*c->ret = (struct enrol_result){0};
	c->assign.address = span_str(p->address);
	c->assign.api_version = span_str(p->api_version);
	c->csr_spki = span_of(p->spki, p->spki_len);
	c->csr_cn = span_str(p->csr_cn);
	a->by_key = p->by_key;
	a->has_chain = p->has_chain;
	a->cn = p->cn;
	a->primary_key = span_of(p->keys[0], p->key_len[0]);
	a->secondary_key = span_of(p->keys[1], p->key_len[1]);
	memcpy(a->thumb, p->thumb, sizeof(a->thumb));
	if (load(c, p->id, e))
		return -1;
	*ret_gone = !c->was.id || !is(&c->was, "assigning") ||
		    strcmp(c->was.operation_id, p->operation_id) != 0;
	c->r = c->was;
	c->r.updated_ms = domain_now(c->d);
	return 0;
}

static int
check_enrollment(struct enrol_case *c, const struct enrol_pending *p, struct refusal *no,
    struct err *e)
{
	if (enrollment_get(c->d, p->kind, span_str(p->enrollment), &c->a.by, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		return refusal_set(
		    no, REFUSAL_WEBHOOK, "enrollment %s was deleted", p->enrollment);
	}
	if (!c->a.by.enabled)
		return refusal_set(no, REFUSAL_ENROLLMENT_DISABLED, "%s", p->enrollment);
	return check_blocked(c->d, &c->r, no, e);
}

/* NULL where it was not offered. */
static int
find_offered(
    const struct enrol_case *c, struct span name, const char **ret, struct err *e)
{
	struct links links;
	const char *hubs[LINKS_MAX];
	const char *hub = hub_conf_find(c->d->cfg, name);
	if (links_load(c->d, &links, e))
		return -1;
	size_t n = alloc_candidates(c->d->cfg, &links, c->a.by.hubs, hubs);
	*ret = NULL;
	for (size_t i = 0; i < n; i++)
		if (hubs[i] == hub)
			*ret = hub;
	return 0;
}

static int
take_answer(struct enrol_case *c, const struct ipc_hook_answer *m, struct refusal *no,
    struct err *e)
{
	const char *hub;
	if (find_offered(c, m->hub, &hub, e))
		return -1;
	if (!hub) {
		refusal_set(no, REFUSAL_WEBHOOK,
		    "it chose %.*s, which it was not offered",
		    SPAN_FMT(span_head(m->hub, 100)));
		return record_failed(c, no, e);
	}
	if (m->twin) {
		c->twin = (struct assign_twin){m->tags, m->desired};
		c->assign.twin = &c->twin;
	}
	c->r.payload = m->payload;
	return place(c, hub, false, no, e);
}

int
enrol_called(struct domain *d, const struct enrol_pending *p,
    const struct ipc_hook_answer *m, const char *why, struct enrol_result *ret,
    struct refusal *no, struct err *e)
{
	struct enrol_case c = {.d = d, .ret = ret};
	bool gone;
	if (resume(&c, p, &gone, no, e))
		return -1;
	if (gone)
		return 0;
	if (check_enrollment(&c, p, no, e))
		return -1;
	if (!is_refused(no) && !m)
		refusal_set(no, REFUSAL_WEBHOOK, "%s", why);
	if (is_refused(no))
		return record_failed(&c, no, e);
	return take_answer(&c, m, no, e);
}

int
enrol_issued(struct domain *d, const struct enrol_pending *p,
    const struct ipc_signer_issued *got, const char *why, struct enrol_result *ret,
    struct refusal *no, struct err *e)
{
	struct enrol_case c = {.d = d, .ret = ret};
	bool gone;
	if (resume(&c, p, &gone, no, e))
		return -1;
	if (gone)
		return got ? est_discard(d, got, e) : 0;
	if (!got)
		refusal_set(no, REFUSAL_NOT_ISSUED, "%s", why);
	else if (est_withdraw(d, &p->promise, got, no, e))
		return -1;
	if (is_refused(no))
		return record_failed(&c, no, e);
	return est_issued(d, &p->promise, got, e) ? -1 : take_certificate(&c, got, e);
}

/* ---- the webhook's question -----------------------------------------------------------
 */

int
enrol_question(struct domain *d, const struct enrol_pending *p, struct span payload,
    struct store_enrollment *ret_by, struct ipc_hook_call *ret, struct err *e)
{
	struct store_registration r;
	const char *hubs[LINKS_MAX];
	struct links links;
	auto_buf names = BUF_INIT(CAP_HUBS);
	if (enrollment_get(d, p->kind, span_str(p->enrollment), ret_by, e) ||
	    store_registration_get(d->store, p->id, d->arena, &r, e) ||
	    links_load(d, &links, e))
		return -1;
	size_t n = alloc_candidates(d->cfg, &links, ret_by->hubs, hubs);
	for (size_t i = 0; i < n; i++)
		buf_printf(&names, "%s%s", i ? " " : "", hubs[i]);
	*ret = (struct ipc_hook_call){.url = span_str(ret_by->webhook_url),
	    .registration_id = span_str(r.id),
	    .hub = span_str(r.hub),
	    .device_id = r.hub[0] ? span_str(r.device_id) : SPAN_NONE,
	    .attestation = span_str(r.attestation),
	    .payload = payload,
	    .hubs = arena_span(d->arena, buf_span(&names))};
	return buf_check(&names, "hubs", e);
}
