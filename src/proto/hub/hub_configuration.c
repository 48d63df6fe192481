/*
 * The hub's service API: configurations (protocol/service.md 2.7).
 */
#include <stdio.h>
#include <string.h>

#include "codec/js.h"
#include "codec/query.h"
#include "proto/hub/configuration_content.h"
#include "proto/hub/identity.h"
#include "proto/json.h"

enum {
	BODY_DEPTH = 24,
	LABELS_MAX = 100,
	METRICS_MAX = 20,
	TEXT_MAX = 128, /* of a label, of a metric's name */
	TOP_MAX = 100,
	WAIT_MS = 300 * 1000, /* for a metric, as for any query */
	/* numbers on the wire */
	BAD_CONDITION = 400401,
	BAD_CONTENT = 400402,
	BAD_METRIC = 400404,
	NOT_FOUND = 404301,
};

/* ---- JSON of a configuration ------------------------------------------------------- */

static struct js *
system_metrics(const struct ipc_configuration *m)
{
	struct js *o = js_object(), *results = js_object(), *queries = js_object();
	auto_buf text = BUF_INIT(CAP_QUERY + 200);
	bool has_from = span_istarts(span_trim(m->condition), SPAN_LIT("from "));
	if (has_from || span_eq_str(span_trim(m->condition), "*"))
		buf_printf(&text, "select deviceId %.*s",
		    SPAN_FMT(has_from ? m->condition : SPAN_LIT("from devices")));
	else
		buf_printf(&text, "select deviceId from devices where %.*s",
		    SPAN_FMT(m->condition));
	if (m->condition.len)
		json_put_text(queries, "targetedCount", buf_span(&text));
	buf_reset(&text);
	buf_printf(&text,
	    "select deviceId from devices%s where configurations.[[%.*s]].status = "
	    "'Applied'",
	    m->modules ? ".modules" : "", SPAN_FMT(m->id));
	json_put_text(queries, "appliedCount", buf_span(&text));
	js_set_int(results, "targetedCount", m->targeted);
	js_set_int(results, "appliedCount", m->applied);
	js_set(o, "results", results);
	js_set(o, "queries", queries);
	return o;
}

static struct js *
to_json(const struct ipc_configuration *m)
{
	struct js *o = js_object(), *metrics = js_object();
	json_put_text(o, "id", m->id);
	json_put_text(o, "schemaVersion", m->schema_version);
	json_put_doc(o, "labels", m->labels);
	json_put_doc(o, "content", m->content);
	json_put_text(o, "targetCondition", m->condition);
	json_put_time(o, "createdTimeUtc", m->created_ms);
	json_put_time(o, "lastUpdatedTimeUtc", m->updated_ms);
	js_set_int(o, "priority", m->priority);
	js_set(o, "systemMetrics", system_metrics(m));
	js_set(metrics, "results", js_object());
	json_put_doc(metrics, "queries", m->metrics);
	js_set(o, "metrics", metrics);
	json_put_etag(o, "etag", m->etag);
	return o;
}

static void
on_configuration(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_configuration *m = msg;
	if (type != IPC_CONFIGURATION) {
		identity_done(c, msg);
		return;
	}
	identity_etag(c, m->etag);
	identity_gather(c, to_json(m));
}

/* ---- PUT --------------------------------------------------------------------------- */

/* An object of texts, at most n of max bytes each. */
static int
parse_texts(const struct js *o, const char *what, size_t n, size_t max, struct buf *out,
    struct err *e)
{
	if (js_len(o) > n)
		return err_set(e, ERR_PARSE, "%s: over %zu", what, n);
	for (struct js_iter it = js_members(o); js_next(&it);)
		if (!js_is(it.value, JS_STRING) || js_as_str(it.value).len > max ||
		    strlen(it.key) > TEXT_MAX)
			return err_set(
			    e, ERR_PARSE, "%s: texts, of up to %zu bytes", what, max);
	auto_(js_free) struct js *none = js_object();
	js_dump(o ? o : none, JS_SORTED, out);
	return buf_check(out, what, e);
}

static int
check_query(struct span text, struct err *e)
{
	auto_(arena_free) struct arena *a = arena_new(QUERY_ARENA);
	struct query q;
	return query_parse(text, a, &q, e);
}

static int
check_condition(struct span text, struct err *e)
{
	auto_(arena_free) struct arena *a = arena_new(QUERY_ARENA);
	struct query q;
	return text.len ? query_parse_condition(text, a, &q, e) : 0;
}

/* What a PUT is made of, and the number that says what is wrong with it. */
struct put {
	struct ipc_configuration_put m;
	struct buf labels, content, desired, metrics;
	uint32_t number; /* 0: the usual one */
};

