/*
 * The campaign file on SQLite. A database of its own, small and shared between processes;
 * only what SQLite's result codes mean is the store's.
 */
#include "store/campaign.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/sqlite.h"

#define APPLICATION_ID 0x6d736d67 /* "msmg" */
#define VERSION        1
#define BUSY_MS        5000

struct campaign {
	sqlite3 *db;
	char *path;
};

/* Every write has to be durable at its commit, also at a power cut; and a removed secret
 * is to leave its page. */
static const char setup[] = "PRAGMA journal_mode = WAL;"
			    "PRAGMA synchronous = FULL;"
			    "PRAGMA secure_delete = ON;"
			    "PRAGMA trusted_schema = OFF;"
			    "PRAGMA cell_size_check = ON;";

static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE device (id TEXT PRIMARY KEY, ord INTEGER NOT NULL UNIQUE,"
    " wave INTEGER NOT NULL, line INTEGER NOT NULL, address TEXT NOT NULL,"
    " user TEXT NOT NULL, host_key TEXT NOT NULL, state TEXT NOT NULL,"
    " step TEXT NOT NULL, error TEXT NOT NULL, reason TEXT NOT NULL, fix TEXT NOT NULL,"
    " attempts INTEGER NOT NULL, auth_before TEXT NOT NULL, identity TEXT NOT NULL,"
    " generation TEXT NOT NULL, csr TEXT NOT NULL, chain TEXT NOT NULL,"
    " thumb TEXT NOT NULL, nonce TEXT NOT NULL, proof_seq INTEGER NOT NULL,"
    " conn_seq INTEGER NOT NULL, not_after_ms INTEGER NOT NULL,"
    " started_ms INTEGER NOT NULL, proved_ms INTEGER NOT NULL,"
    " promoted_ms INTEGER NOT NULL, done_ms INTEGER NOT NULL,"
    " updated_ms INTEGER NOT NULL) STRICT;"
    "CREATE INDEX device_wave ON device (wave, ord);"
    "CREATE TABLE wave (n INTEGER PRIMARY KEY, size INTEGER NOT NULL,"
    " passed INTEGER NOT NULL, gate TEXT NOT NULL, started_ms INTEGER NOT NULL,"
    " ended_ms INTEGER NOT NULL, busy_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE stage (name TEXT NOT NULL, what TEXT NOT NULL, before INTEGER NOT NULL,"
    " after INTEGER NOT NULL, unit TEXT NOT NULL, at_ms INTEGER NOT NULL,"
    " PRIMARY KEY (name, what)) STRICT;"
    "PRAGMA application_id = 0x6d736d67;"
    "PRAGMA user_version = 1;"
    "COMMIT;";

/* ---- rows as tables of their columns ---- */

struct shape {
	const char *noun;
	const struct stmt_col *cols;
	int n;
};

#define DEVICE(member) STMT_COL(struct campaign_device, member)
static const struct stmt_col device_cols[] = {DEVICE(id), DEVICE(ord), DEVICE(wave),
    DEVICE(line), DEVICE(address), DEVICE(user), DEVICE(host_key), DEVICE(state),
    DEVICE(step), DEVICE(error), DEVICE(reason), DEVICE(fix), DEVICE(attempts),
    DEVICE(auth_before), DEVICE(identity), DEVICE(generation), DEVICE(csr), DEVICE(chain),
    DEVICE(thumb), DEVICE(nonce), DEVICE(proof_seq), DEVICE(conn_seq),
    DEVICE(not_after_ms), DEVICE(started_ms), DEVICE(proved_ms), DEVICE(promoted_ms),
    DEVICE(done_ms), DEVICE(updated_ms)};

#define DEVICE_SELECT                                                                    \
	"SELECT id, ord, wave, line, address, user, host_key, state, step, error, "      \
	"reason,"                                                                        \
	" fix, attempts, auth_before, identity, generation, csr, chain, thumb, nonce,"   \
	" proof_seq, conn_seq, not_after_ms, started_ms, proved_ms, promoted_ms, "       \
	"done_ms,"                                                                       \
	" updated_ms FROM device "
static const char device_add[] =
    "INSERT INTO device VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"
    " ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28)";
static const char device_put[] =
    "UPDATE device SET ord = ?2, wave = ?3, line = ?4, address = ?5, user = ?6,"
    " host_key = ?7, state = ?8, step = ?9, error = ?10, reason = ?11, fix = ?12,"
    " attempts = ?13, auth_before = ?14, identity = ?15, generation = ?16, csr = ?17,"
    " chain = ?18, thumb = ?19, nonce = ?20, proof_seq = ?21, conn_seq = ?22,"
    " not_after_ms = ?23, started_ms = ?24, proved_ms = ?25, promoted_ms = ?26,"
    " done_ms = ?27, updated_ms = ?28 WHERE id = ?1";
static const struct shape device_shape = {.noun = "device",
    .cols = device_cols,
    .n = sizeof(device_cols) / sizeof(device_cols[0])};

#define WAVE(member) STMT_COL(struct campaign_wave, member)
static const struct stmt_col wave_cols[] = {WAVE(n), WAVE(size), WAVE(passed), WAVE(gate),
    WAVE(started_ms), WAVE(ended_ms), WAVE(busy_ms)};
static const struct shape wave_shape = {
    .noun = "wave", .cols = wave_cols, .n = sizeof(wave_cols) / sizeof(wave_cols[0])};

#define STAGE(member) STMT_COL(struct campaign_stage, member)
static const struct stmt_col stage_cols[] = {
    STAGE(name), STAGE(what), STAGE(before), STAGE(after), STAGE(unit), STAGE(at_ms)};
static const struct shape stage_shape = {
    .noun = "stage", .cols = stage_cols, .n = sizeof(stage_cols) / sizeof(stage_cols[0])};

own_define(sqlite3_stmt, sqlite3_finalize);

static int
fail(struct campaign *c, int rc, const char *what, struct err *e)
{
	return sqlite_err(c->db, c->path, rc, what, e);
}

static sqlite3_stmt *
prepare(struct campaign *c, const char *sql, const char *noun, struct err *e)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(c->db, sql, -1, &q, NULL);
	if (rc != SQLITE_OK)
		fail(c, rc, noun, e);
	return q;
}

