/*
 * metadata_tables.c: which metadata tables there are, and how they are scanned.
 *
 * A scan hands out units, each a morsel: the whole of a small list (snapshots, history, refs, …), a snapshot's manifests, a
 * manifest's entries, a delete file. Manifests are read (or found in the cache) by the worker that takes them, several at a
 * time; only `partitions`, which sums up over all of them, is one unit. A filter is left to the executor: the rows are few.
 *
 * The rows of one batch point into what its worker holds (a decoded manifest, texts made for the batch) until its next call.
 */
#include "engine/metadata_int.h"

#include "engine/file_scan.h"
#include "iceberg/manifest/inline.h"

#define ROWS 1024 /* of a batch: the rows are wide */

typedef enum unit_kind { U_SNAPSHOTS, U_HISTORY, U_REFS, U_LOG, U_PROPERTIES, U_MANIFESTS, U_ENTRIES, U_PARTITIONS, U_DELETES } unit_kind;

#define DATA    1
#define DELETES 2
typedef struct meta_table_def {
    const char *name;
    uint8_t unit;         /* unit_kind */
    bool all;             /* of every snapshot */
    uint8_t content;      /* of entries: DATA, DELETES */
    bool gone;            /* entries: deleted ones too */
    uint8_t cols[4][2];   /* ranges of meta_col, first and last; {0, 0} behind the first: no more */
} meta_table_def;

static const meta_table_def TABLES[] = {
    {"snapshots", U_SNAPSHOTS, true, .cols = {{MC_COMMITTED_AT, MC_SUMMARY}}},
    {"history", U_HISTORY, true, .cols = {{MC_MADE_CURRENT_AT, MC_MADE_CURRENT_AT}, {MC_SNAPSHOT_ID, MC_PARENT_ID}, {MC_IS_ANCESTOR, MC_IS_ANCESTOR}}},
    {"refs", U_REFS, true, .cols = {{MC_REF_NAME, MC_REF_TYPE}, {MC_SNAPSHOT_ID, MC_SNAPSHOT_ID}, {MC_REF_MAX_AGE, MC_REF_MAX_SNAPSHOT_AGE}}},
    {"metadata_log_entries", U_LOG, true, .cols = {{MC_LOG_TIME, MC_LOG_SEQUENCE}}},
    {"properties", U_PROPERTIES, true, .cols = {{MC_KEY, MC_VALUE}}},
    {"manifests", U_MANIFESTS, .cols = {{MC_M_CONTENT, MC_M_SUMMARIES}}},
    {"all_manifests", U_MANIFESTS, true, .cols = {{MC_M_CONTENT, MC_M_KEY}}},
    {"files", U_ENTRIES, false, DATA | DELETES, .cols = {{MC_CONTENT, MC_METRICS}}},
    {"data_files", U_ENTRIES, false, DATA, .cols = {{MC_CONTENT, MC_METRICS}}},
    {"delete_files", U_ENTRIES, false, DELETES, .cols = {{MC_CONTENT, MC_METRICS}}},
    {"all_files", U_ENTRIES, true, DATA | DELETES, .cols = {{MC_CONTENT, MC_METRICS}}},
    {"all_data_files", U_ENTRIES, true, DATA, .cols = {{MC_CONTENT, MC_METRICS}}},
    {"all_delete_files", U_ENTRIES, true, DELETES, .cols = {{MC_CONTENT, MC_METRICS}}},
    {"entries", U_ENTRIES, false, DATA | DELETES, true, .cols = {{MC_STATUS, MC_DATA_FILE}, {MC_METRICS, MC_METRICS}}},
    {"all_entries", U_ENTRIES, true, DATA | DELETES, true, .cols = {{MC_STATUS, MC_DATA_FILE}, {MC_METRICS, MC_METRICS}}},
    {"partitions", U_PARTITIONS, false, DATA | DELETES, .cols = {{MC_P_PARTITION, MC_P_UPDATED_BY}}},
    {"position_deletes", U_DELETES, false, DELETES, .cols = {{MC_D_PATH, MC_D_FILE}}},
};

