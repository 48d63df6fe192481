/*
 * The limit of batch issuance: bare libcrypto, the key pairs and the signatures, on all
 * CPUs with contexts that are kept (nothing is parsed, encoded or sent). With a directory
 * it also writes three files a device, as large as muster issue's, to show what the
 * kernel charges.
 *
 * usage: bench-limit ALG COUNT [DIR]     ALG: p256, rsa2048, or rsa2048-bn (primes from
 *        BN_generate_prime_ex2, as muster makes them, instead of EVP_PKEY_generate)
 * Prints one JSON object.
 */
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define TBS_LEN     420 /* of a device certificate */
#define THREADS_MAX 64

struct job {
	bool rsa, bn;
	size_t count;
	int dir; /* -1: no files */
	EVP_PKEY *ca;
	atomic_size_t next;
};

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static EVP_PKEY_CTX *
key_context(const struct job *j)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, j->rsa ? "RSA" : "EC", NULL);
	need(c && EVP_PKEY_keygen_init(c) == 1, "keygen");
	if (j->rsa)
		need(EVP_PKEY_CTX_set_rsa_keygen_bits(c, 2048) == 1, "RSA bits");
	else
		need(EVP_PKEY_CTX_set_group_name(c, "P-256") == 1, "P-256");
	return c;
}

static EVP_PKEY_CTX *
sign_context(const struct job *j, const EVP_MD *md)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, j->ca, NULL);
	need(c && EVP_PKEY_sign_init(c) == 1 && EVP_PKEY_CTX_set_signature_md(c, md) == 1,
	    "sign");
	return c;
}

static void
make_key(const struct job *j, EVP_PKEY_CTX *c)
{
	EVP_PKEY *k = NULL;
	if (j->bn) {
		BN_CTX *room = BN_CTX_new();
		BIGNUM *p = BN_new();
		for (int i = 0; i < 2; i++)
			need(BN_generate_prime_ex2(p, 1024, 0, NULL, NULL, NULL, room),
			    "prime");
		BN_clear_free(p);
		BN_CTX_free(room);
		return;
	}
	need(EVP_PKEY_generate(c, &k) == 1, "keygen");
	EVP_PKEY_free(k);
}

static void
write_files(const struct job *j, size_t i)
{
	static const struct {
		const char *end;
		size_t len;
	} files[] = {{".key", 241}, {".pem", 684}, {"-fullchain.pem", 1400}};
	static const char text[2000];
	for (size_t f = 0; f < 3; f++) {
		char name[64];
		snprintf(name, sizeof(name), "dev-%06zu%s", i, files[f].end);
		int fd = openat(j->dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
		need(fd >= 0 && write(fd, text, files[f].len) == (ssize_t)files[f].len,
		    name);
		close(fd);
	}
}

static void *
run(void *arg)
{
	struct job *j = arg;
	EVP_MD *md = EVP_MD_fetch(NULL, "SHA256", NULL);
	EVP_MD_CTX *mc = EVP_MD_CTX_new();
	EVP_PKEY_CTX *kc = key_context(j), *sc = sign_context(j, md);
	uint8_t tbs[TBS_LEN] = {0}, digest[32], sig[512];
	for (size_t i; (i = atomic_fetch_add(&j->next, 1)) < j->count;) {
		size_t len = sizeof(sig);
		make_key(j, kc);
		need(EVP_DigestInit_ex2(mc, md, NULL) == 1 &&
			 EVP_DigestUpdate(mc, tbs, sizeof(tbs)) == 1 &&
			 EVP_DigestFinal_ex(mc, digest, NULL) == 1 &&
			 EVP_PKEY_sign(sc, sig, &len, digest, sizeof(digest)) == 1,
		    "sign");
		if (j->dir >= 0)
			write_files(j, i);
	}
	EVP_PKEY_CTX_free(kc);
	EVP_PKEY_CTX_free(sc);
	EVP_MD_CTX_free(mc);
	EVP_MD_free(md);
	return NULL;
}

static double
now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double
cpu_s(void)
{
	struct rusage r;
	getrusage(RUSAGE_SELF, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
	       (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}

int
main(int argc, char **argv)
{
	struct job j = {.dir = -1};
	pthread_t threads[THREADS_MAX];
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (argc < 3) {
		fputs("usage: bench-limit p256|rsa2048|rsa2048-bn COUNT [DIR]\n", stderr);
		return 2;
	}
	j.rsa = strncmp(argv[1], "rsa", 3) == 0;
	j.bn = strcmp(argv[1], "rsa2048-bn") == 0;
	j.count = strtoul(argv[2], NULL, 10);
	j.ca = EVP_EC_gen("P-256");
	if (argc > 3)
		need((j.dir = open(argv[3], O_RDONLY | O_DIRECTORY)) >= 0, argv[3]);
	cpus = cpus < 1 ? 1 : cpus > THREADS_MAX ? THREADS_MAX : cpus;
	double start = now();
	for (long t = 0; t < cpus; t++)
		need(pthread_create(&threads[t], NULL, run, &j) == 0, "thread");
	for (long t = 0; t < cpus; t++)
		pthread_join(threads[t], NULL);
	/* muster issue ends with this too */
	need(j.dir < 0 || syncfs(j.dir) == 0, "syncfs");
	printf("{\"count\":%zu,\"seconds\":%.4f,\"cpu\":%.4f}\n", j.count, now() - start,
	    cpu_s());
	EVP_PKEY_free(j.ca);
	return 0;
}
