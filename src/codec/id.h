#ifndef CODEC_ID_H
#define CODEC_ID_H
/*
 * Which texts may name things. Comparing is the caller's: device IDs with case,
 * registration IDs and enrollment group IDs without (protocol/device.md 1.2).
 */
#include "base/span.h"

#define ID_MAX    128 /* of a device, module, registration or group ID */
#define ID_CN_MAX 64  /* what fits a certificate's common name (X.520 ub-common-name) */

/* A registration or enrollment group ID: letters, digits and - . _ : with a letter, digit
 * or dash last (protocol/device.md 1.2). */
bool id_is_registration(struct span s);
/* A device or module ID that may be created: the documented set (protocol/service.md 2.2)
 * without '#' and '+', which no topic can carry safely (device.md section 7 row 48). */
bool id_is_device(struct span s);
/* A DPS ID scope: letters, digits, '-' and '_', at most 64. */
bool id_is_scope(struct span s);
/* A certificate of the provisioning service: at most 64, letters, digits and - . _ */
bool id_is_certificate(struct span s);
/* A host name (RFC 1123 2.1) or an address in text; no port. */
bool id_is_host(struct span s);

#endif
