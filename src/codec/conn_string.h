#ifndef CODEC_CONN_STRING_H
#define CODEC_CONN_STRING_H
/*
 * Connection strings of a hub or a provisioning service, as the portal hands them out:
 * HostName=HOST;SharedAccessKeyName=POLICY;SharedAccessKey=KEY. A credential: whoever
 * holds one wipes it and logs none of it.
 */
#include "base/err.h"
#include "base/span.h"

struct conn_string {
	struct span host, policy, key; /* borrow; key is base64 */
};

/* Names without case, in any order; white space at the ends is ignored. ERR_PARSE on a
 * name that is missing, repeated or unknown (a device's connection string has DeviceId):
 * the error names it, and holds nothing of the text. */
must_check int conn_string_parse(
    struct span text, struct conn_string *ret, struct err *e);

#endif
