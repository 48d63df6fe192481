/*
 * The core process: links, the dispatch of messages, housekeeping. Rules are in domain/,
 * handlers in core_device.c, core_hub.c and so on; core_answer.c, core_session.c and
 * core_signer.c hold the rest of the process.
 */
#include "role/core.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/js.h"
#include "crypto/chain.h"
#include "domain/hub/clone.h"
#include "domain/dps/enrollment.h"
#include "domain/pki/issuer.h"
#include "domain/access/policy.h"
#include "domain/metrics.h"
#include "domain/hub/sighting.h"
#include "io/jail.h"
#include "role/boot.h"
#include "role/core_backlog.h"
#include "role/core_c2d.h"
#include "role/core_configuration.h"
#include "role/core_method.h"
#include "role/core_hook.h"
#include "role/core_pki.h"
#include "role/core_query.h"
#include "role/core_schedule.h"
#include "role/core_transfer.h"
#include "role/core_upload.h"
#include "store/audit.h"
#include "store/c2d.h"
#include "store/job.h"
#include "store/pki.h"
#include "store/transfer.h"

#define HOUSEKEEPING_MS             5000
#define BACKLOG_MS                  50 /* while there is more to trim */
#define TRIM_BATCH                  2000
#define C2D_BATCH                   500
#define REFUSALS_PER_MIN            12000 /* lines; beyond, refusals are counted but not written */
#define CONNLOG_ROWS                10000000 /* some GB, whatever comes */
#define AUDIT_ROWS                  20000000 /* likewise: each message and method is one */
#define AZURE_REGISTRATIONS_PER_MIN 1000
#define AZURE_OPERATIONS_PER_MIN    1000
#define AZURE_POLLS_PER_10S         5

/* ---- trust anchors for the edges ------------------------------------------------------
 */

struct anchor_list {
	struct buf certs, flags;
	struct domain *d;
};

static void
add_anchor(struct anchor_list *l, struct span der, enum chain_flags flags)
{
	if (!der.len)
		return;
	buf_put_span(&l->certs, der);
	buf_u8(&l->flags, (uint8_t)flags);
}

static int
add_group_ca(void *ctx, struct span der, const char *sha256, struct err *e)
{
	struct anchor_list *l = ctx;
	(void)sha256, (void)e;
	add_anchor(l, der, CHAIN_TRUSTED);
	return 0;
}

static int
visit_group(void *ctx, const struct store_enrollment *g, struct err *e)
{
	struct anchor_list *l = ctx;
	return enrollment_each_ca(l->d, g, add_group_ca, l, e);
}

static int
visit_hub_cert(void *ctx, const struct store_ca_cert *c, struct err *e)
{
	(void)e;
	if (c->verified)
		add_anchor(ctx, c->der, CHAIN_TRUSTED);
	return 0;
}

/* Where they count is asked when a device comes (domain/pki/trust.h). */
static int
add_hub_certs(struct core *c, struct anchor_list *l, struct err *e)
{
	for (size_t i = 0; i < c->cfg.hub.name.n; i++)
		if (store_ca_cert_each(
			c->store, c->cfg.hub.name.v[i], visit_hub_cert, l, e))
			return -1;
	return 0;
}

/* Device CAs that are trusted and every CA that a group names may end a chain; roots and
 * cross certificates only complete one. No service CA is in the set: no device may come
 * by it. A device CA that is over is refused by its key: a root that a group names must
 * not bring it back in another encoding, which no state is kept for. */
static int
add_issuer(void *ctx, const struct store_issuer *i, struct err *e)
{
	enum issuer_state state;
	enum ca_purpose purpose;
	if (issuer_state_parse(span_str(i->state), &state, e) ||
	    ca_conf_purpose_parse(span_str(i->purpose), &purpose, e))
		return -1;
	if (purpose != CA_SERVICE && issuer_is_trusted(state))
		add_anchor(
		    ctx, i->cert, purpose == CA_DEVICE ? CHAIN_TRUSTED : CHAIN_HELPER);
	else if (purpose == CA_DEVICE && state != ISSUER_STANDBY)
		add_anchor(ctx, i->cert, CHAIN_REFUSED);
	return 0;
}

