#ifndef PROTO_ENV_H
#define PROTO_ENV_H
/*
 * What every endpoint of an edge shares. Made and changed by the edge process (or a
 * test), only read here.
 */
#include "base/span.h"

struct chain_set;
struct config;
struct core_link;
struct crl_cache;
struct loop;
struct amqp_server;
struct mqtt_server;

struct env {
	struct loop *loop;
	const struct config *config;
	struct core_link *core;
	const struct chain_set *anchors; /* what chains are judged with; swapped whole */
	struct crl_cache *crls;          /* fetched from the core */
	struct mqtt_server *mqtt;        /* takes WebSockets; NULL: none are served */
	struct amqp_server *amqp;        /* the same */
	struct span
	    ca_chain; /* our device CA and its root, DER after DER; EST's answer */
};

#endif
