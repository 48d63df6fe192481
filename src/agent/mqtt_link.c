/*
 * libmosquitto on our loop. Its functions may close the socket and call back at any time,
 * so every call into it stands between enter() and leave(): what its callbacks report is
 * kept, and handed to the owner only when libmosquitto is off the stack. Its own loop is
 * not used: that is select(), which cannot hold a descriptor above 1023.
 */
#include "agent/mqtt_link.h"

#include <errno.h>
#include <fcntl.h>
#include <mosquitto.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/list.h"
#include "base/sm.h"
#include "crypto/tls.h"
#include "io/loop.h"

#define TICK_MS       1000
#define OPENING_TURNS 500 /* readiness events without an answer: it is spinning */
#define MESSAGE_MAX   (256 * 1024)
#define PENDING_MAX   1024

enum { LINK_TCP, LINK_TLS, LINK_OPEN, LINK_CLOSED, LINK_STATES };

static const struct sm_state states[LINK_STATES] = {
    [LINK_TCP] = {"tcp", SM_TO(LINK_TLS) | SM_TO(LINK_CLOSED)},
    [LINK_TLS] = {"tls", SM_TO(LINK_OPEN) | SM_TO(LINK_CLOSED)},
    [LINK_OPEN] = {"open", SM_TO(LINK_CLOSED)},
    [LINK_CLOSED] = {"closed", 0},
};
static const struct sm machine = {"mqtt_link", states, LINK_STATES};

/* What a callback of libmosquitto reported, until the owner hears of it. */
struct report {
	struct list node;
	enum { REPORT_OPEN, REPORT_SUBACK, REPORT_PUBACK, REPORT_MESSAGE } kind;
	int number; /* granted QoS or message id */
	size_t topic_len, payload_len;
	uint8_t bytes[]; /* topic, payload */
};

struct mqtt_link {
	struct loop *loop;
	struct mosquitto *mosq;
	struct loop_fd *fd;
	struct loop_timer *timer;
	const struct mqtt_link_ops *ops;
	void *arg;
	int state;
	int depth; /* calls of ours on the stack that still need the struct */
	int turns;
	int connack;
	bool freed; /* by the owner, while depth > 0 */
	bool told;  /* on_closed was called */
	int64_t deadline_ms, keepalive_ms;
	struct list reports;
	size_t pending;
	struct err why;   /* why it closed; the first reason stays */
	char detail[160]; /* libmosquitto's last complaint */
	char peer[280];   /* "host:port" for texts */
};

static void
enter(struct mqtt_link *m)
{
	m->depth++;
	/* SSL_get_error reads the thread's error queue: an old error of anybody's there
	 * would turn "want read" into a broken connection */
	struct err stale;
	tls_error(&stale, ERR_CRYPTO, "stale");
}

static void
destroy(struct mqtt_link *m)
{
	loop_fd_free(m->fd);
	loop_timer_free(m->timer);
	if (m->mosq)
		mosquitto_destroy(m->mosq);
	list_each_safe (it, &m->reports) {
		list_del(it);
		free(list_of(it, struct report, node));
	}
	free(m);
}

/* True while the link is still there. */
static bool
leave(struct mqtt_link *m)
{
	if (--m->depth)
		return true;
	if (!m->freed)
		return true;
	destroy(m);
	return false;
}

static void
fail(struct mqtt_link *m, enum err_code code, const char *what)
{
	if (m->state == LINK_CLOSED)
		return;
	sm_move(&machine, &m->state, LINK_CLOSED);
	err_set(&m->why, code, "%s: %s%s%s", m->peer, what, m->detail[0] ? ": " : "",
	    m->detail);
	/* told from the loop, never from inside a call of the owner */
	loop_timer_start(m->timer, 0);
}

/* --- callbacks of libmosquitto: note, nothing else --- */

static void
report(struct mqtt_link *m, struct report *r)
{
	m->pending++;
	list_push(&m->reports, &r->node);
}

static struct report *
report_new(int kind, int number, struct span topic, struct span payload)
{
	struct report *r = own_alloc(sizeof(*r) + topic.len + payload.len);
	r->kind = kind;
	r->number = number;
	r->topic_len = topic.len;
	r->payload_len = payload.len;
	if (topic.len)
		memcpy(r->bytes, topic.p, topic.len);
	if (payload.len)
		memcpy(r->bytes + topic.len, payload.p, payload.len);
	return r;
}

static const char *const connack_words[] = {"accepted", "protocol version refused",
    "client identifier refused", "service unavailable", "bad user name or password",
    "not authorized"};

