#ifndef AGENT_CHAIN_UP_H
#define AGENT_CHAIN_UP_H
/*
 * A leaf and the intermediates above it, out of a heap of CA certificates: EST answers
 * the leaf alone (RFC 7030 4.2.3), a hub wants its chain. Picks, verifies nothing: that
 * is keystore_install's.
 */
#include "base/buf.h"

/* Appends leaf and, upwards, who issued it, as PEM, up to the self-signed root (which is
 * left out) or as far as pool (PEM) goes. */
must_check int chain_up_write(
    struct span leaf_der, struct span pool_pem, struct buf *out, struct err *e);

#endif
