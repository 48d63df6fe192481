/*
 * muster ca ceremony: what is done with a root's key, on a machine that has no network,
 * with every input and output in one directory and a line of the transcript for each
 * step. docs/ceremony.md is the whole way.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/num.h"
#include "cmd/ask.h"
#include "cmd/ca.h"
#include "cmd/opt.h"
#include "cmd/transcript.h"
#include "crypto/crl.h"
#include "crypto/csr.h"
#include "io/file.h"

#define PATH_MAX_    4300
#define PASSPHRASE   1024
#define DAY_MS       (INT64_C(86400) * 1000)
#define ROOT_CRL_MAX (1u << 20)
#define CRL_NEXT_MS  (180 * DAY_MS) /* the next ceremony is before that */
#define YEAR_MS      (365 * DAY_MS)
#define TYPED_DIGITS ((size_t)8)

struct args {
	const char *dir, *key, *passphrase_file, *cn, *org, *alg, *life, *next, *reason;
	struct opt_each who, compared;
};

static int
path_of(const struct args *a, const char *file, char ret[PATH_MAX_], struct err *e)
{
	int n = snprintf(ret, PATH_MAX_, "%s/%s", a->dir, file);
	if (n < 0 || n >= PATH_MAX_)
		return err_set(e, ERR_LIMIT, "path too long: %s/%s", a->dir, file);
	return 0;
}

/* The name of a file in the ceremony's directory: inputs are put there first, so that the
 * transcript can be checked with nothing but that directory. */
static int
name_in_dir(const struct args *a, const char *file, const char **ret, struct err *e)
{
	char path[PATH_MAX_];
	const char *slash = strrchr(file, '/');
	const char *name = slash ? slash + 1 : file;
	if (path_of(a, name, path, e))
		return -1;
	if (!name[0] || name[0] == '.' || !file_exists(path))
		return err_set(e, ERR_NOT_FOUND,
		    "%s is not in the ceremony's directory %s; copy it there first", file,
		    a->dir);
	*ret = name;
	return 0;
}

static int
life_of(const char *text, int64_t fallback_ms, int64_t *ret_ms, struct err *e)
{
	*ret_ms = fallback_ms;
	if (text &&
	    num_parse_duration_ms(span_str(text), DAY_MS, 40 * YEAR_MS, ret_ms, e))
		return err_wrap(e, "%s", text);
	return 0;
}

static struct transcript *
begin(const struct args *a, const char *verb, struct err *e)
{
	if (a->who.n == 0) {
		err_set(
		    e, ERR_USAGE, "--who NAME: who is here? (two at least, by rights)");
		return NULL;
	}
	return transcript_begin(a->dir, verb, a->who.v, a->who.n, e);
}

/* ---- comparing ------------------------------------------------------------------------
 */

static bool
was_compared(const struct args *a, const char *fingerprint)
{
	for (int i = 0; i < a->compared.n; i++)
		if (span_ieq_str(span_str(fingerprint), a->compared.v[i]))
			return true;
	return false;
}

/* Are these the first digits, or all of them? */
static bool
starts_with(const char *fingerprint, const char *typed)
{
	struct span got = span_trim(span_str(typed));
	return got.len >= TYPED_DIGITS && got.len <= strlen(fingerprint) &&
	       strncasecmp(fingerprint, (const char *)got.p, got.len) == 0;
}

/* What is signed is what the other side says it sent: somebody has looked. */
static int
confirm(const struct args *a, const uint8_t sha256[DIGEST_SHA256], struct err *e)
{
	char fingerprint[65], typed[128];
	hex_write(span_of(sha256, DIGEST_SHA256), fingerprint);
	printf("key SHA-256 %s\n", fingerprint);
	fflush(stdout);
	if (was_compared(a, fingerprint))
		return 0;
	if (a->compared.n || !isatty(STDIN_FILENO))
		return err_set(e, ERR_DENIED,
		    "the key's SHA-256 was not compared (--yes-i-compared %s)",
		    fingerprint);
	printf("type its first %zu digits as the other side has them: ", TYPED_DIGITS);
	fflush(stdout);
	if (!fgets(typed, sizeof(typed), stdin) || !starts_with(fingerprint, typed))
		return err_set(e, ERR_DENIED, "that is not what is here: nothing signed");
	return 0;
}

