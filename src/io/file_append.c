/*
 * The file that only grows. A record is there whole or not at all; durable after a sync;
 * and after a failed sync nothing is believed any more, since the kernel may have dropped
 * the dirty pages and call the next sync a success.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"

struct file_append {
	int fd;
	uint64_t len;
	bool broken;
	char *path;
};

int
file_append_open(const char *path, mode_t mode, struct file_append **ret,
    uint64_t *ret_len, struct err *e)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	auto_fd int fd = open(path, flags);
	bool is_new = fd < 0 && errno == ENOENT;
	if (is_new)
		fd = open(path, flags | O_CREAT | O_EXCL, 0600);
	struct stat st;
	if (fd < 0 || fstat(fd, &st))
		return err_sys(e, ERR_IO, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_PERM, "%s: not a regular file", path);
	if (is_new && (fchmod(fd, mode) || fsync(fd)))
		return err_sys(e, ERR_IO, "%s: create", path);
	if (is_new && file_sync_dir(path, e))
		return -1;
	struct file_append *f = own_alloc(sizeof(*f));
	f->fd = TAKE_FD(fd);
	f->len = (uint64_t)st.st_size;
	f->path = own_strdup(path);
	if (ret_len)
		*ret_len = f->len;
	*ret = f;
	return 0;
}

static int
refuse(const struct file_append *f, struct err *e)
{
	return err_set(e, ERR_IO, "%s: not written since an earlier failure", f->path);
}

int
file_append(struct file_append *f, struct span data, struct err *e)
{
	if (f->broken)
		return refuse(f, e);
	uint64_t at = f->len;
	while (data.len) {
		ssize_t n = pwrite(f->fd, data.p, data.len, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_sys(e, ERR_IO, "%s: append", f->path);
			f->broken = ftruncate(f->fd, (off_t)f->len) != 0;
			return -1;
		}
		at += (uint64_t)n;
		data = span_skip(data, (size_t)n);
	}
	f->len = at;
	return 0;
}

int
file_append_sync(struct file_append *f, struct err *e)
{
	if (f->broken)
		return refuse(f, e);
	if (fdatasync(f->fd) == 0)
		return 0;
	f->broken = true;
	return err_sys(e, ERR_IO, "%s: sync", f->path);
}

int
file_append_cut(struct file_append *f, uint64_t len, struct err *e)
{
	if (f->broken)
		return refuse(f, e);
	if (len > f->len)
		return err_set(e, ERR_INTERNAL, "%s: cut beyond its end", f->path);
	if (ftruncate(f->fd, (off_t)len))
		return err_sys(e, ERR_IO, "%s: cut", f->path);
	f->len = len;
	return file_append_sync(f, e);
}

void
file_append_close(struct file_append *f)
{
	if (!f)
		return;
	close(f->fd);
	free(f->path);
	free(f);
}
