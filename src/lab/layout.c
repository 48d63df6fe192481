/*
 * Names and places.
 */
#include "lab/layout.h"

#include <stdio.h>

#include "base/num.h"
#include "codec/csv.h"
#include "fleet/inventory.h"
#include "io/file.h"

#define PER_NET 250

const char *
layout_path(struct arena *a, const char *home, const char *name)
{
	return arena_printf(a, "%s/lab/%s", home, name);
}

const char *
layout_of(struct arena *a, const char *home, const char *folder, const char *device_id)
{
	return arena_printf(a, "%s/lab/%s/%s", home, folder, device_id);
}

void
layout_id(size_t index, char out[LAYOUT_ID])
{
	snprintf(out, LAYOUT_ID, "dev-%04zu", index + 1);
}

int64_t
layout_index(const char *device_id)
{
	struct span s = span_str(device_id);
	int64_t n;
	if (!span_starts(s, SPAN_LIT("dev-")) ||
	    !num_ok(span_skip(s, 4), 1, INT32_MAX, &n))
		return -1;
	return n - 1;
}

void
layout_ip(size_t index, char out[LAYOUT_IP])
{
	snprintf(out, LAYOUT_IP, "127.77.%zu.%zu", index / PER_NET, index % PER_NET + 1);
}

int
layout_count(const char *home, size_t *ret, struct err *e)
{
	auto_(arena_free) struct arena *a = arena_new(64 * 1024 * 1024);
	auto_buf text = BUF_INIT(INVENTORY_MAX), problems = BUF_INIT(4096);
	const char *path = layout_path(a, home, "inventory.csv");
	struct inventory all;
	if (!file_exists(path)) {
		*ret = 0;
		return 0;
	}
	if (file_read(path, &text, e) ||
	    inventory_parse(buf_span(&text), path, a, &all, &problems, e))
		return -1;
	*ret = all.n;
	return 0;
}
