/*
 * POST /muster/checkin: a device says how it is, and learns the time and when to renew.
 * Only who shows a certificate of ours is told the time.
 */
#include "base/hex.h"
#include "codec/js.h"
#include "crypto/digest.h"
#include "crypto/key.h"
#include "proto/env.h"
#include "proto/http_call.h"

#define ANCHORS_MAX 32
#define TIME_MAX    INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */
#define DEPTH       3

static int
read_anchors(struct http_call *c, const struct js *list, struct span *ret, struct err *e)
{
	size_t n = js_len(list);
	if (n > ANCHORS_MAX)
		return err_set(e, ERR_PARSE, "anchors: at most %d", ANCHORS_MAX);
	uint8_t *raw = arena_alloc(c->arena, (n + 1) * DIGEST_SHA256);
	for (size_t i = 0; i < n; i++)
		if (hex_parse(js_as_str(js_at(list, i)), raw + i * DIGEST_SHA256,
			DIGEST_SHA256, e))
			return err_wrap(e, "anchors");
	*ret = span_of(raw, n * DIGEST_SHA256);
	return 0;
}

static int
read_custody(const struct js *o, struct span *ret, struct err *e)
{
	enum key_custody custody;
	if (js_opt_str(o, "custody", ret, e))
		return -1;
	if (ret->len && key_custody_parse(*ret, &custody, e))
		return err_wrap(e, "custody");
	return 0;
}

static int
read_report(struct http_call *c, const struct js *o, struct ipc_checkin *m, struct err *e)
{
	const struct js *anchors = NULL;
	*m = (struct ipc_checkin){.peer = c->peer, .cred = c->cred};
	if (read_custody(o, &m->custody, e) ||
	    js_opt_str(o, "generation", &m->generation, e) ||
	    js_opt(o, "anchors", JS_ARRAY, &anchors, e) ||
	    js_opt_int(o, "clockMs", 0, TIME_MAX, &m->clock_ms, e))
		return -1;
	if (m->generation.len > 8)
		return err_set(e, ERR_PARSE, "generation: at most 8 characters");
	return read_anchors(c, anchors, &m->anchors, e);
}

/* What /cacerts answers, by name: a device fetches it anew when this changes. */
static void
put_ca_tag(struct js *o, struct span ca_chain)
{
	uint8_t sha[DIGEST_SHA256];
	char text[2 * DIGEST_SHA256 + 1];
	digest_sha256(ca_chain, sha);
	hex_write(span_of(sha, sizeof(sha)), text);
	js_set_text(o, "caTag", text);
}

static void
on_answer(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type == IPC_RENEWAL) {
		const struct ipc_renewal *m = msg;
		auto_(js_free) struct js *o = js_object();
		char reason[101];
		js_set_int(o, "nowMs", m->now_ms);
		js_set_int(o, "renewStartMs", m->start_ms);
		js_set_int(o, "renewEndMs", m->end_ms);
		js_set_int(o, "pollSeconds", m->poll_s);
		(void)span_to_str(m->reason, reason, sizeof(reason));
		js_set_text(o, "reason", reason);
		put_ca_tag(o, c->env->ca_chain);
		buf_reset(&c->out);
		js_dump(o, JS_AS_BUILT, &c->out);
		return;
	}
	const struct ipc_done *d = msg;
	if (d->code != ERR_OK)
		http_call_fail_done(c, d);
	else
		http_call_json_out(c, 200);
}

void
checkin_post(struct http_call *c)
{
	struct err e = {0};
	struct ipc_checkin m;
	auto_(js_free) struct js *o = http_call_object(c, DEPTH, &e);
	if (!o || read_report(c, o, &m, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	http_call_ask(c, IPC_CHECKIN, &m, on_answer);
}
