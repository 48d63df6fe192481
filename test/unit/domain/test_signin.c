/*
 * Operators: roles, secrets, and tokens over time.
 */
#include "world.h"

#include <stdio.h>

#include "codec/jwt.h"
#include "domain/access/policy.h"
#include "domain/access/principal.h"
#include "domain/access/signin.h"
#include "domain/access/signin_guard.h"

#define HUB  "https://iothubs.azure.net"
#define DPS  "https://azure-devices-provisioning.net/"
#define ARM  "https://127.0.0.1/"
#define PEER "203.0.113.7:4711"

static struct signin_guard guard;

static int
setup(void **state)
{
	if (world_setup(state))
		return -1;
	struct world *w = *state;
	signin_guard_init(&guard);
	w->d.signins = &guard;
	return 0;
}

static int
teardown(void **state)
{
	signin_guard_done(&guard);
	return world_teardown(state);
}

static const char *
add(struct world *w, const char *name, const char *role, int64_t life_ms,
    struct store_principal *ret)
{
	const char *secret;
	const struct ipc_operator_put m = {.name = span_str(name),
	    .role = span_str(role),
	    .fresh = 1,
	    .secret = 1,
	    .life_ms = life_ms};
	assert_ok(principal_put(&w->d, &m, ret, &secret, &w->e), &w->e);
	return secret;
}

static const char *
sign_in_from(struct world *w, const char *peer, const char *app_id, const char *secret,
    const char *resource)
{
	uint8_t sha[DIGEST_SHA256];
	const char *token = "";
	digest_sha256(span_str(secret), sha);
	const struct ipc_signin m = {.peer = {.address = span_str(peer)},
	    .app_id = span_str(app_id),
	    .secret_sha256 = span_of(sha, sizeof(sha)),
	    .resource = span_str(resource),
	    .issuer = SPAN_LIT("https://h/adfs")};
	assert_ok(signin_check(&w->d, &m, &token, &w->no, &w->e), &w->e);
	return token;
}

static const char *
sign_in(struct world *w, const char *app_id, const char *secret, const char *resource)
{
	return sign_in_from(w, PEER, app_id, secret, resource);
}

static enum refusal_code
may(struct world *w, const char *token, uint32_t right)
{
	struct jwt t;
	assert_ok(jwt_parse(span_str(token), &t, &w->e), &w->e);
	const struct ipc_cred c = {.kind = CRED_BEARER,
	    .jwt_input = t.input,
	    .jwt_kid = span_str(t.kid),
	    .jwt_sig = span_of(t.sig, JWT_SIG)};
	assert_ok(policy_authorize(&w->d, &c, right, &w->no, &w->e), &w->e);
	return w->no.code;
}

static void
a_role_gives_its_rights_on_the_plane_the_token_is_for(void **state)
{
	struct world *w = *state;
	struct store_principal p;
	const char *secret = add(w, "reg", "registry", 0, &p);
	const char *hub = sign_in(w, p.app_id, secret, HUB);
	const char *dps = sign_in(w, p.app_id, secret, DPS);
	const char *arm = sign_in(w, p.app_id, secret, ARM);
	assert_int_equal(may(w, hub, RIGHT_REGISTRY_WRITE), REFUSAL_NONE);
	assert_int_equal(may(w, hub, RIGHT_ENROLLMENT_WRITE), REFUSAL_BEARER);
	assert_int_equal(may(w, dps, RIGHT_ENROLLMENT_WRITE), REFUSAL_NONE);
	assert_int_equal(may(w, dps, RIGHT_REGISTRY_READ), REFUSAL_BEARER);
	assert_int_equal(may(w, arm, RIGHT_OBSERVE), REFUSAL_NONE);
	assert_int_equal(may(w, arm, RIGHT_MANAGE), REFUSAL_RIGHT);
	assert_int_equal(may(w, hub, RIGHT_MANAGE), REFUSAL_BEARER);
}

static void
every_role_is_known_and_has_what_it_says(void **state)
{
	struct world *w = *state;
	(void)w;
	assert_int_equal(principal_rights("owner"), UINT32_MAX);
	assert_int_equal(principal_rights("none"), 0);
	assert_int_equal(principal_rights("god"), 0);
	assert_int_equal(
	    principal_rights("reader") &
		(RIGHT_REGISTRY_WRITE | RIGHT_SERVICE_CONNECT | RIGHT_ENROLLMENT_WRITE |
		    RIGHT_REGISTRATION_WRITE | RIGHT_SERVICE_CONFIG |
		    RIGHT_DEVICE_CONNECT | RIGHT_MANAGE | RIGHT_ENROLL | RIGHT_SECRETS),
	    0);
	assert_int_equal(principal_rights("registry") & (RIGHT_MANAGE | RIGHT_ENROLL), 0);
}

