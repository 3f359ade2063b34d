/*
 * bench_pqwrite.c: how fast rows become a Parquet file, without the parsing in front of it.
 *
 *     bench_pqwrite FILE.csv OUT.parquet [THREADS [ROUNDS]]
 *
 * Reads a CSV of integers into memory first, as batches of int64 columns; then writes them and
 * prints time, processor time and sizes by column.
 */
#include "base/task.h"
#include "format/parquet/parquet.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

typedef struct table {
    uint32_t ncols;
    size_t rows, cap;
    int64_t **cols;
    column_def *defs;
} table;

static double now(clockid_t c)
{
    struct timespec t;
    clock_gettime(c, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void read_table(const char *path, table *t)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    if (!f || getline(&line, &cap, f) < 0) {
        perror(path);
        exit(1);
    }
    t->ncols = 1;
    for (char *p = line; *p; p++)
        t->ncols += *p == ',';
    t->defs = calloc(t->ncols, sizeof *t->defs);
    t->cols = calloc(t->ncols, sizeof *t->cols);
    char *p = strdup(line);
    for (uint32_t i = 0; i < t->ncols; i++) {
        size_t n = strcspn(p, ",\r\n");
        t->defs[i] = (column_def){.name = {p, n}, .t = TYPE(T_INT64), .field_id = (int32_t)i + 1};
        p += n + 1;
    }
    while (getline(&line, &cap, f) > 0) {
        if (t->rows == t->cap) {
            t->cap = t->cap ? t->cap * 2 : 1 << 20;
            for (uint32_t i = 0; i < t->ncols; i++)
                t->cols[i] = realloc(t->cols[i], t->cap * 8);
        }
        char *q = line;
        for (uint32_t i = 0; i < t->ncols; i++) {
            int64_t v = 0;
            for (; *q >= '0' && *q <= '9'; q++)
                v = v * 10 + (*q - '0');
            t->cols[i][t->rows] = v;
            q++;
        }
        t->rows++;
    }
    free(line);
    fclose(f);
}

static void none(buf *b) { (void)b; }

static fz_status write_table(const table *t, const char *out, job *j, mem *m, pq_write_result *res, arena *a,
                             fz_error *err)
{
    io_writer *io;
    pq_writer *w;
    pq_write_options o;
    row_schema s = {t->ncols, t->defs};
    pq_write_options_default(&o);
    remove(out);
    TRY(io_create(NULL, out, m, &io, err));
    TRY(pq_writer_open(io, &s, &o, NULL, 0, j, m, &w, err));
    buf *everything = buf_wrap(m, t->cols, 8, none, NULL);
    batch b;
    batch_init(&b, m);
    for (size_t r = 0; r < t->rows; r += BATCH_ROWS) {
        uint32_t n = t->rows - r < BATCH_ROWS ? (uint32_t)(t->rows - r) : BATCH_ROWS;
        batch_reset(&b);
        TRY(batch_columns(&b, t->ncols, err));
        TRY(batch_keep(&b, everything, err));
        b.stable = true;
        b.nrows = b.nsel = n;
        for (uint32_t i = 0; i < t->ncols; i++)
            b.cols[i] = (vec){.t = TYPE(T_INT64), .enc = VEC_FLAT, .len = n, .data = t->cols[i] + r};
        TRY(pq_writer_append(w, &b, err));
    }
    batch_free(&b);
    buf_unref(everything);
    return pq_writer_finish(w, a, res, err);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: bench_pqwrite FILE.csv OUT.parquet [THREADS [ROUNDS]]\n");
        return 2;
    }
    int threads = argc > 3 ? atoi(argv[3]) : 2, rounds = argc > 4 ? atoi(argv[4]) : 3;
    table t = {0};
    read_table(argv[1], &t);
    mem m;
    mem_init(&m, NULL, NULL, 0);
    pool *p = pool_create(&m, threads - 1);
    for (int k = 0; k < rounds; k++) {
        fz_error err = {0};
        job j;
        arena a;
        pq_write_result res;
        arena_init(&a, &m);
        job_init(&j, p, &m, NULL);
        double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
        fz_status st = write_table(&t, argv[2], threads > 1 ? &j : NULL, &m, &res, &a, &err);
        wall = now(CLOCK_MONOTONIC) - wall;
        cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        if (st == FZ_OK)
            st = job_wait(&j, &err);
        if (st != FZ_OK) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        double values = (double)t.rows * t.ncols;
        printf("%zu rows: %.3f s wall, %.3f s cpu, %.2f ns/value, %.2f MB, peak %.1f MB\n", t.rows, wall, cpu,
               cpu * 1e9 / values, (double)res.file_size / 1e6, (double)atomic_load(&m.peak) / 1e6);
        if (k == rounds - 1)
            for (uint32_t i = 0; i < res.ncols; i++)
                printf("  " STR_FMT "%*s %8.3f MB  %.3f B/value\n", STR_ARG(t.defs[i].name),
                       (int)(10 - t.defs[i].name.n), "", (double)res.cols[i].size_bytes / 1e6,
                       (double)res.cols[i].size_bytes / (double)t.rows);
        job_destroy(&j);
        arena_free(&a);
    }
    pool_destroy(p);
    return 0;
}
