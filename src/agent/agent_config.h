#ifndef AGENT_AGENT_CONFIG_H
#define AGENT_AGENT_CONFIG_H
/*
 * The device agent's configuration: struct agent_config and its table, both made from
 * tbl/agent_config.def. A field is config->section.key; durations are
 * config->section.key_ms.
 */
#include "base/arena.h"
#include "codec/conf.h"

/* enum agent_config_key { AGENT_CONFIG_KEY_P256, ... } and so on, a row each. */
#define CFG_CHOICES(name, ...)     enum agent_config_##name{__VA_ARGS__};
#define CFG_CHOICE(constant, word) AGENT_CONFIG_##constant,
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

#define AGENT_CONFIG_FIELD_INT(key)      int64_t key
#define AGENT_CONFIG_FIELD_DURATION(key) int64_t key##_ms
#define AGENT_CONFIG_FIELD_TEXT(key)     const char *key

struct agent_config {
#define CFG_CHOICES(name, ...)
#define CFG_CHOICE(constant, word)
#define CFG_SECTION(section, help) struct {
#define CFG_END(section)                                                                 \
	}                                                                                \
	section;
#define CFG(section, key, type, def, min, max, reload, help)                             \
	AGENT_CONFIG_FIELD_##type(key);
#define CFG_ENUM(section, key, choices, def, reload, help)                               \
	int key; /* enum agent_config_choices */
#include "tbl/agent_config.def"
#undef CFG_CHOICES
#undef CFG_CHOICE
#undef CFG_SECTION
#undef CFG_END
#undef CFG
#undef CFG_ENUM
};

extern const struct conf_table agent_config_table;

/* Room for an agent.conf and the strings of its config. */
#define AGENT_CONFIG_FILE_MAX  (16 * 1024)
#define AGENT_CONFIG_ARENA_MAX (2 * CONF_FILE_MAX)

/* Every field from its default; strings live in a. */
void agent_config_defaults(struct agent_config *c, struct arena *a);
/* The rules that span keys: a usable device ID and ID scope, bounds in order. */
must_check int agent_config_check(const struct agent_config *c, struct err *e);
/* Reads and checks dir/agent.conf. config may be half set after a failure. */
must_check int agent_config_read(
    const char *dir, struct agent_config *c, struct arena *a, struct err *e);
/* The file's text, as "muster-agent init" and the lab write it. */
void agent_config_write(const struct agent_config *c, struct buf *out);

#endif
