/*
 * Both TLS contexts against each other over memory BIOs.
 */
#include "forge.h"

#include <openssl/ssl.h>
#include <sys/resource.h>

#include "crypto/tls.h"

/* A PKI and a server with it. */
struct world {
	struct party root, server_party, device;
	struct buf root_pem, server_pem, device_pem;
	struct tls_server *server;
};

static void
world_init(struct world *w)
{
	struct err e = {0};
	w->root = forge_root("Root");
	/* these are verified by OpenSSL's own clock: valid for long, from long ago */
	w->server_party = forge(&(struct forge){.cn = "server",
	    .issuer = &w->root,
	    .from_s = 1,
	    .to_s = INT64_C(4000000000),
	    .basic = "critical,CA:FALSE",
	    .eku = "serverAuth",
	    .nid_name = "subjectAltName",
	    .nid_value = "DNS:hub.example.net,IP:127.0.0.1"});
	w->device = forge_leaf("dev-17", &w->root);
	w->root_pem = w->server_pem = w->device_pem = BUF_INIT(CERT_PEM_MAX);
	cert_write_pem(w->root.cert->der, &w->root_pem);
	cert_write_pem(w->server_party.cert->der, &w->server_pem);
	cert_write_pem(w->device.cert->der, &w->device_pem);
	cert_write_pem(w->root.cert->der, &w->device_pem);
	w->server = tls_server_new(buf_span(&w->server_pem), w->server_party.key, &e);
	if (!w->server)
		fail_msg("%s", e.text);
}

static void
world_done(struct world *w)
{
	tls_server_free(w->server);
	party_done(&w->root);
	party_done(&w->server_party);
	party_done(&w->device);
	buf_done(&w->root_pem);
	buf_done(&w->server_pem);
	buf_done(&w->device_pem);
}
#define auto_world __attribute__((cleanup(world_done))) struct world

/* Two ends joined by memory. */
struct pair {
	SSL *client, *server;
};

static void
pair_done(struct pair *p)
{
	tls_ssl_free(p->client);
	tls_ssl_free(p->server);
}
#define auto_pair __attribute__((cleanup(pair_done))) struct pair

static void
join(struct pair *p, struct tls_server *server, SSL *client)
{
	struct err e = {0};
	BIO *a, *b;
	assert_non_null(client);
	p->client = client;
	p->server = tls_server_ssl(server, &e);
	assert_non_null(p->server);
	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	SSL_set_bio(p->client, a, a);
	SSL_set_bio(p->server, b, b);
}

static bool
handshake(struct pair *p)
{
	for (int i = 0; i < 20; i++) {
		SSL_do_handshake(p->client);
		SSL_do_handshake(p->server);
	}
	return SSL_is_init_finished(p->client) && SSL_is_init_finished(p->server);
}

static struct tls_client *
new_client(struct world *w, bool with_cert)
{
	struct err e = {0};
	struct tls_client *c = tls_client_new(
	    &(struct tls_client_options){.roots_pem = buf_span(&w->root_pem),
		.chain_pem = with_cert ? buf_span(&w->device_pem) : SPAN_NONE,
		.key = with_cert ? w->device.key : NULL},
	    &e);
	if (!c)
		fail_msg("%s", e.text);
	return c;
}

static void
tls_init_may_be_repeated(void **state)
{
	struct err e = {0};
	assert_ok(tls_init(&e), &e);
	assert_ok(tls_init(&e), &e);
}

static void
server_hands_over_the_peers_chain_whatever_it_is(void **state)
{
	auto_world w;
	world_init(&w);
	struct err e = {0};
	auto_(tls_client_free) struct tls_client *c = new_client(&w, true);
	auto_pair p;
	join(&p, w.server, tls_client_ssl(c, "hub.example.net", &e));
	assert_true(handshake(&p));
	assert_string_equal(tls_version(p.server), "TLSv1.3");
	assert_non_null(strstr(tls_cipher(p.server), "TLS_"));
	assert_string_equal(tls_sni(p.server), "hub.example.net");
	auto_cert_list peer = {.n = 0};
	assert_ok(tls_peer_chain(p.server, &peer, &e), &e);
	assert_int_equal(peer.n, 2);
	assert_memory_equal(peer.v[0]->sha256, w.device.cert->sha256, DIGEST_SHA256);
	assert_memory_equal(peer.v[1]->sha256, w.root.cert->sha256, DIGEST_SHA256);
	tls_forget_peer(p.server);
	auto_cert_list again = {.n = 0};
	assert_ok(tls_peer_chain(p.server, &again, &e), &e);
	assert_int_equal(again.n, 1);
	assert_string_equal(peer.v[1]->cn, "Root");
	auto_cert_list seen = {.n = 0};
	assert_ok(tls_peer_chain(p.client, &seen, &e), &e);
	assert_int_equal(seen.n, 1);
}

