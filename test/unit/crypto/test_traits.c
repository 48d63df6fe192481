/*
 * What policies see of a certificate, against certificates as others make them.
 */
#include "forge.h"

#include <string.h>

#include "crypto/traits.h"

static struct traits
traits_of(const struct forge *how)
{
	struct err e;
	struct traits t;
	auto_party p = forge(how);
	assert_ok(traits_read(p.cert->der, &t, &e), &e);
	return t;
}

static void
keys_are_told_by_kind_and_size(void **state)
{
	static const struct {
		struct forge how;
		enum traits_key key;
		int bits;
		const char *name;
	} rows[] = {
	    {{.cn = "d"}, TRAITS_EC, 256, "P-256"},
	    {{.cn = "d", .curve = "P-384"}, TRAITS_EC, 384, "P-384"},
	    {{.cn = "d", .curve = "P-521"}, TRAITS_OTHER, 0, "another kind"},
	    {{.cn = "d", .rsa_bits = 2048}, TRAITS_RSA, 2048, "RSA-2048"},
	    {{.cn = "d", .rsa_bits = 3072}, TRAITS_RSA, 3072, "RSA-3072"},
	    {{.cn = "d", .rsa_bits = 1024}, TRAITS_OTHER, 0, "another kind"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char name[TRAITS_NAME];
		struct traits t = traits_of(&rows[i].how);
		assert_int_equal(t.key, rows[i].key);
		assert_int_equal(t.key_bits, rows[i].bits);
		traits_key_name(&t, name);
		assert_string_equal(name, rows[i].name);
	}
}

static void
the_hash_is_the_signatures_own(void **state)
{
	static const struct {
		struct forge how;
		int bits;
	} rows[] = {
	    {{.cn = "d"}, 256},
	    {{.cn = "d", .hash = "SHA384"}, 384},
	    {{.cn = "d", .hash = "SHA512"}, 512},
	    {{.cn = "d", .hash = "SHA1"}, 0},
	    {{.cn = "d", .rsa_bits = 2048}, 256},
	    {{.cn = "d", .rsa_bits = 2048, .hash = "SHA384"}, 384},
	    {{.cn = "d", .rsa_bits = 2048, .hash = "SHA1"}, 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(traits_of(&rows[i].how).hash_bits, rows[i].bits);
}

static void
a_life_is_from_the_first_moment_to_the_last(void **state)
{
	const struct forge utc = {.cn = "d", .from_s = NOW_S, .to_s = NOW_S + 90};
	/* across 2050, where the type of time changes (RFC 5280 4.1.2.5) */
	const struct forge late = {
	    .cn = "d", .from_s = NOW_S, .to_s = NOW_S + 30 * 365 * FORGE_DAY};
	(void)state;
	assert_int_equal(traits_of(&utc).life_ms, 90 * 1000);
	assert_int_equal(traits_of(&late).life_ms, 30 * 365 * FORGE_DAY * 1000);
}

static void
a_crl_or_a_responder_makes_it_revocable(void **state)
{
	static const struct {
		const char *name, *value;
		bool want;
	} rows[] = {
	    {NULL, NULL, false},
	    {"crlDistributionPoints", "URI:http://ca.example/1.crl", true},
	    {"authorityInfoAccess", "OCSP;URI:http://ca.example/ocsp", true},
	    {"authorityInfoAccess", "caIssuers;URI:http://ca.example/ca.crt", false},
	    {"authorityInfoAccess",
		"caIssuers;URI:http://ca.example/ca.crt,OCSP;URI:http://ca.example/ocsp",
		true},
	    {"freshestCRL", "URI:http://ca.example/1-delta.crl", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct forge how = {.cn = "d",
		    .basic = "CA:FALSE",
		    .nid_name = rows[i].name,
		    .nid_value = rows[i].value};
		assert_int_equal(traits_of(&how).revocable, rows[i].want);
	}
}

static void
version_1_has_traits_too(void **state)
{
	struct traits t = traits_of(&(struct forge){.cn = "d", .version = 1});
	(void)state;
	assert_int_equal(t.key, TRAITS_EC);
	assert_int_equal(t.life_ms, (30 * FORGE_DAY + 3600) * 1000);
	assert_false(t.revocable);
}

static void
what_is_no_certificate_is_refused_and_nothing_told(void **state)
{
	struct err e;
	struct traits t = {.key_bits = 7};
	auto_party p = forge(&(struct forge){.cn = "d"});
	struct span der = p.cert->der;
	(void)state;
	assert_fails(traits_read(SPAN_LIT("certificate"), &t, &e), &e, PARSE);
	for (size_t n = 0; n < der.len; n++)
		assert_int_equal(traits_read(span_head(der, n), &t, &e), -1);
	assert_int_equal(t.key_bits, 7);
}

static void
a_bare_key_is_a_key(void **state)
{
	struct traits t;
	auto_party p = forge(&(struct forge){.cn = "d", .rsa_bits = 3072});
	(void)state;
	traits_of_spki(p.cert->spki, &t);
	assert_int_equal(t.key, TRAITS_RSA);
	assert_int_equal(t.key_bits, 3072);
	traits_of_spki(SPAN_LIT("key"), &t);
	assert_int_equal(t.key, TRAITS_OTHER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keys_are_told_by_kind_and_size),
	    cmocka_unit_test(the_hash_is_the_signatures_own),
	    cmocka_unit_test(a_life_is_from_the_first_moment_to_the_last),
	    cmocka_unit_test(a_crl_or_a_responder_makes_it_revocable),
	    cmocka_unit_test(version_1_has_traits_too),
	    cmocka_unit_test(what_is_no_certificate_is_refused_and_nothing_told),
	    cmocka_unit_test(a_bare_key_is_a_key),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
