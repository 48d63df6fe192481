/*
 * muster group and muster enrollment: who may register with a provisioning service, by
 * its service API (protocol/service.md 1.2 to 1.5). One set of verbs for both kinds.
 */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/enrollment_doc.h"
#include "cmd/listing.h"
#include "cmd/verb.h"
#include "codec/js.h"
#include "fleet/azure.h"

#define TOP_MAX 1000000000

struct kind {
	const char *word;  /* the command, and what errors call it */
	const char *path;  /* with both slashes */
	const char *query; /* target of the list */
	const char *bulk;  /* target of several at once */
	const char *list_member;
	const struct render_column *list, *one;
};

struct args {
	const struct kind *kind;
	struct remote r;
	struct enrollment_doc doc;
	const char *etag;
	bool keys;
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
    "/enrollmentGroups/query?api-version=" AZURE_DPS,
    "/enrollmentGroups?api-version=" AZURE_DPS, "enrollmentGroups", group_list,
    group_one};
static const struct kind enrollment_kind = {"enrollment", "/enrollments/",
    "/enrollments/query?api-version=" AZURE_DPS, "/enrollments?api-version=" AZURE_DPS,
    "enrollments", enrollment_list, enrollment_one};

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

/* ---- create and update ---------------------------------------------------------------
 */

/* Numbers of six digits begin with the status (service.md 1.8). */
static int
check_created(struct args *a, const char *id, const struct js *got, struct err *e)
{
	const struct js *first = js_at(js_get(got, "errors"), 0);
	int64_t number = js_as_int(js_get(first, "errorCode"));
	if (js_as_bool(js_get(got, "isSuccessful")))
		return 0;
	const struct rest_response r = {.status = (int)(number / 1000)};
	struct err why;
	enum err_code code = ERR_INTERNAL;
	if (azure_check(&r, what(a, id), &why))
		code = why.code;
	return err_set(e, code, "%s: error %lld: %s", what(a, id), (long long)number,
	    js_as_text(js_get(first, "errorStatus")));
}

/* A PUT would overwrite what is there (service.md 1.4), and what was looked for first may
 * come in between: among several at once there is a mode that only makes (1.7). */
static int
put_new(struct args *a, const char *id, struct js *v, struct err *e)
{
	auto_(js_free) struct js *body = js_object(), *got = NULL;
	struct js *list = js_array();
	js_set_text(body, "mode", "create");
	js_set(body, a->kind->list_member, list);
	js_append(list, v);
	const struct rest_request q = {.method = "POST",
	    .target = a->kind->bulk,
	    .body = azure_body(a->r.arena, body),
	    .once = true}; /* a second try would find the first one's */
	if (remote_ask(&a->r, SIGN_IN_DPS, &q, what(a, id), &got, NULL, e))
		return -1;
	return check_created(a, id, got, e);
}

static int
create(struct args *a, const char *id, struct err *e)
{
	struct js *v;
	if (enrollment_doc_new(&a->doc, id, &v, e) || put_new(a, id, v, e))
		return -1;
	return show_id(a, id, e);
}

/* Put back as it was read but for what changes, so that it is no one else's change that
 * is lost: keys with it, which a GET does not tell, and certificates as their info alone
 * (clients.md fact 16). */
static int
put_back(struct args *a, const char *id,
    int (*change)(struct args *a, struct js *v, struct err *e), struct err *e)
{
	auto_(js_free) struct js *v = NULL, *got = NULL;
	if (ask(a, id, "GET", "", NULL, NULL, &v, e) || fetch_keys(a, id, v, e))
		return -1;
	const char *etag = a->etag ? a->etag : js_as_text(js_get(v, "etag"));
	const char *if_match = arena_str(a->r.arena, span_str(etag));
	js_del(v, "registrationState");
	if (change(a, v, e) || ask(a, id, "PUT", "", v, if_match, &got, e))
		return -1;
	return show(a, id, got, e);
}

static int
change_doc(struct args *a, struct js *v, struct err *e)
{
	if (a->doc.symmetric && is_symmetric(v) && !a->doc.new_keys)
		fprintf(stderr,
		    "it is by a shared key already, which stays; --new-keys makes "
		    "another\n");
	return enrollment_doc_change(&a->doc, v, e);
}

static int
update(struct args *a, const char *id, struct err *e)
{
	return put_back(a, id, change_doc, e);
}

/* ---- enable, disable, delete ---------------------------------------------------------
 */

static int
change_to_enabled(struct args *a, struct js *v, struct err *e)
{
	(void)a, (void)e;
	js_set_text(v, "provisioningStatus", "enabled");
	return 0;
}

static int
change_to_disabled(struct args *a, struct js *v, struct err *e)
{
	(void)a, (void)e;
	js_set_text(v, "provisioningStatus", "disabled");
	return 0;
}

static int
enable(struct args *a, const char *id, struct err *e)
{
	return put_back(a, id, change_to_enabled, e);
}

