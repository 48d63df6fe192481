/*
 * Server certificates: two slots, each with its key, its question to the core and its
 * time.
 */
#include "role/server_cert.h"

#include <stdlib.h>

#include "base/log.h"
#include "codec/config.h"
#include "codec/der.h"
#include "codec/pem.h"
#include "crypto/cert.h"
#include "crypto/tls.h"
#include "io/loop.h"
#include "proto/core_link.h"
#include "role/key_client.h"

enum {
	TICK_FIRST_MS = 200, /* until there is a certificate */
	TICK_MS = 15000,
};

enum slot_id { SLOT_MAIN, SLOT_RSA, SLOT_N };

struct slot {
	struct key *next; /* of the certificate that is asked for; NULL: none is */
	struct key *key;  /* of the one that is shown */
	struct buf pem;   /* of the one that is shown, with its chain */
	int64_t got_at_ms, renew_at_ms; /* wall clock */
	uint8_t issuer[DIGEST_SHA256];
};

struct server_cert {
	struct server_cert_opts o;
	struct tls_server *tls; /* NULL before the first certificate */
	struct slot slots[SLOT_N];
	uint8_t wanted[DIGEST_SHA256];      /* the CA that issues them now */
	uint8_t tickets[2][TLS_TICKET_KEY]; /* now, before */
	bool has_tickets;
	struct core_owner owner;
	struct loop_timer *tick;
};

static int
write_chain(struct span ders, struct buf *pem, struct err *e)
{
	struct der_tlv one;
	while (ders.len) {
		if (der_next(&ders, &one, e))
			return -1;
		pem_write(pem, "CERTIFICATE", one.whole);
	}
	return buf_check(pem, "certificate chain", e);
}

/* ---- the TLS server -------------------------------------------------------------------
 */

static void
apply_tickets(struct server_cert *s)
{
	if (s->tls && s->has_tickets)
		tls_server_tickets(s->tls, span_of(s->tickets[0], TLS_TICKET_KEY),
		    span_of(s->tickets[1], TLS_TICKET_KEY));
}

/* A context that is replaced loses what was added to it. */
static int
show_rsa(struct server_cert *s, struct err *e)
{
	const struct slot *rsa = &s->slots[SLOT_RSA];
	if (!s->tls || !rsa->key)
		return 0;
	return tls_server_add(s->tls, buf_span(&rsa->pem), rsa->key, e);
}

static int
show_main(struct server_cert *s, struct err *e)
{
	const struct slot *m = &s->slots[SLOT_MAIN];
	if (s->tls)
		return tls_server_replace(s->tls, buf_span(&m->pem), m->key, e) ||
			       show_rsa(s, e)
			   ? -1
			   : 0;
	s->tls = tls_server_new(buf_span(&m->pem), m->key, e);
	if (!s->tls)
		return -1;
	apply_tickets(s);
	return show_rsa(s, e);
}

/* The second of the chain. One that cannot be told is that of the CA wanted: the chain
 * has been read once already. */
static void
note_issuer(struct server_cert *s, struct slot *t, struct span chain)
{
	struct der_tlv one;
	struct err e;
	memcpy(t->issuer, s->wanted, sizeof(t->issuer));
	if (der_next(&chain, &one, &e) == 0 && der_next(&chain, &one, &e) == 0)
		digest_sha256(one.whole, t->issuer);
}

static int
take(struct server_cert *s, enum slot_id id, const struct ipc_tls_cert *m, struct err *e)
{
	struct slot *t = &s->slots[id];
	buf_reset(&t->pem);
	if (write_chain(m->chain, &t->pem, e))
		return -1;
	key_free(t->key);
	t->key = TAKE(t->next);
	return id == SLOT_MAIN ? show_main(s, e) : show_rsa(s, e);
}

static void
on_answer(void *arg, uint64_t id, enum ipc_type type, const void *msg)
{
	struct server_cert *s = arg;
	struct slot *t = &s->slots[id];
	bool first = !s->tls;
	struct err e = {0};
	if (type == IPC_DONE) {
		const struct ipc_done *done = msg;
		key_free(TAKE(t->next));
		log_event(LOG_DEBUG, "edge.no_certificate", LOG_SPAN("why", done->text));
		return; /* the tick asks again */
	}
	const struct ipc_tls_cert *m = msg;
	int rc = take(s, (enum slot_id)id, m, &e);
	key_free(TAKE(t->next));
	if (rc) {
		log_event(LOG_ERROR, "edge.certificate", LOG_ERR(&e));
		return;
	}
	int64_t now = clock_wall_ms(loop_clock(s->o.loop));
	note_issuer(s, t, m->chain);
	t->got_at_ms = now;
	t->renew_at_ms = now + (m->not_after_ms - now) / 3 * 2;
	log_event(LOG_INFO, "edge.certificate",
	    LOG_STR("key", id == SLOT_MAIN ? "main" : "rsa"),
	    LOG_INT("until_ms", m->not_after_ms));
	if (first && s->tls)
		s->o.on_ready(s->o.arg, s->tls);
}

