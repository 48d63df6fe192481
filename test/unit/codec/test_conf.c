/*
 * Configuration tables: the server's own (tbl/config.def) and a small one with every
 * type.
 */
#include "../test.h"

#include "codec/config.h"
#include "codec/hub_conf.h"

struct small {
	bool flag;
	int64_t count, wait_ms;
	size_t room;
	const char *text, *token;
	int word;
	struct conf_list hosts;
};

static const char *const words[] = {"red", "green", NULL};
#define FIELD(f) offsetof(struct small, f)
static const struct conf_key rows[] = {
    {"a.flag", CONF_BOOL, FIELD(flag), 0, 0, "no", NULL, "A flag.", true},
    {"a.count", CONF_INT, FIELD(count), -5, 10, "3", NULL, "A count.", true},
    {"a.wait", CONF_DURATION, FIELD(wait_ms), 0, 86400000, "90s", NULL, "A wait."},
    {"b.room", CONF_SIZE, FIELD(room), 1, 1 << 30, "64K", NULL, "Room."},
    {"b.text", CONF_TEXT, FIELD(text), 0, 20, "", NULL, "Some text."},
    {"b.word", CONF_ENUM, FIELD(word), 0, 0, "green", words, "A word.", true},
    {"b.hosts", CONF_LIST, FIELD(hosts), 1, 3, "x", NULL, "Hosts."},
    {"b.token", CONF_TEXT, FIELD(token), 0, 20, "", NULL, "A secret.", false, true},
};
static const struct conf_table table = {rows, sizeof(rows) / sizeof(rows[0])};

static struct arena *a;
static struct small c;

static int
set_up(void **state)
{
	a = arena_new(8 * CONF_FILE_MAX);
	conf_defaults(&table, &c, a);
	return 0;
}

static int
tear_down(void **state)
{
	arena_free(a);
	return 0;
}

static void
refused(const char *text, const char *words_of_error)
{
	struct err e = {0};
	assert_fails(conf_parse(&table, span_str(text), &c, a, &e), &e, PARSE);
	if (!strstr(e.text, words_of_error))
		fail_msg("'%s' does not say '%s'", e.text, words_of_error);
}

static void
defaults_and_every_type_are_set(void **state)
{
	struct err e = {0};
	assert_int_equal(c.count, 3);
	assert_int_equal(c.wait_ms, 90000);
	assert_int_equal(c.word, 1);
	struct span text = SPAN_LIT("\xef\xbb\xbf# a comment\r\n"
				    "[a] ; another\n"
				    "flag = YES\n"
				    "  count: -5   ; behind a value\n"
				    "wait = 2h\n\n"
				    "[b]\n"
				    "room=16M\n"
				    "text = a; b # c = d\n"
				    "word = red\n"
				    "hosts = h1, h2  h3\n"
				    "[a]\n");
	assert_ok(conf_parse(&table, text, &c, a, &e), &e);
	assert_true(c.flag);
	assert_int_equal(c.count, -5);
	assert_int_equal(c.wait_ms, 7200000);
	assert_int_equal(c.room, 16 << 20);
	assert_string_equal(c.text, "a; b # c = d");
	assert_int_equal(c.word, 0);
	assert_int_equal(c.hosts.n, 3);
	assert_string_equal(c.hosts.v[2], "h3");
}

static void
errors_name_line_key_and_what_is_allowed(void **state)
{
	refused("[a]\nflag = maybe\n", "line 2: a.flag must be yes or no, not 'maybe'");
	refused("[a]\n\ncount = 11\n",
	    "line 3: a.count must be a whole number from -5 to 10, not '11'");
	refused("[a]\nwait = 2d\n", "a duration from 0ms to 1d");
	refused("[b]\nroom = 2G\n", "a size from 1 to 1G");
	refused("[b]\nword = Red\n", "b.word must be one of red, green");
	refused("[b]\nhosts = a b c d\n", "1 to 3 words");
	refused("[b]\nhosts = ,\n", "1 to 3 words");
	refused("[b]\ntext = 123456789012345678901\n", "text of 0 to 20 bytes");
	refused("[b]\ntext = a\x01z\n", "text of 0 to 20 bytes");
	refused("[b]\ntext = \xff\n", "text of 0 to 20 bytes");
}

