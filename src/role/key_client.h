#ifndef ROLE_KEY_CLIENT_H
#define ROLE_KEY_CLIENT_H
/*
 * Keys that the key holder (role/keyd.h) has, as struct key: who uses one cannot tell,
 * but that it may be away (UNAVAILABLE) and be back later. One client a process, for any
 * number of keys and threads; each signature waits for its answer.
 */
#include "crypto/key.h"

struct key_client;

struct key_client *key_client_new(void);
/* Its keys must be gone before. */
void key_client_free(struct key_client *c);
own_define(struct key_client, key_client_free);

/* A new link to the key holder, in place of the old one; takes fd over. */
void key_client_attach(struct key_client *c, int fd);

/* A key by its use ("issuer device-ca", "server.tls_key"). The public half is known
 * already, so the token may be away; one that has another key there now is refused when
 * it signs. */
must_check struct key *key_client_key(struct key_client *c, const char *use,
    struct span spki, enum key_custody custody, struct err *e);
/* The same where the public half is the token's to tell: ERR_UNAVAILABLE while it is
 * away. */
must_check struct key *key_client_fetch(
    struct key_client *c, const char *use, struct err *e);

#endif
