/*
 * What a campaign does to its target: how fast, how long it says that takes, and whose
 * changes it leaves alone.
 */
#include "../test.h"

#include <string.h>

#include "codec/js.h"
#include "fleet/identity.h"
#include "fleet/pace.h"

#define T0        INT64_C(1000000)
#define OUR_LEAF  "aa00000000000000000000000000000000000000000000000000000000000001"
#define NEXT_LEAF "aa00000000000000000000000000000000000000000000000000000000000002"
#define THEIRS    "bb00000000000000000000000000000000000000000000000000000000000003"

/* ---- throttles ---- */

static struct pace_limits
limits_of(const char *tier, int64_t units)
{
	struct err e;
	struct pace_limits l;
	assert_ok(pace_limits_of(span_str(tier), units, &l, &e), &e);
	return l;
}

static void
throttles_are_those_that_are_published(void **state)
{
	struct pace_limits l = limits_of("S1", 3);
	assert_int_equal(l.per_min[PACE_REGISTRY], 300);
	assert_int_equal(l.per_min[PACE_QUERY], 60);
	assert_int_equal(l.per_min[PACE_TWIN_READ], 6000); /* whatever the units */
	assert_int_equal(l.per_min[PACE_REGISTER], 1000);
	l = limits_of("S2", 20);
	assert_int_equal(
	    l.per_min[PACE_TWIN_READ], 12000); /* max(100, 10 * 20) a second */
	assert_int_equal(l.per_min[PACE_TWIN_WRITE], 6000);
	l = limits_of("B3", 2);
	assert_int_equal(l.per_min[PACE_REGISTRY], 10000);
	assert_int_equal(l.per_min[PACE_QUERY], 2000);
	assert_int_equal(l.per_min[PACE_ARM], 0);
}

static void
throttles_of_an_unknown_tier_are_not_guessed(void **state)
{
	struct err e;
	struct pace_limits l;
	assert_fails(pace_limits_of(SPAN_LIT("GEN2"), 1, &l, &e), &e, PARSE);
	assert_fails(pace_limits_of(SPAN_LIT(""), 1, &l, &e), &e, PARSE);
	assert_fails(pace_limits_of(SPAN_LIT("S1 S"), 1, &l, &e), &e, PARSE);
}

/* How many go ahead from since until then, who asks as soon as he may. */
static int
go_ahead(struct pace *p, int64_t since, int64_t until)
{
	int n = 0;
	for (int64_t now = since; now < until;) {
		int64_t wait = pace_take(p, now);
		assert_true(wait >= 0);
		n += wait == 0;
		now += wait;
	}
	return n;
}

static void
bucket_stays_below_the_throttle(void **state)
{
	struct pace p;
	pace_init(&p, 100, T0);
	/* nine tenths of it, and what five seconds had saved up */
	int first = go_ahead(&p, T0, T0 + 60000);
	assert_in_range(first, 90, 98);
	assert_in_range(go_ahead(&p, T0 + 60000, T0 + 120000), 89, 91);
	/* a long rest is not saved up */
	assert_in_range(go_ahead(&p, T0 + 9000000, T0 + 9060000), 90, 98);
}

