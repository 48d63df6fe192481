#ifndef PROTO_OUTCOME_JSON_H
#define PROTO_OUTCOME_JSON_H
/*
 * What services are told of messages and uploads that ended, as JSON, over HTTPS and
 * AMQP alike (protocol/service.md 2.8).
 */
#include "codec/ipc_msg.h"

struct js;

#define OUTCOME_JSON_FEEDBACK "application/vnd.microsoft.iothub.feedback.json"

/* One record of a batch, which is an array of them. */
struct js *outcome_json_feedback(const struct ipc_feedback *m);
struct js *outcome_json_notice(const struct ipc_notice *m);

#endif
