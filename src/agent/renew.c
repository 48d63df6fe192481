/*
 * A renewal, step by step. What a step leaves in the device directory is where the next
 * run goes on; this process may die anywhere.
 */
#include "agent/renew.h"

#include <stdio.h>

#include "agent/anchors.h"
#include "agent/backoff.h"

#define PROOFS_MAX 3 /* refused so often, a staged generation is given up */

struct run {
	const struct renew_opts *o;
	struct keystore *keys;
	struct keystore_credential c; /* the active one */
	struct renew_state st;
	bool asked; /* the check-in was answered */
	struct renew_checkin answer;
	struct renew_later later;
	struct renew_outcome out;
};

static int64_t
now_ms(const struct run *r)
{
	return clock_wall_ms(&r->o->time->clock);
}

/* --- the check-in --- */

static int
take_answer(struct run *r, const struct renew_checkin *got, struct err *e)
{
	if (got->now_ms && clock_floor_learn(r->o->time, got->now_ms,
			       got->leaf_not_before_ms, got->leaf_not_after_ms, e))
		return -1;
	r->asked = true;
	r->answer = *got;
	r->st.asked_ms = now_ms(r);
	r->st.window_start_ms = got->renew_start_ms;
	r->st.window_end_ms = got->renew_end_ms;
	r->st.poll_ms = got->poll_ms;
	r->st.anchors_fresh = false; /* a server was seen under them */
	return clock_floor_keep(r->o->time, r->o->dir, e);
}

static int
check_in(struct run *r, struct err *e)
{
	struct renew_checkin got;
	struct renew_report report = {.custody = key_custody_name(key_custody(r->c.key)),
	    .generation = r->c.ref.generation,
	    .clock_ms = clock_wall_ms(r->o->time->base)};
	if (anchors_report(r->o->dir, r->o->cfg, &report, e) ||
	    r->o->ops->checkin(r->o->arg, &r->c, &report, &got, e))
		return err_wrap(e, "check-in");
	return take_answer(r, &got, e);
}

static enum renew_why
judge(const struct run *r)
{
	struct renew_rules rules = renew_plan_rules(r->o->cfg);
	struct renew_facts f;
	renew_state_facts(&r->st, &r->c, r->o->cfg, &f);
	f.told = r->o->told;
	return renew_plan_judge(&f, &rules, now_ms(r));
}

/* A check-in that fails is no reason not to renew what is due: an EST server that is not
 * muster's has none, and one that wants no expired certificate there may take it at
 * simplereenroll. */
static int
ask(struct run *r, struct err *e)
{
	struct err why;
	if (check_in(r, &why) == 0)
		return 0;
	if (why.code == ERR_NOT_FOUND || judge(r) != RENEW_NOT_DUE)
		return 0;
	return err_copy(e, &why);
}

/* --- trust anchors --- */

static int
fetch_anchors(struct run *r, struct err *e)
{
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	if (r->o->ops->cacerts(r->o->arg, &pem, e) ||
	    anchors_stage(r->o->dir, r->o->cfg, buf_span(&pem), e))
		return -1;
	memcpy(r->st.ca_tag, r->answer.ca_tag, sizeof(r->st.ca_tag));
	return keystore_journal(
	    r->keys, now_ms(r), "anchors", e, "staged tag=%s", r->st.ca_tag);
}

/* The old anchors go only where every server was seen without them. */
static int
drop_old_anchors(struct run *r, struct err *e)
{
	struct err ignored;
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	if (anchors_staged(r->o->dir, &pem, &ignored) ||
	    r->o->ops->try_anchors(r->o->arg, buf_span(&pem), &ignored))
		return 0;
	r->st.anchors_fresh = true;
	/* noted first: a cut behind it undoes nothing that was not done */
	if (renew_state_put(r->o->dir, &r->st, e) ||
	    anchors_settle(r->o->dir, r->o->cfg, e))
		return -1;
	return keystore_journal(
	    r->keys, now_ms(r), "anchors", e, "settled tag=%s", r->st.ca_tag);
}

static int
roll_anchors(struct run *r, struct err *e)
{
	if (!r->asked || !r->o->ops->try_anchors || !anchors_are_ours(r->o->cfg))
		return 0;
	if (r->answer.ca_tag[0] && strcmp(r->answer.ca_tag, r->st.ca_tag) != 0 &&
	    fetch_anchors(r, e))
		return err_wrap(e, "trust anchors");
	return drop_old_anchors(r, e);
}

/* A server that does not verify right after old anchors were dropped. */
static void
undo_anchors(struct run *r, const struct err *why)
{
	struct err ignored;
	if (why->code != ERR_CRYPTO || !r->st.anchors_fresh)
		return;
	if (anchors_undo(r->o->dir, r->o->cfg, &ignored) == 0)
		r->st.anchors_fresh = false;
	if (keystore_journal(
		r->keys, now_ms(r), "anchors", &ignored, "undone: %s", why->text))
		return;
}

/* --- the certificate --- */

