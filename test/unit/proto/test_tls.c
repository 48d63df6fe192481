/*
 * X.509 devices and operators over real TLS: what the edge tells the core of a
 * certificate, and which it refuses by itself.
 */
#include "rig.h"

#include "../crypto/forge.h"

#include <stdio.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "crypto/ca.h"
#include "crypto/chain.h"
#include "crypto/tls.h"
#include "proto/credential.h"

#define DPS_USER(id) "0ne00000001/registrations/" id "/api-version=2019-03-31"

struct world {
	struct rig rig;
	struct ca ca;
	struct issuer *device, *service; /* of ca */
	struct key *server_key;
	struct tls_server *tls;
	struct stream_listener *listener;
	struct rig_addr addr;
};

/* A device leaf for cn, PEM with its issuer behind it. */
static void
issue(struct world *w, enum profile_id profile, const char *cn, struct key *key,
    int64_t shift_s, struct buf *pem)
{
	struct err e = {0};
	struct issuer *by = ca_first(&w->ca, ca_purpose_of(profile))->issuer;
	const char *const san[] = {"127.0.0.1"};
	const struct issuer_request q = {.profile = profile,
	    .cn = cn,
	    .san = san,
	    .n_san = profile == PROFILE_SERVER,
	    .spki = key_spki(key),
	    .now_s = clock_wall_s(&w->rig.clock) + shift_s,
	    .life_s = 3600};
	struct issuer_result res;
	auto_buf der = BUF_INIT(CERT_MAX);
	assert_ok(issuer_sign(by, &q, &der, &res, &e), &e);
	cert_write_pem(buf_span(&der), pem);
	cert_write_pem(issuer_cert(by)->der, pem);
}

/* Device CA and service CA under a root of a day ago. */
static void
make_issuer(struct issuer *root, struct ca *ca, enum ca_purpose purpose, const char *cn)
{
	struct err e = {0};
	struct ca_conf_row row = {.purpose = purpose, .cert = "ca.pem"};
	const struct ca_subject who = {.cn = cn};
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	auto_(key_free) struct key *key = key_generate(KEY_P256, &e);
	assert_ok(ca_make_issuing(root, key_spki(key), &who,
		      clock_wall_s(&clock_system) - 86000, &pem, &e),
	    &e);
	assert_ok(ca_add(ca, &row, buf_span(&pem), key, &e), &e);
}

static struct ca
make_ca(void)
{
	struct err e = {0};
	struct ca ca = {.n = 0};
	struct ca_conf_row row = {.purpose = CA_ROOT, .cert = "root.pem"};
	const struct ca_subject who = {.cn = "Root"};
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	auto_(key_free) struct key *key = key_generate(KEY_P256, &e);
	assert_ok(
	    ca_make_root(key, &who, clock_wall_s(&clock_system) - 86400, &pem, &e), &e);
	assert_ok(ca_add(&ca, &row, buf_span(&pem), NULL, &e), &e);
	auto_(issuer_free) struct issuer *root = issuer_new(buf_span(&pem), key, &e);
	assert_non_null(root);
	make_issuer(root, &ca, CA_DEVICE, "Device CA");
	make_issuer(root, &ca, CA_SERVICE, "Service CA");
	return ca;
}

static int
init_tls(void **state)
{
	struct err e = {0};
	assert_ok(tls_init(&e), &e);
	return 0;
}

static int
setup(void **state)
{
	struct err e = {0};
	struct world *w = own_alloc(sizeof(*w));
	rig_init(&w->rig);
	/* the client checks the server's certificate by the machine's clock */
	w->rig.clock = clock_fake(clock_wall_ms(&clock_system));
	w->ca = make_ca();
	w->device = ca_first(&w->ca, CA_DEVICE)->issuer;
	w->service = ca_first(&w->ca, CA_SERVICE)->issuer;
	assert_ok(chain_set_add(w->rig.anchors, (struct cert *)issuer_cert(w->device),
		      CHAIN_TRUSTED, &e),
	    &e);
	w->server_key = key_generate(KEY_P256, &e);
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	issue(w, PROFILE_SERVER, "127.0.0.1", w->server_key, 0, &pem);
	w->tls = tls_server_new(buf_span(&pem), w->server_key, &e);
	assert_non_null(w->tls);
	struct stream_opts opts = mqtt_server_stream_opts(&w->rig.env);
	w->listener = stream_listen(w->rig.loop, rig_listen(&w->addr), w->tls, &opts, 100,
	    mqtt_server_on_accept, w->rig.mqtt, &e);
	assert_non_null(w->listener);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;
	mqtt_server_free(TAKE(w->rig.mqtt));
	stream_listener_free(w->listener);
	tls_server_free(w->tls);
	key_free(w->server_key);
	ca_done(&w->ca);
	rig_done(&w->rig);
	free(w);
	return 0;
}

struct client {
	struct tls_client *tls;
	SSL *ssl;
	int fd;
};

