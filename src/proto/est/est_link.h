#ifndef PROTO_EST_LINK_H
#define PROTO_EST_LINK_H
/*
 * Linking identity and proof of possession (RFC 7030 3.5): a request that names the TLS
 * connection it comes over was made by the connection's own end, and is no one's that a
 * man in the middle passed on.
 */
#include "base/span.h"

struct ssl_st;

/* As est_enroll.linked has it. */
enum est_link { EST_LINK_NONE, EST_LINK_THIS, EST_LINK_OTHER };

/* challenge: of the request; SPAN_NONE or empty: it names none. TLS 1.3: tls-exporter;
 * TLS 1.2: that, or tls-unique. */
enum est_link est_link_judge(struct ssl_st *ssl, struct span challenge);

#endif
