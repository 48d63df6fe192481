/*
 * Verification. Everything is read from the hub anew; the campaign file only says which
 * devices there should be and from which of the hub's records on each of them has to be
 * on X.509.
 */
#include "fleet/verify.h"

#include <stdio.h>

#include "base/map.h"
#include "codec/js.h"
#include "fleet/azure.h"
#include "fleet/state.h"
#include "io/loop.h"

#define MEMBERS_MAX (size_t)(1024 * 1024 * 1024)
#define NAMES_MAX   4096

enum kind {
	MISSING,
	EXTRA,
	NOT_MIGRATED,
	STILL_SAS,
	NO_PROOF,
	SAS_SINCE_SWITCH,
	SAS_IN_WINDOW,
	MODULE_SAS,
	MODULE_TAKES_SAS,
	DISABLED,
	POLICY_TOKENS,
	KINDS
};

static const struct {
	const char *what;
	bool blocks;
} kinds[KINDS] = {
    [MISSING] = {"in the inventory, missing from the hub", true},
    [EXTRA] = {"on the hub, not in the inventory", false},
    [NOT_MIGRATED] = {"not migrated by this campaign", true},
    [STILL_SAS] = {"identity on the hub still takes SAS", true},
    [NO_PROOF] = {"no X.509 connection on the hub's record", true},
    [SAS_SINCE_SWITCH] = {"connected with SAS after the switch", true},
    [SAS_IN_WINDOW] = {"connected with SAS within the window", true},
    [MODULE_SAS] = {"modules of theirs connected with SAS", true},
    [MODULE_TAKES_SAS] = {"modules of theirs take SAS", true},
    [DISABLED] = {"disabled on the hub", false},
    [POLICY_TOKENS] = {"service calls with a hub policy's SAS token in the window",
	false},
};

struct member {
	const char *id;
	int state;
	int64_t conn_seq; /* of a hub without a log: its time */
	int64_t promoted_ms;
	bool on_hub, x509, proved, sas_since, sas_window, module_sas;
	UT_hash_handle hh;
};

struct verify {
	struct migration *m;
	struct arena *a;
	struct member *members;
	int64_t window_ms;
	int64_t now_ms, since_ms; /* by the hub's clock; since_ms: start of the window */
	bool second, has_already, keep_modules;
	int64_t first_seq; /* the earliest switch */
	int64_t first_promoted_ms, planned_ms;
	size_t n[KINDS];
	struct buf names[KINDS];
	struct verify_report *r;
};

static void
found(struct verify *v, enum kind k, const char *id)
{
	if (++v->n[k] <= VERIFY_NAMED)
		buf_printf(&v->names[k], "%s%s", v->n[k] > 1 ? ", " : "", id);
}

static int
visit_member(void *ctx, const struct campaign_device *d, struct err *e)
{
	struct verify *v = ctx;
	struct member *x = arena_alloc(v->a, sizeof(*x));
	*x = (struct member){
	    .id = arena_str(v->a, span_str(d->id)),
	    .state = sm_find(&state_machine, d->state),
	    .conn_seq = d->conn_seq,
	    .promoted_ms = d->promoted_ms,
	};
	HASH_ADD_KEYPTR(hh, v->members, x->id, strlen(x->id), x);
	v->has_already |= x->state == STATE_ALREADY;
	if (x->state == STATE_RESUMED && x->conn_seq < v->first_seq)
		v->first_seq = x->conn_seq;
	if (x->state == STATE_RESUMED && x->promoted_ms < v->first_promoted_ms)
		v->first_promoted_ms = x->promoted_ms;
	return 0;
}

static struct member *
find(struct verify *v, const char *id)
{
	struct member *x = NULL;
	HASH_FIND_STR(v->members, id, x);
	return x;
}

static size_t
auth_index(const char *auth)
{
	static const char *const names[] = {"sas", "selfSigned", "certificateAuthority"};
	for (size_t i = 0; i < 3; i++)
		if (strcmp(auth, names[i]) == 0)
			return i;
	return 3;
}

