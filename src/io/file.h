#ifndef IO_FILE_H
#define IO_FILE_H
/*
 * Files, written so that a power cut leaves the old or the new, never a half. Every error
 * names the path; a full disk is always ERR_FULL. Modes are exact, whatever the umask.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

/* Appends the whole of a regular file to out, up to out's cap. ERR_NOT_FOUND, ERR_LIMIT.
 */
must_check int file_read(const char *path, struct buf *out, struct err *e);
/* As file_read for what nobody else may read: a symbolic link, a foreign owner or any
 * group or world bit is ERR_PERM, and the text is the chmod that cures it. Marks out
 * secret. */
must_check int file_read_secret(const char *path, struct buf *out, struct err *e);
/* The check of file_read_secret alone. */
must_check int file_check_secret(const char *path, struct err *e);
bool file_exists(const char *path);

/* Replaces path: temporary file beside it, fsync, rename, fsync of the directory. */
must_check int file_write(const char *path, struct span data, mode_t mode, struct err *e);
/* As file_write, but ERR_EXISTS (and path untouched) when path is there. */
must_check int file_write_new(
    const char *path, struct span data, mode_t mode, struct err *e);
/* Renames within a file system, durably. */
must_check int file_rename(const char *from, const char *to, struct err *e);
/* Removes a file, durably; absent is success. */
must_check int file_remove(const char *path, struct err *e);
/* fsync of the directory that path is in: makes its creation, renaming or removal
 * durable. */
must_check int file_sync_dir(const char *path, struct err *e);

/* mkdir -p. A directory that has to be made gets mode, others keep their own. */
must_check int file_mkdir(const char *path, mode_t mode, struct err *e);
/* rm -rf that follows no link and stays on the file system; absent is success. */
must_check int file_remove_tree(const char *path, struct err *e);
/* Bytes that this process may still write where path is. */
must_check int file_free_bytes(const char *path, uint64_t *ret, struct err *e);

/* A file that only grows (journals, logs). Opened before the jail, used within it. */
struct file_append;
/* Made with mode when absent (then its directory is fsynced too). *ret_len, NULL allowed,
 * is the length found. */
must_check int file_append_open(const char *path, mode_t mode, struct file_append **ret,
    uint64_t *ret_len, struct err *e);
/* All of data or, after cutting back to where it began, nothing. Not durable before
 * file_append_sync. */
must_check int file_append(struct file_append *f, struct span data, struct err *e);
/* fdatasync. A failure means that what was appended since the last sync may be lost, and
 * that a later success would prove nothing: the handle refuses everything from then. */
must_check int file_append_sync(struct file_append *f, struct err *e);
/* Cuts the file to len bytes (a torn last record, found on opening) and syncs. */
must_check int file_append_cut(struct file_append *f, uint64_t len, struct err *e);
void file_append_close(struct file_append *f);
own_define(struct file_append, file_append_close);

/* Takes the lock file at path (mode 0600, our process ID in it). Held until *ret_fd is
 * closed or the process ends. ERR_EXISTS "... in use by process N". */
must_check int file_lock(const char *path, int *ret_fd, struct err *e);

#endif
