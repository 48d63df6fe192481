/*
 * Identities by index, for queries.
 */
#include "store/query.h"

#include "store/sqlite.h"

/* The beginning of a text that is in the index: so many characters of UTF-8. */
static struct span
head_of(const char *text)
{
	struct span s = span_str(text);
	size_t at = 0, chars = 0;
	for (; at < s.len; at++) {
		chars += (s.p[at] & 0xc0) != 0x80;
		if (chars > STORE_TAG_CHARS)
			break;
	}
	return span_head(s, at);
}

/* ---- tags of an older database -------------------------------------------------------
 */

bool
store_tags_ready(const struct store *s)
{
	return s->now.tag_done >= s->now.tag_last;
}

int
store_tags_fill(struct store *s, int64_t max, int64_t *ret_left, struct err *e)
{
	auto_stmt q = {0};
	int64_t left = s->now.tag_last - s->now.tag_done;
	if (max > left)
		max = left;
	if (stmt_open(s, STMT_TAG_FILL, &q, e))
		return -1;
	stmt_bind_int(&q, 1, s->now.tag_done + 1);
	stmt_bind_int(&q, 2, s->now.tag_done + max);
	if (max > 0 && stmt_run(&q, e))
		return -1;
	s->now.tag_done += max;
	*ret_left = left - max;
	return 0;
}

/* ---- ranges --------------------------------------------------------------------------
 */

static enum stmt_id
text_of(enum store_range_kind kind)
{
	static const enum stmt_id ids[] = {
	    [STORE_RANGE_ALL] = STMT_RANGE_ALL,
	    [STORE_RANGE_ID] = STMT_RANGE_ID,
	    [STORE_RANGE_AUTH] = STMT_RANGE_AUTH,
	    [STORE_RANGE_ENABLED] = STMT_RANGE_ENABLED,
	    [STORE_RANGE_CONNECTED] = STMT_RANGE_CONNECTED,
	    [STORE_RANGE_TAG_TEXT] = STMT_RANGE_TAG,
	    [STORE_RANGE_TAG_NUMBER] = STMT_RANGE_TAG,
	    [STORE_RANGE_TAG_BOOL] = STMT_RANGE_TAG,
	    [STORE_RANGE_MODULE_AUTH] = STMT_RANGE_MODULE_AUTH,
	    [STORE_RANGE_MODULES_OF] = STMT_RANGE_MODULES_OF,
	};
	return ids[kind];
}

static void
bind_value(struct stmt *q, const struct store_range *r)
{
	static const uint8_t truth[] = {0, 1};
	switch (r->kind) {
	case STORE_RANGE_ALL:
		return;
	case STORE_RANGE_ID:
	case STORE_RANGE_MODULES_OF:
		stmt_bind_text(q, 3, r->text);
		return;
	case STORE_RANGE_TAG_TEXT:
		stmt_bind_json(q, 3, head_of(r->text));
		return;
	case STORE_RANGE_TAG_BOOL:
		stmt_bind_blob(q, 3, span_of(&truth[r->number != 0], 1));
		return;
	case STORE_RANGE_AUTH:
	case STORE_RANGE_ENABLED:
	case STORE_RANGE_CONNECTED:
	case STORE_RANGE_TAG_NUMBER:
	case STORE_RANGE_MODULE_AUTH:
		stmt_bind_int(q, 3, r->number);
		return;
	}
}

int
store_range_next(struct store *s, const struct store_range *r, int64_t after, size_t max,
    int64_t *ret, size_t *ret_n, struct err *e)
{
	auto_stmt q = {0};
	enum stmt_id id = text_of(r->kind);
	if (stmt_open(s, id, &q, e))
		return -1;
	stmt_bind_int(&q, 1, after);
	stmt_bind_int(&q, 2, (int64_t)max);
	bind_value(&q, r);
	if (id == STMT_RANGE_TAG)
		stmt_bind_text(&q, 4, r->tag);
	size_t n = 0;
	int got;
	while ((got = stmt_next(&q, e)) > 0 && n < max)
		ret[n++] = stmt_int(&q, 0);
	if (got < 0)
		return -1;
	*ret_n = n;
	return 0;
}

struct kind {
	struct store_device d;
	int64_t n;
};
static const struct stmt_col kind_cols[] = {
    STMT_COL(struct kind, d.auth),
    STMT_COL(struct kind, d.enabled),
    STMT_COL(struct kind, d.connected),
    STMT_COL(struct kind, d.hub),
    STMT_COL(struct kind, n),
};
static const struct stmt_shape kind_shape = STMT_SHAPE("kind of device", kind_cols);

int
store_device_kinds(struct store *s,
    int (*visit)(void *ctx, const struct store_device *d, int64_t n, struct err *e),
    void *ctx, struct err *e)
{
	auto_stmt q = {0};
	struct kind k = {.n = 0};
	int r;
	if (stmt_open(s, STMT_DEVICE_COUNTS, &q, e))
		return -1;
	while ((r = stmt_row(&q, &kind_shape, &k, e)) > 0) {
		int stop = visit(ctx, &k.d, k.n, e);
		if (stop)
			return stop;
	}
	return r;
}
