/*
 * Entity tags of public answers.
 */
#include "proto/pki/public_http.h"

/* Weak comparison: a proxy may have weakened our tag. */
static bool
names_tag(struct span list, const char *tag)
{
	while (list.p) {
		struct span one = span_trim(span_split(&list, ','));
		if (span_starts(one, SPAN_LIT("W/")))
			one = span_skip(one, 2);
		if (span_eq_str(one, "*") || span_eq_str(one, tag))
			return true;
	}
	return false;
}

void
public_http_reply(
    struct http_call *c, const char *tag, const char *type, struct span body)
{
	const char *have = http_call_header(c, "If-None-Match");
	http_call_set(c, "ETag", tag);
	if (have && names_tag(span_str(have), tag)) {
		http_call_reply(c, 304, NULL, SPAN_NONE);
		return;
	}
	http_call_reply(c, 200, type, body);
}
