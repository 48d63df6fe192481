#ifndef FLEET_ENROLL_H
#define FLEET_ENROLL_H
/*
 * The certificate side of a campaign: which CA signs, the enrollment group that lets its
 * certificates in, and the judgement of each certificate before a device gets it.
 */
#include "fleet/migration.h"

struct enroll;

/* Asks EST for the CA certificates and makes sure that the campaign's enrollment group
 * stands on that CA: creates it, or ERR_CONFLICT where one of that name has another
 * certificate or another kind of attestation, ERR_DENIED where it is disabled. */
must_check struct enroll *enroll_open(struct migration *m, struct err *e);
void enroll_free(struct enroll *n);
own_define(struct enroll, enroll_free);

/* Checks the device's CSR (signature, CN = device_id) and gives its DER, for EST. */
must_check int enroll_csr(
    const char *csr_pem, const char *device_id, struct buf *ret_der, struct err *e);
/* EST's answer to what is put on the device: leaf and issuing CA as PEM. ERR_CRYPTO
 * unless the leaf is for this CSR's key and this device and verifies up to the root. */
must_check int enroll_chain(const struct enroll *n, struct span est_body,
    const char *csr_pem, const char *device_id, int64_t now_ms, struct buf *ret_pem,
    struct err *e);
/* True where chain_pem still serves for the key of csr_pem (a retry needs no second
 * certificate). */
bool enroll_fits(const struct enroll *n, const char *chain_pem, const char *csr_pem,
    const char *device_id, int64_t now_ms);
/* Lower-case hex SHA-256 of the leaf. */
must_check int enroll_thumb(
    const char *chain_pem, char ret[65], int64_t *ret_not_after_ms, struct err *e);

#endif
