/*
 * Transcripts of ceremonies: as they come, and each line with the hashes it should have,
 * so that what stands between them is read too. What is shown is fit for a terminal.
 */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "cmd/transcript.h"
#include "crypto/digest.h"

struct seen {
	int64_t seq;
};

static void
check_text(const char *s)
{
	for (; *s; s++)
		assert((unsigned char)*s >= ' ' && *s != 0x7f);
}

static int
visit(void *arg, int64_t seq, const char *verb, const char *name, const char *value,
    struct err *e)
{
	struct seen *seen = arg;
	(void)e;
	assert(seq >= seen->seq && seq >= 1 && seq <= TRANSCRIPT_LINES);
	seen->seq = seq;
	check_text(verb);
	check_text(name);
	check_text(value);
	return 0;
}

static void
verify(struct span text)
{
	struct seen seen = {0};
	struct err e = {0};
	int64_t lines = -1;
	char head[65] = "";
	if (transcript_verify_text(text, visit, &seen, &lines, head, &e)) {
		assert(e.text[0] && lines == -1 && !head[0]);
		return;
	}
	assert(lines >= seen.seq && lines <= TRANSCRIPT_LINES && strlen(head) == 64);
}

/* "v1 SEQ " before it, PREV and HASH behind it. */
static void
seal(struct span line, int seq, char prev[65], struct buf *out)
{
	uint8_t sha[DIGEST_SHA256];
	size_t start = out->len;
	buf_printf(out, "v1 %d %.*s %s ", seq, SPAN_FMT(line), prev);
	digest_sha256(span_skip(buf_span(out), start), sha);
	hex_write(span_of(sha, sizeof(sha)), prev);
	buf_printf(out, "%s\n", prev);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char prev[65];
	auto_buf out = BUF_INIT(4u << 20);
	struct span rest = span_of(data, len);
	verify(rest);
	memset(prev, '0', 64);
	prev[64] = '\0';
	for (int seq = 1; rest.len && seq < 100; seq++)
		seal(span_split(&rest, '\n'), seq, prev, &out);
	if (!out.bad)
		verify(buf_span(&out));
	return 0;
}
