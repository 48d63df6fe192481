/*
 * The gate: sources in a table, those with somebody waiting in one of two rings (known,
 * strange) from which the pump takes them in turn.
 */
#include "io/gate.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "io/loop.h"
#include "io/netbuf.h"

enum {
	SOURCE_KEY = 16,
	PUMP_MS = 1,
	KNOWN_TURNS = 3, /* of known sources, before one of strangers */
	SHARE = 8,       /* of the places, that one source may have */
	SHARE_MIN = 64,
	CROWD_LOOK = 16,
	STARTS = 8, /* a millisecond: more than a core can serve */
};

enum ring { RING_STRANGE, RING_KNOWN, RINGS };

struct source {
	uint8_t key[SOURCE_KEY];
	struct list ring; /* in gate.rings, while somebody waits and there is a share */
	struct list lru;  /* in gate.known, while known */
	struct list busy; /* in gate.busy, while somebody waits */
	struct list waiting;
	size_t n_waiting, n_passes, n_unproven;
	bool known;
	struct gate *gate;
	UT_hash_handle hh;
};

struct waiting {
	struct list node;
	struct source *source;
	int fd;
	socklen_t len;
	struct sockaddr_storage sa;
	const struct gate_door *door;
	void *arg;
};

struct gate_pass {
	struct source *source;
	bool proven;
};

struct gate {
	struct gate_opts opts;
	struct source *sources;
	struct list rings[RINGS];
	struct list busy;
	struct list known; /* the one longest unheard of first */
	size_t n_waiting, n_unproven, n_known;
	unsigned turn;     /* of known sources, since the last of strangers */
	int64_t window_ms; /* the millisecond that started counts for */
	size_t started;
	struct event *pump; /* network time: peers do not wait for a virtual clock */
	bool shut;
};

struct gate_opts
gate_opts_for(size_t conns_max, size_t waiting_max)
{
	size_t share = conns_max / SHARE;
	return (struct gate_opts){.unproven_max = conns_max - conns_max / SHARE,
	    .source_max = share < SHARE_MIN ? SHARE_MIN : share,
	    .waiting_max = waiting_max,
	    .starts = STARTS,
	    .known_max = 65536};
}

/* ---- sources --------------------------------------------------------------------------
 */

static void
key_of(const struct sockaddr *sa, uint8_t key[SOURCE_KEY])
{
	memset(key, 0, SOURCE_KEY);
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;
		key[10] = key[11] = 0xff;
		memcpy(key + 12, &in->sin_addr, 4);
		return;
	}
	if (sa->sa_family != AF_INET6)
		return; /* a Unix socket: all are one */
	const struct sockaddr_in6 *in6 = (const void *)sa;
	bool mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
	memcpy(key, &in6->sin6_addr, mapped ? 16 : 8);
}

static struct source *
source_of(struct gate *g, const struct sockaddr *sa)
{
	uint8_t key[SOURCE_KEY];
	struct source *s;
	key_of(sa, key);
	HASH_FIND(hh, g->sources, key, SOURCE_KEY, s);
	if (s)
		return s;
	s = own_alloc(sizeof(*s));
	memcpy(s->key, key, SOURCE_KEY);
	s->gate = g;
	list_init(&s->waiting);
	HASH_ADD(hh, g->sources, key, SOURCE_KEY, s);
	return s;
}

/* In a ring where its turn may come, in none otherwise; away where nothing is left to
 * say about it. */
static void
settle(struct source *s)
{
	struct gate *g = s->gate;
	bool may = s->n_waiting && s->n_unproven < g->opts.source_max;
	if (may && list_empty(&s->ring))
		list_push(&g->rings[s->known ? RING_KNOWN : RING_STRANGE], &s->ring);
	else if (!may)
		list_del(&s->ring);
	if (!s->n_waiting)
		list_del(&s->busy);
	else if (list_empty(&s->busy))
		list_push(&g->busy, &s->busy);
	if (s->n_waiting || s->n_passes || s->known)
		return;
	HASH_DEL(g->sources, s);
	free(s);
}

static void
forget_known(struct source *s)
{
	s->known = false;
	s->gate->n_known--;
	list_del(&s->lru);
	list_del(&s->ring); /* settle finds the other ring */
	settle(s);
}

static void
remember(struct source *s)
{
	struct gate *g = s->gate;
	if (s->known)
		list_del(&s->lru);
	else
		g->n_known++;
	list_push(&g->known, &s->lru);
	if (!s->known)
		list_del(&s->ring);
	s->known = true;
	settle(s);
	if (g->n_known > g->opts.known_max)
		forget_known(list_of(g->known.next, struct source, lru));
}

/* ---- waiting --------------------------------------------------------------------------
 */

static void
leave_queue(struct waiting *w)
{
	list_del(&w->node);
	w->source->n_waiting--;
	w->source->gate->n_waiting--;
}

static void
turn_away(struct waiting *w)
{
	struct source *s = w->source;
	const struct gate_door *door = w->door;
	void *arg = w->arg;
	int fd = w->fd;
	leave_queue(w);
	free(w);
	settle(s);
	if (door->away)
		door->away(arg, fd);
	else
		close(fd);
}

static bool
gives_way_to(const struct source *s, const struct source *other)
{
	if (s->known != other->known)
		return other->known;
	return s->n_waiting > other->n_waiting;
}

/* Who has to give way when too many wait: a stranger's source where it has others
 * waiting, else the longest queue of a few that have been crowded for longest; one of a
 * known source only where no stranger is among them. */
