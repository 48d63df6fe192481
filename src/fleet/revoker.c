/*
 * Targets of a revocation.
 */
#include "fleet/revoker.h"

#include <string.h>

#include "codec/js.h"
#include "fleet/azure.h"

#define ANSWER_MAX   (256 * 1024)
#define ANSWER_DEPTH 16
#define STATUS_MAX   128         /* characters of statusReason (service.md 2.3) */
#define OUR_STATUS   "revoked: " /* as muster's server writes it */
#define HOLD         "certificateHold"

const char *
revoker_effect_name(enum revoker_effect id)
{
	static const char *const names[REVOKER_EFFECTS] = {[REVOKER_CRL] = "crl",
	    [REVOKER_OCSP] = "ocsp",
	    [REVOKER_IDENTITY] = "identity",
	    [REVOKER_ENROLLMENT] = "enrollment",
	    [REVOKER_SESSION] = "session"};
	return names[id];
}

static void
report(
    struct revoker_report *r, enum revoker_effect id, const char *state, const char *text)
{
	r->effect[id].state = state;
	r->effect[id].text = text;
}

/* An exchange whose answer is a JSON document, or nothing. */
static int
ask(struct service *s, enum sign_in_plane p, const struct rest_request *q,
    const char *what, struct js **ret, struct err *e)
{
	auto_buf body = BUF_INIT(ANSWER_MAX);
	if (service_call(s, p, q, what, &body, NULL, e))
		return -1;
	if (!ret)
		return 0;
	*ret = js_parse(buf_span(&body), ANSWER_MAX, ANSWER_DEPTH, e);
	return *ret ? 0 : err_wrap(e, "%s", what);
}

/* ---- muster's server ------------------------------------------------------------------
 */

static void
put_text(struct js *o, const char *key, const char *text)
{
	if (text[0])
		js_set_text(o, key, text);
}

static int
read_effects(
    const struct js *v, struct arena *a, struct revoker_report *ret, struct err *e)
{
	const struct js *list = js_get(v, "effects");
	for (int i = 0; i < REVOKER_EFFECTS; i++) {
		const struct js *o = js_at(list, (size_t)i);
		if (strcmp(js_as_text(js_get(o, "name")),
			revoker_effect_name((enum revoker_effect)i)) != 0)
			return err_set(e, ERR_PARSE,
			    "revocation: the answer does not tell of %s",
			    revoker_effect_name((enum revoker_effect)i));
		report(ret, (enum revoker_effect)i,
		    arena_str(a, js_as_str(js_get(o, "state"))),
		    arena_str(a, js_as_str(js_get(o, "text"))));
	}
	return 0;
}

static int
order_muster(struct service *s, const struct revoker_order *o, enum revoker_verb verb,
    struct arena *a, struct revoker_report *ret, struct err *e)
{
	auto_(js_free) struct js *order = js_object();
	auto_(js_free) struct js *v = NULL;
	auto_buf body = BUF_INIT(ANSWER_MAX);
	put_text(order, "deviceId", o->device);
	put_text(order, "thumbprint", o->thumbprint);
	put_text(order, "reason", o->reason);
	put_text(order, "comment", o->comment);
	js_set_bool(order, "onlyCertificate", o->only_certificate);
	js_set_bool(order, "undo", verb == REVOKER_UNDO);
	js_set_bool(order, "allow", verb == REVOKER_ALLOW);
	js_dump(order, JS_AS_BUILT, &body);
	const struct rest_request q = {.method = "POST",
	    .target = "/muster/revoke?api-version=" AZURE_API,
	    .body = buf_span(&body)};
	return ask(s, SIGN_IN_HUB, &q, "revocation", &v, e) ? -1
							    : read_effects(v, a, ret, e);
}

static int
muster_revoke(struct service *s, const struct revoker_order *o, struct arena *a,
    struct revoker_report *ret, struct err *e)
{
	return order_muster(s, o, REVOKER_REVOKE, a, ret, e);
}

static int
muster_undo(struct service *s, const struct revoker_order *o, struct arena *a,
    struct revoker_report *ret, struct err *e)
{
	return order_muster(s, o, REVOKER_UNDO, a, ret, e);
}

static int
muster_allow(struct service *s, const struct revoker_order *o, struct arena *a,
    struct revoker_report *ret, struct err *e)
{
	return order_muster(s, o, REVOKER_ALLOW, a, ret, e);
}

/* ---- Azure ----------------------------------------------------------------------------
 */

static int
azure_takes(const struct revoker_order *o, struct err *e)
{
	if (!o->device[0])
		return err_set(e, ERR_USAGE, "azure: a device is named by its ID");
	if (o->thumbprint[0] || o->only_certificate)
		return err_set(e, ERR_UNSUPPORTED,
		    "azure: it knows of no revoked certificates; a device is revoked "
		    "whole");
	return 0;
}

static int
azure_put_status(struct service *s, const char *id, const struct js *identity,
    const char *status, const char *reason, struct arena *a, struct err *e)
{
	struct rest_request q;
	auto_(js_free) struct js *v = azure_identity_restore(identity);
	js_set_text(v, "status", status);
	js_set_text(v, "statusReason", reason);
	azure_device_put(a, id, v, "*", &q);
	return ask(s, SIGN_IN_HUB, &q, "device identity", NULL, e);
}

