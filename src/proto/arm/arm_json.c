/*
 * Resources, policies and lists as the resource manager writes them.
 */
#include "proto/arm/arm_json.h"

#include "codec/js.h"
#include "proto/arm/arm_name.h"
#include "proto/json.h"

#define TAGS_MAX   15 /* Azure's are 50; they stay in one row here */
#define TAG_MAX    256
#define KEY_MAX    64
#define NAME_LEN   64
#define RIGHTS_MAX 256

struct js *
arm_json_resource(
    const struct arm_place *p, int64_t etag, struct span tags, struct arena *a)
{
	struct js *o = js_object();
	struct span group = p->group.len ? p->group : SPAN_LIT(ARM_NAME_GROUP);
	const char *id = arena_printf(a,
	    "/subscriptions/%.*s/resourceGroups/%.*s/providers/Microsoft.Devices/%s/%s",
	    SPAN_FMT(p->subscription), SPAN_FMT(group), p->provider_type, p->name);
	json_put_text(o, "id", span_str(id));
	json_put_text(o, "name", span_str(p->name));
	js_set_text(o, "type", arena_printf(a, "Microsoft.Devices/%s", p->provider_type));
	js_set_text(o, "location", "local");
	json_put_doc(o, "tags", tags);
	json_put_etag(o, "etag", etag);
	json_put_text(o, "subscriptionid", p->subscription);
	json_put_text(o, "resourcegroup", group);
	return o;
}

void
arm_json_duration(struct js *o, const char *key, int64_t ms)
{
	auto_buf text = BUF_INIT(64);
	int64_t s = ms / 1000;
	buf_str(&text, "P");
	if (s >= 86400)
		buf_printf(&text, "%lldD", (long long)(s / 86400));
	if (s % 86400 || !s)
		buf_str(&text, "T");
	if (s % 86400 >= 3600)
		buf_printf(&text, "%lldH", (long long)(s % 86400 / 3600));
	if (s % 3600 >= 60)
		buf_printf(&text, "%lldM", (long long)(s % 3600 / 60));
	if (s % 60 || !s)
		buf_printf(&text, "%lldS", (long long)(s % 60));
	js_set_text(o, key, buf_text(&text));
}

void
arm_json_if_match(struct http_call *c, struct span *ret)
{
	char etag[JSON_ETAG_MAX];
	struct span s = span_str(http_call_header(c, "If-Match"));
	size_t last = span_rfind(s, '\'');
	if (last < s.len) {
		struct span head = span_head(s, last);
		s = span_skip(head, span_rfind(head, '\'') + 1);
	}
	const char *text = arena_str(c->arena, s);
	if (json_etag_parse(text, etag))
		*ret = span_str(arena_str(c->arena, span_str(etag)));
}

/* ---- tags
 * ------------------------------------------------------------------------------ */

int
arm_json_take_tags(const struct http_call *c, const struct js *body, struct span *ret,
    uint8_t *ret_set, struct err *e)
{
	const struct js *tags = NULL;
	auto_buf text = BUF_INIT(2 * TAGS_MAX * (2 * 6 * TAG_MAX));
	if (js_opt(body, "tags", JS_OBJECT, &tags, e))
		return -1;
	struct js_iter it = js_members(tags);
	while (js_next(&it))
		if (!js_is(it.value, JS_STRING) || js_as_str(it.value).len > TAG_MAX ||
		    strlen(it.key) > TAG_MAX || js_len(tags) > TAGS_MAX)
			return err_set(e, ERR_PARSE,
			    "tags: at most %d, of text of at most %d bytes", TAGS_MAX,
			    TAG_MAX);
	*ret_set = tags != NULL;
	if (!tags)
		return 0;
	js_dump(tags, JS_AS_BUILT, &text);
	*ret = arena_span(c->arena, buf_span(&text));
	return buf_check(&text, "tags", e);
}

/* ---- policies
 * -------------------------------------------------------------------------- */

struct js *
arm_json_policy(const struct ipc_policy *m)
{
	struct js *o = js_object();
	json_put_text(o, "keyName", m->name);
	json_put_key(o, "primaryKey", m->primary_key);
	json_put_key(o, "secondaryKey", m->secondary_key);
	json_put_text(o, "rights", m->rights);
	return o;
}

