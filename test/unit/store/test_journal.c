/*
 * The issuance journal, through journal.h: what it writes, what it refuses, and that no
 * change of it goes unseen.
 */
#include "dir.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "store/journal.h"

static bool fail_next_sync;

int fdatasync(int fd);

int
fdatasync(int fd)
{
	if (!fail_next_sync)
		return (int)syscall(SYS_fdatasync, fd);
	fail_next_sync = false;
	errno = EIO;
	return -1;
}

static const struct journal_entry leaf = {
    .time_ms = 1790000000000,
    .profile = "leaf",
    .issuer_sha256 = "11",
    .serial = "0a0b",
    .subject = "dev-17",
    .spki_sha256 = "22",
    .not_before_ms = 1789999700000,
    .not_after_ms = 1797776000000,
    .cert_sha256 = "33",
    .requester = "dps",
};

static struct journal *
must_open(struct dir *d)
{
	struct err e;
	struct journal *j = journal_open(d->path, &e);
	if (!j)
		fail_msg("%s", e.text);
	return j;
}

static void
add(struct journal *j, const char *subject)
{
	struct err e;
	struct journal_entry en = leaf;
	en.subject = subject;
	assert_ok(journal_append(j, &en, &e), &e);
}

/* A synced journal of n lines. */
static void
make(struct dir *d, int n)
{
	struct err e;
	auto_(journal_close) struct journal *j = must_open(d);
	for (int i = 0; i < n; i++) {
		char subject[16];
		snprintf(subject, sizeof(subject), "dev-%d", i + 1);
		add(j, subject);
	}
	assert_ok(journal_sync(j, &e), &e);
}

static void
load(struct dir *d, struct buf *b)
{
	auto_fd int fd = open(d->path, O_RDONLY);
	assert_true(fd >= 0);
	buf_reset(b);
	for (ssize_t n = 1; n > 0; buf_grew(b, (size_t)n))
		n = read(fd, buf_room(b, 4096), 4096);
}

static void
save(struct dir *d, struct span s)
{
	auto_fd int fd = open(d->path, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, s.p, s.len), s.len);
}

static int
verify(struct dir *d, int64_t *count, struct err *e)
{
	char head[65];
	return journal_verify(d->path, NULL, NULL, count, head, e);
}

/* The i-th line (from 0) with its newline. */
static struct span
line_of(const struct buf *b, int i)
{
	struct span rest = buf_span(b);
	while (i--)
		rest = span_skip(rest, span_find(rest, '\n') + 1);
	return span_head(rest, span_find(rest, '\n') + 1);
}

static int
on_entry(void *ctx, const struct journal_entry *en, struct err *e)
{
	struct journal_entry *want = ctx;
	assert_int_equal(en->seq, ++want->seq);
	assert_int_equal(en->time_ms, want->time_ms);
	assert_string_equal(en->profile, want->profile);
	assert_string_equal(en->issuer_sha256, want->issuer_sha256);
	assert_string_equal(en->serial, want->serial);
	assert_string_equal(en->subject, want->subject);
	assert_string_equal(en->spki_sha256, want->spki_sha256);
	assert_int_equal(en->not_before_ms, want->not_before_ms);
	assert_int_equal(en->not_after_ms, want->not_after_ms);
	assert_string_equal(en->cert_sha256, want->cert_sha256);
	assert_string_equal(en->requester, want->requester);
	return 0;
}

static void
entries_come_back_whatever_is_in_them(void **state)
{
	struct dir *d = *state;
	struct err e;
	static const char *const subjects[] = {"dev-17", "", "-", "a b", "100%", "%2D",
	    "x\nv1 2 forged", "\x1b[31m", "caf\xc3\xa9", "--"};
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
		struct journal *j = must_open(d);
		add(j, subjects[i]);
		assert_ok(journal_sync(j, &e), &e);
		journal_close(j);
		struct journal_entry want = leaf;
		want.subject = subjects[i];
		int64_t count;
		char head[65];
		assert_ok(journal_verify(d->path, on_entry, &want, &count, head, &e), &e);
		assert_int_equal(count, 1);
		assert_int_equal(unlink(d->path), 0);
	}
}

