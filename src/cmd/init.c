/*
 * muster init: a home with everything a server and its operator need. It is made whole in
 * a directory beside and then renamed into place, so there is no half a home.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/rand.h"
#include "cmd/ca_files.h"
#include "cmd/cmd.h"
#include "cmd/home.h"
#include "cmd/operator.h"
#include "cmd/opt.h"
#include "crypto/ca.h"
#include "domain/access/policy.h"
#include "io/file.h"
#include "role/ca_dir.h"
#include "store/store.h"

#define PASSPHRASE_MAX   1024
#define PASSPHRASE_BYTES 30 /* of a generated one: 240 bits */
#define DIR_MAX_         (HOME_PATH + 32)

struct init {
	const char *home_opt, *operator, * passphrase_file, *root;
	struct opt_each names, set, issuer_keys;
	char home[HOME_PATH], dir[DIR_MAX_]; /* dir: where it is made */
	struct config cfg;
	struct arena *arena;
	struct buf passphrase;
	bool generated;
	bool external;            /* somebody else has the root */
	struct buf operator_line; /* its certificate */
};

static int
join(const struct init *in, const char *name, char path[DIR_MAX_], struct err *e)
{
	return home_join(in->dir, name, path, DIR_MAX_, e);
}

static int
write_to(const struct init *in, const char *name, const struct buf *text, mode_t mode,
    struct err *e)
{
	char path[DIR_MAX_];
	if (join(in, name, path, e))
		return -1;
	return file_write_new(path, buf_span(text), mode, e);
}

/* ---- what is asked --------------------------------------------------------------------
 */

static int
set_list(struct init *in, const char *key, const struct opt_each *values, struct err *e)
{
	auto_buf text = BUF_INIT(8192);
	for (int i = 0; i < values->n; i++)
		buf_printf(&text, "%s%s", i ? " " : "", values->v[i]);
	return values->n ? conf_set(&config_table, span_str(key), buf_span(&text),
			       &in->cfg, in->arena, e)
			 : 0;
}

/* The first name is the hub's, the others are aliases of it. */
static int
set_hub(struct init *in, struct err *e)
{
	auto_buf aliases = BUF_INIT(8192);
	const struct opt_each *names = &in->names;
	if (!names->n)
		return 0;
	for (int i = 1; i < names->n; i++)
		buf_printf(
		    &aliases, "%s%s=%s", i > 1 ? " " : "", names->v[i], names->v[0]);
	if (conf_set(&config_table, SPAN_LIT("hub.name"), span_str(names->v[0]), &in->cfg,
		in->arena, e))
		return -1;
	return conf_set(&config_table, SPAN_LIT("hub.alias"), buf_span(&aliases),
	    &in->cfg, in->arena, e);
}

static int
read_config(struct init *in, struct err *e)
{
	in->arena = arena_new(8 * CONF_FILE_MAX);
	conf_defaults(&config_table, &in->cfg, in->arena);
	if (set_list(in, "server.name", &in->names, e) || set_hub(in, e))
		return err_wrap(e, "--name");
	for (int i = 0; i < in->set.n; i++) {
		struct span value = span_str(in->set.v[i]);
		struct span name = span_split(&value, '=');
		if (!value.p)
			return err_set(e, ERR_USAGE, "--set %s: want section.key=value",
			    in->set.v[i]);
		if (conf_set(&config_table, name, value, &in->cfg, in->arena, e))
			return -1;
	}
	return config_check(&in->cfg, e);
}

static int
read_passphrase(struct init *in, struct err *e)
{
	in->passphrase = BUF_INIT(PASSPHRASE_MAX);
	in->passphrase.secret = true;
	if (in->external)
		return 0;
	if (in->passphrase_file) {
		if (file_read_secret(in->passphrase_file, &in->passphrase, e))
			return err_wrap(e, "--passphrase-file");
		while (in->passphrase.len &&
		       strchr("\r\n", in->passphrase.p[in->passphrase.len - 1]))
			in->passphrase.p[--in->passphrase.len] = 0;
	} else {
		uint8_t raw[PASSPHRASE_BYTES];
		rand_bytes(raw, sizeof(raw));
		base64_put(&in->passphrase, span_of(raw, sizeof(raw)));
		own_wipe(raw, sizeof(raw));
		in->generated = true;
	}
	if (in->passphrase.len < KEY_PASSPHRASE_MIN)
		return err_set(e, ERR_PARSE,
		    "the passphrase of the root key must have at least %d "
		    "characters",
		    KEY_PASSPHRASE_MIN);
	return 0;
}

