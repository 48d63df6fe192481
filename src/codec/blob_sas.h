#ifndef CODEC_BLOB_SAS_H
#define CODEC_BLOB_SAS_H
/*
 * Shared access signatures of Azure Storage for one blob (Create a service SAS): the text
 * that is signed and the query that carries it, no crypto. A query is a credential.
 */
#include "base/buf.h"

#define BLOB_SAS_VERSION "2021-08-06"
#define BLOB_SAS_SIG_LEN 32

struct blob_sas {
	struct span account, container, blob; /* names, not encoded */
	const char *rights;                   /* "rw" */
	int64_t expires_ms;                   /* full seconds count */
};

/* The bytes under the HMAC. */
void blob_sas_to_sign(struct buf *out, const struct blob_sas *s);
/* "sv=..&sr=b&.."; HTTPS alone is allowed with it. */
void blob_sas_write(
    struct buf *out, const struct blob_sas *s, const uint8_t sig[BLOB_SAS_SIG_LEN]);

#endif
