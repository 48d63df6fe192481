/*
 * Operators, their roles and secrets.
 */
#include "domain/access/principal.h"

#include "base/base64.h"
#include "base/own.h"
#include "base/rand.h"
#include "crypto/digest.h"

#define SECRET_BYTES 32
#define SALT_BYTES   16
#define NAME_MAX     64

static const struct {
	const char *word;
	uint32_t rights;
} roles[] = {
#define ROLE(NAME, word, rights) {word, rights},
#include "tbl/role.def"
#undef ROLE
};

static const size_t n_roles = sizeof(roles) / sizeof(roles[0]);

static size_t
find_role(struct span word)
{
	size_t i = 0;
	while (i < n_roles && !span_eq_str(word, roles[i].word))
		i++;
	return i;
}

uint32_t
principal_rights(const char *role)
{
	size_t i = find_role(span_str(role));
	return i < n_roles ? roles[i].rights : 0;
}

int
principal_check_role(struct span role, struct err *e)
{
	auto_buf all = BUF_INIT(200);
	if (find_role(role) < n_roles)
		return 0;
	for (size_t i = 0; i < n_roles; i++)
		buf_printf(&all, "%s%s", i ? ", " : "", roles[i].word);
	return err_set(e, ERR_PARSE, "no role '%.*s': %s", SPAN_FMT(span_head(role, 16)),
	    buf_text(&all));
}

bool
principal_is_name(struct span name)
{
	static const char set[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@";
	if (!name.len || name.len > NAME_MAX || name.p[0] == '.')
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!name.p[i] || !strchr(set, name.p[i]))
			return false;
	return true;
}

struct store_principal
principal_new(const char *name, const char *role, int64_t now_ms, struct arena *a)
{
	char id[37];
	rand_uuid(id);
	return (struct store_principal){.name = name,
	    .app_id = arena_str(a, span_str(id)),
	    .role = role,
	    .added_ms = now_ms};
}

/* ---- secrets ----------------------------------------------------------------------- */

static void
hash_secret(struct span salt, struct span sha256, uint8_t out[DIGEST_SHA256])
{
	const struct span parts[] = {salt, sha256};
	digest_sha256v(parts, 2, out);
}

/* Text without what a shell or a form could trip over. */
static const char *
make_secret(struct domain *d, struct store_principal *p, int64_t life_ms)
{
	uint8_t raw[SECRET_BYTES], salt[SALT_BYTES], sha[DIGEST_SHA256];
	uint8_t hash[DIGEST_SHA256];
	auto_buf text = BUF_INIT(64);
	text.secret = true;
	rand_bytes(raw, sizeof(raw));
	rand_bytes(salt, sizeof(salt));
	base64_url_put(&text, span_of(raw, sizeof(raw)));
	own_wipe(raw, sizeof(raw));
	digest_sha256(buf_span(&text), sha);
	hash_secret(span_of(salt, sizeof(salt)), span_of(sha, sizeof(sha)), hash);
	p->salt = arena_span(d->arena, span_of(salt, sizeof(salt)));
	p->secret = arena_span(d->arena, span_of(hash, sizeof(hash)));
	/* tokens name the secret by this; two in one millisecond must differ */
	int64_t now = domain_now(d);
	p->secret_ms = now > p->secret_ms ? now : p->secret_ms + 1;
	p->secret_end_ms = life_ms ? now + life_ms : 0;
	return arena_str(d->arena, buf_span(&text));
}

bool
principal_is_secret(const struct store_principal *p, struct span sha256, int64_t now_ms)
{
	uint8_t hash[DIGEST_SHA256];
	if (p->secret.len != sizeof(hash) || sha256.len != DIGEST_SHA256)
		return false;
	hash_secret(p->salt, sha256, hash);
	return own_equal(hash, p->secret.p, sizeof(hash)) &&
	       (!p->secret_end_ms || now_ms < p->secret_end_ms);
}

/* ---- changes -------------------------------------------------------------------------
 */

struct owners {
	struct domain *d;
	const char *but;
	int64_t n;
};

static bool
is_owner(const struct store_principal *p)
{
	return principal_rights(p->role) & RIGHT_MANAGE;
}

/* Those who can come in: by a secret, or a certificate that is good. */
static int
count_owner(void *ctx, const struct store_principal *p, struct err *e)
{
	struct owners *o = ctx;
	int64_t now = domain_now(o->d), certs = 0;
	bool secret = p->secret.len && (!p->secret_end_ms || now < p->secret_end_ms);
	if (!is_owner(p) || strcmp(p->name, o->but) == 0)
		return 0;
	if (!secret && store_operator_count(o->d->store, p->name, now, &certs, e))
		return -1;
	o->n += secret || certs;
	return 0;
}

/* Nobody could undo what leaves nobody. */
static int
need_other_owner(struct domain *d, const struct store_principal *p, struct err *e)
{
	struct owners o = {.d = d, .but = p->name};
	if (!is_owner(p))
		return 0;
	if (store_principal_each(d->store, count_owner, &o, e))
		return -1;
	if (o.n)
		return 0;
	return err_set(e, ERR_GATE, "%s is the last owner who can come in", p->name);
}

static int
get_or_new(struct domain *d, const struct ipc_operator_put *m, const char *name,
    struct store_principal *ret, bool *ret_is_new, struct err *e)
{
	*ret_is_new = false;
	if (store_principal_get(d->store, name, d->arena, ret, e) == 0)
		return m->fresh ? err_set(e, ERR_EXISTS, "there is an operator %s", name)
				: 0;
	if (e->code != ERR_NOT_FOUND)
		return -1;
	*ret_is_new = true;
	*ret = principal_new(name, "none", domain_now(d), d->arena);
	return 0;
}

static int
set_role(struct domain *d, const struct ipc_operator_put *m, bool is_new,
    struct store_principal *p, struct err *e)
{
	if (!m->role.len)
		return 0;
	const char *role = arena_str(d->arena, m->role);
	if (principal_check_role(m->role, e))
		return -1;
	if (!is_new && !(principal_rights(role) & RIGHT_MANAGE) &&
	    need_other_owner(d, p, e))
		return -1;
	p->role = role;
	return 0;
}

int
principal_put(struct domain *d, const struct ipc_operator_put *m,
    struct store_principal *ret, const char **ret_secret, struct err *e)
{
	struct store_principal p;
	bool is_new;
	const char *name = arena_str(d->arena, m->name), *secret = "";
	if (!principal_is_name(m->name))
		return err_set(e, ERR_PARSE,
		    "an operator's name has letters, digits and -_.@, at most %d",
		    NAME_MAX);
	if (get_or_new(d, m, name, &p, &is_new, e) || set_role(d, m, is_new, &p, e))
		return -1;
	if (m->secret)
		secret = make_secret(d, &p, m->life_ms);
	if (store_principal_put(d->store, &p, e))
		return -1;
	*ret = p;
	*ret_secret = secret;
	return 0;
}

int
principal_delete(struct domain *d, struct span name, struct err *e)
{
	struct store_principal p;
	if (store_principal_get(d->store, arena_str(d->arena, name), d->arena, &p, e) ||
	    need_other_owner(d, &p, e))
		return -1;
	if (store_operator_disable(d->store, p.name, e))
		return -1;
	return store_principal_del(d->store, p.name, e);
}
