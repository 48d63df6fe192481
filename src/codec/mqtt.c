/*
 * MQTT 3.1.1. Clause numbers are those of the OASIS standard of 29 October 2014.
 */
#include "codec/mqtt.h"

#include <assert.h>

#include "codec/utf8.h"

static int
malformed(struct err *e, const char *what)
{
	return err_set(e, ERR_PARSE, "MQTT: %s", what);
}

/* The remaining length (2.2.3) behind the first byte. *ret_used is 0 while bytes are
 * missing. */
static int
remaining_length(struct span in, size_t *ret_used, uint32_t *ret_len, struct err *e)
{
	uint32_t len = 0;
	*ret_used = 0;
	for (size_t i = 0; i < 4 && 1 + i < in.len; i++) {
		uint8_t c = in.p[1 + i];
		len |= (uint32_t)(c & 0x7f) << (7 * i);
		if (c & 0x80)
			continue;
		if (i > 0 && c == 0)
			return malformed(e, "remaining length is longer than needed");
		*ret_used = i + 1;
		*ret_len = len;
		return 0;
	}
	if (in.len > 4)
		return malformed(e, "remaining length has more than four bytes");
	return 0;
}

int
mqtt_frame(struct span in, size_t max, size_t *ret_len, struct err *e)
{
	size_t used;
	uint32_t len;
	if (remaining_length(in, &used, &len, e) != 0)
		return -1;
	if (used == 0) {
		*ret_len = 0;
		return 0;
	}
	size_t whole = 1 + used + len;
	if (whole > max)
		return err_set(e, ERR_LIMIT,
		    "MQTT: a packet of %zu bytes was announced, %zu are allowed", whole,
		    max);
	*ret_len = in.len >= whole ? whole : 0;
	return 0;
}

/* A field of 16 bits of length and that many bytes (1.5.3, 3.1.3.3). */
static struct span
take_field(struct cursor *c)
{
	return cursor_take(c, cursor_u16(c));
}

/* A UTF-8 encoded string (1.5.3); marks the cursor bad where it is none. */
static struct span
take_string(struct cursor *c)
{
	struct span s = take_field(c);
	if (!utf8_ok_no_nul(s))
		c->bad = true;
	return s;
}

bool
mqtt_is_topic(struct span s)
{
	return s.len > 0;
}

bool
mqtt_is_filter(struct span s)
{
	if (s.len == 0)
		return false;
	for (struct span rest = s; rest.p;) {
		struct span level = span_split(&rest, '/');
		bool alone = level.len == 1;
		if (span_has(level, '+') && !alone)
			return false;
		if (span_has(level, '#') && (!alone || rest.p))
			return false;
	}
	return true;
}

enum {
	CONNECT_CLEAN = 0x02,
	CONNECT_WILL = 0x04,
	CONNECT_WILL_RETAIN = 0x20,
	CONNECT_PASSWORD = 0x40,
	CONNECT_USER = 0x80
};

/* 3.1.2.3 to 3.1.2.9 */
static int
parse_connect_flags(uint8_t flags, struct mqtt_connect *c, struct err *e)
{
	c->clean = flags & CONNECT_CLEAN;
	c->has_will = flags & CONNECT_WILL;
	c->will_qos = flags >> 3 & 3;
	c->will_retain = flags & CONNECT_WILL_RETAIN;
	c->has_password = flags & CONNECT_PASSWORD;
	c->has_user = flags & CONNECT_USER;
	if (flags & 1)
		return malformed(e, "reserved flag of CONNECT is set");
	if (c->will_qos == 3 || (!c->has_will && (c->will_qos || c->will_retain)))
		return malformed(e, "will flags of CONNECT contradict each other");
	if (c->has_password && !c->has_user)
		return malformed(e, "CONNECT has a password and no user name");
	return 0;
}

/* 3.1.2.1, 3.1.2.2: what another level means by the bytes that follow is not known here.
 */
static int
parse_protocol(struct cursor *in, struct err *e)
{
	struct span name = take_field(in);
	uint8_t level = cursor_u8(in);
	bool known = span_eq_str(name, "MQTT") || span_eq_str(name, "MQIsdp");
	if (in->bad || !known)
		return malformed(e, "CONNECT names another protocol");
	if (level != 4 || name.len != 4)
		return err_set(e, ERR_UNSUPPORTED,
		    "MQTT: protocol %.*s level %u, only 3.1.1", SPAN_FMT(name), level);
	return 0;
}

