/*
 * Enrollments and the certificates that groups name: every member makes the round trip,
 * kinds do not mix.
 */
#include "store/enrollment.h"

#include "verbs.h"

static const struct store_enrollment full_group = {
    .id = "Line-7",
    .etag = 3,
    .attestation = STORE_ATT_X509,
    .primary_cert = {(const uint8_t *)"\x30\x00", 2},
    .secondary_cert = {(const uint8_t *)"\x30\x01", 2},
    .primary_cert_sha256 = "c1",
    .secondary_cert_sha256 = "c2",
    .primary_ca = "Root-1",
    .secondary_ca = "root-2",
    .primary_key = {(const uint8_t *)"k1", 2},
    .secondary_key = {(const uint8_t *)"k2", 2},
    .endorsement_key = {(const uint8_t *)"ek", 2},
    .storage_root_key = {(const uint8_t *)"srk", 3},
    .device_id = "Dev",
    .info = {(const uint8_t *)"{\"a\":1}", 7},
    .enabled = true,
    .allocation = "hashed",
    .hubs = "one.example two.example",
    .tags = {(const uint8_t *)"{}", 2},
    .desired = {(const uint8_t *)"{ }", 3},
    .update_hub = true,
    .created_ms = 5,
    .updated_ms = 6,
};

static void
assert_same_group(const struct store_enrollment *g, const struct store_enrollment *w)
{
	assert_int_equal(g->kind, w->kind);
	assert_string_equal(g->id, w->id);
	assert_int_equal(g->etag, w->etag);
	assert_int_equal(g->attestation, w->attestation);
	assert_span(g->primary_cert, w->primary_cert);
	assert_span(g->secondary_cert, w->secondary_cert);
	assert_string_equal(g->primary_cert_sha256, w->primary_cert_sha256);
	assert_string_equal(g->secondary_cert_sha256, w->secondary_cert_sha256);
	assert_string_equal(g->primary_ca, w->primary_ca);
	assert_string_equal(g->secondary_ca, w->secondary_ca);
	assert_span(g->endorsement_key, w->endorsement_key);
	assert_span(g->storage_root_key, w->storage_root_key);
	assert_string_equal(g->device_id, w->device_id);
	assert_span(g->info, w->info);
	assert_span(g->primary_key, w->primary_key);
	assert_span(g->secondary_key, w->secondary_key);
	assert_int_equal(g->enabled, w->enabled);
	assert_int_equal(g->iot_edge, w->iot_edge);
	assert_string_equal(g->allocation, w->allocation);
	assert_string_equal(g->hubs, w->hubs);
	assert_span(g->tags, w->tags);
	assert_span(g->desired, w->desired);
	assert_int_equal(g->update_hub, w->update_hub);
	assert_int_equal(g->migrate_data, w->migrate_data);
	assert_int_equal(g->created_ms, w->created_ms);
	assert_int_equal(g->updated_ms, w->updated_ms);
}

static void
group_ids_ignore_case_and_keep_their_first_spelling(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_enrollment got, g = full_group;
	assert_ok(store_enrollment_add(s, &g, &e), &e);
	assert_ok(
	    store_enrollment_get(s, STORE_GROUP, "LINE-7", arena(state), &got, &e), &e);
	assert_same_group(&got, &full_group);
	g.id = "line-7";
	assert_fails(store_enrollment_add(s, &g, &e), &e, EXISTS);

	g.enabled = false;
	g.iot_edge = true;
	g.update_hub = false;
	g.migrate_data = true;
	g.attestation = STORE_ATT_SYMMETRIC;
	g.etag = 4;
	assert_ok(store_enrollment_put(s, &g, &e), &e);
	assert_ok(
	    store_enrollment_get(s, STORE_GROUP, "lIne-7", arena(state), &got, &e), &e);
	g.id = "Line-7";
	assert_same_group(&got, &g);
	assert_ok(store_enrollment_del(s, STORE_GROUP, "LINE-7", &e), &e);
	assert_fails(store_enrollment_put(s, &g, &e), &e, NOT_FOUND);
	assert_fails(store_enrollment_del(s, STORE_GROUP, "Line-7", &e), &e, NOT_FOUND);
}