static int
disable(struct args *a, const char *id, struct err *e)
{
	return put_back(a, id, change_to_disabled, e);
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

/* Options of documents, behind those of the verb's own. */
#define DOC_ROWS(d)                                                                      \
	{"keys-file", "FILE", OPT_TEXT, &(d).keys_file,                                  \
	    "by shared keys: a line each, Base64, primary and secondary"},               \
	    {"hub", "HOST", OPT_EACH, &(d).hubs,                                         \
		"to this hub; may be repeated (default: any)"},                          \
	    {"allocation", "POLICY", OPT_TEXT, &(d).allocation,                          \
		"hashed, geoLatency, static or custom"},                                 \
	    {"reprovision", "HOW", OPT_TEXT, &(d).reprovision,                           \
		"who comes again: migrate (as usual: the twin goes along), reset, "      \
		"never"},                                                                \
	    {"tags", "DOC", OPT_TEXT, &(d).tags,                                         \
		"of the first twin: JSON, a file, or -"},                                \
	{                                                                                \
		"desired", "DOC", OPT_TEXT, &(d).desired,                                \
		    "desired properties of the first twin"                               \
	}
#define KEYS_ROW(a)                                                                      \
	{                                                                                \
		"keys", NULL, OPT_FLAG, &(a).keys,                                       \
		    "show the shared keys, which are secret"                             \
	}
#define CREATE_ROWS(a)                                                                   \
	{"symmetric", NULL, OPT_FLAG, &(a).doc.symmetric,                                \
	    "by a shared key, which the service makes"},                                 \
	    DOC_ROWS((a).doc),                                                           \
	    {"edge", "YES", OPT_TEXT, &(a).doc.edge, "yes or no: IoT Edge devices"},     \
	    {"disabled", NULL, OPT_FLAG, &(a).doc.disabled, "nobody may come in yet"},   \
	    KEYS_ROW(a),                                                                 \
	{                                                                                \
		0                                                                        \
	}
#define UPDATE_ROWS(a)                                                                   \
	{"drop-second", NULL, OPT_FLAG, &(a).doc.drop_second,                            \
	    "without its second certificate"},                                           \
	    {"symmetric", NULL, OPT_FLAG, &(a).doc.symmetric,                            \
		"by a shared key; the one it has stays"},                                \
	    {"new-keys", NULL, OPT_FLAG, &(a).doc.new_keys,                              \
		"by new shared keys, which are made here"},                              \
	    DOC_ROWS((a).doc),                                                           \
	    {"any-hub", NULL, OPT_FLAG, &(a).doc.any_hub, "to any hub again"},           \
	    {"edge", "YES", OPT_TEXT, &(a).doc.edge, "yes or no: IoT Edge devices"},     \
	    {"etag", "ETAG", OPT_TEXT, &(a).etag,                                        \
		"only where it is still this "                                           \
		"version"},                                                              \
	    KEYS_ROW(a),                                                                 \
	{                                                                                \
		0                                                                        \
	}
#define GROUP_CERT_ROWS(d)                                                               \
	{"signing-ca", "FILE", OPT_TEXT, &(d).cert,                                      \
	    "by certificates that this CA signed, PEM"},                                 \
	    {"second-ca", "FILE", OPT_TEXT, &(d).second_cert,                            \
		"and by another one, "                                                   \
		"PEM"},                                                                  \
	{                                                                                \
		"ca-name", "NAME", OPT_TEXT, &(d).ca_name,                               \
		    "by a certificate of the provisioning service"                       \
	}
#define DEVICE_CERT_ROWS(d)                                                              \
	{"device-cert", "FILE", OPT_TEXT, &(d).cert, "by its own certificate, PEM"},     \
	    {"second-cert", "FILE", OPT_TEXT, &(d).second_cert,                          \
		"and by its next one, PEM"},                                             \
	    {"tpm", "FILE", OPT_TEXT, &(d).tpm, "by its TPM: endorsement key, Base64"},  \
	{                                                                                \
		"device-id", "ID", OPT_TEXT, &(d).device,                                \
		    "name of its identity (default: the registration ID)"                \
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
	struct args a = {.kind = &group_kind, .doc.group = true};
	const struct opt own[] = {GROUP_CERT_ROWS(a.doc), CREATE_ROWS(a)};
	const struct opt_cmd cmd = {"muster group create NAME [OPTIONS]",
	    "Makes an enrollment group. One that is there is left alone: exit status 5.",
	    own, 1, 1};
	return run_one(&a, &cmd, create, argc, argv, e);
}

static int
group_update(int argc, char **argv, struct err *e)
{
	struct args a = {.kind = &group_kind, .doc.group = true};
	const struct opt own[] = {GROUP_CERT_ROWS(a.doc), UPDATE_ROWS(a)};
	const struct opt_cmd cmd = {"muster group update NAME [OPTIONS]",
	    "Changes an enrollment group; what no option names stays.", own, 1, 1};
	return run_one(&a, &cmd, update, argc, argv, e);
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
	    {"update", "NAME", "change it", group_update},
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
	const struct opt own[] = {DEVICE_CERT_ROWS(a.doc), CREATE_ROWS(a)};
	const struct opt_cmd cmd = {"muster enrollment create ID [OPTIONS]",
	    "Makes the enrollment of one device. One that is there is left alone: exit\n"
	    "status 5.",
	    own, 1, 1};
	return run_one(&a, &cmd, create, argc, argv, e);
}

static int
enrollment_update(int argc, char **argv, struct err *e)
{
	struct args a = {.kind = &enrollment_kind};
	const struct opt own[] = {DEVICE_CERT_ROWS(a.doc), UPDATE_ROWS(a)};
	const struct opt_cmd cmd = {"muster enrollment update ID [OPTIONS]",
	    "Changes the enrollment of one device; what no option names stays.", own, 1,
	    1};
	return run_one(&a, &cmd, update, argc, argv, e);
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
	    {"update", "ID", "change it", enrollment_update},
	    {"enable", "ID", "let the device register", enrollment_enable},
	    {"disable", "ID", "let it register no more", enrollment_disable},
	    {"delete", "ID", "remove it", enrollment_delete}, {0}};
	return verb_run("enrollment",
	    "Individual enrollments of a provisioning service: one device each.", verbs,
	    argc, argv, e);
}
