/*
 * Signatures a second with a key in a token or TPM: by muster (key_open, a key_signer a
 * thread), and by the same token driven directly, each thread with a session of its own
 * that is opened once. Both hash 420 bytes and give DER or what the token gives.
 *
 * usage: bench-token muster URI COUNT THREADS
 *        bench-token pkcs11 MODULE TOKEN PINFILE LABEL COUNT THREADS
 *        bench-token tpm2 TCTI HANDLE COUNT
 * Prints one JSON object.
 */
#include <dlfcn.h>
#include <openssl/evp.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

#include "crypto/key.h"

#define THREADS_MAX 64
#define TBS_LEN     420 /* of a device certificate */

struct job {
	size_t count;
	atomic_size_t next;
	void (*work)(struct job *j);
	/* one of these */
	struct key *key;
	CK_FUNCTION_LIST *f;
	CK_SLOT_ID slot;
	const char *label;
	ESYS_CONTEXT *esys;
	ESYS_TR tr;
};

static struct err e;
static const uint8_t tbs[TBS_LEN] = {0x30};

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench-token: %s: %s\n", what, e.text);
	exit(1);
}

static bool
take(struct job *j)
{
	return atomic_fetch_add(&j->next, 1) < j->count;
}

static void
hash(uint8_t md[32])
{
	unsigned n;
	need(EVP_Digest(tbs, sizeof(tbs), md, &n, EVP_sha256(), NULL) == 1, "hash");
}

/* --- muster --- */

static void
sign_muster(struct job *j)
{
	uint8_t sig[KEY_SIG_MAX];
	size_t len;
	struct key_signer *s = key_signer_new(j->key, &e);
	need(s != NULL, "signer");
	while (take(j))
		need(key_signer_sign(s, span_of(tbs, sizeof(tbs)), sig, &len, &e) == 0,
		    "sign");
	key_signer_free(s);
}

/* --- Cryptoki --- */

static CK_OBJECT_HANDLE
find_key(const struct job *j, CK_SESSION_HANDLE s)
{
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_OBJECT_HANDLE h;
	CK_ULONG n = 0;
	CK_ATTRIBUTE rows[] = {{CKA_CLASS, &class, sizeof(class)},
	    {CKA_LABEL, (void *)j->label, strlen(j->label)}};
	need(j->f->C_FindObjectsInit(s, rows, 2) == CKR_OK &&
		 j->f->C_FindObjects(s, &h, 1, &n) == CKR_OK && n == 1,
	    "key");
	j->f->C_FindObjectsFinal(s);
	return h;
}

static void
sign_pkcs11(struct job *j)
{
	uint8_t md[32], sig[512];
	CK_SESSION_HANDLE s;
	CK_MECHANISM m = {CKM_ECDSA, NULL, 0};
	need(j->f->C_OpenSession(j->slot, CKF_SERIAL_SESSION, NULL, NULL, &s) == CKR_OK,
	    "session");
	CK_OBJECT_HANDLE h = find_key(j, s);
	while (take(j)) {
		CK_ULONG len = sizeof(sig);
		hash(md);
		need(j->f->C_SignInit(s, &m, h) == CKR_OK &&
			 j->f->C_Sign(s, md, sizeof(md), sig, &len) == CKR_OK,
		    "sign");
	}
}

static void
find_slot(struct job *j, const char *token)
{
	CK_SLOT_ID slots[64];
	CK_ULONG n = 64;
	CK_TOKEN_INFO ti;
	need(j->f->C_GetSlotList(CK_TRUE, slots, &n) == CKR_OK, "slots");
	for (CK_ULONG i = 0; i < n; i++)
		if (j->f->C_GetTokenInfo(slots[i], &ti) == CKR_OK &&
		    memcmp(ti.label, token, strlen(token)) == 0) {
			j->slot = slots[i];
			return;
		}
	need(false, "token");
}

