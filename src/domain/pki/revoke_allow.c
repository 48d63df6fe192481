/*
 * Registration IDs that may enrol again.
 */
#include "domain/pki/revoke_allow.h"

#include "crypto/crl.h"
#include "store/pki.h"

static int
check_order(const struct ipc_revoke *m, struct err *e)
{
	if (!m->device_id.len || m->sha256.len || m->reason.len || m->undo ||
	    m->only_certificate)
		return err_set(e, ERR_PARSE,
		    "to allow takes a device and a comment, and nothing else");
	if (!m->comment.len)
		return err_set(
		    e, ERR_PARSE, "to allow takes a comment: why it may enrol again");
	return 0;
}

static int
get_block(struct domain *d, const char *id, struct store_blocked *ret, struct err *e)
{
	if (store_blocked_get(d->store, id, d->arena, ret, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		return err_set(e, ERR_CONFLICT, "%s: its enrollment is not blocked", id);
	}
	if (strcmp(ret->reason, crl_reason_name(CRL_HOLD)) == 0)
		return err_set(e, ERR_CONFLICT,
		    "%s: is on hold; to undo that gives back all that it took", id);
	return 0;
}

/* Enabled again, it would open to what was revoked with it: its shared keys. */
static int
report_identity(struct domain *d, const char *id, struct revoke_result *r, struct err *e)
{
	struct store_device dev;
	const char *text = "is enabled";
	if (store_device_get(d->store, id, d->arena, &dev, e)) {
		if (e->code != ERR_NOT_FOUND)
			return -1;
		text = "there is none; enrollment makes it";
	} else if (!dev.enabled) {
		text = arena_printf(d->arena,
		    "stays disabled (%s): delete it, and enrollment makes it anew with "
		    "keys of its own, or enable it",
		    dev.status_reason);
	}
	r->effect[REVOKE_IDENTITY] = (struct revoke_effect){"unchanged", text};
	return 0;
}

int
revoke_allow(struct domain *d, const struct ipc_revoke *m, struct revoke_result *ret,
    struct err *e)
{
	struct store_blocked was;
	char since[CLOCK_TEXT];
	const char *id = arena_str(d->arena, m->device_id);
	struct revoke_result r = {.device_id = id};
	if (check_order(m, e) || get_block(d, id, &was, e) ||
	    report_identity(d, id, &r, e))
		return -1;
	clock_iso(was.at_ms, 0, since);
	r.effect[REVOKE_CRL] =
	    (struct revoke_effect){"unchanged", "what was revoked stays on the lists"};
	r.effect[REVOKE_OCSP] =
	    (struct revoke_effect){"unchanged", "what was revoked stays so"};
	r.effect[REVOKE_ENROLLMENT] = (struct revoke_effect){"done",
	    arena_printf(d->arena, "may enrol again; was blocked for %s, %s, by %s",
		was.reason, since, was.added_by)};
	r.effect[REVOKE_SESSION] = (struct revoke_effect){"unchanged", "left alone"};
	if (store_blocked_del(d->store, id, e))
		return -1;
	*ret = r;
	return 0;
}
