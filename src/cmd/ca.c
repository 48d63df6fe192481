/*
 * muster ca: show, list and verify the CA; verify the issuance journal.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/cmd.h"
#include "cmd/home.h"
#include "cmd/opt.h"
#include "io/file.h"
#include "role/ca_dir.h"
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
		printf(
		    "  waits for the certificate that ca/%s.csr asks for\n", row->name);
	return 0;
}

static int
ca_show(const char *home, int argc, char **argv, struct err *e)
{
	auto_(free) struct cas *c = NULL;
	if (open_cas(home, &c, e))
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
ca_list(const char *home, int argc, char **argv, struct err *e)
{
	auto_(free) struct cas *c = NULL;
	(void)argc;
	(void)argv;
	if (open_cas(home, &c, e))
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
ca_verify(const char *home, int argc, char **argv, struct err *e)
{
	auto_(free) struct cas *c = NULL;
	auto_ca ca = {.n = 0};
	char root_key[CA_DIR_PATH];
	(void)argc;
	(void)argv;
	if (open_cas(home, &c, e) || ca_dir_path(c->home, "root.key", root_key, e) ||
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
ca_verify_journal(const char *home, int argc, char **argv, struct err *e)
{
	char path[HOME_PATH], found[HOME_PATH], head[65];
	int64_t count;
	if (argc == 1)
		snprintf(path, sizeof(path), "%s", argv[0]);
	else if (home_find(home, found, e) ||
		 home_join(found, "ca/journal.log", path, HOME_PATH, e))
		return -1;
	if (journal_verify(path, NULL, NULL, &count, head, e))
		return -1;
	printf("%s: %lld entries, unbroken\nhead %s\n", path, (long long)count, head);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(const char *home, int argc, char **argv, struct err *e);
	int args_max;
} verbs[] = {
    {"show", ca_show, 1},
    {"list", ca_list, 0},
    {"verify", ca_verify, 0},
    {"verify-journal", ca_verify_journal, 1},
};

int
cmd_ca(int argc, char **argv, struct err *e)
{
	const char *home = NULL;
	const struct opt opts[] = {
	    {"home", "DIR", OPT_TEXT, &home,
		"home directory (default $MUSTER_HOME, ~/.muster)"},
	    {0}};
	const struct opt_cmd cmd = {"muster ca VERB [--home DIR]",
	    "The CA of a home, and its record of what it issued.\n\n"
	    "verbs:\n"
	    "  show [NAME]            a CA in full (default: all)\n"
	    "  list                   a line each\n"
	    "  verify                 do keys match, do issuing CAs verify to a root?\n"
	    "  verify-journal [FILE]  the hash chain of the journal, or of a copy of it",
	    opts, 1, 2};
	int at = opt_parse(&cmd, argc, argv, e);
	if (at <= 0)
		return at;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(argv[at], verbs[i].name) != 0)
			continue;
		if (argc - at - 1 > verbs[i].args_max)
			return err_set(e, ERR_USAGE, "too much: %s; usage: %s",
			    argv[at + 1 + verbs[i].args_max], cmd.usage);
		return verbs[i].run(home, argc - at - 1, argv + at + 1, e);
	}
	return err_set(
	    e, ERR_USAGE, "no verb '%s'; muster ca --help lists them", argv[at]);
}
