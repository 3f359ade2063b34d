/*
 * index.c: see index.h. The file's blocks are unpacked one after the other into `raw`. In each entry the walk reads its
 * status and finds the bytes of its partition, which a hash table turns into the number of a distinct partition (equal
 * values have equal bytes; were it otherwise, a partition would only be listed twice). The rest of an entry is passed
 * over, and not even looked at where it ends its block: it is checked when it is decoded.
 */
#include "iceberg/manifest/index.h"

#include "base/hash.h"

#include <math.h>
#include <pthread.h>

typedef struct builder {
    ib_decoded *d;
    ib_index *x;
    entry_reader *e;
    uint32_t n;                 /* entries */
    struct part_slot { uint64_t hash; uint32_t part, from, to; } *slots; /* open addressing; part + 1, 0: free */
    uint32_t n_slots;
} builder;

static bool grow(mem *m, void *field, size_t *cap, size_t need, size_t size)
{
    void *p;
    if (need <= *cap)
        return true;
    size_t to = *cap ? *cap * 2 : 1024;
    while (to < need)
        to *= 2;
    memcpy(&p, field, sizeof p);
    if (!(p = mem_resize(m, p, *cap * size, to * size)))
        return false;
    memcpy(field, &p, sizeof p);
    *cap = to;
    return true;
}

/* ---- partitions ---- */

static bool more_slots(builder *b)
{
    uint32_t n = b->n_slots ? b->n_slots * 4 : 64;
    struct part_slot *to = mem_zalloc(b->x->m, n * sizeof *to);
    if (!to)
        return false;
    for (uint32_t i = 0; i < b->n_slots; i++)
        if (b->slots[i].part) {
            uint32_t at = (uint32_t)b->slots[i].hash & (n - 1);
            while (to[at].part)
                at = (at + 1) & (n - 1);
            to[at] = b->slots[i];
        }
    mem_free(b->x->m, b->slots, b->n_slots * sizeof *to);
    b->slots = to;
    b->n_slots = n;
    return true;
}

/* The number of the partition whose values are raw[from, to). */
static bool partition_of(builder *b, size_t from, size_t to, uint32_t *out)
{
    ib_index *x = b->x;
    if (2 * (x->n_parts + 1) > b->n_slots && !more_slots(b))
        return false;
    uint64_t hash = hash_bytes(x->raw + from, to - from);
    uint32_t at = (uint32_t)hash & (b->n_slots - 1);
    for (; b->slots[at].part; at = (at + 1) & (b->n_slots - 1)) {
        const struct part_slot *s = &b->slots[at];
        if (s->hash == hash && s->to - s->from == to - from && memcmp(x->raw + s->from, x->raw + from, to - from) == 0) {
            *out = s->part - 1;
            return true;
        }
    }
    *out = x->n_parts++;
    b->slots[at] = (struct part_slot){hash, *out + 1, (uint32_t)from, (uint32_t)to};
    return true;
}

/* Their values, once raw stays where it is. */
static fz_status decode_parts(builder *b, fz_error *err)
{
    ib_index *x = b->x;
    x->n_fields = b->e->n_spec;
    x->parts = ARENA_ARRAY(&b->d->mem, datum, (size_t)x->n_parts * x->n_fields + 1);
    if (!x->parts)
        return error_nomem(err);
    if (!x->n_fields)
        return FZ_OK;
    entry_reader e = x->proto;
    e.a = &b->d->mem;
    for (uint32_t i = 0; i < b->n_slots; i++) {
        const struct part_slot *s = &b->slots[i];
        if (!s->part)
            continue;
        e.r.cur = (avro_cursor){.p = x->raw + s->from, .end = x->raw + s->to};
        entry_partition(&e, x->parts + (size_t)(s->part - 1) * x->n_fields);
        if (e.r.cur.bad)
            return error_set(err, FZ_DATA, "Avro file: %s", e.r.cur.bad);
    }
    return FZ_OK;
}

/* ---- the walk ---- */

