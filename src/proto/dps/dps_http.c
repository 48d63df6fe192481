/*
 * DPS over HTTPS (protocol/device.md 1.11): register, poll, look up. The same questions
 * and the same JSON as over MQTT; each request carries its credential anew.
 */
#include <inttypes.h>
#include <stdio.h>

#include "codec/config.h"
#include "codec/uri.h"
#include "codec/utf8.h"
#include "proto/dps/dps_json.h"
#include "proto/env.h"
#include "proto/http_call.h"

enum {
	LOCATION_MAX = 4096,
	SCOPE_MAX = 64,
	DECIDED_S = 1, /* until a poll for what is decided already */
};

static bool
is_text(struct span s, size_t max)
{
	return s.len <= max && utf8_ok_no_nul(s);
}

/* Scope and registration ID of the path. */
static int
check_path(const struct http_call *c, struct err *e)
{
	if (!is_text(c->param[0], SCOPE_MAX) || !is_text(c->param[1], CAP_ID))
		return err_set(e, ERR_PARSE, "ID scope or registration ID");
	return 0;
}

static int64_t
usual_retry_s(const struct http_call *c)
{
	return c->env->config->dps.retry_after_s;
}

static void
fail_done(struct http_call *c, const struct ipc_done *d)
{
	c->retry_s = usual_retry_s(c);
	http_call_fail_done(c, d);
}

static void
set_retry(struct http_call *c, int64_t seconds)
{
	char text[24];
	snprintf(text, sizeof(text), "%" PRId64, seconds);
	http_call_set(c, "Retry-After", text);
}

static void
set_location(struct http_call *c, struct span operation_id)
{
	auto_buf at = BUF_INIT(LOCATION_MAX);
	buf_str(&at, "/");
	uri_encode(&at, c->param[0]);
	buf_str(&at, "/registrations/");
	uri_encode(&at, c->param[1]);
	buf_str(&at, "/operations/");
	uri_encode(&at, operation_id);
	if (!at.bad)
		http_call_set(c, "Location", buf_text(&at));
}

/* ---- register ---------------------------------------------------------------------- */

/* "Assigning" whatever was decided, and 202: iot-identity-service takes nothing else here
 * and polls (row 26); how it ended the first poll says. */
static void
on_registered(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type != IPC_DPS_STATE) {
		fail_done(c, msg);
		return;
	}
	struct ipc_dps_state st = *(const struct ipc_dps_state *)msg;
	if (span_eq_str(st.status, "unassigned")) {
		dps_json_challenge(&st, &c->out);
		http_call_json_out(c, 401);
		return;
	}
	bool decided = dps_json_status(&st) != 202;
	int64_t wait = st.retry_after_s ? st.retry_after_s : usual_retry_s(c);
	st.status = SPAN_LIT("assigning");
	set_location(c, st.operation_id);
	set_retry(c, decided ? DECIDED_S : wait);
	dps_json_operation(&st, &c->out);
	http_call_json_out(c, 202);
}

void
dps_http_register(struct http_call *c)
{
	struct err e = {0};
	auto_dps_json_body body = {0};
	bool issue = c->env->config->dps.issue;
	if (check_path(c, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	if (dps_json_parse(c->body, c->param[1], issue, &body, &e)) {
		const struct wire_error w = dps_json_error(&body, &e);
		http_call_fail(c, &w, e.text);
		return;
	}
	struct ipc_dps_register m = {.peer = c->peer,
	    .cred = c->cred,
	    .id_scope = c->param[0],
	    .registration_id = c->param[1]};
	dps_json_fill(&body, &m);
	http_call_ask(c, IPC_DPS_REGISTER, &m, on_registered);
}

/* ---- poll and look-up -------------------------------------------------------------- */

static void
ask_state(struct http_call *c, struct span operation_id,
    void (*fn)(struct http_call *c, enum ipc_type type, const void *msg))
{
	struct err e = {0};
	const struct ipc_dps_poll m = {.peer = c->peer,
	    .cred = c->cred,
	    .id_scope = c->param[0],
	    .registration_id = c->param[1],
	    .operation_id = operation_id};
	if (!check_path(c, &e) && !is_text(operation_id, CAP_ID))
		err_set(&e, ERR_NOT_FOUND, "operation ID");
	if (e.code != ERR_OK)
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, IPC_DPS_POLL, &m, fn);
}

static void
on_polled(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_dps_state *st = msg;
	if (type != IPC_DPS_STATE) {
		fail_done(c, msg);
		return;
	}
	int status = dps_json_status(st);
	if (status == 202)
		set_retry(c, st->retry_after_s ? st->retry_after_s : usual_retry_s(c));
	dps_json_operation(st, &c->out);
	http_call_json_out(c, status);
}

void
dps_http_poll(struct http_call *c)
{
	ask_state(c, c->param[2], on_polled);
}

static void
on_looked_up(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type != IPC_DPS_STATE)
		fail_done(c, msg);
	else
		http_call_json(c, 200, dps_json_state(msg));
}

void
dps_http_lookup(struct http_call *c)
{
	struct err e = {0};
	auto_dps_json_body body = {0};
	if (dps_json_parse(c->body, c->param[1], false, &body, &e))
		http_call_fail_err(c, &e);
	else
		ask_state(c, SPAN_NONE, on_looked_up);
}
