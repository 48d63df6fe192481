/*
 * One renewal, with the outside played by the test on a clock of its own.
 */
#include "kit.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/anchors.h"
#include "agent/renew.h"
#include "io/file.h"

#define DAY  INT64_C(86400000)
#define HOUR INT64_C(3600000)

/* --- the outside --- */

struct world {
	char *top, *dir;
	struct arena *arena;
	struct agent_config cfg;
	struct clock clock; /* the device's own */
	struct clock_floor time;
	int64_t now_ms; /* the server's */
	/* what the outside does */
	struct err checkin, enrol, prove, take_up; /* code ERR_OK: it works */
	struct renew_checkin answer;
	bool lose; /* the certificate is made, its answer lost */
	bool pending;
	int64_t life_s;
	int new_ca_fails; /* try_anchors so many times */
	struct buf cacerts;
	/* what it saw */
	int checkins, enrols, proofs, take_ups, fetches;
	char custody[16], generation[8];
	size_t anchors;
	uint8_t key[32], asked_with[32]; /* SPKI of the request, of the credential */
	char taken_up[8];
	struct renew_outcome out;
};

static int
fails(const struct err *how, struct err *e)
{
	return how->code == ERR_OK ? 0 : err_copy(e, how);
}

static int
on_checkin(void *arg, const struct keystore_credential *c, const struct renew_report *r,
    struct renew_checkin *ret, struct err *e)
{
	struct world *w = arg;
	w->checkins++;
	w->anchors = r->n_anchors;
	snprintf(w->custody, sizeof(w->custody), "%s", r->custody);
	snprintf(w->generation, sizeof(w->generation), "%s", r->generation);
	if (fails(&w->checkin, e))
		return -1;
	*ret = w->answer;
	ret->now_ms = w->now_ms;
	ret->leaf_not_before_ms = w->now_ms - HOUR;
	ret->leaf_not_after_ms = w->now_ms + DAY;
	return 0;
}

static int
on_cacerts(void *arg, struct buf *ret, struct err *e)
{
	struct world *w = arg;
	w->fetches++;
	buf_put_span(ret, buf_span(&w->cacerts));
	return buf_check(ret, "cacerts", e);
}

static int
on_enrol(void *arg, const struct keystore_credential *c, struct key *key, struct buf *ret,
    struct renew_later *later, struct err *e)
{
	struct world *w = arg;
	w->enrols++;
	memcpy(w->key, key_fingerprint(key), 32);
	memcpy(w->asked_with, key_fingerprint(c->key), 32);
	if (w->pending) {
		*later = (struct renew_later){.retry_after_ms = 2 * DAY, .pending = true};
		return err_set(e, ERR_UNAVAILABLE, "waits for approval");
	}
	if (fails(&w->enrol, e))
		return -1;
	kit_sign(PROFILE_DEVICE, KIT_ID, NULL, key_spki(key), w->now_ms, w->life_s, ret);
	if (!w->lose)
		return 0;
	buf_reset(ret);
	return err_set(e, ERR_UNAVAILABLE, "the connection ended");
}

static int
on_prove(void *arg, const struct keystore_credential *c, struct keystore_assignment *ret,
    struct err *e)
{
	struct world *w = arg;
	w->proofs++;
	snprintf(ret->hub, sizeof(ret->hub), "hub.example");
	snprintf(ret->device_id, sizeof(ret->device_id), KIT_ID);
	return fails(&w->prove, e);
}

static int
on_take_up(void *arg, const struct keystore_ref *r, struct err *e)
{
	struct world *w = arg;
	w->take_ups++;
	snprintf(w->taken_up, sizeof(w->taken_up), "%s", r->generation);
	if (w->take_up.code == ERR_OK)
		return 0;
	err_copy(e, &w->take_up);
	w->take_up.code = ERR_OK; /* going back works */
	return -1;
}

