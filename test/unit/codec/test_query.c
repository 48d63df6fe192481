/*
 * The hub's query language: what it takes, what it says of the rest, and what comes of it
 * on a small fleet.
 */
#include "../test.h"

#include "codec/js.h"
#include "codec/query_group.h"

/* ---- a fleet ---- */

static const char *const fleet[] = {
    "{'deviceId':'a1','status':'enabled','connectionState':'Connected',"
    "'authenticationType':'sas','statusReason':null,'version':3,"
    "'capabilities':{'iotEdge':true},'lastActivityTime':'2026-01-02T00:00:00Z',"
    "'tags':{'site':'Ulm','floor':3,'live':true,'my-key':1,'group':'g','o':{'x':1}},"
    "'properties':{'desired':{'rate':10,'$version':4},"
    "'reported':{'rate':10,'temp':20.5,'list':[1,2],'fw':'1.0.2'}}}",
    "{'deviceId':'a2','status':'disabled','connectionState':'Disconnected',"
    "'authenticationType':'selfSigned','statusReason':'lost','version':1,"
    "'capabilities':{'iotEdge':false},'lastActivityTime':'2025-01-02T00:00:00Z',"
    "'tags':{'site':'Jena','floor':'3','live':false},"
    "'properties':{'desired':{'rate':10,'$version':9},'reported':{'rate':5,'temp':30}}}",
    "{'deviceId':'b1','status':'enabled','connectionState':'Disconnected',"
    "'authenticationType':'sas','statusReason':null,'version':2,"
    "'capabilities':{'iotEdge':false},'lastActivityTime':'0001-01-01T00:00:00Z',"
    "'tags':{'site':'Ulm','floor':1.5,'name':'D\\u0027Souza \\u00e9'},"
    "'properties':{'desired':{'$version':1},'reported':{'temp':'warm'}}}",
};
#define FLEET (sizeof(fleet) / sizeof(fleet[0]))

static struct js *docs[FLEET];
static struct arena *a;

static struct js *
json(const char *text)
{
	struct err e;
	char copy[2048];
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *p = copy; *p; p++)
		*p = *p == '\'' ? '"' : *p;
	struct js *v = js_parse(span_str(copy), sizeof(copy), 20, &e);
	if (!v)
		fail_msg("%s: %s", text, e.text);
	return v;
}

static int
set_up(void **state)
{
	a = arena_new(8 * QUERY_ARENA);
	for (size_t i = 0; i < FLEET; i++)
		docs[i] = json(fleet[i]);
	return 0;
}

static int
tear_down(void **state)
{
	for (size_t i = 0; i < FLEET; i++)
		js_free(docs[i]);
	arena_free(a);
	return 0;
}

static struct query_value
get(void *arg, const struct query_path *path)
{
	return query_eval_walk(arg, path->seg, path->n);
}

static struct query
parsed(const char *text)
{
	struct err e;
	struct query q;
	arena_reset(a);
	if (query_parse(span_str(text), a, &q, &e))
		fail_msg("%s: %s", text, e.text);
	return q;
}

/* ---- WHERE ---- */

