/*
 * The store's verbs, through store.h.
 */
#include "verbs.h"

/* Every member differs from every other of its kind, so a swapped column shows. */
static const struct store_device full_device = {
    .id = "Dev-1",
    .generation = "638000",
    .etag = 11,
    .enabled = true,
    .status_reason = "because",
    .auth = STORE_AUTH_SELF_SIGNED,
    .sas_window = false,
    .primary_key = {(const uint8_t *)"p\0rimary", 8},
    .secondary_key = {(const uint8_t *)"secondary", 9},
    .primary_thumb = "aa",
    .secondary_thumb = "bb",
    .iot_edge = true,
    .created_ms = 21,
    .status_updated_ms = 22,
    .conn_updated_ms = 23,
    .last_activity_ms = 24,
    .connected = false,
    .group_id = "grp",
    .subs = 0x80000025,
    .managed_by = "who",
    .tags = {(const uint8_t *)"{\"t\":1}", 7},
    .desired = {(const uint8_t *)"{\"d\":2}", 7},
    .reported = {(const uint8_t *)"{\"r\":3}", 7},
    .desired_version = 31,
    .reported_version = 32,
    .twin_etag = 33,
    .hub = "One.Example",
    .desired_meta = {(const uint8_t *)"{\"dm\":[1]}", 10},
    .reported_meta = {(const uint8_t *)"{\"rm\":[2]}", 10},
};

static void
assert_same_device(const struct store_device *d, const struct store_device *w)
{
	assert_string_equal(d->id, w->id);
	assert_string_equal(d->generation, w->generation);
	assert_int_equal(d->etag, w->etag);
	assert_int_equal(d->enabled, w->enabled);
	assert_string_equal(d->status_reason, w->status_reason);
	assert_int_equal(d->auth, w->auth);
	assert_int_equal(d->sas_window, w->sas_window);
	assert_span(d->primary_key, w->primary_key);
	assert_span(d->secondary_key, w->secondary_key);
	assert_string_equal(d->primary_thumb, w->primary_thumb);
	assert_string_equal(d->secondary_thumb, w->secondary_thumb);
	assert_int_equal(d->iot_edge, w->iot_edge);
	assert_int_equal(d->created_ms, w->created_ms);
	assert_int_equal(d->status_updated_ms, w->status_updated_ms);
	assert_int_equal(d->conn_updated_ms, w->conn_updated_ms);
	assert_int_equal(d->last_activity_ms, w->last_activity_ms);
	assert_int_equal(d->connected, w->connected);
	assert_string_equal(d->group_id, w->group_id);
	assert_int_equal(d->subs, w->subs);
	assert_string_equal(d->managed_by, w->managed_by);
	assert_span(d->tags, w->tags);
	assert_span(d->desired, w->desired);
	assert_span(d->reported, w->reported);
	assert_int_equal(d->desired_version, w->desired_version);
	assert_int_equal(d->reported_version, w->reported_version);
	assert_int_equal(d->twin_etag, w->twin_etag);
	assert_string_equal(d->hub, w->hub);
	assert_span(d->desired_meta, w->desired_meta);
	assert_span(d->reported_meta, w->reported_meta);
}

static void
device_comes_back_as_it_was_added_and_as_it_was_put(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_device got, d = full_device;
	assert_ok(store_device_add(s, &d, &e), &e);
	assert_ok(store_device_get(s, "Dev-1", arena(state), &got, &e), &e);
	assert_same_device(&got, &full_device);

	d.auth = STORE_AUTH_CA;
	d.enabled = false;
	d.sas_window = true;
	d.iot_edge = false;
	d.connected = true;
	d.primary_key = SPAN_NONE;
	d.desired = SPAN_LIT("{\"d\":4}");
	d.desired_version = 44;
	d.etag = 45;
	assert_ok(store_device_put(s, &d, &e), &e);
	assert_ok(store_commit(s, &e), &e);
	assert_ok(store_device_get(s, "Dev-1", arena(state), &got, &e), &e);
	assert_same_device(&got, &d);
}

static void
device_absent_text_and_keys_read_as_empty(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_device got, d = {.id = "bare"};
	assert_ok(store_device_add(s, &d, &e), &e);
	assert_ok(store_device_get(s, "bare", arena(state), &got, &e), &e);
	assert_string_equal(got.generation, "");
	assert_string_equal(got.primary_thumb, "");
	assert_int_equal(got.primary_key.len, 0);
	assert_int_equal(got.tags.len, 0);
}

static void
device_ids_differ_by_case(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_device got, d = {.id = "dev"};
	assert_ok(store_device_add(s, &d, &e), &e);
	assert_fails(store_device_get(s, "DEV", arena(state), &got, &e), &e, NOT_FOUND);
	assert_non_null(strstr(e.text, "device DEV"));
	d.id = "DEV";
	assert_ok(store_device_add(s, &d, &e), &e);
}