typedef struct meta_source {
    table_source base;
    fz_lake *lake;               /* referenced */
    ib_table *table;             /* referenced */
    const meta_table_def *def;
    const ib_snapshot *snapshot; /* of those about one; NULL: the table is empty */
    meta_shape shape;
    uint8_t *cols;               /* meta_col of each column */
    arena a;
    mem *m;
} meta_source;

typedef struct meta_scan {
    scan base;
    const meta_source *t;        /* lives as long as the plan */
    uint32_t ncols;
    uint8_t *cols;
    type *types;
    blockpool *pool;
    job *j;
    _Atomic uint32_t next;
    uint32_t n_units;
    const ib_manifest_file **manifests; /* U_ENTRIES, U_PARTITIONS: what is read */
    uint32_t n_manifests;
    ib_decoded **held;           /* that the manifests, or the delete files, lie in */
    uint32_t n_held, cap_held;
    const ib_manifest_entry **deletes; /* U_DELETES: a unit each */
    bool *ancestor;              /* U_HISTORY: per snapshot of the metadata */
    arena a;
} meta_scan;

typedef struct meta_local {
    grow g;
    arena text;                  /* of one batch */
    arena unit_mem;              /* of one unit */
    bool active;
    uint32_t unit, at, n, seq;   /* the unit, and which of its rows is next */
    ib_decoded *decoded;         /* its manifest or manifest list */
    meta_partition **partitions; /* U_PARTITIONS */
    scan *rows;                  /* U_DELETES: the delete file's rows */
    void *rows_local;
    batch in;
    uint32_t in_at;
    datum *values;
} meta_local;

/* ---- names ---- */

int metadata_table_find(str name)
{
    for (size_t i = 0; i < sizeof TABLES / sizeof TABLES[0]; i++)
        if (str_ieq(name, str_of(TABLES[i].name)))
            return (int)i;
    return -1;
}

const char *metadata_table_name(int kind)
{
    return TABLES[kind].name;
}

fz_status metadata_table_split(const sql_name *name, arena *a, sql_name *of, int *kind, fz_error *err)
{
    const sql_ident *last = &name->parts[name->n - 1];
    *kind = -1;
    if (name->n > 1 && (*kind = metadata_table_find(last->name)) >= 0) {
        *of = (sql_name){.n = name->n - 1, .parts = name->parts};
        return FZ_OK;
    }
    const char *dollar = memrchr(last->name.p, '$', last->name.n);
    size_t n = dollar ? (size_t)(dollar - last->name.p) : 0;
    if (n == 0 || (*kind = metadata_table_find((str){dollar + 1, last->name.n - n - 1})) < 0)
        return FZ_OK;
    sql_ident *parts = ARENA_ARRAY(a, sql_ident, name->n);
    if (!parts)
        return error_nomem(err);
    memcpy(parts, name->parts, name->n * sizeof *parts);
    parts[name->n - 1].name.n = n;
    *of = (sql_name){.n = name->n, .parts = parts};
    return FZ_OK;
}

/* ---- what a scan reads ---- */

static fz_status hold(meta_scan *s, ib_decoded *d, fz_error *err)
{
    if (s->n_held == s->cap_held) {
        uint32_t cap = s->cap_held ? s->cap_held * 2 : 8;
        void *p = mem_resize(s->t->m, s->held, s->cap_held * sizeof *s->held, cap * sizeof *s->held);
        if (!p) {
            ib_decoded_unref(d);
            return error_nomem(err);
        }
        s->held = p;
        s->cap_held = cap;
    }
    s->held[s->n_held++] = d;
    return FZ_OK;
}

static ib_manifest_cache *cache_of(const meta_source *t)
{
    return t->lake->rt->manifests;
}

