/*
 * TLS contexts of a device.
 */
#include "agent/credential.h"

#include "agent/anchors.h"

struct tls_client *
credential_tls(const char *dir, const struct agent_config *cfg,
    const struct keystore_credential *c, const char *host, const struct clock_floor *time,
    struct err *e)
{
	auto_buf roots = BUF_INIT(CERT_PEM_MAX);
	if (anchors_read(dir, cfg, &roots, e))
		return NULL;
	struct tls_client_options o = {.roots_pem = buf_span(&roots),
	    .chain_pem = buf_span(&c->chain_pem),
	    .key = c->key,
	    .now_ms = clock_wall_ms(&time->clock),
	    .is_floor = !clock_floor_is_known(time)};
	auto_(tls_client_free) struct tls_client *t = tls_client_new(&o, e);
	if (!t || tls_client_pin_host(t, host, e))
		return NULL;
	return TAKE(t);
}
