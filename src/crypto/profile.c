/*
 * The profile table. To add a kind of certificate: a row here, its id in profile.h; the
 * issuer's self-check and its test walk the table.
 */
#include "crypto/profile.h"

#define DAY (INT64_C(24) * 3600)
#define ANY_KIND                                                                         \
	(PROFILE_KIND(SPKI_EC_P256) | PROFILE_KIND(SPKI_EC_P384) | PROFILE_KIND(SPKI_RSA))
#define CA_USAGE (CERT_KEY_CERT_SIGN | CERT_CRL_SIGN)
/* A device whose clock is 50 minutes slow must still take a fresh certificate. */
#define BACKDATE 3600

static const struct profile profiles[PROFILE_N] = {
    [PROFILE_ROOT] = {.name = "root",
	.is_ca = true,
	.pathlen = -1,
	.usage = CA_USAGE,
	.life_default_s = 7300 * DAY,
	.life_max_s = 14600 * DAY,
	.backdate_s = BACKDATE,
	.kinds = ANY_KIND},
    [PROFILE_INTERMEDIATE] = {.name = "intermediate",
	.is_ca = true,
	.pathlen = 0,
	.usage = CA_USAGE,
	.life_default_s = 1825 * DAY,
	.life_max_s = 7300 * DAY,
	.backdate_s = BACKDATE,
	.kinds = ANY_KIND},
    [PROFILE_DEVICE] = {.name = "device",
	.cn = PROFILE_CN_DEVICE,
	.pathlen = -1,
	.usage = CERT_DIGITAL_SIGNATURE,
	.usage_rsa = CERT_KEY_ENCIPHERMENT,
	.eku = CERT_CLIENT_AUTH,
	.life_default_s = 90 * DAY,
	.life_max_s = 3650 * DAY,
	.backdate_s = BACKDATE,
	.kinds = ANY_KIND},
    [PROFILE_SERVER] = {.name = "server",
	.pathlen = -1,
	.usage = CERT_DIGITAL_SIGNATURE,
	.usage_rsa = CERT_KEY_ENCIPHERMENT,
	.eku = CERT_SERVER_AUTH,
	.san = PROFILE_SAN_HOSTS,
	.life_default_s = 90 * DAY,
	.life_max_s = 825 * DAY,
	.backdate_s = BACKDATE,
	.kinds = ANY_KIND},
    [PROFILE_OPERATOR] = {.name = "operator",
	.pathlen = -1,
	.usage = CERT_DIGITAL_SIGNATURE,
	.usage_rsa = CERT_KEY_ENCIPHERMENT,
	.eku = CERT_CLIENT_AUTH,
	.life_default_s = 365 * DAY,
	.life_max_s = 825 * DAY,
	.backdate_s = BACKDATE,
	.kinds = ANY_KIND},
    /* short, for it cannot be revoked: that is what nocheck says (RFC 6960 4.2.2.2.1) */
    [PROFILE_OCSP] = {.name = "ocsp",
	.pathlen = -1,
	.usage = CERT_DIGITAL_SIGNATURE,
	.eku = CERT_OCSP_SIGNING,
	.nocheck = true,
	.life_default_s = 14 * DAY,
	.life_max_s = 90 * DAY,
	.backdate_s = BACKDATE,
	.kinds = ANY_KIND},
    [PROFILE_CROSS] = {.name = "cross",
	.is_ca = true,
	.pathlen = -1,
	.usage = CA_USAGE,
	.life_default_s = 1825 * DAY,
	.life_max_s = 7300 * DAY,
	.backdate_s = BACKDATE,
	.kinds = ANY_KIND},
};

const struct profile *
profile_get(enum profile_id id)
{
	return &profiles[id];
}

int
profile_parse(struct span name, enum profile_id *ret, struct err *e)
{
	for (int i = 0; i < PROFILE_N; i++) {
		if (!span_eq_str(name, profiles[i].name))
			continue;
		*ret = (enum profile_id)i;
		return 0;
	}
	return err_set(e, ERR_PARSE, "no certificate profile '%.*s'", SPAN_FMT(name));
}
