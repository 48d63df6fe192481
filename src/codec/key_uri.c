/*
 * Key URIs. The attributes are rows of a table: to add one, a row, a member of struct
 * key_uri and its line in key_uri_write.
 */
#include "codec/key_uri.h"

#include "base/hex.h"
#include "base/num.h"
#include "codec/uri.h"

#define PERSISTENT_FIRST                                                                 \
	UINT32_C(0x81000000) /* TPM 2.0 part 2, 7.4: by the top octet                    \
			      */
#define NV_FIRST UINT32_C(0x01000000)

struct attr {
	const char *name;
	int (*read)(
	    const struct attr *a, struct span raw, struct key_uri *u, struct err *e);
	size_t at, size;    /* the text member it goes to */
	const char *advice; /* of one that is refused */
};

/* A '%' that two hex digits do not follow. */
static bool
has_bad_escape(struct span s)
{
	uint8_t byte;
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] == '%' &&
		    hex_parse(span_head(span_skip(s, i + 1), 2), &byte, 1, NULL))
			return true;
	return false;
}

/* Decodes raw into room of size bytes. */
static int
decode(const struct attr *a, struct span raw, void *room, size_t size, size_t *len,
    struct err *e)
{
	auto_buf out = BUF_INIT(size);
	if (has_bad_escape(raw))
		return err_set(e, ERR_PARSE, "%s: bad percent-encoding", a->name);
	uri_decode_lenient(raw, &out);
	if (out.bad)
		return err_set(e, ERR_LIMIT, "%s: longer than %zu bytes", a->name, size);
	if (out.len)
		memcpy(room, out.p, out.len);
	*len = out.len;
	return 0;
}

static int
read_text(const struct attr *a, struct span raw, struct key_uri *u, struct err *e)
{
	char room[KEY_URI_PATH_MAX];
	size_t len;
	if (decode(a, raw, room, a->size - 1, &len, e))
		return -1;
	if (!span_to_str(span_of(room, len), (char *)u + a->at, a->size))
		return err_set(e, ERR_PARSE, "%s: holds a NUL", a->name);
	return 0;
}

static int
read_id(const struct attr *a, struct span raw, struct key_uri *u, struct err *e)
{
	return decode(a, raw, u->p11.id, sizeof(u->p11.id), &u->p11.id_len, e);
}

static int
read_slot(const struct attr *a, struct span raw, struct key_uri *u, struct err *e)
{
	int64_t slot;
	if (num_parse(raw, 0, INT64_MAX, &slot, e))
		return err_wrap(e, "%s", a->name);
	u->p11.slot = (uint64_t)slot;
	u->p11.has_slot = true;
	return 0;
}

static int
read_type(const struct attr *a, struct span raw, struct key_uri *u, struct err *e)
{
	(void)u;
	if (span_eq_str(raw, "private"))
		return 0;
	return err_set(e, ERR_UNSUPPORTED,
	    "%s=%.*s names no private key; leave it out, or write type=private", a->name,
	    SPAN_FMT(span_head(raw, 20)));
}

/* A file as pin-source or auth-source (RFC 7512 2.4). */
static int
read_secret(const struct attr *a, struct span raw, struct key_uri *u, struct err *e)
{
	char text[KEY_URI_PATH_MAX];
	size_t len;
	if (decode(a, raw, text, sizeof(text) - 1, &len, e))
		return -1;
	struct span path = span_of(text, len), rest = path;
	struct span scheme = span_split(&rest, ':');
	bool has_scheme = rest.p && !span_has(scheme, '/');
	if (has_scheme && span_ieq_str(scheme, "file"))
		path = rest;
	else if (has_scheme || span_starts(path, SPAN_LIT("|")))
		return err_set(e, ERR_UNSUPPORTED,
		    "%s: neither commands nor other schemes; only file:/path", a->name);
	if (path.len && span_to_str(path, u->secret, sizeof(u->secret)))
		return 0;
	return err_set(e, ERR_PARSE, "%s: no file name", a->name);
}

