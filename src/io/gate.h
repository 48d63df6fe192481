#ifndef IO_GATE_H
#define IO_GATE_H
/*
 * Who may begin a handshake, and in which order: the sources of connections that have
 * proved nothing yet are held apart, so that a flood from some of them takes neither all
 * places nor all processor time from the others. A source is an IPv4 address or an IPv6
 * /64. While there is room everybody begins at once; when there is none, sources take
 * turns, those first from which somebody has proved an identity before. A source has
 * only its share of unproven connections, however many it opens.
 */
#include <stdbool.h>
#include <stddef.h>

#include <sys/socket.h>

#include "base/own.h"

struct gate;
struct gate_pass; /* a connection that was let in */
struct loop;

struct gate_opts {
	size_t unproven_max; /* of all sources, at once */
	size_t source_max;   /* of one source */
	size_t waiting_max;  /* that wait for their turn; over it whose source has most
			      * loses its youngest, strangers before known */
	size_t starts;       /* a millisecond */
	size_t known_max;    /* sources remembered as having proved somebody */
};
/* For a listener that holds conns_max connections. */
struct gate_opts gate_opts_for(size_t conns_max, size_t waiting_max);

struct gate *gate_new(struct loop *l, const struct gate_opts *opts);
/* After every pass has left. Who waits is turned away. */
void gate_free(struct gate *g);
own_define(struct gate, gate_free);
/* Turns away all that wait and all that come from now on. */
void gate_shut(struct gate *g);

/* What becomes of a connection: one of the two is called once, from inside gate_enter or
 * from the loop. Neither may free the gate. */
struct gate_door {
	/* It may begin. fd is the callee's from here; pass: until gate_leave. */
	void (*start)(void *arg, int fd, const struct sockaddr *sa, socklen_t len,
	    struct gate_pass *pass);
	/* It has to give way, and fd is the callee's. NULL: fd is closed. */
	void (*away)(void *arg, int fd);
};
/* Takes fd over until it goes through the door, which is static. sa: of the peer. */
void gate_enter(struct gate *g, int fd, const struct sockaddr *sa, socklen_t len,
    const struct gate_door *door, void *arg);
/* The connection has proved an identity: it counts no more, and its source is known.
 * Harmless again. */
void gate_prove(struct gate_pass *p);
/* The connection is over. */
void gate_leave(struct gate_pass *p);

size_t gate_waiting(const struct gate *g);
size_t gate_unproven(const struct gate *g);

#endif
