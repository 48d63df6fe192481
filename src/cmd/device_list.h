#ifndef CMD_DEVICE_LIST_H
#define CMD_DEVICE_LIST_H
/*
 * A list of device IDs, one a line; blank lines and # comments are passed over.
 */
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

struct device_list;

/* Every line is judged: what is wrong (malformed, there already) is printed with its line
 * on stderr, the first few of them, and makes the whole ERR_PARSE. IDs that differ in
 * case alone are one device (protocol/device.md 1.2). */
must_check struct device_list *device_list_read(const char *path, struct err *e);
void device_list_free(struct device_list *l);
own_define(struct device_list, device_list_free);
size_t device_list_len(const struct device_list *l);
/* As the file spells it; lives as long as l. */
struct span device_list_id(const struct device_list *l, size_t i);

#endif
