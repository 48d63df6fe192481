/*
 * PKCS#11 modules: found, loaded, initialized, and what their return values mean.
 */
#include "crypto/key_p11_impl.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define RENEW_EVERY_MS 1000

/* --- return values --- */

enum how { GONE = 1 };

/* PKCS#11 2.40, 5.1. To add one: a row. Others are shown as numbers. */
static const struct row {
	CK_RV rv;
	const char *name;
	enum err_code code;
	enum how how;
	const char *fix;
} rows[] = {
    {CKR_PIN_INCORRECT, "CKR_PIN_INCORRECT", ERR_DENIED, 0,
	"write the right PIN to the pin-source file; it is not tried again, for the "
	"token locks itself after a few"},
    {CKR_PIN_INVALID, "CKR_PIN_INVALID", ERR_DENIED, 0, "check the pin-source file"},
    {CKR_PIN_LEN_RANGE, "CKR_PIN_LEN_RANGE", ERR_DENIED, 0, "check the pin-source file"},
    {CKR_PIN_LOCKED, "CKR_PIN_LOCKED", ERR_DENIED, 0,
	"unlock the token with its security officer's PIN"},
    {CKR_PIN_EXPIRED, "CKR_PIN_EXPIRED", ERR_DENIED, 0, "set a new PIN on the token"},
    {CKR_USER_PIN_NOT_INITIALIZED, "CKR_USER_PIN_NOT_INITIALIZED", ERR_DENIED, 0,
	"set the token's user PIN"},
    {CKR_USER_TYPE_INVALID, "CKR_USER_TYPE_INVALID", ERR_DENIED, 0, NULL},
    {CKR_USER_ANOTHER_ALREADY_LOGGED_IN, "CKR_USER_ANOTHER_ALREADY_LOGGED_IN",
	ERR_UNAVAILABLE, 0, NULL},
    {CKR_USER_NOT_LOGGED_IN, "CKR_USER_NOT_LOGGED_IN", ERR_DENIED, GONE,
	"give the PIN: pin-source=file:/path"},
    {CKR_DEVICE_REMOVED, "CKR_DEVICE_REMOVED", ERR_UNAVAILABLE, GONE, "put it back"},
    {CKR_TOKEN_NOT_PRESENT, "CKR_TOKEN_NOT_PRESENT", ERR_UNAVAILABLE, GONE,
	"put it back"},
    {CKR_TOKEN_NOT_RECOGNIZED, "CKR_TOKEN_NOT_RECOGNIZED", ERR_UNAVAILABLE, GONE, NULL},
    {CKR_SLOT_ID_INVALID, "CKR_SLOT_ID_INVALID", ERR_UNAVAILABLE, GONE, NULL},
    {CKR_SESSION_HANDLE_INVALID, "CKR_SESSION_HANDLE_INVALID", ERR_UNAVAILABLE, GONE,
	NULL},
    {CKR_SESSION_CLOSED, "CKR_SESSION_CLOSED", ERR_UNAVAILABLE, GONE, NULL},
    {CKR_OBJECT_HANDLE_INVALID, "CKR_OBJECT_HANDLE_INVALID", ERR_UNAVAILABLE, GONE, NULL},
    {CKR_KEY_HANDLE_INVALID, "CKR_KEY_HANDLE_INVALID", ERR_UNAVAILABLE, GONE, NULL},
    {CKR_CRYPTOKI_NOT_INITIALIZED, "CKR_CRYPTOKI_NOT_INITIALIZED", ERR_UNAVAILABLE, GONE,
	NULL},
    {CKR_DEVICE_ERROR, "CKR_DEVICE_ERROR", ERR_UNAVAILABLE, GONE, NULL},
    {CKR_GENERAL_ERROR, "CKR_GENERAL_ERROR", ERR_UNAVAILABLE, GONE, NULL},
    {CKR_FUNCTION_FAILED, "CKR_FUNCTION_FAILED", ERR_UNAVAILABLE, GONE, NULL},
    {CKR_SESSION_COUNT, "CKR_SESSION_COUNT", ERR_BUSY, 0,
	"another program holds the token's sessions"},
    {CKR_DEVICE_MEMORY, "CKR_DEVICE_MEMORY", ERR_FULL, 0,
	"the token is full; muster key list shows what it holds"},
    {CKR_HOST_MEMORY, "CKR_HOST_MEMORY", ERR_UNAVAILABLE, 0, NULL},
    {CKR_TOKEN_WRITE_PROTECTED, "CKR_TOKEN_WRITE_PROTECTED", ERR_FORBIDDEN, 0, NULL},
    {CKR_ACTION_PROHIBITED, "CKR_ACTION_PROHIBITED", ERR_FORBIDDEN, 0, NULL},
    {CKR_KEY_FUNCTION_NOT_PERMITTED, "CKR_KEY_FUNCTION_NOT_PERMITTED", ERR_FORBIDDEN, 0,
	"the key was made without CKA_SIGN; make one that may sign"},
    {CKR_MECHANISM_INVALID, "CKR_MECHANISM_INVALID", ERR_UNSUPPORTED, 0,
	"the token cannot do this; use a P-256 key"},
    {CKR_MECHANISM_PARAM_INVALID, "CKR_MECHANISM_PARAM_INVALID", ERR_UNSUPPORTED, 0,
	"the token cannot do this; use a P-256 key"},
    {CKR_KEY_SIZE_RANGE, "CKR_KEY_SIZE_RANGE", ERR_UNSUPPORTED, 0,
	"the token has no keys of this size"},
    {CKR_CURVE_NOT_SUPPORTED, "CKR_CURVE_NOT_SUPPORTED", ERR_UNSUPPORTED, 0,
	"the token has no keys of this curve"},
    {CKR_FUNCTION_NOT_SUPPORTED, "CKR_FUNCTION_NOT_SUPPORTED", ERR_UNSUPPORTED, 0, NULL},
    {CKR_ATTRIBUTE_VALUE_INVALID, "CKR_ATTRIBUTE_VALUE_INVALID", ERR_UNSUPPORTED, 0,
	NULL},
    {CKR_TEMPLATE_INCONSISTENT, "CKR_TEMPLATE_INCONSISTENT", ERR_UNSUPPORTED, 0, NULL},
};

