#ifndef AGENT_EST_CLIENT_H
#define AGENT_EST_CLIENT_H
/*
 * Enrolment over Secure Transport, the client's side (RFC 7030, RFC 8951), and muster's
 * own check-in beside it: blocking, over one HTTPS connection with our TLS context.
 * Requests carry the channel binding of the connection (RFC 7030 3.5): tls-unique on TLS
 * 1.2, tls-exporter on 1.3 (RFC 9266). Answers are bounded; nothing is retried here.
 */
#include "agent/renew.h"
#include "base/own.h"

struct est_client;
struct tls_client;

struct est_client_opts {
	const char *host;
	int64_t port;
	const char *label;      /* RFC 7030 3.2.2; "": none */
	int64_t timeout_ms;     /* of one request */
	struct tls_client *tls; /* pinned to host; with the certificate, or without */
	/* HTTP Basic (RFC 7030 3.2.3): registration ID and one-time token; NULL: none.
	 * Borrowed as long as the client lives, never logged. */
	const char *user, *password;
};

must_check int est_client_new(
    const struct est_client_opts *o, struct est_client **ret, struct err *e);
void est_client_free(struct est_client *c);
own_define(struct est_client, est_client_free);

/* Failures: ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_CRYPTO (TLS, the server's certificate
 * included) without an answer; with one, what its status means (401 DENIED, 403
 * FORBIDDEN, 404 NOT_FOUND, 429 BUSY, 5xx UNAVAILABLE) and the server's words, cut and
 * printable. */

/* 4.1: the certificates, as PEM, appended. */
must_check int est_client_cacerts(
    struct est_client *c, struct buf *ret_pem, struct err *e);

enum est_verb { EST_SIMPLEENROLL, EST_SIMPLEREENROLL };
/* 4.2: a certificate for key under subject (a Name; to renew, that of the certificate,
 * 4.2.2): the leaf as DER, appended. ret_later is filled also with a failure; a 202
 * (4.2.3) is ERR_UNAVAILABLE with pending set. */
must_check int est_client_enrol(struct est_client *c, enum est_verb verb, struct key *key,
    struct span subject, struct buf *ret_der, struct renew_later *ret_later,
    struct err *e);

/* POST /muster/checkin (docs/agent.md). Times outside what a date can be, texts too long,
 * are ERR_PARSE. */
must_check int est_client_checkin(struct est_client *c, const struct renew_report *r,
    struct renew_checkin *ret, struct err *e);

/* A TLS handshake with host:port under tls, nothing said. */
must_check int est_client_greet(const char *host, int64_t port, struct tls_client *tls,
    int64_t timeout_ms, struct err *e);

#endif
