/*
 * Objects of a token: private keys, and what stands beside them under the same CKA_ID.
 */
#include "codec/der.h"
#include "crypto/cert.h"
#include "crypto/key_p11_impl.h"

#define ATTR_MAX CERT_MAX

/* --- attributes --- */

CK_RV
key_p11_attr(struct key_p11_use *use, CK_OBJECT_HANDLE h, CK_ATTRIBUTE_TYPE type,
    struct buf *out, struct err *e)
{
	CK_ATTRIBUTE a = {type, NULL, 0};
	CK_RV rv = use->f->C_GetAttributeValue(use->session, h, &a, 1);
	if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_ATTRIBUTE_SENSITIVE)
		return CKR_OK;
	if (rv != CKR_OK || a.ulValueLen > ATTR_MAX)
		return key_p11_fail(
		    e, rv ? rv : CKR_DATA_LEN_RANGE, "attribute 0x%lx", type);
	if (a.ulValueLen == 0)
		return CKR_OK;
	a.pValue = buf_room(out, a.ulValueLen);
	if (!a.pValue)
		return key_p11_fail(e, CKR_DATA_LEN_RANGE, "attribute 0x%lx", type);
	rv = use->f->C_GetAttributeValue(use->session, h, &a, 1);
	if (rv != CKR_OK)
		return key_p11_fail(e, rv, "attribute 0x%lx", type);
	buf_grew(out, a.ulValueLen);
	return CKR_OK;
}

static CK_RV
get_flag(struct key_p11_use *use, CK_OBJECT_HANDLE h, CK_ATTRIBUTE_TYPE type, bool absent,
    bool *ret, struct err *e)
{
	auto_buf b = BUF_INIT(ATTR_MAX);
	CK_RV rv = key_p11_attr(use, h, type, &b, e);
	*ret = b.len ? b.p[0] != CK_FALSE : absent;
	return rv;
}

static CK_RV
get_id(struct key_p11_use *use, struct key_p11_object *o, struct err *e)
{
	auto_buf id = BUF_INIT(ATTR_MAX), label = BUF_INIT(ATTR_MAX);
	CK_RV rv = key_p11_attr(use, o->h, CKA_ID, &id, e);
	if (rv == CKR_OK)
		rv = key_p11_attr(use, o->h, CKA_LABEL, &label, e);
	/* what is longer than a URI may say can still be found by the other */
	if (id.len && id.len <= sizeof(o->id)) {
		memcpy(o->id, id.p, id.len);
		o->id_len = id.len;
	}
	span_to_str(buf_span(&label), o->label, sizeof(o->label));
	return rv;
}

/* Whether it can leave the token: wrapped, or read in the clear (PKCS#11 2.40, 4.4). A
 * token that does not say is taken at its worst. */
static CK_RV
get_exportable(struct key_p11_use *use, struct key_p11_object *o, struct err *e)
{
	bool sensitive, extractable;
	CK_RV rv = get_flag(use, o->h, CKA_SENSITIVE, false, &sensitive, e);
	if (rv == CKR_OK)
		rv = get_flag(use, o->h, CKA_EXTRACTABLE, true, &extractable, e);
	o->exportable = rv != CKR_OK || extractable || !sensitive;
	return rv;
}

static CK_RV
describe(struct key_p11_use *use, CK_OBJECT_HANDLE h, struct key_p11_object *ret,
    struct err *e)
{
	struct key_p11_object o = {.h = h};
	auto_buf type = BUF_INIT(ATTR_MAX);
	CK_RV rv = key_p11_attr(use, h, CKA_KEY_TYPE, &type, e);
	if (rv == CKR_OK)
		rv = get_id(use, &o, e);
	if (rv == CKR_OK)
		rv = get_exportable(use, &o, e);
	if (type.len == sizeof(o.type))
		memcpy(&o.type, type.p, sizeof(o.type));
	if (rv == CKR_OK)
		*ret = o;
	return rv;
}

/* --- finding --- */

