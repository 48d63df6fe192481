#ifndef BASE_LOG_H
#define BASE_LOG_H
/*
 * The structured log: one line an event on stderr, logfmt or JSON, with the <N> priority
 * prefix that journald reads. A function either logs or returns its error, never both.
 * Secrets have no LOG_ macro; a value longer than 300 bytes is cut, control characters
 * are escaped, so a peer cannot forge a line.
 */
#include "base/err.h"
#include "base/span.h"

enum log_level { LOG_ERROR = 3, LOG_WARN = 4, LOG_INFO = 6, LOG_DEBUG = 7 };

struct log_field {
	const char *key;
	enum { LOG_KIND_TEXT, LOG_KIND_INT, LOG_KIND_ERR } kind;
	struct span text;
	int64_t num;
	const struct err *err;
};

#define LOG_STR(k, s)                                                                    \
	{                                                                                \
		.key = (k), .kind = LOG_KIND_TEXT, .text = span_str(s)                   \
	}
#define LOG_SPAN(k, s)                                                                   \
	{                                                                                \
		.key = (k), .kind = LOG_KIND_TEXT, .text = (s)                           \
	}
#define LOG_INT(k, v)                                                                    \
	{                                                                                \
		.key = (k), .kind = LOG_KIND_INT, .num = (int64_t)(v)                    \
	}
#define LOG_ERR(e)                                                                       \
	{                                                                                \
		.key = "error", .kind = LOG_KIND_ERR, .err = (e)                         \
	}

/* log_event(LOG_INFO, "hub.connect", LOG_STR("device", id), LOG_INT("code", 5)); */
#define log_event(level, event, ...)                                                     \
	log_write((level), (event), (const struct log_field[]){__VA_ARGS__},             \
	    sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

void log_write(
    enum log_level level, const char *event, const struct log_field *fields, size_t n);
/* Names the process in every line ("edge-0"); at most 15 characters. */
void log_role(const char *role);
void log_level(enum log_level at_most);
void log_json(bool on);
/* Where lines go, 2 unless told; -1 for nowhere. */
void log_fd(int fd);

#endif