static int
visit_hub(void *ctx, const struct azure_device *d, struct err *e)
{
	struct verify *v = ctx;
	struct member *x = find(v, d->id);
	if (!x) {
		found(v, EXTRA, d->id);
		return 0;
	}
	size_t auth = auth_index(d->auth);
	x->on_hub = true;
	x->x509 = auth == 1 || auth == 2;
	/* where an identity takes one kind of credential: by what it is connected */
	x->proved |= !v->m->logs && x->x509 && strcmp(d->state, "Connected") == 0;
	v->r->by_auth[auth]++;
	if (strcmp(d->status, "disabled") == 0)
		found(v, DISABLED, d->id);
	return 0;
}

/* One pass over the connections made with SAS since the earlier of the first switch and
 * the window's start. Comparing sequence numbers, not clocks, tells before from after. */
static int
visit_sas(void *ctx, const struct azure_row *row, struct err *e)
{
	struct verify *v = ctx;
	struct member *x = find(v, row->device_id);
	bool in_window = v->window_ms != VERIFY_PROMOTION && row->at_ms >= v->since_ms;
	if (v->second && in_window) /* the first pass had it */
		return 0;
	if (!x) {
		bool recent = in_window || v->window_ms == VERIFY_PROMOTION;
		if (recent && strcmp(row->plane, "service") == 0)
			found(v, POLICY_TOKENS, row->scope);
		return 0;
	}
	bool after_switch = x->state == STATE_RESUMED && row->seq > x->conn_seq;
	bool counts = after_switch || in_window;
	v->r->sas_connections += counts;
	if (row->module_id[0]) {
		if (counts && !x->module_sas)
			found(v, MODULE_SAS, x->id);
		x->module_sas |= counts;
		return 0;
	}
	if (after_switch && !x->sas_since)
		found(v, SAS_SINCE_SWITCH, x->id);
	else if (in_window && !x->sas_window && !after_switch)
		found(v, SAS_IN_WINDOW, x->id);
	x->sas_since |= after_switch;
	x->sas_window |= in_window;
	return 0;
}

static int
visit_x509(void *ctx, const struct azure_row *row, struct err *e)
{
	struct verify *v = ctx;
	struct member *x = find(v, row->device_id);
	if (x && !row->module_id[0] && strcmp(row->plane, "hub") == 0)
		x->proved = true;
	return 0;
}

/* ---- what the log can know ---- */

static void
minutes(int64_t ms, char out[32])
{
	if (ms >= 2 * 3600000)
		snprintf(out, 32, "%.1f h", (double)ms / 3600000);
	else if (ms >= 120000)
		snprintf(out, 32, "%.1f min", (double)ms / 60000);
	else
		snprintf(out, 32, "%.0f s", (double)ms / 1000);
}

/* True where the log reaches back far enough; says so either way. */
static bool
knows_window(struct verify *v, int64_t complete_since_ms)
{
	char asked[32], known[32];
	bool by_switch = v->window_ms == VERIFY_PROMOTION;
	bool none = v->first_promoted_ms == INT64_MAX;
	/* the switch is on record by our clock, the log's reach by the hub's */
	int64_t first =
	    none ? INT64_MAX : v->first_promoted_ms + exchange_ahead_ms(v->m->calls);
	int64_t need = by_switch ? first : v->since_ms;
	int64_t reach = v->now_ms - complete_since_ms;
	minutes(v->now_ms - need, asked);
	minutes(reach > 0 ? reach : 0, known);
	bool ok = complete_since_ms <= need;
	if (by_switch && none) {
		snprintf(
		    v->r->window, sizeof(v->r->window), "no device was switched yet");
		return true;
	}
	if (complete_since_ms == INT64_MAX)
		snprintf(known, sizeof(known), "nothing");
	snprintf(v->r->window, sizeof(v->r->window),
	    "%s, the first %s ago; the hub's connection log is complete for the last "
	    "%s%s",
	    by_switch ? "since each device's own switch" : "all devices", asked, known,
	    ok ? "" : ": it cannot know, so this counts as not clean");
	return ok;
}

/* ---- a hub without a log ---- */

/* One of which the hub does not say what it takes may take it. */
static bool
may_take_sas(const struct azure_device *d)
{
	size_t auth = auth_index(d->auth);
	return auth != 1 && auth != 2 && strcmp(d->auth, "none") != 0;
}

static int
visit_module(void *ctx, const struct azure_device *d, struct err *e)
{
	struct verify *v = ctx;
	struct member *x = find(v, d->id);
	if (x && !x->module_sas && may_take_sas(d)) {
		found(v, MODULE_TAKES_SAS, x->id);
		x->module_sas = true;
	}
	return 0;
}

