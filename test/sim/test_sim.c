/*
 * 400 days of a fleet in seconds: devices as they are (agent/renew.h, the key store, real
 * directories), a server as it is (domain/, a real database, real signatures), virtual
 * time, and troubles drawn from a seed. docs/testing.md has what is played and what not.
 *
 * MUSTER_SIM_SEED repeats a run, MUSTER_SIM_DEVICES makes a larger fleet,
 * MUSTER_SIM_VERBOSE tells now and then how far it is, MUSTER_SIM_STOP ends it at the
 * first rule that is broken and leaves the directories, MUSTER_SIM_TRACE=dev-0007 tells
 * what that device does.
 */
#include "fleet.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/num.h"
#include "dice.h"
#include "memo.h"
#include "io/file.h"

#define T0_MS   INT64_C(1799020800000) /* 2027-01-04 */
#define DEVICES 40
#define KEEP_MS (6 * HOUR) /* from one housekeeping to the next */

static int64_t
number_of(const char *name, int64_t fallback, int64_t min, int64_t max)
{
	int64_t n;
	const char *text = getenv(name);
	if (!text || !*text)
		return fallback;
	if (!num_ok(span_str(text), min, max, &n))
		sim_die(name, NULL);
	return n;
}

static double
now_s(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- time -----------------------------------------------------------------------------
 */

static struct device *
next_device(struct fleet *f)
{
	struct device *first = &f->v[0];
	for (size_t i = 1; i < f->n; i++)
		if (f->v[i].next_ms < first->next_ms)
			first = &f->v[i];
	return first;
}

static void
play_until(struct fleet *f, int64_t until_ms)
{
	for (;;) {
		struct device *d = next_device(f);
		if (d->next_ms >= until_ms)
			break;
		if (d->next_ms > sim_now_ms)
			sim_now_ms = d->next_ms;
		device_step(d);
	}
	sim_now_ms = until_ms;
}

/* Outages begin and end with the hour. */
static void
play_day(struct fleet *f)
{
	scenario_day(f);
	for (int hour = 0; hour < 24; hour++) {
		scenario_server(f);
		if (sim_now_ms % KEEP_MS == 0) {
			server_housekeeping(&f->s);
			if (!f->s.down && !f->s.signer_down && !f->s.token_away)
				f->kept_ms = sim_now_ms;
		}
		play_until(f, sim_now_ms + HOUR);
	}
	audit_day(f);
	if (!f->s.down)
		scenario_operator(f);
}

/* ---- what became of it ----------------------------------------------------------------
 */

static struct device_counts
sum(const struct fleet *f)
{
	struct device_counts n = {0};
	for (size_t i = 0; i < f->n; i++) {
		const struct device_counts *d = &f->v[i].n;
		n.runs += d->runs;
		n.renewals += d->renewals;
		n.failures += d->failures;
		n.cuts += d->cuts;
		n.refused_proofs += d->refused_proofs;
		n.fall_backs += d->fall_backs;
	}
	return n;
}

static void
print_row(const char *what, int64_t n)
{
	printf("  %-40s %10" PRId64 "\n", what, n);
}

static void
print_table(const struct fleet *f, double took_s)
{
	struct device_counts d = sum(f);
	const struct sim_counts *n = &f->s.n;
	print_row("virtual days", DAYS);
	print_row("devices", (int64_t)f->n);
	print_row("certificates signed", n->signed_);
	print_row("certificates for devices", n->renewals);
	print_row("  of expired ones, allowed by an operator", n->late);
	print_row("  by one-time token", n->tokens);
	print_row("renewal runs", d.runs);
	print_row("  that failed", d.failures);
	print_row("power cuts in a renewal", d.cuts);
	print_row("answers lost after issuance", n->lost_replies);
	print_row("core ended before the record", n->crashes);
	print_row("proofs refused by the hub", d.refused_proofs);
	print_row("fall backs to an older generation", d.fall_backs);
	print_row("check-ins", n->checkins);
	print_row("connections to the hub", n->opens);
	print_row("registrations", n->registrations);
	print_row("refusals", n->refusals);
	print_row("operator: allowances", n->allowances);
	print_row("operator: releases from quarantine", n->releases);
	print_row("operator: tokens as the last resort", (int64_t)f->rescued);
	print_row("CRLs signed", n->crls);
	print_row("OCSP answers signed", n->ocsps);
	printf("  %-40s %10.1f s, %.0f times as fast\n", "wall time", took_s,
	    DAYS * 86400.0 / took_s);
}

static void
print_progress(const struct fleet *f, double took_s)
{
	printf("day %d, %.1f s: %" PRId64 " runs, %" PRId64 " connections, %" PRId64
	       " certificates, %" PRId64 " CRLs, %" PRId64 " OCSP answers\n",
	    f->day, took_s, sum(f).runs, f->s.n.opens, f->s.n.renewals, f->s.n.crls,
	    f->s.n.ocsps);
}

/* ---- main -----------------------------------------------------------------------------
 */

/* In memory where there is room for it: a fleet writes a lot of small files. */
static void
make_top(struct fleet *f)
{
	const char *tmp = getenv("TMPDIR");
	snprintf(f->top, sizeof(f->top), "%s/muster-sim-XXXXXX",
	    tmp && strlen(tmp) < 40 ? tmp : "/dev/shm");
	if (mkdtemp(f->top))
		return;
	snprintf(f->top, sizeof(f->top), "/tmp/muster-sim-XXXXXX");
	if (!mkdtemp(f->top))
		sim_die(f->top, NULL);
}

static void
open_fleet(struct fleet *f)
{
	make_top(f);
	f->seed = (uint64_t)number_of("MUSTER_SIM_SEED", 1, 0, INT64_MAX);
	f->n = (size_t)number_of("MUSTER_SIM_DEVICES", DEVICES, 20, 4000);
	f->v = own_alloc(f->n * sizeof(*f->v));
	sim_now_ms = f->t0_ms = T0_MS;
	dice_seed(f->seed);
	printf("seed %" PRIu64 "\n", f->seed);
	server_open(&f->s, f->top);
}

static void
close_fleet(struct fleet *f)
{
	struct err e;
	for (size_t i = 0; i < f->n; i++)
		device_done(&f->v[i]);
	device_keys_done();
	server_close(&f->s);
	memo_done();
	free(f->v);
	if (file_remove_tree(f->top, &e))
		sim_die("removing", &e);
}

int
main(void)
{
	static struct fleet f;
	int held, broken;
	double began = now_s();
	setvbuf(stdout, NULL, _IOLBF, 0);
	open_fleet(&f);
	scenario_begin(&f);
	for (f.day = 0; f.day < DAYS; f.day++) {
		play_day(&f);
		if (getenv("MUSTER_SIM_VERBOSE") && f.day % 10 == 0)
			print_progress(&f, now_s() - began);
		if (getenv("MUSTER_SIM_STOP") && audit_is_broken()) {
			printf("stopped; what is there is in %s\n", f.top);
			return 1;
		}
	}
	f.day--;
	audit_end(&f);
	print_table(&f, now_s() - began);
	broken = audit_report(&held);
	close_fleet(&f);
	printf("%d passed, %d failed, 0 skipped\n", held, broken);
	return broken ? 1 : 0;
}