/* ---- what is made ---------------------------------------------------------------------
 */

static bool
is_empty_dir(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;
	if (!d)
		return false;
	while (readdir(d))
		n++;
	closedir(d);
	return n <= 2;
}

static int
make_dirs(struct init *in, struct err *e)
{
	static const char *const dirs[] = {"", "ca", "run", "operators"};
	if (file_exists(in->home) && !is_empty_dir(in->home))
		return err_set(e, ERR_EXISTS,
		    "%s exists already and is not empty; give another --home, or remove "
		    "it if "
		    "nothing in it is needed any more",
		    in->home);
	snprintf(in->dir, sizeof(in->dir), "%s.new-%d", in->home, (int)getpid());
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		char path[DIR_MAX_];
		if (join(in, dirs[i], path, e) || file_mkdir(path, 0700, e))
			return -1;
	}
	return 0;
}

static int
write_config(struct init *in, struct err *e)
{
	auto_buf text = BUF_INIT(CONF_FILE_MAX);
	buf_str(&text,
	    "# muster's configuration; muster config --keys explains every key.\n");
	conf_dump(&config_table, &in->cfg, &text);
	return write_to(in, "muster.conf", &text, 0600, e);
}

static int
write_root_key(struct init *in, struct key *k, struct err *e)
{
	auto_buf pem = BUF_INIT(KEY_PEM_MAX);
	pem.secret = true;
	if (key_write_encrypted(k, buf_span(&in->passphrase), &pem, e))
		return -1;
	return write_to(in, "ca/root.key", &pem, 0600, e);
}

/* The root, ready to sign. */
static struct issuer *
make_root(struct init *in, int64_t now_s, struct err *e)
{
	const struct config *cfg = &in->cfg;
	const struct ca_subject who = {.cn = "muster Root CA",
	    .org = cfg->pki.organization,
	    .life_s = cfg->pki.root_life_ms / 1000};
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	auto_(key_free) struct key *key = key_generate((enum key_alg)cfg->pki.key, e);
	if (!key || ca_make_root(key, &who, now_s, &pem, e) ||
	    write_to(in, "ca/root.pem", &pem, 0644, e) || write_root_key(in, key, e))
		return NULL;
	return issuer_new(buf_span(&pem), key, e);
}

/* "NAME=URI" of --issuer-key; NULL: a file. */
static const char *
key_uri_of(const struct init *in, const char *name)
{
	size_t len = strlen(name);
	for (int i = 0; i < in->issuer_keys.n; i++) {
		const char *v = in->issuer_keys.v[i];
		if (strncmp(v, name, len) == 0 && v[len] == '=')
			return v + len + 1;
	}
	return NULL;
}

/* An issuing CA: under root at once, or (NULL) a request for somebody else's root. */
static int
make_issuing(struct init *in, struct issuer *root, enum ca_purpose purpose,
    struct ca_conf *conf, struct err *e)
{
	const struct config *cfg = &in->cfg;
	bool device = purpose == CA_DEVICE;
	const char *name = device ? "device-ca" : "service-ca";
	const struct ca_files_new n = {.name = name,
	    .cn = device ? "muster Device Issuing CA" : "muster Service Issuing CA",
	    .org = cfg->pki.organization,
	    .key = key_uri_of(in, name),
	    .purpose = purpose,
	    .alg = (enum key_alg)cfg->pki.key};
	const struct ca_subject who = {
	    .cn = n.cn, .org = n.org, .life_s = cfg->pki.intermediate_life_ms / 1000};
	struct ca_conf_row row;
	char path[CA_DIR_PATH];
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	if (ca_files_row(&n, &row, e))
		return -1;
	auto_(key_free) struct key *key = ca_files_key(in->dir, &n, &row, e);
	if (!key || ca_conf_add(conf, &row, e))
		return -1;
	if (!root)
		return ca_files_put_csr(in->dir, &n, key, path, e);
	if (ca_make_issuing(
		root, key_spki(key), &who, clock_wall_s(&clock_system), &pem, e))
		return -1;
	return ca_files_put_cert(in->dir, &row, buf_span(&pem), e);
}

