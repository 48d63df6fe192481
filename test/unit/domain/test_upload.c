/*
 * File uploads, and what the connection log is told of devices over HTTPS.
 */
#include "world.h"

#include "domain/hub/device.h"
#include "domain/hub/sighting.h"
#include "domain/hub/upload.h"

/* ---- uploads --------------------------------------------------------------------------
 */

static const struct upload_account account = {.host = SPAN_LIT("acct.test:1"),
    .path = SPAN_LIT("/acct/up"),
    .account = SPAN_LIT("acct"),
    .container = SPAN_LIT("up"),
    .key = {.bytes = {1, 2, 3}, .len = 32}};

static void
begin(struct world *w, const char *device, const char *blob, struct ipc_upload *up)
{
	assert_ok(
	    upload_start(&w->d, &account, device, span_str(blob), up, &w->no, &w->e),
	    &w->e);
}

static void
end(struct world *w, const char *device, struct span id)
{
	assert_ok(upload_end(&w->d, device, id, true, &w->no, &w->e), &w->e);
}

static void
a_grant_names_its_place_and_ends_once(void **state)
{
	struct world *w = *state;
	struct ipc_upload up;
	begin(w, "d1", "x", &up);
	assert_int_equal(w->no.code, REFUSAL_NONE);
	assert_true(span_eq_str(up.host, "acct.test:1"));
	assert_true(span_eq_str(up.container, "acct/up"));
	assert_true(span_eq_str(up.blob, "d1/x"));
	assert_true(span_starts(up.sas, SPAN_LIT("?sv=")));
	end(w, "d2", up.id);
	assert_int_equal(w->no.code, REFUSAL_UPLOAD_UNKNOWN);
	end(w, "d1", up.id);
	assert_int_equal(w->no.code, REFUSAL_NONE);
	end(w, "d1", up.id);
	assert_int_equal(w->no.code, REFUSAL_UPLOAD_UNKNOWN);
}

static void
names_stay_in_the_devices_folder(void **state)
{
	struct world *w = *state;
	struct ipc_upload up;
	static const char *const bad[] = {"", "/x", "..", "../x", "a/../b", "a/..", ".",
	    "a/./b", "a\\b", "a\tb", "\xff"};
	static const char *const good[] = {"x", "a/b/c", "...", "a..b", ".hidden", "ä ö"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin(w, "d1", bad[i], &up);
		assert_int_equal(w->no.code, REFUSAL_BLOB_NAME);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		begin(w, "d1", good[i], &up);
		assert_int_equal(w->no.code, REFUSAL_NONE);
	}
}

static void
open_ones_are_counted_until_they_expire(void **state)
{
	struct world *w = *state;
	struct ipc_upload up;
	for (int i = 0; i < UPLOAD_OPEN_MAX; i++)
		begin(w, "d1", "x", &up);
	const struct span last = arena_span(w->arena, up.id);
	begin(w, "d1", "x", &up);
	assert_int_equal(w->no.code, REFUSAL_UPLOADS_OPEN);
	begin(w, "d2", "x", &up);
	assert_int_equal(w->no.code, REFUSAL_NONE);
	w->clock.skew_ms += w->cfg.hub.upload_life_ms;
	end(w, "d1", last);
	assert_int_equal(w->no.code, REFUSAL_UPLOAD_EXPIRED);
	begin(w, "d1", "x", &up);
	assert_int_equal(w->no.code, REFUSAL_NONE);
	w->clock.skew_ms += UPLOAD_KEPT_MS + 1;
	assert_ok(upload_trim(&w->d, &w->e), &w->e);
	end(w, "d1", last);
	assert_int_equal(w->no.code, REFUSAL_UPLOAD_UNKNOWN);
}