static void
device_get_that_fails_leaves_its_output_alone(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_device got = {.etag = 77}, d = full_device;
	assert_ok(store_device_add(s, &d, &e), &e);
	assert_fails(store_device_get(s, "none", arena(state), &got, &e), &e, NOT_FOUND);
	auto_(arena_free) struct arena *tiny = arena_new(64);
	assert_fails(store_device_get(s, "Dev-1", tiny, &got, &e), &e, LIMIT);
	assert_int_equal(got.etag, 77);
	assert_null(got.id);
}

static void
a_taken_or_missing_id_does_not_end_the_turn(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_device got, d = full_device;
	assert_ok(store_device_add(s, &d, &e), &e);
	d.etag = 99;
	d.tags = SPAN_LIT("{\"other\":1}");
	assert_fails(store_device_add(s, &d, &e), &e, EXISTS);
	assert_string_equal(e.text, "device Dev-1 exists already");
	d.id = "absent";
	assert_fails(store_device_put(s, &d, &e), &e, NOT_FOUND);
	assert_fails(store_device_del(s, "absent", &e), &e, NOT_FOUND);
	assert_fails(store_device_seen(s, "absent", true, 1, &e), &e, NOT_FOUND);
	assert_ok(store_commit(s, &e), &e);
	assert_ok(store_device_get(s, "Dev-1", arena(state), &got, &e), &e);
	assert_same_device(&got, &full_device);
}

static void
device_del_takes_its_twin_along(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_device got, d = full_device;
	assert_ok(store_device_add(s, &d, &e), &e);
	assert_ok(store_device_del(s, d.id, &e), &e);
	assert_fails(store_device_get(s, d.id, arena(state), &got, &e), &e, NOT_FOUND);
	d.tags = SPAN_NONE;
	assert_ok(store_device_add(s, &d, &e), &e);
	assert_ok(store_device_get(s, d.id, arena(state), &got, &e), &e);
	assert_int_equal(got.tags.len, 0);
	assert_ok(store_commit(s, &e), &e);
	assert_ok(store_verify(s, &e), &e);
}

static void
device_seen_moves_the_connection_and_nothing_else(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_device got, want = full_device;
	assert_ok(store_device_add(s, &full_device, &e), &e);
	assert_ok(store_device_seen(s, "Dev-1", true, NOW, &e), &e);
	want.connected = true;
	want.conn_updated_ms = want.last_activity_ms = NOW;
	assert_ok(store_device_get(s, "Dev-1", arena(state), &got, &e), &e);
	assert_same_device(&got, &want);
}

static void
subscriptions_and_twin_are_each_written_alone(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_device got, want = full_device;
	assert_ok(store_device_add(s, &full_device, &e), &e);
	assert_ok(store_device_subs(s, "Dev-1", 0xffffffff, &e), &e);
	want.subs = 0xffffffff;
	assert_ok(store_device_get(s, "Dev-1", arena(state), &got, &e), &e);
	assert_same_device(&got, &want);
	want.reported = SPAN_LIT("{\"r\":4}");
	want.reported_version = 99;
	want.reported_meta = SPAN_LIT("{\"rm\":[5]}");
	got = want;
	got.etag = 1234; /* of the identity: not the twin's */
	assert_ok(store_twin_put(s, &got, &e), &e);
	assert_ok(store_device_get(s, "Dev-1", arena(state), &got, &e), &e);
	assert_same_device(&got, &want);
	assert_fails(store_device_subs(s, "none", 1, &e), &e, NOT_FOUND);
}

static void
those_that_were_connected_can_be_let_go(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_device got, a = {.id = "a", .connected = true, .conn_updated_ms = 5},
				 b = {.id = "b", .conn_updated_ms = 5};
	assert_ok(store_device_add(s, &a, &e), &e);
	assert_ok(store_device_add(s, &b, &e), &e);
	assert_ok(store_device_connected(s, let_go, s, &e), &e);
	assert_ok(store_device_get(s, "a", arena(state), &got, &e), &e);
	assert_false(got.connected);
	assert_int_equal(got.conn_updated_ms, NOW);
	assert_ok(store_device_get(s, "b", arena(state), &got, &e), &e);
	assert_int_equal(got.conn_updated_ms, 5);
}

static int
on_device(void *ctx, const struct store_device *d, struct err *e)
{
	return see(ctx, d->id);
}

static void
device_each_pages_in_order_and_hands_on_a_stop(void **state)
{
	struct store *s = begun(state);
	struct err e;
	static const char *const ids[] = {"c", "a", "d", "b"};
	for (size_t i = 0; i < 4; i++)
		assert_ok(
		    store_device_add(s, &(struct store_device){.id = ids[i]}, &e), &e);
	struct seen seen = {0};
	assert_ok(store_device_each(s, "", 3, on_device, &seen, &e), &e);
	assert_string_equal(seen.text, "a b c ");
	seen = (struct seen){0};
	assert_ok(store_device_each(s, "b", 10, on_device, &seen, &e), &e);
	assert_string_equal(seen.text, "c d ");
	seen = (struct seen){.stop_at = 2};
	assert_int_equal(store_device_each(s, "", 10, on_device, &seen, &e), 7);
	assert_string_equal(seen.text, "a b ");
}

