/*
 * Keys in a TPM, at persistent handles: open and sign, make, list, remove, and the
 * certificate in its NV index.
 */
#include <stdio.h>

#include "crypto/cert.h"
#include "crypto/key_tpm_impl.h"

#define PUBLIC_KEYS_MAX  64                   /* persistent objects listed */
#define PERSISTENT_FIRST UINT32_C(0x81000000) /* libtss2 shifts a signed int for it */

/* --- public areas --- */

/* A coordinate as long as the curve's: a TPM may drop leading zeros. */
static void
put_coordinate(struct buf *b, const TPM2B_ECC_PARAMETER *v, size_t len)
{
	for (size_t i = v->size; i < len; i++)
		buf_u8(b, 0);
	buf_put(b, v->buffer, v->size);
}

static const struct key_row *
curve_row(TPMI_ECC_CURVE curve)
{
	switch (curve) {
	case TPM2_ECC_NIST_P256:
		return key_row(KEY_P256);
	case TPM2_ECC_NIST_P384:
		return key_row(KEY_P384);
	default:
		return NULL;
	}
}

static int
put_ec(const TPMT_PUBLIC *p, struct buf *out)
{
	const struct key_row *row = curve_row(p->parameters.eccDetail.curveID);
	auto_buf point = BUF_INIT(KEY_POINT_MAX);
	if (!row)
		return -1;
	buf_u8(&point, 4);
	put_coordinate(&point, &p->unique.ecc.x, KEY_SCALAR_LEN(row));
	put_coordinate(&point, &p->unique.ecc.y, KEY_SCALAR_LEN(row));
	if (point.bad || point.len != 1 + 2 * KEY_SCALAR_LEN(row))
		return -1;
	key_put_ec_spki(out, row, buf_span(&point));
	return 0;
}

static int
put_rsa(const TPMT_PUBLIC *p, struct buf *out)
{
	uint32_t e = p->parameters.rsaDetail.exponent;
	e = e ? e : 65537; /* TPM 2.0 part 2, 12.2.3.5 */
	uint8_t exponent[] = {
	    (uint8_t)(e >> 24), (uint8_t)(e >> 16), (uint8_t)(e >> 8), (uint8_t)e};
	key_put_rsa_spki(out, span_of(p->unique.rsa.buffer, p->unique.rsa.size),
	    span_of(exponent, sizeof(exponent)));
	return 0;
}

int
key_tpm_spki(const TPMT_PUBLIC *p, struct buf *out)
{
	if (p->type == TPM2_ALG_ECC)
		return put_ec(p, out);
	return p->type == TPM2_ALG_RSA ? put_rsa(p, out) : -1;
}

void
key_tpm_close(struct key_tpm *t, ESYS_TR *tr)
{
	if (*tr != ESYS_TR_NONE)
		t->f->Esys_TR_Close(t->esys, tr);
	*tr = ESYS_TR_NONE;
}

TSS2_RC
key_tpm_public(
    struct key_tpm *t, uint32_t handle, ESYS_TR *tr, TPM2B_PUBLIC **ret, struct err *e)
{
	TSS2_RC rc = t->f->Esys_TR_FromTPMPublic(
	    t->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, tr);
	if (rc == TSS2_RC_SUCCESS)
		rc = t->f->Esys_ReadPublic(t->esys, *tr, ESYS_TR_NONE, ESYS_TR_NONE,
		    ESYS_TR_NONE, ret, NULL, NULL);
	if (rc == TSS2_RC_SUCCESS)
		return rc;
	if (key_tpm_code(rc) == TPM2_RC_HANDLE) {
		err_set(e, ERR_NOT_FOUND,
		    "TPM %s holds no key at 0x%08x; muster key list tpm2: shows what it "
		    "has",
		    t->tcti, handle);
		return KEY_TPM_REFUSED;
	}
	return key_tpm_fail(t, e, rc, "TPM key 0x%08x", handle);
}

