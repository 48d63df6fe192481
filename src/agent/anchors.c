/*
 * Server trust anchors of a device.
 */
#include "agent/anchors.h"

#include <limits.h>
#include <stdio.h>

#include "base/hex.h"
#include "io/file.h"

#define STAGED "ca.new"

/* --- the file --- */

static int
path_of(
    const char *dir, const char *name, const char *end, char out[PATH_MAX], struct err *e)
{
	int n = name[0] == '/' ? snprintf(out, PATH_MAX, "%s%s", name, end)
			       : snprintf(out, PATH_MAX, "%s/%s%s", dir, name, end);
	return n < PATH_MAX ? 0 : err_set(e, ERR_LIMIT, "%s: path too long", name);
}

int
anchors_read(
    const char *dir, const struct agent_config *cfg, struct buf *ret_pem, struct err *e)
{
	char path[PATH_MAX];
	if (path_of(dir, cfg->dps.ca_file, "", path, e) || file_read(path, ret_pem, e))
		return err_wrap(e, "CA certificates");
	return 0;
}

bool
anchors_are_ours(const struct agent_config *cfg)
{
	return !span_has(span_str(cfg->dps.ca_file), '/');
}

/* ca.pem.1 becomes ca.pem.2, ca.pem is copied to ca.pem.1, the new one takes its place.
 * At every moment ca.pem is whole. */
static int
replace(const char *dir, const struct agent_config *cfg, struct span pem, struct err *e)
{
	char now[PATH_MAX], one[PATH_MAX], two[PATH_MAX];
	const char *name = cfg->dps.ca_file;
	auto_buf old = BUF_INIT(CERT_PEM_MAX);
	if (path_of(dir, name, "", now, e) || path_of(dir, name, ".1", one, e) ||
	    path_of(dir, name, ".2", two, e) || file_read(now, &old, e))
		return -1;
	if (file_exists(one) && file_rename(one, two, e))
		return -1;
	if (file_write(one, buf_span(&old), 0644, e))
		return -1;
	return file_write(now, pem, 0644, e);
}

/* --- sets --- */

static bool
has(const struct cert_list *l, const struct cert *c)
{
	for (size_t i = 0; i < l->n; i++)
		if (span_eq(l->v[i]->der, c->der))
			return true;
	return false;
}

/* Those of from that are roots (all of them where any) and not in to yet. */
static int
add(struct cert_list *to, const struct cert_list *from, bool roots, struct err *e)
{
	for (size_t i = 0; i < from->n; i++) {
		struct cert *c = from->v[i];
		if ((roots && !(c->is_ca && c->self_signed)) || has(to, c))
			continue;
		if (cert_list_add(to, cert_ref(c), e))
			return err_wrap(e, "trust anchors");
	}
	return 0;
}

static int
write_list(const struct cert_list *l, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < l->n; i++)
		cert_write_pem(l->v[i]->der, out);
	return buf_check(out, "trust anchors", e);
}

static int
read_list(
    const char *dir, const struct agent_config *cfg, struct cert_list *ret, struct err *e)
{
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	return anchors_read(dir, cfg, &pem, e)
		   ? -1
		   : cert_list_parse(buf_span(&pem), cfg->dps.ca_file, ret, e);
}

int
anchors_report(const char *dir, const struct agent_config *cfg, struct renew_report *ret,
    struct err *e)
{
	auto_cert_list l = {.n = 0};
	if (read_list(dir, cfg, &l, e))
		return -1;
	ret->n_anchors = 0;
	for (size_t i = 0; i < l.n && i < RENEW_ANCHORS; i++)
		hex_write(span_of(l.v[i]->sha256, DIGEST_SHA256),
		    ret->anchors[ret->n_anchors++]);
	return 0;
}

/* --- from one set to another --- */

/* The staged set first, so that a cut between the two writes only trusts too much. */
int
anchors_stage(
    const char *dir, const struct agent_config *cfg, struct span pem, struct err *e)
{
	char staged[PATH_MAX];
	auto_cert_list sent = {.n = 0}, fresh = {.n = 0}, both = {.n = 0}, now = {.n = 0};
	auto_buf alone = BUF_INIT(CERT_PEM_MAX), all = BUF_INIT(CERT_PEM_MAX);
	if (cert_list_parse(pem, "CA certificates", &sent, e) ||
	    read_list(dir, cfg, &now, e) || add(&fresh, &sent, true, e) ||
	    add(&both, &fresh, false, e) || add(&both, &now, false, e))
		return -1;
	if (!fresh.n)
		return err_set(e, ERR_CONFLICT,
		    "the server's CA certificates have no root among them");
	if (write_list(&fresh, &alone, e) || write_list(&both, &all, e) ||
	    path_of(dir, STAGED, "", staged, e))
		return -1;
	if (both.n == now.n && fresh.n == now.n)
		return file_remove(staged, e);
	if (file_write(staged, buf_span(&alone), 0600, e))
		return -1;
	return both.n == now.n ? 0 : replace(dir, cfg, buf_span(&all), e);
}

int
anchors_staged(const char *dir, struct buf *ret_pem, struct err *e)
{
	char staged[PATH_MAX];
	return path_of(dir, STAGED, "", staged, e) ? -1 : file_read(staged, ret_pem, e);
}

int
anchors_settle(const char *dir, const struct agent_config *cfg, struct err *e)
{
	char staged[PATH_MAX];
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	auto_cert_list l = {.n = 0};
	if (anchors_staged(dir, &pem, e) ||
	    cert_list_parse(buf_span(&pem), STAGED, &l, e) ||
	    path_of(dir, STAGED, "", staged, e) || replace(dir, cfg, buf_span(&pem), e))
		return -1;
	return file_remove(staged, e);
}

int
anchors_undo(const char *dir, const struct agent_config *cfg, struct err *e)
{
	char one[PATH_MAX], staged[PATH_MAX];
	auto_buf now = BUF_INIT(CERT_PEM_MAX), was = BUF_INIT(CERT_PEM_MAX),
		 all = BUF_INIT(CERT_PEM_MAX);
	auto_cert_list a = {.n = 0}, b = {.n = 0}, both = {.n = 0};
	if (anchors_read(dir, cfg, &now, e) ||
	    path_of(dir, cfg->dps.ca_file, ".1", one, e) || file_read(one, &was, e) ||
	    cert_list_parse(buf_span(&now), "CA certificates", &a, e) ||
	    cert_list_parse(buf_span(&was), one, &b, e) || add(&both, &a, false, e) ||
	    add(&both, &b, false, e) || write_list(&both, &all, e) ||
	    path_of(dir, STAGED, "", staged, e) ||
	    file_write(staged, buf_span(&now), 0600, e))
		return -1;
	return replace(dir, cfg, buf_span(&all), e);
}
