/*
 * The generations of a device directory: how far each is, keys that are staged, what is
 * removed, what to fall back to.
 */
#include "agent/keystore_impl.h"

#include <limits.h>
#include <stdio.h>

#include "agent/key_home.h"
#include "codec/key_uri.h"
#include "io/file.h"

/* --- generations --- */

static const char *const stage_names[KEYSTORE_STAGES] = {
    [KEYSTORE_ABSENT] = "absent",
    [KEYSTORE_KEY] = "key made",
    [KEYSTORE_CERT] = "certificate installed",
    [KEYSTORE_PROVEN] = "proved",
    [KEYSTORE_ACTIVE] = "active",
};

const char *
keystore_stage_name(enum keystore_stage s)
{
	return (unsigned)s < KEYSTORE_STAGES ? stage_names[s] : "?";
}

int
keystore_stage(struct keystore *k, struct span generation, struct keystore_ref *ret_ref,
    enum keystore_stage *ret, struct err *e)
{
	struct keystore_ref r = {.x509 = true}, active;
	if (generation_parse(generation, r.generation, e) < 0 ||
	    keystore_active(k, &active, e))
		return -1;
	char dir[PATH_MAX];
	keystore_generation_dir(k, &r, dir);
	enum keystore_stage stage = KEYSTORE_ACTIVE;
	if (!keystore_ref_equal(&r, &active) && generation_stage(dir, &stage, e))
		return -1;
	*ret_ref = r;
	*ret = stage;
	return 0;
}

/* The highest generation that is or was in use; 0 when none. Higher ones are staged. */
static int
highest_used(struct keystore *k, int *ret, struct err *e)
{
	struct keystore_ref active, previous = {0};
	struct err none = {0};
	if (keystore_active(k, &active, e))
		return -1;
	if (keystore_previous(k, &previous, &none) && none.code != ERR_NOT_FOUND)
		return err_copy(e, &none);
	int a =
	    active.x509 ? generation_parse(span_str(active.generation), NULL, NULL) : 0;
	int p = previous.x509
		    ? generation_parse(span_str(previous.generation), NULL, NULL)
		    : 0;
	*ret = a > p ? a : p;
	return 0;
}

static int
list_of_generations(struct keystore *k, struct generation_list *ret, struct err *e)
{
	char path[PATH_MAX];
	return keystore_path_of(k, "cred", path, e) ? -1 : generation_list(path, ret, e);
}

/* The highest generation, when it is staged: never in use, and none above it was. */
static int
staged_ref(struct keystore *k, struct keystore_ref *ret, int *ret_last, struct err *e)
{
	int used;
	struct generation_list list;
	struct keystore_ref r = {.x509 = true};
	if (highest_used(k, &used, e) || list_of_generations(k, &list, e))
		return -1;
	int last = list.n ? list.v[list.n - 1] : 0;
	*ret_last = last > used ? last : used;
	*ret = (struct keystore_ref){0};
	if (last <= used)
		return 0;
	generation_name(last, r.generation);
	if (!keystore_meta_of(k, &r).left_ms)
		*ret = r;
	return 0;
}

/* What a new key shall be: fresh, of a kind; or one that there is (same), once more. */
struct wish {
	const struct keystore_place *place; /* of a fresh one */
	const struct keystore_credential *same;
};

enum key_custody
keystore_custody(const struct keystore_credential *c, const char *key_uri)
{
	return c->key ? key_custody(c->key) : key_home_custody(key_uri);
}

bool
keystore_is_elsewhere(const struct keystore_credential *c, const char *key_uri)
{
	if (!c->key)
		return false;
	return key_home_custody(c->key_uri) != key_home_custody(key_uri) ||
	       (c->key_uri && key_home_is_other(c->key_uri, key_uri));
}

/* Does a staged key do? */
static bool
fulfils(struct keystore *k, const struct keystore_ref *r, const struct key *key,
    const char *uri, const struct wish *w)
{
	if (keystore_meta_of(k, r).reused != (w->same != NULL))
		return false;
	if (w->same)
		return key_is_spki(w->same->key, key_spki(key));
	return key_algorithm(key) == w->place->alg &&
	       key_home_custody(uri) == key_home_custody(w->place->uri) &&
	       !(uri && key_home_is_other(uri, w->place->uri));
}

