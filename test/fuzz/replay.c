/*
 * Runs a fuzz target without a fuzzer, so that every build with any compiler replays the
 * corpus: each file as it is, then mutations of them that are the same in every run. What
 * broke it is printed as hex, ready for a new corpus file (xxd -r -p).
 */
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define MUTATIONS 20000
#define INPUT_MAX 16384
#define SEEDS_MAX 256

struct input {
	uint8_t *p;
	size_t len;
};

static struct input seeds[SEEDS_MAX];
static size_t n_seeds;
static struct input current;
static long round_no = -1;

/* Sanitizers call this before they end the process. */
void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

static void
on_death(void)
{
	fprintf(
	    stderr, "replay: input of round %ld, %zu bytes:\n", round_no, current.len);
	for (size_t i = 0; i < current.len; i++)
		fprintf(stderr, "%02x", current.p[i]);
	fputc('\n', stderr);
}

static void
on_abort(int sig)
{
	on_death();
	signal(sig, SIG_DFL);
	raise(sig);
}

/* xorshift64*: the same everywhere. */
static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

static size_t
below(size_t n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return n ? (size_t)((state * UINT64_C(0x2545f4914f6cdd1d)) >> 33) % n : 0;
}

static void
insert(struct input *in, size_t at, const uint8_t *p, size_t n)
{
	if (in->len + n > INPUT_MAX)
		return;
	memmove(in->p + at + n, in->p + at, in->len - at);
	memcpy(in->p + at, p, n);
	in->len += n;
}

static void delete (struct input *in, size_t at, size_t n)
{
	memmove(in->p + at, in->p + at + n, in->len - at - n);
	in->len -= n;
}

/* Bytes that mean something in one of our formats. */
static const char spice[] =
    "\0\xff\x7f\x80%/&=?#+$\"'\\{}[]:;,-._\r\n\t 09azAZ\xc3\xa9\x30\x82";

static void
mutate(struct input *in)
{
	static uint8_t copy[64];
	size_t at = below(in->len + 1), room = in->len - at;
	const struct input *other = &seeds[below(n_seeds)];
	size_t from = below(other->len), n;
	switch (below(7)) {
	case 0:
		if (room)
			in->p[at] ^= (uint8_t)(1 << below(8));
		return;
	case 1:
		if (room)
			in->p[at] = (uint8_t)below(256);
		return;
	case 2:
		if (room)
			in->p[at] = (uint8_t)spice[below(sizeof(spice))];
		return;
	case 3:
		copy[0] = (uint8_t)spice[below(sizeof(spice))];
		insert(in, at, copy, 1);
		return;
	case 4:
		delete (in, at, below(room < 16 ? room + 1 : 16));
		return;
	case 5: /* again what stands here */
		n = room < sizeof(copy) ? room : sizeof(copy);
		memcpy(copy, in->p + at, n);
		insert(in, at, copy, below(n + 1));
		return;
	case 6: /* a piece of another seed */
		n = other->len - from < sizeof(copy) ? other->len - from : sizeof(copy);
		insert(in, at, other->p + from, below(n + 1));
		return;
	}
}

/* A copy of exactly its size, so that a sanitizer sees a read past the end. */
static void
run(const uint8_t *p, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	if (!exact)
		abort();
	if (len)
		memcpy(exact, p, len);
	current = (struct input){exact, len};
	LLVMFuzzerTestOneInput(exact, len);
	current = (struct input){0}; /* what ends the process now was none of its doing */
	free(exact);
}

static void
load(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f || n_seeds == SEEDS_MAX) {
		fprintf(stderr, "replay: cannot take %s\n", path);
		exit(1);
	}
	struct input *in = &seeds[n_seeds++];
	in->p = malloc(INPUT_MAX);
	if (!in->p)
		abort();
	in->len = fread(in->p, 1, INPUT_MAX, f);
	fclose(f);
}

static int
is_seed(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void
load_dir(const char *dir)
{
	struct dirent **names;
	int n = scandir(dir, &names, is_seed, alphasort);
	for (int i = 0; i < n; i++) {
		char path[4096];
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]->d_name);
		load(path);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		load_dir(argv[i]);
	if (n_seeds == 0) {
		fprintf(stderr, "usage: %s CORPUS...: no corpus files found\n", argv[0]);
		return 2;
	}
	signal(SIGABRT, on_abort);
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(on_death);
	run(NULL, 0);
	for (size_t i = 0; i < n_seeds; i++)
		run(seeds[i].p, seeds[i].len);
	static uint8_t bytes[INPUT_MAX];
	for (round_no = 0; round_no < MUTATIONS; round_no++) {
		const struct input *seed = &seeds[below(n_seeds)];
		struct input in = {bytes, seed->len};
		memcpy(bytes, seed->p, seed->len);
		for (size_t times = 1 + below(8); times; times--)
			mutate(&in);
		run(in.p, in.len);
	}
	for (size_t i = 0; i < n_seeds; i++)
		free(seeds[i].p);
	printf("%zu seeds, %d mutations\n", n_seeds, MUTATIONS);
	return 0;
}
