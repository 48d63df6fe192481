#ifndef CMD_REMOTE_H
#define CMD_REMOTE_H
/*
 * Commands that speak with a running server: the options that say which and as whom, and
 * one exchange after the other.
 */
#include "base/clock.h"
#include "cmd/opt.h"
#include "cmd/render.h"
#include "fleet/service.h"

struct js;

struct remote {
	struct arena *arena;
	struct target_opts opts;
	const char *target; /* of --target; NULL: the home's server */
	const char *output; /* of --output */
	int64_t timeout_ms; /* of one exchange; 0: what is usual */
	bool json, tsv;     /* tsv: the command has it */
	enum render_form form;
	struct loop *loop;
	struct service *service; /* NULL before remote_open */
	struct rest *rest;       /* muster's own server; NULL where the target is Azure */
};

/* Fills the rows that name server, operator and output; returns their number, at most
 * REMOTE_ROWS. "-o" among argv becomes "--output". */
#define REMOTE_ROWS 9
size_t remote_rows(struct remote *r, struct opt *rows, int argc, char **argv);
/* opt_parse of own rows (ended by one without a name) and of these, -o tsv among them. */
must_check int remote_parse(
    struct remote *r, const struct opt_cmd *cmd, int argc, char **argv, struct err *e);
/* After the options were read. For a command that speaks muster's own API:
 * ERR_UNSUPPORTED where the target is Azure. */
must_check int remote_open(struct remote *r, struct err *e);
/* For a command of Azure's service APIs. */
must_check int remote_open_any(struct remote *r, struct err *e);
void remote_done(struct remote *r);
#define auto_remote __attribute__((cleanup(remote_done))) struct remote

/* prefix and name, encoded; in r's memory. */
const char *remote_path(struct remote *r, const char *prefix, const char *name);
/* One exchange in JSON, not repeated. body NULL: none. *ret, which may hold a secret, is
 * NULL where the answer has no body. */
must_check int remote_send(struct remote *r, const char *method, const char *target,
    const struct js *body, struct js **ret, struct err *e);
/* GET of newline-delimited JSON: its rows, up to the line that says it is whole; without
 * it ERR_CORRUPT. */
typedef int remote_visit(void *ctx, const struct js *row, struct err *e);
must_check int remote_each(
    struct remote *r, const char *target, remote_visit *visit, void *ctx, struct err *e);
/* The same of one page: *ret_end is that line, to be freed, whose "next" is what the next
 * page is asked after ("" = there is none). what: for errors. */
must_check int remote_page(struct remote *r, const char *target, const char *what,
    remote_visit *visit, void *ctx, struct js **ret_end, struct err *e);
/* Of a row: a text, "" where there is none; milliseconds as a time, "-" for 0. */
const char *remote_text(const struct js *row, const char *key);
const char *remote_time(const struct js *row, const char *key, char out[CLOCK_TEXT]);
/* The value in one line on stdout. */
void remote_print(const struct js *v);

/* GET; the answer's body, 2xx alone. what names it in errors. */
must_check int remote_get(struct remote *r, const char *target, const char *what,
    struct buf *body, struct err *e);
/* An exchange whose answer is JSON. ret NULL: it is not wanted; *ret NULL where there is
 * none. ret_answer NULL: its headers are not wanted. It may hold keys. */
must_check int remote_ask(struct remote *r, enum sign_in_plane p,
    const struct rest_request *q, const char *what, struct js **ret,
    struct rest_response *ret_answer, struct err *e);

#endif
