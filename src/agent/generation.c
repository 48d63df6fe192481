/*
 * The files of one generation, and the judgement of a certificate before it is kept.
 */
#include "agent/generation.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "base/hex.h"
#include "base/num.h"
#include "codec/js.h"
#include "codec/key_uri.h"
#include "crypto/chain.h"
#include "io/file.h"

#define META_MAX 4096

int
generation_parse(struct span s, char out[KEYSTORE_GENERATION_SIZE], struct err *e)
{
	int64_t n;
	if (s.len != KEYSTORE_GENERATION_SIZE - 1 ||
	    !num_ok(s, 1, KEYSTORE_GENERATIONS_MAX, &n))
		return err_set(e, ERR_PARSE, "a generation is four digits, 0001 to %d",
		    KEYSTORE_GENERATIONS_MAX);
	if (out)
		generation_name((int)n, out);
	return (int)n;
}

void
generation_name(int number, char out[KEYSTORE_GENERATION_SIZE])
{
	snprintf(out, KEYSTORE_GENERATION_SIZE, "%04u", (unsigned)number % 10000);
}

static int
by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

int
generation_list(const char *cred, struct generation_list *ret, struct err *e)
{
	DIR *d = opendir(cred);
	if (!d)
		return err_sys(e, ERR_IO, "%s", cred);
	ret->n = 0;
	for (struct dirent *it; (it = readdir(d));) {
		int n = generation_parse(span_str(it->d_name), NULL, NULL);
		if (n > 0 && ret->n < KEYSTORE_GENERATIONS_MAX)
			ret->v[ret->n++] = n;
	}
	closedir(d);
	qsort(ret->v, ret->n, sizeof(ret->v[0]), by_number);
	return 0;
}

static void
file_of(const char *dir, const char *name, char out[PATH_MAX])
{
	/* keystore_open saw to it that this fits */
	snprintf(out, PATH_MAX, "%s/%s", dir, name);
}

/* A generation is there when its key file is: that is written last. */
static int
make(const char *dir, const char *name, struct span key, bool reused, struct err *e)
{
	char path[PATH_MAX];
	const struct generation_meta m = {.reused = reused};
	file_of(dir, name, path);
	if (file_mkdir(dir, 0700, e) || (reused && generation_meta_put(dir, &m, e)))
		return -1;
	return file_write_new(path, key, 0600, e);
}

int
generation_make(const char *dir, const struct key *key, bool reused, struct err *e)
{
	auto_buf pem = BUF_INIT(KEY_PEM_MAX);
	pem.secret = true;
	if (key_write(key, &pem, e))
		return -1;
	return make(dir, "key.pem", buf_span(&pem), reused, e);
}

int
generation_make_uri(const char *dir, const char *uri, bool reused, struct err *e)
{
	auto_buf text = BUF_INIT(KEY_URI_MAX + 1);
	buf_printf(&text, "%s\n", uri);
	if (buf_check(&text, "key URI", e))
		return -1;
	return make(dir, "key.uri", buf_span(&text), reused, e);
}

int
generation_uri(const char *dir, struct buf *out, struct err *e)
{
	char path[PATH_MAX];
	auto_buf text = BUF_INIT(KEY_URI_MAX + 1);
	file_of(dir, "key.uri", path);
	if (file_read(path, &text, e))
		return -1;
	buf_put_span(out, span_trim(buf_span(&text)));
	return buf_check(out, path, e);
}

int
generation_resolve(const char *dir, const char *uri, struct buf *out, struct err *e)
{
	char base[PATH_MAX];
	file_of(dir, "../..", base);
	return key_uri_resolve(span_str(uri), base, out, e) || buf_check(out, "URI", e)
		   ? -1
		   : 0;
}

static struct key *
key_of_file(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	auto_buf pem = BUF_INIT(KEY_PEM_MAX);
	file_of(dir, "key.pem", path);
	if (file_read_secret(path, &pem, e))
		return NULL;
	return key_parse(buf_span(&pem), NULL, NULL, path, e);
}

