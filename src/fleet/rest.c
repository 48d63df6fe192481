/*
 * libcurl's multi interface on the loop: curl says which sockets and which moment it
 * waits for, the loop says when. A call lives from rest_start until its callback.
 */
#include "fleet/rest.h"

#include <stdio.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/num.h"
#include "base/rand.h"
#include "io/file.h"
#include "io/loop.h"

#define BACKOFF_MIN_MS 200
#define BACKOFF_MAX_MS 20000
#define METADATA       "169.254.169.254"

struct rest {
	struct loop *loop;
	CURLM *multi;
	struct loop_timer *timer;
	struct list calls;
	char *base, *ca, *cert, *key;
	int64_t timeout_ms, wait_max_s;
	bool local, plain;
};

struct rest_call {
	struct list node;
	struct rest *r;
	CURL *easy;
	struct curl_slist *headers;
	struct loop_timer *retry;
	struct buf in;
	struct rest_response response;
	char said[CURL_ERROR_SIZE];
	rest_fn fn;
	void *arg;
	int64_t again_ms; /* of a Retry-After that names a day: wall time; 0: none */
	int tries;
	bool once, looks, paced, running; /* looks: it changes nothing */
};

/* A socket that curl wants watched. */
struct watch {
	struct rest *r;
	struct loop_fd *fd;
	curl_socket_t socket;
};

static void collect(struct rest *r);

/* ---- curl's view of the loop ---- */

static void
act(struct rest *r, curl_socket_t s, int what)
{
	int running;
	curl_multi_socket_action(r->multi, s, what, &running);
	collect(r);
}

static void
on_socket(void *arg, unsigned ready)
{
	struct watch *w = arg;
	int what = (ready & LOOP_READ ? CURL_CSELECT_IN : 0) |
		   (ready & LOOP_WRITE ? CURL_CSELECT_OUT : 0);
	act(w->r, w->socket, what);
}

static void
on_timer(void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void
unwatch(struct rest *r, struct watch *w)
{
	if (!w)
		return;
	curl_multi_assign(r->multi, w->socket, NULL);
	loop_fd_free(w->fd);
	free(w);
}

static int
want_socket(CURL *easy, curl_socket_t s, int what, void *arg, void *known)
{
	struct rest *r = arg;
	struct watch *w = known;
	if (what == CURL_POLL_REMOVE) {
		unwatch(r, w);
		return 0;
	}
	if (!w) {
		w = own_alloc(sizeof(*w));
		*w = (struct watch){.r = r, .socket = s};
		w->fd = loop_fd_new(r->loop, s, on_socket, w);
		curl_multi_assign(r->multi, s, w);
	}
	unsigned mask = (what & CURL_POLL_IN ? LOOP_READ : 0) |
			(what & CURL_POLL_OUT ? LOOP_WRITE : 0);
	struct err e;
	return loop_fd_watch(w->fd, mask, &e);
}

static int
want_timer(CURLM *multi, long after_ms, void *arg)
{
	struct rest *r = arg;
	if (after_ms < 0)
		loop_timer_cancel(r->timer);
	else
		loop_timer_start(r->timer, after_ms);
	return 0;
}

/* ---- a call ---- */

static void
call_free(struct rest_call *c)
{
	list_del(&c->node);
	if (c->running)
		curl_multi_remove_handle(c->r->multi, c->easy);
	curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->headers);
	loop_timer_free(c->retry);
	buf_done(&c->in);
	free(c);
}

static size_t
on_body(char *p, size_t one, size_t n, void *arg)
{
	struct rest_call *c = arg;
	buf_put(&c->in, p, n);
	return c->in.bad ? 0 : n;
}

static bool
is_header(struct span line, const char *name, struct span *ret_value)
{
	size_t colon = span_find(line, ':');
	if (!span_ieq_str(span_head(line, colon), name))
		return false;
	*ret_value = span_trim(span_skip(line, colon + 1));
	return true;
}

/* 0 where it is none. */
static int64_t
date_ms(struct span s)
{
	char text[64];
	time_t at = span_to_str(s, text, sizeof(text)) ? curl_getdate(text, NULL) : -1;
	return at > 0 ? (int64_t)at * 1000 : 0;
}

/* RFC 9110 10.2.3: seconds or a date. curl's own reading of it takes some numbers for
 * dates, and a date by this machine's clock. */
