/*
 * Certificates issued, their revocation, and the operators' certificates.
 */
#include "store/pki.h"
#include "store/sqlite.h"

#define REASON_HOLD    6 /* certificateHold, RFC 5280 5.3.1 */
#define REASON_RELEASE 8 /* removeFromCRL */

#define COL(member) STMT_COL(struct store_cert, member)
static const struct stmt_col cert_cols[] = {
    COL(serial),
    COL(issuer),
    COL(profile),
    COL(subject),
    COL(requester),
    COL(sha256),
    COL(not_before_ms),
    COL(not_after_ms),
    COL(issued_ms),
    COL(der),
    COL(key_sha256),
    COL(crl_shard),
    COL(revoked_ms),
    COL(reason),
    COL(superseded_ms),
#define CERT_GIVEN 15 /* the last is the store's own */
    COL(n),
};
const struct stmt_shape sqlite_cert = STMT_SHAPE("certificate", cert_cols);
static const struct stmt_shape cert_new = {"certificate", cert_cols, CERT_GIVEN};
_Static_assert(
    sizeof(cert_cols) / sizeof(cert_cols[0]) == CERT_GIVEN + 1, "a column too many");

/* What a revocation looks at. */
static const struct stmt_col state_cols[] = {
    COL(n),
    COL(crl_shard),
    COL(revoked_ms),
    COL(reason),
};
static const struct stmt_shape cert_state = STMT_SHAPE("certificate", state_cols);

static const struct stmt_col operator_cols[] = {
    STMT_COL(struct store_operator, sha256),
    STMT_COL(struct store_operator, name),
    STMT_COL(struct store_operator, added_ms),
    STMT_COL(struct store_operator, not_after_ms),
    STMT_COL(struct store_operator, enabled),
};
static const struct stmt_shape operators = STMT_SHAPE("operator", operator_cols);

/* The row in which its OCSP answer will lie. */
static int
add_ocsp(struct store *s, const struct store_cert *c, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_OCSP_ADD, &q, e))
		return -1;
	stmt_bind_int(&q, 1, sqlite3_last_insert_rowid(s->db));
	stmt_bind_text(&q, 2, c->issuer);
	stmt_bind_int(&q, 3, c->not_after_ms);
	return stmt_run(&q, e);
}

int
store_cert_add(struct store *s, const struct store_cert *c, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CERT_ADD, &q, e))
		return -1;
	stmt_bind(&q, &cert_new, c);
	return stmt_add(&q, sqlite_cert.noun, c->serial, e) ? -1 : add_ocsp(s, c, e);
}

int
store_cert_by_sha256(struct store *s, const char *sha256, struct arena *a,
    struct store_cert *ret, struct err *e)
{
	return stmt_get(s, STMT_CERT_BY_SHA256, &sqlite_cert, sha256, a, ret, e);
}

int
store_cert_get(struct store *s, const char *issuer, const char *serial, struct arena *a,
    struct store_cert *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CERT_GET, &q, e))
		return -1;
	stmt_bind_text(&q, 1, issuer);
	stmt_bind_text(&q, 2, serial);
	return stmt_one(&q, &sqlite_cert, serial, a, ret, e);
}

int
store_cert_each(struct store *s, const char *subject, int64_t limit,
    int (*visit)(void *ctx, const struct store_cert *c, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CERT_EACH, &q, e))
		return -1;
	stmt_bind_text(&q, 1, subject);
	stmt_bind_int(&q, 2, limit);
	struct store_cert c;
	int r;
	while ((r = stmt_row(&q, &sqlite_cert, &c, e)) > 0) {
		int stop = visit(ctx, &c, e);
		if (stop)
			return stop;
	}
	return r;
}

/* ---- finding ---- */

static bool
given(const char *text)
{
	return text && text[0] != '\0';
}

/* The text whose index leaves the fewest to look at. */
static enum stmt_id
way_in(const struct store_cert_filter *f)
{
	if (given(f->subject))
		return STMT_CERT_FIND_SUBJECT;
	if (given(f->key_sha256))
		return STMT_CERT_FIND_KEY;
	if (f->superseded_before_ms && f->revoked < 0)
		return STMT_CERT_FIND_SUPERSEDED;
	return given(f->issuer) ? STMT_CERT_FIND_ISSUER : STMT_CERT_FIND;
}

static void
bind_filter(struct stmt *q, const struct store_cert_filter *f)
{
	stmt_bind_int(q, 1, f->after);
	stmt_bind_text(q, 2, f->subject);
	stmt_bind_text(q, 3, f->issuer);
	stmt_bind_text(q, 4, f->key_sha256);
	stmt_bind_text(q, 5, f->profile);
	stmt_bind_int(q, 6, f->superseded_before_ms);
	stmt_bind_int(q, 7, f->expires_before_ms);
	stmt_bind_int(q, 8, f->expires_after_ms);
	stmt_bind_int(q, 9, f->revoked);
	stmt_bind_int(q, 10, f->limit);
}

int
store_cert_find(struct store *s, const struct store_cert_filter *f,
    int (*visit)(void *ctx, const struct store_cert *c, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, way_in(f), &q, e))
		return -1;
	bind_filter(&q, f);
	struct store_cert c;
	int r;
	while ((r = stmt_row(&q, &sqlite_cert, &c, e)) > 0) {
		int stop = visit(ctx, &c, e);
		if (stop)
			return stop;
	}
	return r;
}