static int
on_try_anchors(void *arg, struct span pem, struct err *e)
{
	struct world *w = arg;
	if (w->new_ca_fails-- > 0)
		return err_set(e, ERR_CRYPTO, "certificate verify failed");
	return 0;
}

static const struct renew_ops ops = {
    on_checkin, on_cacerts, on_enrol, on_prove, on_take_up, on_try_anchors};

/* --- the device --- */

static int64_t
world_now(const struct clock *c)
{
	return c->skew_ms;
}

static void
migrate(struct world *w)
{
	struct err e;
	auto_(keystore_close) struct keystore *k = NULL;
	auto_(key_free) struct key *key = NULL;
	auto_keystore_credential c = {0};
	auto_buf chain = BUF_INIT(CERT_PEM_MAX);
	struct keystore_ref r;
	struct keystore_assignment at = {.hub = "hub.example", .device_id = KIT_ID};
	assert_ok(keystore_open(w->dir, &k, &e), &e);
	assert_ok(keystore_lock(k, &e), &e);
	assert_ok(keystore_keygen(k, &kit_place, &r, &key, &e), &e);
	kit_sign(
	    PROFILE_DEVICE, KIT_ID, NULL, key_spki(key), w->now_ms, w->life_s, &chain);
	assert_ok(
	    keystore_install(k, &r, buf_span(&chain), KIT_ID, w->now_ms + 1000, &c, &e),
	    &e);
	assert_ok(keystore_set_proven(k, &r, &at, w->now_ms, &e), &e);
	assert_ok(keystore_promote(k, &r, w->now_ms, &e), &e);
}

static void
move_to(struct world *w, int64_t now_ms)
{
	w->now_ms = w->clock.skew_ms = now_ms;
}

static int
set_up(void **state)
{
	struct err e;
	kit_pki();
	struct world *w = own_alloc(sizeof(*w));
	w->top = kit_dir();
	w->dir = kit_device(w->top, "[est]\nhost = 127.0.0.1\n[renew]\ncheck = 6h\n");
	w->arena = arena_new(AGENT_CONFIG_ARENA_MAX);
	assert_ok(agent_config_read(w->dir, &w->cfg, w->arena, &e), &e);
	w->clock = (struct clock){world_now, world_now, 0};
	w->life_s = 90 * 86400;
	w->cacerts = BUF_INIT(CERT_PEM_MAX);
	clock_floor_init(&w->time, &w->clock, 0);
	move_to(w, kit_now_ms());
	migrate(w);
	*state = w;
	return 0;
}

static int
tear_down(void **state)
{
	struct world *w = *state;
	arena_free(w->arena);
	buf_done(&w->cacerts);
	free(w->dir);
	kit_dir_done(w->top);
	free(w);
	return 0;
}

static int
renew(struct world *w, bool told, struct err *e)
{
	struct renew_opts o = {.dir = w->dir,
	    .cfg = &w->cfg,
	    .time = &w->time,
	    .told = told,
	    .ops = &ops,
	    .arg = w};
	/* as in a process of its own: what was learned is what is on disk */
	clock_floor_init(&w->time, &w->clock, 0);
	return renew_run(&o, &w->out, e);
}

static const char *
active(struct world *w)
{
	static char name[KEYSTORE_NAME_SIZE];
	struct err e;
	struct keystore_ref r;
	auto_(keystore_close) struct keystore *k = NULL;
	auto_keystore_credential c = {0};
	assert_ok(keystore_open(w->dir, &k, &e), &e);
	assert_ok(keystore_active(k, &r, &e), &e);
	assert_ok(keystore_load(k, &r, &c, &e), &e); /* a pair that works */
	keystore_ref_name(&r, name);
	return name;
}

static struct renew_state
known(struct world *w)
{
	struct renew_state s;
	renew_state_get(w->dir, &s);
	return s;
}

/* --- in the ordinary --- */

