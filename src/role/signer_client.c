/*
 * A command's own signer.
 */
#include "role/signer_client.h"

#include <unistd.h>

#include "base/clock.h"
#include "crypto/digest.h"
#include "io/ipc.h"
#include "io/loop.h"
#include "io/proc.h"
#include "io/sock.h"
#include "role/boot.h"
#include "role/ca_dir.h"

#define START_MS 30000
#define ISSUE_MS 120000

/* A process of the server, run for a command. */
struct part {
	struct proc *proc;
	struct ipc_sync *boot;
};

struct signer_client {
	struct loop *loop; /* proc wants one; it is never run */
	struct part signer, keyd;
	struct ipc_sync *link;
};

static void
on_exit_ignored(void *arg, const struct proc_exit *x)
{
	(void)arg;
	(void)x;
}

static int
send_msg(struct ipc_sync *s, enum ipc_type type, uint64_t id, const void *msg, int fd,
    struct err *e)
{
	auto_buf body = BUF_INIT(IPC_BODY_MAX);
	if (ipc_msg_pack(type, msg, &body, e))
		return -1;
	struct ipc_frame f = {.type = type, .id = id, .body = buf_span(&body), .fd = fd};
	return ipc_sync_send(s, &f, ISSUE_MS, e);
}

static int
queue_issue(struct ipc_sync *s, uint64_t id, const struct ipc_signer_issue *msg,
    struct buf *room, struct err *e)
{
	buf_reset(room);
	if (ipc_msg_pack(IPC_SIGNER_ISSUE, msg, room, e))
		return -1;
	struct ipc_frame f = {
	    .type = IPC_SIGNER_ISSUE, .id = id, .body = buf_span(room), .fd = -1};
	return ipc_sync_queue(s, &f, ISSUE_MS, e);
}

static int
spawn(struct signer_client *c, const char *role, struct part *p, struct err *e)
{
	const char *const argv[] = {"muster", "role", role, NULL};
	int pair[2];
	if (sock_pair(pair, e))
		return -1;
	struct proc_fd fds[] = {{.from = pair[1], .to = BOOT_FD}};
	const char *const *env = p == &c->keyd ? (const char *const *)environ : NULL;
	struct proc_spec spec = {.argv = argv, .fds = fds, .nfds = 1, .env = env};
	int rc = proc_start(c->loop, &spec, on_exit_ignored, c, &p->proc, e);
	close(pair[1]);
	p->boot = ipc_sync_new(pair[0], IPC_BODY_MAX);
	return rc;
}

static int
boot(struct part *p, const char *home, const struct config *cfg, struct err *e)
{
	auto_buf text = BUF_INIT(CONF_FILE_MAX);
	conf_dump(&config_table, cfg, &text);
	struct ipc_boot m = {.home = span_str(home), .config = buf_span(&text)};
	struct ipc_frame f;
	if (send_msg(p->boot, IPC_BOOT, 0, &m, -1, e))
		return -1;
	if (ipc_sync_recv(p->boot, START_MS, &f, e))
		return err_set(e, ERR_UNAVAILABLE,
		    "the signer did not start; the line above says why");
	struct ipc_done failed;
	if (f.type == IPC_DONE && ipc_msg_unpack(IPC_DONE, f.body, &failed, e) == 0)
		return err_set(
		    e, (enum err_code)failed.code, "%.*s", SPAN_FMT(failed.text));
	if (f.type != IPC_READY)
		return err_set(
		    e, ERR_INTERNAL, "the signer answered with message %u", f.type);
	return 0;
}

/* Both ends of a fresh link to two parts, or one to us (b NULL). */
static int
attach(struct signer_client *c, struct part *a, uint8_t a_meets, struct part *b,
    uint8_t b_meets, struct err *e)
{
	int pair[2];
	const struct ipc_attach to_a = {.peer = a_meets}, to_b = {.peer = b_meets};
	if (sock_pair(pair, e))
		return -1;
	int rc = send_msg(a->boot, IPC_ATTACH, 0, &to_a, pair[1], e);
	close(pair[1]);
	if (!b) {
		c->link = ipc_sync_new(pair[0], IPC_BODY_MAX);
		return rc;
	}
	if (rc == 0)
		rc = send_msg(b->boot, IPC_ATTACH, 0, &to_b, pair[0], e);
	close(pair[0]);
	return rc;
}

/* Where a CA's key is in a token, its holder stands beside the signer as under a server.
 */
