/*
 * Content of configurations. What is taken fits a twin, and comes to the same when it is
 * read again as it is shown.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "codec/ipc_msg.h"
#include "codec/js.h"
#include "proto/hub/configuration_content.h"
#include "proto/hub/twin_json.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err e;
	bool modules = false, again = false;
	auto_buf shown = BUF_INIT(CAP_TWIN);
	auto_buf desired = BUF_INIT(CAP_TWIN);
	auto_buf shown_again = BUF_INIT(CAP_TWIN);
	auto_buf desired_again = BUF_INIT(CAP_TWIN);
	auto_(js_free) struct js *v = js_parse(span_of(data, len), 65536, 24, &e);
	if (!v || configuration_content_parse(v, &shown, &desired, &modules, &e))
		return 0;
	auto_(js_free) struct js *doc =
	    js_parse(buf_span(&desired), CAP_TWIN, JS_TWIN_DEPTH + 2, &e);
	assert(doc && js_twin_check(doc, TWIN_JSON_DESIRED_MAX, &e) == 0);
	auto_(js_free) struct js *same = js_parse(buf_span(&shown), CAP_TWIN, 24, &e);
	assert(same && configuration_content_parse(
			   same, &shown_again, &desired_again, &again, &e) == 0);
	assert(span_eq(buf_span(&shown), buf_span(&shown_again)));
	assert(span_eq(buf_span(&desired), buf_span(&desired_again)) && modules == again);
	return 0;
}