static void
what_is_not_due_is_asked_for_and_left_alone(void **state)
{
	struct world *w = *state;
	struct err e;
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(w->out.result, RENEW_NOTHING);
	assert_int_equal(w->checkins, 1);
	assert_int_equal(w->enrols, 0);
	assert_string_equal(w->custody, "file");
	assert_string_equal(w->generation, "0001");
	assert_int_equal(w->anchors, 1);
	assert_int_equal(known(w).asked_ms, w->now_ms);
}

static void
what_is_due_is_renewed_with_a_new_key_and_proved_first(void **state)
{
	struct world *w = *state;
	struct err e;
	move_to(w, w->now_ms + 80 * DAY);
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(w->out.result, RENEW_DONE);
	assert_int_equal(w->out.why, RENEW_AGE);
	assert_string_equal(active(w), "x509 0002");
	assert_string_equal(w->taken_up, "0002");
	assert_int_equal(w->proofs, 1);
	assert_memory_not_equal(w->key, w->asked_with, 32);
	assert_int_equal(known(w).renewed_ms, w->now_ms);
	/* and not again */
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(w->out.result, RENEW_NOTHING);
	assert_int_equal(w->enrols, 1);
}

static void
the_servers_window_renews_early_and_ends_with_the_certificate(void **state)
{
	struct world *w = *state;
	struct err e;
	w->answer.renew_start_ms = w->now_ms - DAY;
	w->answer.renew_end_ms = w->now_ms - 1;
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(w->out.why, RENEW_ASKED);
	assert_string_equal(active(w), "x509 0002");
	assert_int_equal(known(w).window_end_ms, 0);
}

static void
thirty_lives_leave_no_gap_and_few_generations(void **state)
{
	struct world *w = *state;
	struct err e;
	char path[PATH_MAX];
	w->life_s = 3600;
	move_to(w, w->now_ms);
	assert_ok(renew(w, true, &e), &e); /* to the short life */
	for (int life = 0; life < 30; life++) {
		struct renew_facts f;
		auto_(keystore_close) struct keystore *k = NULL;
		auto_keystore_credential c = {0};
		struct renew_rules rules = renew_plan_rules(&w->cfg);
		struct renew_state st = known(w);
		struct renew_past past = renew_state_past(&st);
		assert_ok(keystore_open(w->dir, &k, &e), &e);
		assert_ok(keystore_load(k, &w->out.active, &c, &e), &e);
		renew_state_facts(&st, &c, &w->cfg, &f);
		int64_t wait = renew_plan_wait_ms(&f, &rules, &past, w->now_ms);
		move_to(w, w->now_ms + wait);
		assert_true(w->now_ms < c.not_after_ms);
		assert_ok(renew(w, false, &e), &e);
		assert_int_equal(w->out.result, RENEW_DONE);
	}
	assert_string_equal(active(w), "x509 0032");
	snprintf(path, sizeof(path), "%s/cred/0029", w->dir);
	assert_false(file_exists(path));
	snprintf(path, sizeof(path), "%s/cred/0030", w->dir);
	assert_true(file_exists(path));
}

static void
sas_and_a_device_without_est_have_nothing_to_renew(void **state)
{
	struct world *w = *state;
	struct err e;
	struct keystore_ref sas = {0};
	struct keystore *k;
	assert_ok(keystore_open(w->dir, &k, &e), &e);
	assert_ok(keystore_lock(k, &e), &e);
	assert_ok(keystore_revert_to(k, &sas, w->now_ms, &e), &e);
	keystore_close(k);
	assert_ok(renew(w, true, &e), &e);
	assert_int_equal(w->out.result, RENEW_NOTHING);
	assert_int_equal(w->checkins, 0);
}

/* --- what fails --- */

