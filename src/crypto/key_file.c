/*
 * Keys in files, and the reading of files that hold a secret. io/file.h is a layer above.
 */
#include "crypto/key_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rand.h"

/* --- reading --- */

static int
check_secret_file(int fd, const char *path, struct err *e)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_sys(e, ERR_IO, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_PERM, "%s: no regular file", path);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(e, ERR_PERM,
		    "%s: belongs to user %u; what holds a private key or a PIN must be "
		    "your own",
		    path, (unsigned)st.st_uid);
	if (st.st_mode & 077)
		return err_set(e, ERR_PERM,
		    "%s: mode %03o lets others at a private key or a PIN; chmod 600 %s",
		    path, (unsigned)st.st_mode & 0777, path);
	return 0;
}

static int
read_all(int fd, const char *path, struct buf *out, struct err *e)
{
	for (;;) {
		uint8_t *room = buf_room(out, 1024);
		if (!room)
			return buf_check(out, path, e);
		ssize_t n = read(fd, room, 1024);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_IO, "%s", path);
		if (n == 0)
			return 0;
		buf_grew(out, (size_t)n);
	}
}

static enum err_code
open_code(void)
{
	if (errno == ENOENT || errno == ENOTDIR)
		return ERR_NOT_FOUND;
	return errno == EACCES || errno == EPERM ? ERR_PERM : ERR_IO;
}

int
key_file_read(const char *path, struct buf *out, struct err *e)
{
	out->secret = true;
	/* without O_NONBLOCK a FIFO in the file's place would hang us before fstat */
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(e, open_code(), "%s", path);
	return check_secret_file(fd, path, e) ? -1 : read_all(fd, path, out, e);
}

static struct key *
open_file(const struct key_uri *u, key_passphrase ask, void *arg, struct err *e)
{
	auto_buf pem = BUF_INIT(KEY_PEM_MAX + 1024);
	if (key_file_read(u->path, &pem, e)) {
		err_wrap(e, "private key");
		return NULL;
	}
	return key_parse(buf_span(&pem), ask, arg, u->path, e);
}

/* --- making --- */

static int
sync_dir(const char *path, struct err *e)
{
	char dir[KEY_URI_PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) + 1 : 0; /* with the slash */
	memcpy(dir, len ? path : ".", len ? len : 1);
	dir[len ? len : 1] = 0;
	auto_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) ? err_sys(e, ERR_IO, "%s: fsync", dir) : 0;
}

static int
write_all(int fd, struct span s)
{
	while (s.len) {
		ssize_t n = write(fd, s.p, s.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		s = span_skip(s, (size_t)n);
	}
	return fsync(fd);
}

/* A link fails where path exists, a rename would not, and neither leaves half a key. */
static int
write_new(const char *path, struct span pem, struct err *e)
{
	char temp[KEY_URI_PATH_MAX + 32];
	snprintf(temp, sizeof(temp), "%s.%016llx", path, (unsigned long long)rand_u64());
	auto_fd int fd =
	    open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, open_code(), "%s: create", path);
	int rc = 0;
	if (fchmod(fd, 0600) || write_all(fd, pem))
		rc = err_sys(e, ERR_IO, "%s: write", path);
	else if (link(temp, path))
		rc = err_sys(e, errno == EEXIST ? ERR_EXISTS : ERR_IO, "%s", path);
	unlink(temp);
	return rc ? rc : sync_dir(path, e);
}

static struct key *
create(const struct key_uri *u, enum key_alg alg, struct err *e)
{
	auto_buf pem = BUF_INIT(KEY_PEM_MAX);
	pem.secret = true;
	/* said before an RSA key is made, and once more by link() */
	if (access(u->path, F_OK) == 0) {
		err_set(e, ERR_EXISTS, "%s: exists already", u->path);
		return NULL;
	}
	auto_(key_free) struct key *k = key_generate(alg, e);
	if (!k || key_write(k, &pem, e) || write_new(u->path, buf_span(&pem), e))
		return NULL;
	return TAKE(k);
}

/* --- the rest --- */

/* Only what reads as a key of one's own is removed: a wrong name costs no other file. */
static int
remove_file(const struct key_uri *u, struct err *e)
{
	auto_buf pem = BUF_INIT(KEY_PEM_MAX + 1024);
	if (key_file_read(u->path, &pem, e))
		return -1;
	if (!strstr(buf_text(&pem), "PRIVATE KEY-----"))
		return err_set(e, ERR_PARSE, "%s: holds no private key in PEM", u->path);
	if (unlink(u->path))
		return err_sys(e, ERR_IO, "%s: remove", u->path);
	return sync_dir(u->path, e);
}

static int
each(const struct key_uri *u, key_visit visit, void *arg, struct err *e)
{
	auto_buf uri = BUF_INIT(KEY_URI_MAX);
	auto_(key_free) struct key *k = open_file(u, NULL, NULL, e);
	if (!k)
		return -1;
	key_uri_write(u, &uri);
	struct key_found f = {.uri = buf_text(&uri),
	    .label = "",
	    .alg = key_alg_name(k->alg),
	    .exportable = true};
	return visit(arg, &f, e);
}

static int
no_cert(const struct key_uri *u, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED,
	    "%s: a key file has no place for a certificate; keep it in a file of its own",
	    u->path);
}

static int
cert_put(const struct key_uri *u, struct span der, struct err *e)
{
	(void)der;
	return no_cert(u, e);
}

static int
cert_get(const struct key_uri *u, struct buf *out, struct err *e)
{
	(void)out;
	return no_cert(u, e);
}

static void
doctor(const struct key_uri *u, struct key_doctor *d)
{
	struct err e;
	auto_buf pem = BUF_INIT(KEY_PEM_MAX + 1024);
	if (key_file_read(u->path, &pem, &e)) {
		key_doctor_failed(d, &e);
		return;
	}
	key_doctor_say(d, KEY_FINE, "", "%s: only you and root can read it", u->path);
}

const struct key_place key_file_place = {
    .open = open_file,
    .create = create,
    .remove = remove_file,
    .each = each,
    .cert_put = cert_put,
    .cert_get = cert_get,
    .doctor = doctor,
};
