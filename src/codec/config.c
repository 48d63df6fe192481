/*
 * The table of struct config, from tbl/config.def, and the rules between its rows.
 */
#include "codec/config.h"

#include <inttypes.h>
#include <string.h>

#include "codec/blob_url.h"
#include "codec/ext.h"
#include "codec/hub_conf.h"
#include "codec/id.h"
#include "codec/key_uri.h"

#define CFG_CHOICES(name, ...)                                                           \
	static const char *const name##_words[] = {__VA_ARGS__ NULL};
#define CFG_CHOICE(constant, word) word,
#define CFG_SECTION(section, help)
#define CFG_END(section)
#define CFG(section, key, type, def, min, max, reload, help)
#define CFG_ENUM(section, key, choices, def, reload, help)
#include "tbl/config.def"
#undef CFG_CHOICES
#undef CFG_CHOICE
#undef CFG
#undef CFG_ENUM

#define FIELD_BOOL(key)     key
#define FIELD_INT(key)      key
#define FIELD_DURATION(key) key##_ms
#define FIELD_SIZE(key)     key
#define FIELD_TEXT(key)     key
#define FIELD_LIST(key)     key

static const struct conf_key keys[] = {
#define CFG_CHOICES(name, ...)
#define CFG_CHOICE(constant, word)
#define CFG(section_, key_, type_, def_, min_, max_, reload_, help_)                     \
	{.name = #section_ "." #key_,                                                    \
	    .type = CONF_##type_,                                                        \
	    .offset = offsetof(struct config, section_.FIELD_##type_(key_)),             \
	    .min = min_,                                                                 \
	    .max = max_,                                                                 \
	    .def = def_,                                                                 \
	    .help = help_,                                                               \
	    .reload = reload_},
#define CFG_ENUM(section_, key_, choices_, def_, reload_, help_)                         \
	{.name = #section_ "." #key_,                                                    \
	    .type = CONF_ENUM,                                                           \
	    .offset = offsetof(struct config, section_.key_),                            \
	    .words = choices_##_words,                                                   \
	    .def = def_,                                                                 \
	    .help = help_,                                                               \
	    .reload = reload_},
#include "tbl/config.def"
};

const struct conf_table config_table = {keys, sizeof(keys) / sizeof(keys[0])};

struct names {
	struct span v[CONFIG_NAMES_MAX];
	size_t n;
};

static int
add_name(struct names *all, const char *key, struct span name, struct err *e)
{
	if (!id_is_host(name))
		return err_set(e, ERR_PARSE, "%s: '%.*s' is no host name or address", key,
		    SPAN_FMT(name));
	for (size_t i = 0; i < all->n; i++)
		if (span_ieq(name, all->v[i]))
			return 0;
	if (all->n == CONFIG_NAMES_MAX)
		return err_set(e, ERR_LIMIT,
		    "server.name, hub.name and hub.alias: over %d names, which one "
		    "certificate must hold",
		    CONFIG_NAMES_MAX);
	all->v[all->n++] = name;
	return 0;
}

static int
check_url(const char *url, struct err *e)
{
	if (!url[0] || (ext_is_url(span_str(url)) &&
			   span_starts(span_str(url), SPAN_LIT("http://"))))
		return 0;
	/* https would need a certificate that is looked up there (RFC 5280 section 8) */
	return err_set(e, ERR_PARSE, "pki.public_url: '%s' is no http:// URL", url);
}

/* The words of crypto/key.h, which is above here. */
static int
check_custody(const char *word, struct err *e)
{
	static const char *const words[] = {"file", "pkcs11", "tpm2"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(word, words[i]) == 0)
			return 0;
	return err_set(
	    e, ERR_PARSE, "pki.custody: '%s' is none of file, pkcs11, tpm2", word);
}

/* A file would be no better than the fresh key of each day, and readable by others. */
static int
check_tls_key(const char *text, struct err *e)
{
	struct key_uri u;
	if (!text[0])
		return 0;
	if (key_uri_parse(span_str(text), &u, e))
		return err_wrap(e, "server.tls_key");
	if (u.kind == KEY_URI_FILE)
		return err_set(e, ERR_PARSE,
		    "server.tls_key: a pkcs11: or tpm2: key; empty for one in memory");
	return 0;
}

/* Devices build an https URL of what they are told, whatever the scheme here. */
static int
check_upload(const struct config *c, struct err *e)
{
	struct blob_url u;
	const char *url = c->hub.upload_container;
	if (!url[0])
		return 0;
	if (blob_url_parse(span_str(url), &u, e))
		return err_wrap(e, "hub.upload_container");
	if (!u.is_https)
		return err_set(
		    e, ERR_PARSE, "hub.upload_container: '%s' is not https://", url);
	if (!c->hub.upload_key_file[0])
		return err_set(
		    e, ERR_PARSE, "hub.upload_key_file is wanted with a container");
	return 0;
}

int
config_check(const struct config *c, struct err *e)
{
	struct names all = {.n = 0};
	if (check_url(c->pki.public_url, e) || check_tls_key(c->server.tls_key, e) ||
	    check_upload(c, e))
		return -1;
	for (size_t i = 0; i < c->pki.custody.n; i++)
		if (check_custody(c->pki.custody.v[i], e))
			return -1;
	for (size_t i = 0; i < c->server.name.n; i++)
		if (add_name(&all, "server.name", span_str(c->server.name.v[i]), e))
			return -1;
	for (size_t i = 0; i < c->hub.name.n; i++) {
		const char *name = c->hub.name.v[i];
		if (add_name(&all, "hub.name", span_str(name), e))
			return -1;
		if (!strchr(name, '.'))
			return err_set(e, ERR_PARSE,
			    "hub.name: '%s' has no dot; some device SDKs refuse such a "
			    "name",
			    name);
	}
	for (size_t i = 0; i < c->hub.alias.n; i++)
		if (add_name(&all, "hub.alias", hub_conf_alias(c->hub.alias.v[i]), e))
			return -1;
	return hub_conf_check(c, e);
}

void
config_public_url(const struct config *c, struct buf *out)
{
	struct span url = span_str(c->pki.public_url);
	while (url.len && url.p[url.len - 1] == '/')
		url.len--;
	buf_put_span(out, url);
	if (url.len || c->server.http_port <= 0)
		return;
	const char *name = c->server.name.v[0];
	buf_printf(out, strchr(name, ':') ? "http://[%s]" : "http://%s", name);
	if (c->server.http_port != 80)
		buf_printf(out, ":%" PRId64, c->server.http_port);
}