struct key *
generation_key(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	auto_buf uri = BUF_INIT(KEY_URI_MAX + 1), full = BUF_INIT(KEY_URI_MAX + 1);
	file_of(dir, "key.uri", path);
	if (!file_exists(path))
		return key_of_file(dir, e);
	if (generation_uri(dir, &uri, e) ||
	    generation_resolve(dir, buf_text(&uri), &full, e))
		return NULL;
	return key_open(buf_text(&full), NULL, NULL, e);
}

/* --- judging a certificate --- */

/* The path from the leaf to the top of what was sent: signatures, CA flags, path lengths,
 * validity, fitness for a client. Whether the top is trusted is the server's to say. */
static int
judge_path(const struct cert_list *list, int64_t now_ms, struct err *e)
{
	auto_(chain_set_free) struct chain_set *set = chain_set_new();
	for (size_t i = 1; i < list->n; i++)
		if (chain_set_add(set, list->v[i], CHAIN_TRUSTED, e))
			return -1;
	struct chain_options o = {.now_ms = now_ms};
	struct chain_verdict v;
	chain_verify(set, list, &o, &v);
	if (v.reason == CHAIN_OK)
		return 0;
	return err_set(
	    e, ERR_CONFLICT, "%s", v.text[0] ? v.text : chain_reason_name(v.reason));
}

static int
judge(const struct cert_list *list, const struct key *key, const char *device_id,
    int64_t now_ms, struct err *e)
{
	const struct cert *leaf = list->v[0];
	if (!key_is_spki(key, leaf->spki))
		return err_set(e, ERR_CONFLICT, "it is not of this generation's key");
	if (strcmp(leaf->cn, device_id) != 0)
		return err_set(e, ERR_CONFLICT, "its common name is \"%s\", not \"%s\"",
		    leaf->cn, device_id);
	if (!cert_valid_at(leaf, now_ms))
		return err_set(e, ERR_CONFLICT, "it is %s by the device's clock",
		    now_ms < leaf->not_before_ms ? "not yet valid" : "expired");
	if (leaf->is_ca || leaf->version != 3)
		return err_set(
		    e, ERR_CONFLICT, "it is %s", leaf->is_ca ? "a CA" : "X.509 v1");
	if (leaf->has_eku && !(leaf->eku & (CERT_CLIENT_AUTH | CERT_ANY_EKU)))
		return err_set(e, ERR_CONFLICT, "it is not for client authentication");
	return list->n > 1 ? judge_path(list, now_ms, e) : 0;
}

int
generation_install(const char *dir, struct span chain_pem, const char *device_id,
    int64_t now_ms, struct err *e)
{
	auto_(key_free) struct key *key = generation_key(dir, e);
	auto_cert_list list = {.n = 0};
	if (!key || cert_list_parse(chain_pem, "chain", &list, e) ||
	    judge(&list, key, device_id, now_ms, e))
		return -1;
	/* written from what was parsed, so that no stray text of the input is kept */
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	for (size_t i = 0; i < list.n; i++)
		cert_write_pem(list.v[i]->der, &pem);
	char path[PATH_MAX];
	file_of(dir, "cert.pem", path);
	if (buf_check(&pem, "chain", e))
		return -1;
	return file_write(path, buf_span(&pem), 0600, e);
}

/* --- loading --- */

int
generation_load(const char *dir, struct keystore_credential *c, struct err *e)
{
	char path[PATH_MAX];
	c->key = generation_key(dir, e);
	if (!c->key)
		return -1;
	auto_buf uri = BUF_INIT(KEY_URI_MAX + 1);
	struct err none;
	if (generation_uri(dir, &uri, &none) == 0)
		c->key_uri = own_strdup(buf_text(&uri));
	c->chain_pem = BUF_INIT(CERT_PEM_MAX);
	auto_cert_list list = {.n = 0};
	file_of(dir, "cert.pem", path);
	if (file_read(path, &c->chain_pem, e) ||
	    cert_list_parse(buf_span(&c->chain_pem), path, &list, e))
		return -1;
	const struct cert *leaf = list.v[0];
	if (!key_is_spki(c->key, leaf->spki))
		return err_set(
		    e, ERR_CORRUPT, "%s: not the certificate of key.pem", path);
	hex_write(span_of(leaf->sha256, sizeof(leaf->sha256)), c->thumbprint);
	c->not_before_ms = leaf->not_before_ms;
	c->not_after_ms = leaf->not_after_ms;
	struct generation_meta m;
	struct err ignored;
	c->reused = generation_meta_get(dir, &m, &ignored) == 0 && m.reused;
	return 0;
}

