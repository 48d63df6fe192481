/*
 * Pages of the service APIs.
 */
#include "cmd/listing.h"

#include <stdio.h>

#include "codec/js.h"
#include "fleet/azure.h"

struct paging {
	struct render *show;
	char next[REST_TOKEN_MAX];
	int64_t left; /* rows still wanted; 0: all */
	bool more;    /* than were wanted */
};

static void
show_page(struct paging *p, const struct js *page, int64_t top)
{
	for (size_t i = 0; i < js_len(page); i++) {
		if (top && !p->left) {
			p->more = true;
			return;
		}
		render_row(p->show, js_at(page, i));
		p->left -= top ? 1 : 0;
	}
}

static int
ask_page(struct remote *r, const struct listing *l, struct paging *p, struct err *e)
{
	auto_(js_free) struct js *page = NULL;
	struct rest_response answer;
	const struct rest_request q = {.method = l->method,
	    .target = l->target,
	    .body = l->body ? azure_body(r->arena, l->body) : SPAN_NONE,
	    .continuation = p->next,
	    .max_items = l->top && p->left < AZURE_PAGE ? p->left : AZURE_PAGE};
	if (remote_ask(r, l->plane, &q, l->what, &page, &answer, e))
		return -1;
	if (!js_is(page, JS_ARRAY))
		return err_set(e, ERR_PARSE, "%s: the answer is no list", l->what);
	show_page(p, page, l->top);
	snprintf(p->next, sizeof(p->next), "%s", answer.continuation);
	return 0;
}

static void
tell(const struct remote *r, const struct listing *l, const struct paging *p)
{
	if (r->form != RENDER_TABLE)
		return;
	if (!render_count(p->show))
		fprintf(stderr, "no %s\n", l->what);
	if (p->more)
		fprintf(stderr, "there are more; --top %lld showed these\n",
		    (long long)l->top);
}

int
listing_run(struct remote *r, const struct listing *l, struct err *e)
{
	struct paging p = {.left = l->top};
	int rc;
	p.show = render_new(l->cols, r->form, stdout, render_width(stdout));
	do
		rc = ask_page(r, l, &p, e);
	while (rc == 0 && p.next[0] && !(l->top && !p.left));
	p.more |= rc == 0 && p.next[0];
	render_flush(p.show);
	if (rc == 0)
		tell(r, l, &p);
	render_free(p.show);
	return rc;
}
