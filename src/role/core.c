/*
 * The core process: links, the dispatch of messages, housekeeping. Rules are in domain/,
 * handlers in core_device.c and core_service.c.
 */
#include "role/core.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/log.h"
#include "codec/js.h"
#include "crypto/digest.h"
#include "crypto/profile.h"
#include "domain/issue.h"
#include "domain/policy.h"
#include "io/jail.h"
#include "role/boot.h"

#define HOUSEKEEPING_MS             5000
#define TRIM_BATCH                  2000
#define REFUSALS_PER_MIN            12000 /* lines; beyond, refusals are counted but not written */
#define AZURE_REGISTRATIONS_PER_MIN 1000

/* ---- answers --------------------------------------------------------------------------
 */

int
core_answer(struct core *c, const struct ask *a, enum ipc_type type, const void *msg,
    struct err *e)
{
	return turn_send(c->turn, a->edge, type, a->id, msg, e);
}

int
core_done(
    struct core *c, const struct ask *a, const char *next, int64_t number, struct err *e)
{
	struct ipc_done m = {.next = span_str(next), .number = number};
	return core_answer(c, a, IPC_DONE, &m, e);
}

int
core_refused(struct core *c, const struct ask *a, const struct refusal *no,
    int wire_number, struct err *e)
{
	char text[REFUSAL_TEXT];
	refusal_text(no, text);
	struct ipc_done m = {.code = (uint8_t)refusal_row(no->code)->err,
	    .error = (uint32_t)wire_number,
	    .text = span_str(text)};
	return core_answer(c, a, IPC_DONE, &m, e);
}

/* A number for the wire where a handler failed by class. */
static void
failure_message(const struct err *why, struct ipc_done *m)
{
	*m = (struct ipc_done){.code = (uint8_t)why->code, .text = span_str(why->text)};
}

static void
send_now(void *arg, unsigned edge, enum ipc_type type, uint64_t id, struct span body)
{
	struct core *c = arg;
	struct ipc_link *link = c->edges[edge].link;
	struct err e;
	if (!link)
		return;
	struct ipc_frame f = {.type = type, .id = id, .body = body, .fd = -1};
	if (ipc_send(link, &f, &e))
		log_event(LOG_WARN, "core.send", LOG_INT("edge", edge), LOG_ERR(&e));
}

/* What a request gets when its turn was lost: the refusal that its kind of answer knows.
 */
static void
send_failure(void *arg, const struct ask *a, const struct err *why)
{
	struct core *c = arg;
	struct ipc_hub_opened opened = {.connack = (uint8_t)err_row(ERR_IO)->connack};
	struct ipc_done done;
	failure_message(why, &done);
	auto_buf body = BUF_INIT(4096);
	struct err e;
	bool is_open = a->type == IPC_HUB_OPEN;
	const void *msg = is_open ? (const void *)&opened : &done;
	enum ipc_type type = is_open ? IPC_HUB_OPENED : IPC_DONE;
	log_event(LOG_ERROR, "core.turn", LOG_STR("asked", ipc_msg_row(a->type)->name),
	    LOG_ERR(why));
	if (a->type == IPC_HUB_CLOSED || a->type == IPC_REFUSED)
		return;
	if (ipc_msg_pack(type, msg, &body, &e) == 0)
		send_now(c, a->edge, type, a->id, buf_span(&body));
}

/* ---- the connection log ---------------------------------------------------------------
 */

int
core_log_conn(struct core *c, const struct store_conn *line, struct err *e)
{
	bool refused = strcmp(line->what, "refused") == 0;
	if (refused && !throttle_take(&c->refusals, loop_now_ms(c->loop))) {
		c->refusals_unlogged++;
		return 0;
	}
	struct store_conn l = *line;
	l.at_ms = domain_now(&c->d);
	return store_conn_add(c->store, &l, e);
}