/* Is a key of that URI where the wish would have it? */
static bool
is_at_home(const char *uri, const struct wish *w)
{
	if (w->same)
		return w->same->key_uri && strcmp(uri, w->same->key_uri) == 0;
	return key_home_custody(uri) == key_home_custody(w->place->uri) &&
	       !key_home_is_other(uri, w->place->uri);
}

/* The key of a staged generation; NULL where it is not whole or not the one wanted. */
static int
staged_key(struct keystore *k, const struct keystore_ref *r, const struct wish *w,
    struct key **ret, struct err *e)
{
	char dir[PATH_MAX];
	struct err none;
	auto_buf text = BUF_INIT(KEY_URI_MAX + 1);
	auto_(key_free) struct key *key = NULL;
	*ret = NULL;
	if (!r->x509)
		return 0;
	keystore_generation_dir(k, r, dir);
	const char *uri = generation_uri(dir, &text, &none) == 0 ? buf_text(&text) : NULL;
	enum key_alg alg = w->same ? key_algorithm(w->same->key) : w->place->alg;
	/* not even opened: its token may be gone for good, with auth.key_uri changed */
	if (uri && !is_at_home(uri, w))
		return 0;
	if (key_home_open(dir, uri, alg, &key, e))
		return err_wrap(e, "staged generation %s", r->generation);
	if (key && fulfils(k, r, key, uri, w))
		*ret = TAKE(key);
	return 0;
}

static int
make_again(const char *dir, const struct keystore_credential *same, struct key **ret,
    struct err *e)
{
	if (same->key_uri ? generation_make_uri(dir, same->key_uri, true, e)
			  : generation_make(dir, same->key, true, e))
		return -1;
	*ret = key_ref(same->key);
	return 0;
}

static int
make_key(
    const char *dir, const struct wish *w, int number, struct key **ret, struct err *e)
{
	return w->same ? make_again(dir, w->same, ret, e)
		       : key_home_make(dir, w->place, number, ret, e);
}

/* Whether another generation has the same key. */
static bool
is_shared(struct keystore *k, const struct keystore_ref *r, const char *uri)
{
	struct err ignored;
	struct generation_list list;
	if (list_of_generations(k, &list, &ignored))
		return true;
	for (size_t i = 0; i < list.n; i++) {
		char dir[PATH_MAX];
		struct keystore_ref other = {.x509 = true};
		auto_buf text = BUF_INIT(KEY_URI_MAX + 1);
		generation_name(list.v[i], other.generation);
		keystore_generation_dir(k, &other, dir);
		if (!keystore_ref_equal(&other, r) &&
		    generation_uri(dir, &text, &ignored) == 0 &&
		    strcmp(buf_text(&text), uri) == 0)
			return true;
	}
	return false;
}

/* The key in its token first: while the directory is there, its name is known. */
static int
remove_generation(struct keystore *k, const struct keystore_ref *r, struct err *e)
{
	char dir[PATH_MAX];
	struct err none;
	auto_buf uri = BUF_INIT(KEY_URI_MAX + 1);
	keystore_generation_dir(k, r, dir);
	if (generation_uri(dir, &uri, &none) == 0 && !is_shared(k, r, buf_text(&uri)) &&
	    key_home_remove(dir, buf_text(&uri), e))
		return -1;
	return file_remove_tree(dir, e);
}

/* A staged key that is not the one wanted now is wanted no more. Were it left, a device
 * that wants now this, now that (its clock jumps, it falls back and forth) would have a
 * generation more at each try. True where it is gone, and its number free. */
static bool
drop_staged(struct keystore *k, const struct keystore_ref *r)
{
	struct err ignored;
	return r->x509 && remove_generation(k, r, &ignored) == 0;
}

