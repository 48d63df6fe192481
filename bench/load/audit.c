/*
 * What a line of the audit record costs beside what it tells of: cloud-to-device messages
 * of 256 bytes, their lines, or both, put into a database as the core does.
 *
 * usage: bench-audit FILE messages|lines|both COUNT EACH
 * EACH: so many a transaction. Prints one JSON object: seconds of all. FILE is made.
 */
#include <stdio.h>
#include <time.h>

#include "base/num.h"
#include "store/audit.h"
#include "store/c2d.h"

#define NOW_MS INT64_C(1795300000000)

static struct err e;

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "bench-audit: %s: %s\n", what, e.text);
	exit(1);
}

static double
seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void
add_message(struct store *s, const char *device, int64_t i)
{
	static const uint8_t body[256];
	char id[32];
	int64_t seq;
	snprintf(id, sizeof(id), "message-%lld", (long long)i);
	const struct store_c2d m = {.device_id = device,
	    .generation = "638000000000000000",
	    .message_id = id,
	    .correlation_id = "",
	    .user_id = "",
	    .enqueued_ms = NOW_MS + i,
	    .expires_ms = NOW_MS + i + 3600000,
	    .lock = "",
	    .props = SPAN_LIT("{\"ct\":\"application/json\"}"),
	    .body = span_of(body, sizeof(body))};
	need(store_c2d_add(s, &m, &seq, &e) == 0, "message");
}

static void
add_line(struct store *s, const char *device, int64_t i)
{
	const struct store_audit line = {.at_ms = NOW_MS + i,
	    .who = "operator:admin",
	    .auth = "x509",
	    .what = "message send",
	    .target = device,
	    .result = "OK",
	    .detail = "",
	    .peer = "192.0.2.17:50123",
	    .agent = "azure-iot-sdk"};
	need(store_audit_add(s, &line, &e) == 0, "line");
}

static int64_t
number(const char *text)
{
	int64_t n;
	need(num_parse(span_str(text), 1, 100000000, &n, &e) == 0, text);
	return n;
}

int
main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	bool messages = strcmp(argv[2], "lines") != 0;
	bool lines = strcmp(argv[2], "messages") != 0;
	int64_t count = number(argv[3]), each = number(argv[4]);
	auto_(store_close) struct store *s = store_open(argv[1], &e);
	need(s != NULL, argv[1]);
	double start = seconds();
	for (int64_t i = 0; i < count; i++) {
		char device[32];
		snprintf(device, sizeof(device), "dev-%06lld", (long long)(i % 1000));
		if (i % each == 0)
			need(store_begin(s, &e) == 0, "begin");
		if (messages)
			add_message(s, device, i);
		if (lines)
			add_line(s, device, i);
		if ((i + 1) % each == 0 || i + 1 == count)
			need(store_commit(s, &e) == 0, "commit");
	}
	printf("{\"seconds\": %.6f}\n", seconds() - start);
	return 0;
}
