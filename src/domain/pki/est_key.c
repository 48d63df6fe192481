/*
 * Keys that are somebody's already.
 */
#include "domain/pki/est_key.h"

#include <string.h>

#include "base/hex.h"
#include "codec/der.h"
#include "crypto/crl.h"
#include "crypto/digest.h"
#include "crypto/profile.h"
#include "store/pki.h"

struct search {
	const char *device_id, *key_sha256;
	struct refusal *no;
};

/* Ends the walk: the key is taken. */
static int
taken(struct search *s, const char *what, const char *whose)
{
	refusal_set(s->no, REFUSAL_EST_KEY_REUSE, "%s %s", what, whose);
	return 1;
}

static int
visit_cert(void *ctx, const struct store_cert *c, struct err *e)
{
	struct search *s = ctx;
	(void)e;
	/* nor is one again that somebody else has, whoever asks */
	if (c->revoked_ms && c->reason == CRL_KEY_COMPROMISE)
		return taken(s, "compromised key of", c->subject);
	bool is_device = strcmp(c->profile, profile_get(PROFILE_DEVICE)->name) == 0;
	if (is_device && strcmp(c->subject, s->device_id) == 0)
		return 0;
	return taken(s, c->profile, c->subject);
}

static int
visit_device(void *ctx, const struct store_device_cert *c, struct err *e)
{
	struct search *s = ctx;
	(void)e;
	return strcmp(c->device_id, s->device_id) == 0 ? 0
						       : taken(s, "device", c->device_id);
}

/* SHA-256 of the SPKI in a certificate's DER: the seventh member of a v3 TBSCertificate
 * (RFC 5280 4.1). A full parse costs a hundred times as much, for each CA. */
static int
key_of(struct span cert, char ret[65], struct err *e)
{
	struct span outer, tbs;
	struct der_tlv member;
	uint8_t sha[DIGEST_SHA256];
	if (der_expect(&cert, DER_SEQUENCE, &outer, e) ||
	    der_expect(&outer, DER_SEQUENCE, &tbs, e))
		return -1;
	for (int i = 0; i < 7; i++)
		if (der_next(&tbs, &member, e))
			return -1;
	digest_sha256(member.whole, sha);
	hex_write(span_of(sha, sizeof(sha)), ret);
	return 0;
}

static int
visit_issuer(void *ctx, const struct store_issuer *i, struct err *e)
{
	struct search *s = ctx;
	char key[65];
	if (key_of(i->cert, key, e))
		return err_wrap(e, "certificate of CA %s", i->name);
	return strcmp(key, s->key_sha256) == 0 ? taken(s, "CA", i->name) : 0;
}

int
est_key_check(struct domain *d, const char *device_id, const char *key_sha256,
    struct refusal *no, struct err *e)
{
	struct search s = {device_id, key_sha256, no};
	const struct store_cert_filter certs = {.subject = "",
	    .issuer = "",
	    .key_sha256 = key_sha256,
	    .profile = "",
	    .limit = -1};
	const struct store_device_cert_filter devices = {
	    .after = "", .issuer = "", .key_sha256 = key_sha256, .limit = -1};
	int rc = store_cert_find(d->store, &certs, visit_cert, &s, e);
	if (rc == 0)
		rc = store_device_cert_each(d->store, &devices, visit_device, &s, e);
	if (rc == 0)
		rc = store_issuer_each(d->store, visit_issuer, &s, e);
	return rc < 0 ? -1 : 0;
}
