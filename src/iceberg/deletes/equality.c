/*
 * equality.c: a hash table of the keys of equality deletes, each with the greatest sequence number that deletes it.
 *
 * A key is a row's values one behind the other: a byte that says whether there is one, then the bytes of the value, or its
 * length and bytes for text. Equal keys have equal bytes.
 */
#include "base/hash.h"
#include "iceberg/deletes/deletes_int.h"

#include <math.h>

void key_table_init(key_table *t, mem *m)
{
    *t = (key_table){.m = m};
    arena_init(&t->a, m);
}

void key_table_free(key_table *t)
{
    mem_free(t->m, t->slots, t->n_slots * sizeof *t->slots);
    arena_free(&t->a);
}

/* The value of a key column in a row; null where a struct on the way is. */
static datum key_value(const ib_delete_key *k, const vec *v, uint32_t row)
{
    for (uint32_t d = 0; d < k->depth; d++) {
        if (vec_is_null(v, row) || !v->kids)
            return DATUM_NULL(TYPE(T_NULL));
        if (v->enc == VEC_CONST)
            row = 0;
        v = &v->kids[0];
    }
    return vec_datum(v, row);
}

static void add_value(sbuf *b, const datum *d)
{
    sbuf_addc(b, d->null ? 0 : 1);
    if (d->null)
        return;
    switch (type_phys(d->t)) {
    case PHYS_U8: sbuf_addc(b, d->b); break;
    case PHYS_I32: sbuf_add(b, &d->i32, 4); break;
    case PHYS_I64: sbuf_add(b, &d->i64, 8); break;
    case PHYS_I128: sbuf_add(b, &d->i128v, 16); break;
    case PHYS_F32: {
        float v = isnan(d->f32) ? NAN : d->f32;
        sbuf_add(b, &v, 4);
        break;
    }
    case PHYS_F64: {
        double v = isnan(d->f64) ? (double)NAN : d->f64;
        sbuf_add(b, &v, 8);
        break;
    }
    default: {
        uint32_t n = (uint32_t)d->s.n;
        sbuf_add(b, &n, 4);
        sbuf_str(b, d->s);
    }
    }
}

static size_t find(const key_table *t, uint64_t hash, const char *key, size_t n)
{
    size_t at = (size_t)hash & (t->n_slots - 1);
    for (; t->slots[at].key; at = (at + 1) & (t->n_slots - 1))
        if (t->slots[at].hash == hash && t->slots[at].len == n && memcmp(t->slots[at].key, key, n) == 0)
            break;
    return at;
}

static bool grow(key_table *t)
{
    size_t n = t->n_slots ? t->n_slots * 2 : 1024;
    struct key_slot *to = mem_zalloc(t->m, n * sizeof *to);
    if (!to)
        return false;
    for (size_t i = 0; i < t->n_slots; i++)
        if (t->slots[i].key) {
            size_t at = (size_t)t->slots[i].hash & (n - 1);
            while (to[at].key)
                at = (at + 1) & (n - 1);
            to[at] = t->slots[i];
        }
    mem_free(t->m, t->slots, t->n_slots * sizeof *to);
    t->slots = to;
    t->n_slots = n;
    return true;
}

static bool put(key_table *t, const sbuf *key, int64_t sequence)
{
    if (2 * (t->n + 1) > t->n_slots && !grow(t))
        return false;
    uint64_t hash = hash_bytes(key->p, key->n);
    struct key_slot *s = &t->slots[find(t, hash, key->p, key->n)];
    if (!s->key) {
        char *own = arena_strndup(&t->a, key->p, key->n);
        if (!own)
            return false;
        *s = (struct key_slot){hash, own, (uint32_t)key->n, sequence};
        t->n++;
    } else if (s->sequence < sequence) {
        s->sequence = sequence;
    }
    return true;
}

static fz_status put_batch(key_table *t, const batch *b, int64_t sequence, sbuf *key, fz_error *err)
{
    for (uint32_t row = 0; row < b->nrows; row++) {
        sbuf_clear(key);
        for (uint32_t i = 0; i < t->n_fields; i++) {
            datum d = key_value(&t->keys[t->fields[i]], &b->cols[i], row);
            add_value(key, &d);
        }
        if (key->failed || !put(t, key, sequence))
            return error_nomem(err);
    }
    return FZ_OK;
}

fz_status key_table_load(key_table *t, file_io *io, const ib_data_file *f, int64_t sequence, fz_error *err)
{
    column_def *want = mem_alloc(t->m, t->n_fields * sizeof *want + 1);
    if (!want)
        return error_nomem(err);
    for (uint32_t i = 0; i < t->n_fields; i++)
        want[i] = t->keys[t->fields[i]].col;
    delete_rows *r = NULL;
    batch b;
    sbuf key;
    batch_init(&b, t->m);
    sbuf_init(&key, t->m);
    fz_status st;
    TRY_GOTO(delete_rows_open(io, f, t->n_fields, want, t->m, &r, err));
    for (bool more;;) {
        TRY_GOTO(delete_rows_next(r, &b, &more, err));
        if (!more)
            break;
        TRY_GOTO(put_batch(t, &b, sequence, &key, err));
    }
out:
    sbuf_free(&key);
    batch_free(&b);
    delete_rows_close(r);
    mem_free(t->m, want, t->n_fields * sizeof *want + 1);
    return st;
}

fz_status key_table_filter(const key_table *t, int64_t sequence, const vec *const *keys, uint32_t n, const uint16_t *sel, uint16_t *to,
                           uint32_t *nsel, mem *m, fz_error *err)
{
    sbuf key;
    sbuf_init(&key, m);
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = sel ? sel[i] : i;
        bool gone = false;
        if (t->n) {
            sbuf_clear(&key);
            for (uint32_t f = 0; f < t->n_fields; f++) {
                datum d = key_value(&t->keys[t->fields[f]], keys[t->fields[f]], row);
                add_value(&key, &d);
            }
            const struct key_slot *s = &t->slots[find(t, hash_bytes(key.p, key.n), key.p, key.n)];
            gone = s->key && s->sequence > sequence;
        }
        to[k] = (uint16_t)row;
        k += !gone;
    }
    *nsel = k;
    fz_status st = key.failed ? error_nomem(err) : FZ_OK;
    sbuf_free(&key);
    return st;
}