static void
tokens_end_and_so_do_secrets(void **state)
{
	struct world *w = *state;
	struct store_principal p;
	const char *secret = add(w, "op", "reader", 2 * SIGNIN_LIFE_S * 1000, &p);
	const char *token = sign_in(w, p.app_id, secret, HUB);
	w->clock.skew_ms += SIGNIN_LIFE_S * 1000 - 1;
	assert_int_equal(may(w, token, RIGHT_REGISTRY_READ), REFUSAL_NONE);
	w->clock.skew_ms += 1;
	assert_int_equal(may(w, token, RIGHT_REGISTRY_READ), REFUSAL_BEARER);
	assert_string_not_equal(sign_in(w, p.app_id, secret, HUB), "");
	w->clock.skew_ms += SIGNIN_LIFE_S * 1000;
	assert_string_equal(sign_in(w, p.app_id, secret, HUB), "");
	assert_int_equal(w->no.code, REFUSAL_SIGNIN);
}

static void
a_token_ends_with_its_secret(void **state)
{
	struct world *w = *state;
	struct store_principal p;
	const char *secret = add(w, "op", "reader", 60000, &p);
	const char *token = sign_in(w, p.app_id, secret, HUB);
	w->clock.skew_ms += 59999;
	assert_int_equal(may(w, token, RIGHT_REGISTRY_READ), REFUSAL_NONE);
	w->clock.skew_ms += 1;
	assert_int_equal(may(w, token, RIGHT_REGISTRY_READ), REFUSAL_BEARER);
}

static void
a_rotated_secret_takes_its_tokens_with_it(void **state)
{
	struct world *w = *state;
	struct store_principal p;
	const char *second, *first = add(w, "op", "reader", 0, &p);
	const char *token = sign_in(w, p.app_id, first, HUB);
	const struct ipc_operator_put m = {.name = SPAN_LIT("op"), .secret = 1};
	assert_ok(principal_put(&w->d, &m, &p, &second, &w->e), &w->e);
	assert_int_equal(may(w, token, RIGHT_REGISTRY_READ), REFUSAL_BEARER);
	assert_string_equal(sign_in(w, p.app_id, first, HUB), "");
	token = sign_in(w, p.app_id, second, HUB);
	assert_int_equal(may(w, token, RIGHT_REGISTRY_READ), REFUSAL_NONE);
	assert_ok(principal_delete(&w->d, SPAN_LIT("op"), &w->e), &w->e);
	assert_int_equal(may(w, token, RIGHT_REGISTRY_READ), REFUSAL_BEARER);
}

static void
keys_rotate_and_old_tokens_stay_good(void **state)
{
	struct world *w = *state;
	struct store_principal p;
	struct store_token_key first, second;
	const char *secret = add(w, "op", "reader", 0, &p);
	(void)sign_in(w, p.app_id, secret, HUB);
	assert_ok(store_token_key_newest(w->d.store, w->arena, &first, &w->e), &w->e);
	w->clock.skew_ms += SIGNIN_KEY_LIFE_MS - 1000;
	const char *old = sign_in(w, p.app_id, secret, HUB);
	w->clock.skew_ms += 1000;
	const char *young = sign_in(w, p.app_id, secret, HUB);
	assert_ok(store_token_key_newest(w->d.store, w->arena, &second, &w->e), &w->e);
	assert_string_not_equal(first.kid, second.kid);
	assert_int_equal(may(w, old, RIGHT_REGISTRY_READ), REFUSAL_NONE);
	assert_int_equal(may(w, young, RIGHT_REGISTRY_READ), REFUSAL_NONE);
	w->clock.skew_ms += SIGNIN_KEY_LIFE_MS;
	(void)sign_in(w, p.app_id, secret, HUB);
	assert_fails(store_token_key_get(w->d.store, first.kid, w->arena, &first, &w->e),
	    &w->e, NOT_FOUND);
}

static void
wrong_from(struct world *w, const char *peer, const char *app_id, int n)
{
	for (int i = 0; i < n; i++)
		assert_string_equal(sign_in_from(w, peer, app_id, "wrong", HUB), "");
}

static void
gets_in(struct world *w, const char *peer, const char *app_id, const char *secret)
{
	assert_string_not_equal(sign_in_from(w, peer, app_id, secret, HUB), "");
}

static void
is_shut_out(struct world *w, const char *peer, const char *app_id, const char *secret)
{
	assert_string_equal(sign_in_from(w, peer, app_id, secret, HUB), "");
	assert_int_equal(w->no.code, REFUSAL_THROTTLED);
}

