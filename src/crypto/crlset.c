/*
 * Lists kept as OpenSSL's, for its judgement needs them so. What it does not look at is
 * refused when a list comes in; times are ours, as a certificate's are (crypto/chain.c).
 */
#include "crypto/crlset.h"

#include "crypto/ossl.h"

struct member {
	X509_CRL *crl;
	int64_t this_ms, next_ms;
};

struct crlset {
	struct member v[CRLSET_MAX];
	size_t n;
};

own_define(X509_CRL, X509_CRL_free);

struct crlset *
crlset_new(void)
{
	return own_alloc(sizeof(struct crlset));
}

void
crlset_free(struct crlset *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++)
		X509_CRL_free(s->v[i].crl);
	free(s);
}

size_t
crlset_len(const struct crlset *s)
{
	return s->n;
}

static int
read_time(const ASN1_TIME *t, const char *what, int64_t *ret_ms, struct err *e)
{
	struct tm tm;
	if (!t || ASN1_TIME_to_tm(t, &tm) != 1)
		return ossl_error(e, ERR_PARSE, "revocation list: %s", what);
	*ret_ms = (int64_t)timegm(&tm) * 1000;
	return 0;
}

/* CRLNumber MUST be there and MUST NOT be critical (RFC 5280 5.2.3). */
static int
check_number(const X509_CRL *crl, struct err *e)
{
	int at = X509_CRL_get_ext_by_NID(crl, NID_crl_number, -1);
	if (at < 0)
		return err_set(e, ERR_PARSE, "revocation list without a number");
	if (X509_EXTENSION_get_critical(X509_CRL_get_ext(crl, at)))
		return err_set(e, ERR_PARSE, "revocation list whose number is critical");
	return 0;
}

int
crlset_add(struct crlset *s, struct span der, struct err *e)
{
	if (s->n == CRLSET_MAX)
		return err_set(e, ERR_LIMIT, "more than %d revocation lists", CRLSET_MAX);
	if (der.len > CRLSET_LIST_MAX)
		return err_set(e, ERR_LIMIT, "revocation list of %zu bytes", der.len);
	const uint8_t *at = der.p;
	auto_(X509_CRL_free) X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)der.len);
	if (!crl || at != der.p + der.len)
		return ossl_error(e, ERR_PARSE, "malformed revocation list");
	struct member m = {0};
	if (check_number(crl, e) < 0 ||
	    read_time(X509_CRL_get0_lastUpdate(crl), "thisUpdate", &m.this_ms, e) < 0 ||
	    read_time(X509_CRL_get0_nextUpdate(crl), "nextUpdate", &m.next_ms, e) < 0)
		return -1;
	m.crl = TAKE(crl);
	s->v[s->n++] = m;
	return 0;
}

X509_CRL *
crlset_current(const struct crlset *s, size_t i, int64_t now_ms)
{
	const struct member *m = &s->v[i];
	/* good through the second of nextUpdate, as a certificate through its notAfter */
	bool current = now_ms >= m->this_ms && now_ms < m->next_ms + 1000;
	return current ? m->crl : NULL;
}

bool
crlset_speaks_for(const struct crlset *s, const X509_NAME *issuer)
{
	for (size_t i = 0; i < s->n; i++)
		if (X509_NAME_cmp(X509_CRL_get_issuer(s->v[i].crl), issuer) == 0)
			return true;
	return false;
}
