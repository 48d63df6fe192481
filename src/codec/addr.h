#ifndef CODEC_ADDR_H
#define CODEC_ADDR_H
/*
 * IP addresses and prefixes in text: dotted IPv4, and IPv6 as RFC 4291 2.2 has it,
 * without a zone. An IPv4 address is held as the IPv6 address it maps to (2.5.5.2), so
 * one comparison serves both.
 */
#include "base/err.h"
#include "base/span.h"

#define ADDR_LEN  16
#define ADDR_BITS 128

struct addr_prefix {
	uint8_t ip[ADDR_LEN];
	unsigned bits; /* of ip: 96 and more for IPv4 */
};

/* "192.0.2.7", "2001:db8::7". */
must_check int addr_parse(struct span text, uint8_t ret[ADDR_LEN], struct err *e);
/* "192.0.2.7:8883", "[2001:db8::7]:8883": as a socket's peer is written. */
must_check int addr_parse_peer(struct span text, uint8_t ret[ADDR_LEN], struct err *e);
/* "192.0.2.0/24", "2001:db8::/32"; no bit may be set behind the prefix. */
must_check int addr_parse_prefix(
    struct span text, struct addr_prefix *ret, struct err *e);
bool addr_within(const uint8_t ip[ADDR_LEN], const struct addr_prefix *p);

#endif