static void
take_retry_after(struct rest_call *c, struct span s)
{
	size_t digits = 0;
	while (digits < s.len && s.p[digits] >= '0' && s.p[digits] <= '9')
		digits++;
	c->again_ms = digits < s.len ? date_ms(s) : 0;
	c->response.retry_after_s = 0;
	if (s.len && digits == s.len &&
	    !num_ok(s, 0, INT32_MAX, &c->response.retry_after_s))
		c->response.retry_after_s = INT32_MAX;
}

static size_t
on_header(char *p, size_t one, size_t n, void *arg)
{
	struct rest_call *c = arg;
	struct span line = span_of(p, n), value;
	if (is_header(line, "x-ms-continuation", &value) &&
	    !span_to_str(
		value, c->response.continuation, sizeof(c->response.continuation)))
		return 0; /* a page that would be lost */
	if (is_header(line, "date", &value))
		c->response.server_ms = date_ms(value);
	if (is_header(line, "retry-after", &value))
		take_retry_after(c, value);
	return n;
}

static void
begin(struct rest_call *c)
{
	buf_reset(&c->in);
	c->response = (struct rest_response){0};
	c->again_ms = 0;
	c->said[0] = '\0';
	c->tries++;
	c->running = true;
	curl_multi_add_handle(c->r->multi, c->easy);
}

static void
on_retry(void *arg)
{
	begin(arg);
}

/* Who answers 429 has not done what was asked; who answers 503 may be about to lose the
 * answer to a method that a device carries out. */
static bool
is_worth_retrying(const struct rest_call *c, CURLcode rc)
{
	if (c->tries >= REST_TRIES)
		return false;
	switch (rc) {
	case CURLE_OK:
		return (c->response.status == 429 && !c->paced) ||
		       (c->response.status == 503 && (!c->once || c->looks));
	case CURLE_COULDNT_CONNECT:
	case CURLE_SSL_CONNECT_ERROR: /* cut in the handshake; a bad certificate is
					 another */
		return true;
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
		return !c->once;
	default:
		return false;
	}
}

static void
retry_later(struct rest_call *c)
{
	int64_t told = c->response.retry_after_s * 1000;
	int64_t own = BACKOFF_MIN_MS << (c->tries - 1);
	int64_t wait = told ? told : own < BACKOFF_MAX_MS ? own : BACKOFF_MAX_MS;
	loop_timer_start(c->retry, wait + (int64_t)rand_below((uint64_t)wait / 2 + 1));
}

static const struct {
	CURLcode rc;
	enum err_code code;
} codes[] = {
    {CURLE_OPERATION_TIMEDOUT, ERR_TIMEOUT},
    {CURLE_PEER_FAILED_VERIFICATION, ERR_DENIED},
    {CURLE_SSL_CACERT_BADFILE, ERR_NOT_FOUND},
    {CURLE_SSL_CERTPROBLEM, ERR_PARSE},
    {CURLE_URL_MALFORMAT, ERR_USAGE},
    {CURLE_WRITE_ERROR, ERR_LIMIT},
};

static int
explain(const struct rest_call *c, CURLcode rc, struct err *e)
{
	enum err_code code = ERR_UNAVAILABLE;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].rc == rc)
			code = codes[i].code;
	return err_set(
	    e, code, "%s: %s", c->r->base, c->said[0] ? c->said : curl_easy_strerror(rc));
}

/* From the server's clock, where it tells it. */
static void
count_seconds(struct rest_call *c)
{
	int64_t now = c->response.server_ms;
	if (!now)
		now = clock_wall_ms(loop_clock(c->r->loop));
	if (c->again_ms > now)
		c->response.retry_after_s = (c->again_ms - now + 999) / 1000;
}

/* To ask before the time that was told would be one request more for who has too many. */
static void
give_up(struct rest_call *c)
{
	struct err why;
	err_set(&why, ERR_UNAVAILABLE,
	    "%s: HTTP %d, and not to be asked again for %lld s: longer than is waited "
	    "here (%lld s)",
	    c->r->base, c->response.status, (long long)c->response.retry_after_s,
	    (long long)c->r->wait_max_s);
	c->fn(c->arg, NULL, &why);
}

static void
finish(struct rest_call *c, CURLcode rc)
{
	long status = 0;
	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_multi_remove_handle(c->r->multi, c->easy);
	c->running = false;
	c->response.status = (int)status;
	count_seconds(c);
	bool again = is_worth_retrying(c, rc);
	bool too_long = again && c->response.retry_after_s > c->r->wait_max_s;
	if (again && !too_long) {
		retry_later(c);
		return;
	}
	struct err why;
	c->response.body = buf_span(&c->in);
	if (too_long)
		give_up(c);
	else if (rc == CURLE_OK)
		c->fn(c->arg, &c->response, NULL);
	else {
		explain(c, rc, &why);
		c->fn(c->arg, NULL, &why);
	}
	call_free(c);
}

