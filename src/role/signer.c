/*
 * The signer process.
 */
#include "role/signer.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "io/file.h"
#include "role/boot.h"
#include "role/signer_impl.h"

#define WORKERS_MAX 16
#define TELL_MS     1000
/* what a turn's requests may hold: keys, names, addresses of each */
#define TURN_BYTES ((size_t)SIGN_POOL_MAX * (12 * 1024))

/* ---- answers --------------------------------------------------------------------------
 */

void
signer_answer(struct signer *s, enum ipc_type type, uint64_t id, const void *msg)
{
	struct err e;
	if (s->asker && boot_send(s->asker, type, id, msg, -1, &e))
		log_event(LOG_ERROR, "signer.answer", LOG_ERR(&e));
}

void
signer_answer_error(struct signer *s, uint64_t id, const struct err *why)
{
	struct ipc_done m = {.code = (uint8_t)why->code, .text = span_str(why->text)};
	log_event(LOG_WARN, "signer.refused", LOG_ERR(why));
	signer_answer(s, IPC_DONE, id, &m);
}

/* ---- requests -------------------------------------------------------------------------
 */

static const char *
custody_of(const struct signer *s, const struct ca_member *m)
{
	const struct ca_conf_row *row = ca_conf_find(&s->conf, span_str(m->name));
	struct key_uri u;
	static const char *const names[] = {[KEY_URI_FILE] = "file",
	    [KEY_URI_PKCS11] = "pkcs11",
	    [KEY_URI_TPM2] = "tpm2"};
	if (!m->issuer || !row || key_uri_parse(span_str(row->key), &u, NULL))
		return "";
	return names[u.kind];
}

static void
on_pubkeys(struct signer *s, const struct ipc_frame *f)
{
	struct ipc_done done = {.number = (int64_t)s->ca.n};
	for (size_t i = 0; i < s->left.n; i++) {
		struct span why = span_str(s->left.v[i].why.text);
		struct ipc_signer_ca m = {.name = span_str(s->left.v[i].name),
		    .problem = span_head(why, CAP_PROBLEM)};
		signer_answer(s, IPC_SIGNER_CA, f->id, &m);
	}
	for (size_t i = 0; i < s->ca.n; i++) {
		const struct ca_member *c = &s->ca.v[i];
		struct ipc_signer_ca m = {.name = span_str(c->name),
		    .purpose = span_str(ca_conf_purpose_name(c->purpose)),
		    .cert = c->cert->der,
		    .custody = span_str(custody_of(s, c)),
		    .issues = c->issuer != NULL};
		signer_answer(s, IPC_SIGNER_CA, f->id, &m);
	}
	signer_answer(s, IPC_DONE, f->id, &done);
}

static void
on_health(struct signer *s, const struct ipc_frame *f)
{
	struct ipc_done m = {.text = span_str(journal_head(s->journal)),
	    .number = journal_count(s->journal)};
	signer_answer(s, IPC_DONE, f->id, &m);
}

static void
on_asker_frame(void *arg, struct ipc_frame *f)
{
	static void (*const handlers[IPC_N])(
	    struct signer *, const struct ipc_frame *) = {
	    [IPC_SIGNER_PUBKEYS] = on_pubkeys,
	    [IPC_SIGNER_ISSUE] = signer_issue_take,
	    [IPC_SIGNER_CRL] = signer_status_take_crl,
	    [IPC_SIGNER_OCSP] = signer_status_take_ocsp,
	    [IPC_SIGNER_HEALTH] = on_health,
	};
	struct signer *s = arg;
	if (f->type < IPC_N && handlers[f->type])
		handlers[f->type](s, f);
	else
		log_event(LOG_ERROR, "signer.refused_message", LOG_INT("type", f->type));
}

static void
on_asker_closed(void *arg, const struct err *why)
{
	struct signer *s = arg;
	log_event(LOG_INFO, "signer.asker_gone", LOG_ERR(why));
	ipc_free(s->asker);
	s->asker = NULL;
}

/* ---- main -----------------------------------------------------------------------------
 */

static const struct ipc_opts link_opts = {
    .body_max = IPC_BODY_MAX, .queue_max = 64u << 20};
