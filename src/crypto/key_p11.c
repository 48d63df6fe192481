/*
 * Keys in PKCS#11 tokens: open and sign, make, list, remove, and the certificate beside.
 */
#include "base/hex.h"
#include "base/rand.h"
#include "codec/der.h"
#include "crypto/cert.h"
#include "crypto/key_p11_impl.h"

/* --- signing --- */

struct p11_key {
	struct key_p11_token *t;
	struct key_uri_p11 name; /* ID and label of just this one */
	enum spki_kind kind;
	bool exportable;
	uint8_t spki_sha256[DIGEST_SHA256];
	/* under the token's lock */
	unsigned generation;
	CK_OBJECT_HANDLE h;
};

static void
p11_key_free(void *arg)
{
	struct p11_key *k = arg;
	key_p11_token_leave(k->t);
	free(k);
}

own_define(struct p11_key, p11_key_free);

/* DigestInfo before the digest (RFC 8017 9.2, note 1), and PSS's parameters. */
static const struct {
	struct span prefix;
	CK_MECHANISM_TYPE hash;
	CK_RSA_PKCS_MGF_TYPE mgf;
} hashes[] = {
    [KEY_SHA256] = {SPAN_LIT("\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02"
			     "\x01\x05\x00\x04\x20"),
	CKM_SHA256, CKG_MGF1_SHA256},
    [KEY_SHA384] = {SPAN_LIT("\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02"
			     "\x02\x05\x00\x04\x30"),
	CKM_SHA384, CKG_MGF1_SHA384},
    [KEY_SHA512] = {SPAN_LIT("\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02"
			     "\x03\x05\x00\x04\x40"),
	CKM_SHA512, CKG_MGF1_SHA512},
};

/* The handle, looked for again where the token was opened again since. What then has the
 * key's name must be the same key. */
static CK_RV
handle_of(
    struct key_p11_use *use, struct p11_key *k, CK_OBJECT_HANDLE *ret, struct err *e)
{
	struct key_p11_object o;
	uint8_t hash[DIGEST_SHA256];
	auto_buf spki = BUF_INIT(SPKI_MAX);
	pthread_mutex_lock(&k->t->lock);
	bool fresh = k->generation == use->generation;
	*ret = k->h;
	pthread_mutex_unlock(&k->t->lock);
	if (fresh)
		return CKR_OK;
	CK_RV rv = key_p11_find_one(use, &k->name, &o, e);
	if (rv == CKR_OK)
		rv = key_p11_spki(use, &o, &spki, e);
	if (rv != CKR_OK)
		return rv;
	digest_sha256(buf_span(&spki), hash);
	if (!own_equal(hash, k->spki_sha256, sizeof(hash))) {
		err_set(e, ERR_CONFLICT,
		    "token '%s' holds another key under this name now", k->t->name.token);
		return KEY_P11_REFUSED;
	}
	*ret = o.h;
	pthread_mutex_lock(&k->t->lock);
	k->h = o.h;
	k->generation = use->generation;
	pthread_mutex_unlock(&k->t->lock);
	return CKR_OK;
}

struct sign_job {
	struct p11_key *k;
	const struct key_digest *d;
	uint8_t raw[KEY_SIG_MAX];
	CK_ULONG len;
};

static CK_RV
sign_with(struct key_p11_use *use, struct sign_job *j, CK_OBJECT_HANDLE h,
    CK_MECHANISM *m, struct span what, struct err *e)
{
	j->len = sizeof(j->raw);
	CK_RV rv = use->f->C_SignInit(use->session, m, h);
	if (rv == CKR_OK)
		rv = use->f->C_Sign(use->session, (CK_BYTE_PTR)what.p, (CK_ULONG)what.len,
		    j->raw, &j->len);
	if (rv == CKR_OK && j->len <= sizeof(j->raw))
		return CKR_OK;
	return key_p11_fail(
	    e, rv ? rv : CKR_DATA_LEN_RANGE, "token '%s': signing", use->t->name.token);
}

static CK_RV
sign_pss(struct key_p11_use *use, struct sign_job *j, CK_OBJECT_HANDLE h, struct err *e)
{
	CK_RSA_PKCS_PSS_PARAMS p = {.hashAlg = hashes[j->d->hash].hash,
	    .mgf = hashes[j->d->hash].mgf,
	    .sLen = (CK_ULONG)j->d->digest.len};
	CK_MECHANISM m = {CKM_RSA_PKCS_PSS, &p, sizeof(p)};
	return sign_with(use, j, h, &m, j->d->digest, e);
}

