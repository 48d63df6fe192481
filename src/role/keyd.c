/*
 * The key holder. Tokens are slow and fail in their own ways, so one request is served
 * after the other and nothing else is done here.
 */
#include "role/keyd.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "crypto/cert.h"
#include "crypto/key.h"
#include "io/ipc.h"
#include "io/loop.h"
#include "role/boot.h"
#include "role/ca_dir.h"

#define HELD_MAX    (CA_CONF_MAX + 2)
#define CLIENTS_MAX 80 /* the signer and each edge */
#define NOFILE      256

/* Who may use a key. */
enum user { USER_SIGNER = 1, USER_EDGE = 2 };

struct held {
	char use[CA_CONF_NAME_MAX + 64];
	char *uri;
	enum user user;
	struct key *key; /* NULL: not opened, or away */
};

struct keyd;

struct client {
	struct keyd *keyd;
	struct ipc_link *link; /* NULL: free */
	enum user user;
	uint32_t index; /* of an edge */
};

struct keyd {
	struct loop *loop;
	struct config cfg;
	struct arena *cfg_arena;
	struct ipc_link *main;
	struct held held[HELD_MAX];
	size_t n;
	uint8_t cas[CA_CONF_MAX][DIGEST_SHA256]; /* keys of the CAs, wherever they are */
	size_t n_cas;
	struct client clients[CLIENTS_MAX];
};

static const struct ipc_opts link_opts = {
    .body_max = IPC_BODY_MAX, .queue_max = 64u << 20};

/* ---- keys -----------------------------------------------------------------------------
 */

/* Tried anew each time it is away: a token that returns needs no restart. */
static int
open_key(struct held *h, struct err *e)
{
	if (h->key)
		return 0;
	h->key = key_open(h->uri, NULL, NULL, e);
	if (!h->key) {
		err_wrap(e, "%s", h->use);
		log_event(LOG_WARN, "keyd.key_away", LOG_ERR(e));
		return -1;
	}
	log_event(LOG_INFO, "keyd.key", LOG_STR("use", h->use), LOG_STR("uri", h->uri));
	return 0;
}

static bool
is_cas(const struct keyd *k, const struct key *key)
{
	for (size_t i = 0; i < k->n_cas; i++)
		if (memcmp(k->cas[i], key_fingerprint(key), DIGEST_SHA256) == 0)
			return true;
	return false;
}

/* A configuration that gives edges a CA's key would make each of them a CA. */
static int
open_for(struct keyd *k, struct held *h, struct err *e)
{
	if (open_key(h, e))
		return -1;
	if (h->user != USER_EDGE || !is_cas(k, h->key))
		return 0;
	key_free(TAKE(h->key));
	err_set(
	    e, ERR_DENIED, "%s: it is the key of a CA, which edges may not use", h->use);
	log_event(LOG_ERROR, "keyd.key_refused", LOG_ERR(e));
	return -1;
}

static enum key_custody
custody_of(const char *uri)
{
	struct key_uri u;
	bool tpm = key_uri_parse(span_str(uri), &u, NULL) == 0 && u.kind == KEY_URI_TPM2;
	return tpm ? KEY_CUSTODY_TPM2 : KEY_CUSTODY_PKCS11;
}

static int
hold(struct keyd *k, const char *use, const char *text, const char *base, enum user user,
    struct err *e)
{
	auto_buf uri = BUF_INIT(KEY_URI_MAX);
	if (key_uri_resolve(span_str(text), base, &uri, e))
		return err_wrap(e, "%s", use);
	struct held *h = &k->held[k->n++];
	snprintf(h->use, sizeof(h->use), "%s", use);
	h->uri = own_strdup(buf_text(&uri));
	h->user = user;
	return 0;
}

static int
note_ca(struct keyd *k, const char *home, const struct ca_conf_row *row, struct err *e)
{
	auto_buf pem = BUF_INIT(CA_DIR_FILE_MAX);
	auto_cert_list certs = {.n = 0};
	if (ca_dir_is_pending(home, row))
		return 0;
	if (ca_dir_cert(home, row, &pem, e) ||
	    cert_list_parse(buf_span(&pem), row->cert, &certs, e))
		return err_wrap(e, "CA %s", row->name);
	memcpy(k->cas[k->n_cas++], certs.v[0]->key_sha256, DIGEST_SHA256);
	return 0;
}