static int
stage_key(struct keystore *k, const struct wish *w, struct keystore_ref *ret_ref,
    struct key **ret_key, struct err *e)
{
	int last;
	char dir[PATH_MAX];
	struct keystore_ref r;
	struct key *key;
	if (staged_ref(k, &r, &last, e) || staged_key(k, &r, w, &key, e))
		return -1;
	if (!key) {
		int number = drop_staged(k, &r) ? last : last + 1;
		if (number > KEYSTORE_GENERATIONS_MAX)
			return err_set(
			    e, ERR_LIMIT, "%s: no generation number is left", k->dir);
		r.x509 = true;
		generation_name(number, r.generation);
		keystore_generation_dir(k, &r, dir);
		if (make_key(dir, w, number, &key, e))
			return -1;
	}
	*ret_ref = r;
	*ret_key = key;
	return 0;
}

int
keystore_keygen(struct keystore *k, const struct keystore_place *p,
    struct keystore_ref *ret_ref, struct key **ret_key, struct err *e)
{
	keystore_must_be_locked(k);
	const struct wish w = {.place = p};
	return stage_key(k, &w, ret_ref, ret_key, e);
}

int
keystore_key_again(struct keystore *k, const struct keystore_ref *r,
    struct keystore_ref *ret_ref, struct key **ret_key, struct err *e)
{
	keystore_must_be_locked(k);
	auto_keystore_credential c = {0};
	const struct wish w = {.same = &c};
	if (keystore_load(k, r, &c, e))
		return -1;
	if (!c.key)
		return err_set(e, ERR_USAGE, "SAS has no key to certify");
	return stage_key(k, &w, ret_ref, ret_key, e);
}

int
keystore_staged(struct keystore *k, struct keystore_ref *ret_ref,
    enum keystore_stage *ret, struct err *e)
{
	int last;
	char dir[PATH_MAX];
	struct keystore_ref r;
	if (staged_ref(k, &r, &last, e))
		return -1;
	keystore_generation_dir(k, &r, dir);
	enum keystore_stage stage = KEYSTORE_ABSENT;
	if (r.x509 && generation_stage(dir, &stage, e))
		return -1;
	if (stage == KEYSTORE_ABSENT)
		return err_set(e, ERR_NOT_FOUND, "%s: no key is staged", k->dir);
	*ret_ref = r;
	*ret = stage;
	return 0;
}

int
keystore_abandon(
    struct keystore *k, const struct keystore_ref *r, int64_t now_ms, struct err *e)
{
	keystore_must_be_locked(k);
	struct keystore_ref staged;
	enum keystore_stage stage;
	if (keystore_staged(k, &staged, &stage, e))
		return -1;
	if (!keystore_ref_equal(r, &staged))
		return err_set(
		    e, ERR_CONFLICT, "generation %s is not staged", r->generation);
	if (keystore_journal(k, now_ms, "abandon", e, "generation=%s", r->generation))
		return -1;
	return remove_generation(k, r, e);
}

int
keystore_install(struct keystore *k, const struct keystore_ref *r, struct span chain_pem,
    const char *device_id, int64_t now_ms, struct keystore_credential *ret, struct err *e)
{
	keystore_must_be_locked(k);
	char dir[PATH_MAX];
	keystore_generation_dir(k, r, dir);
	if (generation_install(dir, chain_pem, device_id, now_ms, e))
		return err_wrap(e, "certificate for generation %s", r->generation);
	auto_keystore_credential c = {0};
	if (keystore_load(k, r, &c, e))
		return -1;
	if (keystore_journal(k, now_ms, "install", e, "generation=%s thumbprint=%s",
		r->generation, c.thumbprint))
		return -1;
	*ret = c;
	c = (struct keystore_credential){0};
	return 0;
}