static void
on_connect(struct mosquitto *mosq, void *arg, int rc)
{
	struct mqtt_link *m = arg;
	m->connack = rc;
	if (rc == 0 && m->state == LINK_TLS) {
		sm_move(&machine, &m->state, LINK_OPEN);
		report(m, report_new(REPORT_OPEN, 0, SPAN_NONE, SPAN_NONE));
		return;
	}
	/* MQTT 3.1.1 3.2.2.3. 3 is any doubt on the service's side, the others are final.
	 */
	char text[96];
	snprintf(text, sizeof(text), "CONNACK %d (%s)", rc,
	    rc >= 0 && rc <= 5 ? connack_words[rc] : "reserved");
	enum err_code code = rc == 3 ? ERR_UNAVAILABLE : ERR_DENIED;
	fail(m, rc == 1 ? ERR_UNSUPPORTED : code, text);
}

static void
on_disconnect(struct mosquitto *mosq, void *arg, int rc)
{
	fail(arg, ERR_IO, "the connection ended");
}

static void
on_publish(struct mosquitto *mosq, void *arg, int mid)
{
	report(arg, report_new(REPORT_PUBACK, mid, SPAN_NONE, SPAN_NONE));
}

static void
on_subscribe(struct mosquitto *mosq, void *arg, int mid, int n, const int *granted)
{
	report(arg,
	    report_new(REPORT_SUBACK, n > 0 ? granted[0] : 128, SPAN_NONE, SPAN_NONE));
}

static void
on_message(struct mosquitto *mosq, void *arg, const struct mosquitto_message *msg)
{
	struct mqtt_link *m = arg;
	struct span body =
	    span_of(msg->payload, msg->payloadlen > 0 ? (size_t)msg->payloadlen : 0);
	if (body.len > MESSAGE_MAX || m->pending >= PENDING_MAX)
		return fail(m, ERR_LIMIT, "the service sends too much");
	report(m, report_new(REPORT_MESSAGE, 0, span_str(msg->topic), body));
}

/* Only complaints: other lines may name what was sent. */
static void
on_log(struct mosquitto *mosq, void *arg, int level, const char *text)
{
	struct mqtt_link *m = arg;
	if (level != MOSQ_LOG_ERR || m->detail[0])
		return;
	snprintf(m->detail, sizeof(m->detail), "%s", text);
	m->detail[strcspn(m->detail, "\r\n")] = '\0';
}

/* --- telling the owner --- */

static void
tell(struct mqtt_link *m, const struct report *r)
{
	struct span topic = span_of(r->bytes, r->topic_len);
	switch (r->kind) {
	case REPORT_OPEN:
		m->ops->on_open(m->arg);
		return;
	case REPORT_SUBACK:
		if (m->ops->on_suback)
			m->ops->on_suback(m->arg, r->number);
		return;
	case REPORT_PUBACK:
		if (m->ops->on_puback)
			m->ops->on_puback(m->arg, r->number);
		return;
	case REPORT_MESSAGE:
		if (m->ops->on_message)
			m->ops->on_message(m->arg, topic,
			    span_of(r->bytes + r->topic_len, r->payload_len));
		return;
	}
}

static void
tell_all(struct mqtt_link *m)
{
	while (!m->freed && !list_empty(&m->reports)) {
		struct report *r = list_of(m->reports.next, struct report, node);
		list_del(&r->node);
		m->pending--;
		tell(m, r);
		free(r);
	}
	if (m->freed || m->told || m->state != LINK_CLOSED)
		return;
	m->told = true;
	loop_timer_cancel(m->timer);
	m->ops->on_closed(m->arg, &m->why);
}

/* --- the socket --- */

static unsigned
wanted(const struct mqtt_link *m)
{
	/* While TLS shakes hands libmosquitto's wish to write says nothing (it stays set
	 * from the first blocked ClientHello on): the tick retries what a full socket
	 * buffer held back. */
	switch (m->state) {
	case LINK_TCP:
		return LOOP_WRITE;
	case LINK_TLS:
		return LOOP_READ;
	case LINK_OPEN:
		return LOOP_READ | (mosquitto_want_write(m->mosq) ? LOOP_WRITE : 0);
	}
	return 0;
}

/* After any call into libmosquitto: it may have closed its socket, and a closed number
 * must not stay with the loop, where the next socket could get it. */
static void
settle(struct mqtt_link *m)
{
	if (mosquitto_socket(m->mosq) < 0) {
		loop_fd_free(TAKE(m->fd));
		fail(m, ERR_IO, "the connection ended");
		return;
	}
	struct err e;
	if (m->fd && loop_fd_watch(m->fd, wanted(m), &e))
		fail(m, ERR_IO, e.text);
}

