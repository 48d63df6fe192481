/*
 * The judge of client chains: every reason, and the ways a good chain may come.
 */
#include "forge.h"

#include "crypto/chain.h"

/* Two levels, as ours; plus an unrelated root. */
struct pki {
	struct party root, ca, leaf;
	struct chain_set *set; /* root trusted, ca a helper */
};

static void
pki_init(struct pki *p)
{
	struct err e = {0};
	p->root = forge_root("Root");
	p->ca = forge_ca("Issuing CA", &p->root);
	p->leaf = forge_leaf("dev-17", &p->ca);
	p->set = chain_set_new();
	assert_ok(chain_set_add(p->set, p->root.cert, CHAIN_TRUSTED, &e), &e);
	assert_ok(chain_set_add(p->set, p->ca.cert, CHAIN_HELPER, &e), &e);
}

static void
pki_done(struct pki *p)
{
	party_done(&p->root);
	party_done(&p->ca);
	party_done(&p->leaf);
	chain_set_free(p->set);
}
#define auto_pki __attribute__((cleanup(pki_done))) struct pki

static struct chain_verdict
judge_at(const struct chain_set *s, int64_t now_ms, bool allow_v1, size_t n,
    struct cert *const *certs)
{
	struct cert_list l = {.n = n};
	for (size_t i = 0; i < n; i++)
		l.v[i] = certs[i];
	struct chain_verdict v;
	chain_verify(
	    s, &l, &(struct chain_options){.now_ms = now_ms, .allow_v1 = allow_v1}, &v);
	return v;
}

#define JUDGE(s, ...)                                                                    \
	judge_at((s), NOW_MS, false,                                                     \
	    sizeof((struct cert *[]){__VA_ARGS__}) / sizeof(struct cert *),              \
	    (struct cert *[]){__VA_ARGS__})

static void
assert_reason(struct chain_verdict v, enum chain_reason want, const char *text)
{
	if (v.reason != want)
		fail_msg("%s (%s), wanted %s", chain_reason_name(v.reason), v.text,
		    chain_reason_name(want));
	if (text && !strstr(v.text, text))
		fail_msg("'%s' lacks '%s'", v.text, text);
}

/* A leaf of f under the pki's CA is refused (or not) with want. */
static void
assert_leaf(struct pki *p, struct forge f, enum chain_reason want, const char *text)
{
	f.cn = f.cn ? f.cn : "dev-18";
	f.issuer = &p->ca;
	auto_party leaf = forge(&f);
	assert_reason(JUDGE(p->set, leaf.cert, p->ca.cert), want, text);
}

static void
chain_accepts_leaf_with_its_chain_in_any_order(void **state)
{
	auto_pki p;
	pki_init(&p);
	struct err e = {0};
	auto_(chain_set_free) struct chain_set *only_root = chain_set_new();
	assert_ok(chain_set_add(only_root, p.root.cert, CHAIN_TRUSTED, &e), &e);
	struct chain_verdict v = JUDGE(only_root, p.leaf.cert, p.ca.cert);
	assert_reason(v, CHAIN_OK, NULL);
	assert_string_equal(v.text, "");
	assert_string_equal(v.cn, "dev-17");
	assert_int_equal(v.not_after_ms, p.leaf.cert->not_after_ms);
	assert_int_equal(v.n_ca, 2);
	assert_memory_equal(v.ca[0], p.ca.cert->sha256, DIGEST_SHA256);
	assert_memory_equal(v.ca[1], p.root.cert->sha256, DIGEST_SHA256);
	auto_party other = forge_root("Other");
	v = JUDGE(only_root, p.leaf.cert, p.root.cert, other.cert, p.ca.cert);
	assert_reason(v, CHAIN_OK, NULL);
	assert_int_equal(v.n_ca, 2);
}

static void
chain_accepts_leaf_only_when_the_intermediate_is_known(void **state)
{
	auto_pki p;
	pki_init(&p);
	assert_reason(JUDGE(p.set, p.leaf.cert), CHAIN_OK, NULL);
	auto_(chain_set_free) struct chain_set *only_root = chain_set_new();
	struct err e = {0};
	assert_ok(chain_set_add(only_root, p.root.cert, CHAIN_TRUSTED, &e), &e);
	assert_reason(JUDGE(only_root, p.leaf.cert), CHAIN_UNKNOWN_ISSUER, "Issuing CA");
}