static void
a_line_is_visible_ascii_of_fourteen_fields(void **state)
{
	struct dir *d = *state;
	struct err e;
	auto_buf b = BUF_INIT(1 << 20);
	auto_(journal_close) struct journal *j = must_open(d);
	struct journal_entry en = leaf;
	en.requester = NULL;
	en.subject = "x y\r\n\t\x7f\xff";
	assert_ok(journal_append(j, &en, &e), &e);
	assert_ok(journal_sync(j, &e), &e);
	load(d, &b);
	int spaces = 0;
	for (size_t i = 0; i < b.len; i++) {
		spaces += b.p[i] == ' ';
		assert_true((b.p[i] >= 0x20 && b.p[i] < 0x7f) || i == b.len - 1);
	}
	assert_int_equal(spaces, 13);
	assert_true(span_starts(buf_span(&b),
	    SPAN_LIT("v1 1 1790000000000 leaf 11 0a0b x%20y%0D%0A%09%7F%FF 22 "
		     "1789999700000 1797776000000 33 - 0000000")));
}

static void
a_reopened_journal_goes_on_where_it_stood(void **state)
{
	struct dir *d = *state;
	struct err e;
	make(d, 3);
	struct journal *j = must_open(d);
	assert_int_equal(journal_count(j), 3);
	assert_false(journal_was_cut(j));
	char head[65], was[65];
	snprintf(was, sizeof(was), "%s", journal_head(j));
	add(j, "fourth");
	assert_string_not_equal(journal_head(j), was);
	assert_ok(journal_sync(j, &e), &e);
	snprintf(was, sizeof(was), "%s", journal_head(j));
	journal_close(j);
	int64_t count;
	assert_ok(journal_verify(d->path, NULL, NULL, &count, head, &e), &e);
	assert_int_equal(count, 4);
	assert_string_equal(head, was);
}

static void
an_empty_journal_has_a_head_of_zeros(void **state)
{
	struct dir *d = *state;
	struct err e;
	auto_(journal_close) struct journal *j = must_open(d);
	char head[65];
	int64_t count;
	assert_ok(journal_verify(d->path, NULL, NULL, &count, head, &e), &e);
	assert_int_equal(count, 0);
	assert_int_equal(strspn(head, "0"), 64);
	assert_string_equal(journal_head(j), head);
	assert_ok(journal_sync(j, &e), &e);
}

static void
nothing_is_written_before_a_sync(void **state)
{
	struct dir *d = *state;
	auto_buf b = BUF_INIT(1 << 20);
	auto_(journal_close) struct journal *j = must_open(d);
	add(j, "dev");
	load(d, &b);
	assert_int_equal(b.len, 0);
}

/* Expects both the verifier and the signer's open to name that line (from 1). */
static void
assert_refused_at(struct dir *d, int line)
{
	struct err e;
	int64_t count;
	char want[32];
	snprintf(want, sizeof(want), "line %d:", line);
	assert_fails(verify(d, &count, &e), &e, CORRUPT);
	if (!strstr(e.text, want) || !strstr(e.text, d->path))
		fail_msg("wanted %s in: %s", want, e.text);
	assert_null(journal_open(d->path, &e));
	assert_int_equal(e.code, ERR_CORRUPT);
	assert_non_null(strstr(e.text, want));
}

static void
a_change_of_any_byte_names_its_line(void **state)
{
	struct dir *d = *state;
	auto_buf b = BUF_INIT(1 << 20);
	make(d, 3);
	load(d, &b);
	int line = 1;
	for (size_t i = 0; i < b.len; i++) {
		uint8_t was = b.p[i];
		bool newline = was == '\n';
		b.p[i] = newline ? 'x' : (uint8_t)(was ^ 1);
		save(d, buf_span(&b));
		struct err e;
		int64_t count;
		char want[32];
		snprintf(want, sizeof(want), "line %d:", line);
		assert_fails(verify(d, &count, &e), &e, CORRUPT);
		if (!strstr(e.text, want))
			fail_msg("byte %zu: wanted %s in: %s", i, want, e.text);
		b.p[i] = was;
		line += newline;
	}
}

static void
any_line_taken_out_names_the_next(void **state)
{
	struct dir *d = *state;
	auto_buf b = BUF_INIT(1 << 20), cut = BUF_INIT(1 << 20);
	make(d, 4);
	load(d, &b);
	for (int gone = 0; gone < 3; gone++) {
		buf_reset(&cut);
		for (int i = 0; i < 4; i++)
			if (i != gone)
				buf_put_span(&cut, line_of(&b, i));
		save(d, buf_span(&cut));
		assert_refused_at(d, gone + 1);
	}
}

