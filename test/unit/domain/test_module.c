/*
 * Modules: identities below a device, and who may connect as one.
 */
#include <stdio.h>

#include "codec/sas.h"
#include "crypto/sas_key.h"
#include "domain/hub/device.h"
#include "domain/hub/module.h"
#include "domain/hub/session.h"
#include "world.h"

#define LATER ((WORLD_NOW_MS / 1000) + 3600)

#define assert_refused(w, want) assert_int_equal((w)->no.code, REFUSAL_##want)

static struct ipc_module_put
request(const char *device, const char *module)
{
	return (struct ipc_module_put){.device_id = span_str(device),
	    .module_id = span_str(module),
	    .auth = STORE_AUTH_SAS};
}

static struct store_device
put(struct world *w, const struct ipc_module_put *m)
{
	struct store_device mod;
	assert_ok(module_put(&w->d, m, &mod, &w->no, &w->e), &w->e);
	return mod;
}

static struct store_device
made(struct world *w, const char *device, const char *module)
{
	const struct ipc_module_put m = request(device, module);
	struct store_device mod = put(w, &m);
	assert_refused(w, NONE);
	return mod;
}

static void
module_is_made_below_a_device_with_keys_of_its_own(void **state)
{
	struct world *w = *state;
	struct store_device got, mod;
	world_device(w, "d1");
	struct ipc_module_put m = request("d1", "m1");
	m.managed_by = SPAN_LIT("IotEdge");
	mod = put(w, &m);
	assert_refused(w, NONE);
	assert_string_equal(mod.id, "d1/m1");
	assert_string_equal(mod.managed_by, "IotEdge");
	assert_int_equal(mod.primary_key.len, SAS_KEY_MAX);
	assert_int_equal(mod.etag, 1);
	assert_ok(module_find(&w->d, SPAN_NONE, SPAN_LIT("d1"), SPAN_LIT("m1"), &got,
		      &w->no, &w->e),
	    &w->e);
	assert_refused(w, NONE);
	assert_string_equal(got.generation, mod.generation);
	assert_string_not_equal(got.generation, world_get_device(w, "d1").generation);
}

static void
module_needs_its_device_and_a_good_name(void **state)
{
	struct world *w = *state;
	struct store_device mod;
	static const char *const bad[] = {"a/b", "a#", "+", "", "a b"};
	world_device(w, "d1");
	struct ipc_module_put m = request("nobody", "m1");
	assert_fails(module_put(&w->d, &m, &mod, &w->no, &w->e), &w->e, NOT_FOUND);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		m = request("d1", bad[i]);
		assert_fails(module_put(&w->d, &m, &mod, &w->no, &w->e), &w->e, PARSE);
	}
	made(w, "d1", "m1");
	m = request("d1/m1", "m2"); /* a module has none */
	assert_fails(module_put(&w->d, &m, &mod, &w->no, &w->e), &w->e, NOT_FOUND);
}

static void
module_that_exists_is_changed_by_its_etag_alone(void **state)
{
	struct world *w = *state;
	struct store_device mod;
	world_device(w, "d1");
	struct store_device was = made(w, "d1", "m1");
	struct ipc_module_put m = request("d1", "m1");
	put(w, &m);
	assert_refused(w, MODULE_EXISTS);
	m.if_match = SPAN_LIT("\"7\"");
	assert_fails(module_put(&w->d, &m, &mod, &w->no, &w->e), &w->e, CONFLICT);
	m.if_match = SPAN_LIT("\"1\"");
	m.primary_key = was.primary_key;
	mod = put(w, &m);
	assert_refused(w, NONE);
	assert_int_equal(mod.etag, 2);
	assert_true(span_eq(mod.primary_key, was.primary_key));
	assert_string_equal(mod.generation, was.generation);
	m = request("d1", "m2");
	m.if_match = SPAN_LIT("*");
	put(w, &m);
	assert_refused(w, NO_MODULE);
}

static void
module_put_does_not_enable_what_was_revoked(void **state)
{
	struct world *w = *state;
	world_device(w, "d1");
	struct store_device mod = made(w, "d1", "m1");
	mod.enabled = false;
	mod.status_reason = "revoked: keyCompromise";
	assert_ok(store_device_put(w->d.store, &mod, &w->e), &w->e);
	struct ipc_module_put m = request("d1", "m1");
	m.if_match = SPAN_LIT("*");
	mod = put(w, &m);
	assert_false(mod.enabled);
	assert_string_equal(mod.status_reason, "revoked: keyCompromise");
}

