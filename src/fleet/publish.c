/*
 * Publishing of CRLs and CA certificates.
 */
#include "fleet/publish.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "codec/ext.h"
#include "codec/js.h"
#include "crypto/crl.h"
#include "fleet/azure.h"
#include "fleet/blob.h"
#include "io/file.h"

#define LIST_MAX   (16u << 20) /* of one CRL */
#define INDEX_MAX  (8u << 20)
#define SECRET_MAX 4096
#define CAS_MAX    64

struct publish {
	char *dir;         /* NULL: a blob container */
	struct blob *blob; /* NULL: a directory */
};

/* ---- targets --------------------------------------------------------------------------
 */

static bool
is_url(const char *to)
{
	return span_has(span_str(to), ':') && strstr(to, "://");
}

static int
read_target(struct publish *p, const char *path, struct buf *out, struct err *e)
{
	auto_buf name = BUF_INIT(8192);
	if (p->blob)
		return blob_get(p->blob, path + 1, out, e);
	buf_printf(&name, "%s%s", p->dir, path);
	return buf_check(&name, "path", e) ? -1 : file_read(buf_text(&name), out, e);
}

static int
write_target(struct publish *p, const char *path, const char *type, struct span body,
    struct err *e)
{
	auto_buf name = BUF_INIT(8192), dir = BUF_INIT(8192);
	if (p->blob)
		return blob_put(p->blob, path + 1, type, body, e);
	buf_printf(&name, "%s%s", p->dir, path);
	if (buf_check(&name, "path", e))
		return -1;
	buf_put_span(&dir, span_head(buf_span(&name), span_rfind(buf_span(&name), '/')));
	if (file_mkdir(buf_text(&dir), 0755, e))
		return -1;
	return file_write(buf_text(&name), body, 0644, e);
}

/* ---- the look -------------------------------------------------------------------------
 */

/* The place that a path means: its full list's URL ends so. */
static int
check_place(const struct crl *c, const char *path, struct err *e)
{
	struct span p = span_str(path), tail = SPAN_LIT("-delta.crl");
	bool delta = span_ends(p, tail);
	bool whole = span_ends(p, SPAN_LIT("/all.crl"));
	auto_buf want = BUF_INIT(1024);
	buf_put_span(&want, delta ? span_head(p, p.len - tail.len) : p);
	buf_str(&want, delta ? ".crl" : "");
	if (delta != (c->base != 0) || whole != (c->url.len == 0) ||
	    (!whole && !span_ends(c->url, buf_span(&want))))
		return err_set(e, ERR_CONFLICT, "%s: it is the list of '%.*s'", path,
		    SPAN_FMT(c->url));
	return 0;
}

static int
check_number(const struct crl *c, const struct cert *ca, const char *path,
    struct span there, bool *ret_same, struct err *e)
{
	struct crl old;
	*ret_same = false;
	if (!there.p)
		return 0;
	if (crl_parse(there, &old, e) || crl_verify(&old, ca, e))
		return err_wrap(e, "%s: what lies there is not this CA's list", path);
	*ret_same = span_eq(there, c->der);
	if (*ret_same || c->number > old.number)
		return 0;
	return err_set(e, ERR_CONFLICT,
	    "%s: number %llu is not after %llu, which is there", path,
	    (unsigned long long)c->number, (unsigned long long)old.number);
}

int
publish_check(struct span der, const struct cert *ca, const char *path, struct span there,
    bool *ret_same, struct err *e)
{
	struct crl c;
	char url[EXT_URL_MAX + 1] = "";
	if (crl_parse(der, &c, e) || check_place(&c, path, e))
		return -1;
	if (c.url.len && !span_to_str(c.url, url, sizeof(url)))
		return err_set(e, ERR_PARSE, "%s: its URL is malformed", path);
	if (crl_fits(&c, ca, url[0] ? url : NULL, 0, e) || crl_verify(&c, ca, e))
		return err_wrap(e, "%s", path);
	return check_number(&c, ca, path, there, ret_same, e);
}

