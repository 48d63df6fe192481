/*
 * Registration of devices.
 */
#include "domain/enrol.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/rand.h"
#include "domain/alloc.h"
#include "domain/attest.h"
#include "domain/device.h"
#include "domain/revoke.h"
#include "domain/throttle.h"
#include "domain/tpm.h"
#include "domain/twin.h"

/* azure profile: how long a registration is "assigning" before a poll may succeed. */
#define AZURE_ASSIGN_MS 1500

static bool
is_refused(const struct refusal *no)
{
	return no->code != REFUSAL_NONE;
}

static bool
is_native(const struct domain *d)
{
	return d->cfg->server.profile == CONFIG_PROFILE_NATIVE;
}

/* ---- the identity in the hub ----------------------------------------------------------
 */

static void
give_keys(const struct attested *a, struct store_device *dev)
{
	dev->auth = STORE_AUTH_SAS;
	dev->sas_window = false;
	dev->primary_key = a->primary_key;
	dev->secondary_key = a->secondary_key;
	dev->primary_thumb = dev->secondary_thumb = "";
}

/* native: the keys stay for the migration window, as with give_ca. */
static void
give_thumbprint(struct domain *d, const struct attested *a, struct store_device *dev)
{
	dev->sas_window =
	    is_native(d) && (dev->auth == STORE_AUTH_SAS || dev->sas_window);
	if (!dev->sas_window)
		dev->primary_key = dev->secondary_key = SPAN_NONE;
	dev->auth = STORE_AUTH_SELF_SIGNED;
	dev->primary_thumb = arena_str(d->arena, span_str(a->thumb));
	dev->secondary_thumb = dev->primary_thumb;
}

static void
give_ca(struct store_device *dev)
{
	dev->sas_window = dev->auth == STORE_AUTH_SAS || dev->sas_window;
	dev->auth = STORE_AUTH_CA;
	dev->primary_thumb = dev->secondary_thumb = "";
}

/* The hub lets a device in by its chain where the CN is its ID; one that is enrolled by
 * the certificate itself may have neither. */
static bool
goes_by_chain(
    const struct domain *d, const struct attested *a, const struct store_device *dev)
{
	return is_native(d) && a->has_chain && strcmp(a->cn, dev->id) == 0;
}

static void
give_credential(struct domain *d, const struct attested *a, struct store_device *dev)
{
	if (a->by_key)
		give_keys(a, dev);
	else if (goes_by_chain(d, a, dev))
		give_ca(dev);
	else
		give_thumbprint(d, a, dev);
}

/* A symmetric registration of a device that has gone over to X.509: within its migration
 * window it changes nothing (the device fell back for now); after it, it is an attack or
 * a mistake, for a group key could otherwise undo the migration. */
static bool
is_downgrade(const struct store_device *dev, const struct attested *a)
{
	bool is_x509 = dev->auth == STORE_AUTH_CA || dev->auth == STORE_AUTH_SELF_SIGNED;
	return a->by_key && is_x509;
}

static const char *
group_of(const struct attested *a)
{
	return a->by.kind == STORE_GROUP ? a->by.id : "";
}

static int
write_identity(struct domain *d, const struct attested *a, const char *id,
    const char *hub, bool reset, struct refusal *no, struct err *e)
{
	struct store_device dev;
	bool is_new = false;
	if (store_device_get(d->store, id, d->arena, &dev, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		is_new = true;
		dev = device_blank(d, id);
		dev.iot_edge = a->by.iot_edge;
	}
	if (!dev.enabled)
		return refusal_set(no, REFUSAL_DEVICE_DISABLED, "%s", id);
	bool keep = is_downgrade(&dev, a);
	if (keep && !dev.sas_window)
		return refusal_set(no, REFUSAL_DOWNGRADE, "%s", id);
	if ((is_new || reset) && twin_initial(d, a->by.tags, a->by.desired, &dev, e))
		return -1;
	if (!keep)
		give_credential(d, a, &dev);
	dev.group_id = group_of(a);
	dev.hub = hub;
	dev.etag++;
	return is_new ? store_device_add(d->store, &dev, e)
		      : store_device_put(d->store, &dev, e);
}

/* ---- the registration -----------------------------------------------------------------
 */

static const char *
new_operation_id(struct domain *d)
{
	char guid[37];
	rand_uuid(guid);
	return arena_printf(d->arena, "4.%016" PRIx64 ".%s", rand_u64(), guid);
}

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
	};
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

/* The answer a device gets now: a registration still under way says "assigning". */
static int
answer(struct domain *d, const struct attested *a, const struct store_registration *r,
    struct ipc_dps_state *ret, struct err *e)
{
	struct ipc_dps_state st = enrol_state(r);
	if (r->ready_ms > domain_now(d)) {
		st.status = SPAN_LIT("assigning");
		st.retry_after_s = (uint32_t)d->cfg->dps.retry_after_s;
	}
	if (a->by.attestation == STORE_ATT_TPM && span_eq_str(st.status, "assigned") &&
	    add_tpm_key(d, a, &st, e))
		return -1;
	*ret = st;
	return 0;
}