/* Whose certificate cannot be read the signer leaves out, and says why: nothing is held
 * for it. */
static bool
is_usable(struct keyd *k, const char *home, const struct ca_conf_row *row)
{
	struct err e;
	if (note_ca(k, home, row, &e) == 0)
		return true;
	log_event(LOG_WARN, "keyd.ca_left_out", LOG_STR("ca", row->name), LOG_ERR(&e));
	return false;
}

/* What the configuration and issuers.conf name. */
static int
hold_all(struct keyd *k, const char *home, struct err *e)
{
	char dir[CA_DIR_PATH], use[CA_CONF_NAME_MAX + 16];
	auto_(free) struct ca_conf *conf = own_alloc(sizeof(*conf));
	if (ca_dir_conf(home, conf, e))
		return -1;
	snprintf(dir, sizeof(dir), "%s/ca", home);
	for (size_t i = 0; i < conf->n; i++) {
		const struct ca_conf_row *row = &conf->rows[i];
		if (!is_usable(k, home, row) || !ca_conf_is_token(row->key) ||
		    row->purpose == CA_ROOT)
			continue;
		snprintf(use, sizeof(use), "issuer %s", row->name);
		if (hold(k, use, row->key, dir, USER_SIGNER, e))
			return -1;
	}
	if (ca_conf_is_token(k->cfg.pki.ocsp_key) &&
	    hold(k, "pki.ocsp_key", k->cfg.pki.ocsp_key, home, USER_SIGNER, e))
		return -1;
	if (ca_conf_is_token(k->cfg.server.tls_key))
		return hold(
		    k, "server.tls_key", k->cfg.server.tls_key, home, USER_EDGE, e);
	return 0;
}

/* ---- requests -------------------------------------------------------------------------
 */

static void
answer(struct client *c, enum ipc_type type, uint64_t id, const void *msg)
{
	struct err e;
	if (boot_send(c->link, type, id, msg, -1, &e))
		log_event(LOG_ERROR, "keyd.answer", LOG_ERR(&e));
}

static void
answer_error(struct client *c, uint64_t id, const struct err *why)
{
	const struct ipc_done m = {
	    .code = (uint8_t)why->code, .text = span_str(why->text)};
	answer(c, IPC_DONE, id, &m);
}

/* A key whose token is away is named without its public half. */
static void
on_query(struct client *c, const struct ipc_frame *f)
{
	const struct ipc_done done = {0};
	for (size_t i = 0; i < c->keyd->n; i++) {
		struct held *h = &c->keyd->held[i];
		struct err e;
		if (h->user != c->user)
			continue;
		bool here = open_for(c->keyd, h, &e) == 0;
		const struct ipc_key_held m = {.index = (uint32_t)i,
		    .use = span_str(h->use),
		    .spki = here ? key_spki(h->key) : SPAN_NONE,
		    .custody = span_str(key_custody_name(custody_of(h->uri)))};
		answer(c, IPC_KEY_HELD, f->id, &m);
	}
	answer(c, IPC_DONE, f->id, &done);
}

static int
sign(struct client *c, const struct ipc_key_sign *m, uint8_t sig[KEY_SIG_MAX],
    size_t *ret_len, struct err *e)
{
	const struct key_digest d = {.hash = (enum key_hash)m->hash,
	    .pad = (enum key_pad)m->padding,
	    .digest = m->digest};
	if (m->index >= c->keyd->n || c->keyd->held[m->index].user != c->user)
		return err_set(e, ERR_FORBIDDEN, "no such key for this process");
	if (m->hash > KEY_SHA512 || m->padding > KEY_PAD_PSS)
		return err_set(e, ERR_USAGE, "no such hash or padding");
	struct held *h = &c->keyd->held[m->index];
	if (open_for(c->keyd, h, e))
		return -1;
	if (key_sign_digest(h->key, &d, sig, ret_len, e) == 0)
		return 0;
	/* the next one opens it anew, whatever was wrong with it */
	key_free(TAKE(h->key));
	return err_wrap(e, "%s", h->use);
}

