/*
 * The asking end of the link to the key holder.
 */
#include "role/key_client.h"

#include <pthread.h>
#include <string.h>

#include "codec/ipc_msg.h"
#include "io/ipc.h"

#define ANSWER_MS 15000 /* a token that needs longer is as good as away */
#define HELD_MAX  64
#define USE_MAX   96

struct held {
	uint32_t index;
	char use[USE_MAX + 1];
	enum key_custody custody;
	uint8_t spki[1024];
	size_t spki_len; /* 0: the token is away */
};

struct key_client {
	pthread_mutex_t lock; /* all below */
	struct ipc_sync *link;
	struct held held[HELD_MAX];
	size_t n;
};

/* What a key_external knows of itself. */
struct remote_key {
	struct key_client *client;
	char use[USE_MAX + 1];
	uint8_t sha256[DIGEST_SHA256];
};

struct key_client *
key_client_new(void)
{
	struct key_client *c = own_alloc(sizeof(*c));
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

static void
hang_up(struct key_client *c)
{
	ipc_sync_free(c->link);
	c->link = NULL;
	c->n = 0;
}

void
key_client_free(struct key_client *c)
{
	if (!c)
		return;
	hang_up(c);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void
key_client_attach(struct key_client *c, int fd)
{
	pthread_mutex_lock(&c->lock);
	hang_up(c);
	c->link = ipc_sync_new(fd, IPC_BODY_MAX);
	pthread_mutex_unlock(&c->lock);
}

/* ---- under the lock -------------------------------------------------------------------
 */

static int
no_holder(struct err *e)
{
	return err_set(
	    e, ERR_UNAVAILABLE, "the process that holds keys in tokens is not running");
}

static int
done_error(struct span body, struct err *e)
{
	struct ipc_done d;
	if (ipc_msg_unpack(IPC_DONE, body, &d, e))
		return -1;
	return err_set(e, (enum err_code)d.code, "%.*s", SPAN_FMT(d.text));
}

static int
keep_row(struct key_client *c, struct span body, struct err *e)
{
	struct ipc_key_held m;
	struct held h = {0};
	if (ipc_msg_unpack(IPC_KEY_HELD, body, &m, e))
		return -1;
	if (c->n == HELD_MAX || !span_to_str(m.use, h.use, sizeof(h.use)) ||
	    m.spki.len > sizeof(h.spki))
		return err_set(e, ERR_LIMIT, "the key holder has too much");
	if (key_custody_parse(m.custody, &h.custody, e))
		return -1;
	h.index = m.index;
	h.spki_len = m.spki.len;
	if (m.spki.len)
		memcpy(h.spki, m.spki.p, m.spki.len);
	c->held[c->n++] = h;
	return 0;
}

static int
read_rows(struct key_client *c, uint64_t id, struct err *e)
{
	struct ipc_frame f;
	c->n = 0;
	for (;;) {
		if (ipc_sync_recv(c->link, ANSWER_MS, &f, e))
			return -1;
		if (f.id != id)
			continue; /* of a question that was given up */
		if (f.type == IPC_DONE)
			return 0;
		if (f.type != IPC_KEY_HELD || keep_row(c, f.body, e))
			return err_set(
			    e, ERR_INTERNAL, "the key holder is not understood");
	}
}

static int
query(struct key_client *c, struct err *e)
{
	static const struct ipc_key_query m = {0};
	auto_buf body = BUF_INIT(64);
	struct ipc_frame f = {.type = IPC_KEY_QUERY, .id = UINT64_MAX, .fd = -1};
	if (!c->link)
		return no_holder(e);
	if (ipc_msg_pack(IPC_KEY_QUERY, &m, &body, e))
		return -1;
	f.body = buf_span(&body);
	if (ipc_sync_send(c->link, &f, ANSWER_MS, e) == 0 && read_rows(c, f.id, e) == 0)
		return 0;
	hang_up(c);
	return no_holder(e);
}

static const struct held *
find(const struct key_client *c, const char *use)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->held[i].use, use) == 0)
			return &c->held[i];
	return NULL;
}

