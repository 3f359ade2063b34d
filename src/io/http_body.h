/* http_body.h: the body of an answer as one buffer, and the size of what it is a part of; for s3_read.c, http_fs.c and cache.c. */
#ifndef IO_HTTP_BODY_H
#define IO_HTTP_BODY_H

#include "io/http.h"

/* The whole's size by Content-Range ("bytes 0-9/100": 100); -1: it doesn't say. */
int64_t http_total(const http_request *r);

typedef struct http_sink {
    mem *m;
    size_t max;
    buf *b;       /* NULL: nothing came */
} http_sink;

/* For http_request.take: appends; makes the buffer as large as the headers say. FZ_LIMIT past max. */
fz_status http_sink_take(http_sink *k, const http_request *r, const void *p, size_t n, fz_error *err);

#endif
