/*
 * muster ca add, import, request, operator, reload: CAs that join a home. A server that
 * runs meanwhile goes on with those it has until it is told to reload.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/num.h"
#include "cmd/ca.h"
#include "cmd/ca_files.h"
#include "cmd/operator.h"
#include "crypto/csr.h"
#include "io/file.h"

/* ---- what is there --------------------------------------------------------------------
 */

struct change {
	struct home home;
	struct ca_conf conf;
	struct ca_conf_row row; /* of the CA in hand */
	struct buf pem;         /* its certificate */
	struct cert *cert;
};

static void
change_free(struct change *c)
{
	home_done(&c->home);
	cert_free(c->cert);
	buf_done(&c->pem);
	free(c);
}

own_define(struct change, change_free);

static struct change *
open_change(const struct ca_args *a, struct err *e)
{
	auto_(change_free) struct change *c = own_alloc(sizeof(*c));
	c->pem = BUF_INIT(CA_DIR_FILE_MAX);
	if (home_open(a->r.opts.home, NULL, 0, &c->home, e) ||
	    ca_dir_conf(c->home.path, &c->conf, e))
		return NULL;
	return TAKE(c);
}

/* The certificates that are here already, and the one in hand: would they stand together?
 */
static int
check_together(const struct change *c, struct err *e)
{
	auto_ca ca = {.n = 0};
	for (size_t i = 0; i < c->conf.n; i++) {
		const struct ca_conf_row *row = &c->conf.rows[i];
		auto_buf pem = BUF_INIT(CA_DIR_FILE_MAX);
		if (strcmp(row->name, c->row.name) == 0 ||
		    ca_dir_is_pending(c->home.path, row))
			continue;
		if (ca_dir_cert(c->home.path, row, &pem, e) ||
		    ca_add(&ca, row, buf_span(&pem), NULL, e))
			return -1;
	}
	if (ca_add(&ca, &c->row, buf_span(&c->pem), NULL, e))
		return -1;
	return ca_check_trust(&ca, e);
}

/* Certificate first, issuers.conf last. */
static int
put_in(struct change *c, bool listed, struct err *e)
{
	if (!listed && ca_conf_add(&c->conf, &c->row, e))
		return -1;
	if (c->pem.len && ca_files_put_cert(c->home.path, &c->row, buf_span(&c->pem), e))
		return -1;
	return ca_dir_put_conf(c->home.path, &c->conf, e);
}

static void
print_next(const struct change *c)
{
	struct cert_info info;
	cert_info(c->cert, &info);
	printf("%s (%s)\n  subject     %s\n  valid       %s to %s\n  sha256      %s\n",
	    c->row.name, ca_conf_purpose_name(c->row.purpose), info.subject,
	    info.not_before, info.not_after, info.sha256);
	printf("next        muster ca reload, where a server runs; then muster ca trust "
	       "%s\n",
	    c->row.name);
}

static int
purpose_of(const struct ca_args *a, enum ca_purpose *ret, struct err *e)
{
	if (!a->purpose)
		return err_set(e, ERR_USAGE, "--purpose device or service is wanted");
	if (ca_conf_purpose_parse(span_str(a->purpose), ret, e))
		return err_wrap(e, "--purpose");
	if (*ret != CA_DEVICE && *ret != CA_SERVICE)
		return err_set(e, ERR_USAGE, "--purpose: device or service");
	return 0;
}

/* ---- add ------------------------------------------------------------------------------
 */

static int
alg_of(
    const struct ca_args *a, const struct config *cfg, enum key_alg *ret, struct err *e)
{
	*ret = (enum key_alg)cfg->pki.key;
	if (a->alg && key_alg_parse(span_str(a->alg), ret, e))
		return err_wrap(e, "--alg");
	return 0;
}

static int
copy_out(const char *from, const char *to, struct err *e)
{
	auto_buf text = BUF_INIT(2 * CSR_MAX);
	if (file_read(from, &text, e))
		return -1;
	return file_write_new(to, buf_span(&text), 0644, e);
}

static int
add_by_request(struct change *c, const struct ca_files_new *n, struct key *key,
    const char *out, struct err *e)
{
	char path[CA_DIR_PATH];
	if (ca_files_put_csr(c->home.path, n, key, path, e) ||
	    (out && copy_out(path, out, e)) || put_in(c, false, e))
		return -1;
	char hex[65];
	hex_write(span_of(key_fingerprint(key), DIGEST_SHA256), hex);
	printf("%s: its key is made; the root signs ca/%s.csr, then: muster ca import %s "
	       "CERT.pem\nkey SHA-256 %s\n",
	    n->name, n->name, n->name, hex);
	return 0;
}

