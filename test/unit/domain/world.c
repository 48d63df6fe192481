/*
 * A store, a clock and certificates for tests of rules.
 */
#include "world.h"

#include <stdio.h>
#include <unistd.h>

#include "crypto/chain.h"
#include "domain/hub/device.h"
#include "io/file.h"

int
world_setup(void **state)
{
	struct world *w = own_alloc(sizeof(*w));
	char path[100];
	snprintf(w->dir, sizeof(w->dir), "/tmp/muster-domain-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(path, sizeof(path), "%s/hub.db", w->dir);
	w->arena = arena_new(64 << 20);
	w->cfg_arena = arena_new(4 * CONF_FILE_MAX);
	w->clock = clock_fake(WORLD_NOW_MS);
	conf_defaults(&config_table, &w->cfg, w->cfg_arena);
	struct store *s = store_open(path, &w->e);
	if (!s)
		fail_msg("%s", w->e.text);
	w->d = (struct domain){
	    .store = s, .cfg = &w->cfg, .clock = &w->clock, .arena = w->arena};
	w->book.n = 1;
	w->book.v[0] = (struct issuer_entry){
	    .name = "service-ca", .purpose = CA_SERVICE, .state = ISSUER_ACTIVE};
	memset(w->book.v[0].sha256, 0x55, sizeof(w->book.v[0].sha256));
	w->d.issuers = &w->book;
	assert_ok(store_begin(s, &w->e), &w->e);
	*state = w;
	return 0;
}

int
world_teardown(void **state)
{
	struct world *w = *state;
	store_rollback(w->d.store);
	store_close(w->d.store);
	arena_free(w->arena);
	arena_free(w->cfg_arena);
	assert_ok(file_remove_tree(w->dir, &w->e), &w->e);
	free(w);
	return 0;
}

static char *
sha256_of(struct world *w, const char *text)
{
	uint8_t sha[DIGEST_SHA256];
	char *hex = arena_alloc(w->arena, 65);
	digest_sha256(span_str(text), sha);
	hex_write(span_of(sha, sizeof(sha)), hex);
	return hex;
}

struct store_cert
world_cert(struct world *w, const char *subject, const char *serial)
{
	struct store_cert c = {.serial = serial,
	    .issuer = WORLD_CA,
	    .profile = "device",
	    .subject = subject,
	    .requester = "test",
	    .sha256 = sha256_of(w, serial),
	    .not_before_ms = WORLD_NOW_MS - 1000,
	    .not_after_ms = WORLD_NOW_MS + 30 * WORLD_DAY_MS,
	    .issued_ms = clock_wall_ms(&w->clock),
	    .der = SPAN_LIT("certificate"),
	    .key_sha256 = "",
	    .crl_shard = 3};
	assert_ok(store_cert_add(w->d.store, &c, &w->e), &w->e);
	return c;
}

static struct span
bytes_of(struct world *w, const char *hex)
{
	size_t n = strlen(hex) / 2;
	uint8_t *p = arena_alloc(w->arena, n);
	assert_ok(hex_parse(span_str(hex), p, n, &w->e), &w->e);
	return span_of(p, n);
}

struct ipc_cred
world_cred(struct world *w, const char *cn, const char *serial)
{
	return (struct ipc_cred){.kind = CRED_X509,
	    .verdict = CHAIN_OK,
	    .cn = span_str(cn),
	    .sha256 = bytes_of(w, sha256_of(w, serial)),
	    .sha1 = SPAN_LIT("0123456789abcdef0123"),
	    .not_before_ms = WORLD_NOW_MS - 1000,
	    .not_after_ms = WORLD_NOW_MS + 30 * WORLD_DAY_MS,
	    .chain = bytes_of(w, WORLD_CA),
	    .serial = span_str(serial),
	    .key_sha256 =
		bytes_of(w, sha256_of(w, arena_printf(w->arena, "k%s", serial)))};
}

const char *
world_issuer_hex(struct world *w, struct issuer *i)
{
	char *hex = arena_alloc(w->arena, 65);
	hex_write(span_of(issuer_cert(i)->sha256, DIGEST_SHA256), hex);
	return hex;
}

struct issuer *
world_issuer(struct world *w, const char *name, const char *purpose)
{
	auto_(key_free) struct key *k = key_generate(KEY_P256, &w->e);
	auto_buf der = BUF_INIT(CERT_MAX), pem = BUF_INIT(CERT_PEM_MAX);
	assert_ok(issuer_self_sign(k, name, NULL, WORLD_NOW_MS / 1000 - 86400,
		      86400 * 365, &der, &w->e),
	    &w->e);
	cert_write_pem(buf_span(&der), &pem);
	struct issuer *i = issuer_new(buf_span(&pem), k, &w->e);
	assert_non_null(i);
	const struct store_issuer row = {.sha256 = world_issuer_hex(w, i),
	    .name = name,
	    .purpose = purpose,
	    .state = "active",
	    .custody = "file",
	    .cert = buf_span(&der)};
	assert_ok(store_issuer_put(w->d.store, &row, &w->e), &w->e);
	return i;
}

void
world_device(struct world *w, const char *id)
{
	struct store_device dev = device_blank(&w->d, id);
	dev.auth = STORE_AUTH_CA;
	assert_ok(store_device_add(w->d.store, &dev, &w->e), &w->e);
}

struct store_device
world_get_device(struct world *w, const char *id)
{
	struct store_device dev;
	assert_ok(store_device_get(w->d.store, id, w->arena, &dev, &w->e), &w->e);
	return dev;
}