/* The manifests of the snapshot or of all of them, each path once. */
static fz_status find_manifests(meta_scan *s, fz_error *err)
{
    const meta_source *t = s->t;
    const ib_metadata *md = t->table->md;
    uint32_t n = t->def->all ? md->n_snapshots : t->snapshot != NULL, cap = 0;
    strmap seen;
    strmap_init(&seen, &s->a);
    for (uint32_t i = 0; i < n; i++) {
        ib_decoded *d;
        TRY(ib_snapshot_manifests(cache_of(t), md, t->def->all ? md->snapshots[i] : t->snapshot, t->m, &d, err));
        TRY(hold(s, d, err));
        for (uint32_t k = 0; k < d->n; k++) {
            const ib_manifest_file *f = &d->files[k];
            if (!(t->def->content & (f->content == IB_DATA ? DATA : DELETES)))
                continue;
            void **slot = strmap_put(&seen, f->path);
            if (!slot)
                return error_nomem(err);
            if (*slot)
                continue;
            *slot = (void *)f;
            if (s->n_manifests == cap) {
                const ib_manifest_file **more = ARENA_ARRAY(&s->a, const ib_manifest_file *, cap = cap ? cap * 2 : 32);
                if (!more)
                    return error_nomem(err);
                if (s->n_manifests)
                    memcpy(more, s->manifests, s->n_manifests * sizeof *more);
                s->manifests = more;
            }
            s->manifests[s->n_manifests++] = f;
        }
    }
    return FZ_OK;
}

/* The live position delete files. */
static fz_status find_deletes(meta_scan *s, fz_error *err)
{
    const meta_source *t = s->t;
    uint32_t n = 0, cap = 0;
    for (uint32_t i = 0; i < s->n_manifests; i++) {
        ib_decoded *d;
        TRY(ib_manifest_get(cache_of(t), s->manifests[i], t->table->md, true, t->m, &d, err));
        TRY(hold(s, d, err));
        for (uint32_t k = 0; k < d->n; k++) {
            const ib_manifest_entry *e = &d->entries[k];
            if (e->status == IB_DELETED || e->file.content != IB_POSITION_DELETES)
                continue;
            if (n == cap) {
                const ib_manifest_entry **more = ARENA_ARRAY(&s->a, const ib_manifest_entry *, cap = cap ? cap * 2 : 32);
                if (!more)
                    return error_nomem(err);
                if (n)
                    memcpy(more, s->deletes, n * sizeof *more);
                s->deletes = more;
            }
            s->deletes[n++] = e;
        }
    }
    s->n_units = n;
    return FZ_OK;
}

/* Which snapshots the current one descends from. */
static fz_status find_ancestors(meta_scan *s, fz_error *err)
{
    const ib_metadata *md = s->t->table->md;
    if (!(s->ancestor = ARENA_ARRAY(&s->a, bool, md->n_snapshots + 1)))
        return error_nomem(err);
    const ib_snapshot *at = ib_current_snapshot(md);
    for (uint32_t steps = 0; at && steps < md->n_snapshots; steps++) {
        for (uint32_t i = 0; i < md->n_snapshots; i++)
            if (md->snapshots[i] == at)
                s->ancestor[i] = true;
        at = at->parent_id < 0 ? NULL : ib_snapshot_by_id(md, at->parent_id);
    }
    return FZ_OK;
}

static fz_status find_units(meta_scan *s, fz_error *err)
{
    const meta_source *t = s->t;
    s->n_units = 1;
    switch ((unit_kind)t->def->unit) {
    case U_HISTORY:
        return find_ancestors(s, err);
    case U_MANIFESTS:
        s->n_units = t->def->all ? t->table->md->n_snapshots : t->snapshot != NULL;
        return FZ_OK;
    case U_ENTRIES:
        TRY(find_manifests(s, err));
        s->n_units = s->n_manifests;
        return FZ_OK;
    case U_PARTITIONS:
        return find_manifests(s, err);
    case U_DELETES:
        TRY(find_manifests(s, err));
        return find_deletes(s, err);
    default:
        return FZ_OK;
    }
}

/* ---- partitions ---- */

static void key_of(const meta_shape *s, const datum *values, sbuf *out)
{
    for (uint32_t i = 0; s->partition.id != T_NULL && i < s->partition.children->n; i++) {
        const datum *d = &values[i];
        phys p = type_phys(d->t);
        sbuf_addc(out, (char)d->null);
        if (d->null)
            continue;
        if (p == PHYS_STR) {
            sbuf_add(out, &d->s.n, sizeof d->s.n);
            sbuf_str(out, d->s);
        } else {
            sbuf_add(out, &d->b, phys_size(p)); /* all members of the union start at one place */
        }
    }
}

