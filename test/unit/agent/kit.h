#ifndef TEST_UNIT_AGENT_KIT_H
#define TEST_UNIT_AGENT_KIT_H
/*
 * What the agent's tests share: a PKI in memory, device directories, a real broker.
 * Failing here fails the test.
 */
#include "../test.h"

#include "agent/agent_config.h"
#include "agent/keystore.h"
#include "base/buf.h"
#include "crypto/cert.h"
#include "crypto/key.h"
#include "crypto/profile.h"

#define KIT_KEY "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" /* 32 bytes */
#define KIT_ID  "dev-17"

extern const struct keystore_place kit_place; /* P-256, in files */

/* A root, an intermediate, and what they sign. Made once a process. */
void kit_pki(void);
struct span kit_root_pem(void);
int64_t kit_now_ms(void);
/* Leaf and intermediate for this key, as PEM. */
void kit_leaf(const char *cn, const struct key *key, struct buf *out);
void kit_leaf_of(const char *cn, struct span spki, struct buf *out);
struct span kit_intermediate_pem(void);
/* Anything the intermediate can sign, as made at at_ms for life_s (0: the profile's). */
void kit_sign(enum profile_id profile, const char *cn, const char *san, struct span spki,
    int64_t at_ms, int64_t life_s, struct buf *out);
/* A root that signed nothing here. */
void kit_foreign_root(struct key *key, struct buf *out);

/* A fresh directory under $TMPDIR, removed by kit_dir_done. */
char *kit_dir(void);
void kit_dir_done(char *dir);
/* A device in dir/dev (the result, to be freed): SAS, ca.pem, agent.conf with the lines
 * of extra behind the usual ones. */
char *kit_device(const char *dir, const char *extra);

/* mosquitto with TLS on 127.0.0.1: *ret_port. Its certificate names san. Skips the test
 * when there is no mosquitto. */
struct kit_broker {
	int pid;
	int port;
};
struct kit_broker kit_broker(const char *dir, const char *san, int port);
void kit_broker_done(struct kit_broker *b);
int kit_free_port(void);

/* The lines of agent.conf that point a device at brokers for provisioning and hub, with
 * short pauses; hub: more lines of its section. Where a registration is made beside a
 * running agent they are two: in one, two connections of a client ID end each other. */
void kit_conf(struct buf *out, int dps_port, int hub_port, const char *hub);

/* A provisioning service: a client of the broker that answers registrations. */
struct loop;
struct kit_dps;
struct kit_dps_script {
	const char *hub;   /* assigned */
	int polls;         /* 202 so many times first */
	int later;         /* 429 so many times first */
	int refuse_status; /* not 0: this status, always */
};
struct kit_dps *kit_dps(struct loop *l, int port, const struct kit_dps_script *s);
int kit_dps_requests(const struct kit_dps *d);
void kit_dps_free(struct kit_dps *d);

/* Turns the loop until cond or ms have passed; whether it came. */
bool kit_until(struct loop *l, bool (*cond)(void *arg), void *arg, int64_t ms);

#endif
