/*
 * Rolling devices back, so many at once. The session first: a device that cannot be
 * reached has to stay as it is, on X.509 and working. Then the identity: where the hub
 * takes one kind of credential only, the device could not come back with SAS otherwise.
 * Every step may be repeated, so a rollback that was cut short is simply run again.
 */
#include "fleet/rollback.h"

#include <stdio.h>

#include "codec/iso8601.h"
#include "codec/js.h"
#include "fleet/azure.h"
#include "fleet/identity.h"
#include "fleet/inventory.h"
#include "fleet/session.h"
#include "fleet/state.h"
#include "fleet/summary.h"
#include "io/loop.h"

#define DEVICE_ARENA (size_t)(16 * 1024 * 1024)
#define HUB_MAX      (1024 * 1024)
#define WAVE_ARENA   (size_t)(1024 * 1024 * 1024)
#define HELLO_MS     30000
#define REVERT_MS    120000
#define SEEN_MS      60000
#define POLL_MS      500
#define POLL_TWIN_MS 2000
#define TRIES        3

struct rollback;

/* One device on its way back. */
struct back {
	struct rollback *all;
	struct arena *a;
	struct campaign_device d;
	struct session *session;
	struct rest_call *call; /* to a log */
	struct exchange_call *asking;
	struct loop_timer *timer;
	const char *thumb; /* of what the device uses, which may have been renewed */
	int64_t until_ms;
	int64_t seq; /* of the last thing the hub logged of it before; without a log: its
			time */
	int tries;
	bool seen;
};

struct rollback {
	struct migration *m;
	struct arena *a;
	struct campaign_device *todo;
	size_t n, cap, next, live, done, bad;
	struct err first;
};

static void fill(struct rollback *all);

static void
finished(struct back *b, const char *step, const struct session_failure *why)
{
	struct rollback *all = b->all;
	all->done++;
	all->live--;
	if (why) {
		progress_say(&all->m->progress, "%s: not rolled back: %s: %s%s%s",
		    b->d.id, step, why->err.text, why->fix[0] ? "; " : "", why->fix);
		if (all->bad++ == 0) {
			all->first = why->err;
			err_wrap(&all->first, "%s: %s", b->d.id, step);
		}
	}
	progress_step(&all->m->progress, all->done, all->bad);
	rest_cancel(b->call);
	exchange_cancel(b->asking);
	loop_timer_free(b->timer);
	session_free(b->session);
	own_wipe((char *)b->d.identity, strlen(b->d.identity));
	arena_free(b->a);
	free(b);
	fill(all);
}

static void
failed(struct back *b, const char *step, const struct err *e)
{
	struct session_failure why = {.err = *e};
	finished(b, step, &why);
}

/* 0 where the answer is a good one; else the device is finished. */
static int
good(struct back *b, const char *step, const struct rest_response *r,
    const struct err *why)
{
	struct err e;
	b->call = NULL;
	b->asking = NULL;
	if (!r)
		e = *why;
	if (r && azure_check(r, step, &e) == 0)
		return 0;
	failed(b, step, &e);
	return -1;
}

/* ---- on record ---- */

static void
on_tagged(void *arg, const struct rest_response *r, const struct err *why)
{
	struct back *b = arg;
	struct err e;
	if (good(b, "twin tags", r, why))
		return;
	struct campaign_device *d = &b->d;
	int state = sm_find(&state_machine, d->state);
	sm_move(&state_machine, &state, STATE_ROLLED_BACK);
	d->state = sm_name(&state_machine, state);
	d->step = d->error = d->reason = d->fix = "";
	d->csr = d->chain = d->nonce = d->thumb = d->generation = "";
	d->proof_seq = d->conn_seq = 0;
	d->proved_ms = d->promoted_ms = d->done_ms = 0;
	d->updated_ms = clock_wall_ms(loop_clock(b->all->m->loop));
	/* a later try reads the identity anew: its keys may have been rolled meanwhile */
	own_wipe((char *)d->identity, strlen(d->identity));
	d->identity = "";
	if (campaign_device_put(b->all->m->file, d, &e))
		failed(b, "campaign file", &e);
	else
		finished(b, NULL, NULL);
}

