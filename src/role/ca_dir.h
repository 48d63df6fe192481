#ifndef ROLE_CA_DIR_H
#define ROLE_CA_DIR_H
/*
 * The directory ca/ of a home: issuers.conf, certificates, key files. Read by the signer
 * before its jail, by main and the key holder for the keys in tokens, and worked on by
 * commands.
 *
 *	issuers.conf		which CAs there are (codec/ca_conf.h)
 *	NAME.pem NAME.key	certificate; key, where it is a file
 *	NAME.csr		a request whose certificate is still to come
 *	root.key		encrypted, meant to leave the machine; never opened here
 *	chain.pem		issuing CAs and roots, for who wants one file
 *	journal.log		what was issued (store/journal.h)
 */
#include "crypto/ca.h"

#define CA_DIR_PATH     4300
#define CA_DIR_FILE_MAX 65536 /* of a certificate or key file */

/* "home/ca/file". */
must_check int ca_dir_path(
    const char *home, const char *file, char ret[CA_DIR_PATH], struct err *e);

/* issuers.conf, or the defaults where it is not there. */
must_check int ca_dir_conf(const char *home, struct ca_conf *ret, struct err *e);
/* Replaces issuers.conf, and chain.pem by what c names and is there. */
must_check int ca_dir_put_conf(const char *home, const struct ca_conf *c, struct err *e);

/* True where the row's certificate is still to come: it is not there, its request is. */
bool ca_dir_is_pending(const char *home, const struct ca_conf_row *row);
/* Appends a certificate's PEM. */
must_check int ca_dir_cert(
    const char *home, const struct ca_conf_row *row, struct buf *pem, struct err *e);
/* The row's key URI with its file names under ca/; appended. */
must_check int ca_dir_key_uri(
    const char *home, const struct ca_conf_row *row, struct buf *uri, struct err *e);

/* Gives the key of a row whose URI is a token's; spki is its certificate's. */
typedef struct key *ca_dir_token(
    void *arg, const struct ca_conf_row *row, struct span spki, struct err *e);
/* Loads what is in conf with the keys: those in files are read (one that others can reach
 * is ERR_PERM), those in tokens are asked of token (NULL: left away). What is pending is
 * passed over; where that leaves no device or service CA, says what to do. Checked as
 * ca_check does. */
must_check int ca_dir_load(const char *home, const struct ca_conf *conf,
    ca_dir_token *token, void *arg, int64_t now_s, struct ca *ret, struct err *e);

/* CAs that are in issuers.conf and not in use, and why. */
struct ca_dir_left {
	struct {
		char name[CA_CONF_NAME_MAX + 1];
		struct err why;
	} v[CA_CONF_MAX];
	size_t n;
};
void ca_dir_leave(struct ca_dir_left *left, const char *name, const struct err *why);
/* As ca_dir_load, but a CA that cannot be used is left out and noted, as long as one of
 * each issuing purpose stays: what is wrong with one must not end the service of the
 * others. */
must_check int ca_dir_load_usable(const char *home, const struct ca_conf *conf,
    ca_dir_token *token, void *arg, int64_t now_s, struct ca_dir_left *left,
    struct ca *ret, struct err *e);
/* ca_check, whose failure is told as what was left out where something was. */
must_check int ca_dir_check(
    const struct ca *c, const struct ca_dir_left *left, int64_t now_s, struct err *e);

#endif
