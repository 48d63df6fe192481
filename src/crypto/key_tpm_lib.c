/*
 * libtss2, opened on first use.
 */
#include "crypto/key_tpm_impl.h"

#include <dlfcn.h>
#include <stdio.h>

static const struct {
	const char *soname, *package;
} libraries[KEY_TPM_SO_N] = {
    [KEY_TPM_ESYS] = {"libtss2-esys.so.0", "libtss2-esys-3.0.2-0"},
    [KEY_TPM_TCTILDR] = {"libtss2-tctildr.so.0", "libtss2-tctildr0"},
    [KEY_TPM_RC] = {"libtss2-rc.so.0", "libtss2-rc0"},
};

static const struct {
	enum key_tpm_so so;
	const char *name;
	size_t at;
} calls[] = {
#define ROW(so, name) {so, #name, offsetof(struct key_tpm_api, name)},
    KEY_TPM_CALLS(ROW)
#undef ROW
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct key_tpm_api api;
static struct err failed;

static int
open_all(void *handles[KEY_TPM_SO_N])
{
	for (int i = 0; i < KEY_TPM_SO_N; i++) {
		handles[i] = dlopen(libraries[i].soname, RTLD_NOW | RTLD_LOCAL);
		if (!handles[i])
			return err_set(&failed, ERR_UNAVAILABLE,
			    "%s; install the Debian package %s", dlerror(),
			    libraries[i].package);
	}
	return 0;
}

static void
load(void)
{
	void *handles[KEY_TPM_SO_N];
	/* libtss2 writes to stderr what its return codes say as well */
	setenv("TSS2_LOG", "all+none", 0);
	if (open_all(handles))
		return;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		void *f = dlsym(handles[calls[i].so], calls[i].name);
		if (!f) {
			err_set(&failed, ERR_UNSUPPORTED, "%s has no %s; upgrade %s",
			    libraries[calls[i].so].soname, calls[i].name,
			    libraries[calls[i].so].package);
			return;
		}
		memcpy((char *)&api + calls[i].at, &f, sizeof(f));
	}
}

const struct key_tpm_api *
key_tpm_api(struct err *e)
{
	pthread_once(&once, load);
	if (!failed.code)
		return &api;
	err_copy(e, &failed);
	return NULL;
}

void
key_tpm_free(void *p)
{
	if (p)
		api.Esys_Free(p);
}
