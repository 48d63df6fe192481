/*
 * The device directory with keys in a token (SoftHSM2; skipped where there is none).
 */
#include "kit.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/file.h"

#define MODULE "/usr/lib/softhsm/libsofthsm2.so"

/* One token for the process: the library reads its configuration once. */
static char *shop;
static char uri[PATH_MAX];

static void
write_file(const char *name, const char *text)
{
	struct err e;
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/%s", shop, name);
	assert_ok(file_write(path, span_str(text), 0600, &e), &e);
}

static int
init_token(void)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execlp("softhsm2-util", "softhsm2-util", "--init-token", "--free",
		    "--label", "unit", "--pin", "1234", "--so-pin", "567890",
		    (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int
make_token(void **state)
{
	char conf[PATH_MAX];
	kit_pki();
	shop = kit_dir();
	if (access(MODULE, R_OK))
		return 0;
	snprintf(conf, sizeof(conf), "%s/tokens", shop);
	assert_int_equal(mkdir(conf, 0700), 0);
	snprintf(conf, sizeof(conf),
	    "directories.tokendir = %s/tokens\nlog.level = ERROR\n", shop);
	write_file("conf", conf);
	write_file("pin", "1234\n");
	snprintf(conf, sizeof(conf), "%s/conf", shop);
	setenv("SOFTHSM2_CONF", conf, 1);
	snprintf(uri, sizeof(uri),
	    "pkcs11:token=unit?module-path=" MODULE "&pin-source=file:%s/pin", shop);
	if (init_token())
		uri[0] = '\0'; /* no tool: skipped */
	return 0;
}

static int
end_token(void **state)
{
	kit_dir_done(shop);
	return 0;
}

struct device {
	char *top, *dir;
	struct keystore *keys;
	struct keystore_place place;
};

static int
set_up(void **state)
{
	struct err e;
	static int n;
	static char id[16];
	struct device *d = own_alloc(sizeof(*d));
	*state = d;
	snprintf(id, sizeof(id), "dev-%d", ++n); /* names of their own in the token */
	d->place = (struct keystore_place){KEY_P256, uri, id};
	d->top = kit_dir();
	d->dir = kit_device(d->top, "");
	assert_ok(keystore_open(d->dir, &d->keys, &e), &e);
	assert_ok(keystore_lock(d->keys, &e), &e);
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

static void
need_token(void)
{
	if (!uri[0])
		skip();
}

static bool
there(struct device *d, const char *name)
{
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s/cred/%s", d->dir, name);
	return file_exists(path);
}

static bool
in_token(struct device *d, const char *generation)
{
	struct err e;
	char one[PATH_MAX];
	snprintf(one, sizeof(one),
	    "pkcs11:token=unit;object=%s-%s?module-path=" MODULE
	    "&pin-source=file:%s/pin",
	    d->place.device_id, generation, shop);
	auto_(key_free) struct key *key = key_open(one, NULL, NULL, &e);
	if (!key)
		assert_int_equal(e.code, ERR_NOT_FOUND);
	return key != NULL;
}

/* Installed, proved, in use. */
static void
promote(struct device *d, const struct keystore_ref *r, const struct key *key)
{
	struct err e;
	auto_buf chain = BUF_INIT(CERT_PEM_MAX);
	auto_keystore_credential c = {0};
	struct keystore_assignment at = {"hub.example", KIT_ID};
	kit_leaf(KIT_ID, key, &chain);
	assert_ok(
	    keystore_install(d->keys, r, buf_span(&chain), KIT_ID, kit_now_ms(), &c, &e),
	    &e);
	assert_int_equal(keystore_custody(&c, ""), KEY_CUSTODY_PKCS11);
	assert_false(keystore_is_elsewhere(&c, uri));
	assert_true(keystore_is_elsewhere(&c, ""));
	assert_true(keystore_is_elsewhere(&c, "pkcs11:token=other"));
	assert_true(keystore_is_elsewhere(&c, "tpm2:"));
	assert_ok(keystore_set_proven(d->keys, r, &at, kit_now_ms(), &e), &e);
	assert_ok(keystore_promote(d->keys, r, kit_now_ms(), &e), &e);
}

static struct keystore_ref
lived(struct device *d)
{
	struct err e;
	struct keystore_ref r;
	auto_(key_free) struct key *key = NULL;
	assert_ok(keystore_keygen(d->keys, &d->place, &r, &key, &e), &e);
	promote(d, &r, key);
	return r;
}

static void
a_key_is_made_in_the_token_and_its_name_kept(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r, again;
	auto_(key_free) struct key *one = NULL, *two = NULL;
	need_token();
	assert_ok(keystore_keygen(d->keys, &d->place, &r, &one, &e), &e);
	assert_true(there(d, "0001/key.uri"));
	assert_false(there(d, "0001/key.pem"));
	assert_true(in_token(d, "0001"));
	assert_ok(keystore_keygen(d->keys, &d->place, &again, &two, &e), &e);
	assert_string_equal(again.generation, "0001");
	assert_true(key_is_spki(one, key_spki(two)));
	promote(d, &r, one);
}

static void
a_name_whose_key_was_not_made_gets_it(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r;
	char path[PATH_MAX], text[PATH_MAX];
	auto_(key_free) struct key *key = NULL;
	need_token();
	/* as a power cut between the two leaves it */
	snprintf(path, sizeof(path), "%s/cred/0001", d->dir);
	assert_ok(file_mkdir(path, 0700, &e), &e);
	snprintf(path, sizeof(path), "%s/cred/0001/key.uri", d->dir);
	snprintf(text, sizeof(text),
	    "pkcs11:token=unit;object=%s-0001?module-path=" MODULE
	    "&pin-source=file:%s/pin\n",
	    d->place.device_id, shop);
	assert_ok(file_write(path, span_str(text), 0600, &e), &e);
	assert_ok(keystore_keygen(d->keys, &d->place, &r, &key, &e), &e);
	assert_string_equal(r.generation, "0001");
	assert_true(in_token(d, "0001"));
}

static void
a_token_that_is_not_there_is_waited_for(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r;
	struct key *key;
	char gone[PATH_MAX];
	need_token();
	snprintf(gone, sizeof(gone),
	    "pkcs11:token=gone?module-path=" MODULE "&pin-source=file:%s/pin", shop);
	d->place.uri = gone;
	assert_fails(keystore_keygen(d->keys, &d->place, &r, &key, &e), &e, UNAVAILABLE);
	assert_false(there(d, "0001"));
}

static void
a_name_that_is_taken_is_left_alone(void **state)
{
	struct device *d = *state;
	struct err e;
	char taken[PATH_MAX];
	auto_buf text = BUF_INIT(8192);
	need_token();
	snprintf(taken, sizeof(taken),
	    "pkcs11:token=unit;object=%s-0001?module-path=" MODULE
	    "&pin-source=file:%s/pin",
	    d->place.device_id, shop);
	auto_(key_free) struct key *theirs = key_create(taken, KEY_P256, &e);
	assert_non_null(theirs);
	lived(d);
	snprintf(taken, sizeof(taken), "%s/cred/0001/key.uri", d->dir);
	assert_ok(file_read(taken, &text, &e), &e);
	assert_non_null(strstr(buf_text(&text), "-0001.1"));
	lived(d);
	lived(d);
	lived(d);
	assert_ok(keystore_prune(d->keys, 2, &e), &e);
	assert_false(there(d, "0001"));
	assert_true(in_token(d, "0001")); /* never ours */
}

static void
pruning_removes_keys_that_nothing_names(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref again;
	auto_(key_free) struct key *same = NULL;
	need_token();
	struct keystore_ref r = lived(d);
	assert_ok(keystore_key_again(d->keys, &r, &again, &same, &e), &e);
	assert_string_equal(again.generation, "0002");
	promote(d, &again, same); /* 0001 and 0002 are one key */
	lived(d);
	assert_ok(keystore_prune(d->keys, 2, &e), &e);
	assert_false(there(d, "0001"));
	assert_true(in_token(d, "0001"));
	lived(d);
	assert_ok(keystore_prune(d->keys, 2, &e), &e);
	assert_false(there(d, "0002"));
	assert_false(in_token(d, "0001"));
	assert_true(in_token(d, "0003"));
}

static void
a_staged_key_in_a_file_makes_room_for_one_in_the_token(void **state)
{
	struct device *d = *state;
	struct err e;
	struct keystore_ref r;
	auto_(key_free) struct key *file = NULL;
	need_token();
	lived(d);
	d->place.uri = "";
	assert_ok(keystore_keygen(d->keys, &d->place, &r, &file, &e), &e);
	assert_string_equal(r.generation, "0002");
	assert_true(there(d, "0002/key.pem"));
	d->place.uri =
	    uri; /* a staged key in a file is not what is wanted now: it goes */
	auto_(key_free) struct key *token = NULL;
	assert_ok(keystore_keygen(d->keys, &d->place, &r, &token, &e), &e);
	assert_string_equal(r.generation, "0002");
	assert_true(there(d, "0002/key.uri"));
	assert_false(there(d, "0002/key.pem"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_key_is_made_in_the_token_and_its_name_kept),
	    T(a_name_whose_key_was_not_made_gets_it),
	    T(a_token_that_is_not_there_is_waited_for),
	    T(a_name_that_is_taken_is_left_alone),
	    T(pruning_removes_keys_that_nothing_names),
	    T(a_staged_key_in_a_file_makes_room_for_one_in_the_token),
	};
	return cmocka_run_group_tests(tests, make_token, end_token);
}
