/*
 * The seal. Each stage: try SAS (it works), throw the switch, read it back, try SAS again
 * until it is refused. The first try needs a credential that nothing but the switch
 * stands against, so a device identity is made for it and removed afterwards; then a
 * migrated device's own old key is tried too.
 */
#include "fleet/seal.h"

#include <stdio.h>

#include "base/base64.h"
#include "base/rand.h"
#include "codec/js.h"
#include "crypto/sas_key.h"
#include "fleet/attempt.h"
#include "fleet/azure.h"
#include "fleet/state.h"
#include "fleet/summary.h"
#include "fleet/verify.h"
#include "io/loop.h"

#define PROBE        "muster-seal-probe"
#define PROBE_WHAT   "MQTT CONNECT of a SAS device made for it"
#define PROBE_MAKING "making a device for the attempt"
/* That one is refused shows nothing of the switch, which was read back. */
#define PROBE_NO_POLICY                                                                  \
	"disableLocalAuth is set, no policy reads identities; GET /devices with a SAS "  \
	"token of a made-up key"
#define HUB_MAX         (1024 * 1024)
#define ATTEMPT_MS      15000
#define REFUSED_MS      60000 /* how long a switch may take to reach every edge */
#define AGAIN_MS        1000
#define CHANGE_MS       600000 /* how long a resource may be in transition */
#define CHANGE_AGAIN_MS 5000   /* between looks, at the most */
#define TRIES           3
#define TOKEN_S         300
#define CONNACK_OK      0
#define HTTP_OK         200

struct seal {
	struct migration *m;
	const struct seal_opts *o;
	const char *hub; /* host name */
	struct buf probe_key;
	bool probe_made;
};

static int64_t
wall_ms(const struct seal *s)
{
	return clock_wall_ms(loop_clock(s->m->loop));
}

/* ---- asking ---- */

static struct js *
ask(struct seal *s, enum pace_family f, const struct rest_request *q, const char *what,
    struct err *e)
{
	struct rest_response r;
	auto_buf body = BUF_INIT(HUB_MAX);
	if (migration_ask(s->m, f, q, what, &body, &r, e))
		return NULL;
	if (r.body.len == 0)
		return js_null();
	return js_parse(r.body, HUB_MAX, 32, e);
}

static struct js *
hub_get(struct seal *s, struct err *e)
{
	struct rest_request q;
	azure_hub_get(s->m->arena, s->m->target->resource, &q);
	return ask(s, PACE_ARM, &q, "hub properties", e);
}

static bool
is_set(const struct js *hub, const char *property)
{
	return js_as_bool(js_get(js_get(hub, "properties"), property));
}

static void
pause_loop(struct seal *s, int64_t ms)
{
	struct err e;
	int64_t until = loop_now_ms(s->m->loop) + ms;
	while (loop_now_ms(s->m->loop) < until)
		if (exchange_turn(s->m->calls, until - loop_now_ms(s->m->loop), &e))
			return;
}

/* One try, with the ETag of what was read: a change of somebody else's in between is not
 * written over, but makes it ERR_CONFLICT. */
static int
put_switch(struct seal *s, const char *property, bool policies, struct err *e)
{
	struct rest_request q;
	auto_(js_free) struct js *hub = hub_get(s, e);
	if (!hub)
		return -1;
	struct js *properties = js_get_mut(hub, "properties");
	if (!properties)
		return err_set(e, ERR_PARSE, "hub properties: none in the answer");
	js_set_bool(properties, property, true);
	if (policies)
		js_set(properties, "authorizationPolicies", js_array());
	azure_hub_put(s->m->arena, s->m->target->resource, hub, &q);
	auto_(js_free) struct js *answer = ask(s, PACE_ARM, &q, property, e);
	return answer ? 0 : -1;
}

/* Reads it back. The change may go on behind an answer 201 (service.md 3.4): the hub says
 * then that it is not done. */
