/*
 * deletes.c: see deletes.h. Loading is done once per delete file (positions) and per table of keys (equality), by the first
 * worker that needs it; others wait for it under `lock` and `change`. What was loaded is read without a lock.
 */
#include "iceberg/deletes/deletes_int.h"

#include "base/hash.h"

#include <pthread.h>
#include <stdlib.h>

#define FILE_PATH_ID 2147483546 /* columns of position delete files */
#define POS_ID       2147483545

typedef enum once { ONCE_NO, ONCE_RUNNING, ONCE_DONE, ONCE_FAILED } once;

/* Equality deletes of the same fields for the same data files. */
typedef struct key_set {
    once state;
    uint32_t group;
    uint32_t n_fields;
    uint32_t *fields;        /* ascending indexes of d->keys */
    key_table table;
} key_set;

struct ib_file_deletes {
    const ib_deletes *d;
    bool finished;           /* positions are sorted; under the lock */
    bool has_positions;
    positions pos;
    int64_t sequence;
    uint32_t n_sets;
    uint32_t *sets;
    uint32_t same_path;      /* the next file of that path, + 1 (a table can name a file twice) */
};

struct ib_deletes {
    const ib_scan *s;
    const ib_metadata *md;
    mem *m;
    arena a;
    pthread_mutex_t lock;
    pthread_cond_t change;
    ib_file_deletes *files;  /* one per file of the scan */
    strmap paths;            /* of files with position deletes: number + 1 */
    once *state;             /* of each position delete file */
    uint32_t *set_of;        /* the set of each equality delete file */
    uint32_t n_keys, n_sets;
    ib_delete_key *keys;
    key_set *sets;
    uint16_t iota[BATCH_ROWS]; /* 0, 1, 2, …: what selections are copied from */
    fz_error error;          /* of what failed */
    fz_status failed;
};

/* ---- the fields that are compared ---- */

/* Whether the field lies in f or in structs below it; *t: f's type with nothing else in it. */
static fz_status narrow(const type_field *f, int32_t id, arena *a, type *t, uint32_t *depth, bool *found, fz_error *err)
{
    *t = f->t;
    *found = f->field_id == id;
    if (*found || f->t.id != T_STRUCT || *depth >= TYPE_DEPTH_MAX)
        return FZ_OK;
    for (uint32_t i = 0; i < f->t.children->n && !*found; i++) {
        const type_field *kid = &f->t.children->f[i];
        uint32_t below = *depth + 1;
        type kt;
        TRY(narrow(kid, id, a, &kt, &below, found, err));
        if (!*found)
            continue;
        type_fields *only = arena_zalloc(a, sizeof *only + sizeof only->f[0]);
        if (!only)
            return error_nomem(err);
        only->n = 1;
        only->f[0] = *kid;
        only->f[0].required = false;
        only->f[0].t = kt;
        t->children = only;
        *depth = below;
    }
    return FZ_OK;
}

static fz_status key_in(ib_deletes *d, const ib_schema *sc, int32_t id, ib_delete_key *k, bool *found, fz_error *err)
{
    *found = false;
    for (uint32_t i = 0; sc && i < sc->fields->n && !*found; i++) {
        const type_field *f = &sc->fields->f[i];
        uint32_t depth = 0;
        type t;
        TRY(narrow(f, id, &d->a, &t, &depth, found, err));
        if (*found)
            *k = (ib_delete_key){.field_id = id, .depth = depth, .col = {.name = f->name, .t = t, .field_id = f->field_id}};
    }
    return FZ_OK;
}

/* The key for a field id, made if it is new. Columns that were dropped are found in older schemas. */
static fz_status key_of(ib_deletes *d, int32_t id, uint32_t *out, fz_error *err)
{
    for (*out = 0; *out < d->n_keys; ++*out)
        if (d->keys[*out].field_id == id)
            return FZ_OK;
    ib_delete_key k;
    bool found;
    TRY(key_in(d, ib_current_schema(d->md), id, &k, &found, err));
    for (uint32_t i = d->md->n_schemas; !found && i-- > 0;)
        TRY(key_in(d, &d->md->schemas[i], id, &k, &found, err));
    if (!found)
        return error_set(err, FZ_DATA, "equality deletes by field %d, which none of the table's schemas has", id);
    const type *t = &k.col.t;
    for (uint32_t i = 0; i < k.depth; i++)
        t = &t->children->f[0].t;
    if (type_is_nested(*t))
        return error_set(err, FZ_DATA, "equality deletes by field %d, which is nested", id);
    d->keys[d->n_keys++] = k;
    return FZ_OK;
}