/* Connects with a certificate (NULL: none), the loop turning in between. */
static void
client_open(struct client *c, struct world *w, const struct buf *chain, struct key *key)
{
	struct err e = {0};
	auto_buf root = BUF_INIT(CERT_PEM_MAX);
	cert_write_pem(ca_first(&w->ca, CA_ROOT)->cert->der, &root);
	const struct tls_client_options o = {.roots_pem = buf_span(&root),
	    .chain_pem = chain ? buf_span(chain) : SPAN_NONE,
	    .key = key};
	c->tls = tls_client_new(&o, &e);
	if (!c->tls)
		fail_msg("%s", e.text);
	c->ssl = tls_client_ssl(c->tls, "127.0.0.1", &e);
	c->fd = rig_dial(&w->addr);
	SSL_set_fd(c->ssl, c->fd);
	int rc = -1;
	for (int i = 0; i < 2000 && rc != 1; i++) {
		rc = SSL_connect(c->ssl);
		rig_settle(&w->rig);
	}
	assert_int_equal(rc, 1);
}

static void
client_close(struct client *c, struct world *w)
{
	tls_ssl_free(c->ssl);
	tls_client_free(c->tls);
	close(c->fd);
	rig_settle(&w->rig);
}

static void
client_connect(struct client *c, struct world *w, const struct connect *m)
{
	auto_buf b = BUF_INIT(4096);
	write_connect(&b, m);
	assert_int_equal(SSL_write(c->ssl, b.p, (int)b.len), (int)b.len);
	rig_settle(&w->rig);
}

static void
client_gets_connack(struct client *c, struct world *w, uint8_t code)
{
	uint8_t b[4];
	int n = -1;
	for (int i = 0; i < 2000 && n <= 0; i++) {
		rig_settle(&w->rig);
		n = SSL_read(c->ssl, b, sizeof(b));
	}
	assert_int_equal(n, 4);
	assert_int_equal(b[0], 0x20);
	assert_int_equal(b[3], code);
}

/* Provisioning with a leaf for cn as registration ID id; the CONNACK's code. */
static void
provision(struct world *w, enum profile_id profile, const char *cn, const char *user,
    int64_t shift_s, uint8_t code)
{
	struct err e = {0};
	struct client c;
	auto_(key_free) struct key *key = key_generate(KEY_P256, &e);
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	issue(w, profile, cn, key, shift_s, &pem);
	client_open(&c, w, &pem, key);
	const struct connect m = {.client_id = cn, .user = user, .clean = true};
	client_connect(&c, w, &m);
	client_gets_connack(&c, w, code);
	client_close(&c, w);
}

static void
good_leaf_reaches_the_core_with_its_chain(void **state)
{
	struct world *w = *state;
	struct err e = {0};
	struct client c;
	struct ipc_dps_register m;
	auto_(key_free) struct key *key = key_generate(KEY_P256, &e);
	auto_buf pem = BUF_INIT(CERT_PEM_MAX), b = BUF_INIT(4096);
	issue(w, PROFILE_DEVICE, "Dev-1", key, 0, &pem);
	auto_cert_list list = {0};
	assert_ok(cert_list_parse(buf_span(&pem), "leaf", &list, &e), &e);
	client_open(&c, w, &pem, key);
	const struct connect good = {.client_id = "dev-1", .user = DPS_USER("dev-1")};
	client_connect(&c, w, &good);
	client_gets_connack(&c, w, 0);
	write_publish(
	    &b, "$dps/registrations/PUT/iotdps-register/?$rid=1", SPAN_NONE, 0, 0, 0);
	SSL_write(c.ssl, b.p, (int)b.len);
	rig_core_gets(&w->rig, IPC_DPS_REGISTER, &m);
	assert_int_equal(m.cred.kind, CRED_X509);
	assert_int_equal(m.cred.verdict, CHAIN_OK);
	assert_int_equal(m.cred.verdict_text.len, 0);
	assert_true(span_eq_str(m.cred.cn, "Dev-1"));
	assert_true(span_eq(m.cred.sha256, span_of(list.v[0]->sha256, 32)));
	assert_true(span_eq(m.cred.sha1, span_of(list.v[0]->sha1, 20)));
	assert_true(span_eq(
	    span_head(m.cred.chain, 32), span_of(issuer_cert(w->device)->sha256, 32)));
	assert_int_equal(m.cred.not_after_ms, list.v[0]->not_after_ms);
	assert_true(span_eq_str(m.registration_id, "dev-1"));
	client_close(&c, w);
}

static void
cn_that_is_not_the_registration_id_is_5(void **state)
{
	struct ipc_refused m;
	struct world *w = *state;
	provision(w, PROFILE_DEVICE, "dev-2", DPS_USER("dev-1"), 0, 5);
	rig_core_gets(&w->rig, IPC_REFUSED, &m);
	assert_true(span_eq_str(m.device_id, "dev-1"));
}

