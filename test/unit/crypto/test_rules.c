/*
 * Our own profile, rule by rule: each certificate is good but for one thing, and is
 * judged by chain_verify as a device's is.
 */
#include "forge.h"

#include <openssl/evp.h>

#include "crypto/chain.h"
#include "crypto/names.h"

struct pki {
	struct party root, ca;
	struct chain_set *set; /* root trusted */
};

static void
pki_init(struct pki *p)
{
	struct err e = {0};
	p->root = forge_root("Root");
	p->ca = forge_ca("Issuing CA", &p->root);
	p->set = chain_set_new();
	assert_ok(chain_set_add(p->set, p->root.cert, CHAIN_TRUSTED, &e), &e);
}

static void
pki_done(struct pki *p)
{
	party_done(&p->root);
	party_done(&p->ca);
	chain_set_free(p->set);
}
#define auto_pki __attribute__((cleanup(pki_done))) struct pki

static void
assert_verdict(const struct chain_verdict *v, enum chain_reason want, const char *text)
{
	if (v->reason != want)
		fail_msg("%s (%s), wanted %s (%s)", chain_reason_name(v->reason), v->text,
		    chain_reason_name(want), text ? text : "");
	if (text && !strstr(v->text, text))
		fail_msg("'%s' lacks '%s'", v->text, text);
}

static struct chain_verdict
judge(const struct pki *p, const struct cert *leaf, const struct cert *ca,
    const struct chain_options *o)
{
	struct cert_list l = {.v = {(struct cert *)leaf, (struct cert *)ca}, .n = 2};
	struct chain_verdict v;
	chain_verify(p->set, &l, o, &v);
	return v;
}

static const struct chain_options plain = {.now_ms = NOW_MS};

/* A device's leaf with one more extension, or whatever f says. */
static void
leaf_is(const struct pki *p, struct forge f, const struct chain_options *o,
    enum chain_reason want, const char *text)
{
	f.cn = "dev-17";
	f.issuer = &p->ca;
	f.basic = f.basic ? f.basic : "critical,CA:FALSE";
	f.usage = f.usage ? f.usage : "critical,digitalSignature";
	auto_party leaf = forge(&f);
	if (f.refused)
		return;
	struct chain_verdict v = judge(p, leaf.cert, p->ca.cert, o);
	assert_verdict(&v, want, text);
}

#define LEAF_EXT(name, value)                                                            \
	(struct forge)                                                                   \
	{                                                                                \
		.nid_name = (name), .nid_value = (value)                                 \
	}

/* A CA below the root, then a good leaf below it. */
static void
ca_is(const struct pki *p, struct forge f, enum chain_reason want, const char *text)
{
	f.cn = "Sub CA";
	f.issuer = &p->root;
	f.basic = f.basic ? f.basic : "critical,CA:TRUE";
	auto_party ca = forge(&f);
	auto_party leaf = forge(&(struct forge){
	    .cn = "dev-17", .basic = "CA:FALSE", .issuer = &ca, .no_ids = true});
	struct chain_verdict v = judge(p, leaf.cert, ca.cert, &plain);
	assert_verdict(&v, want, text);
}