static int
start_keyd(
    struct signer_client *c, const char *home, const struct config *cfg, struct err *e)
{
	auto_(free) struct ca_conf *conf = own_alloc(sizeof(*conf));
	if (ca_dir_conf(home, conf, e))
		return -1;
	if (!ca_conf_has_token(conf))
		return 0;
	if (spawn(c, "keyd", &c->keyd, e) || boot(&c->keyd, home, cfg, e))
		return -1;
	return attach(c, &c->signer, 'k', &c->keyd, 's', e);
}

struct signer_client *
signer_client_start(const char *home, const struct config *cfg, struct err *e)
{
	auto_(signer_client_free) struct signer_client *c = own_alloc(sizeof(*c));
	struct config quiet = *cfg;
	quiet.server.log_level = CONFIG_LOG_WARN;
	c->loop = loop_new(&clock_system, e);
	if (!c->loop || spawn(c, "signer", &c->signer, e) ||
	    boot(&c->signer, home, &quiet, e) || start_keyd(c, home, &quiet, e) ||
	    attach(c, &c->signer, 't', NULL, 0, e))
		return NULL;
	return TAKE(c);
}

static void
end_part(struct part *p)
{
	struct ipc_stop stop = {0};
	struct err ignored;
	struct ipc_frame f;
	/* its journal is durable whatever happens now; a clean end is only politeness */
	if (p->boot && p->proc &&
	    send_msg(p->boot, IPC_STOP, 0, &stop, -1, &ignored) == 0)
		while (ipc_sync_recv(p->boot, 2000, &f, &ignored) == 0)
			;
	ipc_sync_free(p->boot);
	proc_free(p->proc);
}

void
signer_client_free(struct signer_client *c)
{
	if (!c)
		return;
	end_part(&c->signer);
	end_part(&c->keyd);
	ipc_sync_free(c->link);
	loop_free(c->loop);
	free(c);
}

int
signer_client_ca(
    struct signer_client *c, struct span sha256, struct buf *der, struct err *e)
{
	struct ipc_signer_pubkeys ask = {0};
	struct ipc_frame f = {0};
	bool found = false;
	if (send_msg(c->link, IPC_SIGNER_PUBKEYS, 0, &ask, -1, e))
		return err_wrap(e, "asking the signer");
	while (f.type != IPC_DONE) {
		struct ipc_signer_ca m;
		uint8_t sha[DIGEST_SHA256];
		if (ipc_sync_recv(c->link, ISSUE_MS, &f, e))
			return err_wrap(e, "asking the signer");
		if (f.type != IPC_SIGNER_CA)
			continue;
		if (ipc_msg_unpack(IPC_SIGNER_CA, f.body, &m, e))
			return -1;
		digest_sha256(m.cert, sha);
		if (!span_eq(sha256, span_of(sha, sizeof(sha))))
			continue;
		buf_put_span(der, m.cert);
		found = true;
	}
	if (!found)
		return err_set(e, ERR_NOT_FOUND, "the signer has no such CA");
	return buf_check(der, "CA certificate", e);
}

static int
take_answer(const struct ipc_frame *f, struct ipc_signer_issued *got, struct err *why,
    struct err *e)
{
	struct ipc_done d;
	if (f->type == IPC_SIGNER_ISSUED)
		return ipc_msg_unpack(IPC_SIGNER_ISSUED, f->body, got, e);
	if (f->type != IPC_DONE || ipc_msg_unpack(IPC_DONE, f->body, &d, e))
		return err_set(
		    e, ERR_INTERNAL, "the signer answered with message %u", f->type);
	err_set(why, (enum err_code)d.code, "%.*s", SPAN_FMT(d.text));
	return 0;
}

int
signer_client_issue(struct signer_client *c, const struct ipc_signer_issue *asked,
    size_t n,
    int (*done)(void *arg, size_t i, const struct ipc_signer_issued *got,
	const struct err *why, struct err *e),
    void *arg, struct err *e)
{
	auto_buf room = BUF_INIT(IPC_BODY_MAX);
	for (size_t i = 0; i < n; i++)
		if (queue_issue(c->link, i, &asked[i], &room, e))
			return err_wrap(e, "asking the signer");
	if (ipc_sync_flush(c->link, ISSUE_MS, e))
		return err_wrap(e, "asking the signer");
	for (size_t answers = 0; answers < n; answers++) {
		struct ipc_frame f;
		struct ipc_signer_issued got;
		struct err why = {0};
		if (ipc_sync_recv(c->link, ISSUE_MS, &f, e))
			return err_wrap(e, "waiting for the signer");
		if (f.id >= n || take_answer(&f, &got, &why, e))
			return err_wrap(e, "signer");
		bool refused = why.code != ERR_OK;
		if (done(arg, (size_t)f.id, refused ? NULL : &got, refused ? &why : NULL,
			e))
			return -1;
	}
	return 0;
}