/* A CA that was revoked, under a root that is trusted by another name: the peer may send
 * its certificate in any encoding. */
static void
chain_goes_through_no_presented_certificate_of_a_refused_key(void **state)
{
	auto_pki p;
	pki_init(&p);
	struct err e = {0};
	auto_(chain_set_free) struct chain_set *s = chain_set_new();
	assert_ok(chain_set_add(s, p.root.cert, CHAIN_TRUSTED, &e), &e);
	auto_party again = forge(&(struct forge){.cn = "Issuing CA",
	    .issuer = &p.root,
	    .basic = "critical,CA:TRUE,pathlen:0",
	    .usage = "critical,keyCertSign,cRLSign",
	    .key = p.ca.key});
	assert_reason(JUDGE(s, p.leaf.cert, again.cert), CHAIN_OK, NULL);
	assert_ok(chain_set_add(s, p.ca.cert, CHAIN_REFUSED, &e), &e);
	assert_reason(JUDGE(s, p.leaf.cert, again.cert), CHAIN_UNKNOWN_ISSUER, NULL);
	assert_reason(JUDGE(s, p.leaf.cert, p.ca.cert), CHAIN_UNKNOWN_ISSUER, NULL);
	/* its key is trusted by another certificate that the set knows */
	assert_ok(chain_set_add(s, again.cert, CHAIN_TRUSTED, &e), &e);
	assert_reason(JUDGE(s, p.leaf.cert), CHAIN_OK, NULL);
}

static void
chain_ends_at_a_trusted_intermediate_and_names_the_cas_above(void **state)
{
	auto_pki p;
	pki_init(&p);
	struct err e = {0};
	auto_(chain_set_free) struct chain_set *s = chain_set_new();
	assert_ok(chain_set_add(s, p.ca.cert, CHAIN_TRUSTED, &e), &e);
	struct chain_verdict v = JUDGE(s, p.leaf.cert);
	assert_reason(v, CHAIN_OK, NULL);
	assert_int_equal(v.n_ca, 1);
	assert_ok(chain_set_add(s, p.root.cert, CHAIN_HELPER, &e), &e);
	v = JUDGE(s, p.leaf.cert);
	assert_reason(v, CHAIN_OK, NULL);
	assert_int_equal(v.n_ca, 2);
	assert_memory_equal(v.ca[1], p.root.cert->sha256, DIGEST_SHA256);
}

static void
chain_helper_alone_is_no_trust(void **state)
{
	auto_pki p;
	pki_init(&p);
	struct err e = {0};
	auto_(chain_set_free) struct chain_set *s = chain_set_new();
	assert_ok(chain_set_add(s, p.root.cert, CHAIN_HELPER, &e), &e);
	assert_ok(chain_set_add(s, p.ca.cert, CHAIN_HELPER, &e), &e);
	assert_reason(
	    JUDGE(s, p.leaf.cert, p.ca.cert, p.root.cert), CHAIN_UNKNOWN_ISSUER, NULL);
}

static void
chain_tells_expired_and_not_yet_valid_with_the_certificate(void **state)
{
	auto_pki p;
	pki_init(&p);
	struct cert *c[] = {p.leaf.cert, p.ca.cert};
	int64_t first = p.leaf.cert->not_before_ms, last = p.leaf.cert->not_after_ms;
	assert_reason(judge_at(p.set, first, false, 2, c), CHAIN_OK, NULL);
	assert_reason(
	    judge_at(p.set, first - 1, false, 2, c), CHAIN_NOT_YET_VALID, "dev-17");
	assert_reason(judge_at(p.set, last + 999, false, 2, c), CHAIN_OK, NULL);
	assert_reason(judge_at(p.set, last + 1000, false, 2, c), CHAIN_EXPIRED, "dev-17");

	auto_party old = forge(&(struct forge){.cn = "Old CA",
	    .issuer = &p.root,
	    .basic = "critical,CA:TRUE",
	    .from_s = NOW_S - 40 * FORGE_DAY,
	    .to_s = NOW_S - FORGE_DAY});
	auto_party leaf = forge_leaf("dev-17", &old);
	assert_reason(JUDGE(p.set, leaf.cert, old.cert), CHAIN_EXPIRED, "Old CA");
}