static const char *
cred_name(const struct ipc_cred *cred)
{
	static const char *const names[] = {
	    [CRED_NONE] = "none", [CRED_SAS] = "sas", [CRED_X509] = "x509"};
	return cred->kind <= CRED_X509 ? names[cred->kind] : "none";
}

int
core_log_refusal(struct core *c, const char *plane, struct span id,
    const struct ipc_peer *peer, const struct ipc_cred *cred, const struct refusal *no,
    int code, struct err *e)
{
	char text[REFUSAL_TEXT], thumb[65] = "";
	struct arena *a = turn_arena(c->turn);
	refusal_text(no, text);
	if (cred->kind == CRED_X509 && cred->sha256.len == DIGEST_SHA256)
		hex_write(cred->sha256, thumb);
	struct store_conn line = {.what = "refused",
	    .plane = plane,
	    .device_id = arena_str(a, id),
	    .auth = cred_name(cred),
	    .scope = cred->kind == CRED_SAS && cred->sas_policy.len ? "hub" : "device",
	    .thumb = thumb,
	    .code = code,
	    .reason = text,
	    .peer = arena_str(a, peer->address),
	    .agent = arena_str(a, peer->agent)};
	return core_log_conn(c, &line, e);
}

/* ---- sessions that must go ------------------------------------------------------------
 */

static void
close_session(struct core *c, const struct session *s, const char *reason)
{
	struct ipc_session_close m = {.session = s->id, .reason = span_str(reason)};
	auto_buf body = BUF_INIT(1024);
	struct err e;
	if (ipc_msg_pack(IPC_SESSION_CLOSE, &m, &body, &e) == 0)
		send_now(c, s->edge, IPC_SESSION_CLOSE, 0, buf_span(&body));
}

/* authorizationPolicies = [] ends what the policies opened (service.md 3.2). */
static bool
has_lost_policy(struct core *c, const struct session *s, struct arena *a)
{
	struct store_policy p;
	struct err e;
	return s->by_policy && store_policy_get(c->store, "hub", s->policy, a, &p, &e) &&
	       e.code == ERR_NOT_FOUND;
}

static void
recheck(struct core *c, const struct session *s)
{
	struct store_device dev;
	struct store_hub hub;
	struct err e;
	auto_(arena_free) struct arena *a = arena_new(1 << 20);
	if (store_hub_get(c->store, &hub, &e))
		return;
	bool gone = store_device_get(c->store, s->device_id, a, &dev, &e) != 0;
	if (gone && e.code != ERR_NOT_FOUND)
		return;
	if (gone || has_lost_policy(c, s, a) || !session_still_admitted(s, &dev, &hub))
		close_session(c, s, "identity no longer admits this credential");
}

static void
after_recheck_device(void *arg, const void *item)
{
	struct core *c = arg;
	const struct session *s = session_of_device(&c->sessions, item);
	if (s)
		recheck(c, s);
}

static void
after_recheck_all(void *arg, const void *item)
{
	struct core *c = arg;
	struct session *s, *next;
	(void)item;
	HASH_ITER (hh, c->sessions.by_id, s, next)
		recheck(c, s);
}

void
core_recheck_device(struct core *c, const char *device_id)
{
	turn_after(c->turn, after_recheck_device, device_id, strlen(device_id) + 1);
}

void
core_recheck_all(struct core *c)
{
	turn_after(c->turn, after_recheck_all, "", 1);
}

/* ---- trust anchors for the edges ------------------------------------------------------
 */

struct anchor_list {
	struct buf certs, flags;
};

static void
add_anchor(struct anchor_list *l, struct span der, bool trusted)
{
	if (!der.len)
		return;
	buf_put_span(&l->certs, der);
	buf_u8(&l->flags, trusted);
}

static int
visit_group(void *ctx, const struct store_group *g, struct err *e)
{
	(void)e;
	add_anchor(ctx, g->primary_cert, true);
	add_anchor(ctx, g->secondary_cert, true);
	return 0;
}

