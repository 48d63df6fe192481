/*
 * The released schemas: a database of an older one keeps its rows, and no statement reads
 * a table from end to end that may be large.
 */
#include <sqlite3.h>

#include "store/enrollment.h"
#include "store/pki.h"
#include "store/query.h"
#include "store/schema.h"
#include "verbs.h"

/* A file as the first schema left it, with rows; closed again. */
static void
make_first(const struct dir *d)
{
	static const char rows[] =
	    "INSERT INTO device VALUES (1, 'Dev-1', 'g', 2, 1, '', 3, 0, x'', x'', '', "
	    "'',"
	    " 0, 4, 5, 6, 7, 1, 'grp');"
	    "INSERT INTO twin VALUES (1, '{\"site\":{\"floor\":3}}', '{\"d\":1}', '{}', "
	    "8, 9, 10);"
	    "INSERT INTO cert VALUES"
	    " (3, '0a1b', 'i1', 'device', 'Dev-1', 'dps', 'f3', 11, 12, 13, x'3082'),"
	    " (5, '00ff01', 'i1', 'device', 'Dev-1', 'dps', 'f5', 11, 12, 13, x'30'),"
	    " (6, '000002', 'i1', 'server', 'x', 'edge', 'f6', 11, 9, 13, x'30'),"
	    " (7, '000a10', 'i2', 'device', 'Dev-2', 'dps', 'f7', 11, 12, 13, x'30');"
	    "INSERT INTO enrollment_group VALUES ('Line-7', 3, 1, x'3000', x'3001', 'c1',"
	    " 'c2', x'', x'', 1, 0, 'static', 'a.b', '{\"t\":1}', '{}', 1, 0, 5, 6);"
	    "INSERT INTO meta VALUES ('scope', '0ne1');";
	struct err e;
	sqlite3 *db;
	assert_int_equal(sqlite3_open(d->path, &db), SQLITE_OK);
	assert_ok(schema_migrate(db, d->path, schema_steps, 1, &e), &e);
	assert_int_equal(sqlite3_exec(db, rows, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	assert_int_equal(chmod(d->path, 0600), 0);
}

static struct store *
open_first(struct dir *d)
{
	struct err e;
	make_first(d);
	d->s = store_open(d->path, &e);
	if (!d->s)
		fail_msg("%s", e.text);
	return d->s;
}

static void
first_schemas_rows_are_kept(void **state)
{
	struct dir *d = *state;
	struct store *s = open_first(d);
	struct err e;
	struct store_device dev;
	struct store_cert c;
	const char *scope;
	assert_ok(store_verify(s, &e), &e);
	struct counted n = count_devices(s);
	assert_int_equal(n.total, 1);
	assert_int_equal(n.by_auth[STORE_AUTH_CA], 1);
	assert_ok(store_device_get(s, "Dev-1", d->a, &dev, &e), &e);
	assert_int_equal(dev.desired_version, 8);
	assert_true(span_eq_str(dev.desired, "{\"d\":1}"));
	assert_ok(store_meta_get(s, "scope", d->a, &scope, &e), &e);
	assert_string_equal(scope, "0ne1");
	assert_ok(store_cert_get(s, "i1", "0a1b", d->a, &c, &e), &e);
	assert_int_equal(c.n, 3);
	assert_string_equal(c.sha256, "f3");
	assert_span(c.der, SPAN_LIT("\x30\x82"));
	assert_string_equal(c.key_sha256, "");
	assert_int_equal(c.crl_shard, -1);
	assert_int_equal(c.revoked_ms, 0);
	assert_int_equal(c.reason, 0);
	assert_int_equal(c.superseded_ms, 0);
}

static void
first_schemas_groups_are_enrollments(void **state)
{
	struct dir *d = *state;
	struct store *s = open_first(d);
	struct err e;
	struct store_enrollment n;
	assert_ok(store_enrollment_get(s, STORE_GROUP, "line-7", d->a, &n, &e), &e);
	assert_int_equal(n.kind, STORE_GROUP);
	assert_string_equal(n.id, "Line-7");
	assert_int_equal(n.etag, 3);
	assert_int_equal(n.attestation, STORE_ATT_X509);
	assert_span(n.secondary_cert, SPAN_LIT("\x30\x01"));
	assert_string_equal(n.secondary_cert_sha256, "c2");
	assert_string_equal(n.primary_ca, "");
	assert_string_equal(n.hubs, "a.b");
	assert_span(n.tags, SPAN_LIT("{\"t\":1}"));
	assert_true(n.enabled && n.update_hub && !n.migrate_data);
	assert_int_equal(n.updated_ms, 6);
	assert_ok(store_enrollment_by_cert(s, STORE_GROUP, "c1", d->a, &n, &e), &e);
	assert_fails(store_enrollment_get(s, STORE_INDIVIDUAL, "line-7", d->a, &n, &e),
	    &e, NOT_FOUND);
}

static int
on_cert(void *ctx, const struct store_cert *c, struct err *e)
{
	return see(ctx, c->serial);
}

static void
first_schemas_serials_lose_the_zeros_that_certificates_do_not_have(void **state)
{
	struct dir *d = *state;
	struct store *s = open_first(d);
	struct err e;
	struct seen seen = {0};
	const struct store_cert_filter all = {.limit = -1};
	assert_ok(store_cert_find(s, &all, on_cert, &seen, &e), &e);
	assert_string_equal(seen.text, "0a1b ff01 02 0a10 ");
	struct store_cert_issued n;
	assert_ok(store_cert_issued(s, "i1", &n, &e), &e);
	assert_int_equal(n.count, 3);
	assert_int_equal(n.last_end_ms, 12);
}

static void
first_schemas_certificates_may_be_revoked_and_have_answers_due(void **state)
{
	struct dir *d = *state;
	struct store *s = open_first(d);
	struct err e;
	struct seen due = {0}, entries = {0};
	assert_ok(store_begin(s, &e), &e);
	assert_ok(store_ocsp_due(s, "i1", 12, 20, 9, on_cert, &due, &e), &e);
	assert_string_equal(due.text, "0a1b ff01 ");
	assert_ok(store_cert_revoke(s, "i1", "ff01", NOW, 1, &e), &e);
	assert_ok(store_crl_entries(s, "i1", -1, 0, on_cert, &entries, &e), &e);
	assert_string_equal(entries.text, "ff01 ");
	assert_ok(store_commit(s, &e), &e);
	assert_ok(store_verify(s, &e), &e);
}

/* ---- plans ---- */

static const struct {
	const char *name, *sql;
} texts[] = {
#define STMT(name, sql) {#name, sql},
#include "store/sql.def"
#undef STMT
};

/* Those that read a table whole or sort what they read, and why they may. */
static const struct {
	const char *name, *plan;
} may[] = {
    /* one row */
    {"TALLY_GET", "SCAN tally"},
    {"TALLY_PUT", "SCAN tally"},
    {"HUB_GET", "SCAN hub"},
    {"HUB_PUT", "SCAN hub"},
    {"CRL_MARK", "SCAN CONSTANT ROW"},
    {"CRL_MARK", "SCAN sqlite_sequence"},
    {"TAG_SAME", "SCAN CONSTANT ROW"},
    {"AUDIT_ENDS", "SCAN CONSTANT ROW"},
    /* the tags of one twin */
    {"TAG_ADD", "SCAN json_each VIRTUAL TABLE INDEX 1:"},
    {"TAG_ADD", "SCAN e VIRTUAL TABLE INDEX 1:"},
    {"TAG_ADD", "SCAN tag"},
    {"TAG_DROP", "SCAN e VIRTUAL TABLE INDEX 1:"},
    {"TAG_DROP", "SCAN tag"},
    {"TAG_FILL", "SCAN e VIRTUAL TABLE INDEX 1:"},
    {"TAG_FILL", "SCAN tag"},
    /* MODULES_MAX of a device */
    {"RANGE_MODULES_OF", "USE TEMP B-TREE FOR ORDER BY"},
    /* a verification, of all there is */
    {"TALLY_CHECK", "SCAN event"},
    /* a row for each kind of device */
    {"DEVICE_COUNTS", "SCAN device_count"},
    /* the youngest of a few, by its index */
    {"TOKEN_KEY_NEWEST", "SCAN token_key USING INDEX token_key_made"},
    /* from the oldest, in order, up to a limit */
    {"EVENT_OLDEST", "SCAN event"},
    {"EVENT_NEWEST", "SCAN event"}, /* its last row alone */
    {"CONN_OLDEST", "SCAN conn"},
    {"ENROL_EACH", "SCAN enrol_request USING INDEX enrol_request_created"},
    {"ROLLOVER_EACH", "SCAN rollover"},
    {"FEEDBACK_LOCK", "SCAN c2d_feedback"},
    {"NOTICE_NEXT", "SCAN upload_notice"},
    /* what readers hold, over an index of that alone */
    {"FEEDBACK_EXHAUSTED", "SCAN c2d_feedback USING INDEX c2d_feedback_locked"},
    /* what the sessions of a core that is gone held, over an index of that alone */
    {"C2D_FREE_ALL", "SCAN c2d USING INDEX c2d_held"},
    /* of some days; the oldest that is open, over an index of those alone */
    {"TRANSFER_EACH", "SCAN transfer"},
    {"TRANSFER_EACH", "SEARCH transfer USING INTEGER PRIMARY KEY (rowid<?)"},
    {"TRANSFER_OPEN", "SCAN transfer USING INDEX transfer_open"},
    /* a hundred of a hub */
    {"CONFIGURATION_EACH", "SCAN configuration"},
    {"CONFIGURATION_EACH", "USE TEMP B-TREE FOR ORDER BY"},
    /* some of it, from its beginning */
    {"CONFIGURATION_DUE", "SCAN configuration_due"},
    /* open jobs, a few, over an index of them alone */
    {"JOB_OPEN", "SCAN job USING INDEX job_open"},
    {"JOB_COUNTS", "SCAN job USING INDEX job_open"},
    /* calls that a core that is gone had under way */
    {"JOB_CALLS_FAIL", "SCAN job_call"},
    {"JOB_CALLS_DROP", "SCAN job_call"},
    /* as many rows as hub.upload_notices says */
    {"NOTICE_TRIM", "SCAN upload_notice"},
    /* lists of what operators entered: a few */
    {"ISSUER_EACH", "SCAN issuer USING INDEX sqlite_autoindex_issuer_2"},
    {"TOKEN_EACH", "SCAN enrol_token USING INDEX sqlite_autoindex_enrol_token_1"},
    {"PRINCIPAL_EACH", "SCAN principal USING INDEX sqlite_autoindex_principal_1"},
    {"AUDIT_TRIM", "SCAN audit"},
    {"ALLOW_EACH", "SCAN renew_allow USING INDEX sqlite_autoindex_renew_allow_1"},
    /* two a distribution point */
    {"CRL_EACH", "SCAN crl"},
    {"CRL_EACH", "USE TEMP B-TREE FOR ORDER BY"},
    /* what changed since the full CRLs, over its index */
    {"CRL_DIRTY", "SCAN c USING COVERING INDEX sqlite_autoindex_crl_change_1"},
};

static bool
may_be(const char *name, const char *plan)
{
	for (size_t i = 0; i < sizeof(may) / sizeof(may[0]); i++)
		if (strcmp(may[i].name, name) == 0 && strcmp(may[i].plan, plan) == 0)
			return true;
	return !strstr(plan, "SCAN ") && !strstr(plan, "TEMP B-TREE");
}

/* How many steps its plan has. */
static int
check_plan(sqlite3 *db, const char *name, const char *sql)
{
	char text[4096];
	sqlite3_stmt *q;
	int rc, steps = 0;
	snprintf(text, sizeof(text), "EXPLAIN QUERY PLAN %s", sql);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &q, NULL), SQLITE_OK);
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		const char *plan = (const char *)sqlite3_column_text(q, 3);
		if (!may_be(name, plan))
			fail_msg("%s: %s", name, plan);
		steps++;
	}
	assert_int_equal(rc, SQLITE_DONE);
	sqlite3_finalize(q);
	return steps;
}

