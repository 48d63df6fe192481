/*
 * The device directory. Every switch is: write new files, sync them and their directory,
 * then replace `active`. Nothing here logs; journal.log is the record.
 */
#include "agent/keystore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/generation.h"
#include "agent/key_home.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/rand.h"
#include "codec/js.h"
#include "codec/key_uri.h"
#include "crypto/sas_key.h"
#include "io/file.h"

#define SWITCH_MAX   64 /* the text of `active` */
#define SAS_TEXT_MAX 256
#define STATE_MAX    4096
#define PROBE_BYTES  (64 * 1024)

struct keystore {
	char *dir;
	int lock; /* -1: not held */
};

static int
path_of(const struct keystore *k, const char *name, char out[PATH_MAX], struct err *e)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", k->dir, name);
	return n < PATH_MAX ? 0 : err_set(e, ERR_LIMIT, "%s: path too long", k->dir);
}

static void
generation_dir(const struct keystore *k, const struct keystore_ref *r, char out[PATH_MAX])
{
	/* keystore_open saw to it that this fits */
	snprintf(out, PATH_MAX, "%s/cred/%s", k->dir, r->generation);
}

/* --- making and opening --- */

static int
check_dir(const char *path, struct err *e)
{
	struct stat st;
	if (lstat(path, &st))
		return err_sys(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_PERM, "%s: not a directory", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(e, ERR_PERM,
		    "%s: belongs to user %u, not to %u: chown %u '%s'", path, st.st_uid,
		    geteuid(), geteuid(), path);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return err_set(e, ERR_PERM,
		    "%s: mode %04o lets others at the device's keys: chmod 700 '%s'",
		    path, st.st_mode & 07777, path);
	return 0;
}

int
keystore_create(
    const char *dir, struct span conf, struct span sas_key_base64, struct err *e)
{
	auto_buf key = BUF_INIT(SAS_KEY_MAX);
	key.secret = true;
	if (sas_key_base64.len && sas_key_parse(sas_key_base64, &key, e))
		return err_wrap(e, "the device's SAS key");
	struct keystore k = {.dir = (char *)(uintptr_t)dir, .lock = -1};
	char cred[PATH_MAX], sas[PATH_MAX], config[PATH_MAX], active[PATH_MAX];
	if (path_of(&k, "cred", cred, e) || path_of(&k, "cred/sas.key", sas, e) ||
	    path_of(&k, "agent.conf", config, e) || path_of(&k, "active", active, e))
		return -1;
	if (file_exists(active))
		return err_set(e, ERR_EXISTS, "%s: a device lives there already", dir);
	if (file_mkdir(dir, 0700, e) || check_dir(dir, e) || file_mkdir(cred, 0700, e))
		return -1;
	auto_buf text = BUF_INIT(SAS_TEXT_MAX);
	text.secret = true;
	buf_put_span(&text, span_trim(sas_key_base64));
	buf_u8(&text, '\n');
	if (buf_check(&text, "SAS key", e))
		return -1;
	/* `active` last: without it there is no device, and a repeat begins anew */
	if ((key.len && file_write(sas, buf_span(&text), 0600, e)) ||
	    file_write(config, conf, 0600, e))
		return -1;
	return file_write(active, SPAN_LIT("sas\n"), 0600, e);
}

int
keystore_open(const char *dir, struct keystore **ret, struct err *e)
{
	char cred[PATH_MAX];
	/* room for the longest name below: cred/NNNN/cert.pem and its temporary file */
	if (!*dir || strlen(dir) > PATH_MAX - 64)
		return err_set(
		    e, ERR_USAGE, "\"%s\": no usable path of a directory", dir);
	snprintf(cred, sizeof(cred), "%s/cred", dir);
	if (check_dir(dir, e) || check_dir(cred, e))
		return -1;
	struct keystore *k = own_alloc(sizeof(*k));
	k->dir = own_strdup(dir);
	k->lock = -1;
	*ret = k;
	return 0;
}

void
keystore_close(struct keystore *k)
{
	if (!k)
		return;
	own_close(&k->lock);
	free(k->dir);
	free(k);
}

const char *
keystore_dir(const struct keystore *k)
{
	return k->dir;
}

/* Temporary files of writes that a power cut ended. */
static int
sweep_dir(const char *path, struct err *e)
{
	DIR *d = opendir(path);
	if (!d)
		return err_sys(e, ERR_IO, "%s", path);
	for (struct dirent *it; (it = readdir(d));)
		if (span_ends(span_str(it->d_name), SPAN_LIT(".tmp")))
			unlinkat(dirfd(d), it->d_name, 0);
	closedir(d);
	return 0;
}

static int
sweep(struct keystore *k, struct err *e)
{
	char path[PATH_MAX];
	if (sweep_dir(k->dir, e) || path_of(k, "cred", path, e) || sweep_dir(path, e))
		return -1;
	struct generation_list list;
	if (generation_list(path, &list, e))
		return -1;
	for (size_t i = 0; i < list.n; i++) {
		struct keystore_ref r = {.x509 = true};
		generation_name(list.v[i], r.generation);
		generation_dir(k, &r, path);
		if (sweep_dir(path, e))
			return -1;
	}
	return 0;
}

int
keystore_lock(struct keystore *k, struct err *e)
{
	char path[PATH_MAX];
	if (k->lock >= 0)
		return 0;
	if (path_of(k, "lock", path, e))
		return -1;
	if (file_lock(path, &k->lock, e)) {
		if (e && e->code == ERR_EXISTS)
			e->code = ERR_BUSY;
		return -1;
	}
	if (sweep(k, e) == 0)
		return 0;
	own_close(&k->lock);
	return -1;
}

void
keystore_unlock(struct keystore *k)
{
	own_close(&k->lock);
}

bool
keystore_is_locked(const struct keystore *k)
{
	return k->lock >= 0;
}

static void
must_be_locked(const struct keystore *k)
{
	if (k->lock < 0)
		abort(); /* a bug: two writers could interleave */
}

/* --- the switch --- */

void
keystore_ref_name(const struct keystore_ref *r, char out[KEYSTORE_NAME_SIZE])
{
	snprintf(out, KEYSTORE_NAME_SIZE, r->x509 ? "x509 %s" : "sas", r->generation);
}

int
keystore_ref_parse(struct span s, struct keystore_ref *ret, struct err *e)
{
	struct keystore_ref r = {0};
	s = span_trim(s);
	if (span_eq_str(s, "sas")) {
		*ret = r;
		return 0;
	}
	r.x509 = true;
	if (!span_starts(s, SPAN_LIT("x509 ")) ||
	    generation_parse(span_skip(s, 5), r.generation, e) < 0)
		return err_set(e, ERR_CORRUPT, "\"%.*s\" names no credential",
		    s.len > 40 ? 40 : (int)s.len, s.len ? (const char *)s.p : "");
	*ret = r;
	return 0;
}

static int
switch_read(
    const struct keystore *k, const char *name, struct keystore_ref *ret, struct err *e)
{
	char path[PATH_MAX];
	auto_buf text = BUF_INIT(SWITCH_MAX);
	if (path_of(k, name, path, e) || file_read(path, &text, e))
		return -1;
	return keystore_ref_parse(buf_span(&text), ret, e) ? err_wrap(e, "%s", path) : 0;
}

static int
switch_write(const struct keystore *k, const char *name, const struct keystore_ref *r,
    struct err *e)
{
	char path[PATH_MAX], text[KEYSTORE_NAME_SIZE + 1];
	if (path_of(k, name, path, e))
		return -1;
	keystore_ref_name(r, text);
	size_t len = strlen(text);
	text[len] = '\n';
	return file_write(path, span_of(text, len + 1), 0600, e);
}

int
keystore_active(struct keystore *k, struct keystore_ref *ret, struct err *e)
{
	return switch_read(k, "active", ret, e);
}

int
keystore_previous(struct keystore *k, struct keystore_ref *ret, struct err *e)
{
	return switch_read(k, "previous", ret, e);
}

static bool
ref_equal(const struct keystore_ref *a, const struct keystore_ref *b)
{
	return a->x509 == b->x509 && strcmp(a->generation, b->generation) == 0;
}

int
keystore_promote(
    struct keystore *k, const struct keystore_ref *r, int64_t now_ms, struct err *e)
{
	must_be_locked(k);
	struct keystore_ref was;
	auto_keystore_credential c = {0};
	if (keystore_active(k, &was, e) || keystore_load(k, r, &c, e))
		return -1;
	if (ref_equal(&was, r))
		return 0;
	char from[KEYSTORE_NAME_SIZE], to[KEYSTORE_NAME_SIZE];
	keystore_ref_name(&was, from);
	keystore_ref_name(r, to);
	/* the record first: an undocumented switch is worse than none */
	if (keystore_journal(k, now_ms, "promote", e,
		"from=\"%s\" to=\"%s\" thumbprint=%s", from, to, c.thumbprint))
		return -1;
	if (switch_write(k, "previous", &was, e) || switch_write(k, "active", r, e))
		return err_wrap(e, "switching from %s to %s", from, to);
	return 0;
}

/* Facts of a generation; none where they cannot be read, for they only spare work. */
static struct generation_meta
meta_of(const struct keystore *k, const struct keystore_ref *r)
{
	struct generation_meta m;
	struct err ignored;
	char dir[PATH_MAX];
	generation_dir(k, r, dir);
	return generation_meta_get(dir, &m, &ignored) ? (struct generation_meta){0} : m;
}

/* Notes that r was in use, so that its key is not taken for one that never was. */
static int
note_left(struct keystore *k, const struct keystore_ref *r, int64_t now_ms, struct err *e)
{
	char dir[PATH_MAX];
	if (!r->x509)
		return 0;
	struct generation_meta m = meta_of(k, r);
	m.left_ms = now_ms;
	generation_dir(k, r, dir);
	return generation_meta_put(dir, &m, e);
}

/* The way back must be open whenever it can be: a journal or a note that cannot be
 * written does not bar it. `previous` stays as it is unless it is given, so that a revert
 * whose answer was lost can be repeated. */
static int
switch_back(struct keystore *k, const char *event, const struct keystore_ref *was,
    const struct keystore_ref *to, const struct keystore_ref *previous, int64_t now_ms,
    struct err *e)
{
	char from[KEYSTORE_NAME_SIZE], name[KEYSTORE_NAME_SIZE];
	struct err ignored;
	keystore_ref_name(was, from);
	keystore_ref_name(to, name);
	if (keystore_journal(
		k, now_ms, event, &ignored, "from=\"%s\" to=\"%s\"", from, name) ||
	    note_left(k, was, now_ms, &ignored))
		ignored.code = ERR_OK;
	if ((previous && switch_write(k, "previous", previous, e)) ||
	    switch_write(k, "active", to, e))
		return err_wrap(e, "switching from %s to %s", from, name);
	return 0;
}

int
keystore_revert_to(
    struct keystore *k, const struct keystore_ref *to, int64_t now_ms, struct err *e)
{
	must_be_locked(k);
	struct keystore_ref was;
	auto_keystore_credential c = {0};
	if (keystore_active(k, &was, e))
		return -1;
	if (keystore_load(k, to, &c, e))
		return err_wrap(e, "going back");
	if (ref_equal(&was, to))
		return 0;
	return switch_back(k, "revert", &was, to, NULL, now_ms, e);
}

int
keystore_revert(
    struct keystore *k, int64_t now_ms, struct keystore_ref *ret, struct err *e)
{
	must_be_locked(k);
	struct keystore_ref was, to;
	if (keystore_active(k, &was, e))
		return -1;
	struct err none;
	if (keystore_previous(k, &to, &none)) {
		if (was.x509)
			return err_copy(e, &none);
		to = was; /* SAS from the beginning: nothing was ever switched */
	}
	if (keystore_revert_to(k, &to, now_ms, e))
		return -1;
	*ret = to;
	return 0;
}

/* --- loading --- */

static int
load_sas(const struct keystore *k, struct keystore_credential *c, struct err *e)
{
	char path[PATH_MAX];
	auto_buf text = BUF_INIT(SAS_TEXT_MAX);
	if (path_of(k, "cred/sas.key", path, e) || file_read_secret(path, &text, e))
		return -1;
	c->sas_key = BUF_INIT(SAS_KEY_MAX);
	c->sas_key.secret = true;
	if (sas_key_parse(span_trim(buf_span(&text)), &c->sas_key, e))
		return err_wrap(e, "%s", path);
	return 0;
}

int
keystore_load(struct keystore *k, const struct keystore_ref *r,
    struct keystore_credential *ret, struct err *e)
{
	struct keystore_credential c = {.ref = *r};
	int failed;
	if (!r->x509) {
		failed = load_sas(k, &c, e);
	} else {
		char dir[PATH_MAX];
		generation_dir(k, r, dir);
		failed = generation_load(dir, &c, e);
	}
	if (failed) {
		keystore_credential_done(&c);
		return -1;
	}
	*ret = c;
	return 0;
}

void
keystore_credential_done(struct keystore_credential *c)
{
	buf_done(&c->sas_key);
	buf_done(&c->chain_pem);
	key_free(c->key);
	free(c->key_uri);
	memset(c, 0, sizeof(*c));
}

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
	generation_dir(k, &r, dir);
	enum keystore_stage stage = KEYSTORE_ACTIVE;
	if (!ref_equal(&r, &active) && generation_stage(dir, &stage, e))
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
	return path_of(k, "cred", path, e) ? -1 : generation_list(path, ret, e);
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
	if (!meta_of(k, &r).left_ms)
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
	if (meta_of(k, r).reused != (w->same != NULL))
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
	generation_dir(k, r, dir);
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
		generation_dir(k, &other, dir);
		if (!ref_equal(&other, r) && generation_uri(dir, &text, &ignored) == 0 &&
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
	generation_dir(k, r, dir);
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
		generation_dir(k, &r, dir);
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
	must_be_locked(k);
	const struct wish w = {.place = p};
	return stage_key(k, &w, ret_ref, ret_key, e);
}

int
keystore_key_again(struct keystore *k, const struct keystore_ref *r,
    struct keystore_ref *ret_ref, struct key **ret_key, struct err *e)
{
	must_be_locked(k);
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
	generation_dir(k, &r, dir);
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
	must_be_locked(k);
	struct keystore_ref staged;
	enum keystore_stage stage;
	if (keystore_staged(k, &staged, &stage, e))
		return -1;
	if (!ref_equal(r, &staged))
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
	must_be_locked(k);
	char dir[PATH_MAX];
	generation_dir(k, r, dir);
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
	must_be_locked(k);
	auto_keystore_credential c = {0};
	if (keystore_load(k, r, &c, e))
		return -1;
	char dir[PATH_MAX];
	generation_dir(k, r, dir);
	struct generation_meta m = meta_of(k, r);
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
	must_be_locked(k);
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
		if (list.v[i] > used || ref_equal(&r, &active) ||
		    ref_equal(&r, &previous))
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
	generation_dir(k, &c->ref, dir);
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
	generation_dir(k, r, dir);
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
	must_be_locked(k);
	struct generation_list list;
	struct keystore_ref was, to;
	if (keystore_active(k, &was, e) || list_of_generations(k, &list, e))
		return -1;
	int active = was.x509 ? generation_parse(span_str(was.generation), NULL, e) : 0;
	if (!was.x509 || !find_spare(k, &list, active, now_ms, &to))
		return err_set(
		    e, ERR_NOT_FOUND, "%s: no other generation to fall back to", k->dir);
	if (switch_back(k, "fall_back", &was, &to, &was, now_ms, e))
		return -1;
	*ret = to;
	return 0;
}

/* --- assignments --- */

static int
state_get(const char *path, struct keystore_assignment *ret, struct err *e)
{
	auto_buf text = BUF_INIT(STATE_MAX);
	if (file_read(path, &text, e))
		return -1;
	auto_(js_free) struct js *o = js_parse(buf_span(&text), STATE_MAX, 4, e);
	struct span hub, id;
	if (!o || js_need_str(o, "hub", &hub, e) || js_need_str(o, "deviceId", &id, e))
		return err_wrap(e, "%s", path);
	struct keystore_assignment a;
	if (!span_to_str(hub, a.hub, sizeof(a.hub)) ||
	    !span_to_str(id, a.device_id, sizeof(a.device_id)))
		return err_set(e, ERR_PARSE, "%s: a name is too long", path);
	*ret = a;
	return 0;
}

static int
state_put(const char *path, const struct keystore_assignment *a, struct err *e)
{
	auto_(js_free) struct js *o = js_object();
	if (js_set_str(o, "hub", span_str(a->hub), e) ||
	    js_set_str(o, "deviceId", span_str(a->device_id), e))
		return -1;
	auto_buf text = BUF_INIT(STATE_MAX);
	js_dump(o, JS_AS_BUILT, &text);
	buf_u8(&text, '\n');
	return buf_check(&text, path, e) ? -1
					 : file_write(path, buf_span(&text), 0600, e);
}

int
keystore_assignment_get(struct keystore *k, const struct keystore_ref *r,
    struct keystore_assignment *ret, struct err *e)
{
	char path[PATH_MAX];
	if (!r->x509)
		return path_of(k, "state.json", path, e) ? -1 : state_get(path, ret, e);
	struct generation_meta m;
	generation_dir(k, r, path);
	if (generation_meta_get(path, &m, e))
		return -1;
	if (!m.assignment.hub[0])
		return err_set(e, ERR_NOT_FOUND, "%s: not assigned yet", path);
	*ret = m.assignment;
	return 0;
}

int
keystore_assignment_put(struct keystore *k, const struct keystore_ref *r,
    const struct keystore_assignment *a, struct err *e)
{
	char path[PATH_MAX];
	if (!r->x509)
		return path_of(k, "state.json", path, e) ? -1 : state_put(path, a, e);
	struct generation_meta m = meta_of(k, r);
	generation_dir(k, r, path);
	m.assignment = *a;
	return generation_meta_put(path, &m, e);
}

/* --- probe and journal --- */

int
keystore_probe(struct keystore *k, struct err *e)
{
	char path[PATH_MAX];
	auto_buf data = BUF_INIT(PROBE_BYTES);
	uint8_t *room = buf_room(&data, PROBE_BYTES);
	/* random: a file system that compresses or de-duplicates must not cheat */
	rand_bytes(room, PROBE_BYTES);
	buf_grew(&data, PROBE_BYTES);
	if (path_of(k, "cred/probe.tmp", path, e))
		return -1;
	if (file_write(path, buf_span(&data), 0600, e))
		return err_wrap(e, "a trial write where keys are kept");
	return file_remove(path, e);
}

int
keystore_journal(struct keystore *k, int64_t now_ms, const char *event, struct err *e,
    const char *fmt, ...)
{
	char path[PATH_MAX], when[CLOCK_TEXT];
	auto_buf line = BUF_INIT(1024);
	clock_iso(now_ms, 3, when);
	buf_printf(&line, "%s %s ", when, event);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&line, fmt, ap);
	va_end(ap);
	buf_u8(&line, '\n');
	auto_(file_append_close) struct file_append *f = NULL;
	if (buf_check(&line, "journal line", e) || path_of(k, "journal.log", path, e) ||
	    file_append_open(path, 0600, &f, NULL, e) ||
	    file_append(f, buf_span(&line), e) || file_append_sync(f, e))
		return -1;
	return 0;
}