static void
device_has_twenty_modules_at_most(void **state)
{
	struct world *w = *state;
	char name[8];
	world_device(w, "d1");
	world_device(w, "d2");
	for (int i = 0; i < MODULES_MAX; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		made(w, "d1", name);
	}
	struct ipc_module_put m = request("d1", "more");
	put(w, &m);
	assert_refused(w, MODULES_FULL);
	made(w, "d2", "more");
	struct ipc_module_delete del = {
	    .device_id = SPAN_LIT("d1"), .module_id = SPAN_LIT("m3")};
	assert_ok(module_delete(&w->d, &del, &w->no, &w->e), &w->e);
	assert_refused(w, NONE);
	made(w, "d1", "more");
}

static void
module_delete_asks_for_the_etag_it_is_given(void **state)
{
	struct world *w = *state;
	world_device(w, "d1");
	made(w, "d1", "m1");
	struct ipc_module_delete m = {.device_id = SPAN_LIT("d1"),
	    .module_id = SPAN_LIT("m1"),
	    .if_match = SPAN_LIT("\"2\"")};
	assert_fails(module_delete(&w->d, &m, &w->no, &w->e), &w->e, CONFLICT);
	m.if_match = SPAN_NONE;
	assert_ok(module_delete(&w->d, &m, &w->no, &w->e), &w->e);
	assert_refused(w, NONE);
	assert_ok(module_delete(&w->d, &m, &w->no, &w->e), &w->e);
	assert_refused(w, NO_MODULE);
	m.device_id = SPAN_LIT("nobody");
	assert_fails(module_delete(&w->d, &m, &w->no, &w->e), &w->e, NOT_FOUND);
	world_get_device(w, "d1"); /* is still there */
}

static void
module_is_no_device_by_whatever_door(void **state)
{
	struct world *w = *state;
	struct store_device d;
	world_device(w, "d1");
	made(w, "d1", "m1");
	struct span change;
	const struct span name = SPAN_LIT("d1/m1");
	assert_fails(device_get(&w->d, name, &d, &w->e), &w->e, NOT_FOUND);
	struct ipc_device_put put = {
	    .id = name, .enabled = 1, .auth = STORE_AUTH_SAS, .if_match = SPAN_LIT("*")};
	assert_fails(device_put(&w->d, &put, &d, &w->e), &w->e, NOT_FOUND);
	struct ipc_device_delete del = {.id = name};
	assert_fails(device_delete(&w->d, &del, &w->e), &w->e, NOT_FOUND);
	struct ipc_twin_patch patch = {.id = name, .tags = SPAN_LIT("{}")};
	assert_fails(device_twin_patch(&w->d, &patch, &d, &change, &w->no, &w->e), &w->e,
	    NOT_FOUND);
	assert_null(module_name(&w->d, name, SPAN_NONE));
	assert_null(module_name(&w->d, SPAN_LIT("d1"), SPAN_LIT("m/1")));
	assert_string_equal(module_name(&w->d, SPAN_LIT("d1"), SPAN_LIT("m1")), "d1/m1");
}

static void
module_has_a_twin_of_its_own(void **state)
{
	struct world *w = *state;
	struct store_device d;
	world_device(w, "d1");
	made(w, "d1", "m1");
	struct ipc_twin_patch m = {.id = SPAN_LIT("d1"),
	    .module_id = SPAN_LIT("m1"),
	    .desired = SPAN_LIT("{\"a\":1}")};
	struct span change;
	assert_ok(device_twin_patch(&w->d, &m, &d, &change, &w->no, &w->e), &w->e);
	assert_refused(w, NONE);
	assert_string_equal(d.id, "d1/m1");
	assert_true(span_eq_str(d.desired, "{\"a\":1}"));
	assert_true(span_eq_str(world_get_device(w, "d1").desired, "{}"));
	m.module_id = SPAN_LIT("m2");
	assert_ok(device_twin_patch(&w->d, &m, &d, &change, &w->no, &w->e), &w->e);
	assert_refused(w, NO_MODULE);
}

/* ---- connections ----------------------------------------------------------------------
 */

