#ifndef CODEC_SAS_H
#define CODEC_SAS_H
/*
 * SharedAccessSignature tokens (protocol/device.md 1.9, 3.3): text and fields, no crypto.
 * A token is a credential: whoever holds a struct sas or its text wipes it and logs
 * neither.
 */
#include "base/buf.h"

#define SAS_MAX          2048
#define SAS_RESOURCE_MAX 512
#define SAS_POLICY_MAX   64
#define SAS_SIG_LEN      32

struct sas {
	struct span sr;                      /* as sent: what is signed; borrows */
	struct span se;                      /* as sent, digits only; borrows */
	int64_t se_s;                        /* seconds since 1970 */
	uint8_t sig[SAS_SIG_LEN];            /* decoded */
	char resource[SAS_RESOURCE_MAX + 1]; /* sr decoded */
	char policy[SAS_POLICY_MAX + 1];     /* skn decoded; "" where absent or empty */
};

/* Fields in any order, names without case, unknown ones ignored. ERR_PARSE on a missing
 * or repeated field, a signature that is not 32 bytes, a bad number or encoding. The text
 * of the error never holds any of the token. */
must_check int sas_parse(struct span token, struct sas *ret, struct err *e);

/* The bytes under the HMAC: sr as sent, LF, se as sent. */
void sas_write_to_sign(struct buf *b, struct span sr, struct span se);

/* A token. sr: already percent-encoded, exactly as signed; skn: empty for none, not
 * encoded. */
void sas_write(struct buf *b, struct span sr, const uint8_t sig[SAS_SIG_LEN],
    int64_t se_s, struct span skn);

#endif
