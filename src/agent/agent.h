#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H
/*
 * A device: registers with the provisioning service, stays connected to its hub with the
 * credential that `active` names, sends telemetry, answers its control socket. Any number
 * of them share a loop (the lab runs a thousand), two descriptors each.
 *
 *	idle -> provisioning -> connecting -> connected -> backoff, held
 *
 * Its certificate is renewed by a process of its own (renewal.h). Where the service
 * refuses the credential again and again, and another generation is proved and valid, the
 * device falls back to it, registers anew and renews.
 *
 * Failures that may pass are retried after a jittered, doubled pause, a refused
 * credential after a far longer one: a device never hammers its service. A sample that
 * was not acknowledged when its connection ended is lost, and counted.
 *
 * Callbacks come from the loop; an agent may be stopped in one, not freed.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/keystore.h"
#include "agent/renewal.h"
#include "base/err.h"
#include "base/own.h"

struct agent;
struct loop;

enum agent_state {
	AGENT_IDLE,
	AGENT_PROVISIONING,
	AGENT_CONNECTING,
	AGENT_CONNECTED,
	AGENT_BACKOFF, /* waits, then tries again */
	AGENT_HELD,    /* keeps away from the hub until released */
	AGENT_STATES
};
const char *agent_state_name(enum agent_state s);

struct agent_status {
	enum agent_state state;
	const char *device_id;      /* lives as long as the agent */
	struct keystore_ref active; /* the credential in use */
	char thumbprint[KEYSTORE_THUMBPRINT_SIZE];
	int64_t not_after_ms;         /* 0 with SAS */
	char hub[KEYSTORE_HOST_SIZE]; /* "" before the first assignment */
	int64_t since_ms;             /* wall time of the last change of state */
	int64_t retry_in_ms;          /* in backoff */
	uint64_t connects, disconnects, refused; /* connections made, lost; refusals */
	uint64_t sent, acked, dropped; /* telemetry: dropped = never sent, or not acked */
	int attempts;                  /* failures in a row */
	int connack;                   /* last CONNACK code, -1 for none */
	struct err last;               /* the last failure; code ERR_OK when none */
	struct renewal_status renewal;
};

struct agent_ops {
	/* After each change of state. NULL allowed. */
	void (*on_state)(void *arg, struct agent *a, enum agent_state s);
	/* A telemetry message was acknowledged. NULL allowed. */
	void (*on_acked)(void *arg, struct agent *a);
	/* What renews its certificate: path of muster-agent; NULL: this program. */
	const char *program;
};

/* Once a process, before the first agent: libraries, signals (SIGXFSZ is ignored so that
 * a file size limit is an error and not a death). Harmless to repeat. */
must_check int agent_init(struct err *e);

/* Reads dir; the device is idle. ops may be NULL. */
must_check int agent_open(const char *dir, struct loop *l, const struct agent_ops *ops,
    void *arg, struct agent **ret, struct err *e);
void agent_free(struct agent *a);
own_define(struct agent, agent_free);

/* Opens the control socket (ERR_EXISTS when an agent runs there already) and begins after
 * after_ms, which spreads the start of many. */
must_check int agent_start(struct agent *a, int64_t after_ms, struct err *e);
/* Disconnects, closes the control socket; idle again. */
void agent_stop(struct agent *a);

/* Keeps away from the hub for ms, or until released. */
void agent_hold(struct agent *a, int64_t ms);
void agent_release(struct agent *a);
/* Reads the active credential again and connects with it (once released, when held). On a
 * failure the agent goes on with what it has. */
must_check int agent_reload(struct agent *a, struct err *e);

/* An authenticated server said that it is now_ms. */
must_check int agent_learn_time(struct agent *a, int64_t now_ms, struct err *e);

void agent_status(const struct agent *a, struct agent_status *ret);
const char *agent_device_id(const struct agent *a);

#endif