/* From the entry's cursor: its status and where its partition lies; the cursor is left behind the partition. */
static void walk(entry_reader *e, int32_t *status, const uint8_t **from, const uint8_t **to)
{
    avro_cursor *c = &e->r.cur;
    const avro_type *s = e->r.schema;
    *from = *to = c->p;
    for (uint32_t i = 0; i < s->n && !c->bad; i++) {
        const avro_type *t = s->fields[i].type;
        if (e->entry_slots[i] == F_STATUS && avro_value(c, &t)) {
            *status = (int32_t)avro_get_long(c, t);
        } else if (e->entry_slots[i] != F_DATA_FILE) {
            avro_skip(c, t);
        } else if (avro_value(c, &t)) {
            for (uint32_t k = 0; k < e->file->n && !c->bad; k++) {
                const avro_type *ft = e->file->fields[k].type;
                if (e->file_slots[k] == F_PARTITION && e->part && avro_value(c, &ft)) {
                    *from = c->p;
                    avro_skip(c, ft);
                    *to = c->p;
                } else {
                    avro_skip(c, ft);
                }
                if (*to != *from && e->r.left == 0 && *status >= 0)
                    return; /* the rest ends the block */
            }
        }
    }
}

static fz_status add_entry(builder *b, size_t base, const uint8_t *block, const uint8_t *start, fz_error *err)
{
    ib_index *x = b->x;
    int32_t status = -1;
    const uint8_t *from, *to;
    walk(b->e, &status, &from, &to);
    avro_cursor *c = &b->e->r.cur;
    if (c->bad)
        return FZ_OK; /* the next avro_next says so */
    if (status < IB_EXISTING || status > IB_DELETED) {
        c->bad = "an entry whose status is none of existing, added and deleted";
        return FZ_OK;
    }
    if (b->e->r.left == 0)
        c->p = c->end;
    if (status == IB_DELETED)
        return FZ_OK;
    if (!grow(x->m, &x->at, &x->at_cap, b->n + 2, sizeof *x->at) || !grow(x->m, &x->part, &x->part_cap, b->n + 2, sizeof *x->part) ||
        !partition_of(b, base + (size_t)(from - block), base + (size_t)(to - block), &x->part[b->n]))
        return error_nomem(err);
    x->at[b->n++] = (uint32_t)(base + (size_t)(start - block));
    return FZ_OK;
}

static fz_status walk_all(builder *b, fz_error *err)
{
    ib_index *x = b->x;
    avro_reader *r = &b->e->r;
    size_t block_at = SIZE_MAX, base = 0;
    const uint8_t *block = NULL;
    for (bool more;;) {
        TRY(avro_next(r, &more, err));
        if (!more)
            return FZ_OK;
        if (r->block_at != block_at) {
            block_at = r->block_at;
            block = r->cur.p;
            base = x->raw_size;
            size_t n = (size_t)(r->cur.end - block);
            if (n > UINT32_MAX - base)
                return error_set(err, FZ_LIMIT, "a manifest of more than 4 GiB");
            if (!grow(x->m, &x->raw, &x->raw_cap, base + n, 1))
                return error_nomem(err);
            memcpy(x->raw + base, block, n);
            x->raw_size += n;
        }
        TRY(add_entry(b, base, block, r->cur.p, err));
    }
}

/* Memory that is kept for long is given back where it isn't used. */
static void shrink(mem *m, void *field, size_t *cap, size_t to, size_t size)
{
    void *p;
    memcpy(&p, field, sizeof p);
    if (!p || to == 0 || to == *cap || !(p = mem_resize(m, p, *cap * size, to * size)))
        return;
    memcpy(field, &p, sizeof p);
    *cap = to;
}

static fz_status finish(builder *b, fz_error *err)
{
    ib_index *x = b->x;
    if (!grow(x->m, &x->at, &x->at_cap, b->n + 1, sizeof *x->at))
        return error_nomem(err);
    x->at[b->n] = (uint32_t)x->raw_size;
    shrink(x->m, &x->raw, &x->raw_cap, x->raw_size, 1);
    shrink(x->m, &x->at, &x->at_cap, b->n + 1, sizeof *x->at);
    shrink(x->m, &x->part, &x->part_cap, b->n, sizeof *x->part);
    x->proto = *b->e;
    x->proto.borrow = true;
    x->proto.r = (avro_reader){.schema = b->e->r.schema, .where = b->d->path.p};
    return decode_parts(b, err);
}

