/*
 * muster ca: its verbs, and those that only look at ca/: show, list, verify, the journal.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "cmd/ca.h"
#include "cmd/cmd.h"
#include "crypto/csr.h"
#include "io/file.h"
#include "store/journal.h"

/* A home's CAs, as commands see them. */
struct cas {
	char home[HOME_PATH];
	struct ca_conf conf;
};

static int
open_cas(const char *home_opt, struct cas **ret, struct err *e)
{
	auto_(free) struct cas *c = own_alloc(sizeof(*c));
	if (home_find(home_opt, c->home, e) || ca_dir_conf(c->home, &c->conf, e))
		return -1;
	*ret = TAKE(c);
	return 0;
}

/* NULL in *ret where its certificate is still to come. */
static int
read_cert(
    const struct cas *c, const struct ca_conf_row *row, struct cert **ret, struct err *e)
{
	auto_buf pem = BUF_INIT(CA_DIR_FILE_MAX);
	auto_cert_list list = {.n = 0};
	*ret = NULL;
	if (ca_dir_is_pending(c->home, row))
		return 0;
	if (ca_dir_cert(c->home, row, &pem, e) ||
	    cert_list_parse(buf_span(&pem), row->cert, &list, e))
		return -1;
	*ret = cert_ref(list.v[0]);
	return 0;
}

