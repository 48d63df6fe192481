/*
 * libcurl on the loop: curl says which sockets and which moment it waits for, the loop
 * says when. A call lives from hook_call_post until its function was called.
 */
#include "role/hook_call.h"

#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/buf.h"
#include "base/list.h"
#include "io/loop.h"
#include "proto/dps/hook_json.h"

struct hook_call_pool {
	struct loop *loop;
	CURLM *multi;
	struct curl_slist *headers;
	struct loop_timer *timer;
	struct list calls;
	size_t n;
	struct buf ca;
};

struct call {
	struct list node;
	struct hook_call_pool *of;
	CURL *easy;
	struct buf answer;
	char said[CURL_ERROR_SIZE];
	const char *noun;
	struct curl_slist *headers; /* its own; NULL: the pool's */
	bool hook, past_end;
	hook_call_fn *fn;
	void *arg;
	uint64_t tag;
};

/* A socket that curl wants watched. */
struct watch {
	struct hook_call_pool *of;
	struct loop_fd *fd;
	curl_socket_t socket;
};

static void collect(struct hook_call_pool *h);

/* ---- curl's view of the loop ----------------------------------------------------------
 */

static void
act(struct hook_call_pool *h, curl_socket_t s, int what)
{
	int running;
	curl_multi_socket_action(h->multi, s, what, &running);
	collect(h);
}

static void
on_socket(void *arg, unsigned ready)
{
	struct watch *w = arg;
	int what = (ready & LOOP_READ ? CURL_CSELECT_IN : 0) |
		   (ready & LOOP_WRITE ? CURL_CSELECT_OUT : 0);
	act(w->of, w->socket, what);
}

static void
on_timer(void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int
unwatch(struct watch *w)
{
	if (!w)
		return 0;
	curl_multi_assign(w->of->multi, w->socket, NULL);
	loop_fd_free(w->fd);
	free(w);
	return 0;
}

static int
want_socket(CURL *easy, curl_socket_t s, int what, void *arg, void *known)
{
	struct hook_call_pool *h = arg;
	struct watch *w = known;
	struct err e;
	(void)easy;
	if (what == CURL_POLL_REMOVE)
		return unwatch(w);
	if (!w) {
		w = own_alloc(sizeof(*w));
		*w = (struct watch){.of = h, .socket = s};
		w->fd = loop_fd_new(h->loop, s, on_socket, w);
		curl_multi_assign(h->multi, s, w);
	}
	unsigned mask = (what & CURL_POLL_IN ? LOOP_READ : 0) |
			(what & CURL_POLL_OUT ? LOOP_WRITE : 0);
	return loop_fd_watch(w->fd, mask, &e);
}

static int
want_timer(CURLM *multi, long after_ms, void *arg)
{
	struct hook_call_pool *h = arg;
	(void)multi;
	if (after_ms < 0)
		loop_timer_cancel(h->timer);
	else
		loop_timer_start(h->timer, after_ms);
	return 0;
}

/* ---- a call ---------------------------------------------------------------------------
 */

static void
call_free(struct call *c)
{
	list_del(&c->node);
	c->of->n--;
	curl_multi_remove_handle(c->of->multi, c->easy);
	curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->headers);
	buf_done(&c->answer);
	free(c);
}

static size_t
on_body(char *p, size_t one, size_t n, void *arg)
{
	struct call *c = arg;
	(void)one;
	buf_put(&c->answer, p, n);
	return c->answer.bad ? 0 : n;
}

static int
judge_status(struct call *c, long status, struct err *e)
{
	bool good = c->hook ? status == 200 : status / 100 == 2;
	if (c->past_end && status == 416) {
		buf_reset(&c->answer);
		return 0;
	}
	if (good)
		return 0;
	bool ours = !c->hook && status / 100 == 4 && status != 408 && status != 429;
	return err_set(
	    e, ours ? ERR_DENIED : ERR_UNAVAILABLE, "%s: status %ld", c->noun, status);
}

static int
judge(struct call *c, CURLcode rc, struct err *e)
{
	long status = 0;
	if (c->answer.bad)
		return err_set(e, ERR_LIMIT, "%s: its answer is over %zu bytes", c->noun,
		    c->answer.max);
	if (rc)
		return err_set(e,
		    rc == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_UNAVAILABLE,
		    "%s: %s", c->noun, c->said[0] ? c->said : curl_easy_strerror(rc));
	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	return judge_status(c, status, e);
}

static void
finish(struct call *c, CURLcode rc)
{
	struct err why = {0};
	int bad = judge(c, rc, &why);
	struct span body = buf_span(&c->answer);
	if (bad)
		c->fn(c->arg, c->tag, NULL, &why);
	else
		c->fn(c->arg, c->tag, &body, NULL);
	call_free(c);
}

