/*
 * Answers of the provisioning service, read.
 */
#include "agent/dps_answer.h"

#include <stdio.h>

#include "base/num.h"
#include "codec/js.h"
#include "codec/uri.h"

#define ANSWER_DEPTH 16

static const struct span prefix = SPAN_LIT("$dps/registrations/res/");

/* $dps/registrations/res/{status}/?$rid={rid}[&retry-after={s}] */
static int
parse_topic(struct span topic, struct dps_answer *a, struct err *e)
{
	if (!span_starts(topic, prefix))
		return err_set(e, ERR_PARSE, "not a topic of the provisioning service");
	struct span rest = span_skip(topic, prefix.len);
	int64_t status;
	if (num_parse(span_split(&rest, '/'), 100, 599, &status, e))
		return err_wrap(e, "status in the topic");
	if (!rest.len || rest.p[0] != '?')
		return err_set(e, ERR_PARSE, "no \"/?$rid=\" behind the status");
	rest = span_skip(rest, 1);
	a->status = (int)status;
	for (struct uri_pair p; uri_pair_next(&rest, &p);) {
		if (span_eq_str(p.key, "$rid"))
			a->rid = p.value;
		/* out of bounds is no hint at all: the default then (1.7) */
		if (span_ieq_str(p.key, "retry-after") &&
		    !num_ok(p.value, 1, DPS_ANSWER_RETRY_MAX, &a->retry_after_s))
			a->retry_after_s = 0;
	}
	return 0;
}

/* The service's words go to logs and to people: printable ASCII, cut. */
static void
keep_words(struct span s, char *out, size_t size)
{
	size_t n = 0;
	for (size_t i = 0; i < s.len && n + 1 < size; i++)
		out[n++] = s.p[i] >= ' ' && s.p[i] < 0x7f ? (char)s.p[i] : '?';
	out[n] = '\0';
}

static int
keep_name(const struct js *o, const char *key, char *out, size_t size, struct err *e)
{
	struct span s = SPAN_NONE;
	if (js_opt_str(o, key, &s, e))
		return -1;
	if (!span_to_str(s, out, size))
		return err_set(e, ERR_PARSE, "\"%s\" is too long", key);
	return 0;
}

static int
parse_error(const struct js *o, const char *words, struct dps_answer *a, struct err *e)
{
	struct span message = SPAN_NONE;
	if (js_opt_int(o, "errorCode", INT32_MIN, INT32_MAX, &a->error_code, e) ||
	    js_opt_str(o, words, &message, e))
		return -1;
	keep_words(message, a->message, sizeof(a->message));
	return 0;
}

static int
parse_assigned(const struct js *o, struct dps_answer *a, struct err *e)
{
	const struct js *state = js_get(o, "registrationState");
	if (keep_name(state, "assignedHub", a->hub, sizeof(a->hub), e) ||
	    keep_name(state, "deviceId", a->device_id, sizeof(a->device_id), e) ||
	    keep_name(state, "substatus", a->substatus, sizeof(a->substatus), e))
		return -1;
	if (!a->hub[0] || !a->device_id[0])
		return err_set(
		    e, ERR_PARSE, "\"assigned\" without assignedHub and deviceId");
	a->kind = DPS_ANSWER_ASSIGNED;
	return 0;
}

static int
parse_state(const struct js *o, struct dps_answer *a, struct err *e)
{
	if (keep_name(o, "status", a->state, sizeof(a->state), e) ||
	    keep_name(o, "operationId", a->operation_id, sizeof(a->operation_id), e))
		return -1;
	if (strcmp(a->state, "assigned") == 0)
		return parse_assigned(o, a, e);
	if (strcmp(a->state, "assigning") == 0 || strcmp(a->state, "unassigned") == 0) {
		if (!a->operation_id[0])
			return err_set(
			    e, ERR_PARSE, "\"%s\" without operationId", a->state);
		a->kind = DPS_ANSWER_ASSIGNING;
		return 0;
	}
	a->kind = DPS_ANSWER_REFUSED;
	return parse_error(js_get(o, "registrationState"), "errorMessage", a, e);
}

int
dps_answer_parse(
    struct span topic, struct span body, struct dps_answer *ret, struct err *e)
{
	struct dps_answer a = {.kind = DPS_ANSWER_REFUSED};
	if (parse_topic(topic, &a, e))
		return err_wrap(e, "answer of the provisioning service");
	auto_(js_free) struct js *o =
	    js_parse(body, DPS_ANSWER_BODY_MAX, ANSWER_DEPTH, e);
	if (!o || !js_is(o, JS_OBJECT)) {
		if (o)
			err_set(e, ERR_PARSE, "not a JSON object");
		return err_wrap(
		    e, "answer %d of the provisioning service: body", a.status);
	}
	if (a.status >= 429)
		a.kind = DPS_ANSWER_LATER;
	int failed =
	    a.status < 300 ? parse_state(o, &a, e) : parse_error(o, "message", &a, e);
	if (failed)
		return err_wrap(e, "answer %d of the provisioning service", a.status);
	*ret = a;
	return 0;
}

static enum err_code
code_of(const struct dps_answer *a)
{
	if (a->status < 300)
		return strcmp(a->state, "disabled") == 0 ? ERR_FORBIDDEN : ERR_DENIED;
	switch (a->status) {
	case 401:
		return ERR_DENIED;
	case 403:
		return ERR_FORBIDDEN;
	case 404:
		return ERR_NOT_FOUND;
	case 429:
		return ERR_BUSY;
	}
	return a->status >= 500 ? ERR_UNAVAILABLE : ERR_UNSUPPORTED;
}

int
dps_answer_refusal(const struct dps_answer *a, struct err *e)
{
	char number[32] = "";
	if (a->error_code)
		snprintf(number, sizeof(number), ", error %d", (int)a->error_code);
	return err_set(e, code_of(a), "the provisioning service answered %d%s%s%s%s%s",
	    a->status, a->state[0] ? " " : "", a->state, number,
	    a->message[0] ? ": " : "", a->message);
}
