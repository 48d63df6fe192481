/*
 * The path search and the judgement of a path: cross-signed CAs of a rollover, the
 * budget, revocation lists, policies, depth.
 */
#include "forge.h"

#include <openssl/x509v3.h>

#include "crypto/chain.h"

#define CERTS(...) ((struct cert *[]){__VA_ARGS__, NULL})

static struct chain_set *
set_of(struct cert *const *trusted)
{
	struct err e = {0};
	struct chain_set *s = chain_set_new();
	for (; *trusted; trusted++)
		assert_ok(chain_set_add(s, *trusted, CHAIN_TRUSTED, &e), &e);
	return s;
}

static struct chain_verdict
judge(const struct chain_set *s, struct cert *const *list, const struct chain_options *o)
{
	struct cert_list l = {.n = 0};
	struct chain_verdict v;
	while (list[l.n]) {
		l.v[l.n] = list[l.n];
		l.n++;
	}
	chain_verify(s, &l, o, &v);
	assert_true(v.checks <= CHAIN_CHECKS_MAX);
	return v;
}

static const struct chain_options plain = {.now_ms = NOW_MS};

static void
is(struct chain_verdict v, enum chain_reason want, const char *text)
{
	if (v.reason != want)
		fail_msg("%s (%s), wanted %s", chain_reason_name(v.reason), v.text,
		    chain_reason_name(want));
	if (text && !strstr(v.text, text))
		fail_msg("'%s' lacks '%s'", v.text, text);
}

static void
ends_at(struct chain_verdict v, size_t n_ca, const struct party *top)
{
	is(v, CHAIN_OK, NULL);
	assert_int_equal(v.n_ca, n_ca);
	assert_memory_equal(v.ca[n_ca - 1], top->cert->sha256, DIGEST_SHA256);
}

/* cn's key under another issuer, for a time. */
static struct party
cross(const struct party *ca, const char *cn, const struct party *by, int64_t to_s)
{
	return forge(&(struct forge){.cn = cn,
	    .issuer = by,
	    .basic = "critical,CA:TRUE",
	    .usage = "critical,keyCertSign,cRLSign",
	    .from_s = NOW_S - 90 * FORGE_DAY,
	    .to_s = to_s,
	    .key = ca->key});
}

static struct party
sub_ca(const char *cn, const struct party *issuer)
{
	return forge(
	    &(struct forge){.cn = cn, .issuer = issuer, .basic = "critical,CA:TRUE"});
}

/* --- rollover --- */

/* An old root and a new one; the new one cross-signed by the old; a CA under the new. */
struct rollover {
	struct party old, new, new_by_old, ca, leaf;
};

static void
rollover_init(struct rollover *r, int64_t cross_to_s)
{
	r->old = forge_root("Old Root");
	r->new = forge_root("New Root");
	r->new_by_old = cross(&r->new, "New Root", &r->old, cross_to_s);
	r->ca = forge_ca("Issuing CA", &r->new);
	r->leaf = forge_leaf("dev-17", &r->ca);
}

static void
rollover_done(struct rollover *r)
{
	party_done(&r->old);
	party_done(&r->new);
	party_done(&r->new_by_old);
	party_done(&r->ca);
	party_done(&r->leaf);
}
#define auto_rollover __attribute__((cleanup(rollover_done))) struct rollover

static void
path_goes_by_the_cross_sign_where_only_the_old_root_is_trusted(void **state)
{
	auto_rollover r;
	rollover_init(&r, NOW_S + 30 * FORGE_DAY);
	auto_(chain_set_free) struct chain_set *s = set_of(CERTS(r.old.cert));
	ends_at(judge(s, CERTS(r.leaf.cert, r.ca.cert, r.new_by_old.cert), &plain), 3,
	    &r.old);
	is(judge(s, CERTS(r.leaf.cert, r.ca.cert), &plain), CHAIN_UNKNOWN_ISSUER, NULL);
	/* the new root itself helps nobody who does not trust it */
	ends_at(judge(s, CERTS(r.leaf.cert, r.new.cert, r.ca.cert, r.new_by_old.cert),
		    &plain),
	    3, &r.old);
}

