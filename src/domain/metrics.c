/*
 * Counters and figures for monitoring.
 */
#include "domain/metrics.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "domain/health.h"
#include "domain/hub/session.h"
#include "store/pki.h"
#include "store/query.h"

#define LABEL_SIZE 64
#define SERIES_MAX 2048
#define ITEMS_MAX  1000
#define HOUR_MS    INT64_C(3600000)

struct series {
	char key[8 + METRICS_LABELS * LABEL_SIZE];
	enum metric metric;
	char label[METRICS_LABELS][LABEL_SIZE];
	bool has[METRICS_LABELS];
	int64_t n;
	UT_hash_handle hh;
};

static const int64_t bucket_ms[] = {1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 5000};
static const char *const bucket_le[] = {
    "0.001", "0.002", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "5"};
#define BUCKETS (sizeof(bucket_ms) / sizeof(bucket_ms[0]))

struct metrics {
	struct series *series;
	unsigned n_series;
	int64_t started_ms;
	int64_t turns[BUCKETS + 1], turns_ms;
	struct {
		int64_t n, bytes;
	} telemetry[2]; /* by SAS, by X.509 */
	int64_t requests[IPC_N];
};

/* ---- counted --------------------------------------------------------------------------
 */

static struct series *
series_new(struct metrics *m, enum metric which, const char *const label[METRICS_LABELS],
    const char *key)
{
	struct series *s = own_alloc(sizeof(*s));
	*s = (struct series){.metric = which};
	snprintf(s->key, sizeof(s->key), "%s", key);
	for (int i = 0; i < METRICS_LABELS; i++) {
		s->has[i] = label[i] != NULL;
		snprintf(s->label[i], LABEL_SIZE, "%s", label[i] ? label[i] : "");
	}
	HASH_ADD_STR(m->series, key, s);
	m->n_series++;
	return s;
}

void
metrics_add(struct metrics *m, enum metric which, const char *a, const char *b,
    const char *c, int64_t n)
{
	static const char other[] = "other";
	const char *label[METRICS_LABELS] = {a, b, c};
	struct series *s;
	char key[sizeof(s->key)];
	snprintf(key, sizeof(key), "%d|%.63s|%.63s|%.63s", which, a ? a : "", b ? b : "",
	    c ? c : "");
	HASH_FIND_STR(m->series, key, s);
	if (!s && m->n_series >= SERIES_MAX && (!a || strcmp(a, other) != 0)) {
		metrics_add(m, which, other, b ? other : NULL, c ? other : NULL, n);
		return;
	}
	if (!s)
		s = series_new(m, which, label, key);
	s->n += n;
}

void
metrics_line(struct metrics *m, const struct store_conn *line)
{
	metrics_add(m, METRIC_LINES, line->plane, line->what, line->auth, 1);
}

void
metrics_refusal(struct metrics *m, const char *plane, enum refusal_code code)
{
	static const char *const names[] = {
#define REFUSAL(name, err, dps, hub, words) #name,
#include "tbl/refusal.def"
#undef REFUSAL
	};
	char low[LABEL_SIZE];
	size_t i = 0;
	for (; names[code][i] && i + 1 < sizeof(low); i++)
		low[i] = (char)tolower((unsigned char)names[code][i]);
	low[i] = '\0';
	metrics_add(m, METRIC_REFUSALS, plane, low, NULL, 1);
}

void
metrics_telemetry(struct metrics *m, bool by_x509, size_t bytes)
{
	m->telemetry[by_x509].n++;
	m->telemetry[by_x509].bytes += (int64_t)bytes;
}

void
metrics_request(struct metrics *m, enum ipc_type type)
{
	m->requests[type]++;
}

void
metrics_turn(struct metrics *m, int64_t ms)
{
	size_t i = 0;
	while (i < BUCKETS && ms > bucket_ms[i])
		i++;
	m->turns[i]++;
	m->turns_ms += ms;
}

/* What an alert waits for is there from the start, at nought: of a series that comes with
 * its first event nobody can tell that it grew. */
static void
begin_watched(struct metrics *m)
{
	static const char *const auths[] = {"sas", "x509"};
	for (size_t i = 0; i < sizeof(auths) / sizeof(auths[0]); i++) {
		metrics_add(m, METRIC_LINES, "hub", "connect", auths[i], 0);
		metrics_add(m, METRIC_LINES, "hub", "refused", auths[i], 0);
		metrics_add(m, METRIC_LINES, "dps", "register", auths[i], 0);
		metrics_add(m, METRIC_LINES, "dps", "refused", auths[i], 0);
	}
	metrics_add(m, METRIC_ISSUED, "device", NULL, NULL, 0);
	metrics_refusal(m, "hub", REFUSAL_SAS_DISABLED);
	metrics_refusal(m, "hub", REFUSAL_CERT_REVOKED);
	for (struct series *s = m->series; s; s = s->hh.next)
		s->n = 0;
}

