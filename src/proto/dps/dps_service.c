/*
 * The service API of DPS: enrollment groups, individual enrollments, their keys,
 * registrations (protocol/service.md 1.2 to 1.6).
 */
#include "codec/id.h"
#include "codec/js.h"
#include "proto/dps/dps_json.h"
#include "proto/dps/enrollment_body.h"
#include "proto/dps/enrollment_json.h"
#include "proto/http_call.h"

enum { PAGE_MAX = 1000 };

/* ---- answers ----------------------------------------------------------------------- */

static void
gather(struct http_call *c, struct js *v)
{
	buf_reset(&c->out);
	js_dump(v, JS_AS_BUILT, &c->out);
	js_free(v);
}

static void
finish_one(struct http_call *c, const struct ipc_done *d)
{
	if (d->code == ERR_OK)
		http_call_json_out(c, 200);
	else
		http_call_fail_done(c, d);
}

/* The state of an individual's registration comes before its enrollment: as text in
 * c->state until then. */
static void
keep_state(struct http_call *c, const struct ipc_dps_state *m)
{
	auto_buf text = BUF_INIT(CAP_JSON);
	auto_(js_free) struct js *v = dps_json_state(m);
	js_dump(v, JS_AS_BUILT, &text);
	c->state = arena_str(c->arena, buf_span(&text));
}

static struct js *
with_state(struct http_call *c, const struct ipc_enrollment *m)
{
	struct span state = c->state ? span_str(c->state) : SPAN_NONE;
	c->state = NULL;
	return enrollment_json(m, state);
}

static void
on_enrollment(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type == IPC_DONE)
		finish_one(c, msg);
	else if (type == IPC_DPS_STATE)
		keep_state(c, msg);
	else
		gather(c, with_state(c, msg));
}

static void
on_keys(struct http_call *c, enum ipc_type type, const void *msg)
{
	c->out.secret = true;
	if (type == IPC_DONE)
		finish_one(c, msg);
	else if (type == IPC_ENROLLMENT)
		gather(c, enrollment_json_keys(msg));
}

static void
on_registration(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type == IPC_DONE)
		finish_one(c, msg);
	else
		gather(c, dps_json_state(msg));
}

static void
on_deleted(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (d->code == ERR_OK)
		http_call_no_content(c);
	else
		http_call_fail_done(c, d);
}

static void
on_row(struct http_call *c, enum ipc_type type, const void *msg, const char *item)
{
	const struct ipc_enrollment *m = msg;
	if (type == IPC_DPS_STATE) {
		keep_state(c, msg);
		return;
	}
	if (type == IPC_ENROLLMENT) {
		auto_(js_free) struct js *v = with_state(c, m);
		http_call_list_add(c, v, m->id);
		return;
	}
	http_call_list_end(c, item, msg);
}

static void
on_group_row(struct http_call *c, enum ipc_type type, const void *msg)
{
	on_row(c, type, msg, "enrollmentGroup");
}

static void
on_individual_row(struct http_call *c, enum ipc_type type, const void *msg)
{
	on_row(c, type, msg, "enrollment");
}

static void
on_registration_row(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	const struct ipc_dps_state *m = msg;
	if (type == IPC_DPS_STATE) {
		auto_(js_free) struct js *v = dps_json_state(m);
		http_call_list_add(c, v, m->registration_id);
		return;
	}
	http_call_list_end(c, "deviceRegistrationState", d);
}

/* ---- enrollments ------------------------------------------------------------------- */

static int
check_id(struct span id, struct err *e)
{
	if (!id_is_registration(id))
		return err_set(e, ERR_NOT_FOUND, "no such ID");
	return 0;
}