/* Sums as Spark has them: the partition's newest snapshot says when it was updated, and by which spec. */
static void sum_up(meta_partition *p, const ib_manifest_entry *e, const ib_metadata *md)
{
    const ib_data_file *f = &e->file;
    const ib_snapshot *by = ib_snapshot_by_id(md, e->snapshot_id);
    if (by && (p->updated_by < 0 || by->timestamp_ms > p->updated_ms)) {
        p->spec_id = f->spec_id;
        p->updated_ms = by->timestamp_ms;
        p->updated_by = by->snapshot_id;
    }
    switch (f->content) {
    case IB_DATA:
        p->records += f->record_count;
        p->size += f->file_size_bytes;
        p->files++;
        break;
    case IB_POSITION_DELETES:
        p->pos_records += f->record_count;
        p->pos_files++;
        break;
    case IB_EQUALITY_DELETES:
        p->eq_records += f->record_count;
        p->eq_files++;
    }
}

static datum *values_copy(const meta_shape *s, const datum *values, arena *a)
{
    uint32_t n = s->partition.id == T_NULL ? 0 : s->partition.children->n;
    datum *c = ARENA_ARRAY(a, datum, n + 1);
    for (uint32_t i = 0; c && i < n; i++) {
        c[i] = values[i];
        if (!c[i].null && type_phys(c[i].t) == PHYS_STR && !(c[i].s.p = arena_strndup(a, c[i].s.p ? c[i].s.p : "", c[i].s.n)))
            return NULL;
    }
    return c;
}

static fz_status sum_manifest(meta_scan *s, meta_local *l, const ib_decoded *d, strmap *all, uint32_t *cap, sbuf *key, fz_error *err)
{
    const meta_shape *shape = &s->t->shape;
    for (uint32_t k = 0; k < d->n; k++) {
        const ib_manifest_entry *e = &d->entries[k];
        if (e->status == IB_DELETED)
            continue;
        meta_partition_values(shape, &e->file, l->values);
        sbuf_clear(key);
        key_of(shape, l->values, key);
        void **slot = key->failed ? NULL : strmap_put(all, (str){key->p ? key->p : "", key->n});
        if (!slot)
            return error_nomem(err);
        if (!*slot) {
            meta_partition *p = ARENA_NEW(&l->unit_mem, meta_partition);
            if (l->n == *cap) {
                meta_partition **more = ARENA_ARRAY(&l->unit_mem, meta_partition *, *cap = *cap ? *cap * 2 : 64);
                if (more && l->n)
                    memcpy(more, l->partitions, l->n * sizeof *more);
                l->partitions = more;
            }
            if (!p || !l->partitions || !(p->values = values_copy(shape, l->values, &l->unit_mem)))
                return error_nomem(err);
            p->spec_id = e->file.spec_id;
            p->updated_by = -1;
            *slot = l->partitions[l->n++] = p;
        }
        sum_up(*slot, e, s->t->table->md);
    }
    return FZ_OK;
}

static fz_status sum_partitions(meta_scan *s, meta_local *l, fz_error *err)
{
    strmap all;
    sbuf key;
    uint32_t cap = 0;
    fz_status st = FZ_OK;
    strmap_init(&all, &l->unit_mem);
    sbuf_init(&key, s->t->m);
    l->n = 0;
    for (uint32_t i = 0; i < s->n_manifests && !st; i++) {
        ib_decoded *d;
        st = ib_manifest_get(cache_of(s->t), s->manifests[i], s->t->table->md, true, s->t->m, &d, err);
        if (st)
            break;
        st = sum_manifest(s, l, d, &all, &cap, &key, err);
        ib_decoded_unref(d);
    }
    sbuf_free(&key);
    return st;
}

/* ---- position deletes ---- */

