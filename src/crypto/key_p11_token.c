/*
 * Tokens: found by what a URI says of them, their sessions pooled, logged in, and opened
 * again after the token vanished and returned.
 *
 * Locks: a module's calls (read) before a token's lock, never the other way round. A
 * session is out of the pool only while the read lock is held, so under the write lock
 * nobody has one.
 */
#include "crypto/key_p11_impl.h"

#include <unistd.h>

#define SLOTS_MAX 128

/* --- which token --- */

/* A blank-padded field (PKCS#11 2.40, 3.1). */
static void
get_field(const unsigned char *field, size_t size, char *ret)
{
	while (size && field[size - 1] == ' ')
		size--;
	memcpy(ret, field, size);
	ret[size] = 0;
}

static void
get_name(const CK_TOKEN_INFO *ti, struct key_uri_p11 *ret)
{
	*ret = (struct key_uri_p11){.has_slot = false};
	get_field(ti->label, sizeof(ti->label), ret->token);
	get_field(ti->manufacturerID, sizeof(ti->manufacturerID), ret->manufacturer);
	get_field(ti->model, sizeof(ti->model), ret->model);
	get_field(ti->serialNumber, sizeof(ti->serialNumber), ret->serial);
}

static bool
agrees(const char *want, const char *have)
{
	return !want[0] || strcmp(want, have) == 0;
}

static bool
names(const struct key_uri_p11 *want, const struct key_uri_p11 *have)
{
	return agrees(want->token, have->token) && agrees(want->serial, have->serial) &&
	       agrees(want->manufacturer, have->manufacturer) &&
	       agrees(want->model, have->model);
}

/* What a scan of the slots found. */
struct scan {
	const struct key_uri_p11 *want; /* NULL: all */
	key_p11_seen seen;              /* NULL: nobody wants to know */
	void *arg;
	unsigned n, others;
	struct key_uri_p11 name;
	CK_SLOT_ID slot;
	CK_FLAGS flags;
};

static void
look_at(struct scan *s, CK_SLOT_ID slot, const CK_TOKEN_INFO *ti)
{
	struct key_uri_p11 name;
	if (!(ti->flags & CKF_TOKEN_INITIALIZED))
		return;
	get_name(ti, &name);
	bool fits = !s->want || (names(s->want, &name) &&
				    (!s->want->has_slot || s->want->slot == slot));
	if (!fits) {
		s->others++;
		return;
	}
	if (s->seen)
		s->seen(s->arg, &name);
	s->n++;
	s->name = name;
	s->slot = slot;
	s->flags = ti->flags;
}

static CK_RV
scan(struct key_p11_module *m, struct scan *s, struct err *e)
{
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG n = SLOTS_MAX;
	CK_TOKEN_INFO ti;
	CK_RV rv = m->f->C_GetSlotList(CK_TRUE, slots, &n);
	if (rv != CKR_OK)
		return key_p11_fail(e, rv, "%s: list of slots", m->path);
	for (CK_ULONG i = 0; i < n; i++)
		if (m->f->C_GetTokenInfo(slots[i], &ti) == CKR_OK)
			look_at(s, slots[i], &ti);
	return CKR_OK;
}

int
key_p11_token_each(struct key_p11_module *m, key_p11_seen seen, void *arg, struct err *e)
{
	struct scan s = {.seen = seen, .arg = arg};
	pthread_rwlock_rdlock(&m->calls);
	CK_RV rv = scan(m, &s, e);
	pthread_rwlock_unlock(&m->calls);
	return rv == CKR_OK ? 0 : -1;
}

/* For the word in an error: what was looked for. */
static const char *
wanted(const struct key_uri_p11 *u)
{
	return u->token[0] ? u->token : u->serial[0] ? u->serial : "any";
}