static void
judge(struct mqtt_link *m, int rc)
{
	if (rc == MOSQ_ERR_SUCCESS || rc == MOSQ_ERR_CONN_PENDING)
		return;
	if (rc == MOSQ_ERR_TLS)
		return fail(m, ERR_CRYPTO, "TLS failed");
	fail(m, ERR_IO, mosquitto_strerror(rc));
}

/* A refused or lost TCP connection: OpenSSL would report it as "try again". Its first
 * write may have eaten the socket's error, so the peer is asked for too. */
static bool
tcp_failed(struct mqtt_link *m)
{
	int fd = mosquitto_socket(m->mosq);
	int soerr = 0;
	socklen_t len = sizeof(soerr);
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &soerr, &len))
		soerr = errno;
	if (!soerr && getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0)
		return false;
	fail(m, ERR_UNAVAILABLE, soerr ? strerror(soerr) : "connection refused or reset");
	return true;
}

static void
pump(struct mqtt_link *m)
{
	if (m->state != LINK_OPEN && (tcp_failed(m) || ++m->turns > OPENING_TURNS)) {
		fail(m, ERR_IO, "the TLS handshake gets nowhere");
		return;
	}
	if (m->state == LINK_TCP)
		sm_move(&machine, &m->state, LINK_TLS);
	/* also carries on the handshake; reads all that one TLS record holds */
	judge(m, mosquitto_loop_read(m->mosq, 1));
	if (m->state != LINK_CLOSED && mosquitto_want_write(m->mosq))
		judge(m, mosquitto_loop_write(m->mosq, 1));
}

static void
on_ready(void *arg, unsigned ready)
{
	struct mqtt_link *m = arg;
	enter(m);
	pump(m);
	settle(m);
	tell_all(m);
	leave(m);
}

/* Often while connecting; then as keep-alive needs it: libmosquitto pings at the first
 * tick past the time, the service waits one and a half (MQTT 3.1.1 3.1.2.10). */
static int64_t
tick_ms(const struct mqtt_link *m)
{
	if (m->state != LINK_OPEN)
		return TICK_MS;
	int64_t ms = m->keepalive_ms / 8;
	return ms < TICK_MS ? TICK_MS : ms > 15 * TICK_MS ? 15 * TICK_MS : ms;
}

static void
on_timer(void *arg)
{
	struct mqtt_link *m = arg;
	enter(m);
	if (m->state != LINK_OPEN && m->state != LINK_CLOSED &&
	    loop_now_ms(m->loop) >= m->deadline_ms)
		fail(m, ERR_TIMEOUT, "no answer in time");
	if (m->state != LINK_CLOSED) {
		judge(m, mosquitto_loop_misc(m->mosq));
		if (m->state == LINK_TLS)
			pump(m);
		settle(m);
	}
	tell_all(m);
	if (leave(m) && !m->told)
		loop_timer_start(m->timer, tick_ms(m));
}

/* --- the owner's side --- */

int
mqtt_link_init(struct err *e)
{
	static bool done;
	if (done)
		return 0;
	int rc = mosquitto_lib_init();
	if (rc)
		return err_set(
		    e, ERR_INTERNAL, "libmosquitto: %s", mosquitto_strerror(rc));
	done = true;
	return 0;
}

/* A client without libmosquitto's internal socket pair. That pair wakes its own thread,
 * which we do not run; kept, it costs two descriptors a device and fills with a byte a
 * packet that nobody reads. It is optional: where no descriptor can be had it goes on. */
static struct mosquitto *
new_client(const struct mqtt_link_opts *o, struct mqtt_link *m)
{
	struct rlimit was, none;
	bool limited = getrlimit(RLIMIT_NOFILE, &was) == 0;
	none = was;
	none.rlim_cur = 0;
	limited = limited && setrlimit(RLIMIT_NOFILE, &none) == 0;
	struct mosquitto *mosq = mosquitto_new(o->client_id, o->clean, m);
	if (limited && setrlimit(RLIMIT_NOFILE, &was))
		abort(); /* raising the soft limit back to where it was cannot be refused
			  */
	return mosq;
}

