#ifndef STORE_SQLITE_H
#define STORE_SQLITE_H
/*
 * The store's inside, shared by the sqlite_*.c files only. Who includes this is SQLite.
 */
#include <sqlite3.h>

#include "store/stmt.h"
#include "store/store.h"

/* Sums kept beside the two logs; the row of table tally. */
struct tally {
	int64_t event_seq;          /* last given */
	int64_t event_bytes;        /* props and bodies held */
	int64_t conn_seq;           /* last given */
	int64_t conn_dropped_ms;    /* the latest at_ms retention dropped, 0 = none */
	int64_t conn_top_ms;        /* the latest at_ms */
	int64_t conn_back_ms;       /* lines later than this have rising times */
	int64_t device_n;           /* last given to an identity */
	int64_t tag_done, tag_last; /* the index of tags: how far filled, how far to */
};

struct store {
	sqlite3 *db;
	char *path;
	sqlite3_stmt *stmts[STMT_N];
	bool tx;     /* between begin and commit or rollback */
	bool doomed; /* a write of this transaction failed: only rollback helps */
	bool dead;   /* a sync failed: what the disk holds is unknown until a restart */
	struct err why;          /* of doomed or dead */
	struct tally now, saved; /* saved = as of the last commit */
	int wal_pages;           /* in the WAL at the last commit */
};

/* A whole struct store_cert (sqlite_cert.c). */
extern const struct stmt_shape sqlite_cert;

/* Fills e from SQLite's last error, "PATH: what: reason"; -1. A failed sync ends the
 * store. */
int sqlite_fail(struct store *s, int rc, const char *what, struct err *e);
/* As sqlite_fail before there is a store. */
int sqlite_err(sqlite3 *db, const char *path, int rc, const char *what, struct err *e);
/* A write failed: undoes the transaction and refuses all writes until store_rollback. */
void sqlite_doom(struct store *s, const struct err *why);

#endif
