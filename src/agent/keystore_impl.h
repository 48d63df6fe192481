#ifndef AGENT_KEYSTORE_IMPL_H
#define AGENT_KEYSTORE_IMPL_H
/*
 * What the files of the device directory share: keystore.c has the directory, its lock,
 * switch and journal, keystore_generations.c the generations. Nobody else's.
 */
#include <limits.h>

#include "agent/generation.h"
#include "agent/keystore.h"

struct keystore {
	char *dir;
	int lock; /* -1: not held */
};

must_check int keystore_path_of(
    const struct keystore *k, const char *name, char out[PATH_MAX], struct err *e);
void keystore_generation_dir(
    const struct keystore *k, const struct keystore_ref *r, char out[PATH_MAX]);
bool keystore_ref_equal(const struct keystore_ref *a, const struct keystore_ref *b);
/* Facts of a generation; none where they cannot be read, for they only spare work. */
struct generation_meta keystore_meta_of(
    const struct keystore *k, const struct keystore_ref *r);
/* Aborts where it is not: a bug, two writers could interleave. */
void keystore_must_be_locked(const struct keystore *k);
/* The way back must be open whenever it can be: a journal or a note that cannot be
 * written does not bar it. `previous` stays as it is unless it is given, so that a revert
 * whose answer was lost can be repeated. */
must_check int keystore_switch_back(struct keystore *k, const char *event,
    const struct keystore_ref *was, const struct keystore_ref *to,
    const struct keystore_ref *previous, int64_t now_ms, struct err *e);

#endif