/* Our device CA and every CA that a group names may end a chain; the root only completes
 * one. The service CA is not in the set: no device may come by it. */
static void
send_anchors(struct core *c, struct core_edge *only)
{
	struct anchor_list l = {BUF_INIT(CAP_ANCHORS), BUF_INIT(4096)};
	auto_buf ca_chain = BUF_INIT(2 * CAP_CERT);
	auto_buf body = BUF_INIT(IPC_BODY_MAX);
	struct err e;
	add_anchor(&l, buf_span(&c->ca[1]), true);
	add_anchor(&l, buf_span(&c->ca[0]), false);
	int rc = store_group_each(c->store, "", 4000, visit_group, &l, &e);
	buf_put_span(&ca_chain, buf_span(&c->ca[1]));
	buf_put_span(&ca_chain, buf_span(&c->ca[0]));
	struct ipc_anchors m = {.ca_chain = buf_span(&ca_chain),
	    .certs = buf_span(&l.certs),
	    .flags = buf_span(&l.flags)};
	if (rc || buf_check(&l.certs, "trust anchors", &e) ||
	    buf_check(&l.flags, "trust anchors", &e) ||
	    ipc_msg_pack(IPC_ANCHORS, &m, &body, &e)) {
		log_event(LOG_ERROR, "core.anchors", LOG_ERR(&e));
	} else {
		for (unsigned i = 0; i < CORE_EDGES_MAX; i++)
			if (!only || only->index == i)
				send_now(c, i, IPC_ANCHORS, 0, buf_span(&body));
	}
	buf_done(&l.certs);
	buf_done(&l.flags);
}

static void
on_turn_done(void *arg)
{
	struct core *c = arg;
	if (!c->anchors_changed)
		return;
	c->anchors_changed = false;
	send_anchors(c, NULL);
}

/* ---- messages from edges --------------------------------------------------------------
 */

/* Every message whose row names a right begins with who asks and by what credential. */
struct service_head {
	struct ipc_peer peer;
	struct ipc_cred cred;
};

static int
authorize(struct core *c, const struct ask *a, uint32_t right,
    const struct service_head *h, bool *ret_ok, struct err *e)
{
	struct refusal no;
	*ret_ok = false;
	if (policy_authorize(&c->d, &h->cred, right, &no, e))
		return -1;
	*ret_ok = no.code == REFUSAL_NONE;
	if (*ret_ok)
		return 0;
	int number = refusal_row(no.code)->hub;
	int http = err_row(refusal_row(no.code)->err)->http;
	if (core_log_refusal(c, "service", SPAN_NONE, &h->peer, &h->cred, &no, http, e))
		return -1;
	return core_refused(c, a, &no, number, e);
}

static int
handle(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	core_handler *fn = core_device_handler(a->type);
	uint32_t right = ipc_msg_row(a->type)->right;
	if (!fn)
		fn = core_service_handler(a->type);
	if (!fn)
		return err_set(
		    e, ERR_UNSUPPORTED, "message %s", ipc_msg_row(a->type)->name);
	bool ok = true;
	if (right && authorize(c, a, right, msg, &ok, e))
		return -1;
	return ok ? fn(c, a, msg, e) : 0;
}

static bool
is_storage_failure(const struct err *e)
{
	return e->code == ERR_IO || e->code == ERR_FULL || e->code == ERR_CORRUPT ||
	       e->code == ERR_INTERNAL;
}

/* A store that begins no transaction has seen a sync fail and trusts itself no more; a
 * fresh process opens it anew and finds what is really on the disk. */
static void
give_up(struct core *c, const struct err *why)
{
	log_event(LOG_ERROR, "core.store_lost", LOG_ERR(why));
	c->status = err_row(why->code)->exit;
	loop_stop(c->loop);
}

