/*
 * Runs a fuzz target once over every file of some directories: the fuzz corpora of other
 * projects, too many for the mutations that test/fuzz/replay.c makes of ours.
 *
 * usage: vec-corpora-TARGET DIRECTORY...
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

#define FILES_MAX 5000 /* of all directories: the test ends within seconds */
#define INPUT_MAX (1 << 20)

static char current[4096]; /* for who reads the sanitizer's report */

/* A copy of exactly its size, so that a sanitizer sees a read past the end. */
static void
run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *p = malloc(INPUT_MAX);
	if (!f || !p) {
		fprintf(stderr, "cannot read %s\n", path);
		exit(1);
	}
	size_t n = fread(p, 1, INPUT_MAX, f);
	fclose(f);
	uint8_t *exact = realloc(p, n ? n : 1);
	if (!exact)
		abort();
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
}

static int
is_input(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static long
run_dir(const char *dir, long most)
{
	struct dirent **names;
	int n = scandir(dir, &names, is_input, alphasort);
	if (n < 0) {
		fprintf(stderr, "cannot list %s\n", dir);
		exit(1);
	}
	for (int i = 0; i < n; i++) {
		snprintf(current, sizeof(current), "%s/%s", dir, names[i]->d_name);
		if (i < most)
			run_file(current);
		free(names[i]);
	}
	free(names);
	return n < most ? n : most;
}

int
main(int argc, char **argv)
{
	long n = 0;
	for (int i = 1; i < argc; i++)
		n += run_dir(argv[i], FILES_MAX - n);
	printf("%ld inputs\n", n);
	return n ? 0 : 1;
}