static void
wrong_secrets_use_up_what_a_source_may(void **state)
{
	struct world *w = *state;
	struct store_principal p;
	const char *secret = add(w, "op", "reader", 0, &p);
	wrong_from(w, PEER, p.app_id, SIGNIN_GUARD_SOURCE);
	assert_int_equal(w->no.code, REFUSAL_SIGNIN);
	is_shut_out(w, PEER, p.app_id, secret);
	gets_in(w, "203.0.113.8:4711", p.app_id, secret);
	w->clock.skew_ms += 60000;
	gets_in(w, PEER, p.app_id, secret);
	/* known from now on: by a budget of its own, which ends too */
	wrong_from(w, PEER, p.app_id, SIGNIN_GUARD_SOURCE);
	is_shut_out(w, PEER, p.app_id, secret);
}

static void
addresses_of_one_ipv6_network_are_one_source(void **state)
{
	struct world *w = *state;
	struct store_principal p;
	const char *secret = add(w, "op", "reader", 0, &p);
	for (int i = 0; i < SIGNIN_GUARD_SOURCE; i++) {
		char peer[64];
		snprintf(peer, sizeof(peer), "[2001:db8::%x:1]:4711", i);
		wrong_from(w, peer, p.app_id, 1);
	}
	is_shut_out(w, "[2001:db8::ffff]:1", p.app_id, secret);
	gets_in(w, "[2001:db8:0:1::1]:1", p.app_id, secret);
}

static void
sources_that_guess_lock_nobody_out_who_does_not(void **state)
{
	struct world *w = *state;
	struct store_principal p;
	const char *secret = add(w, "op", "reader", 0, &p);
	int64_t now = clock_mono_ms(&w->clock);
	gets_in(w, PEER, p.app_id, secret);
	for (int i = 0; i < 2 * SIGNIN_GUARD_MOST; i++) {
		char peer[64];
		snprintf(
		    peer, sizeof(peer), "10.%d.%d.%d:1", i >> 16, i >> 8 & 255, i & 255);
		signin_guard_wrong(&guard, span_str(peer), span_str(p.app_id), now);
	}
	gets_in(w, PEER, p.app_id, secret);
	gets_in(w, "192.0.2.1:1", p.app_id, secret);
	/* strangers who were wrong share what is left for the application: nothing */
	wrong_from(w, "192.0.2.2:1", p.app_id, 1);
	is_shut_out(w, "192.0.2.2:1", p.app_id, secret);
	w->clock.skew_ms += TRIES_LATE_MS;
	gets_in(w, "192.0.2.2:1", p.app_id, secret);
}

static void
resources_that_are_not_ours_get_no_token(void **state)
{
	static const char *const bad[] = {"https://example.com", "127.0.0.1",
	    "http://127.0.0.1/", "https://127.0.0.1.example.com/",
	    "https://graph.azure.com"};
	struct world *w = *state;
	struct store_principal p;
	const char *secret = add(w, "op", "owner", 0, &p);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_string_equal(sign_in(w, p.app_id, secret, bad[i]), "");
		assert_int_equal(w->no.code, REFUSAL_AUDIENCE);
	}
	const char *token = sign_in(w, p.app_id, secret, "https://127.0.0.1:8443//");
	assert_int_equal(may(w, token, RIGHT_MANAGE), REFUSAL_NONE);
}

static void
the_last_owner_cannot_be_removed(void **state)
{
	struct world *w = *state;
	struct store_principal p;
	const char *none;
	(void)add(w, "a", "owner", 0, &p);
	(void)add(w, "b", "reader", 0, &p);
	assert_fails(principal_delete(&w->d, SPAN_LIT("a"), &w->e), &w->e, GATE);
	const struct ipc_operator_put down = {
	    .name = SPAN_LIT("a"), .role = SPAN_LIT("reader")};
	assert_fails(principal_put(&w->d, &down, &p, &none, &w->e), &w->e, GATE);
	const struct ipc_operator_put up = {
	    .name = SPAN_LIT("b"), .role = SPAN_LIT("owner")};
	assert_ok(principal_put(&w->d, &up, &p, &none, &w->e), &w->e);
	assert_string_equal(none, "");
	assert_ok(principal_delete(&w->d, SPAN_LIT("a"), &w->e), &w->e);
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_WORLD(a_role_gives_its_rights_on_the_plane_the_token_is_for),
	    IN_WORLD(every_role_is_known_and_has_what_it_says),
	    IN_WORLD(tokens_end_and_so_do_secrets),
	    IN_WORLD(a_token_ends_with_its_secret),
	    IN_WORLD(a_rotated_secret_takes_its_tokens_with_it),
	    IN_WORLD(keys_rotate_and_old_tokens_stay_good),
	    IN_WORLD(wrong_secrets_use_up_what_a_source_may),
	    IN_WORLD(addresses_of_one_ipv6_network_are_one_source),
	    IN_WORLD(sources_that_guess_lock_nobody_out_who_does_not),
	    IN_WORLD(resources_that_are_not_ours_get_no_token),
	    IN_WORLD(the_last_owner_cannot_be_removed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
