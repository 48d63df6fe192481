/*
 * Questions over a connection that stays, one after the other: what is measured is a
 * question to its answer. And the device of a direct method, which answers.
 */
#include <stdio.h>
#include <string.h>

#include "modes.h"

/* One kind of question. filter, topic, answer: with the device's ID behind them where
 * by_device, else with the number of the question behind topic and answer. */
struct question {
	const char *filter, *topic, *answer;
	bool by_device, has_body;
};

struct asking {
	size_t asked;
	char expect[32]; /* behind question.answer */
};

static const struct question *
question_of(const struct conn *c)
{
	return c->worker->load->mode->with;
}

static int
subscribe(struct conn *c)
{
	uint8_t b[PACKET_ROOM];
	char filter[100];
	const struct question *q = question_of(c);
	snprintf(
	    filter, sizeof(filter), "%s%s", q->filter, q->by_device ? c->device->id : "");
	return client_send(c, b, packet_subscribe(b, 1, filter, 0)) ? 1 : -1;
}

static int
ask(struct conn *c)
{
	uint8_t b[PACKET_ROOM];
	char topic[100], body[64] = "";
	struct asking *a = (void *)c->own;
	const struct question *q = question_of(c);
	int n = 0;
	a->asked++;
	if (q->by_device)
		snprintf(a->expect, sizeof(a->expect), "%s", c->device->id);
	else
		snprintf(a->expect, sizeof(a->expect), "%zu", a->asked);
	snprintf(topic, sizeof(topic), "%s%s", q->topic, a->expect);
	if (q->has_body)
		n = snprintf(body, sizeof(body), "{\"n\":%zu}", a->asked);
	c->asked_at = client_now();
	return client_send(c, b, packet_publish(b, topic, 0, 0, body, (size_t)n)) ? 1
										  : -1;
}

static int
on_answer(struct conn *c, const struct packet *p)
{
	char rest[64];
	struct asking *a = (void *)c->own;
	const struct load *l = c->worker->load;
	size_t n = strlen(a->expect);
	if (!packet_is_to(p, question_of(c)->answer, rest, sizeof(rest)) ||
	    strncmp(rest, a->expect, n) != 0 || (rest[n] && rest[n] != '&')) {
		client_complain(c, "was answered", p->body, p->len);
		return -1;
	}
	client_waited(c, WAIT_ANSWER, c->asked_at);
	c->worker->messages++;
	return a->asked == l->opt.messages / l->count ? 0 : ask(c);
}

static int
on_packet(struct conn *c, const struct packet *p)
{
	if (p->first >> 4 == PACKET_SUBACK)
		return p->len == 3 && p->body[2] < 0x80 ? client_up(c) : -1;
	return p->first >> 4 == PACKET_PUBLISH ? on_answer(c, p) : 1;
}

#define ASK_MODE(mode_name, question)                                                    \
	{                                                                                \
		.name = (mode_name), .mqtt = true, .stays = true,                        \
		.own_size = sizeof(struct asking), .with = (question),                   \
		.on_secure = client_connect_hub, .on_connack = subscribe,                \
		.on_packet = on_packet, .on_go = ask                                     \
	}

static const struct question twin_get = {
    .filter = "$iothub/twin/res/#",
    .topic = "$iothub/twin/GET/?$rid=",
    .answer = "$iothub/twin/res/200/?$rid=",
};
static const struct question twin_report = {
    .filter = "$iothub/twin/res/#",
    .topic = "$iothub/twin/PATCH/properties/reported/?$rid=",
    .answer = "$iothub/twin/res/204/?$rid=",
    .has_body = true,
};
/* What a broker needs for a round trip: the device is its own subscriber. */
static const struct question echo = {
    .filter = "echo/",
    .topic = "echo/",
    .answer = "echo/",
    .by_device = true,
    .has_body = true,
};

const struct mode modes_twin_get = ASK_MODE("twin-get", &twin_get);
const struct mode modes_twin_report = ASK_MODE("twin-report", &twin_report);
const struct mode modes_echo = ASK_MODE("echo", &echo);

/* ---- methods ----------------------------------------------------------------------- */

static int
answer_method(struct conn *c, const struct packet *p)
{
	static const char method[] = "$iothub/methods/POST/";
	uint8_t b[PACKET_ROOM];
	char rest[200], topic[200];
	if (p->first >> 4 == PACKET_SUBACK)
		return client_up(c);
	if (!packet_is_to(p, method, rest, sizeof(rest)))
		return 1;
	const char *rid = strstr(rest, "/?$rid=");
	if (!rid)
		return -1;
	c->worker->messages++;
	snprintf(topic, sizeof(topic), "$iothub/methods/res/200%s", rid);
	return client_send(c, b, packet_publish(b, topic, 0, 0, "{}", 2)) ? 1 : -1;
}

static const struct question methods = {.filter = "$iothub/methods/POST/#"};

const struct mode modes_methods = {.name = "methods",
    .mqtt = true,
    .stays = true,
    .with = &methods,
    .on_secure = client_connect_hub,
    .on_connack = subscribe,
    .on_packet = answer_method};
