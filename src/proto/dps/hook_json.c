/*
 * A webhook's question and answer as JSON.
 */
#include "proto/dps/hook_json.h"

#include "codec/addr.h"
#include "codec/id.h"
#include "proto/dps/enrollment_json.h"
#include "proto/json.h"
#include "proto/hub/twin_json.h"

#define ANSWER_MAX   (128 * 1024)
#define ANSWER_DEPTH 32

/* ---- where to
 * --------------------------------------------------------------------------
 */

static struct span
host_of(struct span url)
{
	struct span rest = url;
	while (rest.len && rest.p[0] != '/')
		rest = span_skip(rest, 1);
	rest = span_skip(rest, 2);
	return span_head(rest, span_find(rest, '/'));
}

/* "host", "host:port", "[address]:port": without the port; empty where it is none. */
static struct span
bare_host(struct span host)
{
	if (!host.len || host.p[0] != '[')
		return span_head(host, span_find(host, ':'));
	size_t end = span_find(host, ']');
	struct span port = span_skip(host, end + 1);
	bool fits = end < host.len && (!port.len || port.p[0] == ':');
	return fits ? span_head(span_skip(host, 1), end - 1) : SPAN_NONE;
}

/* By name or address alone: "127.0.0.1.example" is somebody else. */
static bool
is_loopback(struct span host)
{
	static const struct addr_prefix here[] = {
	    {{[10] = 0xff, [11] = 0xff, [12] = 127}, 104}, {{[15] = 1}, ADDR_BITS}};
	uint8_t ip[ADDR_LEN];
	struct err e;
	struct span name = bare_host(host);
	if (span_ieq_str(name, "localhost"))
		return true;
	if (addr_parse(name, ip, &e))
		return false;
	return addr_within(ip, &here[0]) || addr_within(ip, &here[1]);
}

bool
hook_json_url(struct span url)
{
	struct span host = host_of(url);
	if (!host.len || span_has(host, '@') || span_has(url, ' '))
		return false;
	if (span_istarts(url, SPAN_LIT("https://")))
		return true;
	return span_istarts(url, SPAN_LIT("http://")) && is_loopback(host);
}

/* ---- the question --------------------------------------------------------------------
 */

static struct js *
context_json(const struct ipc_hook_call *m)
{
	char attestation[17];
	struct js *o = js_object();
	json_put_text(o, "registrationId", m->registration_id);
	if (m->hub.len)
		json_put_text(o, "currentIotHubHostName", m->hub);
	if (m->device_id.len)
		json_put_text(o, "currentDeviceId", m->device_id);
	if (m->payload.len)
		js_set(o, "payload", json_doc(m->payload));
	if (span_to_str(m->attestation, attestation, sizeof(attestation)))
		js_set(o, attestation, js_object());
	return o;
}

int
hook_json_request(const struct ipc_hook_call *m, struct buf *out, struct err *e)
{
	struct ipc_enrollment n;
	if (ipc_msg_unpack(IPC_ENROLLMENT, m->enrollment, &n, e))
		return -1;
	bool group = n.kind == IPC_KIND_GROUP;
	auto_(js_free) struct js *o = js_object();
	js_set(o, group ? "enrollmentGroup" : "individualEnrollment",
	    enrollment_json(&n, SPAN_NONE));
	js_set(o, "deviceRuntimeContext", context_json(m));
	js_set(o, "linkedHubs", json_words(m->hubs));
	js_dump(o, JS_AS_BUILT, out);
	return buf_check(out, "question to the webhook", e);
}

/* ---- the answer ----------------------------------------------------------------------
 */

void
hook_json_room_done(struct hook_json_room *r)
{
	js_free(r->v);
	buf_done(&r->tags);
	buf_done(&r->desired);
	buf_done(&r->payload);
}

static int
take_twin(struct hook_json_room *r, struct ipc_hook_answer *m, struct err *e)
{
	const struct js *twin = NULL;
	if (js_opt(r->v, "initialTwin", JS_OBJECT, &twin, e))
		return -1;
	if (!twin)
		return 0;
	if (twin_json_parse(twin, &r->tags, &r->desired, e))
		return err_wrap(e, "initialTwin");
	m->twin = 1;
	m->tags = r->tags.len ? buf_span(&r->tags) : SPAN_LIT("{}");
	m->desired = r->desired.len ? buf_span(&r->desired) : SPAN_LIT("{}");
	return 0;
}

static int
take_payload(struct hook_json_room *r, struct ipc_hook_answer *m, struct err *e)
{
	const struct js *payload = NULL;
	if (js_opt(r->v, "payload", JS_OBJECT, &payload, e))
		return -1;
	if (!payload)
		return 0;
	js_dump(payload, JS_AS_BUILT, &r->payload);
	m->payload = buf_span(&r->payload);
	return buf_check(&r->payload, "payload", e);
}

static int
take(struct span body, struct hook_json_room *r, struct ipc_hook_answer *m, struct err *e)
{
	r->v = js_parse(span_trim(body), ANSWER_MAX, ANSWER_DEPTH, e);
	if (!r->v)
		return -1;
	if (!js_is(r->v, JS_OBJECT))
		return err_set(e, ERR_PARSE, "no object");
	if (js_need_str(r->v, "iotHubHostName", &m->hub, e))
		return -1;
	if (!id_is_host(m->hub))
		return err_set(e, ERR_PARSE, "iotHubHostName: not a host name");
	return take_twin(r, m, e) || take_payload(r, m, e) ? -1 : 0;
}

int
hook_json_answer(struct span body, struct hook_json_room *r, struct ipc_hook_answer *ret,
    struct err *e)
{
	struct ipc_hook_answer m = {0};
	if (take(body, r, &m, e))
		return err_wrap(e, "the webhook's answer");
	*ret = m;
	return 0;
}
