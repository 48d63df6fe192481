/*
 * Enrollments: what a PUT may say, and the rule that a certificate stands in one only.
 */
#include "domain/dps/enrollment.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/hex.h"
#include "codec/hub_conf.h"
#include "codec/id.h"
#include "crypto/digest.h"
#include "crypto/sas_key.h"
#include "domain/dps/links.h"
#include "domain/hub/device.h"

static const char *
kind_name(enum store_enrollment_kind kind)
{
	return kind == STORE_GROUP ? "enrollment group" : "enrollment";
}

int
enrollment_get(struct domain *d, enum store_enrollment_kind kind, struct span id,
    struct store_enrollment *ret, struct err *e)
{
	return store_enrollment_get(
	    d->store, kind, arena_str(d->arena, id), d->arena, ret, e);
}

bool
enrollment_is_by_name(const struct store_enrollment *n)
{
	return n->primary_ca && n->primary_ca[0];
}

/* ---- whose certificate it is ----------------------------------------------------------
 */

static int
find_by_cert(struct domain *d, enum store_enrollment_kind kind, const char *sha256,
    struct store_enrollment *ret, bool *ret_found, struct err *e)
{
	int rc = store_enrollment_by_cert(d->store, kind, sha256, d->arena, ret, e);
	*ret_found = rc == 0;
	return rc && e->code != ERR_NOT_FOUND ? -1 : 0;
}

