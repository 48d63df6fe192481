/*
 * Targets by name, and exchanges with them.
 */
#include "fleet/service.h"

#include <string.h>

#include "codec/conf.h"
#include "fleet/azure.h"
#include "io/file.h"
#include "io/loop.h"

#define TIMEOUT_MS 60000
#define OWN        "muster"

struct service {
	const char *name, *home;
	const struct targets_row *row; /* NULL: a muster */
	const char *resource[SIGN_IN_PLANES];
	struct rest *rest[SIGN_IN_PLANES]; /* a muster: the first alone */
	struct target target;
	const char *tier, *units;
	struct sign_in *sign_in;
};

/* ---- finding -------------------------------------------------------------------------
 */

/* A home without the file has no targets. */
static int
read_targets(const char *home, struct arena *a, const struct targets **ret, struct err *e)
{
	auto_buf text = BUF_INIT(CONF_FILE_MAX);
	struct targets *t = arena_alloc(a, sizeof(*t));
	const char *path = arena_printf(a, "%s/targets.conf", home);
	if (file_read(path, &text, e) && e->code != ERR_NOT_FOUND)
		return -1;
	if (targets_parse(buf_span(&text), a, t, e))
		return err_wrap(e, "%s", path);
	*ret = t;
	return 0;
}

int
service_is_known(const char *name, const struct target_opts *o, struct arena *a,
    bool *ret, struct err *e)
{
	const struct targets *t;
	if (read_targets(target_home(o->home, a), a, &t, e))
		return -1;
	*ret = targets_find(t, span_str(name)) != NULL;
	return 0;
}

/* *ret NULL: the home's own server. */
static int
find(const char *name, const char *home, struct arena *a, const struct targets_row **ret,
    struct err *e)
{
	auto_buf all = BUF_INIT(4096);
	const struct targets *t;
	*ret = NULL;
	if (!name)
		return 0;
	if (read_targets(home, a, &t, e))
		return -1;
	*ret = targets_find(t, span_str(name));
	if (*ret || strcmp(name, OWN) == 0)
		return 0;
	for (size_t i = 0; i < t->n; i++)
		buf_printf(&all, ", %s", t->row[i].name);
	return err_set(e, ERR_USAGE,
	    "no target '%s' in %s/targets.conf; there are " OWN "%.300s", name, home,
	    buf_text(&all));
}

static const char *
at_home(const char *file, const char *home, struct arena *a)
{
	return file[0] == '/' || !file[0] ? file : arena_printf(a, "%s/%s", home, file);
}

/* ---- opening -------------------------------------------------------------------------
 */

/* What the command line says goes before what the file says. */
static void
merge(const char **option, const char *file, const char *home, struct arena *a)
{
	if (!*option)
		*option = at_home(file, home, a);
}

static int
open_muster(struct service *s, struct loop *l, const struct service_opts *o,
    const struct targets_row *row, struct arena *a, struct err *e)
{
	struct target_opts to = o->target;
	struct target t;
	if (row) {
		to.server = to.server ? to.server : row->server;
		merge(&to.ca, row->ca, s->home, a);
	}
	if (row && !to.operator) { /* who names an operator of the home means that one */
		merge(&to.cert, row->cert, s->home, a);
		merge(&to.key, row->key, s->home, a);
	}
	if (target_find(&to, a, &t, e))
		return row ? err_wrap(e, "target %s", row->name) : -1;
	t.rest.timeout_ms = o->timeout_ms ? o->timeout_ms : t.rest.timeout_ms;
	t.rest.wait_max_s = o->wait_max_s;
	t.resource =
	    row && row->hub_resource[0] && !to.resource ? row->hub_resource : t.resource;
	s->target = t;
	s->tier = row ? row->tier : "";
	s->units = row ? row->units : "";
	s->name = row ? arena_printf(a, "target %s", row->name)
		      : arena_str(a, span_str(t.rest.base));
	s->resource[SIGN_IN_HUB] = t.resource;
	s->resource[SIGN_IN_DPS] =
	    row && row->dps_resource[0] ? row->dps_resource : TARGET_RESOURCE_DPS;
	s->rest[SIGN_IN_HUB] = rest_new(l, &t.rest, e);
	return s->rest[SIGN_IN_HUB] ? 0 : -1;
}