/* What one end has must be what the other has, and another connection must not. */
static void
binds(struct pair *p, enum tls_binding which, uint8_t ret[TLS_BINDING_MAX])
{
	struct err e = {0};
	uint8_t other[TLS_BINDING_MAX];
	size_t len, other_len;
	memset(ret, 0, TLS_BINDING_MAX);
	assert_ok(tls_channel_binding(p->client, which, ret, &len, &e), &e);
	assert_ok(tls_channel_binding(p->server, which, other, &other_len, &e), &e);
	assert_int_equal(len, other_len);
	assert_true(len >= 12);
	assert_memory_equal(ret, other, len);
}

static void
join_version(struct pair *p, struct world *w, struct tls_client *c, int version, bool ems)
{
	struct err e = {0};
	join(p, w->server, tls_client_ssl(c, "hub.example.net", &e));
	SSL_set_max_proto_version(p->client, version);
	if (!ems)
		SSL_set_options(p->client, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	assert_true(handshake(p));
}

static void
channel_binding_is_the_same_at_both_ends_and_nowhere_else(void **state)
{
	static const struct {
		int version;
		enum tls_binding which;
	} rows[] = {{TLS1_2_VERSION, TLS_UNIQUE}, {TLS1_2_VERSION, TLS_EXPORTER},
	    {TLS1_3_VERSION, TLS_EXPORTER}};
	auto_world w;
	world_init(&w);
	auto_(tls_client_free) struct tls_client *c = new_client(&w, true);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_pair p, q;
		uint8_t one[TLS_BINDING_MAX], two[TLS_BINDING_MAX];
		join_version(&p, &w, c, rows[i].version, true);
		join_version(&q, &w, c, rows[i].version, true);
		binds(&p, rows[i].which, one);
		binds(&q, rows[i].which, two);
		assert_memory_not_equal(one, two, 12);
	}
}

/* RFC 7627 5.4; RFC 9266 says so of tls-exporter, too. */
static void
channel_binding_is_refused_where_it_binds_nothing(void **state)
{
	struct err e = {0};
	uint8_t out[TLS_BINDING_MAX];
	size_t len;
	auto_world w;
	world_init(&w);
	auto_(tls_client_free) struct tls_client *c = new_client(&w, true);
	auto_pair v13, weak;
	join_version(&v13, &w, c, TLS1_3_VERSION, true);
	assert_fails(
	    tls_channel_binding(v13.server, TLS_UNIQUE, out, &len, &e), &e, UNSUPPORTED);
	join_version(&weak, &w, c, TLS1_2_VERSION, false);
	assert_fails(
	    tls_channel_binding(weak.server, TLS_UNIQUE, out, &len, &e), &e, UNSUPPORTED);
	assert_fails(tls_channel_binding(weak.server, TLS_EXPORTER, out, &len, &e), &e,
	    UNSUPPORTED);
}

/* What a jailed process lives by: with no descriptor to be had, nothing is missed. */
static void
handshake_after_init_opens_no_file(void **state)
{
	auto_world w;
	world_init(&w);
	struct err e = {0};
	struct rlimit was, none;
	assert_ok(tls_init(&e), &e);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	auto_(tls_client_free) struct tls_client *c = new_client(&w, true);
	auto_pair p;
	join(&p, w.server, tls_client_ssl(c, "hub.example.net", &e));
	bool ok = handshake(&p);
	auto_(key_free) struct key *k = key_generate(KEY_P384, &e);
	setrlimit(RLIMIT_NOFILE, &was);
	assert_true(ok && k);
}

