/*
 * muster key: keys by URI, wherever they are: make, list, show, test, remove, the
 * certificate beside, and what is wrong around them.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "cmd/ask.h"
#include "cmd/cmd.h"
#include "cmd/opt.h"
#include "codec/js.h"
#include "codec/pem.h"
#include "crypto/cert.h"
#include "crypto/key.h"
#include "io/file.h"

struct args {
	char *uri;
	const char *alg, *output, *put, *passphrase;
	int64_t count;
	bool yes, json;
};

static void
print_json(struct js *v)
{
	auto_buf out = BUF_INIT(1 << 20);
	js_dump(v, JS_AS_BUILT, &out);
	puts(buf_text(&out));
	js_free(v);
}

static struct key *
open_key(const struct args *a, struct err *e)
{
	return key_open(a->uri, ask_passphrase, (void *)a->passphrase, e);
}

static void
put_public(const struct key *k, struct buf *out)
{
	pem_write(out, "PUBLIC KEY", key_spki(k));
}

/* What generate and show say. */
static int
print_key(const struct args *a, const struct key *k)
{
	char fingerprint[2 * DIGEST_SHA256 + 1];
	auto_buf pem = BUF_INIT(KEY_PEM_MAX);
	hex_write(span_of(key_fingerprint(k), DIGEST_SHA256), fingerprint);
	put_public(k, &pem);
	if (!a->json) {
		printf("key          %s\n", a->uri);
		printf("algorithm    %s\n", key_alg_name(key_algorithm(k)));
		printf("custody      %s\n", key_custody_name(key_custody(k)));
		printf("exportable   %s\n", key_is_exportable(k) ? "yes" : "no");
		printf("fingerprint  %s\n%s", fingerprint, buf_text(&pem));
		return 0;
	}
	struct js *o = js_object();
	js_set_text(o, "uri", a->uri);
	js_set_text(o, "algorithm", key_alg_name(key_algorithm(k)));
	js_set_text(o, "custody", key_custody_name(key_custody(k)));
	js_set_bool(o, "exportable", key_is_exportable(k));
	js_set_text(o, "fingerprint", fingerprint);
	js_set_text(o, "publicKey", buf_text(&pem));
	print_json(o);
	return 0;
}

static int
do_generate(struct args *a, struct err *e)
{
	enum key_alg alg = KEY_P256;
	if (a->alg && key_alg_parse(span_str(a->alg), &alg, e))
		return err_wrap(e, "--alg");
	auto_(key_free) struct key *k = key_create(a->uri, alg, e);
	return k ? print_key(a, k) : -1;
}

static int
do_show(struct args *a, struct err *e)
{
	auto_(key_free) struct key *k = open_key(a, e);
	return k ? print_key(a, k) : -1;
}

static int
do_export(struct args *a, struct err *e)
{
	auto_buf pem = BUF_INIT(KEY_PEM_MAX);
	auto_(key_free) struct key *k = open_key(a, e);
	if (!k)
		return -1;
	put_public(k, &pem);
	fputs(buf_text(&pem), stdout);
	return 0;
}

static int
do_delete(struct args *a, struct err *e)
{
	if (!a->yes)
		return err_set(e, ERR_USAGE,
		    "a key that is deleted is gone for ever; add --yes if you mean it");
	if (key_delete(a->uri, e))
		return -1;
	printf("deleted %s\n", a->uri);
	return 0;
}

/* --- list --- */

static int
on_row(void *arg, const struct key_found *f, struct err *e)
{
	char id[64];
	int *n = arg;
	(void)e;
	if ((*n)++ == 0)
		printf("%-10s %-11s %-12s %-24s %-32s %s\n", "ALGORITHM", "PRIVATE",
		    "BESIDE", "LABEL", "ID", "URI");
	hex_write(span_head(f->id, 16), id);
	printf("%-10s %-11s %-12s %-24s %-32s %s\n", f->alg,
	    f->exportable ? "exportable" : "stays", f->has_cert ? "certificate" : "-",
	    f->label[0] ? f->label : "-", id[0] ? id : "-", f->uri);
	return 0;
}

static int
on_object(void *arg, const struct key_found *f, struct err *e)
{
	auto_buf id = BUF_INIT(256);
	struct js *o = js_object();
	hex_put(&id, f->id);
	js_append(arg, o);
	js_set_text(o, "uri", f->uri);
	js_set_text(o, "algorithm", f->alg);
	js_set_bool(o, "exportable", f->exportable);
	js_set_bool(o, "certificate", f->has_cert);
	js_set_text(o, "id", buf_text(&id));
	/* a token's label may be any bytes */
	return js_set_str(o, "label", span_str(f->label), NULL) &&
		       js_set_str(o, "label", SPAN_NONE, e)
		   ? -1
		   : 0;
}

