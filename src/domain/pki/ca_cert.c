/*
 * CA certificates that somebody uploads.
 */
#include "domain/pki/ca_cert.h"

#include <string.h>
#include <strings.h>

#include "base/hex.h"
#include "base/rand.h"
#include "codec/hub_conf.h"
#include "codec/id.h"
#include "crypto/digest.h"
#include "domain/hub/device.h"

/* A hub's own spelling, however it was called; NULL: nobody is. */
static const char *
owner_of(const struct domain *d, struct span owner, struct err *e)
{
	const char *hub = owner.len ? hub_conf_find(d->cfg, owner) : "";
	if (!hub)
		err_set(e, ERR_NOT_FOUND, "there is no hub %.*s",
		    SPAN_FMT(span_head(owner, CAP_HOST)));
	return hub;
}

int
ca_cert_get(struct domain *d, struct span owner, struct span name,
    struct store_ca_cert *ret, struct err *e)
{
	const char *whose = owner_of(d, owner, e);
	return whose ? store_ca_cert_get(
			   d->store, whose, arena_str(d->arena, name), d->arena, ret, e)
		     : -1;
}

int
ca_cert_each(struct domain *d, struct span owner,
    int (*visit)(void *ctx, const struct store_ca_cert *c, struct err *e), void *ctx,
    struct err *e)
{
	const char *whose = owner_of(d, owner, e);
	return whose ? store_ca_cert_each(d->store, whose, visit, ctx, e) : -1;
}

static int
check_etag(const struct store_ca_cert *c, struct span if_match, struct err *e)
{
	if (!if_match.len || device_etag_matches(if_match, c->etag))
		return 0;
	return err_set(e, ERR_CONFLICT, "certificate %s: etag does not match", c->name);
}

static int
get_for_change(struct domain *d, struct span owner, struct span name,
    struct span if_match, struct store_ca_cert *ret, struct err *e)
{
	struct store_ca_cert c;
	if (ca_cert_get(d, owner, name, &c, e) || check_etag(&c, if_match, e))
		return -1;
	*ret = c;
	return 0;
}

static int
put(struct domain *d, struct store_ca_cert *c, struct err *e)
{
	c->etag++;
	c->updated_ms = domain_now(d);
	return store_ca_cert_put(d->store, c, e);
}

static int
count(void *ctx, const struct store_ca_cert *c, struct err *e)
{
	int *n = ctx;
	(void)c, (void)e;
	++*n;
	return 0;
}

static int
check_room(struct domain *d, const char *owner, struct err *e)
{
	int n = 0, most = owner[0] ? CA_CERT_HUB : CA_CERT_MAX;
	if (store_ca_cert_each(d->store, owner, count, &n, e))
		return -1;
	return n < most ? 0
			: err_set(e, ERR_LIMIT, "there are %d certificates already", n);
}

/* The group that names it; a hub's is named by none. */
static int
find_user(struct domain *d, const struct store_ca_cert *c, struct store_enrollment *ret,
    struct err *e)
{
	if (c->owner[0])
		return err_set(e, ERR_NOT_FOUND, "no group names a hub's certificate");
	return store_enrollment_by_ca(d->store, c->name, d->arena, ret, e);
}

