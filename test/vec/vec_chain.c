/*
 * Judges the cases of a feed (x509-limbo, BetterTLS, PKITS) by chain_verify as the
 * product calls it: options only for what a case asks. Every difference from what the
 * feed expects must be in the table with its reason; one that is not listed fails, and so
 * does one that is listed and no longer there.
 *
 * usage: vec_chain TABLE < FEED
 *
 * Table, a line each: "outside PREFIX" (cases that are not ours to judge), "never PREFIX"
 * (no wrong accept there, listed or not), "agree N" (at least), "accepts CASE WHY" and
 * "refuses CASE WHY" (differences), "#" a comment.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/num.h"
#include "crypto/chain.h"

#define NOW_S    INT64_C(1795300000) /* of cases without a time: November 2026 */
#define LINE_MAX (1u << 20)
#define WISH_MAX 8
#define CPU_MS   50 /* said where a case needs more; never asserted */

__attribute__((noreturn, format(printf, 1, 2))) static void
die(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(2);
}

/* --- the table --- */

enum rule { OUTSIDE, NEVER, AGREE, ACCEPTS, REFUSES, RULE_N };
static const char *const rule_names[RULE_N] = {
    "outside", "never", "agree", "accepts", "refuses"};

struct row {
	enum rule rule;
	char *text;
	bool met;
};

struct table {
	struct row *v;
	size_t n;
};

static enum rule
rule_of(struct span word)
{
	for (int r = 0; r < RULE_N; r++)
		if (span_eq_str(word, rule_names[r]))
			return (enum rule)r;
	die("table: no rule '%.*s'", SPAN_FMT(word));
}

static void
table_add(struct table *t, struct span line)
{
	struct span word = span_split(&line, ' '), text = span_split(&line, ' ');
	if (!word.len || word.p[0] == '#')
		return;
	enum rule r = rule_of(word);
	if (!text.len || ((r == ACCEPTS || r == REFUSES) && !line.len))
		die("table: '%.*s' without a case or reason", SPAN_FMT(word));
	t->v = own_realloc(t->v, (t->n + 1) * sizeof(*t->v));
	t->v[t->n] = (struct row){.rule = r, .text = own_alloc(text.len + 1)};
	memcpy(t->v[t->n++].text, text.p, text.len);
}

static void
table_load(struct table *t, const char *path)
{
	char *line = NULL;
	size_t size = 0;
	FILE *f = fopen(path, "r");
	if (!f)
		die("cannot read %s", path);
	for (ssize_t n; (n = getline(&line, &size, f)) > 0;)
		table_add(t, span_trim(span_of(line, (size_t)n)));
	free(line);
	fclose(f);
}

static void
table_done(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i].text);
	free(t->v);
}

static bool
has_prefix(const struct table *t, enum rule r, struct span id)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].rule == r && span_starts(id, span_str(t->v[i].text)))
			return true;
	return false;
}

static bool
is_listed(struct table *t, enum rule r, const char *id)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].rule == r && strcmp(t->v[i].text, id) == 0) {
			t->v[i].met = true;
			return true;
		}
	return false;
}

static long
least(const struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].rule == AGREE)
			return strtol(t->v[i].text, NULL, 10);
	return 0;
}

/* --- a case --- */

struct vec {
	char id[200];
	bool expect, malformed; /* malformed: the product never sees such a chain whole */
	struct chain_options o;
	struct chain_policy policy;
	char *oids[WISH_MAX];
	struct cert_list list; /* v[0] the leaf */
	struct chain_set *set;
	struct crlset *crls;
	double from_ms; /* of CPU, when its first line came */
};

static double
cpu_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void
vec_init(struct vec *c)
{
	*c = (struct vec){.o.now_ms = NOW_S * 1000, .set = chain_set_new()};
	c->crls = crlset_new();
	c->from_ms = cpu_ms();
	c->policy.oids = (const char *const *)c->oids;
}

static void
vec_done(struct vec *c)
{
	cert_list_done(&c->list);
	chain_set_free(c->set);
	crlset_free(c->crls);
	for (size_t i = 0; i < c->policy.n; i++)
		free(c->oids[i]);
}