static int ascending(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return a < b ? -1 : a > b;
}

static fz_status set_of(ib_deletes *d, const ib_scan_delete *x, fz_error *err)
{
    uint32_t n = x->file->n_equality;
    uint32_t *fields = ARENA_ARRAY(&d->a, uint32_t, n + 1);
    if (!fields)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++)
        TRY(key_of(d, x->file->equality_ids[i], &fields[i], err));
    qsort(fields, n, sizeof *fields, ascending);
    for (uint32_t i = 0; i < d->n_sets; i++)
        if (d->sets[i].group == x->group && d->sets[i].n_fields == n && memcmp(d->sets[i].fields, fields, n * sizeof *fields) == 0) {
            d->set_of[x->ordinal] = i;
            return FZ_OK;
        }
    key_set *s = &d->sets[d->set_of[x->ordinal] = d->n_sets++];
    *s = (key_set){.group = x->group, .n_fields = n, .fields = fields};
    key_table_init(&s->table, d->m);
    s->table.n_fields = n;
    s->table.fields = fields;
    s->table.keys = d->keys;
    return FZ_OK;
}

/* ---- making it ---- */

static fz_status describe_file(ib_deletes *d, uint32_t i, fz_error *err)
{
    const ib_scan_file *f = &d->s->files[i];
    ib_file_deletes *x = &d->files[i];
    x->d = d;
    x->sequence = f->sequence_number;
    x->pos.rows = (uint64_t)f->file->record_count;
    if (!f->n_deletes)
        return FZ_OK;
    if (!(x->sets = ARENA_ARRAY(&d->a, uint32_t, f->n_deletes)))
        return error_nomem(err);
    for (uint32_t k = 0; k < f->n_deletes; k++) {
        const ib_scan_delete *del = f->deletes[k];
        if (del->file->content == IB_POSITION_DELETES) {
            x->has_positions = true;
            continue;
        }
        uint32_t set = d->set_of[del->ordinal], at = 0;
        while (at < x->n_sets && x->sets[at] != set)
            at++;
        if (at == x->n_sets)
            x->sets[x->n_sets++] = set;
    }
    if (!x->has_positions)
        return FZ_OK;
    if (f->file->record_count > UINT32_MAX)
        return error_set(err, FZ_LIMIT, "position deletes for a file of more than 4,294,967,295 rows");
    void **at = strmap_put(&d->paths, f->file->file_path);
    if (!at)
        return error_nomem(err);
    x->same_path = (uint32_t)(uintptr_t)*at;
    *at = (void *)(uintptr_t)(i + 1);
    return FZ_OK;
}

fz_status ib_deletes_new(const ib_scan *s, const ib_metadata *md, mem *m, ib_deletes **out, fz_error *err)
{
    *out = NULL;
    if (s->n_deletes == 0)
        return FZ_OK;
    ib_deletes *d = mem_zalloc(m, sizeof *d);
    if (!d)
        return error_nomem(err);
    d->s = s;
    d->md = md;
    d->m = m;
    arena_init(&d->a, m);
    for (uint32_t i = 0; i < BATCH_ROWS; i++)
        d->iota[i] = (uint16_t)i;
    strmap_init(&d->paths, &d->a);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->change, NULL);
    size_t ids = 0;
    for (uint32_t i = 0; i < s->n_deletes; i++)
        ids += s->deletes[i]->file->n_equality;
    d->files = ARENA_ARRAY(&d->a, ib_file_deletes, s->n);
    d->state = ARENA_ARRAY(&d->a, once, s->n_deletes);
    d->set_of = ARENA_ARRAY(&d->a, uint32_t, s->n_deletes);
    d->keys = ARENA_ARRAY(&d->a, ib_delete_key, ids + 1);
    d->sets = ARENA_ARRAY(&d->a, key_set, s->n_deletes);
    fz_status st = d->files && d->state && d->set_of && d->keys && d->sets ? FZ_OK : error_nomem(err);
    for (uint32_t i = 0; i < s->n_deletes && !st; i++)
        if (s->deletes[i]->file->content == IB_EQUALITY_DELETES)
            st = set_of(d, s->deletes[i], err);
    for (uint32_t i = 0; i < s->n && !st; i++)
        st = describe_file(d, i, err);
    if (st)
        ib_deletes_free(d);
    else
        *out = d;
    return st;
}