/* Exactly one token. CKR_TOKEN_NOT_PRESENT where none fits. */
static CK_RV
scan_one(struct key_p11_module *m, struct scan *s, struct err *e)
{
	CK_RV rv = scan(m, s, e);
	if (rv != CKR_OK || s->n == 1)
		return rv;
	if (s->n > 1) {
		err_set(e, ERR_CONFLICT,
		    "%u tokens match; name one by token=, serial= or slot-id=", s->n);
		return KEY_P11_REFUSED;
	}
	err_set(e, ERR_UNAVAILABLE,
	    "token '%s' is not there (tokens there: %u, module %s); put it in, or "
	    "correct "
	    "the URI: muster key doctor lists what is there",
	    wanted(s->want), s->others, m->path);
	return CKR_TOKEN_NOT_PRESENT;
}

/* --- sessions --- */

/* Under the write lock: what was open is dead, whether the module knows it or not. */
static void
forget(struct key_p11_token *t)
{
	t->m->f->C_CloseAllSessions(t->slot);
	t->n_idle = t->n_open = 0;
	t->max = KEY_P11_SESSIONS;
	t->logged_in = false;
	t->generation++;
}

static int
get_pin(struct key_p11_token *t, struct buf *pin, struct err *e)
{
	if (t->pin_file[0])
		return key_pin_read(&t->pin, t->pin_file, pin, e);
	if (key_pin_check(&t->pin, buf_span(&t->asked), t->name.token, e))
		return -1;
	buf_put_span(pin, buf_span(&t->asked));
	return 0;
}

/* Login counts for all sessions of this process with the token (PKCS#11 2.40, 2.6.6). */
static CK_RV
login(struct key_p11_token *t, CK_SESSION_HANDLE session, struct err *e)
{
	auto_buf pin = BUF_INIT(KEY_PIN_MAX);
	pin.secret = true;
	bool by_pad = t->flags & CKF_PROTECTED_AUTHENTICATION_PATH;
	bool has_pin = t->pin_file[0] || t->asked.len;
	if (t->logged_in || !(t->flags & CKF_LOGIN_REQUIRED) || !(has_pin || by_pad))
		return CKR_OK;
	if (has_pin && get_pin(t, &pin, e))
		return KEY_P11_REFUSED;
	CK_RV rv = t->m->f->C_Login(
	    session, CKU_USER, has_pin ? pin.p : NULL, (CK_ULONG)pin.len);
	if (rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE)
		key_pin_refuse(&t->pin, buf_span(&pin));
	if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN)
		return key_p11_fail(e, rv, "token '%s': login", t->name.token);
	t->logged_in = true;
	return CKR_OK;
}

static CK_RV
open_session(
    struct key_p11_token *t, CK_FLAGS more, CK_SESSION_HANDLE *ret, struct err *e)
{
	CK_SESSION_HANDLE s;
	CK_FUNCTION_LIST *f = t->m->f;
	CK_RV rv = f->C_OpenSession(t->slot, CKF_SERIAL_SESSION | more, NULL, NULL, &s);
	if (rv != CKR_OK)
		return key_p11_fail(e, rv, "token '%s': session", t->name.token);
	rv = login(t, s, e);
	if (rv != CKR_OK) {
		f->C_CloseSession(s);
		return rv;
	}
	*ret = s;
	return CKR_OK;
}

/* A session from the pool, or a new one; waits where all that there may be are out. */
static CK_RV
take(struct key_p11_token *t, CK_SESSION_HANDLE *ret, struct err *e)
{
	for (;;) {
		while (!t->n_idle && t->n_open >= t->max)
			pthread_cond_wait(&t->freed, &t->lock);
		if (t->n_idle) {
			*ret = t->idle[--t->n_idle];
			return CKR_OK;
		}
		CK_RV rv = open_session(t, 0, ret, e);
		if (rv == CKR_OK)
			t->n_open++;
		if (rv != CKR_SESSION_COUNT || !t->n_open)
			return rv;
		t->max = t->n_open; /* the token offers no more */
	}
}

