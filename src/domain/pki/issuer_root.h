#ifndef DOMAIN_ISSUER_ROOT_H
#define DOMAIN_ISSUER_ROOT_H
/*
 * Which root a CA stands under, of those the signer named.
 */
#include "domain/pki/issuer.h"
#include "store/pki.h"

/* The root whose key signed ca's certificate, in d->arena; *ret_found false where it is
 * none of ours (sha256 is "" then). */
must_check int issuer_root_of(struct domain *d, const struct store_issuer *ca,
    struct store_issuer *ret, bool *ret_found, struct err *e);
/* Is a CA that is trusted still under that root? but: the SHA-256 of one that does not
 * count. */
must_check int issuer_root_is_needed(struct domain *d, const struct store_issuer *root,
    const char *but, bool *ret, struct err *e);
/* Whether a trusted cross certificate leads from one root to the key of another: who
 * knows `from` alone reaches what `to` signed (RFC 4210 4.4). */
must_check int issuer_root_is_crossed(struct domain *d, const struct store_issuer *from,
    const struct store_issuer *to, bool *ret, struct err *e);

#endif