static int
need_switch(struct seal *s, const char *property, bool policies, struct err *e)
{
	int64_t until = loop_now_ms(s->m->loop) + CHANGE_MS;
	int64_t wait_ms = CHANGE_AGAIN_MS / 8;
	for (;;) {
		auto_(js_free) struct js *now = hub_get(s, e);
		if (!now)
			return -1;
		const struct js *p = js_get(now, "properties");
		const char *state = js_as_text(js_get(p, "provisioningState"));
		bool done = !state[0] || strcmp(state, "Succeeded") == 0;
		if (done && policies && js_len(js_get(p, "authorizationPolicies")) > 0)
			return err_set(
			    e, ERR_GATE, "policies removed, but the hub has some yet");
		if (done && is_set(now, property))
			return 0;
		if (done || loop_now_ms(s->m->loop) >= until)
			return err_set(e, ERR_GATE,
			    "%s: set, but the hub does not say so (state %.32s)",
			    property, state[0] ? state : "unknown");
		pause_loop(s, wait_ms);
		wait_ms = wait_ms < CHANGE_AGAIN_MS ? 2 * wait_ms : wait_ms;
	}
}

/* Sets the switch named (and empties the policies where told). */
static int
throw_switch(struct seal *s, const char *property, bool policies, struct err *e)
{
	struct err why = {0};
	for (int i = 0; i < TRIES; i++) {
		if (put_switch(s, property, policies, &why) == 0)
			return need_switch(s, property, policies, e);
		if (why.code != ERR_CONFLICT)
			break;
	}
	return err_copy(e, &why);
}

static int
record(struct seal *s, const char *stage, const char *what, const char *unit,
    int64_t before, int64_t after, struct err *e)
{
	struct campaign_stage row = {
	    .name = stage,
	    .what = what,
	    .before = before,
	    .after = after,
	    .unit = unit,
	    .at_ms = wall_ms(s),
	};
	return campaign_stage_put(s->m->file, &row, e);
}

/* ---- the devices' stage ---- */

static int
try_sas(
    struct seal *s, const char *device_id, struct span key, int *ret_code, struct err *e)
{
	struct attempt t = {
	    .server_host = s->m->target->mqtt_host,
	    .port = s->m->target->mqtt_port,
	    .ca = s->m->target->rest.ca,
	    .hub = s->hub,
	    .device_id = device_id,
	    .key = key,
	    .now_s = migration_hub_ms(s->m) / 1000,
	    .timeout_ms = ATTEMPT_MS,
	};
	return attempt_sas(&t, ret_code, e);
}

/* Tries until refused. A code that is "not now" (3) proves nothing. */
static int
need_refusal(
    struct seal *s, const char *device_id, struct span key, int *ret_code, struct err *e)
{
	int64_t until = loop_now_ms(s->m->loop) + REFUSED_MS;
	do {
		if (try_sas(s, device_id, key, ret_code, e))
			return -1;
		if (*ret_code == 4 || *ret_code == 5)
			return 0;
		pause_loop(s, AGAIN_MS);
	} while (loop_now_ms(s->m->loop) < until);
	return err_set(e, ERR_GATE,
	    "disableDeviceSAS is set, and yet %s is answered CONNACK %d with its device "
	    "key",
	    device_id, *ret_code);
}

static int
make_probe(struct seal *s, struct err *e)
{
	uint8_t key[SAS_KEY_MAX];
	auto_buf text = BUF_INIT(128);
	text.secret = true;
	sas_key_generate(key);
	buf_put(&s->probe_key, key, sizeof(key));
	base64_put(&text, buf_span(&s->probe_key));
	own_wipe(key, sizeof(key));
	auto_(js_free) struct js *identity = js_object();
	struct js *auth = js_object(), *keys = js_object();
	js_set_text(identity, "deviceId", PROBE);
	js_set_text(identity, "status", "enabled");
	js_set(identity, "authentication", auth);
	js_set_text(auth, "type", "sas");
	js_set(auth, "symmetricKey", keys);
	js_set_text(keys, "primaryKey", buf_text(&text));
	js_set_text(keys, "secondaryKey", buf_text(&text));
	struct rest_request q;
	struct rest_response r;
	struct err why;
	auto_buf body = BUF_INIT(HUB_MAX);
	azure_device_put(s->m->arena, PROBE, identity, NULL, &q);
	s->probe_made = true;
	if (migration_ask(s->m, PACE_REGISTRY, &q, PROBE_MAKING, &body, &r, &why) == 0)
		return 0;
	if (why.code != ERR_EXISTS)
		return err_copy(e, &why);
	/* left by a seal that was killed */
	azure_device_put(s->m->arena, PROBE, identity, "*", &q);
	buf_reset(&body);
	return migration_ask(s->m, PACE_REGISTRY, &q, PROBE_MAKING, &body, &r, e);
}

