#ifndef CODEC_CONFIG_H
#define CODEC_CONFIG_H
/*
 * The server's configuration: struct config and its table, both made from tbl/config.def.
 * A field is config->section.key; durations are config->section.key_ms.
 */
#include "codec/conf.h"

/* enum config_profile { CONFIG_PROFILE_NATIVE, ... } and so on, a row each. */
#define CFG_CHOICES(name, ...)     enum config_##name{__VA_ARGS__};
#define CFG_CHOICE(constant, word) CONFIG_##constant,
#define CFG_SECTION(section, help)
#define CFG_END(section)
#define CFG(section, key, type, def, min, max, reload, help)
#define CFG_ENUM(section, key, choices, def, reload, help)
#include "tbl/config.def"
#undef CFG_CHOICES
#undef CFG_CHOICE
#undef CFG_SECTION
#undef CFG_END
#undef CFG
#undef CFG_ENUM

#define CONFIG_FIELD_BOOL(key)     bool key
#define CONFIG_FIELD_INT(key)      int64_t key
#define CONFIG_FIELD_DURATION(key) int64_t key##_ms
#define CONFIG_FIELD_SIZE(key)     size_t key
#define CONFIG_FIELD_TEXT(key)     const char *key
#define CONFIG_FIELD_LIST(key)     struct conf_list key

struct config {
#define CFG_CHOICES(name, ...)
#define CFG_CHOICE(constant, word)
#define CFG_SECTION(section, help) struct {
#define CFG_END(section)                                                                 \
	}                                                                                \
	section;
#define CFG(section, key, type, def, min, max, reload, help) CONFIG_FIELD_##type(key);
#define CFG_ENUM(section, key, choices, def, reload, help)                               \
	int key; /* enum config_choices */
#include "tbl/config.def"
#undef CFG_CHOICES
#undef CFG_CHOICE
#undef CFG_SECTION
#undef CFG_END
#undef CFG
#undef CFG_ENUM
};

extern const struct conf_table config_table;

/* Names of server and hub together: they stand in one certificate. */
#define CONFIG_NAMES_MAX 16
/* What no row can check by itself: names that are none or a hub without a dot, too many
 * of them. Whoever has read a configuration calls it before he acts on it. */
must_check int config_check(const struct config *c, struct err *e);

/* Appends where certificates say that CRLs, OCSP and issuers' certificates are to be had:
 * pki.public_url, else http with the first server.name and server.http_port; nothing
 * where that port is none or the system's choice, which no certificate can know. */
void config_public_url(const struct config *c, struct buf *out);

#endif