static void
chain_refuses_a_foreign_ca(void **state)
{
	auto_pki p;
	pki_init(&p);
	auto_party root = forge_root("Stranger");
	auto_party leaf = forge_leaf("dev-17", &root);
	assert_reason(
	    JUDGE(p.set, leaf.cert, root.cert), CHAIN_UNKNOWN_ISSUER, "Stranger");
}

static void
chain_refuses_a_ca_that_only_has_our_cas_name(void **state)
{
	auto_pki p;
	pki_init(&p);
	auto_party twin = forge(&(struct forge){
	    .cn = "Issuing CA", .basic = "critical,CA:TRUE", .no_ids = true});
	auto_party leaf = forge(&(struct forge){.cn = "dev-17",
	    .issuer = &twin,
	    .basic = "critical,CA:FALSE",
	    .no_ids = true});
	struct chain_verdict v = JUDGE(p.set, leaf.cert, twin.cert);
	assert_reason(v, CHAIN_BAD_SIGNATURE, "dev-17");
	assert_int_equal(v.n_ca, 0);
}

static void
chain_refuses_v1_unless_allowed(void **state)
{
	auto_pki p;
	pki_init(&p);
	auto_party leaf =
	    forge(&(struct forge){.cn = "dev-1", .issuer = &p.ca, .version = 1});
	assert_int_equal(leaf.cert->version, 1);
	assert_reason(JUDGE(p.set, leaf.cert), CHAIN_V1, "v1");
	assert_reason(judge_at(p.set, NOW_MS, true, 1, (struct cert *[]){leaf.cert}),
	    CHAIN_OK, NULL);
}

static void
chain_refuses_leaves_of_another_profile(void **state)
{
	auto_pki p;
	pki_init(&p);
	assert_reason(JUDGE(p.set, p.ca.cert), CHAIN_CA_AS_LEAF, "Issuing CA");
	assert_leaf(&p, (struct forge){.basic = "CA:FALSE"}, CHAIN_OK, NULL);
	assert_leaf(&p, (struct forge){.basic = "CA:FALSE", .eku = "serverAuth"},
	    CHAIN_NO_CLIENT_AUTH, "clientAuth");
	assert_leaf(&p, (struct forge){.basic = "CA:FALSE", .eku = "anyExtendedKeyUsage"},
	    CHAIN_NO_CLIENT_AUTH, "clientAuth");
	assert_leaf(&p, (struct forge){.usage = "critical,keyEncipherment"},
	    CHAIN_NO_CLIENT_AUTH, "digitalSignature");
	assert_leaf(&p, (struct forge){.zero_serial = true}, CHAIN_MALFORMED, "serial");
	assert_leaf(&p,
	    (struct forge){.nid_name = "1.2.3.4", .nid_value = "critical,ASN1:NULL"},
	    CHAIN_PROFILE, "critical");
}

static void
chain_refuses_weak_keys_and_hashes(void **state)
{
	auto_pki p;
	pki_init(&p);
	assert_leaf(&p, (struct forge){.rsa_bits = 1024}, CHAIN_WEAK, "weak key");
	assert_leaf(&p, (struct forge){.hash = "SHA1"}, CHAIN_WEAK, NULL);
	auto_party self = forge(&(struct forge){.cn = "dev-1", .rsa_bits = 1024});
	assert_reason(JUDGE(p.set, self.cert), CHAIN_WEAK, "dev-1");
}

static void
chain_refuses_a_leaf_as_issuer(void **state)
{
	auto_pki p;
	pki_init(&p);
	auto_party below = forge_leaf("dev-18", &p.leaf);
	assert_reason(JUDGE(p.set, below.cert, p.leaf.cert, p.ca.cert), CHAIN_NOT_A_CA,
	    "CN=dev-17");
}

static void
chain_refuses_a_ca_below_path_length_zero(void **state)
{
	auto_pki p;
	pki_init(&p);
	auto_party sub = forge_ca("Sub CA", &p.ca);
	auto_party leaf = forge_leaf("dev-18", &sub);
	assert_reason(
	    JUDGE(p.set, leaf.cert, sub.cert, p.ca.cert), CHAIN_PATH_LENGTH, NULL);
}