/* ---- the root's key -------------------------------------------------------------------
 */

static int
key_uri(const struct args *a, struct buf *uri, struct err *e)
{
	return key_uri_resolve(span_str(a->key), a->dir, uri, e);
}

/* Typed twice where it is typed: nobody can sign with what was mistyped. */
static int
new_passphrase(const struct args *a, char out[PASSPHRASE], size_t *ret_len, struct err *e)
{
	char again[PASSPHRASE];
	void *file = (void *)a->passphrase_file;
	int n = ask_passphrase(file, "the new root key", out, PASSPHRASE);
	int m = file || n < 0 ? n : ask_passphrase(NULL, "it again", again, PASSPHRASE);
	bool same = n == m && (file || n < 0 || own_equal(out, again, (size_t)n));
	own_wipe(again, sizeof(again));
	if (n < KEY_PASSPHRASE_MIN)
		return err_set(e, ERR_USAGE,
		    "the root key needs a passphrase of at least %d characters "
		    "(--passphrase-file, or a terminal)",
		    KEY_PASSPHRASE_MIN);
	if (!same)
		return err_set(e, ERR_USAGE, "the two passphrases differ");
	*ret_len = (size_t)n;
	return 0;
}

static struct key *
make_file_key(const struct args *a, enum key_alg alg, const char *path, struct err *e)
{
	char pass[PASSPHRASE];
	size_t len = 0;
	auto_buf pem = BUF_INIT(KEY_PEM_MAX);
	auto_(key_free) struct key *k = NULL;
	pem.secret = true;
	int rc = new_passphrase(a, pass, &len, e);
	if (rc == 0)
		k = key_generate(alg, e);
	if (k)
		rc = key_write_encrypted(k, span_of(pass, len), &pem, e);
	own_wipe(pass, sizeof(pass));
	if (!k || rc || file_write_new(path, buf_span(&pem), 0600, e))
		return NULL;
	return TAKE(k);
}

static struct key *
make_key(const struct args *a, struct err *e)
{
	enum key_alg alg = KEY_P384;
	struct key_uri u;
	auto_buf uri = BUF_INIT(KEY_URI_MAX);
	if ((a->alg && key_alg_parse(span_str(a->alg), &alg, e)) || key_uri(a, &uri, e) ||
	    key_uri_parse(buf_span(&uri), &u, e))
		return NULL;
	if (u.kind == KEY_URI_FILE)
		return make_file_key(a, alg, u.path, e);
	return key_create(buf_text(&uri), alg, e);
}

/* The root with its key, ready to sign. */
static struct issuer *
open_root(const struct args *a, struct err *e)
{
	char path[PATH_MAX_];
	auto_buf uri = BUF_INIT(KEY_URI_MAX), pem = BUF_INIT(CERT_PEM_MAX);
	if (path_of(a, "root.pem", path, e) || file_read(path, &pem, e) ||
	    key_uri(a, &uri, e))
		return NULL;
	auto_(key_free) struct key *k =
	    key_open(buf_text(&uri), ask_passphrase, (void *)a->passphrase_file, e);
	return k ? issuer_new(buf_span(&pem), k, e) : NULL;
}

static void
put_key(struct transcript *t, struct span spki)
{
	uint8_t sha[DIGEST_SHA256];
	char hex[65];
	digest_sha256(spki, sha);
	hex_write(span_of(sha, sizeof(sha)), hex);
	transcript_put(t, "key", hex);
}

/* The certificate goes to the directory and to the transcript. */
static int
put_cert(const struct args *a, struct transcript *t, const char *file, struct span pem,
    struct err *e)
{
	char path[PATH_MAX_];
	auto_cert_list l = {.n = 0};
	struct cert_info info;
	if (cert_list_parse(pem, file, &l, e) || path_of(a, file, path, e) ||
	    file_write_new(path, pem, 0644, e) || transcript_put_file(t, "out", file, e))
		return -1;
	cert_info(l.v[0], &info);
	transcript_put(t, "subject", info.subject);
	transcript_put(t, "serial", info.serial);
	transcript_put(t, "until", info.not_after);
	put_key(t, l.v[0]->spki);
	if (transcript_end(t, e))
		return -1;
	printf("%s: %s, until %s\nSHA-256 %s\n", file, info.subject, info.not_after,
	    info.sha256);
	return 0;
}

