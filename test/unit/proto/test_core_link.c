/*
 * The edge's end of the link: answers by id, owners that leave, limits, a core that
 * breaks its word.
 */
#include "rig.h"

#include <unistd.h>

#include "codec/js.h"
#include "io/sock.h"
#include "proto/json.h"
#include "proto/hub/props.h"
#include "proto/wire_error.h"

struct got {
	unsigned rows, dones;
	enum err_code code;
	uint64_t tag;
	struct rig *rig;
	struct core_owner *drop; /* dropped from inside an answer */
};

static void
on_answer(void *arg, uint64_t tag, enum ipc_type type, const void *msg)
{
	struct got *g = arg;
	g->tag = tag;
	if (g->drop)
		core_link_drop(g->rig->core, g->drop);
	if (type != IPC_DONE) {
		g->rows++;
		return;
	}
	g->dones++;
	g->code = ((const struct ipc_done *)msg)->code;
}

static void
ask(struct rig *r, struct core_owner *o, struct got *g, uint64_t tag)
{
	struct err e = {0};
	const struct ipc_device_query m = {.limit = 5};
	const struct core_asker who = {.owner = o, .fn = on_answer, .arg = g, .tag = tag};
	assert_ok(core_link_ask(r->core, &who, IPC_DEVICE_QUERY, &m, &e), &e);
}

static void
rows_and_done_reach_their_own_asker(void **state)
{
	struct rig *r = *state;
	struct core_owner o;
	struct got a = {.rig = r}, b = {.rig = r};
	struct ipc_device_query m;
	const struct ipc_device d = {.id = SPAN_LIT("d")};
	core_link_owner_init(&o);
	ask(r, &o, &a, 11);
	ask(r, &o, &b, 22);
	uint64_t ida = rig_core_gets(r, IPC_DEVICE_QUERY, &m);
	uint64_t idb = rig_core_gets(r, IPC_DEVICE_QUERY, &m);
	rig_core_says(r, idb, IPC_DEVICE, &d);
	rig_core_says(r, ida, IPC_DEVICE, &d);
	rig_core_says(r, idb, IPC_DEVICE, &d);
	rig_core_done(r, idb, ERR_OK, 0);
	assert_int_equal(a.rows, 1);
	assert_int_equal(a.dones, 0);
	assert_int_equal(b.rows, 2);
	assert_int_equal(b.dones, 1);
	assert_int_equal(b.tag, 22);
	rig_core_done(r, ida, ERR_BUSY, 0);
	assert_int_equal(a.code, ERR_BUSY);
	assert_false(core_link_is_asking(&o));
}

static void
owner_may_be_dropped_inside_its_own_answer(void **state)
{
	struct rig *r = *state;
	struct core_owner o;
	struct got a = {.rig = r, .drop = &o}, b = {.rig = r};
	struct ipc_device_query m;
	core_link_owner_init(&o);
	ask(r, &o, &a, 0);
	ask(r, &o, &b, 0);
	const struct ipc_device d = {.id = SPAN_LIT("d")};
	rig_core_says(r, rig_core_gets(r, IPC_DEVICE_QUERY, &m), IPC_DEVICE, &d);
	assert_int_equal(a.rows, 1);
	assert_int_equal(core_link_pending(r->core), 0);
	rig_core_dies(r, false);
	assert_int_equal(a.dones + b.dones, 0);
}

static void
lost_core_fails_every_question_and_later_ones(void **state)
{
	struct rig *r = *state;
	struct core_owner o;
	struct got g = {.rig = r};
	struct err e = {0};
	core_link_owner_init(&o);
	for (int i = 0; i < 5; i++)
		ask(r, &o, &g, 0);
	rig_core_dies(r, false);
	assert_int_equal(g.dones, 5);
	assert_int_equal(g.code, ERR_UNAVAILABLE);
	assert_int_equal(r->lost, 1);
	const struct ipc_device_query m = {0};
	const struct core_asker who = {.owner = &o, .fn = on_answer, .arg = &g};
	assert_fails(
	    core_link_ask(r->core, &who, IPC_DEVICE_QUERY, &m, &e), &e, UNAVAILABLE);
}