/* "0x" and eight digits, with the top octet of first. */
static int
handle_of(
    const struct attr *a, struct span raw, uint32_t first, uint32_t *ret, struct err *e)
{
	uint8_t b[4];
	if (!span_istarts(raw, SPAN_LIT("0x")) ||
	    hex_parse(span_skip(raw, 2), b, 4, NULL))
		return err_set(
		    e, ERR_PARSE, "%s: write 0x and eight hex digits", a->name);
	uint32_t v =
	    (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
	if (v >> 24 != first >> 24)
		return err_set(e, ERR_PARSE, "%s=0x%08x: not within 0x%08x to 0x%08x",
		    a->name, v, first, first | 0xffffff);
	*ret = v;
	return 0;
}

static int
read_handle(const struct attr *a, struct span raw, struct key_uri *u, struct err *e)
{
	return handle_of(a, raw, PERSISTENT_FIRST, &u->tpm.handle, e);
}

static int
read_nv(const struct attr *a, struct span raw, struct key_uri *u, struct err *e)
{
	return handle_of(a, raw, NV_FIRST, &u->tpm.nv, e);
}

static int
refuse(const struct attr *a, struct span raw, struct key_uri *u, struct err *e)
{
	(void)raw;
	(void)u;
	return err_set(e, ERR_UNSUPPORTED, "%s is refused: %s", a->name, a->advice);
}

#define TEXT(member)                                                                     \
	.read = read_text, .at = offsetof(struct key_uri, member),                       \
	.size = sizeof(((struct key_uri *)0)->member)

#define NOT_MATCHED "name the token by token=, serial= or slot-id="

static const struct attr p11_path[] = {
    {"token", TEXT(p11.token)},
    {"manufacturer", TEXT(p11.manufacturer)},
    {"model", TEXT(p11.model)},
    {"serial", TEXT(p11.serial)},
    {"object", TEXT(p11.object)},
    {"id", read_id},
    {"slot-id", read_slot},
    {"type", read_type},
    {"slot-description", refuse, .advice = NOT_MATCHED},
    {"slot-manufacturer", refuse, .advice = NOT_MATCHED},
    {"library-manufacturer", refuse, .advice = NOT_MATCHED},
    {"library-description", refuse, .advice = NOT_MATCHED},
    {"library-version", refuse, .advice = NOT_MATCHED},
    {0},
};
static const struct attr p11_query[] = {
    {"module-path", TEXT(p11.module)},
    {"pin-source", read_secret},
    {"pin-value", refuse,
	.advice = "a PIN in a URI shows in argument lists and configuration; "
		  "write it to a file (mode 0600) and use pin-source=file:/path"},
    {"module-name", refuse, .advice = "use module-path=/path/of/module.so"},
    {0},
};
static const struct attr tpm_path[] = {
    {"handle", read_handle},
    {"nv", read_nv},
    {0},
};
static const struct attr tpm_query[] = {
    {"tcti", TEXT(tpm.tcti)},
    {"auth-source", read_secret},
    {0},
};

static int
read_attr(const struct attr *rows, struct span pair, unsigned *seen, struct key_uri *u,
    struct err *e)
{
	struct span value = pair, name = span_split(&value, '=');
	for (size_t i = 0; rows[i].name; i++) {
		if (!span_eq_str(name, rows[i].name))
			continue;
		if (*seen & 1u << i)
			return err_set(e, ERR_PARSE, "%s is there twice", rows[i].name);
		*seen |= 1u << i;
		if (!value.p)
			return err_set(e, ERR_PARSE, "%s has no '='", rows[i].name);
		return rows[i].read(&rows[i], value, u, e);
	}
	/* RFC 7512 2.3: a URI with an attribute that is not understood matches nothing */
	return err_set(e, ERR_UNSUPPORTED, "attribute '%.*s' is not known",
	    SPAN_FMT(span_head(name, 30)));
}

static int
read_attrs(const struct attr *rows, struct span text, uint8_t sep, struct key_uri *u,
    struct err *e)
{
	unsigned seen = 0;
	while (text.len) {
		struct span pair = span_split(&text, sep);
		if (read_attr(rows, pair, &seen, u, e))
			return -1;
	}
	return 0;
}

/* Printable ASCII alone (RFC 3986 2). */
static bool
is_uri_text(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= 0x20 || s.p[i] >= 0x7f)
			return false;
	return true;
}

