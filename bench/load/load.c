/*
 * The load of the benchmarks and of the storm test: many TLS 1.3 clients with
 * certificates of their own. A refusal or a lost connection counts as failed, and any
 * failure makes the exit status 1. Prints JSON objects, one a line; the last is the
 * result.
 *
 * usage: bench-load MODE HOST PORT CERT_DIR FIRST COUNT AT_ONCE [KEY=VALUE...]
 *   handshake    COUNT handshakes; each ends when the server has sent one byte
 *   register     COUNT registrations over MQTT, a connection each, until "assigned"
 *   reenroll     COUNT renewals by EST, a connection and a new key each; the requests are
 *                made before the clock starts
 *   connect      COUNT connections to a hub, each until CONNACK
 *   idle         COUNT connections to a hub that stay
 *   watch        as idle, and says of each that ends which one and when
 *   telemetry    COUNT connections send messages
 *   twin-get, twin-report, echo
 *                COUNT connections ask, and ask again when they are answered; echo is for
 *                any broker
 *   methods      COUNT connections answer direct methods
 *   storm        COUNT connections that come back by themselves when they are lost; says
 *                when all are
 * The last seven come up before their clock starts and say "up"; without messages they
 * stay until standard input ends. Devices are dev-000000.. with their numbers from FIRST
 * on; CERT_DIR holds muster issue's files. AT_ONCE: connections that are being opened at
 * any time.
 *   name=TEXT    ID scope or hub
 *   messages=N   of all connections together
 *   size=N       bytes of a message (256)
 *   qos=0|1      of messages (1)
 *   rate=N       a second: connections (connect), messages (telemetry)
 *   resume=1     a first round gets tickets and says so; the measured one resumes, when
 *                standard input has ended
 *   tls=12|13    version of TLS (13)
 *   sources=N    loopback addresses that connections come from (200)
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "modes.h"
#include "worker.h"

static const struct mode *const modes[] = {
    &modes_handshake,
    &modes_register,
    &modes_reenroll,
    &modes_connect,
    &modes_idle,
    &modes_watch,
    &modes_telemetry,
    &modes_twin_get,
    &modes_twin_report,
    &modes_echo,
    &modes_methods,
    &modes_storm,
};

/* ---- arguments --------------------------------------------------------------------- */

static const struct mode *
find_mode(const char *name)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(modes[i]->name, name) == 0)
			return modes[i];
	fprintf(stderr, "bench-load: no mode '%s'\n", name);
	exit(2);
}

static void
take_option(struct options *o, const char *word)
{
	const struct {
		const char *key;
		size_t *number;
	} numbers[] = {{"messages=", &o->messages}, {"size=", &o->size},
	    {"qos=", &o->qos}, {"rate=", &o->rate}, {"resume=", &o->resume},
	    {"sources=", &o->sources}, {"tls=", &o->tls}};
	if (strncmp(word, "name=", 5) == 0) {
		o->name = word + 5;
		return;
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		size_t n = strlen(numbers[i].key);
		if (strncmp(word, numbers[i].key, n) != 0)
			continue;
		*numbers[i].number = strtoul(word + n, NULL, 10);
		return;
	}
	fprintf(stderr, "bench-load: no option '%s'\n", word);
	exit(2);
}

static void
take_arguments(struct load *l, int argc, char **argv)
{
	l->mode = find_mode(argv[1]);
	l->to = (struct sockaddr_in){.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)strtoul(argv[3], NULL, 10))};
	device_need(inet_pton(AF_INET, argv[2], &l->to.sin_addr) == 1, argv[2]);
	l->count = strtoul(argv[6], NULL, 10);
	l->at_once = strtoul(argv[7], NULL, 10);
	l->opt = (struct options){
	    .name = "", .size = 256, .qos = 1, .sources = 200, .tls = 13};
	for (int i = 8; i < argc; i++)
		take_option(&l->opt, argv[i]);
	device_need(l->count > 0 && l->at_once >= CLIENT_THREADS && l->opt.sources > 0 &&
			l->opt.qos < 2,
	    "numbers");
	l->devices =
	    device_load(argv[4], strtoul(argv[5], NULL, 10), l->count, l->mode->prepare);
}

/* ---- the result -------------------------------------------------------------------- */

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* What all workers waited, as two fields of the result. */
static void
report_waits(const struct load *l, enum wait which, const char *name)
{
	size_t n = 0, at = 0;
	for (size_t i = 0; i < CLIENT_THREADS; i++)
		n += l->workers[i].waits[which].n;
	double *v = calloc(n + 1, sizeof(double));
	device_need(v != NULL, "memory");
	for (size_t i = 0; i < CLIENT_THREADS; i++) {
		const struct samples *s = &l->workers[i].waits[which];
		if (s->n)
			memcpy(v + at, s->v, s->n * sizeof(double));
		at += s->n;
	}
	qsort(v, n, sizeof(double), by_size);
	printf(",\"%sp50_ms\":%.3f,\"%sp99_ms\":%.3f", name, v[n / 2] * 1e3, name,
	    v[n * 99 / 100] * 1e3);
	free(v);
}

/* True where nothing has failed. */
static bool
report(const struct load *l, double seconds)
{
	size_t failed = 0, messages = 0, resumed = 0;
	for (size_t i = 0; i < CLIENT_THREADS; i++) {
		failed += l->workers[i].failed;
		messages += l->workers[i].messages;
		resumed += l->workers[i].resumed;
	}
	printf("{\"count\":%zu,\"failed\":%zu,\"seconds\":%.4f,\"messages\":%zu,"
	       "\"resumed\":%zu",
	    l->count, failed, seconds, messages, resumed);
	report_waits(l, WAIT_ANSWER, "");
	report_waits(l, WAIT_WHOLE, "whole_");
	if (l->mode->on_report)
		l->mode->on_report();
	puts("}");
	return !failed;
}

/* ---- rounds ------------------------------------------------------------------------ */

static void
await_end_of_input(void)
{
	fflush(stdout);
	while (getchar() != EOF)
		;
}

static void
stay(struct load *l)
{
	size_t up = worker_await_up(l);
	printf("{\"up\":%zu,\"seconds\":%.4f}\n", up, client_now() - l->start);
	fflush(stdout);
	worker_go(l);
	if (l->opt.messages)
		return;
	await_end_of_input();
	l->stop = true;
}

static bool
run_round(struct load *l, bool is_last)
{
	bool ok = true;
	worker_start(l);
	if (l->mode->stays)
		stay(l);
	worker_join(l);
	if (is_last)
		ok = report(l, client_now() - l->start);
	worker_free(l);
	return ok;
}

static void
get_tickets(struct load *l)
{
	(void)run_round(l, false);
	printf("{\"tickets\":%zu}\n", l->count);
	await_end_of_input();
}

int
main(int argc, char **argv)
{
	static struct load l;
	if (argc < 8) {
		fputs("usage: bench-load MODE HOST PORT CERT_DIR FIRST COUNT AT_ONCE "
		      "[KEY=VALUE...]\n",
		    stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	take_arguments(&l, argc, argv);
	l.tls = client_tls(&l.opt);
	if (l.opt.resume)
		get_tickets(&l);
	bool ok = run_round(&l, true);
	SSL_CTX_free(l.tls);
	device_free(l.devices, l.count);
	return ok ? 0 : 1;
}
