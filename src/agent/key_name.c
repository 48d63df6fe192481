/*
 * One name a generation.
 */
#include "agent/key_name.h"

#include <stdio.h>

#include "codec/key_uri.h"

#define OBJECT_ID_MAX 112 /* what is left for the device in an object's name */

static void
name_object(struct key_uri_p11 *p, const char *device_id, int number, int attempt)
{
	char of[sizeof(p->object)];
	snprintf(of, sizeof(of), "%s", p->object[0] ? p->object : device_id);
	p->id_len = 0; /* the token's library draws one */
	if (attempt)
		snprintf(p->object, sizeof(p->object), "%.*s-%04d.%d", OBJECT_ID_MAX, of,
		    number, attempt);
	else
		snprintf(
		    p->object, sizeof(p->object), "%.*s-%04d", OBJECT_ID_MAX, of, number);
}

static void
name_handle(struct key_uri_tpm *t, int number, int attempt)
{
	uint32_t base = t->handle ? t->handle : KEY_NAME_HANDLE_BASE;
	t->handle = base + (uint32_t)(number - 1 + attempt) % KEY_NAME_HANDLES;
}

int
key_name_write(const char *base, const char *device_id, int number, int attempt,
    struct buf *out, struct err *e)
{
	struct key_uri u;
	if (key_uri_parse(span_str(base), &u, e))
		return -1;
	if (u.kind == KEY_URI_FILE)
		return err_set(
		    e, ERR_USAGE, "auth.key_uri: a token or TPM is wanted, not a file");
	if (u.kind == KEY_URI_PKCS11)
		name_object(&u.p11, device_id, number, attempt);
	else
		name_handle(&u.tpm, number, attempt);
	key_uri_write(&u, out);
	return buf_check(out, "key URI", e);
}
