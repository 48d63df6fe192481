#ifndef CRYPTO_KEY_TPM_IMPL_H
#define CRYPTO_KEY_TPM_IMPL_H
/*
 * What the files key_tpm*.c share: TPM 2.0 by the Enhanced System API. The libraries are
 * opened when a URI first names a TPM; nothing links them. The tpm2-openssl provider is
 * not used: in Debian 12 it breaks TLS 1.2 and hides the NIST groups.
 */
#include <pthread.h>
#include <sys/types.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

#include "crypto/key_impl.h"

/* --- the libraries (key_tpm_lib.c) --- */

enum key_tpm_so { KEY_TPM_ESYS, KEY_TPM_TCTILDR, KEY_TPM_RC, KEY_TPM_SO_N };

/* X(library, function): to use another function, a row. */
#define KEY_TPM_CALLS(X)                                                                 \
	X(KEY_TPM_ESYS, Esys_Initialize)                                                 \
	X(KEY_TPM_ESYS, Esys_Finalize)                                                   \
	X(KEY_TPM_ESYS, Esys_Free)                                                       \
	X(KEY_TPM_ESYS, Esys_TR_FromTPMPublic)                                           \
	X(KEY_TPM_ESYS, Esys_TR_SetAuth)                                                 \
	X(KEY_TPM_ESYS, Esys_TR_Close)                                                   \
	X(KEY_TPM_ESYS, Esys_ReadPublic)                                                 \
	X(KEY_TPM_ESYS, Esys_Sign)                                                       \
	X(KEY_TPM_ESYS, Esys_CreatePrimary)                                              \
	X(KEY_TPM_ESYS, Esys_Create)                                                     \
	X(KEY_TPM_ESYS, Esys_Load)                                                       \
	X(KEY_TPM_ESYS, Esys_FlushContext)                                               \
	X(KEY_TPM_ESYS, Esys_EvictControl)                                               \
	X(KEY_TPM_ESYS, Esys_GetCapability)                                              \
	X(KEY_TPM_ESYS, Esys_NV_ReadPublic)                                              \
	X(KEY_TPM_ESYS, Esys_NV_Read)                                                    \
	X(KEY_TPM_ESYS, Esys_NV_Write)                                                   \
	X(KEY_TPM_ESYS, Esys_NV_DefineSpace)                                             \
	X(KEY_TPM_ESYS, Esys_NV_UndefineSpace)                                           \
	X(KEY_TPM_TCTILDR, Tss2_TctiLdr_Initialize)                                      \
	X(KEY_TPM_TCTILDR, Tss2_TctiLdr_Finalize)                                        \
	X(KEY_TPM_RC, Tss2_RC_Decode)

struct key_tpm_api {
#define KEY_TPM_MEMBER(so, name) __typeof__(name) *name;
	KEY_TPM_CALLS(KEY_TPM_MEMBER)
#undef KEY_TPM_MEMBER
};
/* NULL and e: a library is missing. */
must_check const struct key_tpm_api *key_tpm_api(struct err *e);

/* What ESYS allocated: auto_(key_tpm_free) TPM2B_PUBLIC *p = NULL; */
void key_tpm_free(void *p);
static inline void
key_tpm_free_auto_(void *pp)
{
	key_tpm_free(*(void **)pp);
}

/* --- a TPM and the one connection to it (key_tpm_conn.c) --- */

/* What was refused at a handle; kept as long as the process. */
struct key_tpm_pin {
	struct key_tpm_pin *next;
	uint32_t handle;
	struct key_pin pin;
};

struct key_tpm {
	struct key_tpm *next; /* kept for ever, as what it knows of refused PINs */
	const struct key_tpm_api *f;
	pid_t pid;
	char tcti[256];
	pthread_mutex_t lock; /* all below; a TPM does one thing at a time anyway */
	ESYS_CONTEXT *esys;   /* NULL: not connected */
	TSS2_TCTI_CONTEXT *io;
	unsigned
	    generation; /* of the connection; what was loaded in an earlier is gone */
	unsigned users;
	struct key_tpm_pin *pins;
};

/* The TPM that u names (its tcti, $MUSTER_TCTI, or device:/dev/tpmrm0); not connected
 * yet. One more user. */
must_check int key_tpm_get(const struct key_uri *u, struct key_tpm **ret, struct err *e);
/* The last user's leaving disconnects. */
void key_tpm_leave(struct key_tpm *t);
own_define(struct key_tpm, key_tpm_leave);

/* Sets e from a response code: its text, our code, what to do. Returns rc. */
TSS2_RC key_tpm_fail(const struct key_tpm *t, struct err *e, TSS2_RC rc, const char *fmt,
    ...) printf_like(4, 5);
/* A response code without layer and without the number of the handle or parameter. */
TSS2_RC key_tpm_code(TSS2_RC rc);
/* What a work returns whose error is its own. */
#define KEY_TPM_REFUSED ((TSS2_RC)0xffffffff)

/* Done under the lock, connected. Returns TSS2_RC_SUCCESS or sets e. */
typedef TSS2_RC (*key_tpm_work)(struct key_tpm *t, void *arg, struct err *e);
/* Does work, and once more where it lost the connection and connecting again helped. */
must_check int key_tpm_do(struct key_tpm *t, key_tpm_work work, void *arg, struct err *e);

/* What is known of the PIN at handle. */
struct key_pin *key_tpm_pin(struct key_tpm *t, uint32_t handle);

/* --- keys and NV --- */

/* The SPKI of a public area appended; -1 where it is no key of ours. */
must_check int key_tpm_spki(const TPMT_PUBLIC *p, struct buf *out);
/* The public area at a persistent handle. *tr is the caller's to close. */
TSS2_RC key_tpm_public(
    struct key_tpm *t, uint32_t handle, ESYS_TR *tr, TPM2B_PUBLIC **ret, struct err *e);
void key_tpm_close(struct key_tpm *t, ESYS_TR *tr);
/* The certificate in an NV index appended as DER. ERR_NOT_FOUND where there is none. */
TSS2_RC key_tpm_nv_read(
    struct key_tpm *t, uint32_t index, struct buf *out, struct err *e);
/* Replaces what is there, unless the platform put it there. */
TSS2_RC key_tpm_nv_write(
    struct key_tpm *t, uint32_t index, struct span der, struct err *e);
TSS2_RC key_tpm_nv_remove(struct key_tpm *t, uint32_t index, struct err *e);

#endif
