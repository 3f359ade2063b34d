/*
 * to_arrow.c: runs a query and takes its rows through the Arrow C data interface, as a program that has
 * the library inside does.
 *
 *     to_arrow LAKE SQL [RUNS [keep]]
 *
 * LAKE "-": the lake that the environment names.
 * Prints "answer ROWS COLUMNS" and per run "time SECONDS" and "cpu SECONDS" (of all threads). With `keep` all arrays of a run live until its
 * end, as when they
 * become a data frame, and freeing them isn't timed (nor is it with the peers); else each is released before the next is asked for.
 */
#include <frazil/frazil.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Of all threads, user's and system's. */
static double cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int failed(const fz_error *e)
{
    fprintf(stderr, "error: %s\n", e->message);
    return 1;
}

static void release_all(struct ArrowArray *kept, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (kept[i].release)
            kept[i].release(&kept[i]);
}

/* What a run took until its last array was there. */
typedef struct took { double seconds, cpu; } took;

/* One run; false with the error filled. */
static bool take_all(fz_session *s, const char *sql, bool keep, long long *rows, long long *columns, took *x, fz_error *e)
{
    double t = now(), c = cpu();
    fz_result *r;
    struct ArrowArray *kept = NULL;
    size_t n = 0, cap = 0;
    bool ok = false;
    *rows = *columns = 0;
    if (fz_execute(s, sql, NULL, NULL, &r, e) != FZ_OK)
        return false;
    for (;;) {
        struct ArrowArray a = {0};
        if (fz_result_next(r, &a, e) != FZ_OK)
            break;
        if (!a.release) {
            ok = true;
            break;
        }
        *rows += a.length;
        *columns = a.n_children;
        if (!keep) {
            a.release(&a);
            continue;
        }
        if (n == cap) {
            cap = cap ? 2 * cap : 1024;
            struct ArrowArray *more = realloc(kept, cap * sizeof *kept);
            if (!more) {
                a.release(&a);
                snprintf(e->message, sizeof e->message, "no memory");
                break;
            }
            kept = more;
        }
        kept[n++] = a;
    }
    *x = (took){now() - t, cpu() - c};
    release_all(kept, n);
    free(kept);
    fz_result_release(r);
    return ok;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: to_arrow LAKE SQL [RUNS [keep]]\n");
        return 2;
    }
    int runs = argc > 3 ? atoi(argv[3]) : 1;
    bool keep = argc > 4 && strcmp(argv[4], "keep") == 0;
    fz_error e = {0};
    fz_runtime *rt;
    fz_lake *lake;
    fz_session *s;
    if (fz_runtime_create(NULL, 0, NULL, &rt, &e) != FZ_OK || fz_lake_open(rt, strcmp(argv[1], "-") ? argv[1] : NULL, NULL, 0, &lake, &e) != FZ_OK ||
        fz_session_open(lake, &s, &e) != FZ_OK)
        return failed(&e);
    long long rows = 0, columns = 0;
    for (int i = 0; i < runs; i++) {
        took x;
        if (!take_all(s, argv[2], keep, &rows, &columns, &x, &e))
            return failed(&e);
        printf("time %.6f\ncpu %.6f\n", x.seconds, x.cpu);
    }
    printf("answer %lld %lld\n", rows, columns);
    fz_session_close(s);
    fz_lake_close(lake);
    fz_runtime_release(rt);
    return 0;
}