static void
any_two_lines_swapped_or_doubled_name_the_first(void **state)
{
	struct dir *d = *state;
	auto_buf b = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
	make(d, 4);
	load(d, &b);
	for (int at = 0; at < 3; at++) {
		buf_reset(&out);
		for (int i = 0; i < 4; i++)
			buf_put_span(&out, line_of(&b, i == at       ? at + 1
						       : i == at + 1 ? at
								     : i));
		save(d, buf_span(&out));
		assert_refused_at(d, at + 1);
	}
	buf_reset(&out);
	for (int i = 0; i < 4; i++)
		buf_put_span(&out, line_of(&b, i == 2 ? 1 : i));
	save(d, buf_span(&out));
	assert_refused_at(d, 3);
}

static void
a_line_of_another_chain_does_not_follow(void **state)
{
	struct dir *d = *state;
	struct err e;
	auto_buf ours = BUF_INIT(1 << 20), theirs = BUF_INIT(1 << 20);
	make(d, 2);
	load(d, &theirs);
	assert_int_equal(unlink(d->path), 0);
	struct journal *j = must_open(d);
	add(j, "another-first");
	assert_ok(journal_sync(j, &e), &e);
	journal_close(j);
	load(d, &ours);
	buf_put_span(&ours, line_of(&theirs, 1));
	save(d, buf_span(&ours));
	assert_refused_at(d, 2);
}

static void
lines_cut_off_the_end_show_in_count_and_head_only(void **state)
{
	struct dir *d = *state;
	struct err e;
	auto_buf b = BUF_INIT(1 << 20);
	char before[65], after[65];
	int64_t count;
	make(d, 3);
	assert_ok(journal_verify(d->path, NULL, NULL, &count, before, &e), &e);
	load(d, &b);
	save(d, span_head(buf_span(&b), b.len - line_of(&b, 2).len));
	assert_ok(journal_verify(d->path, NULL, NULL, &count, after, &e), &e);
	assert_int_equal(count, 2);
	assert_string_not_equal(before, after);
}

static void
half_a_last_line_is_cut_off_at_open_and_the_chain_goes_on(void **state)
{
	struct dir *d = *state;
	struct err e;
	auto_buf b = BUF_INIT(1 << 20);
	int64_t count;
	make(d, 3);
	load(d, &b);
	struct span last = line_of(&b, 2);
	for (size_t left = 1; left < last.len; left += 7) {
		save(d, span_head(buf_span(&b), b.len - last.len + left));
		assert_fails(verify(d, &count, &e), &e, CORRUPT);
		assert_non_null(strstr(e.text, "line 3:"));
		struct journal *j = must_open(d);
		assert_true(journal_was_cut(j));
		assert_int_equal(journal_count(j), 2);
		add(j, "again");
		assert_ok(journal_sync(j, &e), &e);
		journal_close(j);
		assert_ok(verify(d, &count, &e), &e);
		assert_int_equal(count, 3);
	}
}

static void
a_line_without_end_is_refused(void **state)
{
	struct dir *d = *state;
	make(d, 1);
	auto_buf b = BUF_INIT(1 << 20);
	load(d, &b);
	for (int i = 0; i < 40000; i++)
		buf_u8(&b, 'x');
	save(d, buf_span(&b));
	assert_refused_at(d, 2);
}

static void
an_entry_too_long_is_refused_and_the_journal_goes_on(void **state)
{
	struct dir *d = *state;
	struct err e;
	char big[9000];
	memset(big, ' ', sizeof(big) - 1); /* three bytes each when escaped */
	big[sizeof(big) - 1] = '\0';
	struct journal *j = must_open(d);
	struct journal_entry en = leaf;
	en.subject = big;
	add(j, "one");
	assert_fails(journal_append(j, &en, &e), &e, LIMIT);
	assert_int_equal(journal_count(j), 1);
	add(j, "two");
	assert_ok(journal_sync(j, &e), &e);
	journal_close(j);
	int64_t count;
	assert_ok(verify(d, &count, &e), &e);
	assert_int_equal(count, 2);
}

static void
after_a_failed_sync_the_journal_refuses_everything(void **state)
{
	struct dir *d = *state;
	struct err e;
	auto_(journal_close) struct journal *j = must_open(d);
	add(j, "one");
	fail_next_sync = true;
	assert_fails(journal_sync(j, &e), &e, IO);
	assert_fails(journal_sync(j, &e), &e, IO);
	assert_fails(journal_append(j, &leaf, &e), &e, IO);
}

