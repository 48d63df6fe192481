/* What a webhook answers: parsed, or refused with a reason; a URL is judged. */
#include "fuzz.h"

#include <assert.h>

#include "proto/dps/hook_json.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hook_json_room room = HOOK_JSON_ROOM;
	struct ipc_hook_answer m;
	struct err e = {0};
	struct span in = span_of(data, size);
	if (hook_json_answer(in, &room, &m, &e))
		assert(e.text[0]);
	else
		assert(m.hub.len && m.payload.len <= CAP_JSON && m.tags.len <= CAP_JSON);
	hook_json_room_done(&room);
	(void)hook_json_url(in);
	return 0;
}
