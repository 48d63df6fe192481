/*
 * X.500 names: walked by the DER reader, attribute by attribute.
 */
#include "crypto/name.h"

#include "base/hex.h"
#include "codec/der.h"
#include "codec/utf8.h"

#define RDNS_MAX 32

static const struct attr_row {
	struct span oid;
	const char *name; /* RFC 4514 section 3, and the ones Azure shows */
} attr_rows[] = {
    {SPAN_LIT("\x55\x04\x03"), "CN"},
    {SPAN_LIT("\x55\x04\x0a"), "O"},
    {SPAN_LIT("\x55\x04\x0b"), "OU"},
    {SPAN_LIT("\x55\x04\x06"), "C"},
    {SPAN_LIT("\x55\x04\x08"), "ST"},
    {SPAN_LIT("\x55\x04\x07"), "L"},
    {SPAN_LIT("\x55\x04\x09"), "STREET"},
    {SPAN_LIT("\x55\x04\x05"), "SERIALNUMBER"},
    {SPAN_LIT("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19"), "DC"},
    {SPAN_LIT("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01"), "UID"},
    {SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"), "E"},
};

struct attr {
	struct span oid, value;
	struct span raw; /* the value's whole TLV */
	uint8_t tag;
};

static const char *
attr_name(struct span oid)
{
	for (size_t i = 0; i < sizeof(attr_rows) / sizeof(attr_rows[0]); i++)
		if (span_eq(oid, attr_rows[i].oid))
			return attr_rows[i].name;
	return NULL;
}

/* Takes the next AttributeTypeAndValue off an RDN's content. */
static int
next_attr(struct span *rdn, struct attr *ret, struct err *e)
{
	struct span seq;
	struct der_tlv value;
	if (der_expect(rdn, DER_SEQUENCE, &seq, e) < 0 ||
	    der_expect(&seq, DER_OID, &ret->oid, e) < 0 ||
	    der_next(&seq, &value, e) < 0 || der_finish(seq, "attribute", e) < 0)
		return -1;
	ret->tag = value.tag;
	ret->value = value.content;
	ret->raw = value.whole;
	return 0;
}

static int
open_name(struct span der, struct span *ret_rdns, struct err *e)
{
	if (der.len > NAME_DER_MAX)
		return err_set(e, ERR_LIMIT, "name of %zu bytes", der.len);
	if (der_expect(&der, DER_SEQUENCE, ret_rdns, e) < 0)
		return -1;
	return der_finish(der, "name", e);
}

/* ASCII, whatever the locale. */
static bool
is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool
is_printable(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_alnum(s.p[i]) && !span_has(SPAN_LIT(" '()+,-./:=?"), s.p[i]))
			return false;
	return true;
}

static bool
is_ascii(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] > 0x7f)
			return false;
	return true;
}

/* True when the value is of a string type whose bytes are UTF-8, and well-formed. */
static bool
is_text(const struct attr *a)
{
	switch (a->tag) {
	case DER_UTF8_STRING:
		return utf8_ok_no_nul(a->value);
	case DER_PRINTABLE_STRING:
		return is_printable(a->value);
	case DER_IA5_STRING:
		return is_ascii(a->value) && !span_has(a->value, 0);
	default:
		return false;
	}
}

int
name_check(struct span der, struct err *e)
{
	struct span rdns, rdn;
	if (open_name(der, &rdns, e) < 0)
		return -1;
	size_t n = 0;
	while (rdns.len) {
		if (++n > RDNS_MAX)
			return err_set(
			    e, ERR_LIMIT, "name of more than %d parts", RDNS_MAX);
		if (der_expect(&rdns, DER_SET, &rdn, e) < 0)
			return -1;
		if (!rdn.len)
			return err_set(e, ERR_PARSE, "name with an empty part");
		while (rdn.len) {
			struct attr a;
			if (next_attr(&rdn, &a, e) < 0)
				return -1;
			if (!is_text(&a))
				return err_set(e, ERR_PARSE,
				    "name with a value that is no UTF8String, "
				    "PrintableString "
				    "or IA5String, or not of its characters");
		}
	}
	return 0;
}

static bool
is_same_rdn(struct span a, struct span b)
{
	while (a.len && b.len) {
		struct attr x, y;
		if (next_attr(&a, &x, NULL) < 0 || next_attr(&b, &y, NULL) < 0 ||
		    !is_text(&x) || !is_text(&y) || !span_eq(x.oid, y.oid) ||
		    !span_eq(x.value, y.value))
			return false;
	}
	return !a.len && !b.len;
}

bool
name_same(struct span a, struct span b)
{
	struct span rdns_a, rdns_b, rdn_a, rdn_b;
	if (open_name(a, &rdns_a, NULL) < 0 || open_name(b, &rdns_b, NULL) < 0)
		return false;
	while (rdns_a.len && rdns_b.len) {
		if (der_expect(&rdns_a, DER_SET, &rdn_a, NULL) < 0 ||
		    der_expect(&rdns_b, DER_SET, &rdn_b, NULL) < 0 ||
		    !is_same_rdn(rdn_a, rdn_b))
			return false;
	}
	return !rdns_a.len && !rdns_b.len;
}

/* Characters, not bytes; s is well-formed UTF-8. */
static size_t
characters(struct span s)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++)
		n += (s.p[i] & 0xc0) != 0x80;
	return n;
}

