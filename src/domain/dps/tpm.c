/*
 * Attestation by TPM.
 */
#include "domain/dps/tpm.h"

#include "base/hex.h"
#include "base/rand.h"
#include "codec/tpm_pub.h"
#include "crypto/digest.h"
#include "crypto/tpm_cred.h"
#include "domain/access/token.h"

#define NONCE_MS                                                                         \
	(10 * 60 * 1000) /* a nonce is good for this long at least, twice at most */
#define SECRET "dps_tpm_secret"

static bool
is_refused(const struct refusal *no)
{
	return no->code != REFUSAL_NONE;
}

/* ---- nonces ---------------------------------------------------------------------------
 */

static int
make_secret(struct domain *d, uint8_t out[DIGEST_SHA256], struct err *e)
{
	char hex[2 * DIGEST_SHA256 + 1];
	rand_bytes(out, DIGEST_SHA256);
	hex_write(span_of(out, DIGEST_SHA256), hex);
	int rc = store_meta_put(d->store, SECRET, hex, e);
	own_wipe(hex, sizeof(hex));
	return rc;
}

static int
get_secret(struct domain *d, uint8_t out[DIGEST_SHA256], struct err *e)
{
	const char *hex;
	if (store_meta_get(d->store, SECRET, d->arena, &hex, e) == 0)
		return hex_parse(span_str(hex), out, DIGEST_SHA256, e);
	return e->code == ERR_NOT_FOUND ? make_secret(d, out, e) : -1;
}

/* The nonce of the n-th stretch of time before this one. */
static int
nonce(struct domain *d, const struct store_enrollment *n, int64_t before,
    uint8_t out[DIGEST_SHA256], struct err *e)
{
	uint8_t secret[DIGEST_SHA256];
	auto_buf m = BUF_INIT(2 * TPM_PUB_MAX);
	if (get_secret(d, secret, e))
		return -1;
	buf_u64(&m, (uint64_t)(domain_now(d) / NONCE_MS - before));
	buf_put_span(&m, n->endorsement_key);
	buf_str(&m, n->id);
	digest_hmac_sha256(span_of(secret, sizeof(secret)), buf_span(&m), out);
	own_wipe(secret, sizeof(secret));
	return buf_check(&m, "nonce", e);
}

static int
is_signed(struct domain *d, const struct ipc_cred *cred, const struct store_enrollment *n,
    bool *ret, struct err *e)
{
	uint8_t now[DIGEST_SHA256], before[DIGEST_SHA256];
	if (nonce(d, n, 0, now, e) || nonce(d, n, 1, before, e))
		return -1;
	*ret = token_is_signed(
	    cred, span_of(now, sizeof(now)), span_of(before, sizeof(before)));
	own_wipe(now, sizeof(now));
	own_wipe(before, sizeof(before));
	return 0;
}

/* ---- keys of the TPM ------------------------------------------------------------------
 */

int
tpm_wrap(struct domain *d, const struct store_enrollment *n, struct span key,
    struct span *ret, struct err *e)
{
	struct tpm_pub ek, srk;
	auto_buf out = BUF_INIT(TPM_CRED_MAX);
	out.secret = true;
	if (tpm_pub_parse(n->endorsement_key, &ek, e) ||
	    tpm_pub_parse(n->storage_root_key, &srk, e) ||
	    tpm_cred_activation(&ek, &srk, key, &out, e))
		return err_wrap(e, "enrollment %s", n->id);
	*ret = arena_span(d->arena, buf_span(&out));
	return 0;
}

/* The keys that it names are the enrolled ones; a storage root key that nobody has told
 * us is taken from who proves to have the endorsement key's TPM. */
static int
check_keys(const struct attest_ask *ask, struct store_enrollment *n, struct refusal *no)
{
	if (ask->endorsement_key.len &&
	    !span_eq(ask->endorsement_key, n->endorsement_key))
		return refusal_set(no, REFUSAL_TPM_KEY, "%s: endorsement key", n->id);
	if (!n->storage_root_key.len)
		n->storage_root_key = ask->storage_root_key;
	if (ask->storage_root_key.len &&
	    !span_eq(ask->storage_root_key, n->storage_root_key))
		return refusal_set(no, REFUSAL_TPM_KEY, "%s: storage root key", n->id);
	return 0;
}

/* ---- attestation ----------------------------------------------------------------------
 */

static int
challenge(struct domain *d, const struct store_enrollment *n, struct attested *ret,
    struct err *e)
{
	uint8_t key[DIGEST_SHA256];
	if (nonce(d, n, 0, key, e))
		return -1;
	int rc = tpm_wrap(d, n, span_of(key, sizeof(key)), &ret->challenge, e);
	own_wipe(key, sizeof(key));
	return rc;
}

/* Its keys at the hub are new with each registration: one that was known before the TPM
 * had it would not be the TPM's. */
static void
prove(struct domain *d, const struct store_enrollment *n, struct attested *ret)
{
	uint8_t *keys = arena_alloc(d->arena, 2 * DIGEST_SHA256);
	rand_bytes(keys, 2 * DIGEST_SHA256);
	ret->by = *n;
	ret->by_key = true;
	ret->primary_key = span_of(keys, DIGEST_SHA256);
	ret->secondary_key = span_of(keys + DIGEST_SHA256, DIGEST_SHA256);
}

int
tpm_attest(struct domain *d, const struct attest_ask *ask,
    const struct store_enrollment *n, struct attested *ret, struct refusal *no,
    struct err *e)
{
	struct store_enrollment own = *n;
	bool ok = false;
	if (check_keys(ask, &own, no) || is_refused(no))
		return is_refused(no) ? 0 : -1;
	if (ask->cred->kind == CRED_SAS && attest_check_token(d, ask, no, e))
		return -1;
	if (no->code == REFUSAL_SAS_DISABLED)
		return 0;
	if (ask->cred->kind == CRED_SAS && !is_refused(no) &&
	    is_signed(d, ask->cred, &own, &ok, e))
		return -1;
	if (ok && own.storage_root_key.len) {
		prove(d, &own, ret);
		return 0;
	}
	if (!ask->endorsement_key.len || !own.storage_root_key.len)
		return is_refused(no) ? 0
				      : refusal_set(no, REFUSAL_SAS_SIGNATURE,
					    "%s: not by its TPM", own.id);
	*no = (struct refusal){0}; /* whatever its token was: it may try with another */
	return challenge(d, &own, ret, e);
}
