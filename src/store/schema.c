/*
 * Running the migrations. The texts are in schema/, turned into C by schema/embed.py.
 */
#include "store/schema.h"

#include <stdio.h>

#include "base/log.h"
#include "store/sqlite.h"

#define APPLICATION_ID 0x6d737472 /* "mstr" */

const struct schema_step schema_steps[] = {
#include "store/schema_steps.inc"
};
const size_t schema_steps_n = sizeof(schema_steps) / sizeof(schema_steps[0]);

static int
ask(sqlite3 *db, const char *path, const char *sql, int *ret, struct err *e)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &q, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int(q, 0);
	int failed =
	    rc == SQLITE_ROW ? 0 : sqlite_err(db, path, rc, "reading the schema", e);
	sqlite3_finalize(q);
	return failed;
}

int
schema_check(sqlite3 *db, const char *path, size_t n, int *ret_version, struct err *e)
{
	int app = 0, version = 0, objects = 0;
	if (ask(db, path, "PRAGMA application_id", &app, e) ||
	    ask(db, path, "PRAGMA user_version", &version, e) ||
	    ask(db, path, "SELECT count(*) FROM sqlite_schema", &objects, e))
		return -1;
	bool empty = app == 0 && version == 0 && objects == 0;
	if (app != APPLICATION_ID && !empty)
		return err_set(
		    e, ERR_UNSUPPORTED, "%s: a database of another program", path);
	if (version < 0 || (size_t)version > n)
		return err_set(e, ERR_UNSUPPORTED,
		    "%s: schema version %d is newer than this program's %zu; use the "
		    "muster "
		    "that wrote it, or a newer one",
		    path, version, n);
	*ret_version = version;
	return 0;
}

static int
run_step(sqlite3 *db, const struct schema_step *step, size_t number)
{
	char stamp[96];
	snprintf(stamp, sizeof(stamp),
	    "PRAGMA application_id = %d; PRAGMA user_version = %zu", APPLICATION_ID,
	    number);
	int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, step->sql, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, stamp, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	return rc;
}

int
schema_migrate(sqlite3 *db, const char *path, const struct schema_step *steps, size_t n,
    struct err *e)
{
	int version = 0;
	if (schema_check(db, path, n, &version, e))
		return -1;
	for (size_t i = (size_t)version; i < n; i++) {
		/* of a large one a step may take minutes, and nobody is served */
		if (version)
			log_event(LOG_INFO, "store.schema",
			    LOG_STR("step", steps[i].name), LOG_INT("of", n));
		int rc = run_step(db, &steps[i], i + 1);
		if (rc == SQLITE_OK)
			continue;
		sqlite_err(db, path, rc, steps[i].name, e);
		if (!sqlite3_get_autocommit(db))
			(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
		return -1;
	}
	return 0;
}
