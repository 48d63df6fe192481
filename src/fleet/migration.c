/*
 * An open campaign.
 */
#include "fleet/migration.h"

#include <stdio.h>
#include <unistd.h>

#include "base/num.h"
#include "fleet/azure.h"
#include "fleet/throttle.h"
#include "io/file.h"
#include "io/loop.h"

#define ARENA_MAX   (size_t)(1024 * 1024 * 1024)
#define LOG_PAGE    5000
#define WAIT_MAX_S  600 /* nobody watches, and a device stands half-way */
#define TIMEOUT_MS  30000
#define CONNECTIONS 16
#define RESUME_MS   (INT64_C(5) * 60 * 1000)

const char *
migration_path(struct migration *m, const char *name)
{
	return arena_printf(m->arena, "%s/%s", m->o->dir, name);
}

int
migration_open_file(struct migration *m, const struct migration_opts *o, struct err *e)
{
	*m = (struct migration){.o = o, .lock = -1};
	m->arena = arena_new(ARENA_MAX);
	m->progress = progress_new(o->json);
	m->file = campaign_open(migration_path(m, "campaign.db"), e);
	if (!m->file)
		return e && e->code == ERR_NOT_FOUND
			   ? err_wrap(e,
				 "no campaign in %s (muster migrate plan makes one)",
				 o->dir)
			   : -1;
	return migration_get(m, "group", MIGRATION_GROUP, &m->group, e);
}

/* What a hub without logs tells of a connection comes minutes later. */
int64_t
migration_resume_ms(const struct migration *m)
{
	if (m->o->resume_ms)
		return m->o->resume_ms;
	return m->logs ? RESUME_MS : 3 * RESUME_MS;
}

static struct service *
open_service(struct migration *m, const char *name, struct err *e)
{
	const struct service_opts o = {.name = name,
	    .target = m->o->target,
	    .timeout_ms = TIMEOUT_MS,
	    .conns_max = CONNECTIONS,
	    .wait_max_s = WAIT_MAX_S};
	return service_new(m->loop, &o, m->arena, e);
}

int
migration_open_target(struct migration *m, const char *name, struct err *e)
{
	m->loop = loop_new(&clock_system, e);
	m->service = m->loop ? open_service(m, name, e) : NULL;
	if (!m->service)
		return -1;
	m->calls = exchange_new(m->loop, m->service, WAIT_MAX_S, e);
	m->target = service_target(m->service);
	m->logs = service_rest(m->service);
	return m->calls ? 0 : -1;
}

int
migration_open_est(struct migration *m, struct err *e)
{
	if (m->logs) {
		m->est = m->logs;
		return 0;
	}
	m->home = open_service(m, NULL, e);
	if (!m->home)
		return err_wrap(e, "the server that signs certificates");
	m->est = service_rest(m->home);
	return 0;
}

/* What the campaign was planned against is what it goes on with: name and place. */
static int
check_target(struct migration *m, const char *planned, struct err *e)
{
	const char *told = m->o->target_name, *server;
	if (told && strcmp(told, planned) != 0)
		return err_set(e, ERR_USAGE,
		    "--target %s: this campaign was planned against %s", told,
		    planned[0] ? planned : "the home's own server");
	if (migration_get(m, "server", "", &server, e))
		return -1;
	/* the home's own may be at another port after each start */
	if (!planned[0] || strcmp(planned, "muster") == 0 ||
	    strcmp(server, m->target->rest.base) == 0)
		return 0;
	return err_set(e, ERR_CONFLICT,
	    "target %s is %s now, and was %s when the campaign was planned", planned,
	    m->target->rest.base, server);
}

static int
open_server(struct migration *m, struct err *e)
{
	const char *planned;
	struct pace_limits limits;
	if (migration_get(m, "target", "", &planned, e) ||
	    migration_open_target(m, planned[0] ? planned : NULL, e) ||
	    check_target(m, planned, e) || throttle_get(m, &limits, e))
		return -1;
	exchange_limit(m->calls, &limits);
	return 0;
}

int
migration_open(
    struct migration *m, const struct migration_opts *o, bool exclusive, struct err *e)
{
	if (migration_open_file(m, o, e))
		return -1;
	if (exclusive && file_lock(migration_path(m, "lock"), &m->lock, e))
		return err_wrap(e, "campaign");
	return open_server(m, e);
}

void
migration_done(struct migration *m)
{
	progress_end(&m->progress);
	exchange_free(m->calls);
	service_free(m->home);
	service_free(m->service);
	loop_free(m->loop);
	campaign_close(m->file);
	arena_free(m->arena);
	own_close(&m->lock);
}

int
migration_get(struct migration *m, const char *key, const char *def, const char **ret,
    struct err *e)
{
	struct err why;
	if (campaign_meta_get(m->file, key, m->arena, ret, &why) == 0)
		return 0;
	if (why.code != ERR_NOT_FOUND)
		return err_copy(e, &why);
	*ret = def;
	return 0;
}