static int
open_plane(struct service *s, struct loop *l, const struct service_opts *o,
    enum sign_in_plane p, const char *base, struct arena *a, struct err *e)
{
	const struct rest_opts ro = {.base = base,
	    .ca = s->row->ca[0] ? at_home(s->row->ca, s->home, a) : NULL,
	    .timeout_ms = o->timeout_ms ? o->timeout_ms : TIMEOUT_MS,
	    .wait_max_s = o->wait_max_s,
	    .conns_max = o->conns_max ? o->conns_max : 2};
	s->rest[p] = rest_new(l, &ro, e);
	return s->rest[p] ? 0 : err_wrap(e, "%s", s->name);
}

/* What of a target is not spoken to by REST. */
static int
find_azure(
    struct service *s, const struct service_opts *o, struct arena *a, struct err *e)
{
	const char *host = sign_in_host(s->sign_in, SIGN_IN_HUB);
	s->target.rest.base = arena_printf(a, "https://%s", host);
	s->target.rest.ca = s->row->ca[0] ? at_home(s->row->ca, s->home, a) : NULL;
	s->target.resource = s->resource[SIGN_IN_HUB];
	return target_mqtt(&o->target, host, a, &s->target, e);
}

static int
open_azure(struct service *s, struct loop *l, const struct service_opts *o,
    const struct targets_row *row, struct arena *a, struct err *e)
{
	s->row = row;
	s->name = arena_printf(a, "target %s", row->name);
	s->resource[SIGN_IN_HUB] =
	    o->target.resource ? o->target.resource : row->hub_resource;
	s->resource[SIGN_IN_DPS] = row->dps_resource;
	s->tier = row->tier;
	s->units = row->units;
	if (o->target.server || o->target.cert || o->target.key || o->target.ca ||
	    o->target.operator)
		return err_set(e, ERR_USAGE,
		    "%s: --server, --ca, --operator, --cert and --key are for a muster",
		    s->name);
	s->sign_in = sign_in_new(l, row, s->home, e);
	if (!s->sign_in || find_azure(s, o, a, e))
		return -1;
	for (int i = 0; i < SIGN_IN_ARM; i++) {
		const char *host = sign_in_host(s->sign_in, (enum sign_in_plane)i);
		if (host[0] && open_plane(s, l, o, (enum sign_in_plane)i,
				   arena_printf(a, "https://%s", host), a, e))
			return -1;
	}
	return open_plane(
	    s, l, o, SIGN_IN_ARM, row->arm[0] ? row->arm : TARGETS_ARM, a, e);
}

struct service *
service_new(struct loop *l, const struct service_opts *o, struct arena *a, struct err *e)
{
	auto_(service_free) struct service *s = own_alloc(sizeof(*s));
	const struct targets_row *row;
	s->home = target_home(o->target.home, a);
	if (find(o->name, s->home, a, &row, e))
		return NULL;
	int rc = row && row->kind == TARGETS_AZURE ? open_azure(s, l, o, row, a, e)
						   : open_muster(s, l, o, row, a, e);
	return rc ? NULL : TAKE(s);
}

void
service_free(struct service *s)
{
	if (!s)
		return;
	for (int i = 0; i < SIGN_IN_PLANES; i++)
		rest_free(s->rest[i]);
	sign_in_free(s->sign_in);
	free(s);
}

/* ---- looking -------------------------------------------------------------------------
 */

enum targets_kind
service_kind(const struct service *s)
{
	return s->row ? TARGETS_AZURE : TARGETS_MUSTER;
}

const char *
service_name(const struct service *s)
{
	return s->name;
}

struct rest *
service_rest(const struct service *s)
{
	return s->row ? NULL : s->rest[SIGN_IN_HUB];
}

int
service_resource(
    const struct service *s, enum sign_in_plane of, const char **ret, struct err *e)
{
	if (!s->resource[of][0])
		return err_set(e, ERR_USAGE, "%s: set %s in targets.conf", s->name,
		    of == SIGN_IN_HUB ? "hub_resource" : "dps_resource");
	*ret = s->resource[of];
	return 0;
}

