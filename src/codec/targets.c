/*
 * targets.conf as a table: a row a key, which says whose it is and what it may hold. The
 * lines are conf.c's.
 */
#include "codec/targets.h"

#include <stddef.h>
#include <string.h>

#include "base/num.h"
#include "codec/conf.h"
#include "codec/id.h"

enum form { FILE_NAME, HOST, URL, IMDS_URL, RESOURCE, WORD, TIER, COUNT };

/* Whose a key is: bits of what a section is. */
enum {
	MUSTER = 1 << TARGETS_CERTIFICATE,
	STRINGS = 1 << TARGETS_CONNECTION_STRING,
	PRINCIPAL = 1 << TARGETS_SERVICE_PRINCIPAL,
	MACHINE = 1 << TARGETS_MANAGED_IDENTITY,
	TOKENS = PRINCIPAL | MACHINE,
	ALL = MUSTER | STRINGS | TOKENS,
};

static const struct key {
	const char *name;
	size_t offset;
	enum form form;
	unsigned of, needed; /* bits */
	const char *def;
} keys[] = {
#define KEY(name, ...)                                                                   \
	{                                                                                \
#name, offsetof(struct targets_row, name), __VA_ARGS__                   \
	}
    KEY(ca, FILE_NAME, ALL, MUSTER, ""),
    KEY(server, URL, MUSTER, MUSTER, ""),
    KEY(cert, FILE_NAME, MUSTER, MUSTER, ""),
    KEY(key, FILE_NAME, MUSTER, MUSTER, ""),
    /* a connection string has its host in it */
    KEY(hub, HOST, TOKENS, 0, ""),
    KEY(dps, HOST, TOKENS, 0, ""),
    KEY(hub_connection, FILE_NAME, STRINGS, 0, ""),
    KEY(dps_connection, FILE_NAME, STRINGS, 0, ""),
    /* ARM takes no connection string */
    KEY(hub_resource, RESOURCE, MUSTER | TOKENS, 0, ""),
    KEY(dps_resource, RESOURCE, MUSTER | TOKENS, 0, ""),
    KEY(arm, URL, TOKENS, 0, TARGETS_ARM),
    KEY(tenant, WORD, PRINCIPAL, PRINCIPAL, ""),
    KEY(client_id, WORD, TOKENS, PRINCIPAL, ""),
    KEY(secret, FILE_NAME, PRINCIPAL, PRINCIPAL, ""),
    KEY(authority, URL, PRINCIPAL, 0, TARGETS_AUTHORITY),
    KEY(imds, IMDS_URL, MACHINE, 0, TARGETS_IMDS),
    /* what a campaign paces itself by */
    KEY(tier, TIER, ALL, 0, ""),
    KEY(units, COUNT, ALL, 0, ""),
#undef KEY
};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

static const char *const kinds[] = {"muster", "azure"};
static const char *const sign_ins[TARGETS_SIGN_INS] = {
    [TARGETS_CERTIFICATE] = "certificate",
    [TARGETS_CONNECTION_STRING] = "connection-string",
    [TARGETS_SERVICE_PRINCIPAL] = "service-principal",
    [TARGETS_MANAGED_IDENTITY] = "managed-identity",
};

struct reading {
	struct targets *t;
	struct arena *a;
	bool has_kind[TARGETS_MAX], has_sign_in[TARGETS_MAX];
	uint32_t given[TARGETS_MAX]; /* bits of keys */
};

const char *
targets_sign_in_name(enum targets_sign_in s)
{
	return sign_ins[s];
}

const struct targets_row *
targets_find(const struct targets *t, struct span name)
{
	for (size_t i = 0; i < t->n; i++)
		if (span_eq_str(name, t->row[i].name))
			return &t->row[i];
	return NULL;
}

/* ---- values --------------------------------------------------------------------------
 */

static bool
is_made_of(struct span s, const char *more)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9');
		if (!plain && (!c || !strchr(more, c)))
			return false;
	}
	return s.len > 0;
}

static bool
is_host(struct span s)
{
	int64_t port;
	size_t colon = span_rfind(s, ':');
	if (colon == s.len)
		return id_is_host(s);
	struct span host = span_head(s, colon);
	if (host.len > 2 && host.p[0] == '[' && host.p[host.len - 1] == ']')
		host = span_head(span_skip(host, 1), host.len - 2);
	return id_is_host(host) && num_ok(span_skip(s, colon + 1), 1, 65535, &port);
}

