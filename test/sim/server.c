/*
 * Turns, doors and the operator's hands. The signer is in signer.c, what time brings in
 * keeping.c.
 */
#include "server_impl.h"

#include <stdio.h>
#include <string.h>

#include "agent/est_answer.h"
#include "base/hex.h"
#include "codec/config.h"
#include "crypto/digest.h"
#include "crypto/name.h"
#include "crypto/traits.h"
#include "domain/hub/device.h"
#include "domain/pki/device_cert.h"
#include "domain/dps/enrol.h"
#include "domain/pki/est.h"
#include "domain/pki/est_token.h"
#include "domain/dps/enrollment.h"
#include "domain/pki/issue.h"
#include "domain/pki/leaf.h"
#include "domain/pki/renew.h"
#include "domain/pki/revoke.h"
#include "store/journal.h"

#define SCOPE     "0ne00000001"
#define HUB       "127.0.0.1"
#define JUDGE_MS  (30 * DAY) /* a verdict is looked at anew after so long */
#define ARENA_MAX (64u << 20)

int64_t sim_now_ms;

_Noreturn void
sim_die(const char *what, const struct err *e)
{
	fprintf(stderr, "sim: %s: %s (%s)\n", what, e ? e->text : "", e ? e->where : "");
	exit(2);
}

static int64_t
on_clock(const struct clock *c)
{
	return sim_now_ms + c->skew_ms;
}

/* ---- turns ----------------------------------------------------------------------------
 */

void
server_begin(struct server *s)
{
	struct err e;
	arena_reset(s->arena);
	if (store_begin(s->store, &e))
		sim_die("store", &e);
}

/* A rule that could not decide takes back what it wrote. */
int
server_end(struct server *s, int rc)
{
	struct err e;
	if (rc) {
		store_rollback(s->store);
		return -1;
	}
	if (store_commit(s->store, &e))
		sim_die("commit", &e);
	return 0;
}

void
server_turn(struct server *s, void (*fn)(struct server *s, void *arg), void *arg)
{
	server_begin(s);
	fn(s, arg);
	(void)!server_end(s, 0);
}

/* ---- faces ----------------------------------------------------------------------------
 */

int
face_of(struct span chain_pem, struct face *ret, struct err *e)
{
	struct face f = {.epoch = 0};
	if (cert_list_parse(chain_pem, "chain", &f.chain, e))
		return -1;
	const struct cert *leaf = f.chain.v[0];
	hex_write(span_of(leaf->sha256, DIGEST_SHA256), f.thumb);
	for (size_t i = 0; leaf->serial[i] && i < sizeof(f.serial) - 1; i++)
		f.serial[i] = (char)(leaf->serial[i] | 0x20); /* digits have that bit */
	*ret = f;
	return 0;
}

void
face_done(struct face *f)
{
	cert_list_done(&f->chain);
	*f = (struct face){.epoch = 0};
}

static bool
is_same_time_of_life(const struct cert *c, int64_t a_ms, int64_t b_ms)
{
	return (a_ms < c->not_before_ms) == (b_ms < c->not_before_ms) &&
	       (a_ms > c->not_after_ms) == (b_ms > c->not_after_ms);
}

/* A handshake judges each time; the verdict changes with the anchors and with the
 * leaf's dates only. */
static void
judge(const struct server *s, struct face *f)
{
	const struct chain_options o = {.now_ms = sim_now_ms};
	if (f->epoch == s->epoch && sim_now_ms - f->judged_ms < JUDGE_MS &&
	    is_same_time_of_life(f->chain.v[0], f->judged_ms, sim_now_ms))
		return;
	chain_verify(s->anchors, &f->chain, &o, &f->v);
	f->epoch = s->epoch;
	f->judged_ms = sim_now_ms;
}

