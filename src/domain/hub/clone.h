#ifndef DOMAIN_CLONE_H
#define DOMAIN_CLONE_H
/*
 * Signs that a device's key is in two hands: connections with one certificate that take
 * each other over from two addresses in turn, and one key in the certificates of two
 * devices. Signs, not proof: nothing is refused because of them, an operator is told.
 */
#include "domain/hub/session.h"

/* A device that roams goes from one address to another; two copies of it go there and
 * back again within so short a time. */
#define CLONE_WINDOW_MS 600000

/* Carries on in next, of a connection let in now from peer (an address with its port),
 * what was the device's connection until now (NULL: none); texts go to a. True where the
 * two alternate: A, B, and A again, each while the one before it was open. */
bool clone_follow(
    struct session *next, const struct session *was, struct span peer, struct arena *a);

/* Devices of which there were signs, for health; in memory, the connection log has all.
 */
#define CLONE_MAX 256
struct clone_sign {
	char device_id[CAP_ID + 1];
	int64_t at_ms; /* the last time */
	char text[200];
};
struct clone_list {
	struct clone_sign v[CLONE_MAX];
	size_t n;
};
/* Notes a sign; of a full list the oldest goes. */
void clone_note(
    struct clone_list *l, const char *device_id, int64_t at_ms, const char *text);
/* Signs since since_ms; *ret_last (NULL: not wanted) the youngest, or NULL. */
size_t clone_count(
    const struct clone_list *l, int64_t since_ms, const struct clone_sign **ret_last);

#endif
