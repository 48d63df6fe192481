/*
 * Files. Whole ones are read and replaced; the one that only grows is in file_append.c.
 */
#include "io/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/rand.h"

/* --- reading --- */

static int
open_failed(const char *path, struct err *e)
{
	if (errno == ENOENT || errno == ENOTDIR)
		return err_sys(e, ERR_NOT_FOUND, "%s", path);
	if (errno == EACCES || errno == EPERM)
		return err_sys(e, ERR_PERM, "%s", path);
	return err_sys(e, ERR_IO, "%s", path);
}

/* Opens without waiting for a FIFO's writer; whatever is no regular file is refused. */
static int
open_regular(const char *path, int flags, struct stat *st, int *ret_fd, struct err *e)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
	if (fd < 0 && errno == ELOOP && (flags & O_NOFOLLOW))
		return err_set(
		    e, ERR_PERM, "%s: is a symbolic link; name the file itself", path);
	if (fd < 0 || fstat(fd, st))
		return open_failed(path, e);
	if (!S_ISREG(st->st_mode))
		return err_set(e, ERR_PERM, "%s: not a regular file", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int
read_all(int fd, const char *path, size_t hint, struct buf *out, struct err *e)
{
	size_t before = out->len;
	for (;;) {
		/* one byte more than the size said tells the end in one read more */
		size_t left = out->max - out->len;
		size_t want = hint + 1 > 4096 ? hint + 1 : 4096;
		if (want > left)
			want = left;
		uint8_t probe;
		uint8_t *room = want ? buf_room(out, want) : &probe;
		ssize_t n = read(fd, room, want ? want : 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			out->len = before;
			return err_sys(e, ERR_IO, "%s: read", path);
		}
		if (n == 0)
			return 0;
		if (!want) {
			out->len = before;
			return err_set(
			    e, ERR_LIMIT, "%s: larger than %zu bytes", path, out->max);
		}
		buf_grew(out, (size_t)n);
	}
}

int
file_read(const char *path, struct buf *out, struct err *e)
{
	struct stat st;
	auto_fd int fd = -1;
	if (open_regular(path, 0, &st, &fd, e))
		return -1;
	return read_all(fd, path, (size_t)st.st_size, out, e);
}

static int
check_secret(const char *path, const struct stat *st, struct err *e)
{
	uid_t me = geteuid();
	if (st->st_uid != me && st->st_uid != 0)
		return err_set(e, ERR_PERM,
		    "%s: belongs to user %u, not to %u: chown %u '%s'", path, st->st_uid,
		    me, me, path);
	if (st->st_mode & (S_IRWXG | S_IRWXO))
		return err_set(e, ERR_PERM,
		    "%s: mode %04o lets others at a secret: chmod 600 '%s'", path,
		    st->st_mode & 07777, path);
	return 0;
}

static int
open_secret(const char *path, struct stat *st, int *ret_fd, struct err *e)
{
	auto_fd int fd = -1;
	if (open_regular(path, O_NOFOLLOW, st, &fd, e) || check_secret(path, st, e))
		return -1;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int
file_read_secret(const char *path, struct buf *out, struct err *e)
{
	struct stat st;
	auto_fd int fd = -1;
	if (open_secret(path, &st, &fd, e))
		return -1;
	out->secret = true;
	return read_all(fd, path, (size_t)st.st_size, out, e);
}

int
file_check_secret(const char *path, struct err *e)
{
	struct stat st;
	auto_fd int fd = -1;
	return open_secret(path, &st, &fd, e);
}

bool
file_exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

/* --- writing --- */

int
file_sync_dir(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	struct span parent = span_of(path, slash ? (size_t)(slash - path) : 0);
	if (slash == path)
		parent = SPAN_LIT("/");
	if (!slash)
		parent = SPAN_LIT(".");
	if (!span_to_str(parent, dir, sizeof(dir)))
		return err_set(e, ERR_LIMIT, "%s: path too long", path);
	auto_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		return err_sys(e, ERR_IO, "%s: sync directory", dir);
	return 0;
}

static int
write_all(int fd, struct span data)
{
	while (data.len) {
		ssize_t n = write(fd, data.p, data.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data = span_skip(data, (size_t)n);
	}
	return 0;
}

#define TEMP_MAX PATH_MAX

/* A new file beside path, whole and on the disk; its name goes to temp. */
static int
write_temp(
    const char *path, struct span data, mode_t mode, char temp[TEMP_MAX], struct err *e)
{
	if (snprintf(temp, TEMP_MAX, "%s.%016" PRIx64 ".tmp", path, rand_u64()) >=
	    TEMP_MAX)
		return err_set(e, ERR_LIMIT, "%s: path too long", path);
	auto_fd int fd =
	    open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return open_failed(path, e);
	if (write_all(fd, data) == 0 && fchmod(fd, mode) == 0 && fsync(fd) == 0)
		return 0;
	err_sys(e, ERR_IO, "%s: write", path);
	unlink(temp);
	return -1;
}

int
file_write(const char *path, struct span data, mode_t mode, struct err *e)
{
	char temp[TEMP_MAX];
	if (write_temp(path, data, mode, temp, e))
		return -1;
	if (rename(temp, path)) {
		err_sys(e, ERR_IO, "%s: replace", path);
		unlink(temp);
		return -1;
	}
	return file_sync_dir(path, e);
}

int
file_write_new(const char *path, struct span data, mode_t mode, struct err *e)
{
	char temp[TEMP_MAX];
	if (write_temp(path, data, mode, temp, e))
		return -1;
	int failed = link(temp, path);
	if (failed && errno == EEXIST)
		err_set(e, ERR_EXISTS, "%s: exists already", path);
	else if (failed)
		err_sys(e, ERR_IO, "%s: create", path);
	unlink(temp);
	return failed ? -1 : file_sync_dir(path, e);
}

int
file_rename(const char *from, const char *to, struct err *e)
{
	if (rename(from, to))
		return err_sys(e, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO,
		    "%s: rename to %s", from, to);
	if (file_sync_dir(from, e))
		return -1;
	return file_sync_dir(to, e);
}

int
file_remove(const char *path, struct err *e)
{
	if (unlink(path) && errno != ENOENT)
		return err_sys(e, ERR_IO, "%s: remove", path);
	return file_sync_dir(path, e);
}

/* --- directories --- */

static int
make_dir(const char *path, mode_t mode, struct err *e)
{
	struct stat st;
	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode)
			   ? 0
			   : err_set(e, ERR_EXISTS, "%s: not a directory", path);
	/* chmod by hand: the umask must neither widen nor narrow it */
	if (mkdir(path, mode & 0700) && errno != EEXIST)
		return open_failed(path, e);
	if (chmod(path, mode))
		return err_sys(e, ERR_IO, "%s: set mode", path);
	return file_sync_dir(path, e);
}

int
file_mkdir(const char *path, mode_t mode, struct err *e)
{
	char part[PATH_MAX];
	size_t len = strlen(path);
	while (len > 1 && path[len - 1] == '/')
		len--;
	if (!len || !span_to_str(span_of(path, len), part, sizeof(part)))
		return err_set(
		    e, ERR_USAGE, "\"%s\": no usable path of a directory", path);
	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (make_dir(part, mode, e))
			return -1;
		*p = '/';
	}
	return make_dir(part, mode, e);
}

static int remove_entries(int dir, dev_t dev, const char *path, int depth, struct err *e);

static int
remove_entry(
    int dir, const char *name, dev_t dev, const char *path, int depth, struct err *e)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_sys(e, ERR_IO, "%s: remove %s", path, name);
	auto_fd int sub =
	    openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sub < 0 || remove_entries(sub, dev, path, depth + 1, e))
		return sub < 0 ? err_sys(e, ERR_IO, "%s: remove %s", path, name) : -1;
	if (unlinkat(dir, name, AT_REMOVEDIR))
		return err_sys(e, ERR_IO, "%s: remove %s", path, name);
	return 0;
}

