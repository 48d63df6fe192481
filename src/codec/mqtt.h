#ifndef CODEC_MQTT_H
#define CODEC_MQTT_H
/*
 * MQTT 3.1.1, the server's side: parses what a client may send, writes what a server may
 * send. Nothing is allocated; every span of a parsed packet borrows from the bytes given.
 * Reserved bits, lengths and strings are checked here, once; who uses a parsed packet can
 * trust it. Policy (QoS 2, client ID rules, topics) is the session's.
 */
#include "base/buf.h"

enum mqtt_type {
	MQTT_CONNECT = 1,
	MQTT_CONNACK = 2,
	MQTT_PUBLISH = 3,
	MQTT_PUBACK = 4,
	MQTT_SUBSCRIBE = 8,
	MQTT_SUBACK = 9,
	MQTT_UNSUBSCRIBE = 10,
	MQTT_UNSUBACK = 11,
	MQTT_PINGREQ = 12,
	MQTT_PINGRESP = 13,
	MQTT_DISCONNECT = 14,
};

#define MQTT_MAX_REMAINING  268435455 /* 2.2.3 */
#define MQTT_SUBACK_FAILURE 0x80      /* 3.9.3 */

/* Protocol name and level are not in here: what is returned is always "MQTT" level 4. */
struct mqtt_connect {
	bool clean;
	bool has_will, will_retain;
	bool has_user, has_password;
	uint8_t will_qos;
	uint16_t keep_alive_s; /* 0 = none */
	struct span client_id; /* may be empty */
	struct span will_topic, will_payload;
	struct span user, password; /* empty where absent */
};

struct mqtt_publish {
	bool dup, retain;
	uint8_t qos; /* 0 to 2: a server that offers no QoS 2 closes on it */
	uint16_t id; /* 0 where qos is 0 */
	struct span topic, payload;
};

struct mqtt_subscribe {
	uint16_t id;
	size_t n;            /* filters, at least one */
	struct span filters; /* for mqtt_filter_next */
	bool has_qos;        /* false in UNSUBSCRIBE */
};

struct mqtt_packet {
	enum mqtt_type type;
	union {
		struct mqtt_connect connect;
		struct mqtt_publish publish;
		uint16_t puback_id;
		struct mqtt_subscribe subscribe; /* SUBSCRIBE and UNSUBSCRIBE */
	};
};

/* The length of the first whole packet at the start of in: *ret_len is 0 while more bytes
 * are needed. max: the largest packet (fixed header included) the caller is ready to
 * hold, small before CONNECT; a packet that announces more is ERR_LIMIT as soon as its
 * length is read. ERR_PARSE on a malformed remaining length (2.2.3). */
must_check int mqtt_frame(struct span in, size_t max, size_t *ret_len, struct err *e);

/* packet: exactly one, as framed. ERR_PARSE on any breach of 3.1.1, and on packet types
 * that a client of a QoS 1 server has no reason to send; ERR_UNSUPPORTED on a CONNECT of
 * another protocol level (answer with code 1, 3.1.2.2). */
must_check int mqtt_parse(struct span packet, struct mqtt_packet *ret, struct err *e);

struct mqtt_filter {
	struct span filter;
	uint8_t qos; /* asked for; 0 in UNSUBSCRIBE */
};

/* Takes the next filter off *s; false when none is left. Everything was checked before.
 */
bool mqtt_filter_next(struct mqtt_subscribe *s, struct mqtt_filter *ret);

/* True where s may be a topic filter: wildcards alone in their level, '#' last (4.7.1).
 */
bool mqtt_is_filter(struct span s);
/* True where s may be a topic name: not empty (4.7.3). 3.3.2.1 forbids wildcards in one,
 * but the C SDK puts property values into its topics as they are (protocol/device.md 3.8
 * and section 7 rows 31 and 48), and a device that is cut off for a '+' sends it again
 * for ever. Nothing here matches a published topic against anything but literal text. */
bool mqtt_is_topic(struct span s);

void mqtt_write_connack(struct buf *b, bool session_present, uint8_t code);
/* qos 0 or 1; dup only with qos 1. The only flags ever written are 0x0, 0x2 and 0xA
 * (protocol/device.md section 7 row 8), so there is no retain. id: not 0 where qos is 1.
 */
void mqtt_write_publish(struct buf *b, struct span topic, struct span payload,
    uint8_t qos, bool dup, uint16_t id);
void mqtt_write_puback(struct buf *b, uint16_t id);
/* One code a filter, in their order: 0, 1 or MQTT_SUBACK_FAILURE. */
void mqtt_write_suback(struct buf *b, uint16_t id, const uint8_t *codes, size_t n);
void mqtt_write_unsuback(struct buf *b, uint16_t id);
void mqtt_write_pingresp(struct buf *b);

#endif
