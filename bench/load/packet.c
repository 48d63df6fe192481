/* MQTT packets to bytes and back. Trusts the server under test to send whole ones. */
#include "packet.h"

#include <string.h>

#include "device.h"

static uint8_t *
put_text(uint8_t *p, const char *s)
{
	size_t n = strlen(s);
	device_need(n < PACKET_ROOM / 3, "a text of a packet");
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
	memcpy(p + 2, s, n);
	return p + 2 + n;
}

static uint8_t *
put_number(uint8_t *p, uint16_t number)
{
	p[0] = (uint8_t)(number >> 8);
	p[1] = (uint8_t)number;
	return p + 2;
}

/* The fixed header of a packet with body_len bytes behind it. */
static uint8_t *
put_head(uint8_t *p, uint8_t first, size_t body_len)
{
	*p++ = first;
	do {
		*p++ = (uint8_t)((body_len & 127) | (body_len > 127 ? 128 : 0));
		body_len >>= 7;
	} while (body_len);
	return p;
}

size_t
packet_connect(uint8_t *p, const char *id, const char *user)
{
	uint8_t *at = put_head(p, 0x10, 10 + 4 + strlen(id) + strlen(user));
	at = put_text(at, "MQTT");
	*at++ = 4;    /* MQTT 3.1.1 */
	*at++ = 0x82; /* user name, clean session */
	at = put_number(at, 1177);
	at = put_text(at, id);
	return (size_t)(put_text(at, user) - p);
}

size_t
packet_subscribe(uint8_t *p, uint16_t number, const char *filter, uint8_t qos)
{
	uint8_t *at = put_head(p, 0x82, 2 + 2 + strlen(filter) + 1);
	at = put_text(put_number(at, number), filter);
	*at++ = qos;
	return (size_t)(at - p);
}

size_t
packet_publish(uint8_t *p, const char *topic, uint8_t qos, uint16_t number,
    const void *payload, size_t len)
{
	uint8_t *at = put_head(
	    p, (uint8_t)(0x30 | qos << 1), 2 + strlen(topic) + (qos ? 2 : 0) + len);
	at = put_text(at, topic);
	if (qos)
		at = put_number(at, number);
	if (len)
		memcpy(at, payload, len);
	return (size_t)(at - p) + len;
}

size_t
packet_take(const uint8_t *p, size_t len, struct packet *ret)
{
	size_t n = 0, at = 1;
	for (unsigned shift = 0;; shift += 7) {
		if (at >= len)
			return 0;
		n |= (size_t)(p[at] & 127) << shift;
		if (!(p[at++] & 128))
			break;
	}
	if (len - at < n)
		return 0;
	*ret = (struct packet){p[0], p + at, n};
	return at + n;
}

bool
packet_is_to(const struct packet *p, const char *begin, char *rest, size_t room)
{
	size_t n = strlen(begin);
	if (p->first >> 4 != PACKET_PUBLISH || p->len < 2)
		return false;
	size_t topic_len = (size_t)p->body[0] << 8 | p->body[1];
	if (topic_len < n || p->len < topic_len + 2 || memcmp(p->body + 2, begin, n) != 0)
		return false;
	size_t left = topic_len - n < room - 1 ? topic_len - n : room - 1;
	memcpy(rest, p->body + 2 + n, left);
	rest[left] = '\0';
	return true;
}