/* ---- root -----------------------------------------------------------------------------
 */

static int
do_root(struct args *a, int argc, char **argv, struct err *e)
{
	int64_t life_ms;
	char path[PATH_MAX_];
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	(void)argc;
	(void)argv;
	auto_(transcript_free) struct transcript *t = begin(a, "root", e);
	if (!t || life_of(a->life, 20 * YEAR_MS, &life_ms, e) ||
	    path_of(a, "root.pem", path, e))
		return -1;
	if (file_exists(path))
		return err_set(e, ERR_EXISTS, "%s is there already", path);
	const struct ca_subject who = {.cn = a->cn ? a->cn : "muster Root CA",
	    .org = a->org,
	    .life_s = life_ms / 1000};
	auto_(key_free) struct key *k = make_key(a, e);
	if (!k || ca_make_root(k, &who, clock_wall_s(&clock_system), &pem, e) ||
	    put_cert(a, t, "root.pem", buf_span(&pem), e))
		return -1;
	return 0;
}

/* ---- sign -----------------------------------------------------------------------------
 */

/* Our own requests have CN and, where the home has one, O; what else a request's subject
 * holds would be lost. */
static int
find_org(const struct args *a, const struct csr *r, const char **ret, struct err *e)
{
	const char *const tries[] = {a->org, NULL};
	for (size_t i = 0; i < 2; i++) {
		auto_buf name = BUF_INIT(4096);
		if (name_write(r->cn, tries[i], &name, e))
			return -1;
		if (!name_same(buf_span(&name), r->subject))
			continue;
		*ret = tries[i];
		return 0;
	}
	return err_set(
	    e, ERR_DENIED, "the subject is not CN and O=%s; --org names another", a->org);
}

static void
show_request(const struct csr *r, const char *org, int64_t life_ms)
{
	printf("subject     CN=%s%s%s\n", r->cn, org ? ", O=" : "", org ? org : "");
	printf("profile     intermediate: CA, pathlen 0, signs certificates and CRLs\n");
	printf("life        %" PRId64 " days\n", life_ms / DAY_MS);
	if (r->ignored[0])
		printf("ignored     %s\n", r->ignored);
}

/* dev.csr: dev.pem */
static void
output_name(const char *input, const char *before, char ret[300])
{
	const char *dot = strrchr(input, '.');
	int stem = (int)(dot ? dot - input : (ptrdiff_t)strlen(input));
	snprintf(ret, 300, "%s%.*s.pem", before, stem, input);
}

static int
sign_request(const struct args *a, struct transcript *t, const char *name,
    const struct csr *r, struct err *e)
{
	const char *org = NULL;
	char out[300];
	int64_t life_ms;
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	if (life_of(a->life, 5 * YEAR_MS, &life_ms, e) || find_org(a, r, &org, e))
		return -1;
	show_request(r, org, life_ms);
	if (confirm(a, r->key_sha256, e))
		return -1;
	auto_(issuer_free) struct issuer *root = open_root(a, e);
	const struct ca_subject who = {.cn = r->cn, .org = org, .life_s = life_ms / 1000};
	if (!root ||
	    ca_make_issuing(root, r->spki, &who, clock_wall_s(&clock_system), &pem, e))
		return -1;
	output_name(name, "", out);
	return put_cert(a, t, out, buf_span(&pem), e);
}

static int
do_sign(struct args *a, int argc, char **argv, struct err *e)
{
	const char *name;
	char path[PATH_MAX_];
	struct csr r;
	auto_buf text = BUF_INIT(2 * CSR_MAX);
	if (argc != 1)
		return err_set(e, ERR_USAGE, "muster ca ceremony sign REQUEST.csr");
	auto_(transcript_free) struct transcript *t = begin(a, "sign", e);
	if (!t || name_in_dir(a, argv[0], &name, e) || path_of(a, name, path, e) ||
	    transcript_put_file(t, "in", name, e) || file_read(path, &text, e) ||
	    csr_parse(buf_span(&text), &r, e))
		return -1;
	int rc = sign_request(a, t, name, &r, e);
	csr_done(&r);
	return rc;
}

/* ---- cross ----------------------------------------------------------------------------
 */

