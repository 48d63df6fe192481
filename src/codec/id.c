/*
 * Character sets of names.
 */
#include "codec/id.h"

static bool
is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* True where s has 1 to max characters, each a letter, a digit or one of others. */
static bool
made_of(struct span s, size_t max, const char *others)
{
	if (s.len == 0 || s.len > max)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!is_alnum(s.p[i]) && !span_has(span_str(others), s.p[i]))
			return false;
	return true;
}

bool
id_is_registration(struct span s)
{
	if (!made_of(s, ID_MAX, "-._:"))
		return false;
	uint8_t last = s.p[s.len - 1];
	return is_alnum(last) || last == '-';
}

bool
id_is_device(struct span s)
{
	return made_of(s, ID_MAX, "-:.%_*?!(),=@;$'");
}

bool
id_is_scope(struct span s)
{
	return made_of(s, 64, "-_");
}

bool
id_is_certificate(struct span s)
{
	return made_of(s, 64, "-._");
}

/* A label of RFC 1123 2.1; '_' is in the wild and harmless. */
static bool
is_label(struct span s)
{
	return made_of(s, 63, "-_") && s.p[0] != '-' && s.p[s.len - 1] != '-';
}

bool
id_is_host(struct span s)
{
	if (s.len > 253)
		return false;
	if (span_has(s, ':')) /* an IPv6 address; whether it is one, its user finds out */
		return made_of(s, 45, ":.");
	struct span rest = s;
	do {
		if (!is_label(span_split(&rest, '.')))
			return false;
	} while (rest.p);
	return true;
}