static int
on_device_write(void *ctx, const struct store_device *d, struct err *e)
{
	struct seen *seen = ctx, inner = {0};
	char id[8];
	snprintf(id, sizeof(id), "%s", d->id);
	if (store_device_seen(seen->s, d->id, true, NOW, e) ||
	    store_device_each(seen->s, d->id, 9, on_device, &inner, e))
		return -1;
	assert_string_equal(d->id, id); /* the row outlives what the visitor did */
	return see(seen, inner.text);
}

static void
a_visitor_may_call_the_store(void **state)
{
	struct store *s = begun(state);
	struct err e;
	for (const char *id = "abc"; *id; id++) {
		char text[2] = {*id};
		assert_ok(
		    store_device_add(s, &(struct store_device){.id = text}, &e), &e);
	}
	struct seen seen = {.s = s};
	assert_ok(store_device_each(s, "", 9, on_device_write, &seen, &e), &e);
	assert_string_equal(seen.text, "b c  c   ");
	assert_ok(store_commit(s, &e), &e);
}

static void
device_counts_add_up(void **state)
{
	struct store *s = begun(state);
	struct err e;
	const struct store_device rows[] = {
	    {.id = "1", .enabled = true, .auth = STORE_AUTH_SAS, .connected = true},
	    {.id = "2", .enabled = false, .auth = STORE_AUTH_SAS},
	    {.id = "3", .enabled = true, .auth = STORE_AUTH_CA, .connected = true},
	    {.id = "4", .enabled = true, .auth = STORE_AUTH_SELF_SIGNED},
	};
	for (size_t i = 0; i < 4; i++)
		assert_ok(store_device_add(s, &rows[i], &e), &e);
	struct counted c = count_devices(s);
	assert_int_equal(c.total, 4);
	assert_int_equal(c.enabled, 3);
	assert_int_equal(c.connected, 2);
	assert_int_equal(c.by_auth[STORE_AUTH_NONE], 0);
	assert_int_equal(c.by_auth[STORE_AUTH_SAS], 2);
	assert_int_equal(c.by_auth[STORE_AUTH_SELF_SIGNED], 1);
	assert_int_equal(c.by_auth[STORE_AUTH_CA], 1);
}

static void
device_counts_follow_what_changes(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct counted c;
	struct store_device d = {.id = "1", .enabled = true, .auth = STORE_AUTH_SAS};
	assert_ok(store_device_add(s, &d, &e), &e);
	assert_ok(store_device_add(s, &(struct store_device){.id = "2"}, &e), &e);
	assert_ok(store_device_seen(s, "1", true, 7, &e), &e);
	assert_ok(store_device_seen(s, "1", true, 8, &e), &e);
	c = count_devices(s);
	assert_int_equal(c.connected, 1);
	d.auth = STORE_AUTH_CA;
	d.enabled = false;
	assert_ok(store_device_put(s, &d, &e), &e);
	c = count_devices(s);
	assert_int_equal(c.total, 2);
	assert_int_equal(c.enabled, 0);
	assert_int_equal(c.by_auth[STORE_AUTH_SAS], 0);
	assert_int_equal(c.by_auth[STORE_AUTH_CA], 1);
	assert_ok(store_device_connected(s, let_go, s, &e), &e);
	assert_ok(store_device_del(s, "2", &e), &e);
	c = count_devices(s);
	assert_int_equal(c.connected, 0);
	assert_int_equal(c.total, 1);
	assert_int_equal(c.by_auth[STORE_AUTH_NONE], 0);
}

static const struct store_registration full_registration = {
    .id = "Reg-1",
    .group_id = "Line-7",
    .device_id = "dev",
    .hub = "hub.example",
    .status = "assigned",
    .substatus = "initialAssignment",
    .operation_id = "4.x.y",
    .error_code = 401002,
    .error_text = "why",
    .attestation = "x509",
    .thumb = "ab",
    .etag = 1,
    .created_ms = 2,
    .updated_ms = 3,
    .ready_ms = 4,
    .payload = {(const uint8_t *)"{\"p\":1}", 7},
    .hubs = "one.example",
    .deadline_ms = 9,
    .cert = "c3",
};