static void
path_prefers_the_trusted_root_to_its_cross_sign(void **state)
{
	auto_rollover r;
	rollover_init(&r, NOW_S + 30 * FORGE_DAY);
	auto_(chain_set_free) struct chain_set *s = set_of(CERTS(r.old.cert, r.new.cert));
	struct chain_verdict v =
	    judge(s, CERTS(r.leaf.cert, r.ca.cert, r.new_by_old.cert), &plain);
	ends_at(v, 2, &r.new);
	assert_int_equal(v.checks, 2);
}

static void
path_outlives_an_expired_cross_sign(void **state)
{
	auto_rollover r;
	rollover_init(&r, NOW_S - FORGE_DAY);
	auto_(chain_set_free) struct chain_set *both =
	    set_of(CERTS(r.old.cert, r.new.cert));
	auto_(chain_set_free) struct chain_set *old = set_of(CERTS(r.old.cert));
	struct cert **list = CERTS(r.leaf.cert, r.new_by_old.cert, r.ca.cert);
	ends_at(judge(both, list, &plain), 2, &r.new);
	is(judge(old, list, &plain), CHAIN_EXPIRED, "New Root");
}

/* Two CA certificates of one key, the first leads to a root that nobody trusts. */
static void
path_backs_out_of_a_ca_that_leads_nowhere(void **state)
{
	auto_rollover r;
	rollover_init(&r, NOW_S + FORGE_DAY);
	auto_party stranger = forge_root("Stranger");
	auto_party astray = cross(&r.ca, "Issuing CA", &stranger, NOW_S + 30 * FORGE_DAY);
	auto_(chain_set_free) struct chain_set *s = set_of(CERTS(r.new.cert));
	ends_at(
	    judge(s, CERTS(r.leaf.cert, astray.cert, stranger.cert, r.ca.cert), &plain),
	    2, &r.new);
}

/* A root that keeps its name and takes a new key, without key identifiers to tell them
 * apart. */
static void
path_finds_the_key_among_roots_of_one_name(void **state)
{
	struct forge root = {.cn = "Root", .basic = "critical,CA:TRUE", .no_ids = true};
	struct forge leaf = {.cn = "dev-17", .basic = "CA:FALSE", .no_ids = true};
	auto_party old = forge(&root), new = forge(&root);
	leaf.issuer = &old;
	auto_party by_old = forge(&leaf);
	leaf.issuer = &new;
	auto_party by_new = forge(&leaf);
	auto_(chain_set_free) struct chain_set *s = set_of(CERTS(old.cert, new.cert));
	ends_at(judge(s, CERTS(by_old.cert), &plain), 1, &old);
	ends_at(judge(s, CERTS(by_new.cert), &plain), 1, &new);
}

/* New with old (RFC 4210 4.4), the leaf without an identifier: both fit by name, and
 * OpenSSL by itself would take the anchor, whatever path it is given. */
static void
path_is_judged_as_found_where_names_repeat(void **state)
{
	struct forge f = {.cn = "Root", .basic = "critical,CA:TRUE"};
	auto_party old = forge(&f), new = forge(&f);
	f.issuer = &old;
	f.key = new.key;
	auto_party new_with_old = forge(&f);
	struct forge of_leaf = {.cn = "dev-17", .basic = "CA:FALSE", .issuer = &new};
	auto_party named = forge(&of_leaf);
	of_leaf.no_ids = true;
	auto_party nameless = forge(&of_leaf);
	auto_(chain_set_free) struct chain_set *s = set_of(CERTS(old.cert));
	ends_at(judge(s, CERTS(named.cert, new_with_old.cert), &plain), 2, &old);
	ends_at(judge(s, CERTS(nameless.cert, new_with_old.cert), &plain), 2, &old);
	is(judge(s, CERTS(named.cert), &plain), CHAIN_UNKNOWN_ISSUER, NULL);
}

static void
path_compares_names_without_case_and_extra_space(void **state)
{
	auto_party root = forge_root("Example  Root");
	auto_party twin = forge(&(struct forge){
	    .cn = "EXAMPLE Root", .basic = "critical,CA:TRUE", .key = root.key});
	auto_party leaf = forge_leaf("dev-17", &root);
	auto_(chain_set_free) struct chain_set *s = set_of(CERTS(twin.cert));
	ends_at(judge(s, CERTS(leaf.cert), &plain), 1, &twin);
}

/* --- the budget --- */

#define SAME_NAME 50

