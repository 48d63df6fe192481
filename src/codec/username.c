/*
 * User names.
 */
#include "codec/username.h"

#include "codec/id.h"
#include "codec/uri.h"

/* The value of key among k=v pairs, still encoded; the first one counts. */
static struct span
pair_value(struct span pairs, const char *key)
{
	struct uri_pair pair;
	while (uri_pair_next(&pairs, &pair))
		if (span_ieq_str(pair.key, key))
			return pair.value.p ? pair.value : SPAN_NONE;
	return SPAN_NONE;
}

static bool
has_control(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			return true;
	return false;
}

static int
check(struct span s, struct err *e)
{
	if (s.len == 0 || s.len > USERNAME_MAX)
		return err_set(e, ERR_PARSE, "user name is empty or longer than %d bytes",
		    USERNAME_MAX);
	if (has_control(s))
		return err_set(e, ERR_PARSE, "user name holds control characters");
	return 0;
}

bool
username_is_dps(struct span s)
{
	span_split(&s, '/');
	return span_eq_str(span_split(&s, '/'), "registrations") && s.p;
}

int
username_parse_dps(struct span s, struct username_dps *ret, struct err *e)
{
	if (check(s, e) != 0)
		return -1;
	if (!username_is_dps(s))
		return err_set(e, ERR_PARSE,
		    "user name is not {scope}/registrations/{registration ID}/...");
	/* only the first three slashes count: ClientVersion may hold more (1.3) */
	struct span rest = s;
	struct username_dps u = {.scope = span_split(&rest, '/')};
	span_split(&rest, '/');
	u.registration_id = span_split(&rest, '/');
	if (!id_is_scope(u.scope))
		return err_set(e, ERR_PARSE, "user name holds no well-formed ID scope");
	if (!id_is_registration(u.registration_id))
		return err_set(
		    e, ERR_PARSE, "user name holds no well-formed registration ID");
	u.api_version = pair_value(rest, "api-version");
	u.client_agent = pair_value(rest, "ClientVersion");
	*ret = u;
	return 0;
}

/* Index of the last occurrence of needle, or s.len. */
static size_t
rfind(struct span s, const char *needle)
{
	struct span n = span_str(needle);
	for (size_t i = s.len; i-- > 0;)
		if (span_starts(span_skip(s, i), n))
			return i;
	return s.len;
}

/* Splits "{dev}[/{mod}]" from the pairs behind it. '?' may occur in IDs, so the pairs
 * begin at the last "/?", else at the last segment that holds api-version= (3.1). */
static struct span
split_pairs(struct span *ids)
{
	struct span s = *ids;
	size_t at = rfind(s, "/?");
	if (at < s.len) {
		*ids = span_head(s, at);
		return span_skip(s, at + 2);
	}
	size_t key = rfind(s, "api-version=");
	size_t slash = span_rfind(span_head(s, key), '/');
	if (key == s.len || slash == key)
		return SPAN_NONE;
	*ids = span_head(s, slash);
	return span_skip(s, slash + 1);
}

static bool
is_topic_safe(struct span s)
{
	return !span_has(s, '#') && !span_has(s, '+') && !span_has(s, '/');
}

int
username_parse_hub(struct span s, struct username_hub *ret, struct err *e)
{
	if (check(s, e) != 0)
		return -1;
	struct span rest = s;
	struct username_hub u = {.host = span_split(&rest, '/')};
	struct span pairs = split_pairs(&rest);
	if (!pairs.p && rest.len && rest.p[rest.len - 1] == '/')
		rest.len--;
	u.device_id = span_split(&rest, '/');
	u.module_id = rest;
	if (u.host.len == 0 || u.device_id.len == 0 || (rest.p && rest.len == 0))
		return err_set(e, ERR_PARSE, "user name is not {host}/{device ID}/...");
	if (!is_topic_safe(u.device_id) || !is_topic_safe(u.module_id) ||
	    u.device_id.len > ID_MAX || u.module_id.len > ID_MAX)
		return err_set(e, ERR_PARSE, "user name holds no well-formed device ID");
	u.api_version = pair_value(pairs, "api-version");
	u.client_agent = pair_value(pairs, "DeviceClientType");
	*ret = u;
	return 0;
}
