#ifndef TEST_UNIT_AGENT_KIT_EST_H
#define TEST_UNIT_AGENT_KIT_EST_H
/*
 * An EST server with a check-in: a child process with the kit's PKI, that answers as its
 * script says and counts what came.
 */
#include "kit.h"

struct kit_est_script {
	int64_t at_ms;       /* when its certificate was made; 0: now */
	int64_t life_s;      /* of it; 0: the profile's */
	int64_t now_ms;      /* what its check-in says; 0: the machine's time */
	const char *checkin; /* the answer's JSON instead; NULL: its own */
	int no_checkin;      /* the status instead of an answer; 0: it answers */
	int pending;         /* 202 so many times first */
	int refuse;          /* this status to enrolments; 0: none */
	int lose;            /* so many certificates are made and never answered */
	int64_t leaf_life_s; /* of the certificates it makes; 0: the profile's */
	bool bound;          /* only what carries its connection's binding */
	bool close;          /* ends the connection with each answer */
	bool v12;            /* TLS 1.2 at most */
	const char *basic;   /* the Authorization that simpleenroll needs; NULL: none */
	struct span cacerts; /* PEM instead of the kit's root and intermediate */
};

/* What came, shared with the child. */
struct kit_est_seen {
	int checkins, enrols, reenrols, issued, bindings, cacerts;
	char custody[16], generation[8];
	int64_t clock_ms;
	int anchors;
	uint8_t key[32]; /* of the last request */
	char cn[65];
	bool authenticated; /* the last request had a client certificate */
};

struct kit_est {
	int pid, port;
	struct kit_est_seen *seen;
};

struct kit_est kit_est(const struct kit_est_script *s);
void kit_est_done(struct kit_est *k);

#endif
