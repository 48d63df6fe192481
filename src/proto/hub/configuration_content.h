#ifndef PROTO_CONFIGURATION_CONTENT_H
#define PROTO_CONFIGURATION_CONTENT_H
/*
 * The content of a configuration: paths into the desired properties of devices, or of
 * modules, and what is to be there. It becomes one document that is merged.
 */
#include "base/buf.h"

struct js;

/* content (NULL: not given, nothing is written) as it is shown, and what it comes to. Of
 * equal content both are equal byte for byte. */
must_check int configuration_content_parse(const struct js *content, struct buf *shown,
    struct buf *desired, bool *ret_modules, struct err *e);

#endif
