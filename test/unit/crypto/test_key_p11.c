/*
 * Keys in a PKCS#11 token: SoftHSM2, with a token of each test's own, in this process.
 */
#include "key_kit.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/key_uri.h"

#define MODULE "/usr/lib/softhsm/libsofthsm2.so"

static struct scratch dir;
static bool is_there;

/* The module reads its configuration when it is loaded: once in this process. */
static int
set_up(void **state)
{
	char text[200];
	scratch_init(&dir);
	is_there = access(MODULE, R_OK) == 0 && kit_has("softhsm2-util");
	if (!is_there)
		return 0;
	assert_int_equal(mkdir(scratch_at(&dir, "tokens"), 0700), 0);
	snprintf(text, sizeof(text), "directories.tokendir = %s\nlog.level = ERROR\n",
	    scratch_at(&dir, "tokens"));
	scratch_write(&dir, "softhsm2.conf", text, 0600);
	scratch_write(&dir, "pin", "1234\n", 0600);
	scratch_write(&dir, "bad-pin", "4321\n", 0600);
	setenv("SOFTHSM2_CONF", scratch_at(&dir, "softhsm2.conf"), 1);
	setenv("MUSTER_PKCS11_MODULE", MODULE, 1);
	return 0;
}

static int
tear_down(void **state)
{
	scratch_done(&dir);
	return 0;
}

/* A fresh token. What there was of the module's is closed, so it is seen. */
static void
need_token(const char *label)
{
	if (!is_there) {
		print_message("skipped: no SoftHSM2 here\n");
		skip();
	}
	assert_int_equal(
	    kit_run((const char *const[]){"softhsm2-util", "--init-token", "--free",
		"--label", label, "--pin", "1234", "--so-pin", "567890", NULL}),
	    0);
}

/* A URI of the token, with the right PIN. */
static const char *
uri_of(const char *label, const char *more)
{
	static char rooms[4][300];
	static unsigned next;
	char *room = rooms[next++ % 4];
	snprintf(room, sizeof(rooms[0]), "pkcs11:token=%s%s?pin-source=file:%s", label,
	    more, scratch_at(&dir, "pin"));
	return room;
}

static struct key *
made(const char *uri, enum key_alg alg)
{
	struct err e = {0};
	struct key *k = key_create(uri, alg, &e);
	if (!k)
		fail_msg("%s", e.text);
	return k;
}

static struct key *
opened(const char *uri)
{
	struct err e = {0};
	struct key *k = key_open(uri, NULL, NULL, &e);
	if (!k)
		fail_msg("%s", e.text);
	return k;
}

static void
pairs_are_made_in_the_token_and_stay_there(void **state)
{
	static const enum key_alg algs[] = {KEY_P256, KEY_P384, KEY_RSA2048};
	need_token("made");
	for (size_t i = 0; i < 3; i++) {
		char object[40];
		snprintf(object, sizeof(object), ";object=%s", key_alg_name(algs[i]));
		auto_(key_free) struct key *k = made(uri_of("made", object), algs[i]);
		auto_(key_free) struct key *again = opened(uri_of("made", object));
		assert_true(key_is_spki(again, key_spki(k)));
		assert_int_equal(key_algorithm(again), algs[i]);
		assert_int_equal(key_custody(again), KEY_CUSTODY_PKCS11);
		kit_stays(again);
		kit_signs(again);
		kit_does_tls(again);
	}
}

