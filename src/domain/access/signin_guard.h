#ifndef DOMAIN_SIGNIN_GUARD_H
#define DOMAIN_SIGNIN_GUARD_H
/*
 * Where wrong secrets come from, and for which applications, in memory. Buckets by hash:
 * two may share one, nobody can fill the memory.
 */
#include "base/span.h"
#include "domain/access/throttle.h"

#define SIGNIN_GUARD_BUCKETS 256
#define SIGNIN_GUARD_PEER    20  /* wrong ones a minute, of an address */
#define SIGNIN_GUARD_APP     100 /* of an application, whatever the address */

struct signin_guard {
	struct throttle peers[SIGNIN_GUARD_BUCKETS], apps[SIGNIN_GUARD_BUCKETS];
};

void signin_guard_init(struct signin_guard *g, int64_t mono_ms);
/* Takes nothing off: signin_guard_wrong does. address: its port aside. */
bool signin_guard_may_try(
    struct signin_guard *g, struct span address, struct span app_id, int64_t mono_ms);
void signin_guard_wrong(
    struct signin_guard *g, struct span address, struct span app_id, int64_t mono_ms);

#endif
