#ifndef CRYPTO_CERT_H
#define CRYPTO_CERT_H
/*
 * One parsed certificate as a plain struct. Parsing costs 120 us in OpenSSL 3.0, so parse
 * once and know identities by thumbprint. Immutable and reference counted.
 */
#include "crypto/name.h"
#include "crypto/pubkey.h"

struct x509_st; /* OpenSSL's X509 */

#define CERT_MAX        16384        /* one certificate, DER */
#define CERT_PEM_MAX    (256 * 1024) /* a file of them */
#define CERT_LIST_MAX   40
#define CERT_SERIAL_MAX 20 /* octets, RFC 5280 4.1.2.2 */

enum cert_usage { /* RFC 5280 4.2.1.3 */
	CERT_DIGITAL_SIGNATURE = 1 << 0,
	CERT_KEY_ENCIPHERMENT = 1 << 1,
	CERT_KEY_CERT_SIGN = 1 << 2,
	CERT_CRL_SIGN = 1 << 3,
	CERT_KEY_AGREEMENT = 1 << 4,
	CERT_OTHER_USAGE = 1 << 5,
};
enum cert_eku { /* RFC 5280 4.2.1.12 */
	CERT_CLIENT_AUTH = 1 << 0,
	CERT_SERVER_AUTH = 1 << 1,
	CERT_OCSP_SIGNING = 1 << 2,
	CERT_ANY_EKU = 1 << 3,
	CERT_OTHER_EKU = 1 << 4,
};

struct cert {
	struct x509_st *x509; /* owned */
	struct span der;      /* owned; the spans below point into it or into x509 */
	struct span subject;  /* Name DER */
	struct span issuer;
	char cn[NAME_CN_SIZE]; /* "" unless the subject has exactly one acceptable */
	char serial[2 * CERT_SERIAL_MAX +
		    1]; /* upper-case hex as Azure shows it, no leading 00 */
	bool serial_ok; /* positive (RFC 5280 4.1.2.2) */
	int version;    /* 1 or 3 */
	int64_t not_before_ms, not_after_ms;
	uint8_t sha1[DIGEST_SHA1], sha256[DIGEST_SHA256]; /* thumbprints: over the DER */
	uint8_t key_sha256[DIGEST_SHA256];                /* over the SPKI */
	struct span spki;                                 /* DER, into der */
	struct span ski, aki;       /* key identifiers, SPAN_NONE where absent */
	char key_name[PUBKEY_NAME]; /* "P-256", "RSA-2048", "Ed25519" */
	bool is_ca;
	int pathlen; /* -1: no limit */
	bool has_usage, has_eku;
	unsigned usage;   /* enum cert_usage */
	unsigned eku;     /* enum cert_eku */
	bool self_signed; /* issuer = subject and the signature verifies under its own key
			   */
};

/* Exactly one certificate as DER, nothing behind it. */
must_check struct cert *cert_parse(struct span der, struct err *e);
/* The same of an X509 that OpenSSL has parsed already (a TLS peer's); takes a reference.
 */
must_check struct cert *cert_of_x509(struct x509_st *x, struct err *e);
struct cert *cert_ref(struct cert *c);
void cert_free(struct cert *c);
own_define(struct cert, cert_free);

/* A list, leaf first where it is a chain. */
struct cert_list {
	struct cert *v[CERT_LIST_MAX];
	size_t n;
};

/* Every CERTIFICATE block of a PEM text; other blocks are refused (a private key in a
 * chain file is a leak), none at all is ERR_PARSE. what names the source in errors. On
 * failure list is empty. */
must_check int cert_list_parse(
    struct span pem, const char *what, struct cert_list *ret, struct err *e);
void cert_list_done(struct cert_list *l);
/* Takes over one reference of c. ERR_LIMIT (and c freed) at CERT_LIST_MAX. */
must_check int cert_list_add(struct cert_list *l, struct cert *c, struct err *e);
#define auto_cert_list __attribute__((cleanup(cert_list_done))) struct cert_list

void cert_write_pem(struct span der, struct buf *out);
/* Whole days until notAfter, negative when past. */
int64_t cert_days_left(const struct cert *c, int64_t now_ms);
bool cert_valid_at(const struct cert *c, int64_t now_ms);

/* Names ca as its issuer, which may sign certificates, and the signature verifies. PARSE:
 * says what of it does not hold. */
must_check int cert_check_signed_by(
    const struct cert *c, const struct cert *ca, struct err *e);

/* One line for people: CN=dev-17, O=Example (serial 7A..., until 2027-01-01). */
void cert_line(const struct cert *c, struct buf *out);

/* The members of `info` (protocol/service.md 1.5) as texts. */
struct cert_info {
	char subject[NAME_TEXT_MAX], issuer[NAME_TEXT_MAX];
	char sha1[2 * DIGEST_SHA1 + 1],
	    sha256[2 * DIGEST_SHA256 + 1];  /* upper-case hex */
	char not_before[32], not_after[32]; /* 2026-01-01T00:00:00Z */
	const char *serial;                 /* into the cert */
	int version;
};
void cert_info(const struct cert *c, struct cert_info *ret);

#endif
