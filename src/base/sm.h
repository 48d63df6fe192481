#ifndef BASE_SM_H
#define BASE_SM_H
/*
 * State machines that declare their allowed successors. Every move checks the table; a
 *move it does not allow is a bug and ends the process.
 *
 *	static const struct sm_state states[] = {
 *		[ST_NEW]  = {"new", SM_TO(ST_OPEN) | SM_TO(ST_DEAD)},
 *	};
 *	static const struct sm machine = {"device", states, ST_N};
 */
#include <stdbool.h>
#include <stdint.h>

#define SM_TO(s) (UINT64_C(1) << (s))

struct sm_state {
	const char *name;
	uint64_t to; /* SM_TO() of every allowed successor; 0 = final */
};

struct sm {
	const char *name;
	const struct sm_state *states;
	int n; /* at most 64 */
};

bool sm_allows(const struct sm *m, int from, int to);
/* Moves *state; aborts with one line on a move that is not in the table. */
void sm_move(const struct sm *m, int *state, int to);
const char *sm_name(const struct sm *m, int state);
/* The state of that name, or -1. */
int sm_find(const struct sm *m, const char *name);

#endif