static CK_RV
find_handles(struct key_p11_use *use, CK_ATTRIBUTE *want, CK_ULONG n_want,
    CK_OBJECT_HANDLE *ret, size_t max, size_t *ret_n, struct err *e)
{
	CK_ULONG n = 0;
	CK_RV rv = use->f->C_FindObjectsInit(use->session, want, n_want);
	if (rv != CKR_OK)
		return key_p11_fail(e, rv, "search on token '%s'", use->t->name.token);
	for (*ret_n = 0; *ret_n < max; *ret_n += n) {
		rv = use->f->C_FindObjects(
		    use->session, ret + *ret_n, (CK_ULONG)(max - *ret_n), &n);
		if (rv != CKR_OK || n == 0)
			break;
	}
	use->f->C_FindObjectsFinal(use->session);
	return rv == CKR_OK
		   ? rv
		   : key_p11_fail(e, rv, "search on token '%s'", use->t->name.token);
}

/* Rows for class and, where they are not empty, ID and label. */
static CK_ULONG
want_rows(CK_ATTRIBUTE rows[4], CK_OBJECT_CLASS *class, struct span id, const char *label)
{
	static CK_BBOOL yes = CK_TRUE;
	CK_ULONG n = 0;
	rows[n++] = (CK_ATTRIBUTE){CKA_CLASS, class, sizeof(*class)};
	rows[n++] = (CK_ATTRIBUTE){CKA_TOKEN, &yes, sizeof(yes)};
	if (id.len)
		rows[n++] = (CK_ATTRIBUTE){CKA_ID, (void *)id.p, (CK_ULONG)id.len};
	if (label[0])
		rows[n++] =
		    (CK_ATTRIBUTE){CKA_LABEL, (void *)label, (CK_ULONG)strlen(label)};
	return n;
}

CK_RV
key_p11_find(struct key_p11_use *use, const struct key_uri_p11 *u,
    struct key_p11_object *ret, size_t max, size_t *ret_n, struct err *e)
{
	CK_OBJECT_HANDLE h[KEY_P11_OBJECTS];
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE rows[4];
	size_t n = 0;
	CK_ULONG n_rows = want_rows(rows, &class, span_of(u->id, u->id_len), u->object);
	CK_RV rv = find_handles(
	    use, rows, n_rows, h, max < KEY_P11_OBJECTS ? max : KEY_P11_OBJECTS, &n, e);
	for (size_t i = 0; i < n && rv == CKR_OK; i++)
		rv = describe(use, h[i], &ret[i], e);
	*ret_n = n;
	return rv;
}

CK_RV
key_p11_find_one(struct key_p11_use *use, const struct key_uri_p11 *u,
    struct key_p11_object *ret, struct err *e)
{
	struct key_p11_object found[2];
	size_t n;
	CK_RV rv = key_p11_find(use, u, found, 2, &n, e);
	if (rv != CKR_OK)
		return rv;
	if (n == 1) {
		*ret = found[0];
		return CKR_OK;
	}
	if (n > 1)
		err_set(e, ERR_CONFLICT,
		    "token '%s': several keys match; name one by id= and object=",
		    use->t->name.token);
	else if (use->t->logged_in)
		err_set(e, ERR_NOT_FOUND,
		    "token '%s' has no such key; muster key list shows what it has",
		    use->t->name.token);
	else
		err_set(e, ERR_NOT_FOUND,
		    "token '%s' shows no such key; without a PIN it hides private keys: "
		    "add ?pin-source=file:/path",
		    use->t->name.token);
	return KEY_P11_REFUSED;
}

CK_RV
key_p11_beside(struct key_p11_use *use, const struct key_p11_object *o,
    CK_OBJECT_CLASS class, CK_OBJECT_HANDLE *ret, size_t max, size_t *ret_n,
    struct err *e)
{
	CK_ATTRIBUTE rows[4];
	CK_ULONG n =
	    want_rows(rows, &class, span_of(o->id, o->id_len), o->id_len ? "" : o->label);
	*ret_n = 0;
	if (!o->id_len && !o->label[0])
		return CKR_OK; /* nothing ties another object to it */
	return find_handles(use, rows, n, ret, max, ret_n, e);
}

/* --- the public half --- */

static int
put_rsa(struct key_p11_use *use, CK_OBJECT_HANDLE h, struct buf *out, CK_RV *rv,
    struct err *e)
{
	auto_buf n = BUF_INIT(ATTR_MAX), exp = BUF_INIT(ATTR_MAX);
	*rv = key_p11_attr(use, h, CKA_MODULUS, &n, e);
	if (*rv == CKR_OK)
		*rv = key_p11_attr(use, h, CKA_PUBLIC_EXPONENT, &exp, e);
	if (*rv != CKR_OK || !n.len || !exp.len)
		return -1;
	key_put_rsa_spki(out, buf_span(&n), buf_span(&exp));
	return 0;
}

