#ifndef PROTO_HTTP_CALL_H
#define PROTO_HTTP_CALL_H
/*
 * One HTTP request on its way through a handler: what came, questions to the core, the
 * answer. A call ends with exactly one of the functions marked "ends"; it is gone then.
 * When the peer goes first, the questions are dropped and the call ends by itself.
 */
#include "base/arena.h"
#include "codec/ipc_msg.h"
#include "proto/core_link.h"
#include "proto/wire_error.h"

struct env;
struct http_call;
struct http_req;
struct js;
struct stream;
struct stream_opts;

enum http_accepts {
	HTTP_ACCEPTS_NONE,
	HTTP_ACCEPTS_PUBLIC,
	HTTP_ACCEPTS_ANY,
	HTTP_ACCEPTS_CERT,
	HTTP_ACCEPTS_OPERATOR,
	HTTP_ACCEPTS_ENROL,
	HTTP_ACCEPTS_DEVICE
};
enum http_dialect {
	HTTP_DIALECT_HUB,
	HTTP_DIALECT_METHOD,
	HTTP_DIALECT_DPS,
	HTTP_DIALECT_ARM,
	HTTP_DIALECT_PLAIN,
	HTTP_DIALECT_OAUTH
};

#define HTTP_CALL_PARAMS  4
#define HTTP_CALL_OUT_MAX (8 * 1024 * 1024)

/* A handler reads these; only state and out are its own. */
struct http_call {
	const struct env *env;
	struct arena *arena;
	struct span param[HTTP_CALL_PARAMS]; /* the path's {}, decoded, in order */
	struct span query;                   /* still encoded */
	struct span body;
	struct ipc_peer peer;
	struct ipc_cred cred; /* NONE where the route accepts anybody */
	struct http_req *req;

	void *state;    /* in arena */
	struct buf out; /* what the handler gathers; freed with the call */

	/* the server's */
	enum http_dialect dialect;
	struct credential *credential; /* what cred's spans point into */
	struct core_owner owner;
	struct list all;            /* in the server's list of calls */
	char list_last[CAP_ID + 1]; /* of the list in out: the last ID that is in it */
	bool list_full;
	int64_t retry_s; /* Retry-After of 429 and 503; 0: the usual */
	bool streaming;
	void (*on_answer)(struct http_call *c, enum ipc_type type, const void *msg);
};

/* Asks the core; fn gets rows and the last frame (core_link.h). Where the question cannot
 * be asked the call is answered with that error (ends). */
void http_call_ask(struct http_call *c, enum ipc_type type, const void *msg,
    void (*fn)(struct http_call *c, enum ipc_type type, const void *msg));

/* The same for what takes its time: the core may be silent for wait_ms. */
void http_call_ask_for(struct http_call *c, int64_t wait_ms, enum ipc_type type,
    const void *msg,
    void (*fn)(struct http_call *c, enum ipc_type type, const void *msg));

/* Ends: a complete answer. type NULL: no Content-Type. */
void http_call_reply(struct http_call *c, int status, const char *type, struct span body);
/* Ends: JSON; v is taken. */
void http_call_json(struct http_call *c, int status, struct js *v);
/* Ends: the JSON text in c->out. */
void http_call_json_out(struct http_call *c, int status);
/* Appends a line of newline-delimited JSON to c->out. */
void http_call_line(struct http_call *c, const struct js *o);
/* Ends: the lines in c->out; what: they are, for the error where they do not fit. */
void http_call_lines_out(struct http_call *c, const char *what);
/* Ends: 204. */
void http_call_no_content(struct http_call *c);
/* For a GET that is no mere question: a HEAD is answered 405, and true returned. */
must_check bool http_call_refuse_head(struct http_call *c);
/* Ends: an error in the route's dialect. detail "" for none. */
void http_call_fail(struct http_call *c, const struct wire_error *w, const char *detail);
/* Ends: what the edge itself found wrong with the request. */
void http_call_fail_err(struct http_call *c, const struct err *e);
/* Ends: a failed DONE of the core. Its text is shown only to who was let in. */
void http_call_fail_done(struct http_call *c, const struct ipc_done *d);
/* Ends: the connection leaves HTTP and goes on as a stream (stream_websocket). */
struct stream *http_call_upgrade(
    struct http_call *c, struct span answer, const struct stream_opts *opts);
/* An answer in pieces: status 200, then pieces, then an end. on_room as in io/http.h. */
void http_call_stream_start(
    struct http_call *c, const char *type, void (*on_room)(void *call));
/* Ends. cut: the peer must see that it is not whole. */
void http_call_stream_end(struct http_call *c, bool cut);

/* Header of the answer; text from the program or checked to be without control
 * characters. */
void http_call_set(struct http_call *c, const char *name, const char *value);
/* The request's header, NULL where absent. */
const char *http_call_header(const struct http_call *c, const char *name);
/* A decimal query parameter; absent leaves *ret. */
must_check int http_call_query_int(const struct http_call *c, const char *key,
    int64_t min, int64_t max, int64_t *ret, struct err *e);
/* A text of at most cap bytes; absent leaves *ret. */
must_check int http_call_query_text(const struct http_call *c, const char *key,
    size_t cap, struct span *ret, struct err *e);
/* If-Match as the core takes it. ERR_CONFLICT where it can match nothing. */
must_check int http_call_if_match(
    const struct http_call *c, struct span *ret, struct err *e);
/* The body as a JSON object of at most max_depth; js_free by the caller. */
must_check struct js *http_call_object(
    const struct http_call *c, int max_depth, struct err *e);

/* A page of a list: x-ms-max-item-count (1 to most) and x-ms-continuation. */
must_check int http_call_page(const struct http_call *c, uint32_t most,
    uint32_t *ret_limit, struct span *ret_after, struct err *e);
/* Gathers the rows of a page in c->out as a JSON array. item: x-ms-item-type. */
void http_call_list_begin(struct http_call *c);
void http_call_list_add(struct http_call *c, const struct js *v, struct span id);
/* Ends: the array, with x-ms-continuation where there is more, absent on the last page;
 * or the error, where d says that the core failed. */
void http_call_list_end(struct http_call *c, const char *item, const struct ipc_done *d);

/* ---- for http_server alone ---- */
struct http_call *http_call_new(
    const struct env *env, struct http_req *r, struct list *all);
/* Drops the connection; the call is gone. */
void http_call_drop(struct http_call *c);

/* The handlers of tbl/route.def. */
#define ROUTE(method, path, accepts, dialect, cap, handler)                              \
	void handler(struct http_call *c);
#include "tbl/route.def"
#undef ROUTE

#endif
