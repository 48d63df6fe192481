#ifndef CODEC_AMQP_MSG_H
#define CODEC_AMQP_MSG_H
/*
 * A message in AMQP's standard format (OASIS AMQP 1.0, part 3, 3.2): its sections, as
 * they lie in the bytes.
 */
#include "codec/amqp.h"

/* Places in the properties (3.2.4). */
enum amqp_msg_property {
	AMQP_MSG_ID,
	AMQP_MSG_USER_ID,
	AMQP_MSG_TO,
	AMQP_MSG_SUBJECT,
	AMQP_MSG_REPLY_TO,
	AMQP_MSG_CORRELATION_ID,
	AMQP_MSG_CONTENT_TYPE,
	AMQP_MSG_CONTENT_ENCODING,
	AMQP_MSG_EXPIRY,
	AMQP_MSG_PROPERTIES
};

/* Descriptors of the sections. */
enum amqp_msg_section {
	AMQP_MSG_HEADER = 0x70,
	AMQP_MSG_DELIVERY_ANNOTATIONS,
	AMQP_MSG_ANNOTATIONS,
	AMQP_MSG_STANDARD,
	AMQP_MSG_APPLICATION,
	AMQP_MSG_DATA,
	AMQP_MSG_SEQUENCE,
	AMQP_MSG_VALUE,
	AMQP_MSG_FOOTER
};

/* Spans borrow from the message. A section that is not there is AMQP_NULL. */
struct amqp_msg {
	struct amqp_value properties;  /* a list: see enum amqp_msg_property */
	struct amqp_value application; /* a map */
	struct amqp_value
	    body; /* of a data section the binary, of a value section that */
};

/* ERR_PARSE; ERR_UNSUPPORTED on a body in several parts. */
must_check int amqp_msg_parse(struct span bytes, struct amqp_msg *ret, struct err *e);

#endif