static struct buf
bytes_of(struct span hex)
{
	struct buf b = BUF_INIT(LINE_MAX);
	struct err e = {0};
	uint8_t *p = buf_room(&b, hex.len / 2);
	if (!p || hex_parse(hex, p, hex.len / 2, &e) < 0)
		die("feed: %s", e.text);
	buf_grew(&b, hex.len / 2);
	return b;
}

static struct cert *
cert_of(struct span hex)
{
	auto_buf der = bytes_of(hex);
	return cert_parse(buf_span(&der), NULL);
}

static void
on_expect(struct vec *c, struct span v)
{
	c->expect = span_eq_str(v, "SUCCESS");
}

static void
on_kind(struct vec *c, struct span v)
{
	c->o.purpose = span_eq_str(v, "CLIENT")   ? CHAIN_CLIENT
		       : span_eq_str(v, "SERVER") ? CHAIN_SERVER
						  : CHAIN_ANY_PURPOSE;
}

static int64_t
number(struct span v)
{
	int64_t n;
	if (!num_ok(v, 0, INT64_C(1) << 40, &n))
		die("feed: '%.*s' is no number", SPAN_FMT(v));
	return n;
}

static void
on_time(struct vec *c, struct span v)
{
	c->o.now_ms = number(v) * 1000;
}

static void
on_depth(struct vec *c, struct span v)
{
	c->o.depth = 1 + (unsigned)number(v);
}

/* As an edge does: what cannot be used takes nothing else away. */
static void
on_trust(struct vec *c, struct span v)
{
	auto_(cert_free) struct cert *ca = cert_of(v);
	struct err e;
	if (ca && chain_set_add(c->set, ca, CHAIN_TRUSTED, &e) < 0 && getenv("VERBOSE"))
		printf("  %s: %s\n", c->id, e.text);
}

static void
on_inter(struct vec *c, struct span v)
{
	if (c->malformed)
		return; /* a TLS peer's chain ends at its first fault too */
	struct cert *ca = cert_of(v);
	if (!c->list.n)
		c->list.n = 1; /* the leaf's place */
	if (!ca || cert_list_add(&c->list, ca, NULL) < 0)
		c->malformed = true;
}

static void
on_leaf(struct vec *c, struct span v)
{
	c->list.v[0] = cert_of(v);
	c->malformed = c->malformed || !c->list.v[0];
	c->list.n = c->list.n ? c->list.n : 1;
}

static void
on_crl(struct vec *c, struct span v)
{
	auto_buf der = bytes_of(v);
	struct err e;
	c->o.crls = c->crls;
	if (crlset_add(c->crls, buf_span(&der), &e) < 0)
		c->malformed = true;
}

static void
on_crl_all(struct vec *c, struct span v)
{
	c->o.crls = c->crls;
	c->o.crl_all = true;
}

static void
on_policy(struct vec *c, struct span v)
{
	if (c->policy.n == WISH_MAX)
		die("%s: more than %d policies", c->id, WISH_MAX);
	char *oid = own_alloc(v.len + 1);
	memcpy(oid, v.p, v.len);
	c->oids[c->policy.n++] = oid;
	c->o.policy = &c->policy;
}

static void
on_explicit(struct vec *c, struct span v)
{
	c->policy.explicit_policy = true;
}

static void
on_no_mapping(struct vec *c, struct span v)
{
	c->policy.no_mapping = true;
}

static void
on_no_any(struct vec *c, struct span v)
{
	c->policy.no_any = true;
}

/* The purpose follows from kind. Names of hosts are not asked for: a device's identity is
 * its own rule (docs/path-validation.md). */
static void
on_nothing(struct vec *c, struct span v)
{
}

static const struct key {
	const char *name;
	void (*take)(struct vec *c, struct span v);
} keys[] = {
    {"expect", on_expect},
    {"kind", on_kind},
    {"time", on_time},
    {"depth", on_depth},
    {"eku", on_nothing},
    {"name", on_nothing},
    {"trust", on_trust},
    {"inter", on_inter},
    {"leaf", on_leaf},
    {"crl", on_crl},
    {"crlall", on_crl_all},
    {"policy", on_policy},
    {"explicit", on_explicit},
    {"nomap", on_no_mapping},
    {"noany", on_no_any},
};

