/*
 * The set of known CAs, found by subject. Names are compared as RFC 5280 7.1 says, which
 * is OpenSSL's canonical form; that a name fits never means more than "try its key".
 */
#include "crypto/chain_impl.h"

struct chain_set *
chain_set_new(void)
{
	struct chain_set *s = own_alloc(sizeof(*s));
	s->generation = 1;
	s->empty = chain_judge_store();
	return s;
}

void
chain_set_free(struct chain_set *s)
{
	struct chain_node *head, *next;
	if (!s)
		return;
	HASH_ITER (hh, s->by_name, head, next) {
		HASH_DEL(s->by_name, head);
		for (struct chain_node *n = head, *after; n; n = after) {
			after = n->same;
			cert_free(n->cert);
			free(n);
		}
	}
	X509_STORE_free(s->empty);
	free(s->refused);
	free(s);
}

static uint32_t
name_hash(const X509_NAME *n)
{
	/* 32 bits of SHA-1: a name made to collide is one more certificate to compare */
	return (uint32_t)X509_NAME_hash_ex(n, NULL, NULL, NULL);
}

static struct chain_node *
find_hash(const struct chain_set *s, uint32_t name)
{
	struct chain_node *n = NULL;
	HASH_FIND(hh, s->by_name, &name, sizeof(name), n);
	return n;
}

struct chain_node *
chain_set_find(const struct chain_set *s, const X509_NAME *subject)
{
	return find_hash(s, name_hash(subject));
}

bool
chain_set_same_name(const X509_NAME *a, const X509_NAME *b)
{
	return X509_NAME_cmp(a, b) == 0;
}

bool
chain_set_same_cert(const struct cert *a, const struct cert *b)
{
	return memcmp(a->sha256, b->sha256, sizeof(a->sha256)) == 0;
}

bool
chain_set_may_issue(const struct cert *ca, const struct cert *c)
{
	return chain_set_same_name(
		   X509_get_subject_name(ca->x509), X509_get_issuer_name(c->x509)) &&
	       (!c->aki.len || !ca->ski.len || span_eq(ca->ski, c->aki));
}

static struct chain_node *
find_cert(const struct chain_set *s, const struct cert *c)
{
	struct chain_node *n = chain_set_find(s, X509_get_subject_name(c->x509));
	while (n && !chain_set_same_cert(n->cert, c))
		n = n->same;
	return n;
}

bool
chain_set_has(const struct chain_set *s, const struct cert *c)
{
	return find_cert(s, c) != NULL;
}

static void
link_in(struct chain_set *s, struct chain_node *n)
{
	struct chain_node *head = find_hash(s, n->name);
	s->n++;
	s->generation++;
	if (head) {
		n->same = head->same;
		head->same = n;
		return;
	}
	HASH_ADD(hh, s->by_name, name, sizeof(n->name), n);
}

struct rules_fault
chain_set_check(const struct chain_node *n, const struct chain_options *o)
{
	return rules_check(n->cert, n->trusted ? RULES_ANCHOR : RULES_CA, o);
}

static struct rules_fault
fault_of(const struct chain_node *n)
{
	static const struct chain_options plain;
	return chain_set_check(n, &plain);
}

bool
chain_set_refuses(const struct chain_set *s, const struct cert *c)
{
	for (size_t i = 0; i < s->n_refused; i++)
		if (memcmp(s->refused[i], c->key_sha256, DIGEST_SHA256) == 0)
			return true;
	return false;
}

static int
refuse_key(struct chain_set *s, const struct cert *c, struct err *e)
{
	if (s->n_refused == CHAIN_ANCHORS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d CA certificates refused",
		    CHAIN_ANCHORS_MAX);
	s->refused = own_realloc(s->refused, (s->n_refused + 1) * DIGEST_SHA256);
	memcpy(s->refused[s->n_refused++], c->key_sha256, DIGEST_SHA256);
	return 0;
}

int
chain_set_add(struct chain_set *s, struct cert *c, enum chain_flags flags, struct err *e)
{
	if (!c->is_ca || (c->has_usage && !(c->usage & CERT_KEY_CERT_SIGN)))
		return err_set(e, ERR_USAGE, "the certificate of '%s' is no CA's", c->cn);
	if (flags & CHAIN_REFUSED)
		return refuse_key(s, c, e);
	struct chain_node *n = find_cert(s, c);
	if (n) {
		n->trusted = n->trusted || flags & CHAIN_TRUSTED;
		n->fault = fault_of(n);
		return 0;
	}
	if (s->n == CHAIN_ANCHORS_MAX)
		return err_set(
		    e, ERR_LIMIT, "more than %d CA certificates", CHAIN_ANCHORS_MAX);
	n = own_alloc(sizeof(*n));
	n->cert = cert_ref(c);
	n->trusted = flags & CHAIN_TRUSTED;
	n->name = name_hash(X509_get_subject_name(c->x509));
	n->fault = fault_of(n);
	link_in(s, n);
	return 0;
}

size_t
chain_set_len(const struct chain_set *s)
{
	return s->n;
}

struct chain_node *
chain_set_up(const struct chain_set *s, struct chain_node *n)
{
	if (n->up_at == s->generation)
		return n->up;
	n->up = NULL;
	n->up_at = s->generation;
	if (n->cert->self_signed)
		return NULL;
	struct chain_node *p = chain_set_find(s, X509_get_issuer_name(n->cert->x509));
	for (; p && !n->up; p = p->same)
		if (p != n && chain_set_may_issue(p->cert, n->cert) &&
		    X509_verify(n->cert->x509, X509_get0_pubkey(p->cert->x509)) == 1)
			n->up = p;
	ERR_clear_error();
	return n->up;
}
