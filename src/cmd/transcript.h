#ifndef CMD_TRANSCRIPT_H
#define CMD_TRANSCRIPT_H
/*
 * The transcript of a root ceremony: transcript.txt in the ceremony's directory, a line a
 * step, each with the SHA-256 of the line before, so that a change shows. Fields are
 * separated by one space and percent-encoded:
 *
 *	v1 SEQ TIME VERB name=value ... PREV HASH
 *
 * HASH is SHA-256 over all before it on the line, the separating space included; the
 * first PREV is 64 zeros. "in:FILE" and "out:FILE" have a file's SHA-256; the files are
 * in the same directory. "program" is the SHA-256 of the program that ran.
 */
#include "base/buf.h"

#define TRANSCRIPT_FILE  "transcript.txt"
#define TRANSCRIPT_LINES 10000

struct transcript; /* one line being made */

/* Begins a line, after the whole transcript of dir was verified (it may be absent). who:
 * the names of those who are there. */
must_check struct transcript *transcript_begin(
    const char *dir, const char *verb, const char *const *who, int n_who, struct err *e);
void transcript_free(struct transcript *t);
own_define(struct transcript, transcript_free);
/* Control characters are written as '?'. */
void transcript_put(struct transcript *t, const char *name, const char *value);
/* "in:" or "out:" with the hash of the file in dir. */
must_check int transcript_put_file(
    struct transcript *t, const char *how, const char *file, struct err *e);
/* Appends the line, durably. */
must_check int transcript_end(struct transcript *t, struct err *e);

/* Verifies the chain and shows each field of each line, decoded: name and value hold no
 * control characters. */
typedef int transcript_visit(void *arg, int64_t seq, const char *verb, const char *name,
    const char *value, struct err *e);
must_check int transcript_verify(const char *dir, transcript_visit *visit, void *arg,
    int64_t *ret_lines, char ret_head[65], struct err *e);
/* The same of its text; a failure names the line. */
must_check int transcript_verify_text(struct span text, transcript_visit *visit,
    void *arg, int64_t *ret_lines, char ret_head[65], struct err *e);

/* SHA-256 of the running program, of a file; lower-case hex. */
must_check int transcript_program(char ret[65], struct err *e);
must_check int transcript_hash(const char *path, char ret[65], struct err *e);

#endif
