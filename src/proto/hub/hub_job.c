/*
 * The hub's service API: scheduled jobs (protocol/service.md 2.7).
 */
#include <string.h>

#include "codec/iso8601.h"
#include "codec/js.h"
#include "codec/query.h"
#include "proto/http_call.h"
#include "proto/hub/identity.h"
#include "proto/hub/methods_api.h"
#include "proto/hub/twin_json.h"
#include "proto/json.h"

enum {
	BODY_DEPTH = 64,
	PAGE_MAX = 1000,
	MAX_S_USUAL = 3600, /* of every client */
	RESPONSE_USUAL_S = 30,
	NOT_FOUND = 404002,
};

/* Indexed by enum ipc_job_kind. */
static const char *const kinds[] = {"", "scheduleDeviceMethod", "scheduleUpdateTwin"};
/* Indexed by enum ipc_job_status. */
static const char *const statuses[] = {
    "scheduled", "queued", "running", "completed", "failed", "cancelled"};
/* Of jobs that are none of these, or that no job of these ever has. */
static const char *const other_kinds[] = {"unknown", "export", "import", "backup",
    "readDeviceProperties", "writeDeviceProperties", "updateDeviceConfiguration",
    "rebootDevice", "factoryResetDevice", "firmwareUpdate", "restoreFromBackup",
    "failoverDataCopy"};
static const char *const other_statuses[] = {"unknown", "enqueued"};
#define N(all) (sizeof(all) / sizeof((all)[0]))

/* n: it is none of them. */
static size_t
index_of(struct span word, const char *const all[], size_t n)
{
	size_t i = 0;
	while (i < n && !span_ieq_str(word, all[i]))
		i++;
	return i;
}

/* ---- JSON of a job ----------------------------------------------------------------- */

static struct js *
method_json(const struct ipc_job *m)
{
	struct err e;
	struct js *o = js_object();
	json_put_text(o, "methodName", m->method);
	js_set(o, "payload", js_parse(m->payload, CAP_METHOD, BODY_DEPTH, &e));
	js_set_int(o, "connectTimeoutInSeconds", m->connect_s);
	js_set_int(o, "responseTimeoutInSeconds", m->response_s);
	return o;
}

static struct js *
twin_json(const struct ipc_job *m)
{
	struct js *o = js_object();
	json_put_span(o, "etag", m->if_match);
	if (m->tags.len)
		json_put_doc(o, "tags", m->tags);
	if (!m->desired.len)
		return o;
	struct js *properties = js_object();
	json_put_doc(properties, "desired", m->desired);
	js_set(o, "properties", properties);
	return o;
}

/* pendingCount: a device is in the counts once it was looked at. */
static struct js *
statistics_json(const struct ipc_job *m)
{
	struct js *o = js_object();
	js_set_int(o, "deviceCount", m->succeeded + m->failed + m->running);
	js_set_int(o, "failedCount", m->failed);
	js_set_int(o, "succeededCount", m->succeeded);
	js_set_int(o, "runningCount", m->running);
	js_set_int(o, "pendingCount", 0);
	return o;
}

static struct js *
job_json(const struct ipc_job *m)
{
	bool method = m->kind == IPC_JOB_METHOD;
	struct js *o = js_object();
	json_put_text(o, "jobId", m->id);
	json_put_text(o, "queryCondition", m->condition);
	json_put_time(o, "createdTime", m->created_ms);
	json_put_time(o, "startTime", m->start_ms);
	json_put_time(o, "endTime", m->ended_ms);
	js_set_int(o, "maxExecutionTimeInSeconds", m->max_s);
	js_set_text(o, "type", m->kind < N(kinds) ? kinds[m->kind] : "unknown");
	js_set(o, method ? "cloudToDeviceMethod" : "updateTwin",
	    method ? method_json(m) : twin_json(m));
	js_set_text(
	    o, "status", m->status < N(statuses) ? statuses[m->status] : "unknown");
	json_put_span(o, "failureReason", m->reason);
	js_set(o, "deviceJobStatistics", statistics_json(m));
	return o;
}

static void
on_job(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type == IPC_JOB)
		identity_gather(c, job_json(msg));
	else
		identity_done(c, msg);
}

/* ---- requests ---------------------------------------------------------------------- */

static int
parse_method(
    const struct js *o, struct ipc_job_put *m, struct buf *payload, struct err *e)
{
	const struct js *v = NULL;
	struct ipc_method_call call = {.response_s = RESPONSE_USUAL_S};
	if (js_need(o, "cloudToDeviceMethod", JS_OBJECT, &v, e) ||
	    methods_api_parse(v, &call, payload, e))
		return -1;
	m->method = call.method;
	m->payload = buf_span(payload);
	m->connect_s = call.connect_s;
	m->response_s = call.response_s;
	return 0;
}

static int
parse_twin(const struct http_call *c, const struct js *o, struct ipc_job_put *m,
    struct buf room[2], struct err *e)
{
	const struct js *v = NULL;
	struct span text = SPAN_NONE;
	char etag[JSON_ETAG_MAX];
	if (js_need(o, "updateTwin", JS_OBJECT, &v, e) ||
	    js_opt_str(v, "etag", &text, e) || twin_json_parse(v, &room[0], &room[1], e))
		return -1;
	if (!json_etag_parse(arena_str(c->arena, text), etag))
		return err_set(e, ERR_PARSE, "updateTwin.etag is none of ours");
	m->if_match = span_str(arena_str(c->arena, span_str(etag)));
	m->tags = buf_span(&room[0]);
	m->desired = buf_span(&room[1]);
	return 0;
}

