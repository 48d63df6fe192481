#ifndef CODEC_TARGETS_H
#define CODEC_TARGETS_H
/*
 * HOME/targets.conf: the servers and clouds that commands speak with, a section each,
 * whose name is what --target takes (docs/targets.md). It names files of secrets and
 * holds none. Only read here: whether a file is there, and who may read it, is
 * fleet/service.h's.
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

#define TARGETS_MAX      64
#define TARGETS_NAME_MAX 32

enum targets_kind { TARGETS_MUSTER, TARGETS_AZURE };

enum targets_sign_in {
	TARGETS_CERTIFICATE, /* an operator's: muster alone */
	TARGETS_CONNECTION_STRING,
	TARGETS_SERVICE_PRINCIPAL,
	TARGETS_MANAGED_IDENTITY,
	TARGETS_SIGN_INS
};

/* What is not given is "", or the default. */
struct targets_row {
	const char *name;
	enum targets_kind kind;
	enum targets_sign_in sign_in;
	const char *ca;                              /* PEM; Azure "": the system's CAs */
	const char *server, *cert, *key;             /* muster */
	const char *hub, *dps;                       /* host or host:port */
	const char *arm;                             /* URL */
	const char *hub_resource, *dps_resource;     /* paths in ARM */
	const char *hub_connection, *dps_connection; /* files of connection strings */
	const char *tenant, *client_id, *secret, *authority; /* secret: a file */
	const char *imds;         /* URL of the machine's identity endpoint */
	const char *tier, *units; /* of the hub: "S1", "1" to "200" */
};

struct targets {
	struct targets_row row[TARGETS_MAX];
	size_t n;
};

#define TARGETS_ARM       "https://management.azure.com"
#define TARGETS_AUTHORITY "https://login.microsoftonline.com"
#define TARGETS_IMDS      "http://169.254.169.254"

/* Texts live in a, which should have twice the length of text left. ERR_PARSE names line
 * or section and what is allowed; a key of another kind, or of another way to sign in, is
 * refused too. */
must_check int targets_parse(
    struct span text, struct arena *a, struct targets *ret, struct err *e);
/* NULL where there is none. */
const struct targets_row *targets_find(const struct targets *t, struct span name);
const char *targets_sign_in_name(enum targets_sign_in s);

#endif
