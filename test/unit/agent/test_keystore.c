/*
 * The device directory, through its header.
 */
#include "kit.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/file.h"

struct device {
	char *top, *dir;
	struct keystore *keys;
};

static int
set_up(void **state)
{
	struct err e;
	kit_pki();
	struct device *d = own_alloc(sizeof(*d));
	d->top = kit_dir();
	d->dir = kit_device(d->top, "");
	assert_ok(keystore_open(d->dir, &d->keys, &e), &e);
	assert_ok(keystore_lock(d->keys, &e), &e);
	*state = d;
	return 0;
}

static int
tear_down(void **state)
{
	struct device *d = *state;
	keystore_close(d->keys);
	free(d->dir);
	kit_dir_done(d->top);
	free(d);
	return 0;
}

/* A generation with an installed certificate. */
static struct keystore_ref
installed(struct device *d)
{
	struct err e;
	struct keystore_ref r;
	auto_(key_free) struct key *key = NULL;
	auto_buf chain = BUF_INIT(CERT_PEM_MAX);
	auto_keystore_credential c = {0};
	assert_ok(keystore_keygen(d->keys, &kit_place, &r, &key, &e), &e);
	kit_leaf(KIT_ID, key, &chain);
	assert_ok(
	    keystore_install(d->keys, &r, buf_span(&chain), KIT_ID, kit_now_ms(), &c, &e),
	    &e);
	return r;
}

static struct keystore_ref
promoted(struct device *d)
{
	struct err e;
	struct keystore_ref r = installed(d);
	assert_ok(keystore_promote(d->keys, &r, kit_now_ms(), &e), &e);
	return r;
}

static const char *
active(struct device *d)
{
	static char name[KEYSTORE_NAME_SIZE];
	struct err e;
	struct keystore_ref r;
	assert_ok(keystore_active(d->keys, &r, &e), &e);
	keystore_ref_name(&r, name);
	return name;
}

static void
a_new_device_authenticates_by_sas(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r;
	auto_keystore_credential c = {0};
	assert_ok(keystore_active(d->keys, &r, &e), &e);
	assert_false(r.x509);
	assert_ok(keystore_load(d->keys, &r, &c, &e), &e);
	assert_int_equal(c.sas_key.len, 32);
	assert_fails(keystore_previous(d->keys, &r, &e), &e, NOT_FOUND);
}

static void
create_refuses_a_directory_where_a_device_lives(void **state)
{
	struct device *d = *state;
	struct err e;
	assert_fails(
	    keystore_create(d->dir, SPAN_LIT("x"), SPAN_LIT(KIT_KEY), &e), &e, EXISTS);
}

static void
create_refuses_a_key_that_is_none_without_quoting_it(void **state)
{
	struct device *d = *state;
	struct err e;
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/other", d->top);
	assert_fails(keystore_create(path, SPAN_LIT("x"), SPAN_LIT("bm90IGEga2V5"), &e),
	    &e, PARSE);
	assert_null(strstr(e.text, "bm90"));
}

static void
open_refuses_a_directory_that_others_reach(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore *k;
	assert_int_equal(chmod(d->dir, 0750), 0);
	assert_fails(keystore_open(d->dir, &k, &e), &e, PERM);
	assert_non_null(strstr(e.text, "chmod 700"));
	assert_int_equal(chmod(d->dir, 0700), 0);
}

static void
load_refuses_a_key_that_others_read(void **state)
{
	struct device *d = *state;
	struct err e;
	char path[PATH_MAX];
	struct keystore_ref r = {0};
	auto_keystore_credential c = {0};
	snprintf(path, sizeof(path), "%s/cred/sas.key", d->dir);
	assert_int_equal(chmod(path, 0644), 0);
	assert_fails(keystore_load(d->keys, &r, &c, &e), &e, PERM);
}

static void
a_second_session_is_told_that_the_first_is_at_work(void **state)
{
	struct device *d = *state;
	struct err e;
	auto_(keystore_close) struct keystore *other = NULL;
	assert_ok(keystore_open(d->dir, &other, &e), &e);
	assert_fails(keystore_lock(other, &e), &e, BUSY);
	assert_fails(keystore_lock_wait(other, 1, &e), &e, BUSY);
}

