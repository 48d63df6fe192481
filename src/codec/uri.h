#ifndef CODEC_URI_H
#define CODEC_URI_H
/*
 * Percent-encoding (RFC 3986 2.1), request targets, query pairs, path segments. '+' is a
 * plus everywhere, never a space. Nothing here resolves "." or "..": a path is a list of
 * names, and "." is a legal device ID.
 */
#include "base/arena.h"
#include "base/buf.h"

/* Appends s decoded. ERR_PARSE where '%' is not followed by two hex digits, or gives NUL.
 */
must_check int uri_decode(struct span s, struct buf *out, struct err *e);
/* As above, a stray '%' taken literally (protocol/device.md 3.8). NUL stays possible. */
void uri_decode_lenient(struct span s, struct buf *out);
/* Appends s with everything but unreserved characters as %XX (upper case); space is %20.
 */
void uri_encode(struct buf *out, struct span s);

struct uri_target {
	struct span path; /* begins with '/', still encoded */
	struct span
	    query; /* behind the '?', still encoded; p == NULL where there is none */
};

/* An origin-form or absolute-form request target (RFC 9112 3.2); scheme and authority are
 * dropped. ERR_PARSE on any other form, a fragment, or bytes outside printable ASCII. */
must_check int uri_target_parse(
    struct span target, struct uri_target *ret, struct err *e);

struct uri_pair {
	struct span key, value; /* still encoded */
	bool has_value;         /* false: no '=' */
};

/* Takes the next non-empty pair of "a=b&c" off *rest; false when none is left. */
bool uri_pair_next(struct span *rest, struct uri_pair *ret);
/* Decoded value of the one pair named key (compared decoded, with case). Absent: *ret is
 * untouched and 0. ERR_PARSE when it is there twice or is encoded wrongly. */
must_check int uri_query_get(
    struct span query, const char *key, struct arena *a, struct span *ret, struct err *e);

#define URI_SEGMENTS_MAX 24

struct uri_path {
	struct span
	    seg[URI_SEGMENTS_MAX]; /* decoded once; live in the arena, terminated */
	size_t n;
};

/* Splits a path at '/' and decodes each segment (an encoded slash stays inside its
 * segment). One trailing slash is ignored; empty segments are dropped when collapse is
 * set and ERR_PARSE otherwise. ERR_LIMIT beyond URI_SEGMENTS_MAX or what a has left. */
must_check int uri_path_parse(struct span path, bool collapse, struct arena *a,
    struct uri_path *ret, struct err *e);

#endif