void ib_deletes_free(ib_deletes *d)
{
    if (!d)
        return;
    for (uint32_t i = 0; d->files && i < d->s->n; i++)
        positions_free(&d->files[i].pos, d->m);
    for (uint32_t i = 0; i < d->n_sets; i++)
        key_table_free(&d->sets[i].table);
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->change);
    arena_free(&d->a);
    mem_free(d->m, d, sizeof *d);
}

const ib_delete_key *ib_deletes_keys(const ib_deletes *d, uint32_t *n)
{
    *n = d ? d->n_keys : 0;
    return d ? d->keys : NULL;
}

/* ---- loading ---- */

static bool is_for(const ib_deletes *d, uint32_t file, const ib_scan_delete *x)
{
    const ib_scan_file *f = &d->s->files[file];
    for (uint32_t k = 0; k < f->n_deletes; k++)
        if (f->deletes[k] == x)
            return true;
    return false;
}

/* Whether a row has the path of the row before it; false is always allowed. */
static bool same_path(const vec *v, uint32_t row)
{
    return v->enc == VEC_CONST || (v->enc == VEC_DICT && !v->valid && ((const uint32_t *)v->data)[row - 1] == ((const uint32_t *)v->data)[row]);
}

/* Takes the rows of a batch over, run by run of one path: each to the files of its path that this delete file is for. Under the lock. */
static fz_status scatter(ib_deletes *d, const ib_scan_delete *x, batch *b, fz_error *err)
{
    vec pos;
    const vec *path = &b->cols[0];
    TRY(vec_flatten(&pos, &b->cols[1], &b->mem, err));
    const int64_t *at = pos.data;
    for (uint32_t row = 0; row < b->nrows; row++)
        if ((pos.valid && !bit_get(pos.valid, row)) || at[row] < 0)
            return error_set(err, FZ_DATA, "a position delete without a position, or with one below 0");
    for (uint32_t from = 0, to; from < b->nrows; from = to) {
        for (to = from + 1; to < b->nrows && same_path(path, to);)
            to++;
        datum p = vec_datum(path, from);
        if (p.null)
            return error_set(err, FZ_DATA, "a position delete without a path");
        for (uint32_t i = (uint32_t)(uintptr_t)strmap_get(&d->paths, p.s); i; i = d->files[i - 1].same_path) {
            if (!is_for(d, i - 1, x))
                continue;
            int64_t rows = d->s->files[i - 1].file->record_count;
            for (uint32_t row = from; row < to; row++)
                if (at[row] < rows && !positions_add(&d->files[i - 1].pos, (uint32_t)at[row], d->m))
                    return error_nomem(err);
        }
    }
    return FZ_OK;
}

static fz_status load_positions(ib_deletes *d, const ib_scan_delete *x, fz_error *err)
{
    const column_def want[2] = {{.name = STR("file_path"), .t = TYPE(T_STRING), .field_id = FILE_PATH_ID},
                                {.name = STR("pos"), .t = TYPE(T_INT64), .field_id = POS_ID}};
    delete_rows *r = NULL;
    batch b;
    batch_init(&b, d->m);
    fz_status st;
    TRY_GOTO(delete_rows_open(d->md->io, x->file, 2, want, d->m, &r, err));
    for (bool more;;) {
        TRY_GOTO(delete_rows_next(r, &b, &more, err));
        if (!more)
            break;
        pthread_mutex_lock(&d->lock);
        st = scatter(d, x, &b, err);
        pthread_mutex_unlock(&d->lock);
        if (st) {
            error_where(err, delete_rows_path(r));
            break;
        }
    }
out:
    batch_free(&b);
    delete_rows_close(r);
    return st;
}

