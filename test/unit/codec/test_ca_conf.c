/*
 * ca/issuers.conf: read, written, refused.
 */
#include "../test.h"

#include <string.h>

#include "codec/ca_conf.h"

static struct ca_conf c;

static void
assert_refused(const char *text, enum err_code want, const char *words)
{
	struct err e = {0};
	assert_int_equal(ca_conf_parse(span_str(text), &c, &e), -1);
	assert_int_equal(e.code, want);
	if (!strstr(e.text, words))
		fail_msg("'%s' does not say '%s'", e.text, words);
}

static void
a_file_reads_back_as_it_was_written(void **state)
{
	struct err e = {0};
	const char *text = "[root]\npurpose = root\ncert = root.pem\n"
			   "\n[device-2]\npurpose = device\ncert = device-2.pem\n"
			   "key = pkcs11:token=lab;object=d2?pin-source=file:pin\n";
	assert_ok(ca_conf_parse(span_str(text), &c, &e), &e);
	assert_int_equal(c.n, 2);
	assert_int_equal(c.rows[1].purpose, CA_DEVICE);
	assert_string_equal(c.rows[0].key, "");
	auto_buf out = BUF_INIT(CA_CONF_TEXT_MAX);
	ca_conf_write(&c, &out);
	assert_string_equal(buf_text(&out), text);
}

static void
the_defaults_are_the_three_cas_of_an_older_home(void **state)
{
	ca_conf_defaults(&c);
	assert_int_equal(c.n, 3);
	assert_string_equal(c.rows[1].name, "device-ca");
	assert_string_equal(c.rows[1].key, "file:device-ca.key");
	assert_string_equal(c.rows[0].key, "");
	assert_false(ca_conf_has_token(&c));
}

static void
what_no_ca_is_is_refused(void **state)
{
	assert_refused("", ERR_PARSE, "no CA");
	assert_refused("[a]\npurpose = device\n", ERR_PARSE, "are needed");
	assert_refused("[a]\ncert = a.pem\n", ERR_PARSE, "are needed");
	assert_refused("[a]\npurpose = king\n", ERR_PARSE, "none of root");
	assert_refused("[A b]\npurpose = device\n", ERR_PARSE, "no name of a CA");
	assert_refused("[../x]\npurpose = device\n", ERR_PARSE, "no name of a CA");
	assert_refused(
	    "[a]\npurpose = device\ncert = ../a.pem\n", ERR_PARSE, "under ca/");
	assert_refused("[a]\npurpose = device\ncert = .a\n", ERR_PARSE, "under ca/");
	assert_refused("[a]\ncert = a.pem\ncert = b.pem\n", ERR_PARSE, "twice");
	assert_refused(
	    "[a]\npurpose = device\n[b]\npurpose = device\n[a]\npurpose = root\n",
	    ERR_PARSE, "twice");
	assert_refused("[a]\nkey = https://x/y\n", ERR_UNSUPPORTED, "line 2");
	assert_refused("[a]\npin = 1234\n", ERR_PARSE, "none of purpose");
}

static void
rows_are_added_once_and_as_they_read_back(void **state)
{
	struct err e = {0};
	struct ca_conf_row row = {.name = "d2", .purpose = CA_DEVICE, .cert = "d2.pem"};
	ca_conf_defaults(&c);
	assert_ok(ca_conf_add(&c, &row, &e), &e);
	assert_fails(ca_conf_add(&c, &row, &e), &e, EXISTS);
	assert_int_equal(c.n, 4);
	struct ca_conf_row evil = {.name = "d3", .purpose = CA_DEVICE, .cert = "d3.pem"};
	memcpy(evil.key, "file:x\n[root2]", sizeof("file:x\n[root2]"));
	assert_int_equal(ca_conf_add(&c, &evil, &e), -1);
	memcpy(evil.key, "file:x ; y", sizeof("file:x ; y"));
	assert_fails(ca_conf_add(&c, &evil, &e), &e, PARSE);
	assert_int_equal(c.n, 4);
}

static void
keys_in_tokens_are_told_from_files(void **state)
{
	assert_true(ca_conf_is_token("pkcs11:token=x"));
	assert_true(ca_conf_is_token("tpm2:handle=0x81010001"));
	assert_false(ca_conf_is_token("file:device-ca.key"));
	assert_false(ca_conf_is_token("device-ca.key"));
	assert_false(ca_conf_is_token(""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_file_reads_back_as_it_was_written),
	    cmocka_unit_test(the_defaults_are_the_three_cas_of_an_older_home),
	    cmocka_unit_test(what_no_ca_is_is_refused),
	    cmocka_unit_test(rows_are_added_once_and_as_they_read_back),
	    cmocka_unit_test(keys_in_tokens_are_told_from_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
