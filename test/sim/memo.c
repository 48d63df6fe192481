/*
 * By the SHA-256 of the text.
 */
#include "memo.h"

#include <string.h>

#include "base/map.h"
#include "crypto/cert.h"
#include "crypto/digest.h"
#include "crypto/key.h"

struct memo {
	uint8_t sha256[DIGEST_SHA256];
	struct key *key;
	struct cert_list list;
	UT_hash_handle hh;
};
static struct memo *memos;

struct key *__real_key_parse(
    struct span pem, key_passphrase ask, void *arg, const char *what, struct err *e);
struct key *__wrap_key_parse(
    struct span pem, key_passphrase ask, void *arg, const char *what, struct err *e);
int __real_cert_list_parse(
    struct span pem, const char *what, struct cert_list *ret, struct err *e);
int __wrap_cert_list_parse(
    struct span pem, const char *what, struct cert_list *ret, struct err *e);
struct cert *__real_cert_parse(struct span der, struct err *e);
struct cert *__wrap_cert_parse(struct span der, struct err *e);

static struct memo *
memo_of(struct span text)
{
	struct memo *m;
	uint8_t sha[DIGEST_SHA256];
	digest_sha256(text, sha);
	HASH_FIND(hh, memos, sha, sizeof(sha), m);
	if (m)
		return m;
	m = own_alloc(sizeof(*m));
	memcpy(m->sha256, sha, sizeof(sha));
	HASH_ADD(hh, memos, sha256, sizeof(sha), m);
	return m;
}

struct key *
__wrap_key_parse(
    struct span pem, key_passphrase ask, void *arg, const char *what, struct err *e)
{
	struct memo *m = memo_of(pem);
	if (!m->key)
		m->key = __real_key_parse(pem, ask, arg, what, e);
	return m->key ? key_ref(m->key) : NULL;
}

int
__wrap_cert_list_parse(
    struct span pem, const char *what, struct cert_list *ret, struct err *e)
{
	struct memo *m = memo_of(pem);
	if (!m->list.n && __real_cert_list_parse(pem, what, &m->list, e))
		return -1;
	for (size_t i = 0; i < m->list.n; i++)
		ret->v[i] = cert_ref(m->list.v[i]);
	ret->n = m->list.n;
	return 0;
}

struct cert *
__wrap_cert_parse(struct span der, struct err *e)
{
	struct memo *m = memo_of(der);
	if (!m->list.n) {
		m->list.v[0] = __real_cert_parse(der, e);
		m->list.n = m->list.v[0] != NULL;
	}
	return m->list.n ? cert_ref(m->list.v[0]) : NULL;
}

void
memo_done(void)
{
	struct memo *m, *next;
	HASH_ITER (hh, memos, m, next) {
		HASH_DEL(memos, m);
		key_free(m->key);
		cert_list_done(&m->list);
		free(m);
	}
}
