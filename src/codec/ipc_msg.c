/*
 * Packing and unpacking of our processes' messages: numbers big endian, text and bytes
 * with a 32-bit length in front, groups in line. Nothing is optional; an empty text is a
 * length 0.
 */
#include "codec/ipc_msg.h"

#include <stddef.h>

enum kind {
	KIND_END,
	KIND_U8,
	KIND_U32,
	KIND_I64,
	KIND_STR,
	KIND_BLOB,
	KIND_NEST_peer,
	KIND_NEST_cred,
	KIND_NEST_c2d
};

struct field {
	enum kind kind;
	const char *name;
	size_t offset, cap;
};

#define FIELD(S, KIND, name_, cap_) {KIND_##KIND, #name_, offsetof(S, name_), cap_},

static const struct field fields_peer[] = {IPC_FIELDS_peer(FIELD, struct ipc_peer){0}};
static const struct field fields_cred[] = {IPC_FIELDS_cred(FIELD, struct ipc_cred){0}};
#define IPC(NAME, name, from, to, right)                                                 \
	static const struct field fields_##name[] = {                                    \
	    IPC_FIELDS_##name(FIELD, struct ipc_##name){0}};
#include "tbl/ipc.def"
#undef IPC

static const struct field *const fields_of[IPC_N] = {
#define IPC(NAME, name, from, to, right) [IPC_##NAME] = fields_##name,
#include "tbl/ipc.def"
#undef IPC
};

enum {
	M = IPC_ROLE_M,
	E = IPC_ROLE_E,
	C = IPC_ROLE_C,
	S = IPC_ROLE_S,
	T = IPC_ROLE_T,
	K = IPC_ROLE_K,
	H = IPC_ROLE_H
};

static const struct ipc_row rows[IPC_N] = {
#define IPC(NAME, name, from, to, right)                                                 \
	[IPC_##NAME] = {#name, from, to, RIGHT_##right, sizeof(struct ipc_##name)},
#include "tbl/ipc.def"
#undef IPC
};

const struct ipc_row *
ipc_msg_row(unsigned type)
{
	return type < IPC_N ? &rows[type] : NULL;
}

bool
ipc_msg_allowed(unsigned type, enum ipc_role from, enum ipc_role to)
{
	return type < IPC_N && rows[type].from & from && rows[type].to & to;
}

static int
pack_bytes(const struct field *f, struct span s, struct buf *out, struct err *e)
{
	if (s.len > f->cap)
		return err_set(
		    e, ERR_LIMIT, "%s: %zu bytes, at most %zu", f->name, s.len, f->cap);
	if (f->kind == KIND_STR && span_has(s, 0))
		return err_set(e, ERR_PARSE, "%s: holds a NUL", f->name);
	buf_u32(out, (uint32_t)s.len);
	buf_put_span(out, s);
	return 0;
}

static int
pack(const struct field *f, const void *msg, struct buf *out, struct err *e)
{
	for (; f->kind != KIND_END; f++) {
		const void *at = (const char *)msg + f->offset;
		int rc = 0;
		switch (f->kind) {
		case KIND_U8:
			buf_u8(out, *(const uint8_t *)at);
			break;
		case KIND_U32:
			buf_u32(out, *(const uint32_t *)at);
			break;
		case KIND_I64:
			buf_u64(out, (uint64_t) * (const int64_t *)at);
			break;
		case KIND_STR:
		case KIND_BLOB:
			rc = pack_bytes(f, *(const struct span *)at, out, e);
			break;
		case KIND_NEST_peer:
			rc = pack(fields_peer, at, out, e);
			break;
		case KIND_NEST_cred:
			rc = pack(fields_cred, at, out, e);
			break;
		case KIND_NEST_c2d:
			rc = pack(fields_c2d, at, out, e);
			break;
		case KIND_END:
			break;
		}
		if (rc)
			return -1;
	}
	return 0;
}

int
ipc_msg_pack(enum ipc_type type, const void *msg, struct buf *out, struct err *e)
{
	if (pack(fields_of[type], msg, out, e))
		return err_wrap(e, "message %s", rows[type].name);
	return buf_check(out, rows[type].name, e);
}

static int
unpack_bytes(const struct field *f, struct cursor *c, struct span *ret, struct err *e)
{
	struct span s = cursor_take(c, cursor_u32(c));
	if (c->bad)
		return err_set(e, ERR_PARSE, "%s: cut short", f->name);
	if (s.len > f->cap)
		return err_set(
		    e, ERR_LIMIT, "%s: %zu bytes, at most %zu", f->name, s.len, f->cap);
	if (f->kind == KIND_STR && span_has(s, 0))
		return err_set(e, ERR_PARSE, "%s: holds a NUL", f->name);
	*ret = s;
	return 0;
}

static int
unpack(const struct field *f, struct cursor *c, void *msg, struct err *e)
{
	for (; f->kind != KIND_END; f++) {
		void *at = (char *)msg + f->offset;
		int rc = 0;
		switch (f->kind) {
		case KIND_U8:
			*(uint8_t *)at = cursor_u8(c);
			break;
		case KIND_U32:
			*(uint32_t *)at = cursor_u32(c);
			break;
		case KIND_I64:
			*(int64_t *)at = (int64_t)cursor_u64(c);
			break;
		case KIND_STR:
		case KIND_BLOB:
			rc = unpack_bytes(f, c, at, e);
			break;
		case KIND_NEST_peer:
			rc = unpack(fields_peer, c, at, e);
			break;
		case KIND_NEST_cred:
			rc = unpack(fields_cred, c, at, e);
			break;
		case KIND_NEST_c2d:
			rc = unpack(fields_c2d, c, at, e);
			break;
		case KIND_END:
			break;
		}
		if (rc)
			return -1;
		if (c->bad)
			return err_set(e, ERR_PARSE, "%s: cut short", f->name);
	}
	return 0;
}

int
ipc_msg_unpack(enum ipc_type type, struct span body, void *msg, struct err *e)
{
	struct cursor c = cursor_of(body);
	memset(msg, 0, rows[type].size);
	if (unpack(fields_of[type], &c, msg, e))
		return err_wrap(e, "message %s", rows[type].name);
	if (!cursor_done(&c))
		return err_set(e, ERR_PARSE, "message %s: %zu bytes too many",
		    rows[type].name, c.left);
	return 0;
}
