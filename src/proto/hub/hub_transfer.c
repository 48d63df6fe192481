/*
 * The hub's service API: jobs that import and export identities (protocol/service.md
 * 2.7).
 */
#include "codec/js.h"
#include "proto/hub/identity.h"
#include "proto/json.h"

enum {
	BODY_DEPTH = 8,
	NOT_FOUND = 404002,
};

#define BLOB "devices.txt" /* where no name is given */

/* Indexed by enum ipc_job_status. */
static const char *const statuses[] = {
    "enqueued", "enqueued", "running", "completed", "failed", "cancelled"};

static struct js *
to_json(const struct ipc_transfer *m)
{
	struct js *o = js_object();
	bool done = m->status == IPC_JOB_COMPLETED;
	json_put_text(o, "jobId", m->id);
	json_put_time(o, "startTimeUtc", m->start_ms);
	json_put_time(o, "endTimeUtc", m->end_ms);
	js_set_text(o, "type", m->exports ? "export" : "import");
	js_set_text(
	    o, "status", m->status < IPC_JOB_STATUS_N ? statuses[m->status] : "unknown");
	js_set_int(o, "progress", done ? 100 : 0);
	json_put_span(o, "inputBlobContainerUri", m->input);
	json_put_span(o, "inputBlobName", m->input_name);
	json_put_span(o, "outputBlobContainerUri", m->output);
	json_put_span(o, "outputBlobName", m->output_name);
	js_set_bool(o, "excludeKeysInExport", m->no_keys);
	js_set_text(o, "storageAuthenticationType", "keyBased");
	js_set_bool(o, "includeConfigurations", false);
	json_put_span(o, "failureReason", m->reason);
	return o;
}

static void
on_transfer(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type == IPC_TRANSFER)
		identity_gather(c, to_json(msg));
	else
		identity_done(c, msg);
}

/* ---- POST -------------------------------------------------------------------------- */

static int
check_others(const struct js *o, struct err *e)
{
	struct span auth = SPAN_LIT("keyBased");
	bool configurations = false;
	if (js_opt_str(o, "storageAuthenticationType", &auth, e) ||
	    js_opt_bool(o, "includeConfigurations", &configurations, e))
		return -1;
	if (auth.len && !span_ieq_str(auth, "keyBased"))
		return err_set(e, ERR_PARSE, "storageAuthenticationType: keyBased alone");
	if (configurations)
		return err_set(e, ERR_PARSE, "includeConfigurations: not served");
	return 0;
}

static int
parse(const struct js *o, struct ipc_transfer_put *m, struct err *e)
{
	struct span type;
	bool no_keys = false;
	if (js_need_str(o, "type", &type, e) ||
	    js_need_str(o, "outputBlobContainerUri", &m->output, e) ||
	    js_opt_str(o, "outputBlobName", &m->output_name, e) ||
	    js_opt_bool(o, "excludeKeysInExport", &no_keys, e) || check_others(o, e))
		return -1;
	m->exports = span_ieq_str(type, "export");
	m->no_keys = no_keys;
	if (m->exports)
		return 0;
	if (!span_ieq_str(type, "import"))
		return err_set(e, ERR_PARSE, "type: export or import");
	return js_need_str(o, "inputBlobContainerUri", &m->input, e) ||
		       js_opt_str(o, "inputBlobName", &m->input_name, e)
		   ? -1
		   : 0;
}

void
hub_transfer_post(struct http_call *c)
{
	struct err e = {0};
	struct ipc_transfer_put m = {.peer = c->peer,
	    .cred = c->cred,
	    .input_name = SPAN_LIT(BLOB),
	    .output_name = SPAN_LIT(BLOB)};
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || parse(o, &m, &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, IPC_TRANSFER_PUT, &m, on_transfer);
}

/* ---- the others -------------------------------------------------------------------- */

void
hub_transfer_get(struct http_call *c)
{
	const struct ipc_transfer_get m = {
	    .peer = c->peer, .cred = c->cred, .id = c->param[0]};
	if (identity_has_id(c, NOT_FOUND))
		http_call_ask(c, IPC_TRANSFER_GET, &m, on_transfer);
}

void
hub_transfer_delete(struct http_call *c)
{
	const struct ipc_transfer_cancel m = {
	    .peer = c->peer, .cred = c->cred, .id = c->param[0]};
	if (identity_has_id(c, NOT_FOUND))
		http_call_ask(c, IPC_TRANSFER_CANCEL, &m, identity_gone);
}

static void
on_row(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_transfer *m = msg;
	if (type != IPC_TRANSFER) {
		http_call_list_end(c, "job", msg);
		return;
	}
	auto_(js_free) struct js *v = to_json(m);
	http_call_list_add(c, v, m->id);
}

void
hub_transfer_list(struct http_call *c)
{
	const struct ipc_transfer_query m = {.peer = c->peer, .cred = c->cred};
	http_call_list_begin(c);
	http_call_ask(c, IPC_TRANSFER_QUERY, &m, on_row);
}
