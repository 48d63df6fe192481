#ifndef ROLE_SIGNER_CLIENT_H
#define ROLE_SIGNER_CLIENT_H
/*
 * A signer of a command's own (muster init, muster issue): the same process with the same
 * jail as under a server, asked over the same messages. The home must be locked by the
 * caller: two signers must never share a journal.
 */
#include "codec/config.h"
#include "codec/ipc_msg.h"

struct signer_client;

must_check struct signer_client *signer_client_start(
    const char *home, const struct config *cfg, struct err *e);
/* Ends the signer. */
void signer_client_free(struct signer_client *c);
own_define(struct signer_client, signer_client_free);

/* Appends the DER of the CA with that SHA-256. NOT_FOUND. */
must_check int signer_client_ca(
    struct signer_client *c, struct span sha256, struct buf *der, struct err *e);

/* Asks for n certificates at once; answers come in any order, id = index into asked. done
 * is called for each with the certificate or with the reason; got is valid during the
 * call. A non-zero return ends it. */
must_check int signer_client_issue(struct signer_client *c,
    const struct ipc_signer_issue *asked, size_t n,
    int (*done)(void *arg, size_t i, const struct ipc_signer_issued *got,
	const struct err *why, struct err *e),
    void *arg, struct err *e);

#endif
