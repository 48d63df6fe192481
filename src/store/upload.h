#ifndef STORE_UPLOAD_H
#define STORE_UPLOAD_H
/*
 * The core's memory of file uploads: those under way, and the notices of those that
 * ended, which services take one after the other. The contracts of time, memory and
 * errors are store.h's.
 */
#include "store/store.h"

struct store_upload {
	const char *id; /* the correlation ID */
	const char *device_id, *blob;
	int64_t started_ms, expires_ms;
};
must_check int store_upload_get(struct store *s, const char *id, struct arena *a,
    struct store_upload *ret, struct err *e);
/* EXISTS */
must_check int store_upload_add(
    struct store *s, const struct store_upload *u, struct err *e);
/* NOT_FOUND */
must_check int store_upload_del(struct store *s, const char *id, struct err *e);
/* A device's that have not expired at now_ms. */
must_check int store_upload_count(
    struct store *s, const char *device_id, int64_t now_ms, int64_t *ret, struct err *e);
/* Drops all of a device's. */
must_check int store_upload_forget(struct store *s, const char *device_id, struct err *e);
/* Drops what expired before that. */
must_check int store_upload_trim(struct store *s, int64_t before_ms, struct err *e);

struct store_notice {
	const char *device_id, *blob;
	int64_t ended_ms;
	const char *token; /* of whoever took it last */
	int64_t locked_ms; /* until when nobody else is given it */
	int64_t deliveries;
	int64_t n; /* given by the store */
};
/* Appends; n is ignored. */
must_check int store_notice_add(
    struct store *s, const struct store_notice *x, struct err *e);
/* The oldest that is not locked at now_ms. NOT_FOUND */
must_check int store_notice_next(struct store *s, int64_t now_ms, struct arena *a,
    struct store_notice *ret, struct err *e);
/* By its token, locked or not. NOT_FOUND */
must_check int store_notice_by_token(struct store *s, const char *token, struct arena *a,
    struct store_notice *ret, struct err *e);
/* Rewrites token, locked_ms and deliveries. NOT_FOUND */
must_check int store_notice_put(
    struct store *s, const struct store_notice *x, struct err *e);
must_check int store_notice_del(struct store *s, int64_t n, struct err *e);
/* Drops those that ended before that, and the oldest beyond max_rows. */
must_check int store_notice_trim(
    struct store *s, int64_t before_ms, int64_t max_rows, struct err *e);

#endif
