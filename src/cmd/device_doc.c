/*
 * Documents of identities.
 */
#include "cmd/device_doc.h"

#include <string.h>

#include "base/hex.h"
#include "codec/js.h"
#include "crypto/cert.h"
#include "fleet/azure.h"
#include "io/file.h"

#define THUMB_MAX 64

size_t
device_doc_rows(struct device_doc *d, struct opt *rows)
{
	const struct opt all[DEVICE_DOC_ROWS] = {
	    {"auth", "TYPE", OPT_TEXT, &d->auth,
		"sas (new ones; the hub makes the keys), selfSigned, ca"},
	    {"thumbprint", "HEX", OPT_TEXT, &d->thumb,
		"selfSigned: of its certificate, SHA-256 or SHA-1"},
	    {"second-thumbprint", "HEX", OPT_TEXT, &d->second,
		"selfSigned: of its next certificate"},
	    {"device-cert", "FILE", OPT_TEXT, &d->cert,
		"selfSigned: its certificate, PEM, instead of the thumbprint"},
	    {"edge", "YES", OPT_TEXT, &d->edge, "yes or no: an IoT Edge device"},
	    {"reason", "TEXT", OPT_TEXT, &d->reason, "of its status"},
	};
	memcpy(rows, all, sizeof(all));
	return DEVICE_DOC_ROWS;
}

/* openssl writes colons between the bytes, and the portal takes them away. */
static int
put_thumb(
    struct js *o, const char *key, const char *text, const char *option, struct err *e)
{
	char hex[THUMB_MAX + 1];
	size_t n = 0;
	for (const char *p = text; p && *p; p++) {
		if (*p == ':')
			continue;
		if (n == THUMB_MAX || !strchr("0123456789abcdefABCDEF", *p))
			return err_set(e, ERR_USAGE,
			    "%s: 40 (SHA-1) or 64 (SHA-256) hex digits are wanted",
			    option);
		hex[n++] = *p;
	}
	hex[n] = '\0';
	if (text && n != 40 && n != THUMB_MAX)
		return err_set(e, ERR_USAGE,
		    "%s: 40 (SHA-1) or 64 (SHA-256) hex digits are wanted", option);
	js_set_text(o, key, text ? hex : NULL);
	return 0;
}

/* The SHA-256 of the first certificate of a file: the leaf. */
static int
thumb_of_file(const char *path, struct arena *a, const char **ret, struct err *e)
{
	auto_buf text = BUF_INIT(CERT_PEM_MAX), hex = BUF_INIT(THUMB_MAX + 1);
	struct cert_list l = {0};
	if (file_read(path, &text, e) || cert_list_parse(buf_span(&text), path, &l, e))
		return -1;
	hex_put(&hex, span_of(l.v[0]->sha256, sizeof(l.v[0]->sha256)));
	cert_list_done(&l);
	*ret = arena_str(a, buf_span(&hex));
	return 0;
}

static const char *
auth_type(const char *word)
{
	static const char *const types[][2] = {{"sas", "sas"},
	    {"selfSigned", "selfSigned"}, {"ca", "certificateAuthority"},
	    {"certificateAuthority", "certificateAuthority"}};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(word, types[i][0]) == 0)
			return types[i][1];
	return NULL;
}

static const char *
first_thumb(const struct js *v)
{
	return js_as_text(js_get(
	    js_get(js_get(v, "authentication"), "x509Thumbprint"), "primaryThumbprint"));
}

static int
check_fit(const struct device_doc *d, const struct js *v, const char *type, struct err *e)
{
	bool by_thumb = strcmp(type, "selfSigned") == 0;
	bool has_thumb = d->thumb || d->cert;
	bool stays = d->second && first_thumb(v)[0];
	if (d->cert && d->thumb)
		return err_set(e, ERR_USAGE,
		    "--device-cert gives the thumbprint: no --thumbprint too");
	if (d->new_keys && strcmp(type, "sas") != 0)
		return err_set(e, ERR_USAGE, "--new-keys is for --auth sas");
	if (by_thumb && !has_thumb && !stays)
		return err_set(e, ERR_USAGE,
		    "--auth selfSigned wants --thumbprint or --device-cert");
	if (!by_thumb && (has_thumb || d->second))
		return err_set(e, ERR_USAGE,
		    "--thumbprint, --second-thumbprint and --device-cert are for "
		    "--auth selfSigned");
	return 0;
}

/* A second one alone leaves the first: the next certificate, made known beforehand. */
static int
set_thumbs(const struct device_doc *d, const char *first, struct js *auth,
    struct arena *a, struct err *e)
{
	const char *thumb = d->thumb ? d->thumb : first;
	struct js *thumbs = js_object();
	js_set(auth, "x509Thumbprint", thumbs);
	if (d->cert && thumb_of_file(d->cert, a, &thumb, e))
		return -1;
	if (put_thumb(thumbs, "primaryThumbprint", thumb, "--thumbprint", e))
		return -1;
	return put_thumb(
	    thumbs, "secondaryThumbprint", d->second, "--second-thumbprint", e);
}

static int
set_edge(struct js *v, const char *word, struct err *e)
{
	struct js *capabilities = js_object();
	js_set(v, "capabilities", capabilities);
	if (strcmp(word, "yes") != 0 && strcmp(word, "no") != 0)
		return err_set(e, ERR_USAGE, "--edge %s: yes or no", word);
	js_set_bool(capabilities, "iotEdge", strcmp(word, "yes") == 0);
	return 0;
}

static bool
is_on_sas(const struct js *v)
{
	return strcmp(azure_auth_type(v), "sas") == 0;
}

static int
set_auth(const struct device_doc *d, struct js *v, struct arena *a,
    enum device_doc_keys *ret, struct err *e)
{
	const char *was = js_get(v, "authentication") ? azure_auth_type(v) : "sas";
	const char *word = d->auth ? d->auth : was;
	const char *type = auth_type(word);
	if (!type)
		return err_set(e, ERR_USAGE, "--auth %s: sas, selfSigned or ca", word);
	if (check_fit(d, v, type, e))
		return -1;
	bool sas = strcmp(type, "sas") == 0;
	*ret = sas ? DEVICE_DOC_KEYS_MADE : DEVICE_DOC_KEYS_NO_MATTER;
	if (sas && is_on_sas(v) && !d->new_keys) {
		*ret = DEVICE_DOC_KEYS_STAY;
		return 0;
	}
	const char *first = arena_str(a, span_str(first_thumb(v)));
	struct js *auth = js_object();
	js_set(v, "authentication", auth);
	js_set_text(auth, "type", type);
	return strcmp(type, "selfSigned") == 0 ? set_thumbs(d, first, auth, a, e) : 0;
}

int
device_doc_apply(const struct device_doc *d, struct js *v, struct arena *a,
    enum device_doc_keys *ret, struct err *e)
{
	*ret = DEVICE_DOC_KEYS_NO_MATTER;
	bool says_auth = d->auth || d->thumb || d->cert || d->second || d->new_keys;
	if (says_auth && set_auth(d, v, a, ret, e))
		return -1;
	if (d->reason && js_set_str(v, "statusReason", span_str(d->reason), e))
		return err_wrap(e, "--reason");
	return d->edge ? set_edge(v, d->edge, e) : 0;
}
