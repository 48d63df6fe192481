/*
 * muster dps certificate: CA certificates that enrollment groups name, and the proof that
 * their keys are ours (protocol/service.md 3.5).
 */
#include <stdio.h>

#include "base/base64.h"
#include "cmd/listing.h"
#include "cmd/resource.h"
#include "cmd/verb.h"
#include "codec/js.h"
#include "codec/pem.h"
#include "crypto/cert.h"
#include "fleet/azure.h"
#include "io/file.h"

struct args {
	struct remote r;
	const char *etag;
	bool verified;
};

#define END                                                                              \
	{                                                                                \
		NULL, NULL, RENDER_TEXT, 0                                               \
	}

/* Dates are RFC 1123 here, and stay it. */
static const struct render_column list_columns[] = {
    {"CERTIFICATE", "name", RENDER_TEXT, RENDER_CUT},
    {"SUBJECT", "properties.subject", RENDER_TEXT, RENDER_CUT},
    {"VERIFIED", "properties.isVerified", RENDER_TEXT, 0},
    {"UNTIL", "properties.expiry", RENDER_TEXT, RENDER_EXTRA}, END};

static const struct render_column columns[] = {{"Certificate", "name", RENDER_TEXT, 0},
    {"Subject", "properties.subject", RENDER_TEXT, 0},
    {"Thumbprint (SHA-1)", "properties.thumbprint", RENDER_TEXT, 0},
    {"Until", "properties.expiry", RENDER_TEXT, 0},
    {"Verified", "properties.isVerified", RENDER_TEXT, 0},
    {"Verification code", "properties.verificationCode", RENDER_TEXT, RENDER_IF_ANY},
    {"Created", "properties.created", RENDER_TEXT, 0},
    {"Changed", "properties.updated", RENDER_TEXT, 0}, {"ETag", "etag", RENDER_TEXT, 0},
    END};

static int
ask(struct args *a, const char *name, const char *method, const char *tail,
    const struct js *body, const char *if_match, struct js **ret, struct err *e)
{
	const char *path;
	if (service_resource(a->r.service, SIGN_IN_DPS, &path, e))
		return -1;
	const struct rest_request q = {.method = method,
	    .target =
		azure_path(a->r.arena, arena_printf(a->r.arena, "%s/certificates/", path),
		    name, tail, RESOURCE_DPS),
	    .body = body ? azure_body(a->r.arena, body) : SPAN_NONE,
	    .if_match = if_match,
	    .once = if_match || body}; /* a second try would find the first one's */
	return remote_ask(&a->r, SIGN_IN_ARM, &q,
	    arena_printf(a->r.arena, "certificate %s", name), ret, NULL, e);
}

/* The version that a change is of: the one that was told, or the one there is. */
static int
version_of(struct args *a, const char *name, const char **ret, struct err *e)
{
	auto_(js_free) struct js *v = NULL;
	*ret = a->etag;
	if (a->etag)
		return 0;
	if (ask(a, name, "GET", "", NULL, NULL, &v, e))
		return -1;
	*ret = arena_str(a->r.arena, js_as_str(js_get(v, "etag")));
	return 0;
}

/* Base64 of the PEM text of the one certificate in a file; a key in it is refused. */
static int
read_cert(const char *path, struct js *body, struct err *e)
{
	auto_buf text = BUF_INIT(CERT_PEM_MAX), pem = BUF_INIT(CERT_PEM_MAX);
	auto_buf coded = BUF_INIT(2 * CERT_PEM_MAX);
	auto_cert_list l = {0};
	if (file_read(path, &text, e) || cert_list_parse(buf_span(&text), path, &l, e))
		return -1;
	if (l.n != 1)
		return err_set(
		    e, ERR_PARSE, "%s: %zu certificates where one belongs", path, l.n);
	cert_write_pem(l.v[0]->der, &pem);
	base64_put(&coded, buf_span(&pem));
	js_set_text(body, "certificate", buf_text(&coded));
	return 0;
}

/* ---- verbs ---------------------------------------------------------------------------
 */

static int
run_one(struct args *a, const struct opt_cmd *cmd,
    int (*run)(struct args *a, char **argv, struct err *e), int argc, char **argv,
    struct err *e)
{
	int at = remote_parse(&a->r, cmd, argc, argv, e);
	int rc = at;
	if (at > 0)
		rc = remote_open_any(&a->r, e) ? -1 : run(a, argv + at, e);
	remote_done(&a->r);
	return rc;
}

static int
list(struct args *a, char **argv, struct err *e)
{
	const char *path;
	auto_(js_free) struct js *v = NULL;
	(void)argv;
	if (service_resource(a->r.service, SIGN_IN_DPS, &path, e))
		return -1;
	const struct rest_request q = {.method = "GET",
	    .target = arena_printf(
		a->r.arena, "%s/certificates?api-version=" RESOURCE_DPS, path)};
	if (remote_ask(&a->r, SIGN_IN_ARM, &q, "certificates", &v, NULL, e))
		return -1;
	listing_print(&a->r, list_columns, js_get(v, "value"), "certificates");
	return 0;
}

static int
certificate_list(int argc, char **argv, struct err *e)
{
	struct args a = {0};
	const struct opt_cmd cmd = {"muster dps certificate list [OPTIONS]",
	    "Lists the CA certificates of the provisioning service.", NULL, 0, 0};
	return run_one(&a, &cmd, list, argc, argv, e);
}

