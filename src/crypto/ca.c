/*
 * The CA's material: one root, two intermediates under it. No file is touched here.
 */
#include "crypto/ca.h"

#define PEM_MAX (64 * 1024)

const struct ca_file_row ca_file_rows[CA_FILES_MAX] = {
    {"root.pem", false, false},
    {"root.key", true, true},
    {"device-ca.pem", false, false},
    {"device-ca.key", true, false},
    {"service-ca.pem", false, false},
    {"service-ca.key", true, false},
    {"chain.pem", false, false},
};

void
ca_material_done(struct ca_material *m)
{
	while (m->n)
		buf_done(&m->files[--m->n].pem);
}

struct ca_file *
ca_material_get(struct ca_material *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->files[i].name, name) == 0)
			return &m->files[i];
	return NULL;
}

int
ca_material_put(struct ca_material *m, const char *name, struct span pem, struct err *e)
{
	const struct ca_file_row *row = ca_file_rows, *end = row + CA_FILES_MAX;
	while (row < end && strcmp(row->name, name) != 0)
		row++;
	if (row == end || ca_material_get(m, name))
		return err_set(
		    e, ERR_USAGE, "'%s' is no file of a CA, or there twice", name);
	struct ca_file *f = &m->files[m->n];
	*f = (struct ca_file){
	    .name = row->name, .pem = BUF_INIT(PEM_MAX), .secret = row->secret};
	f->pem.secret = row->secret;
	m->n++;
	buf_put_span(&f->pem, pem);
	return buf_check(&f->pem, name, e);
}

/* --- making --- */

/* A CA being made. */
struct made {
	struct key *key;
	struct issuer *issuer;
	struct buf pem;
};

static void
made_done(struct made *m)
{
	issuer_free(m->issuer);
	key_free(m->key);
	buf_done(&m->pem);
}

#define auto_made __attribute__((cleanup(made_done))) struct made
#define MADE_INIT ((struct made){.pem = BUF_INIT(PEM_MAX)})

/* PEM from der, and the issuer from both. */
static int
finish(struct made *m, struct span der, struct err *e)
{
	cert_write_pem(der, &m->pem);
	if (buf_check(&m->pem, "CA certificate", e) < 0)
		return -1;
	m->issuer = issuer_new(buf_span(&m->pem), m->key, e);
	return m->issuer ? 0 : -1;
}

static int
make_root(const struct ca_options *o, int64_t now_s, struct made *m, struct err *e)
{
	auto_buf der = BUF_INIT(CERT_MAX);
	m->key = key_generate(o->root_alg, e);
	if (!m->key || issuer_self_sign(m->key, o->root_cn, o->org, now_s, o->root_life_s,
			   &der, e) < 0)
		return -1;
	return finish(m, buf_span(&der), e);
}

static int
make_issuing(const struct ca_options *o, const char *cn, struct made *root, int64_t now_s,
    struct made *m, struct err *e)
{
	auto_buf der = BUF_INIT(CERT_MAX);
	struct issuer_result res;
	m->key = key_generate(o->issuing_alg, e);
	if (!m->key)
		return -1;
	const struct issuer_request r = {.profile = PROFILE_INTERMEDIATE,
	    .cn = cn,
	    .org = o->org,
	    .spki = key_spki(m->key),
	    .now_s = now_s,
	    .life_s = o->issuing_life_s};
	if (issuer_sign(root->issuer, &r, &der, &res, e) < 0 ||
	    issuer_check(root->issuer, PROFILE_INTERMEDIATE, buf_span(&der), e) < 0 ||
	    finish(m, buf_span(&der), e) < 0)
		return -1;
	return issuer_self_check(m->issuer, now_s, e);
}

static int
put_key(struct ca_material *out, const char *name, struct key *k, struct span passphrase,
    struct err *e)
{
	auto_buf pem = BUF_INIT(KEY_PEM_MAX);
	pem.secret = true;
	int bad = passphrase.p ? key_write_encrypted(k, passphrase, &pem, e)
			       : key_write(k, &pem, e);
	return bad < 0 ? -1 : ca_material_put(out, name, buf_span(&pem), e);
}

static int
put_all(struct ca_material *out, const struct ca_options *o, const struct made *root,
    const struct made *device, const struct made *service, struct err *e)
{
	auto_buf chain = BUF_INIT(PEM_MAX);
	buf_put_span(&chain, buf_span(&device->pem));
	buf_put_span(&chain, buf_span(&service->pem));
	buf_put_span(&chain, buf_span(&root->pem));
	if (ca_material_put(out, "root.pem", buf_span(&root->pem), e) < 0 ||
	    put_key(out, "root.key", root->key, o->passphrase, e) < 0 ||
	    ca_material_put(out, "device-ca.pem", buf_span(&device->pem), e) < 0 ||
	    put_key(out, "device-ca.key", device->key, SPAN_NONE, e) < 0 ||
	    ca_material_put(out, "service-ca.pem", buf_span(&service->pem), e) < 0 ||
	    put_key(out, "service-ca.key", service->key, SPAN_NONE, e) < 0)
		return -1;
	return ca_material_put(out, "chain.pem", buf_span(&chain), e);
}

