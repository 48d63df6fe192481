#ifndef TEST_SIM_DEVICE_H
#define TEST_SIM_DEVICE_H
/*
 * One device: a real device directory, renew_run and the key store as they are; the
 * daemon around them (agent/agent.c, agent/renewal.c: when to connect, when to fall back,
 * when to look) played on virtual time.
 */
#include "agent/renew.h"
#include "server.h"

enum habit { ALWAYS, DAILY, WEEKLY, HABITS }; /* on all the time, an hour, two hours */

enum trouble { OFFLINE, CLOCK_1970, CLOCK_AHEAD, CLOCK_BEHIND, KEYS_AWAY, TROUBLES };
struct spell {
	enum trouble kind;
	int64_t from_ms, to_ms;
};
#define SPELLS_MAX 8

struct device_counts {
	int64_t runs, renewals, failures, cuts, refused_proofs, fall_backs;
};

struct device {
	struct server *s;
	char id[24], dir[160], peer[32];
	struct arena *arena;
	struct agent_config cfg;
	enum habit habit;
	int64_t phase_ms; /* when it wakes, from the begin of its day or week */
	struct spell spells[SPELLS_MAX];
	size_t n_spells;
	int faults;     /* of a renewal, in thousandths */
	char token[64]; /* that somebody brought; "": none */
	bool disabled, stolen;
	bool traced;     /* MUSTER_SIM_TRACE names it */
	int64_t next_ms; /* when something happens */

	/* the daemon */
	bool running, loaded, connected, refused_by_hub, fell_back, told, away;
	int refusals, attempts, refuse_proofs;
	int64_t hub_at, look_at, close_at;
	struct clock clock;
	struct clock_floor time;
	struct keystore_credential cred;
	struct face faces[2];
	size_t old_face;

	/* for the audit */
	int tried,
	    admitted; /* today: connections that reached the hub, and that were let in */
	int unserved_days; /* in a row */
	int64_t first_renewal_ms, last_admitted_ms;
	char last_error[160];
	struct device_counts n;
};

/* A fresh directory under top. */
void device_make(struct device *d, struct server *s, const char *top, int number);
void device_done(struct device *d);
/* At d->next_ms. */
void device_step(struct device *d);
/* Its sessions were ended by the server: a revocation. */
void device_hang_up(struct device *d);
bool device_in_spell(const struct device *d, enum trouble kind);
/* Of the active credential; false where the keys are away. */
bool device_credential(struct device *d, struct keystore_credential *ret);
/* Generations on disk. */
size_t device_generations(const struct device *d);
/* Whose key that is; every key that was ever certified. NULL: nobody's yet, now id's. */
const char *device_of_key(const uint8_t key[32], const char *id);
void device_keys_done(void);

#endif
