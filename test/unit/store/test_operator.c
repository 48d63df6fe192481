/*
 * Operators, the keys of their tokens, tags of resources, and the audit record.
 */
#include "store/audit.h"
#include "store/operator.h"
#include "store/resource.h"
#include "verbs.h"

static const struct store_principal ann = {
    .name = "ann",
    .app_id = "app-1",
    .role = "owner",
    .salt = {(const uint8_t *)"salt", 4},
    .secret = {(const uint8_t *)"hash", 4},
    .added_ms = 1,
    .secret_ms = 2,
    .secret_end_ms = 3,
    .signin_ms = 4,
};

static void
assert_principal(const struct store_principal *got, const struct store_principal *want)
{
	assert_string_equal(got->name, want->name);
	assert_string_equal(got->app_id, want->app_id);
	assert_string_equal(got->role, want->role);
	assert_span(got->salt, want->salt);
	assert_span(got->secret, want->secret);
	assert_int_equal(got->added_ms, want->added_ms);
	assert_int_equal(got->secret_ms, want->secret_ms);
	assert_int_equal(got->secret_end_ms, want->secret_end_ms);
	assert_int_equal(got->signin_ms, want->signin_ms);
}

static int
on_principal(void *ctx, const struct store_principal *p, struct err *e)
{
	(void)e;
	return see(ctx, p->name);
}

