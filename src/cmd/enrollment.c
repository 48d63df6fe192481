/*
 * muster group and muster enrollment: who may register with a provisioning service, by
 * its service API (protocol/service.md 1.2 to 1.5). One set of verbs for both kinds.
 */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/doc_arg.h"
#include "cmd/listing.h"
#include "cmd/verb.h"
#include "codec/js.h"
#include "codec/pem.h"
#include "crypto/cert.h"
#include "fleet/azure.h"
#include "io/file.h"

#define TOP_MAX 1000000000

struct kind {
	const char *word;  /* the command, and what errors call it */
	const char *path;  /* with both slashes */
	const char *query; /* target of the list */
	const char *id;    /* member that names one */
	const char *certs; /* member of x509 where its certificates are */
	const struct render_column *list, *one;
};

struct args {
	const struct kind *kind;
	struct remote r;
	const char *ca, *second_ca, *ca_name, *keys_file, *tpm, *device, *etag;
	const char *allocation, *reprovision, *tags, *desired;
	struct opt_each hubs;
	bool symmetric, disabled, edge, keys;
	int64_t top;
};

#define SUBJECT(which)                                                                   \
	"attestation.x509.signingCertificates." which                                    \
	".info.subjectName|attestation.x509.clientCertificates." which                   \
	".info.subjectName|attestation.x509.caReferences." which
#define INFO(which, what)                                                                \
	"attestation.x509.signingCertificates." which ".info." what                      \
	"|attestation.x509.clientCertificates." which ".info." what
#define END                                                                              \
	{                                                                                \
		NULL, NULL, RENDER_TEXT, 0                                               \
	}

static const struct render_column group_list[] = {
    {"GROUP", "enrollmentGroupId", RENDER_TEXT, RENDER_CUT},
    {"STATUS", "provisioningStatus", RENDER_TEXT, 0},
    {"BY", "attestation.type", RENDER_TEXT, 0},
    {"CERTIFICATE", SUBJECT("primary"), RENDER_TEXT, RENDER_IF_ANY | RENDER_CUT},
    {"UNTIL", INFO("primary", "notAfterUtc"), RENDER_TIME, RENDER_IF_ANY | RENDER_EXTRA},
    {"ALLOCATION", "allocationPolicy", RENDER_TEXT, RENDER_IF_ANY}, END};

static const struct render_column enrollment_list[] = {
    {"REGISTRATION", "registrationId", RENDER_TEXT, RENDER_CUT},
    {"STATUS", "provisioningStatus", RENDER_TEXT, 0},
    {"BY", "attestation.type", RENDER_TEXT, 0},
    {"DEVICE", "deviceId", RENDER_TEXT, RENDER_IF_ANY | RENDER_CUT},
    {"CERTIFICATE", SUBJECT("primary"), RENDER_TEXT, RENDER_IF_ANY | RENDER_CUT},
    {"STATE", "registrationState.status", RENDER_TEXT, RENDER_IF_ANY},
    {"HUB", "registrationState.assignedHub", RENDER_TEXT, RENDER_IF_ANY | RENDER_CUT},
    END};

#define COMMON_COLUMNS                                                                   \
	{"Status", "provisioningStatus", RENDER_TEXT, 0},                                \
	    {"By", "attestation.type", RENDER_TEXT, 0},                                  \
	    {"Certificate", SUBJECT("primary"), RENDER_TEXT, RENDER_IF_ANY},             \
	    {"Thumbprint", INFO("primary", "sha256Thumbprint"), RENDER_TEXT,             \
		RENDER_IF_ANY},                                                          \
	    {"Until", INFO("primary", "notAfterUtc"), RENDER_TIME, RENDER_IF_ANY},       \
	    {"Second certificate", SUBJECT("secondary"), RENDER_TEXT, RENDER_IF_ANY},    \
	    {"Second until", INFO("secondary", "notAfterUtc"), RENDER_TIME,              \
		RENDER_IF_ANY},                                                          \
	    {"Key", "attestation.symmetricKey.primaryKey", RENDER_TEXT, RENDER_IF_ANY},  \
	    {"Second key", "attestation.symmetricKey.secondaryKey", RENDER_TEXT,         \
		RENDER_IF_ANY},                                                          \
	    {"Endorsement key", "attestation.tpm.endorsementKey", RENDER_TEXT,           \
		RENDER_IF_ANY},                                                          \
	    {"Allocation", "allocationPolicy", RENDER_TEXT, RENDER_IF_ANY},              \
	    {"Hubs", "iotHubs", RENDER_TEXT, RENDER_IF_ANY},                             \
	    {"Moves between hubs", "reprovisionPolicy.updateHubAssignment", RENDER_TEXT, \
		0},                                                                      \
	    {"Keeps its twin", "reprovisionPolicy.migrateDeviceData", RENDER_TEXT, 0},   \
	    {"IoT Edge", "capabilities.iotEdge", RENDER_TEXT, 0},                        \
	    {"Tags", "initialTwin.tags", RENDER_TEXT, RENDER_IF_ANY},                    \
	    {"Desired", "initialTwin.properties.desired", RENDER_TEXT, RENDER_IF_ANY},   \
	    {"Created", "createdDateTimeUtc", RENDER_TIME, 0},                           \
	    {"Changed", "lastUpdatedDateTimeUtc", RENDER_TIME, 0},                       \
	    {"ETag", "etag", RENDER_TEXT, 0}, END