static void
take_line(struct vec *c, struct span line)
{
	struct span name = span_split(&line, ' ');
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (span_eq_str(name, keys[i].name)) {
			keys[i].take(c, line);
			return;
		}
	die("feed: no key '%.*s'", SPAN_FMT(name));
}

/* --- the score --- */

struct score {
	struct table table;
	long cases, agree, listed, failed;
	unsigned most_checks;
	double most_ms;
	char slowest[200];
};

static bool
verify(struct score *s, struct vec *c, struct chain_verdict *v)
{
	*v = (struct chain_verdict){.reason = CHAIN_MALFORMED, .text = "not parsed"};
	if (!c->malformed)
		chain_verify(c->set, &c->list, &c->o, v);
	double took = cpu_ms() - c->from_ms; /* parsing included */
	if (v->checks > s->most_checks)
		s->most_checks = v->checks;
	if (took > s->most_ms) {
		s->most_ms = took;
		snprintf(s->slowest, sizeof(s->slowest), "%s", c->id);
	}
	if (v->checks > CHAIN_CHECKS_MAX) {
		printf("FAIL %s: %u signatures checked\n", c->id, v->checks);
		s->failed++;
	}
	return v->reason == CHAIN_OK;
}

static void
differ(struct score *s, const struct vec *c, bool accepted, const struct chain_verdict *v)
{
	bool never = accepted && has_prefix(&s->table, NEVER, span_str(c->id));
	bool listed = is_listed(&s->table, accepted ? ACCEPTS : REFUSES, c->id);
	if (listed && !never) {
		s->listed++;
		return;
	}
	s->failed++;
	printf("FAIL %s: %s, %s (%s: %s)\n", c->id,
	    accepted ? "wrongly accepted" : "wrongly refused",
	    never ? "which no table may list" : "not in the table",
	    chain_reason_name(v->reason), v->text);
}

static void
judge(struct score *s, struct vec *c)
{
	struct chain_verdict v;
	if (has_prefix(&s->table, OUTSIDE, span_str(c->id)))
		return;
	if (!c->list.n)
		die("%s: no leaf", c->id);
	s->cases++;
	bool accepted = verify(s, c, &v);
	if (getenv("VERBOSE"))
		printf("  %s: %s: %s\n", c->id, chain_reason_name(v.reason), v.text);
	if (accepted == c->expect)
		s->agree++;
	else
		differ(s, c, accepted, &v);
}

static void
read_feed(struct score *s)
{
	char *line = NULL;
	size_t size = 0;
	struct vec c;
	vec_init(&c);
	for (ssize_t n; (n = getline(&line, &size, stdin)) > 0;) {
		struct span l = span_trim(span_of(line, (size_t)n));
		if (span_starts(l, SPAN_LIT("case "))) {
			span_to_str(span_skip(l, 5), c.id, sizeof(c.id));
		} else if (span_eq_str(l, "end")) {
			judge(s, &c);
			vec_done(&c);
			vec_init(&c);
		} else {
			take_line(&c, l);
		}
	}
	vec_done(&c);
	free(line);
}

static void
check_table(struct score *s)
{
	for (size_t i = 0; i < s->table.n; i++) {
		const struct row *r = &s->table.v[i];
		if ((r->rule != ACCEPTS && r->rule != REFUSES) || r->met)
			continue;
		printf("FAIL %s: listed as a difference, and is none\n", r->text);
		s->failed++;
	}
	if (s->agree >= least(&s->table))
		return;
	printf("FAIL only %ld agree\n", s->agree);
	s->failed++;
}

int
main(int argc, char **argv)
{
	struct score s = {0};
	if (argc != 2)
		die("usage: %s TABLE < FEED", argv[0]);
	table_load(&s.table, argv[1]);
	read_feed(&s);
	check_table(&s);
	printf("%ld cases: %ld agree, %ld differ as listed; at most %u signatures and "
	       "%.1f ms of CPU%s (%s)\n",
	    s.cases, s.agree, s.listed, s.most_checks, s.most_ms,
	    s.most_ms > CPU_MS ? ", more than it should" : "", s.slowest);
	table_done(&s.table);
	printf("%ld passed, %ld failed, 0 skipped\n", s.agree + s.listed, s.failed);
	return s.failed || !s.cases;
}
