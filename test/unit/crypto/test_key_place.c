/*
 * Keys by URI in files, and keys that somebody else holds. Tokens and TPMs have files of
 * their own.
 */
#include "key_kit.h"

#include <openssl/ssl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/tls.h"

/* --- files --- */

static void
a_created_file_is_new_private_and_opens(void **state)
{
	auto_scratch dir;
	scratch_init(&dir);
	struct err e = {0};
	struct stat st;
	static const enum key_alg algs[] = {KEY_P256, KEY_P384, KEY_RSA2048};
	for (size_t i = 0; i < 3; i++) {
		const char *path = scratch_at(&dir, key_alg_name(algs[i]));
		umask(0);
		auto_(key_free) struct key *k = key_create(path, algs[i], &e);
		umask(022);
		if (!k)
			fail_msg("%s", e.text);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		auto_(key_free) struct key *again = key_open(path, NULL, NULL, &e);
		assert_non_null(again);
		assert_true(key_is_spki(again, key_spki(k)));
		assert_int_equal(key_algorithm(again), algs[i]);
		assert_int_equal(key_custody(again), KEY_CUSTODY_FILE);
		assert_true(key_is_exportable(again));
		kit_signs(again);
	}
}

static void
create_leaves_what_is_there(void **state)
{
	auto_scratch dir;
	scratch_init(&dir);
	struct err e = {0};
	scratch_write(&dir, "k", "precious", 0600);
	assert_null(key_create(scratch_at(&dir, "k"), KEY_P256, &e));
	assert_int_equal(e.code, ERR_EXISTS);
	assert_int_equal(symlink("nowhere", scratch_at(&dir, "l")), 0);
	assert_null(key_create(scratch_at(&dir, "l"), KEY_P256, &e));
	assert_int_equal(e.code, ERR_EXISTS);
	assert_null(key_create(scratch_at(&dir, "no/k"), KEY_P256, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(unlink(scratch_at(&dir, "k")), 0);
	assert_int_equal(unlink(scratch_at(&dir, "l")), 0);
	assert_int_equal(rmdir(dir.path), 0); /* no temporary file is left */
}

static void
delete_removes_keys_and_nothing_else(void **state)
{
	auto_scratch dir;
	scratch_init(&dir);
	struct err e = {0};
	scratch_write(&dir, "notes", "precious", 0600);
	assert_fails(key_delete(scratch_at(&dir, "notes"), &e), &e, PARSE);
	assert_int_equal(access(scratch_at(&dir, "notes"), F_OK), 0);
	key_free(key_create(scratch_at(&dir, "k"), KEY_P256, &e));
	assert_ok(key_delete(scratch_at(&dir, "k"), &e), &e);
	assert_int_not_equal(access(scratch_at(&dir, "k"), F_OK), 0);
	assert_fails(key_delete(scratch_at(&dir, "k"), &e), &e, NOT_FOUND);
}

static void
files_hold_no_certificates(void **state)
{
	struct err e = {0};
	auto_buf out = BUF_INIT(CERT_MAX);
	assert_fails(key_cert_get("k", &out, &e), &e, UNSUPPORTED);
	assert_fails(key_cert_put("k", SPAN_LIT("x"), &e), &e, UNSUPPORTED);
}

static void
custody_has_names(void **state)
{
	struct err e = {0};
	enum key_custody c;
	for (int i = 0; i < KEY_CUSTODY_N; i++) {
		const char *name = key_custody_name((enum key_custody)i);
		assert_ok(key_custody_parse(span_str(name), &c, &e), &e);
		assert_int_equal(c, i);
	}
	assert_fails(key_custody_parse(SPAN_LIT("cloud"), &c, &e), &e, PARSE);
}

/* --- keys that somebody else holds --- */

/* Signs with a key in memory, as a process beside would. */
struct holder {
	struct key *k;
	int signed_n, freed;
	bool refuses;
};

static int
on_digest(void *arg, const struct key_digest *d, uint8_t sig[KEY_SIG_MAX],
    size_t *ret_len, struct err *e)
{
	struct holder *h = arg;
	if (h->refuses)
		return err_set(e, ERR_UNAVAILABLE, "the holder is away; call it back");
	h->signed_n++;
	return key_sign_digest(h->k, d, sig, ret_len, e);
}

static void
on_free(void *arg)
{
	struct holder *h = arg;
	h->freed++;
}

static struct key *
external_of(struct holder *h, enum key_alg alg)
{
	struct err e = {0};
	h->k = key_generate(alg, &e);
	struct key *k =
	    key_external(key_spki(h->k), KEY_CUSTODY_TPM2, on_digest, h, on_free, &e);
	if (!k)
		fail_msg("%s", e.text);
	return k;
}

static void
external_keys_sign_and_do_tls_as_any_other(void **state)
{
	static const enum key_alg algs[] = {KEY_P256, KEY_P384, KEY_RSA2048};
	for (size_t i = 0; i < 3; i++) {
		struct holder h = {.freed = 0};
		struct key *k = external_of(&h, algs[i]);
		assert_int_equal(key_algorithm(k), algs[i]);
		assert_true(key_is_spki(k, key_spki(h.k)));
		kit_stays(k);
		kit_signs(k);
		kit_does_tls(k);
		assert_true(h.signed_n > 10);
		key_free(k);
		assert_int_equal(h.freed, 1);
		key_free(h.k);
	}
}

static void
an_external_key_lives_as_long_as_a_tls_context_has_it(void **state)
{
	struct err e = {0};
	for (int rsa = 0; rsa < 2; rsa++) {
		struct holder h = {.freed = 0};
		struct key *k = external_of(&h, rsa ? KEY_RSA2048 : KEY_P256);
		SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
		assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key_evp(k)), 1);
		key_free(k);
		assert_int_equal(h.freed, 0);
		SSL_CTX_free(ctx);
		assert_int_equal(h.freed, 1);
		key_free(h.k);
	}
	struct holder h = {.freed = 0};
	assert_null(key_external(
	    SPAN_LIT("no key"), KEY_CUSTODY_TPM2, on_digest, &h, on_free, &e));
	assert_int_equal(e.code, ERR_PARSE);
	assert_int_equal(h.freed, 1);
}