/* What EST hands out (RFC 7030 4.1.3): the CA that issues first. */
static int
put_ca_chain(struct core *c, struct buf *out, struct err *e)
{
	const unsigned others = 1u << ISSUER_TRUSTED | 1u << ISSUER_RETIRING;
	const unsigned all = others | 1u << ISSUER_ACTIVE;
	if (core_put_issuers(c, 1u << CA_DEVICE, 1u << ISSUER_ACTIVE, out, e) ||
	    core_put_issuers(c, 1u << CA_DEVICE, others, out, e) ||
	    core_put_issuers(c, 1u << CA_ROOT, all, out, e))
		return -1;
	return core_put_issuers(c, 1u << CA_CROSS, all, out, e);
}

static int
pack_anchors(struct core *c, struct buf *body, struct err *e)
{
	struct anchor_list l = {BUF_INIT(CAP_ANCHORS), BUF_INIT(4096), &c->d};
	auto_buf ca_chain = BUF_INIT(CAP_CHAIN);
	int rc = store_issuer_each(c->store, add_issuer, &l, e);
	if (rc == 0)
		rc = store_enrollment_each(
		    c->store, STORE_GROUP, "", ENROLLMENT_GROUPS_MAX, visit_group, &l, e);
	if (rc == 0)
		rc = add_hub_certs(c, &l, e);
	if (rc == 0)
		rc = put_ca_chain(c, &ca_chain, e);
	struct err none;
	const struct issuer_entry *by = NULL;
	struct ipc_anchors m = {.ca_chain = buf_span(&ca_chain),
	    .certs = buf_span(&l.certs),
	    .flags = buf_span(&l.flags)};
	if (issuer_active(&c->d, CA_SERVICE, &by, &none) == 0)
		m.server_issuer = span_of(by->sha256, sizeof(by->sha256));
	if (rc == 0)
		rc = buf_check(&l.certs, "trust anchors", e) ||
		     buf_check(&l.flags, "trust anchors", e) ||
		     ipc_msg_pack(IPC_ANCHORS, &m, body, e);
	buf_done(&l.certs);
	buf_done(&l.flags);
	return rc ? -1 : 0;
}

void
core_send_anchors(struct core *c, struct core_edge *only)
{
	auto_buf body = BUF_INIT(IPC_BODY_MAX);
	struct err e;
	if (pack_anchors(c, &body, &e)) {
		log_event(LOG_ERROR, "core.anchors", LOG_ERR(&e));
		return;
	}
	for (unsigned i = 0; i < CORE_EDGES_MAX; i++)
		if (!only || only->index == i)
			core_send(c, i, IPC_ANCHORS, 0, buf_span(&body));
}

static void
on_turn_done(void *arg, int64_t ms)
{
	struct core *c = arg;
	metrics_turn(c->metrics, ms);
	if (!c->anchors_changed || !issuer_is_ready(&c->d))
		return; /* without our own CAs the list would cut devices off */
	c->anchors_changed = false;
	core_send_anchors(c, NULL);
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

static core_handler *
find_handler(enum ipc_type type)
{
	static core_handler *(*const parts[])(enum ipc_type) = {
	    core_device_handler,
	    core_hub_handler,
	    core_twin_handler,
	    core_http_handler,
	    core_upload_handler,
	    core_service_handler,
	    core_login_handler,
	    core_module_handler,
	    core_dps_handler,
	    core_enrollment_handler,
	    core_issuer_handler,
	    core_rollover_handler,
	    core_est_handler,
	    core_compliance_handler,
	    core_certificates_handler,
	    core_revoke_handler,
	    core_crl_handler,
	    core_ocsp_handler,
	    core_health_handler,
	    core_method_handler,
	    core_c2d_handler,
	    core_operator_handler,
	    core_query_handler,
	    core_arm_handler,
	    core_consumer_handler,
	    core_registry_handler,
	    core_audit_handler,
	    core_schedule_handler,
	    core_configuration_handler,
	    core_keys_handler,
	    core_transfer_handler,
	};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		core_handler *fn = parts[i](type);
		if (fn)
			return fn;
	}
	return NULL;
}

/* Requests to the provisioning service's API (protocol/service.md 6.3), once the caller
 * is known, so that strangers cannot use it up. */
static bool
is_throttled(struct core *c, uint32_t right)
{
	return policy_is_dps(right) &&
	       !throttle_take(&c->operations, loop_now_ms(c->loop));
}

/* A line that cannot be written takes with it what it would tell of. Of a turn that the
 * store has lost there is nothing to tell. */
static int
handle_audited(
    struct core *c, core_handler *fn, const struct ask *a, const void *msg, struct err *e)
{
	struct err bad;
	c->last_done.id = 0;
	int rc = fn(c, a, msg, e);
	if (rc && core_is_lost(e))
		return rc;
	if (core_audit(c, a, msg, rc ? e : NULL, &bad))
		turn_spoil(c->turn, &bad);
	return rc;
}

