/*
 * Feedback on cloud-to-device messages, notices of uploads.
 */
#include "proto/hub/outcome_json.h"

#include "codec/js.h"
#include "proto/json.h"

/* service.md 2.8; indexed by enum ipc_outcome. */
static const struct {
	const char *status, *description;
} outcomes[] = {
    [IPC_OUTCOME_SUCCESS] = {"Success", "Success"},
    [IPC_OUTCOME_EXPIRED] = {"Expired", "Message expired"},
    [IPC_OUTCOME_EXHAUSTED] = {"DeliveryCountExceeded",
	"Maximum delivery count exceeded"},
    [IPC_OUTCOME_REJECTED] = {"Rejected", "Message rejected"},
    [IPC_OUTCOME_PURGED] = {"Purged", "Message purged"},
};

struct js *
outcome_json_feedback(const struct ipc_feedback *m)
{
	struct js *o = js_object();
	size_t i = m->outcome <= IPC_OUTCOME_PURGED ? m->outcome : IPC_OUTCOME_PURGED;
	json_put_text(o, "originalMessageId", m->message_id);
	js_set_text(o, "description", outcomes[i].description);
	json_put_text(o, "deviceGenerationId", m->generation);
	json_put_text(o, "deviceId", m->device_id);
	json_put_time(o, "enqueuedTimeUtc", m->at_ms);
	js_set_text(o, "statusCode", outcomes[i].status);
	return o;
}

struct js *
outcome_json_notice(const struct ipc_notice *m)
{
	struct js *o = js_object();
	json_put_text(o, "deviceId", m->device_id);
	json_put_text(o, "blobUri", m->uri);
	json_put_text(o, "blobName", m->blob);
	json_put_time(o, "lastUpdatedTime", m->ended_ms);
	json_put_time(o, "enqueuedTimeUtc", m->ended_ms);
	return o;
}
