#ifndef CODEC_TOPIC_H
#define CODEC_TOPIC_H
/*
 * The topics of DPS and hub: what a device publishes, subscribes to and is written
 * (protocol/device.md 1.4 to 1.7, 3.6 to 3.12). Own IDs are matched as a literal prefix
 * before anything else, so an ID with odd characters can never act as a pattern. Spans
 * borrow.
 */
#include "base/buf.h"

#define TOPIC_RID_MAX       256
#define TOPIC_OPERATION_MAX 128

enum topic_dps_kind { TOPIC_DPS_REGISTER, TOPIC_DPS_POLL };

struct topic_dps {
	enum topic_dps_kind kind;
	struct span rid;                            /* byte for byte as sent */
	char operation_id[TOPIC_OPERATION_MAX + 1]; /* decoded; "" in a register */
};

/* ERR_FORBIDDEN on a topic that is not one of the two, ERR_PARSE on a bad $rid or
 * operationId. */
must_check int topic_parse_dps(struct span topic, struct topic_dps *ret, struct err *e);

enum topic_hub_kind {
	TOPIC_TELEMETRY,
	TOPIC_TWIN_GET,
	TOPIC_TWIN_REPORT,
	TOPIC_METHOD_RESPONSE,
	TOPIC_CREDENTIAL_ISSUE,
};

struct topic_hub {
	enum topic_hub_kind kind;
	struct span bag; /* telemetry: all behind messages/events/, for topic_bag_next */
	struct span rid; /* the others */
	int status;      /* method response */
	int64_t version; /* twin report: the $version condition, or -1 */
};

/* device_id, module_id (empty for a device): who the connection is. ERR_FORBIDDEN on
 * another's topic or an unknown one: close the connection (3.7). */
must_check int topic_parse_hub(struct span topic, struct span device_id,
    struct span module_id, struct topic_hub *ret, struct err *e);

enum topic_sub {
	TOPIC_SUB_UNKNOWN, /* answer 0x80 */
	TOPIC_SUB_DPS,     /* $dps/registrations/res/# */
	TOPIC_SUB_C2D,
	TOPIC_SUB_INPUTS,
	TOPIC_SUB_TWIN_RES,
	TOPIC_SUB_TWIN_DESIRED,
	TOPIC_SUB_METHODS,
	TOPIC_SUB_CREDENTIALS, /* $iothub/credentials/res/# */
	TOPIC_SUB_N
};

/* The hub subscriptions of a session as one number, which outlives its connections
 * (protocol/device.md 3.5): two bits for each from TOPIC_SUB_C2D on, 0 where there is
 * none, else 1 + its QoS. */
/* Set in it where the session outlives its connection (CleanSession 0), so that one with
 * no subscription is told from none. */
#define TOPIC_SUBS_KEPT (UINT32_C(1) << 31)
/* The QoS granted, -1 where there is no such subscription. */
int topic_subs_qos(uint32_t subs, enum topic_sub sub);
/* qos -1 takes it away. */
uint32_t topic_subs_with(uint32_t subs, enum topic_sub sub, int qos);

/* What a SUBSCRIBE filter asks for. The hub's also takes devices/+/... as the own device.
 */
enum topic_sub topic_sub_dps(struct span filter);
enum topic_sub topic_sub_hub(
    struct span filter, struct span device_id, struct span module_id);

/* Takes the next pair off *rest and decodes it leniently into key and value (both reset
 * first); empty pairs are skipped, false when none is left. has_value: there was an '='.
 * A pair never decodes to more than it was, so buffers of 64 KB cannot overflow. */
bool topic_bag_next(
    struct span *rest, struct buf *key, struct buf *value, bool *ret_has_value);
/* Appends a pair to a topic that ends in '/' or in another pair. '$' is written %24
 * (3.10). */
void topic_bag_put(struct buf *b, struct span key, struct span value);

/* $dps/registrations/res/{status}/?$rid={rid}, with &retry-after= where retry_after_s is
 * not 0; it is kept inside 1 to 300 (1.7). */
void topic_write_dps_response(
    struct buf *b, int status, struct span rid, int64_t retry_after_s);
/* $iothub/twin/res/{status}/?$rid={rid}, with &$version= where version is not -1. */
void topic_write_twin_response(
    struct buf *b, int status, struct span rid, int64_t version);
/* $iothub/credentials/res/{status}/?$rid={rid} */
void topic_write_credential_response(struct buf *b, int status, struct span rid);
/* $iothub/twin/PATCH/properties/desired/?$version={n} */
void topic_write_twin_desired(struct buf *b, int64_t version);
/* $iothub/methods/POST/{name}/?$rid={rid}, nothing behind it (3.11). */
void topic_write_method(struct buf *b, struct span name, struct span rid);
/* devices/{dev}/messages/devicebound/; pairs by topic_bag_put. */
void topic_write_c2d(struct buf *b, struct span device_id);
/* devices/{dev}[/modules/{mod}]/messages/events/; a client's side of telemetry. */
void topic_write_telemetry(struct buf *b, struct span device_id, struct span module_id);

#endif
