/*
 * Where a chain counts.
 */
#include "domain/pki/trust.h"

#include "base/hex.h"
#include "crypto/digest.h"
#include "domain/dps/enrollment.h"
#include "domain/pki/issuer.h"

static bool
is_ours(const struct domain *d, struct span ca)
{
	const struct issuer_entry *i = issuer_find(d, ca);
	return i && i->purpose == CA_DEVICE && issuer_is_trusted(i->state);
}

static int
is_of_hub(struct domain *d, const char *hub, const char *sha256, bool *ret, struct err *e)
{
	struct store_ca_cert c;
	*ret = false;
	if (store_ca_cert_by_sha256(d->store, hub, sha256, d->arena, &c, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	*ret = c.verified;
	return 0;
}

static int
trust_of_ca(
    struct domain *d, struct span ca, const char *hub, enum trust *ret, struct err *e)
{
	char sha[2 * DIGEST_SHA256 + 1];
	bool server = is_ours(d, ca), here = false;
	hex_write(ca, sha);
	if (!server && enrollment_is_ca(d, sha, &server, e))
		return -1;
	if (!server && hub && is_of_hub(d, hub, sha, &here, e))
		return -1;
	if (server || here)
		*ret = server ? TRUST_SERVER : TRUST_HUB;
	return 0;
}

int
trust_of(
    struct domain *d, struct span cas, const char *hub, enum trust *ret, struct err *e)
{
	enum trust best = TRUST_NONE;
	for (; cas.len >= DIGEST_SHA256 && best != TRUST_SERVER;
	     cas = span_skip(cas, DIGEST_SHA256))
		if (trust_of_ca(d, span_head(cas, DIGEST_SHA256), hub, &best, e))
			return -1;
	*ret = best;
	return 0;
}

int
trust_check(struct domain *d, const struct ipc_cred *cred, const char *hub,
    enum trust *ret, struct refusal *no, struct err *e)
{
	if (trust_of(d, cred->chain, hub, ret, e))
		return -1;
	if (*ret != TRUST_NONE)
		return 0;
	return refusal_set(no, REFUSAL_CERT_ELSEWHERE, "CN %.*s%s%s",
	    SPAN_FMT(span_head(cred->cn, 64)), hub ? ", hub " : "", hub ? hub : "");
}
