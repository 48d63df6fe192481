/*
 * muster ca: show, list and verify the CA; verify the issuance journal.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/cmd.h"
#include "cmd/home.h"
#include "cmd/opt.h"
#include "crypto/ca.h"
#include "io/file.h"
#include "store/journal.h"

#define CA_FILE_MAX 65536

static int
path_of(const char *home_opt, const char *name, char path[HOME_PATH], struct err *e)
{
	char home[HOME_PATH];
	if (home_find(home_opt, home, e))
		return -1;
	return home_join(home, name, path, HOME_PATH, e);
}

static int
read_cert(const char *home_opt, const char *name, struct cert **ret, struct err *e)
{
	char path[HOME_PATH], file[100];
	auto_buf pem = BUF_INIT(CA_FILE_MAX);
	auto_cert_list list = {.n = 0};
	snprintf(file, sizeof(file), "ca/%s.pem", name);
	if (path_of(home_opt, file, path, e) || file_read(path, &pem, e) ||
	    cert_list_parse(buf_span(&pem), path, &list, e))
		return -1;
	*ret = cert_ref(list.v[0]);
	return 0;
}

static const char *const names[] = {"root", "device-ca", "service-ca"};

static bool
is_name(const char *s)
{
	for (size_t i = 0; i < 3; i++)
		if (strcmp(names[i], s) == 0)
			return true;
	return false;
}

static int
show(const char *home, const char *name, struct err *e)
{
	auto_(cert_free) struct cert *c = NULL;
	struct cert_info info;
	if (read_cert(home, name, &c, e))
		return -1;
	cert_info(c, &info);
	printf("%s\n", name);
	printf("  subject     %s\n  issuer      %s\n", info.subject, info.issuer);
	printf("  serial      %s\n  valid       %s to %s (%lld days left)\n", info.serial,
	    info.not_before, info.not_after,
	    (long long)cert_days_left(c, clock_wall_ms(&clock_system)));
	printf("  key         %s\n", c->key_name);
	if (c->pathlen >= 0)
		printf("  pathlen     %d\n", c->pathlen);
	printf("  sha256      %s\n  sha1        %s\n", info.sha256, info.sha1);
	return 0;
}

static int
ca_show(const char *home, int argc, char **argv, struct err *e)
{
	if (argc == 1 && !is_name(argv[0]))
		return err_set(
		    e, ERR_USAGE, "no CA '%s': root, device-ca or service-ca", argv[0]);
	for (size_t i = 0; i < 3; i++)
		if ((argc == 0 || strcmp(argv[0], names[i]) == 0) &&
		    show(home, names[i], e))
			return -1;
	return 0;
}

static int
ca_list(const char *home, int argc, char **argv, struct err *e)
{
	(void)argc;
	(void)argv;
	printf("%-12s %-10s %-10s %-32s %s\n", "NAME", "DAYS LEFT", "KEY", "SUBJECT",
	    "SHA-256");
	for (size_t i = 0; i < 3; i++) {
		auto_(cert_free) struct cert *c = NULL;
		struct cert_info info;
		if (read_cert(home, names[i], &c, e))
			return -1;
		cert_info(c, &info);
		printf("%-12s %-10lld %-10s %-32s %s\n", names[i],
		    (long long)cert_days_left(c, clock_wall_ms(&clock_system)),
		    c->key_name, info.subject, info.sha256);
	}
	return 0;
}

/* Keys match, both issuing CAs are of their profile and verify to the root, now. */
static int
ca_verify(const char *home, int argc, char **argv, struct err *e)
{
	auto_ca_material m = {.n = 0};
	struct ca ca;
	(void)argc;
	(void)argv;
	for (size_t i = 0; i < CA_FILES_MAX; i++) {
		const struct ca_file_row *row = &ca_file_rows[i];
		char path[HOME_PATH], name[64];
		auto_buf pem = BUF_INIT(CA_FILE_MAX);
		snprintf(name, sizeof(name), "ca/%s", row->name);
		if (path_of(home, name, path, e))
			return -1;
		int rc = row->secret ? file_read_secret(path, &pem, e)
				     : file_read(path, &pem, e);
		if (rc && row->optional && e->code == ERR_NOT_FOUND)
			continue;
		if (rc || ca_material_put(&m, row->name, buf_span(&pem), e))
			return -1;
	}
	if (ca_load(&m, clock_wall_s(&clock_system), &ca, e))
		return -1;
	bool has_root_key = ca_material_get(&m, "root.key") != NULL;
	ca_done(&ca);
	printf("the CA verifies: keys match, both issuing CAs verify to the root\n");
	if (has_root_key)
		printf("note: ca/root.key is still here; it should leave this machine\n");
	return 0;
}

static int
ca_verify_journal(const char *home, int argc, char **argv, struct err *e)
{
	char path[HOME_PATH], head[65];
	int64_t count;
	if (argc == 1)
		snprintf(path, sizeof(path), "%s", argv[0]);
	else if (path_of(home, "ca/journal.log", path, e))
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
	    "  show [NAME]            root, device-ca or service-ca in full (default: "
	    "all)\n"
	    "  list                   a line each\n"
	    "  verify                 do keys match, do both issuing CAs verify to the "
	    "root?\n"
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