static void
no_statement_walks_a_large_table_or_sorts_it(void **state)
{
	struct dir *d = *state;
	struct err e;
	sqlite3 *db;
	int steps = 0;
	assert_int_equal(sqlite3_open(d->path, &db), SQLITE_OK);
	assert_ok(schema_migrate(db, d->path, schema_steps, schema_steps_n, &e), &e);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		steps += check_plan(db, texts[i].name, texts[i].sql);
	assert_true(steps > 50);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* What a query of a million twins begins with: an index that has all it needs, from where
 * the page before ended. */
static const struct {
	const char *name, *plan;
} ranges[] = {
    {"RANGE_ALL", "SEARCH device USING INTEGER PRIMARY KEY (rowid>?)"},
    {"RANGE_AUTH", "SEARCH device USING COVERING INDEX device_auth (auth=? AND parent=? "
		   "AND rowid>?)"},
    {"RANGE_ENABLED", "SEARCH device USING COVERING INDEX device_enabled"
		      " (enabled=? AND parent=? AND rowid>?)"},
    {"RANGE_CONNECTED", "SEARCH device USING COVERING INDEX device_connected"
			" (connected=? AND parent=? AND rowid>?)"},
    {"RANGE_TAG", "SEARCH twin_tag USING PRIMARY KEY (name=? AND value=? AND n>?)"},
    {"RANGE_MODULE_AUTH", "SEARCH device USING INDEX module_auth (auth=? AND rowid>?)"},
};

static const char *
text_of(const char *name)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(texts[i].name, name) == 0)
			return texts[i].sql;
	fail_msg("no statement %s", name);
	return NULL;
}