static void
take(struct core *c, const struct ask *a, struct span body)
{
	struct err e = {0};
	union {
#define IPC(NAME, name, from, to, right) struct ipc_##name name;
#include "tbl/ipc.def"
#undef IPC
	} msg;
	if (turn_enter(c->turn, a, &e)) {
		send_failure(c, a, &e);
		give_up(c, &e);
		return;
	}
	if (ipc_msg_unpack(a->type, body, &msg, &e) == 0 && handle(c, a, &msg, &e) == 0)
		return;
	if (is_storage_failure(&e)) {
		turn_spoil(c->turn, &e);
		return;
	}
	struct ipc_done m;
	failure_message(&e, &m);
	if (core_answer(c, a, IPC_DONE, &m, &e))
		turn_spoil(c->turn, &e);
}

static void
on_edge_frame(void *arg, struct ipc_frame *f)
{
	struct core_edge *edge = arg;
	struct ask a = {.edge = edge->index, .id = f->id, .type = (enum ipc_type)f->type};
	if (!ipc_msg_allowed(f->type, IPC_ROLE_E, IPC_ROLE_C)) {
		log_event(LOG_ERROR, "core.refused_message", LOG_INT("edge", edge->index),
		    LOG_INT("type", f->type));
		return;
	}
	take(edge->core, &a, f->body);
}

/* An edge is gone, and with it every connection it held. */
static void
forget_sessions_of(struct core *c, unsigned edge)
{
	struct session *s, *next;
	struct err e;
	if (!c->sessions.by_id)
		return;
	if (turn_enter(c->turn, NULL, &e)) {
		log_event(LOG_ERROR, "core.turn", LOG_ERR(&e));
		return;
	}
	HASH_ITER (hh, c->sessions.by_id, s, next) {
		if (s->edge != edge)
			continue;
		struct store_conn line = {.what = "disconnect",
		    .plane = "hub",
		    .device_id = s->device_id,
		    .auth = s->thumb[0] ? "x509" : "sas",
		    .scope = s->by_policy ? "hub" : "device",
		    .thumb = s->thumb,
		    .reason = "edge process ended",
		    .peer = "",
		    .agent = ""};
		if (core_log_conn(c, &line, &e) ||
		    store_device_seen(
			c->store, s->device_id, false, domain_now(&c->d), &e))
			turn_spoil(c->turn, &e);
		session_leave(&c->sessions, s->id);
	}
}

static void
on_edge_closed(void *arg, const struct err *why)
{
	struct core_edge *edge = arg;
	log_event(LOG_INFO, "core.edge_gone", LOG_INT("edge", edge->index), LOG_ERR(why));
	ipc_free(edge->link);
	edge->link = NULL;
	forget_sessions_of(edge->core, edge->index);
}

static const struct ipc_ops edge_ops = {
    .on_frame = on_edge_frame, .on_closed = on_edge_closed};

/* ---- the signer -----------------------------------------------------------------------
 */

static void
drop_signing(struct core *c, struct core_signing *s)
{
	HASH_DEL(c->signing, s);
	buf_done(&s->bytes);
	free(s);
}

static struct span
keep(struct buf *b, struct span s)
{
	size_t at = b->len;
	buf_put_span(b, s);
	return span_of(b->p + at, s.len);
}

int
core_sign(struct core *c, const struct ask *a, const struct ipc_signer_issue *issue,
    struct err *e)
{
	if (!c->signer)
		return err_set(e, ERR_UNAVAILABLE, "the signer is restarting");
	auto_buf body = BUF_INIT(16384);
	if (ipc_msg_pack(IPC_SIGNER_ISSUE, issue, &body, e))
		return -1;
	struct ipc_frame f = {.type = IPC_SIGNER_ISSUE,
	    .id = c->next_id,
	    .body = buf_span(&body),
	    .fd = -1};
	if (ipc_send(c->signer, &f, e))
		return err_wrap(e, "asking the signer");
	struct core_signing *s = own_alloc(sizeof(*s));
	s->id = c->next_id++;
	s->ask = *a;
	s->issue = *issue;
	s->bytes = BUF_INIT(16384);
	/* one reservation, so that the spans stay where they are */
	(void)buf_room(&s->bytes, issue->subject.len + issue->requester.len + 1);
	s->issue.subject = keep(&s->bytes, issue->subject);
	s->issue.requester = keep(&s->bytes, issue->requester);
	HASH_ADD(hh, c->signing, id, sizeof(s->id), s);
	return 0;
}

