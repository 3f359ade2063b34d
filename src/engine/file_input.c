/* file_input.c: see file_input.h. */
#include "engine/file_input.h"

fz_status file_input_new(const file_input_ops *ops, size_t size, const char *path, mem *m, file_input **out, fz_error *err)
{
    file_input *in = mem_zalloc(m, size);
    size_t n = strlen(path) + 1;
    char *copy = in ? mem_alloc(m, n) : NULL;
    if (!copy) {
        mem_free(m, in, size);
        return error_nomem(err);
    }
    memcpy(copy, path, n);
    in->ops = ops;
    in->path = copy;
    in->m = m;
    *out = in;
    return FZ_OK;
}

void file_input_free(file_input *in, size_t size)
{
    mem_free(in->m, in->path, strlen(in->path) + 1);
    mem_free(in->m, in, size);
}
