/*
 * muster events and muster connections: muster's own two logs, what devices sent and who
 * came, went and was refused. Pages of newline-delimited JSON, the last line of which
 * says "end"; to follow is to ask again for what comes behind it.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/num.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "cmd/remote.h"
#include "codec/js.h"
#include "fleet/azure.h"

#define DAY_MS   INT64_C(86400000)
#define PAGE     200 /* of events of 300 KB at most */
#define EVERY_MS 1000
#define TOP_MAX  1000000000

struct log {
	const char *what; /* in errors */
	void (*request)(
	    struct arena *a, const struct azure_log_filter *f, struct rest_request *ret);
	const struct render_column *cols;
};

struct args {
	struct remote r;
	const struct log *log;
	struct azure_log_filter f;
	const char *since;
	int64_t top, left, rows;
	bool follow;
	struct render *show;
};

static const struct render_column event_columns[] = {
    {"TIME", "enqueuedTimeMs", RENDER_MS, 0},
    {"DEVICE", "deviceId", RENDER_TEXT, RENDER_CUT},
    {"MODULE", "moduleId", RENDER_TEXT, RENDER_IF_ANY | RENDER_CUT},
    {"AUTH", "authType", RENDER_TEXT, RENDER_EXTRA},
    {"PROPERTIES", "properties.application", RENDER_TEXT, RENDER_IF_ANY | RENDER_CUT},
    {"BODY", "body|bodyBase64", RENDER_TEXT, RENDER_CUT},
    {NULL, NULL, RENDER_TEXT, 0},
};

static const struct render_column connection_columns[] = {
    {"TIME", "timeMs", RENDER_MS, 0},
    {"EVENT", "event", RENDER_TEXT, 0},
    {"PLANE", "plane", RENDER_TEXT, 0},
    {"DEVICE", "deviceId", RENDER_TEXT, RENDER_CUT},
    {"MODULE", "moduleId", RENDER_TEXT, RENDER_IF_ANY | RENDER_CUT},
    {"AUTH", "authType", RENDER_TEXT, 0},
    {"PROTOCOL", "protocol", RENDER_TEXT, RENDER_IF_ANY | RENDER_EXTRA},
    {"PEER", "peer", RENDER_TEXT, RENDER_IF_ANY | RENDER_EXTRA},
    {"REASON", "reason", RENDER_TEXT, RENDER_IF_ANY | RENDER_CUT},
    {NULL, NULL, RENDER_TEXT, 0},
};

static const struct log event_log = {"events", azure_events, event_columns};
static const struct log connection_log = {
    "connection log", azure_connections, connection_columns};

/* ---- a page --------------------------------------------------------------------------
 */

static int
show_row(void *ctx, const struct js *row, struct err *e)
{
	struct args *a = ctx;
	render_row(a->show, row);
	a->rows++;
	return 0;
}

/* *ret_rows is the number of its rows. */
static int
get_page(struct args *a, int64_t *ret_rows, struct err *e)
{
	auto_(js_free) struct js *end = NULL;
	/* its own, however long it follows */
	auto_(arena_free) struct arena *arena = arena_new(65536);
	struct rest_request q;
	int64_t next, before = a->rows;
	a->f.limit = a->top && a->left < PAGE ? a->left : PAGE;
	a->log->request(arena, &a->f, &q);
	if (remote_page(&a->r, q.target, a->log->what, show_row, a, &end, e))
		return -1;
	if (num_ok(js_as_str(js_get(end, "next")), a->f.after_seq, INT64_MAX, &next))
		a->f.after_seq = next;
	*ret_rows = a->rows - before;
	a->left -= a->top ? *ret_rows : 0;
	return 0;
}

/* ---- the whole -----------------------------------------------------------------------
 */

static int
parse_since(struct args *a, struct err *e)
{
	int64_t ago = 0;
	if (num_parse_duration_ms(span_str(a->since), 1, 36500 * DAY_MS, &ago, e))
		return err_wrap(e, "--since");
	a->f.since_ms = clock_wall_ms(&clock_system) - ago;
	return 0;
}

/* To the end of what there is; with --follow, of what there will be. */
static int
show_all(struct args *a, struct err *e)
{
	int64_t rows;
	do {
		if (get_page(a, &rows, e) || output_check(e))
			return -1;
		if (rows == PAGE && !a->top)
			continue;
		if (!a->follow && !rows)
			return 0;
		render_flush(a->show);
		if (a->follow && !rows && output_wait(EVERY_MS, e))
			return -1;
	} while (!a->top || a->left);
	return 0;
}

static int
run(struct args *a, struct err *e)
{
	if (parse_since(a, e) || remote_open(&a->r, e))
		return -1;
	a->left = a->top;
	a->show = render_new(a->log->cols, a->r.form, stdout, render_width(stdout));
	int rc = show_all(a, e);
	if (rc == 0 && !a->rows && a->r.form == RENDER_TABLE)
		fprintf(stderr, "nothing in the last %s\n", a->since);
	render_free(a->show);
	return rc;
}

/* "-f", as tail has it. */
static void
expand_follow(int argc, char **argv)
{
	static char follow[] = "--follow";
	for (int i = 1; i < argc; i++)
		if (span_eq_str(span_str(argv[i]), "-f"))
			argv[i] = follow;
}

static int
parse_and_run(
    struct args *a, const struct opt_cmd *cmd, int argc, char **argv, struct err *e)
{
	expand_follow(argc, argv);
	int at = remote_parse(&a->r, cmd, argc, argv, e);
	int rc = at <= 0 ? at : run(a, e);
	remote_done(&a->r);
	return rc;
}

#define COMMON_ROWS(a)                                                                   \
	{"device", "ID", OPT_TEXT, &(a).f.device_id, "of this device alone"},            \
	    {"since", "TIME", OPT_TEXT, &(a).since,                                      \
		"how long ago it begins (default 24h)"},                                 \
	    {"top", "N", OPT_INT, &(a).top,                                              \
		"at most so many, the oldest (default: all)", 1, TOP_MAX},               \
	{                                                                                \
		"follow", NULL, OPT_FLAG, &(a).follow,                                   \
		    "go on with what comes; -f for short"                                \
	}

int
cmd_events(int argc, char **argv, struct err *e)
{
	struct args a = {.log = &event_log, .since = "24h"};
	const struct opt own[] = {COMMON_ROWS(a),
	    {"thumbprint", "SHA256", OPT_TEXT, &a.f.thumb,
		"of those that came in by this certificate"},
	    {0}};
	const struct opt_cmd cmd = {"muster events [OPTIONS]",
	    "Shows what devices sent to a muster, oldest first.", own, 0, 0};
	return parse_and_run(&a, &cmd, argc, argv, e);
}

int
cmd_connections(int argc, char **argv, struct err *e)
{
	struct args a = {.log = &connection_log, .since = "24h"};
	const struct opt own[] = {COMMON_ROWS(a),
	    {"what", "EVENT", OPT_TEXT, &a.f.what,
		"of one kind: connect, disconnect, refused, ..."},
	    {"auth", "TYPE", OPT_TEXT, &a.f.auth, "by one kind of credential: sas, x509"},
	    {"plane", "PLANE", OPT_TEXT, &a.f.plane,
		"of one plane: hub, dps, service, ..."},
	    {0}};
	const struct opt_cmd cmd = {"muster connections [OPTIONS]",
	    "Shows who came, went and was refused at a muster, oldest first.", own, 0, 0};
	return parse_and_run(&a, &cmd, argc, argv, e);
}