static int
do_cross(struct args *a, int argc, char **argv, struct err *e)
{
	const char *name;
	char path[PATH_MAX_], out[300];
	int64_t life_ms;
	struct cert_info info;
	struct issuer_result res;
	auto_buf text = BUF_INIT(CERT_PEM_MAX), der = BUF_INIT(CERT_MAX);
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	auto_cert_list l = {.n = 0};
	if (argc != 1)
		return err_set(e, ERR_USAGE, "muster ca ceremony cross OTHER-ROOT.pem");
	auto_(transcript_free) struct transcript *t = begin(a, "cross", e);
	if (!t || life_of(a->life, 5 * YEAR_MS, &life_ms, e) ||
	    name_in_dir(a, argv[0], &name, e) || path_of(a, name, path, e) ||
	    transcript_put_file(t, "in", name, e) || file_read(path, &text, e) ||
	    cert_list_parse(buf_span(&text), name, &l, e))
		return -1;
	cert_info(l.v[0], &info);
	printf(
	    "subject     %s\nprofile     cross certificate: who trusts this root trusts "
	    "that CA\n",
	    info.subject);
	if (confirm(a, l.v[0]->key_sha256, e))
		return -1;
	auto_(issuer_free) struct issuer *root = open_root(a, e);
	if (!root ||
	    issuer_cross(root, l.v[0], clock_wall_s(&clock_system), life_ms / 1000, &der,
		&res, e) ||
	    issuer_check_cross(root, l.v[0], buf_span(&der), e))
		return -1;
	cert_write_pem(buf_span(&der), &pem);
	output_name(name, "cross-", out);
	return put_cert(a, t, out, buf_span(&pem), e);
}

/* ---- crl ------------------------------------------------------------------------------
 */

struct revoking {
	struct crl_entry *v;
	size_t n, max;
	uint64_t number; /* of the list before this one; 0: none */
};

/* What the list before this one holds stays revoked. */
static int
keep_old(const struct args *a, struct transcript *t, struct revoking *r,
    const struct cert *root, struct err *e)
{
	char path[PATH_MAX_];
	struct crl old;
	auto_buf der = BUF_INIT(ROOT_CRL_MAX);
	if (path_of(a, "root.crl", path, e))
		return -1;
	if (!file_exists(path))
		return 0;
	if (transcript_put_file(t, "in", "root.crl", e) || file_read(path, &der, e) ||
	    crl_parse(buf_span(&der), &old, e) || crl_verify(&old, root, e))
		return err_wrap(e, "%s", path);
	r->number = old.number;
	struct span rest = old.entries;
	while (r->n < r->max && crl_next(&rest, &r->v[r->n]))
		r->n++;
	return rest.len ? err_set(e, ERR_LIMIT, "more than %zu entries", r->max) : 0;
}

static int
add_revoked(const struct args *a, struct transcript *t, struct revoking *r,
    const char *file, const struct cert *root, struct err *e)
{
	const char *name;
	char path[PATH_MAX_];
	enum crl_reason reason = CRL_UNSPECIFIED;
	uint8_t serial[CRL_SERIAL_MAX];
	auto_buf text = BUF_INIT(CERT_PEM_MAX);
	auto_cert_list l = {.n = 0};
	if (a->reason && crl_reason_parse(span_str(a->reason), &reason, e))
		return -1;
	if (name_in_dir(a, file, &name, e) || path_of(a, name, path, e) ||
	    transcript_put_file(t, "in", name, e) || file_read(path, &text, e) ||
	    cert_list_parse(buf_span(&text), name, &l, e) ||
	    issuer_verify(root, l.v[0], e))
		return -1;
	size_t len = strlen(l.v[0]->serial) / 2;
	if (r->n == r->max || len > sizeof(serial) ||
	    hex_parse(span_str(l.v[0]->serial), serial, len, e))
		return err_set(e, ERR_LIMIT, "%s: serial or number of entries", name);
	transcript_put(t, "revoke", l.v[0]->serial);
	printf("revokes     %s (%s)\n", name, l.v[0]->serial);
	return crl_entry_set(
	    &r->v[r->n++], span_of(serial, len), reason, clock_wall_ms(&clock_system), e);
}