static void
unknown_keys_come_with_the_nearest(void **state)
{
	refused("[a]\ncuont = 1\n", "line 2: there is no key a.cuont; a.count is close");
	refused("[b]\ncount = 1\n", "there is no key b.count; a.count is close");
	refused("[a]\nzzzzzz = 1\n", "there is no key a.zzzzzz");
	refused("count = 1\n", "line 1: there is no key .count; a.count is close");
}

static void
malformed_files_are_refused_whole(void **state)
{
	refused("[a]\ncount = 1\n[b]\n[a]\ncount = 2\n", "line 5: a.count is set twice");
	refused(
	    "[a]\nnonsense\ncount = 99\n", "line 2: neither [section] nor key = value");
	refused("[a\ncount = 1\n", "line 1");
	refused("[a] count = 1\n", "line 1: text behind a section");
	struct err e = {0};
	assert_fails(
	    conf_parse(&table, SPAN_LIT("[a]\ncount = 1\0\n"), &c, a, &e), &e, PARSE);
	assert_string_equal(e.text, "line 2: holds a NUL");
	assert_fails(
	    conf_parse(&table, span_of("", CONF_FILE_MAX + 1), &c, a, &e), &e, LIMIT);
}

static void
long_lines_are_read_whole_or_refused(void **state)
{
	/* inih would cut a line at 200 bytes and take the rest for another */
	struct err e = {0};
	auto_buf b = BUF_INIT(16384);
	buf_str(&b, "[b]\nhosts = ");
	for (int i = 0; i < 300; i++)
		buf_str(&b, "h");
	buf_str(&b, "\n");
	assert_ok(conf_parse(&table, buf_span(&b), &c, a, &e), &e);
	assert_int_equal(strlen(c.hosts.v[0]), 300);
	b.len--;
	while (b.len < 4 + CONF_LINE_MAX + 1)
		buf_str(&b, "h");
	assert_fails(conf_parse(&table, buf_span(&b), &c, a, &e), &e, LIMIT);
	assert_string_equal(e.text, "line 2: over 4096 bytes");
}

static void
one_key_is_set_from_the_command_line(void **state)
{
	struct err e = {0};
	assert_ok(conf_set(&table, SPAN_LIT("a.wait"), SPAN_LIT("500ms"), &c, a, &e), &e);
	assert_int_equal(c.wait_ms, 500);
	assert_fails(
	    conf_set(&table, SPAN_LIT("wait"), SPAN_LIT("1s"), &c, a, &e), &e, PARSE);
	assert_fails(
	    conf_set(&table, SPAN_LIT("b.text"), SPAN_LIT("a\nb"), &c, a, &e), &e, PARSE);
	assert_fails(
	    conf_set(&table, SPAN_LIT("b.text"), SPAN_LIT("a ;b"), &c, a, &e), &e, PARSE);
}

static void
secrets_are_never_shown(void **state)
{
	struct err e = {0};
	assert_ok(
	    conf_set(&table, SPAN_LIT("b.token"), SPAN_LIT("hunter2"), &c, a, &e), &e);
	auto_buf b = BUF_INIT(65536);
	conf_dump(&table, &c, &b);
	conf_write(&rows[7], &c, &b);
	conf_help(&table, &b);
	conf_man(&table, &b);
	assert_null(strstr(buf_text(&b), "hunter2"));
	assert_fails(conf_set(&table, SPAN_LIT("b.token"),
			 SPAN_LIT("hunter2hunter2hunter2"), &c, a, &e),
	    &e, PARSE);
	assert_null(strstr(e.text, "hunter2"));
}

