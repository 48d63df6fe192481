/*
 * renew.json, read and written.
 */
#include "agent/renew_state.h"

#include <limits.h>
#include <stdio.h>

#include "codec/js.h"
#include "io/file.h"

#define STATE_MAX 8192

static int
path_of(const char *dir, char out[PATH_MAX], struct err *e)
{
	int n = snprintf(out, PATH_MAX, "%s/renew.json", dir);
	return n < PATH_MAX ? 0 : err_set(e, ERR_LIMIT, "%s: path too long", dir);
}

static int
opt_text(const struct js *o, const char *key, char *out, size_t size, struct err *e)
{
	struct span s = SPAN_LIT("");
	if (js_opt_str(o, key, &s, e))
		return -1;
	return span_to_str(s, out, size) ? 0 : err_set(e, ERR_PARSE, "%s: too long", key);
}

static int
opt_count(const struct js *o, const char *key, int *ret, struct err *e)
{
	int64_t n = 0;
	if (js_opt_int(o, key, 0, INT32_MAX, &n, e))
		return -1;
	*ret = (int)n;
	return 0;
}

/* The numbers, a row a member. */
static const struct {
	const char *key;
	size_t at;
} numbers[] = {
    {"windowStartMs", offsetof(struct renew_state, window_start_ms)},
    {"windowEndMs", offsetof(struct renew_state, window_end_ms)},
    {"pollMs", offsetof(struct renew_state, poll_ms)},
    {"triedMs", offsetof(struct renew_state, tried_ms)},
    {"askedMs", offsetof(struct renew_state, asked_ms)},
    {"renewedMs", offsetof(struct renew_state, renewed_ms)},
    {"retryAfterMs", offsetof(struct renew_state, retry_after_ms)},
};

static int64_t *
number_at(struct renew_state *s, size_t i)
{
	return (int64_t *)((char *)s + numbers[i].at);
}

static int
parse(const struct js *o, struct renew_state *s, struct err *e)
{
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (js_opt_int(o, numbers[i].key, 0, INT64_MAX / 4, number_at(s, i), e))
			return -1;
	return js_opt_bool(o, "refused", &s->refused, e) ||
		       js_opt_bool(o, "anchorsFresh", &s->anchors_fresh, e) ||
		       opt_count(o, "failures", &s->failures, e) ||
		       opt_count(o, "proofRefusals", &s->proof_refusals, e) ||
		       opt_text(o, "caTag", s->ca_tag, sizeof(s->ca_tag), e) ||
		       opt_text(o, "error", s->error, sizeof(s->error), e)
		   ? -1
		   : 0;
}

void
renew_state_get(const char *dir, struct renew_state *ret)
{
	char path[PATH_MAX];
	struct err ignored;
	struct renew_state s = {0};
	auto_buf text = BUF_INIT(STATE_MAX);
	*ret = s;
	if (path_of(dir, path, &ignored) || file_read(path, &text, &ignored))
		return;
	auto_(js_free) struct js *o = js_parse(buf_span(&text), STATE_MAX, 4, &ignored);
	if (o && parse(o, &s, &ignored) == 0)
		*ret = s;
}

int
renew_state_put(const char *dir, const struct renew_state *s, struct err *e)
{
	char path[PATH_MAX];
	struct renew_state copy = *s;
	auto_(js_free) struct js *o = js_object();
	auto_buf text = BUF_INIT(STATE_MAX);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		js_set_int(o, numbers[i].key, *number_at(&copy, i));
	js_set_bool(o, "refused", s->refused);
	js_set_bool(o, "anchorsFresh", s->anchors_fresh);
	js_set_int(o, "failures", s->failures);
	js_set_int(o, "proofRefusals", s->proof_refusals);
	if (js_set_str(o, "caTag", span_str(s->ca_tag), e) ||
	    js_set_str(o, "error", span_str(s->error), e))
		return -1;
	js_dump(o, JS_AS_BUILT, &text);
	buf_u8(&text, '\n');
	if (buf_check(&text, "renew.json", e) || path_of(dir, path, e))
		return -1;
	return file_write(path, buf_span(&text), 0600, e);
}

void
renew_state_facts(const struct renew_state *s, const struct keystore_credential *c,
    const struct agent_config *cfg, struct renew_facts *ret)
{
	*ret = (struct renew_facts){.not_before_ms = c->not_before_ms,
	    .not_after_ms = c->not_after_ms,
	    .window_start_ms = s->window_start_ms,
	    .window_end_ms = s->window_end_ms,
	    .seed = renew_plan_seed(cfg->device.id, c->thumbprint),
	    .reused = c->reused,
	    .moved = keystore_is_elsewhere(c, cfg->auth.key_uri)};
}

struct renew_past
renew_state_past(const struct renew_state *s)
{
	return (struct renew_past){.failures = s->failures,
	    .refused = s->refused,
	    .retry_after_ms = s->retry_after_ms,
	    .poll_ms = s->poll_ms};
}