static const struct render_column group_one[] = {
    {"Group", "enrollmentGroupId", RENDER_TEXT, 0}, COMMON_COLUMNS};
static const struct render_column enrollment_one[] = {
    {"Registration", "registrationId", RENDER_TEXT, 0},
    {"Device", "deviceId", RENDER_TEXT, RENDER_IF_ANY},
    {"State", "registrationState.status", RENDER_TEXT, RENDER_IF_ANY},
    {"Assigned hub", "registrationState.assignedHub", RENDER_TEXT, RENDER_IF_ANY},
    COMMON_COLUMNS};

static const struct kind group_kind = {"group", "/enrollmentGroups/",
    "/enrollmentGroups/query?api-version=" AZURE_DPS, "enrollmentGroupId",
    "signingCertificates", group_list, group_one};
static const struct kind enrollment_kind = {"enrollment", "/enrollments/",
    "/enrollments/query?api-version=" AZURE_DPS, "registrationId", "clientCertificates",
    enrollment_list, enrollment_one};

/* ---- exchanges -----------------------------------------------------------------------
 */

static const char *
what(struct args *a, const char *id)
{
	return arena_printf(a->r.arena, "%s %s", a->kind->word, id);
}

static int
ask(struct args *a, const char *id, const char *method, const char *tail,
    const struct js *body, const char *if_match, struct js **ret, struct err *e)
{
	const struct rest_request q = {.method = method,
	    .target = azure_path(a->r.arena, a->kind->path, id, tail, AZURE_DPS),
	    .body = body ? azure_body(a->r.arena, body) : SPAN_NONE,
	    .if_match = if_match,
	    .once = if_match}; /* a second try would find what the first one did */
	return remote_ask(&a->r, SIGN_IN_DPS, &q, what(a, id), ret, NULL, e);
}

static bool
is_symmetric(const struct js *v)
{
	const struct js *attestation = js_get(v, "attestation");
	return strcmp(js_as_text(js_get(attestation, "type")), "symmetricKey") == 0;
}

/* Keys come by a request of their own (service.md 1.2): into v. */
static int
fetch_keys(struct args *a, const char *id, struct js *v, struct err *e)
{
	struct js *attestation = NULL;
	if (!is_symmetric(v))
		return 0;
	if (ask(a, id, "POST", "/attestationmechanism", NULL, NULL, &attestation, e))
		return -1;
	js_set(v, "attestation", attestation);
	return 0;
}

static int
show(struct args *a, const char *id, struct js *v, struct err *e)
{
	struct js *keys = js_get_mut(js_get_mut(v, "attestation"), "symmetricKey");
	if (a->keys && fetch_keys(a, id, v, e))
		return -1;
	if (keys && !a->keys) {
		js_set(keys, "primaryKey", js_null());
		js_set(keys, "secondaryKey", js_null());
	}
	render_one(a->kind->one, a->r.form, stdout, v);
	return 0;
}

/* ---- verbs that only look ------------------------------------------------------------
 */