static int
pack_policy(const struct js *v, struct buf *out, struct err *e)
{
	struct ipc_policy m = {.name = SPAN_NONE};
	auto_buf body = BUF_INIT(4096);
	auto_buf first = BUF_INIT(KEY_MAX), second = BUF_INIT(KEY_MAX);
	body.secret = first.secret = second.secret = true;
	if (js_need_str(v, "keyName", &m.name, e) ||
	    js_need_str(v, "rights", &m.rights, e) ||
	    json_take_key(v, "primaryKey", &first, &m.primary_key, e) ||
	    json_take_key(v, "secondaryKey", &second, &m.secondary_key, e))
		return -1;
	if (m.name.len > NAME_LEN || m.rights.len > RIGHTS_MAX)
		return err_set(e, ERR_PARSE, "keyName or rights is too long");
	if (ipc_msg_pack(IPC_POLICY, &m, &body, e))
		return -1;
	buf_u32(out, (uint32_t)body.len);
	buf_put_span(out, buf_span(&body));
	return 0;
}

int
arm_json_take_policies(const struct http_call *c, const struct js *properties,
    struct span *ret, uint8_t *ret_set, struct err *e)
{
	const struct js *list = NULL;
	auto_buf out = BUF_INIT(CAP_POLICIES);
	out.secret = true;
	if (js_opt(properties, "authorizationPolicies", JS_ARRAY, &list, e))
		return -1;
	for (size_t i = 0; i < js_len(list); i++)
		if (pack_policy(js_at(list, i), &out, e))
			return err_wrap(e, "authorizationPolicies[%zu]", i);
	*ret_set = list != NULL;
	*ret = arena_span(c->arena, buf_span(&out));
	return buf_check(&out, "authorizationPolicies", e);
}

/* ---- keys
 * ------------------------------------------------------------------------------ */

static void
on_keys(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type == IPC_POLICY) {
		auto_(js_free) struct js *v = arm_json_policy(msg);
		arm_json_list_add(c, v);
	} else if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
	} else {
		arm_json_list_end(c);
	}
}

void
arm_json_keys(struct http_call *c, const char *plane)
{
	const struct ipc_policy_query m = {
	    .peer = c->peer, .cred = c->cred, .plane = span_str(plane)};
	c->out.secret = true;
	arm_json_list_begin(c);
	http_call_ask(c, IPC_POLICY_QUERY, &m, on_keys);
}

static void
on_key(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type == IPC_POLICY) {
		auto_(js_free) struct js *v = arm_json_policy(msg);
		js_dump(v, JS_AS_BUILT, &c->out);
	} else if (d->code == ERR_OK) {
		http_call_json_out(c, 200);
	} else {
		http_call_fail_done(c, d);
	}
}

void
arm_json_key(struct http_call *c, const char *plane, struct span name)
{
	const struct ipc_policy_query m = {
	    .peer = c->peer, .cred = c->cred, .plane = span_str(plane), .name = name};
	c->out.secret = true;
	if (!name.len || name.len > NAME_LEN || span_has(name, 0)) {
		arm_json_not_found(c, "policy", name);
		return;
	}
	http_call_ask(c, IPC_POLICY_QUERY, &m, on_key);
}

/* ---- lists
 * ----------------------------------------------------------------------------- */

void
arm_json_list_begin(struct http_call *c)
{
	buf_str(&c->out, "{\"value\":[");
	c->list_last[0] = '\0';
}

void
arm_json_list_add(struct http_call *c, const struct js *v)
{
	if (c->list_last[0])
		buf_str(&c->out, ",");
	js_dump(v, JS_AS_BUILT, &c->out);
	c->list_last[0] = '+';
}

void
arm_json_list_end(struct http_call *c)
{
	buf_str(&c->out, "]}");
	http_call_json_out(c, 200);
}

void
arm_json_not_found(struct http_call *c, const char *what, struct span name)
{
	const struct wire_error w = wire_error_of(404000);
	http_call_fail(c, &w,
	    arena_printf(
		c->arena, "there is no %s '%.*s'", what, SPAN_FMT(span_head(name, 100))));
}