static int
parse_connect(struct cursor *in, struct mqtt_packet *ret, struct err *e)
{
	struct mqtt_connect c = {0};
	if (parse_protocol(in, e) != 0)
		return -1;
	uint8_t flags = cursor_u8(in);
	c.keep_alive_s = cursor_u16(in);
	if (parse_connect_flags(flags, &c, e) != 0)
		return -1;
	c.client_id = take_string(in);
	if (c.has_will) {
		c.will_topic = take_string(in);
		c.will_payload = take_field(in);
	}
	if (c.has_user)
		c.user = take_string(in);
	if (c.has_password)
		c.password = take_field(in);
	if (!cursor_done(in))
		return malformed(
		    e, "CONNECT's fields do not fit its length or are not UTF-8");
	if (c.has_will && !mqtt_is_topic(c.will_topic))
		return malformed(e, "will topic is empty");
	ret->connect = c;
	return 0;
}

/* 3.3 */
static int
parse_publish(uint8_t flags, struct cursor *in, struct mqtt_packet *ret, struct err *e)
{
	struct mqtt_publish p = {
	    .dup = flags & 8, .qos = flags >> 1 & 3, .retain = flags & 1};
	if (p.qos == 3)
		return malformed(e, "PUBLISH has both QoS bits set");
	if (p.dup && p.qos == 0)
		return malformed(e, "PUBLISH has DUP at QoS 0");
	p.topic = take_string(in);
	if (p.qos)
		p.id = cursor_u16(in);
	p.payload = cursor_take(in, in->left);
	if (in->bad)
		return malformed(e, "PUBLISH ends early or its topic is not UTF-8");
	if (!mqtt_is_topic(p.topic))
		return malformed(e, "PUBLISH to an empty topic");
	if (p.qos && p.id == 0)
		return malformed(e, "PUBLISH has packet ID 0");
	ret->publish = p;
	return 0;
}

/* 0 is let through, though no PUBLISH has it: .NET acknowledges what DPS answers at QoS 0
 * as well, which has no ID to name (device.md section 7 row 23). */
static int
parse_puback(struct cursor *in, struct mqtt_packet *ret, struct err *e)
{
	uint16_t id = cursor_u16(in);
	if (!cursor_done(in))
		return malformed(e, "PUBACK is not one packet ID");
	ret->puback_id = id;
	return 0;
}

/* 3.8 and 3.10, which differ by the byte of QoS behind each filter. */
static int
parse_subscribe(bool has_qos, struct cursor *in, struct mqtt_packet *ret, struct err *e)
{
	struct mqtt_subscribe s = {.id = cursor_u16(in), .has_qos = has_qos};
	if (in->bad || s.id == 0)
		return malformed(e, "SUBSCRIBE or UNSUBSCRIBE without a packet ID");
	s.filters = span_of(in->p, in->left);
	for (; in->left && !in->bad; s.n++) {
		struct span filter = take_string(in);
		uint8_t qos = has_qos ? cursor_u8(in) : 0;
		if (in->bad)
			break;
		if (!mqtt_is_filter(filter))
			return malformed(
			    e, "a topic filter is empty or misplaces a wildcard");
		if (qos > 2)
			return malformed(
			    e, "SUBSCRIBE asks for a QoS that does not exist");
	}
	if (in->bad || s.n == 0)
		return malformed(
		    e, "SUBSCRIBE or UNSUBSCRIBE has no whole list of filters");
	ret->subscribe = s;
	return 0;
}

static int
parse_empty(struct cursor *in, struct err *e)
{
	return in->left ? malformed(e, "a packet without fields has some") : 0;
}

/* The flags each packet must carry (2.2.2); PUBLISH has its own. */
static bool
flags_ok(enum mqtt_type type, uint8_t flags)
{
	if (type == MQTT_PUBLISH)
		return true;
	return flags == (type == MQTT_SUBSCRIBE || type == MQTT_UNSUBSCRIBE ? 2 : 0);
}