static int
read_both(const struct attr *path, const struct attr *query, struct span rest,
    struct key_uri *u, struct err *e)
{
	if (!is_uri_text(rest))
		return err_set(e, ERR_PARSE,
		    "a space or another character that wants "
		    "percent-encoding");
	struct span before = span_split(&rest, '?');
	return read_attrs(path, before, ';', u, e) || read_attrs(query, rest, '&', u, e)
		   ? -1
		   : 0;
}

static int
read_file(struct span path, struct key_uri *u, struct err *e)
{
	u->kind = KEY_URI_FILE;
	if (path.len && span_to_str(path, u->path, sizeof(u->path)))
		return 0;
	return err_set(e, path.len < sizeof(u->path) ? ERR_PARSE : ERR_LIMIT,
	    "no file name, one that holds a NUL, or longer than %zu bytes",
	    sizeof(u->path) - 1);
}

/* file:///path (RFC 8089 2) is /path; another host than none is refused. */
static int
read_file_uri(struct span rest, struct key_uri *u, struct err *e)
{
	if (!span_starts(rest, SPAN_LIT("//")))
		return read_file(rest, u, e);
	if (span_starts(rest, SPAN_LIT("///")))
		return read_file(span_skip(rest, 2), u, e);
	return err_set(e, ERR_UNSUPPORTED, "a file on another host");
}

static int
read_pkcs11(struct span rest, struct key_uri *u, struct err *e)
{
	u->kind = KEY_URI_PKCS11;
	return read_both(p11_path, p11_query, rest, u, e);
}

static int
read_tpm2(struct span rest, struct key_uri *u, struct err *e)
{
	u->kind = KEY_URI_TPM2;
	u->tpm.nv = KEY_URI_TPM_NV;
	return read_both(tpm_path, tpm_query, rest, u, e);
}

static const struct scheme {
	const char *name;
	int (*read)(struct span rest, struct key_uri *u, struct err *e);
} schemes[] = {
    {"file", read_file_uri},
    {"pkcs11", read_pkcs11},
    {"tpm2", read_tpm2},
};

int
key_uri_parse(struct span text, struct key_uri *ret, struct err *e)
{
	struct key_uri u = {.kind = KEY_URI_FILE};
	struct span rest = text, name = span_split(&rest, ':');
	if (text.len > KEY_URI_MAX)
		return err_set(
		    e, ERR_LIMIT, "key URI: longer than %d bytes", KEY_URI_MAX);
	if (!rest.p || span_has(name, '/')) {
		if (read_file(text, &u, e))
			return err_wrap(e, "key file");
		*ret = u;
		return 0;
	}
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		if (!span_ieq_str(name, schemes[i].name))
			continue;
		if (schemes[i].read(rest, &u, e))
			return err_wrap(e, "key URI %s:", schemes[i].name);
		*ret = u;
		return 0;
	}
	return err_set(e, ERR_UNSUPPORTED,
	    "key URI scheme '%.*s:' is none of file:, pkcs11:, tpm2: (a file whose name "
	    "holds a colon: ./name)",
	    SPAN_FMT(span_head(name, 20)));
}

/* --- writing --- */

/* Encoded but for what both RFC 7512 and a shell leave alone. */
static void
put_encoded(struct buf *out, struct span s, const char *plain)
{
	for (size_t i = 0; i < s.len; i++) {
		if (strchr(plain, s.p[i]) && s.p[i])
			buf_u8(out, s.p[i]);
		else
			uri_encode(out, span_of(s.p + i, 1));
	}
}

/* sep changes to next once something was written. */
static void
put_text(struct buf *out, char *sep, char next, const char *name, const char *value)
{
	if (!value[0])
		return;
	if (*sep)
		buf_u8(out, (uint8_t)*sep);
	*sep = next;
	buf_printf(out, "%s=", name);
	put_encoded(out, span_str(value), next == '&' ? "/:,=@+" : ":@+,");
}

