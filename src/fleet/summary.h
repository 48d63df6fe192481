#ifndef FLEET_SUMMARY_H
#define FLEET_SUMMARY_H
/*
 * The record of a campaign: summary.json, and the few lines a person reads.
 */
#include "fleet/migration.h"

/* Writes DIR/summary.json from the campaign file (0600, atomically). */
must_check int summary_write(struct migration *m, struct err *e);
/* Prints it; the last line names the file. With json the file itself. */
must_check int summary_print(struct migration *m, struct err *e);
/* What `status` shows: waves and states, failures with reason and fix. */
must_check int summary_status(struct migration *m, struct err *e);
/* Counts of the hub's devices by authentication type, kept as meta "counts_<when>". */
must_check int summary_count(struct migration *m, const char *when, struct err *e);

#endif
