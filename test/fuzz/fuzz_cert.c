/*
 * Certificates as DER, PEM and PKCS#7, judged as a client's chain against itself: no
 * input makes a path to a set that trusts nothing.
 */
#include "fuzz.h"

#include "crypto/chain.h"
#include "crypto/p7.h"
#include "crypto/traits.h"

static void
judge(const struct cert_list *l)
{
	static struct chain_set *nothing;
	struct chain_verdict v;
	if (!nothing)
		nothing = chain_set_new();
	chain_verify(nothing, l, &(struct chain_options){.now_ms = 1795300000000}, &v);
	assert(v.reason != CHAIN_OK && v.n_ca == 0 && v.text[0]);
}

/* Two readers of the same bytes. */
static void
compare(const struct cert *c)
{
	struct traits t;
	char name[TRAITS_NAME];
	if (traits_read(c->der, &t, NULL))
		return;
	traits_key_name(&t, name);
	assert(t.life_ms == c->not_after_ms - c->not_before_ms);
	assert(t.key == TRAITS_OTHER || strcmp(name, c->key_name) == 0);
}

static void
use(struct cert *c)
{
	compare(c);
	auto_buf line = BUF_INIT(4096);
	struct cert_info info;
	cert_line(c, &line);
	cert_info(c, &info);
	fuzz_inside(c->subject, c->der.p, c->der.len);
	fuzz_inside(c->issuer, c->der.p, c->der.len);
	fuzz_inside(c->spki, c->der.p, c->der.len);
	judge(&(struct cert_list){.v = {c}, .n = 1});
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span in = span_of(data, len), bag[P7_CERTS_MAX];
	auto_(cert_free) struct cert *c = cert_parse(in, NULL);
	struct traits t;
	(void)!traits_read(in, &t, NULL);
	if (c)
		use(c);
	auto_cert_list l = {.n = 0};
	if (cert_list_parse(in, "input", &l, NULL) == 0)
		judge(&l);
	size_t n = 0;
	if (p7_parse(in, bag, P7_CERTS_MAX, &n, NULL) < 0)
		return 0;
	for (size_t i = 0; i < n; i++)
		fuzz_inside(bag[i], data, len);
	return 0;
}