static void
rules_refuse_what_only_a_ca_may_carry(void **state)
{
	auto_pki p;
	pki_init(&p);
	const struct {
		const char *name, *value, *text;
	} rows[] = {
	    {"nameConstraints", "critical,permitted;DNS:example.com", "name constraints"},
	    {"nameConstraints", "permitted;DNS:example.com", "name constraints"},
	    {"policyConstraints", "critical,requireExplicitPolicy:3",
		"policy constraints"},
	    {"inhibitAnyPolicy", "critical,1", "inhibitAnyPolicy"},
	    {"policyMappings", "1.2.3.4:1.2.3.5", "policy mappings"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		leaf_is(&p, LEAF_EXT(rows[i].name, rows[i].value), &plain, CHAIN_PROFILE,
		    rows[i].text);
	leaf_is(&p, (struct forge){.usage = "digitalSignature,keyCertSign"}, &plain,
	    CHAIN_PROFILE, "key usage of a CA");
	leaf_is(&p, (struct forge){.basic = "critical,CA:TRUE"}, &plain, CHAIN_CA_AS_LEAF,
	    NULL);
}

static void
rules_judge_alternative_names_by_their_types(void **state)
{
	auto_pki p;
	pki_init(&p);
	const struct {
		const char *value, *text; /* text NULL: taken */
	} rows[] = {
	    {"DNS:dev-17.example.com,DNS:*.example.com,DNS:dev_17,IP:10.0.0.1,IP:::1,"
	     "email:a@example.com,URI:urn:uuid:17,otherName:1.2.3.4;UTF8:x,"
	     "RID:1.2.3.4",
		NULL},
	    {"critical,DNS:dev-17.example.com", "critical beside a subject"},
	    {"DNS:.example.com", "DNS"},
	    {"DNS:a..example.com", "DNS"},
	    {"DNS:example.com.", "DNS"},
	    {"DNS:a.*.example.com", "DNS"},
	    {"DNS:a*.example.com", "DNS"},
	    {"DNS:-a.example.com", "DNS"},
	    {"DNS:a-.example.com", "DNS"},
	    {"DNS:10.0.0.1", "DNS"},
	    {"DNS:a b.example.com", "DNS"},
	    {"DER:30:04:82:02:c3:a9", "DNS"}, /* U+00E9 */
	    {"DER:30:02:82:00", "DNS"},
	    {"DER:30:04:82:02:61:00", "DNS"}, /* NUL */
	    {"email:example.com", "e-mail"},
	    {"email:a@b@example.com", "e-mail"},
	    {"DER:30:07:87:05:0a:00:00:01:00", "IP"},
	    {"DER:30:00", "without a name"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		leaf_is(&p, LEAF_EXT("subjectAltName", rows[i].value), &plain,
		    rows[i].text ? CHAIN_PROFILE : CHAIN_OK, rows[i].text);
	struct chain_options server = plain;
	server.purpose = CHAIN_SERVER;
	leaf_is(
	    &p, LEAF_EXT("subjectAltName", "DNS:dev_17"), &server, CHAIN_PROFILE, "DNS");
}

static void
names_of_no_kind_are_malformed(void **state)
{
	const struct span bad[] = {
	    SPAN_LIT("\x30\x02\x89\x00"), /* [9] */
	    SPAN_LIT("\x30\x02\x0c\x00"),
	    SPAN_LIT("\x04\x00"),
	    SPAN_LIT("\x30\x03\x82\x02\x61"),
	    SPAN_LIT("\x30\x03\x82\x01\x61\x00"),
	    SPAN_NONE,
	};
	assert_null(names_check(SPAN_LIT("\x30\x03\x82\x01\x61"), 1, true));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_non_null(names_check(bad[i], 9, true));
		assert_non_null(names_check_constraints(bad[i], 9));
	}
}

static void
rules_cap_alternative_names(void **state)
{
	auto_buf der = BUF_INIT(4096);
	for (size_t n = 127; n <= 129; n++) {
		buf_reset(&der);
		buf_u8(&der, 0x30);
		buf_u8(&der, 0x82);
		buf_u16(&der, (uint16_t)(3 * n));
		for (size_t i = 0; i < n; i++)
			buf_put(&der,
			    "\x82\x01"
			    "a",
			    3);
		const char *wrong = names_check(buf_span(&der), 128, true);
		assert_true(n > 128 ? wrong && strstr(wrong, "too many") : !wrong);
	}
}

static void
rules_want_an_extended_key_usage_only_when_asked_to(void **state)
{
	auto_pki p;
	pki_init(&p);
	struct chain_options strict = plain;
	strict.strict_eku = true;
	struct forge none = {0}, client = {.eku = "clientAuth"},
		     critical = {.eku = "critical,clientAuth"},
		     any = {.eku = "clientAuth,anyExtendedKeyUsage"},
		     server = {.eku = "serverAuth"};
	leaf_is(&p, none, &plain, CHAIN_OK, NULL);
	leaf_is(&p, none, &strict, CHAIN_NO_CLIENT_AUTH, "no extended key usage");
	leaf_is(&p, client, &strict, CHAIN_OK, NULL);
	leaf_is(&p, critical, &plain, CHAIN_OK, NULL);
	leaf_is(&p, critical, &strict, CHAIN_NO_CLIENT_AUTH, "critical");
	leaf_is(&p, any, &plain, CHAIN_NO_CLIENT_AUTH, "anyExtendedKeyUsage");
	leaf_is(&p, server, &plain, CHAIN_NO_CLIENT_AUTH, "lacks clientAuth");
}

static void
rules_refuse_malformed_or_critical_information_access(void **state)
{
	auto_pki p;
	pki_init(&p);
	const char *oid = "1.3.6.1.5.5.7.1.1";
	leaf_is(&p, LEAF_EXT("authorityInfoAccess", "OCSP;URI:http://ocsp.example.com"),
	    &plain, CHAIN_OK, NULL);
	leaf_is(&p, LEAF_EXT(oid, "DER:6d:61:6c"), &plain, CHAIN_PROFILE, "information");
	leaf_is(&p, LEAF_EXT(oid, "DER:30:00"), &plain, CHAIN_PROFILE, "information");
	leaf_is(&p,
	    LEAF_EXT("authorityInfoAccess", "critical,OCSP;URI:http://ocsp.example.com"),
	    &plain, CHAIN_PROFILE, "critical");
}

static void
rules_refuse_wrong_key_identifiers(void **state)
{
	auto_pki p;
	pki_init(&p);
	struct forge f = LEAF_EXT("subjectKeyIdentifier", "critical,hash");
	f.no_ids = true;
	leaf_is(&p, f, &plain, CHAIN_PROFILE, "subject key identifier is critical");
	f = LEAF_EXT("authorityKeyIdentifier", "critical,keyid:always");
	f.no_ids = true;
	leaf_is(&p, f, &plain, CHAIN_PROFILE, "authority key identifier is critical");
	f = LEAF_EXT("2.5.29.35", "DER:30:00");
	f.no_ids = true;
	leaf_is(&p, f, &plain, CHAIN_PROFILE, "without the identifier");
	f = LEAF_EXT("2.5.29.35", "DER:30:06:80:01:01:82:01:07");
	f.no_ids = true;
	leaf_is(&p, f, &plain, CHAIN_PROFILE, "half a name");
	/* plain openssl leaves them out */
	leaf_is(&p, (struct forge){.no_ids = true}, &plain, CHAIN_OK, NULL);
}

static void
rules_refuse_serial_numbers_that_are_none(void **state)
{
	auto_pki p;
	pki_init(&p);
	leaf_is(&p, (struct forge){.zero_serial = true}, &plain, CHAIN_MALFORMED,
	    "serial number");
	leaf_is(&p, (struct forge){.negative_serial = true}, &plain, CHAIN_MALFORMED,
	    "serial number");
	ca_is(&p, (struct forge){.negative_serial = true}, CHAIN_MALFORMED,
	    "serial number");
}

static void
rules_refuse_an_extension_that_is_there_twice(void **state)
{
	auto_pki p;
	pki_init(&p);
	struct forge f = LEAF_EXT("keyUsage", "digitalSignature");
	f.refused = true; /* OpenSSL's parser sees to those it reads */
	leaf_is(&p, f, &plain, CHAIN_OK, NULL);
	f = LEAF_EXT("1.2.3.4", "DER:05:00");
	leaf_is(&p, f, &plain, CHAIN_OK, NULL);
	f.twice = true;
	leaf_is(&p, f, &plain, CHAIN_PROFILE, "twice");
}

static void
rules_refuse_keys_of_odd_sizes_and_kinds(void **state)
{
	auto_pki p;
	pki_init(&p);
	leaf_is(&p, (struct forge){.rsa_bits = 2052}, &plain, CHAIN_WEAK, "whole bytes");
	leaf_is(&p, (struct forge){.rsa_bits = 2048}, &plain, CHAIN_OK, NULL);
	leaf_is(&p, (struct forge){.curve = "secp256k1"}, &plain, CHAIN_WEAK, "kind");
	leaf_is(&p, (struct forge){.curve = "P-521"}, &plain, CHAIN_OK, NULL);
}

static void
rules_want_of_a_ca_what_rfc_5280_demands(void **state)
{
	auto_pki p;
	pki_init(&p);
	const struct {
		struct forge f;
		const char *text; /* NULL: taken */
	} rows[] = {
	    {{.usage = NULL}, NULL}, /* openssl req -x509 writes none */
	    {{.basic = "CA:TRUE"}, "not critical"},
	    {{.no_ids = true}, "key identifiers"},
	    {LEAF_EXT("nameConstraints", "permitted;DNS:example.com"), "not critical"},
	    {LEAF_EXT("nameConstraints", "critical,permitted;DNS:.example.com"), "DNS"},
	    {LEAF_EXT("nameConstraints", "critical,permitted;DNS:*.example.com"), "DNS"},
	    {LEAF_EXT("nameConstraints", "critical,excluded;email:a@b@c.com"), "e-mail"},
	    {LEAF_EXT("nameConstraints", "critical,excluded;email:.example.com"), NULL},
	    {LEAF_EXT("nameConstraints", "critical,excluded;IP:10.0.0.0/255.0.255.0"),
		"IP"},
	    {LEAF_EXT("nameConstraints", "critical,excluded;IP:10.0.0.0/255.0.0.0"),
		NULL},
	    {LEAF_EXT("2.5.29.30", "critical,DER:30:00"), "empty"},
	    {LEAF_EXT("2.5.29.30", "critical,DER:30:02:a0:00"), "empty"},
	    {LEAF_EXT("2.5.29.30", "critical,DER:30:09:a0:07:30:05:82:00:80:01:00"),
		"distance"},
	    {LEAF_EXT("policyConstraints", "requireExplicitPolicy:3"), "not critical"},
	    {LEAF_EXT("policyConstraints", "critical,requireExplicitPolicy:3"), NULL},
	    {LEAF_EXT("2.5.29.36", "critical,DER:30:00"), "empty"},
	    {LEAF_EXT("inhibitAnyPolicy", "1"), "not critical"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ca_is(
		    &p, rows[i].f, rows[i].text ? CHAIN_PROFILE : CHAIN_OK, rows[i].text);
}

/* RFC 5280 6.1.5 (a): nobody asked for a policy, yet the CA demands one. */
static void
rules_process_policy_constraints_unasked(void **state)
{
	auto_pki p;
	pki_init(&p);
	ca_is(&p, LEAF_EXT("policyConstraints", "critical,requireExplicitPolicy:0"),
	    CHAIN_PROFILE, "policy");
}

static void
rules_take_an_anchor_without_key_identifiers(void **state)
{
	struct err e = {0};
	auto_party root = forge(&(struct forge){
	    .cn = "Old Root", .basic = "critical,CA:TRUE", .no_ids = true});
	auto_party leaf =
	    forge(&(struct forge){.cn = "dev-17", .issuer = &root, .no_ids = true});
	struct pki p = {.set = chain_set_new()};
	assert_ok(chain_set_add(p.set, root.cert, CHAIN_TRUSTED, &e), &e);
	struct chain_verdict v = judge(&p, leaf.cert, root.cert, &plain);
	assert_verdict(&v, CHAIN_OK, NULL);
	chain_set_free(p.set);
}

static void
rules_refuse_a_wildcard_that_stands_for_an_excluded_name(void **state)
{
	auto_pki p;
	pki_init(&p);
	auto_party ca = forge(&(struct forge){.cn = "Bound CA",
	    .issuer = &p.root,
	    .basic = "critical,CA:TRUE",
	    .nid_name = "nameConstraints",
	    .nid_value = "critical,excluded;DNS:bar.example.com"});
	const struct {
		const char *names;
		enum chain_reason want;
	} rows[] = {
	    {"DNS:*.Example.com", CHAIN_PROFILE},
	    {"DNS:a.example.com,DNS:*.example.com", CHAIN_PROFILE},
	    {"DNS:a.bar.example.com", CHAIN_PROFILE}, /* OpenSSL's own */
	    {"DNS:*.foo.example.com", CHAIN_OK},
	    {"DNS:*.com", CHAIN_OK}, /* one label: x.com */
	    {"DNS:bar.example.org", CHAIN_OK},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_party leaf = forge(&(struct forge){.cn = "dev-17",
		    .issuer = &ca,
		    .nid_name = "subjectAltName",
		    .nid_value = rows[i].names});
		struct chain_verdict v = judge(&p, leaf.cert, ca.cert, &plain);
		assert_verdict(&v, rows[i].want, NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rules_refuse_what_only_a_ca_may_carry),
	    cmocka_unit_test(rules_judge_alternative_names_by_their_types),
	    cmocka_unit_test(names_of_no_kind_are_malformed),
	    cmocka_unit_test(rules_cap_alternative_names),
	    cmocka_unit_test(rules_want_an_extended_key_usage_only_when_asked_to),
	    cmocka_unit_test(rules_refuse_malformed_or_critical_information_access),
	    cmocka_unit_test(rules_refuse_wrong_key_identifiers),
	    cmocka_unit_test(rules_refuse_serial_numbers_that_are_none),
	    cmocka_unit_test(rules_refuse_an_extension_that_is_there_twice),
	    cmocka_unit_test(rules_refuse_keys_of_odd_sizes_and_kinds),
	    cmocka_unit_test(rules_want_of_a_ca_what_rfc_5280_demands),
	    cmocka_unit_test(rules_process_policy_constraints_unasked),
	    cmocka_unit_test(rules_take_an_anchor_without_key_identifiers),
	    cmocka_unit_test(rules_refuse_a_wildcard_that_stands_for_an_excluded_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
