/*
 * States of the CAs: what the signer names is taken up once, moves follow the table, and
 * nothing that is in use is taken away without force.
 */
#include "../test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "codec/config.h"
#include "crypto/digest.h"
#include "domain/pki/issuer.h"
#include "io/file.h"
#include "store/pki.h"

#define NOW_MS INT64_C(1790000000000)

struct world {
	char dir[64];
	struct domain d;
	struct config cfg;
	struct clock clock;
	struct arena *arena, *cfg_arena;
	struct issuer_book book;
	struct err e;
};

static int
setup(void **state)
{
	struct world *w = own_alloc(sizeof(*w));
	char path[100];
	snprintf(w->dir, sizeof(w->dir), "/tmp/muster-issuer-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(path, sizeof(path), "%s/hub.db", w->dir);
	w->arena = arena_new(16 << 20);
	w->cfg_arena = arena_new(4 * CONF_FILE_MAX);
	w->clock = clock_fake(NOW_MS);
	conf_defaults(&config_table, &w->cfg, w->cfg_arena);
	w->d = (struct domain){.store = store_open(path, &w->e),
	    .cfg = &w->cfg,
	    .clock = &w->clock,
	    .arena = w->arena};
	assert_non_null(w->d.store);
	assert_ok(store_begin(w->d.store, &w->e), &w->e);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;
	store_rollback(w->d.store);
	store_close(w->d.store);
	arena_free(w->arena);
	arena_free(w->cfg_arena);
	assert_ok(file_remove_tree(w->dir, &w->e), &w->e);
	free(w);
	return 0;
}

/* A CA as the signer names it; its certificate is its name here. */
static struct ipc_signer_ca
ca(const char *name, const char *purpose)
{
	bool issues = strcmp(purpose, "device") == 0 || strcmp(purpose, "service") == 0;
	return (struct ipc_signer_ca){.name = span_str(name),
	    .purpose = span_str(purpose),
	    .cert = span_str(name),
	    .custody = issues ? SPAN_LIT("file") : SPAN_NONE,
	    .issues = issues};
}

static void
reload(struct world *w)
{
	assert_ok(issuer_load(&w->d, &w->book, &w->e), &w->e);
	w->d.issuers = &w->book;
}

static void
sync_all(struct world *w, const struct ipc_signer_ca *rows, size_t n)
{
	assert_ok(issuer_sync(&w->d, rows, n, &w->e), &w->e);
	reload(w);
}

static const struct issuer_entry *
entry(struct world *w, const char *name)
{
	uint8_t sha[DIGEST_SHA256];
	digest_sha256(span_str(name), sha);
	const struct issuer_entry *en = issuer_find(&w->d, span_of(sha, sizeof(sha)));
	assert_non_null(en);
	return en;
}

static const char *
state_of(struct world *w, const char *name)
{
	return issuer_state_name(entry(w, name)->state);
}

static int
put(struct world *w, const char *name, enum issuer_state state, bool force)
{
	const struct issuer_change ch = {
	    .name = span_str(name), .state = state, .reason = 1, .force = force};
	int rc = issuer_put_state(&w->d, &ch, &w->e);
	if (rc == 0)
		reload(w);
	return rc;
}

static const struct ipc_signer_ca *
three(void)
{
	static struct ipc_signer_ca rows[3];
	rows[0] = ca("root", "root");
	rows[1] = ca("device-ca", "device");
	rows[2] = ca("service-ca", "service");
	return rows;
}

/* A device that connected last with a certificate of that CA. */
static void
use(struct world *w, const char *name)
{
	const struct store_device_cert c = {.device_id = "d1",
	    .sha256 = "aa",
	    .issuer = entry(w, name)->hex,
	    .serial = "01",
	    .key_sha256 = "",
	    .seen_ms = NOW_MS,
	    .peer = "",
	    .custody = "",
	    .generation = "",
	    .anchors = SPAN_LIT(""),
	    .agent = ""};
	assert_ok(store_device_cert_put(w->d.store, &c, &w->e), &w->e);
}

static void
nothing_is_judged_before_the_cas_are_named(void **state)
{
	struct world *w = *state;
	const struct issuer_entry *by;
	assert_false(issuer_is_ready(&w->d));
	assert_fails(issuer_active(&w->d, CA_DEVICE, &by, &w->e), &w->e, UNAVAILABLE);
	reload(w);
	assert_false(issuer_is_ready(&w->d));
	sync_all(w, three(), 3);
	assert_true(issuer_is_ready(&w->d));
}

static void
a_fresh_store_puts_the_first_of_each_purpose_to_work(void **state)
{
	struct world *w = *state;
	const struct ipc_signer_ca rows[] = {ca("root", "root"), ca("root-2", "root"),
	    ca("device-ca", "device"), ca("device-2", "device"),
	    ca("service-ca", "service"), ca("root-2-by-root", "cross")};
	const struct issuer_entry *by;
	sync_all(w, rows, 6);
	assert_string_equal(state_of(w, "root"), "trusted");
	assert_string_equal(state_of(w, "root-2"), "trusted");
	assert_string_equal(state_of(w, "device-ca"), "active");
	assert_string_equal(state_of(w, "device-2"), "standby");
	assert_string_equal(state_of(w, "service-ca"), "active");
	assert_string_equal(state_of(w, "root-2-by-root"), "trusted");
	assert_ok(issuer_active(&w->d, CA_SERVICE, &by, &w->e), &w->e);
	assert_string_equal(by->name, "service-ca");
	assert_true(issuer_is_service(&w->d, span_of(by->sha256, 32)));
	assert_false(
	    issuer_is_service(&w->d, span_of(entry(w, "device-ca")->sha256, 32)));
}

/* The signer names all that it has, each time. */
static void
sync_with(struct world *w, const struct ipc_signer_ca *more)
{
	struct ipc_signer_ca rows[4];
	memcpy(rows, three(), 3 * sizeof(rows[0]));
	rows[3] = *more;
	sync_all(w, rows, 4);
}

static void
who_is_not_named_any_more_has_no_key_here(void **state)
{
	struct world *w = *state;
	struct store_issuer row;
	const struct ipc_signer_ca more = ca("device-2", "device");
	sync_all(w, three(), 3);
	sync_with(w, &more);
	sync_all(w, three(), 3);
	assert_ok(
	    store_issuer_by_name(w->d.store, "device-2", w->arena, &row, &w->e), &w->e);
	assert_string_equal(row.custody, "");
	assert_fails(put(w, "device-2", ISSUER_ACTIVE, true), &w->e, CONFLICT);
	assert_ok(
	    store_issuer_by_name(w->d.store, "device-ca", w->arena, &row, &w->e), &w->e);
	assert_string_equal(row.custody, "file");
}

static void
later_ones_wait_for_an_operator_and_none_is_forgotten(void **state)
{
	struct world *w = *state;
	const struct ipc_signer_ca more[] = {
	    ca("device-2", "device"), ca("root-2", "root"), ca("x", "cross")};
	sync_all(w, three(), 3);
	sync_all(w, more, 3);
	assert_string_equal(state_of(w, "device-ca"), "active");
	assert_string_equal(state_of(w, "device-2"), "standby");
	assert_string_equal(state_of(w, "root-2"), "standby");
	assert_string_equal(state_of(w, "x"), "trusted");
	sync_all(w, three(), 3); /* as after each start of the signer */
	assert_string_equal(state_of(w, "device-2"), "standby");
	assert_int_equal(w->book.n, 6);
}

static void
a_name_stands_for_one_certificate_for_ever(void **state)
{
	struct world *w = *state;
	struct ipc_signer_ca other = ca("device-ca", "device");
	sync_all(w, three(), 3);
	other.cert = SPAN_LIT("another certificate");
	assert_fails(issuer_sync(&w->d, &other, 1, &w->e), &w->e, CONFLICT);
	assert_non_null(strstr(w->e.text, "new name"));
}

static void
activating_one_retires_the_other_and_can_be_undone(void **state)
{
	struct world *w = *state;
	const struct ipc_signer_ca more = ca("device-2", "device");
	const struct issuer_entry *by;
	sync_all(w, three(), 3);
	sync_with(w, &more);
	use(w, "device-ca");
	assert_fails(put(w, "device-2", ISSUER_ACTIVE, false), &w->e, CONFLICT);
	assert_ok(put(w, "device-2", ISSUER_TRUSTED, false), &w->e);
	assert_ok(put(w, "device-2", ISSUER_ACTIVE, false), &w->e);
	assert_string_equal(state_of(w, "device-ca"), "retiring");
	assert_true(issuer_is_trusted(entry(w, "device-ca")->state));
	assert_ok(issuer_active(&w->d, CA_DEVICE, &by, &w->e), &w->e);
	assert_string_equal(by->name, "device-2");
	assert_string_equal(state_of(w, "service-ca"), "active");
	assert_ok(put(w, "device-ca", ISSUER_ACTIVE, false), &w->e);
	assert_string_equal(state_of(w, "device-2"), "retiring");
}

static void
what_is_in_use_is_not_taken_away_without_force(void **state)
{
	struct world *w = *state;
	const struct ipc_signer_ca more = ca("device-2", "device");
	sync_all(w, three(), 3);
	sync_with(w, &more);
	use(w, "device-ca");
	assert_fails(put(w, "device-ca", ISSUER_RETIRING, false), &w->e, GATE);
	assert_fails(put(w, "device-ca", ISSUER_REVOKED, false), &w->e, GATE);
	assert_fails(put(w, "root", ISSUER_STANDBY, false), &w->e, GATE);
	assert_fails(put(w, "root", ISSUER_REVOKED, false), &w->e, GATE);
	assert_ok(put(w, "device-2", ISSUER_TRUSTED, false), &w->e);
	assert_ok(put(w, "device-2", ISSUER_ACTIVE, false), &w->e);
	assert_fails(put(w, "device-ca", ISSUER_RETIRED, false), &w->e, GATE);
	assert_non_null(strstr(w->e.text, "1 devices"));
	assert_ok(store_device_cert_del(w->d.store, "d1", &w->e), &w->e);
	assert_ok(put(w, "device-ca", ISSUER_RETIRED, false), &w->e);
	assert_false(issuer_is_trusted(entry(w, "device-ca")->state));
	assert_ok(put(w, "device-2", ISSUER_REVOKED, true), &w->e);
	const struct issuer_entry *by;
	assert_fails(issuer_active(&w->d, CA_DEVICE, &by, &w->e), &w->e, UNAVAILABLE);
}

static void
revoked_is_for_ever_whatever_is_forced(void **state)
{
	struct world *w = *state;
	const struct ipc_signer_ca more = ca("device-2", "device");
	struct store_issuer row;
	sync_all(w, three(), 3);
	sync_with(w, &more);
	assert_ok(put(w, "device-2", ISSUER_REVOKED, false), &w->e);
	assert_ok(
	    store_issuer_by_name(w->d.store, "device-2", w->arena, &row, &w->e), &w->e);
	assert_int_equal(row.reason, 1);
	assert_int_equal(row.state_ms, NOW_MS);
	for (int s = 0; s < ISSUER_STATE_N; s++)
		if (s != ISSUER_REVOKED)
			assert_fails(put(w, "device-2", (enum issuer_state)s, true),
			    &w->e, CONFLICT);
}

static void
who_cannot_issue_is_not_made_active(void **state)
{
	struct world *w = *state;
	struct ipc_signer_ca keyless = ca("device-2", "device");
	keyless.custody = SPAN_NONE;
	sync_all(w, three(), 3);
	sync_all(w, &keyless, 1);
	assert_ok(put(w, "device-2", ISSUER_TRUSTED, false), &w->e);
	assert_fails(put(w, "device-2", ISSUER_ACTIVE, true), &w->e, CONFLICT);
	assert_fails(put(w, "root", ISSUER_ACTIVE, true), &w->e, CONFLICT);
	assert_fails(put(w, "nobody", ISSUER_ACTIVE, true), &w->e, NOT_FOUND);
	keyless.custody = SPAN_LIT("pkcs11"); /* its token was plugged in */
	sync_all(w, &keyless, 1);
	assert_ok(put(w, "device-2", ISSUER_ACTIVE, false), &w->e);
}

static void
only_the_moves_of_the_table_are_made(void **state)
{
	struct world *w = *state;
	const struct ipc_signer_ca more = ca("device-2", "device");
	sync_all(w, three(), 3);
	sync_with(w, &more);
	assert_fails(put(w, "device-2", ISSUER_RETIRING, true), &w->e, CONFLICT);
	assert_fails(put(w, "device-2", ISSUER_RETIRED, true), &w->e, CONFLICT);
	assert_fails(put(w, "device-ca", ISSUER_STANDBY, true), &w->e, CONFLICT);
	assert_fails(put(w, "device-ca", ISSUER_TRUSTED, true), &w->e, CONFLICT);
	assert_fails(put(w, "device-ca", ISSUER_RETIRED, true), &w->e, CONFLICT);
	assert_ok(put(w, "device-ca", ISSUER_ACTIVE, false), &w->e); /* it is */
	assert_ok(put(w, "device-2", ISSUER_TRUSTED, false), &w->e);
	assert_ok(put(w, "device-2", ISSUER_STANDBY, false), &w->e);
}

#define row(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    row(nothing_is_judged_before_the_cas_are_named),
	    row(a_fresh_store_puts_the_first_of_each_purpose_to_work),
	    row(who_is_not_named_any_more_has_no_key_here),
	    row(later_ones_wait_for_an_operator_and_none_is_forgotten),
	    row(a_name_stands_for_one_certificate_for_ever),
	    row(activating_one_retires_the_other_and_can_be_undone),
	    row(what_is_in_use_is_not_taken_away_without_force),
	    row(revoked_is_for_ever_whatever_is_forced),
	    row(who_cannot_issue_is_not_made_active),
	    row(only_the_moves_of_the_table_are_made),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
