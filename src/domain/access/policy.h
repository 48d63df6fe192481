#ifndef DOMAIN_POLICY_H
#define DOMAIN_POLICY_H
/*
 * Shared access policies and the rights they carry (protocol/service.md 1.1, 2.1), and
 * the one point where a service request is authorized: every request of the service side
 * comes through policy_authorize before its handler.
 */
#include "domain/domain.h"

/* Makes the policies that a fresh hub and DPS have: iothubowner, service, device,
 * registryRead, registryReadWrite and provisioningserviceowner, with random keys. */
must_check int policy_defaults(struct domain *d, struct err *e);

/* Whether cred may do what needs "right" on the plane that the right belongs to. An
 * operator's certificate (by its SHA-256, enabled, within its dates) or token
 * (domain/access/signin.h) may do what the operator's role says; a policy's token what
 * its rights say, while the hub still allows policies (disableLocalAuth). */
must_check int policy_authorize(struct domain *d, const struct ipc_cred *cred,
    uint32_t right, struct refusal *no, struct err *e);

/* Whether who was let in to read an identity sees its keys: all but readers. */
must_check int policy_shows_keys(
    struct domain *d, const struct ipc_cred *cred, bool *ret, struct err *e);

/* True for rights of the provisioning service. */
bool policy_is_dps(uint32_t right);

/* Makes the policies of "hub" or "dps" those of list: packed struct ipc_policy, each
 * behind its length (u32). A key that is empty is made. At most POLICY_MAX, of names that
 * differ and rights of the plane; else ERR_PARSE, and nothing has changed. */
#define POLICY_MAX 16 /* Azure's (protocol/service.md 6.2) */
must_check int policy_replace(
    struct domain *d, const char *plane, struct span list, struct err *e);

/* Rights joined by ", " as listkeys writes them. */
void policy_rights_text(uint32_t rights, struct buf *out);

/* A token for the events' endpoint (sb://HOST/PATH, signed with a key's text:
 * protocol/service.md T8) is good for reading events and nothing else. */

/* Checks a token's signature with a policy's keys, its expiry and that its resource
 * covers "host" or begins it by whole segments ("host", "host/devices" for
 * "host/devices/d1"). */
must_check int policy_check_token(struct domain *d, const struct ipc_cred *cred,
    const char *plane, const char *resource, uint32_t right, struct refusal *no,
    struct err *e);

#endif