static CK_RV
sign_pkcs1(struct key_p11_use *use, struct sign_job *j, CK_OBJECT_HANDLE h, struct err *e)
{
	auto_buf info = BUF_INIT(128);
	CK_MECHANISM m = {CKM_RSA_PKCS, NULL, 0};
	buf_put_span(&info, hashes[j->d->hash].prefix);
	buf_put_span(&info, j->d->digest);
	return sign_with(use, j, h, &m, buf_span(&info), e);
}

static CK_RV
sign_ec(struct key_p11_use *use, struct sign_job *j, CK_OBJECT_HANDLE h, struct err *e)
{
	CK_MECHANISM m = {CKM_ECDSA, NULL, 0};
	return sign_with(use, j, h, &m, j->d->digest, e);
}

static CK_RV
work_sign(struct key_p11_use *use, void *arg, struct err *e)
{
	struct sign_job *j = arg;
	CK_OBJECT_HANDLE h;
	CK_RV rv = handle_of(use, j->k, &h, e);
	if (rv != CKR_OK)
		return rv;
	if (j->k->kind != SPKI_RSA)
		return sign_ec(use, j, h, e);
	return j->d->pad == KEY_PAD_PSS ? sign_pss(use, j, h, e)
					: sign_pkcs1(use, j, h, e);
}

static int
on_sign(void *arg, const struct key_digest *d, uint8_t sig[KEY_SIG_MAX], size_t *ret_len,
    struct err *e)
{
	struct sign_job j = {.k = arg, .d = d};
	if (key_p11_do(j.k->t, KEY_P11_READ, work_sign, &j, e))
		return -1;
	if (j.k->kind != SPKI_RSA) {
		/* r and s, each as long as the order (PKCS#11 2.40, 2.3.1) */
		struct span s = span_of(j.raw, j.len), r = span_head(s, s.len / 2);
		return key_ecdsa_der(r, span_skip(s, r.len), sig, ret_len, e);
	}
	memcpy(sig, j.raw, j.len);
	*ret_len = j.len;
	return 0;
}

/* --- opening --- */

struct open_job {
	const struct key_uri_p11 *name;
	struct p11_key *k;
	struct buf spki;
};

static CK_RV
work_open(struct key_p11_use *use, void *arg, struct err *e)
{
	struct open_job *j = arg;
	struct key_p11_object o;
	buf_reset(&j->spki);
	CK_RV rv = key_p11_find_one(use, j->name, &o, e);
	if (rv == CKR_OK)
		rv = key_p11_spki(use, &o, &j->spki, e);
	if (rv != CKR_OK)
		return rv;
	j->k->generation = use->generation;
	j->k->h = o.h;
	j->k->kind = o.type == CKK_RSA ? SPKI_RSA : SPKI_EC_P256;
	j->k->exportable = o.exportable;
	memcpy(j->k->name.id, o.id, o.id_len);
	j->k->name.id_len = o.id_len;
	memcpy(j->k->name.object, o.label, sizeof(o.label));
	return CKR_OK;
}

/* The key of name in t, whose user it becomes. */
static struct key *
open_in(struct key_p11_token **t, const struct key_uri_p11 *name, struct err *e)
{
	struct open_job j = {.name = name, .spki = BUF_INIT(SPKI_MAX)};
	auto_(p11_key_free) struct p11_key *k = own_alloc(sizeof(*k));
	struct key *ret = NULL;
	k->t = TAKE(*t);
	j.k = k;
	if (key_p11_do(k->t, KEY_P11_READ, work_open, &j, e) == 0) {
		bool exportable = k->exportable;
		digest_sha256(buf_span(&j.spki), k->spki_sha256);
		ret = key_external(buf_span(&j.spki), KEY_CUSTODY_PKCS11, on_sign,
		    TAKE(k), p11_key_free, e);
		if (ret)
			ret->exportable = exportable;
	}
	buf_done(&j.spki);
	return ret;
}

static struct key *
open_key(const struct key_uri *u, key_passphrase ask, void *arg, struct err *e)
{
	auto_(key_p11_token_leave) struct key_p11_token *t = NULL;
	if (key_p11_token_get(u, ask, arg, &t, e))
		return NULL;
	return open_in(&t, &u->p11, e);
}