/* ---- a round --------------------------------------------------------------------------
 */

struct round {
	struct publish *p;
	struct rest *server;
	struct publish_report *report;
	struct buf *problems;
	struct cert *cas[CAS_MAX];
	size_t n_cas;
};

static void
round_done(struct round *r)
{
	for (size_t i = 0; i < r->n_cas; i++)
		cert_free(r->cas[i]);
}

static int
fetch(struct rest *server, const char *target, struct buf *out, struct err *e)
{
	struct rest_response answer;
	const struct rest_request q = {.method = "GET", .target = target};
	if (rest_wait(server, &q, out, &answer, e))
		return err_wrap(e, "%s", target);
	answer.body = buf_span(out);
	return azure_check(&answer, target, e);
}

static void
refuse(struct round *r, const struct err *why)
{
	if (!r->report->refused++)
		snprintf(r->report->first, sizeof(r->report->first), "%s", why->text);
	if (r->problems->len + sizeof(why->text) < r->problems->max)
		buf_printf(r->problems, "%s\n", why->text);
}

/* What the server should have and has not is one list's trouble; that it cannot be
 * reached is the round's. */
static int
pass_over(struct round *r, const struct err *why)
{
	switch (why->code) {
	case ERR_NOT_FOUND:
	case ERR_PARSE:
	case ERR_CONFLICT:
	case ERR_LIMIT:
		refuse(r, why);
		return 0;
	default:
		return -1;
	}
}

static struct cert *
known_ca(const struct round *r, const uint8_t sha256[DIGEST_SHA256])
{
	for (size_t i = 0; i < r->n_cas; i++)
		if (memcmp(r->cas[i]->sha256, sha256, DIGEST_SHA256) == 0)
			return r->cas[i];
	return NULL;
}

static int
publish_ca(struct round *r, const char *path, struct span der, struct err *e)
{
	auto_buf there = BUF_INIT(CERT_MAX);
	if (read_target(r->p, path, &there, e) && e->code != ERR_NOT_FOUND)
		return -1;
	if (span_eq(buf_span(&there), der)) {
		r->report->unchanged++;
		return 0;
	}
	r->report->written++;
	return write_target(r->p, path, "application/pkix-cert", der, e);
}

/* The certificate whose SHA-256 the list's row names, and no other of that name. */
static int
fetch_ca(struct round *r, const char *path, const uint8_t sha[DIGEST_SHA256],
    struct cert **ret, struct err *e)
{
	auto_buf der = BUF_INIT(CERT_MAX);
	if (fetch(r->server, path, &der, e))
		return -1;
	auto_(cert_free) struct cert *c = cert_parse(buf_span(&der), e);
	if (!c)
		return err_wrap(e, "%s", path);
	if (memcmp(c->sha256, sha, DIGEST_SHA256) != 0 || r->n_cas == CAS_MAX)
		return err_set(e, ERR_CONFLICT, "%s is not the CA of its list", path);
	*ret = TAKE(c);
	return 0;
}

/* *ret NULL: passed over. */
static int
find_ca(struct round *r, const char *name, const char *sha256_hex, struct cert **ret,
    struct err *e)
{
	uint8_t sha[DIGEST_SHA256];
	char path[128];
	struct cert *c = NULL;
	if (hex_parse(span_str(sha256_hex), sha, sizeof(sha), e))
		return -1;
	*ret = known_ca(r, sha);
	if (*ret)
		return 0;
	snprintf(path, sizeof(path), "/ca/%.64s.crt", name);
	if (fetch_ca(r, path, sha, &c, e))
		return pass_over(r, e);
	*ret = r->cas[r->n_cas++] = c;
	return publish_ca(r, path, c->der, e);
}

