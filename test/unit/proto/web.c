/*
 * Requests by hand.
 */
#include "web.h"

#include <stdio.h>
#include <stdlib.h>

void
answer_done(struct answer *a)
{
	js_free(a->json);
}

void
ask(struct peer *p, struct rig *r, const char *line, const char *headers,
    const char *body)
{
	auto_buf b = BUF_INIT(1 << 20);
	peer_open(p, r, &r->http_addr);
	p->no_body = !strncmp(line, "HEAD", 4);
	buf_printf(&b, "%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n%s", line,
	    headers, strlen(body), body);
	peer_send(p, buf_span(&b));
}

void
take(struct peer *p, struct answer *a)
{
	struct err e;
	const char *end = NULL;
	long len = 0;
	memset(a, 0, sizeof(*a));
	for (int i = 0; i < 3000 && !end; i++) {
		rig_settle(p->rig);
		peer_gets(p, SPAN_NONE);
		end = p->in.len ? strstr(buf_text(&p->in), "\r\n\r\n") : NULL;
		if (!end)
			peer_pull(p);
	}
	assert_non_null(end);
	size_t head = (size_t)(end - buf_text(&p->in)) + 4;
	assert_true(
	    span_to_str(span_head(buf_span(&p->in), head), a->head, sizeof(a->head)));
	assert_int_equal(sscanf(a->head, "HTTP/1.1 %d", &a->status), 1);
	const char *length = strstr(a->head, "Content-Length: ");
	if (length && !p->no_body)
		len = strtol(length + 16, NULL, 10);
	buf_drop(&p->in, head);
	while (p->in.len < (size_t)len && !p->eof)
		peer_pull(p);
	assert_true(span_to_str(
	    span_head(buf_span(&p->in), (size_t)len), a->body, sizeof(a->body)));
	buf_drop(&p->in, (size_t)len);
	a->json = js_parse(span_str(a->body), sizeof(a->body), 32, &e);
}

void
has(const char *text, const char *want)
{
	if (!strstr(text, want))
		fail_msg("no \"%s\" in \"%s\"", want, text);
}

void
answers(struct rig *r, const char *line, const char *headers, const char *body,
    int status, const char *in_head, const char *in_body)
{
	struct peer p;
	auto_answer a;
	ask(&p, r, line, headers, body);
	take(&p, &a);
	if (a.status != status)
		fail_msg("%s: %d, wanted %d: %s", line, a.status, status, a.body);
	has(a.head, in_head);
	has(a.body, in_body);
	peer_close(&p);
}

void
drain_refused_on(struct rig *r, const char *plane, const char *why)
{
	struct ipc_refused m;
	char reason[301];
	rig_core_gets(r, IPC_REFUSED, &m);
	assert_true(span_eq_str(m.plane, plane));
	assert_true(span_to_str(m.reason, reason, sizeof(reason)));
	has(reason, why);
}
