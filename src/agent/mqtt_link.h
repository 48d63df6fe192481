#ifndef AGENT_MQTT_LINK_H
#define AGENT_MQTT_LINK_H
/*
 * One MQTT 3.1.1 connection over TLS as a client, driven by our loop: libmosquitto's
 * protocol engine without its threads, its select() and its reconnecting. Everything
 * about libmosquitto is in mqtt_link.c.
 *
 * The server is verified by the TLS context, which must be pinned to the host
 * (tls_client_pin_host): given a foreign SSL_CTX, libmosquitto checks no name.
 *
 * Life: opening -> on_open -> ... -> on_closed, after which nothing comes any more. The
 * owner frees the link, at any time, from any callback. Resolving a host name blocks the
 * process (addresses do not).
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

struct loop;
struct mqtt_link;
struct tls_client;

struct mqtt_link_opts {
	const char *host;
	int64_t port;
	const char *client_id, *user;
	const char *password; /* NULL: none, the certificate says it */
	bool clean;           /* CleanSession */
	int64_t keepalive_ms;
	int64_t connect_ms; /* from the first packet to CONNACK */
	struct tls_client *tls;
};

struct mqtt_link_ops {
	void (*on_open)(void *arg);
	void (*on_suback)(void *arg, int granted); /* 0, 1, 2 or 128 */
	void (*on_puback)(void *arg, int mid);
	void (*on_message)(void *arg, struct span topic, struct span payload);
	/* ERR_DENIED: refused (CONNACK 4 or 5); ERR_UNAVAILABLE: CONNACK 3, or no
	 * connection; ERR_CRYPTO: TLS, the server's certificate included; ERR_TIMEOUT;
	 * ERR_IO: the connection ended. */
	void (*on_closed)(void *arg, const struct err *why);
};

/* Once a process: the library. Harmless to repeat. */
must_check int mqtt_link_init(struct err *e);

/* Copies what it needs of opts; holds its own reference of the TLS context. */
must_check int mqtt_link_open(struct loop *l, const struct mqtt_link_opts *opts,
    const struct mqtt_link_ops *ops, void *arg, struct mqtt_link **ret, struct err *e);
/* Sends DISCONNECT when connected, closes and frees; no callback follows. */
void mqtt_link_free(struct mqtt_link *m);
own_define(struct mqtt_link, mqtt_link_free);

/* QoS 1; *ret_mid comes back in on_puback. Only between on_open and on_closed. */
must_check int mqtt_link_publish(struct mqtt_link *m, const char *topic,
    struct span payload, int *ret_mid, struct err *e);
must_check int mqtt_link_subscribe(
    struct mqtt_link *m, const char *filter, struct err *e);
/* The CONNACK code (0 to 5), or -1 before any. */
int mqtt_link_connack(const struct mqtt_link *m);

#endif
