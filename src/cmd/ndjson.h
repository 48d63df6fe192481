#ifndef CMD_NDJSON_H
#define CMD_NDJSON_H
/*
 * Files of JSON values, a line each, as commands write them.
 */
#include "base/buf.h"
#include "io/file.h"

struct js;

#define NDJSON_LINE_MAX (1024 * 1024)

/* A new file that nobody but its owner may read. ERR_EXISTS: one that is there is left
 * alone. */
must_check int ndjson_open_new(const char *path, struct file_append **ret, struct err *e);
/* v in a line. file NULL: standard output. */
must_check int ndjson_write(struct file_append *file, const struct js *v, struct err *e);

#endif