static struct source *
crowd(struct gate *g, struct source *newcomer)
{
	struct source *worst = newcomer;
	size_t looked = 0;
	if (!newcomer->known && newcomer->n_waiting > 1)
		return newcomer;
	list_each (n, &g->busy) {
		struct source *s = list_of(n, struct source, busy);
		if (gives_way_to(s, worst))
			worst = s;
		if (++looked == CROWD_LOOK)
			break;
	}
	return worst;
}

static void
let_in(struct waiting *w)
{
	struct source *s = w->source;
	struct gate *g = s->gate;
	struct gate_pass *p = own_alloc(sizeof(*p));
	p->source = s;
	leave_queue(w);
	s->n_passes++;
	s->n_unproven++;
	g->n_unproven++;
	list_del(&s->ring); /* to the end of its ring */
	settle(s);
	w->door->start(w->arg, w->fd, (const struct sockaddr *)&w->sa, w->len, p);
	free(w);
}

static bool
has_turn(const struct gate *g, enum ring ring)
{
	size_t max = g->opts.unproven_max;
	if (ring == RING_STRANGE)
		max -= max / 4; /* the rest is for those that were here before */
	return !list_empty(&g->rings[ring]) && g->n_unproven < max;
}

/* Whose turn it is, where somebody's is. */
static struct source *
next_source(struct gate *g)
{
	bool known = has_turn(g, RING_KNOWN), strange = has_turn(g, RING_STRANGE);
	bool first = known && (!strange || g->turn < KNOWN_TURNS);
	g->turn = first ? g->turn + 1 : 0;
	return list_of(
	    g->rings[first ? RING_KNOWN : RING_STRANGE].next, struct source, ring);
}

/* A start more in this millisecond. */
static bool
may_start(struct gate *g)
{
	int64_t now = clock_mono_ms(&clock_system);
	if (now != g->window_ms)
		g->started = 0;
	g->window_ms = now;
	return g->started < g->opts.starts;
}

static bool
anybody_may(const struct gate *g)
{
	return has_turn(g, RING_KNOWN) || has_turn(g, RING_STRANGE);
}

static void
pump(struct gate *g)
{
	while (anybody_may(g) && may_start(g)) {
		g->started++;
		let_in(list_of(next_source(g)->waiting.next, struct waiting, node));
	}
	if (anybody_may(g)) /* else gate_leave and gate_prove go on */
		netbuf_timer_start(g->pump, PUMP_MS);
}

static void
on_pump(int fd, short what, void *arg)
{
	(void)fd, (void)what;
	pump(arg);
}

/* Not at once: who leaves is in the middle of it. */
static void
wake(struct gate *g)
{
	if (!g->shut && anybody_may(g))
		netbuf_timer_start(g->pump, PUMP_MS);
}

void
gate_enter(struct gate *g, int fd, const struct sockaddr *sa, socklen_t len,
    const struct gate_door *door, void *arg)
{
	struct source *s = source_of(g, sa);
	struct waiting *w = own_alloc(sizeof(*w));
	*w = (struct waiting){.source = s, .fd = fd, .door = door, .arg = arg};
	w->len = len < sizeof(w->sa) ? len : sizeof(w->sa);
	memcpy(&w->sa, sa, w->len);
	list_push(&s->waiting, &w->node);
	s->n_waiting++;
	g->n_waiting++;
	settle(s);
	if (g->shut) {
		turn_away(w);
		return;
	}
	pump(g);
	if (g->n_waiting > g->opts.waiting_max) /* so w waits, and s is there */
		turn_away(list_of(crowd(g, s)->waiting.prev, struct waiting, node));
}

/* ---- passes ---------------------------------------------------------------------------
 */

static void
count_out(struct gate_pass *p)
{
	p->source->n_unproven--;
	p->source->gate->n_unproven--;
}

void
gate_prove(struct gate_pass *p)
{
	if (p->proven)
		return;
	p->proven = true;
	count_out(p);
	remember(p->source);
	wake(p->source->gate);
}

void
gate_leave(struct gate_pass *p)
{
	if (!p)
		return;
	struct source *s = p->source;
	struct gate *g = s->gate;
	if (!p->proven)
		count_out(p);
	s->n_passes--;
	free(p);
	settle(s);
	wake(g);
}

/* ---- life -----------------------------------------------------------------------------
 */

struct gate *
gate_new(struct loop *l, const struct gate_opts *opts)
{
	struct gate *g = own_alloc(sizeof(*g));
	g->opts = *opts;
	for (int i = 0; i < RINGS; i++)
		list_init(&g->rings[i]);
	list_init(&g->busy);
	list_init(&g->known);
	g->pump = netbuf_timer_new(loop_base(l), on_pump, g);
	if (!g->pump)
		abort(); /* out of memory, as base/own.h has it */
	return g;
}

void
gate_shut(struct gate *g)
{
	g->shut = true;
	netbuf_timer_start(g->pump, 0);
	while (!list_empty(&g->busy)) {
		struct source *s = list_of(g->busy.next, struct source, busy);
		turn_away(list_of(s->waiting.next, struct waiting, node));
	}
}

void
gate_free(struct gate *g)
{
	if (!g)
		return;
	gate_shut(g);
	while (!list_empty(&g->known))
		forget_known(list_of(g->known.next, struct source, lru));
	netbuf_timer_free(g->pump);
	free(g);
}

size_t
gate_waiting(const struct gate *g)
{
	return g->n_waiting;
}

size_t
gate_unproven(const struct gate *g)
{
	return g->n_unproven;
}
