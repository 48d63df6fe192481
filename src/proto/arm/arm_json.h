#ifndef PROTO_ARM_JSON_H
#define PROTO_ARM_JSON_H
/*
 * What hubs and provisioning services have in common in the resource manager's manner
 * (protocol/service.md 3.2, 3.3): the members around the properties, policies, If-Match.
 */
#include "proto/http_call.h"

/* Whose resource is in hand; group "": the one there is. */
struct arm_place {
	struct span subscription, group;
	const char *provider_type; /* "IotHubs" */
	const char *name;
};

/* A resource without its properties. subscriptionid and resourcegroup, so spelled: az
 * reads them without a check (T3). tags: a JSON object, empty: {}. */
struct js *arm_json_resource(
    const struct arm_place *p, int64_t etag, struct span tags, struct arena *a);
struct js *arm_json_policy(const struct ipc_policy *m);
/* Milliseconds as ISO 8601 has durations, "PT1H": as the Python SDK writes them back. */
void arm_json_duration(struct js *o, const char *key, int64_t ms);

/* Takes what If-Match says. az prints a Python dict into it ({'IF-MATCH': '<etag>'}):
 * what is between the last two quotes counts, and what is no etag at all is ignored, as
 * Azure does (T1). */
void arm_json_if_match(struct http_call *c, struct span *ret);
/* The body's tags as text for the core; *ret_set false where it has none. ERR_PARSE. */
must_check int arm_json_take_tags(const struct http_call *c, const struct js *body,
    struct span *ret, uint8_t *ret_set, struct err *e);
/* The same of properties.authorizationPolicies: packed (domain/access/policy.h). */
must_check int arm_json_take_policies(const struct http_call *c,
    const struct js *properties, struct span *ret, uint8_t *ret_set, struct err *e);

/* Answers of keys: IPC_POLICY_QUERY for one, and for all. */
void arm_json_keys(struct http_call *c, const char *plane);
void arm_json_key(struct http_call *c, const char *plane, struct span name);

/* {"value":[...]} of one page, in c->out: begin, add each, end. */
void arm_json_list_begin(struct http_call *c);
void arm_json_list_add(struct http_call *c, const struct js *v);
void arm_json_list_end(struct http_call *c);

/* Ends: 404 in the words that az looks for. */
void arm_json_not_found(struct http_call *c, const char *what, struct span name);

#endif