static void
path_search_among_keys_of_one_name_is_bounded(void **state)
{
	struct forge f = {.cn = "Root", .basic = "critical,CA:TRUE", .no_ids = true};
	struct party root[SAME_NAME];
	struct cert *list[SAME_NAME + 1] = {NULL};
	for (int i = 0; i < SAME_NAME; i++) {
		root[i] = forge(&f);
		list[i] = root[i].cert;
	}
	auto_party other = forge(&f);
	auto_party leaf = forge(&(struct forge){
	    .cn = "dev", .basic = "CA:FALSE", .issuer = &other, .no_ids = true});
	auto_(chain_set_free) struct chain_set *s = set_of(list);
	struct chain_verdict v = judge(s, CERTS(leaf.cert), &plain);
	is(v, CHAIN_BAD_SIGNATURE, "dev");
	assert_int_equal(v.checks, CHAIN_CHECKS_MAX);
	for (int i = 0; i < SAME_NAME; i++)
		party_done(&root[i]);
}

/* Every CA signed every other: the ways multiply, the looks do not. */
static void
path_search_in_a_mesh_of_cas_is_bounded(void **state)
{
	enum { CAS = 6 };
	auto_party root = forge_root("Root");
	struct party ca[CAS], mesh[CAS * CAS];
	struct cert *list[CAS * CAS + 2] = {NULL};
	size_t n = 1;
	char name[16];
	for (int i = 0; i < CAS; i++) {
		snprintf(name, sizeof(name), "CA %d", i);
		ca[i] = forge_root(name);
	}
	for (int i = 0; i < CAS; i++) {
		snprintf(name, sizeof(name), "CA %d", i);
		for (int j = 0; j < CAS; j++) {
			if (i == j)
				continue;
			mesh[n - 1] = cross(&ca[i], name, &ca[j], NOW_S + 30 * FORGE_DAY);
			list[n] = mesh[n - 1].cert;
			n++;
		}
	}
	auto_party leaf = forge_leaf("dev", &ca[0]);
	list[0] = leaf.cert;
	auto_(chain_set_free) struct chain_set *s = set_of(CERTS(root.cert));
	struct chain_verdict v = judge(s, list, &plain);
	is(v, CHAIN_TOO_LONG, "too many");
	assert_int_equal(v.checks, 0); /* no way ended anywhere: nothing was verified */
	for (size_t i = 0; i + 1 < n; i++)
		party_done(&mesh[i]);
	for (int i = 0; i < CAS; i++)
		party_done(&ca[i]);
}

static void
path_depth_may_be_asked_for(void **state)
{
	auto_party root = forge_root("Root");
	auto_party one = sub_ca("One", &root);
	auto_party two = sub_ca("Two", &one);
	auto_party leaf = forge_leaf("dev", &two);
	auto_(chain_set_free) struct chain_set *s = set_of(CERTS(root.cert));
	struct chain_options o = plain;
	for (o.depth = 0; o.depth <= 4; o.depth++) {
		bool fits = o.depth == 0 || o.depth - 1 >= 2;
		is(judge(s, CERTS(leaf.cert, one.cert, two.cert), &o),
		    fits ? CHAIN_OK : CHAIN_TOO_LONG, NULL);
	}
}

/* --- revocation lists --- */

struct list {
	const struct party *by;
	const struct cert *revoked; /* NULL: none */
	int64_t this_s, next_s;     /* 0: an hour ago, in a day */
	bool no_number, critical_number, no_next;
};

static void
set_number(X509_CRL *crl, const struct list *l)
{
	ASN1_INTEGER *n = ASN1_INTEGER_new();
	ASN1_INTEGER_set(n, 7);
	assert_int_equal(
	    X509_CRL_add1_ext_i2d(crl, NID_crl_number, n, l->critical_number, 0), 1);
	ASN1_INTEGER_free(n);
}

static void
add_revoked(X509_CRL *crl, const struct cert *c)
{
	X509_REVOKED *r = X509_REVOKED_new();
	ASN1_TIME *at = ASN1_TIME_set(NULL, NOW_S - 1800);
	X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(c->x509));
	X509_REVOKED_set_revocationDate(r, at);
	assert_int_equal(X509_CRL_add0_revoked(crl, r), 1);
	ASN1_TIME_free(at);
}

