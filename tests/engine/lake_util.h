/* lake_util.h: what the tests of the public interface share: a directory that goes with the test, statements and their results as text. */
#ifndef TESTS_LAKE_UTIL_H
#define TESTS_LAKE_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <frazil/frazil.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct text {
    char p[1 << 16];
    size_t n;
} text;

static inline int text_add(void *ctx, const char *s, size_t n)
{
    text *t = ctx;
    if (t->n + n >= sizeof t->p)
        return 1;
    memcpy(t->p + t->n, s, n);
    t->n += n;
    t->p[t->n] = 0;
    return 0;
}

static inline void dir_make(char *out, size_t cap, const char *name)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(out, cap, "%s/%s_XXXXXX", tmp && strlen(tmp) < 60 ? tmp : P_tmpdir, name);
    assert_non_null(mkdtemp(out));
}

static inline int dir_remove_one(const char *path, const struct stat *sb, int flag, struct FTW *f)
{
    return remove(path);
}

static inline void dir_remove(const char *path)
{
    nftw(path, dir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

__attribute__((unused)) static int files_found;
__attribute__((unused)) static const char *files_suffix;

static inline int dir_count_one(const char *path, const struct stat *sb, int flag, struct FTW *f)
{
    size_t n = strlen(path), k = strlen(files_suffix);
    files_found += flag == FTW_F && n >= k && strcmp(path + n - k, files_suffix) == 0;
    return 0;
}

/* How many files below a directory have names that end so. */
static inline int files_count(const char *path, const char *suffix)
{
    files_found = 0;
    files_suffix = suffix;
    nftw(path, dir_count_one, 16, FTW_PHYS);
    return files_found;
}

static inline void file_write(const char *path, const char *content)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(content, 1, strlen(content), f), strlen(content));
    assert_int_equal(fclose(f), 0);
}

static inline void fine(fz_status st, const fz_error *e)
{
    if (st != FZ_OK)
        fail_msg("%s: %s (%s)", fz_status_name(st), e->message, e->where);
}

/* Runs a statement that has to succeed; rows, where it has any, as CSV into `out` (may be NULL). Returns rows affected. */
static inline int64_t run(fz_session *s, const char *sql, text *out)
{
    fz_error e = {0};
    fz_result *r = NULL;
    fine(fz_execute(s, sql, NULL, NULL, &r, &e), &e);
    assert_non_null(r);
    int64_t rows = fz_result_rows_affected(r);
    static text none;
    if (!out)
        out = &none;
    out->n = 0;
    out->p[0] = 0;
    if (fz_result_has_rows(r))
        fine(fz_result_text(r, FZ_TEXT_CSV, NULL, text_add, out, &e), &e);
    fz_result_release(r);
    return rows;
}

static inline void check(fz_session *s, const char *sql, const char *csv)
{
    static text t;
    run(s, sql, &t);
    assert_string_equal(t.p, csv);
}

/* Runs a statement that has to fail; also where its rows are read. */
static inline fz_status refused(fz_session *s, const char *sql, fz_error *e)
{
    static text t;
    fz_result *r = NULL;
    *e = (fz_error){0};
    fz_status st = fz_execute(s, sql, NULL, NULL, &r, e);
    if (st == FZ_OK && r) {
        t.n = 0;
        st = fz_result_text(r, FZ_TEXT_CSV, NULL, text_add, &t, e);
        fz_result_release(r);
    }
    assert_int_not_equal(st, FZ_OK);
    assert_int_equal(e->status, st);
    assert_true(e->message[0] != 0);
    return st;
}

#endif