static void
assert_same_registration(
    const struct store_registration *r, const struct store_registration *w)
{
	assert_string_equal(r->id, w->id);
	assert_string_equal(r->group_id, w->group_id);
	assert_string_equal(r->device_id, w->device_id);
	assert_string_equal(r->hub, w->hub);
	assert_string_equal(r->status, w->status);
	assert_string_equal(r->substatus, w->substatus);
	assert_string_equal(r->operation_id, w->operation_id);
	assert_int_equal(r->error_code, w->error_code);
	assert_string_equal(r->error_text, w->error_text);
	assert_string_equal(r->attestation, w->attestation);
	assert_string_equal(r->thumb, w->thumb);
	assert_int_equal(r->etag, w->etag);
	assert_int_equal(r->created_ms, w->created_ms);
	assert_int_equal(r->updated_ms, w->updated_ms);
	assert_int_equal(r->ready_ms, w->ready_ms);
	assert_span(r->payload, w->payload);
	assert_string_equal(r->hubs, w->hubs);
	assert_int_equal(r->deadline_ms, w->deadline_ms);
	assert_string_equal(r->cert, w->cert);
}

static void
registration_put_inserts_then_rewrites_whatever_the_case(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_registration got, r = full_registration;
	assert_ok(store_registration_put(s, &r, &e), &e);
	assert_ok(store_registration_get(s, "REG-1", arena(state), &got, &e), &e);
	assert_same_registration(&got, &full_registration);
	r.id = "reg-1";
	r.status = "disabled";
	r.group_id = "other";
	r.updated_ms = 9;
	assert_ok(store_registration_put(s, &r, &e), &e);
	assert_ok(store_registration_get(s, "rEg-1", arena(state), &got, &e), &e);
	r.id = "Reg-1";
	assert_same_registration(&got, &r);
	assert_ok(store_registration_del(s, "REG-1", &e), &e);
	assert_fails(store_registration_del(s, "Reg-1", &e), &e, NOT_FOUND);
	assert_fails(
	    store_registration_get(s, "Reg-1", arena(state), &got, &e), &e, NOT_FOUND);
}

static int
on_registration(void *ctx, const struct store_registration *r, struct err *e)
{
	return see(ctx, r->id);
}

static void
registration_each_filters_by_group(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_registration r = {0};
	static const char *const rows[][2] = {
	    {"a", "G"}, {"B", "h"}, {"c", "g"}, {"d", "G"}};
	for (size_t i = 0; i < 4; i++) {
		r.id = rows[i][0];
		r.group_id = rows[i][1];
		assert_ok(store_registration_put(s, &r, &e), &e);
	}
	struct seen seen = {0};
	assert_ok(
	    store_registration_each(s, "g", "A", 9, on_registration, &seen, &e), &e);
	assert_string_equal(seen.text, "c d ");
	seen = (struct seen){0};
	assert_ok(store_registration_each(s, "", "", 3, on_registration, &seen, &e), &e);
	assert_string_equal(seen.text, "a B c ");
}

static int64_t
add_event(struct store *s, const char *device, int64_t at_ms, const char *thumb,
    struct span body)
{
	struct err e;
	int64_t seq;
	struct store_event ev = {.enqueued_ms = at_ms,
	    .device_id = device,
	    .generation = "gen",
	    .auth = "x509",
	    .thumb = thumb,
	    .props = SPAN_LIT("{}"),
	    .body = body};
	assert_ok(store_event_add(s, &ev, &seq, &e), &e);
	return seq;
}

static int
on_event(void *ctx, const struct store_event *ev, struct err *e)
{
	char seq[24];
	snprintf(seq, sizeof(seq), "%lld", (long long)ev->seq);
	return see(ctx, seq);
}

static int
on_whole_event(void *ctx, const struct store_event *ev, struct err *e)
{
	assert_int_equal(ev->enqueued_ms, NOW);
	assert_string_equal(ev->device_id, "dev");
	assert_string_equal(ev->generation, "gen");
	assert_string_equal(ev->auth, "x509");
	assert_string_equal(ev->thumb, "th");
	assert_true(span_eq_str(ev->props, "{}"));
	assert_true(span_eq(ev->body, SPAN_LIT("b\0dy")));
	return on_event(ctx, ev, e);
}

static void
events_come_back_whole_in_order_and_filtered(void **state)
{
	struct store *s = begun(state);
	struct err e;
	assert_int_equal(add_event(s, "dev", NOW, "th", SPAN_LIT("b\0dy")), 1);
	assert_int_equal(add_event(s, "other", NOW + 1, "th", SPAN_NONE), 2);
	assert_int_equal(add_event(s, "dev", NOW + 2, "ht", SPAN_NONE), 3);
	assert_int_equal(add_event(s, "dev", NOW + 3, "th", SPAN_NONE), 4);
	static const struct {
		struct store_event_filter f;
		const char *want;
	} rows[] = {
	    {{.limit = 9}, "1 2 3 4 "},
	    {{.limit = 2, .after_seq = 1}, "2 3 "},
	    {{.limit = 9, .device_id = "dev"}, "1 3 4 "},
	    {{.limit = 9, .device_id = "dev", .thumb = "th"}, "1 4 "},
	    {{.limit = 9, .thumb = "th", .since_ms = NOW + 1}, "2 4 "},
	    {{.limit = 9, .device_id = "dev", .after_seq = 3, .since_ms = NOW + 1}, "4 "},
	    {{.limit = 9, .device_id = "DEV"}, ""},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct seen seen = {0};
		assert_ok(store_event_each(s, &rows[i].f, on_event, &seen, &e), &e);
		assert_string_equal(seen.text, rows[i].want);
	}
	struct seen seen = {0};
	struct store_event_filter first = {.limit = 1};
	assert_ok(store_event_each(s, &first, on_whole_event, &seen, &e), &e);
	assert_int_equal(seen.n, 1);
}

