#ifndef IO_JAIL_CALLS_H
#define IO_JAIL_CALLS_H
/*
 * The seccomp filters of jail.c, from a table: which system calls each kind of process
 * may make.
 */
#include "io/jail.h"

/* True where its table is of what is denied, and the rest allowed. */
bool jail_calls_denies(enum jail_kind kind);
/* Loads the filter for good. Returns the number of table rows in it, or -1. */
must_check int jail_calls_load(enum jail_kind kind, struct err *e);

#endif