/* --- signing --- */

struct tpm_key {
	struct key_tpm *t;
	uint32_t handle;
	bool exportable;
	char secret[KEY_URI_PATH_MAX];
	uint8_t spki_sha256[DIGEST_SHA256];
	struct buf spki; /* until it is opened */
	/* under the TPM's lock */
	unsigned generation; /* 0: not loaded */
	ESYS_TR tr;
	TPMI_ALG_PUBLIC type;
};

static void
tpm_key_free(void *arg)
{
	struct tpm_key *k = arg;
	pthread_mutex_lock(&k->t->lock);
	if (k->t->esys && k->generation == k->t->generation)
		key_tpm_close(k->t, &k->tr);
	pthread_mutex_unlock(&k->t->lock);
	key_tpm_leave(k->t);
	buf_done(&k->spki);
	free(k);
}

own_define(struct tpm_key, tpm_key_free);

static TSS2_RC
set_auth(struct tpm_key *k, struct err *e)
{
	struct key_tpm *t = k->t;
	TPM2B_AUTH auth = {0};
	auto_buf pin = BUF_INIT(sizeof(auth.buffer));
	if (!k->secret[0])
		return TSS2_RC_SUCCESS;
	if (key_pin_read(key_tpm_pin(t, k->handle), k->secret, &pin, e))
		return KEY_TPM_REFUSED;
	auth.size = (UINT16)pin.len;
	memcpy(auth.buffer, pin.p ? pin.p : (const uint8_t *)"", pin.len);
	TSS2_RC rc = t->f->Esys_TR_SetAuth(t->esys, k->tr, &auth);
	own_wipe(&auth, sizeof(auth));
	return rc ? key_tpm_fail(t, e, rc, "TPM key 0x%08x", k->handle) : rc;
}

/* What is at the handle after a reconnect must be the same key. */
static TSS2_RC
check_same(struct tpm_key *k, const TPM2B_PUBLIC *p, struct err *e)
{
	uint8_t hash[DIGEST_SHA256];
	buf_reset(&k->spki);
	if (key_tpm_spki(&p->publicArea, &k->spki)) {
		err_set(e, ERR_UNSUPPORTED,
		    "TPM key 0x%08x is neither P-256, P-384 nor RSA", k->handle);
		return KEY_TPM_REFUSED;
	}
	digest_sha256(buf_span(&k->spki), hash);
	bool first = k->type == 0;
	if (!first && !own_equal(hash, k->spki_sha256, sizeof(hash))) {
		err_set(e, ERR_CONFLICT, "TPM: another key is at 0x%08x now", k->handle);
		return KEY_TPM_REFUSED;
	}
	memcpy(k->spki_sha256, hash, sizeof(hash));
	k->type = p->publicArea.type;
	k->exportable = !(p->publicArea.objectAttributes & TPMA_OBJECT_FIXEDTPM);
	return TSS2_RC_SUCCESS;
}

static TSS2_RC
load_key(struct tpm_key *k, struct err *e)
{
	auto_(key_tpm_free) TPM2B_PUBLIC *p = NULL;
	if (k->generation == k->t->generation)
		return TSS2_RC_SUCCESS;
	k->tr = ESYS_TR_NONE;
	TSS2_RC rc = key_tpm_public(k->t, k->handle, &k->tr, &p, e);
	if (rc == TSS2_RC_SUCCESS)
		rc = check_same(k, p, e);
	if (rc == TSS2_RC_SUCCESS)
		rc = set_auth(k, e);
	if (rc == TSS2_RC_SUCCESS)
		k->generation = k->t->generation;
	else
		key_tpm_close(k->t, &k->tr);
	return rc;
}

struct sign_job {
	struct tpm_key *k;
	const struct key_digest *d;
	uint8_t *sig;
	size_t len;
};

