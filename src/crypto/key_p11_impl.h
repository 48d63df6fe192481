#ifndef CRYPTO_KEY_P11_IMPL_H
#define CRYPTO_KEY_P11_IMPL_H
/*
 * What the files key_p11*.c share: Cryptoki by its function list, no library between. A
 * module is opened by dlopen when a URI first names it and stays; so does what is known
 * of a token (which PIN it refused). libp11 is not used: of what is needed here it has
 * the EVP_PKEY alone, which key_external.c makes for TPMs and other holders too, while
 * its one session and one lock a token, no way back from a token that vanished, no
 * attributes and RSA-only generation would all be worked round by these same calls.
 */
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <sys/types.h>

#include "crypto/key_impl.h"

#define KEY_P11_SESSIONS 8   /* of one token at most; fewer where it offers fewer */
#define KEY_P11_OBJECTS  256 /* of a kind on one token */

struct key_p11_token;

/* --- modules (key_p11_module.c) --- */

struct key_p11_module {
	struct key_p11_module *next;
	char path[KEY_URI_PATH_MAX];
	CK_FUNCTION_LIST *f;
	pid_t pid; /* that initialized it */
	bool ours; /* initialized by us, so ours to finalize */
	/* Read: calls. Write: the list below, throwing sessions away, initializing. */
	pthread_rwlock_t calls;
	int64_t renewed_ms;
	struct key_p11_token *tokens; /* under calls; they stay for ever */
};

/* The module that path names ("": $MUSTER_PKCS11_MODULE), loaded and initialized. */
must_check int key_p11_module_get(
    const char *path, struct key_p11_module **ret, struct err *e);
/* Whether key_p11_module_renew may be called: not when the module is somebody else's to
 * finalize, nor, where others have sessions to lose, twice a second. */
bool key_p11_module_may_renew(const struct key_p11_module *m, bool others);
/* C_Finalize and C_Initialize, for modules that look for tokens only then. Under the
 * write lock, all sessions forgotten. */
must_check int key_p11_module_renew(struct key_p11_module *m);

/* Sets e from a return value: its name, our code for it, what to do. Returns rv. */
CK_RV key_p11_fail(struct err *e, CK_RV rv, const char *fmt, ...) printf_like(3, 4);
/* The token, its session or its objects are not what they were: worth opening again. */
bool key_p11_is_gone(CK_RV rv);
/* What a work (below) returns whose error is its own. */
#define KEY_P11_REFUSED (CKR_VENDOR_DEFINED | 0x4d75)

/* --- tokens and their sessions (key_p11_token.c) --- */

struct key_p11_token {
	struct key_p11_token *next;
	struct key_p11_module *m;
	struct key_uri_p11 name; /* label, serial, manufacturer, model, as it says them */
	pthread_mutex_t lock;    /* all below */
	pthread_cond_t freed;
	CK_SLOT_ID slot;
	CK_FLAGS flags;
	CK_SESSION_HANDLE idle[KEY_P11_SESSIONS];
	unsigned n_idle, n_open, max;
	unsigned generation; /* sessions and handles of an earlier one are dead */
	bool logged_in;
	unsigned users;                  /* keys that are open */
	char pin_file[KEY_URI_PATH_MAX]; /* "": none */
	struct buf asked;                /* a PIN that was typed; else empty */
	struct key_pin pin;
};

/* The one token that u names, present now. ERR_UNAVAILABLE where none is, ERR_CONFLICT
 * where several are. Takes u's pin-source over, or asks (NULL allowed) where there is
 * none and the token wants one. One more user; key_p11_token_leave when done. */
must_check int key_p11_token_get(const struct key_uri *u, key_passphrase ask, void *arg,
    struct key_p11_token **ret, struct err *e);
/* The last user's leaving closes the sessions, which logs out. */
void key_p11_token_leave(struct key_p11_token *t);
own_define(struct key_p11_token, key_p11_token_leave);

/* Tokens of a module, for doctor: label and serial of each. */
typedef void (*key_p11_seen)(void *arg, const struct key_uri_p11 *name);
must_check int key_p11_token_each(
    struct key_p11_module *m, key_p11_seen seen, void *arg, struct err *e);

struct key_p11_use {
	struct key_p11_token *t;
	CK_FUNCTION_LIST *f;
	CK_SESSION_HANDLE session;
	unsigned generation;
};
/* Done with a session, logged in where a PIN is known. Returns CKR_OK or sets e. */
typedef CK_RV (*key_p11_work)(struct key_p11_use *use, void *arg, struct err *e);
enum key_p11_kind { KEY_P11_READ, KEY_P11_WRITE };
/* Does work, and once more where it found the token gone and re-opening helped. */
must_check int key_p11_do(struct key_p11_token *t, enum key_p11_kind kind,
    key_p11_work work, void *arg, struct err *e);

/* --- objects (key_p11_object.c) --- */

struct key_p11_object {
	CK_OBJECT_HANDLE h;
	CK_KEY_TYPE type;
	uint8_t id[64];
	size_t id_len;
	char label[129];
	bool exportable;
};

/* Private keys that u matches, at most max. */
CK_RV key_p11_find(struct key_p11_use *use, const struct key_uri_p11 *u,
    struct key_p11_object *ret, size_t max, size_t *ret_n, struct err *e);
/* Exactly one: ERR_NOT_FOUND, ERR_CONFLICT. */
CK_RV key_p11_find_one(struct key_p11_use *use, const struct key_uri_p11 *u,
    struct key_p11_object *ret, struct err *e);
/* Objects of a class with the key's CKA_ID (its label where it has none). */
CK_RV key_p11_beside(struct key_p11_use *use, const struct key_p11_object *o,
    CK_OBJECT_CLASS class, CK_OBJECT_HANDLE *ret, size_t max, size_t *ret_n,
    struct err *e);
/* One attribute appended to out; nothing where the object has none such. */
CK_RV key_p11_attr(struct key_p11_use *use, CK_OBJECT_HANDLE h, CK_ATTRIBUTE_TYPE type,
    struct buf *out, struct err *e);
/* The public half, from the public key object or a certificate beside the private. */
CK_RV key_p11_spki(struct key_p11_use *use, const struct key_p11_object *o,
    struct buf *out, struct err *e);

#endif