static void
no_answer_keeps_the_old_and_counts(void **state)
{
	struct world *w = *state;
	struct err e;
	err_set(&w->checkin, ERR_UNAVAILABLE, "connection refused");
	assert_fails(renew(w, false, &e), &e, UNAVAILABLE);
	assert_fails(renew(w, false, &e), &e, UNAVAILABLE);
	assert_int_equal(w->out.result, RENEW_FAILED);
	struct renew_state s = known(w);
	assert_int_equal(s.failures, 2);
	assert_false(s.refused);
	assert_non_null(strstr(s.error, "connection refused"));
	assert_string_equal(active(w), "x509 0001");
	w->checkin.code = ERR_OK;
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(known(w).failures, 0);
	assert_string_equal(known(w).error, "");
}

static void
a_server_without_check_in_is_renewed_at_by_own_rules(void **state)
{
	struct world *w = *state;
	struct err e;
	err_set(&w->checkin, ERR_NOT_FOUND, "404");
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(w->out.result, RENEW_NOTHING);
	move_to(w, w->now_ms + 80 * DAY);
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(w->out.result, RENEW_DONE);
}

static void
a_lost_answer_is_asked_for_again_with_the_same_key(void **state)
{
	struct world *w = *state;
	struct err e;
	uint8_t key[32];
	move_to(w, w->now_ms + 80 * DAY);
	w->lose = true;
	assert_fails(renew(w, false, &e), &e, UNAVAILABLE);
	memcpy(key, w->key, 32);
	assert_fails(renew(w, false, &e), &e, UNAVAILABLE);
	assert_memory_equal(key, w->key, 32);
	w->lose = false;
	assert_ok(renew(w, false, &e), &e);
	assert_memory_equal(key, w->key, 32);
	assert_string_equal(active(w), "x509 0002");
}

static void
an_approval_is_waited_for_as_told(void **state)
{
	struct world *w = *state;
	struct err e;
	uint8_t key[32];
	w->pending = true;
	assert_fails(renew(w, true, &e), &e, UNAVAILABLE);
	assert_int_equal(w->out.result, RENEW_PENDING);
	memcpy(key, w->key, 32);
	assert_int_equal(known(w).retry_after_ms, 2 * DAY);
	assert_fails(renew(w, true, &e), &e, UNAVAILABLE);
	assert_int_equal(known(w).failures, 1); /* no ever longer pauses */
	w->pending = false;
	assert_ok(renew(w, true, &e), &e);
	assert_memory_equal(key, w->key, 32); /* what was approved */
	assert_string_equal(active(w), "x509 0002");
}

static void
an_unproved_certificate_is_proved_later_without_asking_again(void **state)
{
	struct world *w = *state;
	struct err e;
	err_set(&w->prove, ERR_TIMEOUT, "hub");
	for (int i = 0; i < 5; i++)
		assert_fails(renew(w, true, &e), &e, TIMEOUT);
	assert_string_equal(active(w), "x509 0001");
	assert_int_equal(w->enrols, 1);
	w->prove.code = ERR_OK;
	assert_ok(renew(w, true, &e), &e);
	assert_int_equal(w->enrols, 1);
	assert_string_equal(active(w), "x509 0002");
}

static void
a_certificate_that_the_hub_refuses_is_given_up_and_the_old_lives(void **state)
{
	struct world *w = *state;
	struct err e;
	uint8_t first[32];
	err_set(&w->prove, ERR_DENIED, "CONNACK 5");
	for (int i = 0; i < 3; i++)
		assert_fails(renew(w, true, &e), &e, DENIED);
	assert_true(known(w).refused);
	memcpy(first, w->key, 32);
	assert_int_equal(w->enrols, 1);
	assert_fails(renew(w, true, &e), &e, DENIED);
	assert_int_equal(w->enrols, 2); /* a new key */
	assert_memory_not_equal(first, w->key, 32);
	assert_string_equal(active(w), "x509 0001");
}