static void
new_core_replaces_an_old_one_that_still_stands(void **state)
{
	struct rig *r = *state;
	struct core_owner o;
	struct got g = {.rig = r};
	struct err e = {0};
	int fds[2];
	core_link_owner_init(&o);
	ask(r, &o, &g, 0);
	assert_ok(sock_pair(fds, &e), &e);
	assert_ok(core_link_attach(r->core, fds[0], &e), &e);
	assert_int_equal(g.code, ERR_UNAVAILABLE);
	assert_int_equal(r->lost, 1);
	assert_true(core_link_is_up(r->core));
	close(fds[1]);
}

static void
silence_fails_after_25_seconds_and_rows_are_no_silence(void **state)
{
	struct rig *r = *state;
	struct core_owner o;
	struct got a = {.rig = r}, b = {.rig = r};
	struct ipc_device_query m;
	const struct ipc_device d = {.id = SPAN_LIT("d")};
	core_link_owner_init(&o);
	ask(r, &o, &a, 0);
	ask(r, &o, &b, 0);
	uint64_t ida = rig_core_gets(r, IPC_DEVICE_QUERY, &m);
	rig_core_gets(r, IPC_DEVICE_QUERY, &m);
	rig_advance(r, 20000);
	rig_core_says(r, ida, IPC_DEVICE, &d);
	rig_advance(r, 6000);
	assert_int_equal(b.code, ERR_TIMEOUT);
	assert_int_equal(b.dones, 1);
	assert_int_equal(a.dones, 0);
	rig_advance(r, 20000);
	assert_int_equal(a.code, ERR_TIMEOUT);
}

static void
patient_question_outlives_others_and_fails_in_its_own_time(void **state)
{
	struct rig *r = *state;
	struct core_owner o;
	struct got a = {.rig = r}, b = {.rig = r}, c = {.rig = r};
	struct err e = {0};
	struct ipc_device_query m = {.limit = 5};
	const struct ipc_device d = {.id = SPAN_LIT("d")};
	const struct core_asker slow = {
	    .owner = &o, .fn = on_answer, .arg = &a, .wait_ms = 60000};
	const struct core_asker slower = {
	    .owner = &o, .fn = on_answer, .arg = &c, .wait_ms = 90000};
	core_link_owner_init(&o);
	assert_ok(core_link_ask(r->core, &slower, IPC_DEVICE_QUERY, &m, &e), &e);
	assert_ok(core_link_ask(r->core, &slow, IPC_DEVICE_QUERY, &m, &e), &e);
	ask(r, &o, &b, 0);
	rig_core_gets(r, IPC_DEVICE_QUERY, &m);
	uint64_t id = rig_core_gets(r, IPC_DEVICE_QUERY, &m);
	rig_advance(r, 26000);
	assert_int_equal(b.code, ERR_TIMEOUT);
	assert_int_equal(a.dones + c.dones, 0);
	rig_core_says(r, id, IPC_DEVICE, &d); /* a row gives it its time anew */
	rig_advance(r, 58000);
	assert_int_equal(a.dones + c.dones, 0);
	rig_advance(r, 3000);
	assert_int_equal(a.code, ERR_TIMEOUT);
	assert_int_equal(c.dones, 0);
	rig_core_dies(r, false);
	assert_int_equal(c.code, ERR_UNAVAILABLE);
	assert_int_equal(a.dones + b.dones + c.dones, 3);
}

static void
message_that_a_core_may_not_send_ends_the_link(void **state)
{
	struct rig *r = *state;
	struct err e = {0};
	const struct ipc_frame bad[] = {
	    {.type = IPC_DEVICE_GET, .id = 1, .fd = -1},
	    {.type = 999, .id = 1, .fd = -1},
	    {.type = IPC_DONE, .id = 1, .body = SPAN_LIT("x"), .fd = -1},
	};
	for (unsigned i = 0; i < 3; i++) {
		assert_ok(ipc_sync_send(r->peer, &bad[i], 1000, &e), &e);
		rig_settle(r);
		assert_int_equal(r->lost, i + 1);
		assert_false(core_link_is_up(r->core));
		rig_core_dies(r, true);
	}
}

