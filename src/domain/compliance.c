/*
 * Rows of compliance, and where they are enforced.
 */
#include "domain/compliance.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "codec/ext.h"
#include "crypto/chain.h"
#include "crypto/key.h"
#include "domain/pki/issuer.h"
#include "store/pki.h"

#define DAY_MS      INT64_C(86400000)
#define BACKDATE_MS (2 * DAY_MS) /* pki.backdate, at most */

#define OFF                                                                              \
	{                                                                                \
		.kind = COMPLIANCE_OFF                                                   \
	}
#define ON                                                                               \
	{                                                                                \
		.kind = COMPLIANCE_ON                                                    \
	}
#define HARDWARE                                                                         \
	{                                                                                \
		.kind = COMPLIANCE_HARDWARE                                              \
	}
#define KEY(ec, rsa_)                                                                    \
	{                                                                                \
		.kind = COMPLIANCE_KEY, .n = (ec), .rsa = (rsa_)                         \
	}
#define HASH(bits)                                                                       \
	{                                                                                \
		.kind = COMPLIANCE_HASH, .n = (bits)                                     \
	}
#define DAYS(days)                                                                       \
	{                                                                                \
		.kind = COMPLIANCE_DAYS, .n = (days)                                     \
	}
#define ISSUE    COMPLIANCE_ISSUE
#define CHECKIN  COMPLIANCE_CHECKIN
#define OPEN     COMPLIANCE_OPEN
#define NAMES    false
#define SUPPORTS true
static const struct compliance_row rows[COMPLIANCE_N] = {
#define COMPLIANCE(name, text, subject, asked, control, stance, high, il5, words)        \
	[COMPLIANCE_##name] = {text, COMPLIANCE_##subject, asked, control, stance,       \
	    {[CONFIG_COMPLIANCE_FEDRAMP_HIGH] = high, [CONFIG_COMPLIANCE_IL5] = il5},    \
	    words},
#include "tbl/compliance.def"
#undef COMPLIANCE
};
#undef OFF
#undef ON
#undef HARDWARE
#undef KEY
#undef HASH
#undef DAYS
#undef ISSUE
#undef CHECKIN
#undef OPEN
#undef NAMES
#undef SUPPORTS

static const char *const policies[] = {[CONFIG_COMPLIANCE_NONE] = "none",
    [CONFIG_COMPLIANCE_FEDRAMP_HIGH] = "fedramp-high",
    [CONFIG_COMPLIANCE_IL5] = "il5"};

const struct compliance_row *
compliance_row(enum compliance_id id)
{
	return &rows[id];
}

const char *
compliance_subject_name(enum compliance_subject s)
{
	static const char *const names[COMPLIANCE_SUBJECTS] = {
	    [COMPLIANCE_CERTIFICATE] = "certificate",
	    [COMPLIANCE_DEVICE] = "device",
	    [COMPLIANCE_CA] = "ca",
	    [COMPLIANCE_HUB] = "hub"};
	return names[s];
}

int
compliance_policy_parse(struct span name, enum config_compliance *ret, struct err *e)
{
	for (int i = CONFIG_COMPLIANCE_FEDRAMP_HIGH; i <= CONFIG_COMPLIANCE_IL5; i++) {
		if (!span_eq_str(name, policies[i]))
			continue;
		*ret = (enum config_compliance)i;
		return 0;
	}
	return err_set(e, ERR_PARSE, "policy '%.*s': fedramp-high or il5",
	    SPAN_FMT(span_head(name, 40)));
}

void
compliance_limit_text(const struct compliance_limit *l, char out[COMPLIANCE_LIMIT_TEXT])
{
	size_t room = COMPLIANCE_LIMIT_TEXT;
	switch (l->kind) {
	case COMPLIANCE_OFF:
		snprintf(out, room, "-");
		return;
	case COMPLIANCE_ON:
		snprintf(out, room, "yes");
		return;
	case COMPLIANCE_KEY:
		snprintf(out, room, "P-%d, RSA-%d", l->n, l->rsa);
		return;
	case COMPLIANCE_HASH:
		snprintf(out, room, "SHA-%d", l->n);
		return;
	case COMPLIANCE_DAYS:
		snprintf(out, room, "%d days", l->n);
		return;
	case COMPLIANCE_HARDWARE:
		snprintf(out, room, "hardware");
		return;
	}
}

void
compliance_asked_text(unsigned asked, char out[COMPLIANCE_ASKED_TEXT])
{
	static const char *const words[] = {"issue", "check-in", "open"};
	size_t n = 0;
	snprintf(out, COMPLIANCE_ASKED_TEXT, "-");
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (asked & 1u << i)
			n += (size_t)snprintf(out + n, COMPLIANCE_ASKED_TEXT - n, "%s%s",
			    n ? ", " : "", words[i]);
}