static column_def DELETE_COLUMNS[] = {
    {.name = {"file_path", 9}, .t = {.id = T_STRING}, .not_null = true, .field_id = 2147483546},
    {.name = {"pos", 3}, .t = {.id = T_INT64}, .not_null = true, .field_id = 2147483545},
};
static const row_schema DELETE_SCHEMA = {2, DELETE_COLUMNS};

static fz_status open_deletes(meta_scan *s, meta_local *l, fz_error *err)
{
    static const uint32_t both[] = {0, 1};
    const ib_data_file *f = &s->deletes[l->unit]->file;
    scan_file *file = ARENA_NEW(&l->unit_mem, scan_file);
    ib_scan_file *planned = ARENA_NEW(&l->unit_mem, ib_scan_file);
    char *path = arena_strndup(&l->unit_mem, f->file_path.p, f->file_path.n);
    if (!file || !planned || !path)
        return error_nomem(err);
    if (!str_eqz(f->file_format, "PARQUET") && !str_eqz(f->file_format, "AVRO")) {
        error_set(err, FZ_UNSUPPORTED, "reading delete files of format " STR_FMT " is not supported", STR_ARG(f->file_format));
        error_where(err, path);
        return FZ_UNSUPPORTED;
    }
    planned->file = f;
    *file = (scan_file){.path = path, .rows = f->record_count, .planned = planned};
    file_scan_options o = {.n_files = 1, .files = file, .schema = &DELETE_SCHEMA, .footers = s->t->lake->rt->footers, .io = s->t->table->md->io, .m = s->t->m};
    scan_request r = {.ncols = 2, .cols = both, .limit = -1, .j = s->j};
    meta_partition_values(&s->t->shape, f, l->values);
    TRY(file_scan_open(&o, &r, &l->rows, err));
    return l->rows->ops->local_open(l->rows, &l->rows_local, err);
}

static void close_deletes(meta_local *l)
{
    if (!l->rows)
        return;
    batch_reset(&l->in);
    if (l->rows_local)
        l->rows->ops->local_close(l->rows, l->rows_local);
    l->rows->ops->close(l->rows);
    l->rows = NULL;
    l->rows_local = NULL;
}

/* ---- units and their rows ---- */

static fz_status unit_open(meta_scan *s, meta_local *l, fz_error *err)
{
    const meta_source *t = s->t;
    const ib_metadata *md = t->table->md;
    arena_reset(&l->unit_mem);
    l->at = l->n = l->seq = l->in_at = 0;
    switch ((unit_kind)t->def->unit) {
    case U_SNAPSHOTS: l->n = md->n_snapshots; break;
    case U_HISTORY: l->n = md->n_snapshot_log; break;
    case U_REFS: l->n = md->n_refs; break;
    case U_LOG: l->n = md->n_metadata_log + 1; break;
    case U_PROPERTIES: l->n = md->properties.n; break;
    case U_MANIFESTS:
        TRY(ib_snapshot_manifests(cache_of(t), md, t->def->all ? md->snapshots[l->unit] : t->snapshot, t->m, &l->decoded, err));
        l->n = l->decoded->n;
        break;
    case U_ENTRIES:
        TRY(ib_manifest_get(cache_of(t), s->manifests[l->unit], md, true, t->m, &l->decoded, err));
        l->n = l->decoded->n;
        break;
    case U_PARTITIONS: return sum_partitions(s, l, err);
    case U_DELETES: return open_deletes(s, l, err);
    }
    return FZ_OK;
}

static void unit_close(meta_local *l)
{
    ib_decoded_unref(l->decoded);
    l->decoded = NULL;
    close_deletes(l);
    l->active = false;
}

/* What was current at a time, as the snapshot log says; -1: nothing. */
static int64_t current_at(const ib_metadata *md, int64_t time_ms)
{
    int64_t id = -1;
    for (uint32_t i = 0; i < md->n_snapshot_log; i++)
        if (md->snapshot_log[i].timestamp_ms <= time_ms)
            id = md->snapshot_log[i].snapshot_id;
    return id;
}

