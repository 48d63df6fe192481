/*
 * muster issue: keys and certificates for a list of devices, all in one go (the
 * tutorial's step 3). Keys are made on this machine, which is meant for labs and
 * factories; a fleet in the field makes its keys on the devices (muster migrate).
 *
 * Work goes in batches through three stages at once: while the signer signs one batch,
 * all CPUs make the keys of the next and write the files of the one before. A device
 * whose three files are whole is done; a second run makes only the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/num.h"
#include "cmd/cmd.h"
#include "cmd/home.h"
#include "cmd/opt.h"
#include "cmd/parallel.h"
#include "codec/id.h"
#include "codec/spki.h"
#include "crypto/cert.h"
#include "crypto/key.h"
#include "crypto/profile.h"
#include "io/file.h"
#include "role/signer_client.h"

#define LIST_MAX     (256u << 20) /* bytes of a device list */
#define BATCH        1024
#define BATCH_RSA    256 /* 10 s of work on two CPUs: what a kill costs at most */
#define ERRORS_SHOWN 10

struct device {
	struct span id;
	size_t line;
	UT_hash_handle hh;
};

/* One device under way. */
struct slot {
	struct span id;
	struct buf key, spki, cert; /* PEM, DER, DER */
	struct err why;
	bool failed;
};

struct batch {
	struct slot slots[BATCH];
	size_t n;
};

enum stage { STAGE_KEYS, STAGE_SIGN, STAGE_FILES, STAGES };

struct issue {
	const char *home_opt, *devices, *out, *key_name, *life;
	struct home home;
	enum key_alg alg;
	int64_t life_ms;
	struct buf list, folded;
	struct device *rows, *by_id;
	size_t n, done, skipped, failed;
	int out_fd;
	struct buf issuer_pem;
	struct signer_client *signer;
	size_t next, batch_max; /* next row to take */
	struct batch batches[STAGES], *at[STAGES];
	struct err sign_err;
	int sign_rc;
};

/* ---- the list -------------------------------------------------------------------------
 */

static void
complain(size_t *errors, const char *file, size_t line, const char *text, struct span id)
{
	struct err e; /* whose text is fit for a terminal, whatever the line holds */
	if ((*errors)++ >= ERRORS_SHOWN)
		return;
	err_set(&e, ERR_PARSE, "%s:%zu: %s: '%.*s'", file, line, text,
	    SPAN_FMT(span_head(id, 80)));
	fprintf(stderr, "%s\n", e.text);
}

static void
take_line(struct issue *in, struct span id, size_t line, size_t *errors)
{
	struct device *was, *d = &in->rows[in->n];
	if (!id_is_registration(id) || id.len > ID_CN_MAX) {
		complain(errors, in->devices, line,
		    "no device ID (letters, digits, - . _ :, at most 64, a letter, digit "
		    "or dash "
		    "last)",
		    id);
		return;
	}
	const uint8_t *key = in->folded.p + (id.p - in->list.p);
	HASH_FIND(hh, in->by_id, key, id.len, was);
	if (was) {
		char text[64];
		snprintf(text, sizeof(text), "stands on line %zu already", was->line);
		complain(errors, in->devices, line, text, id);
		return;
	}
	*d = (struct device){.id = id, .line = line};
	HASH_ADD_KEYPTR(hh, in->by_id, key, id.len, d);
	in->n++;
}

/* The list in lower case: DPS compares registration IDs without case (device.md 1.2), so
 * two that differ in it alone would be one device with two certificates. */
static void
fold_list(struct issue *in)
{
	in->folded = BUF_INIT(LIST_MAX);
	for (size_t i = 0; i < in->list.len; i++) {
		uint8_t c = in->list.p[i];
		buf_u8(&in->folded, c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c);
	}
}

/* One ID a line; blank lines and # comments are passed over. Nothing is made when any
 * line is wrong. */