/* Sorted, and each once: the first, which is the older. */
static void
settle(struct revoking *r)
{
	size_t kept = 0;
	qsort(r->v, r->n, sizeof(*r->v), crl_entry_cmp);
	for (size_t i = 0; i < r->n; i++)
		if (!kept || crl_entry_cmp(&r->v[kept - 1], &r->v[i]) != 0)
			r->v[kept++] = r->v[i];
	r->n = kept;
}

static int
write_crl(const struct args *a, struct transcript *t, struct issuer *root,
    const struct revoking *r, struct err *e)
{
	char path[PATH_MAX_];
	int64_t now = clock_wall_ms(&clock_system), next_ms;
	/* a machine without a network may have a clock that went back */
	uint64_t number = (uint64_t)now > r->number ? (uint64_t)now : r->number + 1;
	auto_buf der = BUF_INIT(ROOT_CRL_MAX);
	if (life_of(a->next, CRL_NEXT_MS, &next_ms, e))
		return -1;
	const struct crl_fields f = {.number = number,
	    .this_ms = now,
	    .next_ms = now + next_ms,
	    .entries = r->v,
	    .n = r->n};
	if (crl_build(root, &f, &der, e) || path_of(a, "root.crl", path, e) ||
	    file_write(path, buf_span(&der), 0644, e))
		return -1;
	char name[64];
	snprintf(name, sizeof(name), "root-%" PRId64 ".crl", now);
	if (path_of(a, name, path, e) || file_write_new(path, buf_span(&der), 0644, e) ||
	    transcript_put_file(t, "out", name, e) || transcript_end(t, e))
		return -1;
	printf("root.crl: %zu revoked, next before %" PRId64 " days\n", r->n,
	    next_ms / DAY_MS);
	return 0;
}

static int
do_crl(struct args *a, int argc, char **argv, struct err *e)
{
	struct revoking r = {.max = 4096};
	auto_(free) struct crl_entry *v = own_alloc(r.max * sizeof(*v));
	r.v = v;
	auto_(transcript_free) struct transcript *t = begin(a, "crl", e);
	if (!t)
		return -1;
	auto_(issuer_free) struct issuer *root = open_root(a, e);
	if (!root || keep_old(a, t, &r, issuer_cert(root), e))
		return -1;
	for (int i = 0; i < argc; i++)
		if (add_revoked(a, t, &r, argv[i], issuer_cert(root), e))
			return -1;
	settle(&r);
	return write_crl(a, t, root, &r, e);
}

/* ---- script ---------------------------------------------------------------------------
 */

static int
script_request(
    const struct args *a, int step, const char *file, struct buf *out, struct err *e)
{
	const char *name;
	char path[PATH_MAX_], hash[65], key[65];
	struct csr r;
	auto_buf text = BUF_INIT(2 * CSR_MAX), subject = BUF_INIT(4096);
	if (name_in_dir(a, file, &name, e) || path_of(a, name, path, e) ||
	    transcript_hash(path, hash, e) || file_read(path, &text, e) ||
	    csr_parse(buf_span(&text), &r, e))
		return err_wrap(e, "%s", file);
	name_text(r.subject, &subject);
	hex_write(span_of(r.key_sha256, DIGEST_SHA256), key);
	csr_done(&r);
	buf_printf(out,
	    "%d. muster ca ceremony sign %s\n"
	    "   file SHA-256 %s\n   subject %s\n   key SHA-256 %s\n"
	    "   Compare the key's SHA-256 with what the server's operator reads out.\n",
	    step, name, hash, buf_text(&subject), key);
	return 0;
}

/* What will be done, with the hashes of all that goes in, for people to read and agree
 * before anything runs. */
