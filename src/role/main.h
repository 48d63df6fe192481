#ifndef ROLE_MAIN_H
#define ROLE_MAIN_H
/*
 * The parent of all roles: binds the listeners, starts signer, core and edges, connects
 * them with each other, starts again what dies. It holds no secret and reads nothing from
 * a peer.
 */
#include "base/span.h"
#include "codec/config.h"

/* What is listened on; 0: not at all. */
struct main_ports {
	uint16_t mqtt, https, http, amqp;
};

struct main_opts {
	const char *home; /* absolute */
	const struct config *cfg;
	struct span config_text; /* what children read their configuration from */
	void (*on_up)(void *arg, const struct main_ports *ports); /* may be NULL */
	void *arg;
};

/* Serves until SIGTERM or SIGINT. Fails with EXISTS when the home is in use, and with
 * what the sockets say when a port is taken. */
must_check int main_serve(const struct main_opts *o, struct err *e);

#endif
