/*
 * Enrollment groups.
 */
#include "domain/group.h"

#include <strings.h>

#include "base/hex.h"
#include "codec/id.h"
#include "crypto/digest.h"
#include "crypto/sas_key.h"
#include "domain/device.h"

int
group_get(struct domain *d, struct span id, struct store_group *ret, struct err *e)
{
	return store_group_get(d->store, arena_str(d->arena, id), d->arena, ret, e);
}

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

static int
check_cert_is_free(struct domain *d, const char *id, const char *sha, struct err *e)
{
	struct store_group other;
	if (!sha[0])
		return 0;
	if (store_group_by_cert(d->store, sha, d->arena, &other, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (strcasecmp(other.id, id) == 0)
		return 0;
	return err_set(e, ERR_EXISTS,
	    "group %s: its certificate stands in group %s already; a certificate may be "
	    "in one "
	    "enrollment only",
	    id, other.id);
}

static struct span
fresh_key(struct domain *d)
{
	uint8_t *key = arena_alloc(d->arena, SAS_KEY_MAX);
	sas_key_generate(key);
	return span_of(key, SAS_KEY_MAX);
}

static int
fill_x509(
    struct domain *d, const struct ipc_group_put *m, struct store_group *g, struct err *e)
{
	struct span primary = m->keep_primary ? g->primary_cert : m->primary_cert;
	struct span secondary = m->keep_secondary ? g->secondary_cert : m->secondary_cert;
	if (!primary.len)
		return err_set(
		    e, ERR_PARSE, "group %s: no primary signing certificate", g->id);
	g->primary_cert = primary;
	g->secondary_cert = secondary;
	g->primary_cert_sha256 = cert_sha256(d, primary);
	g->secondary_cert_sha256 = cert_sha256(d, secondary);
	g->primary_key = g->secondary_key = SPAN_NONE;
	if (check_cert_is_free(d, g->id, g->primary_cert_sha256, e))
		return -1;
	return check_cert_is_free(d, g->id, g->secondary_cert_sha256, e);
}

static int
check_group_key(struct span k, const char *id, struct err *e)
{
	if (k.len == 0 || (k.len >= SAS_KEY_MIN && k.len <= SAS_KEY_MAX))
		return 0;
	return err_set(e, ERR_PARSE, "group %s: a key is %d to %d bytes before Base64",
	    id, SAS_KEY_MIN, SAS_KEY_MAX);
}

/* Keys not given are kept; a group that has none gets fresh ones. */
static int
fill_keys(
    struct domain *d, const struct ipc_group_put *m, struct store_group *g, struct err *e)
{
	if (check_group_key(m->primary_key, g->id, e) ||
	    check_group_key(m->secondary_key, g->id, e))
		return -1;
	g->primary_cert = g->secondary_cert = SPAN_NONE;
	g->primary_cert_sha256 = g->secondary_cert_sha256 = "";
	if (m->primary_key.len)
		g->primary_key = m->primary_key;
	if (m->secondary_key.len)
		g->secondary_key = m->secondary_key;
	if (!g->primary_key.len)
		g->primary_key = fresh_key(d);
	if (!g->secondary_key.len)
		g->secondary_key = fresh_key(d);
	return 0;
}

static const char *
default_allocation(const struct config *cfg)
{
	return cfg->dps.allocation == CONFIG_ALLOCATION_STATIC ? "static" : "hashed";
}

static int
fill(
    struct domain *d, const struct ipc_group_put *m, struct store_group *g, struct err *e)
{
	if (m->attestation != STORE_ATT_X509 && m->attestation != STORE_ATT_SYMMETRIC)
		return err_set(e, ERR_UNSUPPORTED,
		    "group %s: attestation must be x509 (signingCertificates) or "
		    "symmetricKey",
		    g->id);
	g->attestation = (enum store_attestation)m->attestation;
	int rc = g->attestation == STORE_ATT_X509 ? fill_x509(d, m, g, e)
						  : fill_keys(d, m, g, e);
	if (rc)
		return -1;
	g->enabled = m->enabled != 0;
	g->iot_edge = m->iot_edge != 0;
	g->allocation = m->allocation.len ? arena_str(d->arena, m->allocation)
					  : default_allocation(d->cfg);
	g->hubs = arena_str(d->arena, m->hubs);
	g->tags = m->tags.len ? m->tags : SPAN_LIT("{}");
	g->desired = m->desired.len ? m->desired : SPAN_LIT("{}");
	g->update_hub = m->update_hub != 0;
	g->migrate_data = m->migrate_data != 0;
	g->updated_ms = domain_now(d);
	g->etag++;
	return 0;
}

static int
check_hubs(struct domain *d, const struct ipc_group_put *m, struct err *e)
{
	struct span rest = m->hubs;
	while (rest.len) {
		struct span hub = span_split(&rest, ' ');
		bool known = hub.len == 0;
		for (size_t i = 0; i < d->cfg->hub.name.n; i++)
			known |= span_ieq_str(hub, d->cfg->hub.name.v[i]);
		if (!known)
			return err_set(e, ERR_PARSE,
			    "group %.*s: hub %.*s is not one of ours (hub.name)",
			    SPAN_FMT(m->id), SPAN_FMT(hub));
	}
	return 0;
}

static int
count(void *ctx, const struct store_group *g, struct err *e)
{
	int *n = ctx;
	(void)g, (void)e;
	++*n;
	return 0;
}

static int
check_room(struct domain *d, struct err *e)
{
	int n = 0;
	if (store_group_each(d->store, "", GROUP_MAX, count, &n, e))
		return -1;
	if (n < GROUP_MAX)
		return 0;
	return err_set(e, ERR_LIMIT, "there are %d enrollment groups already", n);
}

int
group_put(struct domain *d, const struct ipc_group_put *m, struct store_group *ret,
    struct err *e)
{
	if (!id_is_registration(m->id))
		return err_set(e, ERR_PARSE, "enrollment group ID '%.*s' is malformed",
		    SPAN_FMT(span_head(m->id, 130)));
	if (check_hubs(d, m, e))
		return -1;
	struct store_group g = {0};
	bool is_new = false;
	if (group_get(d, m->id, &g, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		is_new = true;
		g = (struct store_group){
		    .id = arena_str(d->arena, m->id), .created_ms = domain_now(d)};
		g.primary_cert_sha256 = g.secondary_cert_sha256 = "";
	}
	if (m->if_match.len && (is_new || !device_etag_matches(m->if_match, g.etag)))
		return err_set(e, ERR_CONFLICT, "group %s: etag does not match", g.id);
	if (fill(d, m, &g, e) || (is_new && check_room(d, e)))
		return -1;
	int rc =
	    is_new ? store_group_add(d->store, &g, e) : store_group_put(d->store, &g, e);
	if (rc)
		return -1;
	*ret = g;
	return 0;
}

int
group_delete(struct domain *d, const struct ipc_group_delete *m, struct err *e)
{
	struct store_group g;
	if (group_get(d, m->id, &g, e))
		return -1;
	if (m->if_match.len && !device_etag_matches(m->if_match, g.etag))
		return err_set(e, ERR_CONFLICT, "group %s: etag does not match", g.id);
	return store_group_del(d->store, g.id, e);
}
