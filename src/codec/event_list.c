/*
 * Lists of telemetry messages between our processes.
 */
#include "codec/event_list.h"

static void
put_part(struct buf *out, struct span part)
{
	buf_u32(out, (uint32_t)part.len);
	buf_put_span(out, part);
}

void
event_list_put(struct buf *out, struct span props, struct span body)
{
	put_part(out, props);
	put_part(out, body);
}

int
event_list_next(
    struct span *rest, struct span *ret_props, struct span *ret_body, struct err *e)
{
	if (!rest->len)
		return 0;
	struct cursor c = cursor_of(*rest);
	struct span props = cursor_take(&c, cursor_u32(&c));
	struct span body = cursor_take(&c, cursor_u32(&c));
	if (c.bad)
		return err_set(e, ERR_PARSE, "list of messages: cut short");
	*rest = span_of(c.p, c.left);
	*ret_props = props;
	*ret_body = body;
	return 1;
}
