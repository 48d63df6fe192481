#ifndef CODEC_AMQP_SELECTOR_H
#define CODEC_AMQP_SELECTOR_H
/*
 * Where a reader of an event hub begins: the one comparison that its clients write
 * (protocol/service.md 4.2), such as "amqp.annotation.x-opt-offset > '@latest'".
 */
#include "base/err.h"
#include "base/span.h"

struct amqp_selector {
	enum { AMQP_SELECTOR_AFTER, AMQP_SELECTOR_SINCE, AMQP_SELECTOR_LATEST } by;
	/* AFTER: the number of the last event that is not wanted; SINCE: the first
	 * millisecond that is */
	int64_t value;
};

/* ERR_PARSE. */
must_check int amqp_selector_parse(
    struct span text, struct amqp_selector *ret, struct err *e);

#endif
