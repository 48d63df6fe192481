/*
 * Rules of issuance.
 */
#include "domain/pki/issue.h"

#include <string.h>

#include "base/hex.h"
#include "codec/hub_conf.h"
#include "codec/id.h"
#include "crypto/digest.h"
#include "domain/pki/issuer.h"

/* Adds a name that is not there yet. */
static void
add_name(struct span name, struct buf *names)
{
	struct span rest = buf_span(names);
	while (rest.len)
		if (span_ieq(span_split(&rest, ' '), name))
			return;
	buf_printf(names, "%s%.*s", names->len ? " " : "", SPAN_FMT(name));
}

static void
add_all_names(const struct config *cfg, struct buf *names)
{
	for (size_t i = 0; i < cfg->server.name.n; i++)
		add_name(span_str(cfg->server.name.v[i]), names);
	for (size_t i = 0; i < cfg->hub.name.n; i++)
		add_name(span_str(cfg->hub.name.v[i]), names);
	for (size_t i = 0; i < cfg->hub.alias.n; i++)
		add_name(hub_conf_alias(cfg->hub.alias.v[i]), names);
}

/* Peers look at the SANs; a CN is for people, and holds 64 characters at most (X.520). */
static struct span
server_cn(const struct config *cfg)
{
	struct span name = span_str(cfg->server.name.v[0]);
	return name.len <= ID_CN_MAX ? name : SPAN_LIT("muster server");
}

int
issue_server(
    struct domain *d, struct span spki, struct ipc_signer_issue *ret, struct err *e)
{
	const struct issuer_entry *by;
	if (issuer_active(d, CA_SERVICE, &by, e))
		return -1;
	auto_buf names = BUF_INIT(4096);
	add_all_names(d->cfg, &names);
	*ret = (struct ipc_signer_issue){.profile = PROFILE_SERVER,
	    .subject = server_cn(d->cfg),
	    .names = arena_span(d->arena, buf_span(&names)),
	    .spki = spki,
	    .life_ms = d->cfg->pki.server_life_ms,
	    .requester = SPAN_LIT("edge"),
	    .issuer = span_of(by->sha256, sizeof(by->sha256))};
	return 0;
}

int
issue_record(struct domain *d, const struct ipc_signer_issue *asked,
    const struct ipc_signer_issued *got, struct err *e)
{
	uint8_t sha[DIGEST_SHA256], key[DIGEST_SHA256];
	char sha_text[65], key_text[65], issuer_text[65];
	if (got->issuer.len != DIGEST_SHA256)
		return err_set(e, ERR_INTERNAL, "the signer named no issuer");
	digest_sha256(got->der, sha);
	digest_sha256(asked->spki, key);
	hex_write(span_of(sha, sizeof(sha)), sha_text);
	hex_write(span_of(key, sizeof(key)), key_text);
	hex_write(got->issuer, issuer_text);
	struct store_cert c = {.serial = arena_str(d->arena, got->serial),
	    .issuer = issuer_text,
	    .profile = profile_get((enum profile_id)asked->profile)->name,
	    .subject = arena_str(d->arena, asked->subject),
	    .requester = arena_str(d->arena, asked->requester),
	    .sha256 = sha_text,
	    .not_before_ms = got->not_before_ms,
	    .not_after_ms = got->not_after_ms,
	    .issued_ms = domain_now(d),
	    .der = got->der,
	    .key_sha256 = key_text,
	    .crl_shard = got->shard};
	return store_cert_add(d->store, &c, e);
}

int
issue_is_of(
    struct domain *d, const char *sha256, const char *device_id, bool *ret, struct err *e)
{
	struct store_cert c;
	if (store_cert_by_sha256(d->store, sha256, d->arena, &c, e)) {
		*ret = false;
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	}
	*ret = strcmp(c.subject, device_id) == 0 &&
	       strcmp(c.profile, profile_get(PROFILE_DEVICE)->name) == 0;
	return 0;
}
