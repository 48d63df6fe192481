/*
 * The store on SQLite: opening, transactions, checkpoints, and what SQLite's result codes
 * mean to us. The verbs of each noun are in sqlite_<noun>.c.
 */
#include "store/sqlite.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/schema.h"

#define ROW_MAX       (16 << 20)
#define WAL_PAGES_MAX 4096 /* 16 MB: then the commit checkpoints, idle or not */

/* Before anything else: with the lock taken for good before the WAL is first looked at,
 * its index lives in our heap and the -shm file is never made. */
static const char exclusive[] = "PRAGMA locking_mode = EXCLUSIVE";

/* Set, then read back: a typing error in a pragma is silent, and synchronous=NORMAL loses
 * acknowledged commits at a power cut. */
static const struct {
	const char *name, *value, *reads;
} pragmas[] = {
    {"locking_mode", "EXCLUSIVE", "exclusive"},
    {"temp_store", "MEMORY", "2"},
    {"cell_size_check", "ON", "1"},
    /* wipes a removed SAS key in its page where that costs no further I/O */
    {"secure_delete", "FAST", "2"},
    {"journal_mode", "WAL", "wal"},
    {"synchronous", "FULL", "2"},
    {"foreign_keys", "ON", "1"},
    {"trusted_schema", "OFF", "0"},
    {"cache_size", "-32768", "-32768"},
    {"journal_size_limit", "67108864", "67108864"},
    /* ours, in store_commit: SQLite's own would swallow a failed sync */
    {"wal_autocheckpoint", "0", "0"},
};

static const struct {
	int rc;
	enum err_code code;
} codes[] = {
    {SQLITE_FULL, ERR_FULL},
    {SQLITE_BUSY, ERR_BUSY},
    {SQLITE_LOCKED, ERR_BUSY},
    {SQLITE_CORRUPT, ERR_CORRUPT},
    {SQLITE_NOTADB, ERR_CORRUPT},
    {SQLITE_IOERR, ERR_IO},
    {SQLITE_CANTOPEN, ERR_IO},
    {SQLITE_READONLY, ERR_IO},
    {SQLITE_PERM, ERR_PERM},
    {SQLITE_TOOBIG, ERR_LIMIT},
};

static enum err_code
code_of(int rc, int sys)
{
	if (sys == ENOSPC || sys == EDQUOT)
		return ERR_FULL;
	if (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY)
		return ERR_EXISTS;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].rc == (rc & 0xff))
			return codes[i].code;
	return ERR_INTERNAL;
}