static struct span
issuer_der(struct core *c, unsigned profile)
{
	return buf_span(&c->ca[profile == PROFILE_DEVICE ? 1 : 2]);
}

static int
answer_issued(struct core *c, struct core_signing *s, const struct ipc_signer_issued *got,
    struct err *e)
{
	uint8_t issuer[DIGEST_SHA256];
	struct span by = issuer_der(c, s->issue.profile);
	digest_sha256(by, issuer);
	if (issue_record(&c->d, &s->issue, got, issuer, e))
		return -1;
	if (s->ask.type == IPC_TLS_REQUEST) {
		auto_buf chain = BUF_INIT(2 * CAP_CERT);
		buf_put_span(&chain, got->der);
		buf_put_span(&chain, by);
		struct ipc_tls_cert m = {
		    .chain = buf_span(&chain), .not_after_ms = got->not_after_ms};
		return core_answer(c, &s->ask, IPC_TLS_CERT, &m, e);
	}
	struct ipc_cert m = {.der = got->der};
	if (core_answer(c, &s->ask, IPC_CERT, &m, e))
		return -1;
	return core_done(c, &s->ask, "", 0, e);
}

static void
finish_signing(struct core *c, struct core_signing *s,
    const struct ipc_signer_issued *got, const struct err *why)
{
	struct err e = {0};
	if (turn_enter(c->turn, &s->ask, &e)) {
		send_failure(c, &s->ask, &e);
		return;
	}
	if (got && answer_issued(c, s, got, &e) == 0)
		return;
	if (got) {
		turn_spoil(c->turn, &e);
		return;
	}
	struct ipc_done m;
	failure_message(why, &m);
	if (core_answer(c, &s->ask, IPC_DONE, &m, &e))
		turn_spoil(c->turn, &e);
}

static void
take_keys(struct core *c, const struct ipc_signer_keys *k)
{
	struct span ders[3] = {k->root, k->device_ca, k->service_ca};
	for (int i = 0; i < 3; i++) {
		buf_reset(&c->ca[i]);
		buf_put_span(&c->ca[i], ders[i]);
	}
	digest_sha256(k->device_ca, c->d.device_ca);
	digest_sha256(k->service_ca, c->d.service_ca);
	send_anchors(c, NULL);
}

static void
on_signer_frame(void *arg, struct ipc_frame *f)
{
	struct core *c = arg;
	struct err e = {0};
	struct ipc_signer_issued got;
	struct ipc_signer_keys keys;
	struct ipc_done done;
	if (f->type == IPC_SIGNER_KEYS &&
	    ipc_msg_unpack(IPC_SIGNER_KEYS, f->body, &keys, &e) == 0) {
		take_keys(c, &keys);
		return;
	}
	struct core_signing *s;
	HASH_FIND(hh, c->signing, &f->id, sizeof(f->id), s);
	if (!s)
		return;
	if (f->type == IPC_SIGNER_ISSUED &&
	    ipc_msg_unpack(IPC_SIGNER_ISSUED, f->body, &got, &e) == 0) {
		finish_signing(c, s, &got, NULL);
	} else {
		if (f->type == IPC_DONE &&
		    ipc_msg_unpack(IPC_DONE, f->body, &done, &e) == 0)
			err_set(&e, (enum err_code)done.code, "signer: %.*s",
			    SPAN_FMT(done.text));
		finish_signing(c, s, NULL, &e);
	}
	drop_signing(c, s);
}