static int
no_such_ca(const struct cas *c, const char *name, struct err *e)
{
	auto_buf names = BUF_INIT(CA_CONF_MAX * (CA_CONF_NAME_MAX + 3));
	for (size_t i = 0; i < c->conf.n; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", c->conf.rows[i].name);
	return err_set(e, ERR_USAGE, "no CA '%s': %s", name, buf_text(&names));
}

static void
print_ca(const struct ca_conf_row *row, const struct cert *c)
{
	struct cert_info info;
	cert_info(c, &info);
	printf("  subject     %s\n  issuer      %s\n", info.subject, info.issuer);
	printf("  serial      %s\n  valid       %s to %s (%lld days left)\n", info.serial,
	    info.not_before, info.not_after,
	    (long long)cert_days_left(c, clock_wall_ms(&clock_system)));
	printf("  key         %s%s%s\n", c->key_name, row->key[0] ? ", " : "", row->key);
	if (c->pathlen >= 0)
		printf("  pathlen     %d\n", c->pathlen);
	printf("  sha256      %s\n  sha1        %s\n", info.sha256, info.sha1);
}

/* With what the ceremony compares. */
static int
show_request(const struct cas *c, const struct ca_conf_row *row, struct err *e)
{
	char name[CA_CONF_NAME_MAX + 8], path[CA_DIR_PATH], hex[65];
	struct csr r;
	auto_buf text = BUF_INIT(2 * CSR_MAX);
	snprintf(name, sizeof(name), "%s.csr", row->name);
	if (ca_dir_path(c->home, name, path, e) || file_read(path, &text, e) ||
	    csr_parse(buf_span(&text), &r, e))
		return -1;
	hex_write(span_of(r.key_sha256, DIGEST_SHA256), hex);
	csr_done(&r);
	printf("  waits for the certificate that ca/%s asks for\n  key SHA-256 %s\n",
	    name, hex);
	return 0;
}

static int
show(const struct cas *c, const struct ca_conf_row *row, struct err *e)
{
	auto_(cert_free) struct cert *cert = NULL;
	if (read_cert(c, row, &cert, e))
		return -1;
	printf("%s (%s)\n", row->name, ca_conf_purpose_name(row->purpose));
	if (cert)
		print_ca(row, cert);
	else
		return show_request(c, row, e);
	return 0;
}

static int
ca_show(struct ca_args *a, int argc, char **argv, struct err *e)
{
	auto_(free) struct cas *c = NULL;
	if (open_cas(a->r.opts.home, &c, e))
		return -1;
	if (argc == 1 && !ca_conf_find(&c->conf, span_str(argv[0])))
		return no_such_ca(c, argv[0], e);
	for (size_t i = 0; i < c->conf.n; i++)
		if ((argc == 0 || strcmp(argv[0], c->conf.rows[i].name) == 0) &&
		    show(c, &c->conf.rows[i], e))
			return -1;
	return 0;
}

static int
list_row(const struct cas *c, const struct ca_conf_row *row, struct err *e)
{
	auto_(cert_free) struct cert *cert = NULL;
	struct cert_info info;
	if (read_cert(c, row, &cert, e))
		return -1;
	if (!cert) {
		printf("%-12s %-8s %-10s %-10s waits for its certificate\n", row->name,
		    ca_conf_purpose_name(row->purpose), "-", "-");
		return 0;
	}
	cert_info(cert, &info);
	printf("%-12s %-8s %-10lld %-10s %-32s %s\n", row->name,
	    ca_conf_purpose_name(row->purpose),
	    (long long)cert_days_left(cert, clock_wall_ms(&clock_system)), cert->key_name,
	    info.subject, info.sha256);
	return 0;
}

static int
ca_list(struct ca_args *a, int argc, char **argv, struct err *e)
{
	auto_(free) struct cas *c = NULL;
	(void)argc;
	(void)argv;
	if (open_cas(a->r.opts.home, &c, e))
		return -1;
	printf("%-12s %-8s %-10s %-10s %-32s %s\n", "NAME", "PURPOSE", "DAYS LEFT", "KEY",
	    "SUBJECT", "SHA-256");
	for (size_t i = 0; i < c->conf.n; i++)
		if (list_row(c, &c->conf.rows[i], e))
			return -1;
	return 0;
}

/* Opens a token's key where the certificate says which it must be. */
static struct key *
open_token_key(void *arg, const struct ca_conf_row *row, struct span spki, struct err *e)
{
	const struct cas *c = arg;
	auto_buf uri = BUF_INIT(KEY_URI_MAX);
	(void)spki; /* ca_add compares */
	if (ca_dir_key_uri(c->home, row, &uri, e))
		return NULL;
	return key_open(buf_text(&uri), NULL, NULL, e);
}

/* Keys match, issuing CAs verify to a root, now. */
static int
ca_verify(struct ca_args *a, int argc, char **argv, struct err *e)
{
	auto_(free) struct cas *c = NULL;
	auto_ca ca = {.n = 0};
	char root_key[CA_DIR_PATH];
	(void)argc;
	(void)argv;
	if (open_cas(a->r.opts.home, &c, e) ||
	    ca_dir_path(c->home, "root.key", root_key, e) ||
	    ca_dir_load(c->home, &c->conf, open_token_key, c, clock_wall_s(&clock_system),
		&ca, e))
		return -1;
	printf("the CAs verify: %zu certificates, keys match, issuing CAs verify to a "
	       "root\n",
	    ca.n);
	if (file_exists(root_key))
		printf("note: ca/root.key is still here; it should leave this machine\n");
	return 0;
}

static int
ca_verify_journal(struct ca_args *a, int argc, char **argv, struct err *e)
{
	char path[HOME_PATH], found[HOME_PATH], head[65];
	int64_t count;
	if (argc == 1)
		snprintf(path, sizeof(path), "%s", argv[0]);
	else if (home_find(a->r.opts.home, found, e) ||
		 home_join(found, "ca/journal.log", path, HOME_PATH, e))
		return -1;
	if (journal_verify(path, NULL, NULL, &count, head, e))
		return -1;
	printf("%s: %lld entries, unbroken\nhead %s\n", path, (long long)count, head);
	return 0;
}

static const struct {
	const char *name;
	ca_verb *run;
	int args_max;
} verbs[] = {
    {"show", ca_show, 1},
    {"list", ca_list, 0},
    {"verify", ca_verify, 0},
    {"verify-journal", ca_verify_journal, 1},
    {"add", ca_change_add, 1},
    {"request", ca_change_request, 1},
    {"import", ca_change_import, 2},
    {"operator", ca_change_operator, 1},
    {"reload", ca_change_reload, 0},
    {"states", ca_server_states, 0},
    {"trust", ca_server_put, 1},
    {"activate", ca_server_put, 1},
    {"standby", ca_server_put, 1},
    {"retire", ca_server_put, 1},
    {"revoke", ca_server_revoke, 1},
};

static int
run(struct ca_args *a, int argc, char **argv, struct err *e)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[0], verbs[i].name) != 0)
			continue;
		if (argc - 1 > verbs[i].args_max)
			return err_set(e, ERR_USAGE, "too much: %s; muster ca --help",
			    argv[1 + verbs[i].args_max]);
		return verbs[i].run(a, argc - 1, argv + 1, e);
	}
	return err_set(
	    e, ERR_USAGE, "no verb '%s'; muster ca --help lists them", argv[0]);
}

