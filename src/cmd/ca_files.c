/*
 * Files of new CAs.
 */
#include "cmd/ca_files.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/ask.h"
#include "crypto/csr.h"
#include "io/file.h"

int
ca_files_row(const struct ca_files_new *n, struct ca_conf_row *ret, struct err *e)
{
	struct ca_conf_row row = {.purpose = n->purpose};
	if (!ca_conf_is_name(span_str(n->name)))
		return err_set(e, ERR_PARSE,
		    "'%s' is no name of a CA: 1 to %d of a-z, 0-9 and '-'", n->name,
		    CA_CONF_NAME_MAX);
	snprintf(row.name, sizeof(row.name), "%s", n->name);
	snprintf(row.cert, sizeof(row.cert), "%s.pem", n->name);
	int len = n->key ? snprintf(row.key, sizeof(row.key), "%s", n->key)
			 : snprintf(row.key, sizeof(row.key), "file:%s.key", n->name);
	if (len < 0 || (size_t)len >= sizeof(row.key))
		return err_set(e, ERR_LIMIT, "%s: key URI too long", n->name);
	*ret = row;
	return 0;
}

struct key *
ca_files_key(const char *home, const struct ca_files_new *n,
    const struct ca_conf_row *row, struct err *e)
{
	auto_buf uri = BUF_INIT(KEY_URI_MAX);
	if (ca_dir_key_uri(home, row, &uri, e))
		return NULL;
	struct key *k = n->existing ? key_open(buf_text(&uri), NULL, NULL, e)
				    : key_create(buf_text(&uri), n->alg, e);
	if (!k)
		err_wrap(e, "key of the CA %s", n->name);
	return k;
}

int
ca_files_put_csr(const char *home, const struct ca_files_new *n, struct key *key,
    char ret_path[CA_DIR_PATH], struct err *e)
{
	char name[CA_CONF_NAME_MAX + 8], path[CA_DIR_PATH];
	auto_buf pem = BUF_INIT(2 * CSR_MAX);
	snprintf(name, sizeof(name), "%s.csr", n->name);
	if (csr_write_pem(key, n->cn, n->org, &pem, e) ||
	    ca_dir_path(home, name, path, e) ||
	    file_write_new(path, buf_span(&pem), 0644, e))
		return err_wrap(e, "request of the CA %s", n->name);
	memcpy(ret_path, path, sizeof(path));
	return 0;
}

int
ca_files_put_cert(
    const char *home, const struct ca_conf_row *row, struct span pem, struct err *e)
{
	char path[CA_DIR_PATH];
	auto_buf there = BUF_INIT(CA_DIR_FILE_MAX);
	if (ca_dir_path(home, row->cert, path, e))
		return -1;
	/* what an attempt that stopped half-way has left */
	if (file_read(path, &there, NULL) == 0 && span_eq(buf_span(&there), pem))
		return 0;
	return file_write_new(path, pem, 0644, e);
}

/* ---- the root, while it is here -------------------------------------------------------
 */

/* The root whose key this is. */
static struct issuer *
match_root(const char *home, const struct ca_conf *conf, struct key *key, struct err *e)
{
	for (size_t i = 0; i < conf->n; i++) {
		auto_buf pem = BUF_INIT(CA_DIR_FILE_MAX);
		auto_cert_list l = {.n = 0};
		if (conf->rows[i].purpose != CA_ROOT)
			continue;
		if (ca_dir_cert(home, &conf->rows[i], &pem, e) ||
		    cert_list_parse(buf_span(&pem), conf->rows[i].cert, &l, e))
			return NULL;
		if (key_is_spki(key, l.v[0]->spki))
			return issuer_new(buf_span(&pem), key, e);
	}
	err_set(e, ERR_CORRUPT, "ca/root.key is the key of no root that is here");
	return NULL;
}

struct issuer *
ca_files_root(const char *home, const struct ca_conf *conf, const char *passphrase_file,
    struct err *e)
{
	char path[CA_DIR_PATH], beside[CA_DIR_PATH];
	if (ca_dir_path(home, "root.key", path, e) ||
	    ca_dir_path(home, "root.passphrase", beside, e))
		return NULL;
	if (!file_exists(path)) {
		err_set(e, ERR_NOT_FOUND,
		    "the root's key is not here: have it sign a request (--csr)");
		return NULL;
	}
	if (!passphrase_file && file_exists(beside))
		passphrase_file = beside;
	auto_(key_free) struct key *key =
	    key_open(path, ask_passphrase, (void *)passphrase_file, e);
	return key ? match_root(home, conf, key, e) : NULL;
}