static void
ranges_of_queries_are_read_from_their_indexes(void **state)
{
	struct dir *d = *state;
	struct err e;
	sqlite3 *db;
	assert_int_equal(sqlite3_open(d->path, &db), SQLITE_OK);
	assert_ok(schema_migrate(db, d->path, schema_steps, schema_steps_n, &e), &e);
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		char text[4096];
		sqlite3_stmt *q;
		snprintf(
		    text, sizeof(text), "EXPLAIN QUERY PLAN %s", text_of(ranges[i].name));
		assert_int_equal(sqlite3_prepare_v2(db, text, -1, &q, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_step(q), SQLITE_ROW);
		assert_string_equal(sqlite3_column_text(q, 3), ranges[i].plan);
		assert_int_equal(sqlite3_step(q), SQLITE_DONE);
		sqlite3_finalize(q);
	}
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
first_schemas_tags_are_found(void **state)
{
	struct dir *d = *state;
	struct store *s = open_first(d);
	struct err e;
	const struct store_range floor = {
	    .kind = STORE_RANGE_TAG_NUMBER, .tag = "site.floor", .number = 3};
	int64_t n[2];
	size_t found;
	int64_t left;
	assert_false(store_tags_ready(s));
	assert_ok(store_begin(s, &e), &e);
	assert_ok(store_tags_fill(s, 5, &left, &e), &e);
	assert_int_equal(left, 0);
	assert_true(store_tags_ready(s));
	assert_ok(store_range_next(s, &floor, 0, 2, n, &found, &e), &e);
	assert_int_equal(found, 1);
	assert_int_equal(n[0], 1);
	store_rollback(s);
	assert_false(store_tags_ready(s));
}

/* What changes before the filling has come to it is neither lost nor found twice. */
static void
first_schemas_tags_may_change_before_they_are_in_the_index(void **state)
{
	struct dir *d = *state;
	struct store *s = open_first(d);
	struct err e;
	struct store_device dev;
	struct store_range floor = {
	    .kind = STORE_RANGE_TAG_NUMBER, .tag = "site.floor", .number = 3};
	int64_t n[2], left;
	size_t found;
	assert_ok(store_begin(s, &e), &e);
	assert_ok(store_device_get(s, "Dev-1", d->a, &dev, &e), &e);
	dev.tags = SPAN_LIT("{\"site\":{\"floor\":4}}");
	assert_ok(store_twin_put(s, &dev, &e), &e);
	dev.id = "new";
	assert_ok(store_device_add(s, &dev, &e), &e);
	assert_ok(store_tags_fill(s, 1, &left, &e), &e);
	assert_int_equal(left, 0);
	assert_ok(store_range_next(s, &floor, 0, 2, n, &found, &e), &e);
	assert_int_equal(found, 0);
	floor.number = 4;
	assert_ok(store_range_next(s, &floor, 0, 2, n, &found, &e), &e);
	assert_int_equal(found, 2);
	assert_ok(store_commit(s, &e), &e);
	assert_ok(store_verify(s, &e), &e);
}

static void
add_tagged(struct store *s, const char *id, const char *tags)
{
	struct err e;
	struct store_device d = {.id = id,
	    .tags = span_str(tags),
	    .desired = SPAN_LIT("{}"),
	    .reported = SPAN_LIT("{}")};
	assert_ok(store_device_add(s, &d, &e), &e);
}

static int
count_rows(const struct dir *d, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *q;
	assert_int_equal(sqlite3_open(d->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	int n = sqlite3_column_int(q, 0);
	sqlite3_finalize(q);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return n;
}

/* Nothing but the tags that were says what is to go from their index. */
static void
no_entry_of_the_index_of_tags_outlives_its_twin(void **state)
{
	struct dir *d = *state;
	struct err e;
	auto_buf odd = BUF_INIT(4096);
	buf_str(&odd,
	    "{\"a\":1.5,\"b\":1e300,\"c\":9007199254740993,\"d\":0.1,\"e\":-0.0,"
	    "\"f\":123456789012345678901234567890,\"g\":\"3\",\"h\":3,\"i\":true,"
	    "\"j\":{\"k\":{\"l\":false,\"m\":null}},\"n\":\"\\u0000x\",\"o\":[1],"
	    "\"o\":2,\"p\":\"");
	for (int i = 0; i < 150; i++)
		buf_str(&odd, "\xc3\xa9");
	buf_str(&odd, "\"}");
	d->s = store_open(d->path, &e);
	assert_non_null(d->s);
	struct store *s = begun(state);
	add_tagged(s, "a", buf_text(&odd));
	add_tagged(s, "a/m", buf_text(&odd));
	add_tagged(s, "b", buf_text(&odd));
	assert_ok(store_commit(s, &e), &e);
	store_close(TAKE(d->s));
	assert_true(count_rows(d, "SELECT count(*) FROM twin_tag") > 3 * 10);
	d->s = s = store_open(d->path, &e);
	assert_ok(store_begin(s, &e), &e);
	const struct store_device none = {.id = "b",
	    .tags = SPAN_LIT("{}"),
	    .desired = SPAN_LIT("{}"),
	    .reported = SPAN_LIT("{}")};
	assert_ok(store_twin_put(s, &none, &e), &e);
	assert_ok(store_device_del(s, "a", &e), &e);
	assert_ok(store_commit(s, &e), &e);
	store_close(TAKE(d->s));
	assert_int_equal(count_rows(d, "SELECT count(*) FROM twin_tag"), 0);
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_DIR(first_schemas_rows_are_kept),
	    IN_DIR(first_schemas_groups_are_enrollments),
	    IN_DIR(first_schemas_serials_lose_the_zeros_that_certificates_do_not_have),
	    IN_DIR(first_schemas_certificates_may_be_revoked_and_have_answers_due),
	    IN_DIR(no_statement_walks_a_large_table_or_sorts_it),
	    IN_DIR(ranges_of_queries_are_read_from_their_indexes),
	    IN_DIR(first_schemas_tags_are_found),
	    IN_DIR(no_entry_of_the_index_of_tags_outlives_its_twin),
	    IN_DIR(first_schemas_tags_may_change_before_they_are_in_the_index),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