/* --- making --- */

struct make_job {
	const struct key_row *row;
	struct key_uri_p11 name;
};

static CK_RV
check_free(struct key_p11_use *use, const struct key_uri_p11 *name, struct err *e)
{
	struct key_p11_object o;
	size_t n;
	CK_RV rv = key_p11_find(use, name, &o, 1, &n, e);
	if (rv != CKR_OK || n == 0)
		return rv;
	err_set(e, ERR_EXISTS,
	    "token '%s' has such a key already; take another object= or id=",
	    use->t->name.token);
	return KEY_P11_REFUSED;
}

/* Rows that pairs of all kinds have: kept, named, signing, and the private half can
 * neither be read nor wrapped out. */
static CK_RV
generate(struct key_p11_use *use, const struct make_job *j, struct span ec_params,
    struct err *e)
{
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG bits = (CK_ULONG)j->row->bits;
	CK_BYTE exponent[] = {1, 0, 1};
	bool is_rsa = j->row->kind == SPKI_RSA;
	struct span label = span_str(j->name.object);
	CK_MECHANISM m = {
	    is_rsa ? CKM_RSA_PKCS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN, NULL, 0};
	CK_ATTRIBUTE pub[] = {
	    {CKA_TOKEN, &yes, sizeof(yes)}, {CKA_VERIFY, &yes, sizeof(yes)},
	    {CKA_ID, (void *)j->name.id, (CK_ULONG)j->name.id_len},
	    {CKA_LABEL, (void *)label.p, (CK_ULONG)label.len},
	    is_rsa ? (CK_ATTRIBUTE){CKA_MODULUS_BITS, &bits, sizeof(bits)}
		   : (CK_ATTRIBUTE){CKA_EC_PARAMS, (void *)ec_params.p,
			 (CK_ULONG)ec_params.len},
	    {CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent)}, /* RSA alone */
	};
	CK_ATTRIBUTE prv[] = {
	    {CKA_TOKEN, &yes, sizeof(yes)},
	    {CKA_PRIVATE, &yes, sizeof(yes)},
	    {CKA_SENSITIVE, &yes, sizeof(yes)},
	    {CKA_EXTRACTABLE, &no, sizeof(no)},
	    {CKA_SIGN, &yes, sizeof(yes)},
	    {CKA_ID, (void *)j->name.id, (CK_ULONG)j->name.id_len},
	    {CKA_LABEL, (void *)label.p, (CK_ULONG)label.len},
	};
	CK_OBJECT_HANDLE pub_h, prv_h;
	CK_RV rv = use->f->C_GenerateKeyPair(use->session, &m, pub, is_rsa ? 6 : 5, prv,
	    sizeof(prv) / sizeof(prv[0]), &pub_h, &prv_h);
	return rv == CKR_OK ? rv
			    : key_p11_fail(e, rv, "token '%s': making a %s key",
				  use->t->name.token, j->row->name);
}

static CK_RV
work_make(struct key_p11_use *use, void *arg, struct err *e)
{
	struct make_job *j = arg;
	auto_buf params = BUF_INIT(32);
	CK_RV rv = check_free(use, &j->name, e);
	if (rv != CKR_OK)
		return rv;
	if (j->row->curve.len)
		der_put_oid(&params, j->row->curve);
	if (!j->name.id_len) {
		j->name.id_len = 16;
		rand_bytes(j->name.id, j->name.id_len);
	}
	return generate(use, j, buf_span(&params), e);
}

static struct key *
create(const struct key_uri *u, enum key_alg alg, struct err *e)
{
	struct make_job j = {.row = key_row(alg), .name = u->p11};
	auto_(key_p11_token_leave) struct key_p11_token *t = NULL;
	if (!u->p11.object[0] && !u->p11.id_len) {
		err_set(
		    e, ERR_USAGE, "a new key needs a name: object= or id= in its URI");
		return NULL;
	}
	if (key_p11_token_get(u, NULL, NULL, &t, e) ||
	    key_p11_do(t, KEY_P11_WRITE, work_make, &j, e))
		return NULL;
	return open_in(&t, &j.name, e);
}

/* --- removing --- */

