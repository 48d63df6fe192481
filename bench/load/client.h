#ifndef LOAD_CLIENT_H
#define LOAD_CLIENT_H
/*
 * Many TLS 1.3 clients on two threads. What they do once they are connected is a mode: a
 * row of callbacks. A connection belongs to one thread (its worker), and so do all calls
 * about it.
 */
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device.h"
#include "packet.h"

#define CLIENT_THREADS 2
#define CLIENT_IN_MAX  4096
#define CLIENT_BATCH   (16 << 10)

/* AWAY: will be opened again. ASKING: TLS is there, and it is not yet UP. */
enum conn_state {
	CONN_AWAY,
	CONN_OPENING,
	CONN_SHAKING,
	CONN_ASKING,
	CONN_UP,
	CONN_OVER
};
/* What is measured: a question to its answer, and the whole visit from connect() on. */
enum wait { WAIT_ANSWER, WAIT_WHOLE, WAITS };

struct worker;

struct conn {
	struct worker *worker;
	struct device *device;
	size_t index; /* of all */
	int fd;
	SSL *ssl;
	enum conn_state state;
	double opened_at, asked_at;
	bool wants_room; /* on_turn is called whenever there is room to send */
	uint32_t events; /* that epoll watches for */
	uint8_t *out;    /* what could not be sent yet */
	size_t out_len, in_len;
	uint8_t in[CLIENT_IN_MAX];
	_Alignas(max_align_t) uint8_t own[]; /* the mode's */
};

/* Callbacks are NULL where there is nothing to do. Those that return int say 1: go on, 0:
 * the connection has done its work, -1: it has failed. */
struct mode {
	const char *name;
	bool mqtt;
	bool stays;       /* all connections come up before the clock starts */
	size_t own_size;  /* of conn.own, zero at first */
	const void *with; /* the mode's, for modes that differ by it */

	void (*prepare)(struct device *d); /* before the clock starts */
	int (*on_secure)(struct conn *c);  /* TLS is there */
	int (*on_bytes)(struct conn *c);   /* conn.in has more; NULL: client_packets */
	int (*on_connack)(struct conn *c); /* accepted; NULL: client_up */
	int (*on_refused)(struct conn *c, uint8_t code);
	int (*on_packet)(struct conn *c, const struct packet *p);
	int (*on_go)(struct conn *c);   /* all are up */
	int (*on_turn)(struct conn *c); /* nothing is left to read or to send */
	int (*on_tick)(struct conn *c); /* now and then, in every state but OVER */
	/* The connection is closed, its state still what it was; true: it will be AWAY,
	 * not OVER. */
	bool (*on_end)(struct conn *c, bool ok);
	void (*on_report)(void); /* adds its fields to the result */
};

struct options {
	const char *name; /* ID scope or hub */
	size_t messages;  /* of all connections; 0: until standard input ends */
	size_t size, qos;
	size_t rate;    /* a second: of connections, where they stay of messages */
	size_t sources; /* addresses that connections come from */
	size_t resume;  /* a first round gets tickets, the second is measured */
	size_t tls;     /* 12 or 13 */
};

struct samples {
	double *v;
	size_t n, room;
};

struct worker {
	struct load *load;
	pthread_t thread;
	int epoll;
	struct conn **conns;
	size_t count, begun, opening, over, failed, resumed, messages;
	struct samples waits[WAITS];
	uint8_t *payload; /* options.size bytes */
	uint8_t *batch;   /* room for CLIENT_BATCH and one packet with the payload */
};

struct load {
	const struct mode *mode;
	struct options opt;
	struct sockaddr_in to;
	size_t count, at_once;
	SSL_CTX *tls;
	struct device *devices;
	struct worker workers[CLIENT_THREADS];
	pthread_barrier_t gate;
	double start;
	atomic_bool stop;
};

double client_now(void);
/* Of options.tls alone; with resume, connections leave their devices a ticket. */
SSL_CTX *client_tls(const struct options *o);
const struct options *client_options(const struct conn *c);

/* Opens one that is AWAY. */
void client_open(struct conn *c);
/* Closes it; ok: its work is done. */
void client_end(struct conn *c, bool ok);
/* What epoll says of it. */
void client_on_event(struct conn *c);
/* Goes on with what a callback has returned. */
void client_go_on(struct conn *c, int rc);

/* ---- for modes ---- */

/* False: the connection has failed. What does not go now goes later. */
bool client_send(struct conn *c, const uint8_t *p, size_t len);
/* To be called where wants_room was set outside on_turn. */
void client_watch(struct conn *c);
/* The CONNECT of a device to the hub, or to DPS. */
int client_connect_hub(struct conn *c);
int client_connect_dps(struct conn *c);
/* From now on the connection counts as up. */
int client_up(struct conn *c);
void client_waited(struct conn *c, enum wait which, double since);
/* A worker's first words about what went wrong; more would be as many. */
void client_complain(
    const struct conn *c, const char *what, const uint8_t *p, size_t len);

#endif
