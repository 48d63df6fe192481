/* What service APIs answer to the orchestrator. The first byte chooses: p a page of
 * devices, l one of muster's logs, else the words of a refusal. */
#include "fuzz.h"

#include "codec/js.h"
#include "fleet/azure.h"
#include "fleet/identity.h"

static void
page(struct span body)
{
	auto_(arena_free) struct arena *a = arena_new(8u << 20);
	struct azure_device *v = NULL;
	size_t n = 0;
	if (azure_device_page(body, a, &v, &n, NULL))
		return;
	for (size_t i = 0; i < n; i++)
		assert(v[i].id && v[i].auth && v[i].status && v[i].state);
}

static int
on_row(void *ctx, const struct azure_row *r, struct err *e)
{
	size_t *rows = ctx;
	(void)e;
	assert(r->seq >= 1 && r->event && r->thumb && r->reason && r->proof);
	++*rows;
	return 0;
}

static void
logs(struct span body)
{
	size_t rows = 0;
	struct azure_log_end end;
	struct err e = {0};
	if (azure_log_read(body, on_row, &rows, &end, &e))
		assert(e.code != ERR_OK);
	else
		assert(end.rows == rows);
}

static void
refusal(struct span body)
{
	struct err e = {0};
	const struct rest_response r = {.status = 400, .body = body};
	assert(azure_check(&r, "group", &e) == -1);
	for (const char *p = e.text; *p; p++)
		assert(*p >= ' ' && *p < 0x7f);
	auto_(js_free) struct js *o = js_parse(body, 65536, 16, NULL);
	if (!o)
		return;
	auto_(js_free) struct js *back = azure_identity_restore(o);
	assert(js_is(back, JS_OBJECT) && azure_auth_type(back));
	char words[IDENTITY_TEXT];
	identity_words(o, words);
	for (const char *p = words; *p; p++)
		assert(*p >= ' ' && *p < 0x7f);
	assert(identity_judge(o, o, "a", "b") == IDENTITY_BEFORE);
	assert(identity_judge_twin(o, "sas", "a") <= IDENTITY_OTHER);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span body = span_skip(span_of(data, len), 1);
	if (!len)
		return 0;
	if (data[0] == 'p')
		page(body);
	else if (data[0] == 'l')
		logs(body);
	else
		refusal(body);
	return 0;
}
