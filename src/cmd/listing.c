/*
 * Pages of the service APIs.
 */
#include "cmd/listing.h"

#include <stdio.h>
#include <string.h>

#include "cmd/output.h"
#include "codec/js.h"
#include "fleet/azure.h"

#define COLUMNS_MAX  24
#define COLUMNS_MAIN 6 /* of columns that nobody chose, those that stay */

struct paging {
	struct render *show; /* NULL before the first row */
	char next[REST_TOKEN_MAX];
	int64_t left; /* rows still wanted; 0: all */
	bool more;    /* than were wanted */
};

static const struct render_column *
columns_of(struct arena *a, const struct js *row)
{
	size_t n = 0;
	struct render_column *v = arena_alloc(a, (COLUMNS_MAX + 1) * sizeof(*v));
	for (struct js_iter it = js_members(row); n < COLUMNS_MAX && js_next(&it); n++) {
		const char *name = arena_str(a, span_str(it.key));
		v[n] = (struct render_column){.head = name,
		    .path = name,
		    .flags = RENDER_CUT | (n < COLUMNS_MAIN ? 0 : RENDER_EXTRA)};
	}
	return v;
}

static void
begin(struct remote *r, const struct listing *l, struct paging *p, const struct js *row)
{
	const struct render_column *cols = l->cols ? l->cols : columns_of(r->arena, row);
	p->show = render_new(cols, r->form, stdout, render_width(stdout));
}

static int
give_row(const struct listing *l, struct paging *p, const struct js *row, struct err *e)
{
	if (l->each)
		return l->each(l->ctx, row, e);
	render_row(p->show, row);
	return 0;
}

static int
show_page(struct remote *r, const struct listing *l, struct paging *p,
    const struct js *page, struct err *e)
{
	int64_t top = l->top;
	if (!l->each && !p->show && js_len(page))
		begin(r, l, p, js_at(page, 0));
	for (size_t i = 0; i < js_len(page); i++) {
		if (top && !p->left) {
			p->more = true;
			return 0;
		}
		if (give_row(l, p, js_at(page, i), e))
			return -1;
		p->left -= top ? 1 : 0;
	}
	return 0;
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
	if (p->next[0] && strcmp(p->next, answer.continuation) == 0)
		return err_set(
		    e, ERR_CORRUPT, "%s: the page that follows is the same one", l->what);
	if (show_page(r, l, p, page, e))
		return -1;
	snprintf(p->next, sizeof(p->next), "%s", answer.continuation);
	return 0;
}

static void
tell(const struct remote *r, const struct listing *l, const struct paging *p)
{
	if (r->form != RENDER_TABLE && !l->each)
		return;
	if (!p->show && !l->each)
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
	do
		rc = ask_page(r, l, &p, e) || output_check(e) ? -1 : 0;
	while (rc == 0 && p.next[0] && !(l->top && !p.left));
	p.more |= rc == 0 && p.next[0];
	render_free(p.show);
	if (rc == 0)
		tell(r, l, &p);
	return rc;
}

void
listing_print(const struct remote *r, const struct render_column *cols,
    const struct js *list, const char *what)
{
	struct render *t = render_new(cols, r->form, stdout, render_width(stdout));
	for (size_t i = 0; i < js_len(list); i++)
		render_row(t, js_at(list, i));
	render_free(t);
	if (!js_len(list) && r->form == RENDER_TABLE)
		fprintf(stderr, "no %s\n", what);
}
