/*
 * Sections of a message. Which may follow which is not checked: each may come once.
 */
#include "codec/amqp_msg.h"

static struct amqp_value *
place_of(struct amqp_msg *m, const struct amqp_value *section)
{
	switch (section->descriptor) {
	case AMQP_MSG_STANDARD:
		return section->kind == AMQP_LIST ? &m->properties : NULL;
	case AMQP_MSG_APPLICATION:
		return section->kind == AMQP_MAP ? &m->application : NULL;
	case AMQP_MSG_DATA:
		return section->kind == AMQP_BINARY ? &m->body : NULL;
	case AMQP_MSG_VALUE:
		return &m->body;
	default:
		return NULL;
	}
}

static bool
is_skipped(const struct amqp_value *section)
{
	return section->descriptor == AMQP_MSG_HEADER ||
	       section->descriptor == AMQP_MSG_DELIVERY_ANNOTATIONS ||
	       section->descriptor == AMQP_MSG_ANNOTATIONS ||
	       section->descriptor == AMQP_MSG_FOOTER;
}

int
amqp_msg_parse(struct span bytes, struct amqp_msg *ret, struct err *e)
{
	struct cursor c = cursor_of(bytes);
	struct amqp_value section;
	struct amqp_msg m = {0};
	while (amqp_next(&c, &section)) {
		if (!section.described)
			return err_set(e, ERR_PARSE, "a message's section has no name");
		if (is_skipped(&section))
			continue;
		struct amqp_value *place = place_of(&m, &section);
		if (!place)
			return err_set(e, ERR_PARSE, "a message's section is malformed");
		if (place->described)
			return err_set(e, ERR_UNSUPPORTED, "a message in several parts");
		*place = section;
	}
	if (c.bad)
		return err_set(e, ERR_PARSE, "a message is malformed");
	*ret = m;
	return 0;
}
