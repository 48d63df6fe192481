/*
 * OpenSSL's judgement of one whole path: signatures, constraints, purposes, strength,
 * policies, revocation lists. Its own search is held to the path that it was given, for
 * it does not back out of a dead end (reliability: a cross-sign that expired).
 */
#include "crypto/chain_impl.h"
#include "crypto/names.h"

struct judge {
	const struct chain_set *set;
	const struct chain_path *path;
	const struct chain_options *o;
};

static enum chain_reason
reason_of(int code)
{
	switch (code) {
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
	case X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY:
		return CHAIN_BAD_SIGNATURE;
	case X509_V_ERR_INVALID_CA:
	case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
		return CHAIN_NOT_A_CA;
	case X509_V_ERR_INVALID_PURPOSE:
		return CHAIN_NO_CLIENT_AUTH;
	case X509_V_ERR_PATH_LENGTH_EXCEEDED:
		return CHAIN_PATH_LENGTH;
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
	case X509_V_ERR_CA_MD_TOO_WEAK:
		return CHAIN_WEAK;
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
		return CHAIN_TOO_LONG;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_UNTRUSTED:
		return CHAIN_UNKNOWN_ISSUER;
	case X509_V_ERR_CERT_REVOKED:
		return CHAIN_REVOKED;
	case X509_V_ERR_UNABLE_TO_GET_CRL:
	case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
	case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
	case X509_V_ERR_CRL_SIGNATURE_FAILURE:
	case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
	case X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION:
	case X509_V_ERR_DIFFERENT_CRL_SCOPE:
	case X509_V_ERR_CRL_PATH_VALIDATION_ERROR:
		return CHAIN_NO_STATUS;
	default:
		return CHAIN_PROFILE;
	}
}

own_define(STACK_OF(X509), sk_X509_free);
own_define(STACK_OF(X509_CRL), sk_X509_CRL_free);

/* --- callbacks: contexts that OpenSSL makes by itself, for the issuer of an indirect
 * list, have no judge --- */

/* Only the next of the path stands above a certificate of it. */
static int
on_issued(X509_STORE_CTX *ctx, X509 *x, X509 *issuer)
{
	const struct judge *j = X509_STORE_CTX_get_app_data(ctx);
	for (size_t i = 0; j && i < j->path->n; i++)
		if (j->path->v[i]->x509 == x)
			return i + 1 < j->path->n && j->path->v[i + 1]->x509 == issuer;
	return X509_check_issued(issuer, x) == X509_V_OK;
}

/* Nobody gave a list of that issuer, and nobody asked for one; or it is the anchor, which
 * its owner trusts until he takes it away. */
static bool
may_lack_status(const struct judge *j, X509_STORE_CTX *ctx)
{
	const X509 *x = X509_STORE_CTX_get_current_cert(ctx);
	int at = X509_STORE_CTX_get_error_depth(ctx);
	if (at + 1 == (int)j->path->n)
		return true;
	return x && !j->o->crl_all &&
	       !crlset_speaks_for(j->o->crls, X509_get_issuer_name(x));
}

static int
on_verdict(int ok, X509_STORE_CTX *ctx)
{
	const struct judge *j = X509_STORE_CTX_get_app_data(ctx);
	if (ok || !j || reason_of(X509_STORE_CTX_get_error(ctx)) != CHAIN_NO_STATUS ||
	    !may_lack_status(j, ctx))
		return ok;
	X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return 1;
}

/* --- what it is given; stacks borrow their members --- */

/* The path between its ends, then whatever else there is for lists' issuers. */
static STACK_OF(X509) * middle_of(const struct chain_path *path,
			    const struct cert_list *others, const struct chain_options *o)
{
	size_t more = o->crls ? others->n : 0;
	STACK_OF(X509) *s = sk_X509_new_reserve(NULL, (int)(path->n + more));
	for (size_t i = 1; s && i + 1 < path->n; i++)
		sk_X509_push(s, path->v[i]->x509);
	for (size_t i = 1; s && i < more; i++)
		sk_X509_push(s, others->v[i]->x509);
	return s;
}

static STACK_OF(X509_CRL) * lists_of(const struct chain_options *o)
{
	STACK_OF(X509_CRL) *s = sk_X509_CRL_new_null();
	for (size_t i = 0; s && i < crlset_len(o->crls); i++) {
		X509_CRL *crl = crlset_current(o->crls, i, o->now_ms);
		if (crl && !sk_X509_CRL_push(s, crl))
			abort();
	}
	return s;
}

X509_STORE *
chain_judge_store(void)
{
	X509_STORE *s = X509_STORE_new();
	if (!s)
		abort();
	X509_STORE_set_check_issued(s, on_issued);
	return s;
}

/* One that trusts the anchor, for the paths of lists' issuers. */
static X509_STORE *
store_of(const struct chain_path *path)
{
	X509_STORE *s = chain_judge_store();
	if (X509_STORE_add_cert(s, path->v[path->n - 1]->x509) != 1)
		abort();
	return s;
}

/* Does a CA of the path constrain policies? Then they are looked at unasked (RFC 5280
 * 4.2: a critical extension is processed or its certificate refused). */
static bool
constrains_policy(const struct chain_path *path)
{
	for (size_t i = 1; i < path->n; i++)
		if (X509_get_ext_by_NID(path->v[i]->x509, NID_policy_constraints, -1) >=
		    0)
			return true;
	return false;
}

