/*
 * The profile as a table of extensions, and a few fields beside them. Extensions are
 * OpenSSL's parse, their values are read here by our own DER reader.
 */
#include "crypto/rules.h"

#include "codec/der.h"
#include "crypto/names.h"
#include "crypto/ossl.h"

struct view {
	const struct cert *c;
	enum rules_role role;
	const struct chain_options *o;
	struct span value; /* of the extension at hand */
	bool critical;
};

static bool
is_empty_name(struct span name)
{
	return name.len <= 2; /* 30 00 */
}

/* --- extensions: NULL where all is well, else what is wrong --- */

static const char *
check_basic(const struct view *v)
{
	if (v->c->is_ca && !v->critical)
		return "basic constraints are not critical"; /* 4.2.1.9 */
	return NULL;
}

static const char *
check_usage(const struct view *v)
{
	if (!v->c->is_ca && v->c->usage & CERT_KEY_CERT_SIGN)
		return "key usage of a CA in a certificate that is none"; /* 4.2.1.3 */
	return NULL;
}

static const char *
check_subject_key(const struct view *v)
{
	return v->critical ? "subject key identifier is critical" : NULL; /* 4.2.1.2 */
}

/* Issuer and serial number come together; the key identifier is there (4.2.1.1). */
static const char *
check_authority_key(const struct view *v)
{
	bool key = X509_get0_authority_key_id(v->c->x509) != NULL,
	     issuer = X509_get0_authority_issuer(v->c->x509) != NULL,
	     serial = X509_get0_authority_serial(v->c->x509) != NULL;
	if (v->critical)
		return "authority key identifier is critical";
	if (!key)
		return "authority key identifier without the identifier";
	return issuer == serial ? NULL : "authority key identifier with half a name";
}

/* A sequence of at least one (method, place); 4.2.2.1, 4.2.2.2. */
static const char *
check_access(const struct view *v)
{
	static const char malformed[] = "malformed information access";
	struct span in = v->value, list, one, oid;
	struct der_tlv place;
	if (v->critical)
		return "information access is critical";
	if (der_expect(&in, DER_SEQUENCE, &list, NULL) < 0 || in.len || !list.len)
		return malformed;
	while (list.len)
		if (der_expect(&list, DER_SEQUENCE, &one, NULL) < 0 ||
		    der_expect(&one, DER_OID, &oid, NULL) < 0 ||
		    der_next(&one, &place, NULL) < 0 || one.len || !(place.tag & 0x80))
			return malformed;
	return NULL;
}

/* Critical where it is the only name, and only there (4.2.1.6). */
static const char *
check_alt_names(const struct view *v)
{
	bool nameless = is_empty_name(v->c->subject);
	if (nameless && !v->critical)
		return "alternative names are the only ones, yet not critical";
	if (!nameless && v->critical && v->role == RULES_LEAF)
		return "alternative names are critical beside a subject";
	return names_check(v->value, RULES_NAMES_MAX, v->o->purpose == CHAIN_SERVER);
}

static const char *
check_name_constraints(const struct view *v)
{
	if (!v->c->is_ca)
		return "name constraints in a certificate that is no CA's"; /* 4.2.1.10 */
	if (!v->critical)
		return "name constraints are not critical";
	return names_check_constraints(v->value, RULES_SUBTREES_MAX);
}

static const char *
check_policy_constraints(const struct view *v)
{
	struct span in = v->value, content;
	if (!v->c->is_ca)
		return "policy constraints in a certificate that is no CA's";
	if (!v->critical && !v->o->policy) /* 4.2.1.11; RFC 3280 left it open */
		return "policy constraints are not critical";
	if (der_expect(&in, DER_SEQUENCE, &content, NULL) < 0 || in.len || !content.len)
		return "empty policy constraints";
	return NULL;
}

static const char *
check_inhibit_any(const struct view *v)
{
	if (!v->c->is_ca)
		return "inhibitAnyPolicy in a certificate that is no CA's";
	return v->critical ? NULL : "inhibitAnyPolicy is not critical"; /* 4.2.1.14 */
}

static const char *
check_mappings(const struct view *v)
{
	if (!v->c->is_ca)
		return "policy mappings in a certificate that is no CA's"; /* 4.2.1.5 */
	return NULL;
}

