/*
 * TLS contexts of a device.
 */
#include "agent/credential.h"

#include <limits.h>
#include <stdio.h>

#include "io/file.h"

static int
ca_path(const char *dir, const char *file, char out[PATH_MAX], struct err *e)
{
	int n = file[0] == '/' ? snprintf(out, PATH_MAX, "%s", file)
			       : snprintf(out, PATH_MAX, "%s/%s", dir, file);
	return n < PATH_MAX ? 0 : err_set(e, ERR_LIMIT, "%s: path too long", file);
}

struct tls_client *
credential_tls(const char *dir, const struct agent_config *cfg,
    const struct keystore_credential *c, const char *host, struct err *e)
{
	char path[PATH_MAX];
	auto_buf roots = BUF_INIT(CERT_PEM_MAX);
	if (ca_path(dir, cfg->dps.ca_file, path, e) || file_read(path, &roots, e)) {
		err_wrap(e, "CA certificates");
		return NULL;
	}
	struct tls_client_options o = {.roots_pem = buf_span(&roots),
	    .chain_pem = buf_span(&c->chain_pem),
	    .key = c->key};
	auto_(tls_client_free) struct tls_client *t = tls_client_new(&o, e);
	if (!t || tls_client_pin_host(t, host, e))
		return NULL;
	return TAKE(t);
}
