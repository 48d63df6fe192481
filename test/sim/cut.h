#ifndef TEST_SIM_CUT_H
#define TEST_SIM_CUT_H
/*
 * Power that goes in the middle of a device's work. The linker hands calls that change
 * files to us; from the n-th on each fails, so what the device's program does after it
 * leaves no trace, as if it had ended there. (Torn writes and what was not synced:
 * test_keystore_cut.c.) Syncing costs nothing here, the database's included.
 */
#include <stdbool.h>

/* From the n-th change (n >= 1) on nothing can be written, until cut_end. */
void cut_at(int n);
/* True when it came so far. */
bool cut_end(void);
/* The power is gone. */
bool cut_happened(void);
/* While the server, in the same process, does its part. */
void cut_pause(bool on);

#endif
