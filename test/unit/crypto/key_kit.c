/*
 * What every key must be able to do.
 */
#include "key_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/csr.h"
#include "crypto/tls.h"

/* --- files and programs --- */

void
scratch_init(struct scratch *s)
{
	snprintf(s->path, sizeof(s->path), "/tmp/muster-keys-XXXXXX");
	assert_non_null(mkdtemp(s->path));
}

static int
on_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void
scratch_done(struct scratch *s)
{
	nftw(s->path, on_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *
scratch_at(const struct scratch *s, const char *name)
{
	static char rooms[4][120];
	static unsigned next;
	char *room = rooms[next++ % 4];
	snprintf(room, sizeof(rooms[0]), "%s/%s", s->path, name);
	return room;
}

void
scratch_write(const struct scratch *s, const char *name, const char *text, int mode)
{
	int fd = open(scratch_at(s, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, (mode_t)mode), 0);
	close(fd);
}

static void
set_path(void)
{
	char path[4096];
	const char *now = getenv("PATH");
	snprintf(path, sizeof(path), "%s:/usr/sbin:/sbin", now ? now : "/usr/bin:/bin");
	setenv("PATH", path, 1);
}

int
kit_run(const char *const argv[])
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		set_path();
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool
kit_has(const char *program)
{
	return kit_run((const char *const[]){program, "--version", NULL}) != 127;
}

/* --- signing --- */

static void
verify(struct key *k, const uint8_t *sig, size_t len)
{
	struct err e = {0};
	assert_ok(key_verify(key_spki(k), key_alg_hash(key_algorithm(k)), SPAN_LIT("abc"),
		      span_of(sig, len), &e),
	    &e);
	assert_fails(key_verify(key_spki(k), key_alg_hash(key_algorithm(k)),
			 SPAN_LIT("abd"), span_of(sig, len), &e),
	    &e, CRYPTO);
}

/* OpenSSL's own eyes, on a public key it read itself. */
static void
verify_digest(struct key *k, const EVP_MD *md, const struct key_digest *d,
    const uint8_t *sig, size_t len)
{
	const uint8_t *p = key_spki(k).p;
	EVP_PKEY *pub = d2i_PUBKEY(NULL, &p, (long)key_spki(k).len);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(pub, NULL);
	assert_int_equal(EVP_PKEY_verify_init(c), 1);
	assert_int_equal(EVP_PKEY_CTX_set_signature_md(c, md), 1);
	if (EVP_PKEY_is_a(pub, "RSA") && d->pad == KEY_PAD_PSS) {
		assert_int_equal(
		    EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST), 1);
	}
	assert_int_equal(EVP_PKEY_verify(c, sig, len, d->digest.p, d->digest.len), 1);
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(pub);
}

static void
sign_digests(struct key *k)
{
	const struct {
		enum key_hash hash;
		const EVP_MD *md;
	} rows[] = {{KEY_SHA256, EVP_sha256()}, {KEY_SHA384, EVP_sha384()},
	    {KEY_SHA512, EVP_sha512()}};
	struct err e = {0};
	uint8_t sig[KEY_SIG_MAX], md[64];
	size_t len;
	for (int i = 0; i < 6; i++) {
		unsigned n;
		assert_int_equal(EVP_Digest("abc", 3, md, &n, rows[i / 2].md, NULL), 1);
		struct key_digest d = {rows[i / 2].hash,
		    i % 2 ? KEY_PAD_PSS : KEY_PAD_PKCS1, span_of(md, n)};
		assert_ok(key_sign_digest(k, &d, sig, &len, &e), &e);
		verify_digest(k, rows[i / 2].md, &d, sig, len);
		d.digest.len--;
		assert_fails(key_sign_digest(k, &d, sig, &len, &e), &e, PARSE);
	}
}

static void
make_csr(struct key *k)
{
	struct err e = {0};
	struct csr csr;
	auto_buf der = BUF_INIT(CSR_MAX);
	assert_ok(csr_write(k, "dev-17", NULL, &der, &e), &e);
	assert_ok(csr_parse(buf_span(&der), &csr, &e), &e);
	assert_true(key_is_spki(k, csr.spki));
	csr_done(&csr);
}

void
kit_signs(struct key *k)
{
	struct err e = {0};
	uint8_t sig[KEY_SIG_MAX];
	size_t len;
	assert_ok(key_sign(k, SPAN_LIT("abc"), sig, &len, &e), &e);
	verify(k, sig, len);
	auto_(key_signer_free) struct key_signer *s = key_signer_new(k, &e);
	assert_non_null(s);
	for (int i = 0; i < 3; i++) {
		assert_ok(key_signer_sign(s, SPAN_LIT("abc"), sig, &len, &e), &e);
		verify(k, sig, len);
	}
	sign_digests(k);
	make_csr(k);
}

void
kit_stays(struct key *k)
{
	struct err e = {0};
	auto_buf pem = BUF_INIT(KEY_PEM_MAX);
	assert_fails(key_write(k, &pem, &e), &e, UNSUPPORTED);
	assert_fails(
	    key_write_encrypted(k, SPAN_LIT("correct horse"), &pem, &e), &e, UNSUPPORTED);
	assert_int_equal(pem.len, 0);
	assert_int_not_equal(key_custody(k), KEY_CUSTODY_FILE);
	assert_false(key_is_exportable(k));
}

/* --- TLS --- */

struct ends {
	struct tls_server *server;
	struct tls_client *client;
	SSL *s, *c;
};

static void
ends_done(struct ends *p)
{
	tls_ssl_free(p->s);
	tls_ssl_free(p->c);
	tls_server_free(p->server);
	tls_client_free(p->client);
}
#define auto_ends __attribute__((cleanup(ends_done))) struct ends

static void
meet(struct ends *p, struct party *root, struct party *server, struct party *device)
{
	struct err e = {0};
	BIO *a, *b;
	auto_buf roots = BUF_INIT(CERT_PEM_MAX), chain = BUF_INIT(CERT_PEM_MAX),
		 own = BUF_INIT(CERT_PEM_MAX);
	cert_write_pem(root->cert->der, &roots);
	cert_write_pem(server->cert->der, &chain);
	cert_write_pem(device->cert->der, &own);
	p->server = tls_server_new(buf_span(&chain), server->key, &e);
	p->client =
	    tls_client_new(&(struct tls_client_options){.roots_pem = buf_span(&roots),
			       .chain_pem = buf_span(&own),
			       .key = device->key},
		&e);
	if (!p->server || !p->client)
		fail_msg("%s", e.text);
	p->s = tls_server_ssl(p->server, &e);
	p->c = tls_client_ssl(p->client, "hub.example.net", &e);
	assert_int_equal(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	SSL_set_bio(p->c, a, a);
	SSL_set_bio(p->s, b, b);
}

static void
shake(struct ends *p, int version)
{
	struct err e = {0};
	auto_cert_list peer = {.n = 0};
	SSL_set_min_proto_version(p->c, version);
	SSL_set_max_proto_version(p->c, version);
	for (int i = 0; i < 20; i++) {
		SSL_do_handshake(p->c);
		SSL_do_handshake(p->s);
	}
	if (!SSL_is_init_finished(p->c) || !SSL_is_init_finished(p->s)) {
		tls_error(&e, ERR_CRYPTO, "handshake");
		fail_msg("%s", e.text);
	}
	assert_int_equal(SSL_version(p->s), version);
	assert_ok(tls_peer_chain(p->s, &peer, &e), &e);
	assert_int_equal(peer.n, 1);
	ERR_clear_error();
}

static struct party
server_of(const struct party *root, struct key *k)
{
	return forge(&(struct forge){.cn = "server",
	    .issuer = root,
	    .from_s = 1,
	    .to_s = INT64_C(4000000000),
	    .basic = "critical,CA:FALSE",
	    .eku = "serverAuth",
	    .nid_name = "subjectAltName",
	    .nid_value = "DNS:hub.example.net",
	    .key = k});
}

static struct party
device_of(const struct party *root, struct key *k)
{
	return forge(&(struct forge){.cn = "dev-17",
	    .issuer = root,
	    .from_s = 1,
	    .to_s = INT64_C(4000000000),
	    .basic = "critical,CA:FALSE",
	    .eku = "clientAuth",
	    .key = k});
}

void
kit_does_tls(struct key *k)
{
	static const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION};
	auto_party root = forge_root("Root");
	for (int i = 0; i < 4; i++) {
		bool is_server = i % 2;
		auto_party server = server_of(&root, is_server ? k : NULL);
		auto_party device = device_of(&root, is_server ? NULL : k);
		auto_ends p = {NULL};
		meet(&p, &root, &server, &device);
		shake(&p, versions[i / 2]);
	}
}