int
keystore_set_proven(struct keystore *k, const struct keystore_ref *r,
    const struct keystore_assignment *a, int64_t now_ms, struct err *e)
{
	keystore_must_be_locked(k);
	auto_keystore_credential c = {0};
	if (keystore_load(k, r, &c, e))
		return -1;
	char dir[PATH_MAX];
	keystore_generation_dir(k, r, dir);
	struct generation_meta m = keystore_meta_of(k, r);
	m.proven_ms = now_ms;
	m.assignment = *a;
	memcpy(m.thumbprint, c.thumbprint, sizeof(m.thumbprint));
	if (generation_meta_put(dir, &m, e))
		return -1;
	return keystore_journal(k, now_ms, "prove", e,
	    "generation=%s thumbprint=%s hub=%s", r->generation, c.thumbprint, a->hub);
}

int
keystore_prune(struct keystore *k, int64_t keep, struct err *e)
{
	keystore_must_be_locked(k);
	int used;
	struct generation_list list;
	struct keystore_ref active, previous = {0};
	if (highest_used(k, &used, e) || list_of_generations(k, &list, e) ||
	    keystore_active(k, &active, e))
		return -1;
	struct err none;
	if (keystore_previous(k, &previous, &none))
		previous = (struct keystore_ref){0};
	size_t left = list.n;
	for (size_t i = 0; i < list.n && (int64_t)left > keep; i++) {
		struct keystore_ref r = {.x509 = true};
		generation_name(list.v[i], r.generation);
		if (list.v[i] > used || keystore_ref_equal(&r, &active) ||
		    keystore_ref_equal(&r, &previous))
			continue;
		if (remove_generation(k, &r, e))
			return -1;
		left--;
	}
	return 0;
}

int
keystore_cert_beside(
    struct keystore *k, const struct keystore_credential *c, struct err *e)
{
	char dir[PATH_MAX];
	auto_buf full = BUF_INIT(KEY_URI_MAX + 1);
	auto_cert_list chain = {.n = 0};
	if (key_home_custody(c->key_uri) != KEY_CUSTODY_TPM2)
		return 0;
	keystore_generation_dir(k, &c->ref, dir);
	if (generation_resolve(dir, c->key_uri, &full, e) ||
	    cert_list_parse(buf_span(&c->chain_pem), "chain", &chain, e))
		return -1;
	return key_cert_put(buf_text(&full), chain.v[0]->der, e);
}

/* --- falling back --- */

/* Proved, and not expired: may the device live on it? */
static bool
is_spare(struct keystore *k, const struct keystore_ref *r, int64_t now_ms)
{
	char dir[PATH_MAX];
	struct err ignored;
	auto_keystore_credential c = {0};
	enum keystore_stage stage;
	keystore_generation_dir(k, r, dir);
	return generation_stage(dir, &stage, &ignored) == 0 && stage == KEYSTORE_PROVEN &&
	       keystore_load(k, r, &c, &ignored) == 0 && c.not_after_ms > now_ms;
}

/* The next older spare generation, else the newest. */
static bool
find_spare(struct keystore *k, const struct generation_list *list, int active,
    int64_t now_ms, struct keystore_ref *ret)
{
	bool found = false;
	for (size_t i = list->n; i-- > 0;) {
		struct keystore_ref r = {.x509 = true};
		generation_name(list->v[i], r.generation);
		if (list->v[i] == active || (found && list->v[i] > active) ||
		    !is_spare(k, &r, now_ms))
			continue;
		*ret = r;
		found = true;
		if (list->v[i] < active)
			break;
	}
	return found;
}

int
keystore_fall_back(
    struct keystore *k, int64_t now_ms, struct keystore_ref *ret, struct err *e)
{
	keystore_must_be_locked(k);
	struct generation_list list;
	struct keystore_ref was, to;
	if (keystore_active(k, &was, e) || list_of_generations(k, &list, e))
		return -1;
	int active = was.x509 ? generation_parse(span_str(was.generation), NULL, e) : 0;
	if (!was.x509 || !find_spare(k, &list, active, now_ms, &to))
		return err_set(
		    e, ERR_NOT_FOUND, "%s: no other generation to fall back to", k->dir);
	if (keystore_switch_back(k, "fall_back", &was, &to, &was, now_ms, e))
		return -1;
	*ret = to;
	return 0;
}