static int
read_list(struct issue *in, struct err *e)
{
	size_t lines = 1, errors = 0, line = 0;
	in->list = BUF_INIT(LIST_MAX);
	if (file_read(in->devices, &in->list, e))
		return err_wrap(e, "--devices");
	for (size_t i = 0; i < in->list.len; i++)
		lines += in->list.p[i] == '\n';
	in->rows = own_alloc(lines * sizeof(*in->rows));
	fold_list(in);
	struct span rest = buf_span(&in->list);
	while (rest.p) {
		struct span id = span_trim(span_split(&rest, '\n'));
		line++;
		if (id.len && id.p[0] != '#')
			take_line(in, id, line, &errors);
	}
	if (errors > ERRORS_SHOWN)
		fprintf(stderr, "... and %zu more\n", errors - ERRORS_SHOWN);
	if (errors)
		return err_set(e, ERR_PARSE, "%s: %zu lines are wrong; nothing was made",
		    in->devices, errors);
	if (!in->n)
		return err_set(e, ERR_PARSE, "%s: no device in it", in->devices);
	return 0;
}

/* ---- files ----------------------------------------------------------------------------
 */

static const char *const endings[] = {".key", ".pem", "-fullchain.pem"};

static void
file_name(struct span id, const char *ending, char out[200])
{

	snprintf(out, 200, "%.*s%s", SPAN_FMT(id), ending);
}

static bool
is_done(const struct issue *in, struct span id)
{
	for (size_t i = 0; i < 3; i++) {
		char name[200];
		struct stat st;
		file_name(id, endings[i], name);
		if (fstatat(in->out_fd, name, &st, AT_SYMLINK_NOFOLLOW) ||
		    st.st_size == 0 || !S_ISREG(st.st_mode))
			return false;
	}
	return true;
}

/* Writes over what an interrupted run left, but for a link in its place. Durable by the
 * one syncfs at the end of all. */
static int
create(const struct issue *in, const char *name, mode_t mode)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	int fd = openat(in->out_fd, name, flags, mode);
	if (fd >= 0 || errno != EEXIST)
		return fd;
	if (unlinkat(in->out_fd, name, 0) && errno != ENOENT)
		return -1;
	return openat(in->out_fd, name, flags, mode);
}

static int
put_file(const struct issue *in, struct span id, const char *ending, struct span text,
    mode_t mode, struct err *e)
{
	char name[200];
	file_name(id, ending, name);
	auto_fd int fd = create(in, name, mode);
	if (fd < 0)
		return err_sys(e, ERR_IO, "%s/%s", in->out, name);
	for (struct span rest = text; rest.len;) {
		ssize_t n = write(fd, rest.p, rest.len);
		if (n < 0)
			return err_sys(e, ERR_IO, "%s/%s", in->out, name);
		rest = span_skip(rest, (size_t)n);
	}
	return 0;
}

static int
put_files(const struct issue *in, struct slot *s, struct err *e)
{
	auto_buf pem = BUF_INIT(2 * CERT_MAX);
	cert_write_pem(buf_span(&s->cert), &pem);
	size_t leaf_len = pem.len;
	buf_put_span(&pem, buf_span(&in->issuer_pem));
	if (buf_check(&pem, "chain", e) ||
	    put_file(in, s->id, ".key", buf_span(&s->key), 0600, e) ||
	    put_file(in, s->id, ".pem", span_head(buf_span(&pem), leaf_len), 0644, e))
		return -1;
	return put_file(in, s->id, "-fullchain.pem", buf_span(&pem), 0644, e);
}

/* ---- stages ---------------------------------------------------------------------------
 */

static void *
start_worker(void *arg)
{
	struct issue *in = arg;
	struct err e;
	return key_maker_new(in->alg, &e);
}

static void
end_worker(void *worker)
{
	key_maker_free(worker);
}

static void
make_key(struct key_maker *m, struct slot *s)
{
	if (!m)
		s->failed = err_set(&s->why, ERR_CRYPTO, "cannot make keys") != 0;
	else
		s->failed = key_maker_write(m, &s->spki, &s->key, &s->why) != 0;
}

/* One key of the first stage, one device's files of the last. */
static void
work(void *arg, void *worker, size_t i)
{
	struct issue *in = arg;
	if (i < in->at[STAGE_KEYS]->n)
		make_key(worker, &in->at[STAGE_KEYS]->slots[i]);
	if (i >= in->at[STAGE_FILES]->n)
		return;
	struct slot *s = &in->at[STAGE_FILES]->slots[i];
	if (!s->failed)
		s->failed = put_files(in, s, &s->why) != 0;
}

static int
on_cert(void *arg, size_t i, const struct ipc_signer_issued *got, const struct err *why,
    struct err *e)
{
	struct slot *s = &((struct batch *)arg)->slots[i];
	(void)e;
	if (why) {
		s->failed = true;
		s->why = *why;
		return 0;
	}
	buf_put_span(&s->cert, got->der);
	return 0;
}

