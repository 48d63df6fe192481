#ifndef CRYPTO_TPM_CRED_H
#define CRYPTO_TPM_CRED_H
/*
 * What is encrypted so that one TPM alone can use it, made without a TPM (TPM 2.0
 *Library, part 1, 24 "Credential Protection" and 23.3 "Duplication").
 *
 * An activation blob gives a TPM an HMAC key that never stands outside it in the clear
 * (protocol/device.md 1.13). Its layout is what the C, Node, .NET and Edge clients
 * take apart, one behind the other:
 *
 *	TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET	the inner wrapping key, for
 *				TPM2_ActivateCredential under EK and storage root key
 *	TPM2B_PRIVATE, TPM2B_ENCRYPTED_SECRET, TPM2B_PUBLIC	the HMAC key, for
 *TPM2_Import below the storage root key UINT16 0		data encrypted by it: .NET
 *reads its length
 */
#include "base/buf.h"
#include "codec/tpm_pub.h"

#define TPM_CRED_MAX     4096
#define TPM_CRED_KEY_MAX 64

/* Appends the blob for the TPM of ek and srk; out should be secret. key: at most
 * TPM_CRED_KEY_MAX bytes. */
must_check int tpm_cred_activation(const struct tpm_pub *ek, const struct tpm_pub *srk,
    struct span key, struct buf *out, struct err *e);

#endif