static int
count_revoked(
    struct store *s, const char *issuer, int64_t now_ms, int64_t *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CERT_COUNT_REVOKED, &q, e))
		return -1;
	stmt_bind_text(&q, 1, issuer);
	stmt_bind_int(&q, 2, now_ms);
	if (stmt_next(&q, e) < 0)
		return -1;
	*ret = stmt_int(&q, 0);
	return 0;
}

int
store_cert_count(struct store *s, const char *issuer, int64_t now_ms,
    struct store_cert_counts *ret, struct err *e)
{
	struct store_cert_counts c;
	auto_stmt q = {0};
	if (count_revoked(s, issuer, now_ms, &c.revoked, e) ||
	    stmt_open(s, STMT_CERT_COUNT, &q, e))
		return -1;
	stmt_bind_text(&q, 1, issuer);
	stmt_bind_int(&q, 2, now_ms);
	if (stmt_next(&q, e) < 0)
		return -1;
	c.unexpired = stmt_int(&q, 0);
	*ret = c;
	return 0;
}

int
store_cert_issued(
    struct store *s, const char *issuer, struct store_cert_issued *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CERT_ISSUED, &q, e))
		return -1;
	stmt_bind_text(&q, 1, issuer);
	int got = stmt_next(&q, e);
	if (got < 0)
		return -1;
	*ret = (struct store_cert_issued){0};
	if (got)
		*ret = (struct store_cert_issued){
		    .count = stmt_int(&q, 0), .last_end_ms = stmt_int(&q, 1)};
	return 0;
}

/* ---- revocation ---- */

static int
read_state(struct store *s, const char *issuer, const char *serial,
    struct store_cert *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CERT_STATE, &q, e))
		return -1;
	stmt_bind_text(&q, 1, issuer);
	stmt_bind_text(&q, 2, serial);
	int got = stmt_row(&q, &cert_state, ret, e);
	if (got == 0)
		return err_set(e, ERR_NOT_FOUND, "no %s %s", sqlite_cert.noun, serial);
	return got < 0 ? -1 : 0;
}

static int
write_state(struct store *s, int64_t n, int64_t at_ms, int reason, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CERT_REVOKE, &q, e))
		return -1;
	stmt_bind_int(&q, 1, n);
	stmt_bind_int(&q, 2, at_ms);
	stmt_bind_int(&q, 3, reason);
	return stmt_run(&q, e);
}

struct change {
	const char *issuer, *serial;
	int64_t shard, at_ms;
	int reason;
};
static const struct stmt_col change_cols[] = {
    STMT_COL(struct change, issuer),
    STMT_COL(struct change, shard),
    STMT_COL(struct change, serial),
    STMT_COL(struct change, at_ms),
    STMT_COL(struct change, reason),
};
static const struct stmt_shape change_shape = STMT_SHAPE("change", change_cols);

static int
note_change(struct store *s, const struct change *c, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CRL_CHANGE_PUT, &q, e))
		return -1;
	stmt_bind(&q, &change_shape, c);
	return stmt_run(&q, e);
}

static int
drop_answer(struct store *s, int64_t n, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_OCSP_DROP, &q, e))
		return -1;
	stmt_bind_int(&q, 1, n);
	return stmt_run(&q, e);
}

int
store_cert_revoke(struct store *s, const char *issuer, const char *serial, int64_t at_ms,
    int reason, struct err *e)
{
	struct store_cert was;
	if (read_state(s, issuer, serial, &was, e))
		return -1;
	bool release = at_ms == 0;
	bool same =
	    release ? was.revoked_ms == 0 : was.revoked_ms != 0 && was.reason == reason;
	if (same)
		return 0;
	if (was.revoked_ms && was.reason != REASON_HOLD &&
	    (release || reason == REASON_HOLD))
		return err_set(e, ERR_CONFLICT,
		    "certificate %s is revoked for good: only a hold ends", serial);
	/* an entry has a date, also one that takes back (RFC 5280 5.1): the hold's */
	const struct change change = {.issuer = issuer,
	    .serial = serial,
	    .shard = was.crl_shard,
	    .at_ms = release ? was.revoked_ms : at_ms,
	    .reason = release ? REASON_RELEASE : reason};
	if (write_state(s, was.n, at_ms, release ? 0 : reason, e) ||
	    note_change(s, &change, e))
		return -1;
	return drop_answer(s, was.n, e);
}

static int
supersede_by(struct store *s, enum stmt_id id, const char *subject, const char *sha256,
    int64_t at_ms, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, id, &q, e))
		return -1;
	stmt_bind_text(&q, 1, subject);
	stmt_bind_text(&q, 2, sha256);
	if (id == STMT_CERT_SUPERSEDE)
		stmt_bind_int(&q, 3, at_ms);
	return stmt_run(&q, e);
}

int
store_cert_supersede(struct store *s, const char *subject, const char *sha256,
    int64_t at_ms, struct err *e)
{
	if (supersede_by(s, STMT_CERT_SUPERSEDE, subject, sha256, at_ms, e))
		return -1;
	return supersede_by(s, STMT_CERT_CURRENT, subject, sha256, at_ms, e);
}

/* ---- operators ---- */

int
store_operator_get(struct store *s, const char *sha256, struct arena *a,
    struct store_operator *ret, struct err *e)
{
	return stmt_get(s, STMT_OPERATOR_GET, &operators, sha256, a, ret, e);
}

int
store_operator_put(struct store *s, const struct store_operator *o, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_OPERATOR_PUT, &q, e))
		return -1;
	stmt_bind(&q, &operators, o);
	return stmt_run(&q, e);
}
