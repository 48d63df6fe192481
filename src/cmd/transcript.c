/*
 * Transcripts of ceremonies.
 */
#include "cmd/transcript.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/num.h"
#include "codec/uri.h"
#include "crypto/digest.h"
#include "io/file.h"

#define FILE_MAX_ (256u << 20) /* a program, at most */
#define TEXT_MAX  (4u << 20)
#define LINE_MAX_ 16384
#define PATH_MAX_ 4300
#define NOTHING   "0000000000000000000000000000000000000000000000000000000000000000"

struct transcript {
	char dir[PATH_MAX_];
	struct buf line;
	char prev[65];
};

static int
path_in(const char *dir, const char *file, char ret[PATH_MAX_], struct err *e)
{
	int n = snprintf(ret, PATH_MAX_, "%s/%s", dir, file);
	if (n < 0 || n >= PATH_MAX_)
		return err_set(e, ERR_LIMIT, "path too long: %s/%s", dir, file);
	return 0;
}

int
transcript_hash(const char *path, char ret[65], struct err *e)
{
	uint8_t sha[DIGEST_SHA256];
	auto_buf text = BUF_INIT(FILE_MAX_);
	if (file_read(path, &text, e))
		return -1;
	digest_sha256(buf_span(&text), sha);
	hex_write(span_of(sha, sizeof(sha)), ret);
	return 0;
}

int
transcript_program(char ret[65], struct err *e)
{
	return transcript_hash("/proc/self/exe", ret, e);
}

/* ---- reading --------------------------------------------------------------------------
 */

static void
hash_of(struct span s, char ret[65])
{
	uint8_t sha[DIGEST_SHA256];
	digest_sha256(s, sha);
	hex_write(span_of(sha, sizeof(sha)), ret);
}

/* The last word of a line, and what is before it with its space. */
static struct span
cut_last(struct span *line)
{
	size_t n = line->len;
	while (n && line->p[n - 1] != ' ')
		n--;
	struct span word = span_skip(*line, n);
	*line = span_head(*line, n);
	return word;
}

/* What is shown goes to a terminal, which control characters could make show another
 * transcript. */
static bool
has_control(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			return true;
	return false;
}

static int
decode(struct span word, struct buf *out, struct err *e)
{
	if (uri_decode(word, out, e) || buf_check(out, "field", e))
		return -1;
	if (has_control(buf_span(out)))
		return err_set(e, ERR_CORRUPT, "it holds control characters");
	return 0;
}

static int
show_fields(struct span rest, int64_t seq, const char *verb, transcript_visit *visit,
    void *arg, struct err *e)
{
	while (rest.len) {
		struct span value = span_split(&rest, ' ');
		struct span name = span_split(&value, '=');
		auto_buf n = BUF_INIT(LINE_MAX_), v = BUF_INIT(LINE_MAX_);
		if (!name.len)
			continue;
		if (decode(name, &n, e) || decode(value, &v, e) ||
		    visit(arg, seq, verb, buf_text(&n), buf_text(&v), e))
			return -1;
	}
	return 0;
}

static int
check_line(struct span line, int64_t seq, char prev[65], transcript_visit *visit,
    void *arg, struct err *e)
{
	char hash[65], verb[32];
	int64_t number;
	struct span body = line, word = cut_last(&body);
	hash_of(body, hash);
	if (!span_eq_str(word, hash))
		return err_set(e, ERR_CORRUPT, "its hash is another");
	struct span fields = span_head(body, body.len ? body.len - 1 : 0);
	if (!span_eq_str(cut_last(&fields), prev))
		return err_set(e, ERR_CORRUPT, "it does not follow the line before");
	snprintf(prev, 65, "%s", hash);
	if (!span_eq_str(span_split(&fields, ' '), "v1") ||
	    num_parse(span_split(&fields, ' '), 1, TRANSCRIPT_LINES, &number, e) ||
	    number != seq)
		return err_set(e, ERR_CORRUPT, "its number is another");
	struct span when = span_split(&fields, ' ');
	if (!span_to_str(span_split(&fields, ' '), verb, sizeof(verb)) || !when.len ||
	    has_control(line))
		return err_set(e, ERR_CORRUPT, "it cannot be read");
	return visit ? show_fields(fields, seq, verb, visit, arg, e) : 0;
}

