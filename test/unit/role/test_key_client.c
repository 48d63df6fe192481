/*
 * Keys that another process holds, with the holder played by a thread: what it signs is
 * passed on, whatever else it says is not believed.
 */
#include "../test.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "codec/ipc_msg.h"
#include "io/ipc.h"
#include "io/sock.h"
#include "role/key_client.h"

#define USE     "issuer device-ca"
#define WAIT_MS 10000

/* What the holder does; changed while nobody asks. */
struct holder {
	struct ipc_sync *link;
	pthread_t thread;
	struct key *key;
	bool away;     /* its token: rows without a public half, no signature */
	bool back;     /* it is there again when a signature is asked for */
	bool nonsense; /* it answers what was not asked */
	int n_queries, n_signs;
};

struct stage {
	struct key *key, *other;
	struct key_client *client;
	struct holder holder;
	struct err e;
};

static void
say(struct holder *h, enum ipc_type type, uint64_t id, const void *msg)
{
	struct err e;
	auto_buf body = BUF_INIT(IPC_BODY_MAX);
	assert_ok(ipc_msg_pack(type, msg, &body, &e), &e);
	const struct ipc_frame f = {
	    .type = type, .id = id, .body = buf_span(&body), .fd = -1};
	assert_ok(ipc_sync_send(h->link, &f, WAIT_MS, &e), &e);
}

static void
say_done(struct holder *h, uint64_t id, enum err_code code)
{
	const struct ipc_done m = {.code = (uint8_t)code, .text = SPAN_LIT("so it is")};
	say(h, IPC_DONE, id, &m);
}

static void
answer_query(struct holder *h, uint64_t id)
{
	const struct ipc_key_held m = {.use = SPAN_LIT(USE),
	    .index = 7,
	    .spki = h->away ? SPAN_NONE : key_spki(h->key),
	    .custody = SPAN_LIT("pkcs11")};
	h->n_queries++;
	say(h, IPC_KEY_HELD, id, &m);
	say_done(h, id, ERR_OK);
}

static void
answer_sign(struct holder *h, uint64_t id, const struct ipc_key_sign *m)
{
	uint8_t sig[KEY_SIG_MAX];
	size_t len = 0;
	struct err e;
	const struct key_digest d = {.hash = (enum key_hash)m->hash,
	    .pad = (enum key_pad)m->padding,
	    .digest = m->digest};
	h->n_signs++;
	assert_int_equal(m->index, 7);
	if (h->away && !h->back) {
		say_done(h, id, ERR_UNAVAILABLE);
		return;
	}
	assert_ok(key_sign_digest(h->key, &d, sig, &len, &e), &e);
	const struct ipc_key_signed got = {.signature = span_of(sig, len)};
	say(h, IPC_KEY_SIGNED, id, &got);
}

static void
answer_frame(struct holder *h, const struct ipc_frame *f)
{
	struct err e;
	struct ipc_key_sign m;
	const struct ipc_stop nonsense = {0};
	if (h->nonsense) {
		say(h, IPC_STOP, f->id, &nonsense);
		return;
	}
	if (f->type == IPC_KEY_QUERY) {
		answer_query(h, f->id);
		return;
	}
	assert_int_equal(f->type, IPC_KEY_SIGN);
	assert_ok(ipc_msg_unpack(IPC_KEY_SIGN, f->body, &m, &e), &e);
	answer_sign(h, f->id, &m);
}

static void *
hold(void *arg)
{
	struct holder *h = arg;
	struct ipc_frame f;
	struct err e;
	while (ipc_sync_recv(h->link, WAIT_MS, &f, &e) == 0)
		answer_frame(h, &f);
	return NULL;
}

static void
attach(struct stage *s)
{
	int pair[2];
	assert_ok(sock_pair(pair, &s->e), &s->e);
	s->holder.link = ipc_sync_new(pair[1], IPC_BODY_MAX);
	key_client_attach(s->client, pair[0]);
	assert_int_equal(pthread_create(&s->holder.thread, NULL, hold, &s->holder), 0);
}

/* The holder ends when the client hangs up. */
static void
detach(struct stage *s)
{
	key_client_free(s->client);
	s->client = key_client_new();
	assert_int_equal(pthread_join(s->holder.thread, NULL), 0);
	ipc_sync_free(s->holder.link);
}

static int
setup(void **state)
{
	struct stage *s = own_alloc(sizeof(*s));
	s->key = key_generate(KEY_P256, &s->e);
	s->other = key_generate(KEY_P256, &s->e);
	assert_true(s->key && s->other);
	s->client = key_client_new();
	s->holder.key = s->key;
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct stage *s = *state;
	key_client_free(s->client);
	key_free(s->key);
	key_free(s->other);
	free(s);
	return 0;
}