static void
server_takes_clients_without_certificate_and_self_signed_ones(void **state)
{
	auto_world w;
	world_init(&w);
	struct err e = {0};
	auto_(tls_client_free) struct tls_client *c = new_client(&w, false);
	auto_pair p;
	join(&p, w.server, tls_client_ssl(c, "127.0.0.1", &e));
	assert_true(handshake(&p));
	assert_null(tls_sni(p.server));
	auto_cert_list peer = {.n = 0};
	assert_ok(tls_peer_chain(p.server, &peer, &e), &e);
	assert_int_equal(peer.n, 0);

	auto_party self = forge(&(struct forge){.cn = "dev-9", .to_s = NOW_S - 100});
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	cert_write_pem(self.cert->der, &pem);
	auto_(tls_client_free) struct tls_client *c2 = tls_client_new(
	    &(struct tls_client_options){.roots_pem = buf_span(&w.root_pem),
		.chain_pem = buf_span(&pem),
		.key = self.key},
	    &e);
	auto_pair p2;
	join(&p2, w.server, tls_client_ssl(c2, "127.0.0.1", &e));
	assert_true(handshake(&p2));
	assert_ok(tls_peer_chain(p2.server, &peer, &e), &e);
	assert_int_equal(peer.n, 1);
	assert_true(peer.v[0]->self_signed);
}

static void
server_refuses_a_client_without_the_key_of_its_certificate(void **state)
{
	auto_world w;
	world_init(&w);
	struct err e = {0};
	auto_(tls_client_free) struct tls_client *c = new_client(&w, true);
	/* OpenSSL will not load a foreign key; a wrong signature has to be smuggled in */
	auto_party other = forge_leaf("dev-17", &w.root);
	struct tls_client_options o = {.roots_pem = buf_span(&w.root_pem),
	    .chain_pem = buf_span(&w.device_pem),
	    .key = other.key};
	assert_null(tls_client_new(&o, &e));
	assert_int_equal(e.code, ERR_CRYPTO);
	auto_pair p;
	join(&p, w.server, tls_client_ssl(c, "127.0.0.1", &e));
	for (int i = 0; i < 20 && !SSL_is_init_finished(p.client); i++) {
		SSL_do_handshake(p.client);
		if (!SSL_is_init_finished(p.client))
			SSL_do_handshake(p.server);
	}
	/* the client's last flight is its certificate and proof: spoil the bytes on the
	 * way */
	char flight[8192];
	BIO *in = SSL_get_rbio(p.server);
	int n = BIO_read(in, flight, sizeof(flight));
	assert_true(n > 100);
	flight[n - 100] ^= 1;
	BIO *spoiled = BIO_new_mem_buf(flight, n);
	BIO_up_ref(spoiled);
	SSL_set0_rbio(p.server, spoiled);
	assert_int_not_equal(SSL_do_handshake(p.server), 1);
	BIO_free(spoiled);
	assert_int_equal(tls_error(&e, ERR_CRYPTO, "handshake"), -1);
	assert_non_null(strstr(e.text, "handshake: "));
}

static void
client_refuses_wrong_name_address_and_root(void **state)
{
	auto_world w;
	world_init(&w);
	struct err e = {0};
	static const char *const names[] = {"other.example.net", "127.0.0.2", "server"};
	auto_(tls_client_free) struct tls_client *c = new_client(&w, false);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		auto_pair p;
		join(&p, w.server, tls_client_ssl(c, names[i], &e));
		assert_false(handshake(&p));
		assert_int_not_equal(SSL_get_verify_result(p.client), X509_V_OK);
	}
	auto_party stranger = forge_root("Stranger");
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	cert_write_pem(stranger.cert->der, &pem);
	auto_(tls_client_free) struct tls_client *c2 =
	    tls_client_new(&(struct tls_client_options){.roots_pem = buf_span(&pem)}, &e);
	auto_pair p;
	join(&p, w.server, tls_client_ssl(c2, "hub.example.net", &e));
	assert_false(handshake(&p));
}

static void
server_gives_no_ticket_and_speaks_no_tls_1_1(void **state)
{
	auto_world w;
	world_init(&w);
	struct err e = {0};
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION, TLS1_1_VERSION};
	auto_(tls_client_free) struct tls_client *c = new_client(&w, true);
	for (size_t i = 0; i < 3; i++) {
		auto_pair p;
		join(&p, w.server, tls_client_ssl(c, "hub.example.net", &e));
		SSL_set_min_proto_version(p.client, 0);
		SSL_set_max_proto_version(p.client, versions[i]);
		assert_int_equal(handshake(&p), versions[i] != TLS1_1_VERSION);
		char byte;
		SSL_read(p.client, &byte, 1); /* takes in what follows the handshake */
		SSL_SESSION *s = SSL_get_session(p.client);
		assert_false(
		    s && SSL_SESSION_is_resumable(s) && SSL_SESSION_has_ticket(s));
		assert_true(sk_X509_NAME_num(SSL_get0_peer_CA_list(p.client)) <= 0);
	}
}