static int
list(struct args *a, struct err *e)
{
	auto_(js_free) struct js *body = js_object();
	js_set_text(body, "query", "*");
	const struct listing l = {.plane = SIGN_IN_DPS,
	    .method = "POST",
	    .target = a->kind->query,
	    .body = body,
	    .what = a->kind == &group_kind ? "groups" : "enrollments",
	    .cols = a->kind->list,
	    .top = a->top};
	return remote_open_any(&a->r, e) ? -1 : listing_run(&a->r, &l, e);
}

static int
show_id(struct args *a, const char *id, struct err *e)
{
	auto_(js_free) struct js *v = NULL;
	if (ask(a, id, "GET", "", NULL, NULL, &v, e))
		return -1;
	return show(a, id, v, e);
}

/* ---- create --------------------------------------------------------------------------
 */

/* What is shown as a certificate is one; a key in the file is refused (crypto/cert.h). */
static int
add_cert(struct js *certs, const char *which, const char *path, struct err *e)
{
	auto_buf text = BUF_INIT(CERT_PEM_MAX), pem = BUF_INIT(CERT_PEM_MAX);
	auto_cert_list l = {0};
	if (!path)
		return 0;
	if (file_read(path, &text, e) || cert_list_parse(buf_span(&text), path, &l, e))
		return -1;
	cert_write_pem(l.v[0]->der, &pem);
	struct js *one = js_object();
	js_set_text(one, "certificate", buf_text(&pem));
	js_set(certs, which, one);
	return 0;
}

static int
by_cert(struct args *a, struct js *attestation, struct err *e)
{
	struct js *x509 = js_object(), *inner = js_object();
	js_set_text(attestation, "type", "x509");
	js_set(attestation, "x509", x509);
	js_set(x509, a->ca_name ? "caReferences" : a->kind->certs, inner);
	if (a->ca_name)
		return js_set_str(inner, "primary", span_str(a->ca_name), e);
	if (add_cert(inner, "primary", a->ca, e))
		return -1;
	return add_cert(inner, "secondary", a->second_ca, e);
}

/* A file of one key a line: the primary one, the secondary one. */
static int
by_key(struct args *a, struct js *attestation, struct err *e)
{
	auto_buf text = BUF_INIT(4096);
	struct js *keys = js_object();
	js_set_text(attestation, "type", "symmetricKey");
	js_set(attestation, "symmetricKey", keys);
	if (!a->keys_file)
		return 0; /* the service makes them */
	if (file_read_secret(a->keys_file, &text, e))
		return -1;
	struct span rest = span_trim(buf_span(&text));
	struct span first = span_trim(span_split(&rest, '\n'));
	struct span second = span_trim(rest);
	if (js_set_str(keys, "primaryKey", first, e))
		return err_wrap(e, "%s", a->keys_file);
	return js_set_str(keys, "secondaryKey", second.len ? second : first, e);
}

static int
by_tpm(struct args *a, struct js *attestation, struct err *e)
{
	auto_buf text = BUF_INIT(16384);
	struct js *tpm = js_object();
	js_set_text(attestation, "type", "tpm");
	js_set(attestation, "tpm", tpm);
	if (doc_arg_file(a->tpm, &text, e))
		return -1;
	return js_set_str(tpm, "endorsementKey", span_trim(buf_span(&text)), e);
}

static int
set_attestation(struct args *a, struct js *v, struct err *e)
{
	int ways = (a->ca != NULL) + (a->ca_name != NULL) +
		   (a->symmetric || a->keys_file) + (a->tpm != NULL);
	struct js *attestation = js_object();
	js_set(v, "attestation", attestation);
	if (ways != 1)
		return err_set(e, ERR_USAGE, "one of %s is wanted",
		    a->kind == &group_kind ? "--signing-ca, --ca-name, --symmetric"
					   : "--device-cert, --symmetric, --tpm");
	if (a->second_ca && !a->ca)
		return err_set(e, ERR_USAGE, "a second certificate wants a first one");
	if (a->ca || a->ca_name)
		return by_cert(a, attestation, e);
	return a->tpm ? by_tpm(a, attestation, e) : by_key(a, attestation, e);
}

static int
set_reprovision(struct args *a, struct js *v, struct err *e)
{
	static const struct {
		const char *word;
		bool moves, keeps;
	} rows[] = {
	    {"migrate", true, true}, {"reset", true, false}, {"never", false, false}};
	const char *word = a->reprovision ? a->reprovision : rows[0].word;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(word, rows[i].word) != 0)
			continue;
		struct js *policy = js_object();
		js_set_bool(policy, "updateHubAssignment", rows[i].moves);
		js_set_bool(policy, "migrateDeviceData", rows[i].keeps);
		js_set(v, "reprovisionPolicy", policy);
		return 0;
	}
	return err_set(e, ERR_USAGE, "--reprovision %s: migrate, reset or never", word);
}

