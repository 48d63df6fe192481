/*
 * The table of struct config, from tbl/config.def.
 */
#include "codec/config.h"

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
