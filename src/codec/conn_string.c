/*
 * Connection strings as text.
 */
#include "codec/conn_string.h"

#include "codec/id.h"

#define POLICY_MAX 64
#define KEY_MAX    256

/* '=' is a letter of the key's base64, too: only the first one divides. */
static int
take(struct span part, struct conn_string *c, struct err *e)
{
	static const char *const names[] = {
	    "HostName", "SharedAccessKeyName", "SharedAccessKey"};
	struct span *const fields[] = {&c->host, &c->policy, &c->key};
	struct span value = part;
	struct span name = span_split(&value, '=');
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!span_ieq_str(name, names[i]))
			continue;
		if (fields[i]->p)
			return err_set(
			    e, ERR_PARSE, "connection string: %s twice", names[i]);
		if (!value.len)
			return err_set(
			    e, ERR_PARSE, "connection string: %s is empty", names[i]);
		*fields[i] = value;
		return 0;
	}
	if (span_ieq_str(name, "DeviceId"))
		return err_set(e, ERR_PARSE,
		    "connection string: a device's; a policy's is wanted (iothubowner, "
		    "provisioningserviceowner)");
	return err_set(e, ERR_PARSE,
	    "connection string: want HostName=..;SharedAccessKeyName=..;"
	    "SharedAccessKey=..");
}

static bool
is_host(struct span s)
{
	return id_is_host(span_head(s, span_rfind(s, ':')));
}

int
conn_string_parse(struct span text, struct conn_string *ret, struct err *e)
{
	struct conn_string c = {0};
	struct span rest = span_trim(text);
	while (rest.len) {
		struct span part = span_trim(span_split(&rest, ';'));
		if (part.len && take(part, &c, e))
			return -1;
	}
	if (!c.host.p || !c.policy.p || !c.key.p)
		return err_set(e, ERR_PARSE, "connection string: %s is missing",
		    !c.host.p     ? "HostName"
		    : !c.policy.p ? "SharedAccessKeyName"
				  : "SharedAccessKey");
	if (!is_host(c.host) || c.policy.len > POLICY_MAX || c.key.len > KEY_MAX)
		return err_set(e, ERR_PARSE, "connection string: %s",
		    !is_host(c.host) ? "HostName is no host name" : "too long");
	*ret = c;
	return 0;
}
