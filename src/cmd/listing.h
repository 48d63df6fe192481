#ifndef CMD_LISTING_H
#define CMD_LISTING_H
/*
 * Lists of the service APIs, a page a request (x-ms-continuation), as a table, JSON or
 * TSV, or row by row.
 */
#include "cmd/remote.h"

struct listing {
	enum sign_in_plane plane;
	const char *method, *target;
	const struct js *body;            /* NULL: none */
	const char *what;                 /* in errors: "devices" */
	const struct render_column *cols; /* NULL: the members of the first row */
	int64_t top;                      /* 0: all of them */
	/* not NULL: the rows go here, and nothing is printed; -1 ends the list */
	int (*each)(void *ctx, const struct js *row, struct err *e);
	void *ctx;
};

/* r is open. Prints; where nothing is listed, or more is there, standard error says so.
 */
must_check int listing_run(struct remote *r, const struct listing *l, struct err *e);
/* A list that came whole, "value" of the resource manager's; what: "policies". */
void listing_print(const struct remote *r, const struct render_column *cols,
    const struct js *list, const char *what);

#endif
