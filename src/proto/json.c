/*
 * Fields of messages as Azure's JSON has them.
 */
#include "proto/json.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/num.h"
#include "codec/ipc_msg.h"
#include "crypto/sas_key.h"

enum { DOC_MAX = CAP_META, DOC_DEPTH = 32 };

/* A peer's word cut to a cap, or a header, need not be UTF-8: what is not ASCII then
 * reads as '?'. */
static struct js *
ascii_of(struct span s)
{
	struct err e;
	auto_buf b = BUF_INIT(s.len);
	for (size_t i = 0; i < s.len; i++)
		buf_u8(&b, s.p[i] && s.p[i] < 0x80 ? s.p[i] : '?');
	return js_str(buf_span(&b), &e);
}

void
json_put_text(struct js *o, const char *key, struct span s)
{
	struct err e;
	struct js *v = js_str(s, &e);
	js_set(o, key, v ? v : ascii_of(s));
}

void
json_put_span(struct js *o, const char *key, struct span s)
{
	if (s.len)
		json_put_text(o, key, s);
	else
		js_set(o, key, js_null());
}

static void
put_time(struct js *o, const char *key, int64_t ms, const char *never)
{
	char text[CLOCK_TEXT];
	clock_iso(ms, 7, text);
	js_set_text(o, key, ms ? text : never);
}

void
json_put_time(struct js *o, const char *key, int64_t ms)
{
	put_time(o, key, ms, NULL);
}

void
json_put_time_or_never(struct js *o, const char *key, int64_t ms)
{
	put_time(o, key, ms, "0001-01-01T00:00:00Z");
}

void
json_put_key(struct js *o, const char *key, struct span bytes)
{
	auto_buf b = BUF_INIT(1024);
	b.secret = true;
	base64_put(&b, bytes);
	js_set_text(o, key, bytes.len ? buf_text(&b) : NULL);
}

struct js *
json_words(struct span words)
{
	struct js *a = js_array();
	for (struct span rest = words; rest.p && rest.len;) {
		struct err e;
		js_append(a, js_str(span_split(&rest, ' '), &e));
	}
	return a;
}

struct js *
json_doc(struct span text)
{
	struct err e;
	struct js *v = text.len ? js_parse(text, DOC_MAX, DOC_DEPTH, &e) : NULL;
	return v ? v : js_object();
}

void
json_put_doc(struct js *o, const char *key, struct span text)
{
	js_set(o, key, json_doc(text));
}

void
json_etag(int64_t etag, char out[JSON_ETAG_MAX])
{
	auto_buf number = BUF_INIT(32);
	auto_buf text = BUF_INIT(JSON_ETAG_MAX);
	buf_printf(&number, "%lld", (long long)etag);
	base64_put(&text, buf_span(&number));
	snprintf(out, JSON_ETAG_MAX, "%s", buf_text(&text));
}

void
json_put_etag(struct js *o, const char *key, int64_t etag)
{
	char text[JSON_ETAG_MAX];
	json_etag(etag, text);
	js_set_text(o, key, text);
}

bool
json_etag_parse(const char *header, char out[JSON_ETAG_MAX])
{
	struct span s = span_trim(span_str(header));
	if (s.len >= 2 && s.p[0] == '"' && s.p[s.len - 1] == '"')
		s = span_of(s.p + 1, s.len - 2);
	if (!s.len || span_eq_str(s, "*"))
		return span_to_str(s, out, JSON_ETAG_MAX);
	struct err e;
	int64_t etag;
	auto_buf number = BUF_INIT(32);
	if (base64_parse(s, &number, &e) ||
	    !num_ok(buf_span(&number), 0, INT64_MAX, &etag))
		return false;
	return span_to_str(buf_span(&number), out, JSON_ETAG_MAX);
}

int
json_take_key(const struct js *keys, const char *name, struct buf *room, struct span *ret,
    struct err *e)
{
	struct span text = SPAN_NONE;
	if (js_opt_str(keys, name, &text, e))
		return -1;
	if (!text.len)
		return 0;
	if (sas_key_parse(text, room, e))
		return err_wrap(e, "%s", name);
	*ret = buf_span(room);
	return 0;
}
