/*
 * muster certificates: the inventory of a running server, a page a request.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "cmd/cmd.h"
#include "cmd/remote.h"
#include "codec/js.h"
#include "codec/uri.h"

#define DAY_MS INT64_C(86400000)

struct args {
	struct remote r;
	const char *device, *issuer, *state, *within;
	int64_t before_ms; /* 0: whatever */
	struct render *show;
};

static const struct render_column columns[] = {
    {"SUBJECT", "subject", RENDER_TEXT, RENDER_CUT},
    {"PROFILE", "profile", RENDER_TEXT, RENDER_EXTRA},
    {"STATE", "state", RENDER_TEXT, 0},
    {"ISSUER", "issuer", RENDER_TEXT, RENDER_EXTRA},
    {"UNTIL", "notAfterMs", RENDER_MS, 0},
    {"SEEN", "seenMs", RENDER_MS, 0},
    {"CUSTODY", "custody", RENDER_TEXT, 0},
    {"THUMBPRINT", "thumbprint", RENDER_TEXT, RENDER_CUT},
    {NULL, NULL, RENDER_TEXT, 0},
};

static int
show_row(void *ctx, const struct js *row, struct err *e)
{
	struct args *a = ctx;
	(void)e;
	render_row(a->show, row);
	return 0;
}

static int
get_page(struct args *a, const char **next, struct err *e)
{
	auto_buf target = BUF_INIT(4096);
	auto_(js_free) struct js *end = NULL;
	buf_str(&target, "/muster/certificates?deviceId=");
	uri_encode(&target, span_str(a->device));
	buf_str(&target, "&issuer=");
	uri_encode(&target, span_str(a->issuer));
	buf_str(&target, "&state=");
	uri_encode(&target, span_str(a->state));
	buf_printf(&target, "&expiresBeforeMs=%" PRId64 "&after=%s", a->before_ms, *next);
	if (remote_page(&a->r, buf_text(&target), "certificates", show_row, a, &end, e))
		return -1;
	*next = arena_str(a->r.arena, js_as_str(js_get(end, "next")));
	return 0;
}

static int
show_all(struct args *a, struct err *e)
{
	const char *next = "0";
	int64_t within = 0;
	if (a->within &&
	    num_parse_duration_ms(span_str(a->within), 1, 36500 * DAY_MS, &within, e))
		return err_wrap(e, "--expires-within");
	a->before_ms = a->within ? clock_wall_ms(&clock_system) + within : 0;
	if (remote_open(&a->r, e))
		return -1;
	a->show = render_new(columns, a->r.form, stdout, render_width(stdout));
	int rc = 0;
	do
		rc = get_page(a, &next, e);
	while (rc == 0 && next[0]);
	render_free(a->show);
	return rc;
}

int
cmd_certificates(int argc, char **argv, struct err *e)
{
	struct args a = {.device = "", .issuer = "", .state = ""};
	const struct opt own[] = {
	    {"issuer", "NAME", OPT_TEXT, &a.issuer, "those of this CA"},
	    {"state", "STATE", OPT_TEXT, &a.state,
		"valid, superseded, expired or revoked (default: any)"},
	    {"expires-within", "TIME", OPT_TEXT, &a.within,
		"that end sooner than that, e.g. 30d"},
	    {0}};
	const struct opt_cmd cmd = {"muster certificates [SUBJECT] [OPTIONS]",
	    "Lists what a running server issued: state, end, when its device was last\n"
	    "seen with it, and how the device says that it holds the key.",
	    own, 0, 1};
	int at = remote_parse(&a.r, &cmd, argc, argv, e);
	int status = at;
	if (at > 0) {
		a.device = at < argc ? argv[at] : "";
		status = show_all(&a, e);
	}
	remote_done(&a.r);
	return status;
}
