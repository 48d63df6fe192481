#ifndef CMD_DEVICE_DOC_H
#define CMD_DEVICE_DOC_H
/*
 * Identities of devices as documents, from what options say (protocol/service.md 2.3).
 */
#include "base/arena.h"
#include "cmd/opt.h"

struct js;

struct device_doc { /* NULL or false: not said */
	const char *auth, *thumb, *second, *cert, *edge, *reason;
	bool new_keys;
};

/* The rows of the options that creating and changing have in common; returns how many. */
#define DEVICE_DOC_ROWS 6
size_t device_doc_rows(struct device_doc *d, struct opt *rows);

/* What becomes of its shared keys. */
enum device_doc_keys {
	DEVICE_DOC_KEYS_NO_MATTER,
	DEVICE_DOC_KEYS_STAY, /* asked for SAS, which it is on */
	DEVICE_DOC_KEYS_MADE, /* by the hub, which finds none in the document */
};

/* What is said, over the identity v. On SAS already, it keeps its keys, unless new_keys.
 * Reads the certificate's file. ERR_USAGE where options do not fit each other. */
must_check int device_doc_apply(const struct device_doc *d, struct js *v, struct arena *a,
    enum device_doc_keys *ret, struct err *e);

#endif