struct metrics *
metrics_new(int64_t now_ms)
{
	struct metrics *m = own_alloc(sizeof(*m));
	*m = (struct metrics){.started_ms = now_ms};
	begin_watched(m);
	return m;
}

void
metrics_free(struct metrics *m)
{
	struct series *s, *next;
	if (!m)
		return;
	HASH_ITER (hh, m->series, s, next) {
		HASH_DEL(m->series, s);
		free(s);
	}
	free(m);
}

/* ---- told -----------------------------------------------------------------------------
 */

struct walk {
	struct domain *d;
	const struct metrics_inputs *in;
	int (*visit)(void *ctx, const struct metrics_sample *s, struct err *e);
	void *ctx;
	enum metric family;
	int64_t by_auth[4], disabled, connected; /* devices */
	struct health_item *items;
	size_t n_items;
};

static int
tell(struct walk *w, const char *a, const char *b, const char *c, int64_t milli,
    struct err *e)
{
	const struct metrics_sample s = {
	    .metric = w->family, .label = {a, b, c}, .milli = milli};
	return w->visit(w->ctx, &s, e);
}

static int
tell_n(
    struct walk *w, const char *a, const char *b, const char *c, int64_t n, struct err *e)
{
	return tell(w, a, b, c, n * 1000, e);
}

static int
tell_counted(struct walk *w, struct err *e)
{
	const struct series *s, *next;
	int rc = 0;
	for (s = w->in->counted->series; s && !rc; s = next) {
		next = s->hh.next;
		if (s->metric == w->family)
			rc = tell_n(w, s->has[0] ? s->label[0] : NULL,
			    s->has[1] ? s->label[1] : NULL,
			    s->has[2] ? s->label[2] : NULL, s->n, e);
	}
	return rc;
}

static int
tell_build(struct walk *w, struct err *e)
{
	return tell_n(w, MUSTER_VERSION, NULL, NULL, 1, e);
}

static int
tell_start(struct walk *w, struct err *e)
{
	return tell(w, NULL, NULL, NULL, w->in->counted->started_ms, e);
}

static int
add_kind(void *ctx, const struct store_device *d, int64_t n, struct err *e)
{
	struct walk *w = ctx;
	(void)e;
	w->by_auth[d->auth & 3] += n; /* 0 to 3 by the schema */
	w->disabled += d->enabled ? 0 : n;
	w->connected += d->connected ? n : 0;
	return 0;
}

static int
tell_devices(struct walk *w, struct err *e)
{
	static const char *const auths[] = {[STORE_AUTH_NONE] = "none",
	    [STORE_AUTH_SAS] = "sas",
	    [STORE_AUTH_SELF_SIGNED] = "selfSigned",
	    [STORE_AUTH_CA] = "certificateAuthority"};
	for (size_t i = 0; i < sizeof(auths) / sizeof(auths[0]); i++)
		if (tell_n(w, auths[i], NULL, NULL, w->by_auth[i], e))
			return -1;
	return 0;
}

static int
tell_disabled(struct walk *w, struct err *e)
{
	return tell_n(w, NULL, NULL, NULL, w->disabled, e);
}

static int
tell_connected(struct walk *w, struct err *e)
{
	return tell_n(w, NULL, NULL, NULL, w->connected, e);
}

static int
tell_sessions(struct walk *w, struct err *e)
{
	const struct session_table *t = w->in->sessions;
	for (int x509 = 0; x509 < 2; x509++)
		for (int policy = 0; policy < 2 - x509; policy++)
			if (tell_n(w, x509 ? "x509" : "sas", policy ? "hub" : "device",
				NULL, t->open[x509][policy], e))
				return -1;
	return 0;
}

static int
tell_sas_off(struct walk *w, struct err *e)
{
	struct store_hub h;
	if (store_hub_get(w->d->store, &h, e))
		return -1;
	return tell_n(w, "device", NULL, NULL, h.disable_device_sas, e) ||
		       tell_n(w, "module", NULL, NULL, h.disable_module_sas, e)
		   ? -1
		   : tell_n(w, "service", NULL, NULL, h.disable_local_auth, e);
}

static int
tell_telemetry(struct walk *w, struct err *e)
{
	const struct metrics *m = w->in->counted;
	return tell_n(w, "sas", NULL, NULL, m->telemetry[0].n, e)
		   ? -1
		   : tell_n(w, "x509", NULL, NULL, m->telemetry[1].n, e);
}

static int
tell_telemetry_bytes(struct walk *w, struct err *e)
{
	const struct metrics *m = w->in->counted;
	return tell_n(w, "sas", NULL, NULL, m->telemetry[0].bytes, e)
		   ? -1
		   : tell_n(w, "x509", NULL, NULL, m->telemetry[1].bytes, e);
}