static enum keystore_stage
stage_of_cert(const char *dir)
{
	struct err ignored;
	struct generation_meta m;
	auto_keystore_credential c = {0};
	if (generation_load(dir, &c, &ignored))
		return KEYSTORE_KEY;
	/* a proof is of one certificate: another one installed since is not proved */
	if (generation_meta_get(dir, &m, &ignored) || !m.proven_ms ||
	    strcmp(m.thumbprint, c.thumbprint) != 0)
		return KEYSTORE_CERT;
	return KEYSTORE_PROVEN;
}

/* A key in a file that cannot be used is none; a token that is not there may be back
 * tomorrow, with the key in it. */
int
generation_stage(const char *dir, enum keystore_stage *ret, struct err *e)
{
	struct err why;
	auto_buf uri = BUF_INIT(KEY_URI_MAX + 1);
	auto_(key_free) struct key *key = generation_key(dir, &why);
	struct err none;
	if (!key && why.code != ERR_NOT_FOUND && generation_uri(dir, &uri, &none) == 0)
		return err_copy(e, &why);
	*ret = key ? stage_of_cert(dir) : KEYSTORE_ABSENT;
	return 0;
}

/* --- meta --- */

static int
meta_parse(const struct js *o, struct generation_meta *ret, struct err *e)
{
	struct generation_meta m = {0};
	struct span thumbprint = SPAN_NONE, hub = SPAN_NONE, id = SPAN_NONE;
	if (js_opt_str(o, "thumbprint", &thumbprint, e) ||
	    js_opt_str(o, "hub", &hub, e) || js_opt_str(o, "deviceId", &id, e) ||
	    js_opt_int(o, "provenMs", 0, INT64_MAX, &m.proven_ms, e) ||
	    js_opt_int(o, "leftMs", 0, INT64_MAX, &m.left_ms, e))
		return -1;
	if (!span_to_str(thumbprint, m.thumbprint, sizeof(m.thumbprint)) ||
	    !span_to_str(hub, m.assignment.hub, sizeof(m.assignment.hub)) ||
	    !span_to_str(id, m.assignment.device_id, sizeof(m.assignment.device_id)))
		return err_set(e, ERR_PARSE, "a member is too long");
	m.reused = js_as_bool(js_get(o, "reused"));
	*ret = m;
	return 0;
}

int
generation_meta_get(const char *dir, struct generation_meta *ret, struct err *e)
{
	char path[PATH_MAX];
	auto_buf text = BUF_INIT(META_MAX);
	file_of(dir, "meta", path);
	if (file_read(path, &text, e))
		return -1;
	auto_(js_free) struct js *o = js_parse(buf_span(&text), META_MAX, 4, e);
	return o && meta_parse(o, ret, e) == 0 ? 0 : err_wrap(e, "%s", path);
}

int
generation_meta_put(const char *dir, const struct generation_meta *m, struct err *e)
{
	auto_(js_free) struct js *o = js_object();
	js_set_text(o, "thumbprint", m->thumbprint);
	js_set_int(o, "provenMs", m->proven_ms);
	js_set_int(o, "leftMs", m->left_ms);
	js_set_bool(o, "reused", m->reused);
	if (js_set_str(o, "hub", span_str(m->assignment.hub), e) ||
	    js_set_str(o, "deviceId", span_str(m->assignment.device_id), e))
		return -1;
	auto_buf text = BUF_INIT(META_MAX);
	js_dump(o, JS_AS_BUILT, &text);
	buf_u8(&text, '\n');
	char path[PATH_MAX];
	file_of(dir, "meta", path);
	return buf_check(&text, "meta", e) ? -1
					   : file_write(path, buf_span(&text), 0600, e);
}
