#ifndef ROLE_MAIN_H
#define ROLE_MAIN_H
/*
 * The parent of all roles: binds the listeners, starts signer, core and edges, connects
 * them with each other, starts again what dies. It holds no secret and reads nothing from
 * a peer.
 */
#include "base/span.h"
#include "codec/config.h"

struct main_opts {
	const char *home; /* absolute */
	const struct config *cfg;
	struct span config_text; /* what children read their configuration from */
	/* may be NULL; http_port 0: none */
	void (*on_up)(
	    void *arg, uint16_t mqtt_port, uint16_t https_port, uint16_t http_port);
	void *arg;
};

/* Serves until SIGTERM or SIGINT. Fails with EXISTS when the home is in use, and with
 * what the sockets say when a port is taken. */
must_check int main_serve(const struct main_opts *o, struct err *e);

#endif
