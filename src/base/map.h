#ifndef BASE_MAP_H
#define BASE_MAP_H
/*
 * Hash tables: uthash with a keyed hash (SipHash-1-3, key drawn per process), since
 * strangers choose device IDs. Use uthash's macros; include this header, never uthash.h
 * itself.
 */
#include <stddef.h>
#include <stdint.h>

uint32_t map_hash(const void *key, size_t len);

#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = map_hash((keyptr), (keylen)))
#define HASH_NONFATAL_OOM                    0
#include <uthash.h>

#endif