static void
tag(struct back *b)
{
	struct rest_request q;
	auto_(js_free) struct js *tags = js_object();
	js_set_text(tags, "authType", "sas");
	js_set(tags, "migrationWave", js_null());
	js_set(tags, "migratedDate", js_null());
	azure_twin_patch(b->a, b->d.id, tags, &q);
	b->asking = exchange_start(b->all->m->calls, PACE_TWIN_WRITE, &q, on_tagged, b);
}

/* ---- proof: connected with SAS, by what the hub tells ---- */

static int
visit_seen(void *ctx, const struct azure_row *row, struct err *e)
{
	struct back *b = ctx;
	b->seen |= row->seq > b->seq && strcmp(row->device_id, b->d.id) == 0 &&
		   !row->module_id[0] && strcmp(row->event, "connect") == 0 &&
		   strcmp(row->auth, "sas") == 0;
	return 0;
}

static void
seen_or_not(struct back *b)
{
	struct err e;
	int64_t every_ms = b->all->m->logs ? POLL_MS : POLL_TWIN_MS;
	if (b->seen) {
		tag(b);
		return;
	}
	if (loop_now_ms(b->all->m->loop) < b->until_ms) {
		loop_timer_start(b->timer, every_ms);
		return;
	}
	err_set(&e, ERR_TIMEOUT, "the hub saw no SAS connection of it");
	failed(b, "proof", &e);
}

static void
on_seen(void *arg, const struct rest_response *r, const struct err *why)
{
	struct back *b = arg;
	struct azure_log_end end;
	struct err e;
	if (good(b, "connection log", r, why))
		return;
	if (azure_log_read(r->body, visit_seen, b, &end, &e))
		failed(b, "connection log", &e);
	else
		seen_or_not(b);
}

/* An identity that takes SAS takes nothing else where there is no log (service.md 7.2).
 */
static void
on_twin(void *arg, const struct rest_response *r, const struct err *why)
{
	struct back *b = arg;
	struct err e, ignored;
	int64_t last_ms = 0;
	if (good(b, "twin", r, why))
		return;
	auto_(js_free) struct js *twin = js_parse(r->body, HUB_MAX, 32, &e);
	if (!twin) {
		failed(b, "twin", &e);
		return;
	}
	(void)!iso8601_parse(
	    js_as_str(js_get(twin, "lastActivityTime")), &last_ms, &ignored);
	b->seen = strcmp(js_as_text(js_get(twin, "authenticationType")), "sas") == 0 &&
		  strcmp(js_as_text(js_get(twin, "connectionState")), "Connected") == 0 &&
		  last_ms >= b->seq;
	seen_or_not(b);
}

static void
ask_log(struct back *b, rest_fn fn)
{
	struct azure_log_filter f = {.after_seq = b->seq,
	    .device_id = b->d.id,
	    .plane = "hub",
	    .limit = AZURE_PAGE};
	struct rest_request q;
	azure_connections(b->a, &f, &q);
	b->call = rest_start(b->all->m->logs, &q, fn, b);
}

static void
look(struct back *b)
{
	struct rest_request q;
	if (b->all->m->logs) {
		ask_log(b, on_seen);
		return;
	}
	azure_twin_get(b->a, b->d.id, &q);
	b->asking = exchange_start(b->all->m->calls, PACE_TWIN_READ, &q, on_twin, b);
}

static void
on_timer(void *arg)
{
	look(arg);
}

/* ---- the identity ---- */

static void
revert(struct back *b)
{
	/* by name: what was active before is another certificate once one was renewed */
	struct js *to = js_object();
	js_set_text(to, "to", "sas");
	/* a connection before this one was with the certificate */
	if (!b->all->m->logs)
		b->seq = migration_hub_ms(b->all->m);
	session_call(b->session, "revert", to, REVERT_MS);
}

static void look_at_identity(struct back *b);

static void
on_restored(void *arg, const struct rest_response *r, const struct err *why)
{
	struct back *b = arg;
	if (r && r->status == 412 && ++b->tries < TRIES) { /* changed meanwhile */
		b->asking = NULL;
		look_at_identity(b);
		return;
	}
	if (good(b, "identity", r, why) == 0)
		revert(b);
}

