/*
 * Certificate signing requests in JSON.
 */
#include "proto/dps/csr_json.h"

#include "base/base64.h"

/* PEM armour, which the embedded SDK's earlier preview sent, is taken as well. */
static int
decode(struct span text, struct csr *ret, struct err *e)
{
	auto_buf der = BUF_INIT(CSR_JSON_MAX);
	if (span_starts(span_trim(text), SPAN_LIT("-----BEGIN")))
		return csr_parse(text, ret, e);
	if (base64_parse_folded(text, &der, e) || buf_check(&der, "csr", e))
		return -1;
	return csr_parse(buf_span(&der), ret, e);
}

int
csr_json_parse(const struct js *o, struct csr *ret, bool *ret_there, struct err *e)
{
	struct span text = SPAN_NONE;
	*ret_there = false;
	if (js_opt_str(o, "csr", &text, e))
		return -1;
	if (!text.p)
		return 0;
	if (text.len > CSR_JSON_MAX)
		return err_set(e, ERR_PARSE, "csr: over %d characters", CSR_JSON_MAX);
	if (decode(text, ret, e)) {
		e->code = ERR_PARSE; /* whatever is wrong with it, the request is */
		return err_wrap(e, "csr");
	}
	*ret_there = true;
	return 0;
}
