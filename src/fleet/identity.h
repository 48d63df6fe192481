#ifndef FLEET_IDENTITY_H
#define FLEET_IDENTITY_H
/*
 * What a device's identity on the hub says of who gets in, and whose doing that is: ours,
 * nobody's, or somebody else's, which is never written over. Pure.
 *
 * Both meanings of "registered with a certificate" are ours: an identity that names the
 * leaf (selfSigned, as Azure's DPS writes it for groups too; protocol/service.md 7.4) and
 * one that names no certificate (certificateAuthority, muster's own).
 */
#include "base/err.h"

struct js;

enum identity_state {
	IDENTITY_BEFORE, /* lets in what it did before the campaign */
	IDENTITY_OURS,   /* the certificate that the campaign put on the device */
	IDENTITY_OTHER,
};

/* now: the identity as GET /devices gives it; was: that of before; thumb, more: SHA-256
 * of leaves that are ours, "" for none. */
enum identity_state identity_judge(
    const struct js *now, const struct js *was, const char *thumb, const char *more);
/* The same of a twin, which tells the type and the thumbprints too. */
enum identity_state identity_judge_twin(
    const struct js *twin, const char *type_before, const char *thumb);

/* What to PUT: as it is now, but for the authentication, which is that of before. Who
 * disabled the device meanwhile is not overruled. */
struct js *identity_restore(const struct js *now, const struct js *was);

/* "selfSigned with thumbprint 12ab...": of an identity or a twin, for people. */
#define IDENTITY_TEXT 160
void identity_words(const struct js *v, char out[IDENTITY_TEXT]);

#endif
