/*
 * SAS tokens: the three checks that do not depend on whose they are.
 */
#include "domain/access/token.h"

#include "codec/sas.h"
#include "crypto/sas_key.h"

bool
token_is_expired(const struct domain *d, const struct ipc_cred *cred)
{
	int64_t now_s = clock_wall_s(d->clock);
	return cred->sas_expiry_s < now_s - d->cfg->hub.clock_skew_s;
}

struct span
token_key(const struct ipc_cred *cred, struct span primary, struct span secondary)
{
	struct sas t = {
	    .sr = cred->sas_sr, .se = cred->sas_se, .se_s = cred->sas_expiry_s};
	if (cred->sas_sig.len != sizeof(t.sig))
		return SPAN_NONE;
	memcpy(t.sig, cred->sas_sig.p, sizeof(t.sig));
	enum sas_key_match which = sas_key_verify(&t, primary, secondary);
	if (which == SAS_KEY_NONE)
		return SPAN_NONE;
	return which == SAS_KEY_PRIMARY ? primary : secondary;
}

bool
token_is_signed(const struct ipc_cred *cred, struct span primary, struct span secondary)
{
	return token_key(cred, primary, secondary).len != 0;
}

static struct span
without_tail(struct span resource)
{
	/* "host/devices/d/api-version=.." and "host/devices/d/?api-version=..": the tail
	 * is no part of the name; an ID may hold '?', so only these two forms are cut */
	static const char *const tails[] = {"api-version=", "?api-version="};
	size_t slash = span_rfind(resource, '/');
	for (size_t i = 0; i < 2 && slash < resource.len; i++)
		if (span_istarts(span_skip(resource, slash + 1), span_str(tails[i])))
			return span_head(resource, slash);
	return resource;
}

bool
token_is_for(const struct ipc_cred *cred, const char *resource)
{
	return span_ieq_str(without_tail(cred->sas_resource), resource);
}

bool
token_covers(const struct ipc_cred *cred, const char *resource)
{
	struct span r = without_tail(cred->sas_resource);
	struct span whole = span_str(resource);
	if (r.len == 0 || !span_istarts(whole, r))
		return false;
	return r.len == whole.len || whole.p[r.len] == '/';
}