static int
add_at_once(struct change *c, const struct ca_files_new *n, struct key *key,
    struct issuer *root, struct err *e)
{
	const struct ca_subject who = {.cn = n->cn,
	    .org = n->org,
	    .life_s = c->home.cfg.pki.intermediate_life_ms / 1000};
	auto_cert_list l = {.n = 0};
	if (ca_make_issuing(
		root, key_spki(key), &who, clock_wall_s(&clock_system), &c->pem, e) ||
	    cert_list_parse(buf_span(&c->pem), n->name, &l, e) || check_together(c, e) ||
	    put_in(c, false, e))
		return -1;
	c->cert = cert_ref(l.v[0]);
	print_next(c);
	return 0;
}

/* The root is opened before the key is made, so that a wrong passphrase leaves nothing
 * behind. */
int
ca_change_add(struct ca_args *a, int argc, char **argv, struct err *e)
{
	char cn[64];
	struct ca_files_new n = {
	    .key = a->issuer_key, .cn = a->cn, .existing = a->existing};
	if (argc != 1)
		return err_set(e, ERR_USAGE, "muster ca add NAME --purpose PURPOSE");
	auto_(change_free) struct change *c = open_change(a, e);
	if (!c || purpose_of(a, &n.purpose, e) || alg_of(a, &c->home.cfg, &n.alg, e))
		return -1;
	snprintf(cn, sizeof(cn), "muster %s CA %s",
	    n.purpose == CA_DEVICE ? "Device" : "Service", argv[0]);
	n.name = argv[0];
	n.org = c->home.cfg.pki.organization;
	if (!n.cn)
		n.cn = cn;
	if (ca_files_row(&n, &c->row, e))
		return -1;
	if (ca_conf_find(&c->conf, span_str(n.name)))
		return err_set(e, ERR_EXISTS, "there is a CA '%s' already", n.name);
	auto_(issuer_free) struct issuer *root = NULL;
	if (!a->csr) {
		root = ca_files_root(c->home.path, &c->conf, a->passphrase_file, e);
		if (!root)
			return -1;
	}
	auto_(key_free) struct key *key = ca_files_key(c->home.path, &n, &c->row, e);
	if (!key)
		return -1;
	return root ? add_at_once(c, &n, key, root, e)
		    : add_by_request(c, &n, key, a->csr, e);
}

/* ---- import ---------------------------------------------------------------------------
 */

static int
read_cert(struct change *c, const char *file, struct err *e)
{
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	auto_cert_list l = {.n = 0};
	if (file_read(file, &pem, e) || cert_list_parse(buf_span(&pem), file, &l, e))
		return -1;
	c->cert = cert_ref(l.v[0]);
	cert_write_pem(c->cert->der, &c->pem);
	if (!cert_valid_at(c->cert, clock_wall_ms(&clock_system)))
		return err_set(e, ERR_DENIED, "%s: not valid now", file);
	return 0;
}

/* What was asked for is what came. */
static int
check_request(const struct change *c, struct err *e)
{
	char name[CA_CONF_NAME_MAX + 8], path[CA_DIR_PATH];
	auto_buf text = BUF_INIT(2 * CSR_MAX);
	struct csr csr;
	snprintf(name, sizeof(name), "%s.csr", c->row.name);
	if (ca_dir_path(c->home.path, name, path, e) || file_read(path, &text, e) ||
	    csr_parse(buf_span(&text), &csr, e))
		return -1;
	bool same = span_eq(csr.spki, c->cert->spki);
	csr_done(&csr);
	return same ? 0
		    : err_set(e, ERR_CONFLICT,
			  "the certificate is not of the key that ca/%s asks for", name);
}

static int
check_key(const struct change *c, struct err *e)
{
	auto_buf uri = BUF_INIT(KEY_URI_MAX);
	if (!c->row.key[0])
		return 0;
	if (ca_dir_key_uri(c->home.path, &c->row, &uri, e))
		return -1;
	auto_(key_free) struct key *key = key_open(buf_text(&uri), NULL, NULL, e);
	if (!key)
		return -1;
	if (key_is_spki(key, c->cert->spki))
		return 0;
	return err_set(
	    e, ERR_CONFLICT, "the certificate is not of the key %s", c->row.key);
}

