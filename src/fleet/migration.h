#ifndef FLEET_MIGRATION_H
#define FLEET_MIGRATION_H
/*
 * One open campaign and all that its commands share: the file, the server, the way to the
 * devices, the output. The verbs (plan run rollback verify seal) each have their header.
 */
#include "base/arena.h"
#include "fleet/gate.h"
#include "fleet/progress.h"
#include "fleet/ssh.h"
#include "fleet/target.h"
#include "store/campaign.h"

struct loop;

#define MIGRATION_GROUP        "muster-x509"
#define MIGRATION_PARALLEL     50
#define MIGRATION_PARALLEL_MAX 500

struct migration_opts {
	struct target_opts target;
	const char *dir; /* of the campaign */
	bool json;
	/* of the devices; written by plan, overridden by later commands */
	struct ssh_opts ssh;
	int64_t parallel;
	int64_t resume_ms; /* how long a switched device may stay silent */
};

struct migration {
	const struct migration_opts *o;
	struct arena *arena; /* of the command */
	struct loop *loop;
	struct rest *rest;
	struct target target;
	struct campaign *file;
	const char *group;
	struct progress progress;
	int lock;         /* held by who changes devices */
	int64_t ahead_ms; /* the hub's clock before ours, see migration_hub_ms */
};

/* Opens the campaign (file and server). exclusive: takes the campaign's lock, ERR_EXISTS
 * when another command holds it. On failure migration_done is still to be called. */
must_check int migration_open(
    struct migration *m, const struct migration_opts *o, bool exclusive, struct err *e);
/* The file alone, for commands that ask no server. */
must_check int migration_open_file(
    struct migration *m, const struct migration_opts *o, struct err *e);
void migration_done(struct migration *m);

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
/* The same as rest_wait plus azure_check, body in a fresh buffer of the caller. */
must_check int migration_ask(struct migration *m, const struct rest_request *q,
    const char *what, struct buf *body, struct rest_response *ret, struct err *e);

/* The hub's time: what its records and its tokens' ends are compared with. By the Date of
 * the last answer to migration_ask (cut to the second, so never fast), else our clock. */
int64_t migration_hub_ms(const struct migration *m);

/* Visits every device of the hub, page by page. */
struct azure_device;
must_check int migration_each_device(struct migration *m,
    int (*visit)(void *ctx, const struct azure_device *d, struct err *e), void *ctx,
    struct err *e);
/* Visits every row of a log, page by page, to its end. */
struct azure_log_filter;
struct azure_row;
must_check int migration_each_row(struct migration *m, bool events,
    const struct azure_log_filter *f,
    int (*visit)(void *ctx, const struct azure_row *r, struct err *e), void *ctx,
    int64_t *ret_complete_since_ms, struct err *e);

#endif