static void
collect(struct rest *r)
{
	CURLMsg *msg;
	int left;
	while ((msg = curl_multi_info_read(r->multi, &left))) {
		struct rest_call *c;
		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		finish(c, msg->data.result);
	}
}

static void
header(struct rest_call *c, const char *name, const char *value)
{
	auto_buf line = BUF_INIT(32768); /* a bearer token may be long */
	line.secret = true;
	if (!value || !value[0])
		return;
	buf_printf(&line, "%s: %s", name, value);
	c->headers = curl_slist_append(c->headers, buf_text(&line));
}

static void
set_headers(struct rest_call *c, const struct rest_request *q)
{
	char number[24];
	snprintf(number, sizeof(number), "%lld", (long long)q->max_items);
	header(c, "Content-Type",
	    !q->body.p        ? NULL
	    : q->content_type ? q->content_type
			      : "application/json");
	header(c, "Accept", q->accept);
	header(c, "If-Match", q->if_match);
	header(c, "Authorization", q->authorization);
	header(c, "x-ms-continuation", q->continuation);
	header(c, "x-ms-max-item-count", q->max_items ? number : NULL);
	for (size_t i = 0; q->headers && q->headers[i]; i++)
		c->headers = curl_slist_append(c->headers, q->headers[i]);
	c->headers = curl_slist_append(c->headers, "Expect:");
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
}

static void
set_tls(struct rest_call *c, const struct rest_request *q)
{
	struct rest *r = c->r;
	/* both, or Debian's default directory would be trusted as well */
	if (r->ca) {
		curl_easy_setopt(c->easy, CURLOPT_CAINFO, r->ca);
		curl_easy_setopt(c->easy, CURLOPT_CAPATH, NULL);
	}
	curl_easy_setopt(c->easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	if (!r->cert || q->authorization)
		return;
	curl_easy_setopt(c->easy, CURLOPT_SSLCERT, r->cert);
	curl_easy_setopt(c->easy, CURLOPT_SSLKEY, r->key);
}

static void
set_request(struct rest_call *c, const struct rest_request *q)
{
	auto_buf url = BUF_INIT(16384);
	buf_printf(&url, "%s%s", c->r->base, q->target);
	curl_easy_setopt(c->easy, CURLOPT_URL, buf_text(&url));
	/* "/devices/." is a device's name, not a way out */
	curl_easy_setopt(c->easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, c->r->plain ? "http" : "https");
	curl_easy_setopt(c->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, (long)c->r->timeout_ms);
	if (c->r->local)
		curl_easy_setopt(c->easy, CURLOPT_PROXY, "");
	/* on a kept connection that ends without an answer curl would ask again by itself
	 */
	curl_easy_setopt(c->easy, CURLOPT_FRESH_CONNECT, c->once && !c->looks ? 1L : 0L);
	if (q->body.p || strcmp(q->method, "POST") == 0) {
		curl_easy_setopt(c->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS,
		    q->body.p ? (const char *)q->body.p : "");
		curl_easy_setopt(
		    c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.len);
	}
	curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, q->method);
	curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->said);
	curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
	curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
}

struct rest_call *
rest_start(struct rest *r, const struct rest_request *q, rest_fn fn, void *arg)
{
	struct rest_call *c = own_alloc(sizeof(*c));
	*c = (struct rest_call){
	    .r = r,
	    .easy = curl_easy_init(),
	    .in = BUF_INIT(REST_BODY_MAX),
	    .fn = fn,
	    .arg = arg,
	    .once = q->once,
	    .paced = q->paced,
	    .looks = strcmp(q->method, "GET") == 0,
	};
	c->in.secret = true; /* identities come with their keys */
	c->retry = loop_timer_new(r->loop, on_retry, c);
	list_push(&r->calls, &c->node);
	set_request(c, q);
	set_headers(c, q);
	set_tls(c, q);
	begin(c);
	return c;
}

void
rest_cancel(struct rest_call *c)
{
	if (c)
		call_free(c);
}

/* ---- life ---- */

static char *
copy(const char *s)
{
	return s ? own_strdup(s) : NULL;
}