static bool
set_policy(X509_VERIFY_PARAM *p, const struct judge *j)
{
	const struct chain_policy *policy = j->o->policy;
	unsigned long flags =
	    policy || constrains_policy(j->path) ? X509_V_FLAG_POLICY_CHECK : 0;
	for (size_t i = 0; policy && i < policy->n; i++) {
		ASN1_OBJECT *oid = OBJ_txt2obj(policy->oids[i], 1);
		if (!oid || X509_VERIFY_PARAM_add0_policy(p, oid) != 1) {
			ASN1_OBJECT_free(oid);
			return false;
		}
	}
	if (policy && policy->explicit_policy)
		flags |= X509_V_FLAG_EXPLICIT_POLICY;
	if (policy && policy->no_mapping)
		flags |= X509_V_FLAG_INHIBIT_MAP;
	if (policy && policy->no_any)
		flags |= X509_V_FLAG_INHIBIT_ANY;
	return !flags || X509_VERIFY_PARAM_set_flags(p, flags) == 1;
}

static bool
set_up(X509_STORE_CTX *ctx, struct judge *j)
{
	static const int purposes[] = {
	    [CHAIN_CLIENT] = X509_PURPOSE_SSL_CLIENT,
	    [CHAIN_SERVER] = X509_PURPOSE_SSL_SERVER,
	    [CHAIN_ANY_PURPOSE] = X509_PURPOSE_ANY,
	};
	X509_VERIFY_PARAM *p = X509_STORE_CTX_get0_param(ctx);
	X509_STORE_CTX_set_app_data(ctx, j);
	/* times were checked by ours, notAfter's own second included */
	X509_VERIFY_PARAM_set_flags(
	    p, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
	X509_VERIFY_PARAM_set_auth_level(p, 2); /* 112 bits: no SHA-1, RSA from 2048 */
	X509_VERIFY_PARAM_set_depth(p, CHAIN_DEPTH_MAX);
	return set_policy(p, j) &&
	       X509_STORE_CTX_set_purpose(ctx, purposes[j->o->purpose]) == 1;
}

static void
set_lists(X509_STORE_CTX *ctx, STACK_OF(X509_CRL) * lists)
{
	X509_STORE_CTX_set0_crls(ctx, lists);
	X509_STORE_CTX_set_verify_cb(ctx, on_verdict);
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL |
					  X509_V_FLAG_EXTENDED_CRL_SUPPORT |
					  X509_V_FLAG_USE_DELTAS);
}

/* --- the judgement --- */

/* The value of an extension that is there at most once, by the rules. */
static struct span
value_of(const X509 *x, int nid)
{
	int at = X509_get_ext_by_NID(x, nid, -1);
	if (at < 0)
		return SPAN_NONE;
	const ASN1_OCTET_STRING *s = X509_EXTENSION_get_data(X509_get_ext(x, at));
	return span_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

static bool
wildcards_hold(const struct chain_path *path, struct chain_verdict *v)
{
	struct span names = value_of(path->v[0]->x509, NID_subject_alt_name);
	for (size_t i = 1; names.len && i < path->n; i++) {
		struct span bounds = value_of(path->v[i]->x509, NID_name_constraints);
		if (!names_wildcard_excluded(names, bounds))
			continue;
		chain_refuse(v, CHAIN_PROFILE, path->v[0],
		    "a wildcard stands for an excluded name");
		return false;
	}
	return true;
}

static void
refuse_code(
    const struct judge *j, X509_STORE_CTX *ctx, struct chain_verdict *v, int *ret_bad)
{
	int code = X509_STORE_CTX_get_error(ctx),
	    at = X509_STORE_CTX_get_error_depth(ctx);
	const struct cert *c = j->path->v[at >= 0 && (size_t)at < j->path->n ? at : 0];
	if (code == X509_V_ERR_CERT_SIGNATURE_FAILURE)
		*ret_bad = at;
	chain_refuse(v, reason_of(code), c, "%s", X509_verify_cert_error_string(code));
}

bool
chain_judge_path(const struct chain_set *set, const struct chain_path *path,
    const struct cert_list *others, const struct chain_options *o,
    struct chain_verdict *v, int *ret_bad)
{
	struct judge j = {.set = set, .path = path, .o = o};
	auto_(X509_STORE_free) X509_STORE *own = o->crls ? store_of(path) : NULL;
	auto_(sk_X509_free) STACK_OF(X509) *middle = middle_of(path, others, o);
	auto_(sk_X509_free) STACK_OF(X509) *anchor = sk_X509_new_reserve(NULL, 1);
	auto_(sk_X509_CRL_free) STACK_OF(X509_CRL) *lists = o->crls ? lists_of(o) : NULL;
	auto_(X509_STORE_CTX_free) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	*ret_bad = -1;
	if (!ctx || !middle || !anchor || (o->crls && !lists))
		abort();
	sk_X509_push(anchor, path->v[path->n - 1]->x509);
	bool ready = X509_STORE_CTX_init(
			 ctx, own ? own : set->empty, path->v[0]->x509, middle) == 1 &&
		     set_up(ctx, &j);
	if (!ready) {
		ERR_clear_error();
		chain_refuse(v, CHAIN_PROFILE, path->v[0], "OpenSSL cannot verify it");
		return false;
	}
	X509_STORE_CTX_set0_trusted_stack(ctx, anchor);
	if (lists)
		set_lists(ctx, lists);
	bool ok = X509_verify_cert(ctx) == 1;
	if (!ok)
		refuse_code(&j, ctx, v, ret_bad);
	ERR_clear_error();
	return ok && wildcards_hold(path, v);
}

unsigned
chain_judge_cost(const struct chain_path *path, const struct chain_options *o)
{
	/* each certificate's, and its list's */
	return (unsigned)(path->n - 1) * (o->crls ? 2 : 1);
}
