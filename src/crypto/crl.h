#ifndef CRYPTO_CRL_H
#define CRYPTO_CRL_H
/*
 * Certificate revocation lists (RFC 5280 5) as bytes: built from fields and signed by an
 * issuer, read back, verified, and held against the place they are to be published at.
 * When to build which list, and where it goes, is decided elsewhere.
 */
#include "crypto/issuer.h"

enum crl_reason { /* RFC 5280 5.3.1; 7 is not used */
	CRL_UNSPECIFIED = 0,
	CRL_KEY_COMPROMISE = 1,
	CRL_CA_COMPROMISE = 2,
	CRL_AFFILIATION_CHANGED = 3,
	CRL_SUPERSEDED = 4,
	CRL_CESSATION = 5,
	CRL_HOLD = 6,
	CRL_REMOVE = 8, /* removeFromCRL: in a delta, for what was on hold or expired */
	CRL_PRIVILEGE_WITHDRAWN = 9,
	CRL_AA_COMPROMISE = 10,
	CRL_REASON_N
};
/* RFC 5280's word ("keyCompromise"); NULL where reason is none. */
const char *crl_reason_name(unsigned reason);
/* The reason of that name, case folded. ERR_PARSE names those there are. */
must_check int crl_reason_parse(struct span name, enum crl_reason *ret, struct err *e);

/* --- entries --- */

#define CRL_SERIAL_MAX  20
#define CRL_ENTRIES_MAX 1000000
#define CRL_MAX         (64u << 20) /* room for that many */

struct crl_entry {
	uint8_t serial[CRL_SERIAL_MAX]; /* magnitude, its first serial_len octets */
	uint8_t serial_len;             /* 1 to 20; the first octet is not zero */
	uint8_t reason;                 /* enum crl_reason */
	int64_t at_ms;                  /* written to the second */
};

/* Fills e from a serial number's octets, leading zeros dropped. ERR_PARSE on none, zero,
 * or more than 20 octets. */
must_check int crl_entry_set(struct crl_entry *ret, struct span serial, unsigned reason,
    int64_t at_ms, struct err *e);
/* By serial number as a number: the order a list must have. For qsort. */
int crl_entry_cmp(const void *a, const void *b);

/* The packed form for IPC: length, serial, reason, at_ms; 26 octets for a serial number
 * of 16. */
#define CRL_PACKED_MAX (10 + CRL_SERIAL_MAX)
void crl_entry_pack(const struct crl_entry *en, struct buf *out);
/* Takes the first entry off *in. ERR_PARSE on a serial or reason that is none. */
must_check int crl_entry_unpack(struct span *in, struct crl_entry *ret, struct err *e);

/* Which of n shards a certificate belongs to: by the last octets of its serial, which are
 * random, so that doubling n splits every shard in two. n: 1 to 65536. */
unsigned crl_shard(struct span serial, unsigned n);

/* --- building --- */

struct crl_fields {
	uint64_t number; /* larger than that of any list issued for the same place */
	/* 0: a full list. Else a delta to the full list of that number (5.2.4): number is
	 * then that of the full list issued with it, and url and only_user are the same
	 * as the full list's. */
	uint64_t base;
	int64_t this_ms, next_ms;
	const char *url; /* exactly the URL in the certificates' CRLDistributionPoints;
			  * NULL: the list is of everything the issuer issued */
	bool only_user;  /* onlyContainsUserCerts */
	const char *freshest; /* where deltas are (5.2.6); NULL: none; full lists only */
	const struct crl_entry *entries; /* ascending by serial, each once */
	size_t n;
};

/* Appends the signed list's DER; out needs room for about 50 octets an entry. ERR_USAGE
 * on fields that contradict each other: entries out of order or twice, CRL_REMOVE in a
 * full list, a nextUpdate that is not after thisUpdate, a base that is not before number.
 * ERR_DENIED where the issuer may not sign lists or is not valid at this_ms. */
must_check int crl_build(
    struct issuer *i, const struct crl_fields *f, struct buf *out, struct err *e);

/* --- reading --- */

struct crl {
	struct span der, tbs, sig_alg, sig; /* into what was parsed, as all spans here */
	struct span issuer;                 /* Name DER */
	struct span aki;                    /* SPAN_NONE: absent */
	bool has_number;
	uint64_t number, base; /* base 0: a full list */
	int64_t this_ms, next_ms;
	struct span url; /* of the IssuingDistributionPoint; SPAN_NONE: absent */
	bool only_user, only_ca;
	struct span entries; /* for crl_next */
	size_t n;
};

/* One list and nothing behind it; every entry is checked here, once. Borrows der.
 * ERR_UNSUPPORTED on what muster cannot honour: an indirect list, one of some reasons
 * only, of attribute certificates, another critical extension, a number of more than 64
 * bits. ERR_PARSE on any other shape, a list without nextUpdate, version 1. */
must_check int crl_parse(struct span der, struct crl *ret, struct err *e);
/* The next entry off *rest, which began as a copy of a parsed list's entries; false at
 * the end. */
bool crl_next(struct span *rest, struct crl_entry *ret);
/* True and *ret where the list has that serial number. Walks the list. */
bool crl_find(const struct crl *c, struct span serial, struct crl_entry *ret);

/* Was it signed by ca's key, and may ca sign lists (6.3.3 (f): a key usage that is there
 * must say so)? ERR_CRYPTO, ERR_DENIED. */
must_check int crl_verify(const struct crl *c, const struct cert *ca, struct err *e);
/* Is it the list of the place url (a delta names that of its full list), after the one
 * numbered newer_than (0: none yet)? ERR_CONFLICT says what does not fit: issuer, key
 * identifier, place, number. The signature is crl_verify's. */
must_check int crl_fits(const struct crl *c, const struct cert *ca, const char *url,
    uint64_t newer_than, struct err *e);

#endif