/* CKA_EC_PARAMS is the curve's OID in DER (PKCS#11 2.40 current mechanisms, 2.3.3). */
static const struct key_row *
curve_of(struct span params)
{
	struct span oid;
	if (der_expect(&params, DER_OID, &oid, NULL) || params.len)
		return NULL;
	for (int i = 0; i < KEY_ALG_N; i++) {
		const struct key_row *row = key_row((enum key_alg)i);
		if (row->curve.len && span_eq(row->curve, oid))
			return row;
	}
	return NULL;
}

/* CKA_EC_POINT is an OCTET STRING in DER; some tokens give the bare point. */
static struct span
point_of(struct span raw, const struct key_row *row)
{
	struct span in = raw, point;
	if (raw.len == 1 + 2 * KEY_SCALAR_LEN(row) && raw.p[0] == 4)
		return raw;
	return der_expect(&in, DER_OCTET_STRING, &point, NULL) || in.len ? SPAN_NONE
									 : point;
}

static int
put_ec(struct key_p11_use *use, CK_OBJECT_HANDLE h, struct buf *out, CK_RV *rv,
    struct err *e)
{
	auto_buf params = BUF_INIT(ATTR_MAX), raw = BUF_INIT(ATTR_MAX);
	*rv = key_p11_attr(use, h, CKA_EC_PARAMS, &params, e);
	if (*rv == CKR_OK)
		*rv = key_p11_attr(use, h, CKA_EC_POINT, &raw, e);
	const struct key_row *row = curve_of(buf_span(&params));
	if (*rv != CKR_OK || !row)
		return -1;
	struct span point = point_of(buf_span(&raw), row);
	if (!point.len)
		return -1;
	key_put_ec_spki(out, row, point);
	return 0;
}

static int
put_cert_spki(struct key_p11_use *use, CK_OBJECT_HANDLE h, struct buf *out, CK_RV *rv,
    struct err *e)
{
	auto_buf der = BUF_INIT(CERT_MAX);
	*rv = key_p11_attr(use, h, CKA_VALUE, &der, e);
	auto_(cert_free) struct cert *c =
	    *rv == CKR_OK ? cert_parse(buf_span(&der), NULL) : NULL;
	if (!c)
		return -1;
	buf_put_span(out, c->spki);
	return 0;
}

/* From the first object of the class that gives it. */
static bool
spki_of(struct key_p11_use *use, const struct key_p11_object *o, CK_OBJECT_CLASS class,
    struct buf *out, CK_RV *rv, struct err *e)
{
	CK_OBJECT_HANDLE h[8];
	size_t n;
	int (*put)(struct key_p11_use *, CK_OBJECT_HANDLE, struct buf *, CK_RV *,
	    struct err *) = class == CKO_CERTIFICATE ? put_cert_spki
			    : o->type == CKK_RSA     ? put_rsa
						     : put_ec;
	*rv = key_p11_beside(use, o, class, h, 8, &n, e);
	for (size_t i = 0; i < n && *rv == CKR_OK; i++)
		if (put(use, h[i], out, rv, e) == 0)
			return true;
	return false;
}

CK_RV
key_p11_spki(struct key_p11_use *use, const struct key_p11_object *o, struct buf *out,
    struct err *e)
{
	CK_RV rv = CKR_OK;
	if (o->type != CKK_RSA && o->type != CKK_EC) {
		err_set(e, ERR_UNSUPPORTED, "key '%s' is neither RSA nor EC", o->label);
		return KEY_P11_REFUSED;
	}
	if (spki_of(use, o, CKO_PUBLIC_KEY, out, &rv, e) ||
	    (rv == CKR_OK && spki_of(use, o, CKO_CERTIFICATE, out, &rv, e)))
		return CKR_OK;
	if (rv != CKR_OK)
		return rv;
	err_set(e, ERR_UNSUPPORTED,
	    "key '%s' of token '%s': no public key or certificate of ours (P-256, P-384, "
	    "RSA) has the same ID; put its certificate on the token",
	    o->label, use->t->name.token);
	return KEY_P11_REFUSED;
}
