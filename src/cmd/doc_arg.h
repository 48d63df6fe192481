#ifndef CMD_DOC_ARG_H
#define CMD_DOC_ARG_H
/*
 * Documents given on the command line: the text itself, or where it is.
 */
#include "base/buf.h"

struct js;

/* JSON: the text where it begins like a document, "-" standard input, else a file. what
 * names the option in errors. */
must_check struct js *doc_arg_json(const char *text, const char *what, struct err *e);
/* A file, or "-" for standard input, as it is. */
must_check int doc_arg_file(const char *path, struct buf *out, struct err *e);

#endif
