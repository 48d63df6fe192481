#ifndef DOMAIN_TOKEN_H
#define DOMAIN_TOKEN_H
/*
 * Judging a SAS token that the edge has split: expiry, resource, signature. Which keys
 * may sign is the caller's rule.
 */
#include "domain/domain.h"

/* Expired: se + the configured skew is past (protocol/device.md 3.3). */
bool token_is_expired(const struct domain *d, const struct ipc_cred *cred);
/* The one of two raw keys that made the signature, found in constant time, or SPAN_NONE;
 * an empty key never matches. */
struct span token_key(
    const struct ipc_cred *cred, struct span primary, struct span secondary);
bool token_is_signed(
    const struct ipc_cred *cred, struct span primary, struct span secondary);
/* True where the token's resource, compared without case, is "resource", give or take
 * what tools append ("/api-version=..", "/?api-version=.."). */
bool token_is_for(const struct ipc_cred *cred, const char *resource);
/* True where it is resource or a prefix of it by whole segments. */
bool token_covers(const struct ipc_cred *cred, const char *resource);

#endif
