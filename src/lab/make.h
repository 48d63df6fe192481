#ifndef LAB_MAKE_H
#define LAB_MAKE_H
/*
 * Making the fleet's files: device directories with their SAS keys, host keys, the
 * operator's ssh key, sshd's configuration, and what muster migrate reads.
 */
#include "base/arena.h"
#include "fleet/progress.h"

struct loop;

struct make {
	const char *home;
	size_t devices;
	int64_t mqtt_port, https_port;
	const char *id_scope;
	struct span group_key; /* of the symmetric-key enrollment group; secret */
	int64_t telemetry_ms;
	struct loop *loop;
	struct arena *arena;
	struct progress *progress;
};

/* All but inventory.csv; a tree that was left half made is made anew. */
must_check int make_fleet(const struct make *m, struct err *e);
/* Devices that were made before, configured anew: the server's ports may have moved. */
must_check int make_again(const struct make *m, struct err *e);
/* inventory.csv, whose presence says that the fleet is whole. */
must_check int make_inventory(const struct make *m, struct err *e);
/* ssh_config for this port. */
must_check int make_ssh_config(
    const char *home, int64_t port, struct arena *a, struct err *e);
/* muster-agent beside muster, as built and as installed; else what PATH has. */
const char *make_agent_program(struct arena *a);
/* The login that sshd lets in: whoever we are. */
must_check int make_user(struct arena *a, const char **ret, struct err *e);

#endif