static int
set_twin(struct args *a, struct js *v, struct err *e)
{
	if (!a->tags && !a->desired)
		return 0;
	struct js *twin = js_object(), *properties = js_object();
	js_set(v, "initialTwin", twin);
	js_set(twin, "properties", properties);
	struct js *tags = a->tags ? doc_arg_json(a->tags, "--tags", e) : js_object();
	if (!tags)
		return -1;
	js_set(twin, "tags", tags);
	struct js *desired =
	    a->desired ? doc_arg_json(a->desired, "--desired", e) : js_object();
	if (!desired)
		return -1;
	js_set(properties, "desired", desired);
	return 0;
}

static int
set_rest(struct args *a, struct js *v, struct err *e)
{
	struct js *capabilities = js_object();
	js_set(v, "capabilities", capabilities);
	js_set_bool(capabilities, "iotEdge", a->edge);
	js_set_text(v, "provisioningStatus", a->disabled ? "disabled" : "enabled");
	if (a->device && js_set_str(v, "deviceId", span_str(a->device), e))
		return err_wrap(e, "--device-id");
	if (a->allocation &&
	    js_set_str(v, "allocationPolicy", span_str(a->allocation), e))
		return err_wrap(e, "--allocation");
	if (!a->hubs.n)
		return 0;
	struct js *hubs = js_array();
	js_set(v, "iotHubs", hubs);
	for (int i = 0; i < a->hubs.n; i++) {
		struct js *hub = js_str(span_str(a->hubs.v[i]), e);
		if (!hub)
			return err_wrap(e, "--hub");
		js_append(hubs, hub);
	}
	return 0;
}

/* A PUT would overwrite what is there (service.md 1.4), so it is looked for first. */
static int
need_absent(struct args *a, const char *id, struct err *e)
{
	auto_(js_free) struct js *there = NULL;
	if (ask(a, id, "GET", "", NULL, NULL, &there, e) == 0)
		return err_set(
		    e, ERR_EXISTS, "%s %s: there is one already", a->kind->word, id);
	return e->code == ERR_NOT_FOUND ? 0 : -1;
}

static int
create(struct args *a, const char *id, struct err *e)
{
	auto_(js_free) struct js *v = js_object(), *got = NULL;
	if (js_set_str(v, a->kind->id, span_str(id), e) || set_attestation(a, v, e) ||
	    set_reprovision(a, v, e) || set_twin(a, v, e) || set_rest(a, v, e) ||
	    need_absent(a, id, e) || ask(a, id, "PUT", "", v, NULL, &got, e))
		return -1;
	return show(a, id, got, e);
}

/* ---- enable, disable, delete ---------------------------------------------------------
 */

/* Put back as it was read, so it is no one else's change that is lost: keys with it,
 * which a GET does not tell, and certificates as their info alone (clients.md fact 16).
 */
static int
set_status(struct args *a, const char *id, const char *status, struct err *e)
{
	auto_(js_free) struct js *v = NULL, *got = NULL;
	if (ask(a, id, "GET", "", NULL, NULL, &v, e) || fetch_keys(a, id, v, e))
		return -1;
	const char *etag = a->etag ? a->etag : js_as_text(js_get(v, "etag"));
	const char *if_match = arena_printf(a->r.arena, "%s", etag);
	js_del(v, "registrationState");
	js_set_text(v, "provisioningStatus", status);
	if (ask(a, id, "PUT", "", v, if_match, &got, e))
		return -1;
	return show(a, id, got, e);
}

static int
enable(struct args *a, const char *id, struct err *e)
{
	return set_status(a, id, "enabled", e);
}

static int
disable(struct args *a, const char *id, struct err *e)
{
	return set_status(a, id, "disabled", e);
}

static int
delete_id(struct args *a, const char *id, struct err *e)
{
	if (ask(a, id, "DELETE", "", NULL, a->etag ? a->etag : "*", NULL, e))
		return -1;
	if (a->r.form == RENDER_TABLE)
		printf("%s %s is deleted\n", a->kind->word, id);
	return 0;
}

