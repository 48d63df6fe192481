#ifndef PROTO_ARM_SAME_H
#define PROTO_ARM_SAME_H
/*
 * What a PUT of a resource asks for, against what the resource is. Clients send back what
 * they read, in part (protocol/service.md T13); what is not in the body stays. What is in
 * it, and is not what we do, would be taken and have no effect: that is refused, by name.
 */
#include "base/err.h"

struct js;

/* 0 where each value of wanted is the one of is, wherever it stands; null and what is
 * empty match what is not there. ERR_UNSUPPORTED names the first that differs. Members
 * named in skip (dotted paths, ended by NULL) are the caller's, with all inside. */
must_check int arm_same_check(
    const struct js *is, const struct js *wanted, const char *const *skip, struct err *e);

#endif