static int
take_signature(struct sign_job *j, const TPMT_SIGNATURE *s, struct err *e)
{
	if (j->k->type == TPM2_ALG_ECC) {
		const TPM2B_ECC_PARAMETER *r = &s->signature.ecdsa.signatureR;
		const TPM2B_ECC_PARAMETER *v = &s->signature.ecdsa.signatureS;
		return key_ecdsa_der(span_of(r->buffer, r->size),
		    span_of(v->buffer, v->size), j->sig, &j->len, e);
	}
	/* rsassa and rsapss are the same struct (TPM 2.0 part 2, 11.3.1) */
	const TPM2B_PUBLIC_KEY_RSA *sig = &s->signature.rsassa.sig;
	if (sig->size > KEY_SIG_MAX)
		return err_set(e, ERR_CRYPTO, "a TPM signature of %u bytes", sig->size);
	memcpy(j->sig, sig->buffer, sig->size);
	j->len = sig->size;
	return 0;
}

static TPMT_SIG_SCHEME
scheme_of(const struct sign_job *j)
{
	static const TPMI_ALG_HASH hashes[] = {
	    [KEY_SHA256] = TPM2_ALG_SHA256,
	    [KEY_SHA384] = TPM2_ALG_SHA384,
	    [KEY_SHA512] = TPM2_ALG_SHA512,
	};
	TPMI_ALG_SIG_SCHEME scheme = j->k->type == TPM2_ALG_ECC ? TPM2_ALG_ECDSA
				     : j->d->pad == KEY_PAD_PSS ? TPM2_ALG_RSAPSS
								: TPM2_ALG_RSASSA;
	return (TPMT_SIG_SCHEME){
	    .scheme = scheme, .details.any.hashAlg = hashes[j->d->hash]};
}

/* A refused authorization is remembered, and forgotten by the connection. */
static void
note_refusal(struct tpm_key *k)
{
	auto_buf pin = BUF_INIT(KEY_PIN_MAX);
	struct key_pin *p = key_tpm_pin(k->t, k->handle);
	if (k->secret[0] && key_pin_read(p, k->secret, &pin, NULL) == 0)
		key_pin_refuse(p, buf_span(&pin));
	key_tpm_close(k->t, &k->tr);
	k->generation = 0;
}

static TSS2_RC
work_sign(struct key_tpm *t, void *arg, struct err *e)
{
	struct sign_job *j = arg;
	TPM2B_DIGEST digest = {.size = (UINT16)j->d->digest.len};
	TPMT_SIG_SCHEME scheme = scheme_of(j);
	TPMT_TK_HASHCHECK no_ticket = {
	    .tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL};
	auto_(key_tpm_free) TPMT_SIGNATURE *s = NULL;
	TSS2_RC rc = load_key(j->k, e);
	if (rc)
		return rc;
	memcpy(digest.buffer, j->d->digest.p, j->d->digest.len);
	rc = t->f->Esys_Sign(t->esys, j->k->tr, ESYS_TR_PASSWORD, ESYS_TR_NONE,
	    ESYS_TR_NONE, &digest, &scheme, &no_ticket, &s);
	if (rc == TSS2_RC_SUCCESS)
		return take_signature(j, s, e) ? KEY_TPM_REFUSED : rc;
	TSS2_RC code = key_tpm_code(rc);
	if (code == TPM2_RC_AUTH_FAIL || code == TPM2_RC_BAD_AUTH)
		note_refusal(j->k);
	return key_tpm_fail(t, e, rc, "TPM key 0x%08x: signing", j->k->handle);
}

static int
on_sign(void *arg, const struct key_digest *d, uint8_t sig[KEY_SIG_MAX], size_t *ret_len,
    struct err *e)
{
	struct sign_job j = {.k = arg, .d = d, .sig = sig};
	if (key_tpm_do(j.k->t, work_sign, &j, e))
		return -1;
	*ret_len = j.len;
	return 0;
}

/* --- opening --- */

static TSS2_RC
work_load(struct key_tpm *t, void *arg, struct err *e)
{
	(void)t;
	return load_key(arg, e);
}