static int
check_text(struct span s, const char *what, size_t max, struct err *e)
{
	if (!s.len)
		return err_set(e, ERR_PARSE, "empty %s", what);
	if (!utf8_ok_no_nul(s))
		return err_set(e, ERR_PARSE, "%s: no UTF-8 text, or holds a NUL", what);
	if (characters(s) > max)
		return err_set(e, ERR_PARSE, "%s: longer than %zu characters", what, max);
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < 0x20 || s.p[i] == 0x7f)
			return err_set(
			    e, ERR_PARSE, "%s: holds a control character", what);
	return 0;
}

/* The one attribute of type CN in an RDN; *n counts them. */
static int
scan_cn(struct span rdn, struct attr *ret, size_t *n, struct err *e)
{
	while (rdn.len) {
		struct attr a;
		if (next_attr(&rdn, &a, e) < 0)
			return -1;
		if (!span_eq(a.oid, attr_rows[0].oid))
			continue;
		*ret = a;
		++*n;
	}
	return 0;
}

int
name_cn(struct span der, char out[NAME_CN_SIZE], struct err *e)
{
	struct span rdns, rdn;
	struct attr cn = {0};
	size_t n = 0;
	if (open_name(der, &rdns, e) < 0)
		return -1;
	while (rdns.len)
		if (der_expect(&rdns, DER_SET, &rdn, e) < 0 ||
		    scan_cn(rdn, &cn, &n, e) < 0)
			return -1;
	if (n != 1)
		return err_set(e, ERR_PARSE, "subject has %s common name",
		    n ? "more than one" : "no");
	if (!is_text(&cn))
		return err_set(
		    e, ERR_PARSE, "common name: not of its string type's characters");
	if (check_text(cn.value, "common name", NAME_CN_CHARS, e) < 0)
		return -1;
	span_to_str(cn.value, out, NAME_CN_SIZE);
	return 0;
}

static void
put_oid(struct buf *out, struct span oid)
{
	uint64_t v = 0;
	bool first = true;
	for (size_t i = 0; i < oid.len; i++) {
		v = v << 7 | (oid.p[i] & 0x7f);
		if (oid.p[i] & 0x80)
			continue;
		if (first) {
			uint64_t top = v < 80 ? v / 40 : 2;
			buf_printf(out, "%llu.%llu", (unsigned long long)top,
			    (unsigned long long)(v - 40 * top));
		} else {
			buf_printf(out, ".%llu", (unsigned long long)v);
		}
		first = false;
		v = 0;
	}
}

/* RFC 4514 2.4. Controls are escaped too, so a name cannot break a line. */
static void
put_escaped(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];
		bool edge =
		    (i == 0 && (c == ' ' || c == '#')) || (i + 1 == s.len && c == ' ');
		if (c < 0x20 || c == 0x7f)
			buf_printf(out, "\\%02X", c);
		else if (edge || span_has(SPAN_LIT("\"+,;<>\\"), c))
			buf_printf(out, "\\%c", c);
		else
			buf_u8(out, c);
	}
}

static void
put_attr(struct buf *out, const struct attr *a)
{
	const char *name = attr_name(a->oid);
	if (name)
		buf_str(out, name);
	else
		put_oid(out, a->oid);
	buf_u8(out, '=');
	if (is_text(a)) {
		put_escaped(out, a->value);
		return;
	}
	buf_u8(out, '#');
	hex_put(out, a->raw);
}

static int
put_rdn(struct buf *out, struct span rdn, struct err *e)
{
	for (bool first = true; rdn.len; first = false) {
		struct attr a;
		if (next_attr(&rdn, &a, e) < 0)
			return -1;
		if (!first)
			buf_u8(out, '+');
		put_attr(out, &a);
	}
	return 0;
}

static int
put_name(struct buf *out, struct span der, struct err *e)
{
	struct span rdns, rdn[RDNS_MAX];
	size_t n = 0;
	if (open_name(der, &rdns, e) < 0)
		return -1;
	while (rdns.len) {
		if (n == RDNS_MAX)
			return err_set(e, ERR_LIMIT, "name of too many parts");
		if (der_expect(&rdns, DER_SET, &rdn[n++], e) < 0)
			return -1;
	}
	while (n--) {
		if (put_rdn(out, rdn[n], e) < 0)
			return -1;
		if (n)
			buf_str(out, ", ");
	}
	return 0;
}

void
name_text(struct span der, struct buf *out)
{
	auto_buf text = BUF_INIT(NAME_TEXT_MAX - sizeof("..."));
	if (put_name(&text, der, NULL) < 0) {
		buf_str(out, "(malformed name)");
		return;
	}
	buf_put_span(out, buf_span(&text));
	if (text.bad)
		buf_str(out, "...");
}

static void
write_rdn(struct buf *out, struct span oid, const char *text)
{
	size_t set = der_begin(out, DER_SET), seq = der_begin(out, DER_SEQUENCE);
	der_put_oid(out, oid);
	der_put_utf8(out, span_str(text));
	der_end(out, seq);
	der_end(out, set);
}

int
name_write(const char *cn, const char *org, struct buf *out, struct err *e)
{
	bool has_org = org && org[0];
	if (check_text(span_str(cn), "common name", NAME_CN_CHARS, e) < 0)
		return -1;
	if (has_org && check_text(span_str(org), "organization", NAME_CN_CHARS, e) < 0)
		return -1;
	size_t seq = der_begin(out, DER_SEQUENCE);
	if (has_org)
		write_rdn(out, attr_rows[1].oid, org);
	write_rdn(out, attr_rows[0].oid, cn);
	der_end(out, seq);
	return buf_check(out, "name", e);
}
