/*
 * The report: what stands in the store and in the configuration, against every row of a
 * policy. A row that cannot be judged for want of knowledge is not silent: it says so.
 */
#include "domain/compliance_report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "crypto/profile.h"
#include "domain/dps/enrollment.h"
#include "domain/pki/issuer.h"
#include "store/pki.h"

#define DAY_MS    INT64_C(86400000)
#define TEXT_MAX  300
#define CERTS_MAX 16 /* of a device, the youngest: more are not good at a time */

struct report {
	struct domain *d;
	const struct compliance_page *page;
	compliance_report_visit *visit;
	void *ctx;
	const char *last; /* device */
	int64_t n;
};

static const struct compliance_limit *
limit_of(const struct report *r, enum compliance_id id)
{
	return &compliance_row(id)->limit[r->page->policy];
}

/* Nothing where the policy does not ask. What visit says is handed on. */
static int printf_like(5, 6) finding(struct report *r, enum compliance_id id,
    const char *name, struct err *e, const char *fmt, ...)
{
	char *text = arena_alloc(r->d->arena, TEXT_MAX);
	const struct compliance_finding f = {id, name, text};
	va_list ap;
	if (limit_of(r, id)->kind == COMPLIANCE_OFF)
		return 0;
	va_start(ap, fmt);
	vsnprintf(text, TEXT_MAX, fmt, ap);
	va_end(ap);
	return r->visit(r->ctx, &f, e);
}

/* ---- the hub --------------------------------------------------------------------------
 */

static int
report_hub(struct report *r, struct err *e)
{
	struct store_hub hub;
	const struct config *cfg = r->d->cfg;
	int rc = store_hub_get(r->d->store, &hub, e);
	if (rc == 0 && !hub.disable_device_sas)
		rc = finding(r, COMPLIANCE_DEVICE_SAS, "", e,
		    "disableDeviceSAS is not set: devices may connect with shared keys "
		    "(muster migrate seal sets it)");
	if (rc == 0 && !hub.disable_module_sas)
		rc = finding(r, COMPLIANCE_DEVICE_SAS, "", e,
		    "disableModuleSAS is not set: modules may connect with shared keys "
		    "(muster migrate seal sets it)");
	if (rc == 0 && !hub.disable_local_auth)
		rc = finding(r, COMPLIANCE_LOCAL_AUTH, "", e,
		    "disableLocalAuth is not set: who has a policy's key is nobody in "
		    "particular (muster migrate seal sets it)");
	if (rc == 0 && cfg->est.expired != CONFIG_EXPIRED_REFUSE)
		rc = finding(r, COMPLIANCE_EXPIRED_RENEWAL, "", e,
		    "est.expired lets expired certificates be renewed");
	if (rc == 0 && cfg->est.serverkeygen)
		rc = finding(r, COMPLIANCE_SERVER_KEYGEN, "", e,
		    "est.serverkeygen is on: the server makes devices' keys and sends "
		    "them");
	return rc;
}

/* ---- CAs ------------------------------------------------------------------------------
 */

struct ca {
	const char *name;
	const char *custody; /* "" = its key is not here */
	bool issues;         /* certificates of devices */
	struct span cert;
};

static int
report_ca_row(struct report *r, const struct ca *ca, enum compliance_id id,
    const struct traits *t, struct err *e)
{
	char why[COMPLIANCE_WHY];
	if (!compliance_breaks(limit_of(r, id), t, why))
		return 0;
	return finding(r, id, ca->name, e, "%s", why);
}

static int
report_ca(struct report *r, const struct ca *ca, struct err *e)
{
	struct traits t;
	if (traits_read(ca->cert, &t, e))
		return err_wrap(e, "CA %s", ca->name);
	int rc = report_ca_row(r, ca, COMPLIANCE_CA_KEY, &t, e);
	if (rc == 0)
		rc = report_ca_row(r, ca, COMPLIANCE_CA_SIGNATURE, &t, e);
	if (rc == 0 && ca->issues)
		rc = report_ca_row(r, ca, COMPLIANCE_CA_LIFE, &t, e);
	if (rc == 0 && ca->custody[0] && !compliance_is_hardware(ca->custody))
		rc = finding(r, COMPLIANCE_CA_CUSTODY, ca->name, e,
		    "its key is held as '%s' on this server", ca->custody);
	return rc;
}

