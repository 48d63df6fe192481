/*
 * Planning: read the inventory, look at the hub, draw the waves, write it all down.
 */
#include "fleet/plan.h"

#include <stdio.h>
#include <unistd.h>

#include "base/map.h"
#include "base/rand.h"
#include "codec/id.h"
#include "fleet/azure.h"
#include "fleet/inventory.h"
#include "fleet/state.h"
#include "fleet/summary.h"
#include "fleet/throttle.h"
#include "fleet/wave.h"
#include "io/file.h"
#include "io/loop.h"

#define PLAN_ARENA (size_t)(2048L * 1024 * 1024)
#define NAMED      10

struct planned {
	const struct inventory_row *row;
	const char *auth; /* authenticationType on the hub; "" = not there */
	UT_hash_handle hh;
};

struct list_of_names {
	size_t n;
	struct buf text;
};

struct plan {
	struct migration m;
	const struct plan_opts *p;
	struct inventory inventory;
	struct planned *devices, *by_id;
	struct wave_plan waves;
	size_t *order; /* of the devices that are to be migrated */
	size_t n_order, n_already, n_hub;
	uint64_t seed;
	struct pace_limits limits;
	const char *limits_from;
	struct list_of_names missing, extra, already;
};

static void
name(struct list_of_names *l, const char *id)
{
	l->n++;
	if (l->n <= NAMED)
		buf_printf(&l->text, "%s%s", l->n > 1 ? ", " : "", id);
}

/* ---- reading ---- */

static int
read_inventory(struct plan *p, struct err *e)
{
	auto_buf text = BUF_INIT(INVENTORY_MAX);
	auto_buf problems = BUF_INIT(64 * 1024);
	if (file_read(p->p->inventory, &text, e))
		return err_wrap(e, "inventory");
	int failed = inventory_parse(
	    buf_span(&text), p->p->inventory, p->m.arena, &p->inventory, &problems, e);
	if (failed && problems.len)
		fprintf(stderr, "%s", buf_text(&problems));
	return failed;
}

/* A fleet must not be planned whose devices cannot be told from impostors. */
static int
check_host_keys(struct plan *p, struct err *e)
{
	struct list_of_names without = {.text = BUF_INIT(4096)};
	if (p->p->known_hosts)
		return file_exists(p->p->known_hosts)
			   ? 0
			   : err_set(e, ERR_NOT_FOUND, "--known-hosts %s: not there",
				 p->p->known_hosts);
	for (size_t i = 0; i < p->inventory.n; i++)
		if (!p->inventory.v[i].host_key[0])
			name(&without, p->inventory.v[i].id);
	int failed = 0;
	if (without.n)
		failed = err_set(e, ERR_USAGE,
		    "%s: %zu devices without a host key (%s%s); muster accepts none "
		    "blindly: add "
		    "the keys as the fourth column, or give --known-hosts FILE",
		    p->p->inventory, without.n, buf_text(&without.text),
		    without.n > NAMED ? ", ..." : "");
	buf_done(&without.text);
	return failed;
}

static int
on_hub_device(void *ctx, const struct azure_device *d, struct err *e)
{
	struct plan *p = ctx;
	struct planned *x = NULL;
	HASH_FIND_STR(p->by_id, d->id, x);
	p->n_hub++;
	if (!x)
		name(&p->extra, d->id);
	else
		x->auth = arena_str(p->m.arena, span_str(d->auth));
	return 0;
}

static int
compare(struct plan *p, struct err *e)
{
	size_t n = p->inventory.n;
	p->devices = arena_alloc(p->m.arena, n * sizeof(*p->devices));
	for (size_t i = 0; i < n; i++) {
		struct planned *x = &p->devices[i];
		*x = (struct planned){.row = &p->inventory.v[i], .auth = ""};
		HASH_ADD_KEYPTR(hh, p->by_id, x->row->id, strlen(x->row->id), x);
	}
	return migration_each_device(&p->m, on_hub_device, p, e);
}

static bool
is_x509(const struct planned *x)
{
	return strcmp(x->auth, "selfSigned") == 0 ||
	       strcmp(x->auth, "certificateAuthority") == 0;
}

static int
draw(struct plan *p, struct err *e)
{
	p->order = arena_alloc(p->m.arena, (p->inventory.n + 1) * sizeof(*p->order));
	for (size_t i = 0; i < p->inventory.n; i++) {
		if (!p->devices[i].auth[0])
			name(&p->missing, p->devices[i].row->id);
		if (is_x509(&p->devices[i]))
			name(&p->already, p->devices[i].row->id);
		else
			p->order[p->n_order++] = i;
	}
	if (!p->p->in_order)
		wave_shuffle(p->order, p->n_order, p->seed);
	if (p->p->waves)
		return wave_parse(span_str(p->p->waves), p->n_order, &p->waves, e);
	wave_default(p->n_order, &p->waves);
	return 0;
}

