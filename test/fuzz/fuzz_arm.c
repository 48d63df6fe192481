/* A PUT of a hub or a provisioning service: its links and routes are taken, or refused
 * with a reason; what is taken can be shown. */
#include "fuzz.h"

#include <assert.h>

#include "base/arena.h"
#include "codec/js.h"
#include "proto/arm/arm_link.h"
#include "proto/arm/arm_route.h"

#define DEPTH 32

static void
take_links(const struct js *o, struct arena *a)
{
	struct err e = {0};
	struct buf out = BUF_INIT(CAP_LINKS);
	if (arm_link_pack(js_get(o, "iotHubs"), &out, &e))
		assert(e.text[0]);
	else
		js_free(arm_link_json(buf_span(&out), a));
	buf_done(&out);
}

static void
take_routes(const struct js *o, struct arena *a)
{
	struct err e = {0};
	const struct http_call c = {.arena = a};
	struct ipc_hub_put m = {.set_routes = 0};
	if (arm_route_take(&c, o, &m, &e))
		assert(e.text[0]);
	else if (m.set_routes)
		js_free(arm_route_json(m.routes, m.fallback == 1));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err e;
	struct js *o = js_parse(span_of(data, size), 256 * 1024, DEPTH, &e);
	struct arena *a = arena_new(4 << 20);
	if (o && js_is(o, JS_OBJECT)) {
		take_links(o, a);
		take_routes(o, a);
	}
	arena_free(a);
	js_free(o);
	return 0;
}
