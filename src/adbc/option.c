/* option.c: options as texts, and what the typed getters and setters have in common. */
#include "adbc/adbc_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static option *find(const options *o, const char *key)
{
    for (size_t i = 0; i < o->n; i++)
        if (strcmp(o->at[i].key, key) == 0)
            return &o->at[i];
    return NULL;
}

bool options_set(options *o, const char *key, const char *value)
{
    option *x = find(o, key);
    if (!value) {
        if (x) {
            free(x->key);
            free(x->value);
            *x = o->at[--o->n];
        }
        return true;
    }
    char *copy = strdup(value);
    if (!copy)
        return false;
    if (x) {
        free(x->value);
        x->value = copy;
        return true;
    }
    if (o->n == o->cap) {
        size_t cap = o->cap ? 2 * o->cap : 8;
        option *more = realloc(o->at, cap * sizeof *more);
        if (!more) {
            free(copy);
            return false;
        }
        o->at = more;
        o->cap = cap;
    }
    char *k = strdup(key);
    if (!k) {
        free(copy);
        return false;
    }
    o->at[o->n++] = (option){k, copy};
    return true;
}

const char *options_get(const options *o, const char *key)
{
    const option *x = find(o, key);
    return x ? x->value : NULL;
}

void options_free(options *o)
{
    for (size_t i = 0; i < o->n; i++) {
        free(o->at[i].key);
        free(o->at[i].value);
    }
    free(o->at);
    *o = (options){0};
}

status option_out(const char *value, char *buffer, size_t *length, struct AdbcError *err)
{
    size_t n = strlen(value) + 1;
    if (!length)
        return fail(err, ADBC_STATUS_INVALID_ARGUMENT, NULL, "the length of the buffer is missing");
    if (buffer && *length >= n)
        memcpy(buffer, value, n);
    *length = n;
    return ADBC_STATUS_OK;
}

status option_bool(const char *key, const char *value, bool *out, struct AdbcError *err)
{
    *out = value && strcmp(value, ADBC_OPTION_VALUE_ENABLED) == 0;
    if (*out || (value && strcmp(value, ADBC_OPTION_VALUE_DISABLED) == 0))
        return ADBC_STATUS_OK;
    return fail(err, ADBC_STATUS_INVALID_ARGUMENT, NULL, "option %s: \"%s\" is neither true nor false", key, value ? value : "");
}

status option_unknown(const char *key, struct AdbcError *err)
{
    return fail(err, ADBC_STATUS_NOT_IMPLEMENTED, "0A000", "there is no option %s here that can be set", key);
}

status option_not_found(const char *key, struct AdbcError *err)
{
    return fail(err, ADBC_STATUS_NOT_FOUND, "42704", "the option %s isn't set or doesn't exist here", key);
}

status option_to_int(const char *key, const char *text, int64_t *out, struct AdbcError *err)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno || end == text || *end)
        return fail(err, ADBC_STATUS_INVALID_ARGUMENT, NULL, "option %s: \"%s\" isn't a whole number", key, text);
    *out = v;
    return ADBC_STATUS_OK;
}

status option_to_double(const char *key, const char *text, double *out, struct AdbcError *err)
{
    int64_t v;
    status st = option_to_int(key, text, &v, err); /* all numbers among the options are whole ones */
    if (!st)
        *out = (double)v;
    return st;
}
