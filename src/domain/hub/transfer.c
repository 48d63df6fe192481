/*
 * What may be imported and exported, and when it is over.
 */
#include "domain/hub/transfer.h"

#include "base/hex.h"
#include "base/rand.h"
#include "codec/blob_url.h"
#include "domain/hub/hubs.h"

#define ID_BYTES 16

/* A container's URI with what opens it, behind a '?'. Whoever may write the registry may
 * not have us talk to what listens on this machine and asks its neighbours for nothing.
 */
static int
check_container(const struct domain *d, struct span uri, const char *what, struct err *e)
{
	struct blob_url url;
	struct span rest = uri;
	struct span place = span_split(&rest, '?');
	if (blob_url_parse(place, &url, e))
		return err_set(e, ERR_PARSE, "%s: a container's URI is wanted", what);
	if (!url.is_https && !d->cfg->hub.local_storage)
		return err_set(e, ERR_PARSE,
		    "%s: https is wanted (hub.local_storage is not set)", what);
	if (!rest.len)
		return err_set(
		    e, ERR_PARSE, "%s: a shared access signature is wanted", what);
	return 0;
}

static int
check_name(struct span name, const char *what, struct err *e)
{
	if (!name.len || name.p[0] == '/' || span_has(name, '?') || span_has(name, '#') ||
	    span_has(name, '%') || span_has(name, '\\'))
		return err_set(e, ERR_PARSE, "%s: not a name for a blob", what);
	return 0;
}

static int
check_put(const struct domain *d, const struct ipc_transfer_put *m, struct err *e)
{
	if (check_container(d, m->output, "outputBlobContainerUri", e) ||
	    check_name(m->output_name, "outputBlobName", e))
		return -1;
	if (m->exports)
		return 0;
	return check_container(d, m->input, "inputBlobContainerUri", e) ||
		       check_name(m->input_name, "inputBlobName", e)
		   ? -1
		   : 0;
}

int
transfer_put(struct domain *d, const struct ipc_transfer_put *m, bool keys,
    struct store_transfer *ret, struct refusal *no, struct err *e)
{
	uint8_t id[ID_BYTES];
	char text[2 * ID_BYTES + 1];
	struct store_transfer other;
	*no = (struct refusal){0};
	if (check_put(d, m, e))
		return -1;
	if (m->exports && !m->no_keys && !keys)
		return refusal_set(no, REFUSAL_RIGHT, "to see keys");
	if (store_transfer_open(d->store, d->arena, &other, e) == 0)
		return refusal_set(no, REFUSAL_JOBS_FULL, "%s is open", other.id);
	if (e->code != ERR_NOT_FOUND)
		return -1;
	rand_bytes(id, sizeof(id));
	hex_write(span_of(id, sizeof(id)), text);
	const struct store_transfer t = {.hub = hubs_asked(d->cfg, m->peer.host),
	    .id = arena_str(d->arena, span_str(text)),
	    .exports = m->exports,
	    .input = arena_str(d->arena, m->input),
	    .input_name = arena_str(d->arena, m->input_name),
	    .output = arena_str(d->arena, m->output),
	    .output_name = arena_str(d->arena, m->output_name),
	    .no_keys = m->no_keys,
	    .created_ms = domain_now(d),
	    .status = STORE_JOB_QUEUED,
	    .reason = ""};
	*ret = t;
	return store_transfer_add(d->store, &t, e);
}

int
transfer_get(struct domain *d, struct span host, struct span id,
    struct store_transfer *ret, struct refusal *no, struct err *e)
{
	*no = (struct refusal){0};
	const char *name = arena_str(d->arena, id);
	if (store_transfer_get(
		d->store, hubs_asked(d->cfg, host), name, d->arena, ret, e) == 0)
		return 0;
	return e->code == ERR_NOT_FOUND ? refusal_set(no, REFUSAL_JOB_UNKNOWN, "%s", name)
					: -1;
}

int
transfer_end(struct domain *d, struct store_transfer *t, int status, const char *why,
    struct err *e)
{
	t->status = status;
	t->ended_ms = domain_now(d);
	t->reason = arena_str(d->arena, span_head(span_str(why), 300));
	return store_transfer_put(d->store, t, e);
}

int
transfer_cancel(
    struct domain *d, struct span host, struct span id, struct refusal *no, struct err *e)
{
	struct store_transfer t;
	if (transfer_get(d, host, id, &t, no, e))
		return -1;
	if (no->code != REFUSAL_NONE || t.status >= STORE_JOB_COMPLETED)
		return 0;
	return transfer_end(d, &t, STORE_JOB_CANCELLED, "", e);
}
