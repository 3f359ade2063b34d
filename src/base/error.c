/* error.c: see error.h. */
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *sqlstate;
} status_table[] = {
    [FZ_OK] = {"ok", "00000"},
    [FZ_INVALID] = {"invalid", "22023"},
    [FZ_SYNTAX] = {"syntax", "42601"},
    [FZ_DATA] = {"data", "XX001"},
    [FZ_VALUE] = {"value", "22000"},
    [FZ_NOT_FOUND] = {"not_found", "42704"},
    [FZ_EXISTS] = {"exists", "42710"},
    [FZ_UNSUPPORTED] = {"unsupported", "0A000"},
    [FZ_IO] = {"io", "58030"},
    [FZ_NOMEM] = {"nomem", "53200"},
    [FZ_LIMIT] = {"limit", "54000"},
    [FZ_CONFLICT] = {"conflict", "40001"},
    [FZ_UNKNOWN] = {"unknown", "08007"},
    [FZ_BUSY] = {"busy", "55P03"},
    [FZ_CANCELLED] = {"cancelled", "57014"},
    [FZ_INTERNAL] = {"internal", "XX000"},
};

const char *status_name(fz_status s)
{
    if ((unsigned)s >= sizeof status_table / sizeof status_table[0])
        return "?";
    return status_table[s].name;
}

/* Formats into a fixed field; what is cut off is cut before a UTF-8 character, not inside. */
static void field_format(char *dst, size_t cap, const char *fmt, va_list ap)
{
    int n = vsnprintf(dst, cap, fmt, ap);
    if (n >= (int)cap) {
        size_t end = cap - 1;
        while (end > 0 && ((unsigned char)dst[end - 1] & 0xC0) == 0x80)
            end--;
        if (end > 0 && (unsigned char)dst[end - 1] >= 0xC0)
            end--;
        dst[end] = 0;
    }
}

static void field_copy(char *dst, size_t cap, const char *src)
{
    size_t n = strlen(src);
    if (n >= cap)
        n = cap - 1;
    memcpy(dst, src, n);
    dst[n] = 0;
}

fz_status error_vset(fz_error *err, fz_status status, const char *fmt, va_list ap)
{
    if (!err)
        return status;
    err->status = status;
    const char *ss = "";
    if ((unsigned)status < sizeof status_table / sizeof status_table[0])
        ss = status_table[status].sqlstate;
    field_copy(err->sqlstate, sizeof err->sqlstate, ss);
    err->hint[0] = 0;
    err->where[0] = 0;
    err->offset = err->line = err->column = -1;
    field_format(err->message, sizeof err->message, fmt, ap);
    return status;
}

fz_status error_set(fz_error *err, fz_status status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    error_vset(err, status, fmt, ap);
    va_end(ap);
    return status;
}

fz_status error_sql(fz_error *err, fz_status status, const char *sqlstate, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    error_vset(err, status, fmt, ap);
    va_end(ap);
    if (err)
        field_copy(err->sqlstate, sizeof err->sqlstate, sqlstate);
    return status;
}

fz_status error_errno(fz_error *err, int errnum, const char *path, const char *what)
{
    fz_status st = errnum == ENOENT ? FZ_NOT_FOUND
                 : errnum == EEXIST ? FZ_EXISTS
                 : errnum == ENOMEM ? FZ_NOMEM
                                    : FZ_IO;
    char reason[128];
    /* GNU strerror_r may return a static string instead of filling the buffer. */
    const char *r = strerror_r(errnum, reason, sizeof reason);
    error_set(err, st, "%s: %s", what, r);
    if (err && st == FZ_NOT_FOUND)
        field_copy(err->sqlstate, sizeof err->sqlstate, "58P01");
    if (path)
        error_where(err, path);
    return st;
}

fz_status error_nomem(fz_error *err)
{
    return error_set(err, FZ_NOMEM, "out of memory");
}

void error_where(fz_error *err, const char *path)
{
    if (err && !err->where[0])
        field_copy(err->where, sizeof err->where, path);
}

void error_offset(fz_error *err, int64_t offset)
{
    if (err && err->offset < 0)
        err->offset = offset;
}

void error_line(fz_error *err, int64_t line, int64_t column)
{
    if (err && err->line < 0) {
        err->line = line;
        err->column = column;
    }
}

void error_hint(fz_error *err, const char *fmt, ...)
{
    if (!err || err->hint[0])
        return;
    va_list ap;
    va_start(ap, fmt);
    field_format(err->hint, sizeof err->hint, fmt, ap);
    va_end(ap);
}