static int
make_ca(struct init *in, struct err *e)
{
	static const struct ca_conf_row root_row = {"root", CA_ROOT, "root.pem", ""};
	auto_(free) struct ca_conf *conf = own_alloc(sizeof(*conf));
	auto_(issuer_free) struct issuer *root = NULL;
	if (!in->external) {
		root = make_root(in, clock_wall_s(&clock_system), e);
		if (!root || ca_conf_add(conf, &root_row, e))
			return err_wrap(e, "making the CA");
	}
	if (make_issuing(in, root, CA_DEVICE, conf, e) ||
	    make_issuing(in, root, CA_SERVICE, conf, e) ||
	    ca_dir_put_conf(in->dir, conf, e))
		return err_wrap(e, "making the CA");
	if (!in->generated)
		return 0;
	buf_u8(&in->passphrase, '\n');
	return write_to(in, "ca/root.passphrase", &in->passphrase, 0600, e);
}

static int
fill_store(struct init *in, struct store *s, struct err *e)
{
	char created[24];
	auto_(arena_free) struct arena *a = arena_new(1 << 20);
	snprintf(created, sizeof(created), "%" PRId64, clock_wall_ms(&clock_system));
	struct domain d = {
	    .store = s, .cfg = &in->cfg, .clock = &clock_system, .arena = a};
	if (store_begin(s, e))
		return -1;
	if (policy_defaults(&d, e) || store_meta_put(s, "created_ms", created, e)) {
		store_rollback(s);
		return -1;
	}
	return store_commit(s, e);
}

static int
store_path(const struct init *in, char path[DIR_MAX_], struct err *e)
{
	const char *name = in->cfg.store.path;
	if (name[0] != '/')
		return join(in, name, path, e);
	if (snprintf(path, DIR_MAX_, "%s", name) >= DIR_MAX_)
		return err_set(e, ERR_LIMIT, "store.path: too long");
	return 0;
}

static int
make_store(struct init *in, struct err *e)
{
	char path[DIR_MAX_];
	if (store_path(in, path, e))
		return -1;
	auto_(store_close) struct store *s = store_open(path, e);
	return s ? fill_store(in, s, e) : -1;
}

/* Where the CAs wait for their certificates nobody can be certified yet. */
static int
make_operator(struct init *in, struct err *e)
{
	char path[DIR_MAX_];
	if (in->external)
		return 0;
	if (store_path(in, path, e))
		return -1;
	return operator_make(
	    in->dir, path, &in->cfg, in->operator, & in->operator_line, e);
}

static int
put_in_place(struct init *in, struct err *e)
{
	if (file_exists(in->home) && rmdir(in->home))
		return err_sys(e, ERR_EXISTS, "%s", in->home);
	return file_rename(in->dir, in->home, e);
}

static void
report_external(const struct init *in)
{
	printf("home        %s\n", in->home);
	printf("requests    ca/device-ca.csr (devices), ca/service-ca.csr (servers, "
	       "operators)\n");
	printf("next        muster ca ceremony, on the machine that has the root: sign "
	       "both; "
	       "then here\n"
	       "            muster ca import root ROOT.pem --root\n"
	       "            muster ca import device-ca CERT.pem\n"
	       "            muster ca import service-ca CERT.pem\n"
	       "            muster ca operator %s\n"
	       "            muster serve --home %s\n",
	    in->operator, in->home);
}

