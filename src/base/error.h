/*
 * error.h: filling an fz_error, and the macros that pass one on.
 *
 * Interface: error_set() and friends fill a nullable fz_error and return the status, so that
 * a failing function ends in `return error_set(err, FZ_DATA, "…", …);`. The first failure of
 * an operation wins: code that cleans up after a failure passes NULL for its own errors.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <frazil/error.h>
#include <stdarg.h>
#include <stddef.h>

/* Sets status, message (printf style, cut at the field's size on a UTF-8 boundary) and a
 * default SQLSTATE for the status; clears the other fields. Returns `status`. */
fz_status error_set(fz_error *err, fz_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
fz_status error_vset(fz_error *err, fz_status status, const char *fmt, va_list ap);

/* As error_set, with an explicit five-character SQLSTATE. */
fz_status error_sql(fz_error *err, fz_status status, const char *sqlstate, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* FZ_IO (FZ_NOT_FOUND for ENOENT, FZ_EXISTS for EEXIST) from an errno value; the message is
 * "<what>: <strerror>", where = path. */
fz_status error_errno(fz_error *err, int errnum, const char *path, const char *what);

/* FZ_NOMEM. */
fz_status error_nomem(fz_error *err);

/* Adds to an error that was already set; each does nothing for NULL. A place that is already
 * known is kept: the innermost caller knows best. */
void error_where(fz_error *err, const char *path);
void error_offset(fz_error *err, int64_t offset);
void error_line(fz_error *err, int64_t line, int64_t column);
void error_hint(fz_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A status's name in lower case, as "not_found". */
const char *status_name(fz_status s);

/* Returns from the function if `call` fails. */
#define TRY(call)                                \
    do {                                         \
        fz_status try_s_ = (call);               \
        if (__builtin_expect(try_s_ != FZ_OK, 0)) \
            return try_s_;                       \
    } while (0)

/* Jumps to `out` with `st` (a local fz_status) set if `call` fails. */
#define TRY_GOTO(call)                         \
    do {                                       \
        st = (call);                           \
        if (__builtin_expect(st != FZ_OK, 0))  \
            goto out;                          \
    } while (0)

#endif
