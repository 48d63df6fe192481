#ifndef DOMAIN_METRICS_H
#define DOMAIN_METRICS_H
/*
 * What a monitoring system asks for (docs/monitoring.md): counters since the start of the
 * process, kept here, and figures of the moment, read when they are asked for. Families
 * are rows of tbl/metric.def; none has a label whose values come from a peer.
 */
#include "domain/domain.h"

#define METRICS_LABELS 3

enum metric {
#define METRIC(NAME, name, kind, a, b, c, help) METRIC_##NAME,
#include "tbl/metric.def"
#undef METRIC
	METRIC_N
};

struct health_inputs;
struct session_table;
struct metrics;

struct metrics *metrics_new(int64_t now_ms);
void metrics_free(struct metrics *m);
own_define(struct metrics, metrics_free);

/* Counts n more. Labels beyond those that the family has are NULL. Where there are too
 * many series (a bug: values are to be of closed sets) it counts as "other". */
void metrics_add(struct metrics *m, enum metric which, const char *a, const char *b,
    const char *c, int64_t n);
/* A line of the connection log, stored or left out. */
void metrics_line(struct metrics *m, const struct store_conn *line);
void metrics_refusal(struct metrics *m, const char *plane, enum refusal_code code);
/* A message of a device was kept. For each, so it does no more than add. */
void metrics_telemetry(struct metrics *m, bool by_x509, size_t bytes);
/* An edge asked the core. */
void metrics_request(struct metrics *m, enum ipc_type type);
/* A transaction took so long. */
void metrics_turn(struct metrics *m, int64_t ms);

struct metrics_sample {
	enum metric metric;
	/* NULL where there is none. Of a histogram the first is "le" of a bucket,
	 * ascending, then "sum", "count". */
	const char *label[METRICS_LABELS];
	int64_t milli; /* the value in thousandths; times are seconds */
};

struct metrics_inputs {
	const struct metrics *counted;
	const struct session_table *sessions;
	const struct health_inputs *health;
};
/* Visits every sample, those of a family together. Reads some rows of the store for each
 * CA and operator, none a device. A non-zero return of visit stops and is handed on. */
must_check int metrics_each(struct domain *d, const struct metrics_inputs *in,
    int (*visit)(void *ctx, const struct metrics_sample *s, struct err *e), void *ctx,
    struct err *e);

#endif
