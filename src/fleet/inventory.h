#ifndef FLEET_INVENTORY_H
#define FLEET_INVENTORY_H
/*
 * The fleet as its owner writes it down: device_id,address,user[,host_key]. The whole
 * file is judged, so that one run names all that is wrong with it.
 */
#include "base/arena.h"
#include "base/buf.h"

#define INVENTORY_MAX      (64 * 1024 * 1024) /* bytes of the file */
#define INVENTORY_PROBLEMS 20                 /* that many are spelled out */

struct inventory_row {
	const char *id;
	const char *address; /* as written */
	const char *host;    /* a name, an address, or an alias of ssh_config */
	int64_t port;        /* 0: what ssh takes by itself */
	const char *user;
	const char *host_key; /* "ssh-ed25519 AAAA...", "" where the line has none */
	size_t line;
};

struct inventory {
	const struct inventory_row *v;
	size_t n;
};

/* Rows live in a (the text may go). what names the source. On failure (ERR_PARSE)
 * problems holds a line each, "fleet.csv:12: device_id dev-7 again, first on line 3", and
 * e's text is the first of them and how many there are. */
must_check int inventory_parse(struct span text, const char *what, struct arena *a,
    struct inventory *ret, struct buf *problems, struct err *e);

/* Splits "host", "host:port", "[v6]:port". ERR_PARSE on what ssh might take for an option
 * or a shell for more than a word. */
must_check int inventory_address(struct span address, struct arena *a,
    const char **ret_host, int64_t *ret_port, struct err *e);
/* "type base64", the type again inside the blob (RFC 4253 6.6). */
must_check int inventory_host_key(struct span text, struct err *e);

#endif
