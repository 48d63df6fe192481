#ifndef PROTO_JSON_H
#define PROTO_JSON_H
/*
 * How fields of messages stand in Azure's JSON: times, keys, thumbprints, etags,
 * documents.
 */
#include "base/span.h"
#include "codec/js.h"

/* Text, null when empty. */
void json_put_span(struct js *o, const char *key, struct span s);
/* Text, also when empty. */
void json_put_text(struct js *o, const char *key, struct span s);
/* ISO 8601 UTC with seven digits; 0 as null. */
void json_put_time(struct js *o, const char *key, int64_t ms);
/* As json_put_time, 0 as 0001-01-01T00:00:00Z (the hub's "never"). */
void json_put_time_or_never(struct js *o, const char *key, int64_t ms);
/* Base64, null when empty. The copy inside o is not wiped: for answers that show keys. */
void json_put_key(struct js *o, const char *key, struct span bytes);
/* A document that was validated on its way in; {} when empty. */
void json_put_doc(struct js *o, const char *key, struct span text);
struct js *json_doc(struct span text); /* the same as a value */
/* Words with a space between them, as an array of texts. */
struct js *json_words(struct span words);
void json_put_etag(struct js *o, const char *key, int64_t etag);

/* An entity tag as Azure's services show theirs: base64 of the decimal number. */
#define JSON_ETAG_MAX 32
void json_etag(int64_t etag, char out[JSON_ETAG_MAX]);
/* If-Match as clients spell it (protocol/service.md T17) to what the core takes: "" where
 * header is NULL or empty, "*", or the decimal number. False where it is no etag of ours.
 */
bool json_etag_parse(const char *header, char out[JSON_ETAG_MAX]);

/* A symmetric key in base64, its bytes in room. Empty and absent both mean: the server
 * makes one (protocol/clients.md 8), and leave ret alone. */
must_check int json_take_key(const struct js *keys, const char *name, struct buf *room,
    struct span *ret, struct err *e);

#endif
