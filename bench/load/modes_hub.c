/* Connections to the hub: that come and go, that stay, that say when they end. */
#include <stdio.h>

#include "modes.h"

/* ---- connect ----------------------------------------------------------------------- */

static int
on_accepted(struct conn *c)
{
	client_waited(c, WAIT_ANSWER, c->asked_at);
	client_waited(c, WAIT_WHOLE, c->opened_at);
	return 0;
}

const struct mode modes_connect = {.name = "connect",
    .mqtt = true,
    .on_secure = client_connect_hub,
    .on_connack = on_accepted};

/* ---- idle, watch ------------------------------------------------------------------- */

const struct mode modes_idle = {
    .name = "idle", .mqtt = true, .stays = true, .on_secure = client_connect_hub};

/* The clock is the one that other programs of this machine have, too. */
static bool
say_closed(struct conn *c, bool ok)
{
	if (c->state != CONN_UP)
		return false;
	printf("{\"closed\":\"%s\",\"at\":%.6f}\n", c->device->id, client_now());
	fflush(stdout);
	return false;
}

const struct mode modes_watch = {.name = "watch",
    .mqtt = true,
    .stays = true,
    .on_secure = client_connect_hub,
    .on_end = say_closed};
