/*
 * Edits of the one group that names a CA.
 */
#include "domain/pki/rollover_group.h"

#include <string.h>
#include <strings.h>

#include "domain/dps/enrollment.h"

/* One that holds the certificate; what is named by name alone is its operator's to edit.
 */
static int
find(struct domain *d, const char *sha256, struct store_enrollment *ret, bool *ret_found,
    struct err *e)
{
	*ret_found = false;
	if (store_enrollment_by_cert(d->store, STORE_GROUP, sha256, d->arena, ret, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	*ret_found = true;
	return 0;
}

static bool
names(const struct store_enrollment *g, const char *sha256)
{
	return strcmp(g->primary_cert_sha256, sha256) == 0 ||
	       strcmp(g->secondary_cert_sha256, sha256) == 0;
}

static int
put(struct domain *d, struct store_enrollment *g, struct err *e)
{
	g->etag++;
	g->updated_ms = domain_now(d);
	return store_enrollment_put(d->store, g, e);
}

/* A group has a primary certificate at least (service.md 1.4). */
static void
drop(struct store_enrollment *g, const char *sha256)
{
	if (strcmp(g->primary_cert_sha256, sha256) == 0) {
		g->primary_cert = g->secondary_cert;
		g->primary_cert_sha256 = g->secondary_cert_sha256;
	} else if (strcmp(g->secondary_cert_sha256, sha256) != 0)
		return;
	g->secondary_cert = SPAN_NONE;
	g->secondary_cert_sha256 = "";
}

static void
fill(struct store_enrollment *g, const struct store_issuer *ca)
{
	if (!g->primary_cert.len) {
		g->primary_cert = ca->cert;
		g->primary_cert_sha256 = ca->sha256;
		return;
	}
	g->secondary_cert = ca->cert;
	g->secondary_cert_sha256 = ca->sha256;
}

/* A group that names certificates of the service by name cannot be given one that is none
 * of those. */
static int
check_by_name(struct domain *d, const struct rollover_pair *p, struct err *e)
{
	struct store_enrollment g;
	bool found;
	if (enrollment_group_of(d, p->from->sha256, &g, &found, e))
		return -1;
	if (!found || !enrollment_is_by_name(&g))
		return 0;
	return err_set(e, ERR_CONFLICT,
	    "group %s names %s by a certificate of the provisioning service: put the "
	    "certificate of %s in its own enrollment group first",
	    g.id, p->from->name, p->to->name);
}

int
rollover_group_check(
    struct domain *d, const struct rollover_pair *p, bool instead, struct err *e)
{
	struct store_enrollment g, other;
	bool found, taken;
	if (find(d, p->from->sha256, &g, &found, e) ||
	    find(d, p->to->sha256, &other, &taken, e))
		return -1;
	if (!found && !taken && !instead)
		return check_by_name(d, p, e);
	if (!found || (taken && strcasecmp(g.id, other.id) == 0))
		return 0;
	if (taken)
		return err_set(e, ERR_EXISTS,
		    "group %s names %s, and %s stands in group %s already: take it out "
		    "there first",
		    g.id, p->from->name, p->to->name, other.id);
	if (instead || !g.secondary_cert.len)
		return 0;
	return err_set(e, ERR_CONFLICT,
	    "group %s names two certificates: there is no place for %s beside %s", g.id,
	    p->to->name, p->from->name);
}

int
rollover_group_add(struct domain *d, const struct rollover_pair *p, struct err *e)
{
	struct store_enrollment g;
	bool found;
	if (rollover_group_check(d, p, false, e) ||
	    find(d, p->from->sha256, &g, &found, e))
		return -1;
	if (!found || names(&g, p->to->sha256))
		return 0;
	fill(&g, p->to);
	return put(d, &g, e);
}

int
rollover_group_replace(struct domain *d, const struct rollover_pair *p, struct err *e)
{
	struct store_enrollment g;
	bool found;
	if (rollover_group_check(d, p, true, e) ||
	    find(d, p->from->sha256, &g, &found, e))
		return -1;
	if (!found)
		return 0;
	drop(&g, p->from->sha256);
	if (!names(&g, p->to->sha256))
		fill(&g, p->to);
	return put(d, &g, e);
}

int
rollover_group_undo(struct domain *d, const struct rollover_pair *p, struct err *e)
{
	struct store_enrollment g;
	bool found;
	if (find(d, p->from->sha256, &g, &found, e))
		return -1;
	if (!found || !names(&g, p->to->sha256))
		return 0;
	drop(&g, p->to->sha256);
	return put(d, &g, e);
}

int
rollover_group_of(struct domain *d, const char *sha256, const char **ret, struct err *e)
{
	struct store_enrollment g;
	bool found;
	if (enrollment_group_of(d, sha256, &g, &found, e))
		return -1;
	*ret = found ? g.id : "";
	return 0;
}
