#ifndef CODEC_BLOB_URL_H
#define CODEC_BLOB_URL_H
/*
 * URLs of containers in Azure Storage: https://ACCOUNT.blob.core.windows.net/CONTAINER;
 * an emulator has the account in the path: http://127.0.0.1:10000/ACCOUNT/CONTAINER.
 */
#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"

struct blob_url { /* spans of the text */
	bool is_https;
	struct span base;      /* scheme, host and port */
	struct span host;      /* with its port */
	struct span path;      /* of the container, begins with '/', no '/' at its end */
	struct span account;   /* whose key signs */
	struct span container; /* its name alone */
};

/* ERR_USAGE, naming the text. */
must_check int blob_url_parse(struct span url, struct blob_url *ret, struct err *e);

#endif