static void
those_of_a_deleted_device_are_gone(void **state)
{
	struct world *w = *state;
	struct ipc_upload up, other;
	world_device(w, "d1");
	begin(w, "d2", "x", &other);
	for (int i = 0; i < UPLOAD_OPEN_MAX; i++)
		begin(w, "d1", "x", &up);
	const struct ipc_device_delete m = {.id = SPAN_LIT("d1")};
	assert_ok(device_delete(&w->d, &m, &w->e), &w->e);
	end(w, "d1", up.id);
	assert_int_equal(w->no.code, REFUSAL_UPLOAD_UNKNOWN);
	begin(w, "d1", "x", &up); /* the next of that name */
	assert_int_equal(w->no.code, REFUSAL_NONE);
	end(w, "d2", other.id);
	assert_int_equal(w->no.code, REFUSAL_NONE);
}

static void
without_an_account_there_are_none(void **state)
{
	struct world *w = *state;
	struct ipc_upload up;
	assert_ok(
	    upload_start(&w->d, NULL, "d1", SPAN_LIT("x"), &up, &w->no, &w->e), &w->e);
	assert_int_equal(w->no.code, REFUSAL_NO_STORAGE);
}

/* ---- notices --------------------------------------------------------------------------
 */

static void
add_notice(struct world *w, const char *blob)
{
	struct ipc_upload up;
	w->cfg.hub.upload_notices = true;
	begin(w, "d1", blob, &up);
	end(w, "d1", up.id);
}

static void
notices_are_locked_and_come_again(void **state)
{
	struct world *w = *state;
	struct ipc_notice n;
	add_notice(w, "a b");
	assert_ok(upload_take_notice(&w->d, &account, &n, &w->e), &w->e);
	assert_true(span_eq_str(n.uri, "https://acct.test:1/acct/up/d1/a%20b"));
	const struct span first = arena_span(w->arena, n.lock);
	assert_fails(upload_take_notice(&w->d, &account, &n, &w->e), &w->e, NOT_FOUND);
	w->clock.skew_ms += NOTICE_LOCK_MS;
	assert_ok(upload_end_notice(&w->d, first, false, &w->no, &w->e), &w->e);
	assert_int_equal(w->no.code, REFUSAL_LOCK_LOST);
	assert_ok(upload_take_notice(&w->d, &account, &n, &w->e), &w->e);
	assert_int_equal(n.deliveries, 2);
	assert_ok(upload_end_notice(&w->d, n.lock, false, &w->no, &w->e), &w->e);
	assert_int_equal(w->no.code, REFUSAL_NONE);
	assert_fails(upload_take_notice(&w->d, &account, &n, &w->e), &w->e, NOT_FOUND);
}

static void
notices_nobody_wants_go(void **state)
{
	struct world *w = *state;
	struct ipc_notice n;
	add_notice(w, "a");
	for (int i = 0; i < NOTICE_DELIVERIES; i++) {
		assert_ok(upload_take_notice(&w->d, &account, &n, &w->e), &w->e);
		assert_ok(upload_end_notice(&w->d, n.lock, true, &w->no, &w->e), &w->e);
	}
	assert_fails(upload_take_notice(&w->d, &account, &n, &w->e), &w->e, NOT_FOUND);
	add_notice(w, "b");
	w->clock.skew_ms += NOTICE_LIFE_MS + 1;
	assert_ok(upload_trim(&w->d, &w->e), &w->e);
	assert_fails(upload_take_notice(&w->d, &account, &n, &w->e), &w->e, NOT_FOUND);
}

static void
failed_uploads_make_no_notice(void **state)
{
	struct world *w = *state;
	struct ipc_upload up;
	struct ipc_notice n;
	w->cfg.hub.upload_notices = true;
	begin(w, "d1", "x", &up);
	assert_ok(upload_end(&w->d, "d1", up.id, false, &w->no, &w->e), &w->e);
	assert_fails(upload_take_notice(&w->d, &account, &n, &w->e), &w->e, NOT_FOUND);
}

/* ---- sightings ------------------------------------------------------------------------
 */

#define NOW INT64_C(1000000)