static void
all_modules(
    void *ctx, struct arena *a, const char *continuation, struct rest_request *ret)
{
	azure_module_query(a, continuation, ret);
}

/* There an identity takes one kind of credential (service.md 7.2): none that takes X.509
 * was let in with SAS since it does. That is a proof for as long as all of them do, and
 * none for the time before. Of a device that was on X.509 before the campaign it is known
 * since the plan. */
static void
knows_types(struct verify *v)
{
	char known[32], asked[32];
	bool by_switch = v->window_ms == VERIFY_PROMOTION;
	int64_t last = 0;
	struct member *x, *after;
	HASH_ITER (hh, v->members, x, after) {
		int64_t since = x->state == STATE_ALREADY ? v->planned_ms : x->conn_seq;
		last = since > last ? since : last;
	}
	int64_t reach = v->now_ms > last ? v->now_ms - last : 0;
	bool ok = by_switch || last <= v->since_ms;
	minutes(v->window_ms, asked);
	minutes(reach, known);
	snprintf(v->r->window, sizeof(v->r->window),
	    "%s%s; this hub has no connection log to read; an identity takes one kind of "
	    "credential, and all take X.509 for the last %s%s",
	    by_switch ? "since each device's own switch" : "all devices, the last ",
	    by_switch ? "" : asked, known,
	    ok ? "" : ": what was before is not known, so this counts as not clean");
	v->r->clean = ok;
}

static int
read_types(struct verify *v, struct err *e)
{
	if (migration_get_int(v->m, "planned_ms", 0, &v->planned_ms, e) ||
	    migration_each_found(v->m, all_modules, NULL, visit_module, v, e))
		return -1;
	knows_types(v);
	return 0;
}

static int
read_connections(struct verify *v, struct err *e)
{
	if (!v->m->logs)
		return read_types(v, e);
	int64_t complete_since = INT64_MAX;
	struct azure_log_filter x509 = {.what = "connect", .auth = "x509"};
	struct azure_log_filter by_time = {
	    .what = "connect", .auth = "sas", .since_ms = v->since_ms};
	struct azure_log_filter by_switch = {
	    .what = "connect", .auth = "sas", .after_seq = v->first_seq};
	/* of our own devices the proofs are on record: only the log's reach is asked for
	 */
	if (!v->has_already)
		x509.after_seq = INT64_MAX;
	if (migration_each_row(v->m, false, &x509, visit_x509, v, &complete_since, e))
		return -1;
	if (v->window_ms != VERIFY_PROMOTION &&
	    migration_each_row(v->m, false, &by_time, visit_sas, v, NULL, e))
		return -1;
	v->second = true;
	if (v->first_seq != INT64_MAX &&
	    migration_each_row(v->m, false, &by_switch, visit_sas, v, NULL, e))
		return -1;
	v->r->clean = knows_window(v, complete_since);
	return 0;
}

/* ---- judgement ---- */

static void
judge_members(struct verify *v)
{
	struct member *x, *after;
	HASH_ITER (hh, v->members, x, after) {
		v->r->inventory++;
		v->r->migrated += state_is_done(x->state);
		if (!state_is_done(x->state))
			found(v, NOT_MIGRATED, x->id);
		if (!x->on_hub)
			found(v, MISSING, x->id);
		if (x->on_hub && !x->x509)
			found(v, STILL_SAS, x->id);
		/* a campaign's own proof is on record; of others the log has to tell */
		bool proved = x->state == STATE_RESUMED || x->proved;
		v->r->proved += proved && x->x509;
		if (state_is_done(x->state) && !proved)
			found(v, NO_PROOF, x->id);
	}
}

static bool
is_of_modules(int k)
{
	return k == MODULE_SAS || k == MODULE_TAKES_SAS;
}

static void
fill_findings(struct verify *v)
{
	struct verify_report *r = v->r;
	for (int k = 0; k < KINDS; k++) {
		if (!v->n[k])
			continue;
		bool blocks = kinds[k].blocks && !(is_of_modules(k) && v->keep_modules);
		r->findings[r->n_findings++] = (struct verify_finding){
		    .what = kinds[k].what,
		    .n = v->n[k],
		    .names = arena_str(v->m->arena, buf_span(&v->names[k])),
		    .blocks = blocks,
		};
		r->clean &= !blocks;
	}
}