static int
fill_names(struct ca_options *o, struct err *e)
{
	if (!o->root_cn)
		o->root_cn = "muster Root CA";
	if (!o->device_cn)
		o->device_cn = "muster Device Issuing CA";
	if (!o->service_cn)
		o->service_cn = "muster Service Issuing CA";
	if (strcmp(o->root_cn, o->device_cn) == 0 ||
	    strcmp(o->root_cn, o->service_cn) == 0 ||
	    strcmp(o->device_cn, o->service_cn) == 0)
		return err_set(e, ERR_USAGE, "the three CAs need different names");
	return 0;
}

int
ca_create(const struct ca_options *options, int64_t now_s, struct ca_material *ret,
    struct err *e)
{
	struct ca_options o = *options;
	auto_made root = MADE_INIT, device = MADE_INIT, service = MADE_INIT;
	auto_ca_material out = {.n = 0};
	if (o.passphrase.len < KEY_PASSPHRASE_MIN)
		return err_set(e, ERR_USAGE,
		    "the root key needs a passphrase of at least %d characters",
		    KEY_PASSPHRASE_MIN);
	if (fill_names(&o, e) < 0 || make_root(&o, now_s, &root, e) < 0 ||
	    make_issuing(&o, o.device_cn, &root, now_s, &device, e) < 0 ||
	    make_issuing(&o, o.service_cn, &root, now_s, &service, e) < 0 ||
	    put_all(&out, &o, &root, &device, &service, e) < 0)
		return err_wrap(e, "making the CA");
	*ret = out;
	out.n = 0;
	return 0;
}

/* --- loading --- */

static int
text_of(struct ca_material *m, const char *name, struct span *ret, struct err *e)
{
	struct ca_file *f = ca_material_get(m, name);
	if (!f)
		return err_set(e, ERR_NOT_FOUND, "%s is missing", name);
	*ret = buf_span(&f->pem);
	return 0;
}

static struct cert *
load_root(struct ca_material *m, struct err *e)
{
	struct span pem;
	auto_cert_list l = {.n = 0};
	if (text_of(m, "root.pem", &pem, e) < 0 ||
	    cert_list_parse(pem, "root.pem", &l, e) < 0)
		return NULL;
	if (l.n == 1 && l.v[0]->is_ca && l.v[0]->self_signed)
		return cert_ref(l.v[0]);
	err_set(e, ERR_CORRUPT, "root.pem: not one self-signed CA certificate");
	return NULL;
}

static struct issuer *
load_issuer(
    struct ca_material *m, const char *pem_name, const char *key_name, struct err *e)
{
	struct span pem, key_pem;
	if (text_of(m, pem_name, &pem, e) < 0 || text_of(m, key_name, &key_pem, e) < 0)
		return NULL;
	auto_(key_free) struct key *k = key_parse(key_pem, NULL, NULL, key_name, e);
	if (!k)
		return NULL;
	struct issuer *i = issuer_new(pem, k, e);
	if (i)
		return i;
	if (e->code == ERR_CRYPTO) /* two good files that do not fit: not our fault */
		e->code = ERR_CORRUPT;
	err_wrap(e, "%s and %s", pem_name, key_name);
	return NULL;
}

static int
check_now(const struct cert *c, int64_t now_s, struct err *e)
{
	if (cert_valid_at(c, now_s * 1000))
		return 0;
	return err_set(e, ERR_DENIED, "the CA '%s' %s; check the clock", c->cn,
	    now_s * 1000 < c->not_before_ms ? "is not valid yet" : "has expired");
}

static int
check_all(const struct ca *c, int64_t now_s, struct err *e)
{
	const struct cert *device = issuer_cert(c->device),
			  *service = issuer_cert(c->service);
	if (check_now(c->root, now_s, e) < 0 || check_now(device, now_s, e) < 0 ||
	    check_now(service, now_s, e) < 0 || issuer_verify(c->root, device, e) < 0 ||
	    issuer_verify(c->root, service, e) < 0)
		return -1;
	if (span_eq(device->subject, service->subject) ||
	    span_eq(device->spki, service->spki))
		return err_set(e, ERR_CORRUPT,
		    "device-ca.pem and service-ca.pem share name or key: a device could "
		    "pass for "
		    "an operator");
	return 0;
}

int
ca_load(struct ca_material *m, int64_t now_s, struct ca *ret, struct err *e)
{
	struct ca c = {0};
	c.root = load_root(m, e);
	if (c.root)
		c.device = load_issuer(m, "device-ca.pem", "device-ca.key", e);
	if (c.device)
		c.service = load_issuer(m, "service-ca.pem", "service-ca.key", e);
	if (!c.service || check_all(&c, now_s, e) < 0) {
		ca_done(&c);
		return err_wrap(e, "loading the CA");
	}
	*ret = c;
	return 0;
}

void
ca_done(struct ca *c)
{
	issuer_free(c->device);
	issuer_free(c->service);
	cert_free(c->root);
	*c = (struct ca){0};
}

struct issuer *
ca_issuer(struct ca *c, enum profile_id profile)
{
	switch (profile) {
	case PROFILE_DEVICE:
		return c->device;
	case PROFILE_SERVER:
	case PROFILE_OPERATOR:
		return c->service;
	default:
		return NULL;
	}
}
