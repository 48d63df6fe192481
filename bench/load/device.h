#ifndef LOAD_DEVICE_H
#define LOAD_DEVICE_H
/*
 * The devices that the load plays: their certificates and keys, read before any clock
 * starts (reading a key costs as much as half a handshake).
 */
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct device {
	char id[16];
	X509 *leaf, *issuer;
	EVP_PKEY *key;
	char *request;        /* what a mode has prepared, malloc */
	SSL_SESSION *session; /* to resume with; where resumption is asked for */
};

/* Ends the program where ok is false. */
void device_need(bool ok, const char *what);
/* dev-000000.. from number first on, from muster issue's files in dir, on all CPUs.
 * prepare: called for each, may be NULL. */
struct device *device_load(
    const char *dir, size_t first, size_t count, void (*prepare)(struct device *d));
void device_free(struct device *devices, size_t count);

#endif
