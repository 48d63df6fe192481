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
/* The path in ARM of hub or provisioning service. ERR_USAGE where none is known. */
must_check int service_resource(
    const struct service *s, enum sign_in_plane of, const char **ret, struct err *e);

/* An exchange: the body is appended to body, 2xx alone. what names the thing in errors,
 * which tell the target's own words and what can be done. q->authorization is set here.
 * ret may be NULL. */
must_check int service_call(struct service *s, enum sign_in_plane p,
    const struct rest_request *q, const char *what, struct buf *body,
    struct rest_response *ret, struct err *e);

#endif
