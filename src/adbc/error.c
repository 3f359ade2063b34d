/*
 * error.c: AdbcError, whose second half exists only where the caller says so by its vendor code (revision 1.1); details are kept there.
 */
#include "adbc/adbc_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DETAILS 8

typedef struct details { int n; struct { const char *key; char value[1024]; } at[MAX_DETAILS]; } details;

static void release_plain(struct AdbcError *err)
{
    free(err->message);
    err->message = NULL;
    err->release = NULL;
}

static void release_details(struct AdbcError *err)
{
    free(err->private_data);
    err->private_data = NULL;
    release_plain(err);
}

void error_clear(struct AdbcError *err)
{
    if (err && err->release)
        err->release(err);
}

static bool has_details(const struct AdbcError *err)
{
    return err->vendor_code == ADBC_ERROR_VENDOR_CODE_PRIVATE_DATA;
}

/* Takes the message (NULL: no memory for it) and the details (NULL: none). */
static void set(struct AdbcError *err, char *message, const char *sqlstate, int32_t vendor, details *d)
{
    error_clear(err);
    err->message = message;
    memset(err->sqlstate, 0, sizeof err->sqlstate);
    if (sqlstate)
        memcpy(err->sqlstate, sqlstate, strnlen(sqlstate, sizeof err->sqlstate));
    err->release = release_plain;
    if (has_details(err)) {
        err->private_data = d;
        err->release = release_details;
    } else {
        err->vendor_code = vendor;
        free(d);
    }
}

status fail(struct AdbcError *err, status code, const char *sqlstate, const char *fmt, ...)
{
    if (!err)
        return code;
    char *message = NULL;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&message, fmt, ap) < 0)
        message = NULL;
    va_end(ap);
    set(err, message, sqlstate, 0, NULL);
    return code;
}

status fail_nomem(struct AdbcError *err)
{
    return fail(err, ADBC_STATUS_INTERNAL, "53200", "out of memory");
}

status fail_state(struct AdbcError *err, const char *message)
{
    return fail(err, ADBC_STATUS_INVALID_STATE, "HY010", "%s", message);
}

status status_of(const fz_error *e)
{
    switch (e->status) {
    case FZ_OK:
        return ADBC_STATUS_OK;
    case FZ_INVALID:
        return strncmp(e->sqlstate, "25", 2) == 0   ? ADBC_STATUS_INVALID_STATE /* transactions, read-only lakes */
             : strncmp(e->sqlstate, "23", 2) == 0 ? ADBC_STATUS_INTEGRITY
                                                  : ADBC_STATUS_INVALID_ARGUMENT;
    case FZ_SYNTAX:
        return ADBC_STATUS_INVALID_ARGUMENT;
    case FZ_VALUE:
        return strncmp(e->sqlstate, "23", 2) == 0 ? ADBC_STATUS_INTEGRITY : ADBC_STATUS_INVALID_DATA;
    case FZ_DATA:
        return ADBC_STATUS_INVALID_DATA;
    case FZ_NOT_FOUND:
        return ADBC_STATUS_NOT_FOUND;
    case FZ_EXISTS:
        return ADBC_STATUS_ALREADY_EXISTS;
    case FZ_UNSUPPORTED:
        return ADBC_STATUS_NOT_IMPLEMENTED;
    case FZ_IO:
        return ADBC_STATUS_IO;
    case FZ_BUSY:
        return ADBC_STATUS_TIMEOUT;
    case FZ_CANCELLED:
        return ADBC_STATUS_CANCELLED;
    case FZ_NOMEM:
    case FZ_INTERNAL:
        return ADBC_STATUS_INTERNAL;
    case FZ_LIMIT:
    case FZ_CONFLICT:
    case FZ_UNKNOWN:
        break;
    }
    return ADBC_STATUS_UNKNOWN; /* to many clients an operational error, which is what these are */
}

static void add(details *d, const char *key, const char *value)
{
    if (!*value)
        return;
    d->at[d->n].key = key;
    snprintf(d->at[d->n++].value, sizeof d->at[0].value, "%s", value);
}

static void add_number(details *d, const char *key, int64_t value)
{
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)value);
    if (value >= 0)
        add(d, key, number);
}

/* The message as people need it who see nothing else: with the place and the hint. */
static char *message_of(const fz_error *e)
{
    char *out, place[600] = "";
    if (e->where[0] && e->line > 0)
        snprintf(place, sizeof place, " (%s, line %lld)", e->where, (long long)e->line);
    else if (e->where[0])
        snprintf(place, sizeof place, " (%s)", e->where);
    else if (e->line > 0)
        snprintf(place, sizeof place, " (line %lld, column %lld)", (long long)e->line, (long long)e->column);
    return asprintf(&out, "%s%s%s%s", e->message, place, e->hint[0] ? "\nhint: " : "", e->hint) < 0 ? NULL : out;
}

status fail_fz(struct AdbcError *err, const fz_error *e)
{
    status code = status_of(e);
    if (!err)
        return code;
    details *d = has_details(err) ? calloc(1, sizeof *d) : NULL;
    if (d) {
        add(d, "frazil.status", fz_status_name(e->status));
        add(d, "frazil.message", e->message);
        add(d, "frazil.hint", e->hint);
        add(d, "frazil.where", e->where);
        add_number(d, "frazil.offset", e->offset);
        add_number(d, "frazil.line", e->line);
        add_number(d, "frazil.column", e->column);
    }
    set(err, message_of(e), e->sqlstate, (int32_t)e->status, d);
    return code;
}

static const details *details_of(const struct AdbcError *err)
{
    return err && err->release == release_details ? err->private_data : NULL;
}

int adbc_error_details(const struct AdbcError *err)
{
    const details *d = details_of(err);
    return d ? d->n : 0;
}

struct AdbcErrorDetail adbc_error_detail(const struct AdbcError *err, int index)
{
    const details *d = details_of(err);
    if (!d || index < 0 || index >= d->n)
        return (struct AdbcErrorDetail){0};
    return (struct AdbcErrorDetail){d->at[index].key, (const uint8_t *)d->at[index].value, strlen(d->at[index].value)};
}