static const struct {
	const char *where, *ids;
} conditions[] = {
    {"tags.site = 'Ulm'", "a1 b1 "},
    {"TAGS.site = \"Ulm\"", "a1 b1 "},
    {"tags.Site = 'Ulm'", ""},
    {"devices.tags.site = 'Ulm'", "a1 b1 "},
    {"DeviceId = 'a2'", "a2 "},
    {"devices.deviceId in ['a2', 'b1', 'zz']", "a2 b1 "},
    {"deviceId NIN ['a2', 'b1']", "a1 "},
    {"tags.nowhere NIN ['a2']", ""},
    {"tags.floor IN [3]", "a1 "},
    {"tags.floor NIN [3]", "a2 b1 "},
    {"tags.floor IN [-1, +1]", NULL},
    {"tags.floor = 3", "a1 "},
    {"tags.floor = '3'", "a2 "},
    {"tags.floor != 3", "b1 "},
    {"tags.floor <> 3", "b1 "},
    {"tags.floor >= 1.5 AND tags.floor <= 3", "a1 b1 "},
    {"tags.floor > 1.5", "a1 "},
    {"tags.floor < 0x2", "b1 "},
    {"NOT tags.floor = 3", "b1 "},
    {"NOT (tags.site = 'Ulm')", "a2 "},
    {"NOT NOT tags.live", "a1 "},
    {"tags.live", "a1 "},
    {"tags.live = false", "a2 "},
    {"tags.live = true OR deviceId = 'b1'", "a1 b1 "},
    {"tags.site = 'Ulm' AND NOT is_defined(tags.live)", "b1 "},
    {"tags.site = 'Ulm' OR tags.site = 'Jena' AND status = 'disabled'", "a1 a2 b1 "},
    {"(tags.site = 'Ulm' OR tags.site = 'Jena') AND status = 'disabled'", "a2 "},
    {"IS_DEFINED(tags.floor)", "a1 a2 b1 "},
    {"is_defined(properties.desired.rate)", "a1 a2 "},
    {"IS_NULL(statusReason)", "a1 b1 "},
    {"statusReason = null", "a1 b1 "},
    {"statusReason != null", "a2 "},
    {"tags.nowhere = null", ""},
    {"tags.nowhere != null", ""},
    {"tags.site != null", "a1 a2 b1 "},
    {"tags.nowhere != 'x'", ""},
    {"tags.site = undefined", ""},
    {"IS_BOOL(tags.live)", "a1 a2 "},
    {"IS_NUMBER(tags.floor)", "a1 b1 "},
    {"IS_STRING(tags.floor)", "a2 "},
    {"IS_OBJECT(tags.o)", "a1 "},
    {"IS_ARRAY(properties.reported.list)", "a1 "},
    {"IS_PRIMITIVE(tags.o)", ""},
    {"IS_PRIMITIVE(statusReason)", "a1 a2 b1 "},
    {"IS_PRIMITIVE(tags.live)", "a1 a2 "},
    {"STARTS_WITH(deviceId, 'a')", "a1 a2 "},
    {"startswith(deviceId, '')", "a1 a2 b1 "},
    {"ENDSWITH(deviceId, '1')", "a1 b1 "},
    {"ENDS_WITH(deviceId, 'a1a1')", ""},
    {"CONTAINS(properties.reported.fw, '.0.')", "a1 "},
    {"CONTAINS(tags.floor, '3')", "a2 "},
    {"properties.desired.rate = properties.reported.rate", "a1 "},
    {"properties.reported.temp > 20", "a1 a2 "},
    {"properties.reported.temp > 'v'", "b1 "},
    {"properties.reported.rate * 2 + 1 = 21", "a1 "},
    {"properties.reported.rate - -1 = 6", "a2 "},
    {"-properties.reported.rate < -5", "a1 "},
    {"properties.reported.rate % 2 = 1", "a2 "},
    {"properties.reported.rate / 0 = 1", ""},
    {"1 + 2 * 3 = 7 AND (1 + 2) * 3 = 9 AND 8 - 4 - 2 = 2 AND 8 / 2 / 2 = 2",
	"a1 a2 b1 "},
    {"properties.desired.$version > 3", "a1 a2 "},
    {"capabilities.iotEdge = true", "a1 "},
    {"lastActivityTime < '2025-06-01'", "a2 b1 "},
    {"tags.[[my-key]] = 1", "a1 "},
    {"tags['my-key'] = 1", "a1 "},
    {"tags.[[group]] = 'g'", "a1 "},
    {"tags.group = 'g'", "a1 "},
    {"tags.name = 'D\\'Souza \\u00e9'", "b1 "},
    {"tags.name = \"D'Souza \xc3\xa9\"", "b1 "},
    {"tags.o = tags.o", "a1 "},
    {"tags.o > tags.o", ""},
    {"'x'", ""},
    {"true", "a1 a2 b1 "},
    {"null", ""},
    {"version >= 2 AND\n\tversion<3", "b1 "},
    {"x509Thumbprint.primaryThumbprint = 'ab'", ""},
};

static void
conditions_choose_the_twins_they_say(void **state)
{
	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		char text[300];
		auto_buf ids = BUF_INIT(64);
		struct query q;
		struct err e;
		snprintf(text, sizeof(text), "select * from devices where %s",
		    conditions[i].where);
		if (!conditions[i].ids) {
			assert_fails(query_parse(span_str(text), a, &q, &e), &e, PARSE);
			continue;
		}
		q = parsed(text);
		for (size_t k = 0; k < FLEET; k++) {
			const struct query_row row = {get, docs[k]};
			if (!query_eval_where(&q, &row))
				continue;
			buf_printf(&ids, "%s ", js_as_text(js_get(docs[k], "deviceId")));
		}
		if (strcmp(buf_text(&ids), conditions[i].ids) != 0)
			fail_msg("%s: %s", text, buf_text(&ids));
	}
}

