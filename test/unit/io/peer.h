#ifndef TEST_UNIT_IO_PEER_H
#define TEST_UNIT_IO_PEER_H
/*
 * The other end for tests of streams and HTTP: a thread with a blocking client, plain or
 * TLS, while the test's thread runs the loop; and a TLS server with a throw-away
 * certificate.
 */
#include "crypto/tls.h"
#include "io/loop.h"

struct peer; /* the client's connection */

/* Runs client in a thread and the loop in this one, until the client returned (its value
 * is returned) and then for settle_ms more. port: of 127.0.0.1. */
int peer_run(struct loop *l, uint16_t port, bool tls,
    int (*client)(struct peer *p, void *arg), void *arg, int settle_ms);

/* For the client: all fail the test's way by returning false or -1. */
bool peer_connect(struct peer *p);     /* TCP, and TLS where asked */
bool peer_connect_tcp(struct peer *p); /* TCP only, even where TLS was asked */
bool peer_send(struct peer *p, const void *bytes, size_t len);
bool peer_say(struct peer *p, const char *text);
/* Reads until n bytes, the end or two seconds of silence; the number read. */
size_t peer_recv(struct peer *p, char *out, size_t n);
/* The stream ended, with close_notify where it is TLS, within two seconds. */
bool peer_is_closed(struct peer *p);
void peer_close(struct peer *p);
int peer_fd(const struct peer *p);

struct tls_server *peer_tls_server(void);

#endif