static void
report(const struct init *in)
{
	printf("home        %s\n", in->home);
	printf("root CA     ca/root.pem, key ca/root.key (encrypted%s)\n",
	    in->generated ? "; its passphrase is in ca/root.passphrase" : "");
	printf("issuing CAs ca/device-ca.pem (devices), ca/service-ca.pem (servers, "
	       "operators)\n");
	printf("operator    operators/%s.pem, operators/%s.key: %s\n", in->operator,
	    in->operator, buf_text(&in->operator_line));
	printf("server      certificate for %s", in->cfg.server.name.v[0]);
	for (size_t i = 1; i < in->cfg.server.name.n; i++)
		printf(", %s", in->cfg.server.name.v[i]);
	printf(": issued at start, renewed each day, key only in memory\n");
	printf("next        move ca/root.key%s off this machine; then: muster serve "
	       "--home %s\n",
	    in->generated ? " and ca/root.passphrase" : "", in->home);
}

static int
run(struct init *in, struct err *e)
{
	if (make_dirs(in, e) || write_config(in, e) || make_ca(in, e) ||
	    make_store(in, e) || make_operator(in, e) || put_in_place(in, e))
		return -1;
	if (in->external)
		report_external(in);
	else
		report(in);
	return 0;
}

static int
check_args(struct init *in, struct err *e)
{
	if (!operator_is_name(in->operator))
		return err_set(e, ERR_USAGE, "--operator: letters, digits and -_.@ only");
	if (in->root && strcmp(in->root, "external") != 0 &&
	    strcmp(in->root, "here") != 0)
		return err_set(e, ERR_USAGE, "--root %s: here or external", in->root);
	in->external = in->root && strcmp(in->root, "external") == 0;
	if (in->external && in->passphrase_file)
		return err_set(
		    e, ERR_USAGE, "an external root has its passphrase elsewhere");
	for (int i = 0; i < in->issuer_keys.n; i++)
		if (strncmp(in->issuer_keys.v[i], "device-ca=", 10) != 0 &&
		    strncmp(in->issuer_keys.v[i], "service-ca=", 11) != 0)
			return err_set(e, ERR_USAGE,
			    "--issuer-key %s: device-ca=URI or service-ca=URI",
			    in->issuer_keys.v[i]);
	return 0;
}

int
cmd_init(int argc, char **argv, struct err *e)
{
	struct init in = {.operator= "admin", .operator_line = BUF_INIT(1024)};
	const struct opt opts[] = {
	    {"home", "DIR", OPT_TEXT, &in.home_opt,
		"where to make it (default $MUSTER_HOME, ~/.muster)"},
	    {"name", "HOST", OPT_EACH, &in.names,
		"host name or address of this server, with a dot; may be repeated "
		"(127.0.0.1)"},
	    {"operator", "NAME", OPT_TEXT, &in.operator,
		"name of the first operator (admin)" },
		{"passphrase-file", "FILE", OPT_TEXT, &in.passphrase_file,
		    "holds the passphrase of the root key (default: one is made and "
		    "written beside the key)"},
		{"root", "WHERE", OPT_TEXT, &in.root,
		    "here (default), or external: the issuing CAs get requests that "
		    "another machine signs"},
		{"issuer-key", "NAME=URI", OPT_EACH, &in.issuer_keys,
		    "where device-ca or service-ca has its key: pkcs11:, tpm2:, file: (a "
		    "file under ca/)"},
		{"set", "KEY=VALUE", OPT_EACH, &in.set,
		    "section.key=value for muster.conf; may be repeated"},
		{0}};
	const struct opt_cmd cmd = {"muster init [--home DIR] [--name HOST]... [OPTIONS]",
	    "Makes a home: root CA, issuing CAs for devices and for servers and "
	    "operators, the\n"
	    "first operator's certificate, configuration and database.",
	    opts, 0, 0};
	int at = opt_parse(&cmd, argc, argv, e);
	if (at <= 0)
		return at;
	if (check_args(&in, e) || home_find(in.home_opt, in.home, e))
		return -1;
	int rc = read_config(&in, e) || read_passphrase(&in, e) || run(&in, e) ? -1 : 0;
	struct err ignored;
	if (rc && in.dir[0] && file_remove_tree(in.dir, &ignored))
		fprintf(stderr, "muster init: %s\n", ignored.text);
	buf_done(&in.operator_line);
	buf_done(&in.passphrase);
	arena_free(in.arena);
	return rc;
}