/* ---- SELECT ---- */

static void
assert_json(const char *text, struct js *have, const char *want)
{
	auto_(js_free) struct js *taken = have;
	auto_(js_free) struct js *wanted = json(want);
	auto_buf b = BUF_INIT(4096);
	js_dump(taken, JS_SORTED, &b);
	if (!js_equal(taken, wanted))
		fail_msg("%s: %s", text, buf_text(&b));
}

static const struct {
	const char *select, *first;
} columns[] = {
    {"select deviceId", "{'deviceId':'a1'}"},
    {"select DeviceId, LASTACTIVITYTIME",
	"{'deviceId':'a1','lastActivityTime':'2026-01-02T00:00:00Z'}"},
    {"select tags.site", "{'site':'Ulm'}"},
    {"select tags.site as Place, properties.reported.rate AS [[the rate]]",
	"{'Place':'Ulm','the rate':10}"},
    {"select tags.nowhere, deviceId as d", "{'d':'a1'}"},
    {"select statusReason, tags.o", "{'statusReason':null,'o':{'x':1}}"},
    {"select properties.reported.temp, version", "{'temp':20.5,'version':3}"},
};

static void
columns_have_the_last_name_of_their_path_or_an_alias(void **state)
{
	const struct query_row row = {get, docs[0]};
	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		char text[300];
		snprintf(text, sizeof(text), "%s from devices", columns[i].select);
		struct query q = parsed(text);
		assert_false(q.star || q.aggregates);
		assert_json(text, query_eval_select(&q, &row), columns[i].first);
	}
}

static const struct {
	const char *text, *groups;
} aggregates[] = {
    {"select count() as n from devices", "[{'n':3}]"},
    {"select COUNT(*) from devices where status = 'x'", "[{'$1':0}]"},
    {"select count() as n, tags.site as s from devices group by tags.site",
	"[{'n':2,'s':'Ulm'},{'n':1,'s':'Jena'}]"},
    {"select tags.site from devices group by tags.site",
	"[{'site':'Ulm'},{'site':'Jena'}]"},
    {"select tags.live, count() as n from devices group by tags.live",
	"[{'live':true,'n':1},{'live':false,'n':1},{'n':1}]"},
    {"select count() as n from devices group by status, authenticationType",
	"[{'n':2},{'n':1}]"},
    {"select sum(properties.reported.rate) as s, avg(properties.reported.rate) as a,"
     " min(properties.reported.rate) as i, max(properties.reported.rate) as x from "
     "devices",
	"[{'s':15,'a':7.5,'i':5,'x':10}]"},
    {"select min(deviceId) as i, max(deviceId) as x from devices",
	"[{'i':'a1','x':'b1'}]"},
    {"select max(properties.reported.temp) as x from devices where deviceId != 'b1'",
	"[{'x':30}]"},
    {"select sum(properties.reported.temp) as s, avg(tags.nowhere) as a,"
     " max(tags.nowhere) as x from devices",
	"[{}]"},
};

static void
aggregates_are_of_groups_in_the_order_they_came(void **state)
{
	for (size_t i = 0; i < sizeof(aggregates) / sizeof(aggregates[0]); i++) {
		struct err e;
		struct query q = parsed(aggregates[i].text);
		auto_(query_group_free) struct query_groups *g = query_group_new(&q);
		assert_true(q.aggregates);
		for (size_t k = 0; k < FLEET; k++) {
			const struct query_row row = {get, docs[k]};
			if (query_eval_where(&q, &row))
				assert_ok(query_group_add(g, &row, 1, &e), &e);
		}
		struct js *all = js_array();
		for (size_t k = 0; k < query_group_n(g); k++)
			js_append(all, query_group_at(g, k));
		assert_json(aggregates[i].text, all, aggregates[i].groups);
	}
}

