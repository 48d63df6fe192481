/*
 * Lines of the issuance journal. A fuzzer forges no SHA-256, so each line's fields are
 * also read with the right ending put behind them: what parses then has one spelling
 * only.
 */
#include "fuzz.h"

#include "base/hex.h"
#include "crypto/digest.h"
#include "store/journal_line.h"

static void
as_it_is(struct span line, struct arena *a)
{
	struct journal_chain c = JOURNAL_CHAIN_START;
	struct journal_entry en;
	if (journal_line_parse(line, &c, a, &en, NULL) != 0)
		assert(c.count == 0);
}

static void
with_right_ending(struct span fields, struct journal_chain *c, struct arena *a)
{
	auto_buf line = BUF_INIT(2 * JOURNAL_LINE_MAX),
		 again = BUF_INIT(2 * JOURNAL_LINE_MAX);
	uint8_t raw[DIGEST_SHA256];
	struct journal_chain before = *c, rewritten = *c;
	struct journal_entry en;
	buf_put_span(&line, fields);
	buf_printf(&line, " %s ", c->head);
	digest_sha256(buf_span(&line), raw);
	hex_put(&line, span_of(raw, sizeof(raw)));
	if (line.bad || journal_line_parse(buf_span(&line), c, a, &en, NULL) != 0) {
		assert(c->count == before.count);
		return;
	}
	assert(journal_line_write(&again, &rewritten, &en, NULL) == 0);
	assert(again.len == line.len + 1);
	assert(span_eq(span_head(buf_span(&again), line.len), buf_span(&line)));
	assert(rewritten.count == c->count && memcmp(rewritten.head, c->head, 64) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct journal_chain chain = JOURNAL_CHAIN_START;
	auto_(arena_free) struct arena *a = arena_new(JOURNAL_LINE_ARENA);
	for (struct span rest = span_of(data, len); rest.len;) {
		struct span line = span_split(&rest, '\n');
		arena_reset(a);
		as_it_is(line, a);
		arena_reset(a);
		with_right_ending(line, &chain, a);
	}
	return 0;
}