static int
sign_batch(struct issue *in, struct err *e)
{
	struct ipc_signer_issue asked[BATCH];
	struct batch *b = in->at[STAGE_SIGN];
	for (size_t i = 0; i < b->n; i++) {
		struct slot *s = &b->slots[i];
		if (s->failed)
			return err_copy(e, &s->why);
		asked[i] = (struct ipc_signer_issue){.profile = PROFILE_DEVICE,
		    .subject = s->id,
		    .spki = buf_span(&s->spki),
		    .life_ms = in->life_ms,
		    .requester = SPAN_LIT("issue")};
	}
	return b->n ? signer_client_issue(in->signer, asked, b->n, on_cert, b, e) : 0;
}

static void *
run_sign(void *arg)
{
	struct issue *in = arg;
	in->sign_rc = sign_batch(in, &in->sign_err);
	return NULL;
}

/* All three stages at once, each on its own batch. */
static int
run_stages(struct issue *in, struct err *e)
{
	pthread_t signer;
	size_t keys = in->at[STAGE_KEYS]->n, files = in->at[STAGE_FILES]->n;
	bool beside = pthread_create(&signer, NULL, run_sign, in) == 0;
	parallel_for(keys > files ? keys : files, work, start_worker, end_worker, in);
	if (beside)
		pthread_join(signer, NULL);
	else
		run_sign(in);
	return in->sign_rc ? err_copy(e, &in->sign_err) : 0;
}

/* The first failure ends the run: what fails for one (a full disk) fails for all. */
static int
count_files(struct issue *in, struct err *e)
{
	const struct batch *b = in->at[STAGE_FILES];
	for (size_t i = 0; i < b->n; i++) {
		if (b->slots[i].failed) {
			err_copy(e, &b->slots[i].why);
			return err_wrap(e, "%.*s", SPAN_FMT(b->slots[i].id));
		}
		in->done++;
	}
	return 0;
}

static void
clear_batch(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		buf_done(&b->slots[i].key);
		buf_done(&b->slots[i].spki);
		buf_done(&b->slots[i].cert);
	}
	b->n = 0;
}

static void
fill_batch(struct issue *in, struct batch *b)
{
	while (in->next < in->n && b->n < in->batch_max) {
		struct span id = in->rows[in->next++].id;
		if (is_done(in, id)) {
			in->skipped++;
			continue;
		}
		struct slot *s = &b->slots[b->n++];
		*s = (struct slot){.id = id,
		    .key = BUF_INIT(KEY_PEM_MAX),
		    .spki = BUF_INIT(SPKI_MAX),
		    .cert = BUF_INIT(CERT_MAX)};
		s->key.secret = true;
	}
}

/* Each batch moves on by one stage; what comes out last is used again. */
static void
move_on(struct issue *in)
{
	struct batch *out = in->at[STAGE_FILES];
	clear_batch(out);
	in->at[STAGE_FILES] = in->at[STAGE_SIGN];
	in->at[STAGE_SIGN] = in->at[STAGE_KEYS];
	in->at[STAGE_KEYS] = out;
	fill_batch(in, out);
}

static void
show_progress(const struct issue *in, int64_t since_ms)
{
	int64_t ms = clock_mono_ms(&clock_system) - since_ms;
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%zu of %zu certificates, %lld a second ", in->done,
	    in->n - in->skipped, (long long)((int64_t)in->done * 1000 / (ms ? ms : 1)));
	if (in->done + in->skipped == in->n)
		fputc('\n', stderr);
}

static bool
is_idle(const struct issue *in)
{
	return !in->at[STAGE_KEYS]->n && !in->at[STAGE_SIGN]->n &&
	       !in->at[STAGE_FILES]->n;
}

static int
run_batches(struct issue *in, struct err *e)
{
	int64_t start = clock_mono_ms(&clock_system);
	int rc = 0;
	for (int i = 0; i < STAGES; i++)
		in->at[i] = &in->batches[i];
	fill_batch(in, in->at[STAGE_KEYS]);
	while (rc == 0 && !is_idle(in)) {
		/* files that could be written count, even where the signer failed */
		rc = run_stages(in, e);
		struct err files;
		if (count_files(in, &files) && rc == 0)
			rc = err_copy(e, &files);
		move_on(in);
		show_progress(in, start);
	}
	for (int i = 0; i < STAGES; i++)
		clear_batch(in->at[i]);
	return rc;
}

