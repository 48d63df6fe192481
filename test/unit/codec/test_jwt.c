/*
 * Operators' tokens: what we write we read, and nothing else.
 */
#include "../test.h"

#include <string.h>

#include "base/base64.h"
#include "codec/jwt.h"

static const struct jwt_claims claims = {
    .sub = "5f6c3b0e-0000-4000-a000-000000000001",
    .aud = "https://iothubs.azure.net",
    .iat_s = 1795319096,
    .exp_s = 1795322696,
    .secret_ms = 1795319000123,
};

/* header and payload as JSON, a signature of n bytes. */
static struct span
token_of(struct buf *out, const char *header, const char *payload, size_t n)
{
	uint8_t sig[80] = {7};
	buf_reset(out);
	base64_url_put(out, span_str(header));
	buf_str(out, ".");
	base64_url_put(out, span_str(payload));
	buf_str(out, ".");
	base64_url_put(out, span_of(sig, n));
	return buf_span(out);
}

static void
written_tokens_are_read_again(void **state)
{
	struct err e = {0};
	struct jwt t;
	struct jwt_claims c;
	uint8_t sig[JWT_SIG] = {1, 2, 3};
	auto_buf b = BUF_INIT(JWT_MAX);
	assert_ok(jwt_write_input(&claims, "k1", "https://h/adfs", &b, &e), &e);
	size_t input = b.len;
	jwt_write_sig(sig, &b);
	assert_ok(jwt_parse(buf_span(&b), &t, &e), &e);
	assert_int_equal(t.input.len, input);
	assert_string_equal(t.kid, "k1");
	assert_memory_equal(t.sig, sig, JWT_SIG);
	assert_ok(jwt_claims_parse(t.input, &c, &e), &e);
	assert_string_equal(c.sub, claims.sub);
	assert_string_equal(c.aud, claims.aud);
	assert_int_equal(c.iat_s, claims.iat_s);
	assert_int_equal(c.exp_s, claims.exp_s);
	assert_int_equal(c.secret_ms, claims.secret_ms);
}

static void
other_headers_are_refused(void **state)
{
	static const char *const bad[] = {
	    "{\"alg\":\"none\",\"kid\":\"k\"}",
	    "{\"alg\":\"HS256\",\"kid\":\"k\"}",
	    "{\"alg\":\"es256\",\"kid\":\"k\"}",
	    "{\"kid\":\"k\"}",
	    "{\"alg\":\"ES256\"}",
	    "{\"alg\":\"ES256\",\"kid\":\"\"}",
	    "{\"alg\":\"ES256\",\"kid\":7}",
	    "{\"alg\":\"ES256\",\"kid\":\"123456789012345678901234567890123\"}",
	    "{\"alg\":\"ES256\",\"kid\":\"k\",\"crit\":[\"b64\"]}",
	    "{\"alg\":\"ES256\",\"alg\":\"ES256\",\"kid\":\"k\"}",
	    "[]",
	    "",
	};
	struct err e = {0};
	struct jwt t;
	auto_buf b = BUF_INIT(JWT_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_fails(
		    jwt_parse(token_of(&b, bad[i], "{}", 64), &t, &e), &e, PARSE);
	assert_ok(jwt_parse(token_of(&b, "{\"alg\":\"ES256\",\"kid\":\"k\"}", "{}", 64),
		      &t, &e),
	    &e);
}

static void
other_shapes_are_refused_without_being_quoted(void **state)
{
	static const char good[] = "{\"alg\":\"ES256\",\"kid\":\"k\"}";
	static const char *const bad[] = {"", ".", "..", "...", "a.b.c", "s3cr3t"};
	struct err e = {0};
	struct jwt t;
	auto_buf b = BUF_INIT(2 * JWT_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_fails(jwt_parse(span_str(bad[i]), &t, &e), &e, PARSE);
		assert_null(strstr(e.text, "s3cr3t"));
	}
	for (size_t n = 0; n <= 72; n++)
		if (n != JWT_SIG)
			assert_fails(
			    jwt_parse(token_of(&b, good, "{}", n), &t, &e), &e, PARSE);
	token_of(&b, good, "{}", 64);
	buf_str(&b, "=");
	assert_fails(jwt_parse(buf_span(&b), &t, &e), &e, PARSE);
	buf_reset(&b);
	for (int i = 0; i <= JWT_MAX; i++)
		buf_str(&b, "a");
	assert_fails(jwt_parse(buf_span(&b), &t, &e), &e, LIMIT);
}

static void
claims_that_lack_something_are_refused(void **state)
{
	static const char *const bad[] = {
	    "{}",
	    "{\"sub\":\"s\",\"aud\":\"a\",\"iat\":1,\"exp\":2}",
	    "{\"sub\":\"s\",\"aud\":[\"a\"],\"iat\":1,\"exp\":2,\"secret_ms\":3}",
	    "{\"sub\":\"s\",\"aud\":\"a\",\"iat\":-1,\"exp\":2,\"secret_ms\":3}",
	    "{\"sub\":\"s\",\"aud\":\"a\",\"iat\":1,\"exp\":\"2\",\"secret_ms\":3}",
	    "{\"sub\":\"\",\"aud\":\"a\",\"iat\":1,\"exp\":2,\"secret_ms\":3}",
	};
	struct err e = {0};
	struct jwt t;
	struct jwt_claims c;
	auto_buf b = BUF_INIT(JWT_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_ok(jwt_parse(token_of(&b, "{\"alg\":\"ES256\",\"kid\":\"k\"}",
					bad[i], 64),
			      &t, &e),
		    &e);
		assert_fails(jwt_claims_parse(t.input, &c, &e), &e, PARSE);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(written_tokens_are_read_again),
	    cmocka_unit_test(other_headers_are_refused),
	    cmocka_unit_test(other_shapes_are_refused_without_being_quoted),
	    cmocka_unit_test(claims_that_lack_something_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