/* Another process has the directory for a while: says so, and ends a moment later. */
static pid_t
hold(const char *dir)
{
	struct err e;
	struct keystore *k;
	int ready[2];
	char c;
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		if (keystore_open(dir, &k, &e) || keystore_lock(k, &e) ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		usleep(200000);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return child;
}

static void
who_waits_has_its_turn_when_the_first_has_ended(void **state)
{
	struct device *d = *state;
	struct err e;
	int status;
	keystore_unlock(d->keys);
	pid_t child = hold(d->dir);
	assert_fails(keystore_lock(d->keys, &e), &e, BUSY);
	assert_ok(keystore_lock_wait(d->keys, 60000, &e), &e);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void
keygen_gives_the_staged_key_again_until_it_is_promoted(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref a, b;
	auto_(key_free) struct key *ka = NULL;
	auto_(key_free) struct key *kb = NULL;
	auto_(key_free) struct key *kc = NULL;
	assert_ok(keystore_keygen(d->keys, &kit_place, &a, &ka, &e), &e);
	assert_ok(keystore_keygen(d->keys, &kit_place, &b, &kb, &e), &e);
	assert_string_equal(a.generation, "0001");
	assert_string_equal(b.generation, "0001");
	assert_memory_equal(key_fingerprint(ka), key_fingerprint(kb), DIGEST_SHA256);
	promoted(d);
	assert_ok(keystore_keygen(d->keys, &kit_place, &b, &kc, &e), &e);
	assert_string_equal(b.generation, "0002");
	assert_memory_not_equal(key_fingerprint(ka), key_fingerprint(kc), DIGEST_SHA256);
}

static void
keygen_of_another_algorithm_replaces_the_staged_key(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r;
	auto_(key_free) struct key *a = NULL;
	auto_(key_free) struct key *b = NULL;
	assert_ok(keystore_keygen(d->keys, &kit_place, &r, &a, &e), &e);
	assert_ok(keystore_keygen(d->keys, &(struct keystore_place){KEY_P384, "", KIT_ID},
		      &r, &b, &e),
	    &e);
	assert_string_equal(r.generation, "0001");
	assert_int_equal(key_algorithm(b), KEY_P384);
}

static void
keygen_goes_past_a_torn_key_file(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r;
	auto_(key_free) struct key *a = NULL;
	auto_(key_free) struct key *b = NULL;
	char path[PATH_MAX];
	assert_ok(keystore_keygen(d->keys, &kit_place, &r, &a, &e), &e);
	snprintf(path, sizeof(path), "%s/cred/0001/key.pem", d->dir);
	assert_int_equal(truncate(path, 20), 0);
	assert_ok(keystore_keygen(d->keys, &kit_place, &r, &b, &e), &e);
	assert_string_equal(r.generation, "0001");
}

#define DAY_MS INT64_C(86400000)

/* What install says, at that time, to a certificate made now for cn. */
static void
refused_install(struct device *d, const char *cn, int64_t at_ms, const char *words)
{
	struct err e;
	struct keystore_ref r;
	auto_(key_free) struct key *key = NULL;
	auto_buf chain = BUF_INIT(CERT_PEM_MAX);
	auto_keystore_credential c = {0};
	assert_ok(keystore_keygen(d->keys, &kit_place, &r, &key, &e), &e);
	kit_leaf(cn, key, &chain);
	assert_fails(
	    keystore_install(d->keys, &r, buf_span(&chain), KIT_ID, at_ms, &c, &e), &e,
	    CONFLICT);
	assert_non_null(strstr(e.text, words));
	enum keystore_stage at;
	assert_ok(keystore_stage(d->keys, span_str(r.generation), &r, &at, &e), &e);
	assert_int_equal(at, KEYSTORE_KEY);
}

static void
install_refuses_another_devices_certificate(void **state)
{
	refused_install(*state, "dev-18", kit_now_ms(), "dev-18");
}

static void
install_refuses_an_expired_certificate(void **state)
{
	refused_install(*state, KIT_ID, kit_now_ms() + 100 * DAY_MS, "expired");
}

static void
install_refuses_a_certificate_of_the_future(void **state)
{
	refused_install(*state, KIT_ID, kit_now_ms() - 30 * DAY_MS, "not yet valid");
}

static void
install_refuses_a_certificate_of_another_key(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r;
	auto_(key_free) struct key *key = NULL;
	auto_(key_free) struct key *other = key_generate(KEY_P256, &e);
	auto_buf chain = BUF_INIT(CERT_PEM_MAX);
	auto_keystore_credential c = {0};
	assert_ok(keystore_keygen(d->keys, &kit_place, &r, &key, &e), &e);
	kit_leaf(KIT_ID, other, &chain);
	assert_fails(
	    keystore_install(d->keys, &r, buf_span(&chain), KIT_ID, kit_now_ms(), &c, &e),
	    &e, CONFLICT);
}

static void
install_refuses_a_chain_that_does_not_hold_together(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r;
	auto_(key_free) struct key *key = NULL;
	auto_buf chain = BUF_INIT(CERT_PEM_MAX), foreign = BUF_INIT(CERT_PEM_MAX);
	auto_buf der = BUF_INIT(CERT_MAX);
	auto_keystore_credential c = {0};
	assert_ok(keystore_keygen(d->keys, &kit_place, &r, &key, &e), &e);
	kit_leaf(KIT_ID, key, &chain);
	/* the leaf with a root that did not sign its issuer in the issuer's place */
	const char *end = strstr(buf_text(&chain), "-----END CERTIFICATE-----\n");
	assert_non_null(end);
	size_t leaf_len = (size_t)(end - buf_text(&chain)) + 26;
	buf_put_span(&foreign, span_head(buf_span(&chain), leaf_len));
	buf_put_span(&foreign, kit_root_pem());
	assert_fails(keystore_install(
			 d->keys, &r, buf_span(&foreign), KIT_ID, kit_now_ms(), &c, &e),
	    &e, CONFLICT);
}

static void
load_refuses_a_certificate_swapped_for_another(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r = installed(d);
	auto_(key_free) struct key *other = key_generate(KEY_P256, &e);
	auto_buf chain = BUF_INIT(CERT_PEM_MAX);
	auto_keystore_credential c = {0};
	char path[PATH_MAX];
	kit_leaf(KIT_ID, other, &chain);
	snprintf(path, sizeof(path), "%s/cred/0001/cert.pem", d->dir);
	assert_ok(file_write(path, buf_span(&chain), 0600, &e), &e);
	assert_fails(keystore_load(d->keys, &r, &c, &e), &e, CORRUPT);
	/* and so it can never become the active one */
	assert_fails(keystore_promote(d->keys, &r, kit_now_ms(), &e), &e, CORRUPT);
	assert_string_equal(active(d), "sas");
}

static void
stages_follow_the_generation(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r;
	enum keystore_stage at;
	struct keystore_assignment a = {.hub = "h.example", .device_id = KIT_ID};
	assert_ok(keystore_stage(d->keys, SPAN_LIT("0001"), &r, &at, &e), &e);
	assert_int_equal(at, KEYSTORE_ABSENT);
	installed(d);
	assert_ok(keystore_stage(d->keys, SPAN_LIT("0001"), &r, &at, &e), &e);
	assert_int_equal(at, KEYSTORE_CERT);
	assert_ok(keystore_set_proven(d->keys, &r, &a, kit_now_ms(), &e), &e);
	assert_ok(keystore_stage(d->keys, SPAN_LIT("0001"), &r, &at, &e), &e);
	assert_int_equal(at, KEYSTORE_PROVEN);
	/* another certificate since is not what was proved */
	installed(d);
	assert_ok(keystore_stage(d->keys, SPAN_LIT("0001"), &r, &at, &e), &e);
	assert_int_equal(at, KEYSTORE_CERT);
	assert_fails(keystore_stage(d->keys, SPAN_LIT("../x"), &r, &at, &e), &e, PARSE);
}

static void
promote_and_revert_go_there_and_back(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r;
	promoted(d);
	assert_string_equal(active(d), "x509 0001");
	assert_ok(keystore_revert(d->keys, kit_now_ms(), &r, &e), &e);
	assert_false(r.x509);
	assert_string_equal(active(d), "sas");
	/* its answer may have been lost: a second one must not go forward again */
	assert_ok(keystore_revert(d->keys, kit_now_ms(), &r, &e), &e);
	assert_string_equal(active(d), "sas");
}

static void
revert_without_a_promotion_changes_nothing(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r;
	assert_ok(keystore_revert(d->keys, kit_now_ms(), &r, &e), &e);
	assert_string_equal(active(d), "sas");
}

static void
revert_of_a_renewal_goes_to_the_generation_before(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r;
	promoted(d);
	promoted(d);
	assert_string_equal(active(d), "x509 0002");
	assert_ok(keystore_revert(d->keys, kit_now_ms(), &r, &e), &e);
	assert_string_equal(active(d), "x509 0001");
}

/* Proved and promoted. */
static struct keystore_ref
lived(struct device *d)
{
	struct err e;
	struct keystore_ref r = installed(d);
	struct keystore_assignment a = {.hub = "h.example", .device_id = KIT_ID};
	assert_ok(keystore_set_proven(d->keys, &r, &a, kit_now_ms(), &e), &e);
	assert_ok(keystore_promote(d->keys, &r, kit_now_ms(), &e), &e);
	return r;
}

static void
revert_reaches_sas_whatever_was_renewed_since(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref sas = {0};
	for (int i = 0; i < 3; i++)
		lived(d);
	assert_ok(keystore_revert_to(d->keys, &sas, kit_now_ms(), &e), &e);
	assert_string_equal(active(d), "sas");
	assert_ok(keystore_revert_to(d->keys, &sas, kit_now_ms(), &e), &e);
	struct keystore_ref none = {.x509 = true, .generation = "0042"};
	assert_fails(keystore_revert_to(d->keys, &none, kit_now_ms(), &e), &e, NOT_FOUND);
	assert_string_equal(active(d), "sas");
}

static void
a_key_that_was_in_use_is_never_staged_again(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r;
	auto_(key_free) struct key *key = NULL;
	lived(d);
	assert_ok(keystore_revert(d->keys, kit_now_ms(), &r, &e), &e);
	assert_ok(keystore_keygen(d->keys, &kit_place, &r, &key, &e), &e);
	assert_string_equal(r.generation, "0002");
}

static void
falling_back_goes_round_what_is_proved_and_valid(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r;
	assert_fails(keystore_fall_back(d->keys, kit_now_ms(), &r, &e), &e, NOT_FOUND);
	lived(d);
	/* SAS is there, and is no way back */
	assert_fails(keystore_fall_back(d->keys, kit_now_ms(), &r, &e), &e, NOT_FOUND);
	promoted(d); /* 0002: never proved */
	lived(d);
	lived(d);
	static const char *const round[] = {
	    "x509 0003", "x509 0001", "x509 0004", "x509 0003"};
	for (size_t i = 0; i < 4; i++) {
		assert_ok(keystore_fall_back(d->keys, kit_now_ms(), &r, &e), &e);
		assert_string_equal(active(d), round[i]);
	}
	assert_fails(
	    keystore_fall_back(d->keys, kit_now_ms() + INT64_C(86400000) * 4000, &r, &e),
	    &e, NOT_FOUND);
	/* and the next key is a new one */
	auto_(key_free) struct key *key = NULL;
	assert_ok(keystore_keygen(d->keys, &kit_place, &r, &key, &e), &e);
	assert_string_equal(r.generation, "0005");
}

static void
an_expired_certificates_key_is_held_once_more(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r, again, fresh;
	auto_(key_free) struct key *one = NULL, *two = NULL, *three = NULL;
	auto_keystore_credential c = {0};
	auto_buf chain = BUF_INIT(CERT_PEM_MAX);
	r = lived(d);
	assert_ok(keystore_key_again(d->keys, &r, &again, &one, &e), &e);
	assert_string_equal(again.generation, "0002");
	assert_ok(keystore_load(d->keys, &r, &c, &e), &e);
	assert_true(key_is_spki(c.key, key_spki(one)));
	assert_false(c.reused);
	assert_ok(keystore_key_again(d->keys, &r, &again, &two, &e), &e);
	assert_string_equal(again.generation, "0002"); /* staged already */
	kit_leaf(KIT_ID, two, &chain);
	keystore_credential_done(&c);
	assert_ok(keystore_install(
		      d->keys, &again, buf_span(&chain), KIT_ID, kit_now_ms(), &c, &e),
	    &e);
	assert_true(c.reused);
	/* whoever wants a new key does not get this one */
	assert_ok(keystore_keygen(d->keys, &kit_place, &fresh, &three, &e), &e);
	assert_string_equal(fresh.generation, "0002");
	assert_false(key_is_spki(three, key_spki(one)));
}

/* found by test/sim: a device that was refused fell back and forth between expired
 * generations and left a staged key at each try */
static void
staged_keys_that_nobody_wants_any_more_do_not_pile_up(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r, staged;
	r = lived(d);
	for (int i = 0; i < 20; i++) {
		auto_(key_free) struct key *again = NULL;
		auto_(key_free) struct key *fresh = NULL;
		assert_ok(keystore_key_again(d->keys, &r, &staged, &again, &e), &e);
		assert_string_equal(staged.generation, "0002");
		assert_ok(keystore_keygen(d->keys, &kit_place, &staged, &fresh, &e), &e);
		assert_string_equal(staged.generation, "0002");
		assert_false(key_is_spki(fresh, key_spki(again)));
	}
}

/* a key was made in a token that is gone for good, and auth.key_uri changed */
static void
a_staged_key_elsewhere_does_not_bar_a_new_one(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r;
	char path[PATH_MAX];
	auto_(key_free) struct key *key = NULL;
	snprintf(path, sizeof(path), "%s/cred/0001", d->dir);
	assert_ok(file_mkdir(path, 0700, &e), &e);
	snprintf(path, sizeof(path), "%s/cred/0001/key.uri", d->dir);
	assert_ok(
	    file_write(path,
		SPAN_LIT("pkcs11:token=gone;object=a?module-path=/none.so\n"), 0600, &e),
	    &e);
	assert_ok(keystore_keygen(d->keys, &kit_place, &r, &key, &e), &e);
	assert_string_equal(r.generation, "0002");
}

static void
the_staged_generation_is_found_and_can_be_abandoned(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r;
	enum keystore_stage at;
	struct keystore_ref old = lived(d);
	assert_fails(keystore_staged(d->keys, &r, &at, &e), &e, NOT_FOUND);
	installed(d);
	assert_ok(keystore_staged(d->keys, &r, &at, &e), &e);
	assert_string_equal(r.generation, "0002");
	assert_int_equal(at, KEYSTORE_CERT);
	assert_fails(keystore_abandon(d->keys, &old, kit_now_ms(), &e), &e, CONFLICT);
	assert_ok(keystore_abandon(d->keys, &r, kit_now_ms(), &e), &e);
	assert_fails(keystore_staged(d->keys, &r, &at, &e), &e, NOT_FOUND);
	assert_string_equal(active(d), "x509 0001");
}

static void
prune_keeps_active_previous_staged_and_sas(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r = {0};
	char path[PATH_MAX];
	for (int i = 0; i < 4; i++)
		promoted(d);
	installed(d);
	assert_ok(keystore_prune(d->keys, 2, &e), &e);
	static const struct {
		const char *name;
		bool there;
	} rows[] = {{"0001", false}, {"0002", false}, {"0003", true}, {"0004", true},
	    {"0005", true}, {"sas.key", true}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(path, sizeof(path), "%s/cred/%s", d->dir, rows[i].name);
		assert_int_equal(file_exists(path), rows[i].there);
	}
	assert_ok(keystore_revert(d->keys, kit_now_ms(), &r, &e), &e);
	assert_string_equal(active(d), "x509 0003");
}

static void
assignments_belong_to_their_credential(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref sas = {0}, x = installed(d);
	struct keystore_assignment a = {.hub = "a.example", .device_id = KIT_ID}, got;
	assert_fails(keystore_assignment_get(d->keys, &sas, &got, &e), &e, NOT_FOUND);
	assert_ok(keystore_assignment_put(d->keys, &sas, &a, &e), &e);
	assert_fails(keystore_assignment_get(d->keys, &x, &got, &e), &e, NOT_FOUND);
	assert_ok(keystore_assignment_get(d->keys, &sas, &got, &e), &e);
	assert_string_equal(got.hub, "a.example");
}

static void
lock_sweeps_what_a_power_cut_left_half_written(void **state)
{
	struct device *d = *state;
	struct err e;
	char path[PATH_MAX];
	installed(d);
	keystore_close(d->keys);
	snprintf(
	    path, sizeof(path), "%s/cred/0001/cert.pem.0123456789abcdef.tmp", d->dir);
	assert_ok(file_write(path, SPAN_LIT("half"), 0600, &e), &e);
	assert_ok(keystore_open(d->dir, &d->keys, &e), &e);
	assert_ok(keystore_lock(d->keys, &e), &e);
	assert_false(file_exists(path));
}

static void
switches_are_journalled_without_secrets(void **state)
{
	struct device *d = *state;
	struct err e;
	char path[PATH_MAX];
	auto_buf text = BUF_INIT(65536);
	promoted(d);
	snprintf(path, sizeof(path), "%s/journal.log", d->dir);
	assert_ok(file_read(path, &text, &e), &e);
	assert_non_null(strstr(buf_text(&text), "promote from=\"sas\" to=\"x509 0001\""));
	assert_null(strstr(buf_text(&text), KIT_KEY));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_new_device_authenticates_by_sas),
	    T(create_refuses_a_directory_where_a_device_lives),
	    T(create_refuses_a_key_that_is_none_without_quoting_it),
	    T(open_refuses_a_directory_that_others_reach),
	    T(load_refuses_a_key_that_others_read),
	    T(a_second_session_is_told_that_the_first_is_at_work),
	    T(who_waits_has_its_turn_when_the_first_has_ended),
	    T(keygen_gives_the_staged_key_again_until_it_is_promoted),
	    T(keygen_of_another_algorithm_replaces_the_staged_key),
	    T(keygen_goes_past_a_torn_key_file),
	    T(install_refuses_another_devices_certificate),
	    T(install_refuses_an_expired_certificate),
	    T(install_refuses_a_certificate_of_the_future),
	    T(install_refuses_a_certificate_of_another_key),
	    T(install_refuses_a_chain_that_does_not_hold_together),
	    T(load_refuses_a_certificate_swapped_for_another),
	    T(stages_follow_the_generation),
	    T(promote_and_revert_go_there_and_back),
	    T(revert_without_a_promotion_changes_nothing),
	    T(revert_of_a_renewal_goes_to_the_generation_before),
	    T(revert_reaches_sas_whatever_was_renewed_since),
	    T(a_key_that_was_in_use_is_never_staged_again),
	    T(falling_back_goes_round_what_is_proved_and_valid),
	    T(an_expired_certificates_key_is_held_once_more),
	    T(staged_keys_that_nobody_wants_any_more_do_not_pile_up),
	    T(a_staged_key_elsewhere_does_not_bar_a_new_one),
	    T(the_staged_generation_is_found_and_can_be_abandoned),
	    T(prune_keeps_active_previous_staged_and_sas),
	    T(assignments_belong_to_their_credential),
	    T(lock_sweeps_what_a_power_cut_left_half_written),
	    T(switches_are_journalled_without_secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