/* ---- asking ---------------------------------------------------------------------------
 */

/* Each certificate has a key of its own, made here and kept in memory alone, unless the
 * configuration names one in a token: then each handshake waits for that token, and so
 * does all else on this edge (docs/limits.md). An RSA key takes a tenth of a second to
 * make, in which nobody is served, so there is one for the life of the process. */
static struct key *
make_key(struct server_cert *s, enum slot_id id, struct err *e)
{
	if (id == SLOT_MAIN && s->o.config->server.tls_key[0])
		return key_client_fetch(s->o.keys, "server.tls_key", e);
	if (id == SLOT_MAIN)
		return key_generate(KEY_P256, e);
	if (s->slots[id].key)
		return key_ref(s->slots[id].key);
	return key_generate(KEY_RSA2048, e);
}

static int
ask(struct server_cert *s, enum slot_id id, struct err *e)
{
	auto_(key_free) struct key *key = make_key(s, id, e);
	if (!key)
		return -1;
	const struct ipc_tls_request m = {.spki = key_spki(key)};
	const struct core_asker who = {
	    .owner = &s->owner, .fn = on_answer, .arg = s, .tag = id};
	if (core_link_ask(s->o.core, &who, IPC_TLS_REQUEST, &m, e))
		return -1;
	s->slots[id].next = TAKE(key);
	return 0;
}

/* A clock that was set back further than notBefore lies behind makes the certificate one
 * of the future, which peers refuse. */
static bool
is_due(const struct server_cert *s, const struct slot *t)
{
	int64_t now = clock_wall_ms(loop_clock(s->o.loop));
	return !t->key || now >= t->renew_at_ms ||
	       memcmp(t->issuer, s->wanted, sizeof(t->issuer)) != 0 ||
	       now < t->got_at_ms - s->o.config->pki.backdate_ms;
}

static void
ask_due(struct server_cert *s, enum slot_id id)
{
	struct slot *t = &s->slots[id];
	struct err e = {0};
	if (!is_due(s, t) || t->next || !core_link_is_up(s->o.core))
		return;
	if (ask(s, id, &e))
		log_event(LOG_WARN, "edge.certificate", LOG_ERR(&e));
}

/* The second is made when peers are served with the first already. */
static void
on_tick(void *arg)
{
	struct server_cert *s = arg;
	bool rsa = s->o.config->server.rsa;
	bool whole = s->tls && (!rsa || s->slots[SLOT_RSA].key);
	loop_timer_repeat(s->tick, whole ? TICK_MS : TICK_FIRST_MS);
	ask_due(s, SLOT_MAIN);
	if (s->tls && rsa)
		ask_due(s, SLOT_RSA);
}

/* ---- life -----------------------------------------------------------------------------
 */

struct server_cert *
server_cert_new(const struct server_cert_opts *opts)
{
	struct server_cert *s = own_alloc(sizeof(*s));
	s->o = *opts;
	for (int i = 0; i < SLOT_N; i++)
		s->slots[i].pem = BUF_INIT(CERT_PEM_MAX);
	core_link_owner_init(&s->owner);
	s->tick = loop_timer_new(opts->loop, on_tick, s);
	loop_timer_repeat(s->tick, TICK_FIRST_MS);
	return s;
}

void
server_cert_free(struct server_cert *s)
{
	if (!s)
		return;
	core_link_drop(s->o.core, &s->owner);
	loop_timer_free(s->tick);
	tls_server_free(s->tls);
	for (int i = 0; i < SLOT_N; i++) {
		key_free(s->slots[i].next);
		key_free(s->slots[i].key);
		buf_done(&s->slots[i].pem);
	}
	own_wipe(s, sizeof(*s));
	free(s);
}

struct tls_server *
server_cert_tls(const struct server_cert *s)
{
	return s->tls;
}

void
server_cert_issuer(struct server_cert *s, struct span sha256)
{
	if (sha256.len == sizeof(s->wanted))
		memcpy(s->wanted, sha256.p, sizeof(s->wanted));
	on_tick(s);
}

void
server_cert_tickets(struct server_cert *s, const struct ipc_tickets *m)
{
	if (m->now.len != TLS_TICKET_KEY || m->before.len != TLS_TICKET_KEY)
		return;
	memcpy(s->tickets[0], m->now.p, TLS_TICKET_KEY);
	memcpy(s->tickets[1], m->before.p, TLS_TICKET_KEY);
	s->has_tickets = true;
	apply_tickets(s);
}

void
server_cert_hurry(struct server_cert *s)
{
	on_tick(s);
}

void
server_cert_rest(struct server_cert *s)
{
	loop_timer_cancel(s->tick);
}