static int
remove_entries(int dir, dev_t dev, const char *path, int depth, struct err *e)
{
	struct stat st;
	if (fstat(dir, &st))
		return err_sys(e, ERR_IO, "%s", path);
	if (st.st_dev != dev)
		return err_set(
		    e, ERR_PERM, "%s: another file system is mounted within", path);
	if (depth > 64)
		return err_set(e, ERR_LIMIT, "%s: directories nest too deep", path);
	int copy = fcntl(dir, F_DUPFD_CLOEXEC, 3);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	if (!d) {
		own_close(&copy);
		return err_sys(e, ERR_IO, "%s", path);
	}
	int ret = 0;
	for (struct dirent *it; !ret && (it = readdir(d));)
		if (strcmp(it->d_name, ".") != 0 && strcmp(it->d_name, "..") != 0)
			ret = remove_entry(dir, it->d_name, dev, path, depth, e);
	closedir(d);
	return ret;
}

int
file_remove_tree(const char *path, struct err *e)
{
	auto_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	struct stat st;
	if (fd < 0 || fstat(fd, &st))
		return open_failed(path, e);
	if (remove_entries(fd, st.st_dev, path, 0, e))
		return -1;
	if (rmdir(path))
		return err_sys(e, ERR_IO, "%s: remove", path);
	return file_sync_dir(path, e);
}

int
file_free_bytes(const char *path, uint64_t *ret, struct err *e)
{
	struct statvfs v;
	if (statvfs(path, &v))
		return open_failed(path, e);
	*ret = (uint64_t)v.f_bavail * v.f_frsize;
	return 0;
}

/* --- the lock --- */

static int
in_use(int fd, const char *path, struct err *e)
{
	char pid[16];
	ssize_t n = pread(fd, pid, sizeof(pid), 0);
	struct span holder = span_trim(span_of(pid, n > 0 ? (size_t)n : 0));
	if (!holder.len)
		holder = SPAN_LIT("(unknown)");
	return err_set(
	    e, ERR_EXISTS, "%s: in use by process %.*s", path, SPAN_FMT(holder));
}

int
file_lock(const char *path, int *ret_fd, struct err *e)
{
	auto_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return open_failed(path, e);
	if (flock(fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? in_use(fd, path, e)
					    : err_sys(e, ERR_IO, "%s: lock", path);
	char pid[16];
	int len = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) || pwrite(fd, pid, (size_t)len, 0) != len)
		return err_sys(e, ERR_IO, "%s: write", path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}