static void
what_the_holder_says_is_what_the_handshake_fails_with(void **state)
{
	for (int rsa = 0; rsa < 2; rsa++) {
		struct err e = {0};
		uint8_t md[32] = {0}, sig[KEY_SIG_MAX];
		size_t len = sizeof(sig);
		struct holder h = {.refuses = true};
		struct key *k = external_of(&h, rsa ? KEY_RSA2048 : KEY_P256);
		assert_fails(
		    key_sign(k, SPAN_LIT("abc"), sig, &len, &e), &e, UNAVAILABLE);
		EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key_evp(k), NULL);
		assert_int_equal(EVP_PKEY_sign_init(c), 1);
		assert_int_equal(EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()), 1);
		assert_true(EVP_PKEY_sign(c, sig, &len, md, sizeof(md)) <= 0);
		tls_error(&e, ERR_CRYPTO, "handshake");
		assert_string_equal(
		    e.text, "handshake: the holder is away; call it back");
		EVP_PKEY_CTX_free(c);
		key_free(k);
		key_free(h.k);
	}
}

static void
software_keys_are_untouched_by_external_ones(void **state)
{
	struct err e = {0};
	struct holder h = {.freed = 0};
	struct key *k = external_of(&h, KEY_RSA2048);
	auto_(key_free) struct key *soft = key_generate(KEY_RSA2048, &e);
	kit_signs(soft);
	kit_does_tls(soft);
	assert_int_equal(h.signed_n, 0);
	key_free(k);
	key_free(h.k);
}

/* --- doctor --- */

struct findings {
	int n[3];
	char bad[300], fix[300];
};

static void
on_finding(void *arg, enum key_finding how, const char *what, const char *fix)
{
	struct findings *f = arg;
	f->n[how]++;
	if (how != KEY_BAD)
		return;
	snprintf(f->bad, sizeof(f->bad), "%s", what);
	snprintf(f->fix, sizeof(f->fix), "%s", fix);
}

static void
doctor_names_what_is_wrong_and_the_cure(void **state)
{
	auto_scratch dir;
	scratch_init(&dir);
	struct err e = {0};
	struct findings f = {.n = {0}};
	bool bad = true;
	const char *path = scratch_at(&dir, "k");
	key_free(key_create(path, KEY_P256, &e));
	assert_ok(key_doctor(path, on_finding, &f, &bad, &e), &e);
	assert_false(bad);
	assert_int_equal(f.n[KEY_FINE], 2);
	assert_int_equal(chmod(path, 0644), 0);
	assert_ok(key_doctor(path, on_finding, &f, &bad, &e), &e);
	assert_true(bad);
	assert_non_null(strstr(f.bad, "644"));
	assert_non_null(strstr(f.fix, "chmod 600"));
	assert_ok(key_doctor(
		      "pkcs11:token=a?module-path=/no/such.so", on_finding, &f, &bad, &e),
	    &e);
	assert_true(bad);
	assert_non_null(strstr(f.bad, "/no/such.so"));
	assert_non_null(strstr(f.fix, "softhsm2"));
	assert_ok(key_doctor("tpm2:handle=0x81010001?tcti=device:/no/tpm", on_finding, &f,
		      &bad, &e),
	    &e);
	assert_true(bad);
	assert_non_null(strstr(f.bad, "/no/tpm"));
	assert_fails(key_doctor("s3:bucket", on_finding, &f, &bad, &e), &e, UNSUPPORTED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_created_file_is_new_private_and_opens),
	    cmocka_unit_test(create_leaves_what_is_there),
	    cmocka_unit_test(delete_removes_keys_and_nothing_else),
	    cmocka_unit_test(files_hold_no_certificates),
	    cmocka_unit_test(custody_has_names),
	    cmocka_unit_test(external_keys_sign_and_do_tls_as_any_other),
	    cmocka_unit_test(an_external_key_lives_as_long_as_a_tls_context_has_it),
	    cmocka_unit_test(what_the_holder_says_is_what_the_handshake_fails_with),
	    cmocka_unit_test(software_keys_are_untouched_by_external_ones),
	    cmocka_unit_test(doctor_names_what_is_wrong_and_the_cure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