/* ---- one thing ------------------------------------------------------------------------
 */

static bool
is_weak(const struct compliance_limit *l, const struct traits *t)
{
	if (t->key == TRAITS_EC)
		return t->key_bits < l->n;
	return t->key != TRAITS_RSA || t->key_bits < l->rsa;
}

static bool
breaks_key(const struct compliance_limit *l, const struct traits *t, char *why)
{
	char name[TRAITS_NAME], limit[COMPLIANCE_LIMIT_TEXT];
	traits_key_name(t, name);
	compliance_limit_text(l, limit);
	snprintf(why, COMPLIANCE_WHY, "its key is %s, at least asked: %s", name, limit);
	return is_weak(l, t);
}

static bool
breaks_hash(const struct compliance_limit *l, const struct traits *t, char *why)
{
	if (t->hash_bits)
		snprintf(why, COMPLIANCE_WHY, "it is signed with SHA-%d, asked: SHA-%d",
		    t->hash_bits, l->n);
	else
		snprintf(why, COMPLIANCE_WHY,
		    "its signature is no ECDSA or RSA with SHA-2, asked: SHA-%d", l->n);
	return t->hash_bits < l->n;
}

static bool
breaks_life(const struct compliance_limit *l, const struct traits *t, char *why)
{
	snprintf(why, COMPLIANCE_WHY, "it lives %d days, at most asked: %d",
	    (int)(t->life_ms / DAY_MS), l->n);
	return t->key == TRAITS_UNKNOWN || t->life_ms > l->n * DAY_MS + BACKDATE_MS;
}

bool
compliance_breaks(
    const struct compliance_limit *l, const struct traits *t, char why[COMPLIANCE_WHY])
{
	switch (l->kind) {
	case COMPLIANCE_KEY:
		return breaks_key(l, t, why);
	case COMPLIANCE_HASH:
		return breaks_hash(l, t, why);
	case COMPLIANCE_DAYS:
		return breaks_life(l, t, why);
	case COMPLIANCE_ON:
		snprintf(why, COMPLIANCE_WHY, "it names neither a CRL nor OCSP");
		return !t->revocable;
	case COMPLIANCE_OFF:
	case COMPLIANCE_HARDWARE:
		break;
	}
	return false;
}

bool
compliance_is_hardware(const char *custody)
{
	return strcmp(custody, key_custody_name(KEY_CUSTODY_PKCS11)) == 0 ||
	       strcmp(custody, key_custody_name(KEY_CUSTODY_TPM2)) == 0;
}

struct traits
compliance_traits(const struct ipc_cred *cred)
{
	bool known = cred->key_kind < TRAITS_KEY_N;
	return (struct traits){
	    .key = known ? (enum traits_key)cred->key_kind : TRAITS_OTHER,
	    .key_bits = (int)cred->key_bits,
	    .hash_bits = (int)cred->hash_bits,
	    .revocable = cred->revocable,
	    .life_ms = cred->not_after_ms - cred->not_before_ms};
}

/* ---- enforced -------------------------------------------------------------------------
 */

static const struct compliance_limit *
limit_of(const struct domain *d, enum compliance_id id)
{
	return &rows[id].limit[d->cfg->pki.compliance];
}

static int
refuse(const struct domain *d, enum refusal_code code, enum compliance_id id,
    const char *why, struct refusal *no)
{
	return refusal_set(no, code, "%s, row %s (%s): %s",
	    policies[d->cfg->pki.compliance], rows[id].name, rows[id].control, why);
}

/* Those of LEAF_KEY to LEAF_REVOCATION, whose limits speak of a certificate alone. */
static int
check_leaf(
    const struct domain *d, unsigned where, const struct traits *t, struct refusal *no)
{
	char why[COMPLIANCE_WHY];
	for (int i = COMPLIANCE_LEAF_KEY; i <= COMPLIANCE_LEAF_REVOCATION; i++) {
		enum compliance_id id = (enum compliance_id)i;
		if ((rows[id].asked & where) &&
		    compliance_breaks(limit_of(d, id), t, why))
			return refuse(d, REFUSAL_COMPLIANCE, id, why, no);
	}
	return 0;
}

static bool
is_listed(const struct conf_list *l, const char *word)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i], word) == 0)
			return true;
	return false;
}

static bool
wants_hardware(const struct domain *d)
{
	const struct conf_list *l = &d->cfg->pki.custody;
	bool listed = l->n && !is_listed(l, key_custody_name(KEY_CUSTODY_FILE));
	return listed || limit_of(d, COMPLIANCE_KEY_CUSTODY)->kind == COMPLIANCE_HARDWARE;
}