/* As proto/credential.c does of a TLS peer. Borrows f. */
static struct ipc_cred
cred_of(const struct server *s, struct face *f)
{
	if (!f)
		return (struct ipc_cred){.kind = CRED_NONE};
	judge(s, f);
	const struct cert *leaf = f->chain.v[0];
	struct traits t = {.key = TRAITS_UNKNOWN};
	struct err e;
	if (traits_read(leaf->der, &t, &e))
		sim_die("traits", &e);
	return (struct ipc_cred){.kind = CRED_X509,
	    .verdict = (uint8_t)f->v.reason,
	    .verdict_text = span_str(f->v.text),
	    .cn = span_str(f->v.cn),
	    .sha256 = span_of(leaf->sha256, DIGEST_SHA256),
	    .sha1 = span_of(leaf->sha1, DIGEST_SHA1),
	    .not_before_ms = f->v.not_before_ms,
	    .not_after_ms = f->v.not_after_ms,
	    .chain = span_of(f->v.ca, f->v.n_ca * DIGEST_SHA256),
	    .serial = span_str(f->serial),
	    .key_sha256 = span_of(leaf->key_sha256, DIGEST_SHA256),
	    .key_kind = (uint8_t)t.key,
	    .key_bits = (uint32_t)t.key_bits,
	    .hash_bits = (uint32_t)t.hash_bits,
	    .revocable = t.revocable};
}

/* ---- what doors have in common --------------------------------------------------------
 */

static void
log_line(struct server *s, const char *what, const char *plane, const char *id,
    const char *peer, const char *reason)
{
	struct err e;
	const struct store_conn line = {.at_ms = sim_now_ms,
	    .what = what,
	    .plane = plane,
	    .device_id = id,
	    .auth = "x509",
	    .scope = "device",
	    .thumb = "",
	    .reason = reason,
	    .peer = peer,
	    .agent = "sim"};
	if (store_conn_add(s->store, &line, &e))
		sim_die("connection log", &e);
}

static void
log_refusal(struct server *s, const char *plane, const char *id, const char *peer,
    const struct refusal *no)
{
	char text[REFUSAL_TEXT];
	refusal_text(no, text);
	s->n.refusals++;
	log_line(s, "refused", plane, id, peer, text);
}

static int
is_unreachable(const struct server *s, struct err *e)
{
	return s->down ? err_set(e, ERR_UNAVAILABLE, "connection refused") : 0;
}

/* As the edge answers over HTTP and est_client.c reads it. */
static int
http_failure(enum err_code code, bool is_known, const char *words, struct err *e)
{
	int status = err_row(code)->http;
	if (is_known && status == 401)
		status = 403;
	return est_answer_failure(status, span_str(words), e);
}

static int
http_refusal(const struct refusal *no, bool is_known, struct err *e)
{
	char text[REFUSAL_TEXT];
	refusal_text(no, text);
	return http_failure(refusal_row(no->code)->err, is_known, text, e);
}

/* CONNACK 4 and 5 are the service's no; what else is not 0 may pass (agent/mqtt_link.c).
 */
static int
mqtt_refusal(const struct refusal *no, struct err *e)
{
	char text[REFUSAL_TEXT];
	refusal_text(no, text);
	int connack = err_row(refusal_row(no->code)->err)->connack;
	bool denied = connack == 4 || connack == 5 || connack == 2;
	return err_set(
	    e, denied ? ERR_DENIED : ERR_UNAVAILABLE, "CONNACK %d: %s", connack, text);
}

/* ---- check-in -------------------------------------------------------------------------
 */

static struct span
pack_anchors(struct server *s, const struct renew_report *r)
{
	struct err e;
	uint8_t *p = arena_alloc(s->arena, r->n_anchors * DIGEST_SHA256 + 1);
	for (size_t i = 0; i < r->n_anchors; i++)
		if (hex_parse(span_str(r->anchors[i]), p + i * DIGEST_SHA256,
			DIGEST_SHA256, &e))
			sim_die("anchors", &e);
	return span_of(p, r->n_anchors * DIGEST_SHA256);
}

static void
tell(const struct server *s, const struct ipc_renewal *w, struct renew_checkin *ret)
{
	const struct cert *leaf = s->tls.chain.v[0];
	*ret = (struct renew_checkin){.now_ms = w->now_ms,
	    .leaf_not_before_ms = leaf->not_before_ms,
	    .leaf_not_after_ms = leaf->not_after_ms,
	    .renew_start_ms = w->start_ms,
	    .renew_end_ms = w->end_ms,
	    .poll_ms = (int64_t)w->poll_s * 1000};
	(void)span_to_str(w->reason, ret->reason, sizeof(ret->reason));
	snprintf(ret->ca_tag, sizeof(ret->ca_tag), "%s", s->ca_tag);
}

