#ifndef TEST_UNIT_STORE_DIR_H
#define TEST_UNIT_STORE_DIR_H
/*
 * A directory of its own for each test (setup and teardown of cmocka), an open store in
 * it where the test wants one, and a few shorthands.
 */
#include "../test.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/store.h"

struct dir {
	char root[64];
	char path[96]; /* the file under test */
	struct store *s;
	struct arena *a;
};

static int
dir_setup(void **state)
{
	struct dir *d = own_alloc(sizeof(*d));
	const char *tmp = getenv("TMPDIR");
	snprintf(d->root, sizeof(d->root), "%.40s/store-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(d->root));
	snprintf(d->path, sizeof(d->path), "%s/file", d->root);
	d->a = arena_new(1 << 20);
	*state = d;
	return 0;
}

static int
dir_teardown(void **state)
{
	struct dir *d = *state;
	store_close(d->s);
	arena_free(d->a);
	static const char *const made[] = {"file", "file-wal", "file-shm", "file-journal",
	    "file.lock", "copy", "copy-wal"};
	char path[128];
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", d->root, made[i]);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(d->root), 0);
	free(d);
	return 0;
}

__attribute__((unused)) static int
dir_setup_store(void **state)
{
	dir_setup(state);
	struct dir *d = *state;
	struct err e;
	d->s = store_open(d->path, &e);
	if (!d->s)
		fail_msg("%s", e.text);
	return 0;
}

/* Runs body in a child; what it returns is its exit status. A signal is 256 + its number.
 */
__attribute__((unused)) static int
dir_in_child(int (*body)(struct dir *d), struct dir *d)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(body(d));
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

#endif
