/*
 * TPMs: one connection each, made when it is first needed, again when it was lost, and
 * what response codes mean.
 */
#include "crypto/key_tpm_impl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define TCTI_DEFAULT "device:/dev/tpmrm0"

/* --- response codes --- */

#define RC_FMT1                                                                          \
	0x080 /* TPM 2.0 part 2, 6.6: the rest of the bits name what was wrong           \
	       */

static const struct row {
	TSS2_RC code;
	enum err_code err;
	const char *fix;
} rows[] = {
    {TPM2_RC_AUTH_FAIL, ERR_DENIED,
	"write the right authorization to the auth-source file; it is not tried again"},
    {TPM2_RC_BAD_AUTH, ERR_DENIED,
	"write the right authorization to the auth-source file; it is not tried again"},
    {TPM2_RC_LOCKOUT, ERR_DENIED,
	"the TPM is locked after wrong authorizations: wait, or tpm2_dictionarylockout "
	"-c"},
    {TPM2_RC_HANDLE, ERR_NOT_FOUND, NULL},
    {TPM2_RC_INITIALIZE, ERR_UNAVAILABLE,
	"the TPM wants a TPM2_Startup: tpm2_startup -c"},
    {TPM2_RC_FAILURE, ERR_UNAVAILABLE,
	"the TPM failed its self test; restart the machine"},
    {TPM2_RC_NV_SPACE, ERR_FULL, "remove a key or an NV index: muster key list tpm2:"},
    {TPM2_RC_OBJECT_MEMORY, ERR_UNAVAILABLE,
	"go through a resource manager: tcti=device:/dev/tpmrm0 or tabrmd:"},
    {TPM2_RC_SESSION_MEMORY, ERR_UNAVAILABLE,
	"go through a resource manager: tcti=device:/dev/tpmrm0 or tabrmd:"},
    {TPM2_RC_TICKET, ERR_UNSUPPORTED,
	"the key is restricted and signs no digest of ours; make one with muster key "
	"generate"},
    {TPM2_RC_ATTRIBUTES, ERR_UNSUPPORTED, "the key may not sign"},
    {TPM2_RC_SCHEME, ERR_UNSUPPORTED, "the key has another signature scheme"},
    {TPM2_RC_CURVE, ERR_UNSUPPORTED, "the TPM has no such curve; use p256"},
    {TPM2_RC_HASH, ERR_UNSUPPORTED, "the TPM has no such hash; use a p256 key"},
    {TPM2_RC_KEY_SIZE, ERR_UNSUPPORTED, "the TPM has no keys of this size; use p256"},
    {TPM2_RC_VALUE, ERR_UNSUPPORTED, NULL},
    {TPM2_RC_NV_AUTHORIZATION, ERR_FORBIDDEN, NULL},
    {TPM2_RC_NV_LOCKED, ERR_FORBIDDEN, NULL},
};

TSS2_RC
key_tpm_code(TSS2_RC rc)
{
	TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
	if (layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER)
		return rc;
	rc &= ~TSS2_RC_LAYER_MASK;
	return rc & RC_FMT1 ? rc & 0xbf : rc;
}

/* No answer, or none that makes sense: not the TPM's own refusal. */
static bool
is_lost(TSS2_RC rc)
{
	TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
	return rc != KEY_TPM_REFUSED && rc != TSS2_RC_SUCCESS &&
	       layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER;
}

static const struct row *
row_of(TSS2_RC rc)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].code == key_tpm_code(rc))
			return &rows[i];
	return NULL;
}