static void
collect(struct hook_call_pool *h)
{
	CURLMsg *msg;
	int left;
	while ((msg = curl_multi_info_read(h->multi, &left))) {
		struct call *c;
		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		finish(c, msg->data.result);
	}
}

/* A body goes as a POST does, under the method's own name. */
static void
set_method(struct call *c, const char *method, struct span body)
{
	if (strcmp(method, "GET") == 0)
		return;
	curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE, (long)body.len);
	curl_easy_setopt(
	    c->easy, CURLOPT_COPYPOSTFIELDS, body.len ? (const char *)body.p : "");
	curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, method);
}

static void
set_up(struct call *c, const char *method, const char *url, struct span body,
    int64_t timeout_ms)
{
	struct hook_call_pool *h = c->of;
	curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
	curl_easy_setopt(c->easy, CURLOPT_URL, url);
	curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms);
	curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->said);
	curl_easy_setopt(
	    c->easy, CURLOPT_HTTPHEADER, c->headers ? c->headers : h->headers);
	set_method(c, method, body);
	curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	if (!h->ca.len)
		return;
	struct curl_blob ca = {.data = h->ca.p, .len = h->ca.len};
	curl_easy_setopt(c->easy, CURLOPT_CAINFO_BLOB, &ca);
	/* or Debian's default directory would be trusted as well */
	curl_easy_setopt(c->easy, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(c->easy, CURLOPT_CAPATH, NULL);
}

static struct curl_slist *
list_of_headers(const char *const *all)
{
	struct curl_slist *list = NULL;
	for (; all && *all; all++)
		list = curl_slist_append(list, *all);
	return list ? curl_slist_append(list, "Expect:") : NULL;
}

int
hook_call_send(struct hook_call_pool *h, const struct hook_call_req *req,
    hook_call_fn *fn, void *arg, uint64_t tag, struct err *e)
{
	auto_(free) char *text = own_alloc(req->url.len + 1);
	if (!hook_json_url(req->url) || !span_to_str(req->url, text, req->url.len + 1))
		return err_set(e, ERR_USAGE,
		    "%s: its URL is neither https nor http to this machine", req->noun);
	if (h->n >= HOOK_CALL_MAX)
		return err_set(
		    e, ERR_BUSY, "%s: %d calls are under way", req->noun, HOOK_CALL_MAX);
	CURL *easy = curl_easy_init();
	if (!easy)
		return err_set(e, ERR_INTERNAL, "%s: libcurl has no handle", req->noun);
	struct call *c = own_alloc(sizeof(*c));
	*c = (struct call){.of = h,
	    .easy = easy,
	    .answer = BUF_INIT(req->answer_max),
	    .noun = req->noun,
	    .headers = list_of_headers(req->headers),
	    .hook = !req->headers,
	    .past_end = req->past_end,
	    .fn = fn,
	    .arg = arg,
	    .tag = tag};
	list_push(&h->calls, &c->node);
	h->n++;
	set_up(c, req->method, text, req->body, req->timeout_ms);
	curl_multi_add_handle(h->multi, easy);
	return 0;
}

int
hook_call_post(struct hook_call_pool *h, struct span url, struct span body,
    int64_t timeout_ms, hook_call_fn *fn, void *arg, uint64_t tag, struct err *e)
{
	const struct hook_call_req req = {.noun = "webhook",
	    .method = "POST",
	    .url = url,
	    .body = body,
	    .answer_max = HOOK_CALL_ANSWER_MAX,
	    .timeout_ms = timeout_ms};
	return hook_call_send(h, &req, fn, arg, tag, e);
}

/* ---- life -----------------------------------------------------------------------------
 */

struct hook_call_pool *
hook_call_new(struct loop *l, struct span ca_pem, struct err *e)
{
	static const char *const headers[] = {"Content-Type: application/json",
	    "Accept: application/json", "User-Agent: muster/" MUSTER_VERSION, "Expect:"};
	if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
		err_set(e, ERR_INTERNAL, "webhook: libcurl does not start");
		return NULL;
	}
	struct hook_call_pool *h = own_alloc(sizeof(*h));
	h->loop = l;
	h->ca = BUF_INIT(ca_pem.len);
	buf_put_span(&h->ca, ca_pem);
	list_init(&h->calls);
	h->timer = loop_timer_new(l, on_timer, h);
	h->multi = curl_multi_init();
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		h->headers = curl_slist_append(h->headers, headers[i]);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	return h;
}

void
hook_call_drop(struct hook_call_pool *h)
{
	while (!list_empty(&h->calls))
		call_free(list_of(h->calls.next, struct call, node));
}

void
hook_call_free(struct hook_call_pool *h)
{
	if (!h)
		return;
	hook_call_drop(h);
	curl_multi_cleanup(h->multi);
	curl_slist_free_all(h->headers);
	loop_timer_free(h->timer);
	buf_done(&h->ca);
	free(h);
}