static int
need_handle(const struct key_uri *u, struct err *e)
{
	return u->tpm.handle ? 0
			     : err_set(e, ERR_USAGE,
				   "a TPM key is named by its handle: "
				   "tpm2:handle=0x81......");
}

static struct key *
open_key(const struct key_uri *u, key_passphrase ask, void *arg, struct err *e)
{
	struct key_tpm *t;
	(void)ask;
	(void)arg;
	if (need_handle(u, e) || key_tpm_get(u, &t, e))
		return NULL;
	auto_(tpm_key_free) struct tpm_key *k = own_alloc(sizeof(*k));
	k->t = t;
	k->handle = u->tpm.handle;
	k->tr = ESYS_TR_NONE;
	k->spki = BUF_INIT(SPKI_MAX);
	memcpy(k->secret, u->secret, sizeof(k->secret));
	if (key_tpm_do(t, work_load, k, e))
		return NULL;
	auto_buf spki = BUF_INIT(SPKI_MAX);
	bool exportable = k->exportable;
	buf_put_span(&spki, buf_span(&k->spki));
	struct key *ret = key_external(
	    buf_span(&spki), KEY_CUSTODY_TPM2, on_sign, TAKE(k), tpm_key_free, e);
	if (ret)
		ret->exportable = exportable;
	return ret;
}

/* --- making --- */

struct make_job {
	const struct key_uri *u;
	enum key_alg alg;
	ESYS_TR primary, key;
	TPM2B_SENSITIVE_CREATE secret;
};

#define ATTRIBUTES                                                                       \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |                                \
	    TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH)

/* The storage key that a signing key is made under; made again from the owner's seed each
 * time, the same each time. */
static const TPM2B_PUBLIC parent = {
    .publicArea = {.type = TPM2_ALG_ECC,
	.nameAlg = TPM2_ALG_SHA256,
	.objectAttributes =
	    ATTRIBUTES | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT | TPMA_OBJECT_NODA,
	.parameters.eccDetail = {.symmetric = {.algorithm = TPM2_ALG_AES,
				     .keyBits.aes = 128,
				     .mode.aes = TPM2_ALG_CFB},
	    .scheme.scheme = TPM2_ALG_NULL,
	    .curveID = TPM2_ECC_NIST_P256,
	    .kdf.scheme = TPM2_ALG_NULL}}};

/* A key that signs whatever scheme is asked of it, and is no matter of the
 * dictionary-attack lockout: a power cut while others guess costs it nothing. */
static int
template_of(enum key_alg alg, TPM2B_PUBLIC *ret, struct err *e)
{
	const struct key_row *row = key_row(alg);
	*ret =
	    (TPM2B_PUBLIC){.publicArea = {.nameAlg = TPM2_ALG_SHA256,
			       .objectAttributes = ATTRIBUTES | TPMA_OBJECT_SIGN_ENCRYPT |
						   TPMA_OBJECT_NODA}};
	TPMT_PUBLIC *p = &ret->publicArea;
	if (row->kind == SPKI_RSA && row->bits > 2048)
		return err_set(e, ERR_UNSUPPORTED,
		    "%s in a TPM: TPMs need have no RSA keys over 2048 bits; use p256",
		    row->name);
	if (row->kind == SPKI_RSA) {
		p->type = TPM2_ALG_RSA;
		p->parameters.rsaDetail =
		    (TPMS_RSA_PARMS){.symmetric.algorithm = TPM2_ALG_NULL,
			.scheme.scheme = TPM2_ALG_NULL,
			.keyBits = (UINT16)row->bits};
		return 0;
	}
	p->type = TPM2_ALG_ECC;
	p->parameters.eccDetail = (TPMS_ECC_PARMS){.symmetric.algorithm = TPM2_ALG_NULL,
	    .scheme.scheme = TPM2_ALG_NULL,
	    .curveID = alg == KEY_P384 ? TPM2_ECC_NIST_P384 : TPM2_ECC_NIST_P256,
	    .kdf.scheme = TPM2_ALG_NULL};
	return 0;
}

