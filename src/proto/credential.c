/*
 * Credentials of peers: a token's fields or a chain's verdict, gathered into one struct
 * whose spans point into this object.
 */
#include "proto/credential.h"

#include <stdlib.h>

#include "codec/config.h"
#include "base/base64.h"
#include "codec/jwt.h"
#include "codec/sas.h"
#include "crypto/chain.h"
#include "crypto/tls.h"
#include "crypto/traits.h"
#include "io/loop.h"
#include "proto/env.h"

#define BASIC_MAX 1024

struct credential {
	struct ipc_cred cred;
	size_t size; /* of all of it, for wiping */
	uint8_t store[];
};

/* Gives room bytes behind the struct, and hands them out in order. */
struct store {
	struct credential *c;
	size_t used;
};

static struct store
store_new(size_t room)
{
	struct credential *c = own_alloc(sizeof(*c) + room);
	c->size = sizeof(*c) + room;
	return (struct store){c, 0};
}

static struct span
keep(struct store *s, struct span from, size_t cap)
{
	struct span part = span_head(from, cap);
	uint8_t *at = s->c->store + s->used;
	if (part.len)
		memcpy(at, part.p, part.len);
	s->used += part.len;
	return span_of(at, part.len);
}

struct credential *
credential_none(void)
{
	return store_new(0).c; /* zero is CRED_NONE */
}

struct credential *
credential_of_sas(struct span token, struct err *e)
{
	struct sas t;
	if (token.len > SAS_MAX) {
		err_set(e, ERR_PARSE, "SAS token longer than %d bytes", SAS_MAX);
		return NULL;
	}
	if (sas_parse(token, &t, e)) {
		own_wipe(&t, sizeof(t));
		return NULL;
	}
	struct store s = store_new(
	    t.sr.len + t.se.len + strlen(t.resource) + strlen(t.policy) + SAS_SIG_LEN);
	struct ipc_cred *c = &s.c->cred;
	c->kind = CRED_SAS;
	c->sas_sr = keep(&s, t.sr, t.sr.len);
	c->sas_se = keep(&s, t.se, t.se.len);
	c->sas_expiry_s = t.se_s;
	c->sas_resource = keep(&s, span_str(t.resource), SAS_RESOURCE_MAX);
	c->sas_policy = keep(&s, span_str(t.policy), SAS_POLICY_MAX);
	c->sas_sig = keep(&s, span_of(t.sig, SAS_SIG_LEN), SAS_SIG_LEN);
	own_wipe(&t, sizeof(t));
	return s.c;
}

static struct credential *
basic_of(struct span pair, struct err *e)
{
	uint8_t sha[DIGEST_SHA256];
	size_t colon = span_rfind(pair, ':');
	struct span user = span_head(pair, colon);
	if (colon == pair.len || !user.len || user.len > CAP_ID || span_has(user, 0)) {
		err_set(e, ERR_PARSE, "Basic credentials without a user and a password");
		return NULL;
	}
	digest_sha256(span_skip(pair, colon + 1), sha);
	struct store s = store_new(user.len + sizeof(sha));
	s.c->cred.kind = CRED_BASIC;
	s.c->cred.basic_user = keep(&s, user, CAP_ID);
	s.c->cred.basic_sha256 = keep(&s, span_of(sha, sizeof(sha)), sizeof(sha));
	return s.c;
}

struct credential *
credential_of_basic(struct span header, struct err *e)
{
	static const struct span scheme = SPAN_LIT("Basic ");
	auto_buf pair = BUF_INIT(BASIC_MAX);
	pair.secret = true;
	if (!span_istarts(header, scheme) ||
	    base64_parse(span_trim(span_skip(header, scheme.len)), &pair, e) ||
	    buf_check(&pair, "Basic credentials", e)) {
		err_set(e, ERR_PARSE, "Authorization is not of the scheme Basic");
		return NULL;
	}
	return basic_of(buf_span(&pair), e);
}

static const struct span bearer = SPAN_LIT("Bearer ");

bool
credential_is_bearer(struct span header)
{
	return span_istarts(header, bearer);
}

