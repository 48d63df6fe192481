/*
 * The signer process.
 */
#include "role/signer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/log.h"
#include "crypto/ca.h"
#include "crypto/digest.h"
#include "io/file.h"
#include "io/ipc.h"
#include "io/loop.h"
#include "role/boot.h"
#include "role/sign_pool.h"
#include "store/journal.h"

#define CA_FILE_MAX 65536
#define WORKERS_MAX 16
#define TELL_MS     1000
#define TURN_MAX    4096 /* requests signed under one fsync */

struct signer {
	struct loop *loop;
	struct config cfg;
	struct arena *cfg_arena;
	struct ca ca;
	struct journal *journal;
	char issuer_sha256[PROFILE_N][65];
	struct ipc_link *main, *asker; /* asker: the core, or a command of this program */
	struct loop_task commit;
	struct sign_pool *pool;
	struct sign_job *jobs; /* of this turn */
	size_t n_jobs;
};

/* ---- answers --------------------------------------------------------------------------
 */

static void
answer(struct signer *s, enum ipc_type type, uint64_t id, const void *msg)
{
	struct err e;
	if (s->asker && boot_send(s->asker, type, id, msg, -1, &e))
		log_event(LOG_ERROR, "signer.answer", LOG_ERR(&e));
}

static void
answer_error(struct signer *s, uint64_t id, const struct err *why)
{
	struct ipc_done m = {.code = (uint8_t)why->code, .text = span_str(why->text)};
	log_event(LOG_WARN, "signer.refused", LOG_ERR(why));
	answer(s, IPC_DONE, id, &m);
}

static int
journal_job(struct signer *s, const struct sign_job *j, struct err *e)
{
	char serial[2 * TBS_SERIAL + 1], cert[65], spki[65];
	uint8_t sha[DIGEST_SHA256];
	hex_write(span_of(j->result.serial, TBS_SERIAL), serial);
	hex_write(span_of(j->result.sha256, DIGEST_SHA256), cert);
	digest_sha256(span_of(j->spki, j->spki_len), sha);
	hex_write(span_of(sha, sizeof(sha)), spki);
	struct journal_entry en = {.time_ms = clock_wall_ms(&clock_system),
	    .profile = profile_get(j->profile)->name,
	    .issuer_sha256 = s->issuer_sha256[j->profile],
	    .serial = serial,
	    .subject = j->subject,
	    .spki_sha256 = spki,
	    .not_before_ms = j->result.not_before_s * 1000,
	    .not_after_ms = j->result.not_after_s * 1000,
	    .cert_sha256 = cert,
	    .requester = j->requester};
	return journal_append(s->journal, &en, e);
}

static void
answer_job(struct signer *s, const struct sign_job *j, int64_t seq)
{
	char serial[2 * TBS_SERIAL + 1];
	hex_write(span_of(j->result.serial, TBS_SERIAL), serial);
	struct ipc_signer_issued m = {.der = span_of(j->der, j->der_len),
	    .serial = span_str(serial),
	    .not_before_ms = j->result.not_before_s * 1000,
	    .not_after_ms = j->result.not_after_s * 1000,
	    .journal_seq = seq};
	answer(s, IPC_SIGNER_ISSUED, j->id, &m);
}

/* The end of a turn: sign all that was asked, journal it, make the journal durable, and
 * only then answer. A journal that cannot be made durable ends the process: what it
 * signed in this turn never leaves it. */
static void
on_commit(void *arg)
{
	struct signer *s = arg;
	struct err e = {0};
	sign_pool_run(s->pool, s->jobs, s->n_jobs);
	int64_t seq = journal_count(s->journal);
	int rc = 0;
	for (size_t i = 0; i < s->n_jobs && rc == 0; i++)
		if (!s->jobs[i].failed)
			rc = journal_job(s, &s->jobs[i], &e);
	if (rc || journal_sync(s->journal, &e)) {
		log_event(LOG_ERROR, "signer.journal", LOG_ERR(&e));
		_exit(err_row(e.code)->exit);
	}
	for (size_t i = 0; i < s->n_jobs; i++) {
		if (s->jobs[i].failed)
			answer_error(s, s->jobs[i].id, &s->jobs[i].why);
		else
			answer_job(s, &s->jobs[i], ++seq);
	}
	s->n_jobs = 0;
}

/* ---- requests -------------------------------------------------------------------------
 */

static int64_t
life_of(const struct signer *s, const struct ipc_signer_issue *m)
{
	const int64_t most[PROFILE_N] = {[PROFILE_DEVICE] = s->cfg.pki.leaf_life_ms,
	    [PROFILE_SERVER] = s->cfg.pki.server_life_ms,
	    [PROFILE_OPERATOR] = s->cfg.pki.operator_life_ms};
	int64_t cap = most[m->profile];
	return m->life_ms > 0 && m->life_ms < cap ? m->life_ms : cap;
}

_Static_assert(CONFIG_NAMES_MAX <= TBS_SAN_MAX, "names for which no certificate is");

static int
take_names(struct sign_job *j, struct span names, struct err *e)
{
	if (!span_to_str(names, j->names, sizeof(j->names)))
		return err_set(e, ERR_LIMIT, "names too long");
	char *save = NULL;
	for (char *p = strtok_r(j->names, " ", &save); p;
	     p = strtok_r(NULL, " ", &save)) {
		if (j->n_san == TBS_SAN_MAX)
			return err_set(e, ERR_LIMIT, "more than %d names", TBS_SAN_MAX);
		j->san[j->n_san++] = p;
	}
	return 0;
}