static const char *
substatus(const struct store_registration *was, const struct store_enrollment *g,
    const char *hub)
{
	if (!was)
		return "initialAssignment";
	if (!g->update_hub)
		return "initialAssignment";
	if (!g->migrate_data)
		return "deviceDataReset";
	return strcasecmp(was->hub, hub) == 0 ? "initialAssignment"
					      : "deviceDataMigrated";
}

/* The record of a device whose enrollment is disabled: it is told so, with a status its
 * SDK knows (device.md 1.10), and the operator finds it among the registrations. */
static int
record_disabled(struct domain *d, struct store_registration *r, const struct attested *a,
    struct ipc_dps_state *ret, struct refusal *no, struct err *e)
{
	const struct refusal_row *row = refusal_row(REFUSAL_ENROLLMENT_DISABLED);
	r->status = "disabled";
	r->substatus = "initialAssignment";
	r->error_code = row->dps;
	r->error_text = row->words;
	if (store_registration_put(d->store, r, e))
		return -1;
	*ret = enrol_state(r);
	return refusal_set(no, REFUSAL_ENROLLMENT_DISABLED, "%s", a->by.id);
}

static int
assign(struct domain *d, const struct attested *a, struct store_registration *r,
    const struct store_registration *was, struct refusal *no, struct err *e)
{
	const struct alloc_ask ask = {.registration_id = span_str(r->id),
	    .policy = a->by.allocation,
	    .hubs = a->by.hubs};
	const char *hub = was && !a->by.update_hub ? was->hub : alloc_hub(d->cfg, &ask);
	if (!hub)
		return refusal_set(no, REFUSAL_ALLOCATION, "enrollment %s", a->by.id);
	bool reset = was && a->by.update_hub && !a->by.migrate_data;
	if (write_identity(d, a, r->device_id, hub, reset, no, e))
		return -1;
	r->hub = hub;
	r->status = "assigned";
	r->substatus = substatus(was, &a->by, hub);
	r->error_code = 0;
	r->error_text = "";
	if (d->cfg->server.profile == CONFIG_PROFILE_AZURE)
		r->ready_ms = domain_now(d) + AZURE_ASSIGN_MS;
	return 0;
}

/* Which device a registration is for: the one its individual enrollment says; else the
 * one it was before; else the ID as the certificate, the enrollment or the device spells
 * it (hub IDs keep their case, device.md 1.2). */
static const char *
device_of(struct domain *d, const struct ipc_dps_register *m, const struct attested *a,
    const struct store_registration *was)
{
	if (a->by.kind == STORE_INDIVIDUAL && a->by.device_id[0])
		return a->by.device_id;
	if (was && was->device_id[0])
		return was->device_id;
	if (!a->by_key)
		return a->cn;
	return a->by.kind == STORE_INDIVIDUAL ? a->by.id
					      : arena_str(d->arena, m->registration_id);
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
enrol(struct domain *d, const struct ipc_dps_register *m, const struct attested *a,
    struct ipc_dps_state *ret, struct refusal *no, struct err *e)
{
	const char *id = arena_str(d->arena, m->registration_id);
	struct store_registration stored, *was = NULL;
	if (store_registration_get(d->store, id, d->arena, &stored, e) == 0)
		was = &stored;
	else if (e->code != ERR_NOT_FOUND)
		return -1;
	int64_t now = domain_now(d);
	struct store_registration r = {.id = was ? was->id : id,
	    .group_id = group_of(a),
	    .device_id = device_of(d, m, a, was),
	    .hub = was ? was->hub : "",
	    .operation_id = new_operation_id(d),
	    .attestation = attestation_name(a),
	    .thumb = arena_str(d->arena, span_str(a->thumb)),
	    .etag = was ? was->etag + 1 : 1,
	    .created_ms = was ? was->created_ms : now,
	    .updated_ms = now};
	if (check_blocked(d, &r, no, e) || is_refused(no) || keep_root_key(d, a, e))
		return is_refused(no) ? 0 : -1;
	int rc = a->by.enabled ? assign(d, a, &r, was, no, e)
			       : record_disabled(d, &r, a, ret, no, e);
	if (rc || is_refused(no))
		return rc;
	if (store_registration_put(d->store, &r, e))
		return -1;
	return answer(d, a, &r, ret, e);
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

int
enrol_register(struct domain *d, const struct ipc_dps_register *m,
    struct ipc_dps_state *ret, struct refusal *no, struct err *e)
{
	*no = (struct refusal){0};
	if (!throttle_take(d->throttle, clock_mono_ms(d->clock)))
		return refusal_set(no, REFUSAL_THROTTLED, "registrations a minute");
	struct attested a = {0};
	const struct attest_ask ask = {.cred = &m->cred,
	    .scope = m->id_scope,
	    .registration_id = m->registration_id,
	    .endorsement_key = m->endorsement_key,
	    .storage_root_key = m->storage_root_key};
	if (attest(d, &ask, &a, no, e))
		return -1;
	if (!a.challenge.len)
		return is_refused(no) ? 0 : enrol(d, m, &a, ret, no, e);
	*ret = unassigned(m, &a);
	return 0;
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
	return answer(d, &a, &r, ret, e);
}