static void
server_replaces_its_certificate_under_live_connections(void **state)
{
	auto_world w;
	world_init(&w);
	struct err e = {0};
	auto_(tls_client_free) struct tls_client *c = new_client(&w, false);
	auto_pair old;
	join(&old, w.server, tls_client_ssl(c, "hub.example.net", &e));
	assert_true(handshake(&old));
	auto_party fresh = forge(&(struct forge){.cn = "server 2",
	    .issuer = &w.root,
	    .from_s = 1,
	    .to_s = INT64_C(4000000000),
	    .nid_name = "subjectAltName",
	    .nid_value = "DNS:hub.example.net"});
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	cert_write_pem(fresh.cert->der, &pem);
	assert_fails(
	    tls_server_replace(w.server, buf_span(&pem), w.device.key, &e), &e, CRYPTO);
	assert_ok(tls_server_replace(w.server, buf_span(&pem), fresh.key, &e), &e);
	char got[5] = "";
	assert_int_equal(SSL_write(old.server, "still", 5), 5);
	assert_int_equal(SSL_read(old.client, got, 5), 5);
	assert_memory_equal(got, "still", 5);
	auto_pair p;
	join(&p, w.server, tls_client_ssl(c, "hub.example.net", &e));
	assert_true(handshake(&p));
	auto_cert_list peer = {.n = 0};
	assert_ok(tls_peer_chain(p.client, &peer, &e), &e);
	assert_string_equal(peer.v[0]->cn, "server 2");
}

static void
server_with_two_key_types_serves_rsa_only_clients(void **state)
{
	auto_world w;
	world_init(&w);
	struct err e = {0};
	auto_party rsa = forge(&(struct forge){.cn = "rsa server",
	    .issuer = &w.root,
	    .from_s = 1,
	    .to_s = INT64_C(4000000000),
	    .rsa_bits = 2048,
	    .nid_name = "subjectAltName",
	    .nid_value = "DNS:hub.example.net"});
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	cert_write_pem(rsa.cert->der, &pem);
	assert_ok(tls_server_add(w.server, buf_span(&pem), rsa.key, &e), &e);
	auto_(tls_client_free) struct tls_client *c = new_client(&w, false);
	static const char *const suites[] = {
	    "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"};
	for (size_t i = 0; i < 2; i++) {
		auto_pair p;
		join(&p, w.server, tls_client_ssl(c, "hub.example.net", &e));
		SSL_set_max_proto_version(p.client, TLS1_2_VERSION);
		SSL_set_cipher_list(p.client, suites[i]);
		assert_true(handshake(&p));
		assert_string_equal(tls_cipher(p.server), suites[i]);
	}
}

static void
server_ends_handshakes_with_too_long_chains(void **state)
{
	auto_world w;
	world_init(&w);
	struct err e = {0};
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	cert_write_pem(w.device.cert->der, &pem);
	for (int i = 0; i < TLS_PEER_MAX; i++) {
		auto_party filler = forge_root("Filler");
		cert_write_pem(filler.cert->der, &pem);
	}
	auto_(tls_client_free) struct tls_client *c = tls_client_new(
	    &(struct tls_client_options){.roots_pem = buf_span(&w.root_pem),
		.chain_pem = buf_span(&pem),
		.key = w.device.key},
	    &e);
	auto_pair p;
	join(&p, w.server, tls_client_ssl(c, "hub.example.net", &e));
	assert_false(handshake(&p));
}

/* ---- tickets ------------------------------------------------------------------------
 */

static struct span
ticket_key(uint8_t fill, uint8_t out[TLS_TICKET_KEY])
{
	memset(out, fill, TLS_TICKET_KEY);
	return span_of(out, TLS_TICKET_KEY);
}

static void
use_keys(struct tls_server *t, uint8_t now, uint8_t before)
{
	uint8_t a[TLS_TICKET_KEY], b[TLS_TICKET_KEY];
	struct span older = before ? ticket_key(before, b) : SPAN_NONE;
	tls_server_tickets(t, ticket_key(now, a), older);
}