fz_status index_build(const void *data, size_t size, const char *location, const ib_manifest_file *mf, const ib_metadata *md,
                      ib_decoded *d, fz_error *err)
{
    mem *m = d->mem.m;
    ib_index *x = ARENA_NEW(&d->mem, ib_index);
    if (!x)
        return error_nomem(err);
    x->m = m;
    arena_init(&x->tree, m);
    pthread_mutex_init(&x->lock, NULL);
    d->index = x; /* whatever happens, index_free frees it */
    entry_reader e;
    TRY(entry_reader_open(&e, data, size, location, mf, md, m, &d->mem, err));
    builder b = {.d = d, .x = x, .e = &e};
    fz_status st = walk_all(&b, err);
    d->n = b.n;
    if (st == FZ_OK)
        st = finish(&b, err);
    x->tree = e.r.schema_mem;
    arena_init(&e.r.schema_mem, m);
    mem_free(m, b.slots, b.n_slots * sizeof *b.slots);
    avro_reader_close(&e.r);
    if (st != FZ_OK)
        error_where(err, location);
    return st;
}

void index_free(ib_index *x)
{
    if (!x)
        return;
    for (ib_key_column *c = atomic_load(&x->columns), *next; c; c = next) {
        next = c->next;
        mem_free(x->m, c, c->bytes);
    }
    mem_free(x->m, x->raw, x->raw_cap);
    mem_free(x->m, x->at, x->at_cap * sizeof *x->at);
    mem_free(x->m, x->part, x->part_cap * sizeof *x->part);
    arena_free(&x->tree);
    pthread_mutex_destroy(&x->lock);
}

size_t index_bytes(const ib_index *x)
{
    return x->raw_cap + x->at_cap * sizeof *x->at + x->part_cap * sizeof *x->part + x->tree.total;
}

/* ---- entries ---- */

void index_cursor_open(index_cursor *c, const ib_decoded *d, bool want_stats, mem *m, arena *a)
{
    c->d = d;
    c->e = d->index->proto;
    c->e.want_stats = want_stats;
    c->e.m = m;
    c->e.a = a;
}

static fz_status damaged(const ib_decoded *d, uint32_t i, const char *what, fz_error *err)
{
    error_set(err, FZ_DATA, "Avro file: %s, in entry %u", what, i + 1);
    error_where(err, d->path.p);
    return FZ_DATA;
}

static void seek(entry_reader *e, const ib_decoded *d, uint32_t i)
{
    const ib_index *x = d->index;
    e->r.cur = (avro_cursor){.p = x->raw + x->at[i], .end = x->raw + x->raw_size};
}

fz_status index_read(index_cursor *c, uint32_t i, ib_manifest_entry *out, fz_error *err)
{
    seek(&c->e, c->d, i);
    TRY(entry_read(&c->e, out, err));
    return c->e.r.cur.bad ? damaged(c->d, i, c->e.r.cur.bad, err) : FZ_OK;
}

void index_cursor_close(index_cursor *c)
{
    entry_reader_scratch_free(&c->e);
}

/* ---- keys ---- */

/* Doubles in the order of their values, as integers. */
static int64_t double_key(double v)
{
    int64_t k;
    v += 0.0; /* -0 is 0 */
    memcpy(&k, &v, sizeof k);
    return k >= 0 ? k : k ^ INT64_MAX;
}

bool index_key(const datum *v, int64_t *key)
{
    if (v->null)
        return false;
    switch (type_phys(v->t)) {
    case PHYS_U8: *key = v->b; return true;
    case PHYS_I32: *key = v->i32; return true;
    case PHYS_I64: *key = v->i64; return true;
    case PHYS_I128: *key = v->i128v < INT64_MIN ? INT64_MIN : v->i128v > INT64_MAX ? INT64_MAX : (int64_t)v->i128v; return true;
    case PHYS_F32: *key = double_key((double)v->f32); return !isnan(v->f32);
    case PHYS_F64: *key = double_key(v->f64); return !isnan(v->f64);
    case PHYS_STR: {
        uint64_t k = 0;
        for (size_t i = 0; i < 8; i++)
            k = k << 8 | (i < v->s.n ? (uint8_t)v->s.p[i] : 0);
        *key = (int64_t)(k ^ (uint64_t)1 << 63);
        return true;
    }
    default: return false;
    }
}