/* A SAS credential as an edge would pass it on. */
static struct ipc_cred
sas(struct world *w, const char *resource, struct span key)
{
	static struct sas t;
	auto_buf token = BUF_INIT(SAS_KEY_TOKEN_MAX);
	assert_ok(
	    sas_key_sign(span_str(resource), key, LATER, NULL, &token, &w->e), &w->e);
	char *text = arena_str(w->arena, buf_span(&token));
	assert_ok(sas_parse(span_str(text), &t, &w->e), &w->e);
	return (struct ipc_cred){.kind = CRED_SAS,
	    .sas_sr = t.sr,
	    .sas_se = t.se,
	    .sas_expiry_s = t.se_s,
	    .sas_resource = arena_span(w->arena, span_str(t.resource)),
	    .sas_sig = arena_span(w->arena, span_of(t.sig, sizeof(t.sig)))};
}

static struct session
judge(struct world *w, const char *module, struct ipc_cred cred)
{
	const struct ipc_hub_open m = {.cred = cred,
	    .host = SPAN_LIT("127.0.0.1"),
	    .device_id = SPAN_LIT("d1"),
	    .module_id = span_str(module)};
	struct session s;
	int64_t close_ms;
	assert_ok(session_judge(&w->d, &m, &s, &close_ms, &w->no, &w->e), &w->e);
	return s;
}

static void
session_of_a_module_is_opened_by_its_own_key_for_its_own_name(void **state)
{
	struct world *w = *state;
	struct ipc_device_put dev = {
	    .id = SPAN_LIT("d1"), .enabled = 1, .auth = STORE_AUTH_SAS};
	struct store_device d, mod;
	assert_ok(device_put(&w->d, &dev, &d, &w->e), &w->e);
	mod = made(w, "d1", "m1");
	static const char *const own = "127.0.0.1/devices/d1/modules/m1";
	struct session s = judge(w, "m1", sas(w, own, mod.primary_key));
	assert_refused(w, NONE);
	assert_string_equal(s.name, "d1/m1");
	assert_string_equal(s.device_id, "d1");
	assert_string_equal(s.module_id, "m1");
	assert_string_equal(s.generation, mod.generation);
	judge(w, "m1", sas(w, own, d.primary_key));
	assert_refused(w, SAS_SIGNATURE);
	judge(w, "m1", sas(w, "127.0.0.1/devices/d1", mod.primary_key));
	assert_refused(w, SAS_RESOURCE);
	judge(w, "m1", sas(w, "127.0.0.1/devices/d1/modules/m2", mod.primary_key));
	assert_refused(w, SAS_RESOURCE);
	judge(w, "", sas(w, "127.0.0.1/devices/d1", mod.primary_key));
	assert_refused(w, SAS_SIGNATURE);
	judge(w, "", sas(w, own, d.primary_key));
	assert_refused(w, SAS_RESOURCE);
	judge(w, "m2", sas(w, "127.0.0.1/devices/d1/modules/m2", mod.primary_key));
	assert_refused(w, MODULE_UNKNOWN);
	judge(w, "m1/x", sas(w, own, mod.primary_key));
	assert_refused(w, MODULE_UNKNOWN);
}

static void
session_of_a_module_needs_its_device_enabled(void **state)
{
	struct world *w = *state;
	world_device(w, "d1");
	struct store_device mod = made(w, "d1", "m1");
	struct store_device d = world_get_device(w, "d1");
	struct ipc_cred token =
	    sas(w, "127.0.0.1/devices/d1/modules/m1", mod.primary_key);
	d.enabled = false;
	assert_ok(store_device_put(w->d.store, &d, &w->e), &w->e);
	judge(w, "m1", token);
	assert_refused(w, DEVICE_DISABLED);
	d.enabled = true;
	assert_ok(store_device_put(w->d.store, &d, &w->e), &w->e);
	judge(w, "m1", token);
	assert_refused(w, NONE);
	mod.enabled = false; /* revoked by its name */
	assert_ok(store_device_put(w->d.store, &mod, &w->e), &w->e);
	judge(w, "m1", token);
	assert_refused(w, DEVICE_DISABLED);
}

