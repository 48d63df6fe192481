/*
 * The certificate of a TPM's key in an NV index, in pieces as the TPM takes them. Its
 * default index is that of the manufacturer's RSA EK certificate (TCG EK
 * profile, 2.2.1.4), so what the platform put there is never touched.
 *
 * A cut while it is written leaves no certificate, or one that does not read: the caller
 * has it elsewhere too, and writes it again.
 */
#include "codec/der.h"
#include "crypto/cert.h"
#include "crypto/key_tpm_impl.h"

#define PIECE_DEFAULT 512

/* TPM2_PT_NV_BUFFER_MAX. */
static size_t
piece_of(struct key_tpm *t)
{
	TPMI_YES_NO more;
	auto_(key_tpm_free) TPMS_CAPABILITY_DATA *c = NULL;
	TSS2_RC rc = t->f->Esys_GetCapability(t->esys, ESYS_TR_NONE, ESYS_TR_NONE,
	    ESYS_TR_NONE, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_NV_BUFFER_MAX, 1, &more, &c);
	if (rc || c->data.tpmProperties.count != 1 ||
	    c->data.tpmProperties.tpmProperty[0].property != TPM2_PT_NV_BUFFER_MAX)
		return PIECE_DEFAULT;
	size_t n = c->data.tpmProperties.tpmProperty[0].value;
	return n && n <= TPM2_MAX_NV_BUFFER_SIZE ? n : PIECE_DEFAULT;
}

/* The index's handle, size and attributes. TPM2_RC_HANDLE where it is not defined. */
static TSS2_RC
look(struct key_tpm *t, uint32_t index, ESYS_TR *nv, TPMS_NV_PUBLIC *ret, struct err *e)
{
	auto_(key_tpm_free) TPM2B_NV_PUBLIC *p = NULL;
	TSS2_RC rc = t->f->Esys_TR_FromTPMPublic(
	    t->esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, nv);
	if (rc)
		return key_tpm_fail(t, e, rc, "NV index 0x%08x", index);
	rc = t->f->Esys_NV_ReadPublic(
	    t->esys, *nv, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &p, NULL);
	if (rc) {
		key_tpm_close(t, nv);
		return key_tpm_fail(t, e, rc, "NV index 0x%08x", index);
	}
	*ret = p->nvPublic;
	return rc;
}

static TSS2_RC
read_pieces(struct key_tpm *t, ESYS_TR nv, const TPMS_NV_PUBLIC *p, struct buf *out)
{
	ESYS_TR by = p->attributes & TPMA_NV_AUTHREAD ? nv : ESYS_TR_RH_OWNER;
	size_t piece = piece_of(t);
	for (size_t at = 0; at < p->dataSize; at += piece) {
		size_t left = p->dataSize - at;
		auto_(key_tpm_free) TPM2B_MAX_NV_BUFFER *b = NULL;
		TSS2_RC rc = t->f->Esys_NV_Read(t->esys, by, nv, ESYS_TR_PASSWORD,
		    ESYS_TR_NONE, ESYS_TR_NONE, (UINT16)(left < piece ? left : piece),
		    (UINT16)at, &b);
		if (rc)
			return rc;
		buf_put(out, b->buffer, b->size);
	}
	return TSS2_RC_SUCCESS;
}

/* The first TLV: an index may be larger than what is in it. */
static TSS2_RC
take_der(uint32_t index, struct span raw, struct buf *out, struct err *e)
{
	struct der_tlv tlv;
	if (der_next(&raw, &tlv, NULL) || tlv.tag != DER_SEQUENCE) {
		err_set(e, ERR_CORRUPT,
		    "NV index 0x%08x holds no certificate, or half of one; write it "
		    "again",
		    index);
		return KEY_TPM_REFUSED;
	}
	buf_put_span(out, tlv.whole);
	return TSS2_RC_SUCCESS;
}

static TSS2_RC
absent(uint32_t index, struct err *e)
{
	err_set(e, ERR_NOT_FOUND, "NV index 0x%08x holds no certificate", index);
	return KEY_TPM_REFUSED;
}