static const struct ipc_ops asker_ops = {
    .on_frame = on_asker_frame, .on_closed = on_asker_closed};

static void
on_main_frame(void *arg, struct ipc_frame *f)
{
	struct signer *s = arg;
	struct err e;
	if (f->type == IPC_STOP)
		loop_stop(s->loop);
	struct ipc_attach m;
	if (f->type != IPC_ATTACH || f->fd < 0 ||
	    ipc_msg_unpack(IPC_ATTACH, f->body, &m, &e))
		return;
	if (m.peer == 'k') {
		key_client_attach(s->keys, TAKE_FD(f->fd));
		return;
	}
	ipc_free(s->asker);
	s->asker = ipc_new(s->loop, TAKE_FD(f->fd), &link_opts, &asker_ops, s, &e);
	if (!s->asker)
		log_event(LOG_ERROR, "signer.link", LOG_ERR(&e));
}

static void
on_main_closed(void *arg, const struct err *why)
{
	struct signer *s = arg;
	log_event(LOG_DEBUG, "signer.main_gone", LOG_ERR(why));
	loop_stop(s->loop);
}

static const struct ipc_ops main_ops = {
    .on_frame = on_main_frame, .on_closed = on_main_closed};

/* The token may be away: who the key is stands in the certificate. */
static struct key *
token_key(void *arg, const struct ca_conf_row *row, struct span spki, struct err *e)
{
	struct signer *s = arg;
	struct key_uri u;
	char use[CA_CONF_NAME_MAX + 16];
	if (key_uri_parse(span_str(row->key), &u, e))
		return NULL;
	snprintf(use, sizeof(use), "issuer %s", row->name);
	return key_client_key(s->keys, use, spki,
	    u.kind == KEY_URI_TPM2 ? KEY_CUSTODY_TPM2 : KEY_CUSTODY_PKCS11, e);
}

static int
load_ca(struct signer *s, const char *home, struct err *e)
{
	s->keys = key_client_new();
	if (ca_dir_conf(home, &s->conf, e))
		return -1;
	return ca_dir_load_usable(home, &s->conf, token_key, s,
	    clock_wall_s(&clock_system), &s->left, &s->ca, e);
}

int
signer_check(struct signer *s, size_t by, struct err *e)
{
	const struct ca_member *m = &s->ca.v[by];
	if (!m->issuer)
		return err_set(
		    e, ERR_UNAVAILABLE, "the key of the CA %s is not here", m->name);
	if (s->checked[by])
		return 0;
	if (issuer_self_check(m->issuer, clock_wall_s(&clock_system), e))
		return err_wrap(e, "self-check of the CA %s", m->name);
	s->checked[by] = true;
	return 0;
}

/* Those whose keys are here and that may sign now. Tokens come later or not at all; one
 * that has ended only says so. */
static int
check_issuer(struct signer *s, size_t i, struct err *e)
{
	const struct ca_member *m = &s->ca.v[i];
	if (!m->issuer || key_custody(issuer_key(m->issuer)) != KEY_CUSTODY_FILE)
		return 0;
	if (cert_valid_at(m->cert, clock_wall_ms(&clock_system)))
		return signer_check(s, i, e);
	log_event(LOG_WARN, "signer.ca_out_of_date", LOG_STR("ca", m->name));
	return 0;
}

static int
check_issuers(struct signer *s, struct err *e)
{
	for (size_t i = 0; i < s->ca.n;) {
		if (check_issuer(s, i, e) == 0) {
			i++;
			continue;
		}
		ca_dir_leave(&s->left, s->ca.v[i].name, e);
		ca_drop(&s->ca, i); /* none behind it was checked yet */
	}
	for (size_t i = 0; i < s->left.n; i++)
		log_event(LOG_ERROR, "signer.ca_left_out",
		    LOG_STR("ca", s->left.v[i].name), LOG_ERR(&s->left.v[i].why));
	return ca_dir_check(&s->ca, &s->left, clock_wall_s(&clock_system), e);
}