static void
a_line_is_due_once_in_a_while(void **state)
{
	struct sightings *t = sighting_new(SIGHTING_BYTES_MAX);
	struct session sas = {.name = "d1", .by_key = true, .key = {1}};
	struct session x509 = {.name = "d2", .thumb = "aa"};
	session_blanks(&sas);
	session_blanks(&x509);
	assert_true(sighting_is_due(t, &sas, NOW));
	sighting_note(t, &sas, NOW);
	sighting_note(t, &x509, NOW);
	assert_false(sighting_is_due(t, &sas, NOW));
	assert_false(sighting_is_due(t, &sas, NOW + SIGHTING_SAS_MS - 1));
	assert_true(sighting_is_due(t, &sas, NOW + SIGHTING_SAS_MS));
	assert_false(sighting_is_due(t, &x509, NOW + SIGHTING_X509_MS - 1));
	assert_true(sighting_is_due(t, &x509, NOW + SIGHTING_X509_MS));
	/* a clock that was set back must not silence anybody for long */
	assert_true(sighting_is_due(t, &sas, NOW - 1));
	sighting_free(t);
}

static void
where_there_are_too_many_the_oldest_line_is_forgotten(void **state)
{
	static char names[200][8];
	struct sightings *t = sighting_new(4096);
	struct session s[200];
	unsigned due = 0;
	for (int i = 0; i < 200; i++) {
		snprintf(names[i], sizeof(names[i]), "d%d", i);
		s[i] = (struct session){.name = names[i], .by_key = true};
		session_blanks(&s[i]);
		sighting_note(t, &s[i], NOW);
		sighting_note(t, &s[0], NOW);
	}
	assert_false(sighting_is_due(t, &s[0], NOW)); /* it is noted again and again */
	assert_true(sighting_is_due(t, &s[1], NOW));
	for (int i = 0; i < 200; i++) {
		bool is = sighting_is_due(t, &s[i], NOW);
		assert_true(
		    i == 0 || is || i == 199 || !sighting_is_due(t, &s[i + 1], NOW));
		due += is;
	}
	assert_in_range(200 - due, 4096 / 250, 4096 / 60);
	sighting_free(t);
}

static void
another_credential_is_due_at_once(void **state)
{
	struct sightings *t = sighting_new(SIGHTING_BYTES_MAX);
	struct session first = {.name = "d1", .by_key = true, .key = {1}};
	struct session others[] = {
	    {.name = "d1", .by_key = true, .key = {2}},
	    {.name = "d1", .thumb = "aa"},
	    {.name = "d1", .by_policy = true, .policy = "device"},
	    {.name = "d1", .by_key = true, .key = {1}, .generation = "2"},
	};
	session_blanks(&first);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		session_blanks(&others[i]);
		sighting_note(t, &first, NOW);
		assert_false(sighting_is_due(t, &first, NOW));
		assert_true(sighting_is_due(t, &others[i], NOW));
		sighting_note(t, &others[i], NOW);
		assert_true(sighting_is_due(t, &first, NOW));
	}
	sighting_free(t);
}

static void
a_session_in_between_is_not_forgotten(void **state)
{
	struct sightings *t = sighting_new(SIGHTING_BYTES_MAX);
	struct session s = {.name = "d1", .by_key = true, .key = {1}};
	session_blanks(&s);
	sighting_note(t, &s, NOW);
	sighting_forget(t, "d1");
	sighting_forget(t, "nobody");
	assert_true(sighting_is_due(t, &s, NOW));
	sighting_free(t);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    T(a_grant_names_its_place_and_ends_once),
	    T(names_stay_in_the_devices_folder),
	    T(open_ones_are_counted_until_they_expire),
	    T(those_of_a_deleted_device_are_gone),
	    T(without_an_account_there_are_none),
	    T(notices_are_locked_and_come_again),
	    T(notices_nobody_wants_go),
	    T(failed_uploads_make_no_notice),
	    cmocka_unit_test(a_line_is_due_once_in_a_while),
	    cmocka_unit_test(another_credential_is_due_at_once),
	    cmocka_unit_test(where_there_are_too_many_the_oldest_line_is_forgotten),
	    cmocka_unit_test(a_session_in_between_is_not_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
