#ifndef TEST_SIM_SERVER_IMPL_H
#define TEST_SIM_SERVER_IMPL_H
/*
 * What server.c, signer.c and keeping.c share; scenario.c has turns of its own.
 */
#include "server.h"
#include "store/pki.h"

/* A turn: one transaction. end gives rc back; -1 takes back what was written. */
void server_begin(struct server *s);
int server_end(struct server *s, int rc);
/* Runs fn inside a turn. */
void server_turn(struct server *s, void (*fn)(struct server *s, void *arg), void *arg);

/* ---- the signer: role/signer*.c on virtual time, without a process ---- */

struct signer_answer {
	struct ipc_signer_issued msg; /* der and serial are the caller's to point */
	char serial[2 * TBS_SERIAL + 1];
};
void signer_make_ca(struct server *s, const char *name, enum ca_purpose purpose);
must_check int signer_issue(struct server *s, const struct ipc_signer_issue *m,
    struct buf *der, struct signer_answer *ret, struct err *e);
must_check int signer_crl(
    struct server *s, const struct ipc_signer_crl *m, struct buf *der, struct err *e);
/* ends: where each answer ends. */
must_check int signer_ocsp(struct server *s, const struct ipc_signer_ocsp *m,
    struct buf *der, size_t *ends, size_t *ret_n, struct err *e);
void signer_recorded(struct server *s, const struct ipc_signer_issued *got);
void signer_done(struct server *s);

#endif
