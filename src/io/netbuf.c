/*
 * Connections as libevent's bufferevents. The SSL comes from crypto/tls.h.
 */
#include "io/netbuf.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>

#include "crypto/tls.h"

/* bufferevent_openssl neither ends a TLS session nor puts its errors in words. libssl is
 * linked for it anyway; its headers are src/crypto's, so the two functions are declared
 * here. */
int SSL_shutdown(struct ssl_st *ssl);
const char *ERR_reason_error_string(unsigned long code);

struct bufferevent *
netbuf_new(
    struct event_base *base, int fd, struct tls_server *tls, bool deferred, struct err *e)
{
	int options = BEV_OPT_CLOSE_ON_FREE | (deferred ? BEV_OPT_DEFER_CALLBACKS : 0);
	struct bufferevent *b;
	if (!tls) {
		b = bufferevent_socket_new(base, fd, options);
	} else {
		struct ssl_st *ssl = tls_server_ssl(tls, e);
		if (!ssl)
			return NULL;
		b = bufferevent_openssl_socket_new(
		    base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING, options);
		if (!b)
			tls_ssl_free(ssl);
	}
	if (!b)
		err_set(e, ERR_INTERNAL, "connection: no bufferevent");
	return b;
}

struct ssl_st *
netbuf_ssl(struct bufferevent *b)
{
	return bufferevent_openssl_get_ssl(b);
}

static struct timeval
interval(int64_t ms)
{
	return (struct timeval){ms / 1000, (ms % 1000) * 1000};
}

void
netbuf_timeouts(struct bufferevent *b, int64_t read_ms, int64_t write_ms)
{
	struct timeval r = interval(read_ms), w = interval(write_ms);
	bufferevent_set_timeouts(b, read_ms > 0 ? &r : NULL, write_ms > 0 ? &w : NULL);
}

void
netbuf_say_goodbye(struct bufferevent *b)
{
	struct ssl_st *ssl = netbuf_ssl(b);
	struct err ignored;
	if (ssl && SSL_shutdown(ssl) < 0)
		tls_error(
		    &ignored, ERR_CRYPTO, "close_notify"); /* empties OpenSSL's queue */
	shutdown(bufferevent_getfd(b), SHUT_WR);
}

/* The oldest error of libssl; libevent puts an SSL_ERROR_ number (< 20) beside it. */
static unsigned long
first_ssl_error(struct bufferevent *b)
{
	unsigned long code, first = 0;
	while ((code = bufferevent_get_openssl_error(b)))
		if (code > 20)
			first = code;
	return first;
}

int
netbuf_ended(struct bufferevent *b, short what, bool is_open, struct err *e)
{
	int sys = errno;
	unsigned long code = netbuf_ssl(b) ? first_ssl_error(b) : 0;
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	if (what & BEV_EVENT_TIMEOUT && what & BEV_EVENT_WRITING)
		return err_set(e, ERR_TIMEOUT, "the peer does not read");
	if (what & BEV_EVENT_TIMEOUT)
		return err_set(e, ERR_TIMEOUT, "silent for too long");
	if (!is_open && reason)
		return err_set(e, ERR_CRYPTO, "TLS handshake: %s", reason);
	if (!is_open)
		return err_set(e, ERR_IO, "TLS handshake: the peer went away");
	/* a device that loses power says no close_notify, nor do many stacks that mean
	 * well */
	if (what & BEV_EVENT_EOF ||
	    (reason && strcmp(reason, "unexpected eof while reading") == 0))
		return err_set(e, ERR_OK, "closed by the peer");
	if (reason)
		return err_set(e, ERR_CRYPTO, "TLS: %s", reason);
	if (!sys)
		return err_set(e, ERR_OK, "closed by the peer");
	errno = sys;
	return err_sys(e, ERR_IO, "connection");
}

struct event *
netbuf_timer_new(struct event_base *base, void (*fn)(int, short, void *), void *arg)
{
	return evtimer_new(base, fn, arg);
}

void
netbuf_timer_start(struct event *t, int64_t ms)
{
	struct timeval tv = interval(ms);
	if (ms > 0)
		evtimer_add(t, &tv);
	else
		evtimer_del(t);
}

void
netbuf_timer_now(struct event *t)
{
	event_active(t, EV_TIMEOUT, 0);
}

void
netbuf_timer_free(struct event *t)
{
	if (t)
		event_free(t);
}
