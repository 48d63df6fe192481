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
#include "base/hex.h"
#include "base/rand.h"
#include "cmd/cmd.h"
#include "cmd/home.h"
#include "cmd/opt.h"
#include "crypto/ca.h"
#include "crypto/digest.h"
#include "domain/issue.h"
#include "domain/policy.h"
#include "io/file.h"
#include "role/ca_dir.h"
#include "role/signer_client.h"
#include "store/store.h"

#define PASSPHRASE_MAX   1024
#define PASSPHRASE_BYTES 30 /* of a generated one: 240 bits */
#define DIR_MAX_         (HOME_PATH + 32)

struct init {
	const char *home_opt, *operator, * passphrase_file;
	struct opt_each names, set;
	char home[HOME_PATH], dir[DIR_MAX_]; /* dir: where it is made */
	struct config cfg;
	struct arena *arena;
	struct buf passphrase;
	bool generated;
	struct ipc_signer_issue operator_ask;  /* what was asked and answered; */
	struct ipc_signer_issued operator_got; /* in arena */
	struct cert *operator_cert;
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

static int
read_config(struct init *in, struct err *e)
{
	in->arena = arena_new(8 * CONF_FILE_MAX);
	conf_defaults(&config_table, &in->cfg, in->arena);
	if (set_list(in, "server.name", &in->names, e) ||
	    set_list(in, "hub.name", &in->names, e))
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
write_key(struct init *in, const char *name, struct key *k, struct span passphrase,
    struct err *e)
{
	auto_buf pem = BUF_INIT(KEY_PEM_MAX);
	pem.secret = true;
	int rc = passphrase.len ? key_write_encrypted(k, passphrase, &pem, e)
				: key_write(k, &pem, e);
	return rc ? -1 : write_to(in, name, &pem, 0600, e);
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
	    write_to(in, "ca/root.pem", &pem, 0644, e) ||
	    write_key(in, "ca/root.key", key, buf_span(&in->passphrase), e))
		return NULL;
	return issuer_new(buf_span(&pem), key, e);
}

static int
make_issuing(struct init *in, struct issuer *root, const char *name, const char *cn,
    int64_t now_s, struct err *e)
{
	const struct config *cfg = &in->cfg;
	const struct ca_subject who = {.cn = cn,
	    .org = cfg->pki.organization,
	    .life_s = cfg->pki.intermediate_life_ms / 1000};
	char file[64];
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	auto_(key_free) struct key *key = key_generate((enum key_alg)cfg->pki.key, e);
	if (!key || ca_make_issuing(root, key_spki(key), &who, now_s, &pem, e))
		return -1;
	snprintf(file, sizeof(file), "ca/%s.key", name);
	if (write_key(in, file, key, SPAN_NONE, e))
		return -1;
	snprintf(file, sizeof(file), "ca/%s.pem", name);
	return write_to(in, file, &pem, 0644, e);
}

static int
make_ca(struct init *in, struct err *e)
{
	int64_t now_s = clock_wall_s(&clock_system);
	auto_(free) struct ca_conf *conf = own_alloc(sizeof(*conf));
	auto_(issuer_free) struct issuer *root = make_root(in, now_s, e);
	if (!root ||
	    make_issuing(in, root, "device-ca", "muster Device Issuing CA", now_s, e) ||
	    make_issuing(in, root, "service-ca", "muster Service Issuing CA", now_s, e))
		return err_wrap(e, "making the CA");
	ca_conf_defaults(conf);
	if (ca_dir_put_conf(in->dir, conf, e))
		return -1;
	if (!in->generated)
		return 0;
	buf_u8(&in->passphrase, '\n');
	return write_to(in, "ca/root.passphrase", &in->passphrase, 0600, e);
}

static int
on_operator(void *arg, size_t i, const struct ipc_signer_issued *got,
    const struct err *why, struct err *e)
{
	struct init *in = arg;
	(void)i;
	if (why)
		return err_copy(e, why);
	in->operator_got = *got;
	in->operator_got.der = arena_span(in->arena, got->der);
	in->operator_got.serial = arena_span(in->arena, got->serial);
	in->operator_got.issuer = arena_span(in->arena, got->issuer);
	in->operator_cert = cert_parse(got->der, e);
	return in->operator_cert ? 0 : -1;
}

/* The operator's key is made here; the certificate comes from the service CA. */
static int
make_operator(struct init *in, struct err *e)
{
	auto_(key_free) struct key *key = key_generate((enum key_alg)in->cfg.pki.key, e);
	if (!key)
		return -1;
	auto_(signer_client_free) struct signer_client *signer =
	    signer_client_start(in->dir, &in->cfg, e);
	if (!signer)
		return -1;
	in->operator_ask = (struct ipc_signer_issue){.profile = PROFILE_OPERATOR,
	    .subject = span_str(in->operator),
	    .spki = arena_span(in->arena, key_spki(key)),
	    .requester = SPAN_LIT("init")};
	auto_buf pem = BUF_INIT(KEY_PEM_MAX), chain = BUF_INIT(3 * CERT_MAX);
	auto_buf issuer = BUF_INIT(CERT_MAX);
	char name[300];
	pem.secret = true;
	if (signer_client_issue(signer, &in->operator_ask, 1, on_operator, in, e) ||
	    signer_client_ca(signer, in->operator_got.issuer, &issuer, e) ||
	    key_write(key, &pem, e))
		return err_wrap(e, "operator %s", in->operator);
	cert_write_pem(in->operator_cert->der, &chain);
	cert_write_pem(buf_span(&issuer), &chain);
	snprintf(name, sizeof(name), "operators/%s.key", in->operator);
	if (write_to(in, name, &pem, 0600, e))
		return -1;
	snprintf(name, sizeof(name), "operators/%s.pem", in->operator);
	return write_to(in, name, &chain, 0644, e);
}

static int
fill_store(struct init *in, struct store *s, struct err *e)
{
	char sha[65], created[24];
	auto_(arena_free) struct arena *a = arena_new(1 << 20);
	snprintf(created, sizeof(created), "%" PRId64, clock_wall_ms(&clock_system));
	struct domain d = {
	    .store = s, .cfg = &in->cfg, .clock = &clock_system, .arena = a};
	hex_write(span_of(in->operator_cert->sha256, DIGEST_SHA256), sha);
	struct store_operator op = {.sha256 = sha,
	    .name = in->operator,
	    .added_ms = clock_wall_ms(&clock_system),
	    .not_after_ms = in->operator_cert->not_after_ms,
	    .enabled = true};
	if (store_begin(s, e))
		return -1;
	if (policy_defaults(&d, e) || store_operator_put(s, &op, e) ||
	    issue_record(&d, &in->operator_ask, &in->operator_got, e) ||
	    store_meta_put(s, "created_ms", created, e)) {
		store_rollback(s);
		return -1;
	}
	return store_commit(s, e);
}

static int
make_store(struct init *in, struct err *e)
{
	char path[DIR_MAX_];
	const char *name = in->cfg.store.path;
	if (name[0] == '/')
		snprintf(path, sizeof(path), "%s", name);
	else if (join(in, name, path, e))
		return -1;
	auto_(store_close) struct store *s = store_open(path, e);
	return s ? fill_store(in, s, e) : -1;
}

static int
put_in_place(struct init *in, struct err *e)
{
	if (file_exists(in->home) && rmdir(in->home))
		return err_sys(e, ERR_EXISTS, "%s", in->home);
	return file_rename(in->dir, in->home, e);
}

static void
report(const struct init *in)
{
	auto_buf line = BUF_INIT(1024);
	cert_line(in->operator_cert, &line);
	printf("home        %s\n", in->home);
	printf("root CA     ca/root.pem, key ca/root.key (encrypted%s)\n",
	    in->generated ? "; its passphrase is in ca/root.passphrase" : "");
	printf("issuing CAs ca/device-ca.pem (devices), ca/service-ca.pem (servers, "
	       "operators)\n");
	printf("operator    operators/%s.pem, operators/%s.key: %s\n", in->operator,
	    in->operator, buf_text(&line));
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
	    make_operator(in, e) || make_store(in, e) || put_in_place(in, e))
		return -1;
	report(in);
	return 0;
}

static bool
is_plain_name(const char *s)
{
	size_t n = strspn(
	    s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@");
	return s[0] && s[0] != '.' && !s[n] && n <= 64;
}

int
cmd_init(int argc, char **argv, struct err *e)
{
	struct init in = {.operator= "admin" };
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
	if (!is_plain_name(in.operator))
		return err_set(e, ERR_USAGE, "--operator: letters, digits and -_.@ only");
	if (home_find(in.home_opt, in.home, e))
		return -1;
	int rc = read_config(&in, e) || read_passphrase(&in, e) || run(&in, e) ? -1 : 0;
	struct err ignored;
	if (rc && in.dir[0] && file_remove_tree(in.dir, &ignored))
		fprintf(stderr, "muster init: %s\n", ignored.text);
	cert_free(in.operator_cert);
	buf_done(&in.passphrase);
	arena_free(in.arena);
	return rc;
}
