/* Reads devices' certificates and keys. Checks nothing of them: the server does. */
#include "device.h"

#include <openssl/pem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define READERS 2

struct reading {
	struct device *devices;
	const char *dir;
	size_t first, count, from;
	void (*prepare)(struct device *d);
};

void
device_need(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(2);
}

static FILE *
open_file(const char *dir, const char *id, const char *ending, char path[4200])
{
	snprintf(path, 4200, "%s/%s%s", dir, id, ending);
	FILE *f = fopen(path, "r");
	device_need(f != NULL, path);
	return f;
}

static void
read_device(struct device *d, const char *dir, size_t number)
{
	char path[4200];
	snprintf(d->id, sizeof(d->id), "dev-%06zu", number);
	FILE *f = open_file(dir, d->id, "-fullchain.pem", path);
	d->leaf = PEM_read_X509(f, NULL, NULL, NULL);
	d->issuer = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	f = open_file(dir, d->id, ".key", path);
	d->key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	device_need(d->leaf && d->issuer && d->key, path);
}

static void *
read_part(void *arg)
{
	struct reading *p = arg;
	for (size_t i = p->from; i < p->count; i += READERS) {
		read_device(&p->devices[i], p->dir, p->first + i);
		if (p->prepare)
			p->prepare(&p->devices[i]);
	}
	return NULL;
}

struct device *
device_load(
    const char *dir, size_t first, size_t count, void (*prepare)(struct device *d))
{
	pthread_t t[READERS];
	struct reading parts[READERS];
	struct device *devices = calloc(count, sizeof(*devices));
	device_need(devices != NULL, "memory");
	for (size_t i = 0; i < READERS; i++) {
		parts[i] = (struct reading){devices, dir, first, count, i, prepare};
		device_need(
		    pthread_create(&t[i], NULL, read_part, &parts[i]) == 0, "thread");
	}
	for (size_t i = 0; i < READERS; i++)
		pthread_join(t[i], NULL);
	return devices;
}

void
device_free(struct device *devices, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct device *d = &devices[i];
		X509_free(d->leaf);
		X509_free(d->issuer);
		EVP_PKEY_free(d->key);
		SSL_SESSION_free(d->session);
		free(d->request);
	}
	free(devices);
}
