#ifndef AGENT_DPS_ANSWER_H
#define AGENT_DPS_ANSWER_H
/*
 * What the provisioning service answers over MQTT (protocol/device.md 1.7, 1.10): topic
 * and body to a struct. No I/O.
 */
#include "base/err.h"
#include "base/span.h"

#define DPS_ANSWER_HOST      256
#define DPS_ANSWER_ID        129
#define DPS_ANSWER_OPERATION 129
#define DPS_ANSWER_SUBSTATUS 48
#define DPS_ANSWER_MESSAGE   200
#define DPS_ANSWER_BODY_MAX  (96 * 1024)
#define DPS_ANSWER_RETRY_MAX 300

enum dps_answer_kind {
	DPS_ANSWER_ASSIGNED,
	DPS_ANSWER_ASSIGNING, /* poll operation_id after retry_after_s */
	DPS_ANSWER_LATER,     /* 429 or 5xx: the same request again after retry_after_s */
	DPS_ANSWER_REFUSED,   /* for good: why is in the error of dps_answer_refusal */
};

struct dps_answer {
	enum dps_answer_kind kind;
	int status;            /* of the topic */
	struct span rid;       /* borrows from the topic */
	int64_t retry_after_s; /* 1 to 300; 0 where the answer has none */
	char operation_id[DPS_ANSWER_OPERATION];
	char hub[DPS_ANSWER_HOST], device_id[DPS_ANSWER_ID];
	char substatus[DPS_ANSWER_SUBSTATUS];
	char state[DPS_ANSWER_SUBSTATUS]; /* status member: "failed", "disabled" */
	int64_t error_code;               /* 401002; 0 where there is none */
	char message[DPS_ANSWER_MESSAGE]; /* the service's words, cut and printable */
};

/* ERR_PARSE on a topic that is no answer, or a body that does not hold what its status
 * promises. */
must_check int dps_answer_parse(
    struct span topic, struct span body, struct dps_answer *ret, struct err *e);

/* Turns a refusal (or a LATER that was one too many) into an error: DENIED, FORBIDDEN,
 * NOT_FOUND, BUSY, UNAVAILABLE ... with status, errorCode and words. Returns -1. */
int dps_answer_refusal(const struct dps_answer *a, struct err *e);

#endif