static void
restore(struct back *b, const struct js *now, const struct js *was)
{
	struct rest_request q;
	struct err e;
	char words[IDENTITY_TEXT];
	enum identity_state is = identity_judge(now, was, b->d.thumb, b->thumb);
	const char *etag = js_as_text(js_get(now, "etag"));
	if (is == IDENTITY_BEFORE) { /* a rollback that was cut short */
		revert(b);
		return;
	}
	identity_words(now, words);
	if (is == IDENTITY_OTHER || !etag[0]) {
		err_set(&e, ERR_CONFLICT,
		    "it is %s, which is neither the old one, nor the device's "
		    "certificate: somebody else changed it, and it is left as it is",
		    words);
		failed(b, "identity", &e);
		return;
	}
	auto_(js_free) struct js *identity = identity_restore(now, was);
	azure_device_put(b->a, b->d.id, identity, etag, &q);
	b->asking = exchange_start(b->all->m->calls, PACE_REGISTRY, &q, on_restored, b);
}

static void
on_identity(void *arg, const struct rest_response *r, const struct err *why)
{
	struct back *b = arg;
	struct err e;
	if (good(b, "identity", r, why))
		return;
	auto_(js_free) struct js *now = js_parse(r->body, HUB_MAX, 16, &e);
	auto_(js_free) struct js *was =
	    now ? js_parse(span_str(b->d.identity), HUB_MAX, 16, &e) : NULL;
	if (was)
		restore(b, now, was);
	else
		failed(b, "identity", &e);
}

static void
look_at_identity(struct back *b)
{
	struct rest_request q;
	azure_device_get(b->a, b->d.id, &q);
	b->asking = exchange_start(b->all->m->calls, PACE_REGISTRY, &q, on_identity, b);
}

/* ---- the device ---- */

static void
on_hello(void *arg, const char *device_id, const char *version)
{
	struct back *b = arg;
	struct err e;
	if (strcmp(device_id, b->d.id) == 0) {
		session_call(b->session, "status", NULL, HELLO_MS);
		return;
	}
	err_set(&e, ERR_CONFLICT, "what answers at %s is device %.128s", b->d.address,
	    device_id);
	failed(b, "revert", &e);
}

static void
on_answer(void *arg, const struct js *answer)
{
	struct back *b = arg;
	struct err e;
	if (!b->thumb) { /* of "status" */
		b->thumb = arena_str(b->a, js_as_str(js_get(answer, "thumbprint")));
		look_at_identity(b);
		return;
	}
	if (strcmp(js_as_text(js_get(answer, "auth")), "sas") != 0) {
		err_set(&e, ERR_CONFLICT, "the device did not go back to SAS");
		failed(b, "revert", &e);
		return;
	}
	session_free(TAKE(b->session));
	b->until_ms = loop_now_ms(b->all->m->loop) +
		      (b->all->m->logs ? SEEN_MS : migration_resume_ms(b->all->m));
	look(b);
}

static void
on_failed(void *arg, const struct session_failure *why)
{
	finished(arg, "revert", why);
}

static const struct session_ops session_ops = {
    .on_hello = on_hello,
    .on_answer = on_answer,
    .on_failed = on_failed,
    .explain = ssh_explain,
};

static void
open_session(struct back *b)
{
	struct err e;
	struct proc_spec spec;
	struct ssh_target t = {
	    .id = b->d.id, .user = b->d.user, .host_key = b->d.host_key};
	if (inventory_address(span_str(b->d.address), b->a, &t.host, &t.port, &e) == 0 &&
	    ssh_spec(&b->all->m->o->ssh, &t, b->a, &spec, &e) == 0)
		b->session =
		    session_new(b->all->m->loop, &spec, HELLO_MS, &session_ops, b, &e);
	if (!b->session)
		failed(b, "revert", &e);
}

/* ---- where it begins ---- */

static int
visit_last(void *ctx, const struct azure_row *row, struct err *e)
{
	struct back *b = ctx;
	b->seq = row->seq > b->seq ? row->seq : b->seq;
	return 0;
}

