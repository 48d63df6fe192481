#ifndef CMD_HOME_H
#define CMD_HOME_H
/*
 * The home directory as commands see it: where it is, its configuration, its lock.
 */
#include "base/arena.h"
#include "codec/config.h"

#define HOME_PATH 4096

struct home {
	char path[HOME_PATH]; /* absolute */
	struct config cfg;
	struct arena *arena; /* owns the configuration's strings */
};

/* --home, else $MUSTER_HOME, else ~/.muster. Made absolute; need not exist. */
must_check int home_find(const char *option, char ret[HOME_PATH], struct err *e);
/* Finds it and reads muster.conf, then "section.key=value" of each --set. A home without
 * one is NOT_FOUND, and says to run muster init. */
must_check int home_open(const char *option, const char *const *overrides, int n,
    struct home *ret, struct err *e);
void home_done(struct home *h);
/* "home/name", in a buffer of the caller. */
must_check int home_join(
    const char *home, const char *name, char *ret, size_t size, struct err *e);
/* Where its database is. */
must_check int home_store(const struct home *h, char ret[HOME_PATH], struct err *e);
/* Takes the home for this process (run/lock): no server and no other command works on its
 * CA meanwhile. *ret_fd holds it until closed. */
must_check int home_lock(const char *home, int *ret_fd, struct err *e);

#endif
