#ifndef LOAD_PACKET_H
#define LOAD_PACKET_H
/*
 * MQTT 3.1.1 packets, as much as a client needs. What is written fits PACKET_ROOM and the
 * payload; text that would not fit is a mistake of ours and ends the program.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACKET_ROOM 1024

enum packet_type {
	PACKET_CONNACK = 2,
	PACKET_PUBLISH = 3,
	PACKET_PUBACK = 4,
	PACKET_SUBACK = 9,
};

struct packet {
	uint8_t first;
	const uint8_t *body;
	size_t len;
};

/* Each writes one packet to p and returns its length. */
size_t packet_connect(uint8_t *p, const char *id, const char *user);
size_t packet_subscribe(uint8_t *p, uint16_t number, const char *filter, uint8_t qos);
/* number: where qos is not 0 */
size_t packet_publish(uint8_t *p, const char *topic, uint8_t qos, uint16_t number,
    const void *payload, size_t len);

/* The first packet in bytes: its whole length, 0 where it is not all there. */
size_t packet_take(const uint8_t *p, size_t len, struct packet *ret);
/* A PUBLISH at QoS 0 to a topic that begins with these words; rest: what follows them,
 * cut to its room. */
bool packet_is_to(const struct packet *p, const char *begin, char *rest, size_t room);

#endif