/* The unit's row at l->at into r; false: it isn't one of this table's. */
static bool row_at(const meta_scan *s, const meta_local *l, const ib_log_entry *now, meta_row *r)
{
    const ib_metadata *md = s->t->table->md;
    switch ((unit_kind)s->t->def->unit) {
    case U_SNAPSHOTS:
        r->snapshot = md->snapshots[l->at];
        r->snapshot_id = r->snapshot->snapshot_id;
        break;
    case U_HISTORY:
        r->log = &md->snapshot_log[l->at];
        r->snapshot_id = r->log->snapshot_id;
        r->snapshot = NULL;
        r->is_ancestor = false;
        for (uint32_t i = 0; i < md->n_snapshots && !r->snapshot; i++)
            if (md->snapshots[i]->snapshot_id == r->snapshot_id) {
                r->snapshot = md->snapshots[i];
                r->is_ancestor = s->ancestor[i];
            }
        break;
    case U_REFS:
        r->ref = &md->refs_list[l->at];
        r->snapshot_id = r->ref->snapshot_id;
        break;
    case U_LOG:
        r->log = l->at < md->n_metadata_log ? &md->metadata_log[l->at] : now;
        r->snapshot_id = current_at(md, r->log->timestamp_ms);
        r->snapshot = r->snapshot_id < 0 ? NULL : ib_snapshot_by_id(md, r->snapshot_id);
        break;
    case U_PROPERTIES: r->property = &md->properties.kv[l->at]; break;
    case U_MANIFESTS:
        r->manifest = &l->decoded->files[l->at];
        r->snapshot = s->t->def->all ? md->snapshots[l->unit] : s->t->snapshot;
        break;
    case U_ENTRIES:
        r->entry = &l->decoded->entries[l->at];
        return s->t->def->gone || r->entry->status != IB_DELETED;
    case U_PARTITIONS: r->partition = l->partitions[l->at]; break;
    case U_DELETES: break;
    }
    return true;
}

static fz_status put_row(const meta_scan *s, meta_local *l, const meta_row *r, fz_error *err)
{
    for (uint32_t i = 0; i < s->ncols; i++)
        TRY(meta_put(&s->t->shape, (meta_col)s->cols[i], r, &l->g, l->g.top[i], err));
    return FZ_OK;
}

static fz_status fill(meta_scan *s, meta_local *l, uint32_t *rows, fz_error *err)
{
    const ib_table *t = s->t->table;
    ib_log_entry now = {.timestamp_ms = t->md->last_updated_ms, .snapshot_id = -1, .metadata_file = str_of(t->metadata_location)};
    meta_row r = {.text = &l->text};
    for (; l->at < l->n && *rows < ROWS; l->at++)
        if (row_at(s, l, &now, &r)) {
            TRY(put_row(s, l, &r, err));
            (*rows)++;
        }
    return FZ_OK;
}

/* Rows of the delete file's batch l->in, the next one where that is used up. */
static fz_status fill_deletes(meta_scan *s, meta_local *l, task *waiter, uint32_t *rows, source_result *res, fz_error *err)
{
    while (l->in_at >= l->in.nsel) {
        *res = SOURCE_BATCH;
        TRY(l->rows->ops->next(l->rows, l->rows_local, waiter, &l->in, res, err));
        l->in_at = 0;
        if (*res == SOURCE_BLOCKED || *res == SOURCE_END)
            return FZ_OK;
        if (*res == SOURCE_MORSEL_END)
            l->in.nsel = 0;
    }
    *res = SOURCE_BATCH;
    meta_row r = {.text = &l->text, .entry = s->deletes[l->unit], .values = l->values};
    for (; l->in_at < l->in.nsel && *rows < ROWS; l->in_at++) {
        uint32_t i = l->in.sel ? l->in.sel[l->in_at] : l->in_at;
        datum path = vec_datum(&l->in.cols[0], i), pos = vec_datum(&l->in.cols[1], i);
        if (path.null || pos.null) {
            error_set(err, FZ_DATA, "a position delete without file_path or pos");
            error_where(err, "");
            return FZ_DATA;
        }
        char *copy = arena_strndup(&l->text, path.s.p ? path.s.p : "", path.s.n); /* a short one lies in the datum's vector */
        if (!copy)
            return error_nomem(err);
        r.path = (str){copy, path.s.n};
        r.pos = pos.i64;
        TRY(put_row(s, l, &r, err));
        (*rows)++;
    }
    return FZ_OK;
}

