#ifndef PROTO_IMPORT_ITEM_H
#define PROTO_IMPORT_ITEM_H
/*
 * An identity of a bulk request or of a file that is imported (protocol/service.md 2.4),
 * from Azure's JSON to what goes to the core; and of an export, back.
 */
#include "base/arena.h"
#include "codec/ipc_msg.h"

struct js;

/* What an item's spans point into. Keys are wiped. */
struct import_item_room {
	struct buf key[2], twin[2];
};
struct import_item_room import_item_room_new(void);
void import_item_room_done(struct import_item_room *r);

/* mode: what it is where o does not say; IPC_IMPORT_N: o must. CONFLICT: an etag that can
 * match nothing. id and module_id are set in any case. */
must_check int import_item_parse(struct arena *a, const struct js *o, uint8_t mode,
    struct import_item_room *room, struct ipc_registry_item *m, struct err *e);
/* Appends its length (4 bytes) and the item, packed. */
must_check int import_item_pack(
    const struct ipc_registry_item *m, struct buf *out, struct err *e);

/* Lines of a file: packs those that are whole into items, with a line of JSON in errors
 * for each of the *ret_errors that are none; *ret_used: bytes that were looked at. last:
 * the file ends here, with or without a newline. */
must_check int import_item_lines(struct span text, bool last, struct buf *items,
    struct buf *errors, size_t *ret_used, size_t *ret_errors, struct err *e);

/* The line of an identity in an export. */
void import_item_line(const struct ipc_device *m, bool keys, struct buf *out);

#endif
