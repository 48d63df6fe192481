#ifndef CODEC_USERNAME_H
#define CODEC_USERNAME_H
/*
 * MQTT user names of DPS and hub clients (protocol/device.md 1.3, 3.1). Spans borrow from
 * the user name. IDs are as sent (user names do not encode them); api_version and
 * client_agent are as sent too, so still encoded, and never anything but information.
 */
#include "base/err.h"
#include "base/span.h"

#define USERNAME_MAX 2048

struct username_dps {
	struct span scope, registration_id;
	struct span api_version, client_agent; /* empty where absent */
};

struct username_hub {
	struct span host;      /* as sent, with a port where the client had one */
	struct span device_id; /* never empty */
	struct span module_id; /* empty for a device */
	struct span api_version, client_agent;
};

/* True where the name has the shape {scope}/registrations/..., so is meant for DPS. */
bool username_is_dps(struct span s);

/* {scope}/registrations/{reg}/api-version={v}&ClientVersion={agent}; the pairs may be
 * missing. ERR_PARSE on another shape, or a scope or registration ID outside its set. */
must_check int username_parse_dps(struct span s, struct username_dps *ret, struct err *e);

/* {host}/{dev}[/{mod}] and then nothing, a slash, "/?pairs" or "/pairs" with api-version.
 * The IDs are not checked against id.h (they must be looked up anyway), but never hold
 * '/', wildcards or control characters. */
must_check int username_parse_hub(struct span s, struct username_hub *ret, struct err *e);

#endif