static TSS2_RC
check_free(struct key_tpm *t, uint32_t handle, struct err *e)
{
	ESYS_TR tr = ESYS_TR_NONE;
	TSS2_RC rc = t->f->Esys_TR_FromTPMPublic(
	    t->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &tr);
	if (key_tpm_code(rc) == TPM2_RC_HANDLE)
		return TSS2_RC_SUCCESS;
	if (rc)
		return key_tpm_fail(t, e, rc, "TPM key 0x%08x", handle);
	key_tpm_close(t, &tr);
	err_set(e, ERR_EXISTS, "TPM: a key is at 0x%08x already; take another handle",
	    handle);
	return KEY_TPM_REFUSED;
}

static TSS2_RC
make_under_parent(struct key_tpm *t, struct make_job *j, const TPM2B_PUBLIC *want)
{
	TPM2B_SENSITIVE_CREATE none = {0};
	TPM2B_DATA outside = {0};
	TPML_PCR_SELECTION pcr = {0};
	auto_(key_tpm_free) TPM2B_PRIVATE *prv = NULL;
	auto_(key_tpm_free) TPM2B_PUBLIC *pub = NULL;
	TSS2_RC rc = t->f->Esys_CreatePrimary(t->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD,
	    ESYS_TR_NONE, ESYS_TR_NONE, &none, &parent, &outside, &pcr, &j->primary, NULL,
	    NULL, NULL, NULL);
	if (rc == TSS2_RC_SUCCESS)
		rc = t->f->Esys_Create(t->esys, j->primary, ESYS_TR_PASSWORD,
		    ESYS_TR_NONE, ESYS_TR_NONE, &j->secret, want, &outside, &pcr, &prv,
		    &pub, NULL, NULL, NULL);
	if (rc == TSS2_RC_SUCCESS)
		rc = t->f->Esys_Load(t->esys, j->primary, ESYS_TR_PASSWORD, ESYS_TR_NONE,
		    ESYS_TR_NONE, prv, pub, &j->key);
	return rc;
}

static TSS2_RC
make_persistent(struct key_tpm *t, struct make_job *j)
{
	ESYS_TR kept = ESYS_TR_NONE;
	TSS2_RC rc = t->f->Esys_EvictControl(t->esys, ESYS_TR_RH_OWNER, j->key,
	    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, j->u->tpm.handle, &kept);
	key_tpm_close(t, &kept);
	return rc;
}

static void
flush(struct key_tpm *t, ESYS_TR *tr)
{
	if (*tr != ESYS_TR_NONE)
		t->f->Esys_FlushContext(t->esys, *tr);
	*tr = ESYS_TR_NONE;
}

static TSS2_RC
work_make(struct key_tpm *t, void *arg, struct err *e)
{
	struct make_job *j = arg;
	TPM2B_PUBLIC want;
	if (template_of(j->alg, &want, e))
		return KEY_TPM_REFUSED;
	TSS2_RC rc = check_free(t, j->u->tpm.handle, e);
	if (rc)
		return rc;
	j->primary = j->key = ESYS_TR_NONE;
	rc = make_under_parent(t, j, &want);
	if (rc == TSS2_RC_SUCCESS)
		rc = make_persistent(t, j);
	flush(t, &j->key);
	flush(t, &j->primary);
	return rc ? key_tpm_fail(t, e, rc, "TPM: making a %s key at 0x%08x",
			key_alg_name(j->alg), j->u->tpm.handle)
		  : rc;
}

