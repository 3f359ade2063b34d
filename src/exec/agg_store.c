/*
 * agg_store.c: see agg_store_int.h.
 *
 * A partition that is loaded starts as a table, and its file's rows are added to it, so that a group which was spilled
 * many times is one row again. If that table takes more than its share while memory is used up, its rows and the
 * rest of the file go to FAN files by the next bits of the hash, which are then loaded one by one. When all of the hash's lower
 * half is used up, the rows have to go into memory: they are nearly as many groups as hashes then.
 */
#include "exec/agg_store_int.h"

#define FAN_LOG2  4
#define FAN       (1u << FAN_LOG2)
#define BITS_MAX  32           /* the upper half of the hash places rows in tables */
#define FLOOR_MIN ((int64_t)64 << 10)
#define FLOOR_MAX ((int64_t)64 << 20)
#define AHEAD     8

static int64_t clamp(int64_t v) { return v < FLOOR_MIN ? FLOOR_MIN : v > FLOOR_MAX ? FLOOR_MAX : v; }

static fz_status shape_init(agg_store *s, fz_error *err)
{
    uint32_t n = 0, *at = ARENA_ARRAY(&s->q->mem, uint32_t, s->key->n + s->naggs + 1);
    if (!at)
        return error_nomem(err);
    for (uint32_t c = 0; c < s->key->n; c++)
        if (s->key->cols[c].p == PHYS_STR)
            at[n++] = GROUP_KEY + s->key->cols[c].off;
    for (uint32_t i = 0; i < s->naggs; i++)
        if (agg_text_state(&s->aggs[i])) {
            at[n++] = s->aggs[i].off;
            s->text_states = true;
        }
    group_table g;
    group_table_init(&g, s->key, s->state_bytes, &s->q->m);
    s->shape = (row_shape){.width = g.width, .ntext = n, .text_at = at};
    return FZ_OK;
}

fz_status store_init(agg_store *s, query *q, const row_layout *key, const agg_inst *aggs, uint32_t naggs, uint32_t state_bytes, fz_error *err)
{
    *s = (agg_store){.q = q, .key = key, .aggs = aggs, .naggs = naggs, .state_bytes = state_bytes};
    s->parts = ARENA_ARRAY(&q->mem, store_part, STORE_PARTS);
    if (!s->parts)
        return error_nomem(err);
    TRY(shape_init(s, err));
    s->floor = clamp(mem_limit(&q->m) / 8);
    if (pthread_mutex_init(&s->files_lock, NULL) != 0)
        return error_nomem(err);
    for (uint32_t i = 0; i < STORE_PARTS; i++) {
        group_table_init(&s->parts[i].g, key, state_bytes, &q->m);
        pthread_mutex_init(&s->parts[i].lock, NULL);
    }
    s->open = true;
    return FZ_OK;
}

static spill_file *file_pop(agg_store *s)
{
    store_file *f = s->files;
    spill_file *file = f->file;
    s->files = f->next;
    mem_free(&s->q->m, f, sizeof *f);
    return file;
}

void store_free(agg_store *s)
{
    if (!s->open)
        return;
    for (uint32_t i = 0; i < STORE_PARTS; i++) {
        group_table_free(&s->parts[i].g);
        spill_close(s->parts[i].file);
        pthread_mutex_destroy(&s->parts[i].lock);
    }
    while (s->files)
        spill_close(file_pop(s));
    pthread_mutex_destroy(&s->files_lock);
    s->open = false;
}

/* ---- filling ---- */

static void count_held(agg_store *s, store_part *p)
{
    int64_t now = group_bytes(&p->g);
    atomic_fetch_add_explicit(&s->held, now - p->held, memory_order_relaxed);
    p->held = now;
}

fz_status store_each(agg_store *s, uint32_t first, const uint32_t *at, store_fn *fn, void *ctx, fz_error *err)
{
    uint64_t left = 0;
    for (uint32_t p = 0; p < STORE_PARTS; p++)
        if (at[p] < at[p + 1])
            left |= 1ull << p;
    for (bool wait = false; left;) {
        uint64_t before = left;
        for (uint32_t i = 0; i < STORE_PARTS; i++) {
            uint32_t k = (first + i) % STORE_PARTS;
            store_part *p = &s->parts[k];
            if (!(left >> k & 1))
                continue;
            if (wait)
                pthread_mutex_lock(&p->lock);
            else if (pthread_mutex_trylock(&p->lock) != 0)
                continue;
            wait = false;
            fz_status st = fn(ctx, p, at[k], at[k + 1], err);
            count_held(s, p);
            pthread_mutex_unlock(&p->lock);
            TRY(st);
            left &= ~(1ull << k);
        }
        wait = left == before;
    }
    return FZ_OK;
}