TSS2_RC
key_tpm_fail(const struct key_tpm *t, struct err *e, TSS2_RC rc, const char *fmt, ...)
{
	char text[300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	const struct row *r = row_of(rc);
	enum err_code code = r ? r->err : is_lost(rc) ? ERR_UNAVAILABLE : ERR_CRYPTO;
	err_set(e, code, "%s: %s%s%s", text, t->f->Tss2_RC_Decode(rc),
	    r && r->fix ? "; " : "", r && r->fix ? r->fix : "");
	return rc;
}

/* --- connecting --- */

static void
disconnect(struct key_tpm *t)
{
	if (t->esys)
		t->f->Esys_Finalize(&t->esys);
	if (t->io)
		t->f->Tss2_TctiLdr_Finalize(&t->io);
	t->generation++;
}

/* Why a device cannot be opened is worth more than the library's words. */
static int
check_device(const char *tcti, struct err *e)
{
	struct span rest = span_str(tcti), kind = span_split(&rest, ':');
	const char *path = (const char *)rest.p;
	if (!span_eq_str(kind, "device") || !path || access(path, R_OK | W_OK) == 0)
		return 0;
	if (errno == EACCES)
		return err_set(e, ERR_PERM,
		    "TPM %s: no permission; put the user into the group tss (usermod -aG "
		    "tss NAME)",
		    path);
	return err_set(e, ERR_UNAVAILABLE,
	    "TPM %s: %s; switch it on in the firmware, or name another by tcti= or "
	    "MUSTER_TCTI",
	    path, strerror(errno));
}

static int
connect_tpm(struct key_tpm *t, struct err *e)
{
	if (t->esys)
		return 0;
	if (check_device(t->tcti, e))
		return -1;
	TSS2_RC rc = t->f->Tss2_TctiLdr_Initialize(t->tcti, &t->io);
	if (rc == TSS2_RC_SUCCESS)
		rc = t->f->Esys_Initialize(&t->esys, t->io, NULL);
	if (rc == TSS2_RC_SUCCESS)
		return 0;
	disconnect(t);
	return err_set(e, ERR_UNAVAILABLE,
	    "TPM %s: %s; is it there, and the package libtss2-tcti-*0 of its kind?",
	    t->tcti, t->f->Tss2_RC_Decode(rc));
}

static TSS2_RC
once(struct key_tpm *t, key_tpm_work work, void *arg, struct err *e)
{
	if (connect_tpm(t, e))
		return KEY_TPM_REFUSED;
	TSS2_RC rc = work(t, arg, e);
	if (is_lost(rc))
		disconnect(t);
	return rc;
}

int
key_tpm_do(struct key_tpm *t, key_tpm_work work, void *arg, struct err *e)
{
	if (t->pid != getpid())
		return err_set(e, ERR_INTERNAL,
		    "TPM %s was opened before a fork; open it again after exec", t->tcti);
	pthread_mutex_lock(&t->lock);
	TSS2_RC rc = once(t, work, arg, e);
	if (is_lost(rc))
		rc = once(t, work, arg, e);
	pthread_mutex_unlock(&t->lock);
	return rc == TSS2_RC_SUCCESS ? 0 : -1;
}

/* --- users --- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct key_tpm *tpms;

static struct key_tpm *
known(const struct key_tpm_api *f, const char *tcti)
{
	struct key_tpm *t;
	for (t = tpms; t; t = t->next)
		if (strcmp(t->tcti, tcti) == 0 && t->pid == getpid())
			return t;
	t = own_alloc(sizeof(*t));
	snprintf(t->tcti, sizeof(t->tcti), "%s", tcti);
	t->f = f;
	t->pid = getpid();
	t->generation = 1;
	pthread_mutex_init(&t->lock, NULL);
	t->next = tpms;
	tpms = t;
	return t;
}

int
key_tpm_get(const struct key_uri *u, struct key_tpm **ret, struct err *e)
{
	const char *env = secure_getenv("MUSTER_TCTI");
	const char *tcti = u->tpm.tcti[0]  ? u->tpm.tcti
			   : env && env[0] ? env
					   : TCTI_DEFAULT;
	const struct key_tpm_api *f = key_tpm_api(e);
	if (!f)
		return err_wrap(e, "TPM");
	if (strlen(tcti) >= sizeof(u->tpm.tcti))
		return err_set(e, ERR_LIMIT, "MUSTER_TCTI is too long");
	pthread_mutex_lock(&lock);
	struct key_tpm *t = known(f, tcti);
	pthread_mutex_lock(&t->lock);
	t->users++;
	pthread_mutex_unlock(&t->lock);
	pthread_mutex_unlock(&lock);
	*ret = t;
	return 0;
}

void
key_tpm_leave(struct key_tpm *t)
{
	if (!t)
		return;
	pthread_mutex_lock(&t->lock);
	if (--t->users == 0 && t->pid == getpid())
		disconnect(t);
	pthread_mutex_unlock(&t->lock);
}

struct key_pin *
key_tpm_pin(struct key_tpm *t, uint32_t handle)
{
	struct key_tpm_pin *p;
	for (p = t->pins; p; p = p->next)
		if (p->handle == handle)
			return &p->pin;
	p = own_alloc(sizeof(*p));
	p->handle = handle;
	p->next = t->pins;
	t->pins = p;
	return &p->pin;
}