static int
parse_metrics(const struct js *o, struct put *p, struct err *e)
{
	const struct js *metrics = NULL, *queries = NULL;
	if (js_opt(o, "metrics", JS_OBJECT, &metrics, e) ||
	    js_opt(metrics, "queries", JS_OBJECT, &queries, e) ||
	    parse_texts(
		queries, "metrics.queries", METRICS_MAX, QUERY_BYTES, &p->metrics, e))
		return -1;
	for (struct js_iter it = js_members(queries); js_next(&it);)
		if (check_query(js_as_str(it.value), e)) {
			p->number = BAD_METRIC;
			return err_wrap(e, "%s", it.key);
		}
	return 0;
}

static int
parse_what(const struct js *o, struct put *p, struct err *e)
{
	const struct js *content = NULL;
	bool modules = false;
	if (js_opt(o, "content", JS_OBJECT, &content, e))
		return -1;
	if (configuration_content_parse(content, &p->content, &p->desired, &modules, e)) {
		p->number = BAD_CONTENT;
		return -1;
	}
	p->m.modules = modules;
	if (js_opt_str(o, "targetCondition", &p->m.condition, e))
		return -1;
	if (check_condition(p->m.condition, e)) {
		p->number = BAD_CONDITION;
		return -1;
	}
	return 0;
}

static int
parse_put(const struct js *o, struct put *p, struct err *e)
{
	const struct js *labels = NULL;
	struct span id = p->m.id;
	p->m.schema_version = SPAN_LIT("1.0");
	if (js_opt_str(o, "id", &id, e) ||
	    js_opt_str(o, "schemaVersion", &p->m.schema_version, e) ||
	    js_opt_int(o, "priority", 0, INT32_MAX, &p->m.priority, e) ||
	    js_opt(o, "labels", JS_OBJECT, &labels, e) ||
	    parse_texts(labels, "labels", LABELS_MAX, TEXT_MAX, &p->labels, e) ||
	    parse_metrics(o, p, e) || parse_what(o, p, e))
		return -1;
	if (!span_eq(id, p->m.id))
		return err_set(e, ERR_PARSE, "id is not the path's");
	if (p->m.schema_version.len > 32)
		return err_set(e, ERR_PARSE, "schemaVersion: over 32 characters");
	p->m.labels = buf_span(&p->labels);
	p->m.content = buf_span(&p->content);
	p->m.desired = buf_span(&p->desired);
	p->m.metrics = buf_span(&p->metrics);
	return 0;
}

static void
fail(struct http_call *c, uint32_t number, const struct err *e)
{
	const struct wire_error w = wire_error_of(number);
	if (number)
		http_call_fail(c, &w, e->text);
	else
		http_call_fail_err(c, e);
}

void
hub_configuration_put(struct http_call *c)
{
	struct err e = {0};
	if (!identity_has_id(c, NOT_FOUND))
		return;
	struct put p = {.m = {.peer = c->peer, .cred = c->cred, .id = c->param[0]},
	    .labels = BUF_INIT(CAP_JSON),
	    .content = BUF_INIT(CAP_TWIN),
	    .desired = BUF_INIT(CAP_TWIN),
	    .metrics = BUF_INIT(CAP_BODY)};
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || http_call_if_match(c, &p.m.if_match, &e) || parse_put(o, &p, &e))
		fail(c, p.number, &e);
	else
		http_call_ask(c, IPC_CONFIGURATION_PUT, &p.m, on_configuration);
	buf_done(&p.labels);
	buf_done(&p.content);
	buf_done(&p.desired);
	buf_done(&p.metrics);
}

/* ---- GET: with the numbers of its metrics ------------------------------------------ */

/* The call's answer so far is in c->out, as text, as the peer may go at any time; state
 * counts the metrics that are answered. */
static void ask_next(struct http_call *c);

static const char *
metric_at(const struct js *o, size_t at, struct span *ret_query)
{
	struct js_iter it = js_members(js_get(js_get(o, "metrics"), "queries"));
	while (js_next(&it))
		if (!at--) {
			*ret_query = js_as_str(it.value);
			return it.key;
		}
	return NULL;
}

static struct js *
so_far(const struct http_call *c)
{
	struct err e;
	return js_parse(buf_span(&c->out), HTTP_CALL_OUT_MAX, BODY_DEPTH + 4, &e);
}

/* A query that cannot be answered now has no number. */
static void
on_counted(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	size_t *at = c->state;
	struct span query;
	if (type != IPC_DONE)
		return;
	auto_(js_free) struct js *o = so_far(c);
	const char *name = metric_at(o, (*at)++, &query);
	struct js *results = js_get_mut(js_get_mut(o, "metrics"), "results");
	if (name && d->code == ERR_OK) {
		js_set_int(results, name, d->number);
		buf_reset(&c->out);
		js_dump(o, JS_AS_BUILT, &c->out);
	}
	ask_next(c);
}

