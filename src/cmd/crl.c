/*
 * muster crl: the lists of a running server, published elsewhere, or taken in.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/num.h"
#include "cmd/cmd.h"
#include "cmd/remote.h"
#include "codec/js.h"
#include "codec/pem.h"
#include "fleet/azure.h"
#include "fleet/publish.h"
#include "io/file.h"
#include "io/loop.h"

#define INDEX_MAX (8u << 20)
#define LIST_MAX  (256 * 1024)
#define TARGET    "/muster/crl?api-version=" AZURE_API
#define DAY_MS    INT64_C(86400000)

struct args {
	struct publish_opts publish;
	const char *every;
	int argc;
	char **argv; /* behind the verb */
};

/* ---- list -----------------------------------------------------------------------------
 */

static void
show_row(const struct js *o)
{
	char this_text[CLOCK_TEXT], next_text[CLOCK_TEXT];
	clock_iso(js_as_int(js_get(o, "thisUpdateMs")), 0, this_text);
	clock_iso(js_as_int(js_get(o, "nextUpdateMs")), 0, next_text);
	printf("%-40s %-15lld %-21s %s\n", js_as_text(js_get(o, "path")),
	    (long long)js_as_int(js_get(o, "number")), this_text, next_text);
}

static int
run_list(struct remote *r, struct args *a, struct err *e)
{
	auto_buf body = BUF_INIT(INDEX_MAX);
	(void)a;
	if (remote_get(r, TARGET, "lists", &body, e))
		return -1;
	if (r->json) {
		printf("%s\n", buf_text(&body));
		return 0;
	}
	auto_(js_free) struct js *v = js_parse(buf_span(&body), INDEX_MAX, 8, e);
	if (!v)
		return -1;
	const struct js *rows = js_get(v, "lists");
	printf("%-40s %-15s %-21s %s\n", "PATH", "NUMBER", "THIS UPDATE", "NEXT UPDATE");
	for (size_t i = 0; i < js_len(rows); i++)
		show_row(js_at(rows, i));
	return 0;
}

/* ---- publish --------------------------------------------------------------------------
 */

static void
print_report(const struct publish_report *p, struct span problems)
{
	auto_(js_free) struct js *o = js_object();
	auto_buf b = BUF_INIT(8 * PUBLISH_PROBLEMS);
	struct err ignored;
	struct js *list = js_array();
	js_set_int(o, "written", (int64_t)p->written);
	js_set_int(o, "unchanged", (int64_t)p->unchanged);
	js_set_int(o, "refused", (int64_t)p->refused);
	while (problems.len)
		js_append(list, js_str(span_split(&problems, '\n'), &ignored));
	js_set(o, "problems", list);
	js_dump(o, JS_AS_BUILT, &b);
	printf("%s\n", buf_text(&b));
}

static void
show_report(const struct remote *r, const struct publish_report *p, struct span problems)
{
	if (r->json)
		print_report(p, problems);
	else
		printf("%zu written, %zu unchanged, %zu refused\n%.*s", p->written,
		    p->unchanged, p->refused, SPAN_FMT(problems));
	fflush(stdout);
}

static int
publish_once(struct remote *r, struct publish *p, struct err *e)
{
	struct publish_report report;
	auto_buf problems = BUF_INIT(PUBLISH_PROBLEMS);
	if (publish_run(p, r->rest, &report, &problems, e))
		return -1;
	show_report(r, &report, buf_span(&problems));
	if (report.refused > 1)
		return err_set(e, ERR_CONFLICT, "%s (and %zu more)", report.first,
		    report.refused - 1);
	return report.refused ? err_set(e, ERR_CONFLICT, "%s", report.first) : 0;
}

static void
on_time(void *arg)
{
	*(bool *)arg = true;
}

/* Until a signal ends it. A round that fails is said and tried again. */
static int
publish_for_ever(struct remote *r, struct publish *p, int64_t every_ms, struct err *e)
{
	for (;;) {
		bool due = false;
		auto_(loop_timer_free) struct loop_timer *t =
		    loop_timer_new(r->loop, on_time, &due);
		if (publish_once(r, p, e))
			fprintf(stderr, "muster crl: %s\n", e->text);
		loop_timer_start(t, every_ms);
		while (!due)
			if (loop_turn(r->loop, -1, e))
				return -1;
	}
}