static int
run_all(struct issue *in, struct err *e)
{
	int64_t start = clock_mono_ms(&clock_system);
	in->batch_max = in->alg >= KEY_RSA2048 ? BATCH_RSA : BATCH;
	if (run_batches(in, e))
		return err_wrap(e, "%zu of %zu made; run it again for the rest", in->done,
		    in->n - in->skipped);
	if (syncfs(in->out_fd))
		return err_sys(e, ERR_IO, "%s", in->out);
	int64_t ms = clock_mono_ms(&clock_system) - start;
	printf("%zu certificates in %s (%zu were there already), %.1f s\n", in->done,
	    in->out, in->skipped, (double)ms / 1000);
	return 0;
}

static int
open_out(struct issue *in, struct err *e)
{
	if (file_mkdir(in->out, 0700, e))
		return -1;
	in->out_fd = open(in->out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return in->out_fd < 0 ? err_sys(e, ERR_IO, "%s", in->out) : 0;
}

static int
start_signer(struct issue *in, struct err *e)
{
	struct ipc_signer_keys ca;
	in->signer = signer_client_start(in->home.path, &in->home.cfg, e);
	if (!in->signer || signer_client_keys(in->signer, &ca, e))
		return -1;
	in->issuer_pem = BUF_INIT(CERT_MAX);
	cert_write_pem(ca.device_ca, &in->issuer_pem);
	return 0;
}

static int
run(struct issue *in, struct err *e)
{
	auto_fd int lock = -1;
	if (home_open(in->home_opt, NULL, 0, &in->home, e))
		return -1;
	in->alg = (enum key_alg)in->home.cfg.pki.key;
	in->life_ms = in->home.cfg.pki.leaf_life_ms;
	if (in->key_name && key_alg_parse(span_str(in->key_name), &in->alg, e))
		return err_wrap(e, "--key");
	if (in->life && num_parse_duration_ms(span_str(in->life), 60000,
			    in->home.cfg.pki.leaf_life_ms, &in->life_ms, e))
		return err_wrap(e, "--life (at most pki.leaf_life)");
	if (read_list(in, e) || open_out(in, e) || home_lock(in->home.path, &lock, e) ||
	    start_signer(in, e))
		return -1;
	return run_all(in, e);
}

int
cmd_issue(int argc, char **argv, struct err *e)
{
	static struct issue in;
	const struct opt opts[] = {
	    {"devices", "FILE", OPT_TEXT, &in.devices, "device IDs, one a line"},
	    {"out", "DIR", OPT_TEXT, &in.out,
		"where ID.key, ID.pem, ID-fullchain.pem go"},
	    {"key", "KIND", OPT_TEXT, &in.key_name,
		"p256, p384, rsa2048, rsa3072, rsa4096 (default pki.key)"},
	    {"life", "TIME", OPT_TEXT, &in.life,
		"life of the certificates, as 90d or 12h (default pki.leaf_life, also "
		"the most)"},
	    {"home", "DIR", OPT_TEXT, &in.home_opt,
		"home directory (default $MUSTER_HOME, ~/.muster)"},
	    {0}};
	const struct opt_cmd cmd = {"muster issue --devices FILE --out DIR [OPTIONS]",
	    "Makes a key and a certificate for each device of a list, on this machine. "
	    "Can be run\n"
	    "again: devices whose files are there are passed over. A fleet in the field "
	    "should\n"
	    "make its keys on the devices instead: muster migrate.",
	    opts, 0, 0};
	int at = opt_parse(&cmd, argc, argv, e);
	if (at <= 0)
		return at;
	if (!in.devices || !in.out)
		return err_set(
		    e, ERR_USAGE, "--devices and --out are needed; usage: %s", cmd.usage);
	in.out_fd = -1;
	int rc = run(&in, e);
	signer_client_free(in.signer);
	own_close(&in.out_fd);
	HASH_CLEAR(hh, in.by_id);
	free(in.rows);
	buf_done(&in.list);
	buf_done(&in.folded);
	buf_done(&in.issuer_pem);
	home_done(&in.home);
	return rc;
}