/* A session in which something failed may have an operation begun: it is closed. */
static void
give(struct key_p11_token *t, CK_SESSION_HANDLE s, bool good)
{
	if (good) {
		t->idle[t->n_idle++] = s;
	} else {
		t->m->f->C_CloseSession(s);
		t->n_open--;
		/* where it was the last, the module logged us out */
		t->logged_in = t->logged_in && t->n_open;
	}
	pthread_cond_signal(&t->freed);
}

/* --- work --- */

static CK_RV
read_once(struct key_p11_use *use, key_p11_work work, void *arg, struct err *e)
{
	struct key_p11_token *t = use->t;
	pthread_mutex_lock(&t->lock);
	use->generation = t->generation;
	CK_RV rv = take(t, &use->session, e);
	pthread_mutex_unlock(&t->lock);
	if (rv != CKR_OK)
		return rv;
	rv = work(use, arg, e);
	pthread_mutex_lock(&t->lock);
	give(t, use->session, rv == CKR_OK);
	pthread_mutex_unlock(&t->lock);
	return rv;
}

/* Writing wants a session of another kind: one of its own, and not one of the pool's. */
static CK_RV
write_once(struct key_p11_use *use, key_p11_work work, void *arg, struct err *e)
{
	struct key_p11_token *t = use->t;
	pthread_mutex_lock(&t->lock);
	use->generation = t->generation;
	CK_RV rv = open_session(t, CKF_RW_SESSION, &use->session, e);
	pthread_mutex_unlock(&t->lock);
	if (rv != CKR_OK)
		return rv;
	rv = work(use, arg, e);
	pthread_mutex_lock(&t->lock);
	use->f->C_CloseSession(use->session);
	t->logged_in = t->logged_in && t->n_open;
	pthread_mutex_unlock(&t->lock);
	return rv;
}

/* Under the write lock: a fresh session that works, or why there is none. */
static CK_RV
try_open(struct key_p11_token *t, struct err *e)
{
	struct scan s = {.want = &t->name};
	CK_SESSION_HANDLE session;
	CK_RV rv = scan_one(t->m, &s, e);
	if (rv != CKR_OK)
		return rv;
	t->slot = s.slot;
	t->flags = s.flags;
	rv = open_session(t, 0, &session, e);
	if (rv != CKR_OK)
		return rv;
	t->idle[t->n_idle++] = session;
	t->n_open++;
	return CKR_OK;
}

/* Sessions with tokens other than t. */
static bool
has_others(const struct key_p11_module *m, const struct key_p11_token *t)
{
	for (const struct key_p11_token *o = m->tokens; o; o = o->next)
		if (o != t && o->n_open)
			return true;
	return false;
}

/* Costs the sessions of others a retry. */
static int
renew(struct key_p11_module *m, bool others)
{
	if (!key_p11_module_may_renew(m, others))
		return -1;
	for (struct key_p11_token *t = m->tokens; t; t = t->next)
		forget(t);
	return key_p11_module_renew(m);
}

/* Opens t again unless somebody did since generation. */
static int
reopen(struct key_p11_token *t, unsigned generation, struct err *e)
{
	pthread_rwlock_wrlock(&t->m->calls);
	CK_RV rv = CKR_OK;
	if (t->generation == generation) {
		forget(t);
		rv = try_open(t, e);
		if (key_p11_is_gone(rv) && renew(t->m, has_others(t->m, t)) == 0)
			rv = try_open(t, e);
	}
	pthread_rwlock_unlock(&t->m->calls);
	return rv == CKR_OK ? 0 : -1;
}

static CK_RV
once(struct key_p11_use *use, enum key_p11_kind kind, key_p11_work work, void *arg,
    struct err *e)
{
	pthread_rwlock_rdlock(&use->t->m->calls);
	CK_RV rv = kind == KEY_P11_WRITE ? write_once(use, work, arg, e)
					 : read_once(use, work, arg, e);
	pthread_rwlock_unlock(&use->t->m->calls);
	return rv;
}