/* ---- writing ---- */

static int
add_device(struct plan *p, size_t i, size_t ord, size_t wave, struct err *e)
{
	const struct inventory_row *row = p->devices[i].row;
	struct campaign_device d = {
	    .id = row->id,
	    .ord = (int64_t)ord,
	    .wave = (int64_t)wave,
	    .line = (int64_t)row->line,
	    .address = row->address,
	    .user = row->user,
	    .host_key = row->host_key,
	    .state = sm_name(&state_machine, wave ? STATE_PLANNED : STATE_ALREADY),
	    .auth_before = p->devices[i].auth,
	};
	return campaign_device_add(p->m.file, &d, e);
}

static int
add_waves(struct plan *p, struct err *e)
{
	size_t ord = 0;
	for (size_t w = 0; w < p->waves.n; w++) {
		struct campaign_wave row = {
		    .n = (int64_t)w + 1, .size = (int64_t)p->waves.size[w], .gate = ""};
		if (campaign_wave_put(p->m.file, &row, e))
			return -1;
		for (size_t i = 0; i < p->waves.size[w]; i++, ord++)
			if (add_device(p, p->order[ord], ord, w + 1, e))
				return -1;
	}
	for (size_t i = 0; i < p->inventory.n; i++)
		if (is_x509(&p->devices[i]) && add_device(p, i, ord++, 0, e))
			return -1;
	return 0;
}

static const char *
joined_options(struct plan *p)
{
	const char *all = "";
	const struct ssh_opts *s = &p->m.o->ssh;
	for (size_t i = 0; i < s->n_options; i++)
		all = arena_printf(p->m.arena, "%s%s\n", all, s->option[i]);
	return all;
}

