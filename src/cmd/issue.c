/*
 * muster issue: keys and certificates for a list of devices, all in one go (the
 * tutorial's step 3). Keys are made on this machine, which is meant for labs and
 * factories; a fleet in the field makes its keys on the devices (muster migrate).
 *
 * Work goes in batches through three stages at once: while the signer signs one batch,
 * all CPUs make the keys of the next and write the files of the one before. A device
 * whose three files are whole is done; a second run makes only the rest.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "cmd/cmd.h"
#include "cmd/device_list.h"
#include "cmd/home.h"
#include "cmd/leaf_files.h"
#include "cmd/opt.h"
#include "cmd/parallel.h"
#include "codec/spki.h"
#include "crypto/cert.h"
#include "crypto/key.h"
#include "crypto/profile.h"
#include "domain/pki/issue.h"
#include "domain/pki/issuer.h"
#include "role/ca_dir.h"
#include "role/signer_client.h"

#define BATCH     1024
#define BATCH_RSA 256 /* 10 s of work on two CPUs: what a kill costs at most */

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
	struct device_list *list;
	struct leaf_files files;
	size_t done, skipped;
	struct buf issuer; /* DER */
	uint8_t issuer_sha256[DIGEST_SHA256];
	struct domain d; /* the store, for the record of what is issued */
	struct issuer_book book;
	struct signer_client *signer;
	size_t next, batch_max; /* next row to take */
	struct batch batches[STAGES], *at[STAGES];
	struct err sign_err;
	int sign_rc;
};

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
		s->failed = leaf_files_put(&in->files, s->id, buf_span(&s->key),
				buf_span(&s->cert), buf_span(&in->issuer), &s->why) != 0;
}

/* A batch on its way through the signer. */
struct signing {
	struct issue *in;
	struct batch *b;
	struct ipc_signer_issue asked[BATCH];
};

static int
on_cert(void *arg, size_t i, const struct ipc_signer_issued *got, const struct err *why,
    struct err *e)
{
	struct signing *g = arg;
	struct slot *s = &g->b->slots[i];
	if (why) {
		s->failed = true;
		s->why = *why;
		return 0;
	}
	buf_put_span(&s->cert, got->der);
	return issue_record(&g->in->d, &g->asked[i], got, e);
}

/* The hub knows what was issued before any file of it is there, so that it can be
 * revoked. */
static int
sign_and_record(struct issue *in, struct signing *g, struct err *e)
{
	if (store_begin(in->d.store, e))
		return -1;
	if (signer_client_issue(in->signer, g->asked, g->b->n, on_cert, g, e)) {
		store_rollback(in->d.store);
		return -1;
	}
	arena_reset(in->d.arena);
	return store_commit(in->d.store, e);
}

static int
sign_batch(struct issue *in, struct err *e)
{
	static struct signing g;
	struct batch *b = in->at[STAGE_SIGN];
	g.in = in;
	g.b = b;
	for (size_t i = 0; i < b->n; i++) {
		struct slot *s = &b->slots[i];
		if (s->failed)
			return err_copy(e, &s->why);
		g.asked[i] = (struct ipc_signer_issue){.profile = PROFILE_DEVICE,
		    .subject = s->id,
		    .spki = buf_span(&s->spki),
		    .life_ms = in->life_ms,
		    .requester = SPAN_LIT("issue"),
		    .issuer = span_of(in->issuer_sha256, sizeof(in->issuer_sha256))};
	}
	return b->n ? sign_and_record(in, &g, e) : 0;
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
	while (in->next < device_list_len(in->list) && b->n < in->batch_max) {
		struct span id = device_list_id(in->list, in->next++);
		if (leaf_files_has(&in->files, id)) {
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

static size_t
wanted(const struct issue *in)
{
	return device_list_len(in->list) - in->skipped;
}

static void
show_progress(const struct issue *in, int64_t since_ms)
{
	int64_t ms = clock_mono_ms(&clock_system) - since_ms;
	if (!isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%zu of %zu certificates, %lld a second ", in->done, wanted(in),
	    (long long)((int64_t)in->done * 1000 / (ms ? ms : 1)));
	if (in->done == wanted(in))
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
		    wanted(in));
	if (leaf_files_sync(&in->files, e))
		return -1;
	int64_t ms = clock_mono_ms(&clock_system) - start;
	printf("%zu certificates in %s (%zu were there already), %.1f s\n", in->done,
	    in->out, in->skipped, (double)ms / 1000);
	return 0;
}

static int
open_store(struct issue *in, struct err *e)
{
	char path[HOME_PATH];
	if (home_store(&in->home, path, e))
		return -1;
	in->d = (struct domain){.store = store_open(path, e),
	    .cfg = &in->home.cfg,
	    .clock = &clock_system,
	    .arena = arena_new(64u << 20),
	    .issuers = &in->book};
	return in->d.store ? issuer_load(&in->d, &in->book, e) : -1;
}

static int
find_first(struct issue *in, struct err *e)
{
	auto_(free) struct ca_conf *conf = own_alloc(sizeof(*conf));
	if (ca_dir_conf(in->home.path, conf, e))
		return -1;
	for (size_t i = 0; i < conf->n; i++) {
		const struct ca_conf_row *row = &conf->rows[i];
		auto_cert_list l = {.n = 0};
		auto_buf pem = BUF_INIT(CA_DIR_FILE_MAX);
		if (row->purpose != CA_DEVICE || !row->key[0] ||
		    ca_dir_is_pending(in->home.path, row))
			continue;
		if (ca_dir_cert(in->home.path, row, &pem, e) ||
		    cert_list_parse(buf_span(&pem), row->cert, &l, e))
			return -1;
		memcpy(in->issuer_sha256, l.v[0]->sha256, sizeof(in->issuer_sha256));
		return 0;
	}
	return err_set(e, ERR_NOT_FOUND, "no device CA has its key here");
}

/* The CA that the hub has made active; before its first start, the first there is. */
static int
find_issuer(struct issue *in, struct err *e)
{
	const struct issuer_entry *by;
	if (!issuer_is_ready(&in->d))
		return find_first(in, e);
	if (issuer_active(&in->d, CA_DEVICE, &by, e))
		return -1;
	memcpy(in->issuer_sha256, by->sha256, sizeof(in->issuer_sha256));
	return 0;
}

static int
start_signer(struct issue *in, struct err *e)
{
	if (open_store(in, e) || find_issuer(in, e))
		return -1;
	in->issuer = BUF_INIT(CERT_MAX);
	in->signer = signer_client_start(in->home.path, &in->home.cfg, e);
	if (!in->signer)
		return -1;
	return signer_client_ca(in->signer,
	    span_of(in->issuer_sha256, sizeof(in->issuer_sha256)), &in->issuer, e);
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
	in->list = device_list_read(in->devices, e);
	if (!in->list)
		return err_wrap(e, "--devices");
	if (leaf_files_open(in->out, &in->files, e) ||
	    home_lock(in->home.path, &lock, e) || start_signer(in, e))
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
	in.files.fd = -1;
	int rc = run(&in, e);
	signer_client_free(in.signer);
	store_close(in.d.store);
	arena_free(in.d.arena);
	leaf_files_close(&in.files);
	device_list_free(in.list);
	buf_done(&in.issuer);
	home_done(&in.home);
	return rc;
}
