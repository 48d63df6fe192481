/*
 * The core's end of the link to the signer: questions under way, CA certificates.
 */
#include <string.h>

#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/profile.h"
#include "domain/issue.h"
#include "role/boot.h"
#include "role/core.h"

static void
drop_signing(struct core *c, struct core_signing *s)
{
	HASH_DEL(c->signing, s);
	buf_done(&s->bytes);
	free(s);
}

static struct span
keep(struct buf *b, struct span s)
{
	size_t at = b->len;
	buf_put_span(b, s);
	return span_of(b->p + at, s.len);
}

int
core_sign(struct core *c, const struct ask *a, const struct ipc_signer_issue *issue,
    struct err *e)
{
	if (!c->signer)
		return err_set(e, ERR_UNAVAILABLE, "the signer is restarting");
	if (boot_send(c->signer, IPC_SIGNER_ISSUE, c->next_id, issue, -1, e))
		return err_wrap(e, "asking the signer");
	struct core_signing *s = own_alloc(sizeof(*s));
	s->id = c->next_id++;
	s->ask = *a;
	s->issue = *issue;
	s->bytes = BUF_INIT(16384);
	/* one reservation, so that the spans stay where they are */
	(void)buf_room(&s->bytes, issue->subject.len + issue->requester.len + 1);
	s->issue.subject = keep(&s->bytes, issue->subject);
	s->issue.requester = keep(&s->bytes, issue->requester);
	HASH_ADD(hh, c->signing, id, sizeof(s->id), s);
	return 0;
}

static struct span
issuer_der(struct core *c, unsigned profile)
{
	return buf_span(&c->ca[profile == PROFILE_DEVICE ? 1 : 2]);
}

static int
answer_issued(struct core *c, struct core_signing *s, const struct ipc_signer_issued *got,
    struct err *e)
{
	uint8_t issuer[DIGEST_SHA256];
	struct span by = issuer_der(c, s->issue.profile);
	digest_sha256(by, issuer);
	if (issue_record(&c->d, &s->issue, got, issuer, e))
		return -1;
	if (s->orphan)
		return 0;
	if (s->ask.type == IPC_TLS_REQUEST) {
		auto_buf chain = BUF_INIT(2 * CAP_CERT);
		buf_put_span(&chain, got->der);
		buf_put_span(&chain, by);
		struct ipc_tls_cert m = {
		    .chain = buf_span(&chain), .not_after_ms = got->not_after_ms};
		return core_answer(c, &s->ask, IPC_TLS_CERT, &m, e);
	}
	struct ipc_cert m = {.der = got->der};
	if (core_answer(c, &s->ask, IPC_CERT, &m, e))
		return -1;
	return core_done(c, &s->ask, "", 0, e);
}

static void
finish_signing(struct core *c, struct core_signing *s,
    const struct ipc_signer_issued *got, const struct err *why)
{
	struct err e = {0};
	const struct ask *a = s->orphan ? NULL : &s->ask;
	if (turn_enter(c->turn, a, &e)) {
		if (a)
			core_fail(c, a, &e);
		return;
	}
	if (got && answer_issued(c, s, got, &e) == 0)
		return;
	if (got) {
		turn_spoil(c->turn, &e);
		return;
	}
	if (!a)
		return;
	struct ipc_done m;
	core_failure(why, &m);
	if (core_answer(c, a, IPC_DONE, &m, &e))
		turn_spoil(c->turn, &e);
}

static void
take_keys(struct core *c, const struct ipc_signer_keys *k)
{
	struct span ders[3] = {k->root, k->device_ca, k->service_ca};
	for (int i = 0; i < 3; i++) {
		buf_reset(&c->ca[i]);
		buf_put_span(&c->ca[i], ders[i]);
	}
	digest_sha256(k->device_ca, c->d.device_ca);
	digest_sha256(k->service_ca, c->d.service_ca);
	core_send_anchors(c, NULL);
}

static void
on_signer_frame(void *arg, struct ipc_frame *f)
{
	struct core *c = arg;
	struct err e = {0};
	struct ipc_signer_issued got;
	struct ipc_signer_keys keys;
	struct ipc_done done;
	if (f->type == IPC_SIGNER_KEYS &&
	    ipc_msg_unpack(IPC_SIGNER_KEYS, f->body, &keys, &e) == 0) {
		take_keys(c, &keys);
		return;
	}
	struct core_signing *s;
	HASH_FIND(hh, c->signing, &f->id, sizeof(f->id), s);
	if (!s)
		return;
	if (f->type == IPC_SIGNER_ISSUED &&
	    ipc_msg_unpack(IPC_SIGNER_ISSUED, f->body, &got, &e) == 0) {
		finish_signing(c, s, &got, NULL);
	} else {
		if (f->type == IPC_DONE &&
		    ipc_msg_unpack(IPC_DONE, f->body, &done, &e) == 0)
			err_set(&e, (enum err_code)done.code, "signer: %.*s",
			    SPAN_FMT(done.text));
		finish_signing(c, s, NULL, &e);
	}
	drop_signing(c, s);
}

/* An answer would reach the next process of that number, which counts its questions from
 * one as well. What the signer issues is put on record all the same. */
void
core_forget_signings(struct core *c, unsigned edge)
{
	struct core_signing *s, *next;
	HASH_ITER (hh, c->signing, s, next)
		if (s->ask.edge == edge)
			s->orphan = true;
}

static void
fail_signings(struct core *c)
{
	struct core_signing *s, *next;
	struct err why;
	err_set(&why, ERR_UNAVAILABLE, "the signer is restarting");
	HASH_ITER (hh, c->signing, s, next) {
		finish_signing(c, s, NULL, &why);
		drop_signing(c, s);
	}
}

static void
on_signer_closed(void *arg, const struct err *why)
{
	struct core *c = arg;
	log_event(LOG_WARN, "core.signer_gone", LOG_ERR(why));
	ipc_free(c->signer);
	c->signer = NULL;
	fail_signings(c);
}

static const struct ipc_ops signer_ops = {
    .on_frame = on_signer_frame, .on_closed = on_signer_closed};

static void
ask_signer_for_keys(struct core *c)
{
	struct err e;
	struct ipc_signer_pubkeys m = {0};
	if (boot_send(c->signer, IPC_SIGNER_PUBKEYS, c->next_id++, &m, -1, &e))
		log_event(LOG_ERROR, "core.signer", LOG_ERR(&e));
}

void
core_link_signer(struct core *c, int fd)
{
	struct err e;
	if (c->signer) {
		ipc_free(c->signer);
		fail_signings(c);
	}
	c->signer = ipc_new(c->loop, fd, &core_link_opts, &signer_ops, c, &e);
	if (c->signer)
		ask_signer_for_keys(c);
	else
		log_event(LOG_ERROR, "core.link", LOG_ERR(&e));
}
