#ifndef FLEET_MIGRATION_H
#define FLEET_MIGRATION_H
/*
 * One open campaign and all that its commands share: the file, the target, the way to the
 * devices, the output. The verbs (plan run rollback verify seal) each have their header.
 *
 * The target's service APIs are all that is asked of it. Certificates are signed by the
 * home's own server, and by the target where that is a muster; a muster's two logs are
 * read where there are some.
 */
#include "base/arena.h"
#include "fleet/exchange.h"
#include "fleet/gate.h"
#include "fleet/progress.h"
#include "fleet/ssh.h"
#include "fleet/service.h"
#include "store/campaign.h"

struct loop;

#define MIGRATION_GROUP        "muster-x509"
#define MIGRATION_PARALLEL     50
#define MIGRATION_PARALLEL_MAX 500

struct migration_opts {
	const char *target_name; /* of targets.conf; NULL: the home's own server */
	struct target_opts target;
	const char *dir; /* of the campaign */
	bool json;
	/* of the devices; written by plan, overridden by later commands */
	struct ssh_opts ssh;
	int64_t parallel;
	int64_t resume_ms; /* how long a switched device may stay silent; 0: usual */
};

struct migration {
	const struct migration_opts *o;
	struct arena *arena; /* of the command */
	struct loop *loop;
	struct service *service;
	struct exchange *calls;
	struct rest *logs;    /* muster's own API; NULL: the target has none */
	struct rest *est;     /* who signs; NULL until migration_open_est */
	struct service *home; /* the home's server, where the target does not sign */
	const struct target *target;
	struct campaign *file;
	const char *group;
	struct progress progress;
	int lock; /* held by who changes devices */
};

/* Opens the campaign (file and server). exclusive: takes the campaign's lock, ERR_EXISTS
 * when another command holds it. On failure migration_done is still to be called. */
must_check int migration_open(
    struct migration *m, const struct migration_opts *o, bool exclusive, struct err *e);
/* The file alone, for commands that ask no server. */
must_check int migration_open_file(
    struct migration *m, const struct migration_opts *o, struct err *e);
/* The target alone, by the options; plan's, before there is a file. */
must_check int migration_open_target(
    struct migration *m, const char *name, struct err *e);
/* m->est. */
must_check int migration_open_est(struct migration *m, struct err *e);
void migration_done(struct migration *m);

/* How long a switched device may stay silent. */
int64_t migration_resume_ms(const struct migration *m);
/* DIR/name, in the command's arena. */
const char *migration_path(struct migration *m, const char *name);
/* Fills what the command line left open about the way to the devices from what plan
 * recorded. */
must_check int migration_ssh(struct migration *m, struct ssh_opts *o, struct err *e);
/* Meta values; def where absent. */
must_check int migration_get(struct migration *m, const char *key, const char *def,
    const char **ret, struct err *e);
must_check int migration_get_int(
    struct migration *m, const char *key, int64_t def, int64_t *ret, struct err *e);
must_check int migration_put_int(
    struct migration *m, const char *key, int64_t v, struct err *e);
/* As exchange_wait plus azure_check, body in a fresh buffer of the caller. */
must_check int migration_ask(struct migration *m, enum pace_family f,
    const struct rest_request *q, const char *what, struct buf *body,
    struct rest_response *ret, struct err *e);
/* The same of m->est or m->logs. */
must_check int migration_ask_rest(struct migration *m, struct rest *rest,
    const struct rest_request *q, const char *what, struct buf *body,
    struct rest_response *ret, struct err *e);

/* The hub's time: what its records and its tokens' ends are compared with. By the Date of
 * its last answer (cut to the second, so never fast), else our clock. */
int64_t migration_hub_ms(const struct migration *m);

/* Visits every row that a query of fleet/azure.h has, page by page. */
struct azure_device;
typedef void migration_query(
    void *ctx, struct arena *a, const char *continuation, struct rest_request *ret);
must_check int migration_each_found(struct migration *m, migration_query *query,
    void *ctx, int (*visit)(void *ctx, const struct azure_device *d, struct err *e),
    void *visit_ctx, struct err *e);
/* The same: every device of the hub. */
must_check int migration_each_device(struct migration *m,
    int (*visit)(void *ctx, const struct azure_device *d, struct err *e), void *ctx,
    struct err *e);
/* Visits every row of a log (m->logs), page by page, to its end. */
struct azure_log_filter;
struct azure_row;
must_check int migration_each_row(struct migration *m, bool events,
    const struct azure_log_filter *f,
    int (*visit)(void *ctx, const struct azure_row *r, struct err *e), void *ctx,
    int64_t *ret_complete_since_ms, struct err *e);

#endif
