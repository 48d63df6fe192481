#ifndef LAB_FIELD_H
#define LAB_FIELD_H
/*
 * The lab's own process: all agents on one loop, and for each device a listening socket
 * on its loopback address behind which every connection gets the system's sshd.
 */
#include <stdint.h>

#include "base/err.h"

/* Until SIGTERM or SIGINT. Reads what make.h wrote. */
must_check int field_run(const char *home, int64_t port, struct err *e);

#endif
