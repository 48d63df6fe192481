/*
 * The owner's list of a fleet: nothing of a row that was taken can be an option of ssh,
 * more than one word of a shell, or more than one line of known_hosts.
 */
#include "fuzz.h"

#include <string.h>

#include "fleet/inventory.h"

static void
check_word(const char *s)
{
	assert(s[0] && s[0] != '-' && !strpbrk(s, " \t\r\n'\"`$;|&<>"));
}

static void
check_row(const struct inventory_row *r)
{
	assert(r->id[0] && r->address[0] && r->line > 0);
	assert(r->port >= 0 && r->port <= 65535);
	check_word(r->host);
	check_word(r->user);
	if (r->host_key[0])
		assert(!strpbrk(r->host_key, "\r\n") &&
		       inventory_host_key(span_str(r->host_key), NULL) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	auto_(arena_free) struct arena *a = arena_new(8u << 20);
	auto_buf problems = BUF_INIT(65536);
	struct inventory all = {0};
	struct err e = {0};
	if (inventory_parse(span_of(data, len), "fleet.csv", a, &all, &problems, &e)) {
		assert(e.code != ERR_OK && e.text[0]);
		return 0;
	}
	for (size_t i = 0; i < all.n; i++)
		check_row(&all.v[i]);
	return 0;
}
