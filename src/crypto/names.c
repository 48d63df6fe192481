/*
 * Shapes only. A name that is not of its type's characters can slip past a constraint
 * (reliability: CVE-2021-44532 and its kin), so it is refused before it is compared.
 */
#include "crypto/names.h"

#include "codec/der.h"

enum { /* GeneralName's tags; directoryName and the like are constructed */
	NAME_OTHER = DER_EXPLICIT(0),
	NAME_EMAIL = DER_IMPLICIT(1),
	NAME_DNS = DER_IMPLICIT(2),
	NAME_X400 = DER_EXPLICIT(3),
	NAME_DIRECTORY = DER_EXPLICIT(4),
	NAME_EDI = DER_EXPLICIT(5),
	NAME_URI = DER_IMPLICIT(6),
	NAME_IP = DER_IMPLICIT(7),
	NAME_RID = DER_IMPLICIT(8),
};

#define DNS_MAX   253
#define LABEL_MAX 63

static bool
is_ascii(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= 0x20 || s.p[i] >= 0x7f)
			return false;
	return true;
}

static bool
is_alnum(uint8_t c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* RFC 1034 3.5; where it is no host's, with underscores. */
static bool
is_label(struct span s, bool host)
{
	if (!s.len || s.len > LABEL_MAX || s.p[0] == '-' || s.p[s.len - 1] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '-' && (host || s.p[i] != '_'))
			return false;
	return true;
}

static bool
all_digits(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

/* Labels; the last is no number, or it would be an address (RFC 1123 2.1). */
static bool
is_domain(struct span s, bool host)
{
	struct span label = SPAN_NONE;
	if (!s.len || s.len > DNS_MAX || s.p[s.len - 1] == '.')
		return false;
	while (s.len) {
		label = span_split(&s, '.');
		if (!is_label(label, host))
			return false;
	}
	return !all_digits(label);
}

static bool
is_host(struct span s)
{
	return is_domain(s, true);
}

/* One "*" may stand for the whole first label (RFC 6125 6.4.3). */
static bool
is_dns(struct span s, bool host)
{
	if (span_starts(s, SPAN_LIT("*.")))
		s = span_skip(s, 2);
	return is_domain(s, host);
}

/* user@host, one @ (4.2.1.6: a Mailbox of RFC 2821, nothing around it). */
static bool
is_email(struct span s)
{
	size_t at = span_find(s, '@');
	return at > 0 && at < s.len && is_ascii(s) && is_host(span_skip(s, at + 1));
}

static bool
is_directory(struct span s)
{
	struct span rdns;
	return der_expect(&s, DER_SEQUENCE, &rdns, NULL) == 0 && s.len == 0;
}

static const char *
check_name(const struct der_tlv *t, bool hosts)
{
	switch (t->tag) {
	case NAME_DNS:
		return is_dns(t->content, hosts) ? NULL : "malformed DNS name";
	case NAME_EMAIL:
		return is_email(t->content) ? NULL : "malformed e-mail address";
	case NAME_URI:
		return t->content.len && is_ascii(t->content) ? NULL : "malformed URI";
	case NAME_IP:
		return t->content.len == 4 || t->content.len == 16
			   ? NULL
			   : "malformed IP address";
	case NAME_DIRECTORY:
		return is_directory(t->content) ? NULL : "malformed directory name";
	case NAME_OTHER:
	case NAME_X400:
	case NAME_EDI:
	case NAME_RID:
		return NULL;
	default:
		return "name of a kind that does not exist";
	}
}

const char *
names_check(struct span value, size_t max, bool hosts)
{
	struct span names;
	struct der_tlv t;
	size_t n = 0;
	if (der_expect(&value, DER_SEQUENCE, &names, NULL) < 0 || value.len)
		return "malformed alternative names";
	if (!names.len)
		return "alternative names without a name";
	while (names.len) {
		if (der_next(&names, &t, NULL) < 0)
			return "malformed alternative names";
		if (++n > max)
			return "too many alternative names";
		const char *wrong = check_name(&t, hosts);
		if (wrong)
			return wrong;
	}
	return NULL;
}

/* --- constraints --- */

/* Ones, then zeros: anything else is no prefix of addresses. */
static bool
is_mask(struct span s)
{
	bool ended = false;
	for (size_t i = 0; i < s.len * 8; i++) {
		bool one = s.p[i / 8] & (0x80 >> i % 8);
		if (one && ended)
			return false;
		ended = ended || !one;
	}
	return true;
}

static bool
is_network(struct span s)
{
	return (s.len == 8 || s.len == 32) && is_mask(span_skip(s, s.len / 2));
}

/* A mailbox, a host, or all below a domain: ".example.com". */
static bool
is_email_base(struct span s)
{
	if (span_has(s, '@'))
		return is_email(s);
	if (s.len && s.p[0] == '.')
		s = span_skip(s, 1);
	return is_host(s);
}

static bool
is_uri_base(struct span s)
{
	return s.len && s.p[0] == '.' ? is_host(span_skip(s, 1)) : is_host(s);
}

/* Without a name of its kind, "" means all of it; DNS has no leading period (4.2.1.10).
 */
static const char *
check_base(const struct der_tlv *t)
{
	struct span s = t->content;
	switch (t->tag) {
	case NAME_DNS:
		return !s.len || is_domain(s, false) ? NULL
						     : "malformed DNS name constraint";
	case NAME_EMAIL:
		return !s.len || is_email_base(s) ? NULL : "malformed e-mail constraint";
	case NAME_URI:
		return !s.len || is_uri_base(s) ? NULL : "malformed URI constraint";
	case NAME_IP:
		return is_network(s) ? NULL : "malformed IP address constraint";
	default:
		return check_name(t, false);
	}
}

/* GeneralSubtree: minimum is 0 and so not there, maximum is not there. */
static const char *
check_subtrees(struct span trees, size_t max, size_t *n)
{
	struct span tree;
	struct der_tlv base;
	if (!trees.len)
		return "empty name constraints";
	while (trees.len) {
		if (der_expect(&trees, DER_SEQUENCE, &tree, NULL) < 0 ||
		    der_next(&tree, &base, NULL) < 0)
			return "malformed name constraints";
		if (tree.len)
			return "name constraint with a distance";
		if (++*n > max)
			return "too many name constraints";
		const char *wrong = check_base(&base);
		if (wrong)
			return wrong;
	}
	return NULL;
}

const char *
names_check_constraints(struct span value, size_t max)
{
	struct span parts;
	struct der_tlv t;
	size_t n = 0;
	uint8_t next = DER_EXPLICIT(0); /* permittedSubtrees, then excludedSubtrees [1] */
	if (der_expect(&value, DER_SEQUENCE, &parts, NULL) < 0 || value.len)
		return "malformed name constraints";
	if (!parts.len)
		return "empty name constraints";
	while (parts.len) {
		if (der_next(&parts, &t, NULL) < 0 || t.tag < next ||
		    t.tag > DER_EXPLICIT(1))
			return "malformed name constraints";
		const char *wrong = check_subtrees(t.content, max, &n);
		if (wrong)
			return wrong;
		next = (uint8_t)(t.tag + 1);
	}
	return NULL;
}

/* base is "x.example.com" where the wildcard is "*.example.com". */
static bool
stands_for(struct span wildcard, struct span base)
{
	size_t dot = span_find(base, '.');
	return dot < base.len && span_ieq(span_skip(base, dot), span_skip(wildcard, 1));
}

static bool
is_excluded(struct span wildcard, struct span trees)
{
	struct span tree;
	struct der_tlv base;
	while (der_expect(&trees, DER_SEQUENCE, &tree, NULL) == 0)
		if (der_next(&tree, &base, NULL) == 0 && base.tag == NAME_DNS &&
		    stands_for(wildcard, base.content))
			return true;
	return false;
}

static struct span
excluded_trees(struct span constraints)
{
	struct span parts;
	struct der_tlv t;
	if (der_expect(&constraints, DER_SEQUENCE, &parts, NULL) < 0)
		return SPAN_NONE;
	while (parts.len && der_next(&parts, &t, NULL) == 0)
		if (t.tag == DER_EXPLICIT(1))
			return t.content;
	return SPAN_NONE;
}

bool
names_wildcard_excluded(struct span names, struct span constraints)
{
	struct span list, trees = excluded_trees(constraints);
	struct der_tlv t;
	if (!trees.len || der_expect(&names, DER_SEQUENCE, &list, NULL) < 0)
		return false;
	while (list.len && der_next(&list, &t, NULL) == 0)
		if (t.tag == NAME_DNS && span_starts(t.content, SPAN_LIT("*.")) &&
		    is_excluded(t.content, trees))
			return true;
	return false;
}
