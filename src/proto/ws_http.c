/*
 * MQTT and AMQP over WebSocket: the upgrade request, for DPS and hub alike
 * (protocol/device.md 1.1, 3.1). Behind the 101 the connection is a stream like one of
 * port 8883 or 5671, and that server's. Credentials are judged there.
 */
#include "io/http.h"
#include "io/stream.h"
#include "io/ws_hello.h"
#include "proto/amqp/amqp_server.h"
#include "proto/env.h"
#include "proto/http_call.h"
#include "proto/mqtt_server.h"

enum { VALUE_MAX = 16 * 1024, ANSWER_MAX = 512 };

/* A header that may be a list and come in several lines. Of one that may not, two values
 * joined are no value that fits. */
static struct span
gather(struct http_call *c, const char *name)
{
	auto_buf all = BUF_INIT(VALUE_MAX);
	const char *one = http_call_header(c, name);
	if (!one)
		return SPAN_NONE;
	for (size_t i = 0; (one = http_header_nth(c->req, name, i)); i++)
		buf_printf(&all, "%s%s", i ? "," : "", one);
	return arena_span(c->arena, buf_span(&all));
}

static void
fail(struct http_call *c, uint32_t number, const char *why)
{
	const struct wire_error w = wire_error_of(number);
	if (w.status == 426) {
		http_call_set(c, "Upgrade", "websocket");
		http_call_set(c, "Sec-WebSocket-Version", "13");
	}
	http_call_fail(c, &w, why);
}

/* A sub-protocol, and who speaks it; server NULL: nobody here. */
struct speaker {
	const char *protocol;
	void *server;
	void (*on_accept)(void *server, struct stream *st);
	struct stream_opts (*opts)(const struct env *env);
	bool draining;
};

static struct speaker
speaker_of_mqtt(const struct env *env)
{
	return (struct speaker){"mqtt", env->mqtt, mqtt_server_on_accept,
	    mqtt_server_stream_opts, env->mqtt && mqtt_server_is_draining(env->mqtt)};
}

static struct speaker
speaker_of_amqp(const struct env *env)
{
	return (struct speaker){"AMQPWSB10", env->amqp, amqp_server_on_accept,
	    amqp_server_stream_opts, env->amqp && amqp_server_is_draining(env->amqp)};
}

static void
upgrade(struct http_call *c, const struct ws_hello *h, struct span protocol,
    const struct speaker *by)
{
	const struct stream_opts opts = by->opts(c->env);
	auto_buf answer = BUF_INIT(ANSWER_MAX);
	ws_hello_answer(h, protocol, &answer);
	by->on_accept(by->server, http_call_upgrade(c, buf_span(&answer), &opts));
}

static void
speak(struct http_call *c, const struct ws_hello *h, struct span protocol,
    const struct speaker *by)
{
	if (!protocol.len)
		fail(c, 400000,
		    "no Sec-WebSocket-Protocol that is served: mqtt, AMQPWSB10");
	else if (!by->server)
		fail(c, 501000, "not over WebSocket here");
	else if (by->draining)
		fail(c, 503001, "the server stops: come again");
	else
		upgrade(c, h, protocol, by);
}

static void
take_hello(struct http_call *c, struct speaker by)
{
	struct err e = {0};
	const struct ws_hello h = {.upgrade = gather(c, "Upgrade"),
	    .connection = gather(c, "Connection"),
	    .version = gather(c, "Sec-WebSocket-Version"),
	    .key = gather(c, "Sec-WebSocket-Key"),
	    .protocols = gather(c, "Sec-WebSocket-Protocol")};
	struct span protocol = ws_hello_choose(&h, by.protocol);
	if (ws_hello_check(&h, &e)) {
		fail(c, e.code == ERR_UNSUPPORTED ? 426000 : 400000, e.text);
		return;
	}
	if (http_method(c->req) != HTTP_GET || http_body(c->req).len) {
		fail(c, 400000, "an upgrade is a GET without a body");
		return;
	}
	if (!protocol.len) {
		by = speaker_of_amqp(c->env);
		protocol = ws_hello_choose(&h, by.protocol);
	}
	speak(c, &h, protocol, &by);
}

void
ws_http_get(struct http_call *c)
{
	take_hello(c, speaker_of_mqtt(c->env));
}

/* Where Event Hubs' clients go (protocol/clients.md 1, 20). */
void
ws_http_events(struct http_call *c)
{
	const struct wire_error w = wire_error_of(404000);
	if (c->env->amqp)
		take_hello(c, speaker_of_amqp(c->env));
	else
		http_call_fail(c, &w, "");
}

/* The provisioning clients of .NET and Java name no path; Java's library says "/mqtt"
 * then. What is no upgrade finds nothing here. */
void
ws_http_elsewhere(struct http_call *c)
{
	const struct wire_error w = wire_error_of(404000);
	if (http_call_header(c, "Upgrade"))
		ws_http_get(c);
	else
		http_call_fail(c, &w, "");
}
