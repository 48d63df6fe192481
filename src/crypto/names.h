#ifndef CRYPTO_NAMES_H
#define CRYPTO_NAMES_H
/*
 * GeneralNames (RFC 5280 4.2.1.6) and name constraints (4.2.1.10) as bytes: are they of
 * the shape their types have? Whether a name lies inside a constraint is OpenSSL's.
 */
#include "base/span.h"

/* value of a subject alternative name: 1 to max names. NULL when it is well-formed, else
 * what is wrong, a static text. hosts: DNS names are of hosts (RFC 1034 3.5); else they
 * may hold the underscores that device IDs have. */
const char *names_check(struct span value, size_t max, bool hosts);

/* value of a NameConstraints: permitted, excluded or both, 1 to max subtrees in all. */
const char *names_check_constraints(struct span value, size_t max);

/* Does a wildcard among the names stand for a host that the constraints exclude? OpenSSL
 * takes "*" for a label of its own (CVE-2025-61727 was Go's of that kind). Both are of
 * the shapes above. */
bool names_wildcard_excluded(struct span names, struct span constraints);

#endif
