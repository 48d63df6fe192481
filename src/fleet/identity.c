/*
 * Identities judged.
 */
#include "fleet/identity.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "codec/js.h"
#include "fleet/azure.h"

static bool
is_key_same(const struct js *a, const struct js *b, const char *name)
{
	struct span x = js_as_str(js_get(a, name)), y = js_as_str(js_get(b, name));
	return x.len == y.len && (x.len == 0 || own_equal(x.p, y.p, x.len));
}

/* Keys and thumbprints, where null and absent are the same. */
static bool
is_same(const struct js *now, const struct js *was)
{
	static const char *const members[][3] = {
	    {"symmetricKey", "primaryKey", "secondaryKey"},
	    {"x509Thumbprint", "primaryThumbprint", "secondaryThumbprint"}};
	const struct js *a = js_get(now, "authentication");
	const struct js *b = js_get(was, "authentication");
	if (strcmp(azure_auth_type(now), azure_auth_type(was)) != 0)
		return false;
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
		const struct js *x = js_get(a, members[i][0]);
		const struct js *y = js_get(b, members[i][0]);
		if (!is_key_same(x, y, members[i][1]) ||
		    !is_key_same(x, y, members[i][2]))
			return false;
	}
	return true;
}

static bool
names(const struct js *thumbs, const char *thumb)
{
	return thumb[0] &&
	       (span_ieq_str(js_as_str(js_get(thumbs, "primaryThumbprint")), thumb) ||
		   span_ieq_str(js_as_str(js_get(thumbs, "secondaryThumbprint")), thumb));
}

static bool
is_ours(const char *type, const struct js *thumbs, const char *thumb, const char *more)
{
	if (strcmp(type, "certificateAuthority") == 0)
		return true;
	return strcmp(type, "selfSigned") == 0 &&
	       (names(thumbs, thumb) || names(thumbs, more));
}

enum identity_state
identity_judge(
    const struct js *now, const struct js *was, const char *thumb, const char *more)
{
	const struct js *thumbs = js_get(js_get(now, "authentication"), "x509Thumbprint");
	if (is_same(now, was))
		return IDENTITY_BEFORE;
	return is_ours(azure_auth_type(now), thumbs, thumb, more) ? IDENTITY_OURS
								  : IDENTITY_OTHER;
}

enum identity_state
identity_judge_twin(const struct js *twin, const char *type_before, const char *thumb)
{
	const char *type = js_as_text(js_get(twin, "authenticationType"));
	if (is_ours(type, js_get(twin, "x509Thumbprint"), thumb, ""))
		return IDENTITY_OURS;
	return strcmp(type, type_before) == 0 ? IDENTITY_BEFORE : IDENTITY_OTHER;
}

struct js *
identity_restore(const struct js *now, const struct js *was)
{
	struct js *v = azure_identity_restore(now);
	const struct js *authentication = js_get(was, "authentication");
	if (authentication)
		js_set(v, "authentication", js_copy(authentication));
	return v;
}

void
identity_words(const struct js *v, char out[IDENTITY_TEXT])
{
	const struct js *thumbs = js_get(js_get(v, "authentication"), "x509Thumbprint");
	const char *type = azure_auth_type(v);
	if (!type[0])
		type = js_as_text(js_get(v, "authenticationType"));
	if (!thumbs)
		thumbs = js_get(v, "x509Thumbprint");
	struct span thumb = js_as_str(js_get(thumbs, "primaryThumbprint"));
	if (thumb.len)
		snprintf(out, IDENTITY_TEXT, "%.32s with thumbprint %.*s", type,
		    SPAN_FMT(span_head(thumb, 64)));
	else
		snprintf(out, IDENTITY_TEXT, "%.32s", type[0] ? type : "of no type");
	for (char *c = out; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}