static int
run_publish(struct remote *r, struct args *a, struct err *e)
{
	int64_t every_ms = 0;
	if (!a->publish.to)
		return err_set(e, ERR_USAGE, "--to DIR or --to URL is wanted");
	if (a->every &&
	    num_parse_duration_ms(span_str(a->every), 100, 365 * DAY_MS, &every_ms, e))
		return err_wrap(e, "--every");
	auto_(publish_free) struct publish *p = publish_new(r->loop, &a->publish, e);
	if (!p)
		return -1;
	return every_ms ? publish_for_ever(r, p, every_ms, e) : publish_once(r, p, e);
}

/* ---- import ---------------------------------------------------------------------------
 */

static int
run_import(struct remote *r, struct args *a, struct err *e)
{
	auto_buf file = BUF_INIT(LIST_MAX), der = BUF_INIT(LIST_MAX);
	auto_buf body = BUF_INIT(65536);
	struct rest_response answer;
	if (a->argc != 1)
		return err_set(e, ERR_USAGE, "muster crl import FILE");
	if (file_read(a->argv[0], &file, e))
		return -1;
	struct span text = buf_span(&file);
	if (span_starts(text, SPAN_LIT("-----BEGIN"))) {
		if (pem_find(text, "X509 CRL", &der, e))
			return err_wrap(e, "%s", a->argv[0]);
		text = buf_span(&der);
	}
	const struct rest_request q = {.method = "PUT",
	    .target = TARGET,
	    .body = text,
	    .content_type = "application/pkix-crl"};
	if (rest_wait(r->rest, &q, &body, &answer, e))
		return -1;
	answer.body = buf_span(&body);
	if (azure_check(&answer, a->argv[0], e))
		return -1;
	auto_(js_free) struct js *v = js_parse(buf_span(&body), 65536, 4, e);
	printf("the list of %s is served from now on\n", js_as_text(js_get(v, "issuer")));
	return 0;
}

static const struct verb {
	const char *name;
	int (*run)(struct remote *r, struct args *a, struct err *e);
} verbs[] = {{"list", run_list}, {"publish", run_publish}, {"import", run_import}};

static const struct verb *
find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

int
cmd_crl(int argc, char **argv, struct err *e)
{
	struct args a = {.every = NULL};
	const struct opt own[] = {
	    {"to", "TARGET", OPT_TEXT, &a.publish.to,
		"publish: a directory, or "
		"https://ACCOUNT.blob.core.windows.net/CONTAINER"},
	    {"every", "TIME", OPT_TEXT, &a.every,
		"publish: again each so often (10m), until it is ended"},
	    {"sas-file", "FILE", OPT_TEXT, &a.publish.sas_file,
		"publish: file with the container's shared access signature"},
	    {"key-file", "FILE", OPT_TEXT, &a.publish.key_file,
		"publish: file with the storage account's key, base64"},
	};
	enum { OWN = sizeof(own) / sizeof(own[0]) };
	struct opt rows[OWN + REMOTE_ROWS + 1] = {{0}};
	auto_remote r = {0};
	memcpy(rows, own, sizeof(own));
	remote_rows(&r, rows + OWN, argc, argv);
	const struct opt_cmd cmd = {"muster crl list|publish|import [FILE] [OPTIONS]",
	    "The certificate revocation lists of a running server:\n"
	    "  list           what there is, and until when\n"
	    "  publish        to a directory or Azure Blob Storage, each verified first\n"
	    "  import FILE    a list of a CA whose key is elsewhere (the root's), to "
	    "serve",
	    rows, 1, 2};
	int at = opt_parse(&cmd, argc, argv, e);
	if (at <= 0)
		return at;
	const struct verb *v = find_verb(argv[at]);
	if (!v)
		return err_set(
		    e, ERR_USAGE, "no verb '%s'; list, publish or import", argv[at]);
	a.argc = argc - at - 1;
	a.argv = argv + at + 1;
	return remote_open(&r, e) ? -1 : v->run(&r, &a, e);
}