static int
do_script(struct args *a, int argc, char **argv, struct err *e)
{
	char program[65], path[PATH_MAX_];
	int step = 1;
	auto_buf out = BUF_INIT(1 << 20);
	auto_(transcript_free) struct transcript *t = begin(a, "script", e);
	if (!t || transcript_program(program, e) || path_of(a, "root.pem", path, e))
		return -1;
	bool has_root = file_exists(path);
	buf_printf(&out, "Root ceremony with muster %s\nprogram SHA-256 %s\n",
	    MUSTER_VERSION, program);
	for (int i = 0; i < a->who.n; i++)
		buf_printf(&out, "present: %s\n", a->who.v[i]);
	buf_str(&out, "\nEach command below also takes --dir and --who for each person "
		      "present.\n\n");
	if (has_root)
		buf_printf(
		    &out, "%d. root.pem is there already; its key: %s\n", step++, a->key);
	else
		buf_printf(&out,
		    "%d. muster ca ceremony root --key '%s' --alg %s --cn '%s' --org "
		    "'%s'\n"
		    "   makes the root's key and its self-signed certificate root.pem\n",
		    step++, a->key, a->alg ? a->alg : "p384",
		    a->cn ? a->cn : "muster Root CA", a->org);
	for (int i = 0; i < argc; i++)
		if (script_request(a, step++, argv[i], &out, e))
			return -1;
	buf_printf(&out,
	    "%d. muster ca ceremony crl\n   the root's CRL, which revokes nothing yet\n",
	    step++);
	buf_printf(&out,
	    "%d. muster ca ceremony check, by a second person\n"
	    "%d. Note the transcript's last hash on paper; sign the paper. Take away "
	    "root.pem,\n   the certificates, root.crl and transcript.txt; the key "
	    "stays.\n",
	    step, step + 1);
	char name[64];
	snprintf(
	    name, sizeof(name), "script-%" PRId64 ".txt", clock_wall_ms(&clock_system));
	if (path_of(a, name, path, e) || file_write_new(path, buf_span(&out), 0644, e) ||
	    transcript_put_file(t, "out", name, e) || transcript_end(t, e))
		return -1;
	fputs(buf_text(&out), stdout);
	return 0;
}

/* ---- check ----------------------------------------------------------------------------
 */

struct checking {
	const struct args *a;
	char program[65];
	struct cert *root;
	int files, bad, other_programs;
};

static void
complain(struct checking *c, int64_t seq, const char *what, const char *why)
{
	printf("line %" PRId64 ": %s: %s\n", seq, what, why);
	c->bad++;
}

/* A certificate that came out was signed by this root. */
static void
check_signature(
    struct checking *c, int64_t seq, const char *verb, const char *file, struct span text)
{
	auto_cert_list l = {.n = 0};
	struct crl crl;
	if (strcmp(verb, "crl") == 0) {
		if (crl_parse(text, &crl, NULL) || crl_verify(&crl, c->root, NULL))
			complain(c, seq, file, "not signed by this root");
		return;
	}
	if (strcmp(verb, "script") == 0)
		return;
	if (cert_list_parse(text, file, &l, NULL) || l.n != 1 ||
	    issuer_verify(c->root, l.v[0], NULL))
		complain(c, seq, file, "not signed by this root");
	else if (strcmp(verb, "sign") == 0 && (!l.v[0]->is_ca || l.v[0]->pathlen != 0))
		complain(c, seq, file, "is no CA of pathlen 0");
}

static int
check_file(struct checking *c, int64_t seq, const char *verb, const char *file,
    const char *want, bool out, struct err *e)
{
	char path[PATH_MAX_];
	uint8_t sha[DIGEST_SHA256];
	char have[65];
	auto_buf text = BUF_INIT(64u << 20);
	if (strchr(file, '/') || path_of(c->a, file, path, e))
		return err_set(e, ERR_CORRUPT, "'%s' is no file's name", file);
	c->files++;
	if (file_read(path, &text, NULL)) {
		complain(c, seq, file, "is not there");
		return 0;
	}
	digest_sha256(buf_span(&text), sha);
	hex_write(span_of(sha, sizeof(sha)), have);
	if (strcmp(have, want) != 0)
		complain(c, seq, file, "is not what it was");
	else if (out)
		check_signature(c, seq, verb, file, buf_span(&text));
	return 0;
}

static int
visit(void *arg, int64_t seq, const char *verb, const char *name, const char *value,
    struct err *e)
{
	struct checking *c = arg;
	if (strcmp(name, "who") == 0)
		printf("line %" PRId64 ": %s, present: %s\n", seq, verb, value);
	if (strcmp(name, "program") == 0 && strcmp(value, c->program) != 0)
		c->other_programs++;
	/* each new list replaces the one that the line before had read */
	if (strcmp(name, "in:root.crl") == 0)
		return 0;
	if (strncmp(name, "in:", 3) == 0)
		return check_file(c, seq, verb, name + 3, value, false, e);
	if (strncmp(name, "out:", 4) == 0)
		return check_file(c, seq, verb, name + 4, value, true, e);
	return 0;
}

