#ifndef CODEC_CSV_H
#define CODEC_CSV_H
/*
 * The inventory of a fleet: lines device_id,address,user[,host_key], quoted as in RFC
 * 4180 (a quoted field may not span lines). Empty lines and lines that begin with '#' are
 * skipped, a header line (first field "device_id") is tolerated, CR LF too. Duplicates
 * are the caller's.
 */
#include "base/arena.h"

#define CSV_LINE_MAX 8192

struct csv {
	struct span rest;
	size_t line; /* of the last record, from 1 */
	bool past_header;
};

struct csv_row {
	struct span device_id; /* fits id_is_device */
	struct span address;   /* host, or host:port, or [v6]:port; not empty */
	struct span user;      /* not empty */
	struct span host_key;  /* empty where absent */
	size_t line;
};

struct csv csv_of(struct span text);
/* The next record. At the end ret->line is 0. Spans borrow from the text; a field that
 * held doubled quotes lives in a. Every error names its line; the reader stands behind
 * that line, so a caller may go on to collect more of them. */
must_check int csv_next(
    struct csv *c, struct arena *a, struct csv_row *ret, struct err *e);

#endif