/* Our own CRLs come from it as well. */
static int
check_issuing(const struct change *c, struct err *e)
{
	if (c->row.purpose != CA_DEVICE && c->row.purpose != CA_SERVICE)
		return 0;
	if (c->cert->has_usage && !(c->cert->usage & CERT_CRL_SIGN))
		return err_set(e, ERR_DENIED,
		    "%s: its key usage forbids CRLs (cRLSign); it could revoke nothing",
		    c->row.name);
	return 0;
}

/* A cross certificate is one more of a CA that is here. */
static int
check_cross(const struct change *c, struct err *e)
{
	bool known = false, signed_here = false;
	if (c->row.purpose != CA_CROSS)
		return 0;
	for (size_t i = 0; i < c->conf.n; i++) {
		auto_buf pem = BUF_INIT(CA_DIR_FILE_MAX);
		auto_cert_list l = {.n = 0};
		if (ca_dir_is_pending(c->home.path, &c->conf.rows[i]))
			continue;
		if (ca_dir_cert(c->home.path, &c->conf.rows[i], &pem, e) ||
		    cert_list_parse(buf_span(&pem), c->conf.rows[i].cert, &l, e))
			return -1;
		known |= span_eq(l.v[0]->spki, c->cert->spki) &&
			 span_eq(l.v[0]->subject, c->cert->subject);
		signed_here |= issuer_verify(l.v[0], c->cert, NULL) == 0;
	}
	if (known && signed_here)
		return 0;
	return err_set(e, ERR_CONFLICT, "%s: %s", c->row.name,
	    known ? "its signature is of no CA that is here"
		  : "no CA that is here has its name and key");
}

static int
row_for_import(struct change *c, const struct ca_args *a, const char *name,
    bool *ret_listed, struct err *e)
{
	const struct ca_conf_row *row = ca_conf_find(&c->conf, span_str(name));
	struct ca_files_new n = {.name = name, .key = a->issuer_key};
	*ret_listed = row != NULL;
	if (row && !ca_dir_is_pending(c->home.path, row))
		return err_set(e, ERR_EXISTS, "the CA %s has its certificate", name);
	if (row) {
		c->row = *row;
		return 0;
	}
	n.purpose = a->root ? CA_ROOT : CA_CROSS;
	if (!a->root && !a->cross && purpose_of(a, &n.purpose, e))
		return -1;
	if (ca_files_row(&n, &c->row, e))
		return -1;
	if (!a->issuer_key)
		c->row.key[0] = '\0';
	return 0;
}

/* Intermediates between the certificate and a root that is here; a root among them is
 * trusted by its own import or not at all. */
static int
import_chain(struct change *c, const char *file, struct err *e)
{
	auto_buf text = BUF_INIT(CERT_PEM_MAX);
	auto_cert_list l = {.n = 0};
	if (file_read(file, &text, e) || cert_list_parse(buf_span(&text), file, &l, e))
		return -1;
	for (size_t i = 0; i < l.n; i++) {
		struct ca_conf_row row = {.purpose = CA_CROSS};
		auto_buf pem = BUF_INIT(CERT_PEM_MAX);
		if (l.v[i]->self_signed ||
		    memcmp(l.v[i]->sha256, c->cert->sha256, DIGEST_SHA256) == 0)
			continue;
		int len = snprintf(row.name, sizeof(row.name), "%s-%zu", c->row.name, i);
		if (len < 0 || (size_t)len >= sizeof(row.name))
			return err_set(e, ERR_LIMIT, "%s: name too long", c->row.name);
		snprintf(row.cert, sizeof(row.cert), "%s.pem", row.name);
		cert_write_pem(l.v[i]->der, &pem);
		if (ca_files_put_cert(c->home.path, &row, buf_span(&pem), e) ||
		    ca_conf_add(&c->conf, &row, e))
			return -1;
	}
	return 0;
}

int
ca_change_import(struct ca_args *a, int argc, char **argv, struct err *e)
{
	bool listed;
	if (argc != 2)
		return err_set(e, ERR_USAGE, "muster ca import NAME CERT.pem");
	auto_(change_free) struct change *c = open_change(a, e);
	if (!c || row_for_import(c, a, argv[0], &listed, e) || read_cert(c, argv[1], e) ||
	    (listed && check_request(c, e)) || check_key(c, e) || check_issuing(c, e) ||
	    check_cross(c, e) || (a->chain && import_chain(c, a->chain, e)) ||
	    check_together(c, e) || put_in(c, listed, e))
		return -1;
	print_next(c);
	return 0;
}

