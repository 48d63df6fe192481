/*
 * Upwards by name and key identifier (RFC 5280 4.2.1.1).
 */
#include "agent/chain_up.h"

#include "crypto/cert.h"
#include "crypto/chain.h"

static bool
issued(const struct cert *ca, const struct cert *c)
{
	if (!ca->is_ca || ca->self_signed || !span_eq(ca->subject, c->issuer))
		return false;
	return !c->aki.p || !ca->ski.p || span_eq(c->aki, ca->ski);
}

static const struct cert *
issuer_in(const struct cert_list *pool, const struct cert *c)
{
	for (size_t i = 0; i < pool->n; i++)
		if (issued(pool->v[i], c))
			return pool->v[i];
	return NULL;
}

int
chain_up_write(struct span leaf_der, struct span pool_pem, struct buf *out, struct err *e)
{
	auto_cert_list pool = {.n = 0};
	auto_(cert_free) struct cert *leaf = cert_parse(leaf_der, e);
	if (!leaf ||
	    (pool_pem.len && cert_list_parse(pool_pem, "CA certificates", &pool, e)))
		return -1;
	const struct cert *c = leaf;
	for (int depth = 0; c && depth < CHAIN_DEPTH_MAX; depth++) {
		cert_write_pem(c->der, out);
		c = issuer_in(&pool, c);
	}
	return buf_check(out, "chain", e);
}
