/*
 * PEM (RFC 7468).
 */
#include "../test.h"

#include "codec/pem.h"

static void
blocks_are_found_between_text_and_with_crlf(void **state)
{
	struct err e = {0};
	struct span label, rest = SPAN_LIT("Bag Attributes\n"
					   "-----BEGIN CERTIFICATE-----\nAAEC\nAw==\n"
					   "-----END CERTIFICATE-----\n"
					   "subject=/CN=x\r\n"
					   "-----BEGIN EC PRIVATE KEY-----\r\nBAU=\r\n"
					   "-----END EC PRIVATE KEY-----");
	auto_buf der = BUF_INIT(64);
	assert_ok(pem_next(&rest, &label, &der, &e), &e);
	assert_true(span_eq_str(label, "CERTIFICATE"));
	assert_true(span_eq(buf_span(&der), SPAN_LIT("\0\1\2\3")));
	assert_ok(pem_next(&rest, &label, &der, &e), &e);
	assert_true(span_eq_str(label, "EC PRIVATE KEY"));
	assert_true(span_eq(buf_span(&der), SPAN_LIT("\4\5")));
	assert_ok(pem_next(&rest, &label, &der, &e), &e);
	assert_null(label.p);
}

static void
broken_blocks_are_errors_not_text(void **state)
{
	static const char *const bad[] = {
	    "-----BEGIN A-----\nAAEC\n",
	    "-----BEGIN A-----\nAAEC\n-----END B-----\n",
	    "-----BEGIN A-----\n-----BEGIN A-----\nAAEC\n-----END A-----\n",
	    "-----BEGIN A-----\nAAE\n-----END A-----\n",
	    "-----BEGIN A-----\nAAE!\n-----END A-----\n",
	    "-----BEGIN A-----\n-----END A-----\n",
	    "-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\nAAEC\n-----END A-----\n",
	    "-----BEGIN -----\nAAEC\n-----END -----\n",
	    "-----BEGIN  A-----\nAAEC\n-----END  A-----\n",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = {0};
		struct span label, rest = span_str(bad[i]);
		auto_buf der = BUF_INIT(64);
		assert_fails(pem_next(&rest, &label, &der, &e), &e, PARSE);
		assert_true(span_eq_str(rest, bad[i]));
	}
}

static void
block_over_the_cap_is_a_limit(void **state)
{
	struct err e = {0};
	struct span label,
	    rest = SPAN_LIT("-----BEGIN A-----\nAAECAAEC\n-----END A-----\n");
	auto_buf der = BUF_INIT(5);
	assert_fails(pem_next(&rest, &label, &der, &e), &e, LIMIT);
}

static void
find_wants_exactly_one(void **state)
{
	struct err e = {0};
	auto_buf der = BUF_INIT(64);
	struct span one = SPAN_LIT("-----BEGIN A-----\nAAEC\n-----END A-----\n"
				   "-----BEGIN B-----\nBAU=\n-----END B-----\n");
	assert_ok(pem_find(one, "B", &der, &e), &e);
	assert_true(span_eq(buf_span(&der), SPAN_LIT("\4\5")));
	assert_fails(pem_find(one, "C", &der, &e), &e, NOT_FOUND);
	assert_fails(pem_find(SPAN_NONE, "C", &der, &e), &e, NOT_FOUND);
	struct span two = SPAN_LIT("-----BEGIN A-----\nAAEC\n-----END A-----\n"
				   "-----BEGIN A-----\nBAU=\n-----END A-----\n");
	assert_fails(pem_find(two, "A", &der, &e), &e, PARSE);
}

static void
lines_are_written_at_64_columns(void **state)
{
	uint8_t bytes[49] = {0};
	auto_buf b = BUF_INIT(1024);
	pem_write(&b, "A", span_of(bytes, 48));
	assert_string_equal(buf_text(&b),
	    "-----BEGIN A-----\n"
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
	    "-----END A-----\n");
	buf_reset(&b);
	pem_write(&b, "A", span_of(bytes, 49));
	assert_string_equal(buf_text(&b),
	    "-----BEGIN A-----\n"
	    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
	    "AA==\n"
	    "-----END A-----\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(blocks_are_found_between_text_and_with_crlf),
	    cmocka_unit_test(broken_blocks_are_errors_not_text),
	    cmocka_unit_test(block_over_the_cap_is_a_limit),
	    cmocka_unit_test(find_wants_exactly_one),
	    cmocka_unit_test(lines_are_written_at_64_columns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