static int
visit_issuer(void *ctx, const struct store_issuer *i, struct err *e)
{
	enum issuer_state state;
	enum ca_purpose purpose;
	if (issuer_state_parse(span_str(i->state), &state, e) ||
	    ca_conf_purpose_parse(span_str(i->purpose), &purpose, e))
		return -1;
	if (state == ISSUER_RETIRED || state == ISSUER_REVOKED)
		return 0;
	const struct ca ca = {.name = i->name,
	    .custody = i->custody,
	    .issues = purpose == CA_DEVICE,
	    .cert = i->cert};
	return report_ca(ctx, &ca, e);
}

/* A group being looked at. */
struct group {
	struct report *r;
	const struct store_enrollment *g;
};

/* A CA of somebody else that a group names; ours were seen. */
static int
report_foreign(void *ctx, struct span cert, const char *sha256, struct err *e)
{
	struct group *of = ctx;
	struct domain *d = of->r->d;
	struct store_issuer ours;
	const struct ca ca = {.name = arena_printf(d->arena, "group:%s", of->g->id),
	    .custody = "",
	    .issues = true,
	    .cert = cert};
	if (store_issuer_get(d->store, sha256, d->arena, &ours, e) == 0)
		return 0;
	return e->code == ERR_NOT_FOUND ? report_ca(of->r, &ca, e) : -1;
}

static int
visit_group(void *ctx, const struct store_enrollment *g, struct err *e)
{
	struct report *r = ctx;
	struct group of = {r, g};
	return enrollment_each_ca(r->d, g, report_foreign, &of, e);
}

/* ---- devices --------------------------------------------------------------------------
 */

/* A device being looked at. */
struct device {
	struct report *r;
	const struct store_device *dev;
	struct store_device_cert used; /* sha256 "" where it never came by certificate */
};

static int
report_leaf(struct device *v, const char *serial, const struct traits *t, struct err *e)
{
	char why[COMPLIANCE_WHY];
	int rc = 0;
	for (int i = COMPLIANCE_LEAF_KEY; rc == 0 && i <= COMPLIANCE_LEAF_REVOCATION;
	     i++) {
		enum compliance_id id = (enum compliance_id)i;
		if (compliance_breaks(limit_of(v->r, id), t, why))
			rc = finding(
			    v->r, id, v->dev->id, e, "certificate %s: %s", serial, why);
	}
	return rc;
}

static int
report_superseded(struct device *v, const struct store_cert *c, struct err *e)
{
	int64_t age = domain_now(v->r->d) - c->superseded_ms;
	const struct compliance_limit *l = limit_of(v->r, COMPLIANCE_SUPERSEDED);
	if (!c->superseded_ms || age <= l->n * DAY_MS)
		return 0;
	return finding(v->r, COMPLIANCE_SUPERSEDED, v->dev->id, e,
	    "certificate %s: the device has used a newer one for %" PRId64
	    " days, at most asked: %d",
	    c->serial, age / DAY_MS, l->n);
}

/* One of ours, whether the device uses it or not: it would open the door. */
static int
visit_cert(void *ctx, const struct store_cert *c, struct err *e)
{
	struct device *v = ctx;
	struct traits t;
	int64_t now = domain_now(v->r->d);
	bool is_device = strcmp(c->profile, profile_get(PROFILE_DEVICE)->name) == 0;
	if (!is_device || c->revoked_ms || now > c->not_after_ms)
		return 0;
	if (traits_read(c->der, &t, e))
		return err_wrap(e, "certificate %s", c->serial);
	int rc = report_leaf(v, c->serial, &t, e);
	return rc ? rc : report_superseded(v, c, e);
}

/* Of another's CA nothing is kept but what the last connection showed. */
static int
report_used(struct device *v, struct err *e)
{
	struct store_cert ours;
	struct domain *d = v->r->d;
	const struct store_device_cert *u = &v->used;
	if (!u->sha256[0] || domain_now(d) > u->not_after_ms)
		return 0;
	if (store_cert_get(d->store, u->issuer, u->serial, d->arena, &ours, e) == 0)
		return 0; /* visit_cert has it */
	if (e->code != ERR_NOT_FOUND)
		return -1;
	if (u->traits.key == TRAITS_UNKNOWN) /* a row of an older version */
		return finding(v->r, COMPLIANCE_LEAF_KEY, v->dev->id, e,
		    "certificate %s is another CA's and will be looked at when the "
		    "device connects",
		    u->serial);
	return report_leaf(v, u->serial, &u->traits, e);
}

/* Is the certificate of a registered thumbprint one that a CA issued? It is where the
 * device came with it and its chain (one without is its own issuer: domain/pki/revoke.h),
 * or where it is ours. One by SHA-1 nobody can tell. */
