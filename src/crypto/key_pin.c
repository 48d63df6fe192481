/*
 * PINs and TPM authorizations: read from their file each time they are needed, kept
 * nowhere. Of one that was refused a keyed hash stays, so that a daemon that tries again
 * every minute cannot lock a token for ever with the same wrong PIN.
 */
#include "base/rand.h"
#include "crypto/key_impl.h"

static void
hash_of(const struct key_pin *p, struct span pin, uint8_t out[DIGEST_SHA256])
{
	digest_hmac_sha256(span_of(p->salt, sizeof(p->salt)), pin, out);
}

int
key_pin_check(const struct key_pin *p, struct span pin, const char *what, struct err *e)
{
	uint8_t hash[DIGEST_SHA256];
	if (!p->has_refused)
		return 0;
	hash_of(p, pin, hash);
	if (!own_equal(hash, p->refused, sizeof(hash)))
		return 0;
	return err_set(e, ERR_DENIED,
	    "%s: this PIN was refused before and is not tried again; write the right one",
	    what);
}

void
key_pin_refuse(struct key_pin *p, struct span pin)
{
	rand_bytes(p->salt, sizeof(p->salt));
	hash_of(p, pin, p->refused);
	p->has_refused = true;
}

int
key_pin_read(const struct key_pin *p, const char *path, struct buf *out, struct err *e)
{
	auto_buf text = BUF_INIT(KEY_PIN_MAX + 1024);
	if (key_file_read(path, &text, e))
		return err_wrap(e, "PIN file");
	struct span rest = buf_span(&text), pin = span_split(&rest, '\n');
	if (pin.len && pin.p[pin.len - 1] == '\r')
		pin.len--;
	if (pin.len > KEY_PIN_MAX)
		return err_set(
		    e, ERR_LIMIT, "PIN file %s: longer than %d bytes", path, KEY_PIN_MAX);
	if (key_pin_check(p, pin, path, e))
		return -1;
	out->secret = true;
	buf_put_span(out, pin);
	return buf_check(out, "PIN", e);
}