static bool
is_url(struct span s, struct span scheme)
{
	if (!span_starts(s, scheme))
		return false;
	s = span_skip(s, scheme.len);
	size_t slash = span_find(s, '/');
	struct span path = span_skip(s, slash);
	return is_host(span_head(s, slash)) && (!path.len || is_made_of(path, "/-._~"));
}

static bool
is_resource(struct span s)
{
	return span_istarts(s, SPAN_LIT("/subscriptions/")) && is_made_of(s, "/-._()");
}

static bool
is_file(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return s.len > 0;
}

static bool
is_tier(struct span s)
{
	return s.len == 2 &&
	       (span_eq_str(s, "F1") ||
		   (strchr("BS", s.p[0]) && s.p[1] >= '1' && s.p[1] <= '3'));
}

static int
check_value(const struct key *k, struct span v, struct err *e)
{
	static const char *const wanted[] = {[FILE_NAME] = "the name of a file",
	    [HOST] = "a host name, with :port or without",
	    [URL] = "https://host",
	    [IMDS_URL] = "http://host or https://host",
	    [RESOURCE] = "/subscriptions/...",
	    [WORD] = "letters, digits and - . _",
	    [TIER] = "F1, B1 to B3 or S1 to S3",
	    [COUNT] = "1 to 200"};
	int64_t count;
	bool good = false;
	switch (k->form) {
	case FILE_NAME:
		good = is_file(v);
		break;
	case HOST:
		good = is_host(v);
		break;
	case IMDS_URL:
		good = is_url(v, SPAN_LIT("http://")) || is_url(v, SPAN_LIT("https://"));
		break;
	case URL:
		good = is_url(v, SPAN_LIT("https://"));
		break;
	case RESOURCE:
		good = is_resource(v);
		break;
	case WORD:
		good = is_made_of(v, "-._");
		break;
	case TIER:
		good = is_tier(v);
		break;
	case COUNT:
		good = num_ok(v, 1, 200, &count);
		break;
	}
	if (good)
		return 0;
	/* a secret in the wrong place must not reach a log: the value is not told */
	return err_set(e, ERR_PARSE, "%s: %s is wanted", k->name, wanted[k->form]);
}

/* ---- lines ---------------------------------------------------------------------------
 */

