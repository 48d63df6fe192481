#ifndef STORE_JOURNAL_H
#define STORE_JOURNAL_H
/*
 * The signer's issuance journal: an append-only text file, one line a certificate, each
 *line carrying the SHA-256 of the line before it, so that a change, a removal or a cut
 *shows. Fields, separated by one space, no field empty ("-" instead), no space or control
 *character inside a field (percent-encoded):
 *
 *	v1 SEQ TIME_MS PROFILE ISSUER_SHA256 SERIAL SUBJECT SPKI_SHA256 NOT_BEFORE_MS
 *	NOT_AFTER_MS CERT_SHA256 REQUESTER PREV_HASH HASH
 *
 * HASH = SHA-256 over everything before it on the line, the separating space included.
 *The first line's PREV_HASH is 64 zeros. Appends are collected and made durable by one
 * journal_sync; nothing signed may leave the signer before that returned 0. A file that
 *ends in half a line (power cut before the sync: that certificate was never handed out)
 *is cut back to its last whole line at open, and says so.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

struct journal;

struct journal_entry {
	int64_t seq, time_ms;
	const char *profile, *issuer_sha256, *serial, *subject, *spki_sha256;
	int64_t not_before_ms, not_after_ms;
	const char *cert_sha256, *requester;
};

/* Opens or creates path (0600) and verifies the whole chain; ERR_CORRUPT names the line.
 * After this no file is opened any more. */
must_check struct journal *journal_open(const char *path, struct err *e);
void journal_close(struct journal *j);
own_define(struct journal, journal_close);

/* Adds a line; seq of the entry is ignored and given. Not durable before journal_sync. */
must_check int journal_append(
    struct journal *j, const struct journal_entry *en, struct err *e);
/* Writes and fdatasyncs what was appended. After a failure the journal refuses everything
 * (a failed fsync cannot be trusted twice); the signer then stops. */
must_check int journal_sync(struct journal *j, struct err *e);
int64_t journal_count(const struct journal *j);
/* 64 hex digits of the last line's hash. */
const char *journal_head(const struct journal *j);
/* True when the open cut off half a line. */
bool journal_was_cut(const struct journal *j);

/* Reads a journal without opening it for writing: verifies and, where visit is not NULL,
 * shows each entry. Used by muster ca verify-journal, also on a copy. */
must_check int journal_verify(const char *path,
    int (*visit)(void *ctx, const struct journal_entry *en, struct err *e), void *ctx,
    int64_t *ret_count, char ret_head[65], struct err *e);

#endif
