#ifndef CODEC_KEY_URI_H
#define CODEC_KEY_URI_H
/*
 * Where a private key is, as text: "file:/path" or a bare path, "pkcs11:" (RFC 7512), or
 * "tpm2:handle=0x81010001;nv=0x01C00002?tcti=device:/dev/tpmrm0&auth-source=file:/path".
 * Only read and written here; crypto/key.h opens what they name. A secret never stands in
 * one: RFC 7512's pin-value is refused, pin-source names a file.
 */
#include "base/buf.h"

#define KEY_URI_MAX      8192 /* longest text; every struct key_uri fits when written */
#define KEY_URI_PATH_MAX 1024 /* file names, terminated */

enum key_uri_kind { KEY_URI_FILE, KEY_URI_PKCS11, KEY_URI_TPM2 };

/* RFC 7512 2.3. Texts are decoded; "" where absent or empty, which matches any. The sizes
 * are those of CK_TOKEN_INFO (PKCS#11 2.40, 3.2), so a longer one could match nothing.
 * type is read and must be "private". */
struct key_uri_p11 {
	char token[33], manufacturer[33], model[17], serial[17];
	char object[129];
	uint8_t id[64];
	size_t id_len;
	bool has_slot;
	uint64_t slot;
	char module[KEY_URI_PATH_MAX]; /* module-path (2.4) */
};

struct key_uri_tpm {
	uint32_t handle; /* persistent, 0x81000000 to 0x81ffffff; 0 where absent */
	uint32_t nv;     /* NV index of the certificate, 0x01000000 to 0x01ffffff */
	char tcti[256];  /* as Tss2_TctiLdr_Initialize takes it; "": the default */
};

#define KEY_URI_TPM_NV UINT32_C(0x01C00002)

struct key_uri {
	enum key_uri_kind kind;
	char path[KEY_URI_PATH_MAX];   /* file: */
	char secret[KEY_URI_PATH_MAX]; /* file of the PIN or of the TPM key's
					  authorization; "" where absent */
	struct key_uri_p11 p11;
	struct key_uri_tpm tpm;
};

/* A text with a scheme other than the three is ERR_UNSUPPORTED (one without a colon, or
 * with a '/' before it, is a path); a wrong or doubled attribute is ERR_PARSE; one that
 * RFC 7512 allows and muster refuses (pin-value, module-name, a command as pin-source,
 * what describes slots and libraries, vendor attributes) is ERR_UNSUPPORTED and says what
 * to write instead. */
must_check int key_uri_parse(struct span text, struct key_uri *ret, struct err *e);
/* Appends the canonical text: a bare path for a file, what is absent left out. Reads back
 * as the same struct. */
void key_uri_write(const struct key_uri *u, struct buf *out);
/* Makes the relative file names in u (path, secret, module with a '/') start at the
 * directory base. ERR_LIMIT when one gets too long. */
must_check int key_uri_rebase(struct key_uri *u, const char *base, struct err *e);
/* The three above in one: text, canonical and with its file names under base, appended to
 * out. For configuration, whose URIs are relative to the home or the device's directory.
 */
must_check int key_uri_resolve(
    struct span text, const char *base, struct buf *out, struct err *e);

#endif
