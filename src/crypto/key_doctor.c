/*
 * What is wrong with a key's surroundings, in the order in which it must be right: the
 * place's own checks, then the key itself, opened and used once.
 */
#include <stdarg.h>
#include <stdio.h>

#include "crypto/key_impl.h"
#include "crypto/ossl.h"

struct key_doctor {
	key_report report;
	void *arg;
	bool bad;
};

void
key_doctor_say(
    struct key_doctor *d, enum key_finding how, const char *fix, const char *fmt, ...)
{
	char text[700];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->bad = d->bad || how == KEY_BAD;
	d->report(d->arg, how, text, fix);
}

void
key_doctor_failed(struct key_doctor *d, const struct err *e)
{
	const char *fix = NULL;
	for (const char *at = e->text; (at = strstr(at, "; ")); at += 2)
		fix = at;
	int len = fix ? (int)(fix - e->text) : (int)strlen(e->text);
	key_doctor_say(d, KEY_BAD, fix ? fix + 2 : "", "%.*s", len, e->text);
}

/* TLS 1.3 signs with RSA by PSS, the salt as long as the digest (RFC 8446 4.2.3). Old
 * TPMs take another length, some tokens have no PSS at all. */
static bool
does_pss(const struct key *k)
{
	uint8_t md[DIGEST_SHA256], sig[KEY_SIG_MAX];
	size_t len;
	struct key_digest d = {KEY_SHA256, KEY_PAD_PSS, span_of(md, sizeof(md))};
	digest_sha256(SPAN_LIT("muster key doctor"), md);
	auto_(EVP_PKEY_CTX_free) EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(k->pkey, NULL);
	bool good = key_sign_digest(k, &d, sig, &len, NULL) == 0 && c &&
		    EVP_PKEY_verify_init(c) == 1 &&
		    EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) == 1 &&
		    EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST) == 1 &&
		    EVP_PKEY_verify(c, sig, len, md, sizeof(md)) == 1;
	ERR_clear_error();
	return good;
}

static int
try_key(const char *uri, struct key_doctor *d, struct err *e)
{
	uint8_t sig[KEY_SIG_MAX];
	size_t len;
	struct span msg = SPAN_LIT("muster key doctor");
	auto_(key_free) struct key *k = key_open(uri, NULL, NULL, e);
	if (!k || key_sign(k, msg, sig, &len, e))
		return -1;
	if (key_verify(key_spki(k), key_alg_hash(k->alg), msg, span_of(sig, len), e))
		return err_wrap(e, "what the key signed does not verify under its public "
				   "half; the place holds two keys under one name");
	key_doctor_say(
	    d, KEY_FINE, "", "key: %s, signs and verifies", key_alg_name(k->alg));
	if (key_row(k->alg)->kind == SPKI_RSA && !does_pss(k))
		key_doctor_say(d, KEY_WARN, "make a p256 key",
		    "it makes no PSS signatures as TLS 1.3 wants them");
	if (k->exportable && k->custody != KEY_CUSTODY_FILE)
		key_doctor_say(d, KEY_WARN,
		    "make a new one with muster key generate, which forbids it",
		    "the token would hand the private key out");
	return 0;
}

int
key_doctor(const char *uri, key_report report, void *arg, bool *ret_bad, struct err *e)
{
	struct key_uri u;
	struct err why;
	const struct key_place *p = key_place_of(uri, &u, e);
	if (!p)
		return -1;
	struct key_doctor d = {.report = report, .arg = arg};
	p->doctor(&u, &d);
	if (!d.bad && try_key(uri, &d, &why))
		key_doctor_failed(&d, &why);
	*ret_bad = d.bad;
	return 0;
}
