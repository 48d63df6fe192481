#ifndef CRYPTO_SAS_KEY_H
#define CRYPTO_SAS_KEY_H
/*
 * Shared access keys: what codec/sas.h parses is signed, verified and derived here
 * (protocol/device.md 1.9 and 3.3). Keys are the decoded bytes, 16 to 64 of them.
 */
#include "base/buf.h"

struct sas; /* codec/sas.h */

#define SAS_KEY_MIN       16
#define SAS_KEY_MAX       64
#define SAS_KEY_DERIVED   32
#define SAS_KEY_TOKEN_MAX 1024 /* longest token text sas_key_sign makes */

/* Decodes a key as Azure writes it (Base64 of 16 to 64 bytes) and appends it to out,
 * which should be secret. The error names no part of the text. */
must_check int sas_key_parse(struct span base64, struct buf *out, struct err *e);
/* A fresh random key. The caller wipes it. */
void sas_key_generate(uint8_t out[SAS_KEY_MAX]);
/* A group member's key: HMAC-SHA256 of the registration ID as the device spells it. */
void sas_key_derive(
    struct span group_key, struct span registration_id, uint8_t out[SAS_KEY_DERIVED]);

/* Appends "SharedAccessSignature sr=..&sig=..&se=..[&skn=policy]" to out. resource is
 * plain
 * ("host/devices/dev"), percent-encoded here; policy NULL leaves skn away. The text is a
 * credential: out should be secret. */
must_check int sas_key_sign(struct span resource, struct span key, int64_t expiry_s,
    const char *policy, struct buf *out, struct err *e);

enum sas_key_match { SAS_KEY_NONE, SAS_KEY_PRIMARY, SAS_KEY_SECONDARY };

/* Which key made the token's signature. Only the signature: expiry and resource are the
 * caller's to judge. An empty key never matches. Both keys are always computed and
 * compared in constant time, so timing tells nothing about which failed. */
must_check enum sas_key_match sas_key_verify(
    const struct sas *t, struct span primary, struct span secondary);

#endif