static CK_RV
remove_beside(struct key_p11_use *use, const struct key_p11_object *o,
    CK_OBJECT_CLASS class, struct err *e)
{
	CK_OBJECT_HANDLE h[32];
	size_t n;
	CK_RV rv = key_p11_beside(use, o, class, h, 32, &n, e);
	for (size_t i = 0; i < n && rv == CKR_OK; i++) {
		rv = use->f->C_DestroyObject(use->session, h[i]);
		if (rv != CKR_OK)
			key_p11_fail(e, rv, "token '%s': removing", use->t->name.token);
	}
	return rv;
}

/* The private key goes last: what is cut short can be found and removed again. */
static CK_RV
work_remove(struct key_p11_use *use, void *arg, struct err *e)
{
	struct key_p11_object o;
	CK_RV rv = key_p11_find_one(use, arg, &o, e);
	if (rv == CKR_OK)
		rv = remove_beside(use, &o, CKO_CERTIFICATE, e);
	if (rv == CKR_OK)
		rv = remove_beside(use, &o, CKO_PUBLIC_KEY, e);
	if (rv != CKR_OK)
		return rv;
	rv = use->f->C_DestroyObject(use->session, o.h);
	return rv == CKR_OK
		   ? rv
		   : key_p11_fail(e, rv, "token '%s': removing", use->t->name.token);
}

static int
remove_key(const struct key_uri *u, struct err *e)
{
	struct key_uri_p11 name = u->p11;
	auto_(key_p11_token_leave) struct key_p11_token *t = NULL;
	if (key_p11_token_get(u, NULL, NULL, &t, e))
		return -1;
	return key_p11_do(t, KEY_P11_WRITE, work_remove, &name, e);
}

/* --- listing --- */

struct row {
	struct key_p11_object o;
	bool has_cert;
	char alg[24];
};

struct list_job {
	const struct key_uri_p11 *name;
	struct row *rows;
	size_t n;
};

static void
name_alg(const struct key_p11_object *o, struct span spki, char out[24])
{
	struct spki shape;
	enum key_alg alg;
	if (spki.len && spki_parse(spki, &shape, NULL) == 0) {
		if (key_alg_of(&shape, &alg) == 0)
			snprintf(out, 24, "%s", key_alg_name(alg));
		else
			snprintf(out, 24, "rsa%d", shape.bits);
		return;
	}
	snprintf(out, 24, "%s",
	    o->type == CKK_RSA  ? "rsa"
	    : o->type == CKK_EC ? "ec"
				: "other");
}

static CK_RV
fill_row(struct key_p11_use *use, struct row *r, struct err *e)
{
	CK_OBJECT_HANDLE h;
	size_t n;
	auto_buf spki = BUF_INIT(SPKI_MAX);
	/* a key that is none of ours is listed all the same */
	CK_RV rv = key_p11_spki(use, &r->o, &spki, e);
	if (rv != CKR_OK && rv != KEY_P11_REFUSED)
		return rv;
	name_alg(&r->o, buf_span(&spki), r->alg);
	rv = key_p11_beside(use, &r->o, CKO_CERTIFICATE, &h, 1, &n, e);
	r->has_cert = n > 0;
	return rv;
}

static CK_RV
work_list(struct key_p11_use *use, void *arg, struct err *e)
{
	struct list_job *j = arg;
	struct key_p11_object *found =
	    own_alloc(KEY_P11_OBJECTS * sizeof(struct key_p11_object));
	CK_RV rv = key_p11_find(use, j->name, found, KEY_P11_OBJECTS, &j->n, e);
	for (size_t i = 0; i < j->n && rv == CKR_OK; i++) {
		j->rows[i].o = found[i];
		rv = fill_row(use, &j->rows[i], e);
	}
	free(found);
	return rv;
}

static int
visit_row(const struct key_uri *base, const struct key_p11_token *t, const struct row *r,
    key_visit visit, void *arg, struct err *e)
{
	auto_buf text = BUF_INIT(KEY_URI_MAX);
	struct key_uri u = *base;
	memcpy(u.p11.token, t->name.token, sizeof(u.p11.token));
	memcpy(u.p11.serial, t->name.serial, sizeof(u.p11.serial));
	u.p11.has_slot = false;
	memcpy(u.p11.object, r->o.label, sizeof(r->o.label));
	memcpy(u.p11.id, r->o.id, sizeof(r->o.id));
	u.p11.id_len = r->o.id_len;
	key_uri_write(&u, &text);
	struct key_found f = {.uri = buf_text(&text),
	    .label = r->o.label,
	    .id = span_of(r->o.id, r->o.id_len),
	    .alg = r->alg,
	    .exportable = r->o.exportable,
	    .has_cert = r->has_cert};
	return visit(arg, &f, e);
}