static int
show(struct args *a, char **argv, struct err *e)
{
	auto_(js_free) struct js *v = NULL;
	if (ask(a, argv[0], "GET", "", NULL, NULL, &v, e))
		return -1;
	render_one(columns, a->r.form, stdout, v);
	return 0;
}

static int
certificate_show(int argc, char **argv, struct err *e)
{
	struct args a = {0};
	const struct opt_cmd cmd = {"muster dps certificate show NAME [OPTIONS]",
	    "Shows one in full.", NULL, 1, 1};
	return run_one(&a, &cmd, show, argc, argv, e);
}

/* The resource manager has no PUT that only makes: between looking and putting somebody
 * else's could come, and would be replaced, which is why az looks first too (3.5). */
static int
need_absent(struct args *a, const char *name, struct err *e)
{
	auto_(js_free) struct js *there = NULL;
	if (ask(a, name, "GET", "", NULL, NULL, &there, e) == 0)
		return err_set(e, ERR_EXISTS,
		    "certificate %s: there is one already; --etag replaces it", name);
	return e->code == ERR_NOT_FOUND ? 0 : -1;
}

static int
add(struct args *a, char **argv, struct err *e)
{
	auto_(js_free) struct js *body = js_object(), *got = NULL;
	if (read_cert(argv[1], body, e) || (!a->etag && need_absent(a, argv[0], e)))
		return -1;
	js_set_bool(body, "isVerified", a->verified);
	if (ask(a, argv[0], "PUT", "", body, a->etag, &got, e))
		return -1;
	render_one(columns, a->r.form, stdout, got);
	return 0;
}

static int
certificate_add(int argc, char **argv, struct err *e)
{
	struct args a = {0};
	const struct opt own[] = {
	    {"verified", NULL, OPT_FLAG, &a.verified,
		"taken by your word, without the proof that its key is yours"},
	    {"etag", "ETAG", OPT_TEXT, &a.etag,
		"in place of the one there is, where that is still this version"},
	    {0}};
	const struct opt_cmd cmd = {"muster dps certificate add NAME FILE [OPTIONS]",
	    "Adds a CA certificate, PEM. One that is there is left alone: exit status 5.",
	    own, 2, 2};
	return run_one(&a, &cmd, add, argc, argv, e);
}

static int
code(struct args *a, char **argv, struct err *e)
{
	const char *etag;
	auto_(js_free) struct js *got = NULL;
	if (version_of(a, argv[0], &etag, e) ||
	    ask(a, argv[0], "POST", "/generateVerificationCode", NULL, etag, &got, e))
		return -1;
	render_one(columns, a->r.form, stdout, got);
	return 0;
}

static int
verify(struct args *a, char **argv, struct err *e)
{
	const char *etag;
	auto_(js_free) struct js *body = js_object(), *got = NULL;
	if (read_cert(argv[1], body, e) || version_of(a, argv[0], &etag, e) ||
	    ask(a, argv[0], "POST", "/verify", body, etag, &got, e))
		return -1;
	render_one(columns, a->r.form, stdout, got);
	return 0;
}

static int
delete_one(struct args *a, char **argv, struct err *e)
{
	const char *etag;
	if (version_of(a, argv[0], &etag, e) ||
	    ask(a, argv[0], "DELETE", "", NULL, etag, NULL, e))
		return -1;
	if (a->r.form == RENDER_TABLE)
		printf("certificate %s is deleted\n", argv[0]);
	return 0;
}

static int
run_etag(const char *usage, const char *about, int n,
    int (*run)(struct args *a, char **argv, struct err *e), int argc, char **argv,
    struct err *e)
{
	struct args a = {0};
	const struct opt own[] = {
	    {"etag", "ETAG", OPT_TEXT, &a.etag, "only where it is still this version"},
	    {0}};
	const struct opt_cmd cmd = {usage, about, own, n, n};
	return run_one(&a, &cmd, run, argc, argv, e);
}

static int
certificate_code(int argc, char **argv, struct err *e)
{
	return run_etag("muster dps certificate code NAME [OPTIONS]",
	    "Asks for a verification code: the CA proves itself by a certificate whose "
	    "common\nname is the code. An earlier code ends.",
	    1, code, argc, argv, e);
}

static int
certificate_verify(int argc, char **argv, struct err *e)
{
	return run_etag("muster dps certificate verify NAME FILE [OPTIONS]",
	    "Proves that its key is yours: FILE is a certificate by this CA, PEM, whose\n"
	    "common name is the verification code.",
	    2, verify, argc, argv, e);
}

static int
certificate_delete(int argc, char **argv, struct err *e)
{
	return run_etag("muster dps certificate delete NAME [OPTIONS]",
	    "Removes one that no enrollment group names.", 1, delete_one, argc, argv, e);
}

int
dps_certificate(int argc, char **argv, struct err *e)
{
	static const struct verb verbs[] = {
	    {"list", "", "the certificates", certificate_list},
	    {"show", "NAME", "one in full", certificate_show},
	    {"add", "NAME FILE", "add a CA's", certificate_add},
	    {"code", "NAME", "a verification code, to prove its key", certificate_code},
	    {"verify", "NAME FILE", "prove its key", certificate_verify},
	    {"delete", "NAME", "remove it", certificate_delete}, {0}};
	return verb_run("dps certificate",
	    "CA certificates that enrollment groups can name.", verbs, argc, argv, e);
}