static int
load_root(struct checking *c, struct err *e)
{
	char path[PATH_MAX_];
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	auto_cert_list l = {.n = 0};
	if (path_of(c->a, "root.pem", path, e) || file_read(path, &pem, e) ||
	    cert_list_parse(buf_span(&pem), path, &l, e))
		return -1;
	c->root = cert_ref(l.v[0]);
	return 0;
}

static int
do_check(struct args *a, int argc, char **argv, struct err *e)
{
	struct checking c = {.a = a};
	int64_t lines;
	char head[65];
	(void)argc;
	(void)argv;
	if (transcript_program(c.program, e) || load_root(&c, e))
		return -1;
	int rc = transcript_verify(a->dir, visit, &c, &lines, head, e);
	cert_free(c.root);
	if (rc)
		return -1;
	printf("%" PRId64 " lines, unbroken; %d files, %d of them wrong\nhead %s\n",
	    lines, c.files, c.bad, head);
	if (c.other_programs)
		printf(
		    "%d lines are of another build of the program than this one (%s)\n",
		    c.other_programs, c.program);
	return c.bad ? err_set(e, ERR_CORRUPT,
			   "%d files are not what the transcript says", c.bad)
		     : 0;
}

/* ---- the command ----------------------------------------------------------------------
 */

static const struct {
	const char *name;
	int (*run)(struct args *a, int argc, char **argv, struct err *e);
} verbs[] = {{"script", do_script}, {"root", do_root}, {"sign", do_sign}, {"crl", do_crl},
    {"cross", do_cross}, {"check", do_check}};

int
ceremony_run(int argc, char **argv, struct err *e)
{
	struct args a = {.dir = ".", .key = "file:root.key", .org = "muster"};
	const struct opt opts[] = {
	    {"dir", "DIR", OPT_TEXT, &a.dir,
		"the ceremony's directory: inputs, outputs, transcript.txt (.)"},
	    {"who", "NAME", OPT_EACH, &a.who, "who is present; for each person"},
	    {"key", "URI", OPT_TEXT, &a.key,
		"the root's key: file:, pkcs11:, tpm2: (file:root.key in DIR)"},
	    {"passphrase-file", "FILE", OPT_TEXT, &a.passphrase_file,
		"holds the passphrase of a key in a file (default: it is asked for)"},
	    {"alg", "KIND", OPT_TEXT, &a.alg,
		"root: p256, p384 (default), rsa2048, rsa3072, rsa4096"},
	    {"cn", "TEXT", OPT_TEXT, &a.cn, "root: its CN (muster Root CA)"},
	    {"org", "TEXT", OPT_TEXT, &a.org, "root, sign: O of the subject (muster)"},
	    {"life", "TIME", OPT_TEXT, &a.life,
		"root, sign, cross: as 20y (root) or 5y (the others)"},
	    {"next", "TIME", OPT_TEXT, &a.next,
		"crl: when the next one is due at the latest (180d)"},
	    {"reason", "REASON", OPT_TEXT, &a.reason, "crl: why, as cACompromise"},
	    {"yes-i-compared", "SHA256", OPT_EACH, &a.compared,
		"sign, cross: the key's SHA-256, compared before"},
	    {0}};
	const struct opt_cmd cmd = {"muster ca ceremony VERB [OPTIONS]",
	    "What is done with a root's key, on a machine without a network.\n\n"
	    "verbs:\n"
	    "  script [REQUEST]...  what will be done, with the hashes of all that goes "
	    "in\n"
	    "  root                 make the root: key and self-signed certificate\n"
	    "  sign REQUEST         an issuing CA's certificate from its request\n"
	    "  crl [CERT]...        the root's CRL; revokes those certificates\n"
	    "  cross ROOT           sign another root, for who trusts this one alone\n"
	    "  check                the transcript and every file it names, by a second "
	    "person",
	    opts, 1, 33};
	int at = opt_parse(&cmd, argc, argv, e);
	if (at <= 0)
		return at;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(argv[at], verbs[i].name) == 0)
			return verbs[i].run(&a, argc - at - 1, argv + at + 1, e);
	return err_set(
	    e, ERR_USAGE, "no verb '%s'; muster ca ceremony --help lists them", argv[at]);
}
