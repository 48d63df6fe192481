#ifndef FLEET_SIGN_IN_H
#define FLEET_SIGN_IN_H
/*
 * What an Azure target is told in the Authorization header, a plane each: SAS tokens made
 * here from a policy's key, or tokens that a service principal or the machine's managed
 * identity is given. Kept in memory until shortly before they end, never written down.
 */
#include <stdint.h>

#include "base/buf.h"
#include "base/own.h"
#include "codec/targets.h"

struct loop;
struct sign_in;

enum sign_in_plane { SIGN_IN_HUB, SIGN_IN_DPS, SIGN_IN_ARM, SIGN_IN_PLANES };

/* Reads the files that row names, relative to home. ERR_PERM for one that others may
 * read; the text says how to cure that. row and home are borrowed for its life. */
must_check struct sign_in *sign_in_new(
    struct loop *l, const struct targets_row *row, const char *home, struct err *e);
void sign_in_free(struct sign_in *s);
own_define(struct sign_in, sign_in_free);

/* "host" or "host:port" of hub or DPS; "" where the target has none. */
const char *sign_in_host(const struct sign_in *s, enum sign_in_plane p);
/* The header's value: a secret, good until the next call for that plane. May run the
 * loop. *ret_fresh: it was made by this call. ERR_UNSUPPORTED where the way to sign in is
 * none for the plane, ERR_DENIED with the words of the one who gives tokens. */
must_check int sign_in_authorization(struct sign_in *s, enum sign_in_plane p,
    const char **ret, bool *ret_fresh, struct err *e);
/* The same where one is there that is still good; NULL where one would have to be made.
 * Never runs the loop. */
const char *sign_in_ready(const struct sign_in *s, enum sign_in_plane p);
/* The target did not take it: the next call makes another. */
void sign_in_forget(struct sign_in *s, enum sign_in_plane p);

#define SIGN_IN_TOKEN_MAX (16 * 1024)
/* An answer to a request for a token (RFC 6749 5.1; managed identities write their
 * numbers as text). token gets the access token, *ret_life_s how long it is good.
 * ERR_PARSE; the error holds nothing of the token. */
must_check int sign_in_read_token(
    struct span body, struct buf *token, int64_t *ret_life_s, struct err *e);
/* One that says why there is none (RFC 6749 5.2): its words, in out. */
void sign_in_read_refusal(struct span body, char *out, size_t size);

#endif
