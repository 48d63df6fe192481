#ifndef ROLE_SIGNER_IMPL_H
#define ROLE_SIGNER_IMPL_H
/*
 * What the signer's own files share: signer.c has the process and its links,
 * signer_issue.c certificates and the journal, signer_status.c CRLs and OCSP answers.
 * Nobody else's.
 */
#include "codec/config.h"
#include "codec/ipc_msg.h"
#include "crypto/ca.h"
#include "crypto/ocsp.h"
#include "io/ipc.h"
#include "io/loop.h"
#include "role/ca_dir.h"
#include "role/key_client.h"
#include "role/sign_pool.h"
#include "store/journal.h"

/* The delegated OCSP responder of a CA. */
struct signer_responder {
	struct ocsp_responder *r; /* NULL: not asked for yet */
	int64_t renew_at_ms;
};

struct signer {
	struct loop *loop;
	struct config cfg;
	struct arena *cfg_arena;
	struct ca_conf conf;
	struct ca ca;
	struct ca_dir_left left;   /* what of conf is not in ca */
	bool checked[CA_CONF_MAX]; /* has passed issuer_self_check */
	struct key_client *keys;   /* those in tokens */
	struct signer_responder responders[CA_CONF_MAX];
	struct key *ocsp_key; /* NULL: each responder has one of its own, in memory */
	struct journal *journal;
	char url[256];                 /* before "/crl/..."; "": certificates name none */
	struct ipc_link *main, *asker; /* asker: the core, or a command of this program */
	struct loop_task commit;
	struct sign_pool *pool;
	struct arena *turn;    /* what this turn's jobs borrow */
	struct sign_job *jobs; /* of this turn */
	size_t n_jobs;
};

/* Has the CA its key, and do its signatures hold? A token may have come back since. */
must_check int signer_check(struct signer *s, size_t by, struct err *e);
/* Sends the asker a message; a failure is logged, for nobody is left to be told. */
void signer_answer(struct signer *s, enum ipc_type type, uint64_t id, const void *msg);
void signer_answer_error(struct signer *s, uint64_t id, const struct err *why);

/* A message of the core. Answers, now or at the turn's end. */
void signer_issue_take(struct signer *s, const struct ipc_frame *f);
/* The end of a turn: signs what was asked, journals it, makes the journal durable, and
 * only then answers. arg: the signer. */
void signer_issue_commit(void *arg);
/* Appends to the journal what the signer issued by itself. Not durable yet. */
must_check int signer_issue_journal(
    struct signer *s, const struct sign_job *j, struct err *e);
/* For a journal that cannot be written or made durable: what it should hold never leaves.
 * Ends the process. */
_Noreturn void signer_issue_die(const struct err *why);

void signer_status_take_crl(struct signer *s, const struct ipc_frame *f);
void signer_status_take_ocsp(struct signer *s, const struct ipc_frame *f);
void signer_status_done(struct signer *s);

#endif
