#ifndef DOMAIN_UPLOAD_H
#define DOMAIN_UPLOAD_H
/*
 * File uploads (protocol/device.md 4.4): a device is given the right to write one blob
 * for a while, says how it ended, and services are told. Nothing here speaks to the
 * storage.
 */
#include "crypto/blob_key.h"
#include "domain/domain.h"

#define UPLOAD_OPEN_MAX   10       /* of a device (device.md 4.4) */
#define UPLOAD_BLOB_MAX   1024     /* characters of a blob's name, Azure's limit */
#define UPLOAD_KEPT_MS    86400000 /* past its end */
#define NOTICE_LIFE_MS    3600000
#define NOTICE_LOCK_MS    60000
#define NOTICE_DELIVERIES 10
#define NOTICE_ROWS       100000

/* Where devices write: hub.upload_*. Texts are the configuration's. */
struct upload_account {
	struct span host, path; /* of the container: "h:10000", "/account/container" */
	struct span account, container;
	struct blob_key key;
};

/* From hub.upload_container and the text of hub.upload_key_file. */
must_check int upload_account_parse(const struct config *cfg, struct span key_text,
    struct upload_account *ret, struct err *e);

/* Refused: no account (NULL), too many open, a name that is none. Where it is granted,
 * ret's spans are in d->arena; sas is a secret. */
must_check int upload_start(struct domain *d, const struct upload_account *acct,
    const char *device_id, struct span blob, struct ipc_upload *ret, struct refusal *no,
    struct err *e);
/* succeeded: as the device says; then services get a notice, where hub.upload_notices. */
must_check int upload_end(struct domain *d, const char *device_id, struct span id,
    bool succeeded, struct refusal *no, struct err *e);

/* The next notice, locked for whoever asks. NOT_FOUND */
must_check int upload_take_notice(struct domain *d, const struct upload_account *acct,
    struct ipc_notice *ret, struct err *e);
/* By lock; release: another may have it at once. Refused where the lock is over. */
must_check int upload_end_notice(
    struct domain *d, struct span lock, bool release, struct refusal *no, struct err *e);

/* What is too old; now and then. */
must_check int upload_trim(struct domain *d, struct err *e);

#endif
