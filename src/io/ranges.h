/*
 * ranges.h: a remote file whose bytes are had by range requests: coalescing, reading ahead, waiting for what is on its way. What a request is
 * (S3's, plain HTTP's) is its maker's business.
 */
#ifndef IO_RANGES_H
#define IO_RANGES_H

#include "io/io.h"

typedef struct range_file range_file;
typedef struct range_get range_get;

/* One request under way: [offset, offset + len) of the file into dst. */
struct range_get {
    range_file *f;
    uint64_t offset;
    size_t len;
    void *dst;
    void *owner;            /* ranges.c's own */
};

typedef struct range_source {
    /* Sends it; calls range_got once, from any thread, also on failure. */
    void (*send)(void *source, range_get *g);
    /* Makes requests under way end at once (with a failure). */
    void (*cancel)(void *source);
    void (*free)(void *source);
} range_source;

void range_got(range_get *g, fz_status st, const fz_error *err);

/* Takes source over, also on failure. read_ahead: bytes that may wait to be read, 0: 64 MB. */
fz_status range_file_new(const char *path, uint64_t size, uint64_t read_ahead, const range_source *ops, void *source, mem *m, io_file **out, fz_error *err);

#endif
