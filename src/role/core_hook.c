/*
 * Registrations that wait for a webhook.
 */
#include "role/core_hook.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "role/boot.h"
#include "role/core_transfer.h"
#include "role/hook_call.h"

#define SLACK_MS 5000 /* beside the time-out that the caller itself keeps */

struct wait {
	uint64_t id;
	struct enrol_pending pending;
	struct buf call; /* packed; empty once it was sent */
	int64_t deadline_ms;
	UT_hash_handle hh;
};

struct core_hook {
	struct core *core;
	struct ipc_link *link; /* NULL: none */
	struct wait *waits;
};

/* As many as the caller takes: more would fail there, for good, where a device that is
 * told to wait comes again. */
static void
note_room(struct core_hook *h)
{
	h->core->d.hooks_full = HASH_COUNT(h->waits) >= HOOK_CALL_MAX;
}

static void
drop(struct core_hook *h, struct wait *w)
{
	HASH_DEL(h->waits, w);
	note_room(h);
	buf_done(&w->call);
	own_wipe(&w->pending, sizeof(w->pending));
	free(w);
}

/* ---- answers --------------------------------------------------------------------------
 */

/* In a turn. The wait is over. */
static int
end(struct core_hook *h, struct wait *w, const struct ipc_hook_answer *m, const char *why,
    struct err *e)
{
	int rc = core_dps_called(h->core, &w->pending, m, why, e);
	drop(h, w);
	return rc;
}

static int
take(struct core_hook *h, struct wait *w, const struct ipc_frame *f, struct err *e)
{
	struct ipc_hook_answer m;
	struct ipc_done failed;
	char why[513] = "";
	if (f->type == IPC_HOOK_ANSWER) {
		if (ipc_msg_unpack(IPC_HOOK_ANSWER, f->body, &m, e))
			return -1;
		return end(h, w, &m, "", e);
	}
	if (f->type == IPC_DONE && ipc_msg_unpack(IPC_DONE, f->body, &failed, e))
		return -1;
	if (f->type == IPC_DONE)
		(void)span_to_str(failed.text, why, sizeof(why));
	return end(h, w, NULL, why, e);
}

static void
on_frame(void *arg, struct ipc_frame *f)
{
	struct core_hook *h = arg;
	struct wait *w;
	struct err e = {0};
	HASH_FIND(hh, h->waits, &f->id, sizeof(f->id), w);
	if (!w)
		core_transfer_answer(h->core, f);
	if (!w || (f->type != IPC_HOOK_ANSWER && f->type != IPC_DONE))
		return;
	if (turn_enter(h->core->turn, NULL, &e)) {
		core_give_up(h->core, &e);
		return;
	}
	if (take(h, w, f, &e))
		core_settle(h->core, NULL, &e);
}

static void
end_all(struct core_hook *h, bool all, const char *why)
{
	struct wait *w, *next;
	struct err e = {0};
	int64_t now = loop_now_ms(h->core->loop);
	HASH_ITER (hh, h->waits, w, next) {
		/* what was not sent yet waits for the next link */
		if (all ? w->call.len != 0 : w->deadline_ms > now)
			continue;
		if (end(h, w, NULL, why, &e))
			core_settle(h->core, NULL, &e);
	}
}

static void
on_closed(void *arg, const struct err *why)
{
	struct core_hook *h = arg;
	struct err e = {0};
	log_event(LOG_WARN, "core.hookd_gone", LOG_ERR(why));
	ipc_free(h->link);
	h->link = NULL;
	core_transfer_again(h->core);
	if (!h->waits)
		return;
	if (turn_enter(h->core->turn, NULL, &e)) {
		core_give_up(h->core, &e);
		return;
	}
	end_all(h, true, "the caller of webhooks ended");
}

static const struct ipc_ops ops = {.on_frame = on_frame, .on_closed = on_closed};

/* ---- calls ----------------------------------------------------------------------------
 */

static void
send_call(struct core_hook *h, struct wait *w)
{
	struct err e;
	struct ipc_frame f = {
	    .type = IPC_HOOK_CALL, .id = w->id, .body = buf_span(&w->call), .fd = -1};
	if (!h->link || !w->call.len)
		return;
	if (ipc_send(h->link, &f, &e)) {
		log_event(LOG_WARN, "core.hook_call", LOG_ERR(&e));
		return; /* its deadline ends it */
	}
	buf_done(&w->call);
	w->call = BUF_INIT(0);
}

void
core_hook_link(struct core *c, int fd)
{
	struct core_hook *h = c->hook;
	struct wait *w, *next;
	struct err e;
	ipc_free(h->link);
	h->link = ipc_new(c->loop, fd, &core_link_opts, &ops, h, &e);
	if (!h->link)
		log_event(LOG_ERROR, "core.link", LOG_ERR(&e));
	HASH_ITER (hh, h->waits, w, next)
		send_call(h, w);
	core_transfer_again(c);
}

int
core_hook_send(struct core *c, enum ipc_type type, uint64_t id, const void *msg,
    bool *ret_sent, struct err *e)
{
	const struct ipc_hook_wanted wanted = {0};
	*ret_sent = c->hook->link != NULL;
	return *ret_sent ? boot_send(c->hook->link, type, id, msg, -1, e)
			 : boot_send(c->main, IPC_HOOK_WANTED, 0, &wanted, -1, e);
}

static int
pack(struct core *c, const struct enrol_pending *p, struct span payload, struct buf *out,
    struct err *e)
{
	struct store_enrollment by;
	struct ipc_hook_call m;
	auto_buf enrollment = BUF_INIT(CAP_ENROLLMENT);
	if (enrol_question(&c->d, p, payload, &by, &m, e))
		return -1;
	const struct ipc_enrollment n = core_enrollment_msg(&by, false);
	if (ipc_msg_pack(IPC_ENROLLMENT, &n, &enrollment, e))
		return -1;
	m.enrollment = buf_span(&enrollment);
	return ipc_msg_pack(IPC_HOOK_CALL, &m, out, e);
}

/* Now, not with the turn: what comes back finds the record only where the turn was
 * durable. */
int
core_hook_call(
    struct core *c, const struct enrol_pending *p, struct span payload, struct err *e)
{
	struct core_hook *h = c->hook;
	const struct ipc_hook_wanted wanted = {0};
	struct wait *w = own_alloc(sizeof(*w));
	w->id = c->next_id++;
	w->pending = *p;
	w->deadline_ms = loop_now_ms(c->loop) + c->cfg.dps.webhook_timeout_ms + SLACK_MS;
	w->call = BUF_INIT(IPC_BODY_MAX);
	HASH_ADD(hh, h->waits, id, sizeof(w->id), w);
	note_room(h);
	if (pack(c, p, payload, &w->call, e) ||
	    (!h->link && boot_send(c->main, IPC_HOOK_WANTED, 0, &wanted, -1, e))) {
		drop(h, w);
		return -1;
	}
	send_call(h, w);
	return 0;
}

/* ---- life -----------------------------------------------------------------------------
 */

void
core_hook_sweep(struct core *c)
{
	end_all(c->hook, false, "no answer in time");
}

struct core_hook *
core_hook_new(struct core *c)
{
	struct core_hook *h = own_alloc(sizeof(*h));
	h->core = c;
	return h;
}

void
core_hook_free(struct core_hook *h)
{
	struct wait *w, *next;
	HASH_ITER (hh, h->waits, w, next)
		drop(h, w);
	ipc_free(h->link);
	free(h);
}