static void
put(struct http_call *c, enum ipc_enrollment_kind kind)
{
	struct err e = {0};
	auto_enrollment_body r;
	enrollment_body_init(&r);
	struct ipc_enrollment_put m = {
	    .peer = c->peer, .cred = c->cred, .kind = (uint8_t)kind, .id = c->param[0]};
	auto_(js_free) struct js *o = http_call_object(c, ENROLLMENT_BODY_DEPTH, &e);
	if (!o || http_call_if_match(c, &m.if_match, &e) ||
	    enrollment_body_parse(o, &r, &m, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	http_call_ask(c, IPC_ENROLLMENT_PUT, &m, on_enrollment);
}

static void
get(struct http_call *c, enum ipc_type type, enum ipc_enrollment_kind kind,
    void (*fn)(struct http_call *c, enum ipc_type type, const void *msg))
{
	struct err e = {0};
	/* enrollment_get and enrollment_keys have one list of fields */
	const struct ipc_enrollment_get m = {
	    .peer = c->peer, .cred = c->cred, .kind = (uint8_t)kind, .id = c->param[0]};
	if (check_id(m.id, &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, type, &m, fn);
}

static void delete (struct http_call *c, enum ipc_enrollment_kind kind)
{
	struct err e = {0};
	struct ipc_enrollment_delete m = {
	    .peer = c->peer, .cred = c->cred, .kind = (uint8_t)kind, .id = c->param[0]};
	if (check_id(m.id, &e) || http_call_if_match(c, &m.if_match, &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, IPC_ENROLLMENT_DELETE, &m, on_deleted);
}

/* The query's text means nothing: az sends the text form of a Python object, or no body
 * at all; every query is "all" (T5, clients.md 1.10). */
static void
query(struct http_call *c, enum ipc_enrollment_kind kind,
    void (*fn)(struct http_call *c, enum ipc_type type, const void *msg))
{
	struct err e = {0};
	struct ipc_enrollment_query m = {
	    .peer = c->peer, .cred = c->cred, .kind = (uint8_t)kind};
	if (http_call_page(c, PAGE_MAX, &m.limit, &m.after, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	http_call_list_begin(c);
	http_call_ask(c, IPC_ENROLLMENT_QUERY, &m, fn);
}

void
dps_service_group_put(struct http_call *c)
{
	put(c, IPC_KIND_GROUP);
}

void
dps_service_group_get(struct http_call *c)
{
	get(c, IPC_ENROLLMENT_GET, IPC_KIND_GROUP, on_enrollment);
}

void
dps_service_group_keys(struct http_call *c)
{
	get(c, IPC_ENROLLMENT_KEYS, IPC_KIND_GROUP, on_keys);
}

void
dps_service_group_delete(struct http_call *c)
{
	delete (c, IPC_KIND_GROUP);
}

void
dps_service_group_query(struct http_call *c)
{
	query(c, IPC_KIND_GROUP, on_group_row);
}

void
dps_service_individual_put(struct http_call *c)
{
	put(c, IPC_KIND_INDIVIDUAL);
}

void
dps_service_individual_get(struct http_call *c)
{
	get(c, IPC_ENROLLMENT_GET, IPC_KIND_INDIVIDUAL, on_enrollment);
}

void
dps_service_individual_keys(struct http_call *c)
{
	get(c, IPC_ENROLLMENT_KEYS, IPC_KIND_INDIVIDUAL, on_keys);
}

void
dps_service_individual_delete(struct http_call *c)
{
	delete (c, IPC_KIND_INDIVIDUAL);
}

void
dps_service_individual_query(struct http_call *c)
{
	query(c, IPC_KIND_INDIVIDUAL, on_individual_row);
}

/* ---- registrations ----------------------------------------------------------------- */

void
dps_service_registration_get(struct http_call *c)
{
	struct err e = {0};
	const struct ipc_registration_get m = {
	    .peer = c->peer, .cred = c->cred, .id = c->param[0]};
	if (check_id(m.id, &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, IPC_REGISTRATION_GET, &m, on_registration);
}

void
dps_service_registration_delete(struct http_call *c)
{
	struct err e = {0};
	struct ipc_registration_delete m = {
	    .peer = c->peer, .cred = c->cred, .id = c->param[0]};
	if (check_id(m.id, &e) || http_call_if_match(c, &m.if_match, &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, IPC_REGISTRATION_DELETE, &m, on_deleted);
}

void
dps_service_registration_query(struct http_call *c)
{
	struct err e = {0};
	struct ipc_registration_query m = {
	    .peer = c->peer, .cred = c->cred, .group_id = c->param[0]};
	if (check_id(m.group_id, &e) ||
	    http_call_page(c, PAGE_MAX, &m.limit, &m.after, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	http_call_list_begin(c);
	http_call_ask(c, IPC_REGISTRATION_QUERY, &m, on_registration_row);
}