/* ---- request --------------------------------------------------------------------------
 */

int
ca_change_request(struct ca_args *a, int argc, char **argv, struct err *e)
{
	char name[CA_CONF_NAME_MAX + 8], path[CA_DIR_PATH];
	auto_buf text = BUF_INIT(2 * CSR_MAX);
	if (argc != 1 || !ca_conf_is_name(span_str(argv[0])))
		return err_set(e, ERR_USAGE, "muster ca request NAME");
	auto_(change_free) struct change *c = open_change(a, e);
	snprintf(name, sizeof(name), "%s.csr", argv[0]);
	if (!c || ca_dir_path(c->home.path, name, path, e) || file_read(path, &text, e))
		return -1;
	fputs(buf_text(&text), stdout);
	return 0;
}

/* ---- operator -------------------------------------------------------------------------
 */

int
ca_change_operator(struct ca_args *a, int argc, char **argv, struct err *e)
{
	char store[HOME_PATH];
	auto_fd int lock = -1;
	auto_buf line = BUF_INIT(1024);
	if (argc != 1 || !operator_is_name(argv[0]))
		return err_set(
		    e, ERR_USAGE, "muster ca operator NAME: letters, digits and -_.@");
	auto_(change_free) struct change *c = open_change(a, e);
	if (!c || home_store(&c->home, store, e) || home_lock(c->home.path, &lock, e) ||
	    operator_make(c->home.path, store, &c->home.cfg, argv[0], &line, e))
		return -1;
	printf("operators/%s.pem, operators/%s.key: %s\n", argv[0], argv[0],
	    buf_text(&line));
	return 0;
}

/* ---- reload ---------------------------------------------------------------------------
 */

static int
cannot_sign(void *arg, const struct key_digest *d, uint8_t sig[KEY_SIG_MAX],
    size_t *ret_len, struct err *e)
{
	(void)arg;
	(void)d;
	(void)sig;
	(void)ret_len;
	return err_set(e, ERR_UNAVAILABLE, "not opened here");
}

/* A token may be away; its CA is loaded all the same. */
static struct key *
presume_key(void *arg, const struct ca_conf_row *row, struct span spki, struct err *e)
{
	(void)arg;
	(void)row;
	return key_external(spki, KEY_CUSTODY_PKCS11, cannot_sign, NULL, NULL, e);
}

static int
read_pid(const char *home, const char *file, pid_t *ret, struct err *e)
{
	char path[HOME_PATH];
	int64_t pid;
	auto_buf text = BUF_INIT(64);
	if (home_join(home, file, path, sizeof(path), e) || file_read(path, &text, e))
		return -1;
	if (num_parse(span_trim(buf_span(&text)), 2, INT32_MAX, &pid, e))
		return err_wrap(e, "%s", path);
	*ret = (pid_t)pid;
	return 0;
}

/* The server that holds the home, or NOT_FOUND: another command may hold it, and a number
 * that was left behind may be anybody's. */
static int
find_server(const char *home, pid_t *ret, struct err *e)
{
	auto_fd int lock = -1;
	pid_t holder, server;
	if (home_lock(home, &lock, e) == 0)
		return err_set(e, ERR_NOT_FOUND,
		    "no server runs on %s; it loads the CAs when it starts", home);
	if (e->code != ERR_EXISTS)
		return -1;
	if (read_pid(home, "run/lock", &holder, e) ||
	    read_pid(home, "run/serve.pid", &server, e))
		return -1;
	if (holder != server)
		return err_set(e, ERR_NOT_FOUND, "%s is in use by another command", home);
	*ret = server;
	return 0;
}

int
ca_change_reload(struct ca_args *a, int argc, char **argv, struct err *e)
{
	pid_t server = 0;
	auto_ca ca = {.n = 0};
	(void)argv;
	if (argc)
		return err_set(e, ERR_USAGE, "muster ca reload");
	auto_(change_free) struct change *c = open_change(a, e);
	if (!c || ca_dir_load(c->home.path, &c->conf, presume_key, NULL,
		      clock_wall_s(&clock_system), &ca, e))
		return -1;
	if (find_server(c->home.path, &server, e))
		return -1;
	if (kill(server, SIGHUP))
		return err_sys(e, ERR_PERM, "process %d", (int)server);
	printf("the server (process %d) loads %zu CAs anew\n", (int)server, ca.n);
	return 0;
}