/* What later commands need not be told again. */
static int
add_meta(struct plan *p, struct err *e)
{
	const struct ssh_opts *s = &p->m.o->ssh;
	const struct {
		const char *key, *value;
	} texts[] = {
	    {"group", p->m.group},
	    {"target", p->m.o->target_name ? p->m.o->target_name : ""},
	    {"server", p->m.target->rest.base},
	    {"inventory", p->p->inventory},
	    {"ssh_program", s->program},
	    {"ssh_config", s->config ? s->config : ""},
	    {"known_hosts", p->p->known_hosts ? p->p->known_hosts : ""},
	    {"remote_command", s->command},
	    {"ssh_options", joined_options(p)},
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (campaign_meta_put(p->m.file, texts[i].key, texts[i].value, e))
			return -1;
	return migration_put_int(&p->m, "seed", (int64_t)p->seed, e) ||
		       migration_put_int(&p->m, "in_order", p->p->in_order, e) ||
		       migration_put_int(
			   &p->m, "planned_ms", clock_wall_ms(loop_clock(p->m.loop)), e)
		   ? -1
		   : 0;
}

static int
write_pins(struct plan *p, struct err *e)
{
	auto_buf pins = BUF_INIT(INVENTORY_MAX * 2);
	for (size_t i = 0; i < p->inventory.n; i++) {
		const struct inventory_row *row = p->devices[i].row;
		struct ssh_target t = {.id = row->id, .host_key = row->host_key};
		ssh_pin(&t, &pins);
	}
	if (buf_check(&pins, "known hosts", e))
		return -1;
	return file_write(migration_path(&p->m, "known_hosts"), buf_span(&pins), 0600, e);
}

static int
visit_begun(void *ctx, const struct campaign_device *d, struct err *e)
{
	/* one that failed and is tried again is planned too, but not untouched */
	bool untouched = strcmp(d->state, "planned") == 0 && !d->generation[0];
	if (untouched || strcmp(d->state, "already-x509") == 0)
		return 0;
	return err_set(e, ERR_EXISTS,
	    "campaign %s has begun (device %s is %s); muster migrate run goes on with "
	    "it, or name "
	    "another with --campaign",
	    (const char *)ctx, d->id, d->state);
}

/* A campaign that has not begun may be planned anew. */
static int
clear_old(struct plan *p, struct err *e)
{
	static const char *const names[] = {
	    "campaign.db", "campaign.db-wal", "campaign.db-shm", "known_hosts"};
	const char *path = migration_path(&p->m, "campaign.db");
	if (!file_exists(path))
		return 0;
	struct err why;
	auto_(campaign_close) struct campaign *old = campaign_open(path, &why);
	if (!old && why.code != ERR_CORRUPT)
		return err_copy(e, &why);
	if (old && campaign_device_each(old, -1, visit_begun, (void *)p->m.o->dir, e))
		return -1;
	campaign_close(TAKE(old));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (file_remove(migration_path(&p->m, names[i]), e))
			return -1;
	return 0;
}

static int
add_prediction(struct plan *p, struct err *e)
{
	return throttle_record(&p->m, &p->limits, p->limits_from, e) ||
		       throttle_predict(
			   &p->m, &p->limits, p->waves.size, p->waves.n, p->n_hub, e)
		   ? -1
		   : 0;
}

static int
write_campaign(struct plan *p, struct err *e)
{
	p->m.file = campaign_create(migration_path(&p->m, "campaign.db"), e);
	if (!p->m.file || write_pins(p, e) || campaign_begin(p->m.file, e))
		return -1;
	if (add_meta(p, e) || add_waves(p, e) || add_prediction(p, e) ||
	    summary_count(&p->m, "before", e)) {
		campaign_rollback(p->m.file);
		return -1;
	}
	return campaign_commit(p->m.file, e);
}

/* ---- the table ---- */

static void
print_names(const char *what, const struct list_of_names *l)
{
	if (l->n)
		printf("%-28s %8zu  %s%s\n", what, l->n, buf_text(&l->text),
		    l->n > NAMED ? ", ..." : "");
}

static int
print(struct plan *p, struct err *e)
{
	size_t sum = 0;
	printf("%-28s %8zu\n", "devices in the inventory", p->inventory.n);
	printf("%-28s %8zu\n", "to be migrated", p->n_order);
	print_names("already on X.509", &p->already);
	print_names("missing from the hub", &p->missing);
	print_names("on the hub, not in inventory", &p->extra);
	printf("\nwave  devices  then done\n");
	for (size_t i = 0; i < p->waves.n; i++) {
		sum += p->waves.size[i];
		printf("%4zu  %7zu  %7zu (%zu %%)\n", i + 1, p->waves.size[i], sum,
		    sum * 100 / p->n_order);
	}
	if (p->p->in_order)
		printf("\norder: of the inventory\n");
	else
		printf("\norder: drawn with seed %llu\n", (unsigned long long)p->seed);
	if (p->missing.n)
		printf(
		    "devices missing from the hub will fail; create them, or correct the "
		    "inventory and plan again\n");
	if (p->m.o->target_name)
		printf("target: %s (%s)\n", p->m.o->target_name, p->m.target->rest.base);
	if (throttle_print(&p->m, e))
		return -1;
	printf("campaign: %s\n", p->m.o->dir);
	return 0;
}

static int
open_plan(struct plan *p, const struct migration_opts *o, struct err *e)
{
	struct migration *m = &p->m;
	*m = (struct migration){.o = o, .lock = -1};
	m->arena = arena_new(PLAN_ARENA);
	m->progress = progress_new(o->json);
	m->group = p->p->group ? p->p->group : MIGRATION_GROUP;
	if (!id_is_registration(span_str(m->group)))
		return err_set(
		    e, ERR_USAGE, "--group %s: no name of an enrollment group", m->group);
	if (read_inventory(p, e) || check_host_keys(p, e) ||
	    file_mkdir(o->dir, 0700, e) ||
	    file_lock(migration_path(m, "lock"), &m->lock, e) || clear_old(p, e))
		return -1;
	if (migration_open_target(m, o->target_name, e) ||
	    throttle_find(m, &p->limits, &p->limits_from, e))
		return -1;
	exchange_limit(m->calls, &p->limits);
	return 0;
}

int
plan_make(const struct migration_opts *o, const struct plan_opts *opts, struct err *e)
{
	struct plan p = {.p = opts, .seed = (uint64_t)opts->seed};
	p.missing.text = p.extra.text = p.already.text = BUF_INIT(4096);
	if (!p.seed)
		p.seed = rand_u64() >> 1;
	int failed =
	    open_plan(&p, o, e) || compare(&p, e) || draw(&p, e) || write_campaign(&p, e);
	HASH_CLEAR(hh, p.by_id);
	if (!failed && o->json)
		failed = summary_status(&p.m, e);
	else if (!failed)
		failed = print(&p, e);
	buf_done(&p.missing.text);
	buf_done(&p.extra.text);
	buf_done(&p.already.text);
	migration_done(&p.m);
	return failed ? -1 : 0;
}
