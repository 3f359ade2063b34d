/*
 * file_input.h: a file of text (CSV, JSON) whose types were inferred. It belongs to a statement and outlives the plans that are bound over
 * it, so that a column can be widened and the statement start again.
 */
#ifndef ENGINE_FILE_INPUT_H
#define ENGINE_FILE_INPUT_H

#include "exec/source.h"

typedef struct file_input file_input;

typedef struct file_input_ops {
    const row_schema *(*schema)(const file_input *in);
    bool (*undecided)(const file_input *in, uint32_t col);
    uint32_t (*given)(const file_input *in);         /* how many columns come from a given schema */
    int64_t (*size_bytes)(const file_input *in);     /* -1: it can't be opened a second time */
    bool (*widened)(const file_input *in);
    fz_status (*restart)(file_input *in, fz_error *err);
    void (*keep_types)(file_input *in);
    void (*widen)(file_input *in, uint32_t col, type t); /* before reading: an inferred column gets this type. NULL: not supported */
    fz_status (*table)(file_input *in, mem *m, table_source **out, fz_error *err);
    void (*close)(file_input *in);
} file_input_ops;

struct file_input {
    const file_input_ops *ops;
    char *path;
    bool started;   /* a scan has read from it */
    mem *m;
};

/* For who implements one: a zeroed structure of `size` bytes with ops, path and m. */
fz_status file_input_new(const file_input_ops *ops, size_t size, const char *path, mem *m, file_input **out, fz_error *err);
void file_input_free(file_input *in, size_t size);

static inline void file_input_close(file_input *in) /* NULL allowed */
{
    if (in)
        in->ops->close(in);
}
/* The input as a table: borrows `in`. One reference. */
static inline fz_status file_input_table(file_input *in, mem *m, table_source **out, fz_error *err) { return in->ops->table(in, m, out, err); }

#endif
