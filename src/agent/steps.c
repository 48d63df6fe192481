/*
 * Steps of a change of credentials.
 */
#include "agent/steps.h"

#include "agent/control.h"
#include "codec/js.h"

#define STATUS_MS 10000 /* for the running agent to answer */
#define SETTLE_MS 60000 /* for the running agent to connect */

static int64_t
now_ms(const struct steps *s)
{
	return clock_wall_ms(&s->time->clock);
}

int
steps_call_agent(const struct steps *s, const char *op, int64_t wait_ms, struct js **ret,
    struct err *e)
{
	auto_(js_free) struct js *req = js_object();
	js_set_text(req, "op", op);
	if (wait_ms)
		js_set_int(req, "waitMs", wait_ms);
	return control_call(s->dir, req, STATUS_MS + wait_ms, ret, e);
}

bool
steps_agent_runs(const struct steps *s)
{
	struct err e;
	auto_(js_free) struct js *st = NULL;
	return steps_call_agent(s, "status", 0, &st, &e) == 0 ||
	       e.code != ERR_UNAVAILABLE;
}

int
steps_prove(const struct steps *s, const struct keystore_ref *r, const char *nonce,
    bool alone, struct prove_result *ret, struct err *e)
{
	auto_keystore_credential c = {0};
	if (keystore_load(s->keys, r, &c, e))
		return -1;
	struct prove_opts o = {.dir = s->dir,
	    .cfg = s->cfg,
	    .credential = &c,
	    .time = s->time,
	    .nonce = nonce,
	    .alone = alone};
	struct prove_result got;
	if (prove_run(&o, &got, e) ||
	    keystore_set_proven(s->keys, r, &got.assignment, now_ms(s), e))
		return -1;
	*ret = got;
	return 0;
}

/* Does the running agent use this credential, connected? */
static bool
is_in_use(const struct js *st, const struct keystore_ref *r)
{
	return js_as_bool(js_get(st, "connected")) &&
	       span_eq_str(js_as_str(js_get(st, "auth")), r->x509 ? "x509" : "sas") &&
	       span_eq_str(js_as_str(js_get(st, "generation")), r->generation);
}

int
steps_take_up(const struct steps *s, const struct keystore_ref *r, struct js **ret_status,
    struct err *e)
{
	auto_(js_free) struct js *st = NULL;
	if (steps_call_agent(s, "status", 0, &st, e))
		return -1;
	if (!is_in_use(st, r)) {
		js_free(TAKE(st));
		if (steps_call_agent(s, "reload", SETTLE_MS, &st, e))
			return -1;
	}
	if (!is_in_use(st, r))
		return err_set(e, ERR_CONFLICT,
		    "the running agent connected with another credential");
	if (ret_status)
		*ret_status = TAKE(st);
	return 0;
}

static int
undo_promote(const struct steps *s, const struct keystore_ref *was, bool *ret_unsure,
    struct err *e)
{
	struct err undo;
	if (keystore_revert_to(s->keys, was, now_ms(s), &undo)) {
		*ret_unsure = true;
		return err_wrap(e, "not promoted, and going back failed (%s)", undo.text);
	}
	if (steps_take_up(s, was, NULL, &undo))
		return err_wrap(e, "went back, but is not connected yet (%s)", undo.text);
	return err_wrap(e, "went back to %s", was->x509 ? was->generation : "sas");
}

/* Old generations that cannot be removed make no failure of a promotion: journalled. */
static void
prune(const struct steps *s)
{
	struct err why, ignored;
	if (keystore_prune(s->keys, s->cfg->auth.keep_generations, &why) == 0)
		return;
	if (keystore_journal(
		s->keys, now_ms(s), "prune", &ignored, "failed: %s", why.text))
		return;
}

int
steps_promote(const struct steps *s, const struct keystore_ref *r, struct js **ret_status,
    bool *ret_unsure, struct err *e)
{
	/* without a running agent there is nobody to tell whether it works: no switch */
	auto_(js_free) struct js *st = NULL;
	struct keystore_ref was;
	if (steps_call_agent(s, "status", 0, &st, e) ||
	    keystore_active(s->keys, &was, e) ||
	    keystore_promote(s->keys, r, now_ms(s), e))
		return -1;
	if (steps_take_up(s, r, ret_status, e))
		return undo_promote(s, &was, ret_unsure, e);
	prune(s);
	return 0;
}
