#ifndef TEST_UNIT_DOMAIN_WORLD_H
#define TEST_UNIT_DOMAIN_WORLD_H
/*
 * A real store in a transaction that is never committed, a clock of our own, and what
 * tests of certificates put there.
 */
#include "../test.h"

#include <string.h>

#include "base/hex.h"
#include "crypto/digest.h"
#include "crypto/issuer.h"
#include "domain/pki/issuer.h"
#include "store/enrollment.h"
#include "store/pki.h"

#define WORLD_NOW_MS INT64_C(1795319096000)
#define WORLD_DAY_MS INT64_C(86400000)
#define WORLD_CA     "c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1"

struct world {
	char dir[64];
	struct domain d;
	struct config cfg;
	struct clock clock;
	struct issuer_book book; /* a service CA of 32 times 0x55 */
	struct arena *arena, *cfg_arena;
	struct err e;
	struct refusal no;
};

int world_setup(void **state);
int world_teardown(void **state);

/* A certificate on record, of WORLD_CA, for 30 days; its SHA-256 is of its serial. */
struct store_cert world_cert(struct world *w, const char *subject, const char *serial);
/* What its bearer shows at the hub. */
struct ipc_cred world_cred(struct world *w, const char *cn, const char *serial);
/* A CA with its key, entered as one of ours ("device-ca", active). Free the issuer. */
struct issuer *world_issuer(struct world *w, const char *name, const char *purpose);
/* The SHA-256 of its certificate, hex. */
const char *world_issuer_hex(struct world *w, struct issuer *i);
void world_device(struct world *w, const char *id);
struct store_device world_get_device(struct world *w, const char *id);

#endif
