/*
 * One connection: TLS on a non-blocking socket, bytes out and packets in. It checks
 * nothing about the server's certificate (that would only be paid by the machine under
 * test) but everything about its answers.
 */
#include "client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

double
client_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

const struct options *
client_options(const struct conn *c)
{
	return &c->worker->load->opt;
}

static const struct mode *
mode_of(const struct conn *c)
{
	return c->worker->load->mode;
}

/* ---- TLS --------------------------------------------------------------------------- */

static int
on_ticket(SSL *ssl, SSL_SESSION *session)
{
	struct conn *c = SSL_get_app_data(ssl);
	SSL_SESSION_free(c->device->session);
	c->device->session = session;
	return 1; /* ours now */
}

SSL_CTX *
client_tls(const struct options *o)
{
	const int version = o->tls == 12 ? TLS1_2_VERSION : TLS1_3_VERSION;
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
	device_need(tls != NULL, "TLS");
	SSL_CTX_set_min_proto_version(tls, version);
	SSL_CTX_set_max_proto_version(tls, version);
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN |
				  SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (!o->resume)
		return tls;
	SSL_CTX_set_session_cache_mode(
	    tls, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(tls, on_ticket);
	return tls;
}

static void
start_tls(struct conn *c)
{
	const struct device *d = c->device;
	c->ssl = SSL_new(c->worker->load->tls);
	device_need(c->ssl != NULL, "TLS");
	SSL_set_app_data(c->ssl, c);
	SSL_set_fd(c->ssl, c->fd);
	SSL_set_connect_state(c->ssl);
	device_need(SSL_use_certificate(c->ssl, d->leaf) == 1 &&
			SSL_add1_chain_cert(c->ssl, d->issuer) == 1 &&
			SSL_use_PrivateKey(c->ssl, d->key) == 1 &&
			(!d->session || SSL_set_session(c->ssl, d->session) == 1),
	    "certificate");
}

/* ---- opening and ending ------------------------------------------------------------ */

static void
watch(struct conn *c, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = c};
	if (events == c->events)
		return;
	epoll_ctl(
	    c->worker->epoll, c->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &ev);
	c->events = events;
}

void
client_watch(struct conn *c)
{
	watch(c, EPOLLIN | (c->out_len || c->wants_room ? (uint32_t)EPOLLOUT : 0));
}

/* One address has too few ports for repeated runs of 10,000. */
static void
bind_source(struct conn *c)
{
	int one = 1;
	uint32_t source = (uint32_t)(c->index % client_options(c)->sources);
	struct sockaddr_in from = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + source)};
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	device_need(bind(c->fd, (struct sockaddr *)&from, sizeof(from)) == 0, "bind");
}

void
client_open(struct conn *c)
{
	const struct sockaddr_in *to = &c->worker->load->to;
	c->opened_at = client_now();
	c->state = CONN_OPENING;
	c->in_len = c->out_len = 0;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	device_need(c->fd >= 0, "socket");
	bind_source(c);
	start_tls(c);
	bool ok = connect(c->fd, (const struct sockaddr *)to, sizeof(*to)) == 0 ||
		  errno == EINPROGRESS;
	if (!ok) {
		client_end(c, false);
		return;
	}
	watch(c, EPOLLOUT);
}

void
client_end(struct conn *c, bool ok)
{
	struct worker *w = c->worker;
	const struct mode *m = mode_of(c);
	bool was_up = c->state == CONN_UP;
	if (ok && m->mqtt)
		SSL_write(c->ssl, "\xe0\0", 2); /* DISCONNECT */
	/* a session that was not shut down may not be resumed */
	SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(c->ssl);
	close(c->fd);
	free(c->out);
	c->ssl = NULL;
	c->fd = -1;
	c->out = NULL;
	c->events = 0;
	bool again = m->on_end && m->on_end(c, ok);
	c->state = again ? CONN_AWAY : CONN_OVER;
	w->opening = w->opening + (again && was_up) - (!again && !was_up);
	w->over += !again;
	w->failed += !again && !ok;
}

int
client_up(struct conn *c)
{
	c->worker->opening--;
	c->state = CONN_UP;
	return 1;
}

/* ---- bytes ------------------------------------------------------------------------- */

