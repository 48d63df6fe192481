/*
 * The door to libcurl.
 */
#include "agent/libcurl.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#define FILE_NAME "libcurl.so.4"

static struct libcurl lib;

/* POSIX has a function's address in a void pointer (dlsym), C has no cast for it. */
static const struct {
	const char *name;
	void *at;
} symbols[] = {
    {"curl_global_init", &lib.global_init},
    {"curl_easy_init", &lib.easy_init},
    {"curl_easy_cleanup", &lib.easy_cleanup},
    {"curl_easy_setopt", &lib.easy_setopt},
    {"curl_easy_getinfo", &lib.easy_getinfo},
    {"curl_easy_perform", &lib.easy_perform},
    {"curl_easy_strerror", &lib.easy_strerror},
    {"curl_slist_append", &lib.slist_append},
    {"curl_slist_free_all", &lib.slist_free_all},
};

static int
find_all(void *so, struct err *e)
{
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *f = dlsym(so, symbols[i].name);
		if (!f)
			return err_set(
			    e, ERR_UNSUPPORTED, FILE_NAME ": no %s", symbols[i].name);
		memcpy(symbols[i].at, &f, sizeof(f));
	}
	return 0;
}

const struct libcurl *
libcurl_get(struct err *e)
{
	static void *so;
	if (so)
		return &lib;
	void *h = dlopen(FILE_NAME, RTLD_NOW | RTLD_LOCAL);
	if (!h) {
		err_set(e, ERR_UNSUPPORTED, "%s (install libcurl4)", dlerror());
		return NULL;
	}
	if (find_all(h, e)) {
		dlclose(h);
		return NULL;
	}
	if (lib.global_init(CURL_GLOBAL_DEFAULT)) {
		err_set(e, ERR_UNSUPPORTED, "libcurl does not start");
		dlclose(h);
		return NULL;
	}
	so = h;
	return &lib;
}