static void
dump_reads_back_the_same(void **state)
{
	struct err e = {0};
	auto_buf b = BUF_INIT(65536);
	assert_ok(
	    conf_parse(&table,
		SPAN_LIT("[a]\nflag=1\nwait=12h\n[b]\nroom=1536\nhosts=p q\ntext=x=y\n"),
		&c, a, &e),
	    &e);
	conf_dump(&table, &c, &b);
	assert_string_equal(buf_text(&b), "[a]\nflag = yes\ncount = 3\nwait = 12h\n\n"
					  "[b]\nroom = 1536\ntext = x=y\nword = green\n"
					  "hosts = p, q\n");
	struct small again = {0};
	conf_defaults(&table, &again, a);
	assert_ok(conf_parse(&table, buf_span(&b), &again, a, &e), &e);
	assert_null(conf_needs_restart(&table, &c, &again));
	assert_int_equal(again.room, 1536);
}

static void
restart_is_needed_only_for_keys_that_cannot_reload(void **state)
{
	struct small was = c;
	c.count = 9;
	c.word = 0;
	assert_null(conf_needs_restart(&table, &was, &c));
	c.wait_ms = 1;
	assert_string_equal(conf_needs_restart(&table, &was, &c)->name, "a.wait");
}

static void
manual_has_every_key_with_its_bounds(void **state)
{
	auto_buf help = BUF_INIT(1 << 20), man = BUF_INIT(1 << 20);
	conf_help(&config_table, &help);
	conf_man(&config_table, &man);
	assert_false(help.bad || man.bad);
	for (size_t i = 0; i < config_table.n; i++)
		assert_non_null(strstr(buf_text(&help), config_table.keys[i].name));
	assert_non_null(strstr(buf_text(&help), "one of native, azure; default native"));
	assert_non_null(strstr(buf_text(&man), ".SS [server]\n.TP\n.B server.profile\n"));
}

static void
server_defaults_are_those_of_the_table(void **state)
{
	struct config s = {0};
	struct err e = {0};
	conf_defaults(&config_table, &s, a);
	assert_int_equal(s.server.profile, CONFIG_PROFILE_NATIVE);
	assert_int_equal(s.server.mqtt_port, 8883);
	assert_string_equal(s.hub.name.v[0], "127.0.0.1");
	assert_int_equal(s.hub.keepalive_max_s, 1767);
	assert_int_equal(s.hub.message_max, 262144);
	assert_int_equal(s.hub.retention_age_ms, INT64_C(7) * 86400000);
	assert_int_equal(s.pki.leaf_life_ms, INT64_C(90) * 86400000);
	assert_int_equal(s.pki.key, CONFIG_KEY_P256);
	auto_buf b = BUF_INIT(CONF_FILE_MAX);
	conf_dump(&config_table, &s, &b);
	struct config again = {0};
	conf_defaults(&config_table, &again, a);
	assert_ok(conf_parse(&config_table, buf_span(&b), &again, a, &e), &e);
	assert_null(conf_needs_restart(&config_table, &s, &again));
}

static int
check_with(const char *key, const char *value, struct err *e)
{
	struct config s = {0};
	conf_defaults(&config_table, &s, a);
	assert_ok(conf_set(&config_table, span_str(key), span_str(value), &s, a, e), e);
	return config_check(&s, e);
}

static void
names_that_no_certificate_can_hold_are_refused(void **state)
{
	struct err e = {0};
	assert_ok(check_with("hub.name", "hub.example Hub.Example ::1.2.3.4", &e), &e);
	assert_fails(check_with("hub.name", "hub", &e), &e, PARSE);
	assert_fails(check_with("server.name", "un/fit.example", &e), &e, PARSE);
	assert_ok(check_with("hub.name", /* and 127.0.0.1: 16 */
		      "a.x b.x c.x d.x e.x f.x g.x h.x i.x j.x k.x l.x m.x n.x o.x", &e),
	    &e);
	assert_fails(check_with("hub.name",
			 "a.x b.x c.x d.x e.x f.x g.x h.x i.x j.x k.x l.x m.x n.x o.x "
			 "p.x",
			 &e),
	    &e, LIMIT);
}

