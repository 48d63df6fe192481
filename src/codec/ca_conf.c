/*
 * ca/issuers.conf as text. The lines are conf.c's.
 */
#include "codec/ca_conf.h"

#include <string.h>

#include "codec/conf.h"

_Static_assert(KEY_URI_MAX >= CONF_LINE_MAX, "a line holds no longer URI than is kept");

static const char *const purposes[CA_PURPOSE_N] = {[CA_ROOT] = "root",
    [CA_DEVICE] = "device",
    [CA_SERVICE] = "service",
    [CA_CROSS] = "cross"};

const char *
ca_conf_purpose_name(enum ca_purpose p)
{
	return purposes[p];
}

int
ca_conf_purpose_parse(struct span name, enum ca_purpose *ret, struct err *e)
{
	for (int i = 0; i < CA_PURPOSE_N; i++) {
		if (!span_eq_str(name, purposes[i]))
			continue;
		*ret = (enum ca_purpose)i;
		return 0;
	}
	return err_set(e, ERR_PARSE,
	    "purpose '%.*s' is none of root, device, service, cross",
	    SPAN_FMT(span_head(name, 40)));
}

static bool
is_made_of(struct span s, const char *letters)
{
	for (size_t i = 0; i < s.len; i++)
		if (!s.p[i] || !strchr(letters, s.p[i]))
			return false;
	return s.len > 0;
}