int
compliance_check_custody(
    struct domain *d, const char *custody, struct refusal *no, struct err *e)
{
	const struct conf_list *l = &d->cfg->pki.custody;
	(void)e;
	if (!custody[0])
		return 0;
	if (l->n && !is_listed(l, custody))
		return refusal_set(no, REFUSAL_CUSTODY,
		    "it is held as '%s', which pki.custody does not name", custody);
	if (limit_of(d, COMPLIANCE_KEY_CUSTODY)->kind == COMPLIANCE_OFF ||
	    compliance_is_hardware(custody))
		return 0;
	return refuse(d, REFUSAL_CUSTODY, COMPLIANCE_KEY_CUSTODY,
	    "the device holds its key in a file", no);
}

/* "" where it never told of that key. */
static int
reported(struct domain *d, const char *device_id, struct span key_sha256,
    const char **ret, struct err *e)
{
	struct store_device_cert c;
	char key[2 * DIGEST_SHA256 + 1];
	*ret = "";
	if (key_sha256.len != DIGEST_SHA256)
		return 0;
	hex_write(key_sha256, key);
	if (store_device_cert_get(d->store, device_id, d->arena, &c, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	*ret = strcmp(c.report_key, key) == 0 ? c.custody : "";
	return 0;
}

static int
check_issue_custody(struct domain *d, const struct compliance_request *rq,
    bool *ret_probation, struct refusal *no, struct err *e)
{
	const char *custody = "";
	*ret_probation = false;
	if (!wants_hardware(d) && !d->cfg->pki.custody.n)
		return 0;
	if (rq->made_here)
		custody = key_custody_name(KEY_CUSTODY_FILE);
	else if (reported(d, rq->device_id, rq->key_sha256, &custody, e))
		return -1;
	if (custody[0])
		return compliance_check_custody(d, custody, no, e);
	if (!wants_hardware(d) || rq->vouched)
		return 0;
	*ret_probation = rq->fresh;
	if (rq->fresh)
		return 0;
	return refusal_set(no, REFUSAL_CUSTODY,
	    "%s has not told how it holds this key: it has to check in first",
	    rq->device_id);
}

/* What the signer makes of a request: the CA's key decides the hash (crypto/key.h). */
static int
issued_hash(struct domain *d, int *ret_bits, struct err *e)
{
	const struct issuer_entry *by;
	struct store_issuer row;
	struct traits ca;
	if (issuer_active(d, CA_DEVICE, &by, e) ||
	    store_issuer_get(d->store, by->hex, d->arena, &row, e) ||
	    traits_read(row.cert, &ca, e))
		return -1;
	*ret_bits = ca.key == TRAITS_EC && ca.key_bits == 384 ? 384 : 256;
	return 0;
}

static int
check_issue_leaf(struct domain *d, const struct compliance_request *rq,
    struct refusal *no, struct err *e)
{
	struct traits t;
	auto_buf url = BUF_INIT(EXT_URL_MAX);
	traits_of_spki(rq->spki, &t);
	config_public_url(d->cfg, &url);
	t.revocable = url.len > 0;
	t.life_ms = rq->life_ms;
	if (issued_hash(d, &t.hash_bits, e))
		return -1;
	return check_leaf(d, COMPLIANCE_ISSUE, &t, no);
}

int
compliance_check_issue(struct domain *d, const struct compliance_request *rq,
    bool *ret_probation, struct refusal *no, struct err *e)
{
	*ret_probation = false;
	if (d->cfg->pki.compliance != CONFIG_COMPLIANCE_NONE &&
	    check_issue_leaf(d, rq, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	return check_issue_custody(d, rq, ret_probation, no, e);
}

static bool
has_issuer(const struct ipc_cred *cred)
{
	return cred->verdict == CHAIN_OK && cred->chain.len;
}

static int
check_open_leaf(struct domain *d, const struct ipc_cred *cred, struct refusal *no)
{
	const struct traits t = compliance_traits(cred);
	if (limit_of(d, COMPLIANCE_SELF_SIGNED)->kind == COMPLIANCE_ON &&
	    !has_issuer(cred))
		return refuse(d, REFUSAL_COMPLIANCE, COMPLIANCE_SELF_SIGNED,
		    "its thumbprint is registered, no trusted CA issued it", no);
	return check_leaf(d, COMPLIANCE_OPEN, &t, no);
}

int
compliance_check_open(struct domain *d, const struct ipc_cred *cred,
    const struct store_device *dev, struct refusal *no, struct err *e)
{
	const char *custody;
	if (cred->kind != CRED_X509)
		return 0;
	if (d->cfg->pki.compliance != CONFIG_COMPLIANCE_NONE &&
	    check_open_leaf(d, cred, no))
		return -1;
	if (no->code != REFUSAL_NONE || (!d->cfg->pki.custody.n && !wants_hardware(d)))
		return 0;
	if (reported(d, dev->id, cred->key_sha256, &custody, e))
		return -1;
	return compliance_check_custody(d, custody, no, e);
}
