/*
 * Where a container is and whose it is.
 */
#include "codec/blob_url.h"

static struct span
without_slashes(struct span s)
{
	while (s.len && s.p[s.len - 1] == '/')
		s.len--;
	return s;
}

static size_t
scheme_len(struct span url)
{
	static const struct span schemes[] = {SPAN_LIT("https://"), SPAN_LIT("http://")};
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (span_starts(url, schemes[i]))
			return schemes[i].len;
	return 0;
}

int
blob_url_parse(struct span url, struct blob_url *ret, struct err *e)
{
	struct span text = without_slashes(span_trim(url));
	size_t scheme = scheme_len(text);
	struct span rest = span_skip(text, scheme);
	struct span host = span_head(rest, span_find(rest, '/'));
	struct span path = span_skip(rest, host.len);
	if (!scheme || !host.len || path.len < 2)
		return err_set(e, ERR_USAGE,
		    "%.*s: https://ACCOUNT.blob.core.windows.net/CONTAINER is wanted",
		    SPAN_FMT(span_head(url, 200)));
	struct span inner = span_skip(path, 1);
	size_t slash = span_find(inner, '/');
	bool emulator = slash < inner.len;
	*ret = (struct blob_url){.is_https = scheme == sizeof("https://") - 1,
	    .base = span_head(text, scheme + host.len),
	    .host = host,
	    .path = path,
	    .account = emulator ? span_head(inner, slash)
				: span_head(host, span_find(host, '.')),
	    .container = emulator ? span_skip(inner, slash + 1) : inner};
	return 0;
}
