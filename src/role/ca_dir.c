/*
 * ca/ on disk. Which CAs fit together is crypto/ca.c's.
 */
#include "role/ca_dir.h"

#include <stdio.h>
#include <string.h>

#include "io/file.h"

int
ca_dir_path(const char *home, const char *file, char ret[CA_DIR_PATH], struct err *e)
{
	int n = snprintf(ret, CA_DIR_PATH, "%s/ca/%s", home, file);
	if (n < 0 || n >= CA_DIR_PATH)
		return err_set(e, ERR_LIMIT, "path too long: %s/ca/%s", home, file);
	return 0;
}

int
ca_dir_conf(const char *home, struct ca_conf *ret, struct err *e)
{
	char path[CA_DIR_PATH];
	auto_buf text = BUF_INIT(CA_CONF_TEXT_MAX);
	if (ca_dir_path(home, "issuers.conf", path, e))
		return -1;
	if (!file_exists(path)) {
		ca_conf_defaults(ret);
		return 0;
	}
	if (file_read(path, &text, e))
		return -1;
	return ca_conf_parse(buf_span(&text), ret, e) ? err_wrap(e, "%s", path) : 0;
}

static int
write_chain(const char *home, const struct ca_conf *c, struct err *e)
{
	static const enum ca_purpose order[] = {CA_DEVICE, CA_SERVICE, CA_CROSS, CA_ROOT};
	char path[CA_DIR_PATH];
	auto_buf chain = BUF_INIT(CA_CONF_MAX * CA_DIR_FILE_MAX);
	for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++)
		for (size_t i = 0; i < c->n; i++)
			if (c->rows[i].purpose == order[k] &&
			    !ca_dir_is_pending(home, &c->rows[i]) &&
			    ca_dir_cert(home, &c->rows[i], &chain, e))
				return -1;
	if (ca_dir_path(home, "chain.pem", path, e))
		return -1;
	return file_write(path, buf_span(&chain), 0644, e);
}

int
ca_dir_put_conf(const char *home, const struct ca_conf *c, struct err *e)
{
	char path[CA_DIR_PATH];
	auto_buf text = BUF_INIT(CA_CONF_TEXT_MAX);
	buf_str(&text, "# The CAs of this home. muster ca add and import write it; what "
		       "each may do\n# now is the server's to know: muster ca list.\n");
	ca_conf_write(c, &text);
	if (buf_check(&text, "issuers.conf", e) || write_chain(home, c, e) ||
	    ca_dir_path(home, "issuers.conf", path, e))
		return -1;
	return file_write(path, buf_span(&text), 0600, e);
}

bool
ca_dir_is_pending(const char *home, const struct ca_conf_row *row)
{
	char cert[CA_DIR_PATH], csr[CA_DIR_PATH], name[CA_CONF_NAME_MAX + 8];
	snprintf(name, sizeof(name), "%s.csr", row->name);
	return ca_dir_path(home, row->cert, cert, NULL) == 0 &&
	       ca_dir_path(home, name, csr, NULL) == 0 && !file_exists(cert) &&
	       file_exists(csr);
}

int
ca_dir_cert(
    const char *home, const struct ca_conf_row *row, struct buf *pem, struct err *e)
{
	char path[CA_DIR_PATH];
	auto_buf text = BUF_INIT(CA_DIR_FILE_MAX);
	if (ca_dir_path(home, row->cert, path, e) || file_read(path, &text, e))
		return -1;
	buf_put_span(pem, buf_span(&text));
	return buf_check(pem, path, e);
}

int
ca_dir_key_uri(
    const char *home, const struct ca_conf_row *row, struct buf *uri, struct err *e)
{
	char dir[CA_DIR_PATH];
	if (ca_dir_path(home, "", dir, e))
		return -1;
	dir[strlen(dir) - 1] = '\0';
	return key_uri_resolve(span_str(row->key), dir, uri, e);
}

/* ---- loading --------------------------------------------------------------------------
 */

struct loading {
	const char *home;
	ca_dir_token *token;
	void *arg;
	struct ca *ca;
};

static struct key *
read_key(const char *home, const struct ca_conf_row *row, struct err *e)
{
	struct key_uri u;
	auto_buf uri = BUF_INIT(KEY_URI_MAX), pem = BUF_INIT(KEY_PEM_MAX);
	if (ca_dir_key_uri(home, row, &uri, e) || key_uri_parse(buf_span(&uri), &u, e) ||
	    file_read_secret(u.path, &pem, e))
		return NULL;
	return key_parse(buf_span(&pem), NULL, NULL, u.path, e);
}

