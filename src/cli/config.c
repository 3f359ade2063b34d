/*
 * config.c: frazil config: what is configured and where it came from; frazil config check: whether it works.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct line {
    char *text[5]; /* catalog, key, value, origin, note */
} line;

typedef struct lines {
    line *v;
    size_t n, cap;
} lines;

static int keep(void *ctx, const char *catalog, const char *key, const char *value, const char *origin, const char *note)
{
    lines *l = ctx;
    const char *texts[5] = {catalog, key, value, origin, note};
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        line *v = realloc(l->v, cap * sizeof *v);
        if (!v)
            return 1;
        l->v = v;
        l->cap = cap;
    }
    line *x = &l->v[l->n++];
    memset(x, 0, sizeof *x);
    for (int i = 0; i < 5; i++)
        if (!(x->text[i] = strdup(texts[i])))
            return 1;
    return 0;
}

static void lines_free(lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        for (int k = 0; k < 5; k++)
            free(l->v[i].text[k]);
    free(l->v);
}

/* Columns that a terminal needs for a text: its characters. */
static size_t width(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

/* Line breaks and other control characters, which a secret's file or a folded text may hold, would spoil the lines. */
static void print_plain(const char *s)
{
    for (; *s; s++)
        putchar((unsigned char)*s < ' ' || *s == 127 ? '?' : *s);
}

static void print_padded(const char *s, size_t to)
{
    print_plain(s);
    for (size_t n = width(s); n < to; n++)
        putchar(' ');
}

static void print_text(const lines *l)
{
    size_t key = 0, value = 0;
    for (size_t i = 0; i < l->n; i++) {
        size_t k = width(l->v[i].text[1]) + (l->v[i].text[0][0] ? 2 : 0), v = width(l->v[i].text[2]);
        key = k > key && k < 40 ? k : key;
        value = v > value && v < 60 ? v : value;
    }
    const char *at = "";
    for (size_t i = 0; i < l->n; i++) {
        char **t = l->v[i].text;
        bool inside = t[0][0] != 0;
        if (strcmp(at, t[0]) != 0) {
            printf("\ncatalog ");
            print_plain(t[0]);
            printf("\n");
        }
        at = t[0];
        printf("%s", inside ? "  " : "");
        print_padded(t[1], key - (inside ? 2 : 0));
        printf("  ");
        print_padded(t[2], t[3][0] || t[4][0] ? value : 0);
        if (t[3][0] || t[4][0]) {
            printf("  ");
            print_plain(t[3]);
        }
        if (t[4][0]) {
            printf("%s(", t[3][0] ? "  " : "");
            print_plain(t[4]);
            printf(")");
        }
        printf("\n");
    }
}

static void csv_field(const char *s)
{
    if (*s && !strpbrk(s, ",\"\r\n")) {
        printf("%s", s);
        return;
    }
    putchar('"');
    for (; *s; s++)
        printf(*s == '"' ? "\"\"" : "%c", *s);
    putchar('"');
}

void json_text(const char *s)
{
    putchar('"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            printf("\\%c", *s);
        else if ((unsigned char)*s < ' ')
            printf("\\u%04x", (unsigned)*s);
        else
            putchar(*s);
    }
    putchar('"');
}

static void print_rows(const lines *l, bool json)
{
    static const char *const names[] = {"catalog", "key", "value", "origin", "note"};
    if (!json)
        printf("catalog,key,value,origin,note\n");
    for (size_t i = 0; i < l->n; i++) {
        for (int k = 0; k < 5; k++) {
            if (json)
                printf("%s\"%s\":", k ? "," : "{", names[k]);
            else if (k)
                putchar(',');
            (json ? json_text : csv_field)(l->v[i].text[k]);
        }
        printf(json ? "}\n" : "\n");
    }
}

/* only: the catalog that was asked for by name, or NULL. */
static void drop_others(lines *l, const char *only)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        line x = l->v[i];
        if (strcmp(x.text[0], only) == 0 || strcmp(x.text[1], "note") == 0 || strcmp(x.text[1], "configuration file") == 0 || strcmp(x.text[1], "lake") == 0) {
            l->v[n++] = x;
            continue;
        }
        for (int k = 0; k < 5; k++)
            free(x.text[k]);
    }
    l->n = n;
}

static int show_config(const cli *c, const char *only)
{
    lines l = {0};
    fz_error e = {0};
    fz_status st = fz_config_list(c->lake, c->lake_options, c->n_lake, keep, &l, &e);
    if (!st && only)
        drop_others(&l, only);
    bool table = !c->format || strcmp(c->format, "table") == 0;
    if (!st && table)
        print_text(&l);
    else if (!st)
        print_rows(&l, strcmp(c->format, "json") == 0);
    else
        fz_error_text(&e, NULL, write_stderr, NULL);
    lines_free(&l);
    if (fflush(stdout) != 0 && errno != EPIPE) {
        fprintf(stderr, "error: writing the result failed: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    return st ? EXIT_FAILED : EXIT_FINE;
}

int cmd_config(cli *c)
{
    bool check = c->n_args && strcmp(c->args[0], "check") == 0;
    size_t names = c->n_args - check;
    if (check && c->format && strcmp(c->format, "table") != 0) {
        fprintf(stderr, "frazil: config check tells what it tries, step by step; it has no --format\n");
        return EXIT_USAGE;
    }
    if (names > 1) {
        fprintf(stderr, "frazil: config takes one catalog's name: frazil config [check] [NAME]\n");
        return EXIT_USAGE;
    }
    if (names && !lake_option(c, "catalog", c->args[c->n_args - 1]))
        return EXIT_USAGE;
    if (!check)
        return show_config(c, names ? c->args[0] : NULL);
    fz_error e = {0};
    fz_status st = fz_config_check(c->lake, c->lake_options, c->n_lake, write_stdout, NULL, &e);
    fflush(stdout);
    if (st) {
        fz_error_text(&e, NULL, write_stderr, NULL);
        return EXIT_FAILED;
    }
    return EXIT_FINE;
}
