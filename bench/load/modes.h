#ifndef LOAD_MODES_H
#define LOAD_MODES_H
/* What the load can do, a row each. To add one: its row here and in load.c's modes[]. */
#include "client.h"

extern const struct mode modes_handshake, modes_register,
    modes_reenroll;                                              /* modes_once.c */
extern const struct mode modes_connect, modes_idle, modes_watch; /* modes_hub.c */
extern const struct mode modes_telemetry;                        /* modes_telemetry.c */
extern const struct mode modes_twin_get, modes_twin_report, modes_echo,
    modes_methods;                    /* modes_ask.c */
extern const struct mode modes_storm; /* modes_storm.c */

#endif
