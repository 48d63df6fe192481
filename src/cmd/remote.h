#ifndef CMD_REMOTE_H
#define CMD_REMOTE_H
/*
 * Commands that speak with a running server: the options that say which and as whom, and
 * one exchange after the other.
 */
#include "cmd/opt.h"
#include "fleet/rest.h"
#include "fleet/target.h"

struct js;

struct remote {
	struct arena *arena;
	struct target_opts opts;
	const char *output; /* of --output */
	bool json;
	struct loop *loop;
	struct rest *rest; /* NULL before remote_open */
};

/* Fills the rows that name server, operator and output; returns their number, at most
 * REMOTE_ROWS. "-o" among argv becomes "--output". */
#define REMOTE_ROWS 8
size_t remote_rows(struct remote *r, struct opt *rows, int argc, char **argv);
/* After the options were read. */
must_check int remote_open(struct remote *r, struct err *e);
void remote_done(struct remote *r);
#define auto_remote __attribute__((cleanup(remote_done))) struct remote

/* GET; the answer's body, 2xx alone. what names it in errors. */
must_check int remote_get(struct remote *r, const char *target, const char *what,
    struct buf *body, struct err *e);

#endif