static int
append_past_a_limit(struct dir *d)
{
	struct err e = {0};
	struct journal *j = journal_open(d->path, &e);
	const struct rlimit small = {1000, 1000};
	signal(SIGXFSZ, SIG_IGN);
	if (!j || setrlimit(RLIMIT_FSIZE, &small))
		return 1;
	for (int i = 0; i < 10; i++)
		if (journal_append(j, &leaf, &e))
			return 2;
	if (journal_sync(j, &e) == 0 || journal_sync(j, &e) == 0)
		return 3;
	journal_close(j);
	return 0;
}

static void
a_write_that_fails_half_way_leaves_a_journal_that_opens(void **state)
{
	struct dir *d = *state;
	make(d, 2);
	assert_int_equal(dir_in_child(append_past_a_limit, d), 0);
	auto_(journal_close) struct journal *j = must_open(d);
	assert_true(journal_count(j) >= 2);
}

static int
sync_one_append_one_and_die(struct dir *d)
{
	struct err e;
	struct journal *j = journal_open(d->path, &e);
	struct journal_entry en = leaf;
	if (!j || journal_append(j, &en, &e) || journal_sync(j, &e) ||
	    journal_append(j, &en, &e))
		return 1;
	raise(SIGKILL);
	return 2;
}

static void
a_kill_keeps_what_was_synced(void **state)
{
	struct dir *d = *state;
	struct err e;
	int64_t count;
	assert_int_equal(dir_in_child(sync_one_append_one_and_die, d), 256 + SIGKILL);
	assert_ok(verify(d, &count, &e), &e);
	assert_int_equal(count, 1);
	journal_close(must_open(d)); /* the dead one's lock is gone */
}

static void
a_second_opener_is_told_busy(void **state)
{
	struct dir *d = *state;
	struct err e;
	auto_(journal_close) struct journal *j = must_open(d);
	assert_null(journal_open(d->path, &e));
	assert_int_equal(e.code, ERR_BUSY);
}

static void
journal_is_0600_whatever_the_umask_and_refused_otherwise(void **state)
{
	struct dir *d = *state;
	struct err e;
	struct stat st;
	mode_t was = umask(0);
	journal_close(must_open(d));
	umask(was);
	assert_int_equal(stat(d->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(chmod(d->path, 0644), 0);
	assert_null(journal_open(d->path, &e));
	assert_int_equal(e.code, ERR_PERM);
}

static void
verify_of_a_missing_journal_says_so(void **state)
{
	struct dir *d = *state;
	struct err e;
	int64_t count = 5;
	assert_fails(verify(d, &count, &e), &e, NOT_FOUND);
	assert_int_equal(count, 5);
}

static int
on_entry_stop(void *ctx, const struct journal_entry *en, struct err *e)
{
	return en->seq == 2 ? 9 : 0;
}

static void
a_visitor_that_stops_is_handed_on(void **state)
{
	struct dir *d = *state;
	struct err e;
	int64_t count = 5;
	char head[65];
	make(d, 3);
	assert_int_equal(
	    journal_verify(d->path, on_entry_stop, NULL, &count, head, &e), 9);
	assert_int_equal(count, 5);
}

#define IN_DIR(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_DIR(entries_come_back_whatever_is_in_them),
	    IN_DIR(a_line_is_visible_ascii_of_fourteen_fields),
	    IN_DIR(a_reopened_journal_goes_on_where_it_stood),
	    IN_DIR(an_empty_journal_has_a_head_of_zeros),
	    IN_DIR(nothing_is_written_before_a_sync),
	    IN_DIR(a_change_of_any_byte_names_its_line),
	    IN_DIR(any_line_taken_out_names_the_next),
	    IN_DIR(any_two_lines_swapped_or_doubled_name_the_first),
	    IN_DIR(a_line_of_another_chain_does_not_follow),
	    IN_DIR(lines_cut_off_the_end_show_in_count_and_head_only),
	    IN_DIR(half_a_last_line_is_cut_off_at_open_and_the_chain_goes_on),
	    IN_DIR(a_line_without_end_is_refused),
	    IN_DIR(an_entry_too_long_is_refused_and_the_journal_goes_on),
	    IN_DIR(after_a_failed_sync_the_journal_refuses_everything),
	    IN_DIR(a_write_that_fails_half_way_leaves_a_journal_that_opens),
	    IN_DIR(a_kill_keeps_what_was_synced),
	    IN_DIR(a_second_opener_is_told_busy),
	    IN_DIR(journal_is_0600_whatever_the_umask_and_refused_otherwise),
	    IN_DIR(verify_of_a_missing_journal_says_so),
	    IN_DIR(a_visitor_that_stops_is_handed_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