static void
group_is_found_by_either_certificate_and_never_by_none(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_enrollment got,
	    keys = {.id = "keys", .attestation = STORE_ATT_SYMMETRIC};
	assert_ok(store_enrollment_add(s, &full_group, &e), &e);
	assert_ok(store_enrollment_add(s, &keys, &e), &e);
	assert_ok(
	    store_enrollment_by_cert(s, STORE_GROUP, "c1", arena(state), &got, &e), &e);
	assert_ok(
	    store_enrollment_by_cert(s, STORE_GROUP, "c2", arena(state), &got, &e), &e);
	assert_same_group(&got, &full_group);
	assert_fails(
	    store_enrollment_by_cert(s, STORE_GROUP, "c3", arena(state), &got, &e), &e,
	    NOT_FOUND);
	assert_fails(store_enrollment_by_cert(s, STORE_GROUP, "", arena(state), &got, &e),
	    &e, NOT_FOUND);
}

static int
on_group(void *ctx, const struct store_enrollment *g, struct err *e)
{
	return see(ctx, g->id);
}

static void
group_each_orders_without_case(void **state)
{
	struct store *s = begun(state);
	struct err e;
	static const char *const ids[] = {"b", "C", "A"};
	for (size_t i = 0; i < 3; i++) {
		struct store_enrollment g = {.id = ids[i], .attestation = STORE_ATT_X509};
		assert_ok(store_enrollment_add(s, &g, &e), &e);
	}
	struct seen seen = {0};
	assert_ok(store_enrollment_each(s, STORE_GROUP, "a", 5, on_group, &seen, &e), &e);
	assert_string_equal(seen.text, "b C ");
}

static void
kinds_have_ids_and_certificates_of_their_own(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_enrollment got, one = full_group;
	assert_ok(store_enrollment_add(s, &full_group, &e), &e);
	one.kind = STORE_INDIVIDUAL;
	one.primary_cert_sha256 = "c3";
	assert_ok(store_enrollment_add(s, &one, &e), &e);
	one.etag = 9;
	one.attestation = STORE_ATT_TPM;
	assert_ok(store_enrollment_put(s, &one, &e), &e);
	assert_ok(
	    store_enrollment_get(s, STORE_INDIVIDUAL, "line-7", arena(state), &got, &e),
	    &e);
	assert_same_group(&got, &one);
	assert_ok(
	    store_enrollment_get(s, STORE_GROUP, "line-7", arena(state), &got, &e), &e);
	assert_same_group(&got, &full_group);
	assert_ok(
	    store_enrollment_by_cert(s, STORE_INDIVIDUAL, "c3", arena(state), &got, &e),
	    &e);
	assert_fails(
	    store_enrollment_by_cert(s, STORE_GROUP, "c3", arena(state), &got, &e), &e,
	    NOT_FOUND);
	assert_fails(
	    store_enrollment_by_cert(s, STORE_INDIVIDUAL, "c1", arena(state), &got, &e),
	    &e, NOT_FOUND);
	struct seen seen = {0};
	assert_ok(
	    store_enrollment_each(s, STORE_INDIVIDUAL, "", 5, on_group, &seen, &e), &e);
	assert_string_equal(seen.text, "Line-7 ");
	assert_ok(store_enrollment_del(s, STORE_INDIVIDUAL, "LINE-7", &e), &e);
	assert_ok(
	    store_enrollment_get(s, STORE_GROUP, "line-7", arena(state), &got, &e), &e);
}