static void
a_name_is_taken_once_and_ambiguity_is_refused(void **state)
{
	struct err e = {0};
	need_token("names");
	auto_(key_free) struct key *a =
	    made(uri_of("names", ";object=a;id=%01"), KEY_P256);
	assert_null(key_create(uri_of("names", ";object=a"), KEY_P256, &e));
	assert_int_equal(e.code, ERR_EXISTS);
	assert_null(key_create(uri_of("names", ";id=%01"), KEY_P256, &e));
	assert_int_equal(e.code, ERR_EXISTS);
	assert_null(key_create(uri_of("names", ""), KEY_P256, &e));
	assert_int_equal(e.code, ERR_USAGE);
	auto_(key_free) struct key *b =
	    made(uri_of("names", ";object=a;id=%02"), KEY_P256);
	assert_null(key_open(uri_of("names", ";object=a"), NULL, NULL, &e));
	assert_int_equal(e.code, ERR_CONFLICT);
	auto_(key_free) struct key *again = opened(uri_of("names", ";object=a;id=%02"));
	assert_true(key_is_spki(again, key_spki(b)));
	assert_null(key_open(uri_of("names", ";object=c"), NULL, NULL, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

struct seen {
	int n;
	char uri[3][400], alg[3][24];
	bool exportable[3], has_cert[3];
};

static int
on_key(void *arg, const struct key_found *f, struct err *e)
{
	struct seen *s = arg;
	assert_true(s->n < 3);
	snprintf(s->uri[s->n], sizeof(s->uri[0]), "%s", f->uri);
	snprintf(s->alg[s->n], sizeof(s->alg[0]), "%s", f->alg);
	s->exportable[s->n] = f->exportable;
	s->has_cert[s->n++] = f->has_cert;
	return s->n == 3 ? err_set(e, ERR_CANCELLED, "enough") : 0;
}

static void
a_token_is_listed_by_uris_that_open(void **state)
{
	struct err e = {0};
	struct seen s = {.n = 0};
	need_token("listed");
	auto_(key_free) struct key *a = made(uri_of("listed", ";object=a"), KEY_P256);
	auto_(key_free) struct key *b = made(uri_of("listed", ";object=b"), KEY_RSA2048);
	assert_ok(key_each(uri_of("listed", ""), on_key, &s, &e), &e);
	assert_int_equal(s.n, 2);
	for (int i = 0; i < 2; i++) {
		auto_(key_free) struct key *k = opened(s.uri[i]);
		bool is_a = key_is_spki(k, key_spki(a));
		assert_true(is_a || key_is_spki(k, key_spki(b)));
		assert_string_equal(s.alg[i], is_a ? "p256" : "rsa2048");
		assert_false(s.exportable[i]);
		assert_false(s.has_cert[i]);
	}
	auto_(key_free) struct key *c = made(uri_of("listed", ";object=c"), KEY_P256);
	s.n = 0;
	assert_fails(key_each(uri_of("listed", ""), on_key, &s, &e), &e, CANCELLED);
	s.n = 0;
	assert_ok(key_each(uri_of("listed", ";object=c"), on_key, &s, &e), &e);
	assert_int_equal(s.n, 1);
}

static void
the_certificate_is_kept_beside_the_key_and_replaced(void **state)
{
	struct err e = {0};
	auto_buf der = BUF_INIT(CERT_MAX);
	struct seen s = {.n = 0};
	need_token("certs");
	const char *uri = uri_of("certs", ";object=dev");
	auto_(key_free) struct key *k = made(uri, KEY_P256);
	auto_party root = forge_root("Root");
	auto_party other = forge_leaf("other", &root);
	assert_fails(key_cert_get(uri, &der, &e), &e, NOT_FOUND);
	assert_fails(key_cert_put(uri, other.cert->der, &e), &e, CONFLICT);
	assert_fails(key_cert_put(uri, SPAN_LIT("no DER"), &e), &e, PARSE);
	for (int i = 0; i < 2; i++) {
		auto_party own = forge(&(struct forge){
		    .cn = i ? "second" : "first", .issuer = &root, .key = k});
		buf_reset(&der);
		assert_ok(key_cert_put(uri, own.cert->der, &e), &e);
		assert_ok(key_cert_get(uri, &der, &e), &e);
		assert_true(span_eq(buf_span(&der), own.cert->der));
	}
	assert_ok(key_each(uri, on_key, &s, &e), &e);
	assert_true(s.has_cert[0]);
	assert_ok(key_delete(uri, &e), &e);
	assert_fails(key_delete(uri, &e), &e, NOT_FOUND);
	s.n = 0;
	assert_ok(key_each(uri_of("certs", ""), on_key, &s, &e), &e);
	assert_int_equal(s.n, 0);
}

/* --- PINs --- */

static void
a_wrong_pin_is_tried_once_however_often_it_is_asked_for(void **state)
{
	struct err e = {0};
	char bad[200];
	need_token("pin");
	key_free(made(uri_of("pin", ";object=k"), KEY_P256));
	snprintf(bad, sizeof(bad), "pkcs11:token=pin;object=k?pin-source=file:%s",
	    scratch_at(&dir, "bad-pin"));
	assert_null(key_open(bad, NULL, NULL, &e));
	assert_int_equal(e.code, ERR_DENIED);
	assert_non_null(strstr(e.text, "CKR_PIN_INCORRECT"));
	assert_null(strstr(e.text, "4321"));
	for (int i = 0; i < 20; i++) {
		assert_null(key_open(bad, NULL, NULL, &e));
		assert_int_equal(e.code, ERR_DENIED);
		assert_non_null(strstr(e.text, "not tried again"));
	}
	scratch_write(&dir, "bad-pin", "1234\r\n", 0600);
	auto_(key_free) struct key *k = opened(bad);
	scratch_write(&dir, "bad-pin", "4321\n", 0600);
	kit_signs(k);
}

static void
a_pin_that_others_can_read_is_refused(void **state)
{
	struct err e = {0};
	char uri[200];
	need_token("open-pin");
	scratch_write(&dir, "open", "1234\n", 0644);
	snprintf(uri, sizeof(uri), "pkcs11:token=open-pin;object=k?pin-source=file:%s",
	    scratch_at(&dir, "open"));
	assert_null(key_create(uri, KEY_P256, &e));
	assert_int_equal(e.code, ERR_PERM);
	assert_non_null(strstr(e.text, "chmod 600"));
	snprintf(uri, sizeof(uri), "pkcs11:token=open-pin;object=k?pin-source=file:%s",
	    scratch_at(&dir, "absent"));
	assert_null(key_create(uri, KEY_P256, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

static int
on_ask(void *arg, const char *what, char *buf, size_t size)
{
	assert_string_equal(what, "asked");
	snprintf(buf, size, "%s", (const char *)arg);
	return (int)strlen(arg);
}

static void
without_a_pin_file_the_pin_is_asked_for(void **state)
{
	struct err e = {0};
	char pin[] = "1234";
	need_token("asked");
	key_free(made(uri_of("asked", ";object=k"), KEY_P256));
	assert_null(key_open("pkcs11:token=asked;object=k", NULL, NULL, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_non_null(strstr(e.text, "pin-source"));
	auto_(key_free) struct key *k =
	    key_open("pkcs11:token=asked;object=k", on_ask, pin, &e);
	if (!k)
		fail_msg("%s", e.text);
	kit_signs(k);
}

/* --- tokens that vanish --- */

static void
move(const char *from, const char *to)
{
	assert_int_equal(rename(scratch_at(&dir, from), scratch_at(&dir, to)), 0);
}

static void
a_key_signs_again_when_its_token_is_back(void **state)
{
	struct err e = {0};
	uint8_t sig[KEY_SIG_MAX];
	size_t len;
	need_token("gone");
	auto_(key_free) struct key *k = made(uri_of("gone", ";object=k"), KEY_P256);
	kit_signs(k);
	move("tokens", "away");
	assert_int_equal(mkdir(scratch_at(&dir, "tokens"), 0700), 0);
	assert_fails(key_sign(k, SPAN_LIT("abc"), sig, &len, &e), &e, UNAVAILABLE);
	assert_fails(key_sign(k, SPAN_LIT("abc"), sig, &len, &e), &e, UNAVAILABLE);
	assert_int_equal(rmdir(scratch_at(&dir, "tokens")), 0);
	move("away", "tokens");
	kit_signs(k);
}

static void
an_unwatched_absence_is_not_noticed(void **state)
{
	need_token("blink");
	auto_(key_free) struct key *k = made(uri_of("blink", ";object=k"), KEY_P256);
	move("tokens", "away");
	move("away", "tokens");
	kit_signs(k);
	kit_does_tls(k);
}

static void
another_key_under_the_old_name_does_not_sign(void **state)
{
	struct err e = {0};
	uint8_t sig[KEY_SIG_MAX];
	size_t len;
	need_token("swap");
	auto_(key_free) struct key *k =
	    made(uri_of("swap", ";object=k;id=%01"), KEY_P256);
	assert_ok(key_delete(uri_of("swap", ";object=k"), &e), &e);
	auto_(key_free) struct key *other =
	    made(uri_of("swap", ";object=k;id=%01"), KEY_P256);
	assert_fails(key_sign(k, SPAN_LIT("abc"), sig, &len, &e), &e, CONFLICT);
	kit_signs(other);
}

static void
an_absent_token_and_module_say_so(void **state)
{
	struct err e = {0};
	need_token("present");
	assert_null(key_open("pkcs11:token=nobody;object=k", NULL, NULL, &e));
	assert_int_equal(e.code, ERR_UNAVAILABLE);
	assert_non_null(strstr(e.text, "'nobody' is not there"));
	assert_null(key_open("pkcs11:token=a?module-path=/no/such.so", NULL, NULL, &e));
	assert_int_equal(e.code, ERR_UNAVAILABLE);
	assert_null(
	    key_open("pkcs11:token=a?module-path=libcrypto.so.3", NULL, NULL, &e));
	assert_int_equal(e.code, ERR_UNSUPPORTED);
	assert_null(key_open("pkcs11:", NULL, NULL, &e));
	assert_int_equal(e.code, ERR_CONFLICT);
}

/* --- threads --- */

static void *
sign_many(void *arg)
{
	struct err e = {0};
	uint8_t sig[KEY_SIG_MAX];
	size_t len;
	for (int i = 0; i < 50; i++)
		if (key_sign(arg, SPAN_LIT("abc"), sig, &len, &e) ||
		    key_verify(key_spki(arg), KEY_SHA256, SPAN_LIT("abc"),
			span_of(sig, len), &e))
			return arg;
	return NULL;
}

static void
more_threads_than_sessions_sign_with_one_key(void **state)
{
	pthread_t threads[20];
	void *result;
	need_token("threads");
	auto_(key_free) struct key *k = made(uri_of("threads", ";object=k"), KEY_P256);
	for (int i = 0; i < 20; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sign_many, k), 0);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_null(result);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pairs_are_made_in_the_token_and_stay_there),
	    cmocka_unit_test(a_name_is_taken_once_and_ambiguity_is_refused),
	    cmocka_unit_test(a_token_is_listed_by_uris_that_open),
	    cmocka_unit_test(the_certificate_is_kept_beside_the_key_and_replaced),
	    cmocka_unit_test(a_wrong_pin_is_tried_once_however_often_it_is_asked_for),
	    cmocka_unit_test(a_pin_that_others_can_read_is_refused),
	    cmocka_unit_test(without_a_pin_file_the_pin_is_asked_for),
	    cmocka_unit_test(a_key_signs_again_when_its_token_is_back),
	    cmocka_unit_test(an_unwatched_absence_is_not_noticed),
	    cmocka_unit_test(another_key_under_the_old_name_does_not_sign),
	    cmocka_unit_test(an_absent_token_and_module_say_so),
	    cmocka_unit_test(more_threads_than_sessions_sign_with_one_key),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
