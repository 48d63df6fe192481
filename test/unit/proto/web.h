#ifndef TEST_UNIT_PROTO_WEB_H
#define TEST_UNIT_PROTO_WEB_H
/*
 * An HTTP client for tests of routes: one request a connection, the answer taken apart.
 */
#include "rig.h"

#include "codec/js.h"

struct answer {
	int status;
	char head[8192];
	char body[65536];
	struct js *json; /* NULL where it is none */
};
void answer_done(struct answer *a);
#define auto_answer __attribute__((cleanup(answer_done))) struct answer

/* line: "GET /x"; headers: whole lines. Content-Length is added. */
void ask(struct peer *p, struct rig *r, const char *line, const char *headers,
    const char *body);
/* The whole of one answer with a Content-Length. */
void take(struct peer *p, struct answer *a);
/* That text has want in it. */
void has(const char *text, const char *want);
/* A request that the edge answers by itself. */
void answers(struct rig *r, const char *line, const char *headers, const char *body,
    int status, const char *in_head, const char *in_body);
/* The core is told of a refusal on a plane, with why in its reason. */
void drain_refused_on(struct rig *r, const char *plane, const char *why);

#endif