static int
add_list(struct crlset *s, const struct list *l, struct err *e)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *from = ASN1_TIME_set(NULL, l->this_s ? l->this_s : NOW_S - 3600),
		  *to = ASN1_TIME_set(NULL, l->next_s ? l->next_s : NOW_S + FORGE_DAY);
	unsigned char *der = NULL;
	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(l->by->cert->x509));
	X509_CRL_set1_lastUpdate(crl, from);
	if (!l->no_next)
		X509_CRL_set1_nextUpdate(crl, to);
	if (!l->no_number)
		set_number(crl, l);
	if (l->revoked)
		add_revoked(crl, l->revoked);
	assert_true(X509_CRL_sign(crl, key_evp(l->by->key), EVP_sha256()) > 0);
	int len = i2d_X509_CRL(crl, &der);
	int done = crlset_add(s, span_of(der, (size_t)len), e);
	OPENSSL_free(der);
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	X509_CRL_free(crl);
	return done;
}

/* A root, a CA without key usage, its leaf; and lists. */
struct listed {
	struct party root, ca, leaf;
	struct chain_set *set;
	struct crlset *crls;
	struct chain_options o;
};

static void
listed_init(struct listed *w)
{
	w->root = forge_root("Root");
	w->ca = sub_ca("CA", &w->root);
	w->leaf = forge_leaf("dev-17", &w->ca);
	w->set = set_of(CERTS(w->root.cert));
	w->crls = crlset_new();
	w->o = (struct chain_options){.now_ms = NOW_MS, .crls = w->crls};
}

static void
listed_done(struct listed *w)
{
	party_done(&w->root);
	party_done(&w->ca);
	party_done(&w->leaf);
	chain_set_free(w->set);
	crlset_free(w->crls);
}
#define auto_listed __attribute__((cleanup(listed_done))) struct listed

static void
listed_add(struct listed *w, struct list l)
{
	struct err e = {0};
	l.by = l.by ? l.by : &w->ca;
	assert_ok(add_list(w->crls, &l, &e), &e);
}

static struct chain_verdict
listed_judge(const struct listed *w)
{
	return judge(w->set, CERTS(w->leaf.cert, w->ca.cert), &w->o);
}

static void
path_refuses_what_a_list_revokes(void **state)
{
	auto_listed w;
	listed_init(&w);
	listed_add(&w, (struct list){.revoked = w.leaf.cert});
	is(listed_judge(&w), CHAIN_REVOKED, "dev-17");
	auto_listed above;
	listed_init(&above);
	listed_add(&above, (struct list){0});
	is(listed_judge(&above), CHAIN_OK, NULL);
	listed_add(&above, (struct list){.by = &above.root, .revoked = above.ca.cert});
	is(listed_judge(&above), CHAIN_REVOKED, "CN=CA");
}

static void
path_wants_a_list_of_every_issuer_only_when_asked_to(void **state)
{
	auto_listed w;
	listed_init(&w);
	is(listed_judge(&w), CHAIN_OK, NULL);
	w.o.crl_all = true;
	is(listed_judge(&w), CHAIN_NO_STATUS, NULL);
	listed_add(&w, (struct list){0});
	is(listed_judge(&w), CHAIN_NO_STATUS, "CN=CA");
	listed_add(&w, (struct list){.by = &w.root});
	is(listed_judge(&w), CHAIN_OK, NULL);
}

static void
path_is_not_shown_by_a_list_out_of_time_or_of_another_key(void **state)
{
	const struct list bad[] = {
	    {.this_s = NOW_S + 60},
	    {.this_s = NOW_S - 9 * FORGE_DAY, .next_s = NOW_S - 1},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		auto_listed w;
		listed_init(&w);
		listed_add(&w, bad[i]);
		is(listed_judge(&w), CHAIN_NO_STATUS, "dev-17");
		listed_add(&w, (struct list){0});
		is(listed_judge(&w), CHAIN_OK, NULL);
	}
	auto_listed edge;
	listed_init(&edge);
	listed_add(&edge, (struct list){.next_s = NOW_S}); /* through its second */
	is(listed_judge(&edge), CHAIN_OK, NULL);

	auto_listed w;
	listed_init(&w);
	auto_party twin = forge_root("CA");
	listed_add(&w, (struct list){.by = &twin});
	is(listed_judge(&w), CHAIN_NO_STATUS, NULL);
}

/* Our stance: a CA without key usage may sign what it likes (RFC 5280 4.2.1.3, 6.3.3 (f):
 * "if a key usage extension is present"); one with a key usage says so. */