bool
ca_conf_is_name(struct span name)
{
	return name.len <= CA_CONF_NAME_MAX &&
	       is_made_of(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
}

/* One name without a directory: nothing outside ca/ is ever named. */
static bool
is_file(struct span name)
{
	return name.len <= CA_CONF_FILE_MAX && name.len && name.p[0] != '.' &&
	       is_made_of(name,
		   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
}

void
ca_conf_defaults(struct ca_conf *ret)
{
	static const struct ca_conf_row rows[] = {
	    {"root", CA_ROOT, "root.pem", ""},
	    {"device-ca", CA_DEVICE, "device-ca.pem", "file:device-ca.key"},
	    {"service-ca", CA_SERVICE, "service-ca.pem", "file:service-ca.key"},
	};
	memset(ret, 0, sizeof(*ret));
	ret->n = sizeof(rows) / sizeof(rows[0]);
	memcpy(ret->rows, rows, sizeof(rows));
}

const struct ca_conf_row *
ca_conf_find(const struct ca_conf *c, struct span name)
{
	for (size_t i = 0; i < c->n; i++)
		if (span_eq_str(name, c->rows[i].name))
			return &c->rows[i];
	return NULL;
}

/* ---- reading --------------------------------------------------------------------------
 */

/* A row under way: what its section has set. */
struct reading {
	struct ca_conf *c;
	bool has_purpose[CA_CONF_MAX];
};

static int
find_row(struct reading *r, struct span section, size_t *ret_at, struct err *e)
{
	const struct ca_conf_row *known = ca_conf_find(r->c, section);
	if (known) {
		*ret_at = (size_t)(known - r->c->rows);
		return 0;
	}
	if (!ca_conf_is_name(section))
		return err_set(e, ERR_PARSE,
		    "'%.*s' is no name of a CA: 1 to %d of a-z, 0-9 and '-'",
		    SPAN_FMT(span_head(section, 40)), CA_CONF_NAME_MAX);
	if (r->c->n == CA_CONF_MAX)
		return err_set(e, ERR_LIMIT, "more than %d CAs", CA_CONF_MAX);
	*ret_at = r->c->n++;
	struct ca_conf_row *row = &r->c->rows[*ret_at];
	memset(row, 0, sizeof(*row));
	memcpy(row->name, section.p, section.len);
	return 0;
}

static int
set_text(char *field, size_t size, struct span value, const char *key, struct err *e)
{
	if (field[0])
		return err_set(e, ERR_PARSE, "%s is set twice", key);
	if (!span_to_str(value, field, size))
		return err_set(e, ERR_LIMIT, "%s is too long", key);
	return 0;
}

static int
set_cert(struct ca_conf_row *row, struct span value, struct err *e)
{
	if (!is_file(value))
		return err_set(e, ERR_PARSE, "cert '%.*s' is no file name under ca/",
		    SPAN_FMT(span_head(value, 40)));
	return set_text(row->cert, sizeof(row->cert), value, "cert", e);
}

static int
set_key(struct ca_conf_row *row, struct span value, struct err *e)
{
	struct key_uri uri;
	/* "key =;x" is read as a value, and would be written as a comment */
	if (span_has(span_head(value, 1), ';'))
		return err_set(e, ERR_PARSE, "key begins with ';'");
	if (key_uri_parse(value, &uri, e))
		return err_wrap(e, "key");
	return set_text(row->key, sizeof(row->key), value, "key", e);
}

static int
on_line(void *arg, struct span section, struct span key, struct span value, struct err *e)
{
	struct reading *r = arg;
	size_t at = 0;
	if (find_row(r, section, &at, e))
		return -1;
	struct ca_conf_row *row = &r->c->rows[at];
	if (span_eq_str(key, "cert"))
		return set_cert(row, value, e);
	if (span_eq_str(key, "key"))
		return set_key(row, value, e);
	if (!span_eq_str(key, "purpose"))
		return err_set(e, ERR_PARSE, "%s: '%.*s' is none of purpose, cert, key",
		    row->name, SPAN_FMT(span_head(key, 40)));
	if (r->has_purpose[at])
		return err_set(e, ERR_PARSE, "purpose is set twice");
	r->has_purpose[at] = true;
	return ca_conf_purpose_parse(value, &row->purpose, e);
}

int
ca_conf_parse(struct span text, struct ca_conf *ret, struct err *e)
{
	struct ca_conf *c = own_alloc(sizeof(*c));
	struct reading r = {.c = c};
	int rc = conf_each(text, on_line, &r, e);
	for (size_t i = 0; rc == 0 && i < c->n; i++)
		if (!r.has_purpose[i] || !c->rows[i].cert[0])
			rc = err_set(e, ERR_PARSE, "%s: purpose and cert are needed",
			    c->rows[i].name);
	if (rc == 0 && c->n == 0)
		rc = err_set(e, ERR_PARSE, "no CA in it");
	if (rc == 0)
		*ret = *c;
	free(c);
	return rc;
}

/* ---- writing --------------------------------------------------------------------------
 */

static void
write_row(const struct ca_conf_row *row, struct buf *out)
{
	buf_printf(out, "%s[%s]\npurpose = %s\ncert = %s\n", out->len ? "\n" : "",
	    row->name, purposes[row->purpose], row->cert);
	if (row->key[0])
		buf_printf(out, "key = %s\n", row->key);
}

void
ca_conf_write(const struct ca_conf *c, struct buf *out)
{
	for (size_t i = 0; i < c->n; i++)
		write_row(&c->rows[i], out);
}

int
ca_conf_add(struct ca_conf *c, const struct ca_conf_row *row, struct err *e)
{
	auto_buf text = BUF_INIT(2 * KEY_URI_MAX);
	struct ca_conf *one = own_alloc(sizeof(*one));
	write_row(row, &text);
	int rc = ca_conf_parse(buf_span(&text), one, e);
	if (rc == 0 && (one->n != 1 || strcmp(one->rows[0].key, row->key) != 0))
		rc = err_set(e, ERR_PARSE, "%s: its key cannot stand in a line",
		    one->rows[0].name);
	if (rc == 0 && ca_conf_find(c, span_str(row->name)))
		rc = err_set(e, ERR_EXISTS, "there is a CA '%s' already", row->name);
	if (rc == 0 && c->n == CA_CONF_MAX)
		rc = err_set(e, ERR_LIMIT, "more than %d CAs", CA_CONF_MAX);
	if (rc == 0)
		c->rows[c->n++] = one->rows[0];
	free(one);
	return rc;
}

/* ---- keys in tokens -------------------------------------------------------------------
 */

bool
ca_conf_is_token(const char *key_uri)
{
	struct key_uri uri;
	return key_uri[0] && key_uri_parse(span_str(key_uri), &uri, NULL) == 0 &&
	       uri.kind != KEY_URI_FILE;
}

bool
ca_conf_has_token(const struct ca_conf *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (ca_conf_is_token(c->rows[i].key))
			return true;
	return false;
}
