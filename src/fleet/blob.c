/*
 * The two requests of Azure Blob Storage that publishing needs, and their authorization.
 */
#include "fleet/blob.h"

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "codec/blob_sas.h"
#include "codec/blob_url.h"
#include "crypto/blob_key.h"
#include "fleet/azure.h"

#define VERSION    BLOB_SAS_VERSION
#define TIMEOUT_MS 60000
#define CACHE      "public, max-age=60"

struct blob {
	struct rest *rest;
	char *path;    /* of the container: "/container", or "/account/container" */
	char *account; /* whose key it is */
	char *sas;     /* query text; "" : by key */
	struct blob_key key;
};

/* ---- authorization --------------------------------------------------------------------
 */

/* What is signed (Authorize with Shared Key, 2015-02-21 and later): eleven standard
 * headers, x-ms- ones in order, the resource. */
static void
string_to_sign(const struct blob *b, const char *method, const char *type,
    size_t body_len, const char *ms_headers, const char *target, struct buf *out)
{
	buf_printf(out, "%s\n\n\n", method);
	if (body_len)
		buf_printf(out, "%zu", body_len);
	buf_printf(
	    out, "\n\n%s\n\n\n\n\n\n\n%s/%s%s", type, ms_headers, b->account, target);
}

static void
sign(const struct blob *b, struct span text, struct buf *out)
{
	uint8_t mac[DIGEST_SHA256];
	blob_key_sign(&b->key, text, mac);
	buf_printf(out, "SharedKey %s:", b->account);
	base64_put(out, span_of(mac, sizeof(mac)));
}

/* ---- requests -------------------------------------------------------------------------
 */

static int
run(struct blob *b, const char *method, const char *name, const char *type,
    struct span body, struct buf *out, struct err *e)
{
	char date[CLOCK_TEXT], h_date[64];
	auto_buf target = BUF_INIT(8192), text = BUF_INIT(8192), auth = BUF_INIT(512);
	auto_buf ms = BUF_INIT(512);
	bool put = strcmp(method, "PUT") == 0;
	target.secret = auth.secret = true;
	clock_rfc1123(clock_wall_ms(&clock_system), date);
	snprintf(h_date, sizeof(h_date), "x-ms-date: %s", date);
	const char *const headers[] = {h_date, "x-ms-version: " VERSION,
	    put ? "x-ms-blob-type: BlockBlob" : NULL,
	    put ? "x-ms-blob-cache-control: " CACHE : NULL, NULL};
	if (put)
		buf_str(
		    &ms, "x-ms-blob-cache-control:" CACHE "\nx-ms-blob-type:BlockBlob\n");
	buf_printf(&ms, "x-ms-date:%s\nx-ms-version:" VERSION "\n", date);
	buf_printf(&target, "%s/%s", b->path, name);
	if (!b->sas[0]) {
		string_to_sign(b, method, type ? type : "", body.len, buf_text(&ms),
		    buf_text(&target), &text);
		sign(b, buf_span(&text), &auth);
	} else {
		buf_printf(&target, "?%s", b->sas);
	}
	if (buf_check(&target, "blob's name", e) || buf_check(&auth, "blob's name", e))
		return -1;
	const struct rest_request q = {.method = method,
	    .target = buf_text(&target),
	    .body = body,
	    .content_type = type,
	    .headers = headers,
	    .authorization = auth.len ? buf_text(&auth) : NULL};
	struct rest_response answer;
	if (rest_wait(b->rest, &q, out, &answer, e))
		return err_wrap(e, "blob %s", name);
	answer.body = SPAN_NONE; /* XML; the status says enough */
	return azure_check(&answer, name, e) ? err_wrap(e, "blob") : 0;
}

int
blob_get(struct blob *b, const char *name, struct buf *out, struct err *e)
{
	return run(b, "GET", name, NULL, SPAN_NONE, out, e);
}

int
blob_put(
    struct blob *b, const char *name, const char *type, struct span body, struct err *e)
{
	auto_buf out = BUF_INIT(65536);
	return run(b, "PUT", name, type, body, &out, e);
}

/* ---- life -----------------------------------------------------------------------------
 */

static int
take_url(struct blob *b, const char *url, struct buf *base, struct err *e)
{
	struct blob_url u;
	auto_buf a = BUF_INIT(256), p = BUF_INIT(1024);
	if (blob_url_parse(span_str(url), &u, e))
		return -1;
	buf_put_span(base, u.base);
	buf_put_span(&a, u.account);
	buf_put_span(&p, u.path);
	if (buf_check(&a, "account", e) || buf_check(&p, "container", e))
		return -1;
	b->account = own_strdup(buf_text(&a));
	b->path = own_strdup(buf_text(&p));
	return 0;
}

static int
take_secret(struct blob *b, struct span sas, struct span key, struct err *e)
{
	auto_buf text = BUF_INIT(4096);
	text.secret = true;
	sas = span_trim(sas);
	if (sas.len && sas.p[0] == '?')
		sas = span_skip(sas, 1);
	buf_put_span(&text, sas);
	if (buf_check(&text, "shared access signature", e))
		return -1;
	b->sas = own_strdup(buf_text(&text));
	return sas.len ? 0 : blob_key_parse(key, &b->key, e);
}

struct blob *
blob_new(struct loop *l, const char *container, struct span sas, struct span key,
    struct err *e)
{
	auto_(blob_free) struct blob *b = own_alloc(sizeof(*b));
	auto_buf base = BUF_INIT(1024);
	if (take_url(b, container, &base, e) || take_secret(b, sas, key, e))
		return NULL;
	const struct rest_opts o = {
	    .base = buf_text(&base), .timeout_ms = TIMEOUT_MS, .conns_max = 4};
	b->rest = rest_new(l, &o, e);
	return b->rest ? TAKE(b) : NULL;
}

void
blob_free(struct blob *b)
{
	if (!b)
		return;
	rest_free(b->rest);
	free(b->path);
	free(b->account);
	if (b->sas)
		own_wipe(b->sas, strlen(b->sas));
	free(b->sas);
	blob_key_wipe(&b->key);
	free(b);
}