static struct key *
key_of_certificate(struct stage *s)
{
	struct key *k =
	    key_client_key(s->client, USE, key_spki(s->key), KEY_CUSTODY_PKCS11, &s->e);
	assert_non_null(k);
	return k;
}

static int
sign(struct stage *s, const struct key *k)
{
	uint8_t sig[KEY_SIG_MAX];
	size_t len = 0;
	if (key_sign(k, SPAN_LIT("to be signed"), sig, &len, &s->e))
		return -1;
	return key_verify(key_spki(s->key), KEY_SHA256, SPAN_LIT("to be signed"),
	    span_of(sig, len), &s->e);
}

static void
the_holder_signs_and_is_asked_once_what_it_holds(void **state)
{
	struct stage *s = *state;
	attach(s);
	auto_(key_free) struct key *k = key_of_certificate(s);
	assert_int_equal(key_custody(k), KEY_CUSTODY_PKCS11);
	for (int i = 0; i < 3; i++)
		assert_ok(sign(s, k), &s->e);
	detach(s);
	assert_int_equal(s->holder.n_queries, 1);
	assert_int_equal(s->holder.n_signs, 3);
}

static void
a_token_with_another_key_is_refused_before_it_signs(void **state)
{
	struct stage *s = *state;
	s->holder.key = s->other;
	attach(s);
	auto_(key_free) struct key *k = key_of_certificate(s);
	assert_fails(sign(s, k), &s->e, CONFLICT);
	detach(s);
	assert_int_equal(s->holder.n_signs, 0);
}

static void
without_a_holder_a_key_is_away_and_comes_back_with_it(void **state)
{
	struct stage *s = *state;
	auto_(key_free) struct key *k = key_of_certificate(s);
	assert_fails(sign(s, k), &s->e, UNAVAILABLE);
	attach(s);
	assert_ok(sign(s, k), &s->e);
	/* the holder's death */
	key_client_attach(s->client, -1);
	pthread_join(s->holder.thread, NULL);
	ipc_sync_free(s->holder.link);
	assert_fails(sign(s, k), &s->e, UNAVAILABLE);
	attach(s);
	assert_ok(sign(s, k), &s->e);
	detach(s);
}

static void
a_token_that_is_away_is_asked_for_again(void **state)
{
	struct stage *s = *state;
	s->holder.away = true;
	attach(s);
	auto_(key_free) struct key *k = key_of_certificate(s);
	assert_fails(sign(s, k), &s->e, UNAVAILABLE);
	assert_non_null(strstr(s->e.text, "so it is"));
	s->holder.away = false;
	assert_ok(sign(s, k), &s->e);
	detach(s);
}

/* Which key signed was never seen: it may be another token's. */
static void
a_signature_of_a_key_that_was_not_seen_is_not_passed_on(void **state)
{
	struct stage *s = *state;
	s->holder.key = s->other;
	s->holder.away = s->holder.back = true;
	attach(s);
	auto_(key_free) struct key *k = key_of_certificate(s);
	assert_fails(sign(s, k), &s->e, UNAVAILABLE);
	detach(s);
	assert_int_equal(s->holder.n_signs, 1);
}

static void
the_public_half_is_the_tokens_to_tell(void **state)
{
	struct stage *s = *state;
	attach(s);
	auto_(key_free) struct key *k = key_client_fetch(s->client, USE, &s->e);
	assert_non_null(k);
	assert_true(key_is_spki(k, key_spki(s->key)));
	assert_ok(sign(s, k), &s->e);
	assert_null(key_client_fetch(s->client, "server.tls_key", &s->e));
	assert_int_equal(s->e.code, ERR_UNAVAILABLE);
	detach(s);
}

static void
a_holder_that_talks_nonsense_is_left(void **state)
{
	struct stage *s = *state;
	s->holder.nonsense = true;
	attach(s);
	auto_(key_free) struct key *k = key_of_certificate(s);
	assert_fails(sign(s, k), &s->e, UNAVAILABLE);
	assert_fails(sign(s, k), &s->e, UNAVAILABLE);
	pthread_join(s->holder.thread, NULL); /* the link is gone */
	ipc_sync_free(s->holder.link);
	assert_int_equal(s->holder.n_signs, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(the_holder_signs_and_is_asked_once_what_it_holds),
	    T(a_token_with_another_key_is_refused_before_it_signs),
	    T(without_a_holder_a_key_is_away_and_comes_back_with_it),
	    T(a_token_that_is_away_is_asked_for_again),
	    T(a_signature_of_a_key_that_was_not_seen_is_not_passed_on),
	    T(the_public_half_is_the_tokens_to_tell),
	    T(a_holder_that_talks_nonsense_is_left),
	};
	return cmocka_run_group_tests_name("role/key_client", tests, NULL, NULL);
}
