/*
 * The caller of webhooks.
 */
#include "role/hookd.h"

#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/js.h"
#include "crypto/cert.h"
#include "io/file.h"
#include "io/ipc.h"
#include "io/loop.h"
#include "proto/dps/hook_json.h"
#include "role/boot.h"
#include "role/hook_blob.h"
#include "role/hook_call.h"

#define NOFILE      512
#define CA_FILE_MAX (1024 * 1024)

struct hookd {
	struct loop *loop;
	struct config cfg;
	struct arena *cfg_arena;
	struct ipc_link *main, *core; /* core NULL: not attached */
	struct hook_call_pool *calls;
};

static const struct ipc_opts link_opts = {
    .body_max = IPC_BODY_MAX, .queue_max = 64u << 20};

/* ---- answers --------------------------------------------------------------------------
 */

static void
answer(struct hookd *h, enum ipc_type type, uint64_t id, const void *msg)
{
	struct err e;
	if (h->core && boot_send(h->core, type, id, msg, -1, &e))
		log_event(LOG_ERROR, "hookd.answer", LOG_ERR(&e));
}

static void
answer_failure(struct hookd *h, uint64_t id, const struct err *why)
{
	const struct ipc_done m = {
	    .code = (uint8_t)why->code, .text = span_head(span_str(why->text), 512)};
	log_event(LOG_WARN, "hookd.failed", LOG_ERR(why));
	answer(h, IPC_DONE, id, &m);
}

static void
on_answer(void *arg, uint64_t id, const struct span *body, const struct err *why)
{
	struct hookd *h = arg;
	struct hook_json_room room = HOOK_JSON_ROOM;
	struct ipc_hook_answer m;
	struct err e = {0};
	if (why)
		answer_failure(h, id, why);
	else if (hook_json_answer(*body, &room, &m, &e))
		answer_failure(h, id, &e);
	else
		answer(h, IPC_HOOK_ANSWER, id, &m);
	hook_json_room_done(&room);
}

/* ---- calls ----------------------------------------------------------------------------
 */

static int
call(struct hookd *h, const struct ipc_frame *f, struct err *e)
{
	struct ipc_hook_call m;
	auto_buf body = BUF_INIT(HOOK_JSON_REQUEST_MAX);
	if (ipc_msg_unpack(IPC_HOOK_CALL, f->body, &m, e) ||
	    hook_json_request(&m, &body, e))
		return -1;
	return hook_call_post(h->calls, m.url, buf_span(&body),
	    h->cfg.dps.webhook_timeout_ms, on_answer, h, f->id, e);
}

static void
on_blob(
    void *arg, uint64_t id, enum ipc_type type, const void *msg, const struct err *why)
{
	const struct ipc_done done = {.code = ERR_OK};
	if (why)
		answer_failure(arg, id, why);
	else
		answer(arg, type, id, type == IPC_DONE ? &done : msg);
}

static int
read_blob(struct hookd *h, const struct ipc_frame *f, struct err *e)
{
	struct ipc_blob_read m;
	if (ipc_msg_unpack(IPC_BLOB_READ, f->body, &m, e))
		return -1;
	return hook_blob_read(h->calls, &m, f->id, on_blob, h, e);
}

static int
write_blob(struct hookd *h, const struct ipc_frame *f, struct err *e)
{
	struct ipc_blob_write m;
	if (ipc_msg_unpack(IPC_BLOB_WRITE, f->body, &m, e))
		return -1;
	return hook_blob_write(h->calls, &m, f->id, on_blob, h, e);
}

static void
on_core_frame(void *arg, struct ipc_frame *f)
{
	struct hookd *h = arg;
	struct err e = {0};
	static int (*const takers[IPC_N])(
	    struct hookd * h, const struct ipc_frame *f, struct err *e) = {
	    [IPC_HOOK_CALL] = call,
	    [IPC_BLOB_READ] = read_blob,
	    [IPC_BLOB_WRITE] = write_blob,
	};
	if (f->type >= IPC_N || !takers[f->type])
		log_event(LOG_ERROR, "hookd.refused_message", LOG_INT("type", f->type));
	else if (takers[f->type](h, f, &e))
		answer_failure(h, f->id, &e);
}

