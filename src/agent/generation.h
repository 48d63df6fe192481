#ifndef AGENT_GENERATION_H
#define AGENT_GENERATION_H
/*
 * One X.509 generation of a device: a directory NNNN with key.pem, cert.pem and meta.
 * Part of the key store; nobody else includes it.
 */
#include "agent/keystore.h"

struct generation_list {
	int v[KEYSTORE_GENERATIONS_MAX]; /* ascending */
	size_t n;
};

struct generation_meta {
	char thumbprint[KEYSTORE_THUMBPRINT_SIZE]; /* of the certificate proved; "" */
	int64_t proven_ms;                         /* 0: not proved */
	int64_t left_ms; /* was in use and was left: its key is not staged again; 0: no */
	bool reused;     /* its key is another generation's too */
	struct keystore_assignment assignment; /* hub "": none */
};

/* Four digits, not 0000: the number, text to out (NULL allowed); -1 with ERR_PARSE. */
int generation_parse(struct span s, char out[KEYSTORE_GENERATION_SIZE], struct err *e);
void generation_name(int number, char out[KEYSTORE_GENERATION_SIZE]);
/* The generations in a cred directory; other names are none of ours. */
must_check int generation_list(
    const char *cred, struct generation_list *ret, struct err *e);

/* Makes the directory and writes the key, last: without it there is no generation. */
must_check int generation_make(
    const char *dir, const struct key *key, bool reused, struct err *e);
/* The same for a key in a token or TPM: its URI alone, relative names in it from the
 * device directory. The key itself may be there or not yet. */
must_check int generation_make_uri(
    const char *dir, const char *uri, bool reused, struct err *e);
/* What generation_make_uri wrote. ERR_NOT_FOUND for a key in a file. */
must_check int generation_uri(const char *dir, struct buf *out, struct err *e);
/* A URI with its relative names made absolute, for crypto/key.h. */
must_check int generation_resolve(
    const char *dir, const char *uri, struct buf *out, struct err *e);
/* ERR_NOT_FOUND where there is no such key, ERR_UNAVAILABLE where its token is not. */
must_check struct key *generation_key(const char *dir, struct err *e);
/* Judges the certificate and writes it. */
must_check int generation_install(const char *dir, struct span chain_pem,
    const char *device_id, int64_t now_ms, struct err *e);
/* Key, chain and facts; c->ref stays. c may be half filled after a failure. */
must_check int generation_load(
    const char *dir, struct keystore_credential *c, struct err *e);
/* Never KEYSTORE_ACTIVE: that is `active`'s to say. Fails where a token does not tell. */
must_check int generation_stage(const char *dir, enum keystore_stage *ret, struct err *e);

must_check int generation_meta_get(
    const char *dir, struct generation_meta *ret, struct err *e);
must_check int generation_meta_put(
    const char *dir, const struct generation_meta *m, struct err *e);

#endif