static int
set_up(struct mqtt_link *m, const struct mqtt_link_opts *o, struct err *e)
{
	m->mosq = new_client(o, m);
	if (!m->mosq)
		return err_set(e, ERR_USAGE,
		    "MQTT client \"%s\": not a client identifier", o->client_id);
	mosquitto_connect_callback_set(m->mosq, on_connect);
	mosquitto_disconnect_callback_set(m->mosq, on_disconnect);
	mosquitto_publish_callback_set(m->mosq, on_publish);
	mosquitto_subscribe_callback_set(m->mosq, on_subscribe);
	mosquitto_message_callback_set(m->mosq, on_message);
	mosquitto_log_callback_set(m->mosq, on_log);
	int rc = mosquitto_username_pw_set(m->mosq, o->user, o->password);
	if (!rc)
		rc = mosquitto_int_option(m->mosq, MOSQ_OPT_TCP_NODELAY, 1);
	if (!rc)
		rc = mosquitto_int_option(m->mosq, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
	if (!rc)
		rc = mosquitto_void_option(
		    m->mosq, MOSQ_OPT_SSL_CTX, tls_client_ctx(o->tls));
	return rc ? err_set(e, ERR_INTERNAL, "MQTT client: %s", mosquitto_strerror(rc))
		  : 0;
}

static int
connect_socket(struct mqtt_link *m, const struct mqtt_link_opts *o, struct err *e)
{
	int keepalive_s = (int)((o->keepalive_ms + 999) / 1000);
	int rc = mosquitto_connect_async(m->mosq, o->host, (int)o->port, keepalive_s);
	if (rc == MOSQ_ERR_EAI)
		return err_set(
		    e, ERR_UNAVAILABLE, "%s: the name cannot be resolved", m->peer);
	if (rc == MOSQ_ERR_ERRNO)
		return err_sys(e, ERR_UNAVAILABLE, "%s: connect", m->peer);
	if (rc != MOSQ_ERR_SUCCESS && rc != MOSQ_ERR_CONN_PENDING)
		return err_set(e, rc == MOSQ_ERR_TLS ? ERR_CRYPTO : ERR_IO, "%s: %s: %s",
		    m->peer, mosquitto_strerror(rc), m->detail);
	int fd = mosquitto_socket(m->mosq);
	if (fd < 0)
		return err_set(e, ERR_IO, "%s: no connection", m->peer);
	/* programs that this process starts have no business here */
	if (fcntl(fd, F_SETFD, FD_CLOEXEC))
		return err_sys(e, ERR_IO, "%s", m->peer);
	m->fd = loop_fd_new(m->loop, fd, on_ready, m);
	return loop_fd_watch(m->fd, wanted(m), e);
}

int
mqtt_link_open(struct loop *l, const struct mqtt_link_opts *o,
    const struct mqtt_link_ops *ops, void *arg, struct mqtt_link **ret, struct err *e)
{
	struct mqtt_link *m = own_alloc(sizeof(*m));
	list_init(&m->reports);
	m->loop = l;
	m->ops = ops;
	m->arg = arg;
	m->connack = -1;
	m->keepalive_ms = o->keepalive_ms;
	m->deadline_ms = loop_now_ms(l) + o->connect_ms;
	m->timer = loop_timer_new(l, on_timer, m);
	snprintf(m->peer, sizeof(m->peer), "%s:%d", o->host, (int)o->port);
	enter(m);
	int failed = set_up(m, o, e) || connect_socket(m, o, e);
	m->freed = failed;
	if (!leave(m))
		return -1;
	loop_timer_start(m->timer, TICK_MS);
	*ret = m;
	return 0;
}

void
mqtt_link_free(struct mqtt_link *m)
{
	if (!m || m->freed)
		return;
	enter(m);
	m->freed = true;
	bool open = m->state == LINK_OPEN;
	if (m->state != LINK_CLOSED)
		sm_move(&machine, &m->state, LINK_CLOSED);
	loop_fd_free(TAKE(m->fd));
	/* goes out at once on a socket that takes it; a full one loses nothing but the
	 * good manners */
	if (open)
		mosquitto_disconnect(m->mosq);
	leave(m);
}

int
mqtt_link_publish(struct mqtt_link *m, const char *topic, struct span payload,
    int *ret_mid, struct err *e)
{
	if (m->state != LINK_OPEN)
		return err_set(e, ERR_UNAVAILABLE, "%s: not connected", m->peer);
	enter(m);
	int rc = mosquitto_publish(
	    m->mosq, ret_mid, topic, (int)payload.len, payload.p, 1, false);
	settle(m);
	leave(m);
	return rc ? err_set(e, ERR_IO, "%s: publish: %s", m->peer, mosquitto_strerror(rc))
		  : 0;
}

int
mqtt_link_subscribe(struct mqtt_link *m, const char *filter, struct err *e)
{
	if (m->state != LINK_OPEN)
		return err_set(e, ERR_UNAVAILABLE, "%s: not connected", m->peer);
	enter(m);
	int rc = mosquitto_subscribe(m->mosq, NULL, filter, 1);
	settle(m);
	leave(m);
	return rc ? err_set(
			e, ERR_IO, "%s: subscribe: %s", m->peer, mosquitto_strerror(rc))
		  : 0;
}

int
mqtt_link_connack(const struct mqtt_link *m)
{
	return m->connack;
}