static const struct row *
row_of(CK_RV rv)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].rv == rv)
			return &rows[i];
	return NULL;
}

bool
key_p11_is_gone(CK_RV rv)
{
	const struct row *r = row_of(rv);
	return r && r->how == GONE;
}

CK_RV
key_p11_fail(struct err *e, CK_RV rv, const char *fmt, ...)
{
	char text[300], number[40];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	const struct row *r = row_of(rv);
	snprintf(number, sizeof(number), "PKCS#11 error 0x%lx", rv);
	err_set(e, r ? r->code : ERR_CRYPTO, "%s: %s%s%s", text, r ? r->name : number,
	    r && r->fix ? "; " : "", r && r->fix ? r->fix : "");
	return rv;
}

/* --- loading --- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct key_p11_module *modules;

static CK_RV
initialize(CK_FUNCTION_LIST *f)
{
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};
	return f->C_Initialize(&args);
}

static int
get_functions(const char *path, CK_FUNCTION_LIST **ret, struct err *e)
{
	void *dl = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!dl)
		return err_set(e, ERR_UNAVAILABLE,
		    "PKCS#11 module: %s; install the vendor's, or the package that has "
		    "it (softhsm2, opensc-pkcs11, libtpm2-pkcs11-1)",
		    dlerror());
	CK_C_GetFunctionList get;
	*(void **)&get = dlsym(dl, "C_GetFunctionList");
	if (get && get(ret) == CKR_OK)
		return 0;
	dlclose(dl);
	return err_set(e, ERR_UNSUPPORTED, "%s is no PKCS#11 module", path);
}

static int
load(const char *path, struct key_p11_module **ret, struct err *e)
{
	CK_FUNCTION_LIST *f = NULL;
	if (get_functions(path, &f, e))
		return -1;
	CK_RV rv = initialize(f);
	if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) {
		key_p11_fail(e, rv, "PKCS#11 module %s: C_Initialize", path);
		return -1;
	}
	struct key_p11_module *m = own_alloc(sizeof(*m));
	snprintf(m->path, sizeof(m->path), "%s", path);
	m->f = f;
	m->pid = getpid();
	m->ours = rv == CKR_OK;
	m->next = modules;
	pthread_rwlock_init(&m->calls, NULL);
	*ret = modules = m;
	return 0;
}

static int
get_locked(const char *path, struct key_p11_module **ret, struct err *e)
{
	for (struct key_p11_module *m = modules; m; m = m->next) {
		if (strcmp(m->path, path) != 0)
			continue;
		if (m->pid != getpid())
			return err_set(e, ERR_INTERNAL,
			    "PKCS#11 module %s was opened before a fork", path);
		*ret = m;
		return 0;
	}
	return load(path, ret, e);
}

int
key_p11_module_get(const char *path, struct key_p11_module **ret, struct err *e)
{
	if (!path[0])
		path = secure_getenv("MUSTER_PKCS11_MODULE");
	if (!path || !path[0] || strlen(path) >= KEY_URI_PATH_MAX)
		return err_set(e, ERR_USAGE,
		    "no PKCS#11 module is named; add ?module-path=/path/of/module.so to "
		    "the URI, or set MUSTER_PKCS11_MODULE");
	pthread_mutex_lock(&lock);
	int rc = get_locked(path, ret, e);
	pthread_mutex_unlock(&lock);
	return rc;
}

bool
key_p11_module_may_renew(const struct key_p11_module *m, bool others)
{
	int64_t now = clock_mono_ms(&clock_system);
	bool is_soon = m->renewed_ms && now - m->renewed_ms < RENEW_EVERY_MS;
	return m->ours && !(others && is_soon);
}

int
key_p11_module_renew(struct key_p11_module *m)
{
	m->renewed_ms = clock_mono_ms(&clock_system);
	m->f->C_Finalize(NULL);
	return initialize(m->f) == CKR_OK ? 0 : -1;
}
