/*
 * Calls that change files, through the linker's --wrap.
 */
#include "cut.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

int __real_open(const char *path, int flags, ...);
ssize_t __real_write(int fd, const void *p, size_t n);
int __real_rename(const char *a, const char *b);
int __real_link(const char *a, const char *b);
int __real_unlink(const char *path);
int __real_unlinkat(int dir, const char *path, int flags);
int __real_mkdir(const char *path, mode_t mode);
int __real_rmdir(const char *path);
int __real_fchmod(int fd, mode_t mode);
int __real_ftruncate(int fd, off_t len);

int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
ssize_t __wrap_write(int fd, const void *p, size_t n);
int __wrap_rename(const char *a, const char *b);
int __wrap_link(const char *a, const char *b);
int __wrap_unlink(const char *path);
int __wrap_unlinkat(int dir, const char *path, int flags);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_rmdir(const char *path);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_ftruncate(int fd, off_t len);
int __wrap_ftruncate64(int fd, off_t len);

static int left = -1; /* changes that still work; -1: all */
static bool paused;

void
cut_at(int n)
{
	left = n - 1;
}

bool
cut_happened(void)
{
	return left == 0;
}

bool
cut_end(void)
{
	bool was = cut_happened();
	left = -1;
	return was;
}

void
cut_pause(bool on)
{
	paused = on;
}

/* Counts a change; true where it may be made. */
static bool
has_power(void)
{
	if (paused || left < 0)
		return true;
	if (left > 0) {
		left--;
		return true;
	}
	errno = EIO;
	return false;
}

static int
open_if_powered(const char *path, int flags, mode_t mode)
{
	bool reads = (flags & O_ACCMODE) == O_RDONLY && !(flags & O_CREAT);
	return reads || has_power() ? __real_open(path, flags, mode) : -1;
}

int
__wrap_open(const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return open_if_powered(path, flags, mode);
}

/* The same where files may be large. */
int
__wrap_open64(const char *path, int flags, ...)
{
	va_list ap;
	va_start(ap, flags);
	mode_t mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return open_if_powered(path, flags | O_LARGEFILE, mode);
}

ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	return has_power() ? __real_write(fd, p, n) : -1;
}

int
__wrap_rename(const char *a, const char *b)
{
	return has_power() ? __real_rename(a, b) : -1;
}

int
__wrap_link(const char *a, const char *b)
{
	return has_power() ? __real_link(a, b) : -1;
}

int
__wrap_unlink(const char *path)
{
	return has_power() ? __real_unlink(path) : -1;
}

int
__wrap_unlinkat(int dir, const char *path, int flags)
{
	return has_power() ? __real_unlinkat(dir, path, flags) : -1;
}

int
__wrap_mkdir(const char *path, mode_t mode)
{
	return has_power() ? __real_mkdir(path, mode) : -1;
}

int
__wrap_rmdir(const char *path)
{
	return has_power() ? __real_rmdir(path) : -1;
}

int
__wrap_fchmod(int fd, mode_t mode)
{
	return has_power() ? __real_fchmod(fd, mode) : -1;
}

int
__wrap_ftruncate(int fd, off_t len)
{
	return has_power() ? __real_ftruncate(fd, len) : -1;
}

int
__wrap_ftruncate64(int fd, off_t len)
{
	return __wrap_ftruncate(fd, len);
}

/* Ours before the C library's, for SQLite as well. */
int
fsync(int fd)
{
	(void)fd;
	return 0;
}

int
fdatasync(int fd)
{
	(void)fd;
	return 0;
}