/* ---- the commands --------------------------------------------------------------------
 */

/* A verb about one of them. */
static int
run_one(struct args *a, const struct opt_cmd *cmd,
    int (*run)(struct args *a, const char *id, struct err *e), int argc, char **argv,
    struct err *e)
{
	int at = remote_parse(&a->r, cmd, argc, argv, e);
	int rc = at;
	if (at > 0)
		rc = remote_open_any(&a->r, e) ? -1 : run(a, argv[at], e);
	remote_done(&a->r);
	return rc;
}

static int
run_list(const struct kind *k, const char *usage, int argc, char **argv, struct err *e)
{
	struct args a = {.kind = k};
	const struct opt own[] = {
	    {"top", "N", OPT_INT, &a.top, "at most so many (default: all)", 1, TOP_MAX},
	    {0}};
	const struct opt_cmd cmd = {
	    usage, "Lists who may register with the provisioning service.", own, 0, 0};
	int at = remote_parse(&a.r, &cmd, argc, argv, e);
	int rc = at <= 0 ? at : list(&a, e);
	remote_done(&a.r);
	return rc;
}

static int
run_show(const struct kind *k, const char *usage, int argc, char **argv, struct err *e)
{
	struct args a = {.kind = k};
	const struct opt own[] = {
	    {"keys", NULL, OPT_FLAG, &a.keys, "with its shared keys, which are secret"},
	    {0}};
	const struct opt_cmd cmd = {usage, "Shows one in full.", own, 1, 1};
	return run_one(&a, &cmd, show_id, argc, argv, e);
}

static int
run_etag(const struct kind *k, const char *usage, const char *about,
    int (*run)(struct args *a, const char *id, struct err *e), int argc, char **argv,
    struct err *e)
{
	struct args a = {.kind = k};
	const struct opt own[] = {
	    {"etag", "ETAG", OPT_TEXT, &a.etag, "only where it is still this version"},
	    {0}};
	const struct opt_cmd cmd = {usage, about, own, 1, 1};
	return run_one(&a, &cmd, run, argc, argv, e);
}

#define CREATE_ROWS(a)                                                                   \
	{"symmetric", NULL, OPT_FLAG, &(a).symmetric,                                    \
	    "by a shared key, which the service makes"},                                 \
	    {"keys-file", "FILE", OPT_TEXT, &(a).keys_file,                              \
		"by shared keys: a line each, Base64, primary and secondary"},           \
	    {"hub", "HOST", OPT_EACH, &(a).hubs,                                         \
		"to this hub; may be repeated (default: any)"},                          \
	    {"allocation", "POLICY", OPT_TEXT, &(a).allocation,                          \
		"hashed, geoLatency, static or custom"},                                 \
	    {"reprovision", "HOW", OPT_TEXT, &(a).reprovision,                           \
		"who comes again: migrate (default; the twin goes along), reset, "       \
		"never"},                                                                \
	    {"tags", "DOC", OPT_TEXT, &(a).tags,                                         \
		"of the first twin: JSON, a file, or -"},                                \
	    {"desired", "DOC", OPT_TEXT, &(a).desired,                                   \
		"desired properties of the first twin"},                                 \
	    {"edge", NULL, OPT_FLAG, &(a).edge, "IoT Edge devices"},                     \
	    {"disabled", NULL, OPT_FLAG, &(a).disabled, "nobody may come in yet"},       \
	    {"keys", NULL, OPT_FLAG, &(a).keys,                                          \
		"show the shared keys, which are secret"},                               \
	{                                                                                \
		0                                                                        \
	}

static int
group_list_(int argc, char **argv, struct err *e)
{
	return run_list(&group_kind, "muster group list [OPTIONS]", argc, argv, e);
}

static int
group_show(int argc, char **argv, struct err *e)
{
	return run_show(&group_kind, "muster group show NAME [OPTIONS]", argc, argv, e);
}

static int
group_create(int argc, char **argv, struct err *e)
{
	struct args a = {.kind = &group_kind};
	const struct opt own[] = {{"signing-ca", "FILE", OPT_TEXT, &a.ca,
				      "by certificates that this CA signed, PEM"},
	    {"second-ca", "FILE", OPT_TEXT, &a.second_ca, "and by another one, PEM"},
	    {"ca-name", "NAME", OPT_TEXT, &a.ca_name,
		"by a certificate of the provisioning service"},
	    CREATE_ROWS(a)};
	const struct opt_cmd cmd = {"muster group create NAME [OPTIONS]",
	    "Makes an enrollment group. One that is there is left alone: exit status 5.",
	    own, 1, 1};
	return run_one(&a, &cmd, create, argc, argv, e);
}