int
key_p11_do(struct key_p11_token *t, enum key_p11_kind kind, key_p11_work work, void *arg,
    struct err *e)
{
	struct key_p11_use use = {.t = t, .f = t->m->f};
	if (t->m->pid != getpid())
		return err_set(e, ERR_INTERNAL,
		    "token '%s' was opened before a fork; open it again after exec",
		    t->name.token);
	CK_RV rv = once(&use, kind, work, arg, e);
	if (key_p11_is_gone(rv) && reopen(t, use.generation, e) == 0)
		rv = once(&use, kind, work, arg, e);
	return rv == CKR_OK ? 0 : -1;
}

/* --- users --- */

static struct key_p11_token *
known(struct key_p11_module *m, const struct scan *s)
{
	struct key_p11_token *t;
	for (t = m->tokens; t; t = t->next)
		if (names(&t->name, &s->name) && names(&s->name, &t->name))
			return t;
	t = own_alloc(sizeof(*t));
	t->m = m;
	t->name = s->name;
	t->slot = s->slot;
	t->max = KEY_P11_SESSIONS;
	t->asked = BUF_INIT(KEY_PIN_MAX);
	t->asked.secret = true;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->freed, NULL);
	t->next = m->tokens;
	m->tokens = t;
	return t;
}

/* Asks for a PIN where one is needed and nobody named a file. */
static int
ask_pin(struct key_p11_token *t, key_passphrase ask, void *arg, struct err *e)
{
	char pin[KEY_PIN_MAX + 1];
	bool by_pad = t->flags & CKF_PROTECTED_AUTHENTICATION_PATH;
	if (t->pin_file[0] || t->asked.len || !ask || by_pad ||
	    !(t->flags & CKF_LOGIN_REQUIRED))
		return 0;
	int n = ask(arg, t->name.token, pin, sizeof(pin));
	if (n > 0)
		buf_put(&t->asked, pin, (size_t)n);
	own_wipe(pin, sizeof(pin));
	return n > 0 ? 0
		     : err_set(e, ERR_DENIED,
			   "token '%s': no PIN; add ?pin-source=file:/path to the URI",
			   t->name.token);
}

static int
join(struct key_p11_token *t, const struct key_uri *u, key_passphrase ask, void *arg,
    struct err *e)
{
	if (u->secret[0])
		memcpy(t->pin_file, u->secret, sizeof(t->pin_file));
	if (ask_pin(t, ask, arg, e))
		return -1;
	t->users++;
	return 0;
}

/* A module that looks for tokens only when it is initialized gets the chance, as long as
 * nobody's sessions pay for it. */
static CK_RV
find(struct key_p11_module *m, struct scan *s, struct err *e)
{
	CK_RV rv = scan_one(m, s, e);
	if (!key_p11_is_gone(rv) || has_others(m, NULL) || renew(m, false))
		return rv;
	s->n = s->others = 0;
	return scan_one(m, s, e);
}

int
key_p11_token_get(const struct key_uri *u, key_passphrase ask, void *arg,
    struct key_p11_token **ret, struct err *e)
{
	struct key_p11_module *m;
	struct key_p11_token *t;
	struct scan s = {.want = &u->p11};
	if (key_p11_module_get(u->p11.module, &m, e))
		return -1;
	pthread_rwlock_wrlock(&m->calls);
	int rc = find(m, &s, e) == CKR_OK ? 0 : -1;
	if (rc == 0) {
		t = known(m, &s);
		t->slot = s.slot;
		t->flags = s.flags;
		rc = join(t, u, ask, arg, e);
	}
	pthread_rwlock_unlock(&m->calls);
	if (rc == 0)
		*ret = t;
	return rc;
}

void
key_p11_token_leave(struct key_p11_token *t)
{
	if (!t)
		return;
	pthread_rwlock_wrlock(&t->m->calls);
	if (--t->users == 0 && t->m->pid == getpid()) {
		forget(t);
		buf_done(&t->asked);
		t->asked = BUF_INIT(KEY_PIN_MAX);
		t->asked.secret = true;
		t->pin_file[0] = 0;
	}
	pthread_rwlock_unlock(&t->m->calls);
}