static void
open_pkcs11(struct job *j, char **argv)
{
	char pin[64] = "";
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
	CK_SESSION_HANDLE s;
	CK_C_GetFunctionList get;
	void *dl = dlopen(argv[0], RTLD_NOW);
	need(dl != NULL, argv[0]);
	*(void **)&get = dlsym(dl, "C_GetFunctionList");
	need(
	    get && get(&j->f) == CKR_OK && j->f->C_Initialize(&args) == CKR_OK, "module");
	find_slot(j, argv[1]);
	FILE *f = fopen(argv[2], "r");
	need(f && fgets(pin, sizeof(pin), f), "PIN");
	fclose(f);
	/* this session stays: the login lasts as long as one does */
	need(j->f->C_OpenSession(j->slot, CKF_SERIAL_SESSION, NULL, NULL, &s) == CKR_OK &&
		 j->f->C_Login(s, CKU_USER, (uint8_t *)pin, strcspn(pin, "\n")) == CKR_OK,
	    "login");
	j->label = argv[3];
	j->work = sign_pkcs11;
}

/* --- ESYS --- */

static void
sign_tpm2(struct job *j)
{
	TPM2B_DIGEST md = {.size = 32};
	TPMT_SIG_SCHEME scheme = {
	    .scheme = TPM2_ALG_ECDSA, .details.ecdsa.hashAlg = TPM2_ALG_SHA256};
	TPMT_TK_HASHCHECK ticket = {.tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL};
	while (take(j)) {
		TPMT_SIGNATURE *sig;
		hash(md.buffer);
		need(Esys_Sign(j->esys, j->tr, ESYS_TR_PASSWORD, ESYS_TR_NONE,
			 ESYS_TR_NONE, &md, &scheme, &ticket, &sig) == 0,
		    "sign");
		Esys_Free(sig);
	}
}

static void
open_tpm2(struct job *j, char **argv)
{
	TSS2_TCTI_CONTEXT *io = NULL;
	TPM2_HANDLE handle = (TPM2_HANDLE)strtoul(argv[1], NULL, 16);
	need(Tss2_TctiLdr_Initialize(argv[0], &io) == 0 &&
		 Esys_Initialize(&j->esys, io, NULL) == 0 &&
		 Esys_TR_FromTPMPublic(j->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE,
		     ESYS_TR_NONE, &j->tr) == 0,
	    "TPM");
	j->work = sign_tpm2;
}

/* --- the run --- */

static void *
on_thread(void *arg)
{
	struct job *j = arg;
	j->work(j);
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
run(struct job *j, size_t threads)
{
	pthread_t all[THREADS_MAX];
	double start = now();
	for (size_t i = 0; i < threads; i++)
		need(pthread_create(&all[i], NULL, on_thread, j) == 0, "thread");
	for (size_t i = 0; i < threads; i++)
		pthread_join(all[i], NULL);
	return now() - start;
}

static size_t
number(const char *s)
{
	return (size_t)strtoul(s, NULL, 10);
}

int
main(int argc, char **argv)
{
	static struct job j;
	const char *mode = argc > 1 ? argv[1] : "";
	size_t threads = 1;
	if (strcmp(mode, "muster") == 0 && argc == 5) {
		j.key = key_open(argv[2], NULL, NULL, &e);
		need(j.key != NULL, "key");
		j.work = sign_muster;
		j.count = number(argv[3]);
		threads = number(argv[4]);
	} else if (strcmp(mode, "pkcs11") == 0 && argc == 8) {
		open_pkcs11(&j, argv + 2);
		j.count = number(argv[6]);
		threads = number(argv[7]);
	} else if (strcmp(mode, "tpm2") == 0 && argc == 5) {
		open_tpm2(&j, argv + 2);
		j.count = number(argv[4]);
	}
	need(j.work && threads && threads <= THREADS_MAX, "usage: see the source's head");
	printf("{\"count\":%zu,\"seconds\":%.6f}\n", j.count, run(&j, threads));
	key_free(j.key);
	return 0;
}