int
server_checkin(struct server *s, struct face *f, const char *peer,
    const struct renew_report *r, struct renew_checkin *ret, struct err *e)
{
	struct refusal no;
	struct ipc_renewal w;
	if (is_unreachable(s, e))
		return -1;
	s->n.checkins++;
	server_begin(s);
	const struct ipc_checkin m = {.peer = {.address = span_str(peer)},
	    .cred = cred_of(s, f),
	    .custody = span_str(r->custody),
	    .generation = span_str(r->generation),
	    .anchors = pack_anchors(s, r),
	    .clock_ms = r->clock_ms > 0 ? r->clock_ms : 0};
	int rc = renew_checkin(&s->d, &m, &w, &no, e);
	if (rc == 0 && no.code != REFUSAL_NONE)
		log_refusal(s, "est", f ? f->v.cn : "", peer, &no);
	if (rc == 0 && no.code == REFUSAL_NONE)
		tell(s, &w, ret);
	if (server_end(s, rc))
		return http_failure(e->code, false, e->text, e);
	return no.code == REFUSAL_NONE ? 0 : http_refusal(&no, false, e);
}

/* ---- enrolment ------------------------------------------------------------------------
 */

static struct ipc_cred
cred_of_token(struct server *s, const struct sim_request *q)
{
	uint8_t *sha = arena_alloc(s->arena, DIGEST_SHA256);
	digest_sha256(span_str(q->secret), sha);
	return (struct ipc_cred){.kind = CRED_BASIC,
	    .basic_user = span_str(q->user),
	    .basic_sha256 = span_of(sha, DIGEST_SHA256)};
}

static struct ipc_est_enroll
message_of(struct server *s, const struct sim_request *q)
{
	struct ipc_est_enroll m = {.peer = {.address = span_str(q->peer)},
	    .cred = q->secret ? cred_of_token(s, q) : cred_of(s, q->face),
	    .renew = q->renew,
	    .csr_cn = span_str(q->csr->cn),
	    .csr_subject = q->csr->subject,
	    .spki = q->csr->spki,
	    .linked = 1};
	if (q->renew && q->face) {
		m.cert_subject = q->face->chain.v[0]->subject;
		m.same_names = 1;
	}
	return m;
}

/* What the core does with the signer's answer, in a turn of its own. */
static int
record(struct server *s, const struct est_grant *g, const struct ipc_signer_issue *asked,
    const struct ipc_signer_issued *got, struct err *e)
{
	server_begin(s);
	int rc =
	    issue_record(&s->d, asked, got, e) || est_issued(&s->d, &g->promise, got, e);
	if (rc == 0 && s->crash_next) {
		s->crash_next = false;
		s->n.crashes++;
		rc = err_set(e, ERR_UNAVAILABLE, "the core ended");
	}
	if (server_end(s, rc ? -1 : 0))
		return -1;
	signer_recorded(s, got);
	s->n.late += g->promise.door == EST_EXPIRED;
	s->n.tokens += g->promise.door == EST_TOKEN;
	s->n.renewals++;
	return 0;
}

/* The grant's spans live in the turn's arena, which the next turn clears. */
static int
issue(struct server *s, const struct est_grant *g, struct span spki, struct buf *der,
    struct err *e)
{
	char subject[129], requester[201];
	uint8_t issuer[DIGEST_SHA256];
	struct ipc_signer_issue asked = g->issue;
	struct ipc_signer_issued got;
	(void)span_to_str(asked.subject, subject, sizeof(subject));
	(void)span_to_str(asked.requester, requester, sizeof(requester));
	if (asked.issuer.len == sizeof(issuer)) {
		memcpy(issuer, asked.issuer.p, sizeof(issuer));
		asked.issuer = span_of(issuer, sizeof(issuer));
	}
	asked.subject = span_str(subject);
	asked.requester = span_str(requester);
	asked.spki = spki;
	struct signer_answer a;
	if (signer_issue(s, &asked, der, &a, e))
		return http_failure(e->code, true, e->text, e);
	got = a.msg;
	got.serial = span_str(a.serial);
	got.der = buf_span(der);
	if (record(s, g, &asked, &got, e) == 0)
		return 0;
	buf_reset(der);
	return http_failure(e->code, true, e->text, e);
}