static int
tell_requests(struct walk *w, struct err *e)
{
	const struct metrics *m = w->in->counted;
	for (int i = 0; i < IPC_N; i++)
		if (m->requests[i] && tell_n(w, ipc_msg_row((enum ipc_type)i)->name, NULL,
					  NULL, m->requests[i], e))
			return -1;
	return 0;
}

static int
tell_turns(struct walk *w, struct err *e)
{
	const struct metrics *m = w->in->counted;
	int64_t below = 0;
	for (size_t i = 0; i <= BUCKETS; i++) {
		below += m->turns[i];
		if (tell_n(w, i < BUCKETS ? bucket_le[i] : "+Inf", NULL, NULL, below, e))
			return -1;
	}
	return tell(w, "sum", NULL, NULL, m->turns_ms, e)
		   ? -1
		   : tell_n(w, "count", NULL, NULL, below, e);
}

static int
tell_ending(struct walk *w, struct err *e)
{
	static const struct {
		const char *name;
		int64_t hours;
	} within[] = {{"0h", 0}, {"24h", 24}, {"7d", 168}, {"30d", 720}, {"90d", 2160}};
	int64_t now = domain_now(w->d), n;
	for (size_t i = 0; i < sizeof(within) / sizeof(within[0]); i++)
		if (store_device_cert_ending(
			w->d->store, now + within[i].hours * HOUR_MS, &n, e) ||
		    tell_n(w, within[i].name, NULL, NULL, n, e))
			return -1;
	return 0;
}

/* Two thirds of the lead are left where all went well (domain/pki/renew.h). */
static int
tell_behind(struct walk *w, struct err *e)
{
	const struct config *cfg = w->d->cfg;
	int64_t third = cfg->pki.leaf_life_ms / 3, before = cfg->pki.renew_before_ms;
	int64_t lead = before < third ? before : third, soon, over;
	int64_t now = domain_now(w->d);
	if (store_device_cert_ending(w->d->store, now + lead / 3 * 2, &soon, e) ||
	    store_device_cert_ending(w->d->store, now, &over, e))
		return -1;
	return tell_n(w, NULL, NULL, NULL, soon > over ? soon - over : 0, e);
}

/* Asked for once and told twice. Beyond so many the rest is left out, and is in muster
 * health. */
static int
keep_item(void *ctx, const struct health_item *i, struct err *e)
{
	struct walk *w = ctx;
	(void)e;
	if (w->n_items == ITEMS_MAX)
		return 0;
	w->items[w->n_items] = *i;
	w->items[w->n_items++].name = arena_str(w->d->arena, span_str(i->name));
	return 0;
}

static int
tell_health(struct walk *w, struct err *e)
{
	w->items = arena_alloc(w->d->arena, ITEMS_MAX * sizeof(*w->items));
	int rc = health_each(w->d, w->in->health, keep_item, w, e);
	for (size_t i = 0; i < w->n_items && !rc; i++)
		rc = tell_n(w, w->items[i].name, NULL, NULL, w->items[i].state, e);
	return rc;
}

static int
tell_health_end(struct walk *w, struct err *e)
{
	int rc = 0;
	for (size_t i = 0; i < w->n_items && !rc; i++)
		if (w->items[i].at_ms)
			rc = tell(w, w->items[i].name, NULL, NULL, w->items[i].at_ms, e);
	return rc;
}

int
metrics_each(struct domain *d, const struct metrics_inputs *in,
    int (*visit)(void *ctx, const struct metrics_sample *s, struct err *e), void *ctx,
    struct err *e)
{
	static int (*const families[METRIC_N])(struct walk * w, struct err * e) = {
	    [METRIC_BUILD] = tell_build,
	    [METRIC_START] = tell_start,
	    [METRIC_DEVICES] = tell_devices,
	    [METRIC_DISABLED] = tell_disabled,
	    [METRIC_CONNECTED] = tell_connected,
	    [METRIC_SESSIONS] = tell_sessions,
	    [METRIC_SAS_OFF] = tell_sas_off,
	    [METRIC_TELEMETRY] = tell_telemetry,
	    [METRIC_TELEMETRY_BYTES] = tell_telemetry_bytes,
	    [METRIC_REQUESTS] = tell_requests,
	    [METRIC_TURN] = tell_turns,
	    [METRIC_ENDING] = tell_ending,
	    [METRIC_BEHIND] = tell_behind,
	    [METRIC_HEALTH] = tell_health,
	    [METRIC_HEALTH_END] = tell_health_end,
	};
	struct walk w = {.d = d, .in = in, .visit = visit, .ctx = ctx};
	if (store_device_kinds(d->store, add_kind, &w, e))
		return -1;
	for (int i = 0; i < METRIC_N; i++) {
		w.family = (enum metric)i;
		int rc = families[i] ? families[i](&w, e) : tell_counted(&w, e);
		if (rc)
			return rc;
	}
	return 0;
}
