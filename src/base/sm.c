/*
 * State machines.
 */
#include "base/sm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

const char *
sm_name(const struct sm *m, int state)
{
	return state >= 0 && state < m->n ? m->states[state].name : "?";
}

int
sm_find(const struct sm *m, const char *name)
{
	for (int i = 0; i < m->n; i++)
		if (m->states[i].name && strcmp(m->states[i].name, name) == 0)
			return i;
	return -1;
}

bool
sm_allows(const struct sm *m, int from, int to)
{
	return from >= 0 && from < m->n && to >= 0 && to < m->n &&
	       m->states[from].to & SM_TO(to);
}

void
sm_move(const struct sm *m, int *state, int to)
{
	if (!sm_allows(m, *state, to)) {
		log_event(LOG_ERROR, "bug.transition", LOG_STR("machine", m->name),
		    LOG_STR("from", sm_name(m, *state)), LOG_STR("to", sm_name(m, to)));
		abort();
	}
	*state = to;
}
