/*
 * PEM text.
 */
#include "codec/pem.h"

#include "base/base64.h"

static const struct span begin = {(const uint8_t *)"-----BEGIN ", 11};
static const struct span end = {(const uint8_t *)"-----END ", 9};
static const struct span dashes = {(const uint8_t *)"-----", 5};

/* The next line without its end; white space behind it is dropped (RFC 7468 section 2).
 */
static struct span
take_line(struct span *rest)
{
	struct span line = span_split(rest, '\n');
	while (line.len && (line.p[line.len - 1] == '\r' || line.p[line.len - 1] == ' ' ||
			       line.p[line.len - 1] == '\t'))
		line.len--;
	return line;
}

/* The label of a boundary line; p == NULL where line is none. */
static struct span
boundary(struct span line, struct span head)
{
	if (!span_starts(line, head) || !span_ends(line, dashes) ||
	    line.len < head.len + dashes.len)
		return SPAN_NONE;
	return span_of(line.p + head.len, line.len - head.len - dashes.len);
}

/* RFC 7468 section 3: printable, single spaces or hyphens between words. */
static bool
is_label(struct span s)
{
	if (s.len == 0 || s.len > PEM_LABEL_MAX || s.p[0] == ' ' || s.p[s.len - 1] == ' ')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return true;
}

/* Finds the line that ends the block; what stands before it is the body. */
static int
take_body(struct span *rest, struct span label, struct span *ret_body, struct err *e)
{
	const uint8_t *start = rest->p;
	while (rest->p) {
		struct span line = take_line(rest);
		struct span name = boundary(line, end);
		if (span_starts(line, begin) || (name.p && !span_eq(name, label)))
			break;
		if (!name.p)
			continue;
		*ret_body = span_of(start, (size_t)(line.p - start));
		return 0;
	}
	return err_set(e, ERR_PARSE, "PEM block %.*s has no end line", SPAN_FMT(label));
}

int
pem_next(struct span *rest, struct span *ret_label, struct buf *der, struct err *e)
{
	struct span in = *rest, label = SPAN_NONE, body;
	while (in.p && !label.p)
		label = boundary(take_line(&in), begin);
	if (!label.p) {
		*rest = SPAN_NONE;
		*ret_label = SPAN_NONE;
		return 0;
	}
	if (!is_label(label))
		return err_set(e, ERR_PARSE, "PEM block with a malformed label");
	if (take_body(&in, label, &body, e) != 0)
		return -1;
	buf_reset(der);
	if (base64_parse_folded(body, der, e) != 0)
		return err_wrap(e, "PEM block %.*s", SPAN_FMT(label));
	if (der->len == 0)
		return err_set(e, ERR_PARSE, "PEM block %.*s is empty", SPAN_FMT(label));
	*rest = in;
	*ret_label = label;
	return 0;
}

int
pem_find(struct span text, const char *label, struct buf *der, struct err *e)
{
	auto_buf block = BUF_INIT(der->max);
	block.secret = der->secret;
	bool found = false;
	struct span name;
	for (;;) {
		if (pem_next(&text, &name, &block, e) != 0)
			return -1;
		if (!name.p)
			break;
		if (!span_eq_str(name, label))
			continue;
		if (found)
			return err_set(e, ERR_PARSE, "more than one PEM block %s", label);
		found = true;
		buf_reset(der);
		buf_put_span(der, buf_span(&block));
	}
	return found ? 0 : err_set(e, ERR_NOT_FOUND, "no PEM block %s", label);
}

void
pem_write(struct buf *b, const char *label, struct span der)
{
	auto_buf text = BUF_INIT(BASE64_LEN(der.len));
	text.secret = b->secret;
	base64_put(&text, der);
	buf_printf(b, "-----BEGIN %s-----\n", label);
	for (struct span rest = buf_span(&text); rest.len; rest = span_skip(rest, 64)) {
		buf_put_span(b, span_head(rest, 64));
		buf_u8(b, '\n');
	}
	buf_printf(b, "-----END %s-----\n", label);
}
