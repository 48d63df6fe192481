#ifndef DOMAIN_COMPLIANCE_H
#define DOMAIN_COMPLIANCE_H
/*
 * Policies of compliance (docs/compliance.md): rows of limits (tbl/compliance.def), each
 * under a control of NIST SP 800-53. What pki.compliance names is enforced where a row
 * says so; any policy can be asked for as a report. pki.custody is enforced here as well.
 */
#include "crypto/traits.h"
#include "domain/domain.h"

enum compliance_subject {
	COMPLIANCE_CERTIFICATE,
	COMPLIANCE_DEVICE,
	COMPLIANCE_CA,
	COMPLIANCE_HUB,
	COMPLIANCE_SUBJECTS
};
/* "certificate" "device" "ca" "hub" */
const char *compliance_subject_name(enum compliance_subject s);

enum compliance_id {
#define COMPLIANCE(name, text, subject, asked, control, stance, high, il5, words)        \
	COMPLIANCE_##name,
#include "tbl/compliance.def"
#undef COMPLIANCE
	COMPLIANCE_N
};

/* Where a row is enforced. */
enum compliance_asked {
	COMPLIANCE_ISSUE = 1 << 0,
	COMPLIANCE_CHECKIN = 1 << 1,
	COMPLIANCE_OPEN = 1 << 2,
};

struct compliance_limit {
	enum {
		COMPLIANCE_OFF,
		COMPLIANCE_ON,
		COMPLIANCE_KEY,
		COMPLIANCE_HASH,
		COMPLIANCE_DAYS,
		COMPLIANCE_HARDWARE
	} kind;
	int n, rsa; /* KEY: bits of EC and of RSA */
};
/* "RSA-2048, P-256", "SHA-384", "90 days", "hardware", "yes", "-" */
#define COMPLIANCE_LIMIT_TEXT 32
void compliance_limit_text(
    const struct compliance_limit *l, char out[COMPLIANCE_LIMIT_TEXT]);

struct compliance_row {
	const char *name;
	enum compliance_subject subject;
	unsigned asked; /* enum compliance_asked */
	const char *control;
	bool supports; /* false: the control's own words name it */
	struct compliance_limit limit[CONFIG_COMPLIANCE_IL5 + 1]; /* by policy */
	const char *words;
};
const struct compliance_row *compliance_row(enum compliance_id id);
/* "issue, open" or "-". */
#define COMPLIANCE_ASKED_TEXT 32
void compliance_asked_text(unsigned asked, char out[COMPLIANCE_ASKED_TEXT]);

/* "fedramp-high", "il5"; PARSE on another name. */
must_check int compliance_policy_parse(
    struct span name, enum config_compliance *ret, struct err *e);

/* ---- rows about one thing, pure ---- */

#define COMPLIANCE_WHY 100
/* Whether a certificate breaks a limit of its key, its signature's hash, its life or (ON)
 * its revocation, and why. What nobody knows of it breaks the limit. A life is measured
 * without two days at most by which notBefore may lie in the past (pki.backdate). */
bool compliance_breaks(
    const struct compliance_limit *l, const struct traits *t, char why[COMPLIANCE_WHY]);
/* Whether a key that is held so ("file", "pkcs11", "tpm2") is in hardware, as far as its
 * holder tells. */
bool compliance_is_hardware(const char *custody);
/* What the edge saw of a certificate. */
struct traits compliance_traits(const struct ipc_cred *cred);

/* ---- enforced ---- */

struct compliance_request {
	const char *device_id;
	struct span key_sha256; /* of the certificate that asks; empty: none does */
	struct span spki;
	int64_t life_ms;
	bool made_here; /* the server makes the key: a file, whatever was reported */
	bool fresh;     /* by token or operator: there can be no report yet */
	bool vouched;   /* by an operator, who answers for how the key is held */
};
/* Before a device's certificate is signed. Refuses COMPLIANCE, the row and its control
 * named, and CUSTODY. Where the policy asks for hardware and nothing tells how the key is
 * held: a renewal is refused; a first certificate, by token, is given, but *ret_probation
 * says that it must be short-lived (est.quarantine_life), until the device has reported;
 * an operator vouches. */
must_check int compliance_check_issue(struct domain *d,
    const struct compliance_request *rq, bool *ret_probation, struct refusal *no,
    struct err *e);
/* What a device reports of its key ("" = it said nothing, which is let pass). */
must_check int compliance_check_custody(
    struct domain *d, const char *custody, struct refusal *no, struct err *e);
/* A connection by certificate to the hub, both profiles. dev: the identity it opened. */
must_check int compliance_check_open(struct domain *d, const struct ipc_cred *cred,
    const struct store_device *dev, struct refusal *no, struct err *e);

#endif
