#ifndef AGENT_ANCHORS_H
#define AGENT_ANCHORS_H
/*
 * The CA certificates that servers are verified with (dps.ca_file), and how a new set
 * takes the place of an old one without ever locking the device out:
 *
 *	stage	the new set beside the old: both are trusted, the new one is kept apart
 *		in DIR/ca.new
 *	settle	once every server was seen under the new set alone: the old ones go
 *	undo	the first server after that fails: both again
 *
 * Only self-signed CA certificates become anchors. The file is replaced atomically and
 * kept as ca.pem.1, ca.pem.2 before. A file outside the device directory belongs to
 * somebody else and is never changed.
 */
#include "agent/agent_config.h"
#include "agent/renew.h"

/* ERR_NOT_FOUND and so on as file_read. */
must_check int anchors_read(
    const char *dir, const struct agent_config *cfg, struct buf *ret_pem, struct err *e);
/* SHA-256 of each, for the check-in. */
must_check int anchors_report(const char *dir, const struct agent_config *cfg,
    struct renew_report *ret, struct err *e);
/* Whether the file is the device's own. */
bool anchors_are_ours(const struct agent_config *cfg);

/* Takes the roots of pem beside the present ones. ERR_CONFLICT where it has none. Nothing
 * to do is success. */
must_check int anchors_stage(
    const char *dir, const struct agent_config *cfg, struct span pem, struct err *e);
/* The new set alone. ERR_NOT_FOUND where none is staged. */
must_check int anchors_staged(const char *dir, struct buf *ret_pem, struct err *e);
/* The staged set takes over. */
must_check int anchors_settle(
    const char *dir, const struct agent_config *cfg, struct err *e);
/* What settle dropped is trusted again, and the new set staged again. */
must_check int anchors_undo(
    const char *dir, const struct agent_config *cfg, struct err *e);

#endif