int
sqlite_err(sqlite3 *db, const char *path, int rc, const char *what, struct err *e)
{
	/* a bind that failed is reported a few calls later: the connection has moved on
	 */
	bool last = db && sqlite3_extended_errcode(db) == rc;
	bool io = (rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN;
	int sys = last && io ? sqlite3_system_errno(db) : 0;
	enum err_code code = code_of(rc, sys);
	const char *why = last ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
	if (code == ERR_BUSY)
		why = "in use by another process";
	return err_set_at(
	    e, code, sys, ERR_HERE, "%s: %s: %s (SQLite %d)", path, what, why, rc);
}

/* After a failed fsync the kernel may have dropped the pages and report the next one as a
 * success (fsyncgate, 2018); only a restart reads what the disk really has. */
int
sqlite_fail(struct store *s, int rc, const char *what, struct err *e)
{
	struct err why;
	sqlite_err(s->db, s->path, rc, what, &why);
	bool sync = rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC;
	if (sync && !s->dead) {
		s->dead = true;
		s->why = why;
	}
	return err_copy(e, &why);
}

static void
undo(struct store *s)
{
	/* SQLite may have rolled back by itself; a rollback that fails leaves nothing
	 * more to do, the next begin says why */
	if (!sqlite3_get_autocommit(s->db))
		(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	s->now = s->saved;
}

void
sqlite_doom(struct store *s, const struct err *why)
{
	undo(s);
	s->doomed = true;
	if (!s->dead)
		s->why = *why;
}

/* ---- opening ---- */

/* Makes the file before SQLite does, for SQLite would ask the umask. An existing one is
 * only looked at, never opened: closing it again would drop the locks that a store of
 * this very process may hold (POSIX locks belong to the process). */
static int
make_file(const char *path, struct err *e)
{
	auto_fd int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fchmod(fd, 0600) ? err_sys(e, ERR_IO, "%s: chmod", path) : 0;
	struct stat st;
	if (errno != EEXIST || lstat(path, &st))
		return err_sys(e, ERR_IO, "%s: open", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_IO, "%s: not a regular file", path);
	if (st.st_mode & 077)
		return err_set(e, ERR_PERM,
		    "%s: mode %04o lets others read the keys in it; chmod 600 it", path,
		    st.st_mode & 07777);
	return 0;
}

static int
harden(struct store *s, struct err *e)
{
	static const struct {
		int option, on;
	} config[] = {
	    {SQLITE_DBCONFIG_DEFENSIVE, 1},
	    {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
	    {SQLITE_DBCONFIG_DQS_DDL, 0},
	    {SQLITE_DBCONFIG_DQS_DML, 0},
	    {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
	    {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
	};
	for (size_t i = 0; i < sizeof(config) / sizeof(config[0]); i++) {
		int rc = sqlite3_db_config(s->db, config[i].option, config[i].on, NULL);
		if (rc != SQLITE_OK)
			return sqlite_fail(s, rc, "configuring SQLite", e);
	}
	/* the WAL stays when we close: the jail knows no unlink */
	int keep = 1;
	int rc = sqlite3_file_control(s->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
	if (rc != SQLITE_OK)
		return sqlite_fail(s, rc, "configuring SQLite", e);
	sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, ROW_MAX);
	sqlite3_limit(s->db, SQLITE_LIMIT_ATTACHED, 0);
	return 0;
}

static int
pragma(struct store *s, const char *name, const char *value, const char *reads,
    struct err *e)
{
	char sql[96];
	snprintf(sql, sizeof(sql), "PRAGMA %s = %s", name, value);
	int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return sqlite_fail(s, rc, sql, e);
	sqlite3_stmt *q = NULL;
	snprintf(sql, sizeof(sql), "PRAGMA %s", name);
	rc = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	const char *is =
	    rc == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
	int failed = 0;
	if (!is)
		failed = sqlite_fail(s, rc, sql, e);
	else if (strcmp(is, reads) != 0)
		failed = err_set(
		    e, ERR_UNSUPPORTED, "%s: %s is %s, not %s", s->path, name, is, reads);
	sqlite3_finalize(q);
	return failed;
}

static int
set_pragmas(struct store *s, struct err *e)
{
	for (size_t i = 0; i < sizeof(pragmas) / sizeof(pragmas[0]); i++)
		if (pragma(s, pragmas[i].name, pragmas[i].value, pragmas[i].reads, e))
			return -1;
	return 0;
}

static int
on_commit(void *ctx, sqlite3 *db, const char *name, int pages)
{
	struct store *s = ctx;
	s->wal_pages = pages;
	return SQLITE_OK;
}

/* Writes the version again, unchanged: this makes the WAL and syncs its directory, for
 * which SQLite opens files. Its random numbers it seeds from /dev/urandom when it first
 * needs one, which may be much later: a WAL that was left behind has its salt. */
static int
write_once(struct store *s, struct err *e)
{
	char sql[96], first;
	sqlite3_randomness(sizeof(first), &first);
	snprintf(sql, sizeof(sql), "BEGIN IMMEDIATE; PRAGMA user_version = %zu; COMMIT",
	    schema_steps_n);
	int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : sqlite_fail(s, rc, "first write", e);
}

static int
load_tally(struct store *s, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_TALLY_GET, &q, e))
		return -1;
	int got = stmt_next(&q, e);
	if (got < 0)
		return -1;
	if (got == 0)
		return err_set(e, ERR_CORRUPT, "%s: table tally is empty", s->path);
	s->now = (struct tally){
	    .event_seq = stmt_int(&q, 0),
	    .event_bytes = stmt_int(&q, 1),
	    .conn_seq = stmt_int(&q, 2),
	    .conn_dropped_ms = stmt_int(&q, 3),
	    .conn_top_ms = stmt_int(&q, 4),
	    .conn_back_ms = stmt_int(&q, 5),
	    .device_n = stmt_int(&q, 6),
	    .tag_done = stmt_int(&q, 7),
	    .tag_last = stmt_int(&q, 8),
	};
	s->saved = s->now;
	return 0;
}

static int
open_db(struct store *s, struct err *e)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int rc = sqlite3_open_v2(s->path, &s->db, flags, NULL);
	if (rc != SQLITE_OK)
		return sqlite_err(s->db, s->path, rc, "open", e);
	rc = sqlite3_exec(s->db, exclusive, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return sqlite_fail(s, rc, exclusive, e);
	int version; /* checked before a pragma could change a file that is not ours */
	if (harden(s, e) || schema_check(s->db, s->path, schema_steps_n, &version, e) ||
	    set_pragmas(s, e) ||
	    schema_migrate(s->db, s->path, schema_steps, schema_steps_n, e))
		return -1;
	sqlite3_wal_hook(s->db, on_commit, s);
	if (write_once(s, e) || stmt_prepare_all(s, e))
		return -1;
	return load_tally(s, e);
}

struct store *
store_open(const char *path, struct err *e)
{
	auto_(store_close) struct store *s = own_alloc(sizeof(*s));
	/* "./" keeps SQLite from reading a meaning into ":memory:" or "file:" */
	char full[PATH_MAX];
	int n = snprintf(full, sizeof(full), "%s%s", path[0] == '/' ? "" : "./", path);
	if (n < 0 || (size_t)n >= sizeof(full)) {
		err_set(
		    e, ERR_LIMIT, "path of the database: longer than %d bytes", PATH_MAX);
		return NULL;
	}
	s->path = own_strdup(full);
	if (make_file(s->path, e) || open_db(s, e))
		return NULL;
	return TAKE(s);
}

void
store_close(struct store *s)
{
	if (!s)
		return;
	if (s->tx)
		store_rollback(s);
	stmt_finalize_all(s);
	/* SQLite's own at the close is left out where it may no longer look at the file
	 * by name (the core under a number of its own); one that fails here is made up
	 * for at the open */
	if (!s->dead && s->db)
		(void)sqlite3_wal_checkpoint_v2(
		    s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	int rc = sqlite3_close(s->db);
	assert(rc == SQLITE_OK); /* else a statement was left open */
	free(s->path);
	free(s);
}

/* ---- transactions ---- */

static int
step_once(struct store *s, enum stmt_id id, struct err *e)
{
	auto_stmt q = {0};
	return stmt_open(s, id, &q, e) || stmt_next(&q, e) < 0 ? -1 : 0;
}

int
store_begin(struct store *s, struct err *e)
{
	if (s->dead)
		return err_copy(e, &s->why);
	if (s->tx)
		return err_set(
		    e, ERR_INTERNAL, "%s: begin inside a transaction", s->path);
	if (step_once(s, STMT_BEGIN, e))
		return -1;
	s->tx = true;
	return 0;
}

static int
save_tally(struct store *s, struct err *e)
{
	if (memcmp(&s->now, &s->saved, sizeof(s->now)) == 0)
		return 0;
	auto_stmt q = {0};
	if (stmt_open(s, STMT_TALLY_PUT, &q, e))
		return -1;
	stmt_bind_int(&q, 1, s->now.event_seq);
	stmt_bind_int(&q, 2, s->now.event_bytes);
	stmt_bind_int(&q, 3, s->now.conn_seq);
	stmt_bind_int(&q, 4, s->now.conn_dropped_ms);
	stmt_bind_int(&q, 5, s->now.conn_top_ms);
	stmt_bind_int(&q, 6, s->now.conn_back_ms);
	stmt_bind_int(&q, 7, s->now.device_n);
	stmt_bind_int(&q, 8, s->now.tag_done);
	stmt_bind_int(&q, 9, s->now.tag_last);
	return stmt_run(&q, e);
}

static int
checkpoint(struct store *s, struct err *e)
{
	int rc = sqlite3_wal_checkpoint_v2(
	    s->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	if (rc != SQLITE_OK)
		return sqlite_fail(s, rc, "checkpoint", e);
	s->wal_pages = 0;
	return 0;
}

int
store_commit(struct store *s, struct err *e)
{
	if (!s->tx)
		return err_set(
		    e, ERR_INTERNAL, "%s: commit outside a transaction", s->path);
	if (s->doomed)
		return err_copy(e, &s->why);
	struct err why;
	if (save_tally(s, &why) || step_once(s, STMT_COMMIT, &why)) {
		sqlite_doom(s, &why);
		return err_copy(e, &why);
	}
	s->tx = false;
	s->saved = s->now;
	/* The commit stands whatever becomes of the checkpoint: a full disk is met again
	 * by the next one, a failed sync is kept in s->why and refuses the next begin. */
	if (s->wal_pages >= WAL_PAGES_MAX)
		(void)!checkpoint(s, &why);
	return 0;
}

void
store_rollback(struct store *s)
{
	undo(s);
	s->tx = false;
	s->doomed = false;
}

bool
store_in_transaction(const struct store *s)
{
	return s->tx;
}

int
store_checkpoint(struct store *s, struct err *e)
{
	if (s->dead)
		return err_copy(e, &s->why);
	if (s->tx)
		return err_set(
		    e, ERR_INTERNAL, "%s: checkpoint inside a transaction", s->path);
	return s->wal_pages ? checkpoint(s, e) : 0;
}

/* ---- verification ---- */

static int
check_integrity(struct store *s, struct err *e)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(s->db, "PRAGMA integrity_check(1)", -1, &q, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	const char *found =
	    rc == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
	int failed = 0;
	if (!found)
		failed = sqlite_fail(s, rc, "integrity check", e);
	else if (strcmp(found, "ok") != 0)
		failed = err_set(e, ERR_CORRUPT, "%s: %s", s->path, found);
	sqlite3_finalize(q);
	return failed;
}

static int
check_foreign_keys(struct store *s, struct err *e)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(s->db, "PRAGMA foreign_key_check", -1, &q, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	int failed = 0;
	if (rc == SQLITE_ROW)
		failed = err_set(e, ERR_CORRUPT, "%s: a row of %s has lost its %s",
		    s->path, (const char *)sqlite3_column_text(q, 0),
		    (const char *)sqlite3_column_text(q, 2));
	else if (rc != SQLITE_DONE)
		failed = sqlite_fail(s, rc, "foreign key check", e);
	sqlite3_finalize(q);
	return failed;
}

static int
check_tally(struct store *s, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_TALLY_CHECK, &q, e) || stmt_next(&q, e) < 0)
		return -1;
	int64_t event_seq = stmt_int(&q, 0), bytes = stmt_int(&q, 1),
		conn_seq = stmt_int(&q, 2);
	if (bytes != s->now.event_bytes)
		return err_set(e, ERR_CORRUPT,
		    "%s: %lld bytes of events, %lld on the books", s->path,
		    (long long)bytes, (long long)s->now.event_bytes);
	if (event_seq > s->now.event_seq || conn_seq > s->now.conn_seq)
		return err_set(
		    e, ERR_CORRUPT, "%s: a log is ahead of its counter", s->path);
	return 0;
}

int
store_verify(struct store *s, struct err *e)
{
	int version;
	if (check_integrity(s, e) || check_foreign_keys(s, e) || check_tally(s, e))
		return -1;
	return schema_check(s->db, s->path, schema_steps_n, &version, e);
}