static int
record(struct verify *v, struct err *e)
{
	const struct verify_report *r = v->r;
	char at[CLOCK_TEXT];
	auto_buf text = BUF_INIT(256 * 1024);
	auto_(js_free) struct js *o = js_object();
	clock_iso(clock_wall_ms(loop_clock(v->m->loop)), 0, at);
	js_set_text(o, "at", at);
	js_set_bool(o, "clean", r->clean);
	js_set_int(o, "inventory", (int64_t)r->inventory);
	js_set_int(o, "migrated", (int64_t)r->migrated);
	js_set_int(o, "proved", (int64_t)r->proved);
	js_set_int(o, "sasConnections", (int64_t)r->sas_connections);
	js_set_text(o, "window", r->window);
	struct js *list = js_array();
	js_set(o, "findings", list);
	for (size_t i = 0; i < r->n_findings; i++) {
		struct js *f = js_object();
		js_set_text(f, "what", r->findings[i].what);
		js_set_int(f, "count", (int64_t)r->findings[i].n);
		js_set_text(f, "devices", r->findings[i].names);
		js_set_bool(f, "blocks", r->findings[i].blocks);
		js_append(list, f);
	}
	js_dump(o, JS_AS_BUILT, &text);
	return buf_check(&text, "verification", e) ||
		       campaign_meta_put(v->m->file, "verify", buf_text(&text), e)
		   ? -1
		   : 0;
}

static int
verify(struct verify *v, struct err *e)
{
	if (campaign_device_each(v->m->file, -1, visit_member, v, e) ||
	    migration_each_device(v->m, visit_hub, v, e))
		return -1;
	v->now_ms = migration_hub_ms(v->m);
	v->since_ms = v->window_ms == VERIFY_PROMOTION ? 0 : v->now_ms - v->window_ms;
	if (read_connections(v, e))
		return -1;
	judge_members(v);
	fill_findings(v);
	return record(v, e);
}

int
verify_fleet(struct migration *m, int64_t window_ms, bool keep_modules,
    struct verify_report *ret, struct err *e)
{
	struct verify v = {
	    .m = m, .window_ms = window_ms, .keep_modules = keep_modules, .r = ret};
	*ret = (struct verify_report){.clean = true};
	v.a = arena_new(MEMBERS_MAX);
	v.first_seq = v.first_promoted_ms = INT64_MAX;
	for (int k = 0; k < KINDS; k++)
		v.names[k] = BUF_INIT(NAMES_MAX);
	int failed = verify(&v, e);
	HASH_CLEAR(hh, v.members);
	for (int k = 0; k < KINDS; k++)
		buf_done(&v.names[k]);
	arena_free(v.a);
	return failed;
}

void
verify_print(const struct migration *m, const struct verify_report *r)
{
	if (m->o->json)
		return;
	printf(
	    "devices in the inventory: %zu; on the hub by authentication type: sas %zu, "
	    "selfSigned %zu, certificateAuthority %zu, other %zu\n",
	    r->inventory, r->by_auth[0], r->by_auth[1], r->by_auth[2], r->by_auth[3]);
	printf("migrated: %zu; with an X.509 proof on record: %zu\n", r->migrated,
	    r->proved);
	printf("SAS connections: %zu; window: %s\n", r->sas_connections, r->window);
	for (size_t i = 0; i < r->n_findings; i++)
		printf("%s %s: %zu (%s%s)\n",
		    r->findings[i].blocks ? "NOT CLEAN" : "note", r->findings[i].what,
		    r->findings[i].n, r->findings[i].names,
		    r->findings[i].n > VERIFY_NAMED ? ", ..." : "");
	printf("verify: %s\n", r->clean ? "clean" : "not clean");
}

int
verify_judge(const struct verify_report *r, struct err *e)
{
	if (r->clean)
		return 0;
	for (size_t i = 0; i < r->n_findings; i++)
		if (r->findings[i].blocks)
			return err_set(e, ERR_GATE, "not clean: %s: %zu (%.300s)",
			    r->findings[i].what, r->findings[i].n, r->findings[i].names);
	return err_set(
	    e, ERR_GATE, "not clean: window of SAS connections: %s", r->window);
}
