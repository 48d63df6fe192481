#ifndef TEST_UNIT_CRYPTO_KEY_KIT_H
#define TEST_UNIT_CRYPTO_KEY_KIT_H
/*
 * What every key must be able to do, whatever holds it. Failing here fails the test.
 */
#include "forge.h"

/* A scratch directory; removed with all that is in it. */
struct scratch {
	char path[40];
};
void scratch_init(struct scratch *s);
void scratch_done(struct scratch *s);
#define auto_scratch __attribute__((cleanup(scratch_done))) struct scratch
/* path/name, in a static buffer of which there are four. */
const char *scratch_at(const struct scratch *s, const char *name);
void scratch_write(const struct scratch *s, const char *name, const char *text, int mode);

/* Runs a program, found in PATH and the sbin directories, its output thrown away; its
 * exit status. */
int kit_run(const char *const argv[]);
bool kit_has(const char *program);

/* Signatures by every door (key_sign, key_signer, key_sign_digest with each hash and
 * padding) verify, and not for another message; a CSR parses. */
void kit_signs(struct key *k);
/* TLS 1.3 and 1.2, as the client's key and as the server's. */
void kit_does_tls(struct key *k);
/* The private half comes out by no door of ours. */
void kit_stays(struct key *k);

#endif
