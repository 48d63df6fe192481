/*
 * Revocation: what is refused because of it, and the verb itself. CRLs and OCSP answers
 * are made from what is written here (domain/crl.h, domain/ocsp.h); the live session is
 * the core's to end.
 */
#include "domain/pki/revoke.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "crypto/crl.h"
#include "domain/pki/issuer.h"
#include "domain/pki/leaf.h"
#include "store/pki.h"

#define CERTS_PAGE 256
#define STATUS_MAX 128         /* characters of statusReason (service.md 2.3) */
#define OUR_STATUS "revoked: " /* what a statusReason of ours begins with */

const char *
revoke_effect_name(enum revoke_effect_id id)
{
	static const char *const names[REVOKE_EFFECTS] = {[REVOKE_CRL] = "crl",
	    [REVOKE_OCSP] = "ocsp",
	    [REVOKE_IDENTITY] = "identity",
	    [REVOKE_ENROLLMENT] = "enrollment",
	    [REVOKE_SESSION] = "session"};
	return names[id];
}

/* ---- the question ---------------------------------------------------------------------
 */

bool
revoke_name_of(const struct ipc_cred *cred, struct revoke_name *ret)
{
	struct span issuer = leaf_ca(cred, 0);
	if (!issuer.len)
		issuer = cred->sha256;
	if (cred->kind != CRED_X509 || issuer.len != DIGEST_SHA256 || !cred->serial.len ||
	    !span_to_str(cred->serial, ret->serial, sizeof(ret->serial)))
		return false;
	hex_write(issuer, ret->issuer);
	return true;
}

static bool
checks_certificates(const struct domain *d)
{
	return d->cfg->server.profile == CONFIG_PROFILE_NATIVE;
}

static int
refuse_revoked(int64_t at_ms, int reason, struct refusal *no)
{
	char when[CLOCK_TEXT];
	clock_iso(at_ms, 0, when);
	return refusal_set(
	    no, REFUSAL_CERT_REVOKED, "%s, %s", crl_reason_name((unsigned)reason), when);
}