static void
bind(sqlite3_stmt *q, int n, const struct stmt_col *col, const void *row)
{
	const void *m = (const char *)row + col->off;
	const char *text = col->kind == STMT_TEXT ? *(const char *const *)m : NULL;
	if (col->kind == STMT_TEXT)
		sqlite3_bind_text(q, n, text ? text : "", -1, SQLITE_STATIC);
	if (col->kind == STMT_I64)
		sqlite3_bind_int64(q, n, *(const int64_t *)m);
	if (col->kind == STMT_BOOL)
		sqlite3_bind_int(q, n, *(const bool *)m);
}

static void
read_row(sqlite3_stmt *q, const struct shape *sh, void *row)
{
	for (int i = 0; i < sh->n; i++) {
		void *m = (char *)row + sh->cols[i].off;
		if (sh->cols[i].kind == STMT_TEXT)
			*(const char **)m = (const char *)sqlite3_column_text(q, i);
		if (sh->cols[i].kind == STMT_I64)
			*(int64_t *)m = sqlite3_column_int64(q, i);
		if (sh->cols[i].kind == STMT_BOOL)
			*(bool *)m = sqlite3_column_int(q, i) != 0;
	}
}

static int
write_row(struct campaign *c, const struct shape *sh, const char *sql, const void *row,
    const char *key, struct err *e)
{
	auto_(sqlite3_finalize) sqlite3_stmt *q = prepare(c, sql, sh->noun, e);
	if (!q)
		return -1;
	for (int i = 0; i < sh->n; i++)
		bind(q, i + 1, &sh->cols[i], row);
	int rc = sqlite3_step(q);
	if (rc != SQLITE_DONE)
		return fail(c, rc, sh->noun, e);
	if (sqlite3_changes(c->db) == 0)
		return err_set(e, ERR_NOT_FOUND, "%s: no %s %s", c->path, sh->noun, key);
	return 0;
}

/* ---- opening ---- */

static int
ask_int(struct campaign *c, const char *sql, int *ret, struct err *e)
{
	auto_(sqlite3_finalize) sqlite3_stmt *q =
	    prepare(c, sql, "reading the schema", e);
	if (!q)
		return -1;
	int rc = sqlite3_step(q);
	if (rc != SQLITE_ROW)
		return fail(c, rc, "reading the schema", e);
	*ret = sqlite3_column_int(q, 0);
	return 0;
}

static int
check_schema(struct campaign *c, struct err *e)
{
	int app, version;
	if (ask_int(c, "PRAGMA application_id", &app, e) ||
	    ask_int(c, "PRAGMA user_version", &version, e))
		return -1;
	if (app == 0 && version == 0)
		return err_set(e, ERR_CORRUPT,
		    "%s: made, but never filled (a plan was cut short); remove it and "
		    "plan again",
		    c->path);
	if (app != APPLICATION_ID)
		return err_set(e, ERR_UNSUPPORTED, "%s: not a campaign file", c->path);
	if (version != VERSION)
		return err_set(e, ERR_UNSUPPORTED,
		    "%s: schema %d; this muster knows %d, use the one that made it",
		    c->path, version, VERSION);
	return 0;
}