static int
each(const struct key_uri *u, key_visit visit, void *arg, struct err *e)
{
	auto_(key_p11_token_leave) struct key_p11_token *t = NULL;
	auto_(free) struct row *rows = own_alloc(KEY_P11_OBJECTS * sizeof(*rows));
	struct list_job j = {.name = &u->p11, .rows = rows};
	if (key_p11_token_get(u, NULL, NULL, &t, e) ||
	    key_p11_do(t, KEY_P11_READ, work_list, &j, e))
		return -1;
	for (size_t i = 0; i < j.n; i++)
		if (visit_row(u, t, &rows[i], visit, arg, e))
			return -1;
	return 0;
}

/* --- the certificate beside --- */

struct cert_job {
	const struct key_uri_p11 *name;
	const struct cert *put;
	struct buf *out;
};

static CK_RV
create_cert(struct key_p11_use *use, const struct key_p11_object *o, const struct cert *c,
    struct span serial, struct err *e)
{
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_OBJECT_CLASS class = CKO_CERTIFICATE;
	CK_CERTIFICATE_TYPE type = CKC_X_509;
	CK_OBJECT_HANDLE h;
	CK_ATTRIBUTE rows[] = {
	    {CKA_CLASS, &class, sizeof(class)},
	    {CKA_CERTIFICATE_TYPE, &type, sizeof(type)},
	    {CKA_TOKEN, &yes, sizeof(yes)},
	    {CKA_PRIVATE, &no, sizeof(no)},
	    {CKA_SUBJECT, (void *)c->subject.p, (CK_ULONG)c->subject.len},
	    {CKA_ISSUER, (void *)c->issuer.p, (CK_ULONG)c->issuer.len},
	    {CKA_SERIAL_NUMBER, (void *)serial.p, (CK_ULONG)serial.len},
	    {CKA_VALUE, (void *)c->der.p, (CK_ULONG)c->der.len},
	    {CKA_LABEL, (void *)o->label, (CK_ULONG)strlen(o->label)},
	    {CKA_ID, (void *)o->id, (CK_ULONG)o->id_len},
	};
	CK_RV rv = use->f->C_CreateObject(
	    use->session, rows, sizeof(rows) / sizeof(rows[0]), &h);
	return rv == CKR_OK ? rv
			    : key_p11_fail(e, rv, "token '%s': storing a certificate",
				  use->t->name.token);
}

/* CKA_SERIAL_NUMBER is an INTEGER in DER. */
static void
put_serial(const struct cert *c, struct buf *out)
{
	uint8_t serial[CERT_SERIAL_MAX];
	size_t len = strlen(c->serial) / 2;
	if (hex_parse(span_str(c->serial), serial, len, NULL) == 0)
		der_put_unsigned(out, span_of(serial, len));
}

static CK_RV
check_same_key(struct key_p11_use *use, const struct key_p11_object *o,
    const struct cert *c, struct err *e)
{
	auto_buf spki = BUF_INIT(SPKI_MAX);
	CK_RV rv = key_p11_spki(use, o, &spki, e);
	if (rv != CKR_OK || span_eq(buf_span(&spki), c->spki))
		return rv;
	err_set(e, ERR_CONFLICT, "the certificate is of another key");
	return KEY_P11_REFUSED;
}

/* The new one is there before the old ones go, so a cut leaves one at least. */
static CK_RV
work_cert_put(struct key_p11_use *use, void *arg, struct err *e)
{
	struct cert_job *j = arg;
	struct key_p11_object o;
	CK_OBJECT_HANDLE old[32];
	size_t n = 0;
	auto_buf serial = BUF_INIT(CERT_SERIAL_MAX + 8);
	put_serial(j->put, &serial);
	CK_RV rv = key_p11_find_one(use, j->name, &o, e);
	if (rv == CKR_OK)
		rv = check_same_key(use, &o, j->put, e);
	if (rv == CKR_OK)
		rv = key_p11_beside(use, &o, CKO_CERTIFICATE, old, 32, &n, e);
	if (rv == CKR_OK)
		rv = create_cert(use, &o, j->put, buf_span(&serial), e);
	for (size_t i = 0; i < n && rv == CKR_OK; i++) {
		rv = use->f->C_DestroyObject(use->session, old[i]);
		if (rv != CKR_OK)
			key_p11_fail(e, rv, "token '%s': removing the former certificate",
			    use->t->name.token);
	}
	return rv;
}