/* As much as goes; -1: the connection has failed. */
static ssize_t
write_some(struct conn *c, const uint8_t *p, size_t len)
{
	size_t done = 0;
	while (done < len) {
		int n = SSL_write(c->ssl, p + done, (int)(len - done));
		if (n <= 0)
			return SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_WRITE
				   ? (ssize_t)done
				   : -1;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

static bool
keep_rest(struct conn *c, const uint8_t *p, size_t len)
{
	if (!len)
		return true;
	uint8_t *out = realloc(c->out, c->out_len + len);
	if (!out)
		return false;
	memcpy(out + c->out_len, p, len);
	c->out = out;
	c->out_len += len;
	client_watch(c);
	return true;
}

bool
client_send(struct conn *c, const uint8_t *p, size_t len)
{
	ssize_t done = c->out_len ? 0 : write_some(c, p, len);
	return done >= 0 && keep_rest(c, p + done, len - (size_t)done);
}

static bool
flush(struct conn *c)
{
	ssize_t done = write_some(c, c->out, c->out_len);
	if (done < 0)
		return false;
	c->out_len -= (size_t)done;
	memmove(c->out, c->out + done, c->out_len);
	return true;
}

int
client_connect_hub(struct conn *c)
{
	uint8_t b[PACKET_ROOM];
	char user[200];
	snprintf(user, sizeof(user), "%s/%s/?api-version=2021-04-12",
	    client_options(c)->name, c->device->id);
	c->asked_at = client_now();
	return client_send(c, b, packet_connect(b, c->device->id, user)) ? 1 : -1;
}

int
client_connect_dps(struct conn *c)
{
	uint8_t b[PACKET_ROOM];
	char user[200];
	snprintf(user, sizeof(user),
	    "%s/registrations/%s/api-version=2019-03-31&ClientVersion=bench",
	    client_options(c)->name, c->device->id);
	return client_send(c, b, packet_connect(b, c->device->id, user)) ? 1 : -1;
}

/* ---- packets ----------------------------------------------------------------------- */

static int
on_connack(struct conn *c, const struct packet *p)
{
	const struct mode *m = mode_of(c);
	if (p->len == 2 && p->body[1] == 0)
		return m->on_connack ? m->on_connack(c) : client_up(c);
	if (m->on_refused)
		return m->on_refused(c, p->len == 2 ? p->body[1] : 0xff);
	client_complain(c, "was refused", p->body, p->len);
	return -1;
}

static int
on_packet(struct conn *c, const struct packet *p)
{
	const struct mode *m = mode_of(c);
	if (p->first >> 4 == PACKET_CONNACK)
		return on_connack(c, p);
	return m->on_packet ? m->on_packet(c, p) : 1;
}

static int
take_packets(struct conn *c)
{
	struct packet p;
	size_t at = 0, n;
	int rc = 1;
	while (rc == 1 && (n = packet_take(c->in + at, c->in_len - at, &p)) > 0) {
		rc = on_packet(c, &p);
		at += n;
	}
	memmove(c->in, c->in + at, c->in_len - at);
	c->in_len -= at;
	return rc;
}

/* One byte is kept free, for what wants to end its text. */
static int
read_all(struct conn *c)
{
	const struct mode *m = mode_of(c);
	for (int rc = 1; rc == 1;) {
		size_t room = CLIENT_IN_MAX - 1 - c->in_len;
		if (!room)
			return -1;
		int n = SSL_read(c->ssl, c->in + c->in_len, (int)room);
		if (n <= 0)
			return SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ ? 1 : -1;
		c->in_len += (size_t)n;
		rc = m->on_bytes ? m->on_bytes(c) : take_packets(c);
		if (rc != 1)
			return rc;
	}
	return 1;
}

static bool
is_connected(const struct conn *c)
{
	int error = 0;
	socklen_t len = sizeof(error);
	return getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && !error;
}

static int
shake(struct conn *c)
{
	const struct mode *m = mode_of(c);
	if (c->state == CONN_OPENING) {
		if (!is_connected(c))
			return -1;
		c->state = CONN_SHAKING;
		client_watch(c);
	}
	int rc = SSL_do_handshake(c->ssl);
	if (rc != 1)
		return SSL_get_error(c->ssl, rc) == SSL_ERROR_WANT_READ ? 1 : -1;
	c->state = CONN_ASKING;
	c->worker->resumed += (size_t)SSL_session_reused(c->ssl);
	rc = m->on_secure ? m->on_secure(c) : 1;
	return rc == 1 ? read_all(c) : rc;
}

static int
transfer(struct conn *c)
{
	const struct mode *m = mode_of(c);
	if (c->out_len && !flush(c))
		return -1;
	int rc = read_all(c);
	if (rc == 1 && m->on_turn && !c->out_len)
		rc = m->on_turn(c);
	if (rc == 1)
		client_watch(c);
	return rc;
}

void
client_go_on(struct conn *c, int rc)
{
	if (rc != 1)
		client_end(c, rc == 0);
}

void
client_on_event(struct conn *c)
{
	ERR_clear_error();
	client_go_on(c, c->state <= CONN_SHAKING ? shake(c) : transfer(c));
}

/* ---- what is said of it ------------------------------------------------------------ */

void
client_waited(struct conn *c, enum wait which, double since)
{
	struct samples *s = &c->worker->waits[which];
	if (s->n == s->room) {
		s->room = s->room ? s->room * 2 : 1024;
		s->v = realloc(s->v, s->room * sizeof(*s->v));
		device_need(s->v != NULL, "memory");
	}
	s->v[s->n++] = client_now() - since;
}

void
client_complain(const struct conn *c, const char *what, const uint8_t *p, size_t len)
{
	if (c->worker->failed)
		return;
	fprintf(stderr, "bench-load: %s %s:", c->device->id, what);
	for (size_t i = 0; i < len; i++)
		fputc(p[i] >= ' ' && p[i] < 127 ? p[i] : '.', stderr);
	fputc('\n', stderr);
}
