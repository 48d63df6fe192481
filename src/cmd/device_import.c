/*
 * muster device import: lines of JSON, as many to a request as the hub takes
 * (protocol/service.md 2.4), one request after the other, so that it can be taken up
 * again at a line. What the hub does not take is told line by line, and holds nothing
 * else up.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/device.h"
#include "cmd/ndjson.h"
#include "cmd/remote.h"
#include "codec/js.h"
#include "fleet/azure.h"
#include "io/file.h"

#define LINE_DEPTH  24
#define ITEMS_MAX   100          /* of a request */
#define ITEMS_BYTES (192 * 1024) /* what a muster takes is 256 KB, packed */
#define ANSWER_MAX  (1024 * 1024)
#define LINES_MAX   INT64_C(1000000000)

/* ---- lines -------------------------------------------------------------------
 */

struct in {
	struct remote r;
	const char *path, *mode, *rejects_path;
	int64_t from;
	bool new_keys;
	FILE *file;
	struct file_append *rejects; /* NULL: not wanted */
	bool keys_checked;
	int64_t line; /* that was read last */
	struct js *items;
	int64_t lines[ITEMS_MAX]; /* where each of items stands */
	size_t bytes;             /* of items */
	int64_t done, failed;
	enum err_code worst; /* of the first that failed */
};

static const char *
place(struct in *in, int64_t line, char out[300])
{
	snprintf(out, 300, "%.256s:%lld", in->path, (long long)line);
	return out;
}

/* 1: a line is in b; 0: there is none any more. */
static int
read_line(struct in *in, struct buf *b, struct err *e)
{
	int c = EOF;
	buf_reset(b);
	while ((c = getc_unlocked(in->file)) != EOF && c != '\n')
		buf_u8(b, (uint8_t)c);
	if (ferror(in->file))
		return err_sys(e, ERR_IO, "%s", in->path);
	if (c == EOF && !b->len)
		return 0;
	in->line++;
	if (!b->bad)
		return 1;
	char at[300];
	return err_set(e, ERR_LIMIT, "%s: a line of more than %d bytes",
	    place(in, in->line, at), NDJSON_LINE_MAX);
}

static bool
has_keys(const struct js *v)
{
	const struct js *keys = js_get(js_get(v, "authentication"), "symmetricKey");
	return js_as_str(js_get(keys, "primaryKey")).len != 0;
}

/* Modes that write an identity over one that is there, which would lose its keys. */
static bool
overwrites(const char *mode)
{
	return strcmp(mode, "update") == 0 || strcmp(mode, "updateIfMatchETag") == 0;
}

static int
check_keys(struct in *in, const struct js *v, const char *mode, struct err *e)
{
	const char *type = azure_auth_type(v);
	if (has_keys(v) && !in->keys_checked && strcmp(in->path, "-") != 0 &&
	    file_check_secret(in->path, e))
		return -1;
	in->keys_checked |= has_keys(v);
	if (!overwrites(mode) || in->new_keys)
		return 0;
	if (type[0] && (strcmp(type, "sas") != 0 || has_keys(v)))
		return 0;
	return err_set(e, ERR_PARSE,
	    "it has no keys, so its device would get new ones: export with --keys, or "
	    "--new-keys if that is meant");
}

static struct js *
parse_line(struct in *in, const struct buf *b, struct err *e)
{
	auto_(js_free) struct js *v =
	    js_parse(span_trim(buf_span(b)), NDJSON_LINE_MAX, LINE_DEPTH, e);
	struct span id, mode = span_str(in->mode ? in->mode : "create");
	if (!v || js_need_str(v, "id", &id, e))
		return NULL;
	if (!in->mode && js_opt_str(v, "importMode", &mode, e))
		return NULL;
	if (js_set_str(v, "importMode", mode, e) ||
	    check_keys(in, v, js_as_text(js_get(v, "importMode")), e))
		return NULL;
	return TAKE(v);
}

/* ---- requests ----------------------------------------------------------------
 */

static enum err_code
code_of(const char *name)
{
	static const struct {
		const char *name;
		enum err_code code;
	} rows[] = {{"DeviceAlreadyExists", ERR_EXISTS},
	    {"ModuleAlreadyExistsOnDevice", ERR_EXISTS},
	    {"PreconditionFailed", ERR_CONFLICT}, {"EtagDoesNotMatch", ERR_CONFLICT},
	    {"DeviceNotFound", ERR_NOT_FOUND}, {"ModuleNotFound", ERR_NOT_FOUND}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].name, name) == 0)
			return rows[i].code;
	return ERR_PARSE;
}

