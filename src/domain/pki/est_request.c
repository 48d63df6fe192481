/*
 * Requests that are kept.
 */
#include "domain/pki/est_request.h"

#include "base/hex.h"
#include "crypto/digest.h"

void
est_request_name(struct est_promise *p)
{
	static const char nul[1] = "";
	const struct span parts[] = {span_str(p->credential), span_of(nul, 1),
	    span_str(p->device_id), span_of(nul, 1), span_str(p->key_sha256)};
	uint8_t sha[DIGEST_SHA256];
	digest_sha256v(parts, sizeof(parts) / sizeof(parts[0]), sha);
	hex_write(span_of(sha, sizeof(sha)), p->request_id);
}

int
est_request_get(
    struct domain *d, const struct est_promise *p, struct store_enrol *ret, struct err *e)
{
	if (store_enrol_get(d->store, p->request_id, d->arena, ret, e) == 0)
		return 0;
	*ret = (struct store_enrol){.state = ""};
	return e->code == ERR_NOT_FOUND ? 0 : -1;
}

static struct store_enrol
row_of(struct domain *d, const struct est_promise *p, const char *state)
{
	return (struct store_enrol){.id = p->request_id,
	    .device_id = p->device_id,
	    .state = state,
	    .key_sha256 = p->key_sha256,
	    .credential = p->credential,
	    .address = p->address,
	    .created_ms = domain_now(d),
	    .decided_by = "",
	    .cert_sha256 = ""};
}

struct waiting {
	const char *device_id;
	int64_t all, of_device;
};

static int
count(void *ctx, const struct store_enrol *r, struct err *e)
{
	struct waiting *w = ctx;
	(void)e;
	w->all++;
	w->of_device += strcmp(r->device_id, w->device_id) == 0;
	return 0;
}

int
est_request_wait(
    struct domain *d, const struct est_promise *p, struct refusal *no, struct err *e)
{
	struct waiting w = {.device_id = p->device_id};
	if (store_enrol_each(d->store, "pending", EST_REQUEST_WAITING, count, &w, e))
		return -1;
	if (w.all >= EST_REQUEST_WAITING)
		return refusal_set(no, REFUSAL_THROTTLED, "%d requests wait for approval",
		    EST_REQUEST_WAITING);
	if (w.of_device >= EST_REQUEST_DEVICE)
		return refusal_set(no, REFUSAL_THROTTLED,
		    "%d requests of %s wait for approval", EST_REQUEST_DEVICE,
		    p->device_id);
	struct store_enrol r = row_of(d, p, "pending");
	return store_enrol_put(d->store, &r, e);
}

int
est_request_close(
    struct domain *d, const struct est_promise *p, const char *cert_sha256, struct err *e)
{
	struct store_enrol r;
	if (est_request_get(d, p, &r, e))
		return -1;
	if (!r.state[0])
		r = row_of(d, p, "issued");
	r.state = "issued";
	r.cert_sha256 = cert_sha256;
	return store_enrol_put(d->store, &r, e);
}

int
est_request_decide(struct domain *d, const struct ipc_enrol_decide *m, const char *by,
    struct store_enrol *ret, struct err *e)
{
	struct store_enrol r;
	const char *id = arena_str(d->arena, m->id);
	if (store_enrol_get(d->store, id, d->arena, &r, e))
		return -1;
	if (strcmp(r.state, "pending") != 0)
		return err_set(e, ERR_CONFLICT,
		    "request %s does not wait any more: it is %s", id, r.state);
	r.state = m->approve ? "approved" : "denied";
	r.decided_ms = domain_now(d);
	r.decided_by = m->comment.len
			   ? arena_printf(d->arena, "%s: %.*s", by, SPAN_FMT(m->comment))
			   : by;
	if (store_enrol_put(d->store, &r, e))
		return -1;
	*ret = r;
	return 0;
}

int
est_request_trim(struct domain *d, struct err *e)
{
	return store_enrol_trim(d->store, domain_now(d) - EST_REQUEST_KEEP_MS, e);
}