static int
read_new_auth(const struct key_uri *u, TPM2B_AUTH *ret, struct err *e)
{
	struct key_pin fresh = {.has_refused = false};
	auto_buf pin = BUF_INIT(sizeof(ret->buffer));
	if (!u->secret[0])
		return 0;
	if (key_pin_read(&fresh, u->secret, &pin, e))
		return -1;
	ret->size = (UINT16)pin.len;
	memcpy(ret->buffer, pin.p ? pin.p : (const uint8_t *)"", pin.len);
	return 0;
}

static struct key *
create(const struct key_uri *u, enum key_alg alg, struct err *e)
{
	auto_(key_tpm_leave) struct key_tpm *t = NULL;
	struct make_job j = {.u = u, .alg = alg};
	if (need_handle(u, e) || key_tpm_get(u, &t, e) ||
	    read_new_auth(u, &j.secret.sensitive.userAuth, e))
		return NULL;
	int rc = key_tpm_do(t, work_make, &j, e);
	own_wipe(&j.secret, sizeof(j.secret));
	return rc ? NULL : open_key(u, NULL, NULL, e);
}

/* --- the certificate --- */

struct cert_job {
	const struct key_uri *u;
	struct span put;
	struct buf *out;
};

/* The SPKI of the key at u's handle. */
static TSS2_RC
spki_at(struct key_tpm *t, uint32_t handle, struct buf *out, struct err *e)
{
	ESYS_TR tr = ESYS_TR_NONE;
	auto_(key_tpm_free) TPM2B_PUBLIC *p = NULL;
	TSS2_RC rc = key_tpm_public(t, handle, &tr, &p, e);
	if (rc == TSS2_RC_SUCCESS && key_tpm_spki(&p->publicArea, out)) {
		err_set(e, ERR_UNSUPPORTED,
		    "TPM key 0x%08x is neither P-256, P-384 nor RSA", handle);
		rc = KEY_TPM_REFUSED;
	}
	key_tpm_close(t, &tr);
	return rc;
}

static bool
is_cert_of(struct span der, struct span spki)
{
	auto_(cert_free) struct cert *c = cert_parse(der, NULL);
	return c && span_eq(c->spki, spki);
}

static TSS2_RC
work_cert_put(struct key_tpm *t, void *arg, struct err *e)
{
	struct cert_job *j = arg;
	auto_buf spki = BUF_INIT(SPKI_MAX);
	TSS2_RC rc = spki_at(t, j->u->tpm.handle, &spki, e);
	if (rc)
		return rc;
	if (!is_cert_of(j->put, buf_span(&spki))) {
		err_set(e, ERR_CONFLICT, "the certificate is of another key");
		return KEY_TPM_REFUSED;
	}
	return key_tpm_nv_write(t, j->u->tpm.nv, j->put, e);
}

static int
cert_put(const struct key_uri *u, struct span der, struct err *e)
{
	auto_(cert_free) struct cert *c = cert_parse(der, e);
	auto_(key_tpm_leave) struct key_tpm *t = NULL;
	struct cert_job j = {.u = u, .put = der};
	if (!c || need_handle(u, e) || key_tpm_get(u, &t, e))
		return -1;
	return key_tpm_do(t, work_cert_put, &j, e);
}

static TSS2_RC
work_cert_get(struct key_tpm *t, void *arg, struct err *e)
{
	struct cert_job *j = arg;
	auto_buf spki = BUF_INIT(SPKI_MAX);
	buf_reset(j->out);
	TSS2_RC rc = spki_at(t, j->u->tpm.handle, &spki, e);
	if (rc == TSS2_RC_SUCCESS)
		rc = key_tpm_nv_read(t, j->u->tpm.nv, j->out, e);
	if (rc == TSS2_RC_SUCCESS && !is_cert_of(buf_span(j->out), buf_span(&spki))) {
		err_set(e, ERR_NOT_FOUND,
		    "NV index 0x%08x holds no certificate of the key at 0x%08x",
		    j->u->tpm.nv, j->u->tpm.handle);
		return KEY_TPM_REFUSED;
	}
	return rc;
}