static int
reject(struct in *in, int64_t line, const struct js *item, enum err_code code,
    const char *name, const char *why, struct err *e)
{
	struct err told; /* whose text is fit for a terminal */
	char at[300];
	if (!in->failed++)
		in->worst = code;
	err_set(&told, code, "%s: device %.128s: %s%s%s", place(in, line, at),
	    js_as_text(js_get(item, "id")), name, name[0] ? ": " : "", why);
	fprintf(stderr, "%s\n", told.text);
	return in->rejects ? ndjson_write(in->rejects, item, e) : 0;
}

/* The item an error is about; no two of a request are of one identity. */
static size_t
find_item(const struct in *in, const struct js *error)
{
	const struct js *id = js_get(error, "deviceId"), *mod = js_get(error, "moduleId");
	for (size_t i = 0; i < js_len(in->items); i++) {
		const struct js *item = js_at(in->items, i);
		if (span_eq(js_as_str(js_get(item, "id")), js_as_str(id)) &&
		    span_eq(js_as_str(js_get(item, "moduleId")), js_as_str(mod)))
			return i;
	}
	return js_len(in->items);
}

static int
take_errors(struct in *in, const struct js *answer, struct err *e)
{
	const struct js *errors = js_get(answer, "errors");
	size_t n = js_len(in->items), failed = 0;
	for (size_t i = 0; i < js_len(errors); i++) {
		const struct js *one = js_at(errors, i);
		const char *name = js_as_text(js_get(one, "errorCode"));
		size_t at = find_item(in, one);
		if (at == n)
			return err_set(e, ERR_PARSE,
			    "the hub's answer is about a device that was not sent");
		failed++;
		if (reject(in, in->lines[at], js_at(in->items, at), code_of(name), name,
			js_as_text(js_get(one, "errorStatus")), e))
			return -1;
	}
	in->done += (int64_t)(n - failed);
	return 0;
}

/* Where some were not taken the status is 400, and the body tells which (2.4). */
static struct js *
post(struct in *in, struct err *e)
{
	auto_buf body = BUF_INIT(2 * NDJSON_LINE_MAX), text = BUF_INIT(ANSWER_MAX);
	body.secret = text.secret = true;
	js_dump(in->items, JS_AS_BUILT, &body);
	const struct rest_request q = {.method = "POST",
	    .target = "/devices?api-version=" AZURE_API,
	    .body = buf_span(&body),
	    .once = true}; /* a second try would find its own first one */
	int rc =
	    service_call(in->r.service, SIGN_IN_HUB, &q, "identities", &text, NULL, e);
	if (rc && e->code != ERR_PARSE)
		return NULL;
	struct err ignored;
	struct js *v = js_parse(buf_span(&text), ANSWER_MAX, LINE_DEPTH, &ignored);
	if (js_is(js_get(v, "errors"), JS_ARRAY) || (v && !rc))
		return v;
	js_free(v);
	if (!rc)
		err_set(e, ERR_PARSE, "the hub's answer is no result");
	return NULL;
}

static int
send(struct in *in, struct err *e)
{
	if (!js_len(in->items))
		return 0;
	auto_(js_free) struct js *answer = post(in, e);
	if (!answer) {
		struct err why = *e;
		return err_set(e, why.code, "%s; --from %lld goes on from there",
		    why.text, (long long)in->lines[0]);
	}
	int rc = take_errors(in, answer, e);
	js_free(in->items);
	in->items = js_array();
	in->bytes = 0;
	return rc;
}

static size_t
size_of(const struct js *v)
{
	auto_buf b = BUF_INIT(NDJSON_LINE_MAX);
	b.secret = true;
	js_dump(v, JS_AS_BUILT, &b);
	return b.len + 1;
}

static bool
has_room(const struct in *in, const struct js *v, size_t bytes)
{
	for (size_t i = 0; i < js_len(in->items); i++)
		if (js_equal(js_get(js_at(in->items, i), "id"), js_get(v, "id")))
			return false;
	return js_len(in->items) < ITEMS_MAX && in->bytes + bytes <= ITEMS_BYTES;
}

static int
add(struct in *in, struct js *v, struct err *e)
{
	size_t bytes = size_of(v);
	if (js_len(in->items) && !has_room(in, v, bytes) && send(in, e)) {
		js_free(v);
		return -1;
	}
	in->lines[js_len(in->items)] = in->line;
	in->bytes += bytes;
	js_append(in->items, v);
	return 0;
}