static int
parse_body(uint8_t flags, struct cursor *in, struct mqtt_packet *ret, struct err *e)
{
	switch (ret->type) {
	case MQTT_CONNECT:
		return parse_connect(in, ret, e);
	case MQTT_PUBLISH:
		return parse_publish(flags, in, ret, e);
	case MQTT_PUBACK:
		return parse_puback(in, ret, e);
	case MQTT_SUBSCRIBE:
		return parse_subscribe(true, in, ret, e);
	case MQTT_UNSUBSCRIBE:
		return parse_subscribe(false, in, ret, e);
	case MQTT_PINGREQ:
	case MQTT_DISCONNECT:
		return parse_empty(in, e);
	default:
		return err_set(e, ERR_PARSE,
		    "MQTT: packet type %d is not a client's to send", ret->type);
	}
}

int
mqtt_parse(struct span packet, struct mqtt_packet *ret, struct err *e)
{
	size_t used;
	uint32_t len;
	if (remaining_length(packet, &used, &len, e) != 0)
		return -1;
	if (used == 0 || packet.len != 1 + used + len)
		return malformed(e, "packet length does not match its header");
	uint8_t first = packet.p[0];
	struct mqtt_packet p = {.type = first >> 4};
	if (!flags_ok(p.type, first & 15))
		return malformed(e, "reserved flags of the fixed header are wrong");
	struct cursor in = cursor_of(span_skip(packet, 1 + used));
	if (parse_body(first & 15, &in, &p, e) != 0)
		return -1;
	*ret = p;
	return 0;
}

bool
mqtt_filter_next(struct mqtt_subscribe *s, struct mqtt_filter *ret)
{
	if (s->n == 0)
		return false;
	struct cursor in = cursor_of(s->filters);
	ret->filter = take_field(&in);
	ret->qos = s->has_qos ? cursor_u8(&in) : 0;
	s->filters = span_of(in.p, in.left);
	s->n--;
	return true;
}

/* A fixed header (2.2). */
static void
write_header(struct buf *b, enum mqtt_type type, uint8_t flags, size_t remaining)
{
	if (remaining > MQTT_MAX_REMAINING) {
		b->bad = true;
		return;
	}
	buf_u8(b, (uint8_t)(type << 4 | flags));
	do {
		uint8_t low = remaining & 0x7f;
		remaining >>= 7;
		buf_u8(b, remaining ? low | 0x80 : low);
	} while (remaining);
}

static void
write_with_id(struct buf *b, enum mqtt_type type, uint16_t id)
{
	write_header(b, type, 0, 2);
	buf_u16(b, id);
}

void
mqtt_write_connack(struct buf *b, bool session_present, uint8_t code)
{
	write_header(b, MQTT_CONNACK, 0, 2);
	buf_u8(b, session_present && code == 0); /* 3.2.2.2 */
	buf_u8(b, code);
}

void
mqtt_write_publish(struct buf *b, struct span topic, struct span payload, uint8_t qos,
    bool dup, uint16_t id)
{
	assert(qos <= 1 && (qos || !dup) && (!qos || id));
	if (topic.len > UINT16_MAX) {
		b->bad = true;
		return;
	}
	uint8_t flags = (uint8_t)(qos << 1 | dup << 3);
	write_header(b, MQTT_PUBLISH, flags, 2 + topic.len + (qos ? 2 : 0) + payload.len);
	buf_u16(b, (uint16_t)topic.len);
	buf_put_span(b, topic);
	if (qos)
		buf_u16(b, id);
	buf_put_span(b, payload);
}

void
mqtt_write_puback(struct buf *b, uint16_t id)
{
	write_with_id(b, MQTT_PUBACK, id);
}

void
mqtt_write_suback(struct buf *b, uint16_t id, const uint8_t *codes, size_t n)
{
	write_header(b, MQTT_SUBACK, 0, 2 + n);
	buf_u16(b, id);
	buf_put(b, codes, n);
}

void
mqtt_write_unsuback(struct buf *b, uint16_t id)
{
	write_with_id(b, MQTT_UNSUBACK, id);
}

void
mqtt_write_pingresp(struct buf *b)
{
	write_header(b, MQTT_PINGRESP, 0, 0);
}