static void
ask_next(struct http_call *c)
{
	const size_t *at = c->state;
	struct ipc_query m = {.peer = c->peer, .cred = c->cred, .count = 1};
	auto_(js_free) struct js *o = so_far(c);
	if (!metric_at(o, *at, &m.text))
		http_call_json_out(c, 200);
	else
		http_call_ask_for(c, WAIT_MS, IPC_QUERY, &m, on_counted);
}

static void
on_get(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type == IPC_DONE && d->code == ERR_OK)
		ask_next(c);
	else
		on_configuration(c, type, msg);
}

void
hub_configuration_get(struct http_call *c)
{
	const struct ipc_configuration_get m = {
	    .peer = c->peer, .cred = c->cred, .id = c->param[0]};
	if (!identity_has_id(c, NOT_FOUND))
		return;
	size_t *at = arena_alloc(c->arena, sizeof(*at));
	*at = 0;
	c->state = at;
	http_call_ask(c, IPC_CONFIGURATION_GET, &m, on_get);
}

/* ---- the others -------------------------------------------------------------------- */

void
hub_configuration_delete(struct http_call *c)
{
	struct err e = {0};
	struct ipc_configuration_delete m = {
	    .peer = c->peer, .cred = c->cred, .id = c->param[0]};
	if (!identity_has_id(c, NOT_FOUND))
		return;
	if (http_call_if_match(c, &m.if_match, &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, IPC_CONFIGURATION_DELETE, &m, identity_gone);
}

static void
on_row(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_configuration *m = msg;
	if (type != IPC_CONFIGURATION) {
		http_call_list_end(c, "configuration", msg);
		return;
	}
	auto_(js_free) struct js *v = to_json(m);
	http_call_list_add(c, v, m->id);
}

void
hub_configuration_list(struct http_call *c)
{
	struct err e = {0};
	int64_t top = TOP_MAX;
	struct ipc_configuration_query m = {.peer = c->peer, .cred = c->cred};
	if (http_call_query_int(c, "top", 1, INT32_MAX, &top, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	m.limit = (uint32_t)top;
	http_call_list_begin(c);
	http_call_ask(c, IPC_CONFIGURATION_QUERY, &m, on_row);
}

/* ---- queries tried ----------------------------------------------------------------- */

static struct js *
try_queries(struct span condition, const struct js *queries)
{
	struct err e;
	struct js *o = js_object(), *errors = js_object();
	bool good = check_condition(condition, &e) == 0;
	json_put_span(o, "targetConditionError", good ? SPAN_NONE : span_str(e.text));
	for (struct js_iter it = js_members(queries); js_next(&it);)
		if (check_query(js_as_str(it.value), &e))
			json_put_text(errors, it.key, span_str(e.text));
	js_set(o, "customMetricQueryErrors", errors);
	return o;
}

static void
on_tried(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type == IPC_DONE)
		identity_done(c, msg);
}

/* The answer is known here; whether the caller may have it, the core says. */
void
hub_configuration_test(struct http_call *c)
{
	struct err e = {0};
	struct span condition = SPAN_NONE;
	const struct js *queries = NULL;
	const struct ipc_configuration_query m = {
	    .peer = c->peer, .cred = c->cred, .limit = 1};
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || js_opt_str(o, "targetCondition", &condition, &e) ||
	    js_opt(o, "customMetricQueries", JS_OBJECT, &queries, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	identity_gather(c, try_queries(condition, queries));
	http_call_ask(c, IPC_CONFIGURATION_QUERY, &m, on_tried);
}

/* ---- content for one device -------------------------------------------------------- */

static void
on_applied(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type == IPC_DONE)
		identity_gone(c, type, msg);
}

void
hub_configuration_apply(struct http_call *c)
{
	struct err e = {0};
	auto_buf shown = BUF_INIT(CAP_TWIN);
	auto_buf desired = BUF_INIT(CAP_TWIN);
	bool modules = false;
	struct ipc_twin_patch m = {.peer = c->peer, .cred = c->cred, .id = c->param[0]};
	if (identity_check_ids(c, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || configuration_content_parse(o, &shown, &desired, &modules, &e)) {
		fail(c, o ? BAD_CONTENT : 0, &e);
		return;
	}
	m.desired = buf_span(&desired);
	if (modules) {
		(void)err_set(&e, ERR_PARSE, "moduleContent: a device is no module");
		fail(c, BAD_CONTENT, &e);
		return;
	}
	http_call_ask(c, IPC_TWIN_PATCH, &m, on_applied);
}