/* ---- the scan's interface ---- */

static fz_status local_open(scan *base, void **local, fz_error *err)
{
    meta_scan *s = (meta_scan *)base;
    const meta_shape *shape = &s->t->shape;
    meta_local *l = mem_zalloc(s->t->m, sizeof *l);
    if (!l)
        return error_nomem(err);
    arena_init(&l->text, s->t->m);
    arena_init(&l->unit_mem, s->t->m);
    batch_init(&l->in, s->t->m);
    uint32_t n = shape->partition.id == T_NULL ? 0 : shape->partition.children->n;
    l->values = mem_alloc(s->t->m, (n + 1) * sizeof *l->values);
    fz_status st = l->values ? grow_init(&l->g, s->ncols, s->types, s->pool, s->t->m, err) : error_nomem(err);
    if (st) {
        mem_free(s->t->m, l->values, (n + 1) * sizeof *l->values);
        batch_free(&l->in);
        mem_free(s->t->m, l, sizeof *l);
        return st;
    }
    *local = l;
    return FZ_OK;
}

static void local_close(scan *base, void *local)
{
    meta_scan *s = (meta_scan *)base;
    meta_local *l = local;
    const meta_shape *shape = &s->t->shape;
    uint32_t n = shape->partition.id == T_NULL ? 0 : shape->partition.children->n;
    unit_close(l);
    grow_free(&l->g);
    batch_free(&l->in);
    arena_free(&l->text);
    arena_free(&l->unit_mem);
    mem_free(s->t->m, l->values, (n + 1) * sizeof *l->values);
    mem_free(s->t->m, l, sizeof *l);
}

static fz_status next(scan *base, void *local, task *waiter, batch *out, source_result *res, fz_error *err)
{
    meta_scan *s = (meta_scan *)base;
    meta_local *l = local;
    uint32_t rows = 0;
    batch_reset(out);
    arena_reset(&l->text);
    if (!l->active) {
        l->unit = atomic_fetch_add(&s->next, 1);
        if (l->unit >= s->n_units) {
            *res = SOURCE_END;
            return FZ_OK;
        }
        l->active = true;
        TRY(unit_open(s, l, err));
    }
    TRY(grow_begin(&l->g, ROWS, out, err));
    *res = SOURCE_BATCH;
    if (s->t->def->unit == U_DELETES)
        TRY(fill_deletes(s, l, waiter, &rows, res, err));
    else
        TRY(fill(s, l, &rows, err));
    if (*res == SOURCE_BLOCKED)
        return FZ_OK;
    out->morsel = l->unit;
    if (rows == 0) {
        batch_reset(out);
        out->morsel = l->unit;
        unit_close(l);
        *res = SOURCE_MORSEL_END;
        return FZ_OK;
    }
    TRY(grow_emit(&l->g, rows, err));
    out->seq = l->seq++;
    out->stable = false; /* texts are the manifests' */
    return FZ_OK;
}

static void scan_close(scan *base)
{
    meta_scan *s = (meta_scan *)base;
    mem *m = s->t->m;
    for (uint32_t i = 0; i < s->n_held; i++)
        ib_decoded_unref(s->held[i]);
    mem_free(m, s->held, s->cap_held * sizeof *s->held);
    blockpool_unref(s->pool);
    arena_free(&s->a);
    mem_free(m, s, sizeof *s);
}

static const scan_ops meta_scan_ops = {local_open, local_close, next, scan_close};

