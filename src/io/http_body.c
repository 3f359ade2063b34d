/* http_body.c: see http_body.h. */
#include "io/http_body.h"

int64_t http_total(const http_request *r)
{
    str v = http_response_header(r, "content-range");
    const char *slash = v.n ? memchr(v.p, '/', v.n) : NULL;
    int64_t n;
    return slash && str_to_i64((str){slash + 1, (size_t)(v.p + v.n - slash - 1)}, &n) ? n : -1;
}

fz_status http_sink_take(http_sink *k, const http_request *r, const void *p, size_t n, fz_error *err)
{
    if (!k->b) {
        int64_t size = http_total(r);
        if (size < 0 && !str_to_i64(http_response_header(r, "content-length"), &size))
            size = 0;
        if (size > 0 && (uint64_t)size > k->max)
            return error_set(err, FZ_LIMIT, "the file has %lld bytes; at most %zu are read", (long long)size, k->max);
        k->b = buf_new(k->m, size > (int64_t)n ? (size_t)size : n);
        if (!k->b)
            return error_nomem(err);
        k->b->size = 0;
    }
    if (n > k->max - k->b->size)
        return error_set(err, FZ_LIMIT, "the file has more than the %zu bytes that are read", k->max);
    size_t need = k->b->size + n;
    if (need > k->b->cap && !buf_reserve(k->b, need > k->b->cap * 2 ? need : k->b->cap * 2))
        return error_nomem(err);
    memcpy(k->b->data + k->b->size, p, n);
    k->b->size = need;
    return FZ_OK;
}