/* Whether the staged generation holds a certificate that can still be used. */
static bool
has_staged_cert(struct run *r, const struct keystore_ref *ref)
{
	struct err ignored;
	auto_keystore_credential c = {0};
	return keystore_load(r->keys, ref, &c, &ignored) == 0 &&
	       c.not_after_ms > now_ms(r);
}

static int
stage_key(struct run *r, enum renew_why why, struct keystore_ref *ret_ref,
    struct key **ret_key, struct err *e)
{
	/* an expired certificate is renewed for its own key alone: the server's rule */
	if (why == RENEW_EXPIRED)
		return keystore_key_again(r->keys, &r->c.ref, ret_ref, ret_key, e);
	const struct keystore_place p = {.alg = (enum key_alg)r->o->cfg->auth.key,
	    .uri = r->o->cfg->auth.key_uri,
	    .device_id = r->o->cfg->device.id};
	return keystore_keygen(r->keys, &p, ret_ref, ret_key, e);
}

/* Judged by the server's time where it is later: a device that is slow within reason
 * takes a fresh certificate. Where nobody has told the time (a first certificate, an EST
 * server without check-in), it is no earlier than what a server that was verified has
 * just issued begins. */
static int
judged_ms(const struct run *r, struct span chain, int64_t *ret, struct err *e)
{
	auto_cert_list l = {.n = 0};
	int64_t at = now_ms(r);
	if (cert_list_parse(chain, "certificate", &l, e))
		return -1;
	if (r->asked && r->answer.now_ms > at)
		at = r->answer.now_ms;
	if (!clock_floor_is_known(r->o->time) && l.v[0]->not_before_ms > at)
		at = l.v[0]->not_before_ms;
	*ret = at;
	return 0;
}

/* A certificate that was had before the active one ended, and waits for its proof: with
 * it nobody's grace is needed. */
static bool
find_staged_cert(struct run *r, struct keystore_ref *ret)
{
	struct err ignored;
	struct keystore_ref ref;
	enum keystore_stage stage;
	if (keystore_staged(r->keys, &ref, &stage, &ignored) || !has_staged_cert(r, &ref))
		return false;
	*ret = ref;
	return true;
}

static int
obtain(struct run *r, enum renew_why why, struct keystore_ref *ret, struct err *e)
{
	auto_(key_free) struct key *key = NULL;
	auto_buf chain = BUF_INIT(CERT_PEM_MAX);
	auto_keystore_credential c = {0};
	struct keystore_ref ref;
	int64_t at_ms;
	if (why == RENEW_EXPIRED && find_staged_cert(r, ret))
		return 0;
	if (stage_key(r, why, &ref, &key, e))
		return -1;
	if (has_staged_cert(r, &ref)) {
		*ret = ref;
		return 0;
	}
	r->st.proof_refusals = 0;
	if (r->o->ops->enrol(r->o->arg, &r->c, key, &chain, &r->later, e) ||
	    judged_ms(r, buf_span(&chain), &at_ms, e) ||
	    keystore_install(
		r->keys, &ref, buf_span(&chain), r->o->cfg->device.id, at_ms, &c, e))
		return err_wrap(e, "certificate");
	clock_floor_raise(r->o->time, c.not_before_ms);
	*ret = ref;
	return 0;
}

/* --- proof and promotion --- */

static int
prove(struct run *r, const struct keystore_ref *ref, struct err *e)
{
	struct err ignored;
	enum keystore_stage stage;
	struct keystore_ref same;
	struct keystore_assignment at;
	auto_keystore_credential c = {0};
	if (keystore_stage(r->keys, span_str(ref->generation), &same, &stage, e))
		return -1;
	if (stage == KEYSTORE_PROVEN)
		return 0;
	if (keystore_load(r->keys, ref, &c, e))
		return -1;
	if (r->o->ops->prove(r->o->arg, &c, &at, e) == 0)
		return keystore_set_proven(r->keys, ref, &at, now_ms(r), e);
	r->st.proof_refusals += backoff_is_refusal(e->code);
	/* a certificate that its own service refuses will not get better */
	if (r->st.proof_refusals >= PROOFS_MAX &&
	    keystore_abandon(r->keys, ref, now_ms(r), &ignored) == 0)
		r->st.proof_refusals = 0;
	return err_wrap(e, "proof");
}

static int
promote(struct run *r, const struct keystore_ref *ref, struct err *e)
{
	struct err undo;
	const struct keystore_ref was = r->c.ref;
	if (keystore_promote(r->keys, ref, now_ms(r), e))
		return -1;
	if (r->o->ops->take_up(r->o->arg, ref, e) == 0)
		return 0;
	if (keystore_revert_to(r->keys, &was, now_ms(r), &undo))
		return err_wrap(e, "promoted, and going back failed (%s)", undo.text);
	if (r->o->ops->take_up(r->o->arg, &was, &undo))
		return err_wrap(e, "went back, but is not connected yet (%s)", undo.text);
	return err_wrap(e, "went back to %s", was.x509 ? was.generation : "sas");
}