static int
check_issuer(struct domain *d, const char *hex, struct refusal *no, struct err *e)
{
	struct store_issuer ca;
	if (store_issuer_get(d->store, hex, d->arena, &ca, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (strcmp(ca.state, "revoked") != 0 && strcmp(ca.state, "retired") != 0)
		return 0;
	return refusal_set(no, REFUSAL_ISSUER_REVOKED, "%s is %s", ca.name, ca.state);
}

/* Is it that key's? A session has kept no key. */
static bool
has_key(const struct store_cert *c, const struct ipc_cred *cred)
{
	char hex[65];
	if (!c->key_sha256[0] || cred->key_sha256.len != DIGEST_SHA256)
		return true;
	hex_write(cred->key_sha256, hex);
	return strcmp(c->key_sha256, hex) == 0;
}

/* A CA's certificate may have others beside it: its second encoding, which a peer can
 * present, or one issued anew for the same key. Serial numbers of ours are random, so
 * that one names the same certificate whichever of them its path went through. */
static int
find_beside(struct domain *d, const struct ipc_cred *cred, const struct revoke_name *name,
    struct store_cert *ret, bool *ret_found, struct err *e)
{
	for (size_t i = 0; d->issuers && i < d->issuers->n; i++) {
		const struct issuer_entry *by = &d->issuers->v[i];
		if (by->purpose != CA_DEVICE && by->purpose != CA_SERVICE)
			continue;
		if (store_cert_get(d->store, by->hex, name->serial, d->arena, ret, e) ==
		    0) {
			*ret_found = has_key(ret, cred);
			return 0;
		}
		if (e->code != ERR_NOT_FOUND)
			return -1;
	}
	return 0;
}

/* One of ours, by its name; a thumbprint that an identity pins comes without a chain and
 * is looked up as it is: a pinned certificate has no second encoding. */
static int
find_ours(struct domain *d, const struct ipc_cred *cred, const struct revoke_name *name,
    struct store_cert *ret, bool *ret_found, struct err *e)
{
	bool has_chain = leaf_ca(cred, 0).len != 0;
	int rc =
	    has_chain
		? store_cert_get(d->store, name->issuer, name->serial, d->arena, ret, e)
		: store_cert_by_sha256(d->store, name->issuer, d->arena, ret, e);
	*ret_found = rc == 0;
	if (rc == 0)
		return 0;
	if (e->code != ERR_NOT_FOUND)
		return -1;
	return has_chain ? find_beside(d, cred, name, ret, ret_found, e) : 0;
}

/* Another CA's, by its name; or by itself, for its bearer chooses whether its chain comes
 * with it, and so what it is called. */
static int
find_foreign(struct domain *d, const struct ipc_cred *cred,
    const struct revoke_name *name, struct store_foreign *ret, bool *ret_found,
    struct err *e)
{
	char sha256[LEAF_THUMB];
	int rc =
	    store_foreign_get(d->store, name->issuer, name->serial, d->arena, ret, e);
	if (rc && e->code == ERR_NOT_FOUND) {
		leaf_thumb(cred, sha256);
		rc = store_foreign_by_sha256(d->store, sha256, d->arena, ret, e);
	}
	*ret_found = rc == 0;
	return rc && e->code != ERR_NOT_FOUND ? -1 : 0;
}

static int
check_leaf(struct domain *d, const struct ipc_cred *cred, const struct revoke_name *name,
    struct refusal *no, struct err *e)
{
	struct store_cert c;
	struct store_foreign f;
	bool ours, listed;
	if (find_ours(d, cred, name, &c, &ours, e))
		return -1;
	if (ours && c.revoked_ms)
		return refuse_revoked(c.revoked_ms, c.reason, no);
	if (ours)
		return check_issuer(d, c.issuer, no, e);
	if (find_foreign(d, cred, name, &f, &listed, e))
		return -1;
	return listed ? refuse_revoked(f.revoked_ms, f.reason, no) : 0;
}

int
revoke_check_renewal(
    struct domain *d, const struct ipc_cred *cred, struct refusal *no, struct err *e)
{
	struct revoke_name name;
	char hex[65];
	if (!revoke_name_of(cred, &name))
		return 0;
	for (size_t i = 0; leaf_ca(cred, i).len; i++) {
		hex_write(leaf_ca(cred, i), hex);
		if (check_issuer(d, hex, no, e))
			return -1;
		if (no->code != REFUSAL_NONE)
			return 0;
	}
	return check_leaf(d, cred, &name, no, e);
}

int
revoke_check(
    struct domain *d, const struct ipc_cred *cred, struct refusal *no, struct err *e)
{
	return checks_certificates(d) ? revoke_check_renewal(d, cred, no, e) : 0;
}

int
revoke_check_operator(
    struct domain *d, const char *sha256, struct refusal *no, struct err *e)
{
	struct store_cert c;
	if (store_cert_by_sha256(d->store, sha256, d->arena, &c, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (c.revoked_ms)
		return refuse_revoked(c.revoked_ms, c.reason, no);
	return check_issuer(d, c.issuer, no, e);
}

int
revoke_check_enrolment(
    struct domain *d, struct span registration_id, struct refusal *no, struct err *e)
{
	struct store_blocked b;
	const char *id = arena_str(d->arena, registration_id);
	if (store_blocked_get(d->store, id, d->arena, &b, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	return refusal_set(no, REFUSAL_ENROLLMENT_BLOCKED, "%s: %s", id, b.reason);
}

/* ---- the verb -------------------------------------------------------------------------
 */

/* What is under way. */
struct order {
	struct domain *d;
	const char *by, *comment;
	enum crl_reason reason;
	bool undo, only_certificate;
	const char *device_id; /* "" : the certificate is no device's */
	const char *sha256;    /* "" : all of the device's */
	int64_t now_ms;
	/* what was found and done */
	int64_t ours, foreign;         /* certificates that could be changed */
	int64_t changed, foreign_done; /* that were */
	int64_t other;                 /* revoked for another reason, which stays */
	int64_t pointless;             /* of ours, without a distribution point */
	bool known;                    /* the name means something here */
	const char *stays;             /* a reason that no undo ends, of one of them */
	bool is_operator;              /* the certificate is an operator's */
	struct revoke_result *ret;
};

static void report(struct order *o, enum revoke_effect_id id, bool done, const char *fmt,
    ...) printf_like(4, 5);

static void
report(struct order *o, enum revoke_effect_id id, bool done, const char *fmt, ...)
{
	char text[300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	o->ret->effect[id] = (struct revoke_effect){.state = done ? "done" : "unchanged",
	    .text = arena_str(o->d->arena, span_str(text))};
}

/* Devices and operators: reasons of CAs and of lists are not theirs. */
static int
parse_reason(struct span name, enum crl_reason *ret, struct err *e)
{
	enum crl_reason r = CRL_UNSPECIFIED;
	if (name.len && crl_reason_parse(name, &r, e))
		return -1;
	if (r == CRL_CA_COMPROMISE || r == CRL_AA_COMPROMISE || r == CRL_REMOVE)
		return err_set(e, ERR_PARSE, "%s is no reason to revoke a device",
		    crl_reason_name(r));
	*ret = r;
	return 0;
}

/* certificateHold may become anything, and what turns out to be compromised must say so;
 * other revocations stay as they are (RFC 5280 5.3.1). */
static bool
may_change(const struct order *o, int64_t revoked_ms, int reason)
{
	if (!revoked_ms)
		return !o->undo;
	if (o->undo)
		return reason == CRL_HOLD;
	if ((int)o->reason == reason)
		return false;
	return reason == CRL_HOLD || o->reason == CRL_KEY_COMPROMISE;
}

static void
note_stays(struct order *o, int64_t revoked_ms, int reason)
{
	if (!revoked_ms || (o->undo && reason == CRL_HOLD))
		return;
	o->other += reason != (int)o->reason;
	o->stays = crl_reason_name((unsigned)reason);
}

static int
take_ours(struct order *o, const struct store_cert *c, struct err *e)
{
	o->ours++;
	o->known = true;
	if (!may_change(o, c->revoked_ms, c->reason)) {
		note_stays(o, c->revoked_ms, c->reason);
		return 0;
	}
	if (store_cert_revoke(o->d->store, c->issuer, c->serial, o->undo ? 0 : o->now_ms,
		o->undo ? 0 : (int)o->reason, e))
		return err_wrap(e, "certificate %s", c->serial);
	o->changed++;
	o->pointless += c->crl_shard < 0;
	return 0;
}

/* A page of certificates to look at: the rows of a query may not be written to while it
 * runs. */
struct page {
	struct arena *a;
	struct store_cert v[CERTS_PAGE];
	size_t n;
};

static int
keep_row(void *ctx, const struct store_cert *c, struct err *e)
{
	struct page *p = ctx;
	(void)e;
	p->v[p->n++] = (struct store_cert){.issuer = arena_str(p->a, span_str(c->issuer)),
	    .serial = arena_str(p->a, span_str(c->serial)),
	    .subject = arena_str(p->a, span_str(c->subject)),
	    .sha256 = arena_str(p->a, span_str(c->sha256)),
	    .crl_shard = c->crl_shard,
	    .revoked_ms = c->revoked_ms,
	    .reason = c->reason,
	    .n = c->n};
	return 0;
}

static int
read_page(
    struct domain *d, const struct store_cert_filter *f, struct page *p, struct err *e)
{
	p->a = d->arena;
	p->n = 0;
	return store_cert_find(d->store, f, keep_row, p, e);
}

static int
take_all_ours(struct order *o, struct err *e)
{
	struct page *p = arena_alloc(o->d->arena, sizeof(*p));
	struct store_cert_filter f = {.subject = o->device_id,
	    .issuer = "",
	    .key_sha256 = "",
	    .profile = "device",
	    /* one that has ended may still be renewed: renew_check_late */
	    .expires_after_ms = o->now_ms - o->d->cfg->est.grace_ms,
	    .limit = CERTS_PAGE};
	do {
		if (read_page(o->d, &f, p, e))
			return -1;
		for (size_t i = 0; i < p->n; i++) {
			f.after = p->v[i].n;
			if (take_ours(o, &p->v[i], e))
				return -1;
		}
	} while (p->n == CERTS_PAGE);
	return 0;
}

static int
change_foreign(
    struct order *o, const struct store_device_cert *seen, bool listed, struct err *e)
{
	const struct store_foreign f = {.issuer = seen->issuer,
	    .serial = seen->serial,
	    .sha256 = seen->sha256,
	    .device_id = seen->device_id,
	    .revoked_ms = o->now_ms,
	    .reason = (int)o->reason};
	o->foreign_done++;
	if (!o->undo)
		return store_foreign_put(o->d->store, &f, e);
	return listed ? store_foreign_del(o->d->store, f.issuer, f.serial, e) : 0;
}

/* The certificate the device was last seen with, where others issued it. */
static int
take_foreign(struct order *o, struct err *e)
{
	struct store_device_cert seen;
	struct store_cert ours;
	struct store_foreign f = {0};
	struct store *s = o->d->store;
	struct arena *a = o->d->arena;
	if (store_device_cert_get(s, o->device_id, a, &seen, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	o->known = true;
	if (o->sha256[0] && strcmp(o->sha256, seen.sha256) != 0)
		return 0; /* take_one says so */
	if (store_cert_get(s, seen.issuer, seen.serial, a, &ours, e) == 0)
		return 0;
	if (e->code != ERR_NOT_FOUND)
		return -1;
	bool listed = store_foreign_get(s, seen.issuer, seen.serial, a, &f, e) == 0;
	if (!listed && e->code != ERR_NOT_FOUND)
		return -1;
	o->foreign++;
	if (!may_change(o, f.revoked_ms, f.reason)) {
		note_stays(o, f.revoked_ms, f.reason);
		return 0;
	}
	return change_foreign(o, &seen, listed, e);
}

/* ---- which ---- */

/* Operators are known by the certificate's SHA-256, whether or not it is on record. */
static int
find_operator(struct order *o, struct err *e)
{
	struct store_operator op;
	if (o->device_id[0])
		return 0;
	if (store_operator_get(o->d->store, o->sha256, o->d->arena, &op, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	o->is_operator = o->known = true;
	return 0;
}

/* A certificate named by its thumbprint: of ours, else the one the device has shown. */
static int
take_one(struct order *o, struct err *e)
{
	struct store_cert c;
	if (find_operator(o, e))
		return -1;
	if (store_cert_by_sha256(o->d->store, o->sha256, o->d->arena, &c, e)) {
		if (e->code == ERR_NOT_FOUND && o->is_operator)
			return 0;
		if (e->code != ERR_NOT_FOUND || !o->device_id[0])
			return -1;
		if (take_foreign(o, e))
			return -1;
		return o->foreign ? 0
				  : err_set(e, ERR_NOT_FOUND,
					"certificate %s: neither issued here nor shown "
					"by %s",
					o->sha256, o->device_id);
	}
	bool is_device = strcmp(c.profile, "device") == 0;
	if (o->device_id[0] && (!is_device || strcmp(o->device_id, c.subject) != 0))
		return err_set(e, ERR_NOT_FOUND, "certificate %s is of %s %s, not of %s",
		    o->sha256, c.profile, c.subject, o->device_id);
	if (is_device)
		o->device_id = c.subject;
	return take_ours(o, &c, e);
}

static int
take_certificates(struct order *o, struct err *e)
{
	if (o->sha256[0])
		return take_one(o, e);
	if (take_all_ours(o, e))
		return -1;
	return take_foreign(o, e);
}

/* ---- the effects ---- */

static void
report_lists(struct order *o)
{
	struct domain *d = o->d;
	const char *now = o->undo ? "removed from" : "in";
	if (!o->changed && o->foreign) {
		report(o, REVOKE_CRL, false,
		    "the certificate is another CA's, whose lists are its own");
		report(o, REVOKE_OCSP, false,
		    "the certificate is another CA's, whose answers are its own");
		return;
	}
	if (!o->changed) {
		const char *text = o->ours ? "nothing changed since it was revoked"
					   : "no certificate of ours is valid";
		report(o, REVOKE_CRL, false, "%s", text);
		report(o, REVOKE_OCSP, false, "%s", text);
		return;
	}
	report(o, REVOKE_CRL, true,
	    "%" PRId64 " certificate%s %s the next lists, made within %" PRId64 " ms%s",
	    o->changed, o->changed == 1 ? "" : "s", now, d->cfg->pki.crl_delay_ms,
	    o->pointless ? " (some name no distribution point: the CA's whole list)"
			 : "");
	report(o, REVOKE_OCSP, true, "answers say %s from now on",
	    o->undo ? "good" : "revoked");
}

/* "revoked: keyCompromise; stolen from site 4" */
static const char *
status_text(struct order *o)
{
	struct span text = span_str(arena_printf(o->d->arena, OUR_STATUS "%s%s%s",
	    crl_reason_name(o->reason), o->comment[0] ? "; " : "", o->comment));
	return arena_str(o->d->arena, span_head(text, STATUS_MAX));
}

static bool
is_our_status(const char *text)
{
	return span_starts(span_str(text), SPAN_LIT(OUR_STATUS));
}

/* Did a hold of ours write it, whatever was commented? */
static bool
is_hold_status(const char *text)
{
	return span_starts(span_str(text), SPAN_LIT(OUR_STATUS "certificateHold"));
}

static int
put_identity(struct order *o, struct store_device *dev, bool enabled, const char *status,
    struct err *e)
{
	if (dev->enabled != enabled)
		dev->status_updated_ms = o->now_ms;
	dev->enabled = enabled;
	dev->status_reason = status;
	dev->etag++;
	return store_device_put(o->d->store, dev, e);
}

static int
disable_identity(struct order *o, struct store_device *dev, struct err *e)
{
	const char *text = status_text(o);
	if (!dev->enabled && !is_our_status(dev->status_reason)) {
		report(o, REVOKE_IDENTITY, false, "was disabled already: %s",
		    dev->status_reason);
		return 0;
	}
	if (!dev->enabled && !is_hold_status(dev->status_reason)) {
		report(o, REVOKE_IDENTITY, false, "is disabled; %s", dev->status_reason);
		return 0;
	}
	report(o, REVOKE_IDENTITY, dev->enabled || strcmp(dev->status_reason, text) != 0,
	    "disabled; %s", text);
	return put_identity(o, dev, false, text, e);
}

/* Only what the hold took is given back: who was disabled before it, or again since, by
 * another hand, stays so. */
static int
enable_identity(struct order *o, struct store_device *dev, struct err *e)
{
	if (dev->enabled || !is_hold_status(dev->status_reason)) {
		report(o, REVOKE_IDENTITY, false, "%s",
		    dev->enabled ? "is enabled" : "was disabled by something else");
		return 0;
	}
	report(o, REVOKE_IDENTITY, true, "enabled again");
	return put_identity(o, dev, true, "", e);
}

static int
change_identity(struct order *o, struct err *e)
{
	struct store_device dev;
	if (store_device_get(o->d->store, o->device_id, o->d->arena, &dev, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		report(o, REVOKE_IDENTITY, false, "there is no identity of that name");
		return 0;
	}
	o->known = true;
	return o->undo ? enable_identity(o, &dev, e) : disable_identity(o, &dev, e);
}

static int
block(struct order *o, const struct store_blocked *was, struct err *e)
{
	const struct store_blocked b = {.registration_id = o->device_id,
	    .at_ms = o->now_ms,
	    .reason = crl_reason_name(o->reason),
	    .added_by = o->by};
	bool is_held = was && strcmp(was->reason, crl_reason_name(CRL_HOLD)) == 0;
	if (was && (!is_held || o->reason == CRL_HOLD)) {
		report(
		    o, REVOKE_ENROLLMENT, false, "is blocked already: %s", was->reason);
		return 0;
	}
	report(o, REVOKE_ENROLLMENT, true, "this registration ID may not enrol");
	return store_blocked_put(o->d->store, &b, e);
}

static int
unblock(struct order *o, const struct store_blocked *was, struct err *e)
{
	if (!was || strcmp(was->reason, crl_reason_name(CRL_HOLD)) != 0) {
		report(o, REVOKE_ENROLLMENT, false, "%s%s",
		    was ? "is blocked for another reason: " : "is not blocked",
		    was ? was->reason : "");
		return 0;
	}
	report(o, REVOKE_ENROLLMENT, true, "may enrol again");
	return store_blocked_del(o->d->store, o->device_id, e);
}

static int
change_enrolment(struct order *o, struct err *e)
{
	struct store_blocked was;
	bool is_blocked =
	    store_blocked_get(o->d->store, o->device_id, o->d->arena, &was, e) == 0;
	if (!is_blocked && e->code != ERR_NOT_FOUND)
		return -1;
	return o->undo ? unblock(o, is_blocked ? &was : NULL, e)
		       : block(o, is_blocked ? &was : NULL, e);
}

/* An operator has no reason beside his switch that a later undo could read: what a hold
 * of his certificate took, its end gives back. */
static int
change_operator(struct order *o, struct err *e)
{
	struct store_operator op;
	if (store_operator_get(o->d->store, o->sha256, o->d->arena, &op, e))
		return -1;
	report(o, REVOKE_ENROLLMENT, false, "operators do not enrol");
	if (op.enabled == o->undo || (o->undo && !o->changed)) {
		report(o, REVOKE_IDENTITY, false, "operator %s stays %s", op.name,
		    op.enabled ? "enabled" : "disabled");
		return 0;
	}
	op.enabled = o->undo;
	report(o, REVOKE_IDENTITY, true, "operator %s is %s", op.name,
	    op.enabled ? "enabled again" : "disabled");
	return store_operator_put(o->d->store, &op, e);
}

static int
change_device(struct order *o, struct err *e)
{
	if (o->is_operator && !o->only_certificate)
		return change_operator(o, e);
	if (!o->device_id[0] || o->only_certificate) {
		const char *why = o->device_id[0] ? "left alone, as asked"
						  : "the certificate is no device's";
		report(o, REVOKE_IDENTITY, false, "%s", why);
		report(o, REVOKE_ENROLLMENT, false, "%s", why);
		return 0;
	}
	return change_identity(o, e) ? -1 : change_enrolment(o, e);
}

/* A name that means nothing here is a typing error rather than an order. */
static int
check_known(struct order *o, struct err *e)
{
	struct store_device dev;
	struct store_registration r;
	struct store *s = o->d->store;
	if (o->known || store_device_get(s, o->device_id, o->d->arena, &dev, e) == 0)
		return 0;
	if (e->code == ERR_NOT_FOUND &&
	    store_registration_get(s, o->device_id, o->d->arena, &r, e) == 0)
		return 0;
	return err_wrap(e, "neither a certificate nor an identity nor a registration");
}

/* After all was tried: where it fails nothing was written. */
static int
check_undo(const struct order *o, struct err *e)
{
	bool did = o->changed || o->foreign_done;
	for (int i = REVOKE_IDENTITY; i <= REVOKE_ENROLLMENT; i++)
		did |= strcmp(o->ret->effect[i].state, "done") == 0;
	if (!o->undo || did)
		return 0;
	if (o->stays)
		return err_set(e, ERR_CONFLICT,
		    "%s: revoked for %s; only certificateHold ends", o->device_id,
		    o->stays);
	return err_set(e, ERR_CONFLICT, "%s: nothing is on hold", o->device_id);
}

int
revoke_apply(struct domain *d, const struct ipc_revoke *m, const char *by,
    struct revoke_result *ret, struct err *e)
{
	char sha256[65] = "";
	struct order o = {.d = d,
	    .by = by,
	    .comment = arena_str(d->arena, m->comment),
	    .undo = m->undo != 0,
	    .only_certificate = m->only_certificate != 0,
	    .device_id = arena_str(d->arena, m->device_id),
	    .now_ms = domain_now(d),
	    .ret = ret};
	if (m->sha256.len == DIGEST_SHA256)
		hex_write(m->sha256, sha256);
	o.sha256 = sha256;
	if (!m->device_id.len && !sha256[0])
		return err_set(
		    e, ERR_PARSE, "neither a device nor a certificate is named");
	*ret = (struct revoke_result){0};
	if (parse_reason(m->reason, &o.reason, e) || take_certificates(&o, e) ||
	    check_known(&o, e) || change_device(&o, e) || check_undo(&o, e))
		return -1;
	report_lists(&o);
	ret->device_id = o.device_id;
	ret->changed = o.changed;
	return 0;
}

/* ---- what was replaced ----------------------------------------------------------------
 */

/* A device that went back to its older certificate uses it, whatever was noted before. */
static int
is_in_use(struct domain *d, const struct store_cert *c, bool *ret, struct err *e)
{
	struct store_device_cert seen;
	*ret = false;
	if (store_device_cert_get(d->store, c->subject, d->arena, &seen, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	*ret = strcmp(seen.issuer, c->issuer) == 0 && strcmp(seen.serial, c->serial) == 0;
	return 0;
}

static int
end_superseded(struct domain *d, const struct store_cert *c, struct err *e)
{
	bool used;
	if (is_in_use(d, c, &used, e))
		return -1;
	if (used) /* and so it is not superseded: says this, and takes the mark off */
		return store_cert_supersede(
		    d->store, c->subject, c->sha256, domain_now(d), e);
	return store_cert_revoke(
	    d->store, c->issuer, c->serial, domain_now(d), CRL_SUPERSEDED, e);
}

int
revoke_superseded(struct domain *d, int64_t batch, bool *ret_more, struct err *e)
{
	struct page *p = arena_alloc(d->arena, sizeof(*p));
	int64_t limit = batch < CERTS_PAGE ? batch : CERTS_PAGE;
	const struct store_cert_filter f = {.subject = "",
	    .issuer = "",
	    .key_sha256 = "",
	    .profile = "device",
	    .superseded_before_ms = domain_now(d) - d->cfg->pki.superseded_soak_ms,
	    .expires_after_ms = domain_now(d),
	    .revoked = -1,
	    .limit = limit};
	if (read_page(d, &f, p, e))
		return -1;
	for (size_t i = 0; i < p->n; i++)
		if (end_superseded(d, &p->v[i], e))
			return err_wrap(e, "superseded certificate %s", p->v[i].serial);
	*ret_more = (int64_t)p->n == limit;
	return 0;
}
