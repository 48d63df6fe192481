#ifndef AGENT_KEY_HOME_H
#define AGENT_KEY_HOME_H
/*
 * Where the key of one generation lives: in a file of its directory, or in a token or TPM
 * under a name that the directory keeps. Part of the key store; nobody else includes it.
 */
#include "agent/keystore.h"

/* By the URI's scheme; KEY_CUSTODY_FILE for NULL and "". */
enum key_custody key_home_custody(const char *uri);
/* Whether base names another token than uri's. */
bool key_home_is_other(const char *uri, const char *base);

/* A fresh key of generation number in dir. In a token the name is kept in dir before the
 * key is made. */
must_check int key_home_make(const char *dir, const struct keystore_place *p, int number,
    struct key **ret, struct err *e);
/* The key that dir holds; uri: what it keeps, NULL for a file. Where a name was kept and
 * no key made before a power cut, makes it. *ret is NULL after success where a file holds
 * none that can be used. */
must_check int key_home_open(
    const char *dir, const char *uri, enum key_alg alg, struct key **ret, struct err *e);
/* Removes the key from its token; one that is gone already is success. */
must_check int key_home_remove(const char *dir, const char *uri, struct err *e);

#endif
