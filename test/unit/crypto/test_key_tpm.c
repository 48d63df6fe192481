/*
 * Keys in a TPM: swtpm, on two free ports, with a state of this program's own.
 */
#include "key_kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codec/key_uri.h"

static struct scratch dir;
static bool is_there;
static pid_t tpm = -1;
static unsigned short port;

/* --- swtpm --- */

static int
bound(unsigned short at, unsigned short *ret)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(at)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a))) {
		close(fd);
		return -1;
	}
	getsockname(fd, (struct sockaddr *)&a, &len);
	*ret = ntohs(a.sin_port);
	return fd;
}

/* Two ports in a row: the library looks for the control channel at the next. */
static void
find_ports(void)
{
	for (int i = 0; i < 100; i++) {
		unsigned short next;
		int a = bound(0, &port);
		int b = bound((unsigned short)(port + 1), &next);
		close(a);
		if (b < 0)
			continue;
		close(b);
		return;
	}
	fail_msg("no two free ports in a row");
}

static bool
answers(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int rc = connect(fd, (struct sockaddr *)&a, sizeof(a));
	close(fd);
	return rc == 0;
}

static void
start_tpm(void)
{
	char state[80], server[60], ctrl[60];
	snprintf(state, sizeof(state), "dir=%s", scratch_at(&dir, "state"));
	snprintf(server, sizeof(server), "type=tcp,port=%u,bindaddr=127.0.0.1", port);
	snprintf(ctrl, sizeof(ctrl), "type=tcp,port=%u,bindaddr=127.0.0.1", port + 1);
	tpm = fork();
	assert_true(tpm >= 0);
	if (tpm == 0) {
		/* lets go of the test's output, which somebody may wait to end */
		int null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state,
		    "--server", server, "--ctrl", ctrl, "--flags",
		    "not-need-init,startup-clear", (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 500 && !answers(); i++)
		usleep(20000);
}

static void
stop_tpm(void)
{
	if (tpm <= 0)
		return;
	kill(tpm, SIGKILL);
	while (waitpid(tpm, NULL, 0) < 0 && errno == EINTR)
		;
	tpm = -1;
}

static int
set_up(void **state)
{
	char tcti[60];
	scratch_init(&dir);
	is_there = kit_has("swtpm");
	if (!is_there)
		return 0;
	assert_int_equal(mkdir(scratch_at(&dir, "state"), 0700), 0);
	find_ports();
	snprintf(tcti, sizeof(tcti), "swtpm:host=127.0.0.1,port=%u", port);
	setenv("MUSTER_TCTI", tcti, 1);
	start_tpm();
	return 0;
}

static int
tear_down(void **state)
{
	stop_tpm();
	scratch_done(&dir);
	return 0;
}

static void
need_tpm(void)
{
	if (is_there)
		return;
	print_message("skipped: no swtpm here\n");
	skip();
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

/* --- keys --- */

static void
keys_are_made_in_the_tpm_and_stay_there(void **state)
{
	static const struct {
		enum key_alg alg;
		const char *uri;
	} rows[] = {{KEY_P256, "tpm2:handle=0x81010001"},
	    {KEY_P384, "tpm2:handle=0x81010002"},
	    {KEY_RSA2048, "tpm2:handle=0x81010003"}};
	struct err e = {0};
	need_tpm();
	for (size_t i = 0; i < 3; i++) {
		auto_(key_free) struct key *k = made(rows[i].uri, rows[i].alg);
		auto_(key_free) struct key *again = key_open(rows[i].uri, NULL, NULL, &e);
		assert_non_null(again);
		assert_true(key_is_spki(again, key_spki(k)));
		assert_int_equal(key_algorithm(again), rows[i].alg);
		assert_int_equal(key_custody(again), KEY_CUSTODY_TPM2);
		kit_stays(again);
		kit_signs(again);
		kit_does_tls(again);
		assert_ok(key_delete(rows[i].uri, &e), &e);
	}
}

static void
more_keys_than_slots_are_made_one_after_the_other(void **state)
{
	struct err e = {0};
	char uri[60];
	need_tpm();
	for (unsigned i = 0; i < 6; i++) {
		snprintf(uri, sizeof(uri), "tpm2:handle=0x810100%02x", 0x20 + i);
		auto_(key_free) struct key *k = made(uri, KEY_P256);
		uint8_t sig[KEY_SIG_MAX];
		size_t len;
		assert_ok(key_sign(k, SPAN_LIT("abc"), sig, &len, &e), &e);
		assert_ok(key_delete(uri, &e), &e);
	}
}

static void
what_is_there_stays_and_what_is_not_says_so(void **state)
{
	struct err e = {0};
	const char *uri = "tpm2:handle=0x81010005";
	need_tpm();
	auto_(key_free) struct key *k = made(uri, KEY_P256);
	assert_null(key_create(uri, KEY_P256, &e));
	assert_int_equal(e.code, ERR_EXISTS);
	assert_null(key_open("tpm2:handle=0x81010006", NULL, NULL, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_null(key_open("tpm2:", NULL, NULL, &e));
	assert_int_equal(e.code, ERR_USAGE);
	assert_null(key_create("tpm2:handle=0x81010006", KEY_RSA4096, &e));
	assert_int_equal(e.code, ERR_UNSUPPORTED);
	assert_fails(key_delete("tpm2:handle=0x81010006", &e), &e, NOT_FOUND);
	assert_null(
	    key_open("tpm2:handle=0x81010006?tcti=device:/no/tpm", NULL, NULL, &e));
	assert_int_equal(e.code, ERR_UNAVAILABLE);
	kit_signs(k);
	assert_ok(key_delete(uri, &e), &e);
}

struct seen {
	int n;
	char uri[300], alg[24];
	bool has_cert, exportable;
};

static int
on_key(void *arg, const struct key_found *f, struct err *e)
{
	struct seen *s = arg;
	(void)e;
	s->n++;
	snprintf(s->uri, sizeof(s->uri), "%s", f->uri);
	snprintf(s->alg, sizeof(s->alg), "%s", f->alg);
	s->has_cert = f->has_cert;
	s->exportable = f->exportable;
	return 0;
}

static void
the_certificate_is_in_its_index_and_replaced(void **state)
{
	struct err e = {0};
	auto_buf der = BUF_INIT(CERT_MAX);
	struct seen s = {.n = 0};
	const char *uri = "tpm2:handle=0x81010007";
	need_tpm();
	auto_(key_free) struct key *k = made(uri, KEY_P256);
	auto_party root = forge_root("Root");
	auto_party other = forge_leaf("other", &root);
	assert_fails(key_cert_get(uri, &der, &e), &e, NOT_FOUND);
	assert_fails(key_cert_put(uri, other.cert->der, &e), &e, CONFLICT);
	assert_ok(key_each("tpm2:", on_key, &s, &e), &e);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.alg, "p256");
	assert_string_equal(s.uri, uri);
	assert_false(s.has_cert || s.exportable);
	for (int i = 0; i < 2; i++) {
		/* the second does not fit where the first was */
		auto_party own = forge(&(struct forge){.cn = i ? "second" : "first",
		    .issuer = &root,
		    .key = k,
		    .nid_name = i ? "subjectAltName" : NULL,
		    .nid_value = i ? "DNS:a-name-that-takes-room.example.net,"
				     "DNS:another-name-that-takes-room.example.net,"
				     "DNS:the-third-name-that-takes-room.example.net,"
				     "DNS:a-fourth-name-that-takes-room.example.net,"
				     "DNS:a-fifth-name-that-takes-room.example.net,"
				     "DNS:a-sixth-name-that-takes-room.example.net"
				   : NULL});
		buf_reset(&der);
		assert_ok(key_cert_put(uri, own.cert->der, &e), &e);
		assert_ok(key_cert_get(uri, &der, &e), &e);
		assert_true(span_eq(buf_span(&der), own.cert->der));
	}
	s.n = 0;
	assert_ok(key_each(uri, on_key, &s, &e), &e);
	assert_true(s.has_cert);
	/* another key's certificate in the index is not this key's */
	auto_(key_free) struct key *second = made("tpm2:handle=0x81010008", KEY_P256);
	assert_fails(key_cert_get("tpm2:handle=0x81010008", &der, &e), &e, NOT_FOUND);
	assert_ok(key_delete("tpm2:handle=0x81010008", &e), &e);
	buf_reset(&der);
	assert_ok(key_cert_get(uri, &der, &e), &e);
	assert_ok(key_delete(uri, &e), &e);
	auto_(key_free) struct key *third = made(uri, KEY_P256);
	assert_fails(key_cert_get(uri, &der, &e), &e, NOT_FOUND);
	assert_ok(key_delete(uri, &e), &e);
}

/* --- authorization --- */

static void
a_wrong_authorization_is_tried_once(void **state)
{
	struct err e = {0};
	uint8_t sig[KEY_SIG_MAX];
	size_t len;
	char uri[200];
	need_tpm();
	scratch_write(&dir, "auth", "open sesame\n", 0600);
	snprintf(uri, sizeof(uri), "tpm2:handle=0x81010009?auth-source=file:%s",
	    scratch_at(&dir, "auth"));
	auto_(key_free) struct key *k = made(uri, KEY_P256);
	kit_signs(k);
	scratch_write(&dir, "auth", "open barley\n", 0600);
	auto_(key_free) struct key *wrong = key_open(uri, NULL, NULL, &e);
	assert_non_null(wrong); /* a TPM asks only when it signs */
	assert_fails(key_sign(wrong, SPAN_LIT("abc"), sig, &len, &e), &e, DENIED);
	assert_null(strstr(e.text, "barley"));
	for (int i = 0; i < 5; i++) {
		assert_fails(key_sign(wrong, SPAN_LIT("abc"), sig, &len, &e), &e, DENIED);
		assert_non_null(strstr(e.text, "not tried again"));
	}
	scratch_write(&dir, "auth", "open sesame\n", 0600);
	kit_signs(wrong);
	scratch_write(&dir, "auth", "open sesame\n", 0640);
	assert_null(key_open(uri, NULL, NULL, &e));
	assert_int_equal(e.code, ERR_PERM);
	scratch_write(&dir, "auth", "open sesame\n", 0600);
	assert_ok(key_delete(uri, &e), &e);
}

/* --- a TPM that vanishes --- */

static void
a_key_signs_again_when_its_tpm_is_back(void **state)
{
	struct err e = {0};
	uint8_t sig[KEY_SIG_MAX];
	size_t len;
	const char *uri = "tpm2:handle=0x8101000a";
	need_tpm();
	auto_(key_free) struct key *k = made(uri, KEY_P256);
	for (int seen = 0; seen < 2; seen++) {
		kit_signs(k);
		stop_tpm();
		if (seen)
			assert_fails(
			    key_sign(k, SPAN_LIT("abc"), sig, &len, &e), &e, UNAVAILABLE);
		start_tpm();
		kit_signs(k);
	}
	kit_does_tls(k);
	assert_ok(key_delete(uri, &e), &e);
}

static void
another_key_at_the_handle_does_not_sign(void **state)
{
	struct err e = {0};
	uint8_t sig[KEY_SIG_MAX];
	size_t len;
	const char *uri = "tpm2:handle=0x8101000b";
	need_tpm();
	auto_(key_free) struct key *k = made(uri, KEY_P256);
	assert_ok(key_delete(uri, &e), &e);
	auto_(key_free) struct key *other = made(uri, KEY_P256);
	stop_tpm();
	start_tpm();
	assert_fails(key_sign(k, SPAN_LIT("abc"), sig, &len, &e), &e, CONFLICT);
	kit_signs(other);
	assert_ok(key_delete(uri, &e), &e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keys_are_made_in_the_tpm_and_stay_there),
	    cmocka_unit_test(more_keys_than_slots_are_made_one_after_the_other),
	    cmocka_unit_test(what_is_there_stays_and_what_is_not_says_so),
	    cmocka_unit_test(the_certificate_is_in_its_index_and_replaced),
	    cmocka_unit_test(a_wrong_authorization_is_tried_once),
	    cmocka_unit_test(a_key_signs_again_when_its_tpm_is_back),
	    cmocka_unit_test(another_key_at_the_handle_does_not_sign),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
