#ifndef CMD_CA_FILES_H
#define CMD_CA_FILES_H
/*
 * What commands write into ca/: keys of new CAs wherever their URIs say, requests,
 * certificates. issuers.conf is written last, by the caller, so that what is there before
 * it means nothing.
 */
#include "role/ca_dir.h"

/* A CA to be. */
struct ca_files_new {
	const char *name, *cn, *org;
	const char *key; /* URI, its files under ca/; NULL: file:NAME.key */
	enum ca_purpose purpose;
	enum key_alg alg;
	int64_t life_s; /* 0: the profile's default */
	bool existing;  /* the key is there already */
};

/* Its row; cert is NAME.pem. ERR_PARSE on a name that none is. */
must_check int ca_files_row(
    const struct ca_files_new *n, struct ca_conf_row *ret, struct err *e);
/* Makes the key in the place its row names, or opens it where it is there already. */
must_check struct key *ca_files_key(const char *home, const struct ca_files_new *n,
    const struct ca_conf_row *row, struct err *e);
/* NAME.csr; *ret_path gets where it is. */
must_check int ca_files_put_csr(const char *home, const struct ca_files_new *n,
    struct key *key, char ret_path[CA_DIR_PATH], struct err *e);
/* The row's certificate. ERR_EXISTS where another one is there. */
must_check int ca_files_put_cert(
    const char *home, const struct ca_conf_row *row, struct span pem, struct err *e);

/* The issuer that the root here makes: the key of ca/root.key with the root certificate
 * that belongs to it. passphrase_file NULL: ca/root.passphrase where it is there, else it
 * is asked for. ERR_NOT_FOUND where no root key is here. */
must_check struct issuer *ca_files_root(const char *home, const struct ca_conf *conf,
    const char *passphrase_file, struct err *e);

#endif
