/*
 * cache.c: frazil cache ls: the remote files that are kept on this machine; frazil cache clear: removes them.
 */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct listing {
    struct kept { char *location; int64_t bytes, size, used_us; } *v;
    size_t n, cap;
} listing;

static int keep(void *ctx, const char *location, int64_t bytes, int64_t size, int64_t used_us)
{
    listing *l = ctx;
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        struct kept *v = realloc(l->v, cap * sizeof *v);
        if (!v)
            return 1;
        l->v = v;
        l->cap = cap;
    }
    char *copy = strdup(location);
    if (!copy)
        return 1;
    l->v[l->n++] = (struct kept){copy, bytes, size, used_us};
    return 0;
}

static int latest_first(const void *a, const void *b)
{
    const struct kept *x = a, *y = b;
    return x->used_us < y->used_us ? 1 : x->used_us > y->used_us ? -1 : strcmp(x->location, y->location);
}

static void size_text(char out[32], int64_t n)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double v = (double)n;
    int u = 0;
    while (v >= 999.5 && u < 4) {
        v /= 1000;
        u++;
    }
    snprintf(out, 32, u && v < 9.95 ? "%.1f %s" : "%.0f %s", v, units[u]);
}

static void print_listing(const cli *c, const listing *l, const char *dir)
{
    bool csv = c->format && strcmp(c->format, "csv") == 0, json = c->format && strcmp(c->format, "json") == 0;
    int64_t total = 0;
    if (csv)
        puts("location,kept_bytes,size_bytes,last_used");
    for (size_t i = 0; i < l->n; i++) {
        const struct kept *k = &l->v[i];
        char when[32], bytes[32], size[32];
        time_t t = (time_t)(k->used_us / 1000000);
        struct tm tm;
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", gmtime_r(&t, &tm));
        total += k->bytes;
        if (csv) {
            putchar('"');
            for (const char *p = k->location; *p; p++)
                printf(*p == '"' ? "\"\"" : "%c", *p);
            printf("\",%lld,%lld,%s\n", (long long)k->bytes, (long long)k->size, when);
            continue;
        }
        if (json) {
            printf("{\"location\":");
            json_text(k->location);
            printf(",\"kept_bytes\":%lld,\"size_bytes\":%lld,\"last_used\":\"%s\"}\n", (long long)k->bytes, (long long)k->size, when);
            continue;
        }
        size_text(bytes, k->bytes);
        size_text(size, k->size);
        printf("%s  %8s of %8s  %s\n", when, bytes, size, k->location);
    }
    if (!csv && !json && !c->quiet) {
        char bytes[32];
        size_text(bytes, total);
        fprintf(stderr, "%zu file%s, %s in %s\n", l->n, l->n == 1 ? "" : "s", bytes, dir);
    }
}

int cmd_cache(cli *c, fz_runtime *rt, fz_error *err)
{
    const char *what = c->n_args ? c->args[0] : "ls", *dir = fz_cache_dir(rt);
    bool clear = strcmp(what, "clear") == 0;
    if (c->n_args > 1 || (!clear && strcmp(what, "ls") != 0)) {
        fprintf(stderr, "frazil: cache takes ls or clear\n");
        return EXIT_USAGE;
    }
    if (!dir) {
        fprintf(stderr, "there is no cache\n");
        return EXIT_FINE;
    }
    if (clear) {
        int64_t bytes;
        char text[32];
        if (fz_cache_clear(rt, &bytes, err))
            return EXIT_FAILED;
        size_text(text, bytes);
        if (!c->quiet)
            fprintf(stderr, "%s removed from %s\n", text, dir);
        return EXIT_FINE;
    }
    listing l = {0};
    fz_status st = fz_cache_list(rt, keep, &l, err);
    if (!st) {
        if (l.n)
            qsort(l.v, l.n, sizeof *l.v, latest_first);
        print_listing(c, &l, dir);
    }
    for (size_t i = 0; i < l.n; i++)
        free(l.v[i].location);
    free(l.v);
    return st ? EXIT_FAILED : EXIT_FINE;
}