static void
event_trim_drops_by_age_then_by_size_oldest_first_in_batches(void **state)
{
	struct store *s = begun(state);
	struct err e;
	int64_t dropped;
	struct seen seen = {0};
	const struct store_event_filter all = {.limit = 99};
	for (int i = 0; i < 10; i++) /* 2 bytes of props, 8 of body */
		add_event(s, "dev", NOW + i, "", SPAN_LIT("12345678"));
	assert_ok(store_event_trim(s, NOW + 3, 1000, 2, &dropped, &e), &e);
	assert_int_equal(dropped, 2);
	assert_ok(store_event_trim(s, NOW + 3, 1000, 99, &dropped, &e), &e);
	assert_int_equal(dropped, 1);
	assert_ok(store_event_trim(s, NOW + 3, 1000, 99, &dropped, &e), &e);
	assert_int_equal(dropped, 0);
	assert_ok(store_event_trim(s, 0, 50, 99, &dropped, &e), &e);
	assert_int_equal(dropped, 2);
	assert_ok(store_event_trim(s, 0, 49, 99, &dropped, &e), &e);
	assert_int_equal(dropped, 1);
	assert_ok(store_event_each(s, &all, on_event, &seen, &e), &e);
	assert_string_equal(seen.text, "7 8 9 10 ");
	assert_ok(store_commit(s, &e), &e);
	assert_ok(store_verify(s, &e), &e);
}

static void
reopen(struct dir *d)
{
	struct err e;
	store_close(TAKE(d->s));
	d->s = store_open(d->path, &e);
	if (!d->s)
		fail_msg("%s", e.text);
}

static void
event_seq_is_never_reused_not_even_after_all_went_and_a_restart(void **state)
{
	struct dir *d = *state;
	struct store *s = begun(state);
	struct err e;
	int64_t dropped;
	add_event(s, "dev", NOW, "", SPAN_LIT("x"));
	assert_int_equal(add_event(s, "dev", NOW, "", SPAN_LIT("x")), 2);
	assert_ok(store_event_trim(s, NOW + 1, 0, 99, &dropped, &e), &e);
	assert_int_equal(dropped, 2);
	assert_ok(store_commit(s, &e), &e);
	reopen(d);
	s = begun(state);
	assert_int_equal(add_event(s, "dev", NOW, "", SPAN_LIT("x")), 3);
	/* the sum of bytes survived as well */
	assert_ok(store_event_trim(s, 0, 3, 99, &dropped, &e), &e);
	assert_int_equal(dropped, 0);
	assert_ok(store_commit(s, &e), &e);
	assert_ok(store_verify(s, &e), &e);
}

static void
rollback_gives_back_sequence_numbers_and_bytes(void **state)
{
	struct store *s = begun(state);
	struct err e;
	int64_t dropped;
	add_event(s, "dev", NOW, "", SPAN_LIT("12345678"));
	assert_ok(store_commit(s, &e), &e);
	assert_ok(store_begin(s, &e), &e);
	assert_int_equal(add_event(s, "dev", NOW, "", SPAN_LIT("12345678")), 2);
	assert_true(store_in_transaction(s));
	store_rollback(s);
	assert_false(store_in_transaction(s));
	assert_ok(store_begin(s, &e), &e);
	assert_ok(store_event_trim(s, 0, 10, 9, &dropped, &e), &e);
	assert_int_equal(dropped, 0);
	assert_int_equal(add_event(s, "dev", NOW, "", SPAN_NONE), 2);
	assert_ok(store_commit(s, &e), &e);
	assert_ok(store_verify(s, &e), &e);
}

static void
add_conn(struct store *s, int64_t at_ms, const char *device, const char *what,
    const char *auth)
{
	struct err e;
	struct store_conn c = {.at_ms = at_ms,
	    .what = what,
	    .plane = "hub",
	    .device_id = device,
	    .auth = auth,
	    .scope = "device",
	    .thumb = "th",
	    .code = 5,
	    .reason = "no such key",
	    .peer = "192.0.2.1:99",
	    .agent = "py"};
	assert_ok(store_conn_add(s, &c, &e), &e);
}

static int
on_conn(void *ctx, const struct store_conn *c, struct err *e)
{
	char seq[24];
	snprintf(seq, sizeof(seq), "%lld", (long long)c->seq);
	assert_string_equal(c->plane, "hub");
	assert_string_equal(c->scope, "device");
	assert_string_equal(c->thumb, "th");
	assert_string_equal(c->reason, "no such key");
	assert_string_equal(c->peer, "192.0.2.1:99");
	assert_string_equal(c->agent, "py");
	assert_int_equal(c->code, 5);
	return see(ctx, seq);
}