static fz_status source_open(const table_source *base, const scan_request *r, scan **out, bool *filtered, fz_error *err)
{
    const meta_source *t = (const meta_source *)base;
    meta_scan *s = mem_zalloc(t->m, sizeof *s);
    if (!s)
        return error_nomem(err);
    fz_status st = FZ_OK;
    s->base.ops = &meta_scan_ops;
    s->t = t;
    s->j = r->j;
    s->ncols = r->ncols;
    arena_init(&s->a, t->m);
    s->cols = ARENA_ARRAY(&s->a, uint8_t, r->ncols + 1);
    s->types = ARENA_ARRAY(&s->a, type, r->ncols + 1);
    s->pool = blockpool_new(t->m);
    if (!s->cols || !s->types || !s->pool) {
        st = error_nomem(err);
        goto out;
    }
    for (uint32_t i = 0; i < r->ncols; i++) {
        s->cols[i] = t->cols[r->cols[i]];
        s->types[i] = base->schema.cols[r->cols[i]].t;
    }
    TRY_GOTO(find_units(s, err));
    s->base.max_workers = s->n_units < 1 ? 1 : s->n_units > 1024 ? 1024 : (int)s->n_units;
    *filtered = false;
    *out = &s->base;
out:
    if (st)
        scan_close(&s->base);
    return st;
}

/* ---- the table ---- */

static int64_t unknown(const table_source *base)
{
    return -1;
}

static void release(table_source *base)
{
    meta_source *t = (meta_source *)base;
    fz_lake *lake = t->lake;
    ib_table_unref(t->table);
    arena_free(&t->a);
    mem_free(t->m, t, sizeof *t);
    fz_lake_close(lake);
}

static const table_source_ops meta_source_ops = {source_open, unknown, unknown, NULL, release};

static fz_status add_columns(meta_source *t, fz_error *err)
{
    row_schema *out = &t->base.schema;
    uint32_t cap = 0;
    for (uint32_t i = 0; i < 4; i++)
        cap += t->def->cols[i][1] - t->def->cols[i][0] + 1u;
    out->cols = ARENA_ARRAY(&t->a, column_def, cap);
    t->cols = ARENA_ARRAY(&t->a, uint8_t, cap);
    if (!out->cols || !t->cols)
        return error_nomem(err);
    for (uint32_t i = 0; i < 4 && (i == 0 || t->def->cols[i][0]); i++)
        for (uint32_t c = t->def->cols[i][0]; c <= t->def->cols[i][1]; c++) {
            bool wanted;
            TRY(meta_column(&t->shape, (meta_col)c, &t->a, &out->cols[out->n], &wanted, err));
            if (wanted)
                t->cols[out->n++] = (uint8_t)c;
        }
    return FZ_OK;
}

fz_status metadata_table_open(fz_session *s, ib_table *table, int kind, const sql_travel *travel, table_source **out, fz_error *err)
{
    mem *m = &s->lake->rt->rt->root;
    if (TABLES[kind].all && travel && travel->kind != TRAVEL_NONE)
        return error_sql(err, FZ_INVALID, "0A000", "\"%s\" has no older states: it is about all of them", TABLES[kind].name);
    meta_source *t = mem_zalloc(m, sizeof *t);
    if (!t)
        return error_nomem(err);
    t->base.ops = &meta_source_ops;
    atomic_init(&t->base.refs, 1);
    t->m = m;
    t->def = &TABLES[kind];
    arena_init(&t->a, m);
    t->table = ib_table_ref(table);
    t->lake = s->lake;
    atomic_fetch_add(&s->lake->refs, 1);
    fz_status st = FZ_OK;
    sbuf name;
    sbuf_init(&name, m);
    TRY_GOTO(iceberg_find_snapshot(table->md, travel, &t->snapshot, err));
    TRY_GOTO(meta_shape_make(&t->shape, table->md, &t->a, err));
    TRY_GOTO(add_columns(t, err));
    sbuf_printf(&name, "%s%s%s%c%s", table->ns, *table->ns ? "." : "", table->name, *table->ns ? '.' : '$', t->def->name);
    t->base.name = (str){name.failed ? NULL : arena_strndup(&t->a, name.p, name.n), name.n};
    if (!t->base.name.p)
        st = error_nomem(err);
    *out = &t->base;
out:
    sbuf_free(&name);
    if (st)
        release(&t->base);
    return st;
}