static int
handle(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	static const struct refusal throttled = {.code = REFUSAL_THROTTLED};
	core_handler *fn = find_handler(a->type);
	uint32_t right = ipc_msg_row(a->type)->right;
	if (!fn)
		return err_set(
		    e, ERR_UNSUPPORTED, "message %s", ipc_msg_row(a->type)->name);
	bool ok = true;
	if (right && authorize(c, a, right, msg, &ok, e))
		return -1;
	if (!ok)
		return 0;
	if (is_throttled(c, right))
		return core_refused(
		    c, a, &throttled, refusal_row(throttled.code)->dps, e);
	return handle_audited(c, fn, a, msg, e);
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
		core_fail(c, a, &e);
		core_give_up(c, &e);
		return;
	}
	if (ipc_msg_unpack(a->type, body, &msg, &e) || handle(c, a, &msg, &e))
		core_settle(c, a, &e);
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
	metrics_request(edge->core->metrics, a.type);
	take(edge->core, &a, f->body);
}

static void
on_edge_closed(void *arg, const struct err *why)
{
	struct core_edge *edge = arg;
	log_event(LOG_INFO, "core.edge_gone", LOG_INT("edge", edge->index), LOG_ERR(why));
	ipc_free(edge->link);
	edge->link = NULL;
	core_forget_sessions(edge->core, edge->index);
	core_forget_rollovers(edge->core, edge->index);
	core_forget_signings(edge->core, edge->index);
	core_method_forget(edge->core, edge->index);
	core_query_forget(edge->core, edge->index);
}

static const struct ipc_ops edge_ops = {
    .on_frame = on_edge_frame, .on_closed = on_edge_closed};

/* ---- main -----------------------------------------------------------------------------
 */

const struct ipc_opts core_link_opts = {
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
		core_forget_sessions(c, index);
		core_forget_rollovers(c, index);
		core_forget_signings(c, index);
		core_method_forget(c, index);
		core_query_forget(c, index);
	}
	*edge = (struct core_edge){.core = c, .index = index};
	edge->link = ipc_new(c->loop, fd, &core_link_opts, &edge_ops, edge, &e);
	if (!edge->link)
		log_event(LOG_ERROR, "core.link", LOG_ERR(&e));
	core_send_tickets(c, edge);
	if (edge->link && issuer_is_ready(&c->d))
		core_send_anchors(c, edge);
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
		core_link_signer(c, TAKE_FD(f->fd));
	else if (m.peer == 'h')
		core_hook_link(c, TAKE_FD(f->fd));
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

/* Telemetry may come faster than one batch a housekeeping: a full batch is followed by
 * the next one soon, with turns for others between them. */
static int
trim(struct core *c, struct err *e)
{
	int64_t events, conns, now = domain_now(&c->d);
	if (store_event_trim(c->store, now - c->cfg.hub.retention_age_ms,
		(int64_t)c->cfg.hub.retention_bytes, TRIM_BATCH, &events, e) ||
	    store_conn_trim(c->store, now - c->cfg.hub.connlog_retention_ms, CONNLOG_ROWS,
		TRIM_BATCH, &conns, e))
		return -1;
	int64_t lines;
	if (store_audit_trim(c->store, now - c->cfg.hub.audit_retention_ms, AUDIT_ROWS,
		TRIM_BATCH, &lines, e))
		return -1;
	if (store_transfer_trim(c->store, now - c->cfg.hub.job_retention_ms, e))
		return -1;
	if (store_job_trim(c->store, now - c->cfg.hub.job_retention_ms, TRIM_BATCH, e))
		return -1;
	bool messages;
	if (core_c2d_tidy(c, C2D_BATCH, &messages, e))
		return -1;
	bool more = messages || events == TRIM_BATCH || conns == TRIM_BATCH ||
		    lines == TRIM_BATCH;
	loop_timer_repeat(c->housekeeping, more ? BACKLOG_MS : HOUSEKEEPING_MS);
	return 0;
}

