/*
 * The table of numbers on the wire, and the bodies that carry them.
 */
#include "proto/wire_error.h"

#include "base/clock.h"
#include "base/rand.h"
#include "codec/js.h"

#define GATE_NUMBER      409003
#define NO_DEVICE_NUMBER 404001

static const struct {
	uint32_t number;
	const char *name, *words;
} rows[] = {
#define WIRE(number, name, words) {number, name, words},
#include "tbl/wire_error.def"
#undef WIRE
};

static const size_t n_rows = sizeof(rows) / sizeof(rows[0]);

static size_t
find(uint32_t number)
{
	size_t i = 0;
	while (i < n_rows && rows[i].number != number)
		i++;
	return i;
}

static struct wire_error
make(int status, uint32_t number)
{
	size_t i = find(number);
	if (i == n_rows)
		i = find((uint32_t)status * 1000);
	if (i == n_rows)
		i = find(500000);
	return (struct wire_error){.status = status,
	    .number = number,
	    .name = rows[i].name,
	    .words = rows[i].words};
}

struct wire_error
wire_error_of(uint32_t number)
{
	return make((int)(number / 1000), number);
}

/* The number that a plane uses for a status when the core gave none. */
static uint32_t
usual(int status, enum wire_plane plane)
{
	switch (status) {
	case 400:
		return 400004;
	case 401:
		return 401002;
	case 404:
		return plane == WIRE_HUB ? 404001 : 404201;
	case 409:
	case 412:
	case 413:
	case 429:
	case 500:
	case 503:
		return (uint32_t)status * 1000 + 1;
	case 504:
		return 504101;
	default:
		return (uint32_t)status * 1000;
	}
}

/* A gate is told from other conflicts: who automates waits and tries again. */
static uint32_t
number_of(enum err_code code, enum wire_plane plane)
{
	return code == ERR_GATE ? GATE_NUMBER : usual(err_row(code)->http, plane);
}

struct wire_error
wire_error_of_code(enum err_code code, enum wire_plane plane)
{
	return make(err_row(code)->http, number_of(code, plane));
}

struct wire_error
wire_error_of_done(const struct ipc_done *d, enum wire_plane plane)
{
	int status = err_row(d->code)->http;
	return make(
	    status, d->error ? d->error : number_of((enum err_code)d->code, plane));
}

static void
put_message(struct js *o, const char *key, const struct wire_error *w, const char *detail)
{
	auto_buf text = BUF_INIT(2048);
	buf_str(&text, w->words);
	if (*detail)
		buf_printf(&text, ": %s", detail);
	struct js *v = js_str(buf_span(&text), NULL);
	js_set(o, key, v ? v : js_text(w->words));
}

void
wire_error_dps_body(
    const struct wire_error *w, const char *detail, int64_t now_ms, struct buf *out)
{
	auto_(js_free) struct js *o = js_object();
	char id[37], now[CLOCK_TEXT];
	rand_uuid(id);
	clock_iso(now_ms, 7, now);
	js_set_int(o, "errorCode", w->number);
	js_set_text(o, "trackingId", id);
	put_message(o, "message", w, detail);
	js_set_text(o, "timestampUtc", now);
	js_dump(o, JS_AS_BUILT, out);
}

void
wire_error_hub_body(
    const struct wire_error *w, const char *detail, int64_t now_ms, struct buf *out)
{
	auto_(js_free) struct js *o = js_object();
	auto_buf text = BUF_INIT(2048);
	uint8_t id[16];
	char now[CLOCK_TEXT];
	/* Node splits Message at ';' and takes what follows "ErrorCode:". */
	buf_printf(&text, "ErrorCode:%s;%s", w->name, w->words);
	if (*detail)
		buf_printf(&text, ": %s", detail);
	struct js *message = js_str(buf_span(&text), NULL);
	js_set(o, "Message", message ? message : js_text(w->words));
	buf_reset(&text);
	rand_bytes(id, sizeof(id));
	clock_iso(now_ms, 3, now);
	buf_str(&text, "Tracking ID:");
	for (size_t i = 0; i < sizeof(id); i++)
		buf_printf(&text, "%02x", id[i]);
	buf_printf(
	    &text, "-G:0-TimeStamp:%.2s/%.2s/%.4s %.8s", now + 5, now + 8, now, now + 11);
	js_set_text(o, "ExceptionMessage", buf_text(&text));
	js_dump(o, JS_AS_BUILT, out);
}

void
wire_error_method_body(
    const struct wire_error *w, const char *detail, int64_t now_ms, struct buf *out)
{
	auto_(js_free) struct js *o = js_object();
	auto_buf inner = BUF_INIT(8192);
	if (w->number == NO_DEVICE_NUMBER) {
		wire_error_hub_body(w, detail, now_ms, out);
		return;
	}
	wire_error_dps_body(w, detail, now_ms, &inner);
	js_set_text(o, "Message", buf_text(&inner));
	js_set_text(o, "ExceptionMessage", "");
	js_dump(o, JS_AS_BUILT, out);
}

/* Names of the resource manager's own; where it has none, the hub's. */
static const char *
arm_code(const struct wire_error *w)
{
	switch (w->status) {
	case 401:
		return "AuthenticationFailed";
	case 403:
		return "AuthorizationFailed";
	case 404:
		return "ResourceNotFound";
	case 405:
		return "MethodNotAllowed";
	case 409:
		return "Conflict";
	case 412:
		return "PreconditionFailed";
	case 429:
		return "TooManyRequests";
	default:
		return w->name;
	}
}

void
wire_error_arm_body(const struct wire_error *w, const char *detail, struct buf *out)
{
	auto_(js_free) struct js *o = js_object();
	struct js *inner = js_object();
	js_set_text(inner, "code", arm_code(w));
	put_message(inner, "message", w, detail);
	js_set(o, "error", inner);
	js_dump(o, JS_AS_BUILT, out);
}

static const char *
oauth_code(int status)
{
	switch (status) {
	case 400:
		return "invalid_request";
	case 401:
		return "invalid_client";
	case 403:
		return "unauthorized_client";
	default:
		return status < 500 ? "invalid_request" : "server_error";
	}
}

void
wire_error_oauth_body(const struct wire_error *w, const char *detail, struct buf *out)
{
	auto_(js_free) struct js *o = js_object();
	js_set_text(o, "error", oauth_code(w->status));
	put_message(o, "error_description", w, detail);
	js_dump(o, JS_AS_BUILT, out);
}
