/*
 * The campaign's record as JSON, and as lines for people. Made from the campaign file
 * alone, so that it can be made again at any time; never with an identity in it.
 */
#include "fleet/summary.h"

#include <stdio.h>

#include "codec/js.h"
#include "fleet/azure.h"
#include "fleet/state.h"
#include "fleet/throttle.h"
#include "io/file.h"
#include "io/loop.h"

#define JSON_MAX (64 * 1024 * 1024)

struct summary {
	struct js *root, *failed, *states, *waves, *stages, *refused;
	int64_t devices, migrated, already, n_failed, rolled_back;
	size_t n_stages, n_refused, n_attempts;
};

/* ---- counting ---- */

static void
bump(struct js *o, const char *key)
{
	js_set_int(o, key, js_as_int(js_get(o, key)) + 1);
}

static int
visit_auth(void *ctx, const struct azure_device *d, struct err *e)
{
	bump(ctx, d->auth[0] ? d->auth : "none");
	return 0;
}

int
summary_count(struct migration *m, const char *when, struct err *e)
{
	auto_(js_free) struct js *counts = js_object();
	auto_buf text = BUF_INIT(4096);
	if (migration_each_device(m, visit_auth, counts, e))
		return -1;
	js_dump(counts, JS_SORTED, &text);
	return campaign_meta_put(
	    m->file, arena_printf(m->arena, "counts_%s", when), buf_text(&text), e);
}

/* ---- collecting ---- */

static int
visit_device(void *ctx, const struct campaign_device *d, struct err *e)
{
	struct summary *s = ctx;
	int state = sm_find(&state_machine, d->state);
	s->devices++;
	s->migrated += state == STATE_RESUMED;
	s->already += state == STATE_ALREADY;
	s->rolled_back += state == STATE_ROLLED_BACK;
	bump(s->states, d->state);
	if (state != STATE_FAILED)
		return 0;
	struct js *f = js_object();
	js_set_text(f, "deviceId", d->id);
	js_set_text(f, "step", d->step);
	js_set_text(f, "code", d->error);
	js_set_int(f, "attempts", d->attempts);
	js_set_int(f, "wave", d->wave);
	js_append(s->failed, f);
	s->n_failed++;
	return js_set_str(f, "reason", span_str(d->reason), e) ||
		       js_set_str(f, "fix", span_str(d->fix), e)
		   ? -1
		   : 0;
}

static int
visit_wave(void *ctx, const struct campaign_wave *w, struct err *e)
{
	struct summary *s = ctx;
	struct js *o = js_object();
	js_set_int(o, "wave", w->n);
	js_set_int(o, "devices", w->size);
	js_set_int(o, "milliseconds", w->busy_ms);
	js_set_int(o, "seconds", (w->busy_ms + 500) / 1000);
	js_set_bool(o, "gatePassed", w->passed);
	js_set_text(o, "gate", w->gate);
	js_append(s->waves, o);
	return 0;
}

static int
visit_stage(void *ctx, const struct campaign_stage *t, struct err *e)
{
	struct summary *s = ctx;
	char at[CLOCK_TEXT];
	clock_iso(t->at_ms, 0, at);
	struct js *o = js_object();
	js_set_text(o, "stage", t->name);
	js_set_text(o, "attempt", t->what);
	js_set_text(o, "code", t->unit);
	if (t->before >= 0)
		js_set_int(o, "before", t->before);
	if (t->after >= 0)
		js_set_int(o, "after", t->after);
	js_set_text(o, "at", at);
	js_append(t->after >= 0 ? s->refused : s->stages, o);
	return 0;
}

/* A meta value that is JSON, or null. */
static int
set_meta(
    struct migration *m, struct js *o, const char *name, const char *key, struct err *e)
{
	const char *text;
	if (migration_get(m, key, "null", &text, e))
		return -1;
	struct js *v = js_parse(span_str(text), 65536, 8, e);
	js_set(o, name, v);
	return v ? 0 : err_wrap(e, "campaign file: %s", key);
}

static int
set_rate(struct migration *m, struct summary *s, struct err *e)
{
	int64_t busy;
	if (migration_get_int(m, "busy_ms", 0, &busy, e))
		return -1;
	js_set_int(s->root, "seconds", (busy + 500) / 1000);
	js_set_int(s->root, "milliseconds", busy);
	js_set_int(
	    s->root, "devicesPerMinute", busy > 0 ? s->migrated * 60000 / busy : 0);
	return 0;
}