TSS2_RC
key_tpm_nv_read(struct key_tpm *t, uint32_t index, struct buf *out, struct err *e)
{
	ESYS_TR nv = ESYS_TR_NONE;
	TPMS_NV_PUBLIC p = {0};
	auto_buf raw = BUF_INIT(UINT16_MAX);
	TSS2_RC rc = look(t, index, &nv, &p, e);
	if (rc)
		return key_tpm_code(rc) == TPM2_RC_HANDLE ? absent(index, e) : rc;
	rc = read_pieces(t, nv, &p, &raw);
	key_tpm_close(t, &nv);
	if (key_tpm_code(rc) == TPM2_RC_NV_UNINITIALIZED)
		return absent(index, e);
	if (rc)
		return key_tpm_fail(t, e, rc, "NV index 0x%08x: read", index);
	return take_der(index, buf_span(&raw), out, e);
}

static TSS2_RC
write_pieces(struct key_tpm *t, ESYS_TR nv, struct span der)
{
	size_t piece = piece_of(t);
	for (size_t at = 0; at < der.len; at += piece) {
		struct span part = span_head(span_skip(der, at), piece);
		TPM2B_MAX_NV_BUFFER b = {.size = (UINT16)part.len};
		memcpy(b.buffer, part.p, part.len);
		TSS2_RC rc = t->f->Esys_NV_Write(t->esys, ESYS_TR_RH_OWNER, nv,
		    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &b, (UINT16)at);
		if (rc)
			return rc;
	}
	return TSS2_RC_SUCCESS;
}

/* Anybody at the TPM reads it, the owner alone writes it. */
static TSS2_RC
define(struct key_tpm *t, uint32_t index, size_t len, ESYS_TR *nv)
{
	TPM2B_AUTH none = {0};
	TPM2B_NV_PUBLIC p = {.nvPublic = {.nvIndex = index,
				 .nameAlg = TPM2_ALG_SHA256,
				 .dataSize = (UINT16)len,
				 .attributes = TPMA_NV_OWNERWRITE | TPMA_NV_OWNERREAD |
					       TPMA_NV_AUTHREAD | TPMA_NV_NO_DA}};
	return t->f->Esys_NV_DefineSpace(t->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD,
	    ESYS_TR_NONE, ESYS_TR_NONE, &none, &p, nv);
}

TSS2_RC
key_tpm_nv_remove(struct key_tpm *t, uint32_t index, struct err *e)
{
	ESYS_TR nv = ESYS_TR_NONE;
	TPMS_NV_PUBLIC p = {0};
	TSS2_RC rc = look(t, index, &nv, &p, e);
	if (rc)
		return rc;
	if (p.attributes & TPMA_NV_PLATFORMCREATE) {
		key_tpm_close(t, &nv);
		err_set(e, ERR_FORBIDDEN,
		    "NV index 0x%08x is the platform's (the manufacturer's certificate "
		    "of "
		    "the TPM); name another in the URI: nv=0x01c1....",
		    index);
		return KEY_TPM_REFUSED;
	}
	rc = t->f->Esys_NV_UndefineSpace(
	    t->esys, ESYS_TR_RH_OWNER, nv, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE);
	if (rc)
		key_tpm_close(t, &nv);
	return rc ? key_tpm_fail(t, e, rc, "NV index 0x%08x: remove", index) : rc;
}

TSS2_RC
key_tpm_nv_write(struct key_tpm *t, uint32_t index, struct span der, struct err *e)
{
	ESYS_TR nv = ESYS_TR_NONE;
	TSS2_RC rc = key_tpm_nv_remove(t, index, e);
	if (rc && key_tpm_code(rc) != TPM2_RC_HANDLE)
		return rc;
	rc = define(t, index, der.len, &nv);
	if (rc)
		return key_tpm_fail(
		    t, e, rc, "NV index 0x%08x: %zu bytes", index, der.len);
	rc = write_pieces(t, nv, der);
	key_tpm_close(t, &nv);
	return rc ? key_tpm_fail(t, e, rc, "NV index 0x%08x: write", index) : rc;
}