static void
on_sign(struct client *c, const struct ipc_frame *f)
{
	struct ipc_key_sign m;
	struct err e;
	uint8_t sig[KEY_SIG_MAX];
	size_t len;
	if (ipc_msg_unpack(IPC_KEY_SIGN, f->body, &m, &e) || sign(c, &m, sig, &len, &e)) {
		log_event(LOG_WARN, "keyd.refused", LOG_ERR(&e));
		answer_error(c, f->id, &e);
		return;
	}
	const struct ipc_key_signed got = {.signature = span_of(sig, len)};
	answer(c, IPC_KEY_SIGNED, f->id, &got);
}

static void
on_client_frame(void *arg, struct ipc_frame *f)
{
	struct client *c = arg;
	if (f->type == IPC_KEY_QUERY)
		on_query(c, f);
	else if (f->type == IPC_KEY_SIGN)
		on_sign(c, f);
	else
		log_event(LOG_ERROR, "keyd.refused_message", LOG_INT("type", f->type));
}

static void
on_client_closed(void *arg, const struct err *why)
{
	struct client *c = arg;
	(void)why;
	ipc_free(c->link);
	c->link = NULL;
}

/* ---- links ----------------------------------------------------------------------------
 */

static const struct ipc_ops client_ops = {
    .on_frame = on_client_frame, .on_closed = on_client_closed};

/* The same process again takes its old place. */
static struct client *
place_for(struct keyd *k, enum user user, uint32_t index)
{
	struct client *found = NULL;
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &k->clients[i];
		if (c->link && c->user == user && c->index == index)
			return c;
		if (!c->link && !found)
			found = c;
	}
	return found;
}

static void
attach(struct keyd *k, enum user user, uint32_t index, int fd)
{
	struct err e = {0};
	struct client *c = place_for(k, user, index);
	if (!c) {
		own_close(&fd);
		return;
	}
	ipc_free(c->link);
	*c = (struct client){.keyd = k, .user = user, .index = index};
	c->link = ipc_new(k->loop, fd, &link_opts, &client_ops, c, &e);
	if (!c->link)
		log_event(LOG_ERROR, "keyd.link", LOG_ERR(&e));
}

static void
on_main_frame(void *arg, struct ipc_frame *f)
{
	struct keyd *k = arg;
	struct ipc_attach m;
	struct err e;
	if (f->type == IPC_STOP)
		loop_stop(k->loop);
	if (f->type != IPC_ATTACH || f->fd < 0 ||
	    ipc_msg_unpack(IPC_ATTACH, f->body, &m, &e))
		return;
	if (m.peer == 's' || m.peer == 'e')
		attach(
		    k, m.peer == 's' ? USER_SIGNER : USER_EDGE, m.index, TAKE_FD(f->fd));
}

static void
on_main_closed(void *arg, const struct err *why)
{
	struct keyd *k = arg;
	log_event(LOG_DEBUG, "keyd.main_gone", LOG_ERR(why));
	loop_stop(k->loop);
}

static const struct ipc_ops main_ops = {
    .on_frame = on_main_frame, .on_closed = on_main_closed};

/* ---- life -----------------------------------------------------------------------------
 */

static int
start(struct keyd *k, int fd, struct err *e)
{
	struct boot b;
	if (boot_receive(fd, "keyd", &k->cfg, &k->cfg_arena, &b, e) ||
	    hold_all(k, b.home, e))
		return -1;
	k->loop = loop_new(&clock_system, e);
	if (!k->loop)
		return -1;
	k->main = ipc_new(k->loop, fd, &link_opts, &main_ops, k, e);
	if (!k->main || boot_jail(JAIL_KEYD, &b, NOFILE, NULL, e))
		return -1;
	return boot_ready(k->main, e);
}

int
keyd_main(int fd)
{
	static struct keyd k;
	struct err e = {0};
	log_role("keyd");
	if (start(&k, fd, &e) || loop_run(k.loop, &e)) {
		log_event(LOG_ERROR, "keyd.failed", LOG_ERR(&e));
		return err_row(e.code)->exit;
	}
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		ipc_free(k.clients[i].link);
	for (size_t i = 0; i < k.n; i++) {
		key_free(k.held[i].key);
		free(k.held[i].uri);
	}
	ipc_free(k.main);
	loop_free(k.loop);
	arena_free(k.cfg_arena);
	return 0;
}
