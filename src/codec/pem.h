#ifndef CODEC_PEM_H
#define CODEC_PEM_H
/*
 * PEM text (RFC 7468): labels and bytes, whatever they are of. Text between blocks and CR
 * LF are tolerated; a block itself is not forgiven anything, RFC 1421 headers included.
 */
#include "base/buf.h"

#define PEM_LABEL_MAX 64

/* The next block of *rest, which moves behind it; its bytes replace what der holds (set
 * der->secret first for keys). At the end ret_label->p is NULL. ERR_PARSE names what is
 * wrong with the block; *rest then stays. */
must_check int pem_next(
    struct span *rest, struct span *ret_label, struct buf *der, struct err *e);
/* The only block labelled so: ERR_NOT_FOUND without one, ERR_PARSE with several. Other
 * labels are passed over. What der held is lost either way. */
must_check int pem_find(
    struct span text, const char *label, struct buf *der, struct err *e);

/* Appends a block in lines of 64 characters (section 3). */
void pem_write(struct buf *b, const char *label, struct span der);

#endif