static const char *
find(const struct config *cfg, const char *host)
{
	return hub_conf_find(cfg, span_str(host));
}

static void
hubs_are_found_by_name_and_alias_with_a_port_or_without(void **state)
{
	struct config cfg = {0};
	struct err e = {0};
	(void)state;
	conf_defaults(&config_table, &cfg, a);
	assert_ok(conf_set(&config_table, SPAN_LIT("hub.name"),
		      SPAN_LIT("One.example two.example"), &cfg, a, &e),
	    &e);
	assert_ok(conf_set(&config_table, SPAN_LIT("hub.alias"),
		      SPAN_LIT("old=TWO.example ::1=one.example"), &cfg, a, &e),
	    &e);
	assert_ok(config_check(&cfg, &e), &e);
	assert_string_equal(find(&cfg, "one.EXAMPLE"), "One.example");
	assert_string_equal(find(&cfg, "one.example:8443"), "One.example");
	assert_string_equal(find(&cfg, "Old:1"), "two.example");
	assert_string_equal(find(&cfg, "[::1]:443"), "One.example");
	assert_null(find(&cfg, "three.example"));
	assert_null(find(&cfg, ""));
	assert_null(find(&cfg, "one"));
}

static void
lists_about_hubs_name_hubs_that_there_are(void **state)
{
	struct err e = {0};
	(void)state;
	assert_ok(check_with("dps.hub_weights", "127.0.0.1=1000", &e), &e);
	assert_fails(check_with("dps.hub_weights", "127.0.0.1=0", &e), &e, PARSE);
	assert_fails(check_with("dps.hub_weights", "127.0.0.1=1001", &e), &e, PARSE);
	assert_fails(check_with("dps.hub_weights", "127.0.0.1", &e), &e, PARSE);
	assert_fails(check_with("dps.hub_weights", "other.example=1", &e), &e, PARSE);
	assert_fails(check_with("dps.hubs_excluded", "other.example", &e), &e, PARSE);
	assert_fails(check_with("hub.alias", "old", &e), &e, PARSE);
	assert_fails(check_with("hub.alias", "old=other.example", &e), &e, PARSE);
	assert_fails(check_with("hub.alias", "127.0.0.1=127.0.0.1", &e), &e, PARSE);
	assert_ok(check_with("dps.regions", "eu=10.0.0.0/8", &e), &e);
	assert_fails(check_with("dps.regions", "eu=10.0.0.1/8", &e), &e, PARSE);
	assert_fails(check_with("dps.regions", "e:u=10.0.0.0/8", &e), &e, PARSE);
	assert_fails(check_with("dps.latencies", "eu:127.0.0.1=5", &e), &e, PARSE);
}

#define fresh(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    fresh(defaults_and_every_type_are_set),
	    fresh(errors_name_line_key_and_what_is_allowed),
	    fresh(unknown_keys_come_with_the_nearest),
	    fresh(malformed_files_are_refused_whole),
	    fresh(long_lines_are_read_whole_or_refused),
	    fresh(one_key_is_set_from_the_command_line),
	    fresh(secrets_are_never_shown),
	    fresh(dump_reads_back_the_same),
	    fresh(restart_is_needed_only_for_keys_that_cannot_reload),
	    fresh(manual_has_every_key_with_its_bounds),
	    fresh(server_defaults_are_those_of_the_table),
	    fresh(names_that_no_certificate_can_hold_are_refused),
	    fresh(hubs_are_found_by_name_and_alias_with_a_port_or_without),
	    fresh(lists_about_hubs_name_hubs_that_there_are),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