static void
path_takes_lists_of_a_ca_without_key_usage_alone(void **state)
{
	auto_listed w;
	listed_init(&w);
	assert_false(w.ca.cert->has_usage);
	listed_add(&w, (struct list){0});
	is(listed_judge(&w), CHAIN_OK, NULL);

	auto_party mute = forge(&(struct forge){.cn = "Mute CA",
	    .issuer = &w.root,
	    .basic = "critical,CA:TRUE",
	    .usage = "critical,keyCertSign"});
	auto_party leaf = forge_leaf("dev-18", &mute);
	listed_add(&w, (struct list){.by = &mute});
	is(judge(w.set, CERTS(leaf.cert, mute.cert), &w.o), CHAIN_NO_STATUS, NULL);
}

static void
crlset_refuses_lists_without_number_or_end(void **state)
{
	auto_listed w;
	listed_init(&w);
	struct err e = {0};
	const struct list bad[] = {
	    {.by = &w.ca, .no_number = true},
	    {.by = &w.ca, .critical_number = true},
	    {.by = &w.ca, .no_next = true},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_fails(add_list(w.crls, &bad[i], &e), &e, PARSE);
	assert_fails(crlset_add(w.crls, SPAN_LIT("\x30\x00"), &e), &e, PARSE);
	assert_int_equal(crlset_len(w.crls), 0);
	for (int i = 0; i < CRLSET_MAX; i++)
		listed_add(&w, (struct list){0});
	struct list more = {.by = &w.ca};
	assert_fails(add_list(w.crls, &more, &e), &e, LIMIT);
}

/* --- policies --- */

static void
path_keeps_to_the_policies_that_are_asked_for(void **state)
{
	static const char *const one[] = {"1.2.3.4"}, *const two[] = {"1.2.3.5"};
	auto_party root = forge_root("Root");
	auto_party ca = forge(&(struct forge){.cn = "CA",
	    .issuer = &root,
	    .basic = "critical,CA:TRUE",
	    .nid_name = "2.5.29.32",
	    .nid_value = "DER:30:07:30:05:06:03:2a:03:04"});
	auto_party leaf = forge(&(struct forge){.cn = "dev",
	    .issuer = &ca,
	    .nid_name = "2.5.29.32",
	    .nid_value = "DER:30:07:30:05:06:03:2a:03:04"});
	auto_(chain_set_free) struct chain_set *s = set_of(CERTS(root.cert));
	struct chain_policy p = {.oids = one, .n = 1, .explicit_policy = true};
	struct chain_options o = plain;
	o.policy = &p;
	is(judge(s, CERTS(leaf.cert, ca.cert), &o), CHAIN_OK, NULL);
	p.oids = two;
	is(judge(s, CERTS(leaf.cert, ca.cert), &o), CHAIN_PROFILE, "policy");
	is(judge(s, CERTS(leaf.cert, ca.cert), &plain), CHAIN_OK, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(
		path_goes_by_the_cross_sign_where_only_the_old_root_is_trusted),
	    cmocka_unit_test(path_prefers_the_trusted_root_to_its_cross_sign),
	    cmocka_unit_test(path_outlives_an_expired_cross_sign),
	    cmocka_unit_test(path_backs_out_of_a_ca_that_leads_nowhere),
	    cmocka_unit_test(path_finds_the_key_among_roots_of_one_name),
	    cmocka_unit_test(path_is_judged_as_found_where_names_repeat),
	    cmocka_unit_test(path_compares_names_without_case_and_extra_space),
	    cmocka_unit_test(path_search_among_keys_of_one_name_is_bounded),
	    cmocka_unit_test(path_search_in_a_mesh_of_cas_is_bounded),
	    cmocka_unit_test(path_depth_may_be_asked_for),
	    cmocka_unit_test(path_refuses_what_a_list_revokes),
	    cmocka_unit_test(path_wants_a_list_of_every_issuer_only_when_asked_to),
	    cmocka_unit_test(path_is_not_shown_by_a_list_out_of_time_or_of_another_key),
	    cmocka_unit_test(path_takes_lists_of_a_ca_without_key_usage_alone),
	    cmocka_unit_test(crlset_refuses_lists_without_number_or_end),
	    cmocka_unit_test(path_keeps_to_the_policies_that_are_asked_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
