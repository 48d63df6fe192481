#ifndef AGENT_LIBCURL_H
#define AGENT_LIBCURL_H
/*
 * libcurl, loaded when the first request is made and not before: it brings thirty
 * libraries with it, and the daemon, which lives for years on a small device, makes no
 * request (a renewal is a process of its own).
 */
#include <curl/curl.h>

#include "base/err.h"

struct libcurl {
	CURLcode (*global_init)(long flags);
	CURL *(*easy_init)(void);
	void (*easy_cleanup)(CURL *h);
	/* the last argument is of the option's type, unchecked: long, pointer, curl_off_t
	 */
	CURLcode (*easy_setopt)(CURL *h, CURLoption what, ...);
	CURLcode (*easy_getinfo)(CURL *h, CURLINFO what, ...);
	CURLcode (*easy_perform)(CURL *h);
	const char *(*easy_strerror)(CURLcode rc);
	struct curl_slist *(*slist_append)(struct curl_slist *l, const char *line);
	void (*slist_free_all)(struct curl_slist *l);
};

/* Loads and starts it; the same pointer ever after. NULL with ERR_UNSUPPORTED where it is
 * not installed or does not do TLS by OpenSSL, whose contexts we hand it. */
must_check const struct libcurl *libcurl_get(struct err *e);

#endif