int
cmd_ca(int argc, char **argv, struct err *e)
{
	if (argc > 1 && strcmp(argv[1], "rollover") == 0)
		return cmd_rollover(argc - 1, argv + 1, e);
	if (argc > 1 && strcmp(argv[1], "drill") == 0)
		return cmd_drill(argc - 1, argv + 1, e);
	if (argc > 1 && strcmp(argv[1], "ceremony") == 0)
		return ceremony_run(argc - 1, argv + 1, e);
	struct ca_args a = {.root = false};
	const struct opt own[] = {
	    {"purpose", "PURPOSE", OPT_TEXT, &a.purpose,
		"add, import: whom the CA issues to: device or service"},
	    {"issuer-key", "URI", OPT_TEXT, &a.issuer_key,
		"add, import: where its key is: pkcs11:, tpm2:, file: under ca/ (default "
		"file:NAME.key)"},
	    {"existing", NULL, OPT_FLAG, &a.existing, "add: the key is there already"},
	    {"alg", "KIND", OPT_TEXT, &a.alg,
		"add: p256, p384, rsa2048, rsa3072, rsa4096 (default pki.key)"},
	    {"cn", "TEXT", OPT_TEXT, &a.cn, "add: CN of the CA"},
	    {"csr", "FILE", OPT_TEXT, &a.csr,
		"add: write a request for a root that is not here"},
	    {"passphrase-file", "FILE", OPT_TEXT, &a.passphrase_file,
		"add: passphrase of ca/root.key (default ca/root.passphrase, else "
		"asked)"},
	    {"root", NULL, OPT_FLAG, &a.root, "import: a root, made elsewhere"},
	    {"cross", NULL, OPT_FLAG, &a.cross,
		"import: another signature over a CA that is here"},
	    {"chain", "FILE", OPT_TEXT, &a.chain,
		"import: CAs between it and a root that is here, PEM"},
	    {"reason", "REASON", OPT_TEXT, &a.reason,
		"revoke: keyCompromise, cACompromise, superseded, cessationOfOperation, "
		"... (unspecified)"},
	    {"force", NULL, OPT_FLAG, &a.force,
		"standby, retire, revoke: also where it takes away what is in use, or "
		"leaves its devices without a CA to go to"},
	};
	enum { OWN = sizeof(own) / sizeof(own[0]) };
	struct opt rows[OWN + REMOTE_ROWS + 1] = {{0}};
	memcpy(rows, own, sizeof(own));
	remote_rows(&a.r, rows + OWN, argc, argv);
	const struct opt_cmd cmd = {"muster ca VERB [OPTIONS]",
	    "The CAs of a home, and its record of what they issued.\n\n"
	    "verbs of the files in ca/:\n"
	    "  show [NAME]            a CA in full (default: all)\n"
	    "  list                   a line each\n"
	    "  verify                 do keys match, do issuing CAs verify to a root?\n"
	    "  verify-journal [FILE]  the hash chain of the journal, or of a copy of it\n"
	    "  add NAME               make a CA: its key, and its certificate where the "
	    "root's\n"
	    "                         key is here; a request (--csr) where not\n"
	    "  request NAME           print the request of a CA that waits\n"
	    "  import NAME FILE       take in a certificate: of a CA that waits, a root, "
	    "a "
	    "cross\n"
	    "                         certificate, a CA whose key is elsewhere\n"
	    "  operator NAME          make an operator's key and certificate (no server "
	    "runs)\n"
	    "  reload                 have the server load ca/ anew; connections stay\n"
	    "  ceremony VERB          the root, on a machine of its own\n"
	    "\nverbs of a running server:\n"
	    "  states                 what it does with each CA, and who depends on it\n"
	    "  trust NAME             chains may end there\n"
	    "  activate NAME          let it issue; the one before is retiring\n"
	    "  standby NAME           known only\n"
	    "  retire NAME            no longer trusted; its CRLs and OCSP go on\n"
	    "  revoke NAME            refused everywhere, for ever; its devices are "
	    "called to\n"
	    "                         another CA (as muster revoke --issuer)\n"
	    "  rollover VERB          from one CA to the next (muster ca rollover "
	    "--help)\n"
	    "  drill NAME             what it would mean if its key were in other hands",
	    rows, 1, 3};
	int at = opt_parse(&cmd, argc, argv, e);
	int rc = at <= 0 ? at : run(&a, argc - at, argv + at, e);
	remote_done(&a.r);
	return rc;
}