static int
check_synchronous(struct campaign *c, struct err *e)
{
	int level;
	if (ask_int(c, "PRAGMA synchronous", &level, e))
		return -1;
	if (level != 2)
		return err_set(e, ERR_UNSUPPORTED, "%s: SQLite will not sync", c->path);
	return 0;
}

/* "./" keeps SQLite from reading a meaning into ":memory:" or "file:". */
static struct campaign *
campaign_new(const char *path)
{
	struct campaign *c = own_alloc(sizeof(*c));
	size_t size = strlen(path) + 3;
	c->path = own_alloc(size);
	snprintf(c->path, size, "%s%s", path[0] == '/' ? "" : "./", path);
	return c;
}

static int
connect_db(struct campaign *c, struct err *e)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int rc = sqlite3_open_v2(c->path, &c->db, flags, NULL);
	if (rc != SQLITE_OK)
		return fail(c, rc, "open", e);
	sqlite3_busy_timeout(c->db, BUSY_MS);
	rc = sqlite3_exec(c->db, setup, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return fail(c, rc, "open", e);
	return check_synchronous(c, e);
}

struct campaign *
campaign_create(const char *path, struct err *e)
{
	auto_(campaign_close) struct campaign *c = campaign_new(path);
	/* before SQLite does, for SQLite would ask the umask */
	auto_fd int fd = open(c->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		err_sys(e, errno == EEXIST ? ERR_EXISTS : ERR_IO, "%s", c->path);
		return NULL;
	}
	if (fchmod(fd, 0600)) {
		err_sys(e, ERR_IO, "%s: chmod", c->path);
		return NULL;
	}
	if (connect_db(c, e))
		return NULL;
	int rc = sqlite3_exec(c->db, schema, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		return TAKE(c);
	fail(c, rc, "making the tables", e);
	return NULL;
}

struct campaign *
campaign_open(const char *path, struct err *e)
{
	auto_(campaign_close) struct campaign *c = campaign_new(path);
	struct stat st;
	if (lstat(c->path, &st)) {
		err_sys(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s", c->path);
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_mode & 077) {
		err_set(e, ERR_PERM, "%s: others may reach the keys in it; chmod 600 it",
		    c->path);
		return NULL;
	}
	if (connect_db(c, e) || check_schema(c, e))
		return NULL;
	return TAKE(c);
}

void
campaign_close(struct campaign *c)
{
	if (!c)
		return;
	sqlite3_close(c->db);
	free(c->path);
	free(c);
}

static int
run(struct campaign *c, const char *sql, struct err *e)
{
	int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : fail(c, rc, sql, e);
}

int
campaign_begin(struct campaign *c, struct err *e)
{
	return run(c, "BEGIN IMMEDIATE", e);
}

int
campaign_commit(struct campaign *c, struct err *e)
{
	return run(c, "COMMIT", e);
}

void
campaign_rollback(struct campaign *c)
{
	/* SQLite may have rolled back by itself */
	if (campaign_in_transaction(c))
		(void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
}

bool
campaign_in_transaction(const struct campaign *c)
{
	return !sqlite3_get_autocommit(c->db);
}

/* ---- the nouns ---- */

int
campaign_meta_get(
    struct campaign *c, const char *key, struct arena *a, const char **ret, struct err *e)
{
	auto_(sqlite3_finalize) sqlite3_stmt *q =
	    prepare(c, "SELECT value FROM meta WHERE key = ?1", "meta", e);
	if (!q)
		return -1;
	sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
	int rc = sqlite3_step(q);
	if (rc == SQLITE_DONE)
		return err_set(e, ERR_NOT_FOUND, "%s: no value %s", c->path, key);
	if (rc != SQLITE_ROW)
		return fail(c, rc, "meta", e);
	*ret = arena_str(a, span_str((const char *)sqlite3_column_text(q, 0)));
	return 0;
}

int
campaign_meta_put(struct campaign *c, const char *key, const char *value, struct err *e)
{
	auto_(sqlite3_finalize) sqlite3_stmt *q =
	    prepare(c, "INSERT OR REPLACE INTO meta VALUES (?1, ?2)", "meta", e);
	if (!q)
		return -1;
	sqlite3_bind_text(q, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_text(q, 2, value, -1, SQLITE_STATIC);
	int rc = sqlite3_step(q);
	return rc == SQLITE_DONE ? 0 : fail(c, rc, "meta", e);
}

static void
move_texts(const struct shape *sh, struct arena *a, void *row)
{
	for (int i = 0; i < sh->n; i++) {
		const char **m = (const char **)((char *)row + sh->cols[i].off);
		if (sh->cols[i].kind == STMT_TEXT)
			*m = arena_str(a, span_str(*m));
	}
}

void
campaign_device_copy(
    const struct campaign_device *d, struct arena *a, struct campaign_device *ret)
{
	struct campaign_device row = *d;
	move_texts(&device_shape, a, &row);
	*ret = row;
}

int
campaign_device_add(struct campaign *c, const struct campaign_device *d, struct err *e)
{
	return write_row(c, &device_shape, device_add, d, d->id, e);
}

int
campaign_device_put(struct campaign *c, const struct campaign_device *d, struct err *e)
{
	return write_row(c, &device_shape, device_put, d, d->id, e);
}

int
campaign_device_get(struct campaign *c, const char *id, struct arena *a,
    struct campaign_device *ret, struct err *e)
{
	auto_(sqlite3_finalize) sqlite3_stmt *q =
	    prepare(c, DEVICE_SELECT "WHERE id = ?1", "device", e);
	if (!q)
		return -1;
	sqlite3_bind_text(q, 1, id, -1, SQLITE_STATIC);
	int rc = sqlite3_step(q);
	if (rc == SQLITE_DONE)
		return err_set(e, ERR_NOT_FOUND, "%s: no device %s", c->path, id);
	if (rc != SQLITE_ROW)
		return fail(c, rc, "device", e);
	struct campaign_device row;
	read_row(q, &device_shape, &row);
	move_texts(&device_shape, a, &row);
	*ret = row;
	return 0;
}

/* 1, 0 at the end, -1. */
static int
next_row(
    struct campaign *c, sqlite3_stmt *q, const struct shape *sh, void *row, struct err *e)
{
	int rc = sqlite3_step(q);
	if (rc == SQLITE_DONE)
		return 0;
	if (rc != SQLITE_ROW)
		return fail(c, rc, sh->noun, e);
	read_row(q, sh, row);
	return 1;
}

int
campaign_device_each(struct campaign *c, int64_t wave,
    int (*visit)(void *ctx, const struct campaign_device *d, struct err *e), void *ctx,
    struct err *e)
{
	auto_(sqlite3_finalize) sqlite3_stmt *q = prepare(
	    c, DEVICE_SELECT "WHERE ?1 = -1 OR wave = ?1 ORDER BY ord", "device", e);
	if (!q)
		return -1;
	sqlite3_bind_int64(q, 1, wave);
	struct campaign_device row;
	int got = 0, stop = 0;
	while (!stop && (got = next_row(c, q, &device_shape, &row, e)) > 0)
		stop = visit(ctx, &row, e);
	return stop ? stop : got;
}

int
campaign_wave_put(struct campaign *c, const struct campaign_wave *w, struct err *e)
{
	return write_row(c, &wave_shape,
	    "INSERT OR REPLACE INTO wave VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", w, "", e);
}

int
campaign_wave_each(struct campaign *c,
    int (*visit)(void *ctx, const struct campaign_wave *w, struct err *e), void *ctx,
    struct err *e)
{
	auto_(sqlite3_finalize) sqlite3_stmt *q = prepare(c,
	    "SELECT n, size, passed, gate, started_ms, ended_ms, busy_ms FROM wave"
	    " ORDER BY n",
	    "wave", e);
	if (!q)
		return -1;
	struct campaign_wave row;
	int got = 0, stop = 0;
	while (!stop && (got = next_row(c, q, &wave_shape, &row, e)) > 0)
		stop = visit(ctx, &row, e);
	return stop ? stop : got;
}

int
campaign_stage_put(struct campaign *c, const struct campaign_stage *s, struct err *e)
{
	return write_row(c, &stage_shape,
	    "INSERT INTO stage VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
	    " ON CONFLICT (name, what) DO UPDATE SET after = ?4, unit = ?5, at_ms = ?6,"
	    " before = CASE WHEN ?3 = -1 THEN before ELSE ?3 END",
	    s, s->name, e);
}

int
campaign_stage_each(struct campaign *c,
    int (*visit)(void *ctx, const struct campaign_stage *s, struct err *e), void *ctx,
    struct err *e)
{
	auto_(sqlite3_finalize) sqlite3_stmt *q = prepare(c,
	    "SELECT name, what, before, after, unit, at_ms FROM stage ORDER BY at_ms, "
	    "name",
	    "stage", e);
	if (!q)
		return -1;
	struct campaign_stage row;
	int got = 0, stop = 0;
	while (!stop && (got = next_row(c, q, &stage_shape, &row, e)) > 0)
		stop = visit(ctx, &row, e);
	return stop ? stop : got;
}