/* ---- all ---------------------------------------------------------------------
 */

static int
take_line(struct in *in, const struct buf *b, struct err *e)
{
	char at[300];
	if (in->line < in->from || !span_trim(buf_span(b)).len)
		return 0;
	struct js *v = parse_line(in, b, e);
	if (v)
		return add(in, v, e);
	struct err why = *e;
	if (send(in, e)) /* what stands before it is good */
		return -1;
	return err_set(e, why.code, "%s: %s", place(in, in->line, at), why.text);
}

static int
import_all(struct in *in, struct err *e)
{
	auto_buf b = BUF_INIT(NDJSON_LINE_MAX);
	int rc;
	b.secret = true;
	while ((rc = read_line(in, &b, e)) > 0)
		if (take_line(in, &b, e))
			return -1;
	if (!rc)
		return send(in, e);
	struct err why = *e;
	return send(in, e) ? -1 : err_copy(e, &why); /* what stands before it is good */
}

static int
tell(const struct in *in, struct err *e)
{
	static const struct render_column columns[] = {{"Done", "done", RENDER_TEXT, 0},
	    {"Not taken", "failed", RENDER_TEXT, 0}, {"Lines", "lines", RENDER_TEXT, 0},
	    {NULL, NULL, RENDER_TEXT, 0}};
	auto_(js_free) struct js *v = js_object();
	js_set_int(v, "done", in->done);
	js_set_int(v, "failed", in->failed);
	js_set_int(v, "lines", in->line);
	render_one(columns, in->r.form, stdout, v);
	if (!in->failed)
		return 0;
	return err_set(e, in->worst, "%s: %lld of %lld were not taken", in->path,
	    (long long)in->failed, (long long)(in->done + in->failed));
}

static int
open_files(struct in *in, struct err *e)
{
	static const char *const modes[] = {"create", "update", "updateIfMatchETag",
	    "delete", "deleteIfMatchETag", "updateTwin", "updateTwinIfMatchETag"};
	bool known = !in->mode;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		known |= in->mode && strcmp(in->mode, modes[i]) == 0;
	if (!known)
		return err_set(e, ERR_USAGE,
		    "--mode %s: create, update, updateIfMatchETag, delete, "
		    "deleteIfMatchETag, updateTwin or updateTwinIfMatchETag",
		    in->mode);
	in->file = strcmp(in->path, "-") == 0 ? stdin : fopen(in->path, "re");
	if (!in->file)
		return err_sys(
		    e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s", in->path);
	return in->rejects_path ? ndjson_open_new(in->rejects_path, &in->rejects, e) : 0;
}

static int
import_from(struct in *in, struct err *e)
{
	if (remote_open_any(&in->r, e) || open_files(in, e))
		return -1;
	in->items = js_array();
	int rc = import_all(in, e);
	if (in->rejects && file_append_sync(in->rejects, rc ? &(struct err){0} : e))
		rc = -1;
	return rc ? -1 : tell(in, e);
}

static void
in_done(struct in *in)
{
	js_free(in->items);
	file_append_close(in->rejects);
	if (in->file && in->file != stdin)
		fclose(in->file);
	remote_done(&in->r);
}

int
device_import(int argc, char **argv, struct err *e)
{
	struct in in = {0};
	const struct opt own[] = {
	    {"mode", "MODE", OPT_TEXT, &in.mode,
		"what to do with each (default: its importMode, or create)"},
	    {"from", "LINE", OPT_INT, &in.from,
		"begin at this line, where an earlier one ended", 1, LINES_MAX},
	    {"rejects", "FILE", OPT_TEXT, &in.rejects_path,
		"a new file for the lines that the hub does not take"},
	    {"new-keys", NULL, OPT_FLAG, &in.new_keys,
		"updates: SAS without keys gets new ones, and loses the old"},
	    {0}};
	const struct opt_cmd cmd = {"muster device import FILE [OPTIONS]",
	    "Makes or changes the identities of a file, or of - (standard input): JSON, "
	    "a line\neach, 100 a request. What the hub does not take is told, and the "
	    "rest goes on.",
	    own, 1, 1};
	int at = remote_parse(&in.r, &cmd, argc, argv, e);
	int rc = at;
	if (at > 0) {
		in.path = argv[at];
		rc = import_from(&in, e);
	}
	in_done(&in);
	return rc;
}
