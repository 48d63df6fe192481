/*
 * Headers in, an answer out: no connection is seen here.
 */
#include "io/ws_hello.h"

#include "base/base64.h"
#include "crypto/digest.h"

enum { KEY_LEN = BASE64_LEN(16) };

/* 1.3 */
static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/* The element of a comma-separated list that is word without regard to case. */
static struct span
find_word(struct span list, const char *word)
{
	while (list.p) {
		struct span one = span_trim(span_split(&list, ','));
		if (span_ieq_str(one, word))
			return one;
	}
	return SPAN_NONE;
}

/* 4.1: base64 of 16 bytes. Nothing depends on which (4.2.2), so the bits past the end may
 * be anything: there are clients that draw 22 letters. */
static bool
is_key(struct span s)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	if (s.len != KEY_LEN || !span_ends(s, SPAN_LIT("==")))
		return false;
	for (size_t i = 0; i < KEY_LEN - 2; i++)
		if (!memchr(alphabet, s.p[i], sizeof(alphabet) - 1))
			return false;
	return true;
}

int
ws_hello_check(const struct ws_hello *h, struct err *e)
{
	if (!find_word(h->upgrade, "websocket").len)
		return err_set(e, ERR_UNSUPPORTED, "this path is a WebSocket");
	if (!span_eq_str(h->version, "13"))
		return err_set(e, ERR_UNSUPPORTED, "Sec-WebSocket-Version is not 13");
	if (!find_word(h->connection, "upgrade").len)
		return err_set(e, ERR_PARSE, "Connection does not say Upgrade");
	if (!is_key(h->key))
		return err_set(
		    e, ERR_PARSE, "Sec-WebSocket-Key is not 16 bytes in base64");
	return 0;
}

struct span
ws_hello_choose(const struct ws_hello *h, const char *protocol)
{
	return find_word(h->protocols, protocol);
}

static void
put_accept(struct span key, struct buf *out)
{
	auto_buf text = BUF_INIT(KEY_LEN + sizeof(guid));
	uint8_t sha1[DIGEST_SHA1];
	buf_put_span(&text, key);
	buf_str(&text, guid);
	digest_sha1(buf_span(&text), sha1);
	base64_put(out, span_of(sha1, sizeof(sha1)));
}

void
ws_hello_answer(const struct ws_hello *h, struct span protocol, struct buf *out)
{
	buf_str(out, "HTTP/1.1 101 Switching Protocols\r\n"
		     "Upgrade: websocket\r\nConnection: Upgrade\r\n"
		     "Sec-WebSocket-Accept: ");
	put_accept(h->key, out);
	buf_str(out, "\r\nSec-WebSocket-Protocol: ");
	buf_put_span(out, protocol);
	buf_str(out, "\r\n\r\n");
}
