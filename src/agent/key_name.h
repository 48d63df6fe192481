#ifndef AGENT_KEY_NAME_H
#define AGENT_KEY_NAME_H
/*
 * Names of a device's keys in its token or TPM: one for each generation, made from the
 * URI in agent.conf. Pure.
 */
#include "base/buf.h"

#define KEY_NAME_TRIES 16
/* Handles from the configured one on; a generation's is its number modulo this. */
#define KEY_NAME_HANDLES     64
#define KEY_NAME_HANDLE_BASE UINT32_C(0x81010000) /* where base names none */

/* The URI of generation number: base with the object "ID-NNNN" (its own object name in
 * the place of ID, where it has one), or with the handle base + number. attempt: 0, and
 * more where that name is taken. ERR_USAGE for a URI that is neither a token's nor a
 * TPM's. */
must_check int key_name_write(const char *base, const char *device_id, int number,
    int attempt, struct buf *out, struct err *e);

#endif