/* With its scheme, for a name may hold a colon or begin with '|'. */
static void
put_secret(struct buf *out, char *sep, const char *name, const char *path)
{
	char text[KEY_URI_PATH_MAX + 5];
	snprintf(text, sizeof(text), "file:%s", path);
	put_text(out, sep, '&', name, path[0] ? text : "");
}

static void
put_id(struct buf *out, char *sep, const struct key_uri_p11 *p)
{
	if (!p->id_len)
		return;
	buf_printf(out, "%sid=", *sep ? ";" : "");
	*sep = ';';
	for (size_t i = 0; i < p->id_len; i++)
		buf_printf(out, "%%%02X", p->id[i]);
}

static void
write_p11(const struct key_uri *u, struct buf *out)
{
	const struct key_uri_p11 *p = &u->p11;
	char sep = 0, query = '?', slot[24] = "";
	if (p->has_slot)
		snprintf(slot, sizeof(slot), "%llu", (unsigned long long)p->slot);
	buf_str(out, "pkcs11:");
	put_text(out, &sep, ';', "token", p->token);
	put_text(out, &sep, ';', "manufacturer", p->manufacturer);
	put_text(out, &sep, ';', "model", p->model);
	put_text(out, &sep, ';', "serial", p->serial);
	put_text(out, &sep, ';', "slot-id", slot);
	put_text(out, &sep, ';', "object", p->object);
	put_id(out, &sep, p);
	put_text(out, &query, '&', "module-path", p->module);
	put_secret(out, &query, "pin-source", u->secret);
}

static void
write_tpm(const struct key_uri *u, struct buf *out)
{
	const struct key_uri_tpm *t = &u->tpm;
	char query = '?';
	buf_str(out, "tpm2:");
	if (t->handle)
		buf_printf(out, "handle=0x%08x", t->handle);
	if (t->nv != KEY_URI_TPM_NV)
		buf_printf(out, "%snv=0x%08x", t->handle ? ";" : "", t->nv);
	put_text(out, &query, '&', "tcti", t->tcti);
	put_secret(out, &query, "auth-source", u->secret);
}

/* A path that would read as a URI, or as one's beginning, gets its scheme. */
static void
write_file(const struct key_uri *u, struct buf *out)
{
	struct span rest = span_str(u->path), first = span_split(&rest, ':');
	if (rest.p && !span_has(first, '/'))
		buf_str(out, "file:");
	buf_str(out, u->path);
}

void
key_uri_write(const struct key_uri *u, struct buf *out)
{
	static void (*const writers[])(const struct key_uri *, struct buf *) = {
	    [KEY_URI_FILE] = write_file,
	    [KEY_URI_PKCS11] = write_p11,
	    [KEY_URI_TPM2] = write_tpm,
	};
	writers[u->kind](u, out);
}

/* --- base directory --- */

static int
rebase(char path[KEY_URI_PATH_MAX], const char *base, struct err *e)
{
	char whole[KEY_URI_PATH_MAX];
	if (!path[0] || path[0] == '/')
		return 0;
	int n = snprintf(whole, sizeof(whole), "%s/%s", base, path);
	if (n < 0 || (size_t)n >= sizeof(whole))
		return err_set(
		    e, ERR_LIMIT, "file name too long: %.100s/%.100s", base, path);
	memcpy(path, whole, (size_t)n + 1);
	return 0;
}

int
key_uri_rebase(struct key_uri *u, const char *base, struct err *e)
{
	struct key_uri to = *u;
	/* a module without '/' is found by the dynamic linker */
	bool has_module = strchr(to.p11.module, '/') != NULL;
	if (rebase(to.path, base, e) || rebase(to.secret, base, e) ||
	    (has_module && rebase(to.p11.module, base, e)))
		return err_wrap(e, "key URI");
	*u = to;
	return 0;
}

int
key_uri_resolve(struct span text, const char *base, struct buf *out, struct err *e)
{
	struct key_uri u;
	if (key_uri_parse(text, &u, e) || key_uri_rebase(&u, base, e))
		return -1;
	key_uri_write(&u, out);
	return buf_check(out, "key URI", e);
}