int
server_enrol(struct server *s, const struct sim_request *q, struct buf *der,
    struct renew_later *later, struct err *e)
{
	struct refusal no;
	struct est_grant g;
	if (is_unreachable(s, e))
		return -1;
	server_begin(s);
	struct ipc_est_enroll m = message_of(s, q);
	int rc = est_enroll(&s->d, &m, &g, &no, e);
	if (rc == 0 && no.code != REFUSAL_NONE)
		log_refusal(s, "est", q->csr->cn, q->peer, &no);
	bool again = rc == 0 && no.code == REFUSAL_NONE && g.outcome == EST_AGAIN;
	if (again)
		buf_put_span(der, g.der);
	if (server_end(s, rc))
		return http_failure(e->code, true, e->text, e);
	if (no.code != REFUSAL_NONE)
		return http_refusal(&no, g.is_known, e);
	if (g.outcome == EST_WAIT) {
		*later = (struct renew_later){(int64_t)g.retry_after_s * 1000, true};
		return err_set(e, ERR_UNAVAILABLE, "waits for approval");
	}
	rc = again ? 0 : issue(s, &g, q->csr->spki, der, e);
	if (!again)
		est_done(&s->d, &g.promise);
	if (rc == 0 && s->lose_next) {
		s->lose_next = false;
		s->n.lost_replies++;
		buf_reset(der);
		return err_set(e, ERR_UNAVAILABLE, "the connection ended");
	}
	return rc;
}

/* ---- DPS and hub ----------------------------------------------------------------------
 */

int
server_register(
    struct server *s, struct face *f, const char *id, const char *peer, struct err *e)
{
	struct refusal no;
	struct enrol_result got;
	if (is_unreachable(s, e))
		return -1;
	s->n.registrations++;
	server_begin(s);
	const struct ipc_dps_register m = {.peer = {.address = span_str(peer)},
	    .cred = cred_of(s, f),
	    .id_scope = span_str(SCOPE),
	    .registration_id = span_str(id)};
	int rc = enrol_register(&s->d, &m, &got, &no, e);
	if (rc == 0 && no.code != REFUSAL_NONE)
		log_refusal(s, "dps", id, peer, &no);
	if (server_end(s, rc))
		return err_set(e, ERR_UNAVAILABLE, "DPS failed");
	return no.code == REFUSAL_NONE ? 0 : mqtt_refusal(&no, e);
}

static int
enter(struct server *s, const struct ipc_hub_open *m, const struct session *in,
    struct err *e)
{
	struct device_cert_seen seen;
	const struct store_event ev = {.enqueued_ms = sim_now_ms,
	    .device_id = in->device_id,
	    .generation = in->generation,
	    .auth = "x509",
	    .thumb = in->thumb,
	    .props = SPAN_LIT("{}"),
	    .body = SPAN_LIT("{\"t\":21}")};
	int64_t seq;
	if (device_cert_note(&s->d, &m->cred, in->device_id, m->peer.address,
		SPAN_LIT("sim"), &seen, e) ||
	    store_device_seen(s->store, in->device_id, true, sim_now_ms, e) ||
	    store_event_add(s->store, &ev, &seq, e))
		return -1;
	if (seen.key_twin[0])
		return err_set(e, ERR_CORRUPT, "%s and %s have one key", in->device_id,
		    seen.key_twin);
	log_line(
	    s, "connect", "hub", in->device_id, arena_str(s->arena, m->peer.address), "");
	return 0;
}

int
server_hub(struct server *s, struct face *f, const char *id, const char *peer,
    int64_t *ret_close_ms, struct err *e)
{
	struct refusal no;
	struct session in;
	int64_t close_ms;
	if (is_unreachable(s, e))
		return -1;
	s->n.opens++;
	server_begin(s);
	const struct ipc_hub_open m = {.peer = {.address = span_str(peer)},
	    .cred = cred_of(s, f),
	    .host = span_str(HUB),
	    .device_id = span_str(id)};
	int rc = session_judge(&s->d, &m, &in, &close_ms, &no, e);
	if (rc == 0 && no.code != REFUSAL_NONE)
		log_refusal(s, "hub", id, peer, &no);
	if (rc == 0 && no.code == REFUSAL_NONE)
		rc = enter(s, &m, &in, e);
	if (rc)
		sim_die("hub", e);
	(void)!server_end(s, 0);
	if (no.code != REFUSAL_NONE)
		return mqtt_refusal(&no, e);
	*ret_close_ms = close_ms;
	return 0;
}

