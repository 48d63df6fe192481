/*
 * Messages of file uploads, and the account they go to. The account's key is read at the
 * start and leaves this process only as signatures.
 */
#include "role/core_upload.h"

#include <stdio.h>

#include "base/log.h"
#include "domain/hub/upload.h"
#include "io/file.h"
#include "role/core.h"

#define KEY_FILE_MAX 4096
#define TRIM_MS      60000

struct core_upload {
	struct upload_account account;
	bool is_configured;
	int64_t trim_ms; /* when what is too old goes next */
};

/* ---- the account ----------------------------------------------------------------------
 */

static int
read_account(struct core *c, struct upload_account *ret, struct err *e)
{
	char path[8192];
	const char *name = c->cfg.hub.upload_key_file;
	auto_buf text = BUF_INIT(KEY_FILE_MAX);
	snprintf(path, sizeof(path), name[0] == '/' ? "%s%s" : "%s/%s",
	    name[0] == '/' ? "" : c->home, name);
	if (file_read_secret(path, &text, e))
		return err_wrap(e, "hub.upload_key_file");
	return upload_account_parse(&c->cfg, buf_span(&text), ret, e);
}

struct core_upload *
core_upload_new(struct core *c, struct err *e)
{
	struct core_upload *u = own_alloc(sizeof(*u));
	u->is_configured = c->cfg.hub.upload_container[0] != '\0';
	if (!u->is_configured || !read_account(c, &u->account, e))
		return u;
	core_upload_free(u);
	return NULL;
}

void
core_upload_free(struct core_upload *u)
{
	if (!u)
		return;
	blob_key_wipe(&u->account.key);
	free(u);
}

static const struct upload_account *
account_of(const struct core *c)
{
	return c->uploads->is_configured ? &c->uploads->account : NULL;
}

int
core_upload_trim(struct core *c, struct err *e)
{
	int64_t now = loop_now_ms(c->loop);
	if (now < c->uploads->trim_ms)
		return 0;
	c->uploads->trim_ms = now + TRIM_MS;
	return upload_trim(&c->d, e);
}

/* ---- devices --------------------------------------------------------------------------
 */

/* Who was let in is told what is wrong with the request. */
static int
answer_refused(
    struct core *c, const struct ask *a, const struct refusal *no, struct err *e)
{
	return core_refused(c, a, no, refusal_row(no->code)->hub, e);
}

static int
on_upload_start(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_upload_start *m = msg;
	struct session s;
	struct ipc_upload up;
	struct refusal no;
	bool ok;
	if (core_admit(c, a, msg, &s, &ok, e))
		return -1;
	if (!ok)
		return 0;
	if (upload_start(&c->d, account_of(c), s.device_id, m->blob, &up, &no, e))
		return -1;
	if (no.code != REFUSAL_NONE)
		return answer_refused(c, a, &no, e);
	if (core_answer(c, a, IPC_UPLOAD, &up, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
on_upload_end(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_upload_end *m = msg;
	struct session s;
	struct refusal no;
	bool ok;
	if (core_admit(c, a, msg, &s, &ok, e))
		return -1;
	if (!ok)
		return 0;
	if (upload_end(&c->d, s.device_id, m->id, m->succeeded, &no, e))
		return -1;
	if (no.code != REFUSAL_NONE)
		return answer_refused(c, a, &no, e);
	log_event(LOG_INFO, "core.upload", LOG_STR("device", s.device_id),
	    LOG_STR("ended", m->succeeded ? "well" : "badly"),
	    LOG_INT("status", m->status), LOG_SPAN("text", m->text));
	return core_done(c, a, "", 0, e);
}

/* ---- services -------------------------------------------------------------------------
 */

static int
on_notice_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct ipc_notice n;
	(void)msg;
	if (upload_take_notice(&c->d, account_of(c), &n, e))
		return e->code == ERR_NOT_FOUND ? core_done(c, a, "", 0, e) : -1;
	return core_answer(c, a, IPC_NOTICE, &n, e) ? -1 : core_done(c, a, "", 1, e);
}

static int
on_notice_end(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_notice_end *m = msg;
	struct refusal no;
	if (upload_end_notice(&c->d, m->lock, m->release, &no, e))
		return -1;
	if (no.code != REFUSAL_NONE)
		return answer_refused(c, a, &no, e);
	return core_done(c, a, "", 0, e);
}

core_handler *
core_upload_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_UPLOAD_START] = on_upload_start,
	    [IPC_UPLOAD_END] = on_upload_end,
	    [IPC_NOTICE_GET] = on_notice_get,
	    [IPC_NOTICE_END] = on_notice_end,
	};
	return handlers[type];
}