/* Asked anew where the key is not known or was away. */
static int
find_present(
    struct key_client *c, const char *use, const struct held **ret, struct err *e)
{
	const struct held *h = find(c, use);
	if ((!h || !h->spki_len) && query(c, e))
		return -1;
	h = find(c, use);
	if (!h)
		return err_set(
		    e, ERR_UNAVAILABLE, "the key holder has no key for %s", use);
	*ret = h;
	return 0;
}

static int
sign_locked(struct key_client *c, const struct remote_key *k, const struct key_digest *d,
    uint8_t sig[KEY_SIG_MAX], size_t *ret_len, struct err *e)
{
	const struct held *h;
	struct ipc_frame f;
	struct ipc_key_signed got;
	uint8_t sha[DIGEST_SHA256];
	auto_buf body = BUF_INIT(256);
	if (find_present(c, k->use, &h, e))
		return -1;
	if (h->spki_len) {
		digest_sha256(span_of(h->spki, h->spki_len), sha);
		if (memcmp(sha, k->sha256, sizeof(sha)) != 0)
			return err_set(e, ERR_CONFLICT,
			    "%s: the token holds another key than the certificate's",
			    k->use);
	}
	const struct ipc_key_sign m = {.index = h->index,
	    .hash = (uint8_t)d->hash,
	    .padding = (uint8_t)d->pad,
	    .digest = d->digest};
	if (ipc_msg_pack(IPC_KEY_SIGN, &m, &body, e))
		return -1;
	if (ipc_sync_call(c->link, IPC_KEY_SIGN, buf_span(&body), ANSWER_MS, &f, e)) {
		hang_up(c);
		return err_wrap(e, "%s", k->use);
	}
	if (f.type == IPC_DONE)
		return done_error(f.body, e);
	if (f.type != IPC_KEY_SIGNED || ipc_msg_unpack(IPC_KEY_SIGNED, f.body, &got, e) ||
	    got.signature.len > KEY_SIG_MAX)
		return err_set(e, ERR_INTERNAL, "the key holder is not understood");
	/* the token came back between the two questions: whose key it is was not seen */
	if (!h->spki_len)
		return err_set(
		    e, ERR_UNAVAILABLE, "%s: its token was away; again", k->use);
	memcpy(sig, got.signature.p, got.signature.len);
	*ret_len = got.signature.len;
	return 0;
}

/* ---- keys -----------------------------------------------------------------------------
 */

static int
sign(void *arg, const struct key_digest *d, uint8_t sig[KEY_SIG_MAX], size_t *ret_len,
    struct err *e)
{
	const struct remote_key *k = arg;
	pthread_mutex_lock(&k->client->lock);
	int rc = sign_locked(k->client, k, d, sig, ret_len, e);
	pthread_mutex_unlock(&k->client->lock);
	return rc;
}

struct key *
key_client_key(struct key_client *c, const char *use, struct span spki,
    enum key_custody custody, struct err *e)
{
	struct remote_key *k = own_alloc(sizeof(*k));
	k->client = c;
	digest_sha256(spki, k->sha256);
	if (strlen(use) > USE_MAX) {
		free(k);
		err_set(e, ERR_LIMIT, "%s: too long", use);
		return NULL;
	}
	memcpy(k->use, use, strlen(use) + 1);
	return key_external(spki, custody, sign, k, free, e);
}

struct key *
key_client_fetch(struct key_client *c, const char *use, struct err *e)
{
	const struct held *h;
	struct held copy;
	pthread_mutex_lock(&c->lock);
	int rc = find_present(c, use, &h, e);
	if (rc == 0)
		copy = *h;
	pthread_mutex_unlock(&c->lock);
	if (rc)
		return NULL;
	if (copy.spki_len)
		return key_client_key(
		    c, use, span_of(copy.spki, copy.spki_len), copy.custody, e);
	err_set(e, ERR_UNAVAILABLE, "%s: its token is away", use);
	return NULL;
}
