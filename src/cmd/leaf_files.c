/*
 * Keys and certificates of devices as files.
 */
#include "cmd/leaf_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/cert.h"
#include "io/file.h"

#define NAME_SIZE 200

static const char *const endings[] = {".key", ".pem", "-fullchain.pem"};

int
leaf_files_open(const char *dir, struct leaf_files *ret, struct err *e)
{
	if (file_mkdir(dir, 0700, e))
		return -1;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, ERR_IO, "%s", dir);
	*ret = (struct leaf_files){dir, fd};
	return 0;
}

void
leaf_files_close(struct leaf_files *f)
{
	own_close(&f->fd);
}

static void
name_of(struct span id, const char *ending, char out[NAME_SIZE])
{
	snprintf(out, NAME_SIZE, "%.*s%s", SPAN_FMT(id), ending);
}

bool
leaf_files_has(const struct leaf_files *f, struct span id)
{
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		char name[NAME_SIZE];
		struct stat st;
		name_of(id, endings[i], name);
		if (fstatat(f->fd, name, &st, AT_SYMLINK_NOFOLLOW) || st.st_size == 0 ||
		    !S_ISREG(st.st_mode))
			return false;
	}
	return true;
}

static int
create(const struct leaf_files *f, const char *name, mode_t mode)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	int fd = openat(f->fd, name, flags, mode);
	if (fd >= 0 || errno != EEXIST)
		return fd;
	if (unlinkat(f->fd, name, 0) && errno != ENOENT)
		return -1;
	return openat(f->fd, name, flags, mode);
}

static int
put_file(const struct leaf_files *f, struct span id, const char *ending, struct span text,
    mode_t mode, struct err *e)
{
	char name[NAME_SIZE];
	name_of(id, ending, name);
	auto_fd int fd = create(f, name, mode);
	if (fd < 0)
		return err_sys(e, ERR_IO, "%s/%s", f->dir, name);
	while (text.len) {
		ssize_t n = write(fd, text.p, text.len);
		if (n < 0)
			return err_sys(e, ERR_IO, "%s/%s", f->dir, name);
		text = span_skip(text, (size_t)n);
	}
	return 0;
}

int
leaf_files_put(const struct leaf_files *f, struct span id, struct span key_pem,
    struct span leaf, struct span issuer, struct err *e)
{
	auto_buf pem = BUF_INIT(4 * CERT_MAX);
	cert_write_pem(leaf, &pem);
	size_t leaf_len = pem.len;
	cert_write_pem(issuer, &pem);
	if (buf_check(&pem, "chain", e) || put_file(f, id, ".key", key_pem, 0600, e) ||
	    put_file(f, id, ".pem", span_head(buf_span(&pem), leaf_len), 0644, e))
		return -1;
	return put_file(f, id, "-fullchain.pem", buf_span(&pem), 0644, e);
}

int
leaf_files_sync(const struct leaf_files *f, struct err *e)
{
	return syncfs(f->fd) ? err_sys(e, ERR_IO, "%s", f->dir) : 0;
}
