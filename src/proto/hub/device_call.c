/*
 * What requests of devices have in common.
 */
#include "proto/hub/device_call.h"

#include "codec/utf8.h"

static bool
is_id(struct span s)
{
	return s.len <= CAP_ID && utf8_ok_no_nul(s);
}

/* The C SDK says "hub:443" where its token says "hub" (row 36), others say a port in
 * both: the port counts where the token has it. */
static struct span
hub_of(const struct http_call *c)
{
	struct span host = span_str(http_call_header(c, "Host"));
	struct span wanted = c->cred.sas_resource;
	size_t colon = span_rfind(host, ':');
	if (span_istarts(wanted, host) &&
	    span_starts(span_skip(wanted, host.len), SPAN_LIT("/")))
		return host;
	for (size_t i = colon + 1; i < host.len; i++)
		if (host.p[i] < '0' || host.p[i] > '9')
			return host; /* the end of an IPv6 address */
	return span_head(host, colon);
}

int
device_call_take(struct http_call *c, bool has_module, struct device_call *ret)
{
	struct err e;
	*ret = (struct device_call){.host = hub_of(c),
	    .device_id = c->param[0],
	    .module_id = has_module ? c->param[1] : SPAN_NONE};
	if (is_id(ret->device_id) && is_id(ret->module_id) && ret->host.len <= CAP_HOST &&
	    utf8_ok_no_nul(ret->host))
		return 0;
	err_set(&e, ERR_PARSE, "device, module or host name");
	http_call_fail_err(c, &e);
	return -1;
}