static void
connections_come_back_whole_in_order_and_filtered(void **state)
{
	struct store *s = begun(state);
	struct err e;
	add_conn(s, NOW, "a", "connect", "sas");
	add_conn(s, NOW + 10, "b", "connect", "x509");
	add_conn(s, NOW + 20, "a", "refused", "sas");
	add_conn(s, NOW + 5, "a", "connect", "sas"); /* the clock was set back */
	add_conn(s, NOW + 30, "a", "connect", "x509");
	static const struct {
		struct store_conn_filter f;
		const char *want;
	} rows[] = {
	    {{.limit = 9}, "1 2 3 4 5 "},
	    {{.limit = 9, .since_ms = NOW + 5}, "2 3 4 5 "},
	    {{.limit = 1, .since_ms = NOW + 5, .after_seq = 3}, "4 "},
	    {{.limit = 9, .since_ms = NOW + 5, .auth = "sas"}, "3 4 "},
	    {{.limit = 9, .since_ms = NOW + 5, .auth = "sas", .what = "connect"}, "4 "},
	    {{.limit = 9, .device_id = "a", .what = "connect"}, "1 4 5 "},
	    {{.limit = 9, .device_id = "a", .since_ms = NOW + 20}, "3 5 "},
	    {{.limit = 9, .plane = "dps"}, ""},
	    {{.limit = 9, .since_ms = NOW + 31}, ""},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct seen seen = {0};
		assert_ok(store_conn_each(s, &rows[i].f, on_conn, &seen, &e), &e);
		assert_string_equal(seen.text, rows[i].want);
	}
}

/* The clock of a machine is set back by those who look after it. */
static void
conn_since_finds_every_line_of_then_or_later_though_the_clock_was_set_back(void **state)
{
	struct store *s = begun(state);
	struct err e;
	static const int64_t at[] = {
	    NOW, NOW + 50, NOW + 10, NOW + 20, NOW + 60, NOW + 70};
	static const struct {
		int64_t since;
		const char *want;
	} cases[] = {{NOW + 5, "2 3 4 5 6 "}, {NOW + 15, "2 4 5 6 "},
	    {NOW + 50, "2 5 6 "}, {NOW + 51, "5 6 "}, {NOW + 61, "6 "}, {NOW + 71, ""}};
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		add_conn(s, at[i], "a", "connect", "sas");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct seen seen = {0};
		const struct store_conn_filter f = {
		    .limit = 9, .since_ms = cases[i].since};
		assert_ok(store_conn_each(s, &f, on_conn, &seen, &e), &e);
		assert_string_equal(seen.text, cases[i].want);
	}
}

static void
connection_log_is_complete_since_its_creation_or_what_retention_left(void **state)
{
	struct dir *d = *state;
	struct store *s = begun(state);
	struct err e;
	int64_t since = 0, dropped;
	assert_fails(store_conn_complete_since(s, &since, &e), &e, NOT_FOUND);
	assert_int_equal(since, 0);
	assert_ok(store_meta_put(s, "created_ms", "1790000000000", &e), &e);
	assert_ok(store_conn_complete_since(s, &since, &e), &e);
	assert_int_equal(since, NOW);
	for (int i = 1; i <= 4; i++)
		add_conn(s, NOW + 10 * i, "a", "connect", "sas");
	assert_ok(store_conn_trim(s, NOW + 25, 99, 1, &dropped, &e), &e);
	assert_int_equal(dropped, 1);
	assert_ok(store_conn_complete_since(s, &since, &e), &e);
	assert_int_equal(since, NOW + 11);
	assert_ok(store_conn_trim(s, NOW + 25, 99, 9, &dropped, &e), &e);
	assert_int_equal(dropped, 1);
	assert_ok(store_conn_trim(s, NOW + 25, 99, 9, &dropped, &e), &e);
	assert_int_equal(dropped, 0);
	assert_ok(store_commit(s, &e), &e);
	reopen(d);
	assert_ok(store_conn_complete_since(d->s, &since, &e), &e);
	assert_int_equal(since, NOW + 21);
}

static void
connection_log_keeps_the_youngest_of_too_many_lines(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct seen seen = {0};
	const struct store_conn_filter all = {.limit = 9};
	int64_t since, dropped;
	assert_ok(store_meta_put(s, "created_ms", "1790000000000", &e), &e);
	for (int i = 1; i <= 5; i++)
		add_conn(s, NOW + 10 * i, "a", "refused", "none");
	assert_ok(store_conn_trim(s, NOW, 5, 9, &dropped, &e), &e);
	assert_int_equal(dropped, 0);
	assert_ok(store_conn_trim(s, NOW, 2, 1, &dropped, &e), &e);
	assert_int_equal(dropped, 1);
	assert_ok(store_conn_trim(s, NOW, 2, 9, &dropped, &e), &e);
	assert_int_equal(dropped, 2);
	assert_ok(store_conn_each(s, &all, on_conn, &seen, &e), &e);
	assert_string_equal(seen.text, "4 5 ");
	assert_ok(store_conn_complete_since(s, &since, &e), &e);
	assert_int_equal(since, NOW + 31);
}