static void
leaf_that_is_no_clients_is_5(void **state)
{
	struct ipc_refused m;
	struct world *w = *state;
	provision(w, PROFILE_SERVER, "dev-1", DPS_USER("dev-1"), 0, 5);
	rig_core_gets(&w->rig, IPC_REFUSED, &m);
	assert_int_equal(m.code, 401002);
}

static void
expired_leaf_is_let_in_and_left_to_the_core(void **state)
{
	struct world *w = *state;
	provision(w, PROFILE_DEVICE, "dev-1", DPS_USER("dev-1"), -20000, 0);
	assert_true(rig_core_is_idle(&w->rig));
}

static void
hub_leaves_every_certificate_to_the_core_with_its_verdict(void **state)
{
	struct world *w = *state;
	static const struct {
		int64_t shift_s;
		enum chain_reason verdict;
	} rows[] = {{0, CHAIN_OK}, {-20000, CHAIN_EXPIRED}};
	for (size_t i = 0; i < 2; i++) {
		struct err e = {0};
		struct client c;
		struct ipc_hub_open m;
		auto_(key_free) struct key *key = key_generate(KEY_P256, &e);
		auto_buf pem = BUF_INIT(CERT_PEM_MAX);
		issue(w, PROFILE_DEVICE, "dev-1", key, rows[i].shift_s, &pem);
		client_open(&c, w, &pem, key);
		const struct connect good = {
		    .client_id = "dev-1", .user = "127.0.0.1/dev-1"};
		client_connect(&c, w, &good);
		rig_core_gets(&w->rig, IPC_HUB_OPEN, &m);
		assert_int_equal(m.cred.kind, CRED_X509);
		assert_int_equal(m.cred.verdict, rows[i].verdict);
		client_close(&c, w);
	}
}

/* A leaf as `openssl x509 -req` with few extensions makes it (docs/path-validation.md).
 */
static void
leaf_without_eku_is_refused_where_the_configuration_says_so(void **state)
{
	struct world *w = *state;
	struct ipc_hub_open m;
	int64_t now_s = clock_wall_s(&w->rig.clock);
	struct party by = {
	    .key = issuer_key(w->device), .cert = (struct cert *)issuer_cert(w->device)};
	auto_party leaf = forge(&(struct forge){.cn = "dev-1",
	    .issuer = &by,
	    .basic = "CA:FALSE",
	    .from_s = now_s - 60,
	    .to_s = now_s + 3600});
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	cert_write_pem(leaf.cert->der, &pem);
	const struct connect good = {.client_id = "dev-1", .user = "127.0.0.1/dev-1"};
	for (int required = 0; required <= 1; required++) {
		struct client c;
		w->rig.config.pki.require_eku = required;
		client_open(&c, w, &pem, leaf.key);
		client_connect(&c, w, &good);
		rig_core_gets(&w->rig, IPC_HUB_OPEN, &m);
		assert_int_equal(
		    m.cred.verdict, required ? CHAIN_NO_CLIENT_AUTH : CHAIN_OK);
		client_close(&c, w);
	}
}

static void
token_counts_before_the_certificate(void **state)
{
	struct world *w = *state;
	struct err e = {0};
	struct client c;
	struct ipc_hub_open m;
	auto_(key_free) struct key *key = key_generate(KEY_P256, &e);
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	issue(w, PROFILE_DEVICE, "dev-1", key, 0, &pem);
	client_open(&c, w, &pem, key);
	const struct connect good = {.client_id = "dev-1",
	    .user = "127.0.0.1/dev-1",
	    .password = TOKEN("127.0.0.1%2Fdevices%2Fdev-1")};
	client_connect(&c, w, &good);
	rig_core_gets(&w->rig, IPC_HUB_OPEN, &m);
	assert_int_equal(m.cred.kind, CRED_SAS);
	assert_int_equal(m.cred.sha256.len, 0);
	client_close(&c, w);
}

static void
client_without_a_certificate_is_no_credential(void **state)
{
	struct world *w = *state;
	struct client c;
	struct ipc_hub_open m;
	client_open(&c, w, NULL, NULL);
	const struct connect good = {.client_id = "dev-1", .user = "127.0.0.1/dev-1"};
	client_connect(&c, w, &good);
	rig_core_gets(&w->rig, IPC_HUB_OPEN, &m);
	assert_int_equal(m.cred.kind, CRED_NONE);
	client_close(&c, w);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(good_leaf_reaches_the_core_with_its_chain),
	    T(cn_that_is_not_the_registration_id_is_5),
	    T(leaf_that_is_no_clients_is_5),
	    T(expired_leaf_is_let_in_and_left_to_the_core),
	    T(hub_leaves_every_certificate_to_the_core_with_its_verdict),
	    T(leaf_without_eku_is_refused_where_the_configuration_says_so),
	    T(token_counts_before_the_certificate),
	    T(client_without_a_certificate_is_no_credential),
	};
	return cmocka_run_group_tests(tests, init_tls, NULL);
}
