/*
 * What can be known of a device on a hub without logs: what its twin says of its identity
 * (who gets in, and when something was last heard). An identity takes one kind of
 * credential there (protocol/service.md 7.2), so one that names our certificate tells by
 * whom the device connects; that it did before the switch is the device's own word.
 */
#include "fleet/migrant_impl.h"

#include "codec/iso8601.h"
#include "codec/js.h"
#include "fleet/identity.h"

#define CONFIRM_MS 120000 /* from the provisioning service to the hub */
#define TWIN_MAX   (1024 * 1024)

static void
ask_twin(struct migrant *g, rest_fn fn)
{
	struct rest_request q;
	auto_(arena_free) struct arena *a = arena_new(65536);
	azure_twin_get(a, g->d.id, &q);
	g->asking = exchange_start(g->run->m->calls, PACE_TWIN_READ, &q, fn, g);
}

/* NULL: the step failed. */
static struct js *
read_twin(struct migrant *g, const char *step, const struct rest_response *r,
    const struct err *why)
{
	struct err e;
	struct js *twin = NULL;
	g->asking = NULL;
	if (!r)
		e = *why;
	if (r && azure_check(r, "twin", &e) == 0)
		twin = js_parse(r->body, TWIN_MAX, 32, &e);
	if (!twin)
		migrant_failed_with(g, step, &e);
	return twin;
}

static int64_t
activity_ms(const struct js *twin)
{
	struct err ignored;
	int64_t ms = 0;
	/* the year 1 where there was none */
	(void)!iso8601_parse(js_as_str(js_get(twin, "lastActivityTime")), &ms, &ignored);
	return ms;
}

static void
changed(struct migrant *g, const char *step, const struct js *twin)
{
	struct err e;
	char words[IDENTITY_TEXT];
	identity_words(twin, words);
	err_set(&e, ERR_CONFLICT,
	    "its identity on the hub is %s, not the certificate it was given (%.16s...): "
	    "somebody else changed it",
	    words, g->d.thumb);
	migrant_failed_with(g, step, &e);
}

/* ---- confirm: the hub takes this certificate, and nothing else ---- */

static void
on_confirm(void *arg, const struct rest_response *r, const struct err *why)
{
	struct migrant *g = arg;
	struct err e;
	auto_(js_free) struct js *twin = read_twin(g, "confirm", r, why);
	if (!twin)
		return;
	switch (identity_judge_twin(twin, g->d.auth_before, g->d.thumb)) {
	case IDENTITY_OURS: {
		int64_t now = migration_hub_ms(g->run->m), last = activity_ms(twin);
		g->d.proof_seq = last > now ? last : now;
		g->d.proved_ms = migrant_wall_ms(g);
		migrant_moved(g, STATE_CONFIRMED);
		return;
	}
	case IDENTITY_OTHER:
		changed(g, "confirm", twin);
		return;
	case IDENTITY_BEFORE:
		break;
	}
	if (migrant_poll_again(g) == 0)
		return;
	err_set(&e, ERR_TIMEOUT,
	    "the device says that it registered with its certificate, and its identity "
	    "on the hub takes %s still",
	    g->d.auth_before);
	migrant_failed_with(g, "confirm", &e);
}

static void
poll_confirm(struct migrant *g)
{
	ask_twin(g, on_confirm);
}

static void
start_confirm(struct migrant *g)
{
	g->d.proof_seq = g->d.conn_seq = 0;
	migrant_poll_begin(g, CONFIRM_MS);
	poll_confirm(g);
}

/* ---- resume: connected, and heard since ---- */

static void
on_resume(void *arg, const struct rest_response *r, const struct err *why)
{
	struct migrant *g = arg;
	auto_(js_free) struct js *twin = read_twin(g, "resume", r, why);
	if (!twin)
		return;
	if (identity_judge_twin(twin, g->d.auth_before, g->d.thumb) != IDENTITY_OURS) {
		changed(g, "resume", twin);
		return;
	}
	int64_t last = activity_ms(twin);
	const char *state = js_as_text(js_get(twin, "connectionState"));
	g->connected = strcmp(state, "Connected") == 0;
	if (g->connected && last > g->d.proof_seq)
		migrant_heard(g, last);
	else if (migrant_poll_again(g))
		migrant_silent(g);
}

static void
poll_resume(struct migrant *g)
{
	ask_twin(g, on_resume);
}

const struct migrant_witness migrant_twin = {
    .start_confirm = start_confirm,
    .start_resume = poll_resume,
    .poll_confirm = poll_confirm,
    .poll_resume = poll_resume,
};
