/*
 * What may be scheduled, and the life of a job.
 */
#include "domain/hub/job.h"

#include "codec/id.h"
#include "domain/hub/hubs.h"

enum {
	/* as of direct methods (role/core_method.c) */
	RESPONSE_MIN_S = 5,
	TIME_MAX_S = 300,
};

/* ---- PUT --------------------------------------------------------------------------- */

static int
check_work(const struct ipc_job_put *m, struct err *e)
{
	if (m->kind == IPC_JOB_TWIN)
		return m->tags.len || m->desired.len
			   ? 0
			   : err_set(e, ERR_PARSE,
				 "updateTwin: neither tags nor properties.desired");
	if (m->kind != IPC_JOB_METHOD)
		return err_set(
		    e, ERR_PARSE, "type: scheduleUpdateTwin or scheduleDeviceMethod");
	if (!m->method.len)
		return err_set(e, ERR_PARSE, "methodName is missing");
	if (m->response_s < RESPONSE_MIN_S || m->response_s > TIME_MAX_S)
		return err_set(e, ERR_PARSE, "responseTimeoutInSeconds: %d to %d",
		    RESPONSE_MIN_S, TIME_MAX_S);
	if (m->connect_s > TIME_MAX_S)
		return err_set(
		    e, ERR_PARSE, "connectTimeoutInSeconds: 0 to %d", TIME_MAX_S);
	return 0;
}

static int
check_put(struct domain *d, const struct ipc_job_put *m, struct err *e)
{
	struct query q;
	if (!id_is_device(m->id))
		return err_set(e, ERR_PARSE, "jobId: a character that IDs may not have");
	if (query_parse_condition(m->condition, d->arena, &q, e) || check_work(m, e))
		return -1;
	if (q.from != QUERY_DEVICES)
		return err_set(e, ERR_PARSE, "queryCondition: jobs are of devices");
	if (m->max_s < 1 || m->max_s > JOB_MAX_S)
		return err_set(
		    e, ERR_PARSE, "maxExecutionTimeInSeconds: 1 to %d", JOB_MAX_S);
	if (m->start_ms > domain_now(d) + JOB_AHEAD_MS)
		return err_set(e, ERR_PARSE, "startTime: over a year ahead");
	return 0;
}

/* Azure counts those that are under way; what waits for its time has a bound of ours. */
static int
check_room(struct domain *d, const struct store_job *j, struct refusal *no, struct err *e)
{
	struct store_job_counts n;
	int64_t now = domain_now(d);
	if (store_job_counts(d->store, j->hub, now, &n, e))
		return -1;
	if (n.open >= JOB_OPEN_MAX)
		return refusal_set(no, REFUSAL_JOBS_FULL, "%d are open", JOB_OPEN_MAX);
	if (j->start_ms <= now && n.active >= d->cfg->hub.jobs_max)
		return refusal_set(no, REFUSAL_JOBS_FULL, "hub.jobs_max is %lld",
		    (long long)d->cfg->hub.jobs_max);
	return 0;
}

int
job_put(struct domain *d, const struct ipc_job_put *m, struct store_job *ret,
    struct refusal *no, struct err *e)
{
	int64_t now = domain_now(d);
	*no = (struct refusal){0};
	if (check_put(d, m, e))
		return -1;
	struct store_job j = {.hub = hubs_asked(d->cfg, m->peer.host),
	    .id = arena_str(d->arena, m->id),
	    .kind = m->kind,
	    .condition = arena_str(d->arena, m->condition),
	    .if_match = arena_str(d->arena, m->if_match),
	    .tags = m->tags,
	    .desired = m->desired,
	    .method = arena_str(d->arena, m->method),
	    .payload = m->payload,
	    .connect_s = m->connect_s,
	    .response_s = m->response_s,
	    .max_s = m->max_s,
	    .created_ms = now,
	    .start_ms = m->start_ms > now ? m->start_ms : now,
	    .reason = ""};
	j.status = j.start_ms > now ? STORE_JOB_SCHEDULED : STORE_JOB_QUEUED;
	if (check_room(d, &j, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	if (store_job_add(d->store, &j, e))
		return e->code == ERR_EXISTS
			   ? refusal_set(no, REFUSAL_JOB_EXISTS, "%s", j.id)
			   : -1;
	*ret = j;
	return 0;
}

/* ---- by ID ------------------------------------------------------------------------- */

int
job_get(struct domain *d, struct span host, struct span id, struct store_job *ret,
    struct refusal *no, struct err *e)
{
	*no = (struct refusal){0};
	const char *name = arena_str(d->arena, id);
	if (store_job_get(d->store, hubs_asked(d->cfg, host), name, d->arena, ret, e) ==
	    0)
		return 0;
	return e->code == ERR_NOT_FOUND ? refusal_set(no, REFUSAL_JOB_UNKNOWN, "%s", name)
					: -1;
}

static void
end(struct domain *d, struct store_job *j, int status)
{
	j->status = status;
	j->ended_ms = domain_now(d);
}

int
job_cancel(struct domain *d, struct span host, struct span id, struct store_job *ret,
    struct refusal *no, struct err *e)
{
	struct store_job j;
	if (job_get(d, host, id, &j, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	if (j.status >= STORE_JOB_COMPLETED)
		return refusal_set(no, REFUSAL_JOB_ENDED, "%s", j.id);
	end(d, &j, STORE_JOB_CANCELLED);
	if (store_job_put(d->store, &j, e))
		return -1;
	*ret = j;
	return 0;
}

/* ---- its life ---------------------------------------------------------------------- */

void
job_fail(struct domain *d, struct store_job *j, const char *why)
{
	end(d, j, STORE_JOB_FAILED);
	j->reason = arena_str(d->arena, span_head(span_str(why), 300));
}

static int
begin(struct domain *d, struct store_job *j, int64_t now, struct err *e)
{
	j->status = STORE_JOB_RUNNING;
	j->began_ms = now;
	if (store_device_last(d->store, &j->last, e))
		return -1;
	return store_job_put(d->store, j, e);
}

int
job_step(struct domain *d, struct store_job *j, bool *ret_on, struct err *e)
{
	struct store_job_counts n;
	int64_t now = domain_now(d);
	*ret_on = true;
	if (j->status == STORE_JOB_RUNNING) {
		if (now - j->began_ms <= j->max_s * 1000)
			return 0;
		*ret_on = false;
		job_fail(d, j, "maxExecutionTimeInSeconds is over");
		return store_job_put(d->store, j, e);
	}
	if (store_job_counts(d->store, j->hub, now, &n, e))
		return -1;
	*ret_on = n.running < d->cfg->hub.jobs_max;
	return *ret_on ? begin(d, j, now, e) : 0;
}

void
job_looked(struct domain *d, struct store_job *j, int64_t calls)
{
	if (calls == 0)
		end(d, j, STORE_JOB_COMPLETED);
}