static void
fail_signings(struct core *c)
{
	struct core_signing *s, *next;
	struct err why;
	err_set(&why, ERR_UNAVAILABLE, "the signer is restarting");
	HASH_ITER (hh, c->signing, s, next) {
		finish_signing(c, s, NULL, &why);
		drop_signing(c, s);
	}
}

static void
on_signer_closed(void *arg, const struct err *why)
{
	struct core *c = arg;
	log_event(LOG_WARN, "core.signer_gone", LOG_ERR(why));
	ipc_free(c->signer);
	c->signer = NULL;
	fail_signings(c);
}

static const struct ipc_ops signer_ops = {
    .on_frame = on_signer_frame, .on_closed = on_signer_closed};

static void
ask_signer_for_keys(struct core *c)
{
	struct err e;
	auto_buf body = BUF_INIT(64);
	struct ipc_signer_pubkeys m = {0};
	struct ipc_frame f = {.type = IPC_SIGNER_PUBKEYS, .id = c->next_id++, .fd = -1};
	if (ipc_msg_pack(IPC_SIGNER_PUBKEYS, &m, &body, &e) == 0) {
		f.body = buf_span(&body);
		if (ipc_send(c->signer, &f, &e) == 0)
			return;
	}
	log_event(LOG_ERROR, "core.signer", LOG_ERR(&e));
}

/* ---- main -----------------------------------------------------------------------------
 */

static const struct ipc_opts link_opts = {
    .body_max = IPC_BODY_MAX, .queue_max = 256u << 20};

static void
link_edge(struct core *c, unsigned index, int fd)
{
	struct err e;
	if (index >= CORE_EDGES_MAX) {
		close(fd);
		return;
	}
	struct core_edge *edge = &c->edges[index];
	if (edge->link) {
		ipc_free(edge->link);
		forget_sessions_of(c, index);
	}
	*edge = (struct core_edge){.core = c, .index = index};
	edge->link = ipc_new(c->loop, fd, &link_opts, &edge_ops, edge, &e);
	if (!edge->link)
		log_event(LOG_ERROR, "core.link", LOG_ERR(&e));
	else if (c->ca[1].len)
		send_anchors(c, edge);
}

static void
link_signer(struct core *c, int fd)
{
	struct err e;
	ipc_free(c->signer);
	c->signer = ipc_new(c->loop, fd, &link_opts, &signer_ops, c, &e);
	if (c->signer)
		ask_signer_for_keys(c);
	else
		log_event(LOG_ERROR, "core.link", LOG_ERR(&e));
}

static void
on_main_frame(void *arg, struct ipc_frame *f)
{
	struct core *c = arg;
	struct ipc_attach m;
	struct err e;
	if (f->type == IPC_STOP) {
		loop_stop(c->loop);
		return;
	}
	if (f->type != IPC_ATTACH || f->fd < 0 ||
	    ipc_msg_unpack(IPC_ATTACH, f->body, &m, &e))
		return;
	if (m.peer == 'e')
		link_edge(c, m.index, TAKE_FD(f->fd));
	else if (m.peer == 's')
		link_signer(c, TAKE_FD(f->fd));
}

static void
on_main_closed(void *arg, const struct err *why)
{
	struct core *c = arg;
	log_event(LOG_WARN, "core.main_gone", LOG_ERR(why));
	loop_stop(c->loop);
}

static const struct ipc_ops main_ops = {
    .on_frame = on_main_frame, .on_closed = on_main_closed};

/* ---- housekeeping ---------------------------------------------------------------------
 */

static void
on_housekeeping(void *arg)
{
	struct core *c = arg;
	struct err e = {0};
	int64_t dropped, now = domain_now(&c->d);
	if (c->refusals_unlogged) {
		log_event(LOG_WARN, "core.refusals_unlogged",
		    LOG_INT("count", c->refusals_unlogged));
		c->refusals_unlogged = 0;
	}
	if (turn_enter(c->turn, NULL, &e)) {
		give_up(c, &e);
		return;
	}
	if (store_event_trim(c->store, now - c->cfg.hub.retention_age_ms,
		(int64_t)c->cfg.hub.retention_bytes, TRIM_BATCH, &dropped, &e) ||
	    store_conn_trim(c->store, now - c->cfg.hub.connlog_retention_ms, TRIM_BATCH,
		&dropped, &e))
		turn_spoil(c->turn, &e);
}