static void
a_row_may_stand_for_many(void **state)
{
	struct err e;
	struct query q = parsed("select count() as n, sum(properties.reported.rate) as s,"
				" avg(properties.reported.rate) as a from devices");
	auto_(query_group_free) struct query_groups *g = query_group_new(&q);
	const struct query_row ten = {get, docs[0]}, five = {get, docs[1]};
	assert_ok(query_group_add(g, &ten, 1, &e), &e);
	assert_ok(query_group_add(g, &five, 4, &e), &e);
	assert_json("sums", query_group_at(g, 0), "{'n':5,'s':30,'a':6}");
}

static void
groups_have_an_end(void **state)
{
	struct err e = {0};
	struct query q = parsed("select count() as n from devices group by tags.i");
	auto_(query_group_free) struct query_groups *g = query_group_new(&q);
	int rc = 0, n = 0;
	for (; n <= QUERY_GROUPS_MAX && rc == 0; n++) {
		auto_(js_free) struct js *doc = js_object();
		struct js *tags = js_object();
		js_set_int(tags, "i", n);
		js_set(doc, "tags", tags);
		const struct query_row row = {get, doc};
		rc = query_group_add(g, &row, 1, &e);
	}
	assert_int_equal(n, QUERY_GROUPS_MAX + 1);
	assert_fails(rc, &e, UNSUPPORTED);
}

static void
groups_take_no_more_memory_than_they_may(void **state)
{
	struct err e = {0};
	struct query q = parsed("select max(tags.s) as x from devices group by tags.i");
	auto_(query_group_free) struct query_groups *g = query_group_new(&q);
	char text[4001];
	int rc = 0, n = 0;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (; n <= QUERY_GROUPS_MAX && rc == 0; n++) {
		auto_(js_free) struct js *doc = js_object();
		struct js *tags = js_object();
		js_set_int(tags, "i", n);
		js_set_text(tags, "s", text);
		js_set(doc, "tags", tags);
		const struct query_row row = {get, doc};
		rc = query_group_add(g, &row, 1, &e);
	}
	assert_fails(rc, &e, UNSUPPORTED);
	assert_in_range(n, 4000, 4300);
}

/* Adds rows that are all of one size, each a group of its own; how many there was room
 * for. */
static int
fill(struct query_groups *g, int most)
{
	struct err e = {0};
	int rc = 0, n = 0;
	for (; n < most && rc == 0; n++) {
		auto_(js_free) struct js *doc = js_object();
		struct js *tags = js_object(), *o = js_object();
		js_set_int(o, "i", n);
		js_set(tags, "o", o);
		js_set(doc, "tags", tags);
		const struct query_row row = {get, doc};
		rc = query_group_add(g, &row, 1, &e);
	}
	if (rc)
		assert_fails(rc, &e, UNSUPPORTED);
	return n;
}

/* However often columns show the same value, a group holds it once. */
static void
columns_show_what_their_group_holds(void **state)
{
	auto_buf text = BUF_INIT(4096);
	for (int i = 0; i < 60; i++)
		buf_printf(&text, "%s tags.o as a%d", i ? "," : "select", i);
	buf_str(&text, ", count() as n from devices group by status, tags.o");
	struct query q = parsed(buf_text(&text));
	auto_(query_group_free) struct query_groups *g = query_group_new(&q);
	assert_int_equal(fill(g, 50), 50);
	assert_int_equal(query_group_n(g), 50);
	auto_(js_free) struct js *last = query_group_at(g, 49);
	assert_int_equal(js_len(last), 61);
	assert_int_equal(js_as_int(js_get(js_get(last, "a59"), "i")), 49);
}

static void
columns_count_as_memory_of_groups(void **state)
{
	auto_buf text = BUF_INIT(4096);
	for (int i = 0; i < QUERY_ITEMS; i++)
		buf_printf(&text, "%s sum(tags.x) as a%d", i ? "," : "select", i);
	buf_str(&text, " from devices group by tags.o");
	struct query q = parsed(buf_text(&text));
	auto_(query_group_free) struct query_groups *g = query_group_new(&q);
	assert_true(fill(g, QUERY_GROUPS_MAX) < QUERY_GROUPS_MAX);
}

/* ---- the rest of the statement ---- */

