/*
 * The operations of a renewal on the network.
 */
#include "agent/renew_live.h"

#include <stdio.h>

#include "agent/anchors.h"
#include "agent/chain_up.h"
#include "agent/credential.h"
#include "agent/est_client.h"
#include "agent/prove.h"
#include "agent/steps.h"
#include "base/hex.h"
#include "base/rand.h"

#define GREET_MS   15000
#define NONCE_SIZE 16

struct renew_live {
	const char *dir;
	const struct agent_config *cfg;
	struct clock_floor *time;
	const char *token;
	struct tls_client *tls; /* of client */
	struct est_client *client;
	char thumbprint[KEYSTORE_THUMBPRINT_SIZE]; /* whom client speaks for */
};

struct renew_live *
renew_live_new(const char *dir, const struct agent_config *cfg, struct clock_floor *time,
    const char *token)
{
	struct renew_live *l = own_alloc(sizeof(*l));
	l->dir = dir;
	l->cfg = cfg;
	l->time = time;
	l->token = token;
	return l;
}

static void
hang_up(struct renew_live *l)
{
	est_client_free(TAKE(l->client));
	tls_client_free(TAKE(l->tls));
}

void
renew_live_free(struct renew_live *l)
{
	if (!l)
		return;
	hang_up(l);
	free(l);
}

/* --- the EST server --- */

/* One connection for as long as the same credential speaks. */
static int
dial(struct renew_live *l, const struct keystore_credential *c, struct err *e)
{
	if (l->client && strcmp(l->thumbprint, c->thumbprint) == 0)
		return 0;
	hang_up(l);
	l->tls = credential_tls(l->dir, l->cfg, c, l->cfg->est.host, l->time, e);
	if (!l->tls)
		return -1;
	struct est_client_opts o = {.host = l->cfg->est.host,
	    .port = l->cfg->est.port,
	    .label = l->cfg->est.label,
	    .timeout_ms = l->cfg->est.timeout_ms,
	    .tls = l->tls,
	    .user = l->token ? l->cfg->device.id : NULL,
	    .password = l->token};
	memcpy(l->thumbprint, c->thumbprint, sizeof(l->thumbprint));
	return est_client_new(&o, &l->client, e);
}

static int
on_checkin(void *arg, const struct keystore_credential *c, const struct renew_report *r,
    struct renew_checkin *ret, struct err *e)
{
	struct renew_live *l = arg;
	return dial(l, c, e) ? -1 : est_client_checkin(l->client, r, ret, e);
}

/* Over the connection that there is: the answer is the same for everybody. */
static int
on_cacerts(void *arg, struct buf *ret_pem, struct err *e)
{
	struct renew_live *l = arg;
	static const struct keystore_credential nobody = {.not_after_ms = 0};
	if (!l->client && dial(l, &nobody, e))
		return -1;
	return est_client_cacerts(l->client, ret_pem, e);
}

/* The Name that is asked for: the certificate's that is renewed (RFC 7030 4.2.2), or the
 * device's. */
static int
write_subject(const struct renew_live *l, const struct keystore_credential *c,
    struct buf *out, struct err *e)
{
	auto_cert_list chain = {.n = 0};
	if (!c->chain_pem.len)
		return name_write(l->cfg->device.id, NULL, out, e);
	if (cert_list_parse(buf_span(&c->chain_pem), "chain", &chain, e))
		return -1;
	buf_put_span(out, chain.v[0]->subject);
	return buf_check(out, "name", e);
}

static int
on_enrol(void *arg, const struct keystore_credential *c, struct key *key,
    struct buf *ret_chain_pem, struct renew_later *ret_later, struct err *e)
{
	struct renew_live *l = arg;
	auto_buf name = BUF_INIT(NAME_DER_MAX), leaf = BUF_INIT(CERT_MAX),
		 pool = BUF_INIT(CERT_PEM_MAX);
	/* a token is for a device whose certificate is none, or good for nothing */
	enum est_verb verb = c->key && !l->token ? EST_SIMPLEREENROLL : EST_SIMPLEENROLL;
	/* the CAs first: where they are not to be had, no certificate is made in vain */
	if (dial(l, c, e) || write_subject(l, c, &name, e) ||
	    est_client_cacerts(l->client, &pool, e) ||
	    est_client_enrol(l->client, verb, key, buf_span(&name), &leaf, ret_later, e))
		return -1;
	return chain_up_write(buf_span(&leaf), buf_span(&pool), ret_chain_pem, e);
}

/* --- the hub --- */

static void
draw_nonce(char out[2 * NONCE_SIZE + 1])
{
	uint8_t raw[NONCE_SIZE];
	rand_bytes(raw, sizeof(raw));
	hex_write(span_of(raw, sizeof(raw)), out);
}

static int
on_prove(void *arg, const struct keystore_credential *c, struct keystore_assignment *ret,
    struct err *e)
{
	struct renew_live *l = arg;
	char nonce[2 * NONCE_SIZE + 1];
	struct prove_result got;
	draw_nonce(nonce);
	struct prove_opts o = {.dir = l->dir,
	    .cfg = l->cfg,
	    .credential = c,
	    .time = l->time,
	    .nonce = nonce,
	    .alone = true};
	if (prove_run(&o, &got, e))
		return -1;
	*ret = got.assignment;
	return 0;
}

/* --- the running agent --- */

static int
on_take_up(void *arg, const struct keystore_ref *r, struct err *e)
{
	struct renew_live *l = arg;
	struct err why;
	const struct steps s = {.dir = l->dir, .cfg = l->cfg, .time = l->time};
	if (!steps_agent_runs(&s) || steps_take_up(&s, r, NULL, &why) == 0)
		return 0;
	return err_copy(e, &why);
}

/* --- trust anchors --- */

static int
greet(
    struct renew_live *l, struct span pem, const char *host, int64_t port, struct err *e)
{
	struct tls_client_options o = {.roots_pem = pem,
	    .now_ms = clock_wall_ms(&l->time->clock),
	    .is_floor = !clock_floor_is_known(l->time)};
	if (!host[0])
		return 0;
	auto_(tls_client_free) struct tls_client *tls = tls_client_new(&o, e);
	if (!tls || tls_client_pin_host(tls, host, e))
		return -1;
	return est_client_greet(host, port, tls, GREET_MS, e);
}

/* Every server that the device has: one that is still under the old root must not be lost
 * with it. */
static int
on_try_anchors(void *arg, struct span pem, struct err *e)
{
	struct renew_live *l = arg;
	const struct agent_config *cfg = l->cfg;
	struct keystore_ref ref;
	struct keystore_assignment at;
	auto_(keystore_close) struct keystore *k = NULL;
	if (greet(l, pem, cfg->est.host, cfg->est.port, e) ||
	    (!cfg->hub.host[0] && greet(l, pem, cfg->dps.host, cfg->dps.port, e)))
		return -1;
	if (cfg->hub.host[0])
		return greet(l, pem, cfg->hub.host, cfg->hub.port, e);
	if (keystore_open(l->dir, &k, e) || keystore_active(k, &ref, e) ||
	    keystore_assignment_get(k, &ref, &at, e))
		return -1;
	return greet(l, pem, at.hub, cfg->hub.port, e);
}

const struct renew_ops renew_live_ops = {.checkin = on_checkin,
    .cacerts = on_cacerts,
    .enrol = on_enrol,
    .prove = on_prove,
    .take_up = on_take_up,
    .try_anchors = on_try_anchors};
