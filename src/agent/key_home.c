/*
 * Homes of keys.
 */
#include "agent/key_home.h"

#include "agent/generation.h"
#include "agent/key_name.h"
#include "codec/key_uri.h"

enum key_custody
key_home_custody(const char *uri)
{
	struct key_uri u;
	struct err ignored;
	if (!uri || !*uri || key_uri_parse(span_str(uri), &u, &ignored))
		return KEY_CUSTODY_FILE;
	return u.kind == KEY_URI_PKCS11 ? KEY_CUSTODY_PKCS11
	       : u.kind == KEY_URI_TPM2 ? KEY_CUSTODY_TPM2
					: KEY_CUSTODY_FILE;
}

bool
key_home_is_other(const char *uri, const char *base)
{
	struct key_uri u, b;
	struct err ignored;
	if (key_uri_parse(span_str(uri), &u, &ignored) ||
	    key_uri_parse(span_str(base), &b, &ignored) || b.kind != KEY_URI_PKCS11)
		return false;
	return (b.p11.token[0] && strcmp(b.p11.token, u.p11.token) != 0) ||
	       (b.p11.serial[0] && strcmp(b.p11.serial, u.p11.serial) != 0);
}

/* A name in the token that nothing has. */
static int
free_name(const char *dir, const struct keystore_place *p, int number, struct buf *out,
    struct err *e)
{
	for (int i = 0; i < KEY_NAME_TRIES; i++) {
		struct err why;
		auto_buf full = BUF_INIT(KEY_URI_MAX + 1);
		buf_reset(out);
		if (key_name_write(p->uri, p->device_id, number, i, out, e) ||
		    generation_resolve(dir, buf_text(out), &full, e))
			return -1;
		auto_(key_free) struct key *taken =
		    key_open(buf_text(&full), NULL, NULL, &why);
		if (!taken && why.code == ERR_NOT_FOUND)
			return 0;
		if (!taken && why.code != ERR_CONFLICT && why.code != ERR_UNSUPPORTED)
			return err_copy(e, &why);
	}
	return err_set(e, ERR_EXISTS, "%s: no name is free for another key", p->uri);
}

static int
make_in_token(const char *dir, const struct keystore_place *p, int number,
    struct key **ret, struct err *e)
{
	auto_buf uri = BUF_INIT(KEY_URI_MAX + 1), full = BUF_INIT(KEY_URI_MAX + 1);
	if (free_name(dir, p, number, &uri, e) ||
	    generation_resolve(dir, buf_text(&uri), &full, e) ||
	    generation_make_uri(dir, buf_text(&uri), false, e))
		return -1;
	*ret = key_create(buf_text(&full), p->alg, e);
	return *ret ? 0 : -1;
}

static int
make_in_file(
    const char *dir, const struct keystore_place *p, struct key **ret, struct err *e)
{
	auto_(key_free) struct key *key = key_generate(p->alg, e);
	if (!key || generation_make(dir, key, false, e))
		return -1;
	*ret = TAKE(key);
	return 0;
}

int
key_home_open(
    const char *dir, const char *uri, enum key_alg alg, struct key **ret, struct err *e)
{
	struct err why;
	auto_buf full = BUF_INIT(KEY_URI_MAX + 1);
	*ret = generation_key(dir, &why);
	if (*ret || !uri)
		return 0;
	if (why.code != ERR_NOT_FOUND)
		return err_copy(e, &why);
	if (generation_resolve(dir, uri, &full, e))
		return -1;
	*ret = key_create(buf_text(&full), alg, e);
	return *ret ? 0 : -1;
}

int
key_home_make(const char *dir, const struct keystore_place *p, int number,
    struct key **ret, struct err *e)
{
	return p->uri[0] ? make_in_token(dir, p, number, ret, e)
			 : make_in_file(dir, p, ret, e);
}

int
key_home_remove(const char *dir, const char *uri, struct err *e)
{
	struct err why;
	auto_buf full = BUF_INIT(KEY_URI_MAX + 1);
	if (generation_resolve(dir, uri, &full, e))
		return -1;
	if (key_delete(buf_text(&full), &why) == 0 || why.code == ERR_NOT_FOUND)
		return 0;
	return err_copy(e, &why);
}
