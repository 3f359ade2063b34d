/*
 * partition.c: ExecutePartitions and ReadPartition. What a partition is, the library says (fz_partition in frazil.h): a text that
 * pins the states of the tables and names one share of the rows.
 */
#include "adbc/adbc_int.h"

#include <stdlib.h>
#include <string.h>

typedef struct parts {
    size_t n, cap;
    uint8_t **at;
    size_t *sizes;
} parts;

static void parts_free(parts *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->at[i]);
    free(p->at);
    free(p->sizes);
    free(p);
}

static int parts_add(void *ctx, const char *bytes, size_t size)
{
    parts *p = ctx;
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 16;
        uint8_t **at = realloc(p->at, cap * sizeof *at);
        if (at)
            p->at = at;
        size_t *sizes = realloc(p->sizes, cap * sizeof *sizes);
        if (sizes)
            p->sizes = sizes;
        if (!at || !sizes)
            return 1;
        p->cap = cap;
    }
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        return 1;
    memcpy(copy, bytes, size);
    p->at[p->n] = copy;
    p->sizes[p->n++] = size;
    return 0;
}

static void partitions_release(struct AdbcPartitions *out)
{
    parts_free(out->private_data);
    *out = (struct AdbcPartitions){0};
}

status stmt_partitions(struct AdbcStatement *s, struct ArrowSchema *schema, struct AdbcPartitions *out, int64_t *rows,
                            struct AdbcError *err)
{
    stmt *x = s->private_data;
    fz_error e;
    if (!x)
        return fail_state(err, "the statement wasn't made");
    if (!x->sql)
        return fail_state(err, "the statement has no text");
    if (x->bound.release)
        return fail(err, ADBC_STATUS_NOT_IMPLEMENTED, "0A000", "partitions of a statement with parameters aren't supported");
    parts *p = calloc(1, sizeof *p);
    if (!p)
        return fail_nomem(err);
    pthread_mutex_lock(&x->l->lock);
    fz_status f = fz_partition(x->l->s, x->sql, (uint32_t)x->max_parts, parts_add, p, schema, &e);
    pthread_mutex_unlock(&x->l->lock);
    if (f) {
        parts_free(p);
        return fail_fz(err, &e);
    }
    *out = (struct AdbcPartitions){p->n, (const uint8_t **)p->at, p->sizes, p, partitions_release};
    if (rows)
        *rows = -1;
    return ADBC_STATUS_OK;
}

status connection_read_partition(struct AdbcConnection *c, const uint8_t *partition, size_t size, struct ArrowArrayStream *out,
                                 struct AdbcError *err)
{
    conn *l;
    fz_result *r;
    fz_error e;
    status st = conn_open(c, &l, err);
    if (st)
        return st;
    pthread_mutex_lock(&l->lock);
    fz_status f = fz_execute_partition(l->s, (const char *)partition, size, &r, &e);
    st = f ? fail_fz(err, &e) : stream_of_result(l, r, out, err);
    pthread_mutex_unlock(&l->lock);
    return st;
}
