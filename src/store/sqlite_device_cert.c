/*
 * The certificate that each device used last, and what it told of itself.
 */
#include "store/pki.h"
#include "store/sqlite.h"

#define HOUR_MS INT64_C(3600000)

static const struct stmt_col cols[] = {
    STMT_COL(struct store_device_cert, device_id),
    STMT_COL(struct store_device_cert, sha256),
    STMT_COL(struct store_device_cert, issuer),
    STMT_COL(struct store_device_cert, serial),
    STMT_COL(struct store_device_cert, key_sha256),
    STMT_COL(struct store_device_cert, not_after_ms),
    STMT_COL(struct store_device_cert, first_ms),
    STMT_COL(struct store_device_cert, seen_ms),
    STMT_COL(struct store_device_cert, peer),
    STMT_COL(struct store_device_cert, custody),
    STMT_COL(struct store_device_cert, generation),
    STMT_COL(struct store_device_cert, anchors),
    STMT_COL(struct store_device_cert, agent),
    STMT_COL(struct store_device_cert, clock_off_ms),
    STMT_COL(struct store_device_cert, report_ms),
    STMT_COL(struct store_device_cert, report_key),
    STMT_COL(struct store_device_cert, traits.key),
    STMT_COL(struct store_device_cert, traits.key_bits),
    STMT_COL(struct store_device_cert, traits.hash_bits),
    STMT_COL(struct store_device_cert, traits.revocable),
    STMT_COL(struct store_device_cert, traits.life_ms),
};
static const struct stmt_shape used = STMT_SHAPE("certificate of device", cols);

int
store_device_cert_get(struct store *s, const char *device_id, struct arena *a,
    struct store_device_cert *ret, struct err *e)
{
	return stmt_get(s, STMT_DEVICE_CERT_GET, &used, device_id, a, ret, e);
}

int
store_device_cert_put(struct store *s, const struct store_device_cert *c, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_DEVICE_CERT_PUT, &q, e))
		return -1;
	stmt_bind(&q, &used, c);
	return stmt_run(&q, e);
}

int
store_device_cert_del(struct store *s, const char *device_id, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_DEVICE_CERT_DEL, &q, e))
		return -1;
	stmt_bind_text(&q, 1, device_id);
	return stmt_change(&q, used.noun, device_id, e);
}

int
store_device_cert_ending(struct store *s, int64_t before_ms, int64_t *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_DEVICE_CERT_ENDING, &q, e))
		return -1;
	stmt_bind_int(&q, 1, before_ms / HOUR_MS);
	if (stmt_next(&q, e) <= 0)
		return -1;
	*ret = stmt_int(&q, 0);
	return 0;
}

/* The text whose index leaves the fewest to look at. */
static enum stmt_id
way_in(const struct store_device_cert_filter *f)
{
	if (f->key_sha256 && f->key_sha256[0] != '\0')
		return STMT_DEVICE_CERT_EACH_KEY;
	if (f->issuer && f->issuer[0] != '\0')
		return STMT_DEVICE_CERT_EACH_ISSUER;
	return STMT_DEVICE_CERT_EACH;
}

int
store_device_cert_each(struct store *s, const struct store_device_cert_filter *f,
    int (*visit)(void *ctx, const struct store_device_cert *c, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, way_in(f), &q, e))
		return -1;
	stmt_bind_text(&q, 1, f->after);
	stmt_bind_text(&q, 2, f->issuer);
	stmt_bind_text(&q, 3, f->key_sha256);
	stmt_bind_int(&q, 4, f->limit);
	struct store_device_cert row;
	int r;
	while ((r = stmt_row(&q, &used, &row, e)) > 0) {
		int stop = visit(ctx, &row, e);
		if (stop)
			return stop;
	}
	return r;
}

int
store_device_cert_count(struct store *s, const char *issuer, int64_t *ret_count,
    int64_t *ret_last_ms, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_DEVICE_CERT_COUNT, &q, e))
		return -1;
	stmt_bind_text(&q, 1, issuer);
	if (stmt_next(&q, e) < 0)
		return -1;
	*ret_count = stmt_int(&q, 0);
	*ret_last_ms = stmt_int(&q, 1);
	return 0;
}