static int
collect(struct migration *m, struct summary *s, struct err *e)
{
	struct js *r = s->root;
	js_set(r, "failed", s->failed = js_array());
	js_set(r, "states", s->states = js_object());
	js_set(r, "waves", s->waves = js_array());
	js_set(r, "sealStages", s->stages = js_array());
	js_set(r, "refusedSasAttempts", s->refused = js_array());
	if (campaign_device_each(m->file, -1, visit_device, s, e) ||
	    campaign_wave_each(m->file, visit_wave, s, e) ||
	    campaign_stage_each(m->file, visit_stage, s, e))
		return -1;
	js_set_int(r, "devices", s->devices);
	js_set_int(r, "migrated", s->migrated);
	js_set_int(r, "alreadyX509", s->already);
	js_set_int(r, "failedCount", s->n_failed);
	js_set_int(r, "rolledBack", s->rolled_back);
	struct js *counts = js_object();
	js_set(r, "countsByAuthType", counts);
	return set_meta(m, counts, "before", "counts_before", e) ||
		       set_meta(m, counts, "after", "counts_after", e) ||
		       set_meta(m, r, "verify", "verify", e) || set_rate(m, s, e) ||
		       throttle_put(m, r, e)
		   ? -1
		   : 0;
}

static int
dump(struct migration *m, struct buf *out, struct summary *s, struct err *e)
{
	auto_(js_free) struct js *root = js_object();
	*s = (struct summary){.root = root};
	if (collect(m, s, e))
		return -1;
	js_dump(root, JS_AS_BUILT, out);
	buf_u8(out, '\n');
	return buf_check(out, "summary", e);
}

int
summary_write(struct migration *m, struct err *e)
{
	struct summary s;
	auto_buf text = BUF_INIT(JSON_MAX);
	if (dump(m, &text, &s, e))
		return -1;
	return file_write(migration_path(m, "summary.json"), buf_span(&text), 0600, e);
}

/* ---- for people ---- */

static int
print_failed(void *ctx, const struct campaign_device *d, struct err *e)
{
	if (strcmp(d->state, "failed") == 0)
		printf("  %s: failed at %s: %s\n    fix: %s\n", d->id, d->step, d->reason,
		    d->fix);
	return 0;
}

static int
print_wave(void *ctx, const struct campaign_wave *w, struct err *e)
{
	printf("  wave %lld: %lld devices, %.1f s%s%s\n", (long long)w->n,
	    (long long)w->size, (double)w->busy_ms / 1000, w->gate[0] ? ", " : "",
	    w->gate);
	return 0;
}

static int
print_stage(void *ctx, const struct campaign_stage *t, struct err *e)
{
	char before[48] = "";
	if (t->before >= 0)
		snprintf(before, sizeof(before), " (%lld before)", (long long)t->before);
	if (t->after < 0)
		printf("  seal, %s: %s\n", t->name, t->what);
	else
		printf("  seal, %s: %s: %s %lld%s\n", t->name, t->what, t->unit,
		    (long long)t->after, before);
	return 0;
}

static int
print_counts(struct migration *m, const char *when, struct err *e)
{
	const char *text;
	if (migration_get(m, arena_printf(m->arena, "counts_%s", when), "", &text, e))
		return -1;
	struct js_iter it;
	auto_(js_free) struct js *counts = js_parse(span_str(text), 65536, 4, e);
	if (!counts)
		return 0; /* not counted yet */
	printf("  devices of the hub %s:", when);
	for (it = js_members(counts); js_next(&it);)
		printf(" %s %lld", it.key, (long long)js_as_int(it.value));
	putchar('\n');
	return 0;
}

static int
print_text(struct migration *m, const struct summary *s, struct err *e)
{
	int64_t busy;
	if (migration_get_int(m, "busy_ms", 0, &busy, e))
		return -1;
	printf(
	    "%lld of %lld devices on X.509 (%lld before the campaign), %lld failed, %lld "
	    "rolled back\n",
	    (long long)(s->migrated + s->already), (long long)s->devices,
	    (long long)s->already, (long long)s->n_failed, (long long)s->rolled_back);
	if (campaign_wave_each(m->file, print_wave, NULL, e) ||
	    campaign_device_each(m->file, -1, print_failed, NULL, e))
		return -1;
	if (throttle_print(m, e))
		return -1;
	if (s->n_failed)
		printf("  muster migrate run tries the failed again, and only them\n");
	if (print_counts(m, "before", e) || print_counts(m, "after", e) ||
	    campaign_stage_each(m->file, print_stage, NULL, e))
		return -1;
	if (busy)
		printf("  %.1f s, %lld devices a minute\n", (double)busy / 1000,
		    (long long)(s->migrated * 60000 / busy));
	return 0;
}

int
summary_status(struct migration *m, struct err *e)
{
	struct summary s;
	auto_buf text = BUF_INIT(JSON_MAX);
	if (dump(m, &text, &s, e))
		return -1;
	if (m->o->json) {
		fwrite(text.p, 1, text.len, stdout);
		return 0;
	}
	return print_text(m, &s, e);
}

int
summary_print(struct migration *m, struct err *e)
{
	if (summary_status(m, e))
		return -1;
	if (!m->o->json)
		printf("record: %s\n", migration_path(m, "summary.json"));
	fflush(stdout);
	return 0;
}