/* What it has asked is over: the next core counts its questions from one again, and an
 * answer to the old one's would be some other device's. */
static void
drop_core(struct hookd *h)
{
	hook_call_drop(h->calls);
	ipc_free(h->core);
	h->core = NULL;
}

static void
on_core_closed(void *arg, const struct err *why)
{
	(void)why;
	drop_core(arg);
}

static const struct ipc_ops core_ops = {
    .on_frame = on_core_frame, .on_closed = on_core_closed};

/* ---- links ----------------------------------------------------------------------------
 */

static void
on_main_frame(void *arg, struct ipc_frame *f)
{
	struct hookd *h = arg;
	struct ipc_attach m;
	struct err e;
	if (f->type == IPC_STOP)
		loop_stop(h->loop);
	if (f->type != IPC_ATTACH || f->fd < 0 ||
	    ipc_msg_unpack(IPC_ATTACH, f->body, &m, &e) || m.peer != 'c')
		return;
	drop_core(h);
	h->core = ipc_new(h->loop, TAKE_FD(f->fd), &link_opts, &core_ops, h, &e);
	if (!h->core)
		log_event(LOG_ERROR, "hookd.link", LOG_ERR(&e));
}

static void
on_main_closed(void *arg, const struct err *why)
{
	struct hookd *h = arg;
	log_event(LOG_DEBUG, "hookd.main_gone", LOG_ERR(why));
	loop_stop(h->loop);
}

static const struct ipc_ops main_ops = {
    .on_frame = on_main_frame, .on_closed = on_main_closed};

/* ---- life -----------------------------------------------------------------------------
 */

static int
read_ca(const struct hookd *h, const char *home, struct buf *pem, struct err *e)
{
	char path[8192];
	auto_cert_list certs = {.n = 0};
	const char *name = h->cfg.dps.webhook_ca;
	if (!name[0])
		return 0;
	snprintf(path, sizeof(path), name[0] == '/' ? "%s%s" : "%s/%s",
	    name[0] == '/' ? "" : home, name);
	if (file_read(path, pem, e) || cert_list_parse(buf_span(pem), path, &certs, e))
		return err_wrap(e, "dps.webhook_ca");
	return 0;
}

/* What name resolution and the system's CAs need; nothing of the home. */
static int
enter_jail(const struct boot *b, struct err *e)
{
	static const char *const wanted[] = {"/etc", "/usr", "/lib", "/lib64",
	    "/run/systemd/resolve", "/run/resolvconf", "/run/NetworkManager"};
	const char *read[sizeof(wanted) / sizeof(wanted[0]) + 1] = {NULL};
	size_t n = 0;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (access(wanted[i], R_OK) == 0)
			read[n++] = wanted[i];
	const struct jail_opts o = {
	    .uid = b->uid, .gid = b->gid, .nofile = NOFILE, .read = read};
	return jail_enter(JAIL_HOOKD, &o, e);
}

static int
start(struct hookd *h, int fd, struct err *e)
{
	struct boot b;
	auto_buf ca = BUF_INIT(CA_FILE_MAX);
	if (boot_receive(fd, "hookd", &h->cfg, &h->cfg_arena, &b, e) ||
	    read_ca(h, b.home, &ca, e))
		return -1;
	js_free(js_object()); /* draws the hash seed while files can be opened */
	h->loop = loop_new(&clock_system, e);
	if (!h->loop)
		return -1;
	h->calls = hook_call_new(h->loop, buf_span(&ca), e);
	if (!h->calls)
		return -1;
	h->main = ipc_new(h->loop, fd, &link_opts, &main_ops, h, e);
	if (!h->main || enter_jail(&b, e))
		return -1;
	return boot_ready(h->main, e);
}

int
hookd_main(int fd)
{
	static struct hookd h;
	struct err e = {0};
	log_role("hookd");
	if (start(&h, fd, &e) || loop_run(h.loop, &e)) {
		log_event(LOG_ERROR, "hookd.failed", LOG_ERR(&e));
		return err_row(e.code)->exit;
	}
	hook_call_free(h.calls);
	ipc_free(h.core);
	ipc_free(h.main);
	loop_free(h.loop);
	arena_free(h.cfg_arena);
	return 0;
}