static int
remove_probe(struct seal *s, struct err *e)
{
	struct rest_request q;
	struct rest_response r;
	auto_buf body = BUF_INIT(HUB_MAX);
	if (!s->probe_made)
		return 0;
	azure_device_delete(s->m->arena, PROBE, &q);
	return migration_ask(
	    s->m, PACE_REGISTRY, &q, "removing the device of the attempt", &body, &r, e);
}

struct pick {
	struct arena *a;
	const char *id;
	struct buf *key;
};

/* The old primary key of the first migrated device. */
static int
visit_pick(void *ctx, const struct campaign_device *d, struct err *e)
{
	struct pick *p = ctx;
	struct err why;
	if (p->id || strcmp(d->state, "resumed") != 0)
		return 0;
	auto_(js_free) struct js *identity =
	    js_parse(span_str(d->identity), HUB_MAX, 16, &why);
	const struct js *keys =
	    js_get(js_get(identity, "authentication"), "symmetricKey");
	if (sas_key_parse(js_as_str(js_get(keys, "primaryKey")), p->key, &why) == 0)
		p->id = arena_str(p->a, span_str(d->id));
	return 0;
}

static int
try_old_key(struct seal *s, struct err *e)
{
	int code;
	auto_buf key = BUF_INIT(SAS_KEY_MAX);
	key.secret = true;
	struct pick p = {.a = s->m->arena, .key = &key};
	if (campaign_device_each(s->m->file, -1, visit_pick, &p, e))
		return -1;
	if (!p.id)
		return 0;
	if (need_refusal(s, p.id, buf_span(&key), &code, e))
		return -1;
	return record(s, "device",
	    arena_printf(s->m->arena, "MQTT CONNECT of %s with its old device key", p.id),
	    "CONNACK", -1, code, e);
}

static int
seal_devices(struct seal *s, struct err *e)
{
	int before, after;
	int64_t was = -1;
	auto_(js_free) struct js *hub = hub_get(s, e);
	if (!hub || make_probe(s, e))
		return -1;
	if (!is_set(hub, "disableDeviceSAS")) {
		if (try_sas(s, PROBE, buf_span(&s->probe_key), &before, e))
			return -1;
		if (before != CONNACK_OK)
			return err_set(e, ERR_CONFLICT,
			    "before the stage: a SAS device should be let in and got "
			    "CONNACK %d, so "
			    "a refusal afterwards would prove nothing",
			    before);
		was = before;
		/* on record before the switch: what is killed between the two must not
		 * roll devices back to a hub that refuses them */
		if (record(s, "device", PROBE_WHAT, "CONNACK", was, -1, e))
			return -1;
	}
	if (throw_switch(s, "disableDeviceSAS", false, e) ||
	    need_refusal(s, PROBE, buf_span(&s->probe_key), &after, e) ||
	    record(s, "device", PROBE_WHAT, "CONNACK", was, after, e) ||
	    try_old_key(s, e))
		return -1;
	return 0;
}

static int
seal_modules(struct seal *s, struct err *e)
{
	if (s->o->keep_modules)
		return 0;
	if (throw_switch(s, "disableModuleSAS", false, e))
		return -1;
	return record(s, "module", "disableModuleSAS is set", "", -1, -1, e);
}

/* ---- the hub's stage ---- */