static void
a_promotion_that_does_not_connect_goes_back(void **state)
{
	struct world *w = *state;
	struct err e;
	err_set(&w->take_up, ERR_TIMEOUT, "not connected in time");
	assert_fails(renew(w, true, &e), &e, TIMEOUT);
	assert_string_equal(active(w), "x509 0001");
	assert_string_equal(w->taken_up, "0001");
	/* its key was in use: the next has another */
	assert_ok(renew(w, true, &e), &e);
	assert_string_equal(active(w), "x509 0003");
}

static void
two_runs_at_once_are_one(void **state)
{
	struct world *w = *state;
	struct err e;
	auto_(keystore_close) struct keystore *k = NULL;
	assert_ok(keystore_open(w->dir, &k, &e), &e);
	assert_ok(keystore_lock(k, &e), &e);
	assert_fails(renew(w, true, &e), &e, BUSY);
	assert_int_equal(w->checkins, 0);
}

/* --- offline for months --- */

static void
an_expired_certificate_is_renewed_for_its_key_then_for_a_new_one(void **state)
{
	struct world *w = *state;
	struct err e;
	uint8_t old[32];
	move_to(w, w->now_ms + 200 * DAY);
	err_set(&w->checkin, ERR_FORBIDDEN, "expired"); /* simplereenroll decides */
	err_set(&w->enrol, ERR_FORBIDDEN, "past the grace");
	assert_fails(renew(w, false, &e), &e, FORBIDDEN);
	memcpy(old, w->asked_with, 32);
	assert_memory_equal(w->key, old, 32); /* the same key */
	assert_true(known(w).refused);
	assert_string_equal(active(w), "x509 0001");
	w->enrol.code = w->checkin.code = ERR_OK; /* allowed by an operator */
	w->enrols = 0;
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(w->out.why, RENEW_EXPIRED);
	assert_int_equal(w->enrols, 2);
	assert_memory_not_equal(w->key, old, 32);
	assert_memory_equal(w->asked_with, old, 32);
	assert_string_equal(active(w), "x509 0003");
}

/* the hub was away while the old certificate ended, and nobody grants grace */
static void
a_certificate_that_waits_for_its_proof_is_taken_where_the_old_one_ended(void **state)
{
	struct world *w = *state;
	struct err e;
	move_to(w, w->now_ms + 80 * DAY);
	err_set(&w->prove, ERR_TIMEOUT, "hub");
	assert_fails(renew(w, false, &e), &e, TIMEOUT);
	move_to(w, w->now_ms + 40 * DAY);
	w->prove.code = ERR_OK;
	err_set(&w->checkin, ERR_FORBIDDEN, "expired");
	err_set(&w->enrol, ERR_FORBIDDEN, "past the grace");
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(w->enrols, 1);
	assert_string_equal(active(w), "x509 0002");
}

static void
a_new_key_that_fails_after_it_is_due_at_the_next_look(void **state)
{
	struct world *w = *state;
	struct err e;
	move_to(w, w->now_ms + 200 * DAY);
	err_set(&w->enrol, ERR_UNAVAILABLE, "later");
	assert_fails(renew(w, false, &e), &e, UNAVAILABLE);
	w->enrol.code = ERR_OK;
	w->lose = false;
	assert_ok(renew(w, false, &e), &e);
	assert_string_equal(active(w), "x509 0003");
}

/* --- clocks --- */

static void
a_clock_at_1970_is_told_the_time_and_renews(void **state)
{
	struct world *w = *state;
	struct err e;
	w->now_ms += 80 * DAY;
	w->clock.skew_ms = 12345;
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(w->out.result, RENEW_DONE);
	assert_string_equal(active(w), "x509 0002");
	/* the next run, without an answer, knows at least that */
	clock_floor_init(&w->time, &w->clock, 0);
	clock_floor_load(&w->time, w->dir);
	assert_int_equal(w->time.floor_ms, w->now_ms);
}