int
transcript_verify_text(struct span text, transcript_visit *visit, void *arg,
    int64_t *ret_lines, char ret_head[65], struct err *e)
{
	char prev[65] = NOTHING;
	int64_t seq = 0;
	while (text.len) {
		struct span line = span_split(&text, '\n');
		if (check_line(line, ++seq, prev, visit, arg, e))
			return err_wrap(e, "line %" PRId64, seq);
	}
	*ret_lines = seq;
	snprintf(ret_head, 65, "%s", prev);
	return 0;
}

int
transcript_verify(const char *dir, transcript_visit *visit, void *arg, int64_t *ret_lines,
    char ret_head[65], struct err *e)
{
	char path[PATH_MAX_];
	auto_buf text = BUF_INIT(TEXT_MAX);
	if (path_in(dir, TRANSCRIPT_FILE, path, e) || file_read(path, &text, e))
		return -1;
	if (transcript_verify_text(buf_span(&text), visit, arg, ret_lines, ret_head, e))
		return err_wrap(e, "%s", path);
	return 0;
}

/* ---- writing --------------------------------------------------------------------------
 */

struct transcript *
transcript_begin(
    const char *dir, const char *verb, const char *const *who, int n_who, struct err *e)
{
	char path[PATH_MAX_], when[CLOCK_TEXT], program[65];
	int64_t lines = 0;
	auto_(transcript_free) struct transcript *t = own_alloc(sizeof(*t));
	t->line = BUF_INIT(LINE_MAX_);
	memcpy(t->prev, NOTHING, sizeof(t->prev));
	snprintf(t->dir, sizeof(t->dir), "%s", dir);
	if (path_in(dir, TRANSCRIPT_FILE, path, e) ||
	    (file_exists(path) &&
		transcript_verify(dir, NULL, NULL, &lines, t->prev, e)) ||
	    transcript_program(program, e))
		return NULL;
	clock_iso(clock_wall_ms(&clock_system), 0, when);
	buf_printf(&t->line, "v1 %" PRId64 " %s %s", lines + 1, when, verb);
	for (int i = 0; i < n_who; i++)
		transcript_put(t, "who", who[i]);
	transcript_put(t, "version", MUSTER_VERSION);
	transcript_put(t, "program", program);
	return TAKE(t);
}

void
transcript_free(struct transcript *t)
{
	if (!t)
		return;
	buf_done(&t->line);
	free(t);
}

/* Control characters become '?': no reader takes them. */
static void
put_word(struct transcript *t, const char *text)
{
	for (; *text; text++) {
		const char c = has_control(span_of(text, 1)) ? '?' : *text;
		uri_encode(&t->line, span_of(&c, 1));
	}
}

void
transcript_put(struct transcript *t, const char *name, const char *value)
{
	buf_str(&t->line, " ");
	put_word(t, name);
	buf_str(&t->line, "=");
	put_word(t, value);
}

int
transcript_put_file(
    struct transcript *t, const char *how, const char *file, struct err *e)
{
	char path[PATH_MAX_], name[300], hash[65];
	if (path_in(t->dir, file, path, e) || transcript_hash(path, hash, e))
		return -1;
	snprintf(name, sizeof(name), "%s:%s", how, file);
	transcript_put(t, name, hash);
	return 0;
}

int
transcript_end(struct transcript *t, struct err *e)
{
	char path[PATH_MAX_], hash[65];
	struct file_append *f;
	buf_printf(&t->line, " %s ", t->prev);
	hash_of(buf_span(&t->line), hash);
	buf_printf(&t->line, "%s\n", hash);
	if (buf_check(&t->line, "transcript", e) ||
	    path_in(t->dir, TRANSCRIPT_FILE, path, e) ||
	    file_append_open(path, 0644, &f, NULL, e))
		return -1;
	int rc = file_append(f, buf_span(&t->line), e) || file_append_sync(f, e) ? -1 : 0;
	file_append_close(f);
	return rc;
}