static int
azure_get_identity(
    struct service *s, const char *id, struct arena *a, struct js **ret, struct err *e)
{
	struct rest_request q;
	azure_device_get(a, id, &q);
	return ask(s, SIGN_IN_HUB, &q, "device identity", ret, e);
}

static int
azure_disable(struct service *s, const struct revoker_order *o, struct arena *a,
    struct revoker_report *ret, struct err *e)
{
	auto_(js_free) struct js *identity = NULL;
	if (azure_get_identity(s, o->device, a, &identity, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		report(ret, REVOKER_IDENTITY, "unchanged",
		    "there is no identity of that name");
		return 0;
	}
	if (strcmp(js_as_text(js_get(identity, "status")), "disabled") == 0) {
		report(ret, REVOKER_IDENTITY, "unchanged", "was disabled already");
		return 0;
	}
	const char *text =
	    arena_printf(a, OUR_STATUS "%s%s%s", o->reason[0] ? o->reason : "unspecified",
		o->comment[0] ? "; " : "", o->comment);
	text = arena_str(a, span_head(span_str(text), STATUS_MAX));
	report(ret, REVOKER_IDENTITY, "done", arena_printf(a, "disabled; %s", text));
	return azure_put_status(s, o->device, identity, "disabled", text, a, e);
}

/* Without its record a device has to attest anew, and its group may let it: Azure has no
 * list of those that may not (a disabled individual enrollment comes closest). */
static int
azure_unregister(struct service *s, const struct revoker_order *o, struct arena *a,
    struct revoker_report *ret, struct err *e)
{
	struct rest_request q;
	azure_registration_delete(a, o->device, &q);
	if (ask(s, SIGN_IN_DPS, &q, "registration", NULL, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		report(ret, REVOKER_ENROLLMENT, "partly",
		    "there was no registration; an enrollment group may still let the "
		    "device in: disable it, or add a disabled individual enrollment");
		return 0;
	}
	report(ret, REVOKER_ENROLLMENT, "partly",
	    "the registration is deleted; an enrollment group may still let the device "
	    "in: "
	    "disable it, or add a disabled individual enrollment");
	return 0;
}

static int
azure_revoke(struct service *s, const struct revoker_order *o, struct arena *a,
    struct revoker_report *ret, struct err *e)
{
	if (azure_takes(o, e) || azure_disable(s, o, a, ret, e))
		return -1;
	/* who has to act now must know how far it came */
	if (azure_unregister(s, o, a, ret, e))
		return err_wrap(
		    e, "identity: %s; enrollment", ret->effect[REVOKER_IDENTITY].text);
	report(ret, REVOKER_SESSION, "unknown",
	    "the hub cuts disabled devices and does not tell when");
	return 0;
}

static int
azure_undo(struct service *s, const struct revoker_order *o, struct arena *a,
    struct revoker_report *ret, struct err *e)
{
	auto_(js_free) struct js *identity = NULL;
	if (azure_takes(o, e) || azure_get_identity(s, o->device, a, &identity, e))
		return -1;
	const char *why = js_as_text(js_get(identity, "statusReason"));
	if (!span_starts(span_str(why), SPAN_LIT(OUR_STATUS HOLD)))
		return err_set(e, ERR_CONFLICT, "%s: %s; only %s ends", o->device,
		    why[0] ? why : "not on hold", HOLD);
	report(ret, REVOKER_IDENTITY, "done", "enabled again");
	report(
	    ret, REVOKER_ENROLLMENT, "unchanged", "the device registers anew by itself");
	report(ret, REVOKER_SESSION, "unchanged", "the device connects by itself");
	return azure_put_status(s, o->device, identity, "enabled", "", a, e);
}

/* ---- the table ------------------------------------------------------------------------
 */

#define ALL ((1u << REVOKER_EFFECTS) - 1)

static const struct revoker_target targets[] = {
    [TARGETS_MUSTER] = {"muster", ALL, {muster_revoke, muster_undo, muster_allow}},
    [TARGETS_AZURE] = {"azure",
	1u << REVOKER_IDENTITY | 1u << REVOKER_ENROLLMENT | 1u << REVOKER_SESSION,
	{azure_revoke, azure_undo, NULL}}, /* it keeps no list of the blocked */
};

const struct revoker_target *
revoker_find(enum targets_kind kind)
{
	return &targets[kind];
}

int
revoker_run(const struct revoker_target *t, enum revoker_verb verb, struct service *s,
    const struct revoker_order *o, struct arena *a, struct revoker_report *ret,
    struct err *e)
{
	struct revoker_report got = {0};
	if (!t->verb[verb])
		return err_set(
		    e, ERR_UNSUPPORTED, "%s: blocks no registration ID", t->name);
	for (int i = 0; i < REVOKER_EFFECTS; i++)
		report(&got, (enum revoker_effect)i, "not offered",
		    "not offered by this target");
	if (t->verb[verb](s, o, a, &got, e))
		return -1;
	*ret = got;
	return 0;
}