static void
chain_refuses_a_ca_whose_eku_forbids_clients(void **state)
{
	auto_pki p;
	pki_init(&p);
	auto_party ca = forge(&(struct forge){.cn = "TLS CA",
	    .issuer = &p.root,
	    .basic = "critical,CA:TRUE",
	    .eku = "serverAuth"});
	auto_party leaf = forge_leaf("dev-18", &ca);
	assert_reason(JUDGE(p.set, leaf.cert, ca.cert), CHAIN_NO_CLIENT_AUTH, "TLS CA");
}

static void
chain_gives_up_beyond_its_depth(void **state)
{
	auto_pki p;
	pki_init(&p);
	struct party ca[CHAIN_DEPTH_MAX];
	struct cert *list[CHAIN_DEPTH_MAX + 1];
	char name[32];
	for (int i = 0; i < CHAIN_DEPTH_MAX; i++) {
		snprintf(name, sizeof(name), "CA %d", i);
		ca[i] = forge(&(struct forge){.cn = name,
		    .issuer = i ? &ca[i - 1] : &p.root,
		    .basic = "critical,CA:TRUE"});
		list[1 + i] = ca[i].cert;
	}
	for (int i = CHAIN_DEPTH_MAX - 3; i < CHAIN_DEPTH_MAX; i++) {
		auto_party leaf = forge_leaf("deep", &ca[i]);
		list[0] = leaf.cert;
		/* leaf, ca[i] .. ca[0], root */
		bool fits = i + 3 <= CHAIN_DEPTH_MAX;
		assert_reason(judge_at(p.set, NOW_MS, false, CHAIN_DEPTH_MAX + 1, list),
		    fits ? CHAIN_OK : CHAIN_TOO_LONG, fits ? NULL : "too many");
	}
	for (int i = 0; i < CHAIN_DEPTH_MAX; i++)
		party_done(&ca[i]);
}

/* One key, one name, many certificates that lead nowhere: the budget ends it. */
static void
chain_search_among_many_cross_signs_is_bounded(void **state)
{
	auto_pki p;
	pki_init(&p);
	auto_(key_free) struct key *key = key_generate(KEY_P256, NULL);
	struct party cross[CERT_LIST_MAX - 1];
	struct cert *list[CERT_LIST_MAX];
	for (size_t i = 0; i < CERT_LIST_MAX - 1; i++) {
		struct party by = {.key = key, .cert = i ? cross[0].cert : NULL};
		cross[i] = forge(&(struct forge){.cn = "Loop",
		    .issuer = i ? &by : NULL,
		    .basic = "critical,CA:TRUE",
		    .no_ids = true,
		    .key = key});
		list[1 + i] = cross[i].cert;
	}
	struct party by = {.key = key, .cert = cross[0].cert};
	auto_party leaf =
	    forge(&(struct forge){.cn = "dev", .issuer = &by, .no_ids = true});
	list[0] = leaf.cert;
	assert_reason(
	    judge_at(p.set, NOW_MS, false, CERT_LIST_MAX, list), CHAIN_TOO_LONG, NULL);
	for (size_t i = 0; i < CERT_LIST_MAX - 1; i++)
		party_done(&cross[i]);
}

/* A rollover: the same CA key signed by an expired root and by the new one (reliability
 * row 33). */
static void
chain_backs_out_of_an_expired_cross_sign(void **state)
{
	struct err e = {0};
	auto_party old = forge(&(struct forge){.cn = "Old Root",
	    .basic = "critical,CA:TRUE",
	    .from_s = NOW_S - 900 * FORGE_DAY,
	    .to_s = NOW_S - FORGE_DAY});
	auto_party new = forge_root("New Root");
	auto_party under_old = forge_ca("Issuing CA", &old);
	auto_party under_new = forge(&(struct forge){.cn = "Issuing CA",
	    .issuer = &new,
	    .basic = "critical,CA:TRUE,pathlen:0",
	    .key = under_old.key});
	auto_party leaf = forge_leaf("dev-17", &under_old);
	auto_(chain_set_free) struct chain_set *s = chain_set_new();
	assert_ok(chain_set_add(s, old.cert, CHAIN_TRUSTED, &e), &e);
	assert_ok(chain_set_add(s, new.cert, CHAIN_TRUSTED, &e), &e);
	assert_reason(JUDGE(s, leaf.cert, under_old.cert), CHAIN_EXPIRED, "Old Root");
	struct chain_verdict v = JUDGE(s, leaf.cert, under_old.cert, under_new.cert);
	assert_reason(v, CHAIN_OK, NULL);
	assert_string_equal(v.text, "");
	assert_memory_equal(v.ca[1], new.cert->sha256, DIGEST_SHA256);
}