static int
do_list(struct args *a, struct err *e)
{
	int n = 0;
	auto_(js_free) struct js *all = js_array();
	if (key_each(a->uri, a->json ? on_object : on_row, a->json ? (void *)all : &n, e))
		return -1;
	if (!a->json && !n)
		fprintf(stderr, "no key matches; without a PIN a token hides its keys\n");
	if (!a->json)
		return 0;
	print_json(TAKE(all));
	return 0;
}

/* --- test --- */

/* Signs count times, each verified; *ret_ms is the time of the signatures alone. */
static int
sign_all(struct key *k, int64_t count, double *ret_ms, struct err *e)
{
	uint8_t sig[KEY_SIG_MAX];
	size_t len;
	struct timespec from, to;
	auto_(key_signer_free) struct key_signer *s = key_signer_new(k, e);
	if (!s)
		return -1;
	for (int64_t i = 0; i < count; i++) {
		struct span msg = span_of(&i, sizeof(i));
		clock_gettime(CLOCK_MONOTONIC, &from);
		int rc = key_signer_sign(s, msg, sig, &len, e);
		clock_gettime(CLOCK_MONOTONIC, &to);
		if (rc)
			return -1;
		*ret_ms += (double)(to.tv_sec - from.tv_sec) * 1e3 +
			   (double)(to.tv_nsec - from.tv_nsec) / 1e6;
		if (key_verify(key_spki(k), key_alg_hash(key_algorithm(k)), msg,
			span_of(sig, len), e))
			return err_wrap(e, "signature %lld", (long long)i + 1);
	}
	return 0;
}

static int
do_test(struct args *a, struct err *e)
{
	double ms = 0;
	auto_(key_free) struct key *k = open_key(a, e);
	if (!k || sign_all(k, a->count, &ms, e))
		return -1;
	double rate = (double)a->count * 1000 / (ms > 0 ? ms : 1);
	const char *custody = key_custody_name(key_custody(k));
	if (!a->json) {
		printf(
		    "%lld signatures made and verified, %.0f a second (%s, custody %s, "
		    "%s)\n",
		    (long long)a->count, rate, key_alg_name(key_algorithm(k)), custody,
		    key_is_exportable(k) ? "exportable" : "not exportable");
		return 0;
	}
	struct js *o = js_object();
	js_set_int(o, "signatures", a->count);
	js_set_int(o, "perSecond", (int64_t)rate);
	js_set_text(o, "algorithm", key_alg_name(key_algorithm(k)));
	js_set_text(o, "custody", custody);
	js_set_bool(o, "exportable", key_is_exportable(k));
	print_json(o);
	return 0;
}

/* --- cert --- */

static int
put_cert(const struct args *a, struct err *e)
{
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	auto_cert_list list = {.n = 0};
	if (file_read(a->put, &pem, e) ||
	    cert_list_parse(buf_span(&pem), a->put, &list, e) ||
	    key_cert_put(a->uri, list.v[0]->der, e))
		return -1;
	printf("stored %s beside the key\n", list.v[0]->cn);
	return 0;
}

static int
do_cert(struct args *a, struct err *e)
{
	auto_buf der = BUF_INIT(CERT_MAX), pem = BUF_INIT(2 * CERT_MAX);
	if (a->put)
		return put_cert(a, e);
	if (key_cert_get(a->uri, &der, e))
		return -1;
	cert_write_pem(buf_span(&der), &pem);
	fputs(buf_text(&pem), stdout);
	return 0;
}

/* --- doctor --- */

static const char *const words[] = {
    [KEY_FINE] = "ok", [KEY_WARN] = "warning", [KEY_BAD] = "bad"};

static void
on_line(void *arg, enum key_finding how, const char *what, const char *fix)
{
	(void)arg;
	printf("%-8s %s\n", words[how], what);
	if (fix[0])
		printf("%-8s -> %s\n", "", fix);
}

static void
on_finding(void *arg, enum key_finding how, const char *what, const char *fix)
{
	struct js *o = js_object();
	js_append(arg, o);
	js_set_text(o, "state", words[how]);
	js_set_text(o, "what", what);
	js_set_text(o, "fix", fix);
}