static void
on_last(void *arg, const struct rest_response *r, const struct err *why)
{
	struct back *b = arg;
	struct azure_log_end end;
	struct err e;
	if (good(b, "connection log", r, why))
		return;
	if (azure_log_read(r->body, visit_last, b, &end, &e)) {
		failed(b, "connection log", &e);
		return;
	}
	if (end.rows == AZURE_PAGE)
		ask_log(b, on_last);
	else
		open_session(b);
}

static void
start(struct rollback *all, const struct campaign_device *d)
{
	struct back *b = own_alloc(sizeof(*b));
	*b = (struct back){.all = all, .a = arena_new(DEVICE_ARENA)};
	campaign_device_copy(d, b->a, &b->d);
	b->timer = loop_timer_new(all->m->loop, on_timer, b);
	b->seq = b->d.conn_seq;
	all->live++;
	if (all->m->logs)
		ask_log(b, on_last);
	else
		open_session(b);
}

static void
fill(struct rollback *all)
{
	while (all->next < all->n && all->live < (size_t)all->m->o->parallel)
		start(all, &all->todo[all->next++]);
}

/* ---- which ---- */

static int
take(void *ctx, const struct campaign_device *d, struct err *e)
{
	struct rollback *all = ctx;
	if (!d->identity[0] || !d->generation[0]) /* nothing was changed yet */
		return 0;
	if (all->n == all->cap) {
		all->cap = all->cap ? 2 * all->cap : 64;
		all->todo = own_realloc(all->todo, all->cap * sizeof(*all->todo));
	}
	campaign_device_copy(d, all->a, &all->todo[all->n++]);
	return 0;
}

static int
choose(struct rollback *all, const char *device, int64_t wave, struct err *e)
{
	struct campaign_device d;
	if (!device)
		return campaign_device_each(all->m->file, wave, take, all, e);
	if (campaign_device_get(all->m->file, device, all->a, &d, e))
		return -1;
	if (!d.identity[0] || !d.generation[0])
		return err_set(e, ERR_CONFLICT,
		    "device %s is %s: this campaign has changed nothing of it", device,
		    d.state);
	return take(all, &d, e);
}

static int
visit_stage(void *ctx, const struct campaign_stage *s, struct err *e)
{
	bool *begun = ctx;
	*begun = true;
	return 0;
}

/* Once the seal has begun, the hub has to say that it takes SAS still, or again. */
static int
check_unsealed(struct migration *m, struct err *e)
{
	bool begun = false;
	struct rest_request q;
	struct rest_response r;
	auto_buf body = BUF_INIT(HUB_MAX);
	if (campaign_stage_each(m->file, visit_stage, &begun, e))
		return -1;
	if (!begun)
		return 0;
	azure_hub_get(m->arena, m->target->resource, &q);
	if (migration_ask(m, PACE_ARM, &q, "hub properties", &body, &r, e))
		return err_wrap(e, "the seal has begun");
	auto_(js_free) struct js *hub = js_parse(r.body, HUB_MAX, 32, e);
	const struct js *properties = js_get(hub, "properties");
	if (!properties)
		return hub ? err_set(e, ERR_PARSE, "hub properties: none in the answer")
			   : err_wrap(e, "hub properties");
	if (!js_as_bool(js_get(properties, "disableDeviceSAS")))
		return 0;
	return err_set(e, ERR_CONFLICT,
	    "the seal has begun: SAS is shut at the hub, so no device can go back to it; "
	    "set disableDeviceSAS to false first");
}

static int
run(struct rollback *all, struct err *e)
{
	progress_start(&all->m->progress, "rolling back", all->n);
	fill(all);
	while (all->live)
		if (exchange_turn(all->m->calls, -1, e))
			return -1;
	progress_end(&all->m->progress);
	return all->bad ? err_copy(e, &all->first) : 0;
}

int
rollback_run(struct migration *m, const char *device, int64_t wave, struct err *e)
{
	struct rollback all = {.m = m, .a = arena_new(WAVE_ARENA)};
	int failed_at =
	    check_unsealed(m, e) || choose(&all, device, wave, e) || run(&all, e);
	free(all.todo);
	arena_free(all.a);
	struct err why;
	if (summary_write(m, failed_at ? &why : e))
		return -1;
	if (all.done)
		printf("rolled back: %zu of %zu\n", all.done - all.bad, all.n);
	return failed_at ? -1 : 0;
}
