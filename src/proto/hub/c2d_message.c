/*
 * Address and wishes of a cloud-to-device message.
 */
#include "proto/hub/c2d_message.h"

#include "codec/ipc_msg.h"
#include "codec/uri.h"

int
c2d_message_to(struct span to, struct arena *a, struct span *ret_id, struct err *e)
{
	struct uri_target target;
	struct uri_path path;
	if (uri_target_parse(to, &target, e) ||
	    uri_path_parse(target.path, false, a, &path, e))
		return err_wrap(e, "to");
	if (path.n != 4 || !span_ieq_str(path.seg[0], "devices") ||
	    !span_ieq_str(path.seg[2], "messages") ||
	    !span_ieq_str(path.seg[3], "devicebound"))
		return err_set(e, ERR_PARSE, "to: /devices/{id}/messages/devicebound");
	*ret_id = path.seg[1];
	return 0;
}

int
c2d_message_ack(struct span text, uint8_t *ret, struct err *e)
{
	static const char *const names[] = {"none", "positive", "negative", "full"};
	if (!text.len)
		return 0;
	for (uint8_t i = 0; i <= IPC_ACK_FULL; i++) {
		if (!span_ieq_str(text, names[i]))
			continue;
		*ret = i;
		return 0;
	}
	return err_set(e, ERR_PARSE, "iothub-ack: none, positive, negative or full");
}

bool
c2d_message_is_id(struct span id)
{
	return id.len && id.len <= CAP_ID && !span_has(id, 0);
}
