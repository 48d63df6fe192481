#ifndef CMD_OUTPUT_H
#define CMD_OUTPUT_H
/*
 * Whether what a command prints arrives. SIGPIPE is ignored where there are sockets
 * (io/loop.h); a command whose reader has gone ends by it all the same, as others do.
 */
#include <stdint.h>

#include "base/err.h"

/* Flushes. ERR_IO where not all was written: what a full disk kept back must not look
 * like an empty list. Who prints without end asks after each page. */
must_check int output_check(struct err *e);
/* Waits, unless nobody reads any more. */
must_check int output_wait(int ms, struct err *e);

#endif