/* The key of an issuing CA; a root's stays where it is, whatever the file says. */
static int
find_key(const struct loading *l, const struct ca_conf_row *row, struct span pem,
    struct key **ret, struct err *e)
{
	auto_cert_list certs = {.n = 0};
	if (!row->key[0] || row->purpose == CA_ROOT || row->purpose == CA_CROSS)
		return 0;
	if (!ca_conf_is_token(row->key)) {
		*ret = read_key(l->home, row, e);
		return *ret ? 0 : -1;
	}
	if (!l->token)
		return 0;
	if (cert_list_parse(pem, row->cert, &certs, e))
		return -1;
	*ret = l->token(l->arg, row, certs.v[0]->spki, e);
	return *ret ? 0 : -1;
}

static int
load_row(const struct loading *l, const struct ca_conf_row *row, struct err *e)
{
	auto_(key_free) struct key *key = NULL;
	auto_buf pem = BUF_INIT(CA_DIR_FILE_MAX);
	if (ca_dir_cert(l->home, row, &pem, e) ||
	    find_key(l, row, buf_span(&pem), &key, e))
		return err_wrap(e, "CA %s", row->name);
	return ca_add(l->ca, row, buf_span(&pem), key, e);
}

static int
tell_pending(const struct ca_conf_row *row, struct err *e)
{
	return err_set(e, ERR_NOT_FOUND,
	    "the CA %s waits for its certificate: have ca/%s.csr signed, then muster ca "
	    "import %s CERT.pem",
	    row->name, row->name, row->name);
}

void
ca_dir_leave(struct ca_dir_left *left, const char *name, const struct err *why)
{
	if (left->n == CA_CONF_MAX)
		return;
	snprintf(left->v[left->n].name, sizeof(left->v[left->n].name), "%s", name);
	left->v[left->n++].why = *why;
}

/* left NULL: the first that cannot be used fails. */
static int
load_rows(const struct loading *l, const struct ca_conf *conf, struct ca_dir_left *left,
    const struct ca_conf_row **ret_pending, struct err *e)
{
	for (size_t i = 0; i < conf->n; i++) {
		const struct ca_conf_row *row = &conf->rows[i];
		if (ca_dir_is_pending(l->home, row)) {
			*ret_pending = row;
			continue;
		}
		if (load_row(l, row, e) == 0)
			continue;
		if (!left)
			return -1;
		ca_dir_leave(left, row->name, e);
	}
	return 0;
}

static void
drop_unusable(struct ca *ca, struct ca_dir_left *left)
{
	struct err why;
	for (size_t i = 0; i < ca->n;) {
		if (ca_check_member(ca, i, &why) == 0) {
			i++;
			continue;
		}
		ca_dir_leave(left, ca->v[i].name, &why);
		ca_drop(ca, i);
	}
}

int
ca_dir_check(
    const struct ca *c, const struct ca_dir_left *left, int64_t now_s, struct err *e)
{
	if (ca_check(c, now_s, e) == 0)
		return 0;
	if (left && left->n)
		err_copy(e, &left->v[0].why);
	return err_wrap(e, "loading the CAs");
}

static int
load(const char *home, const struct ca_conf *conf, ca_dir_token *token, void *arg,
    int64_t now_s, struct ca_dir_left *left, struct ca *ret, struct err *e)
{
	auto_ca ca = {.n = 0};
	const struct loading l = {home, token, arg, &ca};
	const struct ca_conf_row *pending = NULL;
	if (load_rows(&l, conf, left, &pending, e))
		return err_wrap(e, "loading the CAs");
	/* where the clock is wrong, each CA would be left out for a reason of its own */
	struct err clock;
	bool wrong = ca_check(&ca, now_s, &clock) && clock.code == ERR_DENIED;
	if (left && !wrong)
		drop_unusable(&ca, left);
	if (ca_dir_check(&ca, left, now_s, e)) {
		if (pending && e->code == ERR_NOT_FOUND)
			return tell_pending(pending, e);
		return -1;
	}
	*ret = ca;
	ca.n = 0;
	return 0;
}

int
ca_dir_load(const char *home, const struct ca_conf *conf, ca_dir_token *token, void *arg,
    int64_t now_s, struct ca *ret, struct err *e)
{
	return load(home, conf, token, arg, now_s, NULL, ret, e);
}

int
ca_dir_load_usable(const char *home, const struct ca_conf *conf, ca_dir_token *token,
    void *arg, int64_t now_s, struct ca_dir_left *left, struct ca *ret, struct err *e)
{
	return load(home, conf, token, arg, now_s, left, ret, e);
}