/* The key of a policy that may read the registry, "" when there is none any more. */
static int
policy_key(struct seal *s, const char **ret_name, struct buf *key, struct err *e)
{
	struct rest_request q;
	azure_hub_keys(s->m->arena, s->m->target->resource, &q);
	auto_(js_free) struct js *list = ask(s, PACE_ARM, &q, "hub policies", e);
	if (!list)
		return -1;
	const struct js *v = js_get(list, "value");
	*ret_name = "";
	for (size_t i = 0; i < js_len(v); i++) {
		const struct js *p = js_at(v, i);
		if (!strstr(js_as_text(js_get(p, "rights")), "Registry"))
			continue;
		if (sas_key_parse(js_as_str(js_get(p, "primaryKey")), key, e))
			return -1;
		*ret_name = arena_str(s->m->arena, js_as_str(js_get(p, "keyName")));
		return 0;
	}
	return 0;
}

static int
try_policy(
    struct seal *s, const char *policy, struct span key, int *ret_status, struct err *e)
{
	auto_buf token = BUF_INIT(SAS_KEY_TOKEN_MAX);
	auto_buf body = BUF_INIT(REST_BODY_MAX);
	token.secret = body.secret = true;
	struct rest *hub;
	struct rest_response r;
	struct rest_request q = {
	    .method = "GET", .target = "/devices?api-version=" AZURE_API "&top=1"};
	if (service_plane(s->m->service, SIGN_IN_HUB, &hub, e))
		return -1;
	if (sas_key_sign(span_str(s->hub), key, migration_hub_ms(s->m) / 1000 + TOKEN_S,
		policy, &token, e))
		return -1;
	q.authorization = buf_text(&token);
	if (rest_wait(hub, &q, &body, &r, e))
		return -1;
	*ret_status = r.status;
	return 0;
}

static int
need_policy_refusal(
    struct seal *s, const char *policy, struct span key, int *ret, struct err *e)
{
	int64_t until = loop_now_ms(s->m->loop) + REFUSED_MS;
	do {
		if (try_policy(s, policy, key, ret, e))
			return -1;
		if (*ret == 401 || *ret == 403)
			return 0;
		pause_loop(s, AGAIN_MS);
	} while (loop_now_ms(s->m->loop) < until);
	return err_set(e, ERR_GATE,
	    "disableLocalAuth is set, and yet a token of policy %s is answered HTTP %d",
	    policy, *ret);
}

/* service.md 5.2, 11 and 3.3: where the provisioning service is linked by a policy's key
 * it can no more register devices, nor renew their thumbprints, once keys are refused. */
static bool
is_linked_by_key(const struct seal *s, const struct js *dps)
{
	const struct js *hubs = js_get(js_get(dps, "properties"), "iotHubs");
	for (size_t i = 0; i < js_len(hubs); i++) {
		const struct js *link = js_at(hubs, i);
		struct span name = js_as_str(js_get(link, "name"));
		const char *by = js_as_text(js_get(link, "authenticationType"));
		const char *key = js_as_text(js_get(link, "connectionString"));
		bool keyed = by[0] ? strcmp(by, "KeyBased") == 0 : key[0] != '\0';
		if (keyed && (name.len == 0 || span_ieq_str(name, s->hub)))
			return true;
	}
	return false;
}

static int
check_link(struct seal *s, struct err *e)
{
	const char *resource;
	struct rest_request q;
	if (s->m->logs || s->o->keep_hub ||
	    s->o->cut_dps) /* a muster's is the same server */
		return 0;
	if (service_resource(s->m->service, SIGN_IN_DPS, &resource, e))
		return err_wrap(e, "how the provisioning service is linked is not known");
	azure_dps_get(s->m->arena, resource, &q);
	auto_(js_free) struct js *dps =
	    ask(s, PACE_ARM, &q, "provisioning service properties", e);
	if (!dps)
		return -1;
	if (!is_linked_by_key(s, dps))
		return 0;
	return err_set(e, ERR_CONFLICT,
	    "the provisioning service is linked to the hub by a policy's key, which "
	    "disableLocalAuth shuts out: no device could register any more, nor one with "
	    "a renewed certificate connect; link it by a managed identity, or leave this "
	    "stage out with --keep-hub-policies (--cut-dps does it all the same)");
}

