/*
 * database.c: an ADBC database is a lake. Options until DatabaseInit:
 *
 *   uri            a directory, or the name of a configured catalog: a text without '/' that isn't a directory is looked up among the
 *                  catalogs first; none: as fz_lake_open does without a location
 *   threads, memory-limit, temp-dir                     a runtime of its own with these (fz_runtime_create)
 *   catalog, catalog-name, read-only, lock-timeout-ms   options of fz_lake_open
 *   any other      a property of the catalog, as "warehouse" or "s3.endpoint"
 */
#include "adbc/adbc_int.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const runtime_keys[] = {"threads", "memory-limit", "temp-dir", NULL};
static const char *const lake_keys[] = {"catalog", "catalog-name", "read-only", "lock-timeout-ms", NULL};

static bool among(const char *const *keys, const char *key)
{
    for (; *keys; keys++)
        if (strcmp(*keys, key) == 0)
            return true;
    return false;
}

status database_new(struct AdbcDatabase *d, struct AdbcError *err)
{
    if (d->private_data)
        return fail_state(err, "the database was made already");
    d->private_data = calloc(1, sizeof(database));
    return d->private_data ? ADBC_STATUS_OK : fail_nomem(err);
}

status database_set(struct AdbcDatabase *d, const char *key, const char *value, struct AdbcError *err)
{
    database *x = d->private_data;
    if (!x)
        return fail_state(err, "the database wasn't made");
    if (x->lake)
        return option_unknown(key, err);
    return options_set(&x->given, key, value) ? ADBC_STATUS_OK : fail_nomem(err);
}

status database_get(struct AdbcDatabase *d, const char *key, char *value, size_t *length, struct AdbcError *err)
{
    const database *x = d->private_data;
    if (!x)
        return fail_state(err, "the database wasn't made");
    const char *v = options_get(&x->given, key);
    return v ? option_out(v, value, length, err) : option_not_found(key, err);
}

typedef struct sorted { size_t n_runtime, n_lake, n_texts; fz_option *runtime, *lake; char **texts; } sorted;

static void sorted_free(sorted *x)
{
    for (size_t i = 0; i < x->n_texts; i++)
        free(x->texts[i]);
    free(x->runtime);
    free(x->lake);
    free(x->texts);
}

/* One place more than there are options, for the catalog. */
static bool sort_options(const options *o, sorted *x)
{
    *x = (sorted){.runtime = calloc(o->n + 1, sizeof *x->runtime), .lake = calloc(o->n + 1, sizeof *x->lake),
                  .texts = calloc(o->n + 1, sizeof *x->texts)};
    for (size_t i = 0; x->runtime && x->lake && x->texts && i < o->n; i++) {
        fz_option v = {o->at[i].key, o->at[i].value};
        if (strcmp(v.key, ADBC_OPTION_URI) == 0)
            continue;
        if (among(runtime_keys, v.key)) {
            x->runtime[x->n_runtime++] = v;
            continue;
        }
        if (!among(lake_keys, v.key)) {
            if (asprintf(&x->texts[x->n_texts], "%s=%s", v.key, v.value) < 0)
                return false;
            v = (fz_option){"set", x->texts[x->n_texts++]};
        }
        x->lake[x->n_lake++] = v;
    }
    return x->runtime && x->lake && x->texts;
}

static fz_status lake_open(fz_runtime *rt, const char *uri, sorted *x, bool *by_name, fz_lake **out, fz_error *e)
{
    struct stat info;
    *by_name = uri && *uri && !strchr(uri, '/') && stat(uri, &info) != 0 && errno == ENOENT;
    if (*by_name) {
        x->lake[x->n_lake] = (fz_option){"catalog", uri};
        fz_status st = fz_lake_open(rt, NULL, x->lake, x->n_lake + 1, out, e);
        if (st != FZ_NOT_FOUND)
            return st;
        *by_name = false;
    }
    return fz_lake_open(rt, uri, x->lake, x->n_lake, out, e);
}

status database_init(struct AdbcDatabase *d, struct AdbcError *err)
{
    database *x = d->private_data;
    sorted o;
    if (!x)
        return fail_state(err, "the database wasn't made");
    if (x->lake)
        return fail_state(err, "the database is open already");
    if (!sort_options(&x->given, &o)) {
        sorted_free(&o);
        return fail_nomem(err);
    }
    fz_error e;
    fz_runtime *rt = NULL;
    bool by_name;
    const char *uri = options_get(&x->given, ADBC_OPTION_URI);
    fz_status st = o.n_runtime ? fz_runtime_create(o.runtime, o.n_runtime, NULL, &rt, &e) : FZ_OK;
    if (!st)
        st = lake_open(rt, uri, &o, &by_name, &x->lake, &e);
    if (!st && by_name && !options_set(&x->given, "catalog", uri)) {
        fz_lake_close(x->lake);
        x->lake = NULL;
        st = FZ_NOMEM;
    }
    fz_runtime_release(rt);
    sorted_free(&o);
    return st == FZ_NOMEM ? fail_nomem(err) : st ? fail_fz(err, &e) : ADBC_STATUS_OK;
}

status database_release(struct AdbcDatabase *d, struct AdbcError *err)
{
    database *x = d->private_data;
    if (!x)
        return fail_state(err, "the database wasn't made, or is released already");
    fz_lake_close(x->lake);
    options_free(&x->given);
    free(x);
    d->private_data = NULL;
    return ADBC_STATUS_OK;
}