static const char *
check_eku(const struct view *v)
{
	if (v->role != RULES_LEAF)
		return NULL;
	if (v->c->eku & CERT_ANY_EKU && v->o->purpose != CHAIN_ANY_PURPOSE)
		return "anyExtendedKeyUsage: good for everything";
	return v->critical && v->o->strict_eku ? "extended key usage is critical" : NULL;
}

static const struct row {
	int nid;
	enum chain_reason reason;
	const char *(*check)(const struct view *v);
} rows[] = {
    {NID_basic_constraints, CHAIN_PROFILE, check_basic},
    {NID_key_usage, CHAIN_PROFILE, check_usage},
    {NID_subject_key_identifier, CHAIN_PROFILE, check_subject_key},
    {NID_authority_key_identifier, CHAIN_PROFILE, check_authority_key},
    {NID_info_access, CHAIN_PROFILE, check_access},
    {NID_sinfo_access, CHAIN_PROFILE, check_access},
    {NID_subject_alt_name, CHAIN_PROFILE, check_alt_names},
    {NID_name_constraints, CHAIN_PROFILE, check_name_constraints},
    {NID_policy_constraints, CHAIN_PROFILE, check_policy_constraints},
    {NID_inhibit_any_policy, CHAIN_PROFILE, check_inhibit_any},
    {NID_policy_mappings, CHAIN_PROFILE, check_mappings},
    {NID_ext_key_usage, CHAIN_NO_CLIENT_AUTH, check_eku},
};

static const struct row *
row_of(int nid)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].nid == nid)
			return &rows[i];
	return NULL;
}

static bool
came_before(const X509 *x, int at)
{
	const ASN1_OBJECT *o = X509_EXTENSION_get_object(X509_get_ext(x, at));
	for (int i = 0; i < at; i++)
		if (OBJ_cmp(X509_EXTENSION_get_object(X509_get_ext(x, i)), o) == 0)
			return true;
	return false;
}

static struct rules_fault
check_extension(struct view *v, int at)
{
	X509_EXTENSION *x = X509_get_ext(v->c->x509, at);
	const ASN1_OCTET_STRING *s = X509_EXTENSION_get_data(x);
	if (came_before(v->c->x509, at)) /* 4.2 */
		return (struct rules_fault){CHAIN_PROFILE, "an extension twice"};
	const struct row *r = row_of(OBJ_obj2nid(X509_EXTENSION_get_object(x)));
	if (!r)
		return (struct rules_fault){CHAIN_OK, NULL};
	v->value = span_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
	v->critical = X509_EXTENSION_get_critical(x);
	return (struct rules_fault){r->reason, r->check(v)};
}

/* --- the key --- */

#define OID_RSA      SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01")
#define OID_EC       SPAN_LIT("\x2a\x86\x48\xce\x3d\x02\x01")
#define OID_ED25519  SPAN_LIT("\x2b\x65\x70")
#define OID_ED448    SPAN_LIT("\x2b\x65\x71")
#define RSA_BITS_MAX 8192 /* verifying with more costs milliseconds */

/* namedCurve of P-256, P-384 and P-521 (RFC 5480 2.1.1.1); never explicit parameters,
 * with which somebody made his own curve (CVE-2020-0601). */
static bool
is_known_curve(struct span params)
{
	return span_eq(params, SPAN_LIT("\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07")) ||
	       span_eq(params, SPAN_LIT("\x06\x05\x2b\x81\x04\x00\x22")) ||
	       span_eq(params, SPAN_LIT("\x06\x05\x2b\x81\x04\x00\x23"));
}

static const char *
check_rsa(EVP_PKEY *pub)
{
	int bits = EVP_PKEY_get_bits(pub);
	if (bits < 2048)
		return "weak key: RSA below 2048 bits";
	if (bits > RSA_BITS_MAX)
		return "RSA key over 8192 bits";
	return bits % 8 ? "RSA key not of whole bytes" : NULL;
}

struct rules_fault
rules_key(const struct cert *c)
{
	static const struct rules_fault fine = {CHAIN_OK, NULL};
	struct span in = c->spki, spki, alg, oid;
	EVP_PKEY *pub = X509_get0_pubkey(c->x509);
	if (!pub || der_expect(&in, DER_SEQUENCE, &spki, NULL) < 0 ||
	    der_expect(&spki, DER_SEQUENCE, &alg, NULL) < 0 ||
	    der_expect(&alg, DER_OID, &oid, NULL) < 0)
		return (struct rules_fault){CHAIN_MALFORMED, "its key cannot be read"};
	if (span_eq(oid, OID_EC) && is_known_curve(alg))
		return fine;
	if (span_eq(oid, OID_RSA))
		return (struct rules_fault){CHAIN_WEAK, check_rsa(pub)};
	if (span_eq(oid, OID_ED25519) || span_eq(oid, OID_ED448))
		return fine;
	return (struct rules_fault){CHAIN_WEAK, "weak key: of a kind not taken here"};
}