static fz_status load_set(ib_deletes *d, uint32_t set, fz_error *err)
{
    for (uint32_t i = 0; i < d->s->n_deletes; i++) {
        const ib_scan_delete *x = d->s->deletes[i];
        if (x->file->content == IB_EQUALITY_DELETES && d->set_of[i] == set)
            TRY(key_table_load(&d->sets[set].table, d->md->io, x->file, x->sequence_number, err));
    }
    return FZ_OK;
}

/* Has the work behind *state done by one thread, once. x NULL: a set. */
static fz_status do_once(ib_deletes *d, once *state, const ib_scan_delete *x, uint32_t set, fz_error *err)
{
    pthread_mutex_lock(&d->lock);
    while (*state == ONCE_RUNNING)
        pthread_cond_wait(&d->change, &d->lock);
    bool mine = *state == ONCE_NO;
    if (mine)
        *state = ONCE_RUNNING;
    fz_status st = *state == ONCE_FAILED ? d->failed : FZ_OK;
    if (st && err)
        *err = d->error;
    pthread_mutex_unlock(&d->lock);
    if (!mine)
        return st;
    fz_error e = {0};
    st = x ? load_positions(d, x, &e) : load_set(d, set, &e);
    pthread_mutex_lock(&d->lock);
    *state = st ? ONCE_FAILED : ONCE_DONE;
    if (st) {
        d->failed = st;
        d->error = e;
        if (err)
            *err = e;
    }
    pthread_cond_broadcast(&d->change);
    pthread_mutex_unlock(&d->lock);
    return st;
}

fz_status ib_deletes_file(ib_deletes *d, uint32_t i, const ib_file_deletes **out, fz_error *err)
{
    *out = NULL;
    if (!d || !d->s->files[i].n_deletes)
        return FZ_OK;
    const ib_scan_file *f = &d->s->files[i];
    ib_file_deletes *x = &d->files[i];
    for (uint32_t k = 0; k < f->n_deletes; k++)
        if (f->deletes[k]->file->content == IB_POSITION_DELETES)
            TRY(do_once(d, &d->state[f->deletes[k]->ordinal], f->deletes[k], 0, err));
    for (uint32_t k = 0; k < x->n_sets; k++)
        TRY(do_once(d, &d->sets[x->sets[k]].state, NULL, x->sets[k], err));
    pthread_mutex_lock(&d->lock);
    if (!x->finished)
        positions_finish(&x->pos, d->m);
    x->finished = true;
    pthread_mutex_unlock(&d->lock);
    if (x->pos.n || x->n_sets)
        *out = x;
    return FZ_OK;
}

/* ---- applying ---- */

bool file_deletes_compares(const ib_file_deletes *f)
{
    return f->n_sets > 0;
}

bool file_deletes_uses(const ib_file_deletes *f, uint32_t key)
{
    for (uint32_t i = 0; i < f->n_sets; i++) {
        const key_set *s = &f->d->sets[f->sets[i]];
        for (uint32_t k = 0; k < s->n_fields; k++)
            if (s->fields[k] == key)
                return true;
    }
    return false;
}

uint32_t file_deletes_positions(const ib_file_deletes *f, uint64_t row, uint32_t n, uint16_t *sel)
{
    return f->pos.n ? positions_select(&f->pos, row, n, f->d->iota, sel) : n;
}

fz_status file_deletes_equality(const ib_file_deletes *f, const vec *const *keys, uint32_t n, const uint16_t *sel, uint16_t *to,
                                uint32_t *nsel, mem *m, fz_error *err)
{
    *nsel = n;
    for (uint32_t i = 0; i < f->n_sets && *nsel; i++) {
        TRY(key_table_filter(&f->d->sets[f->sets[i]].table, f->sequence, keys, *nsel, sel, to, nsel, m, err));
        sel = to;
    }
    return FZ_OK;
}