/* a first certificate, an EST server that is not muster's */
static void
a_clock_at_1970_that_nobody_sets_takes_what_was_just_issued(void **state)
{
	struct world *w = *state;
	struct err e;
	w->now_ms += 80 * DAY;
	w->clock.skew_ms = 12345;
	err_set(&w->checkin, ERR_NOT_FOUND, "404");
	assert_ok(renew(w, true, &e), &e);
	assert_string_equal(active(w), "x509 0002");
}

static void
a_clock_50_minutes_slow_takes_a_fresh_certificate(void **state)
{
	struct world *w = *state;
	struct err e;
	w->clock.skew_ms = w->now_ms - 50 * 60000;
	assert_ok(renew(w, true, &e), &e);
	assert_string_equal(active(w), "x509 0002");
}

static void
clocks_far_off_throw_nothing_away(void **state)
{
	static const int64_t clocks[] = {
	    0, INT64_C(2147483648000), INT64_C(4291747200000)};
	struct world *w = *state;
	struct err e;
	err_set(&w->checkin, ERR_CRYPTO, "certificate has expired");
	err_set(&w->enrol, ERR_CRYPTO, "certificate has expired");
	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		w->clock.skew_ms = clocks[i];
		assert_int_equal(renew(w, false, &e), -1);
		assert_string_equal(active(w), "x509 0001");
	}
	w->checkin.code = w->enrol.code = ERR_OK;
	w->clock.skew_ms = w->now_ms;
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(w->out.result, RENEW_NOTHING); /* the clock came right */
	assert_string_equal(active(w), "x509 0001");
}

static void
a_clock_that_jumps_past_the_renewal_renews_at_the_next_look(void **state)
{
	struct world *w = *state;
	struct err e;
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(w->out.result, RENEW_NOTHING);
	w->clock.skew_ms -= DAY; /* back a day: nothing */
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(w->out.result, RENEW_NOTHING);
	move_to(w, w->now_ms + 61 * DAY + 20 * DAY);
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(w->out.result, RENEW_DONE);
}

/* --- trust anchors --- */

static size_t
n_anchors(struct world *w, const char *name)
{
	struct err e;
	char path[PATH_MAX];
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	auto_cert_list l = {.n = 0};
	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	if (!file_exists(path))
		return 0;
	assert_ok(file_read(path, &pem, &e), &e);
	assert_ok(cert_list_parse(buf_span(&pem), name, &l, &e), &e);
	return l.n;
}

static void
new_root(struct world *w)
{
	struct err e;
	auto_(key_free) struct key *key = key_generate(KEY_P256, &e);
	buf_reset(&w->cacerts);
	kit_foreign_root(key, &w->cacerts);
	buf_put_span(&w->cacerts, kit_intermediate_pem()); /* no root: no anchor */
}

static void
new_anchors_are_trusted_beside_the_old_until_servers_were_seen_under_them(void **state)
{
	struct world *w = *state;
	struct err e;
	new_root(w);
	snprintf(w->answer.ca_tag, sizeof(w->answer.ca_tag), "aa");
	w->new_ca_fails = 2;
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(n_anchors(w, "ca.pem"), 2);
	assert_int_equal(n_anchors(w, "ca.pem.1"), 1);
	assert_int_equal(n_anchors(w, "ca.new"), 1);
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(w->fetches, 1); /* the tag did not change again */
	assert_int_equal(w->anchors, 2);
	assert_int_equal(n_anchors(w, "ca.pem"), 2);
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(n_anchors(w, "ca.pem"), 1);
	assert_int_equal(n_anchors(w, "ca.pem.1"), 2);
	assert_int_equal(n_anchors(w, "ca.new"), 0);
	assert_true(known(w).anchors_fresh);
	assert_ok(renew(w, false, &e), &e);
	assert_false(known(w).anchors_fresh);
	assert_int_equal(n_anchors(w, "ca.pem"), 1);
}