fz_status store_add(const agg_store *s, group_table *to, uint8_t *const *rows, uint32_t n, fz_error *err)
{
    uint32_t states = group_states_at(s->key);
    for (uint32_t k = 0; k < n; k++) {
        if (k + 3 * AHEAD < n)
            __builtin_prefetch(rows[k + 3 * AHEAD]);
        if (k + 2 * AHEAD < n)
            group_prefetch(to, group_hash_of(rows[k + 2 * AHEAD]));
        if (k + AHEAD < n)
            group_prefetch_row(to, group_hash_of(rows[k + AHEAD]));
        uint8_t *row;
        uint32_t before = to->n;
        TRY(group_find_add(to, rows[k] + GROUP_KEY, group_hash_of(rows[k]), &row, err));
        if (to->n != before && !s->text_states) {
            memcpy(row + states, rows[k] + states, s->state_bytes);
            continue;
        }
        for (uint32_t i = 0; i < s->naggs; i++)
            TRY(agg_merge(&s->aggs[i], row, rows[k], &to->text, err));
    }
    return FZ_OK;
}

/* All rows of a table to a file. */
static fz_status table_write(agg_store *s, const group_table *g, spill_file *f, fz_error *err)
{
    uint8_t *rows[ROWFILE_BLOCK];
    for (uint32_t i = 0; i < g->n;) {
        uint32_t n = 0;
        while (i < g->n && n < ROWFILE_BLOCK)
            rows[n++] = group_row(g, i++);
        if (job_stopped(&s->q->j))
            return error_set(err, FZ_CANCELLED, "cancelled");
        TRY(rowfile_write(f, &s->shape, rows, n, err));
    }
    return spill_flush(f, err);
}

/* With the partition's lock held. */
static fz_status part_spill(agg_store *s, store_part *p, fz_error *err)
{
    if (!p->file)
        TRY(spill_create(s->q->o.temp_dir, &s->q->m, &p->file, err));
    TRY(table_write(s, &p->g, p->file, err));
    group_table_free(&p->g);
    group_table_init(&p->g, s->key, s->state_bytes, &s->q->m);
    count_held(s, p);
    atomic_store(&s->spilled, true);
    return FZ_OK;
}

fz_status store_spill_over(agg_store *s, fz_error *err)
{
    while (mem_over(&s->q->m, 0) && atomic_load_explicit(&s->held, memory_order_relaxed) > s->floor) {
        store_part *most = NULL;
        int64_t bytes = 0;
        for (uint32_t i = 0; i < STORE_PARTS; i++) { /* `held` of others may change meanwhile: a guess is enough */
            store_part *p = &s->parts[i];
            if (pthread_mutex_trylock(&p->lock) != 0)
                continue;
            if (p->held > bytes) {
                most = p;
                bytes = p->held;
            }
            pthread_mutex_unlock(&p->lock);
        }
        if (!most)
            return FZ_OK;
        pthread_mutex_lock(&most->lock);
        fz_status st = most->g.n ? part_spill(s, most, err) : FZ_OK;
        pthread_mutex_unlock(&most->lock);
        TRY(st);
    }
    return FZ_OK;
}

/* ---- reading ---- */

static fz_status file_push(agg_store *s, spill_file *file, uint32_t bits, fz_error *err)
{
    store_file *f = mem_alloc(&s->q->m, sizeof *f);
    if (!f)
        return error_nomem(err);
    pthread_mutex_lock(&s->files_lock);
    *f = (store_file){s->files, file, bits};
    s->files = f;
    pthread_mutex_unlock(&s->files_lock);
    return FZ_OK;
}

fz_status store_seal(agg_store *s, fz_error *err)
{
    if (!atomic_load(&s->spilled))
        return FZ_OK;
    for (uint32_t i = STORE_PARTS; i-- > 0;) {
        store_part *p = &s->parts[i];
        if (!p->file)
            continue;
        if (p->g.n)
            TRY(part_spill(s, p, err));
        TRY(file_push(s, p->file, STORE_PARTS_LOG2, err));
        p->file = NULL;
    }
    return FZ_OK;
}

