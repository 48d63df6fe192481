#ifndef CMD_ENROLLMENT_DOC_H
#define CMD_ENROLLMENT_DOC_H
/*
 * Enrollments as documents, from what options say: one from nothing, or changes to one
 * that was read (protocol/service.md 1.4, 1.5).
 */
#include "cmd/opt.h"

struct js;

struct enrollment_doc { /* NULL or false: not said */
	bool group;
	const char *cert, *second_cert; /* PEM files */
	const char *ca_name, *keys_file, *tpm, *device, *edge;
	const char *allocation, *reprovision, *tags, *desired;
	struct opt_each hubs;
	bool symmetric, new_keys, drop_second, any_hub, disabled;
};

/* "enrollmentGroupId" or "registrationId". */
const char *enrollment_doc_id(bool group);

/* A whole one: exactly one way to attest, and what is not said as it is usual. Reads the
 * files. ERR_USAGE where options do not fit each other. */
must_check int enrollment_doc_new(
    const struct enrollment_doc *d, const char *id, struct js **ret, struct err *e);
/* What is said replaces what v, which was read, has of it; the rest stays, certificates
 * that are known by their info alone among it. ERR_USAGE too where nothing is said. A
 * shared key of v is only replaced where new_keys or keys_file asks for it. */
must_check int enrollment_doc_change(
    const struct enrollment_doc *d, struct js *v, struct err *e);

#endif