static int
group_enable(int argc, char **argv, struct err *e)
{
	return run_etag(&group_kind, "muster group enable NAME [OPTIONS]",
	    "Lets its devices register.", enable, argc, argv, e);
}

static int
group_disable(int argc, char **argv, struct err *e)
{
	return run_etag(&group_kind, "muster group disable NAME [OPTIONS]",
	    "Lets nobody register by it. Who has registered stays connected.", disable,
	    argc, argv, e);
}

static int
group_delete(int argc, char **argv, struct err *e)
{
	return run_etag(&group_kind, "muster group delete NAME [OPTIONS]",
	    "Deletes a group and the records of who registered by it.", delete_id, argc,
	    argv, e);
}

int
cmd_group(int argc, char **argv, struct err *e)
{
	static const struct verb verbs[] = {{"list", "", "the groups", group_list_},
	    {"show", "NAME", "one in full", group_show},
	    {"create", "NAME", "make one", group_create},
	    {"enable", "NAME", "let its devices register", group_enable},
	    {"disable", "NAME", "let nobody register by it", group_disable},
	    {"delete", "NAME", "remove it", group_delete}, {0}};
	return verb_run("group",
	    "Enrollment groups of a provisioning service: many devices by one CA or key.",
	    verbs, argc, argv, e);
}

static int
enrollment_list_(int argc, char **argv, struct err *e)
{
	return run_list(
	    &enrollment_kind, "muster enrollment list [OPTIONS]", argc, argv, e);
}

static int
enrollment_show(int argc, char **argv, struct err *e)
{
	return run_show(
	    &enrollment_kind, "muster enrollment show ID [OPTIONS]", argc, argv, e);
}

static int
enrollment_create(int argc, char **argv, struct err *e)
{
	struct args a = {.kind = &enrollment_kind};
	const struct opt own[] = {
	    {"device-cert", "FILE", OPT_TEXT, &a.ca, "by its own certificate, PEM"},
	    {"second-cert", "FILE", OPT_TEXT, &a.second_ca, "and by its next one, PEM"},
	    {"tpm", "FILE", OPT_TEXT, &a.tpm, "by its TPM: endorsement key, Base64"},
	    {"device-id", "ID", OPT_TEXT, &a.device,
		"name of its identity (default: the registration ID)"},
	    CREATE_ROWS(a)};
	const struct opt_cmd cmd = {"muster enrollment create ID [OPTIONS]",
	    "Makes the enrollment of one device. One that is there is left alone: exit\n"
	    "status 5.",
	    own, 1, 1};
	return run_one(&a, &cmd, create, argc, argv, e);
}

static int
enrollment_enable(int argc, char **argv, struct err *e)
{
	return run_etag(&enrollment_kind, "muster enrollment enable ID [OPTIONS]",
	    "Lets the device register.", enable, argc, argv, e);
}

static int
enrollment_disable(int argc, char **argv, struct err *e)
{
	return run_etag(&enrollment_kind, "muster enrollment disable ID [OPTIONS]",
	    "Lets the device register no more, not by a group either.", disable, argc,
	    argv, e);
}

static int
enrollment_delete(int argc, char **argv, struct err *e)
{
	return run_etag(&enrollment_kind, "muster enrollment delete ID [OPTIONS]",
	    "Deletes an enrollment; a group may let the device in again.", delete_id,
	    argc, argv, e);
}

int
cmd_enrollment(int argc, char **argv, struct err *e)
{
	static const struct verb verbs[] = {
	    {"list", "", "the enrollments", enrollment_list_},
	    {"show", "ID", "one in full", enrollment_show},
	    {"create", "ID", "make one", enrollment_create},
	    {"enable", "ID", "let the device register", enrollment_enable},
	    {"disable", "ID", "let it register no more", enrollment_disable},
	    {"delete", "ID", "remove it", enrollment_delete}, {0}};
	return verb_run("enrollment",
	    "Individual enrollments of a provisioning service: one device each.", verbs,
	    argc, argv, e);
}