/* The host behind the scheme; "127.0.0.1.example" is none of them. */
static bool
is_loopback(const char *base)
{
	struct span s = span_str(base);
	s = span_skip(s, span_starts(s, SPAN_LIT("https://")) ? 8 : 7);
	s = span_head(s, span_find(s, '/'));
	if (span_starts(s, SPAN_LIT("[::1]")))
		return true;
	s = span_head(s, span_find(s, ':'));
	bool digits = span_starts(s, SPAN_LIT("127."));
	for (size_t i = 0; i < s.len; i++)
		digits &= s.p[i] == '.' || (s.p[i] >= '0' && s.p[i] <= '9');
	return digits || span_eq_str(s, "localhost");
}

/* The address of a machine's identity endpoint, and no other. */
static bool
is_metadata(const struct rest_opts *o)
{
	struct span s = span_str(o->base);
	s = span_skip(s, span_starts(s, SPAN_LIT("http://")) ? 7 : 0);
	s = span_head(s, span_find(s, '/'));
	return o->metadata && span_eq_str(span_head(s, span_find(s, ':')), METADATA);
}

struct rest *
rest_new(struct loop *l, const struct rest_opts *o, struct err *e)
{
	bool plain = span_starts(span_str(o->base), SPAN_LIT("http://")) &&
		     (is_loopback(o->base) || is_metadata(o));
	/* "http://127.0.0.1:x@example.net" is a host of that name, to curl */
	bool tricky = span_has(span_str(o->base), '@');
	if (tricky || (!plain && !span_starts(span_str(o->base), SPAN_LIT("https://")))) {
		err_set(e, ERR_USAGE, "server %s: https://host:port is wanted", o->base);
		return NULL;
	}
	if (o->key && file_check_secret(o->key, e))
		return NULL;
	if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
		err_set(e, ERR_INTERNAL, "libcurl does not start");
		return NULL;
	}
	struct rest *r = own_alloc(sizeof(*r));
	*r = (struct rest){
	    .loop = l,
	    .multi = curl_multi_init(),
	    .base = own_strdup(o->base),
	    .ca = copy(o->ca),
	    .cert = copy(o->cert),
	    .key = copy(o->key),
	    .timeout_ms = o->timeout_ms,
	    .wait_max_s = o->wait_max_s ? o->wait_max_s : REST_WAIT_S,
	    .local = is_loopback(o->base) || o->metadata,
	    .plain = plain,
	};
	size_t len = strlen(r->base);
	if (len && r->base[len - 1] == '/')
		r->base[len - 1] = '\0';
	list_init(&r->calls);
	r->timer = loop_timer_new(l, on_timer, r);
	curl_multi_setopt(r->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(r->multi, CURLMOPT_SOCKETDATA, r);
	curl_multi_setopt(r->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(r->multi, CURLMOPT_TIMERDATA, r);
	curl_multi_setopt(r->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)o->conns_max);
	return r;
}

void
rest_free(struct rest *r)
{
	if (!r)
		return;
	list_each_safe (it, &r->calls)
		call_free(list_of(it, struct rest_call, node));
	curl_multi_cleanup(r->multi);
	loop_timer_free(r->timer);
	free(r->base);
	free(r->ca);
	free(r->cert);
	free(r->key);
	free(r);
}

const char *
rest_base(const struct rest *r)
{
	return r->base;
}

void
rest_waited(void *arg, const struct rest_response *response, const struct err *why)
{
	struct rest_waiter *w = arg;
	w->done = true;
	w->failed = !response;
	if (why)
		w->why = *why;
	if (!response)
		return;
	w->response = *response;
	buf_put_span(w->body, response->body);
}

int
rest_wait_end(const struct rest_waiter *w, const char *what, struct rest_response *ret,
    struct err *e)
{
	if (w->failed)
		return err_copy(e, &w->why);
	if (buf_check(w->body, what, e))
		return -1;
	*ret = w->response;
	ret->body = buf_span(w->body);
	return 0;
}

int
rest_wait(struct rest *r, const struct rest_request *q, struct buf *body,
    struct rest_response *ret, struct err *e)
{
	struct rest_waiter w = {.body = body};
	struct rest_call *c = rest_start(r, q, rest_waited, &w);
	while (!w.done)
		if (loop_turn(r->loop, -1, e)) {
			rest_cancel(c);
			return -1;
		}
	return rest_wait_end(&w, "the server's answer", ret, e);
}
