/*
 * bench_csv.c: how fast CSV text becomes columns: sums every column of a file with N threads.
 *
 *     bench_csv FILE [threads] [repeats] [block kB] [isa]
 */
#include "format/csv/csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct worker {
    csv_source *s;
    pthread_t thread;
    int64_t rows;
    i128 *sums;
    double *fsums;
    fz_error err;
    fz_status st;
} worker;

static double now(clockid_t c)
{
    struct timespec t;
    clock_gettime(c, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void batch_sum(worker *w, const batch *b)
{
    w->rows += b->nsel;
    for (uint32_t c = 0; c < b->ncols; c++) {
        const vec *v = &b->cols[c];
        if (v->enc != VEC_FLAT)
            continue;
        if (type_phys(v->t) == PHYS_I64) {
            const int64_t *x = v->data;
            int64_t sum = 0;
            for (uint32_t i = 0; i < v->len; i++)
                sum += x[i];
            w->sums[c] += sum;
        } else if (type_phys(v->t) == PHYS_F64) {
            const double *x = v->data;
            double sum = 0;
            for (uint32_t i = 0; i < v->len; i++)
                sum += x[i];
            w->fsums[c] += sum;
        } else if (type_phys(v->t) == PHYS_STR) {
            const strview *x = v->data;
            int64_t sum = 0;
            for (uint32_t i = 0; i < v->len; i++)
                sum += x[i].len;
            w->sums[c] += sum;
        }
    }
}

static void *work(void *arg)
{
    worker *w = arg;
    csv_local *l;
    w->st = csv_local_new(w->s, &l, &w->err);
    if (w->st != FZ_OK)
        return NULL;
    batch b;
    batch_init(&b, NULL);
    csv_event ev;
    do {
        w->st = csv_next(w->s, l, &b, &ev, &w->err);
        if (w->st == FZ_OK && ev == CSV_ROWS)
            batch_sum(w, &b);
    } while (w->st == FZ_OK && (ev == CSV_ROWS || ev == CSV_MORSEL_END));
    batch_free(&b);
    csv_local_free(l);
    return NULL;
}

static void notice(void *ctx, log_level level, const char *message)
{
    (void)ctx, (void)level;
    fprintf(stderr, "%s\n", message);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s FILE [threads] [repeats] [block kB] [isa 0..4]\n", argv[0]);
        return 2;
    }
    int threads = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 2;
    int repeats = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 3;
    csv_options o;
    csv_options_default(&o);
    if (argc > 4)
        o.block_bytes = (size_t)strtol(argv[4], NULL, 10) << 10;
    if (argc > 5)
        o.isa = (csv_isa)strtol(argv[5], NULL, 10);
    logger log = {notice, NULL, LOG_NOTICE};
    for (int k = 0; k < repeats; k++) {
        double t0 = now(CLOCK_MONOTONIC), c0 = now(CLOCK_PROCESS_CPUTIME_ID);
        fz_error err = {0};
        csv_source *s;
        o.log = k == 0 ? &log : NULL;
        fz_status st = csv_open(argv[1], &o, NULL, &s, &err);
        if (st != FZ_OK) {
            fprintf(stderr, "%s: %s (line %lld)\n", err.where, err.message, (long long)err.line);
            return 1;
        }
        uint32_t n = csv_schema(s)->n;
        worker *w = calloc((size_t)threads, sizeof *w);
        for (;;) {
            for (int i = 0; i < threads; i++) {
                w[i] = (worker){.s = s, .sums = calloc(n, sizeof(i128)), .fsums = calloc(n, sizeof(double))};
                pthread_create(&w[i].thread, NULL, work, &w[i]);
            }
            for (int i = 0; i < threads; i++)
                pthread_join(w[i].thread, NULL);
            for (int i = 0; i < threads; i++)
                if (w[i].st != FZ_OK) {
                    fprintf(stderr, "%s: %s (line %lld, column %lld)\n", w[i].err.where, w[i].err.message,
                            (long long)w[i].err.line, (long long)w[i].err.column);
                    return 1;
                }
            if (!csv_widened(s))
                break;
            if (csv_restart(s, &err) != FZ_OK) {
                fprintf(stderr, "%s\n", err.message);
                return 1;
            }
        }
        double t = now(CLOCK_MONOTONIC) - t0, cpu = now(CLOCK_PROCESS_CPUTIME_ID) - c0;
        csv_info info;
        csv_describe(s, &info);
        int64_t rows = 0;
        printf("%.3f s wall, %.3f s cpu, %.3f ns/byte cpu; sums", t, cpu, cpu * 1e9 / (double)info.size_bytes);
        for (int i = 0; i < threads; i++)
            rows += w[i].rows;
        for (uint32_t c = 0; c < n; c++) {
            i128 sum = 0;
            double f = 0;
            for (int i = 0; i < threads; i++) {
                sum += w[i].sums[c];
                f += w[i].fsums[c];
            }
            if (f != 0)
                printf(" %g", f);
            else
                printf(" %lld", (long long)sum);
        }
        printf("; %lld rows\n", (long long)rows);
        for (int i = 0; i < threads; i++) {
            free(w[i].sums);
            free(w[i].fsums);
        }
        free(w);
        csv_close(s);
    }
    return 0;
}
