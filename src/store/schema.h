#ifndef STORE_SCHEMA_H
#define STORE_SCHEMA_H
/*
 * Numbered migrations, schema/NNNN-*.sql, compiled into the program. The database carries
 * the number of the last one it went through (user_version) and whose it is
 * (application_id). Internal to the store; in a header so that tests may bring own steps.
 */
#include <stddef.h>

#include <sqlite3.h>

#include "base/err.h"

struct schema_step {
	const char *name; /* file name, "0001-start.sql" */
	const char *sql;
};

extern const struct schema_step schema_steps[];
extern const size_t schema_steps_n;

/* Refuses, without touching it, a database that is newer than n steps or another
 * program's (ERR_UNSUPPORTED). An empty file is version 0. */
must_check int schema_check(
    sqlite3 *db, const char *path, size_t n, int *ret_version, struct err *e);
/* Runs the steps the database has not seen, in order, one transaction each: after a
 * failure or a crash it stands at the last whole step. */
must_check int schema_migrate(sqlite3 *db, const char *path,
    const struct schema_step *steps, size_t n, struct err *e);

#endif