struct credential *
credential_of_bearer(struct span header, struct err *e)
{
	struct jwt t;
	if (!credential_is_bearer(header)) {
		err_set(e, ERR_PARSE, "Authorization is not of the scheme Bearer");
		return NULL;
	}
	if (jwt_parse(span_trim(span_skip(header, bearer.len)), &t, e))
		return NULL;
	struct store s = store_new(t.input.len + strlen(t.kid) + JWT_SIG);
	struct ipc_cred *c = &s.c->cred;
	c->kind = CRED_BEARER;
	c->jwt_input = keep(&s, t.input, JWT_MAX);
	c->jwt_kid = keep(&s, span_str(t.kid), JWT_KID_MAX);
	c->jwt_sig = keep(&s, span_of(t.sig, JWT_SIG), JWT_SIG);
	return s.c;
}

/* A chain that cert.h does not take: a fact about the peer, not a failure of ours. */
static struct credential *
malformed_chain(const char *text)
{
	struct store s = store_new(300);
	s.c->cred.kind = CRED_X509;
	s.c->cred.verdict = CHAIN_MALFORMED;
	s.c->cred.verdict_text = keep(&s, span_str(text), 300);
	return s.c;
}

/* Azure shows serial numbers in upper case; the store has all hex in lower. */
static struct span
keep_serial(struct store *s, const struct cert *leaf)
{
	char text[sizeof(leaf->serial)];
	size_t n = strlen(leaf->serial);
	for (size_t i = 0; i < n; i++)
		text[i] = (char)(leaf->serial[i] >= 'A' ? leaf->serial[i] + 32
							: leaf->serial[i]);
	return keep(s, span_of(text, n), n);
}

/* What cannot be read stays unknown, which no policy lets through. */
static void
put_traits(struct ipc_cred *c, const struct cert *leaf)
{
	struct traits t;
	if (traits_read(leaf->der, &t, NULL))
		return;
	c->key_kind = (uint8_t)t.key;
	c->key_bits = (uint32_t)t.key_bits;
	c->hash_bits = (uint32_t)t.hash_bits;
	c->revocable = t.revocable;
}

static struct credential *
judged_chain(const struct cert_list *list, const struct env *env)
{
	struct chain_verdict v;
	const struct chain_options o = {.now_ms = clock_wall_ms(loop_clock(env->loop)),
	    .strict_eku = env->config->pki.require_eku};
	chain_verify(env->anchors, list, &o, &v);

	const struct cert *leaf = list->v[0];
	size_t ca_len = v.n_ca * DIGEST_SHA256;
	struct store s = store_new(strlen(v.text) + strlen(v.cn) + 2 * DIGEST_SHA256 +
				   DIGEST_SHA1 + sizeof(leaf->serial) + ca_len);
	struct ipc_cred *c = &s.c->cred;
	c->kind = CRED_X509;
	c->verdict = (uint8_t)v.reason;
	c->verdict_text = keep(&s, span_str(v.text), 300);
	/* A CN of 64 characters can be 256 bytes; no ID is as long. */
	c->cn = strlen(v.cn) <= CAP_ID ? keep(&s, span_str(v.cn), CAP_ID) : SPAN_NONE;
	c->sha256 = keep(&s, span_of(leaf->sha256, DIGEST_SHA256), DIGEST_SHA256);
	c->sha1 = keep(&s, span_of(leaf->sha1, DIGEST_SHA1), DIGEST_SHA1);
	c->not_before_ms = v.not_before_ms;
	c->not_after_ms = v.not_after_ms;
	c->chain = keep(&s, span_of(v.ca, ca_len), ca_len);
	c->sent = v.sent;
	c->serial = keep_serial(&s, leaf);
	c->key_sha256 = keep(&s, span_of(leaf->key_sha256, DIGEST_SHA256), DIGEST_SHA256);
	put_traits(c, leaf);
	return s.c;
}

struct credential *
credential_of_tls(struct ssl_st *ssl, const struct env *env)
{
	if (!ssl)
		return credential_none();
	auto_cert_list list = {0};
	struct err e = {0};
	if (tls_peer_chain(ssl, &list, &e))
		return malformed_chain(e.text);
	if (!list.n)
		return credential_none();
	return judged_chain(&list, env);
}

struct credential *
credential_of(struct span token, struct ssl_st *ssl, const struct env *env, struct err *e)
{
	if (token.len)
		return credential_of_sas(token, e);
	return credential_of_tls(ssl, env);
}

void
credential_free(struct credential *c)
{
	if (!c)
		return;
	own_wipe(c, c->size);
	free(c);
}

const struct ipc_cred *
credential_ipc(const struct credential *c)
{
	return &c->cred;
}

bool
credential_is_unusable(const struct credential *c)
{
	return c->cred.kind == CRED_X509 &&
	       chain_reason_is_final((enum chain_reason)c->cred.verdict);
}
