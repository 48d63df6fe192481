/*
 * The core's end of the link to the signer: questions under way, CA certificates.
 */
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "base/log.h"
#include "crypto/ca.h"
#include "domain/metrics.h"
#include "domain/pki/issue.h"
#include "role/boot.h"
#include "role/core.h"
#include "store/pki.h"

/* ---- questions ------------------------------------------------------------------------
 */

int
core_ask_signer(struct core *c, const struct ask *a, enum ipc_type type, const void *msg,
    core_reply_fn *fn, void *arg, struct err *e)
{
	if (!c->signer)
		return err_set(e, ERR_UNAVAILABLE, "the signer is restarting");
	if (boot_send(c->signer, type, c->next_id, msg, -1, e))
		return err_wrap(e, "asking the signer");
	struct core_asked *q = own_alloc(sizeof(*q));
	*q = (struct core_asked){.id = c->next_id++, .orphan = !a, .fn = fn, .arg = arg};
	if (a)
		q->ask = *a;
	HASH_ADD(hh, c->asked, id, sizeof(q->id), q);
	return 0;
}

/* Each reply is applied in the turn in which it came. */
static void
reply(struct core *c, struct core_asked *q, struct core_reply *r)
{
	struct err e = {0};
	r->ask = q->orphan || !r->last ? NULL : &q->ask;
	if (turn_enter(c->turn, r->ask, &e)) {
		if (r->ask)
			core_fail(c, r->ask, &e);
		core_give_up(c, &e);
		return;
	}
	if (q->fn(c, q->arg, r, &e))
		core_settle(c, r->ask, &e);
}

static void
drop(struct core *c, struct core_asked *q)
{
	HASH_DEL(c->asked, q);
	free(q);
}

static void
fail(struct core *c, struct core_asked *q, const struct err *why)
{
	struct core_reply r = {.type = IPC_DONE, .why = why, .last = true};
	reply(c, q, &r);
	drop(c, q);
}

/* An answer would reach the next process of that number, which counts its questions from
 * one as well. What the signer issues is put on record all the same. */
void
core_forget_signings(struct core *c, unsigned edge)
{
	struct core_asked *q, *next;
	HASH_ITER (hh, c->asked, q, next)
		if (q->ask.edge == edge)
			q->orphan = true;
}

static void
fail_all(struct core *c)
{
	struct core_asked *q, *next;
	struct err why;
	err_set(&why, ERR_UNAVAILABLE, "the signer is restarting");
	HASH_ITER (hh, c->asked, q, next)
		fail(c, q, &why);
}

/* ---- certificates ---------------------------------------------------------------------
 */

/* A certificate under way; its own copy of what was asked. */
struct signing {
	struct ipc_signer_issue issue;
	struct buf bytes;
	core_reply_fn *then; /* NULL: who asked gets it as it is */
	void *arg;
};

static struct span
keep(struct buf *b, struct span s)
{
	size_t at = b->len;
	buf_put_span(b, s);
	return span_of(b->p + at, s.len);
}

static struct signing *
keep_issue(const struct ipc_signer_issue *issue)
{
	struct signing *s = own_alloc(sizeof(*s));
	s->issue = *issue;
	s->bytes = BUF_INIT(16384);
	/* one reservation, so that the spans stay where they are */
	(void)buf_room(
	    &s->bytes, issue->subject.len + issue->requester.len + issue->spki.len + 1);
	s->issue.subject = keep(&s->bytes, issue->subject);
	s->issue.requester = keep(&s->bytes, issue->requester);
	s->issue.spki = keep(&s->bytes, issue->spki);
	s->issue.names = s->issue.issuer = SPAN_NONE;
	return s;
}

/* A device that knows only an older root gets to a newer one by its cross certificate
 * (RFC 4210 4.4), so the server shows those too. */
static int
put_tls_chain(
    struct core *c, const struct ipc_signer_issued *got, struct buf *chain, struct err *e)
{
	const unsigned trusted =
	    1u << ISSUER_TRUSTED | 1u << ISSUER_ACTIVE | 1u << ISSUER_RETIRING;
	struct store_issuer by;
	char hex[65];
	hex_write(got->issuer, hex);
	if (store_issuer_get(c->store, hex, turn_arena(c->turn), &by, e))
		return -1;
	buf_put_span(chain, got->der);
	buf_put_span(chain, by.cert);
	return core_put_issuers(c, 1u << CA_CROSS, trusted, chain, e);
}

