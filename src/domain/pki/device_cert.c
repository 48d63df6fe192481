/*
 * What each device connects with.
 */
#include "domain/pki/device_cert.h"

#include <string.h>

#include "base/hex.h"
#include "crypto/digest.h"
#include "domain/compliance.h"
#include "domain/pki/leaf.h"
#include "domain/pki/revoke.h"
#include "store/pki.h"

#define AGENT_MAX 128

/* ---- one key, two devices ---- */

struct twin_search {
	struct domain *d;
	const char *device_id, *found;
};

static int
try_twin(void *ctx, const struct store_device_cert *c, struct err *e)
{
	struct twin_search *s = ctx;
	(void)e;
	if (strcmp(c->device_id, s->device_id) == 0)
		return 0;
	s->found = arena_str(s->d->arena, span_str(c->device_id));
	return 1;
}

static int
find_twin(
    struct domain *d, const struct store_device_cert *c, const char **ret, struct err *e)
{
	struct twin_search s = {.d = d, .device_id = c->device_id, .found = ""};
	const struct store_device_cert_filter f = {
	    .after = "", .issuer = "", .key_sha256 = c->key_sha256, .limit = 2};
	if (c->key_sha256[0] && store_device_cert_each(d->store, &f, try_twin, &s, e) < 0)
		return -1;
	*ret = s.found;
	return 0;
}

/* ---- what came before it ---- */

/* Found by its name: the thumbprint seen may be that of its other encoding. */
static int
supersede_others(struct domain *d, const struct store_device_cert *c, struct err *e)
{
	struct store_cert ours;
	if (store_cert_get(d->store, c->issuer, c->serial, d->arena, &ours, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	return store_cert_supersede(
	    d->store, c->device_id, ours.sha256, domain_now(d), e);
}

/* A row of what is seen now, over what was kept. */
static int
read_row(struct domain *d, const struct ipc_cred *cred, const char *device_id,
    struct store_device_cert *ret, bool *ret_is_new, struct err *e)
{
	struct revoke_name name;
	struct store_device_cert row;
	if (!revoke_name_of(cred, &name))
		return err_set(e, ERR_PARSE, "certificate of %s has no name", device_id);
	if (store_device_cert_get(d->store, device_id, d->arena, &row, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		row = (struct store_device_cert){.device_id = device_id,
		    .issuer = "",
		    .serial = "",
		    .custody = "",
		    .generation = ""};
	}
	/* a check-in alone is no proof of it, and looks for no twin */
	*ret_is_new = !row.first_ms || strcmp(row.issuer, name.issuer) != 0 ||
		      strcmp(row.serial, name.serial) != 0;
	row.issuer = arena_str(d->arena, span_str(name.issuer));
	row.serial = arena_str(d->arena, span_str(name.serial));
	*ret = row;
	return 0;
}

static const char *
hex(struct domain *d, struct span bytes)
{
	char *text = arena_alloc(d->arena, 2 * bytes.len + 1);
	hex_write(bytes, text);
	return text;
}

int
device_cert_note(struct domain *d, const struct ipc_cred *cred, const char *device_id,
    struct span peer, struct span agent, struct device_cert_seen *ret, struct err *e)
{
	struct store_device_cert c;
	struct device_cert_seen seen = {.key_twin = ""};
	if (read_row(d, cred, device_id, &c, &seen.is_new, e))
		return -1;
	c.sha256 = hex(d, cred->sha256);
	c.key_sha256 = hex(d, cred->key_sha256);
	c.not_after_ms = cred->not_after_ms;
	c.seen_ms = domain_now(d);
	c.first_ms = seen.is_new ? c.seen_ms : c.first_ms;
	c.traits = compliance_traits(cred);
	c.peer = arena_str(d->arena, peer);
	c.agent = arena_str(d->arena, span_head(agent, AGENT_MAX));
	if (store_device_cert_put(d->store, &c, e))
		return -1;
	if (seen.is_new &&
	    (supersede_others(d, &c, e) || find_twin(d, &c, &seen.key_twin, e)))
		return -1;
	*ret = seen;
	return 0;
}