static int
open_ocsp_key(struct signer *s, const char *home, struct err *e)
{
	struct key_uri u;
	auto_buf uri = BUF_INIT(KEY_URI_MAX), pem = BUF_INIT(KEY_PEM_MAX);
	const char *text = s->cfg.pki.ocsp_key;
	if (!text[0] || ca_conf_is_token(text))
		return 0;
	if (key_uri_resolve(span_str(text), home, &uri, e) ||
	    key_uri_parse(buf_span(&uri), &u, e) || file_read_secret(u.path, &pem, e))
		return err_wrap(e, "pki.ocsp_key");
	s->ocsp_key = key_parse(buf_span(&pem), NULL, NULL, u.path, e);
	return s->ocsp_key ? 0 : -1;
}

static int
open_journal(struct signer *s, const char *home, struct err *e)
{
	char path[4200];
	snprintf(path, sizeof(path), "%s/ca/journal.log", home);
	s->journal = journal_open(path, e);
	if (!s->journal)
		return -1;
	if (journal_was_cut(s->journal))
		log_event(LOG_WARN, "signer.journal_cut",
		    LOG_STR(
			"text", "half a line at its end, never handed out, was cut off"));
	log_event(
	    LOG_INFO, "signer.journal", LOG_INT("entries", journal_count(s->journal)));
	return 0;
}

/* Reads a file of /sys, so it comes before the jail. */
static unsigned
count_workers(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	return cpus < 1 ? 1 : cpus > WORKERS_MAX ? WORKERS_MAX : (unsigned)cpus;
}

static int
start(struct signer *s, int fd, struct err *e)
{
	unsigned workers = count_workers();
	struct boot b;
	if (boot_receive(fd, "signer", &s->cfg, &s->cfg_arena, &b, e))
		return -1;
	auto_buf url = BUF_INIT(sizeof(s->url) - 1);
	config_public_url(&s->cfg, &url);
	snprintf(s->url, sizeof(s->url), "%s", buf_text(&url));
	if (load_ca(s, b.home, e) || check_issuers(s, e) || open_ocsp_key(s, b.home, e) ||
	    open_journal(s, b.home, e))
		return -1;
	s->loop = loop_new(&clock_system, e);
	if (!s->loop)
		return -1;
	s->commit = (struct loop_task){.fn = signer_issue_commit, .arg = s};
	s->jobs = own_alloc(SIGN_POOL_MAX * sizeof(*s->jobs));
	s->turn = arena_new(TURN_BYTES);
	s->main = ipc_new(s->loop, fd, &link_opts, &main_ops, s, e);
	if (!s->main || boot_jail(JAIL_SIGNER, &b, 64, NULL, e))
		return -1;
	s->pool = sign_pool_new(&s->ca, workers, e);
	if (!s->pool)
		return -1;
	return boot_ready(s->main, e);
}

/* A command that started us shows it as its own error. */
static void
tell_failure(int fd, const struct err *why)
{
	struct ipc_done m = {.code = (uint8_t)why->code, .text = span_str(why->text)};
	auto_buf body = BUF_INIT(4096);
	auto_(ipc_sync_free) struct ipc_sync *link = ipc_sync_new(fd, IPC_BODY_MAX);
	struct ipc_frame f = {.type = IPC_DONE, .fd = -1};
	struct err ignored;
	if (ipc_msg_pack(IPC_DONE, &m, &body, &ignored))
		return;
	f.body = buf_span(&body);
	if (ipc_sync_send(link, &f, TELL_MS, &ignored))
		log_event(LOG_DEBUG, "signer.untold", LOG_ERR(&ignored));
}

int
signer_main(int fd)
{
	static struct signer s;
	struct err e = {0};
	log_role("signer");
	if (start(&s, fd, &e)) {
		log_event(LOG_ERROR, "signer.failed", LOG_ERR(&e));
		tell_failure(fd, &e);
		return err_row(e.code)->exit;
	}
	if (loop_run(s.loop, &e)) {
		log_event(LOG_ERROR, "signer.failed", LOG_ERR(&e));
		return err_row(e.code)->exit;
	}
	sign_pool_free(s.pool);
	ipc_free(s.asker);
	ipc_free(s.main);
	journal_close(s.journal);
	signer_status_done(&s);
	ca_done(&s.ca);
	key_client_free(s.keys);
	free(s.jobs);
	arena_free(s.turn);
	loop_free(s.loop);
	arena_free(s.cfg_arena);
	return 0;
}
