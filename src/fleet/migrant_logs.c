/*
 * What the hub's logs tell of a device: that it proved its certificate, that it goes on
 * with it after the switch.
 */
#include "fleet/migrant_impl.h"

#define CONFIRM_MS 30000
#define HEARD_PAGE 100 /* one message is enough, and they may be large */

/* ---- asking the hub's logs ---- */

static void
ask_log(struct migrant *g, bool events, int64_t after_seq, rest_fn fn)
{
	struct azure_log_filter f = {
	    .after_seq = after_seq,
	    .limit = g->state == STATE_PROMOTED && events ? HEARD_PAGE : AZURE_PAGE,
	    .device_id = g->d.id,
	    .thumb = events ? g->d.thumb : NULL,
	    .what = events ? NULL : "connect",
	    .auth = events ? NULL : "x509",
	    .plane = events ? NULL : "hub",
	};
	auto_(arena_free) struct arena *a = arena_new(65536);
	struct rest_request q;
	(events ? azure_events : azure_connections)(a, &f, &q);
	g->call = rest_start(g->run->m->logs, &q, fn, g);
}

static bool
is_mine(const struct migrant *g, const struct azure_row *r)
{
	return strcmp(r->device_id, g->d.id) == 0 && !r->module_id[0] &&
	       strcmp(r->auth, "x509") == 0 && strcmp(r->thumb, g->d.thumb) == 0;
}

/* Reads a log's answer; the step fails on an error. */
static int
read_log(struct migrant *g, const char *step, const struct rest_response *r,
    const struct err *why, int (*visit)(void *, const struct azure_row *, struct err *))
{
	struct err e;
	struct azure_log_end end;
	g->call = NULL;
	if (!r)
		e = *why;
	if (!r || azure_check(r, "log of the hub", &e) ||
	    azure_log_read(r->body, visit, g, &end, &e)) {
		migrant_failed_with(g, step, &e);
		return -1;
	}
	return 0;
}

/* ---- confirm: the hub saw this very credential ---- */

static int
visit_proof(void *ctx, const struct azure_row *r, struct err *e)
{
	struct migrant *g = ctx;
	if (is_mine(g, r) && strcmp(r->proof, g->d.nonce) == 0)
		g->d.proof_seq = r->seq;
	return 0;
}

static int
visit_connection(void *ctx, const struct azure_row *r, struct err *e)
{
	struct migrant *g = ctx;
	if (is_mine(g, r) && r->seq > g->d.conn_seq)
		g->d.conn_seq = r->seq;
	return 0;
}

static void
on_proof_connection(void *arg, const struct rest_response *r, const struct err *why)
{
	struct migrant *g = arg;
	struct err e;
	if (read_log(g, "confirm", r, why, visit_connection))
		return;
	if (g->d.conn_seq == 0) {
		err_set(&e, ERR_NOT_FOUND,
		    "the hub has the proof but no X.509 connection of it in its log");
		migrant_failed_with(g, "confirm", &e);
		return;
	}
	g->d.proved_ms = migrant_wall_ms(g);
	migrant_moved(g, STATE_CONFIRMED);
}

static void
on_proof(void *arg, const struct rest_response *r, const struct err *why)
{
	struct migrant *g = arg;
	struct err e;
	if (read_log(g, "confirm", r, why, visit_proof))
		return;
	if (g->d.proof_seq) {
		ask_log(g, false, 0, on_proof_connection);
		return;
	}
	if (migrant_poll_again(g) == 0)
		return;
	err_set(&e, ERR_TIMEOUT,
	    "the hub did not see the message that proves the certificate");
	migrant_failed_with(g, "confirm", &e);
}

static void
poll_proof(struct migrant *g)
{
	ask_log(g, true, 0, on_proof);
}

static void
start_confirm(struct migrant *g)
{
	g->d.proof_seq = g->d.conn_seq = 0;
	migrant_poll_begin(g, CONFIRM_MS);
	poll_proof(g);
}

/* ---- resume: connected after the switch, and heard ---- */

static int
visit_switched(void *ctx, const struct azure_row *r, struct err *e)
{
	struct migrant *g = ctx;
	if (g->connected || !is_mine(g, r) || r->seq <= g->d.conn_seq)
		return 0;
	g->connected = true;
	g->switched_seq = r->seq;
	return 0;
}

static int
visit_telemetry(void *ctx, const struct azure_row *r, struct err *e)
{
	struct migrant *g = ctx;
	g->heard |= is_mine(g, r) && r->seq > g->d.proof_seq && r->proof[0] == '\0';
	return 0;
}

static void
on_telemetry(void *arg, const struct rest_response *r, const struct err *why)
{
	struct migrant *g = arg;
	if (read_log(g, "resume", r, why, visit_telemetry))
		return;
	if (g->heard)
		migrant_heard(g, g->switched_seq);
	else if (migrant_poll_again(g))
		migrant_silent(g);
}

static void
on_switched(void *arg, const struct rest_response *r, const struct err *why)
{
	struct migrant *g = arg;
	if (read_log(g, "resume", r, why, visit_switched))
		return;
	if (g->connected)
		ask_log(g, true, g->d.proof_seq, on_telemetry);
	else if (migrant_poll_again(g))
		migrant_silent(g);
}

static void
poll_resumed(struct migrant *g)
{
	if (g->connected)
		ask_log(g, true, g->d.proof_seq, on_telemetry);
	else
		ask_log(g, false, g->d.conn_seq, on_switched);
}

const struct migrant_witness migrant_logs = {
    .start_confirm = start_confirm,
    .start_resume = poll_resumed,
    .poll_confirm = poll_proof,
    .poll_resume = poll_resumed,
};