static void
group_is_found_by_the_name_of_either_ca(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_enrollment got, one = full_group;
	one.kind = STORE_INDIVIDUAL;
	assert_ok(store_enrollment_add(s, &one, &e), &e);
	assert_fails(
	    store_enrollment_by_ca(s, "root-1", arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(store_enrollment_add(s, &full_group, &e), &e);
	assert_ok(store_enrollment_by_ca(s, "ROOT-1", arena(state), &got, &e), &e);
	assert_ok(store_enrollment_by_ca(s, "Root-2", arena(state), &got, &e), &e);
	assert_same_group(&got, &full_group);
	one.kind = STORE_GROUP;
	one.id = "none";
	one.primary_ca = one.secondary_ca = "";
	assert_ok(store_enrollment_add(s, &one, &e), &e);
	assert_fails(
	    store_enrollment_by_ca(s, "", arena(state), &got, &e), &e, NOT_FOUND);
}

static const struct store_ca_cert full_cert = {
    .owner = "",
    .name = "Root-1",
    .sha256 = "aa",
    .der = {(const uint8_t *)"\x30\x00", 2},
    .verified = true,
    .code = "C0DE",
    .etag = 4,
    .created_ms = 5,
    .updated_ms = 6,
};

static void
assert_same_cert(const struct store_ca_cert *c, const struct store_ca_cert *w)
{
	assert_string_equal(c->owner, w->owner);
	assert_string_equal(c->name, w->name);
	assert_string_equal(c->sha256, w->sha256);
	assert_span(c->der, w->der);
	assert_int_equal(c->verified, w->verified);
	assert_string_equal(c->code, w->code);
	assert_int_equal(c->etag, w->etag);
	assert_int_equal(c->created_ms, w->created_ms);
	assert_int_equal(c->updated_ms, w->updated_ms);
}

static int
on_ca_cert(void *ctx, const struct store_ca_cert *c, struct err *e)
{
	return see(ctx, c->name);
}

static void
certificates_of_the_service_have_one_name_each(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_ca_cert got, c = full_cert;
	struct seen seen = {0};
	assert_ok(store_ca_cert_add(s, &full_cert, &e), &e);
	assert_ok(store_ca_cert_get(s, "", "root-1", arena(state), &got, &e), &e);
	assert_same_cert(&got, &full_cert);
	c.sha256 = "bb";
	assert_fails(store_ca_cert_add(s, &c, &e), &e, EXISTS);
	c.name = "a";
	c.sha256 = "aa";
	assert_fails(store_ca_cert_add(s, &c, &e), &e, EXISTS);
	c.sha256 = "bb";
	c.verified = false;
	assert_ok(store_ca_cert_add(s, &c, &e), &e);
	assert_ok(store_ca_cert_by_sha256(s, "", "bb", arena(state), &got, &e), &e);
	assert_same_cert(&got, &c);
	c.etag = 10;
	c.code = "";
	c.updated_ms = 11;
	assert_ok(store_ca_cert_put(s, &c, &e), &e);
	assert_ok(store_ca_cert_get(s, "", "A", arena(state), &got, &e), &e);
	assert_same_cert(&got, &c);
	assert_ok(store_ca_cert_each(s, "", on_ca_cert, &seen, &e), &e);
	assert_string_equal(seen.text, "a Root-1 ");
	assert_ok(store_ca_cert_del(s, "", "A", &e), &e);
	assert_fails(store_ca_cert_put(s, &c, &e), &e, NOT_FOUND);
	assert_fails(store_ca_cert_del(s, "", "A", &e), &e, NOT_FOUND);
}

static void
each_owner_has_certificates_of_its_own(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_ca_cert got, c = full_cert;
	struct seen east = {0}, service = {0};
	assert_ok(store_ca_cert_add(s, &full_cert, &e), &e);
	c.owner = "East.example.net";
	assert_ok(store_ca_cert_add(s, &c, &e), &e);
	c.name = "second";
	assert_fails(store_ca_cert_add(s, &c, &e), &e, EXISTS);
	c.sha256 = "bb";
	assert_ok(store_ca_cert_add(s, &c, &e), &e);
	assert_fails(
	    store_ca_cert_get(s, "", "second", arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(
	    store_ca_cert_get(s, "east.example.net", "second", arena(state), &got, &e),
	    &e);
	assert_same_cert(&got, &c);
	assert_fails(
	    store_ca_cert_by_sha256(s, "", "bb", arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(store_ca_cert_del(s, "east.example.net", "root-1", &e), &e);
	assert_ok(store_ca_cert_each(s, "EAST.example.net", on_ca_cert, &east, &e), &e);
	assert_string_equal(east.text, "second ");
	assert_ok(store_ca_cert_each(s, "", on_ca_cert, &service, &e), &e);
	assert_string_equal(service.text, "Root-1 ");
}

#define IN_STORE(f) cmocka_unit_test_setup_teardown(f, dir_setup_store, dir_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_STORE(group_ids_ignore_case_and_keep_their_first_spelling),
	    IN_STORE(group_is_found_by_either_certificate_and_never_by_none),
	    IN_STORE(group_each_orders_without_case),
	    IN_STORE(kinds_have_ids_and_certificates_of_their_own),
	    IN_STORE(group_is_found_by_the_name_of_either_ca),
	    IN_STORE(certificates_of_the_service_have_one_name_each),
	    IN_STORE(each_owner_has_certificates_of_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
