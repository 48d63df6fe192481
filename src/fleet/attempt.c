/*
 * A SAS attempt by hand: libcurl makes the TLS connection (CONNECT_ONLY), the two packets
 * of MQTT 3.1.1 are written and read here.
 */
#include "fleet/attempt.h"

#include <poll.h>

#include <curl/curl.h>

#include "base/buf.h"
#include "base/clock.h"
#include "crypto/sas_key.h"

#define TOKEN_S     300
#define PACKET_MAX  8192
#define KEEPALIVE_S 60
#define CONNACK_LEN 4

own_define(CURL, curl_easy_cleanup);

static void
field(struct buf *b, struct span s)
{
	buf_u16(b, (uint16_t)s.len);
	buf_put_span(b, s);
}

/* 2.2.3 */
static void
remaining(struct buf *b, size_t n)
{
	do {
		uint8_t digit = n % 128;
		n /= 128;
		buf_u8(b, digit | (n ? 0x80 : 0));
	} while (n);
}

/* CONNECT (3.1) with clean session, user name and password; device.md 3.1. */
static int
write_connect(const struct attempt *t, struct buf *out, struct err *e)
{
	auto_buf user = BUF_INIT(1024);
	auto_buf resource = BUF_INIT(1024);
	auto_buf token = BUF_INIT(SAS_KEY_TOKEN_MAX);
	auto_buf body = BUF_INIT(PACKET_MAX);
	token.secret = body.secret = true;
	buf_printf(&user, "%s/%s/?api-version=2021-04-12", t->hub, t->device_id);
	buf_printf(&resource, "%s/devices/%s", t->hub, t->device_id);
	if (buf_check(&user, "user name", e) || buf_check(&resource, "resource", e) ||
	    sas_key_sign(
		buf_span(&resource), t->key, t->now_s + TOKEN_S, NULL, &token, e))
		return -1;
	field(&body, SPAN_LIT("MQTT"));
	buf_u8(&body, 4);
	buf_u8(&body, 0xc2);
	buf_u16(&body, KEEPALIVE_S);
	field(&body, span_str(t->device_id));
	field(&body, buf_span(&user));
	field(&body, buf_span(&token));
	buf_u8(out, 0x10);
	remaining(out, body.len);
	buf_put_span(out, buf_span(&body));
	return buf_check(out, "MQTT CONNECT", e);
}

static int
wait_for(CURL *c, short what, int64_t until_ms, struct err *e)
{
	curl_socket_t s = CURL_SOCKET_BAD;
	curl_easy_getinfo(c, CURLINFO_ACTIVESOCKET, &s);
	int64_t left = until_ms - clock_mono_ms(&clock_system);
	struct pollfd p = {.fd = s, .events = what};
	int n = s == CURL_SOCKET_BAD || left <= 0 ? 0 : poll(&p, 1, (int)left);
	return n > 0 ? 0 : err_set(e, ERR_TIMEOUT, "the hub does not answer");
}

static int
send_all(CURL *c, struct span s, int64_t until_ms, struct err *e)
{
	while (s.len) {
		size_t n = 0;
		CURLcode rc = curl_easy_send(c, s.p, s.len, &n);
		s = span_skip(s, n);
		if (rc == CURLE_AGAIN) {
			if (wait_for(c, POLLOUT, until_ms, e))
				return -1;
			continue;
		}
		if (rc != CURLE_OK)
			return err_set(e, ERR_IO, "%s", curl_easy_strerror(rc));
	}
	return 0;
}

static int
read_connack(CURL *c, int64_t until_ms, int *ret_code, struct err *e)
{
	uint8_t in[CONNACK_LEN];
	size_t have = 0;
	while (have < sizeof(in)) {
		size_t n = 0;
		CURLcode rc = curl_easy_recv(c, in + have, sizeof(in) - have, &n);
		if (rc == CURLE_AGAIN) {
			if (wait_for(c, POLLIN, until_ms, e))
				return -1;
			continue;
		}
		if (rc != CURLE_OK || n == 0)
			return err_set(e, ERR_IO, "closed without a CONNACK");
		have += n;
	}
	if (in[0] != 0x20 || in[1] != 2) /* 3.2 */
		return err_set(e, ERR_PARSE, "the answer is no CONNACK");
	*ret_code = in[3];
	return 0;
}

static CURL *
connect_tls(const struct attempt *t, struct err *e)
{
	auto_(curl_easy_cleanup) CURL *c = curl_easy_init();
	auto_buf url = BUF_INIT(512);
	bool v6 = strchr(t->server_host, ':') != NULL;
	buf_printf(&url, "https://%s%s%s:%lld", v6 ? "[" : "", t->server_host,
	    v6 ? "]" : "", (long long)t->port);
	curl_easy_setopt(c, CURLOPT_URL, buf_text(&url));
	curl_easy_setopt(c, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(
	    c, CURLOPT_SSL_ENABLE_ALPN, 0L); /* it is not HTTP that follows */
	if (t->ca) {
		curl_easy_setopt(c, CURLOPT_CAINFO, t->ca);
		curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	}
	curl_easy_setopt(c, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)t->timeout_ms);
	CURLcode rc = curl_easy_perform(c);
	if (rc == CURLE_OK)
		return TAKE(c);
	err_set(e, ERR_UNAVAILABLE, "%s: %s", buf_text(&url), curl_easy_strerror(rc));
	return NULL;
}

int
attempt_sas(const struct attempt *t, int *ret_code, struct err *e)
{
	auto_buf packet = BUF_INIT(PACKET_MAX);
	packet.secret = true;
	if (write_connect(t, &packet, e))
		return -1;
	int64_t until_ms = clock_mono_ms(&clock_system) + t->timeout_ms;
	auto_(curl_easy_cleanup) CURL *c = connect_tls(t, e);
	if (!c || send_all(c, buf_span(&packet), until_ms, e) ||
	    read_connack(c, until_ms, ret_code, e))
		return err_wrap(e, "SAS attempt of %s", t->device_id);
	return 0;
}