static void
completeness_moves_only_with_a_trim_that_was_committed(void **state)
{
	struct store *s = begun(state);
	struct err e;
	int64_t since, dropped;
	assert_ok(store_meta_put(s, "created_ms", "1790000000000", &e), &e);
	add_conn(s, NOW + 10, "a", "connect", "sas");
	assert_ok(store_commit(s, &e), &e);
	assert_ok(store_begin(s, &e), &e);
	assert_ok(store_conn_trim(s, NOW + 99, 99, 9, &dropped, &e), &e);
	store_rollback(s);
	assert_ok(store_conn_complete_since(s, &since, &e), &e);
	assert_int_equal(since, NOW);
}

static void
hub_properties_start_open_and_keep_what_is_put(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_hub h;
	assert_ok(store_hub_get(s, &h, &e), &e);
	assert_false(
	    h.disable_local_auth || h.disable_device_sas || h.disable_module_sas);
	for (int i = 0; i < 3; i++) {
		struct store_hub put = {i == 0, i == 1, i == 2, 10 + i};
		assert_ok(store_hub_put(s, &put, &e), &e);
		assert_ok(store_hub_get(s, &h, &e), &e);
		assert_int_equal(h.disable_local_auth, i == 0);
		assert_int_equal(h.disable_device_sas, i == 1);
		assert_int_equal(h.disable_module_sas, i == 2);
		assert_int_equal(h.etag, 10 + i);
	}
}

static int
on_policy(void *ctx, const struct store_policy *p, struct err *e)
{
	return see(ctx, p->name);
}

static void
policies_are_named_within_their_plane(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_policy got, p = {.name = "owner",
				     .plane = "hub",
				     .primary_key = SPAN_LIT("k1"),
				     .secondary_key = SPAN_LIT("k2"),
				     .rights = 0xf0000001};
	assert_ok(store_policy_put(s, &p, &e), &e);
	p.plane = "dps";
	p.rights = 2;
	assert_ok(store_policy_put(s, &p, &e), &e);
	p.name = "another";
	assert_ok(store_policy_put(s, &p, &e), &e);
	assert_ok(store_policy_get(s, "hub", "owner", arena(state), &got, &e), &e);
	assert_string_equal(got.name, "owner");
	assert_string_equal(got.plane, "hub");
	assert_span(got.primary_key, SPAN_LIT("k1"));
	assert_span(got.secondary_key, SPAN_LIT("k2"));
	assert_int_equal(got.rights, 0xf0000001);
	struct seen seen = {0};
	assert_ok(store_policy_each(s, "dps", on_policy, &seen, &e), &e);
	assert_string_equal(seen.text, "another owner ");
	p.rights = 3;
	assert_ok(store_policy_put(s, &p, &e), &e);
	assert_ok(store_policy_get(s, "dps", "another", arena(state), &got, &e), &e);
	assert_int_equal(got.rights, 3);
	assert_ok(store_policy_del(s, "dps", "owner", &e), &e);
	assert_fails(store_policy_del(s, "dps", "owner", &e), &e, NOT_FOUND);
	assert_ok(store_policy_get(s, "hub", "owner", arena(state), &got, &e), &e);
}

static const struct store_cert full_cert = {
    .serial = "0a1b",
    .issuer = "i1",
    .profile = "leaf",
    .subject = "dev-1",
    .requester = "dps",
    .sha256 = "f1",
    .not_before_ms = 1,
    .not_after_ms = 2,
    .issued_ms = 3,
    .der = {(const uint8_t *)"\x30\x82", 2},
};

static int
on_cert(void *ctx, const struct store_cert *c, struct err *e)
{
	return see(ctx, c->serial);
}

static void
a_second_certificate_of_one_issuer_and_serial_is_refused(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_cert got, c = full_cert;
	assert_ok(store_cert_add(s, &c, &e), &e);
	c.sha256 = "f2";
	assert_fails(store_cert_add(s, &c, &e), &e, EXISTS);
	c.issuer = "i2";
	assert_ok(store_cert_add(s, &c, &e), &e);
	c.serial = "0a1c";
	assert_fails(store_cert_add(s, &c, &e), &e, EXISTS); /* the same certificate */
	assert_ok(store_cert_by_sha256(s, "f1", arena(state), &got, &e), &e);
	assert_string_equal(got.serial, full_cert.serial);
	assert_string_equal(got.issuer, full_cert.issuer);
	assert_string_equal(got.profile, full_cert.profile);
	assert_string_equal(got.subject, full_cert.subject);
	assert_string_equal(got.requester, full_cert.requester);
	assert_string_equal(got.sha256, full_cert.sha256);
	assert_int_equal(got.not_before_ms, 1);
	assert_int_equal(got.not_after_ms, 2);
	assert_int_equal(got.issued_ms, 3);
	assert_span(got.der, full_cert.der);
	assert_fails(
	    store_cert_by_sha256(s, "f9", arena(state), &got, &e), &e, NOT_FOUND);
}