static int
take_issue(struct signer *s, uint64_t id, const struct ipc_signer_issue *m, struct err *e)
{
	if (m->profile != PROFILE_DEVICE && m->profile != PROFILE_SERVER &&
	    m->profile != PROFILE_OPERATOR)
		return err_set(
		    e, ERR_FORBIDDEN, "profile %u is not issued on request", m->profile);
	struct sign_job *j = &s->jobs[s->n_jobs];
	*j = (struct sign_job){.id = id,
	    .profile = (enum profile_id)m->profile,
	    .life_s = life_of(s, m) / 1000,
	    .spki_len = m->spki.len};
	if (m->spki.len == 0 || m->spki.len > sizeof(j->spki))
		return err_set(e, ERR_LIMIT, "public key of %zu bytes", m->spki.len);
	memcpy(j->spki, m->spki.p, m->spki.len);
	if (!span_to_str(m->subject, j->subject, sizeof(j->subject)) ||
	    !span_to_str(m->requester, j->requester, sizeof(j->requester)))
		return err_set(e, ERR_LIMIT, "subject or requester too long");
	if (take_names(j, m->names, e))
		return err_wrap(e, "%s", j->subject);
	s->n_jobs++;
	return 0;
}

static void
on_issue(struct signer *s, const struct ipc_frame *f)
{
	struct ipc_signer_issue m;
	struct err e;
	if (s->n_jobs == TURN_MAX)
		on_commit(s);
	if (ipc_msg_unpack(IPC_SIGNER_ISSUE, f->body, &m, &e) ||
	    take_issue(s, f->id, &m, &e)) {
		answer_error(s, f->id, &e);
		return;
	}
	loop_defer(s->loop, LOOP_COMMIT, &s->commit);
}

static void
on_pubkeys(struct signer *s, const struct ipc_frame *f)
{
	struct ipc_signer_keys m = {.root = s->ca.root->der,
	    .device_ca = issuer_cert(s->ca.device)->der,
	    .service_ca = issuer_cert(s->ca.service)->der};
	answer(s, IPC_SIGNER_KEYS, f->id, &m);
}

static void
on_health(struct signer *s, const struct ipc_frame *f)
{
	struct ipc_done m = {.text = span_str(journal_head(s->journal)),
	    .number = journal_count(s->journal)};
	answer(s, IPC_DONE, f->id, &m);
}

static void
on_asker_frame(void *arg, struct ipc_frame *f)
{
	static void (*const handlers[IPC_N])(
	    struct signer *, const struct ipc_frame *) = {
	    [IPC_SIGNER_PUBKEYS] = on_pubkeys,
	    [IPC_SIGNER_ISSUE] = on_issue,
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
	if (f->type != IPC_ATTACH || f->fd < 0)
		return;
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

static int
load_ca(struct signer *s, const char *home, struct err *e)
{
	auto_ca_material m = {.n = 0};
	for (size_t i = 0; i < CA_FILES_MAX; i++) {
		const struct ca_file_row *row = &ca_file_rows[i];
		char path[4200];
		auto_buf pem = BUF_INIT(CA_FILE_MAX);
		if (strcmp(row->name, "root.key") == 0)
			continue; /* never needed here; it should have left the machine */
		snprintf(path, sizeof(path), "%s/ca/%s", home, row->name);
		int rc = row->secret ? file_read_secret(path, &pem, e)
				     : file_read(path, &pem, e);
		if (rc || ca_material_put(&m, row->name, buf_span(&pem), e))
			return -1;
	}
	return ca_load(&m, clock_wall_s(&clock_system), &s->ca, e);
}

static int
check_issuers(struct signer *s, struct err *e)
{
	int64_t now = clock_wall_s(&clock_system);
	if (issuer_self_check(s->ca.device, now, e) ||
	    issuer_self_check(s->ca.service, now, e))
		return err_wrap(e, "self-check of the issuing CAs");
	for (int p = PROFILE_DEVICE; p < PROFILE_N; p++) {
		const struct issuer *i = ca_issuer(&s->ca, (enum profile_id)p);
		if (!i) /* of either CA (OCSP), or of neither (cross) */
			continue;
		hex_write(
		    span_of(issuer_cert(i)->sha256, DIGEST_SHA256), s->issuer_sha256[p]);
	}
	return 0;
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
	if (load_ca(s, b.home, e) || check_issuers(s, e) || open_journal(s, b.home, e))
		return -1;
	s->loop = loop_new(&clock_system, e);
	if (!s->loop)
		return -1;
	s->commit = (struct loop_task){.fn = on_commit, .arg = s};
	s->jobs = own_alloc(TURN_MAX * sizeof(*s->jobs));
	s->main = ipc_new(s->loop, fd, &link_opts, &main_ops, s, e);
	if (!s->main || boot_jail(JAIL_SIGNER, &b, 64, NULL, e))
		return -1;
	s->pool = sign_pool_new(
	    &s->ca, s->cfg.pki.organization, s->cfg.pki.backdate_ms / 1000, workers, e);
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
	ca_done(&s.ca);
	free(s.jobs);
	loop_free(s.loop);
	arena_free(s.cfg_arena);
	return 0;
}