static void
dropped_anchors_come_back_where_the_next_server_does_not_verify(void **state)
{
	struct world *w = *state;
	struct err e;
	new_root(w);
	snprintf(w->answer.ca_tag, sizeof(w->answer.ca_tag), "aa");
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(n_anchors(w, "ca.pem"), 1);
	err_set(&w->checkin, ERR_CRYPTO, "certificate verify failed");
	assert_fails(renew(w, false, &e), &e, CRYPTO);
	assert_int_equal(n_anchors(w, "ca.pem"), 2);
	assert_int_equal(n_anchors(w, "ca.new"), 1);
	/* but never once a server was seen: who holds an old CA's key must not get it
	 * back by making connections fail */
	w->checkin.code = ERR_OK;
	assert_ok(renew(w, false, &e), &e);
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(n_anchors(w, "ca.pem"), 1);
	w->checkin.code = ERR_CRYPTO;
	assert_fails(renew(w, false, &e), &e, CRYPTO);
	assert_int_equal(n_anchors(w, "ca.pem"), 1);
}

static void
a_set_without_a_root_and_a_shared_file_change_nothing(void **state)
{
	struct world *w = *state;
	struct err e;
	buf_put_span(&w->cacerts, kit_intermediate_pem());
	snprintf(w->answer.ca_tag, sizeof(w->answer.ca_tag), "aa");
	assert_fails(renew(w, false, &e), &e, CONFLICT);
	assert_int_equal(n_anchors(w, "ca.pem"), 1);
	/* nor do they keep a certificate from its renewal */
	int64_t now_ms = w->now_ms;
	move_to(w, now_ms + 80 * DAY);
	assert_ok(renew(w, false, &e), &e);
	assert_string_equal(active(w), "x509 0002");
	assert_int_equal(n_anchors(w, "ca.pem"), 1);
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/ca.pem", w->dir);
	w->cfg.dps.ca_file = path; /* somebody else's, for all we know */
	new_root(w);
	assert_ok(renew(w, false, &e), &e);
	assert_int_equal(n_anchors(w, "ca.pem"), 1);
	assert_int_equal(n_anchors(w, "ca.new"), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(what_is_not_due_is_asked_for_and_left_alone),
	    T(what_is_due_is_renewed_with_a_new_key_and_proved_first),
	    T(the_servers_window_renews_early_and_ends_with_the_certificate),
	    T(thirty_lives_leave_no_gap_and_few_generations),
	    T(sas_and_a_device_without_est_have_nothing_to_renew),
	    T(no_answer_keeps_the_old_and_counts),
	    T(a_server_without_check_in_is_renewed_at_by_own_rules),
	    T(a_lost_answer_is_asked_for_again_with_the_same_key),
	    T(an_approval_is_waited_for_as_told),
	    T(an_unproved_certificate_is_proved_later_without_asking_again),
	    T(a_certificate_that_the_hub_refuses_is_given_up_and_the_old_lives),
	    T(a_promotion_that_does_not_connect_goes_back),
	    T(two_runs_at_once_are_one),
	    T(an_expired_certificate_is_renewed_for_its_key_then_for_a_new_one),
	    T(a_certificate_that_waits_for_its_proof_is_taken_where_the_old_one_ended),
	    T(a_new_key_that_fails_after_it_is_due_at_the_next_look),
	    T(a_clock_at_1970_is_told_the_time_and_renews),
	    T(a_clock_at_1970_that_nobody_sets_takes_what_was_just_issued),
	    T(a_clock_50_minutes_slow_takes_a_fresh_certificate),
	    T(clocks_far_off_throw_nothing_away),
	    T(a_clock_that_jumps_past_the_renewal_renews_at_the_next_look),
	    T(new_anchors_are_trusted_beside_the_old_until_servers_were_seen_under_them),
	    T(dropped_anchors_come_back_where_the_next_server_does_not_verify),
	    T(a_set_without_a_root_and_a_shared_file_change_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