static void
top_from_and_fields_are_told(void **state)
{
	struct query q =
	    parsed("SELECT TOP 10 * FROM devices.modules"
		   " WHERE devices.modules.moduleId = 'm' AND devices.deviceId = 'd'");
	assert_int_equal(q.top, 10);
	assert_true(q.star);
	assert_int_equal(q.from, QUERY_MODULES);
	assert_int_equal(q.where->a->a->path.field, QUERY_FIELD_MODULE_ID);
	assert_int_equal(q.where->b->a->path.field, QUERY_FIELD_DEVICE_ID);
	q = parsed("select count() from devices where status = 'x' or tags.a = 1");
	assert_int_equal(q.fields, 1u << QUERY_FIELD_STATUS | 1u << QUERY_FIELD_TAGS);
}

static void
a_condition_stands_alone(void **state)
{
	struct query q;
	struct err e;
	(void)state;
	assert_ok(
	    query_parse_condition(SPAN_LIT("tags.a = 1 AND status = 'x'"), a, &q, &e),
	    &e);
	assert_true(q.star && q.from == QUERY_DEVICES && q.where->op == QUERY_AND);
	assert_int_equal(q.fields, 1u << QUERY_FIELD_STATUS | 1u << QUERY_FIELD_TAGS);
	assert_ok(query_parse_condition(SPAN_LIT(" * "), a, &q, &e), &e);
	assert_true(q.star && !q.where);
	assert_ok(query_parse_condition(
		      SPAN_LIT("from devices.modules where moduleId = 'm'"), a, &q, &e),
	    &e);
	assert_true(q.from == QUERY_MODULES && q.where);
	static const char *const none[] = {"", " ", "* *", "1 = 1 GROUP BY status",
	    "tags.a = 1 tags.b = 2", "from devices", "from devices where *",
	    "select * from devices", "tags.a ="};
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(query_parse_condition(span_str(none[i]), a, &q, &e), -1);
}

static const struct {
	const char *text, *says;
} wrong[] = {
    {"", "character 1: want SELECT, but it ends"},
    {"  ", "character 3: want SELECT"},
    {"drop table devices", "character 1: want SELECT, have drop"},
    {"select * from devices where",
	"character 28: want the name of a member, but it ends"},
    {"select * from devices where status=", "character 36"},
    {"select * from device", "character 15: want devices, have device"},
    {"select * from devices.things", "character 23: want modules"},
    {"select * from devices.jobs", "devices.jobs is not served"},
    {"select * from devices d", "character 23: want an operator, or the end, have d"},
    {"select * from devices order by deviceId", "no ORDER BY"},
    {"select *, deviceId from devices", "character 9: want FROM"},
    {"select from devices", "character 8"},
    {"select deviceId, from devices", "character 18"},
    {"select top 0 * from devices", "whole number from 1"},
    {"select top 1.5 * from devices", "whole number from 1"},
    {"select deviceId, tags.deviceId from devices", "character 18: two columns"},
    {"select * from devices group by status", "do not go together"},
    {"select deviceId, count() from devices", "column 1 is neither"},
    {"select tags.a, count() from devices group by tags.b", "column 1 is neither"},
    {"select sum() from devices", "character 12"},
    {"select tags.a + 1 from devices", "character 15"},
    {"select * from devices where foo = 1", "character 29: a twin has no member"},
    {"select * from devices where property.reported.x = 1", "character 29"},
    {"select * from devices where properties.x = 1", "desired and reported"},
    {"select * from devices where lower(deviceId) = 'x'",
	"character 29: want a function"},
    {"select * from devices where is_defined(deviceId, 1)", "character 48: want )"},
    {"select * from devices where contains(deviceId)", "character 46: want ,"},
    {"select * from devices where deviceId in ('a')", "character 41: want a list in [ ]"},
    {"select * from devices where deviceId in []", "a list is of constants"},
    {"select * from devices where deviceId in [tags.a]", "a list is of constants"},
    {"select * from devices where deviceId in [-'a']", "a list is of constants"},
    {"select * from devices where deviceId = ['a']", "character 40"},
    {"select * from devices where (status = 'a'", "want ), but it ends"},
    {"select * from devices where status = 'a')", "character 41"},
    {"select * from devices where status = 'a",
	"character 38: this string is not closed"},
    {"select * from devices where status = 'a\\", "an escape"},
    {"select * from devices where status = 'a\\n'", "character 40: an escape"},
    {"select * from devices where status = '\\ud800x'", "an escape"},
    {"select * from devices where status = '\\udc00'", "an escape"},
    {"select * from devices where status = '\\u0000'", "an escape"},
    {"select * from devices where status == 'a'", "character 37"},
    {"select * from devices where status like 'a%'", "character 36: want an operator"},
    {"select * from devices where tags.[[a = 1", "not closed by ]]"},
    {"select * from devices where tags.[[]] = 1", "a name is missing"},
    {"select * from devices where tags.5a = 1", "character 33"},
    {"select * from devices where tags.a[0] = 1", "a name in quotes"},
    {"select * from devices where tags. = 1", "want a name"},
    {"select * from devices where tags.a = 1e999", "no number"},
    {"select * from devices where tags.a = 0x", "no number"},
    {"select * from devices where tags.a = 12ab", "no number"},
    {"select * from devices; drop", "character 22: this sign"},
    {"select * from devices where tags.\xc3\xa9 = 'x' x", "character 42"},
};