static int
open_store(struct core *c, struct err *e)
{
	char path[8192];
	const char *name = c->cfg.store.path;
	snprintf(path, sizeof(path), name[0] == '/' ? "%s%s" : "%s/%s",
	    name[0] == '/' ? "" : c->home, name);
	c->store = store_open(path, e);
	return c->store ? 0 : -1;
}

static int
log_start(struct core *c, struct err *e)
{
	struct store_conn line = {.what = "start",
	    .plane = "core",
	    .device_id = "",
	    .auth = "none",
	    .scope = "",
	    .thumb = "",
	    .reason = "",
	    .peer = "",
	    .agent = MUSTER_VERSION};
	if (store_begin(c->store, e))
		return -1;
	if (core_log_conn(c, &line, e) ||
	    store_device_all_gone(c->store, domain_now(&c->d), e)) {
		store_rollback(c->store);
		return -1;
	}
	return store_commit(c->store, e);
}

static const struct turn_ops turn_ops = {send_now, send_failure, on_turn_done};

static int
start(struct core *c, int fd, struct err *e)
{
	struct boot b;
	if (boot_receive(fd, "core", &c->cfg, &c->cfg_arena, &b, e))
		return -1;
	snprintf(c->home, sizeof(c->home), "%s", b.home);
	js_free(js_object()); /* draws the hash seed while files can be opened */
	c->loop = loop_new(&clock_system, e);
	if (!c->loop || open_store(c, e))
		return -1;
	c->turn = turn_new(c->loop, c->store, &turn_ops, c);
	c->d = (struct domain){.store = c->store,
	    .cfg = &c->cfg,
	    .clock = &clock_system,
	    .arena = turn_arena(c->turn),
	    .throttle = &c->registrations};
	int64_t per_min = c->cfg.dps.registrations_per_min;
	if (per_min == 0 && c->cfg.server.profile == CONFIG_PROFILE_AZURE)
		per_min = AZURE_REGISTRATIONS_PER_MIN;
	throttle_init(&c->registrations, per_min, loop_now_ms(c->loop));
	throttle_init(&c->refusals, REFUSALS_PER_MIN, loop_now_ms(c->loop));
	session_table_init(&c->sessions);
	for (int i = 0; i < 3; i++)
		c->ca[i] = BUF_INIT(CAP_CERT);
	if (log_start(c, e))
		return -1;
	c->main = ipc_new(c->loop, fd, &link_opts, &main_ops, c, e);
	if (!c->main)
		return -1;
	c->housekeeping = loop_timer_new(c->loop, on_housekeeping, c);
	loop_timer_repeat(c->housekeeping, HOUSEKEEPING_MS);
	if (boot_jail(JAIL_CORE, &b, 256, NULL, e))
		return -1;
	return boot_ready(c->main, e);
}

static void
stop(struct core *c)
{
	for (unsigned i = 0; i < CORE_EDGES_MAX; i++)
		ipc_free(c->edges[i].link);
	ipc_free(c->signer);
	ipc_free(c->main);
	loop_timer_free(c->housekeeping);
	turn_free(c->turn);
	session_table_done(&c->sessions);
	store_close(c->store);
	loop_free(c->loop);
}

int
core_main(int fd)
{
	static struct core c; /* large; one a process */
	struct err e = {0};
	log_role("core");
	c.next_id = 1;
	if (start(&c, fd, &e) || loop_run(c.loop, &e)) {
		log_event(LOG_ERROR, "core.failed", LOG_ERR(&e));
		return err_row(e.code)->exit;
	}
	stop(&c);
	return c.status;
}
