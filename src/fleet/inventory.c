/*
 * The inventory. csv.h splits and checks single lines; here is what spans them, and what
 * ssh will be handed.
 */
#include "fleet/inventory.h"

#include "base/base64.h"
#include "base/map.h"
#include "base/num.h"
#include "codec/csv.h"
#include "codec/id.h"

#define HOST_KEY_MAX 4096

struct known {
	const char *id;
	size_t line;
	UT_hash_handle hh;
};

struct reader {
	const char *what;
	struct arena *a;
	struct buf *problems;
	size_t n_problems;
	struct err first;
	struct known *known;
	struct inventory_row *v;
	size_t n, cap;
};

/* Letters, digits and what host names, addresses and aliases have; never a leading dash,
 * which ssh would take for an option. */
static bool
is_word(struct span s, const char *also)
{
	if (s.len == 0 || s.len > 255 || s.p[0] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = (char)s.p[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
		if (!plain && !(c && strchr(also, c)))
			return false;
	}
	return true;
}

static int
parse_port(struct span text, int64_t *ret, struct err *e)
{
	return num_parse(text, 1, 65535, ret, e) ? err_wrap(e, "port") : 0;
}

/* "[v6]" or "[v6]:port" */
static int
split_bracket(struct span s, struct span *ret_host, struct span *ret_port, struct err *e)
{
	size_t end = span_find(s, ']');
	struct span behind = span_skip(s, end + 1);
	if (end == s.len || (behind.len && behind.p[0] != ':'))
		return err_set(
		    e, ERR_PARSE, "address \"%.*s\" is not [v6]:port", SPAN_FMT(s));
	*ret_host = span_head(span_skip(s, 1), end - 1);
	*ret_port = span_skip(behind, 1);
	return 0;
}

static int
split(struct span s, struct span *ret_host, struct span *ret_port, struct err *e)
{
	if (s.len && s.p[0] == '[')
		return split_bracket(s, ret_host, ret_port, e);
	*ret_host = s;
	*ret_port = SPAN_NONE;
	size_t colon = span_find(s, ':');
	if (colon == s.len ||
	    span_rfind(s, ':') != colon) /* none, or a bare v6 address */
		return 0;
	*ret_host = span_head(s, colon);
	*ret_port = span_skip(s, colon + 1);
	if (ret_port->len == 0)
		return err_set(e, ERR_PARSE, "address \"%.*s\": no port behind the colon",
		    SPAN_FMT(s));
	return 0;
}

int
inventory_address(struct span address, struct arena *a, const char **ret_host,
    int64_t *ret_port, struct err *e)
{
	struct span host, port;
	int64_t number = 0;
	if (split(address, &host, &port, e))
		return -1;
	if (!is_word(host, ":%"))
		return err_set(e, ERR_PARSE,
		    "address \"%.*s\": a host name, an address or an alias of ssh_config "
		    "is "
		    "wanted, with :port or without",
		    SPAN_FMT(address));
	if (port.len && parse_port(port, &number, e))
		return err_wrap(e, "address \"%.*s\"", SPAN_FMT(address));
	*ret_host = arena_str(a, host);
	*ret_port = number;
	return 0;
}

int
inventory_host_key(struct span text, struct err *e)
{
	struct span rest = span_trim(text);
	struct span type = span_split(&rest, ' ');
	struct span encoded = span_split(&rest, ' ');
	if (!is_word(type, "@") || !encoded.p || encoded.len > HOST_KEY_MAX)
		return err_set(e, ERR_PARSE, "host key: \"type base64\" is wanted");
	auto_buf blob = BUF_INIT(HOST_KEY_MAX);
	if (base64_parse(encoded, &blob, e))
		return err_wrap(e, "host key");
	struct cursor c = cursor_of(buf_span(&blob));
	struct span inner = cursor_take(&c, cursor_u32(&c));
	if (c.bad || !span_eq(inner, type) || c.left == 0)
		return err_set(
		    e, ERR_PARSE, "host key: not a key of type %.*s", SPAN_FMT(type));
	return 0;
}

/* ---- the file ---- */

static void
problem(struct reader *r, const struct err *why)
{
	if (r->n_problems++ == 0)
		r->first = *why;
	if (r->n_problems <= INVENTORY_PROBLEMS)
		buf_printf(r->problems, "%s: %s\n", r->what, why->text);
}

static void
problem_at(struct reader *r, size_t line, const struct err *why)
{
	struct err at = *why;
	err_wrap(&at, "line %zu", line);
	problem(r, &at);
}

static bool
is_new(struct reader *r, const struct inventory_row *row)
{
	struct known *k = NULL;
	HASH_FIND_STR(r->known, row->id, k);
	if (k) {
		struct err why;
		err_set(&why, ERR_PARSE, "device_id %s again, first on line %zu", row->id,
		    k->line);
		problem_at(r, row->line, &why);
		return false;
	}
	k = arena_alloc(r->a, sizeof(*k));
	*k = (struct known){.id = row->id, .line = row->line};
	HASH_ADD_KEYPTR(hh, r->known, k->id, strlen(k->id), k);
	return true;
}

static int
read_row(
    struct reader *r, const struct csv_row *c, struct inventory_row *ret, struct err *e)
{
	if (c->device_id.len > ID_CN_MAX)
		return err_set(e, ERR_PARSE,
		    "device_id of %zu characters: a certificate's common name holds %d",
		    c->device_id.len, ID_CN_MAX);
	if (!id_is_registration(c->device_id))
		return err_set(e, ERR_PARSE,
		    "device_id %.*s: a registration ID has letters, digits and - . _ : "
		    "only, "
		    "with a letter, digit or dash last",
		    SPAN_FMT(c->device_id));
	if (!is_word(c->user, "@\\+"))
		return err_set(
		    e, ERR_PARSE, "user \"%.*s\" is no login name", SPAN_FMT(c->user));
	if (c->host_key.len && inventory_host_key(c->host_key, e))
		return -1;
	if (inventory_address(c->address, r->a, &ret->host, &ret->port, e))
		return -1;
	ret->id = arena_str(r->a, c->device_id);
	ret->address = arena_str(r->a, c->address);
	ret->user = arena_str(r->a, c->user);
	ret->host_key = arena_str(r->a, span_trim(c->host_key));
	ret->line = c->line;
	return 0;
}

static void
keep(struct reader *r, const struct inventory_row *row)
{
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 64;
		r->v = own_realloc(r->v, r->cap * sizeof(*r->v));
	}
	r->v[r->n++] = *row;
}

