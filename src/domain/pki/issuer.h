#ifndef DOMAIN_ISSUER_H
#define DOMAIN_ISSUER_H
/*
 * The CAs and what the hub does with each. The signer says which there are (names,
 * certificates, keys); their states are kept here, in the store, and outlive the signer:
 *
 *	standby		known, nothing more
 *	trusted		chains may end there; it issues nothing
 *	active		issues; exactly one a purpose (device, service)
 *	retiring	as trusted; it issued, and its CRLs and OCSP answers go on
 *	retired		no longer trusted; CRLs and OCSP answers go on
 *	revoked		refused everywhere, for ever
 *
 * Lookups are answered from a book in memory, which the process loads anew after each
 * durable change (struct domain.issuers).
 */
#include "codec/ca_conf.h"
#include "domain/domain.h"

enum issuer_state {
	ISSUER_STANDBY,
	ISSUER_TRUSTED,
	ISSUER_ACTIVE,
	ISSUER_RETIRING,
	ISSUER_RETIRED,
	ISSUER_REVOKED,
	ISSUER_STATE_N
};
const char *issuer_state_name(enum issuer_state s);
must_check int issuer_state_parse(
    struct span name, enum issuer_state *ret, struct err *e);
/* May chains end there, or (roots, cross certificates) go through there? */
bool issuer_is_trusted(enum issuer_state s);

struct issuer_entry {
	char name[CA_CONF_NAME_MAX + 1];
	enum ca_purpose purpose;
	enum issuer_state state;
	uint8_t sha256[32];
	char hex[65]; /* the same, as the store has it */
};

#define ISSUER_MAX 256 /* the signer's CAs of now and before */
struct issuer_book {
	struct issuer_entry v[ISSUER_MAX];
	size_t n; /* 0: the signer has not named any yet */
};

/* What the store holds. */
must_check int issuer_load(struct domain *d, struct issuer_book *ret, struct err *e);

/* From the book: the CA of that certificate (SHA-256, 32 bytes), or NULL. */
const struct issuer_entry *issuer_find(const struct domain *d, struct span sha256);
/* The one that issues for a purpose. UNAVAILABLE where the signer has named no CA yet or
 * none of the purpose is active. */
must_check int issuer_active(const struct domain *d, enum ca_purpose purpose,
    const struct issuer_entry **ret, struct err *e);
/* Is it a CA of servers and operators, in whatever state? */
bool issuer_is_service(const struct domain *d, struct span sha256);
/* Have the CAs been named? Before that no chain can be judged. */
bool issuer_is_ready(const struct domain *d);

/* Writes what the signer told to the store: adds new ones, brings custody up to date (""
 * of one that was not told: its key is not here), forgets none. Of a fresh store the
 * roots and cross certificates become trusted and the first CA of each issuing purpose
 * active; later ones begin as standby, cross certificates as trusted. CONFLICT when a
 * name stands for another certificate now, or there are over ISSUER_MAX. */
must_check int issuer_sync(
    struct domain *d, const struct ipc_signer_ca *rows, size_t n, struct err *e);

/* A change of state, checked: the successors of each state are a table (issuer.c). To
 * make one active moves the one that was to retiring. GATE where it would take away what
 * is in use (retiring or revoking the only issuer, retiring a CA with certificates that
 * devices used last, revoking the only trusted root); force passes that, but nothing
 * passes the table (CONFLICT). reason: RFC 5280 5.3.1, of revoked. */
struct issuer_change {
	struct span name;
	enum issuer_state state;
	int reason;
	bool force;
};
must_check int issuer_put_state(
    struct domain *d, const struct issuer_change *ch, struct err *e);

#endif
