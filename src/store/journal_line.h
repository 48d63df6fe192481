#ifndef STORE_JOURNAL_LINE_H
#define STORE_JOURNAL_LINE_H
/*
 * One line of the issuance journal (the format is in journal.h) and its place in the
 * chain. Bytes only, no file. Every entry has exactly one spelling; any other is refused.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "store/journal.h"

/* The longest line, without its newline. */
#define JOURNAL_LINE_MAX 16384
/* What an arena must hold to parse one. */
#define JOURNAL_LINE_ARENA (2 * JOURNAL_LINE_MAX)

/* Where a chain stands: lines so far, and the hash of the last in hex. */
struct journal_chain {
	int64_t count;
	char head[65];
};
#define JOURNAL_CHAIN_START                                                              \
	((struct journal_chain){                                                         \
	    0, "0000000000000000000000000000000000000000000000000000000000000000"})

/* Appends en as the chain's next line, newline included, and moves the chain. LIMIT when
 * the line or out is too long: the chain and out are as before then. */
must_check int journal_line_write(struct buf *out, struct journal_chain *c,
    const struct journal_entry *en, struct err *e);
/* Reads a line (without its newline) that has to be the chain's next, and moves the
 * chain. ERR_CORRUPT says what is wrong with it; the caller knows where it stands. */
must_check int journal_line_parse(struct span line, struct journal_chain *c,
    struct arena *a, struct journal_entry *ret, struct err *e);

#endif
