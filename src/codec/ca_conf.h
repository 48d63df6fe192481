#ifndef CODEC_CA_CONF_H
#define CODEC_CA_CONF_H
/*
 * ca/issuers.conf: the CAs of a home, a section each, whose name is the CA's:
 *
 *	[device-ca]
 *	purpose = device
 *	cert = device-ca.pem
 *	key = file:device-ca.key
 *
 * Only read and written here. What a CA may do now is no configuration but the core's
 * decision (domain/pki/issuer.h).
 */
#include "base/buf.h"
#include "codec/key_uri.h"

#define CA_CONF_MAX      32  /* CAs of one home */
#define CA_CONF_NAME_MAX 32  /* stands in the URLs of CRLs */
#define CA_CONF_FILE_MAX 128 /* name of a file under ca/ */
#define CA_CONF_TEXT_MAX (CA_CONF_MAX * (2 * KEY_URI_MAX))

enum ca_purpose {
	CA_ROOT,    /* chains end there */
	CA_DEVICE,  /* issues to devices, nobody else */
	CA_SERVICE, /* issues to servers and operators */
	CA_CROSS,   /* another signature over a CA that is here as well */
	CA_PURPOSE_N
};

struct ca_conf_row {
	char name[CA_CONF_NAME_MAX + 1]; /* a-z, 0-9 and '-' */
	enum ca_purpose purpose;
	char cert[CA_CONF_FILE_MAX + 1]; /* under ca/ */
	char key[KEY_URI_MAX + 1]; /* its files are under ca/; "": the key is not here */
};

struct ca_conf {
	struct ca_conf_row rows[CA_CONF_MAX];
	size_t n;
};

/* "root" "device" "service" "cross". */
const char *ca_conf_purpose_name(enum ca_purpose p);
must_check int ca_conf_purpose_parse(
    struct span name, enum ca_purpose *ret, struct err *e);

/* True where name is one that a CA may have. */
bool ca_conf_is_name(struct span name);
/* What is meant where there is no file: root, device-ca and service-ca with their keys,
 * the root's apart. */
void ca_conf_defaults(struct ca_conf *ret);
/* ERR_PARSE on an unknown key or purpose, a CA without purpose or certificate, a file
 * name that leaves ca/, a key URI that none is. */
must_check int ca_conf_parse(struct span text, struct ca_conf *ret, struct err *e);
/* Appends the text; reads back as the same. */
void ca_conf_write(const struct ca_conf *c, struct buf *out);
/* The row of that name, or NULL. */
const struct ca_conf_row *ca_conf_find(const struct ca_conf *c, struct span name);
/* Adds a row behind the others. ERR_EXISTS, ERR_LIMIT; ERR_PARSE on what does not read
 * back. */
must_check int ca_conf_add(
    struct ca_conf *c, const struct ca_conf_row *row, struct err *e);
/* Does any key need the key holder: is it in a token or a TPM? */
bool ca_conf_has_token(const struct ca_conf *c);
/* Is this URI (not of a file) one that the key holder opens? */
bool ca_conf_is_token(const char *key_uri);

#endif
