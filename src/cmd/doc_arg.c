/*
 * Reading documents for commands.
 */
#include "cmd/doc_arg.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "codec/js.h"
#include "io/file.h"

#define DOC_MAX   (1024 * 1024)
#define DOC_DEPTH 64

static int
read_stdin(struct buf *out, struct err *e)
{
	for (;;) {
		char part[4096];
		ssize_t n = read(STDIN_FILENO, part, sizeof(part));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_IO, "standard input");
		if (n == 0)
			return buf_check(out, "standard input", e);
		buf_put(out, part, (size_t)n);
		own_wipe(part, sizeof(part)); /* it may be a key */
		if (out->bad)
			return buf_check(out, "standard input", e);
	}
}

int
doc_arg_file(const char *path, struct buf *out, struct err *e)
{
	return strcmp(path, "-") == 0 ? read_stdin(out, e) : file_read(path, out, e);
}

struct js *
doc_arg_json(const char *text, const char *what, struct err *e)
{
	auto_buf read = BUF_INIT(DOC_MAX);
	struct span doc = span_str(text);
	bool here = text[0] && strchr("{[\"0123456789", text[0]);
	here |= text[0] == '-' && text[1] >= '0' && text[1] <= '9';
	here |= strcmp(text, "true") == 0 || strcmp(text, "false") == 0 ||
		strcmp(text, "null") == 0;
	if (!here) {
		if (doc_arg_file(text, &read, e)) {
			err_wrap(e, "%s", what);
			return NULL;
		}
		doc = buf_span(&read);
	}
	struct js *v = js_parse(doc, DOC_MAX, DOC_DEPTH, e);
	if (!v)
		err_wrap(e, "%s", what);
	return v;
}
