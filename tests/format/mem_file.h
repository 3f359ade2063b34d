/* mem_file.h: an io_file over bytes in memory, for tests and fuzzers. */
#ifndef TESTS_MEM_FILE_H
#define TESTS_MEM_FILE_H

#include "io/io.h"

typedef struct mem_file {
    io_file f;
    const uint8_t *data;
    uint64_t reads, bytes; /* requests so far, and what they asked for */
} mem_file;

static inline void mem_file_submit(io_file *f, io_req *reqs, size_t n)
{
    mem_file *x = (mem_file *)f;
    for (size_t i = 0; i < n; i++) {
        io_req *r = &reqs[i];
        r->status = FZ_OK;
        x->reads++;
        x->bytes += r->len;
        if (r->offset > f->size || r->len > f->size - r->offset)
            r->status = error_set(&r->error, FZ_DATA, "file is shorter than that");
        else
            memcpy(r->dst, x->data + r->offset, r->len);
        r->done(r);
    }
}

static inline void mem_file_close(io_file *f) { (void)f; }

static const struct io_file_ops mem_file_ops = {mem_file_submit, mem_file_close};

static inline void mem_file_init(mem_file *x, const uint8_t *data, size_t n)
{
    static char name[] = "memory";
    *x = (mem_file){.f = {.ops = &mem_file_ops, .path = name, .size = n}, .data = data};
}

#endif