static int
is_issued(struct device *v, const char *thumb, bool *ret, struct err *e)
{
	struct store_cert ours;
	struct domain *d = v->r->d;
	const struct store_device_cert *u = &v->used;
	*ret = !thumb[0] ||
	       (strcmp(thumb, u->sha256) == 0 && strcmp(u->issuer, u->sha256) != 0);
	if (*ret)
		return 0;
	if (store_cert_by_sha256(d->store, thumb, d->arena, &ours, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	*ret = true;
	return 0;
}

static int
report_thumbprints(struct device *v, bool *ret_any, struct err *e)
{
	const char *const thumbs[] = {v->dev->primary_thumb, v->dev->secondary_thumb};
	bool issued;
	*ret_any = false;
	for (int i = 0; i < 2; i++) {
		if (is_issued(v, thumbs[i], &issued, e))
			return -1;
		if (issued)
			continue;
		*ret_any = true;
		int rc = finding(v->r, COMPLIANCE_SELF_SIGNED, v->dev->id, e,
		    "its %s thumbprint is of no certificate that a CA is known to have "
		    "issued: %s",
		    i ? "secondary" : "primary", thumbs[i]);
		if (rc)
			return rc;
	}
	return 0;
}

static int
report_custody(struct device *v, struct err *e)
{
	const struct store_device_cert *u = &v->used;
	bool of_this = strcmp(u->report_key, u->key_sha256) == 0;
	if (!u->custody[0] || !of_this)
		return finding(v->r, COMPLIANCE_CUSTODY_UNKNOWN, v->dev->id, e,
		    u->custody[0] ? "it has told of another key than it uses now"
				  : "it has never told how it holds its key");
	if (compliance_is_hardware(u->custody))
		return 0;
	return finding(v->r, COMPLIANCE_KEY_CUSTODY, v->dev->id, e,
	    "it holds its key as '%s'", u->custody);
}

static int
report_certificates(struct device *v, struct err *e)
{
	struct domain *d = v->r->d;
	int rc = store_cert_each(d->store, v->dev->id, CERTS_MAX, visit_cert, v, e);
	if (rc == 0)
		rc = report_used(v, e);
	return rc ? rc : report_custody(v, e);
}

/* A certificate without an issuer is asked nothing more: it has to go. */
static int
report_identity(struct device *v, struct err *e)
{
	bool bare = false;
	int rc = 0;
	if (v->dev->auth == STORE_AUTH_SAS)
		return finding(v->r, COMPLIANCE_SAS_IDENTITY, v->dev->id, e,
		    "its identity is a shared key");
	if (v->dev->auth == STORE_AUTH_SELF_SIGNED)
		rc = report_thumbprints(v, &bare, e);
	if (rc || bare)
		return rc;
	if (v->dev->sas_window)
		rc = finding(v->r, COMPLIANCE_SAS_IDENTITY, v->dev->id, e,
		    "it may still use its shared key beside its certificate");
	return rc ? rc : report_certificates(v, e);
}

static int
visit_device(void *ctx, const struct store_device *dev, struct err *e)
{
	struct report *r = ctx;
	struct domain *d = r->d;
	struct device v = {.r = r, .dev = dev};
	r->n++;
	r->last = arena_str(d->arena, span_str(dev->id));
	if (!dev->enabled)
		return 0;
	if (store_device_cert_get(d->store, dev->id, d->arena, &v.used, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		v.used = (struct store_device_cert){.sha256 = "",
		    .issuer = "",
		    .key_sha256 = "",
		    .custody = "",
		    .report_key = ""};
	}
	return report_identity(&v, e);
}

int
compliance_report_page(struct domain *d, const struct compliance_page *p,
    compliance_report_visit *visit, void *ctx, const char **ret_next, int64_t *ret_n,
    struct err *e)
{
	struct report r = {.d = d, .page = p, .visit = visit, .ctx = ctx, .last = ""};
	int rc = 0;
	if (!p->after[0]) {
		rc = report_hub(&r, e);
		if (rc == 0)
			rc = store_issuer_each(d->store, visit_issuer, &r, e);
		if (rc == 0)
			rc = store_enrollment_each(d->store, STORE_GROUP, "",
			    ENROLLMENT_GROUPS_MAX, visit_group, &r, e);
	}
	if (rc == 0)
		rc = store_device_each(d->store, p->after, p->limit, visit_device, &r, e);
	if (rc)
		return rc;
	*ret_next = r.n == p->limit ? r.last : "";
	*ret_n = r.n;
	return 0;
}
