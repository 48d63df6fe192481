#ifndef PROTO_CSR_JSON_H
#define PROTO_CSR_JSON_H
/*
 * A certificate signing request within JSON (Azure's preview of 2025,
 * docs/allocation.md): base64 of DER, as the SDKs send it, at most CSR_JSON_MAX bytes of
 * text.
 */
#include "codec/js.h"
#include "crypto/csr.h"

#define CSR_JSON_MAX 8192

/* The member "csr" of o, its signature verified. Absent or null: *ret_there is false.
 * csr_done by the caller where it is there. */
must_check int csr_json_parse(
    const struct js *o, struct csr *ret, bool *ret_there, struct err *e);

#endif
