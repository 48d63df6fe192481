/*
 * The issuance journal's file: opening, appending, verifying. Lines are journal_line.c's.
 */
#include "store/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "store/journal_line.h"

#define PENDING_MAX (4 << 20)
#define CHUNK       (64 << 10)

struct journal {
	struct file_append *file;
	int lock_fd;
	struct journal_chain chain; /* with what waits in pending */
	struct buf pending;
	bool broken, was_cut;
};

struct walk {
	struct journal_chain chain;
	uint64_t whole; /* bytes of whole lines */
	bool half;      /* bytes follow that no newline ends */
	struct arena *a;
	int (*visit)(void *ctx, const struct journal_entry *en, struct err *e);
	void *ctx;
};

static int
walk_line(struct walk *w, struct span line, struct err *e)
{
	struct journal_entry en;
	arena_reset(w->a);
	if (journal_line_parse(line, &w->chain, w->a, &en, e))
		return err_wrap(e, "line %lld", (long long)w->chain.count + 1);
	w->whole += line.len + 1;
	return w->visit ? w->visit(w->ctx, &en, e) : 0;
}

/* Takes the whole lines out of in. */
static int
walk_lines(struct walk *w, struct buf *in, struct err *e)
{
	struct span rest = buf_span(in);
	for (size_t n; (n = span_find(rest, '\n')) < rest.len;
	     rest = span_skip(rest, n + 1)) {
		int r = walk_line(w, span_head(rest, n), e);
		if (r)
			return r;
	}
	if (rest.len > JOURNAL_LINE_MAX)
		return err_set(e, ERR_CORRUPT, "line %lld: longer than %d bytes",
		    (long long)w->chain.count + 1, JOURNAL_LINE_MAX);
	buf_drop(in, in->len - rest.len);
	return 0;
}

static int
walk_fd(struct walk *w, int fd, struct err *e)
{
	auto_buf in = BUF_INIT(JOURNAL_LINE_MAX + CHUNK);
	for (;;) {
		uint8_t *room = buf_room(&in, CHUNK);
		ssize_t n = read(fd, room, CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_IO, "read");
		if (n == 0)
			break;
		buf_grew(&in, (size_t)n);
		int r = walk_lines(w, &in, e);
		if (r)
			return r;
	}
	w->half = in.len > 0;
	return 0;
}

static int
walk_file(struct walk *w, const char *path, struct err *e)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	if (fd < 0 || fstat(fd, &st))
		return err_sys(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_IO, "%s: not a regular file", path);
	auto_(arena_free) struct arena *a = arena_new(JOURNAL_LINE_ARENA);
	w->a = a;
	w->chain = JOURNAL_CHAIN_START;
	int r = walk_fd(w, fd, e);
	if (r < 0)
		err_wrap(e, "journal %s", path);
	return r;
}

int
journal_verify(const char *path,
    int (*visit)(void *ctx, const struct journal_entry *en, struct err *e), void *ctx,
    int64_t *ret_count, char ret_head[65], struct err *e)
{
	struct walk w = {.visit = visit, .ctx = ctx};
	int r = walk_file(&w, path, e);
	if (r)
		return r;
	if (w.half)
		return err_set(e, ERR_CORRUPT,
		    "journal %s: line %lld: only half of it is there (after a power cut "
		    "the "
		    "signer's next start cuts it off)",
		    path, (long long)w.chain.count + 1);
	*ret_count = w.chain.count;
	memcpy(ret_head, w.chain.head, sizeof(w.chain.head));
	return 0;
}

/* Two writers would each continue the chain from the same line. */
static int
lock(struct journal *j, const char *path, struct err *e)
{
	char lock_path[PATH_MAX];
	int n = snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
	if (n < 0 || (size_t)n >= sizeof(lock_path))
		return err_set(
		    e, ERR_LIMIT, "journal: path longer than %d bytes", PATH_MAX);
	struct err why;
	if (file_lock(lock_path, &j->lock_fd, &why) == 0)
		return 0;
	if (why.code == ERR_EXISTS)
		why.code = ERR_BUSY;
	return err_copy(e, &why);
}

static int
open_file(struct journal *j, const char *path, struct err *e)
{
	struct walk w = {0};
	if (lock(j, path, e) || file_append_open(path, 0600, &j->file, NULL, e) ||
	    file_check_secret(path, e) || walk_file(&w, path, e))
		return -1;
	if (w.half && file_append_cut(j->file, w.whole, e))
		return -1;
	j->was_cut = w.half;
	j->chain = w.chain;
	return 0;
}

struct journal *
journal_open(const char *path, struct err *e)
{
	auto_(journal_close) struct journal *j = own_alloc(sizeof(*j));
	j->lock_fd = -1;
	j->pending = BUF_INIT(PENDING_MAX);
	if (open_file(j, path, e))
		return NULL;
	return TAKE(j);
}

void
journal_close(struct journal *j)
{
	if (!j)
		return;
	file_append_close(j->file);
	own_close(&j->lock_fd);
	buf_done(&j->pending);
	free(j);
}

static int
refuse(struct err *e)
{
	return err_set(
	    e, ERR_IO, "journal: refuses everything since a write or sync failed");
}

int
journal_append(struct journal *j, const struct journal_entry *en, struct err *e)
{
	if (j->broken)
		return refuse(e);
	return journal_line_write(&j->pending, &j->chain, en, e);
}

int
journal_sync(struct journal *j, struct err *e)
{
	if (j->broken)
		return refuse(e);
	if (!j->pending.len)
		return 0;
	if (file_append(j->file, buf_span(&j->pending), e) ||
	    file_append_sync(j->file, e)) {
		j->broken = true;
		return err_wrap(e, "journal");
	}
	buf_reset(&j->pending);
	return 0;
}

int64_t
journal_count(const struct journal *j)
{
	return j->chain.count;
}

const char *
journal_head(const struct journal *j)
{
	return j->chain.head;
}

bool
journal_was_cut(const struct journal *j)
{
	return j->was_cut;
}
