/*
 * Messages of the service API about DPS: enrollments, registrations, certificates of the
 * provisioning service. By the time a handler runs the credential has been found good for
 * the right in the message's row.
 */
#include "domain/hub/device.h"
#include "domain/pki/ca_cert.h"
#include "domain/dps/enrol.h"
#include "domain/dps/enrollment.h"
#include "role/core_hook.h"
#include "role/core_list.h"

#define ENROLLMENTS_PAGE   100
#define REGISTRATIONS_PAGE 1000

/* ---- enrollments ----------------------------------------------------------------------
 */

/* An individual enrollment shows what became of it; its state goes first. */
static int
answer_state(
    struct core *c, const struct ask *a, const struct store_enrollment *n, struct err *e)
{
	struct store_registration r;
	if (n->kind != STORE_INDIVIDUAL)
		return 0;
	if (store_registration_get(c->store, n->id, turn_arena(c->turn), &r, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	const struct ipc_dps_state st = enrol_state(&r);
	return core_answer(c, a, IPC_DPS_STATE, &st, e);
}

struct ipc_enrollment
core_enrollment_msg(const struct store_enrollment *n, bool keys)
{
	return (struct ipc_enrollment){.kind = (uint8_t)n->kind,
	    .id = span_str(n->id),
	    .etag = n->etag,
	    .attestation = (uint8_t)n->attestation,
	    .primary_cert = n->primary_cert,
	    .secondary_cert = n->secondary_cert,
	    .primary_ca = span_str(n->primary_ca),
	    .secondary_ca = span_str(n->secondary_ca),
	    .primary_key = keys ? n->primary_key : SPAN_NONE,
	    .secondary_key = keys ? n->secondary_key : SPAN_NONE,
	    .endorsement_key = n->endorsement_key,
	    .storage_root_key = n->storage_root_key,
	    .device_id = span_str(n->device_id),
	    .info = n->info,
	    .enabled = n->enabled,
	    .iot_edge = n->iot_edge,
	    .allocation = span_str(n->allocation),
	    .hubs = span_str(n->hubs),
	    .tags = n->tags,
	    .desired = n->desired,
	    .update_hub = n->update_hub,
	    .migrate_data = n->migrate_data,
	    .created_ms = n->created_ms,
	    .updated_ms = n->updated_ms,
	    .reprovision_unset = n->reprovision_unset,
	    .webhook_url = span_str(n->webhook_url),
	    .webhook_api = span_str(n->webhook_api)};
}

static int
answer_enrollment(struct core *c, const struct ask *a, const struct store_enrollment *n,
    bool keys, struct err *e)
{
	const struct ipc_enrollment m = core_enrollment_msg(n, keys);
	if (answer_state(c, a, n, e))
		return -1;
	return core_answer(c, a, IPC_ENROLLMENT, &m, e);
}

static int
answer_enrollment_done(struct core *c, const struct ask *a,
    const struct store_enrollment *n, bool keys, struct err *e)
{
	if (answer_enrollment(c, a, n, keys, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
check_kind(uint8_t kind, enum store_enrollment_kind *ret, struct err *e)
{
	if (kind > IPC_KIND_INDIVIDUAL)
		return err_set(e, ERR_PARSE, "enrollments of kind %u", kind);
	*ret = (enum store_enrollment_kind)kind;
	return 0;
}

static int
on_enrollment_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_enrollment_get *m = msg;
	struct store_enrollment n;
	enum store_enrollment_kind kind = STORE_GROUP;
	if (check_kind(m->kind, &kind, e) || enrollment_get(&c->d, kind, m->id, &n, e))
		return -1;
	return answer_enrollment_done(c, a, &n, a->type == IPC_ENROLLMENT_KEYS, e);
}

static int
on_enrollment_put(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct store_enrollment n;
	if (enrollment_put(&c->d, msg, &n, e))
		return -1;
	c->anchors_changed |= n.kind == STORE_GROUP;
	return answer_enrollment_done(c, a, &n, false, e);
}

static int
on_enrollment_delete(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_enrollment_delete *m = msg;
	if (enrollment_delete(&c->d, m, e))
		return -1;
	c->anchors_changed |= m->kind == IPC_KIND_GROUP;
	return core_done(c, a, "", 0, e);
}

static int
visit_enrollment(void *ctx, const struct store_enrollment *n, struct err *e)
{
	struct core_list *l = ctx;
	if (!core_list_take(l, n->id,
		n->primary_cert.len + n->secondary_cert.len + n->tags.len +
		    n->desired.len + n->info.len + 1024))
		return 1;
	return answer_enrollment(l->c, l->a, n, false, e);
}

static int
on_enrollment_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_enrollment_query *m = msg;
	enum store_enrollment_kind kind = STORE_GROUP;
	struct core_list l = {
	    .c = c, .a = a, .left = core_list_page(m->limit, ENROLLMENTS_PAGE)};
	if (check_kind(m->kind, &kind, e))
		return -1;
	int rc = store_enrollment_each(c->store, kind,
	    arena_str(turn_arena(c->turn), m->after), l.left + 1, visit_enrollment, &l,
	    e);
	return core_list_end(&l, rc, e);
}

/* ---- registrations --------------------------------------------------------------------
 */

static int
on_registration_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_registration_get *m = msg;
	struct store_registration r;
	struct arena *ar = turn_arena(c->turn);
	if (store_registration_get(c->store, arena_str(ar, m->id), ar, &r, e))
		return -1;
	struct ipc_dps_state st = enrol_state(&r);
	if (core_answer(c, a, IPC_DPS_STATE, &st, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
on_registration_delete(
    struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_registration_delete *m = msg;
	struct store_registration r;
	struct arena *ar = turn_arena(c->turn);
	if (store_registration_get(c->store, arena_str(ar, m->id), ar, &r, e))
		return -1;
	if (m->if_match.len && !device_etag_matches(m->if_match, r.etag))
		return err_set(
		    e, ERR_CONFLICT, "registration %s: etag does not match", r.id);
	if (store_registration_del(c->store, r.id, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
visit_registration(void *ctx, const struct store_registration *r, struct err *e)
{
	struct core_list *l = ctx;
	struct ipc_dps_state st = enrol_state(r);
	if (!core_list_take(l, r->id, 1024))
		return 1;
	return core_answer(l->c, l->a, IPC_DPS_STATE, &st, e);
}

static int
on_registration_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_registration_query *m = msg;
	struct arena *ar = turn_arena(c->turn);
	struct core_list l = {
	    .c = c, .a = a, .left = core_list_page(m->limit, REGISTRATIONS_PAGE)};
	int rc = store_registration_each(c->store, arena_str(ar, m->group_id),
	    arena_str(ar, m->after), l.left + 1, visit_registration, &l, e);
	return core_list_end(&l, rc, e);
}

/* ---- certificates of the provisioning service and of hubs -----------------------------
 */

static int
answer_cert(
    struct core *c, const struct ask *a, const struct store_ca_cert *r, struct err *e)
{
	const struct ipc_ca_cert m = {.name = span_str(r->name),
	    .der = r->der,
	    .verified = r->verified,
	    .code = span_str(r->code),
	    .etag = r->etag,
	    .created_ms = r->created_ms,
	    .updated_ms = r->updated_ms};
	return core_answer(c, a, IPC_CA_CERT, &m, e);
}

static int
answer_cert_done(
    struct core *c, const struct ask *a, const struct store_ca_cert *r, struct err *e)
{
	if (answer_cert(c, a, r, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

/* What was trusted may be no more: sessions under a hub's CA end then. */
static void
spread_cert(struct core *c, const char *owner)
{
	c->anchors_changed = true;
	if (owner[0])
		core_recheck_all(c);
}

static int
on_ca_cert_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_ca_cert_get *m = msg;
	struct store_ca_cert r;
	if (ca_cert_get(&c->d, m->owner, m->name, &r, e))
		return -1;
	return answer_cert_done(c, a, &r, e);
}

static int
on_ca_cert_put(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct store_ca_cert r;
	if (ca_cert_put(&c->d, msg, &r, e))
		return -1;
	spread_cert(c, r.owner);
	return answer_cert_done(c, a, &r, e);
}

static int
on_ca_cert_delete(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_ca_cert_delete *m = msg;
	if (ca_cert_delete(&c->d, m, e))
		return -1;
	spread_cert(c, arena_str(turn_arena(c->turn), m->owner));
	return core_done(c, a, "", 0, e);
}

static int
on_ca_cert_code(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct store_ca_cert r;
	if (ca_cert_code(&c->d, msg, &r, e))
		return -1;
	return answer_cert_done(c, a, &r, e);
}

static int
on_ca_cert_verified(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct store_ca_cert r;
	if (ca_cert_verified(&c->d, msg, &r, e))
		return -1;
	spread_cert(c, r.owner);
	return answer_cert_done(c, a, &r, e);
}

static int
visit_cert(void *ctx, const struct store_ca_cert *r, struct err *e)
{
	struct core_list *l = ctx;
	return answer_cert(l->c, l->a, r, e);
}

/* All there are: they are few (domain/pki/ca_cert.h). */
static int
on_ca_cert_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_ca_cert_query *m = msg;
	struct core_list l = {.c = c, .a = a};
	if (ca_cert_each(&c->d, m->owner, visit_cert, &l, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

core_handler *
core_enrollment_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_ENROLLMENT_GET] = on_enrollment_get,
	    [IPC_ENROLLMENT_KEYS] = on_enrollment_get,
	    [IPC_ENROLLMENT_PUT] = on_enrollment_put,
	    [IPC_ENROLLMENT_DELETE] = on_enrollment_delete,
	    [IPC_ENROLLMENT_QUERY] = on_enrollment_query,
	    [IPC_REGISTRATION_GET] = on_registration_get,
	    [IPC_REGISTRATION_DELETE] = on_registration_delete,
	    [IPC_REGISTRATION_QUERY] = on_registration_query,
	    [IPC_CA_CERT_GET] = on_ca_cert_get,
	    [IPC_CA_CERT_PUT] = on_ca_cert_put,
	    [IPC_CA_CERT_DELETE] = on_ca_cert_delete,
	    [IPC_CA_CERT_CODE] = on_ca_cert_code,
	    [IPC_CA_CERT_VERIFIED] = on_ca_cert_verified,
	    [IPC_CA_CERT_QUERY] = on_ca_cert_query,
	};
	return handlers[type];
}
