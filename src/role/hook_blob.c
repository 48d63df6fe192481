/*
 * Azure Storage's REST interface, as far as imports and exports need it: a range of a
 * blob, blocks and their list, a blob as a whole.
 */
#include "role/hook_blob.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "codec/uri.h"
#include "proto/hub/import_item.h"
#include "role/hook_call.h"

#define URL_MAX    (3 * CAP_URL)
#define TIMEOUT_MS 60000
#define LINES_MAX  (8 * 1024 * 1024) /* of a piece of an export */
#define VERSION    "x-ms-version: 2021-08-06"

/* A question under way. */
struct blob {
	hook_blob_fn *fn;
	void *arg;
	uint64_t id;
	uint32_t max; /* of a read */
};

/* ---- where ------------------------------------------------------------------------- */

/* The blob's own URL; more: behind what opens it, "" or "&a=b". */
static void
put_url(struct span container, struct span blob, const char *more, struct buf *out)
{
	struct span sas = container;
	struct span base = span_split(&sas, '?');
	while (base.len && base.p[base.len - 1] == '/')
		base.len--;
	buf_put_span(out, base);
	for (struct span rest = blob; rest.len;) {
		buf_str(out, "/");
		uri_encode(out, span_split(&rest, '/'));
	}
	buf_str(out, "?");
	buf_put_span(out, sas);
	buf_str(out, more);
}

/* All of one length; no sign of these needs to be encoded. */
static void
put_block_id(uint32_t number, struct buf *out)
{
	char text[16];
	snprintf(text, sizeof(text), "%06" PRIu32, number);
	base64_put(out, span_str(text));
}

/* ---- answers ----------------------------------------------------------------------- */

static void
end(struct blob *b, enum ipc_type type, const void *msg, const struct err *why)
{
	b->fn(b->arg, b->id, type, msg, why);
	free(b);
}

static void
answer_lines(struct blob *b, struct span body)
{
	struct err e;
	auto_buf items = BUF_INIT(CAP_BULK);
	auto_buf errors = BUF_INIT(CAP_BODY);
	struct ipc_blob_lines m = {.end = 0};
	size_t used, n;
	bool last = body.len < b->max;
	items.secret = true;
	if (import_item_lines(body, last, &items, &errors, &used, &n, &e)) {
		end(b, IPC_DONE, NULL, &e);
		return;
	}
	m.items = buf_span(&items);
	m.errors = buf_span(&errors);
	m.n_errors = (uint32_t)n;
	m.used = (int64_t)used;
	m.end = last && used == body.len;
	end(b, IPC_BLOB_LINES, &m, NULL);
}

static void
on_read(void *arg, uint64_t tag, const struct span *body, const struct err *why)
{
	struct blob *b = arg;
	(void)tag;
	if (why)
		end(b, IPC_DONE, NULL, why);
	else
		answer_lines(b, *body);
}

static void
on_written(void *arg, uint64_t tag, const struct span *body, const struct err *why)
{
	struct blob *b = arg;
	(void)tag;
	(void)body;
	end(b, IPC_DONE, NULL, why);
}

/* ---- questions --------------------------------------------------------------------- */

static int
send(struct hook_call_pool *h, const struct hook_call_req *req, uint64_t id, uint32_t max,
    hook_blob_fn *fn, void *arg, struct err *e)
{
	struct blob *b = own_alloc(sizeof(*b));
	*b = (struct blob){.fn = fn, .arg = arg, .id = id, .max = max};
	if (hook_call_send(h, req, max ? on_read : on_written, b, id, e) == 0)
		return 0;
	free(b);
	return -1;
}

int
hook_blob_read(struct hook_call_pool *h, const struct ipc_blob_read *m, uint64_t id,
    hook_blob_fn *fn, void *arg, struct err *e)
{
	char range[80];
	const char *const headers[] = {range, VERSION, NULL};
	auto_buf url = BUF_INIT(URL_MAX);
	snprintf(range, sizeof(range), "x-ms-range: bytes=%" PRId64 "-%" PRId64, m->at,
	    m->at + m->max - 1);
	put_url(m->container, m->blob, "", &url);
	if (buf_check(&url, "URL of a blob", e))
		return -1;
	const struct hook_call_req req = {.noun = "input blob",
	    .method = "GET",
	    .url = buf_span(&url),
	    .headers = headers,
	    .answer_max = m->max,
	    .timeout_ms = TIMEOUT_MS,
	    .past_end = true};
	return send(h, &req, id, m->max, fn, arg, e);
}

/* A block of identities: their lines. */
static int
put_lines(const struct ipc_blob_write *m, struct buf *out, struct err *e)
{
	struct cursor all = cursor_of(m->rows);
	while (all.left && !all.bad) {
		struct ipc_device d;
		struct span packed = cursor_take(&all, cursor_u32(&all));
		if (all.bad || ipc_msg_unpack(IPC_DEVICE, packed, &d, e))
			return err_set(e, ERR_PARSE, "identities are cut");
		import_item_line(&d, m->keys, out);
	}
	return 0;
}

static void
put_list(uint32_t blocks, struct buf *out)
{
	buf_str(out, "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
	for (uint32_t i = 0; i < blocks; i++) {
		buf_str(out, "<Latest>");
		put_block_id(i, out);
		buf_str(out, "</Latest>");
	}
	buf_str(out, "</BlockList>");
}

/* What is written, and what the query says of it. */
static int
put_body(
    const struct ipc_blob_write *m, struct buf *more, struct buf *body, struct err *e)
{
	switch (m->kind) {
	case IPC_BLOB_BLOCK:
		buf_str(more, "&comp=block&blockid=");
		put_block_id(m->number, more);
		return put_lines(m, body, e);
	case IPC_BLOB_COMMIT:
		buf_str(more, "&comp=blocklist");
		put_list(m->number, body);
		return 0;
	case IPC_BLOB_TEXT:
		buf_put_span(body, m->rows);
		return 0;
	default:
		return err_set(e, ERR_PARSE, "kind unknown");
	}
}

int
hook_blob_write(struct hook_call_pool *h, const struct ipc_blob_write *m, uint64_t id,
    hook_blob_fn *fn, void *arg, struct err *e)
{
	const char *const headers[] = {VERSION,
	    m->kind == IPC_BLOB_TEXT ? "x-ms-blob-type: BlockBlob" : VERSION,
	    "Content-Type: application/octet-stream", NULL};
	auto_buf url = BUF_INIT(URL_MAX);
	auto_buf more = BUF_INIT(100);
	auto_buf body = BUF_INIT(LINES_MAX);
	body.secret = true;
	if (put_body(m, &more, &body, e))
		return -1;
	put_url(m->container, m->blob, buf_text(&more), &url);
	if (buf_check(&url, "URL of a blob", e) || buf_check(&body, "export", e))
		return -1;
	const struct hook_call_req req = {.noun = "output blob",
	    .method = "PUT",
	    .url = buf_span(&url),
	    .body = buf_span(&body),
	    .headers = headers,
	    .answer_max = HOOK_CALL_ANSWER_MAX,
	    .timeout_ms = TIMEOUT_MS};
	return send(h, &req, id, 0, fn, arg, e);
}