static int
cert_get(const struct key_uri *u, struct buf *out, struct err *e)
{
	auto_(key_tpm_leave) struct key_tpm *t = NULL;
	auto_buf der = BUF_INIT(UINT16_MAX);
	struct cert_job j = {.u = u, .out = &der};
	if (need_handle(u, e) || key_tpm_get(u, &t, e) ||
	    key_tpm_do(t, work_cert_get, &j, e))
		return -1;
	buf_put_span(out, buf_span(&der));
	return buf_check(out, "certificate", e);
}

/* --- removing --- */

/* The certificate first, if it is this key's: what is cut short can be done again. */
static TSS2_RC
work_remove(struct key_tpm *t, void *arg, struct err *e)
{
	const struct key_uri *u = arg;
	ESYS_TR tr = ESYS_TR_NONE, none = ESYS_TR_NONE;
	auto_(key_tpm_free) TPM2B_PUBLIC *p = NULL;
	auto_buf spki = BUF_INIT(SPKI_MAX), der = BUF_INIT(UINT16_MAX);
	TSS2_RC rc = key_tpm_public(t, u->tpm.handle, &tr, &p, e);
	if (rc == TSS2_RC_SUCCESS && key_tpm_spki(&p->publicArea, &spki) == 0 &&
	    key_tpm_nv_read(t, u->tpm.nv, &der, NULL) == TSS2_RC_SUCCESS &&
	    is_cert_of(buf_span(&der), buf_span(&spki)))
		rc = key_tpm_nv_remove(t, u->tpm.nv, e);
	if (rc == TSS2_RC_SUCCESS) {
		rc = t->f->Esys_EvictControl(t->esys, ESYS_TR_RH_OWNER, tr,
		    ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, u->tpm.handle, &none);
		if (rc)
			key_tpm_fail(t, e, rc, "TPM key 0x%08x: remove", u->tpm.handle);
		else
			tr = ESYS_TR_NONE; /* gone with the key */
	}
	key_tpm_close(t, &tr);
	return rc;
}

static int
remove_key(const struct key_uri *u, struct err *e)
{
	struct key_uri copy = *u;
	auto_(key_tpm_leave) struct key_tpm *t = NULL;
	if (need_handle(u, e) || key_tpm_get(u, &t, e))
		return -1;
	return key_tpm_do(t, work_remove, &copy, e);
}

/* --- listing --- */

struct row {
	uint32_t handle;
	bool exportable, has_cert;
	char alg[24];
};

struct list_job {
	const struct key_uri *u;
	struct row rows[PUBLIC_KEYS_MAX];
	size_t n;
};

static void
name_alg(const TPMT_PUBLIC *p, struct span spki, char out[24])
{
	struct spki shape;
	enum key_alg alg;
	if (spki.len && spki_parse(spki, &shape, NULL) == 0 &&
	    key_alg_of(&shape, &alg) == 0)
		snprintf(out, 24, "%s", key_alg_name(alg));
	else if (p->type == TPM2_ALG_RSA)
		snprintf(out, 24, "rsa%u", p->parameters.rsaDetail.keyBits);
	else
		snprintf(out, 24, "%s", p->type == TPM2_ALG_ECC ? "ec" : "other");
}

/* Storage and endorsement keys at persistent handles do not sign: they are not ours. */
static TSS2_RC
add_row(struct key_tpm *t, struct list_job *j, uint32_t handle, struct span cert,
    struct err *e)
{
	ESYS_TR tr = ESYS_TR_NONE;
	auto_(key_tpm_free) TPM2B_PUBLIC *p = NULL;
	auto_buf spki = BUF_INIT(SPKI_MAX);
	TSS2_RC rc = key_tpm_public(t, handle, &tr, &p, e);
	key_tpm_close(t, &tr);
	if (rc || !(p->publicArea.objectAttributes & TPMA_OBJECT_SIGN_ENCRYPT))
		return rc;
	struct row *r = &j->rows[j->n++];
	*r = (struct row){.handle = handle};
	r->exportable = !(p->publicArea.objectAttributes & TPMA_OBJECT_FIXEDTPM);
	if (key_tpm_spki(&p->publicArea, &spki) == 0)
		r->has_cert = cert.len && is_cert_of(cert, buf_span(&spki));
	name_alg(&p->publicArea, buf_span(&spki), r->alg);
	return rc;
}

