/*
 * Work that ends with its connection: a bare handshake, a registration over MQTT, a
 * renewal by EST (RFC 7030 4.2.2).
 */
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "modes.h"

/* ---- handshake --------------------------------------------------------------------- */

static int
on_byte(struct conn *c)
{
	client_waited(c, WAIT_WHOLE, c->opened_at);
	return 0;
}

const struct mode modes_handshake = {.name = "handshake", .on_bytes = on_byte};

/* ---- register ---------------------------------------------------------------------- */

static int
register_device(struct conn *c)
{
	static const char topic[] = "$dps/registrations/PUT/iotdps-register/?$rid=1";
	uint8_t b[PACKET_ROOM];
	char body[64];
	if (!client_send(c, b, packet_subscribe(b, 1, "$dps/registrations/res/#", 1)))
		return -1;
	int n =
	    snprintf(body, sizeof(body), "{\"registrationId\":\"%s\"}", c->device->id);
	return client_send(c, b, packet_publish(b, topic, 1, 2, body, (size_t)n)) ? 1
										  : -1;
}

static int
on_registration(struct conn *c, const struct packet *p)
{
	static const char assigned[] = "$dps/registrations/res/200/";
	if (p->first >> 4 != PACKET_PUBLISH)
		return 1;
	if (memmem(p->body, p->len, assigned, sizeof(assigned) - 1))
		return 0;
	client_complain(c, "was answered", p->body, p->len);
	return -1;
}

const struct mode modes_register = {.name = "register",
    .mqtt = true,
    .on_secure = client_connect_dps,
    .on_connack = register_device,
    .on_packet = on_registration};

/* ---- reenroll ---------------------------------------------------------------------- */

/* A request for the certificate's subject and a key of its own, DER. */
static uint8_t *
make_csr(const struct device *d, int *ret_len)
{
	uint8_t *der = NULL;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509_REQ *req = X509_REQ_new();
	device_need(key && req &&
			X509_REQ_set_subject_name(req, X509_get_subject_name(d->leaf)) &&
			X509_REQ_set_pubkey(req, key) &&
			X509_REQ_sign(req, key, EVP_sha256()),
	    "request");
	*ret_len = i2d_X509_REQ(req, &der);
	X509_REQ_free(req);
	EVP_PKEY_free(key);
	return der;
}

static void
make_request(struct device *d)
{
	int der_len, len;
	uint8_t *der = make_csr(d, &der_len), text[CLIENT_IN_MAX];
	device_need(der_len > 0 && der_len < CLIENT_IN_MAX / 2, "request");
	len = EVP_EncodeBlock(text, der, der_len);
	OPENSSL_free(der);
	device_need(asprintf(&d->request,
			"POST /.well-known/est/simplereenroll HTTP/1.1\r\n"
			"Host: 127.0.0.1\r\nContent-Type: application/pkcs10\r\n"
			"Content-Length: %d\r\n\r\n%s",
			len, (char *)text) > 0,
	    "request");
}

static int
send_request(struct conn *c)
{
	const char *request = c->device->request;
	return client_send(c, (const uint8_t *)request, strlen(request)) ? 1 : -1;
}

/* The answer, when it is all there. */
static int
take_answer(struct conn *c)
{
	char *in = (char *)c->in;
	in[c->in_len] = '\0';
	const char *body = strstr(in, "\r\n\r\n"),
		   *len = strcasestr(in, "\nContent-Length:");
	if (!body)
		return 1;
	if (strncmp(in, "HTTP/1.1 200 ", 13) != 0 || !len || len > body) {
		client_complain(c, "was answered", c->in, c->in_len);
		return -1;
	}
	size_t whole = (size_t)(body + 4 - in) + strtoul(len + 16, NULL, 10);
	return c->in_len < whole;
}

const struct mode modes_reenroll = {.name = "reenroll",
    .prepare = make_request,
    .on_secure = send_request,
    .on_bytes = take_answer};