static void
seal_of_modules_is_not_that_of_devices(void **state)
{
	struct world *w = *state;
	struct ipc_device_put dev = {
	    .id = SPAN_LIT("d1"), .enabled = 1, .auth = STORE_AUTH_SAS};
	struct store_device d;
	struct store_hub hub;
	assert_ok(device_put(&w->d, &dev, &d, &w->e), &w->e);
	struct store_device mod = made(w, "d1", "m1");
	struct ipc_cred of_device = sas(w, "127.0.0.1/devices/d1", d.primary_key);
	struct ipc_cred of_module =
	    sas(w, "127.0.0.1/devices/d1/modules/m1", mod.primary_key);
	struct session s = judge(w, "m1", of_module);
	assert_ok(store_hub_get(w->d.store, &hub, &w->e), &w->e);
	assert_true(session_still_admitted(&w->cfg, &s, &mod, &hub));
	hub.disable_device_sas = true;
	assert_ok(store_hub_put(w->d.store, &hub, &w->e), &w->e);
	judge(w, "", of_device);
	assert_refused(w, SAS_DISABLED);
	judge(w, "m1", of_module);
	assert_refused(w, NONE);
	assert_true(session_still_admitted(&w->cfg, &s, &mod, &hub));
	hub.disable_device_sas = false;
	hub.disable_module_sas = true;
	assert_ok(store_hub_put(w->d.store, &hub, &w->e), &w->e);
	judge(w, "", of_device);
	assert_refused(w, NONE);
	judge(w, "m1", of_module);
	assert_refused(w, SAS_DISABLED);
	assert_false(session_still_admitted(&w->cfg, &s, &mod, &hub));
}

/* The CA of world_cred is one of ours. */
static void
trust_ca(struct world *w)
{
	struct issuer_entry *ca = &w->book.v[w->book.n++];
	*ca = (struct issuer_entry){
	    .name = "device-ca", .purpose = CA_DEVICE, .state = ISSUER_ACTIVE};
	memset(ca->sha256, 0xc1, sizeof(ca->sha256));
}

static void
certificate_of_a_module_names_device_and_module(void **state)
{
	struct world *w = *state;
	trust_ca(w);
	world_device(w, "d1");
	struct ipc_module_put m = request("d1", "m1");
	m.auth = STORE_AUTH_CA;
	put(w, &m);
	assert_refused(w, NONE);
	struct session s = judge(w, "m1", world_cred(w, "d1/m1", "0a"));
	assert_refused(w, NONE);
	assert_true(s.by_chain);
	judge(w, "m1", world_cred(w, "d1", "0b"));
	assert_refused(w, CERT_CN);
	judge(w, "m1", world_cred(w, "m1", "0c"));
	assert_refused(w, CERT_CN);
	judge(w, "m1", world_cred(w, "D1/m1", "0d"));
	assert_refused(w, CERT_CN);
}

static void
thumbprint_of_a_module_is_its_own(void **state)
{
	struct world *w = *state;
	char thumb[65];
	struct ipc_cred cred = world_cred(w, "whatever", "0a");
	trust_ca(w);
	hex_write(cred.sha256, thumb);
	world_device(w, "d1");
	struct ipc_module_put m = request("d1", "m1");
	m.auth = STORE_AUTH_SELF_SIGNED;
	m.primary_thumb = span_str(thumb);
	put(w, &m);
	assert_refused(w, NONE);
	judge(w, "m1", cred);
	assert_refused(w, NONE);
	judge(w, "m1", world_cred(w, "whatever", "0b"));
	assert_refused(w, CERT_THUMBPRINT);
	judge(w, "", cred); /* the device trusts a CA, whose leaf this is not */
	assert_refused(w, CERT_CN);
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    IN_WORLD(module_is_made_below_a_device_with_keys_of_its_own),
	    IN_WORLD(module_needs_its_device_and_a_good_name),
	    IN_WORLD(module_that_exists_is_changed_by_its_etag_alone),
	    IN_WORLD(module_put_does_not_enable_what_was_revoked),
	    IN_WORLD(device_has_twenty_modules_at_most),
	    IN_WORLD(module_delete_asks_for_the_etag_it_is_given),
	    IN_WORLD(module_is_no_device_by_whatever_door),
	    IN_WORLD(module_has_a_twin_of_its_own),
	    IN_WORLD(session_of_a_module_is_opened_by_its_own_key_for_its_own_name),
	    IN_WORLD(session_of_a_module_needs_its_device_enabled),
	    IN_WORLD(seal_of_modules_is_not_that_of_devices),
	    IN_WORLD(certificate_of_a_module_names_device_and_module),
	    IN_WORLD(thumbprint_of_a_module_is_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