/* Would a group that names this certificate share it with another enrollment? */
static int
check_in_use(
    struct domain *d, const struct store_ca_cert *c, const char *sha256, struct err *e)
{
	struct store_enrollment by, other;
	if (find_user(d, c, &by, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	for (int kind = STORE_GROUP; kind <= STORE_INDIVIDUAL; kind++) {
		if (store_enrollment_by_cert(d->store, (enum store_enrollment_kind)kind,
			sha256, d->arena, &other, e) == 0)
			return err_set(e, ERR_EXISTS,
			    "certificate %s: group %s names it, and this one stands in "
			    "enrollment %s already",
			    c->name, by.id, other.id);
		if (e->code != ERR_NOT_FOUND)
			return -1;
	}
	return 0;
}

static int
check_name(
    struct domain *d, const struct store_ca_cert *c, const char *sha256, struct err *e)
{
	struct store_ca_cert other;
	if (store_ca_cert_by_sha256(d->store, c->owner, sha256, d->arena, &other, e))
		return e->code == ERR_NOT_FOUND ? check_in_use(d, c, sha256, e) : -1;
	if (strcasecmp(other.name, c->name) == 0)
		return 0;
	return err_set(
	    e, ERR_EXISTS, "certificate %s is here as %s already", c->name, other.name);
}

static const char *
sha256_of(struct domain *d, struct span der)
{
	uint8_t sha[DIGEST_SHA256];
	char *text = arena_alloc(d->arena, 65);
	digest_sha256(der, sha);
	hex_write(span_of(sha, sizeof(sha)), text);
	return text;
}

static int
load(struct domain *d, const struct ipc_ca_cert_put *m, struct store_ca_cert *ret,
    bool *ret_new, struct err *e)
{
	const char *owner = owner_of(d, m->owner, e);
	*ret_new = false;
	if (!owner)
		return -1;
	if (ca_cert_get(d, m->owner, m->name, ret, e) == 0)
		return check_etag(ret, m->if_match, e);
	if (e->code != ERR_NOT_FOUND)
		return -1;
	*ret_new = true;
	*ret = (struct store_ca_cert){.owner = owner,
	    .name = arena_str(d->arena, m->name),
	    .sha256 = "",
	    .code = "",
	    .created_ms = domain_now(d)};
	if (m->if_match.len)
		return err_set(
		    e, ERR_CONFLICT, "certificate %s: there is none", ret->name);
	return check_room(d, owner, e);
}

int
ca_cert_put(struct domain *d, const struct ipc_ca_cert_put *m, struct store_ca_cert *ret,
    struct err *e)
{
	struct store_ca_cert c;
	bool is_new;
	if (!id_is_certificate(m->name))
		return err_set(e, ERR_PARSE, "certificate name '%.*s' is malformed",
		    SPAN_FMT(span_head(m->name, 70)));
	if (load(d, m, &c, &is_new, e))
		return -1;
	const char *sha256 = sha256_of(d, m->der);
	if (check_name(d, &c, sha256, e))
		return -1;
	if (strcmp(sha256, c.sha256) != 0) {
		c.verified = false;
		c.code = "";
	}
	if (m->verified <= 1)
		c.verified = m->verified == 1;
	c.sha256 = sha256;
	c.der = m->der;
	c.etag++;
	c.updated_ms = domain_now(d);
	int rc = is_new ? store_ca_cert_add(d->store, &c, e)
			: store_ca_cert_put(d->store, &c, e);
	if (rc)
		return -1;
	*ret = c;
	return 0;
}

int
ca_cert_delete(struct domain *d, const struct ipc_ca_cert_delete *m, struct err *e)
{
	struct store_ca_cert c;
	struct store_enrollment by;
	if (get_for_change(d, m->owner, m->name, m->if_match, &c, e))
		return -1;
	if (find_user(d, &c, &by, e) == 0)
		return err_set(e, ERR_GATE,
		    "certificate %s: enrollment group %s names it", c.name, by.id);
	return e->code == ERR_NOT_FOUND ? store_ca_cert_del(d->store, c.owner, c.name, e)
					: -1;
}

int
ca_cert_code(struct domain *d, const struct ipc_ca_cert_code *m,
    struct store_ca_cert *ret, struct err *e)
{
	struct store_ca_cert c;
	uint8_t bytes[CA_CERT_CODE / 2];
	if (get_for_change(d, m->owner, m->name, m->if_match, &c, e))
		return -1;
	char *text = arena_alloc(d->arena, CA_CERT_CODE + 1);
	rand_bytes(bytes, sizeof(bytes));
	hex_write(span_of(bytes, sizeof(bytes)), text);
	for (char *p = text; *p; p++)
		*p = (char)(*p >= 'a' ? *p - 32 : *p);
	c.code = text;
	if (put(d, &c, e))
		return -1;
	*ret = c;
	return 0;
}

int
ca_cert_verified(struct domain *d, const struct ipc_ca_cert_verified *m,
    struct store_ca_cert *ret, struct err *e)
{
	struct store_ca_cert c;
	if (get_for_change(d, m->owner, m->name, m->if_match, &c, e))
		return -1;
	if (m->etag != c.etag || !c.code[0])
		return err_set(e, ERR_CONFLICT,
		    "certificate %s changed while it was verified", c.name);
	c.verified = true;
	c.code = ""; /* a code proves once */
	if (put(d, &c, e))
		return -1;
	*ret = c;
	return 0;
}
