#ifndef LAB_LAYOUT_H
#define LAB_LAYOUT_H
/*
 * Where the lab's things are, and how its devices are called. Paths live in the arena.
 *
 *	HOME/lab/devices/ID	a device directory (agent/keystore.h)
 *	HOME/lab/hostkeys/ID	the host key of its sshd
 *	HOME/lab/faults/ID	there while the device has a fault; the word is which
 *	HOME/lab/ssh		the operator's key and the configuration of sshd
 *	HOME/lab/session.sh	what sshd runs
 *	HOME/lab/ssh_config, inventory.csv	for muster migrate; the latter is written
 *last HOME/lab/NAME.pid, NAME.log		of a process that lab_up started
 */
#include "base/arena.h"

#define LAYOUT_ID 16
#define LAYOUT_IP 24

const char *layout_path(struct arena *a, const char *home, const char *name);
const char *layout_of(
    struct arena *a, const char *home, const char *folder, const char *device_id);
/* dev-0001 for index 0. */
void layout_id(size_t index, char out[LAYOUT_ID]);
/* The index of an ID, or -1 where it is none of ours. */
int64_t layout_index(const char *device_id);
/* One loopback address a device: 127.77.0.1 and on. */
void layout_ip(size_t index, char out[LAYOUT_IP]);
/* How many devices the lab in this home has; 0 without one. */
must_check int layout_count(const char *home, size_t *ret, struct err *e);

#endif