static void
chain_self_signed_leaf_is_told_apart_with_its_thumbprints(void **state)
{
	auto_pki p;
	pki_init(&p);
	/* openssl req -x509 makes CA:TRUE */
	auto_party self =
	    forge(&(struct forge){.cn = "dev-9", .basic = "critical,CA:TRUE"});
	struct chain_verdict v = JUDGE(p.set, self.cert);
	assert_reason(v, CHAIN_SELF_SIGNED, "dev-9");
	assert_int_equal(strlen(v.sha1), 40);
	assert_int_equal(strlen(v.sha256), 64);
	assert_string_equal(v.cn, "dev-9");
	assert_int_equal(v.not_after_ms, self.cert->not_after_ms);
	assert_int_equal(v.n_ca, 0);
	auto_party nameless = forge(&(struct forge){.cn = NULL});
	v = JUDGE(p.set, nameless.cert);
	assert_reason(v, CHAIN_SELF_SIGNED, NULL);
	assert_string_equal(v.cn, "");
}

static void
chain_of_nothing_is_malformed(void **state)
{
	auto_(chain_set_free) struct chain_set *s = chain_set_new();
	assert_reason(
	    judge_at(s, NOW_MS, false, 0, NULL), CHAIN_MALFORMED, "no certificate");
}

static void
chain_set_takes_cas_only_and_each_once(void **state)
{
	auto_pki p;
	pki_init(&p);
	struct err e = {0};
	assert_fails(chain_set_add(p.set, p.leaf.cert, CHAIN_TRUSTED, &e), &e, USAGE);
	assert_int_equal(chain_set_len(p.set), 2);
	assert_ok(chain_set_add(p.set, p.ca.cert, CHAIN_TRUSTED, &e), &e);
	assert_int_equal(chain_set_len(p.set), 2);
	/* it became an anchor: the root may go */
	assert_reason(JUDGE(p.set, p.leaf.cert), CHAIN_OK, NULL);
	auto_party v1 = forge(&(struct forge){.cn = "V1 Root", .version = 1});
	assert_fails(chain_set_add(p.set, v1.cert, CHAIN_TRUSTED, &e), &e, USAGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(chain_accepts_leaf_with_its_chain_in_any_order),
	    cmocka_unit_test(chain_accepts_leaf_only_when_the_intermediate_is_known),
	    cmocka_unit_test(
		chain_goes_through_no_presented_certificate_of_a_refused_key),
	    cmocka_unit_test(
		chain_ends_at_a_trusted_intermediate_and_names_the_cas_above),
	    cmocka_unit_test(chain_helper_alone_is_no_trust),
	    cmocka_unit_test(chain_tells_expired_and_not_yet_valid_with_the_certificate),
	    cmocka_unit_test(chain_refuses_a_foreign_ca),
	    cmocka_unit_test(chain_refuses_a_ca_that_only_has_our_cas_name),
	    cmocka_unit_test(chain_refuses_v1_unless_allowed),
	    cmocka_unit_test(chain_refuses_leaves_of_another_profile),
	    cmocka_unit_test(chain_refuses_weak_keys_and_hashes),
	    cmocka_unit_test(chain_refuses_a_leaf_as_issuer),
	    cmocka_unit_test(chain_refuses_a_ca_below_path_length_zero),
	    cmocka_unit_test(chain_refuses_a_ca_whose_eku_forbids_clients),
	    cmocka_unit_test(chain_gives_up_beyond_its_depth),
	    cmocka_unit_test(chain_search_among_many_cross_signs_is_bounded),
	    cmocka_unit_test(chain_backs_out_of_an_expired_cross_sign),
	    cmocka_unit_test(chain_self_signed_leaf_is_told_apart_with_its_thumbprints),
	    cmocka_unit_test(chain_of_nothing_is_malformed),
	    cmocka_unit_test(chain_set_takes_cas_only_and_each_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
