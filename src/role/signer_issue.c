/*
 * The signer's certificates: requests of a turn, signed together, journaled under one
 * fsync, then answered.
 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/log.h"
#include "crypto/crl.h"
#include "role/signer_impl.h"

/* ---- the journal ----------------------------------------------------------------------
 */

int
signer_issue_journal(struct signer *s, const struct sign_job *j, struct err *e)
{
	char serial[2 * TBS_SERIAL + 1], cert[65], spki[65], issuer[65];
	uint8_t sha[DIGEST_SHA256];
	hex_write(span_of(j->result.serial, TBS_SERIAL), serial);
	hex_write(span_of(j->result.sha256, DIGEST_SHA256), cert);
	hex_write(span_of(s->ca.v[j->by].cert->sha256, DIGEST_SHA256), issuer);
	digest_sha256(j->req.spki, sha);
	hex_write(span_of(sha, sizeof(sha)), spki);
	struct journal_entry en = {.time_ms = clock_wall_ms(&clock_system),
	    .profile = profile_get(j->req.profile)->name,
	    .issuer_sha256 = issuer,
	    .serial = serial,
	    .subject = j->req.cn,
	    .spki_sha256 = spki,
	    .not_before_ms = j->result.not_before_s * 1000,
	    .not_after_ms = j->result.not_after_s * 1000,
	    .cert_sha256 = cert,
	    .requester = j->requester};
	return journal_append(s->journal, &en, e);
}

void
signer_issue_die(const struct err *why)
{
	log_event(LOG_ERROR, "signer.journal", LOG_ERR(why));
	_exit(err_row(why->code)->exit);
}

/* ---- the end of a turn ----------------------------------------------------------------
 */

static void
answer_job(struct signer *s, const struct sign_job *j, int64_t seq)
{
	char serial[2 * TBS_SERIAL + 1];
	hex_write(span_of(j->result.serial, TBS_SERIAL), serial);
	struct ipc_signer_issued m = {.der = j->der,
	    .serial = span_str(serial),
	    .not_before_ms = j->result.not_before_s * 1000,
	    .not_after_ms = j->result.not_after_s * 1000,
	    .journal_seq = seq,
	    .issuer = span_of(s->ca.v[j->by].cert->sha256, DIGEST_SHA256),
	    .shard = j->shard};
	signer_answer(s, IPC_SIGNER_ISSUED, j->id, &m);
}

void
signer_issue_commit(void *arg)
{
	struct signer *s = arg;
	struct err e = {0};
	sign_pool_run(s->pool, s->jobs, s->n_jobs);
	int64_t seq = journal_count(s->journal);
	for (size_t i = 0; i < s->n_jobs; i++)
		if (!s->jobs[i].why && signer_issue_journal(s, &s->jobs[i], &e))
			signer_issue_die(&e);
	if (journal_sync(s->journal, &e))
		signer_issue_die(&e);
	for (size_t i = 0; i < s->n_jobs; i++) {
		if (s->jobs[i].why)
			signer_answer_error(s, s->jobs[i].id, s->jobs[i].why);
		else
			answer_job(s, &s->jobs[i], ++seq);
	}
	s->n_jobs = 0;
	arena_reset(s->turn);
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
	if (m->life_ms > 0 && m->life_ms < 1000)
		return 1000; /* in seconds it would be none, which means the usual one */
	return m->life_ms > 0 && m->life_ms < cap ? m->life_ms : cap;
}

/* The CA that was asked for, if the profile is its business; where none was, the first.
 */
static int
find_ca(struct signer *s, const struct ipc_signer_issue *m, size_t *ret, struct err *e)
{
	enum ca_purpose want = ca_purpose_of((enum profile_id)m->profile);
	const struct ca_member *by =
	    m->issuer.len ? ca_find(&s->ca, m->issuer) : ca_first(&s->ca, want);
	if (!by)
		return err_set(e, ERR_NOT_FOUND, "there is no such CA here");
	if (by->purpose != want)
		return err_set(e, ERR_FORBIDDEN,
		    "the CA %s does not issue %s certificates", by->name,
		    profile_get((enum profile_id)m->profile)->name);
	*ret = (size_t)(by - s->ca.v);
	return signer_check(s, *ret, e);
}

_Static_assert(CONFIG_NAMES_MAX <= TBS_SAN_MAX, "names for which no certificate is");

static int
take_names(struct arena *a, struct span names, struct issuer_request *r, struct err *e)
{
	const char **v = arena_alloc(a, TBS_SAN_MAX * sizeof(*v));
	r->san = v;
	while (names.len) {
		struct span word = span_split(&names, ' ');
		if (!word.len)
			continue;
		if (r->n_san == TBS_SAN_MAX)
			return err_set(e, ERR_LIMIT, "more than %d names", TBS_SAN_MAX);
		v[r->n_san++] = arena_str(a, word);
	}
	return 0;
}

/* Where to ask about it. A server's lives too short to be revoked. */
static void
put_places(struct signer *s, struct sign_job *j)
{
	struct issuer_request *r = &j->req;
	const char *name = s->ca.v[j->by].name;
	j->shard = -1;
	if (!s->url[0] || r->profile == PROFILE_SERVER)
		return;
	j->shard =
	    crl_shard(span_of(r->serial, TBS_SERIAL), (unsigned)s->cfg.pki.crl_shards);
	r->crl_url =
	    arena_printf(s->turn, "%s/crl/%s/%" PRId64 ".crl", s->url, name, j->shard);
	r->ocsp_url = arena_printf(s->turn, "%s/ocsp", s->url);
	r->issuers_url = arena_printf(s->turn, "%s/ca/%s.crt", s->url, name);
}

static int
take(struct signer *s, uint64_t id, const struct ipc_signer_issue *m, struct err *e)
{
	struct sign_job *j = &s->jobs[s->n_jobs];
	uint8_t *serial = arena_alloc(s->turn, TBS_SERIAL);
	int64_t *backdate_s = arena_alloc(s->turn, sizeof(*backdate_s));
	if (m->profile >= PROFILE_N ||
	    ca_purpose_of((enum profile_id)m->profile) == CA_PURPOSE_N)
		return err_set(
		    e, ERR_FORBIDDEN, "profile %u is not issued on request", m->profile);
	tbs_serial(serial);
	*backdate_s = s->cfg.pki.backdate_ms / 1000;
	*j = (struct sign_job){.id = id,
	    .requester = arena_str(s->turn, m->requester),
	    .req = {.profile = (enum profile_id)m->profile,
		.cn = arena_str(s->turn, m->subject),
		.org = s->cfg.pki.organization,
		.spki = arena_span(s->turn, m->spki),
		.now_s = clock_wall_s(&clock_system),
		.life_s = life_of(s, m) / 1000,
		.backdate_s = backdate_s,
		.serial = serial}};
	if (find_ca(s, m, &j->by, e) || take_names(s->turn, m->names, &j->req, e))
		return err_wrap(e, "%s", j->req.cn);
	put_places(s, j);
	s->n_jobs++;
	return 0;
}

void
signer_issue_take(struct signer *s, const struct ipc_frame *f)
{
	struct ipc_signer_issue m;
	struct err e;
	if (s->n_jobs == SIGN_POOL_MAX)
		signer_issue_commit(s);
	if (ipc_msg_unpack(IPC_SIGNER_ISSUE, f->body, &m, &e) || take(s, f->id, &m, &e)) {
		signer_answer_error(s, f->id, &e);
		return;
	}
	loop_defer(s->loop, LOOP_COMMIT, &s->commit);
}
