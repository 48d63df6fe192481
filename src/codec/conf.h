#ifndef CODEC_CONF_H
#define CODEC_CONF_H
/*
 * Configuration as a table: a row a key, and from the rows come parser, check, dump and
 * manual. INI text (inih, in conf.c only): [section], key = value, comments with # or ;
 * at the start of a line and " ;" behind a value. Who reads the file, and rules that span
 * keys, are the caller's.
 */
#include "base/arena.h"
#include "base/buf.h"

enum conf_type {
	CONF_BOOL,     /* bool: yes no true false on off 1 0 */
	CONF_INT,      /* int64_t */
	CONF_DURATION, /* int64_t, milliseconds; 500ms 30s 10m 2h 90d 5y */
	CONF_SIZE,     /* size_t, bytes; 512 64K 16M 1G */
	CONF_TEXT,     /* const char *; bounds are those of its length */
	CONF_ENUM,     /* int, an index into words */
	CONF_LIST,     /* struct conf_list; bounds are those of its length */
};

struct conf_list {
	const char *const *v;
	size_t n;
};

struct conf_key {
	const char *name; /* "section.key" */
	enum conf_type type;
	size_t offset; /* of the field in the config struct */
	int64_t min, max;
	const char *def;          /* as it would stand in the file */
	const char *const *words; /* CONF_ENUM: ends with NULL */
	const char *help;         /* one sentence, with the unit */
	bool reload;              /* takes effect without a restart */
	bool secret;              /* never dumped, never in an error's text */
};

struct conf_table {
	const struct conf_key *keys;
	size_t n;
};

#define CONF_FILE_MAX (256 * 1024)
#define CONF_LINE_MAX 4096
#define CONF_KEYS_MAX 256

/* Strings of a config live in a; give it at least 2 * CONF_FILE_MAX. */

/* Sets every field from its default. A default that does not parse is a bug and aborts.
 */
void conf_defaults(const struct conf_table *t, void *config, struct arena *a);
/* Reads text over what config holds. Unknown key, a key set twice, a bad value, a
 * malformed line: ERR_PARSE naming line, key, what is allowed, and for an unknown key the
 * nearest one. config may be half set after a failure: parse into a fresh one and keep
 * the old. */
must_check int conf_parse(const struct conf_table *t, struct span text, void *config,
    struct arena *a, struct err *e);
/* One key from text, as -o section.key=value gives it. */
must_check int conf_set(const struct conf_table *t, struct span name, struct span value,
    void *config, struct arena *a, struct err *e);

/* The lines of an INI text whose sections and keys are no table's: visit is called for
 * each "key = value", in order. Its error gets the line's number. */
typedef int conf_visit(
    void *arg, struct span section, struct span key, struct span value, struct err *e);
must_check int conf_each(struct span text, conf_visit *visit, void *arg, struct err *e);

const struct conf_key *conf_find(const struct conf_table *t, struct span name);
/* One value as it would stand in the file; secrets as "(secret)". */
void conf_write(const struct conf_key *k, const void *config, struct buf *b);
/* Appends every key as INI; conf_parse of it gives the same config (secrets apart: they
 * are left out). */
void conf_dump(const struct conf_table *t, const void *config, struct buf *b);
/* The first key whose value differs between two configs and that reload does not cover;
 * NULL where a reload suffices. */
const struct conf_key *conf_needs_restart(
    const struct conf_table *t, const void *was, const void *is);
/* The manual: plain text for --help, or man(7) roff. */
void conf_help(const struct conf_table *t, struct buf *b);
void conf_man(const struct conf_table *t, struct buf *b);

#endif