static void
on_housekeeping(void *arg)
{
	struct core *c = arg;
	struct err e = {0};
	core_rotate_tickets(c);
	if (c->refusals_unlogged) {
		log_event(LOG_WARN, "core.refusals_unlogged",
		    LOG_INT("count", c->refusals_unlogged));
		c->refusals_unlogged = 0;
	}
	if (turn_enter(c->turn, NULL, &e)) {
		core_give_up(c, &e);
		return;
	}
	core_hook_sweep(c);
	if (trim(c, &e) || core_est_trim(c, &e) || core_upload_trim(c, &e))
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
	c->backlog = core_backlog_new(c, e);
	if (!c->backlog || core_log_conn(c, &line, e) ||
	    store_c2d_free_all(c->store, e) || store_job_calls_lost(c->store, e)) {
		store_rollback(c->store);
		return -1;
	}
	return store_commit(c->store, e);
}

static const struct turn_ops turn_ops = {core_send, core_fail, on_turn_done};

/* As configured; else Azure's own where it is played. */
static int64_t
limit(const struct core *c, int64_t configured, int64_t azure)
{
	bool plays = c->cfg.server.profile == CONFIG_PROFILE_AZURE;
	return configured || !plays ? configured : azure;
}

static void
init_throttles(struct core *c)
{
	int64_t now = loop_now_ms(c->loop);
	throttle_init(&c->registrations,
	    limit(c, c->cfg.dps.registrations_per_min, AZURE_REGISTRATIONS_PER_MIN), now);
	throttle_init(&c->operations,
	    limit(c, c->cfg.dps.operations_per_min, AZURE_OPERATIONS_PER_MIN), now);
	poll_guard_init(
	    &c->polls, limit(c, c->cfg.dps.polls_per_10s, AZURE_POLLS_PER_10S));
}

static int
start(struct core *c, int fd, struct err *e)
{
	struct boot b;
	if (boot_receive(fd, "core", &c->cfg, &c->cfg_arena, &b, e))
		return -1;
	snprintf(c->home, sizeof(c->home), "%s", b.home);
	js_free(js_object()); /* draws the hash seed while files can be opened */
	c->metrics = metrics_new(clock_wall_ms(&clock_system));
	c->loop = loop_new(&clock_system, e);
	if (!c->loop || open_store(c, e))
		return -1;
	c->uploads = core_upload_new(c, e);
	if (!c->uploads)
		return -1;
	c->turn = turn_new(c->loop, c->store, &turn_ops, c);
	c->d = (struct domain){.store = c->store,
	    .cfg = &c->cfg,
	    .clock = &clock_system,
	    .arena = turn_arena(c->turn),
	    .throttle = &c->registrations,
	    .est = &c->est,
	    .polls = &c->polls,
	    .signins = &c->signins};
	init_throttles(c);
	throttle_init(&c->refusals, REFUSALS_PER_MIN, loop_now_ms(c->loop));
	session_table_init(&c->sessions);
	c->sightings = sighting_new(SIGHTING_BYTES_MAX);
	est_guard_init(&c->est);
	signin_guard_init(&c->signins);
	if (core_load_issuers(c, e) || core_load_routing(c, e) || log_start(c, e))
		return -1;
	c->main = ipc_new(c->loop, fd, &core_link_opts, &main_ops, c, e);
	if (!c->main)
		return -1;
	c->clones = own_alloc(sizeof(*c->clones));
	c->pki = core_pki_new(c);
	c->c2d = core_c2d_new(c);
	c->methods = core_method_new(c);
	c->queries = core_query_new(c);
	c->schedule = core_schedule_new(c);
	c->configurations = core_configuration_new(c);
	c->hook = core_hook_new(c);
	c->transfers = core_transfer_new(c);
	c->rechecks = loop_timer_new(c->loop, core_recheck_slice, c);
	list_init(&c->jobs);
	c->job_timer = loop_timer_new(c->loop, core_rollover_slice, c);
	core_rotate_tickets(c);
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
	core_backlog_free(c->backlog);
	core_forget_rollovers(c, CORE_EDGES_MAX);
	loop_timer_free(c->job_timer);
	loop_timer_free(c->rechecks);
	turn_free(c->turn);
	session_table_done(&c->sessions);
	sighting_free(c->sightings);
	est_guard_done(&c->est);
	signin_guard_done(&c->signins);
	core_pki_free(c->pki);
	core_c2d_free(c->c2d);
	core_method_free(c->methods);
	core_query_free(c->queries);
	core_schedule_free(c->schedule);
	core_configuration_free(c->configurations);
	core_upload_free(c->uploads);
	core_hook_free(c->hook);
	core_transfer_free(c->transfers);
	poll_guard_done(&c->polls);
	free(c->clones);
	metrics_free(c->metrics);
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