static int
find_row(struct reading *r, struct span name, size_t *ret_at, struct err *e)
{
	const struct targets_row *known = targets_find(r->t, name);
	if (known) {
		*ret_at = (size_t)(known - r->t->row);
		return 0;
	}
	if (name.len > TARGETS_NAME_MAX || !is_made_of(name, "-._"))
		return err_set(e, ERR_PARSE,
		    "'%.*s' is no name of a target: 1 to %d letters, digits and - . _",
		    SPAN_FMT(span_head(name, 40)), TARGETS_NAME_MAX);
	if (r->t->n == TARGETS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d targets", TARGETS_MAX);
	*ret_at = r->t->n++;
	r->t->row[*ret_at] = (struct targets_row){.name = arena_str(r->a, name)};
	return 0;
}

static const char **
field(struct targets_row *row, const struct key *k)
{
	return (const char **)((char *)row + k->offset);
}

static int
set_key(
    struct reading *r, size_t at, const struct key *k, struct span value, struct err *e)
{
	_Static_assert(KEYS <= 32, "given holds a bit a key");
	uint32_t bit = UINT32_C(1) << (k - keys);
	if (r->given[at] & bit)
		return err_set(e, ERR_PARSE, "%s is set twice", k->name);
	if (check_value(k, value, e))
		return -1;
	r->given[at] |= bit;
	*field(&r->t->row[at], k) = arena_str(r->a, value);
	return 0;
}

static int
set_kind(struct reading *r, size_t at, struct span value, struct err *e)
{
	if (r->has_kind[at])
		return err_set(e, ERR_PARSE, "kind is set twice");
	if (!span_eq_str(value, kinds[0]) && !span_eq_str(value, kinds[1]))
		return err_set(e, ERR_PARSE, "kind: muster or azure");
	r->has_kind[at] = true;
	r->t->row[at].kind =
	    span_eq_str(value, kinds[1]) ? TARGETS_AZURE : TARGETS_MUSTER;
	return 0;
}

static int
set_sign_in(struct reading *r, size_t at, struct span value, struct err *e)
{
	if (r->has_sign_in[at])
		return err_set(e, ERR_PARSE,
		    "sign_in is set twice: a target has one way to sign in");
	for (int i = 0; i < TARGETS_SIGN_INS; i++) {
		if (!span_eq_str(value, sign_ins[i]))
			continue;
		r->t->row[at].sign_in = (enum targets_sign_in)i;
		r->has_sign_in[at] = true;
		return 0;
	}
	return err_set(e, ERR_PARSE,
	    "sign_in: connection-string, service-principal or managed-identity "
	    "(certificate: of a muster)");
}

static int
on_line(void *arg, struct span section, struct span key, struct span value, struct err *e)
{
	struct reading *r = arg;
	size_t at = 0;
	if (find_row(r, section, &at, e))
		return -1;
	if (span_eq_str(key, "kind"))
		return set_kind(r, at, value, e);
	if (span_eq_str(key, "sign_in"))
		return set_sign_in(r, at, value, e);
	for (size_t i = 0; i < KEYS; i++)
		if (span_eq_str(key, keys[i].name))
			return set_key(r, at, &keys[i], value, e);
	return err_set(e, ERR_PARSE, "no key '%.*s'; docs/targets.md has those there are",
	    SPAN_FMT(span_head(key, 40)));
}

/* ---- sections ------------------------------------------------------------------------
 */

static int
check_way(const struct reading *r, size_t at, struct err *e)
{
	const struct targets_row *t = &r->t->row[at];
	if (!r->has_kind[at])
		return err_set(
		    e, ERR_PARSE, "[%s]: kind is wanted: muster or azure", t->name);
	if (t->kind == TARGETS_AZURE && !r->has_sign_in[at])
		return err_set(e, ERR_PARSE,
		    "[%s]: sign_in is wanted: connection-string, service-principal or "
		    "managed-identity",
		    t->name);
	if ((t->kind == TARGETS_MUSTER) == (t->sign_in == TARGETS_CERTIFICATE))
		return 0;
	return err_set(e, ERR_PARSE, "[%s]: a target of kind %s does not sign in by %s",
	    t->name, kinds[t->kind], sign_ins[t->sign_in]);
}

static int
check_key(const struct reading *r, size_t at, const struct key *k, struct err *e)
{
	const struct targets_row *t = &r->t->row[at];
	unsigned is = 1u << t->sign_in;
	bool given = r->given[at] >> (k - keys) & 1;
	if (given && !(k->of & is))
		return err_set(e, ERR_PARSE, "[%s]: %s is not for sign_in = %s", t->name,
		    k->name, sign_ins[t->sign_in]);
	if (!given && (k->needed & is))
		return err_set(e, ERR_PARSE, "[%s]: %s is wanted (sign_in = %s)", t->name,
		    k->name, sign_ins[t->sign_in]);
	return 0;
}

static int
check_row(const struct reading *r, size_t at, struct err *e)
{
	struct targets_row *t = &r->t->row[at];
	if (check_way(r, at, e))
		return -1;
	for (size_t i = 0; i < KEYS; i++) {
		if (check_key(r, at, &keys[i], e))
			return -1;
		if (!*field(t, &keys[i]))
			*field(t, &keys[i]) = keys[i].def;
	}
	if (t->kind == TARGETS_MUSTER || t->hub[0] || t->dps[0] || t->hub_connection[0] ||
	    t->dps_connection[0] || t->hub_resource[0] || t->dps_resource[0])
		return 0;
	return err_set(e, ERR_PARSE,
	    "[%s]: it has neither a hub nor a provisioning service", t->name);
}

int
targets_parse(struct span text, struct arena *a, struct targets *ret, struct err *e)
{
	struct targets *t = own_alloc(sizeof(*t));
	struct reading r = {.t = t, .a = a};
	int rc = conf_each(text, on_line, &r, e);
	for (size_t i = 0; rc == 0 && i < t->n; i++)
		rc = check_row(&r, i, e);
	if (rc == 0)
		*ret = *t;
	free(t);
	return rc;
}