/* The group that names the certificate by its name in the service; verified or not. */
static int
find_by_name(struct domain *d, const char *sha256, struct store_enrollment *ret,
    bool *ret_found, bool *ret_verified, struct err *e)
{
	struct store_ca_cert c;
	*ret_found = *ret_verified = false;
	if (store_ca_cert_by_sha256(d->store, "", sha256, d->arena, &c, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	int rc = store_enrollment_by_ca(d->store, c.name, d->arena, ret, e);
	*ret_found = rc == 0;
	*ret_verified = c.verified;
	return rc && e->code != ERR_NOT_FOUND ? -1 : 0;
}

int
enrollment_group_of(struct domain *d, const char *sha256, struct store_enrollment *ret,
    bool *ret_found, struct err *e)
{
	bool verified;
	if (find_by_cert(d, STORE_GROUP, sha256, ret, ret_found, e) || *ret_found)
		return *ret_found ? 0 : -1;
	if (find_by_name(d, sha256, ret, ret_found, &verified, e))
		return -1;
	/* who switches a CA off need not prove that he has it */
	*ret_found = *ret_found && (verified || !ret->enabled);
	return 0;
}

int
enrollment_is_ca(struct domain *d, const char *sha256, bool *ret, struct err *e)
{
	struct store_enrollment n;
	bool found, verified;
	if (find_by_cert(d, STORE_GROUP, sha256, &n, ret, e) || *ret)
		return *ret ? 0 : -1;
	if (find_by_name(d, sha256, &n, &found, &verified, e))
		return -1;
	*ret = found && verified;
	return 0;
}

struct ca_visit {
	int (*fn)(void *ctx, struct span der, const char *sha256, struct err *e);
	void *ctx;
};

static int
visit_named(struct domain *d, const char *name, const struct ca_visit *v, struct err *e)
{
	struct store_ca_cert c;
	if (!name[0])
		return 0;
	if (store_ca_cert_get(d->store, "", name, d->arena, &c, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	return c.verified ? v->fn(v->ctx, c.der, c.sha256, e) : 0;
}

static int
visit_own(struct span der, const char *sha256, const struct ca_visit *v, struct err *e)
{
	return der.len ? v->fn(v->ctx, der, sha256, e) : 0;
}

int
enrollment_each_ca(struct domain *d, const struct store_enrollment *n,
    int (*visit)(void *ctx, struct span der, const char *sha256, struct err *e),
    void *ctx, struct err *e)
{
	const struct ca_visit v = {visit, ctx};
	if (enrollment_is_by_name(n))
		return visit_named(d, n->primary_ca, &v, e) ||
			       visit_named(d, n->secondary_ca, &v, e)
			   ? -1
			   : 0;
	return visit_own(n->primary_cert, n->primary_cert_sha256, &v, e) ||
		       visit_own(n->secondary_cert, n->secondary_cert_sha256, &v, e)
		   ? -1
		   : 0;
}

static bool
is_same(const struct store_enrollment *a, const struct store_enrollment *b)
{
	return a->kind == b->kind && strcasecmp(a->id, b->id) == 0;
}

static int
taken(const struct store_enrollment *n, const struct store_enrollment *by, struct err *e)
{
	return err_set(e, ERR_EXISTS,
	    "%s %s: its certificate stands in %s %s already; a certificate may be in one "
	    "enrollment only",
	    kind_name(n->kind), n->id, kind_name(by->kind), by->id);
}

/* device.md 2.2, 4 */
static int
check_free(
    struct domain *d, const struct store_enrollment *n, const char *sha256, struct err *e)
{
	static const enum store_enrollment_kind kinds[] = {STORE_GROUP, STORE_INDIVIDUAL};
	struct store_enrollment other;
	bool found, verified;
	if (!sha256[0])
		return 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (find_by_cert(d, kinds[i], sha256, &other, &found, e))
			return -1;
		if (found && !is_same(&other, n))
			return taken(n, &other, e);
	}
	if (find_by_name(d, sha256, &other, &found, &verified, e))
		return -1;
	return found && !is_same(&other, n) ? taken(n, &other, e) : 0;
}

/* ---- attestation ----------------------------------------------------------------------
 */

static const char *
cert_sha256(struct domain *d, struct span der)
{
	if (!der.len)
		return "";
	uint8_t sha[DIGEST_SHA256];
	char *text = arena_alloc(d->arena, 65);
	digest_sha256(der, sha);
	hex_write(span_of(sha, sizeof(sha)), text);
	return text;
}

static struct span
fresh_key(struct domain *d)
{
	uint8_t *key = arena_alloc(d->arena, SAS_KEY_MAX);
	sas_key_generate(key);
	return span_of(key, SAS_KEY_MAX);
}

/* What one kind of attestation needs, no other keeps. */
static void
clear_attestation(struct store_enrollment *n)
{
	n->primary_cert = n->secondary_cert = SPAN_NONE;
	n->primary_cert_sha256 = n->secondary_cert_sha256 = "";
	n->primary_ca = n->secondary_ca = "";
	n->primary_key = n->secondary_key = SPAN_NONE;
	n->endorsement_key = n->storage_root_key = SPAN_NONE;
}

/* Any certificate of the store may be named; it counts once it is verified. */
static int
name_ca(struct domain *d, struct span name, struct store_enrollment *n, const char **ret,
    struct err *e)
{
	struct store_ca_cert c;
	*ret = "";
	if (!name.len)
		return 0;
	if (store_ca_cert_get(d->store, "", arena_str(d->arena, name), d->arena, &c, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		return err_set(e, ERR_PARSE, "%s %s: there is no certificate named %.*s",
		    kind_name(n->kind), n->id, SPAN_FMT(name));
	}
	*ret = c.name;
	return check_free(d, n, c.sha256, e);
}

static int
fill_references(struct domain *d, const struct ipc_enrollment_put *m,
    struct store_enrollment *n, struct err *e)
{
	if (n->kind != STORE_GROUP)
		return err_set(e, ERR_UNSUPPORTED,
		    "enrollment %s: caReferences are for enrollment groups", n->id);
	clear_attestation(n);
	if (!m->primary_ca.len)
		return err_set(
		    e, ERR_PARSE, "group %s: caReferences.primary is missing", n->id);
	if (name_ca(d, m->primary_ca, n, &n->primary_ca, e))
		return -1;
	return name_ca(d, m->secondary_ca, n, &n->secondary_ca, e);
}

static int
fill_x509(struct domain *d, const struct ipc_enrollment_put *m,
    struct store_enrollment *n, struct err *e)
{
	if (m->primary_ca.len || m->secondary_ca.len)
		return fill_references(d, m, n, e);
	struct span primary = m->keep_primary ? n->primary_cert : m->primary_cert;
	struct span secondary = m->keep_secondary ? n->secondary_cert : m->secondary_cert;
	if (!primary.len)
		return err_set(e, ERR_PARSE, "%s %s: no primary certificate",
		    kind_name(n->kind), n->id);
	clear_attestation(n);
	n->primary_cert = primary;
	n->secondary_cert = secondary;
	n->primary_cert_sha256 = cert_sha256(d, primary);
	n->secondary_cert_sha256 = cert_sha256(d, secondary);
	if (check_free(d, n, n->primary_cert_sha256, e))
		return -1;
	return check_free(d, n, n->secondary_cert_sha256, e);
}

static int
check_key(struct span k, const struct store_enrollment *n, struct err *e)
{
	if (k.len == 0 || (k.len >= SAS_KEY_MIN && k.len <= SAS_KEY_MAX))
		return 0;
	return err_set(e, ERR_PARSE, "%s %s: a key is %d to %d bytes before Base64",
	    kind_name(n->kind), n->id, SAS_KEY_MIN, SAS_KEY_MAX);
}

static struct span
first_of(struct span a, struct span b)
{
	return a.len ? a : b;
}

/* Keys not given are kept; who has none gets fresh ones. */
static int
fill_keys(struct domain *d, const struct ipc_enrollment_put *m,
    struct store_enrollment *n, struct err *e)
{
	if (check_key(m->primary_key, n, e) || check_key(m->secondary_key, n, e))
		return -1;
	struct span primary = first_of(m->primary_key, n->primary_key);
	struct span secondary = first_of(m->secondary_key, n->secondary_key);
	clear_attestation(n);
	n->primary_key = primary.len ? primary : fresh_key(d);
	n->secondary_key = secondary.len ? secondary : fresh_key(d);
	return 0;
}

/* The storage root key may be left to the TPM's first registration; a PUT without one
 * forgets it, which is what a TPM that was cleared needs. */
static int
fill_tpm(const struct ipc_enrollment_put *m, struct store_enrollment *n, struct err *e)
{
	if (n->kind != STORE_INDIVIDUAL)
		return err_set(e, ERR_UNSUPPORTED,
		    "group %s: TPM attestation is for individual enrollments", n->id);
	if (!m->endorsement_key.len)
		return err_set(e, ERR_PARSE, "enrollment %s: no endorsement key", n->id);
	clear_attestation(n);
	n->endorsement_key = m->endorsement_key;
	n->storage_root_key = m->storage_root_key;
	return 0;
}

static int
fill_attestation(struct domain *d, const struct ipc_enrollment_put *m,
    struct store_enrollment *n, struct err *e)
{
	n->attestation = (enum store_attestation)m->attestation;
	switch (n->attestation) {
	case STORE_ATT_X509:
		return fill_x509(d, m, n, e);
	case STORE_ATT_SYMMETRIC:
		return fill_keys(d, m, n, e);
	case STORE_ATT_TPM:
		return fill_tpm(m, n, e);
	}
	return err_set(
	    e, ERR_UNSUPPORTED, "%s %s: attestation unknown", kind_name(n->kind), n->id);
}

/* ---- the rest -------------------------------------------------------------------------
 */

static void
fill_policies(struct domain *d, const struct ipc_enrollment_put *m,
    const struct links *links, struct store_enrollment *n)
{
	n->enabled = m->enabled != 0;
	n->iot_edge = m->iot_edge != 0;
	n->allocation =
	    m->allocation.len ? arena_str(d->arena, m->allocation) : links->allocation;
	n->hubs = arena_str(d->arena, m->hubs);
	n->device_id = arena_str(d->arena, m->device_id);
	n->info = m->info;
	n->tags = m->tags.len ? m->tags : SPAN_LIT("{}");
	n->desired = m->desired.len ? m->desired : SPAN_LIT("{}");
	n->update_hub = m->update_hub != 0;
	n->migrate_data = m->migrate_data != 0;
	n->reprovision_unset = m->reprovision_unset != 0;
	n->webhook_url = arena_str(d->arena, m->webhook_url);
	n->webhook_api = arena_str(d->arena, m->webhook_api);
	n->updated_ms = domain_now(d);
	n->etag++;
}

static int
check_hubs(struct domain *d, const struct ipc_enrollment_put *m,
    const struct links *links, struct err *e)
{
	struct span rest = m->hubs;
	size_t n = 0;
	for (; rest.len; n++) {
		struct span hub = span_split(&rest, ' ');
		if (!links_find(links, hub_conf_find(d->cfg, hub)))
			return err_set(e, ERR_PARSE,
			    "enrollment %.*s: hub %.*s is not linked to the service",
			    SPAN_FMT(m->id), SPAN_FMT(hub));
	}
	if (n > 1 && span_eq_str(m->allocation, "static"))
		return err_set(e, ERR_PARSE,
		    "enrollment %.*s: static names one hub, not %zu", SPAN_FMT(m->id), n);
	return 0;
}

static int
check_room(struct domain *d, enum store_enrollment_kind kind, struct err *e)
{
	int64_t n, most = kind == STORE_GROUP ? ENROLLMENT_GROUPS_MAX
					      : d->cfg->dps.individuals_max;
	if (store_enrollment_count(d->store, kind, &n, e))
		return -1;
	if (n < most)
		return 0;
	return err_set(e, ERR_LIMIT, "there are %" PRId64 " %ss already%s", n,
	    kind_name(kind), kind == STORE_GROUP ? "" : " (dps.individuals_max)");
}

/* The one there is, or a blank one. */
static int
load(struct domain *d, const struct ipc_enrollment_put *m, struct store_enrollment *ret,
    bool *ret_new, struct err *e)
{
	enum store_enrollment_kind kind = (enum store_enrollment_kind)m->kind;
	*ret_new = false;
	if (enrollment_get(d, kind, m->id, ret, e) == 0)
		return 0;
	if (e->code != ERR_NOT_FOUND)
		return -1;
	*ret_new = true;
	*ret = (struct store_enrollment){
	    .kind = kind, .id = arena_str(d->arena, m->id), .created_ms = domain_now(d)};
	clear_attestation(ret);
	return 0;
}

static int
check_mode(const struct ipc_enrollment_put *m, const struct store_enrollment *n,
    bool is_new, struct err *e)
{
	if (m->if_match.len && (is_new || !device_etag_matches(m->if_match, n->etag)))
		return err_set(e, ERR_CONFLICT, "%s %s: etag does not match",
		    kind_name(n->kind), n->id);
	if (is_new && m->mode == IPC_MODE_UPDATE)
		return err_set(e, ERR_NOT_FOUND, "no %s %s", kind_name(n->kind), n->id);
	if (!is_new && m->mode == IPC_MODE_CREATE)
		return err_set(
		    e, ERR_EXISTS, "%s %s exists already", kind_name(n->kind), n->id);
	return 0;
}

int
enrollment_put(struct domain *d, const struct ipc_enrollment_put *m,
    struct store_enrollment *ret, struct err *e)
{
	struct store_enrollment n;
	bool is_new;
	if (!id_is_registration(m->id) || m->kind > IPC_KIND_INDIVIDUAL)
		return err_set(e, ERR_PARSE, "enrollment ID '%.*s' is malformed",
		    SPAN_FMT(span_head(m->id, 130)));
	if (m->device_id.len && !id_is_device(m->device_id))
		return err_set(e, ERR_PARSE, "enrollment %.*s: deviceId is malformed",
		    SPAN_FMT(m->id));
	struct links links;
	if (links_load(d, &links, e) || check_hubs(d, m, &links, e) ||
	    load(d, m, &n, &is_new, e) || check_mode(m, &n, is_new, e) ||
	    fill_attestation(d, m, &n, e))
		return -1;
	if (is_new && check_room(d, n.kind, e))
		return -1;
	fill_policies(d, m, &links, &n);
	int rc = is_new ? store_enrollment_add(d->store, &n, e)
			: store_enrollment_put(d->store, &n, e);
	if (rc)
		return -1;
	*ret = n;
	return 0;
}

int
enrollment_delete(struct domain *d, const struct ipc_enrollment_delete *m, struct err *e)
{
	struct store_enrollment n;
	if (m->kind > IPC_KIND_INDIVIDUAL)
		return err_set(e, ERR_PARSE, "enrollment of an unknown kind");
	if (enrollment_get(d, (enum store_enrollment_kind)m->kind, m->id, &n, e))
		return -1;
	if (m->if_match.len && !device_etag_matches(m->if_match, n.etag))
		return err_set(e, ERR_CONFLICT, "%s %s: etag does not match",
		    kind_name(n.kind), n.id);
	return store_enrollment_del(d->store, n.kind, n.id, e);
}