static void
principals_are_found_by_name_and_by_application(void **state)
{
	struct store *s = begun(state);
	struct store_principal got, p = ann;
	struct seen seen = {0};
	struct err e;
	assert_ok(store_principal_put(s, &p, &e), &e);
	assert_ok(store_principal_get(s, "ann", arena(state), &got, &e), &e);
	assert_principal(&got, &ann);
	assert_fails(
	    store_principal_get(s, "Ann", arena(state), &got, &e), &e, NOT_FOUND);
	p.role = "reader";
	p.app_id = "app-2";
	assert_ok(store_principal_put(s, &p, &e), &e);
	assert_ok(store_principal_by_app(s, "app-2", arena(state), &got, &e), &e);
	assert_principal(&got, &p);
	assert_fails(
	    store_principal_by_app(s, "app-1", arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(store_principal_put(s,
		      &(struct store_principal){
			  .name = "al", .app_id = "app-3", .role = "none"},
		      &e),
	    &e);
	assert_ok(store_principal_each(s, on_principal, &seen, &e), &e);
	assert_string_equal(seen.text, "al ann ");
	assert_ok(store_principal_del(s, "al", &e), &e);
	assert_fails(store_principal_del(s, "al", &e), &e, NOT_FOUND);
}

static void
certificates_are_counted_and_disabled_by_name(void **state)
{
	static const char *const shas[] = {"s1", "s2", "s3"};
	struct store *s = begun(state);
	struct store_operator got;
	struct err e;
	int64_t n;
	for (size_t i = 0; i < 3; i++) {
		const struct store_operator o = {.sha256 = shas[i],
		    .name = i < 2 ? "ann" : "bob",
		    .not_after_ms = 10 + (int64_t)i,
		    .enabled = true};
		assert_ok(store_operator_put(s, &o, &e), &e);
	}
	assert_ok(store_operator_count(s, "ann", 9, &n, &e), &e);
	assert_int_equal(n, 2);
	assert_ok(store_operator_count(s, "ann", 10, &n, &e), &e);
	assert_int_equal(n, 1);
	assert_ok(store_operator_disable(s, "ann", &e), &e);
	assert_ok(store_operator_count(s, "ann", 0, &n, &e), &e);
	assert_int_equal(n, 0);
	assert_ok(store_operator_get(s, "s1", arena(state), &got, &e), &e);
	assert_false(got.enabled);
	assert_ok(store_operator_count(s, "bob", 0, &n, &e), &e);
	assert_int_equal(n, 1);
}

static void
the_youngest_key_of_tokens_signs_and_old_ones_go(void **state)
{
	struct store *s = begun(state);
	struct store_token_key got, k = {.kid = "k1",
					.key = SPAN_LIT("pem"),
					.spki = SPAN_LIT("der"),
					.made_ms = 5};
	struct err e;
	assert_fails(store_token_key_newest(s, arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(store_token_key_add(s, &k, &e), &e);
	assert_fails(store_token_key_add(s, &k, &e), &e, EXISTS);
	k.kid = "k2";
	k.made_ms = 6;
	assert_ok(store_token_key_add(s, &k, &e), &e);
	assert_ok(store_token_key_newest(s, arena(state), &got, &e), &e);
	assert_string_equal(got.kid, "k2");
	assert_ok(store_token_key_get(s, "k1", arena(state), &got, &e), &e);
	assert_span(got.key, SPAN_LIT("pem"));
	assert_span(got.spki, SPAN_LIT("der"));
	assert_int_equal(got.made_ms, 5);
	assert_ok(store_token_key_trim(s, 6, &e), &e);
	assert_fails(store_token_key_get(s, "k1", arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(store_token_key_get(s, "k2", arena(state), &got, &e), &e);
}

static void
resources_are_of_a_kind_and_a_name_without_case(void **state)
{
	struct store *s = begun(state);
	struct store_resource got, r = {.kind = "hub",
				       .name = "h.x",
				       .tags = SPAN_LIT("{}"),
				       .etag = 2,
				       .allocation = "",
				       .routes = SPAN_LIT("[]")};
	struct err e;
	assert_ok(store_resource_put(s, &r, &e), &e);
	r.tags = SPAN_LIT("{\"a\":\"b\"}");
	r.etag = 3;
	r.linked = r.routed = r.fallback = true;
	r.allocation = "static";
	r.routes = SPAN_LIT("[{}]");
	assert_ok(store_resource_put(s, &r, &e), &e);
	assert_ok(store_resource_get(s, "hub", "H.x", arena(state), &got, &e), &e);
	assert_string_equal(got.kind, "hub");
	assert_string_equal(got.name, "h.x");
	assert_span(got.tags, r.tags);
	assert_int_equal(got.etag, 3);
	assert_true(got.linked && got.routed && got.fallback);
	assert_string_equal(got.allocation, "static");
	assert_span(got.routes, r.routes);
	assert_fails(
	    store_resource_get(s, "dps", "h.x", arena(state), &got, &e), &e, NOT_FOUND);
}

static int
on_link(void *ctx, const struct store_link *l, struct err *e)
{
	struct store_link *last = ctx;
	(void)e;
	assert_string_equal(l->location, "somewhere");
	last->weight = last->weight * 100 + l->weight;
	last->apply = l->apply;
	return 0;
}

static void
links_are_of_one_service_and_go_together(void **state)
{
	struct store *s = begun(state);
	struct store_link seen = {0}, l = {.dps = "",
					  .hub = "b.x",
					  .location = "somewhere",
					  .apply = true,
					  .weight = 2};
	struct err e;
	assert_ok(store_link_add(s, &l, &e), &e);
	l.hub = "B.X";
	assert_fails(store_link_add(s, &l, &e), &e, EXISTS);
	l.hub = "a.x";
	l.weight = 7;
	assert_ok(store_link_add(s, &l, &e), &e);
	l.dps = "other";
	assert_ok(store_link_add(s, &l, &e), &e);
	assert_ok(store_link_each(s, "", on_link, &seen, &e), &e);
	assert_int_equal(seen.weight, 702);
	assert_true(seen.apply);
	assert_ok(store_link_clear(s, "", &e), &e);
	seen.weight = 0;
	assert_ok(store_link_each(s, "", on_link, &seen, &e), &e);
	assert_int_equal(seen.weight, 0);
	assert_ok(store_link_each(s, "other", on_link, &seen, &e), &e);
	assert_int_equal(seen.weight, 7);
}

static int
on_consumer(void *ctx, const struct store_consumer *c, struct err *e)
{
	int64_t *sum = ctx;
	(void)e;
	*sum += c->made_ms;
	return 0;
}

static void
consumer_groups_are_of_a_hub(void **state)
{
	struct store *s = begun(state);
	struct store_consumer got, c = {.hub = "a.x", .name = "Mine", .made_ms = 3};
	int64_t sum = 0;
	struct err e;
	assert_ok(store_consumer_add(s, &c, &e), &e);
	c.name = "mine";
	assert_fails(store_consumer_add(s, &c, &e), &e, EXISTS);
	c.hub = "b.x";
	c.made_ms = 40;
	assert_ok(store_consumer_add(s, &c, &e), &e);
	assert_ok(store_consumer_get(s, "A.x", "mine", arena(state), &got, &e), &e);
	assert_string_equal(got.name, "Mine");
	assert_int_equal(got.made_ms, 3);
	assert_ok(store_consumer_each(s, "b.x", on_consumer, &sum, &e), &e);
	assert_int_equal(sum, 40);
	assert_ok(store_consumer_del(s, "a.x", "MINE", &e), &e);
	assert_fails(store_consumer_del(s, "a.x", "mine", &e), &e, NOT_FOUND);
	assert_fails(
	    store_consumer_get(s, "a.x", "mine", arena(state), &got, &e), &e, NOT_FOUND);
}

struct lines {
	struct store_audit first;
	char text[64];
	int64_t last;
	int n;
};

static int
on_line(void *ctx, const struct store_audit *a, struct err *e)
{
	struct lines *l = ctx;
	(void)e;
	if (!l->n++) {
		assert_string_equal(a->who, "operator:ann");
		assert_string_equal(a->auth, "x509");
		assert_string_equal(a->what, "hub put");
		assert_string_equal(a->target, "h");
		assert_string_equal(a->result, "OK");
		assert_string_equal(a->detail, "d");
		assert_string_equal(a->peer, "p");
		assert_string_equal(a->agent, "g");
		l->first.at_ms = a->at_ms;
	}
	assert_true(a->seq > l->last);
	l->last = a->seq;
	return 0;
}

static void
audit_lines_are_read_in_order_and_trimmed_by_age(void **state)
{
	struct store *s = begun(state);
	struct store_audit a = {.who = "operator:ann",
	    .auth = "x509",
	    .what = "hub put",
	    .target = "h",
	    .result = "OK",
	    .detail = "d",
	    .peer = "p",
	    .agent = "g"};
	struct lines all = {.n = 0}, some = {.n = 0}, rest = {.n = 0};
	struct err e;
	int64_t next, dropped;
	for (a.at_ms = 1; a.at_ms <= 5; a.at_ms++)
		assert_ok(store_audit_add(s, &a, &e), &e);
	assert_ok(store_audit_each(s, 0, 0, 100, on_line, &all, &next, &e), &e);
	assert_int_equal(all.n, 5);
	assert_ok(store_audit_each(s, 1, 3, 2, on_line, &some, &next, &e), &e);
	assert_int_equal(some.n, 2);
	assert_int_equal(some.first.at_ms, 3);
	assert_ok(store_audit_trim(s, 4, 100, 2, &dropped, &e), &e);
	assert_int_equal(dropped, 2);
	assert_ok(store_audit_each(s, 0, 0, 100, on_line, &rest, &next, &e), &e);
	assert_int_equal(rest.first.at_ms, 3);
	rest = (struct lines){.n = 0};
	assert_ok(store_audit_trim(s, 4, 100, 100, &dropped, &e), &e);
	assert_int_equal(dropped, 1);
	assert_ok(store_audit_each(s, 0, 0, 100, on_line, &rest, &next, &e), &e);
	assert_int_equal(rest.n, 2);
	assert_ok(store_audit_trim(s, 0, 1, 100, &dropped, &e), &e); /* too many */
	assert_int_equal(dropped, 1);
	rest = (struct lines){.n = 0};
	assert_ok(store_audit_each(s, 0, 0, 100, on_line, &rest, &next, &e), &e);
	assert_int_equal(rest.first.at_ms, 5);
	assert_ok(store_audit_trim(s, 100, 100, 100, &dropped, &e), &e);
	a.at_ms = 9;
	assert_ok(store_audit_add(s, &a, &e), &e);
	rest = (struct lines){.n = 0};
	assert_ok(store_audit_each(s, all.last, 0, 100, on_line, &rest, &next, &e), &e);
	assert_int_equal(rest.n, 1);
	assert_int_equal(next, 0);
}

/* Nobody waits for a walk over a year to find what was yesterday. */
static void
audit_lines_are_walked_a_piece_at_a_time(void **state)
{
	struct store *s = begun(state);
	struct store_audit a = {.who = "operator:ann",
	    .auth = "x509",
	    .what = "hub put",
	    .target = "h",
	    .result = "OK",
	    .detail = "d",
	    .peer = "p",
	    .agent = "g"};
	struct lines none = {.n = 0}, found = {.n = 0};
	struct err e;
	int64_t next, dropped;
	for (a.at_ms = 1; a.at_ms <= STORE_AUDIT_WALK + 3; a.at_ms++)
		assert_ok(store_audit_add(s, &a, &e), &e);
	assert_ok(store_audit_trim(s, 2, INT64_MAX, 10, &dropped, &e), &e);
	assert_int_equal(dropped, 1);
	assert_ok(
	    store_audit_each(s, 0, STORE_AUDIT_WALK + 2, 9, on_line, &none, &next, &e),
	    &e);
	assert_int_equal(none.n, 0);
	assert_int_equal(next, STORE_AUDIT_WALK + 1); /* from the second on */
	assert_ok(store_audit_each(
		      s, next, STORE_AUDIT_WALK + 2, 9, on_line, &found, &next, &e),
	    &e);
	assert_int_equal(found.n, 2);
	assert_int_equal(next, 0);
}

#define IN_STORE(f) cmocka_unit_test_setup_teardown(f, dir_setup_store, dir_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_STORE(principals_are_found_by_name_and_by_application),
	    IN_STORE(certificates_are_counted_and_disabled_by_name),
	    IN_STORE(the_youngest_key_of_tokens_signs_and_old_ones_go),
	    IN_STORE(resources_are_of_a_kind_and_a_name_without_case),
	    IN_STORE(links_are_of_one_service_and_go_together),
	    IN_STORE(consumer_groups_are_of_a_hub),
	    IN_STORE(audit_lines_are_read_in_order_and_trimmed_by_age),
	    IN_STORE(audit_lines_are_walked_a_piece_at_a_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
