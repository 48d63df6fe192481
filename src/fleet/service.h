#ifndef FLEET_SERVICE_H
#define FLEET_SERVICE_H
/*
 * A target as commands use it: the service APIs of its hub, its provisioning service and
 * its resource manager, each wherever it is, and signed in. One exchange after the other.
 */
#include "fleet/rest.h"
#include "fleet/sign_in.h"
#include "fleet/target.h"

struct service;

struct service_opts {
	const char *name;          /* of --target; NULL: the home's own server */
	struct target_opts target; /* where and as whom, where it is a muster */
	int64_t timeout_ms;        /* of one try; 0: what is usual */
	int64_t conns_max;         /* to each plane; 0: what is usual */
	int64_t wait_max_s;        /* as of rest_opts */
};

/* Reads HOME/targets.conf where a name asks for it. ERR_USAGE names the targets there
 * are. "muster" is the home's own server where no section is called so. */
must_check struct service *service_new(
    struct loop *l, const struct service_opts *o, struct arena *a, struct err *e);
void service_free(struct service *s);
own_define(struct service, service_free);

/* Whether targets.conf has a section of that name. */
must_check int service_is_known(const char *name, const struct target_opts *o,
    struct arena *a, bool *ret, struct err *e);

enum targets_kind service_kind(const struct service *s);
/* What errors call it: "target prod", or the server's URL. */
const char *service_name(const struct service *s);
/* muster's own server, for its own API; NULL where the target is Azure. */
struct rest *service_rest(const struct service *s);
/* Where MQTT is, whose CA vouches for it, the hub's path in ARM. Of Azure rest.base is
 * the hub's. */
const struct target *service_target(const struct service *s);
/* What targets.conf says of the hub's throttles; "" where it does not. */
void service_tier(const struct service *s, const char **ret_tier, const char **ret_units);
/* The path in ARM of hub or provisioning service. ERR_USAGE where none is known. */
must_check int service_resource(
    const struct service *s, enum sign_in_plane of, const char **ret, struct err *e);

/* An exchange: the body is appended to body, 2xx alone. what names the thing in errors,
 * which tell the target's own words and what can be done. q->authorization is set here.
 * ret may be NULL. */
must_check int service_call(struct service *s, enum sign_in_plane p,
    const struct rest_request *q, const char *what, struct buf *body,
    struct rest_response *ret, struct err *e);

/* ---- for fleet/exchange.h, which has many of them under way ---- */

/* ERR_USAGE where the target has no such plane. */
must_check int service_plane(
    struct service *s, enum sign_in_plane p, struct rest **ret, struct err *e);
/* Fetches what is to be told in the Authorization header; may run the loop. Nothing to do
 * for a muster. */
must_check int service_sign_in(struct service *s, enum sign_in_plane p, struct err *e);
/* false: service_sign_in first. *ret NULL: the operator's certificate does it. */
bool service_authorization(
    const struct service *s, enum sign_in_plane p, const char **ret);
/* The target did not take it. */
void service_forget(struct service *s, enum sign_in_plane p);

#endif