const struct target *
service_target(const struct service *s)
{
	return &s->target;
}

void
service_tier(const struct service *s, const char **ret_tier, const char **ret_units)
{
	*ret_tier = s->tier;
	*ret_units = s->units;
}

/* ---- exchanges -----------------------------------------------------------------------
 */

static const char *
advice(const struct service *s, const struct rest_request *q, enum err_code code)
{
	switch (code) {
	case ERR_DENIED:
		return s->row ? "; it does not accept the credential of targets.conf"
			      : "; it does not accept this operator's certificate";
	case ERR_FORBIDDEN:
		return "; the credential lacks the right";
	case ERR_CONFLICT:
		return q->if_match ? "; it was changed meanwhile: look at it, and repeat"
				   : "";
	default:
		return "";
	}
}

static int
check(const struct service *s, const struct rest_request *q,
    const struct rest_response *r, const char *what, struct err *e)
{
	struct err why = {0};
	if (azure_check(r, what, &why) == 0)
		return 0;
	if (why.code == ERR_BUSY && r->retry_after_s)
		return err_set(e, why.code, "%s; %s throttles: try again in %lld s",
		    why.text, s->name, (long long)r->retry_after_s);
	return err_set(e, why.code, "%s%s", why.text, advice(s, q, why.code));
}

static int
authorize(struct service *s, enum sign_in_plane p, struct rest_request *q,
    bool *ret_fresh, struct err *e)
{
	*ret_fresh = true;
	if (!s->sign_in)
		return 0;
	return sign_in_authorization(s->sign_in, p, &q->authorization, ret_fresh, e);
}

int
service_plane(struct service *s, enum sign_in_plane p, struct rest **ret, struct err *e)
{
	*ret = s->rest[s->row ? p : SIGN_IN_HUB];
	if (*ret)
		return 0;
	return err_set(e, ERR_USAGE, "%s: set %s in targets.conf", s->name,
	    p == SIGN_IN_HUB ? "hub" : "dps");
}

int
service_sign_in(struct service *s, enum sign_in_plane p, struct err *e)
{
	struct rest_request q = {0};
	bool fresh;
	return authorize(s, p, &q, &fresh, e);
}

bool
service_authorization(const struct service *s, enum sign_in_plane p, const char **ret)
{
	*ret = s->sign_in ? sign_in_ready(s->sign_in, p) : NULL;
	return !s->sign_in || *ret;
}

void
service_forget(struct service *s, enum sign_in_plane p)
{
	if (s->sign_in)
		sign_in_forget(s->sign_in, p);
}

static int
ask(struct service *s, enum sign_in_plane p, const struct rest_request *q,
    struct buf *body, struct rest_response *ret, bool *ret_fresh, struct err *e)
{
	struct rest_request signed_q = *q;
	struct rest *rest;
	if (service_plane(s, p, &rest, e) || authorize(s, p, &signed_q, ret_fresh, e))
		return -1;
	if (rest_wait(rest, &signed_q, body, ret, e))
		return -1;
	ret->body = buf_span(body);
	return 0;
}

int
service_call(struct service *s, enum sign_in_plane p, const struct rest_request *q,
    const char *what, struct buf *body, struct rest_response *ret, struct err *e)
{
	struct rest_response answer;
	bool fresh;
	if (q->if_match && !q->if_match[0]) /* without the header it would match all */
		return err_set(e, ERR_USAGE, "%s: an empty ETag is no version", what);
	if (ask(s, p, q, body, &answer, &fresh, e))
		return err_wrap(e, "%s", what);
	/* a token that was kept may have been withdrawn, or the clock set */
	if (answer.status == 401 && !fresh) {
		sign_in_forget(s->sign_in, p);
		buf_reset(body);
		if (ask(s, p, q, body, &answer, &fresh, e))
			return err_wrap(e, "%s", what);
	}
	if (check(s, q, &answer, what, e))
		return -1;
	if (ret)
		*ret = answer;
	return 0;
}