static int
parse_times(const struct js *o, struct ipc_job_put *m, struct err *e)
{
	struct span start = SPAN_NONE;
	m->max_s = MAX_S_USUAL;
	if (js_opt_str(o, "startTime", &start, e) ||
	    js_opt_int(o, "maxExecutionTimeInSeconds", 1, INT32_MAX, &m->max_s, e))
		return -1;
	if (start.len && iso8601_parse(start, &m->start_ms, e))
		return err_wrap(e, "startTime");
	return 0;
}

static int
parse_condition(const struct js *o, struct ipc_job_put *m, struct err *e)
{
	auto_(arena_free) struct arena *a = arena_new(QUERY_ARENA);
	struct query q;
	if (js_need_str(o, "queryCondition", &m->condition, e))
		return -1;
	if (query_parse_condition(m->condition, a, &q, e))
		return err_wrap(e, "queryCondition");
	return 0;
}

static int
parse_put(const struct http_call *c, const struct js *o, struct ipc_job_put *m,
    struct buf room[2], struct err *e)
{
	struct span id = m->id, type;
	if (js_opt_str(o, "jobId", &id, e) || js_need_str(o, "type", &type, e))
		return -1;
	if (!span_eq(id, m->id))
		return err_set(e, ERR_PARSE, "jobId is not the path's");
	m->kind = (uint8_t)index_of(type, kinds, N(kinds));
	if (m->kind != IPC_JOB_TWIN && m->kind != IPC_JOB_METHOD)
		return err_set(
		    e, ERR_PARSE, "type: scheduleUpdateTwin or scheduleDeviceMethod");
	if (parse_condition(o, m, e) || parse_times(o, m, e))
		return -1;
	return m->kind == IPC_JOB_TWIN ? parse_twin(c, o, m, room, e)
				       : parse_method(o, m, &room[0], e);
}

void
hub_job_put(struct http_call *c)
{
	struct err e = {0};
	struct buf room[2] = {BUF_INIT(CAP_TWIN), BUF_INIT(CAP_TWIN)};
	struct ipc_job_put m = {.peer = c->peer, .cred = c->cred, .id = c->param[0]};
	if (!identity_has_id(c, NOT_FOUND))
		return;
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || parse_put(c, o, &m, room, &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, IPC_JOB_PUT, &m, on_job);
	buf_done(&room[0]);
	buf_done(&room[1]);
}

void
hub_job_get(struct http_call *c)
{
	const struct ipc_job_get m = {
	    .peer = c->peer, .cred = c->cred, .id = c->param[0]};
	if (identity_has_id(c, NOT_FOUND))
		http_call_ask(c, IPC_JOB_GET, &m, on_job);
}

void
hub_job_cancel(struct http_call *c)
{
	const struct ipc_job_cancel m = {
	    .peer = c->peer, .cred = c->cred, .id = c->param[0]};
	if (identity_has_id(c, NOT_FOUND))
		http_call_ask(c, IPC_JOB_CANCEL, &m, on_job);
}

/* ---- lists ------------------------------------------------------------------------- */

static void
on_row(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_job *m = msg;
	if (type != IPC_JOB) {
		http_call_list_end(c, "jobResponse", msg);
		return;
	}
	auto_(js_free) struct js *v = job_json(m);
	http_call_list_add(c, v, m->id);
}

/* *ret_none: of a kind or status that no scheduled job has. */
static int
parse_filter(
    const struct http_call *c, struct ipc_job_query *m, bool *ret_none, struct err *e)
{
	struct span type = SPAN_NONE, status = SPAN_NONE;
	if (http_call_query_text(c, "jobType", 64, &type, e) ||
	    http_call_query_text(c, "jobStatus", 64, &status, e))
		return -1;
	m->kind = (uint8_t)index_of(type, kinds, N(kinds));
	m->status = (uint8_t)index_of(status, statuses, N(statuses));
	bool no_kind = m->kind == N(kinds);
	bool no_status = status.len && m->status == N(statuses);
	if (no_kind && index_of(type, other_kinds, N(other_kinds)) == N(other_kinds))
		return err_set(e, ERR_PARSE, "jobType: none of Azure's");
	if (no_status &&
	    index_of(status, other_statuses, N(other_statuses)) == N(other_statuses))
		return err_set(e, ERR_PARSE, "jobStatus: none of Azure's");
	*ret_none = no_kind || no_status;
	return 0;
}

void
hub_job_query(struct http_call *c)
{
	struct err e = {0};
	struct ipc_job_query m = {.peer = c->peer, .cred = c->cred};
	bool none = false;
	if (parse_filter(c, &m, &none, &e) ||
	    http_call_page(c, PAGE_MAX, &m.limit, &m.after, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	/* the core says who may ask, also of what there is none */
	if (none)
		m.kind = UINT8_MAX;
	http_call_list_begin(c);
	http_call_ask(c, IPC_JOB_QUERY, &m, on_row);
}
