/*
 * Making an operator.
 */
#include "cmd/operator.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "crypto/cert.h"
#include "domain/pki/issue.h"
#include "domain/pki/issuer.h"
#include "domain/access/principal.h"
#include "io/file.h"
#include "role/signer_client.h"

struct making {
	const char *home, *name;
	const struct config *cfg;
	struct arena *arena; /* holds what ask and got point to */
	struct key *key;
	struct span issuer; /* SHA-256 of the CA that is active, empty: the first */
	struct ipc_signer_issue ask;
	struct ipc_signer_issued got;
	struct cert *cert;
};

bool
operator_is_name(const char *s)
{
	return principal_is_name(span_str(s));
}

static int
on_issued(void *arg, size_t i, const struct ipc_signer_issued *got, const struct err *why,
    struct err *e)
{
	struct making *m = arg;
	(void)i;
	if (why)
		return err_copy(e, why);
	m->got = *got;
	m->got.der = arena_span(m->arena, got->der);
	m->got.serial = arena_span(m->arena, got->serial);
	m->got.issuer = arena_span(m->arena, got->issuer);
	m->cert = cert_parse(got->der, e);
	return m->cert ? 0 : -1;
}

static int
write_file(const struct making *m, const char *ending, const struct buf *text,
    mode_t mode, struct err *e)
{
	char name[100], path[HOME_PATH];
	snprintf(name, sizeof(name), "operators/%s.%s", m->name, ending);
	if (home_join(m->home, name, path, sizeof(path), e))
		return -1;
	return file_write_new(path, buf_span(text), mode, e);
}

static int
write_files(struct making *m, struct span issuer, struct err *e)
{
	auto_buf pem = BUF_INIT(KEY_PEM_MAX), chain = BUF_INIT(3 * CERT_MAX);
	pem.secret = true;
	if (key_write(m->key, &pem, e))
		return -1;
	cert_write_pem(m->cert->der, &chain);
	cert_write_pem(issuer, &chain);
	if (write_file(m, "key", &pem, 0600, e))
		return -1;
	return write_file(m, "pem", &chain, 0644, e);
}

/* A fresh home's store knows no CA yet. */
static int
choose_issuer(struct making *m, struct store *s, struct err *e)
{
	auto_(free) struct issuer_book *book = own_alloc(sizeof(*book));
	struct domain d = {.store = s,
	    .cfg = m->cfg,
	    .clock = &clock_system,
	    .arena = m->arena,
	    .issuers = book};
	const struct issuer_entry *by;
	if (issuer_load(&d, book, e))
		return -1;
	if (!issuer_is_ready(&d))
		return 0;
	if (issuer_active(&d, CA_SERVICE, &by, e))
		return -1;
	m->issuer = arena_span(m->arena, span_of(by->sha256, sizeof(by->sha256)));
	return 0;
}

/* The key is made here; the certificate comes from the service CA. */
static int
issue(struct making *m, struct err *e)
{
	auto_buf issuer = BUF_INIT(CERT_MAX);
	m->key = key_generate((enum key_alg)m->cfg->pki.key, e);
	if (!m->key)
		return -1;
	m->ask = (struct ipc_signer_issue){.profile = PROFILE_OPERATOR,
	    .subject = span_str(m->name),
	    .spki = key_spki(m->key),
	    .requester = SPAN_LIT("init"),
	    .issuer = m->issuer};
	auto_(signer_client_free) struct signer_client *signer =
	    signer_client_start(m->home, m->cfg, e);
	if (!signer || signer_client_issue(signer, &m->ask, 1, on_issued, m, e) ||
	    signer_client_ca(signer, m->got.issuer, &issuer, e))
		return -1;
	return write_files(m, buf_span(&issuer), e);
}

/* Who is new is an owner; who is known keeps the role. */
static int
enter_principal(struct making *m, struct store *s, struct err *e)
{
	struct store_principal p;
	if (store_principal_get(s, m->name, m->arena, &p, e) == 0)
		return 0;
	if (e->code != ERR_NOT_FOUND)
		return -1;
	p = principal_new(m->name, "owner", clock_wall_ms(&clock_system), m->arena);
	return store_principal_put(s, &p, e);
}

static int
enter(struct making *m, struct store *s, struct err *e)
{
	char sha[65];
	struct domain d = {
	    .store = s, .cfg = m->cfg, .clock = &clock_system, .arena = m->arena};
	hex_write(span_of(m->cert->sha256, DIGEST_SHA256), sha);
	const struct store_operator op = {.sha256 = sha,
	    .name = m->name,
	    .added_ms = clock_wall_ms(&clock_system),
	    .not_after_ms = m->cert->not_after_ms,
	    .enabled = true};
	if (store_begin(s, e))
		return -1;
	if (store_operator_put(s, &op, e) || enter_principal(m, s, e) ||
	    issue_record(&d, &m->ask, &m->got, e)) {
		store_rollback(s);
		return -1;
	}
	return store_commit(s, e);
}

static int
make(struct making *m, const char *store, struct buf *line, struct err *e)
{
	auto_(store_close) struct store *s = store_open(store, e);
	if (!s || choose_issuer(m, s, e) || issue(m, e) || enter(m, s, e))
		return -1;
	cert_line(m->cert, line);
	return 0;
}

int
operator_make(const char *home, const char *store, const struct config *cfg,
    const char *name, struct buf *line, struct err *e)
{
	struct making m = {
	    .home = home, .name = name, .cfg = cfg, .arena = arena_new(1 << 20)};
	int rc = make(&m, store, line, e);
	cert_free(m.cert);
	key_free(m.key);
	arena_free(m.arena);
	return rc ? err_wrap(e, "operator %s", name) : 0;
}