/* ---- CAs ------------------------------------------------------------------------------
 */

const struct sim_ca *
server_ca(const struct server *s, const char *name)
{
	for (size_t i = 0; i < s->n_ca; i++)
		if (strcmp(s->ca[i].name, name) == 0)
			return &s->ca[i];
	sim_die(name, NULL);
}

/* What the signer says when it starts. */
static void
sync_cas(struct server *s, void *arg)
{
	struct err e;
	struct ipc_signer_ca rows[SIM_CAS];
	(void)arg;
	for (size_t i = 0; i < s->n_ca; i++)
		rows[i] = (struct ipc_signer_ca){.name = span_str(s->ca[i].name),
		    .purpose = span_str(ca_conf_purpose_name(s->ca[i].purpose)),
		    .cert = issuer_cert(s->ca[i].issuer)->der,
		    .custody = SPAN_LIT("file"),
		    .issues = s->ca[i].purpose != CA_ROOT};
	if (issuer_sync(&s->d, rows, s->n_ca, &e))
		sim_die("CAs", &e);
}

void
server_add_ca(struct server *s, const char *name, enum ca_purpose purpose)
{
	signer_make_ca(s, name, purpose);
	server_turn(s, sync_cas, NULL);
	server_reload(s);
}

static int
add_issuer(void *ctx, const struct store_issuer *i, struct err *e)
{
	struct server *s = ctx;
	enum issuer_state state;
	enum ca_purpose purpose;
	if (issuer_state_parse(span_str(i->state), &state, e) ||
	    ca_conf_purpose_parse(span_str(i->purpose), &purpose, e))
		return -1;
	if (!issuer_is_trusted(state))
		return 0;
	if (purpose == CA_DEVICE || purpose == CA_ROOT)
		cert_write_pem(i->cert, &s->ca_pem);
	if (purpose == CA_SERVICE)
		return 0;
	auto_(cert_free) struct cert *c = cert_parse(i->cert, e);
	return c ? chain_set_add(s->anchors, c,
		       purpose == CA_DEVICE ? CHAIN_TRUSTED : CHAIN_HELPER, e)
		 : -1;
}

static int
add_anchor(struct server *s, struct span der, struct err *e)
{
	if (!der.len)
		return 0;
	auto_(cert_free) struct cert *c = cert_parse(der, e);
	return c ? chain_set_add(s->anchors, c, CHAIN_TRUSTED, e) : -1;
}

static int
add_group(void *ctx, const struct store_enrollment *g, struct err *e)
{
	if (add_anchor(ctx, g->primary_cert, e))
		return -1;
	return add_anchor(ctx, g->secondary_cert, e);
}

/* As role/core.c packs them and edges keep them. */
void
server_reload(struct server *s)
{
	struct err e;
	uint8_t sha[DIGEST_SHA256];
	chain_set_free(s->anchors);
	s->anchors = chain_set_new();
	buf_reset(&s->ca_pem);
	s->epoch++;
	arena_reset(s->arena);
	if (store_issuer_each(s->store, add_issuer, s, &e) ||
	    store_enrollment_each(
		s->store, STORE_GROUP, "", ENROLLMENT_GROUPS_MAX, add_group, s, &e) ||
	    issuer_load(&s->d, &s->book, &e))
		sim_die("trust anchors", &e);
	s->d.issuers = &s->book;
	digest_sha256(buf_span(&s->ca_pem), sha);
	hex_write(span_of(sha, sizeof(sha)), s->ca_tag);
}

/* ---- the operator ---------------------------------------------------------------------
 */

void
server_put_group(struct server *s, const char *primary, const char *secondary)
{
	struct err e;
	struct store_enrollment g;
	const struct ipc_enrollment_put m = {.id = SPAN_LIT("fleet"),
	    .attestation = STORE_ATT_X509,
	    .primary_cert = issuer_cert(server_ca(s, primary)->issuer)->der,
	    .secondary_cert =
		secondary ? issuer_cert(server_ca(s, secondary)->issuer)->der : SPAN_NONE,
	    .enabled = 1};
	server_begin(s);
	if (server_end(s, enrollment_put(&s->d, &m, &g, &e)))
		sim_die("group", &e);
	server_reload(s);
}