static void
what_is_wrong_is_said_with_its_place(void **state)
{
	int bad = 0;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct err e = {0};
		struct query q;
		arena_reset(a);
		assert_int_equal(query_parse(span_str(wrong[i].text), a, &q, &e), -1);
		assert_int_equal(err_row(e.code)->http, 400);
		if (strstr(e.text, wrong[i].says))
			continue;
		print_error("%s: %s\n", wrong[i].text, e.text);
		bad++;
	}
	assert_int_equal(bad, 0);
}

static void
size_and_depth_have_an_end(void **state)
{
	static const struct {
		const char *before, *again, *after;
		int most;
	} deep[] = {
	    {"", "(", "true)", 31},
	    {"", "NOT ", "true", 200},
	    {"true", " AND true", "", 255},
	    {"deviceId IN ['a'", ", 'a'", "]", 500},
	};
	for (size_t i = 0; i < sizeof(deep) / sizeof(deep[0]); i++)
		for (int over = 0; over < 2; over++) {
			auto_buf b = BUF_INIT(65536);
			struct err e = {0};
			struct query q;
			buf_printf(&b, "select * from devices where %s", deep[i].before);
			for (int k = 0; k < (over ? 700 : deep[i].most); k++)
				buf_str(&b, deep[i].again);
			buf_str(&b, deep[i].after);
			for (int k = 1; i == 0 && k < (over ? 700 : deep[i].most); k++)
				buf_str(&b, ")");
			arena_reset(a);
			int rc = query_parse(buf_span(&b), a, &q, &e);
			if (rc != -over)
				fail_msg("%zu %d: %s", i, over, e.text);
		}
}

static void
text_has_an_end_in_characters(void **state)
{
	struct err e = {0};
	struct query q;
	for (int over = 0; over < 2; over++) {
		auto_buf b = BUF_INIT(65536);
		buf_str(&b, "select * from devices where tags.a = '");
		for (int k = 0; k < QUERY_CHARS - 39 + over; k++)
			buf_str(&b, "\xc3\xa9");
		buf_str(&b, "'");
		arena_reset(a);
		assert_int_equal(query_parse(buf_span(&b), a, &q, &e), -over);
	}
	assert_fails(
	    query_parse(SPAN_LIT("select * from devices\0"), a, &q, &e), &e, PARSE);
	assert_fails(query_parse(SPAN_LIT("select \xff"), a, &q, &e), &e, PARSE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(conditions_choose_the_twins_they_say),
	    cmocka_unit_test(columns_have_the_last_name_of_their_path_or_an_alias),
	    cmocka_unit_test(aggregates_are_of_groups_in_the_order_they_came),
	    cmocka_unit_test(a_row_may_stand_for_many),
	    cmocka_unit_test(groups_have_an_end),
	    cmocka_unit_test(groups_take_no_more_memory_than_they_may),
	    cmocka_unit_test(columns_show_what_their_group_holds),
	    cmocka_unit_test(columns_count_as_memory_of_groups),
	    cmocka_unit_test(top_from_and_fields_are_told),
	    cmocka_unit_test(what_is_wrong_is_said_with_its_place),
	    cmocka_unit_test(a_condition_stands_alone),
	    cmocka_unit_test(size_and_depth_have_an_end),
	    cmocka_unit_test(text_has_an_end_in_characters),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