static int
do_doctor(struct args *a, struct err *e)
{
	bool bad;
	auto_(js_free) struct js *all = js_array();
	if (key_doctor(a->uri, a->json ? on_finding : on_line, all, &bad, e))
		return -1;
	if (a->json)
		print_json(TAKE(all));
	return bad ? err_set(e, ERR_UNAVAILABLE, "the key cannot be used as things are")
		   : 0;
}

/* --- verbs --- */

enum bits {
	GENERATE = 1,
	LIST = 2,
	SHOW = 4,
	TEST = 8,
	EXPORT = 16,
	DELETE = 32,
	CERT = 64,
	DOCTOR = 128,
};

static const struct verb {
	const char *name, *about;
	unsigned bit;
	int (*run)(struct args *a, struct err *e);
} verbs[] = {
    {"generate", "makes a key in the place that the URI names", GENERATE, do_generate},
    {"list", "the keys that the URI matches, each with a URI of its own", LIST, do_list},
    {"show", "public key, fingerprint, what holds it", SHOW, do_show},
    {"test", "signs and verifies: does it work, how fast, can it be exported", TEST,
	do_test},
    {"export-public", "the public key as PEM", EXPORT, do_export},
    {"cert", "the certificate beside the key, as PEM; or puts one there", CERT, do_cert},
    {"delete", "removes the key and the certificate beside it", DELETE, do_delete},
    {"doctor", "finds what is missing or wrong around a key, and says the cure", DOCTOR,
	do_doctor},
};
#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static int
help(void)
{
	printf(
	    "usage: muster key VERB URI [OPTIONS]\n\n"
	    "Keys by URI: a file (file:/path or a path), a PKCS#11 token\n"
	    "(pkcs11:token=NAME;object=NAME?module-path=/path/of.so&pin-source=file:/"
	    "path)\n"
	    "or a TPM (tpm2:handle=0x81010001;nv=0x01c00002?tcti=device:/dev/tpmrm0).\n"
	    "\nverbs:\n");
	for (size_t i = 0; i < N_VERBS; i++)
		printf("  %-14s %s\n", verbs[i].name, verbs[i].about);
	printf("\nmuster key VERB --help tells its options.\n");
	return 0;
}

static int
run_verb(const struct verb *v, int argc, char **argv, struct err *e)
{
	struct args a = {.count = 20};
	const struct {
		unsigned verbs;
		struct opt opt;
	} all[] = {
	    {GENERATE, {"alg", "KIND", OPT_TEXT, &a.alg,
			   "p256, p384, rsa2048, rsa3072, rsa4096 (default p256)"}},
	    {TEST, {"count", "N", OPT_INT, &a.count, "signatures to make (default 20)", 1,
		       1000000}},
	    {CERT, {"put", "FILE", OPT_TEXT, &a.put,
		       "store the first certificate of a PEM file there"}},
	    {DELETE, {"yes", NULL, OPT_FLAG, &a.yes, "yes, for ever"}},
	    {SHOW | TEST | EXPORT,
		{"passphrase-file", "FILE", OPT_TEXT, &a.passphrase,
		    "passphrase of an encrypted key file, or a token's PIN (default: "
		    "asked for at a terminal)"}},
	    {GENERATE | LIST | SHOW | TEST | DOCTOR,
		{"output", "FORM", OPT_TEXT, &a.output, "table or json; -o for short"}},
	};
	struct opt rows[sizeof(all) / sizeof(all[0]) + 1] = {{0}};
	size_t n = 0;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].verbs & v->bit)
			rows[n++] = all[i].opt;
	char usage[64];
	snprintf(
	    usage, sizeof(usage), "muster key %s URI%s", v->name, n ? " [OPTIONS]" : "");
	const struct opt_cmd cmd = {usage, v->about, rows, 1, 1};
	int at = opt_parse(&cmd, argc, argv, e);
	if (at <= 0)
		return at;
	if (a.output && strcmp(a.output, "json") != 0 && strcmp(a.output, "table") != 0)
		return err_set(e, ERR_USAGE, "--output %s: table or json", a.output);
	a.json = a.output && strcmp(a.output, "json") == 0;
	a.uri = argv[at];
	return v->run(&a, e);
}

int
cmd_key(int argc, char **argv, struct err *e)
{
	const char *name = argc > 1 ? argv[1] : "--help";
	static char output[] = "--output";
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return help();
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "-o") == 0)
			argv[i] = output;
	for (size_t i = 0; i < N_VERBS; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return run_verb(&verbs[i], argc - 1, argv + 1, e);
	return err_set(e, ERR_USAGE, "no verb '%s'; muster key --help lists them", name);
}
