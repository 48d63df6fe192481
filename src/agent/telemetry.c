/*
 * Telemetry. Numbers are written from integers: no locale, no rounding surprises.
 */
#include "agent/telemetry.h"

#include "base/clock.h"
#include "base/rand.h"
#include "codec/js.h"

#define MS_A_DAY INT64_C(86400000)

void
telemetry_init(struct telemetry *t)
{
	t->temperature_c100 = 1800 + (int)rand_below(800);
	t->humidity_pc100 = 3500 + (int)rand_below(3000);
}

static int
step(int v, int min, int max)
{
	v += (int)rand_below(41) - 20;
	return v < min ? min : v > max ? max : v;
}

static int64_t
days_left(const struct telemetry_facts *f)
{
	int64_t ms = f->not_after_ms - f->now_ms;
	/* whole days, towards the past: an expired certificate never shows 0 */
	return ms >= 0 ? ms / MS_A_DAY : -((-ms + MS_A_DAY - 1) / MS_A_DAY);
}

int
telemetry_write(
    struct telemetry *t, const struct telemetry_facts *f, struct buf *out, struct err *e)
{
	char when[CLOCK_TEXT];
	auto_(js_free) struct js *id = js_str(span_str(f->device_id), e);
	if (!id)
		return err_wrap(e, "device ID");
	t->temperature_c100 = step(t->temperature_c100, 0, 4500);
	t->humidity_pc100 = step(t->humidity_pc100, 1000, 9500);
	clock_iso(f->now_ms, 3, when);
	buf_str(out, "{\"deviceId\":");
	js_dump(id, JS_AS_BUILT, out);
	buf_printf(out,
	    ",\"temperature\":%d.%02d,\"humidity\":%d.%02d,\"timestamp\":\"%s\","
	    "\"authType\":\"%s\",\"certDaysRemaining\":",
	    t->temperature_c100 / 100, t->temperature_c100 % 100, t->humidity_pc100 / 100,
	    t->humidity_pc100 % 100, when, f->x509 ? "x509" : "sas");
	if (f->x509)
		buf_printf(out, "%lld}", (long long)days_left(f));
	else
		buf_str(out, "null}");
	return buf_check(out, "telemetry", e);
}