/* --- the rest --- */

static struct rules_fault
check_fields(const struct view *v)
{
	const struct cert *c = v->c;
	if (!c->serial_ok) /* 4.1.2.2 */
		return (struct rules_fault){
		    CHAIN_MALFORMED, "serial number is not positive"};
	if (is_empty_name(c->issuer)) /* 4.1.2.4 */
		return (struct rules_fault){CHAIN_PROFILE, "the issuer has no name"};
	if (X509_get_ext_count(c->x509) > RULES_EXTENSIONS_MAX)
		return (struct rules_fault){CHAIN_PROFILE, "too many extensions"};
	return rules_key(c);
}

static struct rules_fault
check_ca(const struct view *v)
{
	const struct cert *c = v->c;
	if (!c->is_ca || (c->has_usage && !(c->usage & CERT_KEY_CERT_SIGN)))
		return (struct rules_fault){
		    CHAIN_NOT_A_CA, "it may not sign certificates"};
	if (is_empty_name(c->subject)) /* 4.1.2.6 */
		return (struct rules_fault){CHAIN_PROFILE, "a CA without a name"};
	/* 4.2.1.1, 4.2.1.2; a root's own is its subject's */
	if (v->role == RULES_CA && !c->self_signed && (!c->ski.len || !c->aki.len))
		return (struct rules_fault){
		    CHAIN_PROFILE, "an intermediate CA without key identifiers"};
	return (struct rules_fault){CHAIN_OK, NULL};
}

/* What it may be used for. */
static struct rules_fault
check_leaf(const struct view *v)
{
	const unsigned signs = CERT_DIGITAL_SIGNATURE | CERT_KEY_AGREEMENT;
	const struct cert *c = v->c;
	if (c->is_ca && v->o->purpose != CHAIN_ANY_PURPOSE)
		return (struct rules_fault){
		    CHAIN_CA_AS_LEAF, "a CA certificate is no device's"};
	if (v->o->purpose != CHAIN_CLIENT)
		return (struct rules_fault){CHAIN_OK, NULL};
	if (v->o->strict_eku && !c->has_eku)
		return (struct rules_fault){
		    CHAIN_NO_CLIENT_AUTH, "no extended key usage"};
	if (c->has_eku && !(c->eku & CERT_CLIENT_AUTH))
		return (struct rules_fault){
		    CHAIN_NO_CLIENT_AUTH, "extended key usage lacks clientAuth"};
	if (c->has_usage && !(c->usage & signs))
		return (struct rules_fault){
		    CHAIN_NO_CLIENT_AUTH, "key usage lacks digitalSignature"};
	return (struct rules_fault){CHAIN_OK, NULL};
}

/* A root's authority key identifier, where it has one, means the root itself. */
static bool
names_itself(const struct cert *c)
{
	if (!span_eq(c->subject, c->issuer) ||
	    X509_verify(c->x509, X509_get0_pubkey(c->x509)) != 1)
		return true;
	AUTHORITY_KEYID *id =
	    X509_get_ext_d2i(c->x509, NID_authority_key_identifier, NULL, NULL);
	bool fits = !id || X509_check_akid(c->x509, id) == X509_V_OK;
	AUTHORITY_KEYID_free(id);
	return fits;
}

struct rules_fault
rules_check(const struct cert *c, enum rules_role role, const struct chain_options *o)
{
	struct view v = {.c = c, .role = role, .o = o};
	struct rules_fault f = check_fields(&v);
	if (!f.text)
		f = role == RULES_LEAF ? check_leaf(&v) : check_ca(&v);
	for (int i = 0, n = X509_get_ext_count(c->x509); i < n && !f.text; i++)
		f = check_extension(&v, i);
	if (!f.text && role == RULES_ANCHOR && !names_itself(c))
		f = (struct rules_fault){
		    CHAIN_PROFILE, "a root whose authority key identifier is another's"};
	ERR_clear_error();
	return f;
}