static void
certificates_of_a_subject_come_youngest_first(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_cert c = full_cert;
	static const char *const rows[][3] = {
	    {"01", "s1", "dev-1"}, {"02", "s2", "dev-2"}, {"03", "s3", "dev-1"}};
	for (size_t i = 0; i < 3; i++) {
		c.serial = rows[i][0];
		c.sha256 = rows[i][1];
		c.subject = rows[i][2];
		assert_ok(store_cert_add(s, &c, &e), &e);
	}
	struct seen seen = {0};
	assert_ok(store_cert_each(s, "dev-1", 9, on_cert, &seen, &e), &e);
	assert_string_equal(seen.text, "03 01 ");
	seen = (struct seen){0};
	assert_ok(store_cert_each(s, "dev-1", 1, on_cert, &seen, &e), &e);
	assert_string_equal(seen.text, "03 ");
}

static void
operator_put_inserts_then_rewrites(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_operator got, o = {.sha256 = "ab",
				       .name = "ann",
				       .added_ms = 1,
				       .not_after_ms = 2,
				       .enabled = true};
	assert_fails(store_operator_get(s, "ab", arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(store_operator_put(s, &o, &e), &e);
	o.enabled = false;
	o.name = "bob";
	assert_ok(store_operator_put(s, &o, &e), &e);
	assert_ok(store_operator_get(s, "ab", arena(state), &got, &e), &e);
	assert_string_equal(got.sha256, "ab");
	assert_string_equal(got.name, "bob");
	assert_int_equal(got.added_ms, 1);
	assert_int_equal(got.not_after_ms, 2);
	assert_false(got.enabled);
}

static void
meta_put_inserts_then_rewrites(void **state)
{
	struct store *s = begun(state);
	struct err e;
	const char *got = NULL;
	assert_fails(store_meta_get(s, "scope", arena(state), &got, &e), &e, NOT_FOUND);
	assert_null(got);
	assert_ok(store_meta_put(s, "scope", "0ne1", &e), &e);
	assert_ok(store_meta_put(s, "scope", "0ne2", &e), &e);
	assert_ok(store_meta_get(s, "scope", arena(state), &got, &e), &e);
	assert_string_equal(got, "0ne2");
}

#define IN_STORE(f) cmocka_unit_test_setup_teardown(f, dir_setup_store, dir_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_STORE(device_comes_back_as_it_was_added_and_as_it_was_put),
	    IN_STORE(device_absent_text_and_keys_read_as_empty),
	    IN_STORE(device_ids_differ_by_case),
	    IN_STORE(device_get_that_fails_leaves_its_output_alone),
	    IN_STORE(a_taken_or_missing_id_does_not_end_the_turn),
	    IN_STORE(device_del_takes_its_twin_along),
	    IN_STORE(device_seen_moves_the_connection_and_nothing_else),
	    IN_STORE(subscriptions_and_twin_are_each_written_alone),
	    IN_STORE(those_that_were_connected_can_be_let_go),
	    IN_STORE(device_each_pages_in_order_and_hands_on_a_stop),
	    IN_STORE(a_visitor_may_call_the_store),
	    IN_STORE(device_counts_add_up),
	    IN_STORE(device_counts_follow_what_changes),
	    IN_STORE(registration_put_inserts_then_rewrites_whatever_the_case),
	    IN_STORE(registration_each_filters_by_group),
	    IN_STORE(events_come_back_whole_in_order_and_filtered),
	    IN_STORE(event_trim_drops_by_age_then_by_size_oldest_first_in_batches),
	    IN_STORE(event_seq_is_never_reused_not_even_after_all_went_and_a_restart),
	    IN_STORE(rollback_gives_back_sequence_numbers_and_bytes),
	    IN_STORE(
		conn_since_finds_every_line_of_then_or_later_though_the_clock_was_set_back),
	    IN_STORE(connections_come_back_whole_in_order_and_filtered),
	    IN_STORE(
		connection_log_is_complete_since_its_creation_or_what_retention_left),
	    IN_STORE(connection_log_keeps_the_youngest_of_too_many_lines),
	    IN_STORE(completeness_moves_only_with_a_trim_that_was_committed),
	    IN_STORE(hub_properties_start_open_and_keep_what_is_put),
	    IN_STORE(policies_are_named_within_their_plane),
	    IN_STORE(a_second_certificate_of_one_issuer_and_serial_is_refused),
	    IN_STORE(certificates_of_a_subject_come_youngest_first),
	    IN_STORE(operator_put_inserts_then_rewrites),
	    IN_STORE(meta_put_inserts_then_rewrites),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
