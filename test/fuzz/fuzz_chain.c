/*
 * A path search over certificates and revocation lists of the input's making: DER after
 * DER, then at most one byte of wishes. Whatever they are, the search keeps its budget,
 * and says yes only where a path ends at what is trusted.
 */
#include "fuzz.h"

#include "codec/der.h"
#include "crypto/chain.h"

struct world {
	struct cert_list list;
	struct chain_set *set;
	struct crlset *crls;
	size_t trusted;
};

/* The wishes: which of the last certificates are trusted, and what is asked. */
enum {
	WISH_TRUST = 3,
	WISH_SERVER = 4,
	WISH_ANY = 8,
	WISH_STATUS = 16,
	WISH_POLICY = 32
};

static void
trust(struct world *w, size_t n)
{
	for (size_t i = 0; i < w->list.n; i++) {
		bool trusted = i + n >= w->list.n;
		if (chain_set_add(w->set, w->list.v[i],
			trusted ? CHAIN_TRUSTED : CHAIN_HELPER, NULL) == 0)
			w->trusted += trusted;
	}
}

static void
judge(struct world *w, unsigned wishes)
{
	static const char *const any[] = {"2.5.29.32.0"};
	const struct chain_policy policy = {.oids = any, .n = 1, .explicit_policy = true};
	struct chain_options o = {
	    .now_ms = w->list.v[0]->not_before_ms + 3600000, /* whenever it was made */
	    .allow_v1 = true,
	    .purpose = wishes & WISH_ANY      ? CHAIN_ANY_PURPOSE
		       : wishes & WISH_SERVER ? CHAIN_SERVER
					      : CHAIN_CLIENT,
	    .crls = crlset_len(w->crls) ? w->crls : NULL,
	    .policy = wishes & WISH_POLICY ? &policy : NULL,
	};
	o.crl_all = o.crls && wishes & WISH_STATUS;
	struct chain_verdict v;
	trust(w, 1 + (wishes & WISH_TRUST));
	chain_verify(w->set, &w->list, &o, &v);
	assert(v.checks <= CHAIN_CHECKS_MAX && v.reason < CHAIN_REASON_N);
	assert((v.reason == CHAIN_OK) == (v.text[0] == '\0'));
	assert(v.reason != CHAIN_OK || (w->trusted && v.n_ca && v.checks));
	assert(v.reason == CHAIN_OK || v.n_ca == 0);
}

static bool
take(struct world *w, struct span der)
{
	struct cert *c = cert_parse(der, NULL);
	if (c)
		return cert_list_add(&w->list, c, NULL) == 0;
	return crlset_add(w->crls, der, NULL) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span in = span_of(data, len);
	struct der_tlv one;
	struct world w = {.set = chain_set_new(), .crls = crlset_new()};
	bool sound = true; /* as far as it goes, like a TLS peer's chain */
	while (sound && in.len > 1 && der_next(&in, &one, NULL) == 0)
		sound = take(&w, one.whole);
	if (w.list.n)
		judge(&w, in.len ? in.p[0] : 0);
	cert_list_done(&w.list);
	chain_set_free(w.set);
	crlset_free(w.crls);
	return 0;
}
