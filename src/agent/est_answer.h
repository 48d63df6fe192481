#ifndef AGENT_EST_ANSWER_H
#define AGENT_EST_ANSWER_H
/*
 * What an EST server (and muster's check-in) answers, from its bytes: pure, capped,
 * fuzzed (test/fuzz/fuzz_est_answer.c). est_client.h fetches them.
 */
#include "agent/renew.h"

#define EST_ANSWER_MAX (192 * 1024) /* of a body */

/* RFC 7030 4.1.3: the certificates of a certs-only PKCS#7 in base64, as PEM, appended; at
 * least one. */
must_check int est_answer_cacerts(struct span body, struct buf *ret_pem, struct err *e);
/* 4.2.3: of the same, the one certificate that is of this key, as DER, appended.
 * ERR_NOT_FOUND where none is. */
must_check int est_answer_cert(
    struct span body, struct span spki, struct buf *ret_der, struct err *e);
/* A JSON object; what it lacks is 0 or "". The leaf_ members stay as they are. */
must_check int est_answer_checkin(
    struct span body, struct renew_checkin *ret, struct err *e);
/* Another status than success as an error: what a caller may do about it, and the
 * server's first words, cut and printable. Returns -1. */
int est_answer_failure(int status, struct span body, struct err *e);

#endif