void
server_token(struct server *s, const char *device_id, char out[64])
{
	struct err e;
	struct store_token t;
	const char *secret;
	const struct ipc_token_put m = {
	    .device_id = span_str(device_id), .create = 1, .life_ms = 30 * DAY};
	server_begin(s);
	int rc = est_token_put(&s->d, &m, "operator", &t, &secret, &e);
	if (rc == 0)
		snprintf(out, 64, "%s", secret);
	if (server_end(s, rc))
		sim_die("token", &e);
}

static void
put_allow(struct server *s, const struct ipc_allow_put *m)
{
	struct err e;
	struct store_allow w;
	server_begin(s);
	if (server_end(s, renew_allow_put(&s->d, m, "operator", &w, &e)))
		sim_die("allowance", &e);
}

void
server_allow(struct server *s, const char *device_id, int64_t until_ms)
{
	const struct ipc_allow_put m = {
	    .device_id = span_str(device_id), .until_ms = until_ms};
	s->n.allowances++;
	put_allow(s, &m);
}

void
server_release(struct server *s, const char *device_id)
{
	const struct ipc_allow_put m = {.device_id = span_str(device_id), .release = 1};
	s->n.releases++;
	put_allow(s, &m);
}

void
server_enable(struct server *s, const char *device_id, bool on)
{
	struct err e;
	struct store_device dev;
	server_begin(s);
	int rc = store_device_get(s->store, device_id, s->arena, &dev, &e);
	dev.enabled = on;
	dev.etag++;
	if (server_end(s, rc || store_device_put(s->store, &dev, &e) ? -1 : 0))
		sim_die("device", &e);
}

void
server_revoke(struct server *s, const char *device_id, const char *reason, bool undo)
{
	struct err e;
	struct revoke_result r;
	const struct ipc_revoke m = {
	    .device_id = span_str(device_id), .reason = span_str(reason), .undo = undo};
	server_begin(s);
	if (server_end(s, revoke_apply(&s->d, &m, "operator", &r, &e)))
		sim_die("revoke", &e);
}

/* ---- open and close -------------------------------------------------------------------
 */

static void
configure(struct server *s)
{
	conf_defaults(&config_table, &s->cfg, s->cfg_arena);
	s->cfg.pki.public_url = "http://pki.example";
	s->cfg.pki.crl_shards = 4;
	/* longer than the longest sleep: else who is late goes from quarantine to
	 * quarantine */
	s->cfg.est.quarantine_life_ms = 10 * DAY;
}

static void
put_created(struct server *s, void *arg)
{
	struct err e;
	char text[24];
	(void)arg;
	snprintf(text, sizeof(text), "%lld", (long long)sim_now_ms);
	if (store_meta_put(s->store, "created_ms", text, &e))
		sim_die("store", &e);
}

void
server_open(struct server *s, const char *dir)
{
	struct err e;
	char path[160];
	*s = (struct server){.n_ca = 0};
	snprintf(s->dir, sizeof(s->dir), "%s", dir);
	s->clock = (struct clock){on_clock, on_clock, 0};
	s->arena = arena_new(ARENA_MAX);
	s->cfg_arena = arena_new(4 * CONF_FILE_MAX);
	s->ca_pem = BUF_INIT(CERT_PEM_MAX);
	configure(s);
	snprintf(path, sizeof(path), "%s/hub.db", dir);
	s->store = store_open(path, &e);
	if (!s->store)
		sim_die("store", &e);
	snprintf(path, sizeof(path), "%s/journal.log", dir);
	s->journal = journal_open(path, &e);
	s->tls_key = key_generate(KEY_P256, &e);
	if (!s->journal || !s->tls_key)
		sim_die("signer", &e);
	s->d = (struct domain){.store = s->store,
	    .cfg = &s->cfg,
	    .clock = &s->clock,
	    .arena = s->arena,
	    .throttle = &s->registrations,
	    .est = &s->guard};
	est_guard_init(&s->guard);
	throttle_init(&s->registrations, 0, sim_now_ms);
	server_turn(s, put_created, NULL);
}

void
server_close(struct server *s)
{
	signer_done(s);
	chain_set_free(s->anchors);
	face_done(&s->tls);
	key_free(s->tls_key);
	est_guard_done(&s->guard);
	journal_close(s->journal);
	store_close(s->store);
	buf_done(&s->ca_pem);
	arena_free(s->arena);
	arena_free(s->cfg_arena);
}