static int
answer_cert(struct core *c, const struct ask *a, const struct ipc_signer_issued *got,
    struct err *e)
{
	if (a->type == IPC_TLS_REQUEST) {
		auto_buf chain = BUF_INIT(CAP_CHAIN);
		if (put_tls_chain(c, got, &chain, e))
			return -1;
		struct ipc_tls_cert m = {
		    .chain = buf_span(&chain), .not_after_ms = got->not_after_ms};
		return core_answer(c, a, IPC_TLS_CERT, &m, e);
	}
	struct ipc_cert m = {.der = got->der};
	if (core_answer(c, a, IPC_CERT, &m, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

/* Whoever waits to hear of a certificate hears that of this one, which the turn takes
 * back: what it holds meanwhile must be given free. */
static int
tell_lost(struct core *c, struct signing *s, const struct err *why)
{
	struct err e;
	const struct core_reply r = {.type = IPC_DONE, .why = why, .last = true};
	if (s->then)
		(void)s->then(c, s->arg, &r, &e);
	return -1;
}

/* A certificate that exists is never lost for want of a row or an answer: where one of
 * them fails, the turn does. */
static int
take_cert(struct core *c, struct signing *s, const struct core_reply *r, struct err *e)
{
	if (issue_record(&c->d, &s->issue, r->msg, e))
		return tell_lost(c, s, e);
	metrics_add(c->metrics, METRIC_ISSUED,
	    profile_get((enum profile_id)s->issue.profile)->name, NULL, NULL, 1);
	if (s->then)
		return s->then(c, s->arg, r, e);
	return r->ask ? answer_cert(c, r->ask, r->msg, e) : 0;
}

static int
on_signed(struct core *c, void *arg, const struct core_reply *r, struct err *e)
{
	struct signing *s = arg;
	int rc = 0;
	if (r->type == IPC_SIGNER_ISSUED && take_cert(c, s, r, e))
		turn_spoil(c->turn, e);
	else if (r->why && s->then)
		rc = s->then(c, s->arg, r, e);
	else if (r->why && r->ask) {
		struct ipc_done m;
		core_failure(r->why, &m);
		rc = core_answer(c, r->ask, IPC_DONE, &m, e);
	}
	buf_done(&s->bytes);
	free(s);
	return rc;
}

int
core_sign_then(struct core *c, const struct ask *a, const struct ipc_signer_issue *issue,
    core_reply_fn *fn, void *arg, struct err *e)
{
	struct ipc_signer_issue m = *issue;
	const struct issuer_entry *by;
	enum ca_purpose purpose = ca_purpose_of((enum profile_id)m.profile);
	if (!m.issuer.len) {
		if (issuer_active(&c->d, purpose, &by, e))
			return -1;
		m.issuer = span_of(by->sha256, sizeof(by->sha256));
	}
	struct signing *s = keep_issue(&m);
	s->then = fn;
	s->arg = arg;
	if (core_ask_signer(c, a, IPC_SIGNER_ISSUE, &m, on_signed, s, e) == 0)
		return 0;
	buf_done(&s->bytes);
	free(s);
	return -1;
}

int
core_sign(struct core *c, const struct ask *a, const struct ipc_signer_issue *issue,
    struct err *e)
{
	return core_sign_then(c, a, issue, NULL, NULL, e);
}

/* ---- CAs ------------------------------------------------------------------------------
 */

int
core_load_issuers(struct core *c, struct err *e)
{
	if (issuer_load(&c->d, &c->issuers, e))
		return -1;
	c->d.issuers = &c->issuers;
	return 0;
}

struct collecting {
	unsigned purposes, states;
	struct buf *out;
};

static int
collect(void *ctx, const struct store_issuer *i, struct err *e)
{
	struct collecting *l = ctx;
	enum issuer_state state;
	enum ca_purpose purpose;
	if (issuer_state_parse(span_str(i->state), &state, e) ||
	    ca_conf_purpose_parse(span_str(i->purpose), &purpose, e))
		return -1;
	if (l->purposes & 1u << purpose && l->states & 1u << state)
		buf_put_span(l->out, i->cert);
	return 0;
}

int
core_put_issuers(
    struct core *c, unsigned purposes, unsigned states, struct buf *out, struct err *e)
{
	struct collecting l = {purposes, states, out};
	if (store_issuer_each(c->store, collect, &l, e))
		return -1;
	return buf_check(out, "CA certificates", e);
}

/* What the signer tells of its CAs, until it is all there. */
struct ca_rows {
	struct ipc_signer_ca v[CA_CONF_MAX];
	size_t n;
	struct arena *arena;
	char problem[CAP_PROBLEM + 1]; /* of those it left out; "" none */
};

static void
drop_rows(struct ca_rows *rows)
{
	arena_free(rows->arena);
	free(rows);
}

static void
keep_row(struct ca_rows *rows, const struct ipc_signer_ca *m)
{
	struct arena *a = rows->arena;
	if (rows->n == CA_CONF_MAX)
		return; /* the signer has no room for more either */
	rows->v[rows->n++] = (struct ipc_signer_ca){.name = arena_span(a, m->name),
	    .purpose = arena_span(a, m->purpose),
	    .cert = arena_span(a, m->cert),
	    .custody = arena_span(a, m->custody),
	    .issues = m->issues};
}

/* One reason (it names its CA) after the other, as many as there is room for. */
static void
keep_problem(struct ca_rows *rows, const struct ipc_signer_ca *m)
{
	size_t at = strlen(rows->problem);
	snprintf(rows->problem + at, sizeof(rows->problem) - at, "%s%.*s",
	    at ? "; " : "left out: ", SPAN_FMT(m->problem));
}

static int
on_ca_row(struct core *c, void *arg, const struct core_reply *r, struct err *e)
{
	struct ca_rows *rows = arg;
	int rc = 0;
	if (r->type == IPC_SIGNER_CA) {
		const struct ipc_signer_ca *m = r->msg;
		if (m->problem.len)
			keep_problem(rows, m);
		else
			keep_row(rows, m);
		return 0;
	}
	if (r->why)
		log_event(LOG_WARN, "core.issuers", LOG_ERR(r->why));
	else
		rc = issuer_sync(&c->d, rows->v, rows->n, e);
	if (!r->why)
		snprintf(c->ca_problem, sizeof(c->ca_problem), "%s",
		    rc ? e->text : rows->problem);
	/* nothing of a half is kept */
	if (rc) {
		log_event(LOG_ERROR, "core.issuers", LOG_ERR(e));
		turn_spoil(c->turn, e);
	} else if (!r->why)
		core_issuers_changed(c);
	drop_rows(rows);
	return 0;
}

/* ---- the link -------------------------------------------------------------------------
 */

/* What a frame says, as a reply; -1 where it says nothing that can be one. */
static int
read_reply(const struct ipc_frame *f, void *msg, struct core_reply *r, struct err *why)
{
	const struct ipc_done *done = msg;
	r->type = (enum ipc_type)f->type;
	if (f->type != IPC_SIGNER_ISSUED && f->type != IPC_SIGNER_SIGNED &&
	    f->type != IPC_SIGNER_CA && f->type != IPC_DONE)
		return err_set(
		    why, ERR_INTERNAL, "the signer answered with message %u", f->type);
	if (ipc_msg_unpack(r->type, f->body, msg, why))
		return -1;
	r->last = f->type == IPC_SIGNER_ISSUED || f->type == IPC_DONE;
	r->msg = msg;
	if (f->type == IPC_DONE && done->code != ERR_OK)
		return err_set(
		    why, (enum err_code)done->code, "signer: %.*s", SPAN_FMT(done->text));
	return 0;
}

static void
on_signer_frame(void *arg, struct ipc_frame *f)
{
	struct core *c = arg;
	struct err e = {0};
	struct core_reply r = {0};
	union {
		struct ipc_signer_issued issued;
		struct ipc_signer_signed signed_;
		struct ipc_signer_ca ca;
		struct ipc_done done;
	} msg;
	struct core_asked *q;
	HASH_FIND(hh, c->asked, &f->id, sizeof(f->id), q);
	if (!q)
		return;
	if (read_reply(f, &msg, &r, &e)) {
		fail(c, q, &e);
		return;
	}
	reply(c, q, &r);
	if (r.last)
		drop(c, q);
}

static void
on_signer_closed(void *arg, const struct err *why)
{
	struct core *c = arg;
	log_event(LOG_WARN, "core.signer_gone", LOG_ERR(why));
	ipc_free(c->signer);
	c->signer = NULL;
	fail_all(c);
}

static const struct ipc_ops signer_ops = {
    .on_frame = on_signer_frame, .on_closed = on_signer_closed};

static void
ask_signer_for_cas(struct core *c)
{
	struct err e;
	struct ipc_signer_pubkeys m = {0};
	struct ca_rows *rows = own_alloc(sizeof(*rows));
	rows->arena = arena_new(CA_CONF_MAX * (CAP_CERT + 256));
	if (core_ask_signer(c, NULL, IPC_SIGNER_PUBKEYS, &m, on_ca_row, rows, &e) == 0)
		return;
	log_event(LOG_ERROR, "core.signer", LOG_ERR(&e));
	drop_rows(rows);
}

void
core_link_signer(struct core *c, int fd)
{
	struct err e;
	if (c->signer) {
		ipc_free(c->signer);
		fail_all(c);
	}
	c->signer = ipc_new(c->loop, fd, &core_link_opts, &signer_ops, c, &e);
	if (c->signer)
		ask_signer_for_cas(c);
	else
		log_event(LOG_ERROR, "core.link", LOG_ERR(&e));
}