static TSS2_RC
work_list(struct key_tpm *t, void *arg, struct err *e)
{
	struct list_job *j = arg;
	TPMI_YES_NO more;
	auto_(key_tpm_free) TPMS_CAPABILITY_DATA *c = NULL;
	auto_buf cert = BUF_INIT(UINT16_MAX);
	j->n = 0;
	TSS2_RC rc = t->f->Esys_GetCapability(t->esys, ESYS_TR_NONE, ESYS_TR_NONE,
	    ESYS_TR_NONE, TPM2_CAP_HANDLES, PERSISTENT_FIRST, PUBLIC_KEYS_MAX, &more, &c);
	if (rc)
		return key_tpm_fail(t, e, rc, "TPM: list of persistent keys");
	if (key_tpm_nv_read(t, j->u->tpm.nv, &cert, NULL))
		buf_reset(&cert);
	for (UINT32 i = 0; i < c->data.handles.count && i < PUBLIC_KEYS_MAX && !rc; i++) {
		uint32_t handle = c->data.handles.handle[i];
		if (!j->u->tpm.handle || handle == j->u->tpm.handle)
			rc = add_row(t, j, handle, buf_span(&cert), e);
	}
	return rc;
}

static int
visit_row(const struct key_uri *base, const struct row *r, key_visit visit, void *arg,
    struct err *e)
{
	auto_buf text = BUF_INIT(KEY_URI_MAX);
	struct key_uri u = *base;
	u.tpm.handle = r->handle;
	key_uri_write(&u, &text);
	struct key_found f = {.uri = buf_text(&text),
	    .label = "",
	    .alg = r->alg,
	    .exportable = r->exportable,
	    .has_cert = r->has_cert};
	return visit(arg, &f, e);
}

static int
each(const struct key_uri *u, key_visit visit, void *arg, struct err *e)
{
	auto_(key_tpm_leave) struct key_tpm *t = NULL;
	struct list_job j = {.u = u};
	if (key_tpm_get(u, &t, e) || key_tpm_do(t, work_list, &j, e))
		return -1;
	for (size_t i = 0; i < j.n; i++)
		if (visit_row(u, &j.rows[i], visit, arg, e))
			return -1;
	return 0;
}

/* --- doctor --- */

static void
doctor(const struct key_uri *u, struct key_doctor *d)
{
	struct err e;
	auto_(key_tpm_leave) struct key_tpm *t = NULL;
	auto_buf pin = BUF_INIT(KEY_PIN_MAX + 1024);
	struct list_job j = {.u = &(struct key_uri){.tpm.nv = u->tpm.nv}};
	if (key_tpm_get(u, &t, &e)) {
		key_doctor_failed(d, &e);
		return;
	}
	key_doctor_say(d, KEY_FINE, "", "libtss2 is loaded");
	if (key_tpm_do(t, work_list, &j, &e)) {
		key_doctor_failed(d, &e);
		return;
	}
	key_doctor_say(
	    d, KEY_FINE, "", "TPM %s answers, signing keys: %zu", t->tcti, j.n);
	if (!u->secret[0])
		return;
	if (key_file_read(u->secret, &pin, &e))
		key_doctor_failed(d, &e);
	else
		key_doctor_say(d, KEY_FINE, "",
		    "authorization file %s: only you and root can read it", u->secret);
}

const struct key_place key_tpm_place = {
    .open = open_key,
    .create = create,
    .remove = remove_key,
    .each = each,
    .cert_put = cert_put,
    .cert_get = cert_get,
    .doctor = doctor,
};