static int
cert_put(const struct key_uri *u, struct span der, struct err *e)
{
	auto_(cert_free) struct cert *c = cert_parse(der, e);
	auto_(key_p11_token_leave) struct key_p11_token *t = NULL;
	struct cert_job j = {.name = &u->p11, .put = c};
	if (!c || key_p11_token_get(u, NULL, NULL, &t, e))
		return -1;
	return key_p11_do(t, KEY_P11_WRITE, work_cert_put, &j, e);
}

/* Where a cut left two, the one that began later is meant. */
static CK_RV
newest_cert(struct key_p11_use *use, const CK_OBJECT_HANDLE *h, size_t n,
    struct cert **ret, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		auto_buf der = BUF_INIT(CERT_MAX);
		CK_RV rv = key_p11_attr(use, h[i], CKA_VALUE, &der, e);
		if (rv != CKR_OK)
			return rv;
		struct cert *c = cert_parse(buf_span(&der), NULL);
		if (c && *ret && (*ret)->not_before_ms >= c->not_before_ms) {
			cert_free(c);
			continue;
		}
		if (c) {
			cert_free(*ret);
			*ret = c;
		}
	}
	return CKR_OK;
}

static CK_RV
work_cert_get(struct key_p11_use *use, void *arg, struct err *e)
{
	struct cert_job *j = arg;
	struct key_p11_object o;
	CK_OBJECT_HANDLE h[32];
	size_t n = 0;
	auto_(cert_free) struct cert *c = NULL;
	buf_reset(j->out);
	CK_RV rv = key_p11_find_one(use, j->name, &o, e);
	if (rv == CKR_OK)
		rv = key_p11_beside(use, &o, CKO_CERTIFICATE, h, 32, &n, e);
	if (rv == CKR_OK)
		rv = newest_cert(use, h, n, &c, e);
	if (rv != CKR_OK)
		return rv;
	if (!c) {
		err_set(e, ERR_NOT_FOUND, "token '%s' has no certificate for this key",
		    use->t->name.token);
		return KEY_P11_REFUSED;
	}
	buf_put_span(j->out, c->der);
	return CKR_OK;
}

static int
cert_get(const struct key_uri *u, struct buf *out, struct err *e)
{
	auto_(key_p11_token_leave) struct key_p11_token *t = NULL;
	auto_buf der = BUF_INIT(CERT_MAX);
	struct cert_job j = {.name = &u->p11, .out = &der};
	if (key_p11_token_get(u, NULL, NULL, &t, e) ||
	    key_p11_do(t, KEY_P11_READ, work_cert_get, &j, e))
		return -1;
	buf_put_span(out, buf_span(&der));
	return buf_check(out, "certificate", e);
}

/* --- doctor --- */

static void
on_token(void *arg, const struct key_uri_p11 *name)
{
	key_doctor_say(arg, KEY_FINE, "", "token '%s', serial %s (%s)", name->token,
	    name->serial, name->model);
}

static void
doctor(const struct key_uri *u, struct key_doctor *d)
{
	struct err e;
	struct key_p11_module *m;
	auto_buf pin = BUF_INIT(KEY_PIN_MAX + 1024);
	if (key_p11_module_get(u->p11.module, &m, &e)) {
		key_doctor_failed(d, &e);
		return;
	}
	key_doctor_say(d, KEY_FINE, "", "module %s is loaded", m->path);
	if (key_p11_token_each(m, on_token, d, &e)) {
		key_doctor_failed(d, &e);
		return;
	}
	if (!u->secret[0])
		key_doctor_say(d, KEY_WARN, "add ?pin-source=file:/path to the URI",
		    "no PIN: a token hides its private keys without");
	else if (key_file_read(u->secret, &pin, &e))
		key_doctor_failed(d, &e);
	else
		key_doctor_say(d, KEY_FINE, "",
		    "PIN file %s: only you and root can read it", u->secret);
}

const struct key_place key_p11_place = {
    .open = open_key,
    .create = create,
    .remove = remove_key,
    .each = each,
    .cert_put = cert_put,
    .cert_get = cert_get,
    .doctor = doctor,
};
