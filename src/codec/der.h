#ifndef CODEC_DER_H
#define CODEC_DER_H
/*
 * DER (X.690): a writer into a struct buf and a strict reader. Low tag numbers only (0 to
 * 30), definite minimal lengths only. OIDs are given as their content bytes.
 */
#include "base/buf.h"

enum der_tag {
	DER_BOOLEAN = 0x01,
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_OCTET_STRING = 0x04,
	DER_NULL = 0x05,
	DER_OID = 0x06,
	DER_ENUMERATED = 0x0a,
	DER_UTF8_STRING = 0x0c,
	DER_PRINTABLE_STRING = 0x13,
	DER_IA5_STRING = 0x16,
	DER_UTC_TIME = 0x17,
	DER_GENERALIZED_TIME = 0x18,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
};

#define DER_IMPLICIT(n)                                                                  \
	(0x80 | (n)) /* context-specific, primitive: [n] IMPLICIT of a string */
#define DER_EXPLICIT(n) (0xa0 | (n)) /* context-specific, constructed */

/* Opens a TLV; what is written until der_end with the returned mark is its content. */
must_check size_t der_begin(struct buf *b, uint8_t tag);
void der_end(struct buf *b, size_t mark);

/* One TLV with the content given. */
void der_put(struct buf *b, uint8_t tag, struct span content);
/* An INTEGER from big-endian unsigned bytes: leading zeros dropped, sign byte added. */
void der_put_unsigned(struct buf *b, struct span magnitude);
void der_put_int(struct buf *b, int64_t v);
void der_put_bool(struct buf *b, bool v);
void der_put_null(struct buf *b);
void der_put_oid(struct buf *b, struct span content);
/* unused: bits of the last byte that do not count, 0 to 7. */
void der_put_bits(struct buf *b, struct span bytes, uint8_t unused);
/* A named bit list (X.690 11.2.2): bit 0 is the highest of the first byte; trailing zero
 * bits are dropped. For keyUsage and the like; up to 16 bits, bit n is 1 << n of v. */
void der_put_named_bits(struct buf *b, uint16_t v);
/* Seconds since 1970 as RFC 5280 4.1.2.5 wants them: UTCTime through 2049,
 * GeneralizedTime from 2050. Outside the years 1950 to 9999 the buffer turns bad. */
void der_put_time(struct buf *b, int64_t at_s);
/* GeneralizedTime whatever the year (OCSP, RFC 6960 4.2.2.1). */
void der_put_generalized_time(struct buf *b, int64_t at_s);
/* A UTF8String; ill-formed text turns the buffer bad. */
void der_put_utf8(struct buf *b, struct span text);
/* A PrintableString; a character outside its set turns the buffer bad. */
void der_put_printable(struct buf *b, struct span text);

struct der_tlv {
	uint8_t tag;
	struct span content;
	struct span whole; /* tag and length included */
};

/* Takes the first TLV off *in. ERR_PARSE on a high tag number, an indefinite or padded
 * length, or a length past the end. */
must_check int der_next(struct span *in, struct der_tlv *ret, struct err *e);
/* As der_next, the tag being known. */
must_check int der_expect(
    struct span *in, uint8_t tag, struct span *ret_content, struct err *e);
/* ERR_PARSE where bytes are left over; what names the structure. */
must_check int der_finish(struct span in, const char *what, struct err *e);
/* A non-negative INTEGER, minimally encoded; the sign byte is dropped. */
must_check int der_expect_unsigned(
    struct span *in, struct span *ret_magnitude, struct err *e);
/* A time as der_put_time writes them, in seconds since 1970: UTCTime or GeneralizedTime
 * to the second, in UTC (RFC 5280 4.1.2.5). A date that is none is ERR_PARSE. */
must_check int der_expect_time(struct span *in, int64_t *ret_s, struct err *e);
/* A BIT STRING of whole bytes. */
must_check int der_expect_bits(struct span *in, struct span *ret_bytes, struct err *e);

#endif