static void
read_all(struct reader *r, struct span text)
{
	struct csv csv = csv_of(text);
	for (;;) {
		struct err why;
		struct csv_row c;
		if (csv_next(&csv, r->a, &c, &why)) {
			problem(r, &why);
			continue;
		}
		if (c.line == 0)
			return;
		struct inventory_row row;
		if (read_row(r, &c, &row, &why))
			problem_at(r, c.line, &why);
		else if (is_new(r, &row))
			keep(r, &row);
	}
}

int
inventory_parse(struct span text, const char *what, struct arena *a,
    struct inventory *ret, struct buf *problems, struct err *e)
{
	struct reader r = {.what = what, .a = a, .problems = problems};
	read_all(&r, text);
	HASH_CLEAR(hh, r.known);
	struct inventory_row *v = arena_alloc(a, (r.n + 1) * sizeof(*v));
	if (r.n)
		memcpy(v, r.v, r.n * sizeof(*v));
	free(r.v);
	if (r.n_problems > 1)
		return err_set(e, ERR_PARSE, "%s: %s (and %zu more)", what, r.first.text,
		    r.n_problems - 1);
	if (r.n_problems)
		return err_set(e, ERR_PARSE, "%s: %s", what, r.first.text);
	if (r.n == 0)
		return err_set(e, ERR_PARSE,
		    "%s: no device in it; lines device_id,address,user[,host_key] are "
		    "wanted",
		    what);
	*ret = (struct inventory){.v = v, .n = r.n};
	return 0;
}