static int
publish_list(struct round *r, const struct cert *ca, const char *path, struct err *e)
{
	bool same;
	struct err why;
	auto_buf der = BUF_INIT(LIST_MAX), there = BUF_INIT(LIST_MAX);
	if (fetch(r->server, path, &der, e))
		return pass_over(r, e);
	bool found = read_target(r->p, path, &there, e) == 0;
	if (!found && e->code != ERR_NOT_FOUND)
		return -1;
	if (publish_check(buf_span(&der), ca, path, found ? buf_span(&there) : SPAN_NONE,
		&same, &why)) {
		refuse(r, &why);
		return 0;
	}
	if (same) {
		r->report->unchanged++;
		return 0;
	}
	r->report->written++;
	return write_target(r->p, path, "application/pkix-crl", buf_span(&der), e);
}

/* A path of ours and nothing that climbs out of the target. */
static bool
is_path(const char *path)
{
	struct span p = span_str(path);
	return span_starts(p, SPAN_LIT("/crl/")) && span_ends(p, SPAN_LIT(".crl")) &&
	       p.len < 200 && !strstr(path, "..") && !strchr(path, '?') &&
	       !strchr(path, '%');
}

static int
publish_row(struct round *r, const struct js *row, struct err *e)
{
	struct span path, name, sha;
	char p[200], n[65], s[65];
	struct cert *ca;
	if (js_need_str(row, "path", &path, e) || js_need_str(row, "issuer", &name, e) ||
	    js_need_str(row, "issuerSha256", &sha, e))
		return -1;
	if (!span_to_str(path, p, sizeof(p)) || !span_to_str(name, n, sizeof(n)) ||
	    !span_to_str(sha, s, sizeof(s)) || !is_path(p) || strchr(n, '/'))
		return err_set(e, ERR_PARSE, "the server's list of CRLs is malformed");
	if (find_ca(r, n, s, &ca, e))
		return -1;
	return ca ? publish_list(r, ca, p, e) : 0;
}

int
publish_run(struct publish *p, struct rest *server, struct publish_report *ret,
    struct buf *problems, struct err *e)
{
	auto_buf body = BUF_INIT(INDEX_MAX);
	*ret = (struct publish_report){0};
	__attribute__((cleanup(round_done))) struct round r = {
	    .p = p, .server = server, .report = ret, .problems = problems};
	if (fetch(server, "/muster/crl?api-version=" AZURE_API, &body, e))
		return -1;
	auto_(js_free) struct js *v = js_parse(buf_span(&body), INDEX_MAX, 8, e);
	const struct js *rows = js_get(v, "lists");
	if (!js_is(rows, JS_ARRAY))
		return err_set(e, ERR_PARSE, "the server's list of CRLs is malformed");
	for (size_t i = 0; i < js_len(rows); i++)
		if (publish_row(&r, js_at(rows, i), e))
			return -1;
	return 0;
}

/* ---- life -----------------------------------------------------------------------------
 */

static int
open_blob(struct publish *p, struct loop *l, const struct publish_opts *o, struct err *e)
{
	auto_buf secret = BUF_INIT(SECRET_MAX);
	bool sas = o->sas_file != NULL;
	if (sas == (o->key_file != NULL))
		return err_set(
		    e, ERR_USAGE, "a container wants --sas-file or --key-file");
	if (file_read_secret(sas ? o->sas_file : o->key_file, &secret, e))
		return -1;
	p->blob = blob_new(l, o->to, sas ? buf_span(&secret) : SPAN_NONE,
	    sas ? SPAN_NONE : buf_span(&secret), e);
	return p->blob ? 0 : -1;
}

struct publish *
publish_new(struct loop *l, const struct publish_opts *o, struct err *e)
{
	auto_(publish_free) struct publish *p = own_alloc(sizeof(*p));
	if (is_url(o->to))
		return open_blob(p, l, o, e) ? NULL : TAKE(p);
	if (o->sas_file || o->key_file) {
		err_set(e, ERR_USAGE, "a directory wants no --sas-file or --key-file");
		return NULL;
	}
	p->dir = own_strdup(o->to);
	return TAKE(p);
}

void
publish_free(struct publish *p)
{
	if (!p)
		return;
	free(p->dir);
	blob_free(p->blob);
	free(p);
}
