#ifndef PROTO_PUBLIC_HTTP_H
#define PROTO_PUBLIC_HTTP_H
/*
 * What answers to anybody have in common: an entity tag, and 304 for who has it already.
 */
#include "proto/http_call.h"

/* Ends: body under its tag (quotes included), or 304 where If-None-Match names it (RFC
 * 9110 13.1.2). Other headers are set before. */
void public_http_reply(
    struct http_call *c, const char *tag, const char *type, struct span body);

#endif
