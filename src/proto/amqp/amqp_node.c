/*
 * The table of nodes, and what they share: letting in, refusing, answering requests.
 */
#include "proto/amqp/amqp_node.h"

#include <stdlib.h>

#include "proto/env.h"
#include "proto/wire_error.h"

enum { SEGMENTS_MAX = 6, REPLY_MAX = 16 * 1024 };

/* {} is any segment; others count without case (uamqp writes servicebound). */
static const struct {
	const char *path;
	bool receive, send; /* what the peer may do */
	const struct amqp_node *node;
} nodes[] = {
    {"$cbs", true, true, &amqp_cbs_node},
    {"messages/devicebound", false, true, &amqp_c2d_node},
    {"messages/servicebound/feedback", true, false, &amqp_feedback_node},
    {"messages/servicebound/filenotifications", true, false, &amqp_feedback_notices_node},
    {"messages/events/$management", true, true, &amqp_manage_redirect_node},
    {"messages/events/consumergroups/{}/partitions/{}", true, false,
	&amqp_manage_redirect_node},
    {"$management", true, true, &amqp_manage_node},
    {"{}/$management", true, true, &amqp_manage_node},
    {"{}/consumergroups/{}/partitions/{}", true, false, &amqp_events_node},
};

/* "amqps://HOST/path", "/path" and "path". */
static struct span
path_of(struct span address)
{
	struct span path = address;
	for (size_t i = 0; i + 2 < address.len; i++) {
		if (address.p[i] == '/')
			break;
		if (address.p[i] != ':')
			continue;
		path = span_skip(address, i + 3);
		path = span_skip(path, span_find(path, '/'));
		break;
	}
	while (path.len && path.p[0] == '/')
		path = span_skip(path, 1);
	return path;
}

static bool
fits(const char *pattern, struct span path)
{
	struct span want = span_str(pattern), have = path;
	while (want.p && have.p) {
		struct span w = span_split(&want, '/'), h = span_split(&have, '/');
		if (span_eq_str(w, "{}") ? !h.len : !span_ieq(w, h))
			return false;
	}
	return !want.p && !have.p;
}

const struct amqp_node *
amqp_node_find(struct span address, bool sends, struct span *ret_path)
{
	struct span path = path_of(address);
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		if (!(sends ? nodes[i].receive : nodes[i].send) ||
		    !fits(nodes[i].path, path))
			continue;
		*ret_path = path;
		return nodes[i].node;
	}
	return NULL;
}

/* ---- refusing ---------------------------------------------------------------------- */

void
amqp_node_refuse(struct amqp_end *end, const char *condition, const char *text)
{
	const struct amqp_error why = {.condition = condition, .text = text};
	amqp_link_refuse(end->link, &why);
}

/* What the clients make errors of by their condition (service.md 2.8). */
static const char *
condition_of(const struct wire_error *w)
{
	if (w->number == 403004) /* the device's queue is full */
		return "amqp:resource-limit-exceeded";
	switch (w->status) {
	case 400:
		return "amqp:invalid-field";
	case 401:
		return "amqp:unauthorized-access";
	case 403:
		return "amqp:unauthorized-access";
	case 404:
		return "amqp:not-found";
	case 412:
		return "amqp:precondition-failed";
	case 413:
		return "amqp:link:message-size-exceeded";
	case 429:
		return "com.microsoft:device-container-throttled";
	case 503:
	case 504:
		return "com.microsoft:timeout";
	default:
		return "amqp:internal-error";
	}
}

struct amqp_error
amqp_node_error(const struct ipc_done *d)
{
	const struct wire_error w = wire_error_of_done(d, WIRE_HUB);
	return (struct amqp_error){.condition = condition_of(&w), .text = w.words};
}

void
amqp_node_refuse_done(struct amqp_end *end, const struct ipc_done *d)
{
	const struct amqp_error why = amqp_node_error(d);
	amqp_link_refuse(end->link, &why);
}

/* ---- letting in -------------------------------------------------------------------- */

void
amqp_node_admit(
    struct amqp_end *end, enum ipc_type type, const void *msg, core_link_answer *then)
{
	struct ipc_cred none;
	if (!amqp_session_cred(end, &none))
		amqp_node_refuse(
		    end, "amqp:unauthorized-access", "no token came before the link");
	else
		amqp_session_ask(end, 0, type, msg, then);
}

/* ---- answers ----------------------------------------------------------------------- */

static bool
leads_to(const struct amqp_link *l, const struct amqp_node *node, struct span reply_to)
{
	const struct amqp_end *end = amqp_link_ctx(l);
	if (!end || end->node != node || !amqp_link_sends(l) || !amqp_link_is_up(l))
		return false;
	return !reply_to.len || span_eq(amqp_link_peer_address(l), reply_to);
}

/* The reply-to of Node's CBS is no address of a link: any of the node will do then. */
static struct amqp_link *
find_way(struct amqp_conn *c, const struct amqp_node *node, struct span reply_to)
{
	for (struct amqp_link *l = amqp_conn_next(c, NULL); l; l = amqp_conn_next(c, l))
		if (leads_to(l, node, reply_to))
			return l;
	return reply_to.len ? find_way(c, node, SPAN_NONE) : NULL;
}

void
amqp_node_reply(struct amqp_end *to, struct span reply_to, struct span message)
{
	struct amqp_link *l =
	    find_way(amqp_session_conn(to->session), to->node, reply_to);
	if (!l)
		return; /* nobody listens */
	if (amqp_link_room(l)) {
		amqp_link_send(l, message);
		return;
	}
	struct amqp_end *end = amqp_link_ctx(l);
	struct buf *waiting = end->state;
	if (!waiting) {
		waiting = end->state = own_alloc(sizeof(*waiting));
		*waiting = BUF_INIT(REPLY_MAX);
	}
	/* messages behind their lengths; one too many is lost, and its asker repeats it
	 */
	if (waiting->len + 4 + message.len > REPLY_MAX)
		return;
	buf_u32(waiting, (uint32_t)message.len);
	buf_put_span(waiting, message);
}

void
amqp_node_flush(struct amqp_end *end)
{
	struct buf *waiting = end->state;
	while (waiting && waiting->len && amqp_link_room(end->link)) {
		struct cursor c = cursor_of(buf_span(waiting));
		struct span message = cursor_take(&c, cursor_u32(&c));
		amqp_link_send(end->link, message);
		buf_drop(waiting, 4 + message.len);
	}
}

void
amqp_node_drop_replies(struct amqp_end *end)
{
	struct buf *waiting = end->state;
	if (waiting)
		buf_done(waiting);
	free(waiting);
	end->state = NULL;
}

void
amqp_node_put_properties(struct buf *b, struct span correlation, struct span content_type)
{
	amqp_put_descriptor(b, AMQP_MSG_STANDARD);
	size_t l = amqp_open_list(b);
	for (unsigned i = 0; i < AMQP_MSG_CORRELATION_ID; i++)
		amqp_put_null(b);
	if (correlation.len)
		buf_put_span(b, correlation);
	else
		amqp_put_null(b);
	if (content_type.len)
		amqp_put_symbol(b, content_type);
	else
		amqp_put_null(b);
	amqp_close(b, l, AMQP_MSG_CONTENT_TYPE + 1);
}