/* "a\nb\n", as plan joined them; the operator's own come first and so win. */
static void
add_options(struct migration *m, struct ssh_opts *o, const char *joined)
{
	for (struct span rest = span_str(joined);
	     rest.p && o->n_options < SSH_OPTIONS_MAX;) {
		struct span line = span_split(&rest, '\n');
		if (line.len)
			o->option[o->n_options++] = arena_str(m->arena, line);
	}
}

static int
recorded(struct migration *m, const char *key, const char *def, const char **field,
    struct err *e)
{
	const char *text;
	if (*field)
		return 0;
	if (migration_get(m, key, "", &text, e))
		return -1;
	*field = text[0] ? text : def;
	return 0;
}

int
migration_ssh(struct migration *m, struct ssh_opts *o, struct err *e)
{
	const char *options;
	if (recorded(m, "ssh_program", "ssh", &o->program, e) ||
	    recorded(m, "ssh_config", NULL, &o->config, e) ||
	    recorded(m, "known_hosts", NULL, &o->known_hosts, e) ||
	    recorded(m, "remote_command", "muster-agent session", &o->command, e) ||
	    migration_get(m, "ssh_options", "", &options, e))
		return -1;
	add_options(m, o, options);
	o->pinned = migration_path(m, "known_hosts");
	return 0;
}

int
migration_get_int(
    struct migration *m, const char *key, int64_t def, int64_t *ret, struct err *e)
{
	const char *text;
	if (migration_get(m, key, NULL, &text, e))
		return -1;
	if (!text) {
		*ret = def;
		return 0;
	}
	if (num_parse(span_str(text), INT64_MIN, INT64_MAX, ret, e))
		return err_wrap(e, "campaign file: %s", key);
	return 0;
}

int
migration_put_int(struct migration *m, const char *key, int64_t v, struct err *e)
{
	char text[24];
	snprintf(text, sizeof(text), "%lld", (long long)v);
	return campaign_meta_put(m->file, key, text, e);
}

int
migration_ask(struct migration *m, enum pace_family f, const struct rest_request *q,
    const char *what, struct buf *body, struct rest_response *ret, struct err *e)
{
	body->secret = true;
	if (exchange_wait(m->calls, f, q, body, ret, e))
		return err_wrap(e, "%s", what);
	return azure_check(ret, what, e);
}

int
migration_ask_rest(struct migration *m, struct rest *rest, const struct rest_request *q,
    const char *what, struct buf *body, struct rest_response *ret, struct err *e)
{
	body->secret = true;
	if (rest_wait(rest, q, body, ret, e))
		return err_wrap(e, "%s", what);
	return azure_check(ret, what, e);
}

int64_t
migration_hub_ms(const struct migration *m)
{
	return clock_wall_ms(loop_clock(m->loop)) + exchange_ahead_ms(m->calls);
}

int
migration_each_found(struct migration *m, migration_query *query, void *ctx,
    int (*visit)(void *ctx, const struct azure_device *d, struct err *e), void *visit_ctx,
    struct err *e)
{
	struct rest_response r = {0};
	do {
		auto_buf body = BUF_INIT(REST_BODY_MAX);
		auto_(arena_free) struct arena *page = arena_new(REST_BODY_MAX * 2);
		struct rest_request q;
		struct azure_device *v;
		size_t n;
		query(ctx, page, r.continuation, &q);
		if (migration_ask(m, PACE_QUERY, &q, "device query", &body, &r, e) ||
		    azure_device_page(r.body, page, &v, &n, e))
			return -1;
		for (size_t i = 0; i < n; i++)
			if (visit(visit_ctx, &v[i], e))
				return -1;
	} while (r.continuation[0]);
	return 0;
}

static void
all_devices(
    void *ctx, struct arena *a, const char *continuation, struct rest_request *ret)
{
	azure_device_query(a, continuation, ret);
}

int
migration_each_device(struct migration *m,
    int (*visit)(void *ctx, const struct azure_device *d, struct err *e), void *ctx,
    struct err *e)
{
	return migration_each_found(m, all_devices, NULL, visit, ctx, e);
}

int
migration_each_row(struct migration *m, bool events, const struct azure_log_filter *f,
    int (*visit)(void *ctx, const struct azure_row *r, struct err *e), void *ctx,
    int64_t *ret_complete_since_ms, struct err *e)
{
	struct azure_log_filter at = *f;
	struct azure_log_end end;
	at.limit = LOG_PAGE;
	do {
		auto_buf body = BUF_INIT(REST_BODY_MAX);
		auto_(arena_free) struct arena *page = arena_new(1024 * 1024);
		struct rest_request q;
		struct rest_response r;
		(events ? azure_events : azure_connections)(page, &at, &q);
		if (migration_ask_rest(m, m->logs, &q,
			events ? "events" : "connection log", &body, &r, e) ||
		    azure_log_read(r.body, visit, ctx, &end, e))
			return -1;
		if (end.rows && end.next <= at.after_seq)
			return err_set(
			    e, ERR_CORRUPT, "log of the hub: does not advance");
		at.after_seq = end.next;
	} while (end.rows);
	if (ret_complete_since_ms)
		*ret_complete_since_ms = end.complete_since_ms;
	return 0;
}