static void
refused_is_cut_to_its_caps(void **state)
{
	struct rig *r = *state;
	struct ipc_refused m;
	char id[400], why[3000];
	memset(id, 'i', sizeof(id));
	memset(why, 'w', sizeof(why));
	const struct ipc_peer peer = {
	    .address = SPAN_LIT("a"), .proto = SPAN_LIT("mqtt")};
	core_link_refused(r->core, "hub", &peer, span_of(id, sizeof(id)), 7, "%.*s",
	    (int)sizeof(why), why);
	rig_core_gets(r, IPC_REFUSED, &m);
	assert_int_equal(m.device_id.len, CAP_ID);
	assert_int_equal(m.reason.len, 300);
}

/* ---- small parts ------------------------------------------------------------------- */

static void
etags_are_taken_in_every_spelling(void **state)
{
	char out[JSON_ETAG_MAX];
	static const struct {
		const char *in, *want;
	} rows[] = {{NULL, ""}, {"", ""}, {"*", "*"}, {"\"*\"", "*"}, {"MTc=", "17"},
	    {"\"MTc=\"", "17"}, {" MTc= ", "17"}, {"17", NULL},
	    {"{'IF-MATCH': 'MTc='}", NULL}, {"eHg=", NULL}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool ok = json_etag_parse(rows[i].in, out);
		assert_int_equal(ok, rows[i].want != NULL);
		if (ok)
			assert_string_equal(out, rows[i].want);
	}
	json_etag(INT64_MAX, out);
	char back[JSON_ETAG_MAX];
	assert_true(json_etag_parse(out, back));
	assert_string_equal(back, "9223372036854775807");
}

static void
text_that_is_no_utf8_is_shown_as_far_as_it_can_be(void **state)
{
	auto_(js_free) struct js *o = js_object();
	json_put_text(o, "a", SPAN_LIT("caf\xc3\xa9"));
	json_put_text(o, "b", SPAN_LIT("caf\xc3"));
	assert_string_equal(js_as_text(js_get(o, "a")), "caf\xc3\xa9");
	assert_string_equal(js_as_text(js_get(o, "b")), "caf?");
}

static void
props_at_their_cap_are_a_limit_not_a_crash(void **state)
{
	struct err e = {0};
	auto_buf bag = BUF_INIT(1 << 20), out = BUF_INIT(CAP_JSON);
	const struct props_marks none = {0};
	for (int i = 0; i < 9000; i++)
		buf_printf(&bag, "k%d=%%01&", i);
	assert_fails(props_from_bag(buf_span(&bag), &none, &out, &e), &e, LIMIT);
}

static void
errors_have_a_row_for_every_status(void **state)
{
	for (int i = 0; i < ERR_N; i++) {
		const struct wire_error w = wire_error_of_code(i, WIRE_HUB);
		assert_int_equal(w.status, err_row(i)->http);
		if (w.status >= 400)
			assert_int_equal(w.number / 1000, w.status);
	}
	const struct wire_error unknown = wire_error_of(404999);
	assert_int_equal(unknown.number, 404999);
	assert_string_equal(unknown.name, "GenericNotFound");
	assert_string_equal(wire_error_of(999999).name, "ServerError");
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
	    T(rows_and_done_reach_their_own_asker),
	    T(owner_may_be_dropped_inside_its_own_answer),
	    T(lost_core_fails_every_question_and_later_ones),
	    T(new_core_replaces_an_old_one_that_still_stands),
	    T(silence_fails_after_25_seconds_and_rows_are_no_silence),
	    T(patient_question_outlives_others_and_fails_in_its_own_time),
	    T(message_that_a_core_may_not_send_ends_the_link),
	    T(refused_is_cut_to_its_caps),
	    cmocka_unit_test(etags_are_taken_in_every_spelling),
	    cmocka_unit_test(text_that_is_no_utf8_is_shown_as_far_as_it_can_be),
	    cmocka_unit_test(props_at_their_cap_are_a_limit_not_a_crash),
	    cmocka_unit_test(errors_have_a_row_for_every_status),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