/* The rest of a file, and what of it is in the table, in FAN new files. */
static fz_status file_part(agg_store *s, group_table *g, spill_file *file, uint32_t bits, arena *a, fz_error *err)
{
    spill_file *to[FAN] = {0};
    uint8_t *lists[FAN][64], *rows;
    uint32_t n[FAN] = {0}, got;
    fz_status st = FZ_OK;
    for (uint32_t i = 0; i < FAN && st == FZ_OK; i++)
        st = spill_create(s->q->o.temp_dir, &s->q->m, &to[i], err);
    for (uint32_t from = 0; st == FZ_OK;) {
        if (from < g->n) { /* rows of a chunk lie as those of a block do */
            got = g->n - from < 1u << GROUP_CHUNK_LOG2 ? g->n - from : 1u << GROUP_CHUNK_LOG2;
            rows = group_row(g, from);
            from += got;
        } else {
            arena_reset(a);
            st = rowfile_read(file, &s->shape, a, &rows, &got, err);
            if (st != FZ_OK || !got)
                break;
        }
        if (job_stopped(&s->q->j)) {
            st = error_set(err, FZ_CANCELLED, "cancelled");
            break;
        }
        for (uint32_t k = 0; k < got && st == FZ_OK; k++) {
            uint8_t *row = rows + (size_t)k * s->shape.width;
            uint32_t i = (uint32_t)(group_hash_of(row) >> bits) & (FAN - 1);
            lists[i][n[i]++] = row;
            if (n[i] == 64) {
                st = rowfile_write(to[i], &s->shape, lists[i], 64, err);
                n[i] = 0;
            }
        }
        for (uint32_t i = 0; i < FAN && st == FZ_OK; i++) { /* the rows go with the arena */
            st = rowfile_write(to[i], &s->shape, lists[i], n[i], err);
            n[i] = 0;
        }
    }
    for (uint32_t i = 0; i < FAN; i++) {
        if (st == FZ_OK && spill_bytes(to[i]) > 0) {
            st = spill_flush(to[i], err);
            if (st == FZ_OK)
                st = file_push(s, to[i], bits + FAN_LOG2, err);
            if (st == FZ_OK)
                continue;
        }
        spill_close(to[i]);
    }
    return st;
}

/* *parted: it was too large, files of its parts were pushed. */
static fz_status file_load(agg_store *s, spill_file *file, uint32_t bits, group_table *g, bool *parted, fz_error *err)
{
    arena a;
    uint8_t *rows, *ptrs[ROWFILE_BLOCK];
    uint32_t n;
    int64_t share = clamp(mem_limit(&s->q->m) / 16 / (int64_t)pool_width(s->q->o.p));
    *parted = false;
    TRY(spill_rewind(file, err));
    arena_init(&a, &s->q->m);
    fz_status st;
    while ((st = rowfile_read(file, &s->shape, &a, &rows, &n, err)) == FZ_OK && n) {
        for (uint32_t k = 0; k < n; k++)
            ptrs[k] = rows + (size_t)k * s->shape.width;
        st = job_stopped(&s->q->j) ? error_set(err, FZ_CANCELLED, "cancelled") : store_add(s, g, ptrs, n, err);
        if (st != FZ_OK)
            break;
        arena_reset(&a);
        if (group_bytes(g) > share && mem_over(&s->q->m, 0) && bits + FAN_LOG2 <= BITS_MAX && g->n > 1) {
            st = file_part(s, g, file, bits, &a, err);
            *parted = true;
            break;
        }
    }
    arena_free(&a);
    return st;
}

fz_status store_next(agg_store *s, group_table *g, bool *end, fz_error *err)
{
    *end = false;
    for (;;) {
        uint32_t i = atomic_load(&s->next_part);
        if (i < STORE_PARTS) { /* those in memory first: they make room */
            i = atomic_fetch_add(&s->next_part, 1);
            if (i < STORE_PARTS && s->parts[i].g.n) {
                *g = s->parts[i].g;
                s->parts[i].g = (group_table){0};
                return FZ_OK;
            }
            continue;
        }
        pthread_mutex_lock(&s->files_lock);
        uint32_t bits = s->files ? s->files->bits : 0;
        spill_file *file = s->files ? file_pop(s) : NULL;
        pthread_mutex_unlock(&s->files_lock);
        *end = !file;
        if (!file)
            return FZ_OK;
        bool parted;
        group_table_init(g, s->key, s->state_bytes, &s->q->m);
        fz_status st = file_load(s, file, bits, g, &parted, err);
        spill_close(file);
        if (st != FZ_OK || parted)
            group_table_free(g);
        if (st != FZ_OK)
            return st;
        if (!parted)
            return FZ_OK;
    }
}