/* The bound of a column in a map of bounds at the cursor. */
static bool bound_in(avro_cursor *c, const avro_type *t, int32_t field_id, type want, int64_t *key)
{
    bool found = false;
    const avro_type *item = t->kind == AVRO_ARRAY ? t->fields[0].type : NULL;
    if (!item || item->kind != AVRO_RECORD || item->n != 2) {
        c->bad = "bounds that aren't a map from column ids";
        return false;
    }
    for (uint64_t n; (n = avro_items(c, t)) > 0;)
        for (; n > 0 && !c->bad; n--) {
            int64_t id = avro_get_long(c, item->fields[0].type);
            const avro_type *value = item->fields[1].type;
            if (id != field_id) {
                avro_skip(c, value);
                continue;
            }
            datum d;
            if (avro_value(c, &value))
                found = ib_bound_decode(want, avro_get_bytes(c, value), &d, NULL) == FZ_OK && !c->bad && index_key(&d, key);
        }
    return found && !c->bad;
}

/* Passes over the entry at the cursor, taking the bounds of one column. */
static void entry_keys(entry_reader *e, ib_key_column *col, uint32_t i)
{
    avro_cursor *c = &e->r.cur;
    int64_t key;
    for (uint32_t f = 0; f < e->r.schema->n && !c->bad; f++) {
        const avro_type *t = e->r.schema->fields[f].type;
        if (e->entry_slots[f] != F_DATA_FILE) {
            avro_skip(c, t);
            continue;
        }
        if (!avro_value(c, &t))
            continue;
        for (uint32_t k = 0; k < e->file->n && !c->bad; k++) {
            const avro_type *ft = e->file->fields[k].type;
            bool lower = e->file_slots[k] == F_LOWER;
            if (!lower && e->file_slots[k] != F_UPPER)
                avro_skip(c, ft);
            else if (avro_value(c, &ft) && bound_in(c, ft, col->field_id, col->t, &key))
                *(lower ? &col->lower[i] : &col->upper[i]) = key;
        }
    }
}

static ib_key_column *find_keys(const ib_index *x, int32_t field_id, type t)
{
    ib_key_column *c = atomic_load_explicit(&x->columns, memory_order_acquire);
    while (c && !(c->field_id == field_id && type_eq(c->t, t)))
        c = c->next;
    return c;
}

static fz_status make_keys(ib_decoded *d, int32_t field_id, type t, ib_key_column **out, fz_error *err)
{
    ib_index *x = d->index;
    size_t bytes = sizeof **out + 2 * sizeof(int64_t) * (size_t)d->n;
    ib_key_column *c = mem_alloc(x->m, bytes);
    if (!c)
        return error_nomem(err);
    *c = (ib_key_column){.field_id = field_id, .t = t, .bytes = bytes, .lower = (int64_t *)(c + 1)};
    c->upper = c->lower + d->n;
    entry_reader e = x->proto;
    for (uint32_t i = 0; i < d->n; i++) {
        c->lower[i] = INT64_MIN;
        c->upper[i] = INT64_MAX;
        seek(&e, d, i);
        entry_keys(&e, c, i);
        if (e.r.cur.bad) {
            mem_free(x->m, c, bytes);
            return damaged(d, i, e.r.cur.bad, err);
        }
    }
    *out = c;
    return FZ_OK;
}

fz_status index_keys(ib_decoded *d, int32_t field_id, type t, const ib_key_column **out, size_t *grew, fz_error *err)
{
    ib_index *x = d->index;
    *grew = 0;
    fz_status st = FZ_OK;
    ib_key_column *c = find_keys(x, field_id, t);
    if (!c) {
        pthread_mutex_lock(&x->lock);
        c = find_keys(x, field_id, t);
        if (!c && (st = make_keys(d, field_id, t, &c, err)) == FZ_OK) {
            *grew = c->bytes;
            c->next = atomic_load_explicit(&x->columns, memory_order_relaxed);
            atomic_store_explicit(&x->columns, c, memory_order_release);
        }
        pthread_mutex_unlock(&x->lock);
    }
    *out = c;
    return st;
}