/* What does not work here makes no failure of a renewal: journalled. */
static void
tidy(struct run *r, enum renew_why why)
{
	struct err prune, beside, ignored;
	if (keystore_cert_beside(r->keys, &r->c, &beside) &&
	    keystore_journal(r->keys, now_ms(r), "certificate beside the key", &ignored,
		"failed: %s", beside.text))
		return;
	if (keystore_prune(r->keys, r->o->cfg->auth.keep_generations, &prune) &&
	    keystore_journal(
		r->keys, now_ms(r), "prune", &ignored, "failed: %s", prune.text))
		return;
	if (keystore_journal(r->keys, now_ms(r), "renew", &ignored,
		"generation=%s thumbprint=%s why=\"%s\"", r->c.ref.generation,
		r->c.thumbprint, renew_plan_why(why)))
		return;
}

static int
reload(struct run *r, const struct keystore_ref *ref, struct err *e)
{
	auto_keystore_credential c = {0};
	if (keystore_load(r->keys, ref, &c, e))
		return -1;
	keystore_credential_done(&r->c);
	r->c = c;
	c = (struct keystore_credential){0};
	return 0;
}

static int
renew_once(struct run *r, enum renew_why why, struct err *e)
{
	struct keystore_ref ref;
	if (obtain(r, why, &ref, e) || prove(r, &ref, e) || promote(r, &ref, e) ||
	    reload(r, &ref, e))
		return -1;
	/* the window was for the certificate that is gone */
	r->st.window_start_ms = r->st.window_end_ms = 0;
	r->st.renewed_ms = now_ms(r);
	r->out.result = RENEW_DONE;
	tidy(r, why);
	return 0;
}

/* --- one run --- */

static int
attempt(struct run *r, struct err *e)
{
	if (r->o->first)
		return renew_once(r, RENEW_TOLD, e);
	struct err anchors;
	if (ask(r, e))
		return -1;
	/* a server whose CA certificates are of no use still renews: what it sent is
	 * asked for again at the next look */
	int unrolled = roll_anchors(r, &anchors);
	r->out.why = judge(r);
	if (r->out.why == RENEW_NOT_DUE)
		return unrolled ? err_copy(e, &anchors) : 0;
	if (renew_once(r, r->out.why, e))
		return -1;
	/* its key has outlived one certificate already: a new one at once */
	return r->c.reused ? renew_once(r, RENEW_REUSED, e) : 0;
}

static int
note_outcome(struct run *r, const struct err *why, struct err *e)
{
	r->st.tried_ms = now_ms(r);
	r->st.retry_after_ms = r->later.retry_after_ms;
	/* who waits for an approval asks as often as the server says, not ever more
	 * seldom
	 */
	r->st.failures = !why ? 0 : r->later.pending ? 1 : r->st.failures + 1;
	r->st.refused = why && backoff_is_refusal(why->code);
	snprintf(r->st.error, sizeof(r->st.error), "%.*s", RENEW_TEXT - 1,
	    why ? why->text : "");
	return renew_state_put(r->o->dir, &r->st, e);
}

static int
run_locked(struct run *r, struct err *e)
{
	struct err why, unkept;
	renew_state_get(r->o->dir, &r->st);
	clock_floor_load(r->o->time, r->o->dir);
	clock_floor_raise(r->o->time, r->c.not_before_ms);
	if (attempt(r, &why) == 0)
		return note_outcome(r, NULL, e);
	undo_anchors(r, &why);
	r->out.result = r->later.pending ? RENEW_PENDING : RENEW_FAILED;
	if (note_outcome(r, &why, &unkept))
		err_wrap(&why, "%s", unkept.text);
	return err_copy(e, &why);
}

/* A device that never had a credential has none to load. */
static int
load_active(
    struct run *r, struct keystore *k, const struct keystore_ref *ref, struct err *e)
{
	struct err why;
	r->c.ref = *ref;
	if (keystore_load(k, ref, &r->c, &why) == 0)
		return 0;
	return r->o->first && why.code == ERR_NOT_FOUND ? 0 : err_copy(e, &why);
}

int
renew_run(const struct renew_opts *o, struct renew_outcome *ret, struct err *e)
{
	struct keystore_ref ref;
	auto_(keystore_close) struct keystore *keys = NULL;
	struct run r = {.o = o};
	ret->result = RENEW_FAILED;
	if (o->first && !o->cfg->est.host[0])
		return err_set(
		    e, ERR_USAGE, "est.host in agent.conf: no EST server to ask");
	if (keystore_open(o->dir, &keys, e) || keystore_lock_wait(keys, o->wait_ms, e) ||
	    keystore_active(keys, &ref, e) || load_active(&r, keys, &ref, e))
		return -1;
	r.keys = keys;
	bool has_work = (ref.x509 || o->first) && o->cfg->est.host[0];
	int failed = has_work ? run_locked(&r, e) : 0;
	r.out.active = r.c.ref;
	*ret = r.out;
	keystore_credential_done(&r.c);
	return failed;
}
