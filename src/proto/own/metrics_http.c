/*
 * GET /metrics: Prometheus text, version 0.0.4 (docs/monitoring.md).
 */
#include <inttypes.h>
#include <stdlib.h>

#include "proto/http_call.h"

#define NO_FAMILY 255

static const struct family {
	const char *name, *kind, *label[3], *help;
} families[] = {
#define COUNTER                                 "counter"
#define GAUGE                                   "gauge"
#define HISTOGRAM                               "histogram"
#define METRIC(NAME, name, kind, a, b, c, help) {"muster_" #name, kind, {a, b, c}, help},
#include "tbl/metric.def"
#undef METRIC
};

static void
put_value(struct buf *out, int64_t milli)
{
	int64_t part = milli % 1000;
	if (milli < 0 && milli > -1000)
		buf_str(out, "-");
	buf_printf(out, "%" PRId64, milli / 1000);
	if (part)
		buf_printf(out, ".%03d", (int)llabs(part));
	buf_str(out, "\n");
}

static void
put_text(struct buf *out, struct span value)
{
	for (size_t i = 0; i < value.len; i++) {
		char ch = (char)value.p[i];
		if (ch == '\n')
			buf_str(out, "\\n");
		else
			buf_printf(out, ch == '"' || ch == '\\' ? "\\%c" : "%c", ch);
	}
}

static void
put_labels(struct buf *out, const char *const *name, const struct span *value)
{
	bool any = false;
	for (int i = 0; i < 3; i++) {
		if (!name[i][0])
			continue;
		buf_printf(out, "%s%s=\"", any ? "," : "{", name[i]);
		put_text(out, value[i]);
		buf_str(out, "\"");
		any = true;
	}
	buf_str(out, any ? "} " : " ");
}

/* The first label says which part of the histogram it is. */
static void
put_part(struct buf *out, const struct family *f, const struct ipc_metric *m)
{
	static const char *const le[3] = {"le", "", ""};
	bool is_bucket = !span_eq_str(m->a, "sum") && !span_eq_str(m->a, "count");
	buf_printf(
	    out, "%s_%.*s", f->name, SPAN_FMT(is_bucket ? SPAN_LIT("bucket") : m->a));
	if (is_bucket)
		put_labels(out, le, (const struct span[3]){m->a});
	else
		buf_str(out, " ");
}

static void
put_sample(struct http_call *c, const struct ipc_metric *m)
{
	const struct family *f = &families[m->family];
	uint8_t *last = c->state;
	if (*last != m->family)
		buf_printf(&c->out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help,
		    f->name, f->kind);
	*last = m->family;
	if (f->kind[0] == 'h') {
		put_part(&c->out, f, m);
	} else {
		buf_str(&c->out, f->name);
		put_labels(&c->out, f->label, (const struct span[3]){m->a, m->b, m->c});
	}
	put_value(&c->out, m->milli);
}

static void
on_sample(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	const struct ipc_metric *m = msg;
	if (type == IPC_METRIC) {
		if (m->family < sizeof(families) / sizeof(families[0]))
			put_sample(c, m);
		return;
	}
	if (d->code != ERR_OK)
		http_call_fail_done(c, d);
	else
		http_call_reply(c, 200, "text/plain; version=0.0.4; charset=utf-8",
		    buf_span(&c->out));
}

void
metrics_http_get(struct http_call *c)
{
	const struct ipc_metrics_get m = {.peer = c->peer, .cred = c->cred};
	uint8_t *last = arena_alloc(c->arena, sizeof(*last));
	*last = NO_FAMILY;
	c->state = last;
	http_call_ask(c, IPC_METRICS_GET, &m, on_sample);
}
