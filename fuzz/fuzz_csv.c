/*
 * fuzz_csv.c: any bytes as a CSV file. The first four bytes choose dialect, block size and
 * options; the rest is the text. Read as text without header it must agree with the reference
 * reader; read with inferred types it must end, and every number of workers and instruction set
 * must give the same.
 */
#include "../tests/format/csv_reference.h"

static void must(int ok)
{
    if (!ok)
        __builtin_trap();
}

static void same(const outcome *a, const outcome *b)
{
    must(a->st == b->st);
    if (a->st == FZ_OK)
        must(a->n == b->n && a->rejected == b->rejected && a->rows.n == b->rows.n &&
             (a->rows.n == 0 || memcmp(a->rows.p, b->rows.p, a->rows.n) == 0));
    else
        must(a->line == b->line && a->column == b->column && a->offset == b->offset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4 || size > 4000)
        return 0;
    csv_options o;
    csv_options_default(&o);
    o.block_bytes = 1 + data[0] % 100;
    o.isa = (csv_isa)(data[1] % 5);
    o.skip_errors = data[2] & 1;
    o.strict = data[2] >> 1 & 1;
    o.compression = TEXT_PLAIN;
    const char *t = (const char *)data + 4;
    size_t n = size - 4;
    outcome a, b;
    char path[64];
    int fd = memory_file(t, n, path);
    if (data[2] & 4) { /* against the reference */
        o.header = 0;
        o.delimiter = data[3] & 1 ? ';' : ',';
        o.quote = data[3] & 2 ? CSV_NONE : '"';
        o.escape = data[3] & 4 && o.quote ? '\\' : CSV_NONE;
        o.comment = data[3] & 8 ? '#' : CSV_NONE;
        ref_run(t, n, (char)o.delimiter, (char)o.quote, (char)o.escape, (char)o.comment, o.skip_errors, o.strict, &a);
        static csv_type types[4096];
        static char names[4096][16];
        for (size_t i = 0; i < a.fields && i < 4096; i++) {
            snprintf(names[i], sizeof names[i], "column%u", (unsigned)(i + 1) % 100000);
            types[i] = (csv_type){str_of(names[i]), TYPE(T_STRING)};
        }
        o.types = types;
        o.ntypes = a.st == FZ_OK ? (uint32_t)a.fields : 0;
        csv_run(path, &o, 1, &b);
        same(&a, &b);
    } else { /* everything detected and inferred; also as compressed data */
        o.compression = data[3] & 1 ? TEXT_AUTO : data[3] & 2 ? TEXT_GZIP : data[3] & 4 ? TEXT_ZSTD : TEXT_PLAIN;
        o.max_record_bytes = 100000;
        csv_run(path, &o, 1, &a);
        o.isa = CSV_ISA_SCALAR;
        o.block_bytes = 1 << 20;
        csv_run(path, &o, 1, &b);
        if (a.st == FZ_OK || a.st != FZ_DATA || o.compression == TEXT_PLAIN)
            same(&a, &b);
    }
    outcome_free(&a);
    outcome_free(&b);
    close(fd);
    return 0;
}