static int
seal_hub(struct seal *s, struct err *e)
{
	int before = -1, after;
	const char *policy;
	auto_buf key = BUF_INIT(SAS_KEY_MAX);
	key.secret = true;
	if (s->o->keep_hub)
		return 0;
	if (policy_key(s, &policy, &key, e))
		return -1;
	if (policy[0] && try_policy(s, policy, buf_span(&key), &before, e))
		return -1;
	const char *what = arena_printf(
	    s->m->arena, "GET /devices with a SAS token of policy %s", policy);
	if (!policy[0]) { /* sealed before: a token of any key has to be refused */
		uint8_t fresh[SAS_KEY_MAX];
		sas_key_generate(fresh);
		buf_put(&key, fresh, sizeof(fresh));
		policy = "iothubowner";
		what = PROBE_NO_POLICY;
	}
	/* whether Azure takes an empty set of policies is not known (service.md 9.1); the
	 * switch alone shuts them out */
	if (throw_switch(s, "disableLocalAuth", s->m->logs != NULL, e) ||
	    need_policy_refusal(s, policy, buf_span(&key), &after, e))
		return -1;
	return record(s, "hub", what, "HTTP", before, after, e);
}

/* ---- the whole ---- */

static int
visit_unready(void *ctx, const struct campaign_device *d, struct err *e)
{
	struct buf *names = ctx;
	if (state_is_done(sm_find(&state_machine, d->state)))
		return 0;
	if (names->len < 300)
		buf_printf(names, "%s%s (%s)", names->len ? ", " : "", d->id, d->state);
	return 0;
}

static int
check_ready(struct seal *s, struct err *e)
{
	struct verify_report report;
	auto_buf names = BUF_INIT(1024);
	if (campaign_device_each(s->m->file, -1, visit_unready, &names, e))
		return -1;
	if (names.len)
		return err_set(e, ERR_GATE,
		    "not sealed: not every device is migrated: %s; muster migrate run "
		    "goes on",
		    buf_text(&names));
	if (verify_fleet(s->m, s->o->window_ms, s->o->keep_modules, &report, e))
		return -1;
	verify_print(s->m, &report);
	return verify_judge(&report, e) ? err_wrap(e, "not sealed") : 0;
}

static int
find_hub(struct seal *s, struct err *e)
{
	auto_(js_free) struct js *hub = hub_get(s, e);
	if (!hub)
		return -1;
	struct span name = js_as_str(js_get(js_get(hub, "properties"), "hostName"));
	if (name.len == 0)
		return err_set(e, ERR_PARSE, "hub properties: no hostName");
	s->hub = arena_str(s->m->arena, name);
	return 0;
}

static int
seal_all(struct seal *s, struct err *e)
{
	if (check_ready(s, e) || find_hub(s, e) || check_link(s, e))
		return -1;
	if (seal_devices(s, e))
		return err_wrap(e, "seal, devices");
	if (seal_modules(s, e))
		return err_wrap(e, "seal, modules");
	/* while operators' SAS still works, and so does ours by certificate */
	if (remove_probe(s, e))
		return -1;
	s->probe_made = false;
	if (seal_hub(s, e))
		return err_wrap(e, "seal, hub");
	return 0;
}

int
seal_fleet(struct migration *m, const struct seal_opts *o, struct err *e)
{
	struct err why, ignored;
	struct seal s = {.m = m, .o = o, .probe_key = BUF_INIT(SAS_KEY_MAX)};
	s.probe_key.secret = true;
	int failed = seal_all(&s, &why);
	if (failed && s.probe_made)
		failed = remove_probe(&s, &ignored) ? -1 : failed;
	buf_done(&s.probe_key);
	if (summary_count(m, "after", failed ? &ignored : e) ||
	    summary_write(m, failed ? &ignored : e))
		return failed ? err_copy(e, &why) : -1;
	if (failed)
		return err_copy(e, &why);
	return summary_print(m, e);
}
