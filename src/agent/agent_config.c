/*
 * The agent's configuration table, from tbl/agent_config.def, and the rules between keys.
 */
#include "agent/agent_config.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>

#include "codec/id.h"
#include "codec/key_uri.h"
#include "io/file.h"

#define CFG_CHOICES(name, ...)                                                           \
	static const char *const words_##name[] = {__VA_ARGS__ NULL};
#define CFG_CHOICE(constant, word) word,
#define CFG_SECTION(section, help)
#define CFG_END(section)
#define CFG(section, key, type, def, min, max, reload, help)
#define CFG_ENUM(section, key, choices, def, reload, help)
#include "tbl/agent_config.def"
#undef CFG_CHOICES
#undef CFG_CHOICE
#undef CFG_SECTION
#undef CFG_END
#undef CFG
#undef CFG_ENUM

#define FIELD_INT(key)      key
#define FIELD_DURATION(key) key##_ms
#define FIELD_TEXT(key)     key

static const struct conf_key keys[] = {
#define CFG_CHOICES(name, ...)
#define CFG_CHOICE(constant, word)
#define CFG_SECTION(section, help)
#define CFG_END(section)
#define CFG(sec, key, type, def, min, max, reload, help)                                 \
	{#sec "." #key, CONF_##type,                                                     \
	    offsetof(struct agent_config, sec.FIELD_##type(key)), min, max, def, NULL,   \
	    help, reload, false},
#define CFG_ENUM(sec, key, choices, def, reload, help)                                   \
	{#sec "." #key, CONF_ENUM, offsetof(struct agent_config, sec.key), 0, 0, def,    \
	    words_##choices, help, reload, false},
#include "tbl/agent_config.def"
#undef CFG_CHOICES
#undef CFG_CHOICE
#undef CFG_SECTION
#undef CFG_END
#undef CFG
#undef CFG_ENUM
};

const struct conf_table agent_config_table = {keys, sizeof(keys) / sizeof(keys[0])};

void
agent_config_defaults(struct agent_config *c, struct arena *a)
{
	conf_defaults(&agent_config_table, c, a);
}

int
agent_config_check(const struct agent_config *c, struct err *e)
{
	if (!id_is_registration(span_str(c->device.id)))
		return err_set(e, ERR_PARSE,
		    "device.id \"%s\": not a registration ID (letters, digits and - . _ "
		    ":, a "
		    "letter, digit or dash last)",
		    c->device.id);
	if (c->hub.host[0] ? !id_is_host(span_str(c->hub.host))
			   : !id_is_scope(span_str(c->dps.id_scope)))
		return err_set(e, ERR_PARSE,
		    "dps.id_scope or hub.host: neither an ID scope nor a hub to connect "
		    "to");
	if (!id_is_host(span_str(c->dps.host)))
		return err_set(e, ERR_PARSE, "dps.host \"%s\": not a host", c->dps.host);
	struct key_uri u;
	if (c->auth.key_uri[0] && key_uri_parse(span_str(c->auth.key_uri), &u, e))
		return err_wrap(e, "auth.key_uri");
	if (c->auth.key_uri[0] && u.kind == KEY_URI_FILE)
		return err_set(e, ERR_PARSE,
		    "auth.key_uri: a token (pkcs11:) or TPM (tpm2:) is wanted; files "
		    "need "
		    "none");
	if (c->est.host[0] && !id_is_host(span_str(c->est.host)))
		return err_set(e, ERR_PARSE, "est.host \"%s\": not a host", c->est.host);
	if (c->renew.retry_max_ms < c->renew.retry_min_ms)
		return err_set(e, ERR_PARSE, "renew.retry_max is below renew.retry_min");
	if (c->agent.backoff_max_ms < c->agent.backoff_min_ms)
		return err_set(
		    e, ERR_PARSE, "agent.backoff_max is below agent.backoff_min");
	if (c->agent.refused_max_ms < c->agent.refused_min_ms)
		return err_set(
		    e, ERR_PARSE, "agent.refused_max is below agent.refused_min");
	return 0;
}

int
agent_config_read(const char *dir, struct agent_config *c, struct arena *a, struct err *e)
{
	char path[PATH_MAX];
	if ((size_t)snprintf(path, sizeof(path), "%s/agent.conf", dir) >= sizeof(path))
		return err_set(e, ERR_LIMIT, "%s: path too long", dir);
	auto_buf text = BUF_INIT(AGENT_CONFIG_FILE_MAX);
	if (file_read(path, &text, e))
		return -1;
	agent_config_defaults(c, a);
	if (conf_parse(&agent_config_table, buf_span(&text), c, a, e) ||
	    agent_config_check(c, e))
		return err_wrap(e, "%s", path);
	return 0;
}

void
agent_config_write(const struct agent_config *c, struct buf *out)
{
	conf_dump(&agent_config_table, c, out);
}
