/*
 * Lines of JSON.
 */
#include "cmd/ndjson.h"

#include <stdio.h>

#include "codec/js.h"

int
ndjson_open_new(const char *path, struct file_append **ret, struct err *e)
{
	if (file_exists(path))
		return err_set(e, ERR_EXISTS, "%s is there already", path);
	return file_append_open(path, 0600, ret, NULL, e);
}

int
ndjson_write(struct file_append *file, const struct js *v, struct err *e)
{
	auto_buf b = BUF_INIT(NDJSON_LINE_MAX);
	b.secret = true;
	js_dump(v, JS_AS_BUILT, &b);
	buf_str(&b, "\n");
	if (buf_check(&b, "a line of JSON", e))
		return -1;
	if (file)
		return file_append(file, buf_span(&b), e);
	fputs(buf_text(&b), stdout);
	return 0;
}