/* Connects, offering what was kept before; keeps what there is to resume with. */
static bool
connect_again(struct world *w, struct tls_client *c, int version, SSL_SESSION **kept,
    struct cert_list *ret_peer)
{
	struct err e = {0};
	char byte;
	auto_pair p;
	join(&p, w->server, tls_client_ssl(c, "hub.example.net", &e));
	tls_offer_ticket(p.server);
	SSL_set_max_proto_version(p.client, version);
	if (*kept)
		SSL_set_session(p.client, *kept);
	assert_true(handshake(&p));
	SSL_read(p.client, &byte, 1); /* a ticket of 1.3 comes after the handshake */
	assert_ok(tls_peer_chain(p.server, ret_peer, &e), &e);
	SSL_SESSION_free(*kept);
	*kept = SSL_get1_session(p.client);
	/* freed without it, a connection spoils its session */
	SSL_set_shutdown(p.client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	return tls_resumed(p.server);
}

static void
check_resumption(int version)
{
	auto_world w;
	world_init(&w);
	auto_(tls_client_free) struct tls_client *c = new_client(&w, true);
	SSL_SESSION *kept = NULL;
	auto_cert_list first = {.n = 0}, second = {.n = 0}, third = {.n = 0},
		       fourth = {.n = 0};
	use_keys(w.server, 1, 0);
	assert_false(connect_again(&w, c, version, &kept, &first));
	assert_true(connect_again(&w, c, version, &kept, &second));
	assert_int_equal(second.n, 2); /* to be judged anew, all of it */
	for (size_t i = 0; i < 2; i++)
		assert_memory_equal(
		    first.v[i]->sha256, second.v[i]->sha256, DIGEST_SHA256);
	use_keys(w.server, 2, 1);
	assert_true(connect_again(&w, c, version, &kept, &third));
	assert_int_equal(third.n, 2);
	use_keys(w.server, 4, 3);
	assert_false(connect_again(&w, c, version, &kept, &fourth));
	assert_int_equal(fourth.n, 2);
	SSL_SESSION_free(kept);
}

static void
resumed_session_of_1_2_shows_the_chain_of_its_first_handshake(void **state)
{
	check_resumption(TLS1_2_VERSION);
}

static void
resumed_session_of_1_3_shows_the_chain_of_its_first_handshake(void **state)
{
	check_resumption(TLS1_3_VERSION);
}

static void
nobody_resumes_without_keys(void **state)
{
	auto_world w;
	world_init(&w);
	auto_(tls_client_free) struct tls_client *c = new_client(&w, true);
	SSL_SESSION *kept = NULL;
	for (int i = 0; i < 2; i++) {
		auto_cert_list peer = {.n = 0};
		assert_false(connect_again(&w, c, TLS1_2_VERSION, &kept, &peer));
	}
	SSL_SESSION_free(kept);
}

/* Nine CA certificates are more than a ticket carries. */
static void
large_chain_gets_no_ticket(void **state)
{
	auto_world w;
	world_init(&w);
	for (int i = 0; i < 8; i++)
		cert_write_pem(w.root.cert->der, &w.device_pem);
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		auto_(tls_client_free) struct tls_client *c = new_client(&w, true);
		SSL_SESSION *kept = NULL;
		use_keys(w.server, 1, 0);
		for (int i = 0; i < 2; i++) {
			auto_cert_list peer = {.n = 0};
			assert_false(connect_again(&w, c, version, &kept, &peer));
			assert_int_equal(peer.n, 10);
		}
		SSL_SESSION_free(kept);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tls_init_may_be_repeated),
	    cmocka_unit_test(handshake_after_init_opens_no_file),
	    cmocka_unit_test(server_hands_over_the_peers_chain_whatever_it_is),
	    cmocka_unit_test(
		server_takes_clients_without_certificate_and_self_signed_ones),
	    cmocka_unit_test(server_refuses_a_client_without_the_key_of_its_certificate),
	    cmocka_unit_test(client_refuses_wrong_name_address_and_root),
	    cmocka_unit_test(server_gives_no_ticket_and_speaks_no_tls_1_1),
	    cmocka_unit_test(channel_binding_is_the_same_at_both_ends_and_nowhere_else),
	    cmocka_unit_test(channel_binding_is_refused_where_it_binds_nothing),
	    cmocka_unit_test(server_replaces_its_certificate_under_live_connections),
	    cmocka_unit_test(server_with_two_key_types_serves_rsa_only_clients),
	    cmocka_unit_test(server_ends_handshakes_with_too_long_chains),
	    cmocka_unit_test(
		resumed_session_of_1_2_shows_the_chain_of_its_first_handshake),
	    cmocka_unit_test(
		resumed_session_of_1_3_shows_the_chain_of_its_first_handshake),
	    cmocka_unit_test(nobody_resumes_without_keys),
	    cmocka_unit_test(large_chain_gets_no_ticket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