static void
bucket_without_a_bound_never_waits(void **state)
{
	struct pace p;
	pace_init(&p, 0, T0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(pace_take(&p, T0), 0);
}

static void
refusal_is_obeyed_and_slows_down(void **state)
{
	struct pace p;
	pace_init(&p, 1000, T0);
	assert_int_equal(pace_take(&p, T0), 0);
	pace_refused(&p, T0, 7000);
	assert_int_equal(pace_take(&p, T0), 7000);
	assert_int_equal(pace_take(&p, T0 + 6999), 1);
	/* then half as fast */
	assert_in_range(go_ahead(&p, T0 + 7000, T0 + 67000), 445, 455);
	/* many that were under way are one refusal, and the latest end counts */
	pace_refused(&p, T0 + 70000, 2000);
	pace_refused(&p, T0 + 70001, 5000);
	pace_refused(&p, T0 + 70002, 1000);
	assert_int_equal(pace_wait(&p, T0 + 70002), 4999);
	assert_in_range(go_ahead(&p, T0 + 75001, T0 + 135001), 220, 230);
	for (int i = 0; i < 1000; i++)
		pace_taken(&p);
	assert_int_equal(p.rate, 900); /* as before, and no more */
}

static void
refusal_by_an_unknown_target_finds_a_pace(void **state)
{
	struct pace p;
	pace_init(&p, 0, T0);
	pace_refused(&p, T0, 0);
	assert_true(pace_take(&p, T0) >= 1000); /* it did not say: a second */
	assert_in_range(go_ahead(&p, T0 + 1000, T0 + 61000), 590, 610);
	for (int i = 0; i < 20; i++)
		pace_refused(&p, T0 + 100000 + i * 10000, 1000);
	assert_true(p.rate > 0); /* it never stops for good */
}

static void
prediction_names_what_takes_longest(void **state)
{
	const size_t waves[] = {10, 990};
	struct pace_prediction p;
	struct pace_cost c = {.device_ms = 10000, .parallel = 50};
	c.device[PACE_REGISTRY] = 2;
	c.device[PACE_REGISTER] = 1;
	struct pace_limits l = limits_of("S1", 1);
	pace_predict(&l, &c, waves, 2, &p);
	/* 10 devices: 20 at 90 a minute; 990: 1980 */
	assert_int_equal(p.ms, 13334 + 1320000);
	assert_int_equal(p.by, PACE_REGISTRY);
	l = limits_of("S1", 50);
	pace_predict(&l, &c, waves, 2, &p);
	/* 10 s, and 20 rounds of 50: longer than 66 s of the provisioning service */
	assert_int_equal(p.ms, 10000 + 200000);
	assert_int_equal(p.by, PACE_BY_DEVICES);
	c.parallel = 500;
	pace_predict(&l, &c, waves, 2, &p);
	assert_int_equal(p.by, PACE_REGISTER);
}

static void
prediction_in_words(void **state)
{
	char text[PACE_TEXT];
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {{1, "1 s"}, {119000, "119 s"}, {120000, "2 min"}, {150000, "3 min"},
	    {7500000, "2 h 5 min"}, {200000000, "2 d 7 h"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		pace_text(rows[i].ms, text);
		assert_string_equal(text, rows[i].text);
	}
}

/* ---- identities ---- */

static struct js *
read_json(const char *text)
{
	struct err e;
	struct js *v = js_parse(span_str(text), 65536, 16, &e);
	assert_non_null(v);
	return v;
}

#define SAS(key)                                                                         \
	"{\"deviceId\":\"d\",\"status\":\"enabled\",\"etag\":\"e1\",\"authentication\":" \
	"{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":\"" key "\","                \
	"\"secondaryKey\":\"s\"},\"x509Thumbprint\":{\"primaryThumbprint\":null,"        \
	"\"secondaryThumbprint\":null}}}"
#define LEAF(first, second)                                                              \
	"{\"deviceId\":\"d\",\"status\":\"disabled\",\"statusReason\":\"lost\","         \
	"\"etag\":\"e2\",\"authentication\":{\"type\":\"selfSigned\",\"symmetricKey\":"  \
	"{\"primaryKey\":null,\"secondaryKey\":null},\"x509Thumbprint\":"                \
	"{\"primaryThumbprint\":\"" first "\",\"secondaryThumbprint\":\"" second "\"}}}"

static void
identities_are_ours_before_or_somebody_elses(void **state)
{
	static const struct {
		const char *now;
		enum identity_state is;
	} rows[] = {
	    {SAS("p"), IDENTITY_BEFORE},
	    {"{\"authentication\":{\"type\":\"sas\",\"symmetricKey\":{\"primaryKey\":"
	     "\"p\","
	     "\"secondaryKey\":\"s\"}}}",
		IDENTITY_BEFORE},       /* absent is null */
	    {SAS("q"), IDENTITY_OTHER}, /* keys were made anew */
	    {LEAF(OUR_LEAF, OUR_LEAF), IDENTITY_OURS},
	    {LEAF(THEIRS, OUR_LEAF), IDENTITY_OURS},
	    {LEAF("AA00000000000000000000000000000000000000000000000000000000000001", ""),
		IDENTITY_OURS},
	    {LEAF(NEXT_LEAF, ""), IDENTITY_OURS}, /* renewed since */
	    {LEAF(THEIRS, THEIRS), IDENTITY_OTHER},
	    {LEAF("", ""), IDENTITY_OTHER},
	    {"{\"authentication\":{\"type\":\"certificateAuthority\"}}", IDENTITY_OURS},
	    {"{\"authentication\":{\"type\":\"none\"}}", IDENTITY_OTHER},
	    {"{}", IDENTITY_OTHER},
	};
	auto_(js_free) struct js *was = read_json(SAS("p"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_(js_free) struct js *now = read_json(rows[i].now);
		assert_int_equal(
		    identity_judge(now, was, OUR_LEAF, NEXT_LEAF), rows[i].is);
	}
}

static void
identity_without_a_certificate_of_ours_is_not_ours(void **state)
{
	auto_(js_free) struct js *was = read_json(SAS("p"));
	auto_(js_free) struct js *now = read_json(LEAF("", ""));
	assert_int_equal(identity_judge(now, was, "", ""), IDENTITY_OTHER);
}

static void
twins_tell_the_same(void **state)
{
	static const struct {
		const char *twin;
		enum identity_state is;
	} rows[] = {
	    {"{\"authenticationType\":\"sas\"}", IDENTITY_BEFORE},
	    {"{\"authenticationType\":\"certificateAuthority\"}", IDENTITY_OURS},
	    {"{\"authenticationType\":\"selfSigned\",\"x509Thumbprint\":"
	     "{\"primaryThumbprint\":\"" OUR_LEAF "\"}}",
		IDENTITY_OURS},
	    {"{\"authenticationType\":\"selfSigned\",\"x509Thumbprint\":"
	     "{\"primaryThumbprint\":\"" THEIRS "\"}}",
		IDENTITY_OTHER},
	    {"{}", IDENTITY_OTHER},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_(js_free) struct js *twin = read_json(rows[i].twin);
		assert_int_equal(identity_judge_twin(twin, "sas", OUR_LEAF), rows[i].is);
	}
}

/* Who disabled it meanwhile is not overruled. */
static void
restoring_changes_the_authentication_alone(void **state)
{
	auto_(js_free) struct js *was = read_json(SAS("p"));
	auto_(js_free) struct js *now = read_json(LEAF(OUR_LEAF, OUR_LEAF));
	auto_(js_free) struct js *v = identity_restore(now, was);
	assert_string_equal(js_as_text(js_get(v, "status")), "disabled");
	assert_string_equal(js_as_text(js_get(v, "statusReason")), "lost");
	assert_int_equal(identity_judge(v, was, OUR_LEAF, ""), IDENTITY_BEFORE);
}

static void
identities_in_words_fit_a_terminal(void **state)
{
	char text[IDENTITY_TEXT];
	auto_(js_free) struct js *leaf = read_json(LEAF(THEIRS, ""));
	identity_words(leaf, text);
	assert_string_equal(text, "selfSigned with thumbprint " THEIRS);
	auto_(js_free) struct js *odd =
	    read_json("{\"authenticationType\":\"\\u001b[2Jx\"}");
	identity_words(odd, text);
	assert_string_equal(text, "?[2Jx");
	auto_(js_free) struct js *none = read_json("{}");
	identity_words(none, text);
	assert_string_equal(text, "of no type");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(throttles_are_those_that_are_published),
	    cmocka_unit_test(throttles_of_an_unknown_tier_are_not_guessed),
	    cmocka_unit_test(bucket_stays_below_the_throttle),
	    cmocka_unit_test(bucket_without_a_bound_never_waits),
	    cmocka_unit_test(refusal_is_obeyed_and_slows_down),
	    cmocka_unit_test(refusal_by_an_unknown_target_finds_a_pace),
	    cmocka_unit_test(prediction_names_what_takes_longest),
	    cmocka_unit_test(prediction_in_words),
	    cmocka_unit_test(identities_are_ours_before_or_somebody_elses),
	    cmocka_unit_test(identity_without_a_certificate_of_ours_is_not_ours),
	    cmocka_unit_test(twins_tell_the_same),
	    cmocka_unit_test(restoring_changes_the_authentication_alone),
	    cmocka_unit_test(identities_in_words_fit_a_terminal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
