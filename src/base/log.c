/*
 * The structured log. One write(2) a line, so lines of several processes do not mix.
 */
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

#define VALUE_MAX 300
#define LINE_MAX_ 4000

static struct {
	char role[16];
	enum log_level at_most;
	bool json;
	int fd;
} state = {"muster", LOG_INFO, false, STDERR_FILENO};

void
log_role(const char *role)
{
	snprintf(state.role, sizeof(state.role), "%s", role);
}

void
log_level(enum log_level at_most)
{
	state.at_most = at_most;
}

void
log_json(bool on)
{
	state.json = on;
}

void
log_fd(int fd)
{
	state.fd = fd;
}

static bool
is_plain(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == '"' || s.p[i] == '=' ||
		    s.p[i] == '\\')
			return false;
	return s.len > 0;
}

static void
put_quoted(struct buf *b, struct span s)
{
	buf_u8(b, '"');
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];
		if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else if (c < ' ' || c == 0x7f)
			buf_printf(b, "\\u%04x", c);
		else
			buf_u8(b, c);
	}
	buf_u8(b, '"');
}

static void
put_text(struct buf *b, const char *key, struct span s)
{
	s = span_head(s, VALUE_MAX);
	if (state.json)
		buf_printf(b, ",\"%s\":", key);
	else
		buf_printf(b, " %s=", key);
	if (!state.json && is_plain(s))
		buf_put_span(b, s);
	else
		put_quoted(b, s);
}

static void
put_field(struct buf *b, const struct log_field *f)
{
	switch (f->kind) {
	case LOG_KIND_TEXT:
		put_text(b, f->key, f->text);
		break;
	case LOG_KIND_INT:
		buf_printf(
		    b, state.json ? ",\"%s\":%" PRId64 : " %s=%" PRId64, f->key, f->num);
		break;
	case LOG_KIND_ERR:
		put_text(b, f->key, span_str(f->err->text));
		put_text(b, "class", span_str(err_row(f->err->code)->name));
		if (f->err->where)
			put_text(b, "where", span_str(f->err->where));
		break;
	}
}

void
log_write(
    enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
	if (level > state.at_most || state.fd < 0)
		return;
	char now[CLOCK_TEXT];
	clock_iso(clock_wall_ms(&clock_system), 3, now);
	auto_buf b = BUF_INIT(LINE_MAX_);
	buf_printf(&b,
	    state.json ? "<%d>{\"ts\":\"%s\",\"role\":\"%s\",\"event\":\"%s\""
		       : "<%d>ts=%s role=%s event=%s",
	    level, now, state.role, event);
	for (size_t i = 0; i < n; i++)
		put_field(&b, &fields[i]);
	b.bad = false; /* an overlong line is cut, not lost */
	b.max = LINE_MAX_ + 8;
	buf_str(&b, state.json ? "}\n" : "\n");
	ssize_t ignored = write(state.fd, b.p, b.len);
	(void)ignored;
}
