/*
 * iceberg_table.c: a snapshot of an Iceberg table as a source of rows. Opening a scan plans it: the filter is lowered to a
 * predicate by field id, manifests and files are pruned, what is left goes to a file scan.
 */
#include "engine/engine_int.h"
#include "engine/file_scan.h"
#include "engine/lower.h"

#include <time.h>

typedef struct iceberg_source {
    table_source base;
    fz_lake *lake;             /* referenced */
    ib_table *table;
    const ib_snapshot *snapshot; /* NULL: no rows */
    uint32_t share, shares;    /* of the morsels of a scan; shares 0: all */
    arena a;
    mem *m;
} iceberg_source;

/* What one scan keeps until it closes. */
typedef struct scan_plan {
    arena a;
    ib_scan *plan;
    ib_deletes *deletes;
    ib_mapping *mapping;
    mem *m;
} scan_plan;

static void scan_plan_free(void *p_)
{
    scan_plan *p = p_;
    ib_deletes_free(p->deletes);
    ib_scan_free(p->plan);
    arena_free(&p->a);
    mem_free(p->m, p, sizeof *p);
}

static fz_status plan_files(const iceberg_source *t, const scan_request *r, bool want_stats, scan_plan **out, const ib_pred **pred,
                            fz_error *err)
{
    scan_plan *p = mem_zalloc(t->m, sizeof *p);
    if (!p)
        return error_nomem(err);
    p->m = t->m;
    arena_init(&p->a, t->m);
    fz_status st = FZ_OK;
    *pred = NULL;
    if (r->filter) {
        int32_t *ids = ARENA_ARRAY(&p->a, int32_t, r->ncols + 1);
        for (uint32_t i = 0; ids && i < r->ncols; i++)
            ids[i] = t->base.schema.cols[r->cols[i]].field_id;
        *pred = ids ? lower_filter(r->filter, ids, r->params, r->n_params, &p->a) : NULL;
        if (!*pred) {
            st = error_nomem(err);
            goto out;
        }
    }
    TRY_GOTO(ib_plan_stats(t->table->md, t->snapshot, *pred, want_stats, t->lake->rt->manifests, r->j, t->m, &p->plan, err));
    *out = p;
out:
    if (st)
        scan_plan_free(p);
    return st;
}

static fz_status source_open(const table_source *base, const scan_request *r, scan **out, bool *filtered, fz_error *err)
{
    const iceberg_source *t = (const iceberg_source *)base;
    scan_plan *p;
    const ib_pred *pred;
    TRY(plan_files(t, r, false, &p, &pred, err));
    fz_status st = FZ_OK;
    scan_file *files = ARENA_ARRAY(&p->a, scan_file, p->plan->n + 1);
    if (!files) {
        st = error_nomem(err);
        goto out;
    }
    for (uint32_t i = 0; i < p->plan->n; i++) {
        const ib_scan_file *f = &p->plan->files[i];
        files[i] = (scan_file){arena_strndup(&p->a, f->file->file_path.p, f->file->file_path.n), f->file->record_count,
                               f->all_match, f};
        if (!files[i].path) {
            st = error_nomem(err);
            goto out;
        }
    }
    TRY_GOTO(ib_mapping_of(t->table->md, &p->a, &p->mapping, err));
    TRY_GOTO(ib_deletes_new(p->plan, t->table->md, t->m, &p->deletes, err));
    file_scan_options o = {.n_files = p->plan->n, .files = files, .schema = &base->schema, .pred = pred, .md = t->table->md,
                           .mapping = p->mapping, .deletes = p->deletes, .footers = t->lake->rt->footers, .io = t->table->md->io, .share = t->share, .shares = t->shares, .m = t->m, .owned = p, .owned_free = scan_plan_free};
    st = file_scan_open(&o, r, out, err);
    *filtered = true;
out:
    if (st)
        scan_plan_free(p);
    return st;
}

static int64_t source_count(const table_source *base)
{
    const iceberg_source *t = (const iceberg_source *)base;
    int64_t rows;
    bool known;
    if (!t->snapshot)
        return 0;
    if (t->shares > 1)
        return -1;
    if (ib_count_rows(t->table->md, t->snapshot, t->lake->rt->manifests, t->m, &rows, &known, NULL) || !known)
        return -1;
    return rows;
}

/* Takes a file's statistics of a column into an answer; false: they don't say it exactly. Text is never asked for: its bounds may be
 * cut. Floats count as long as none is NaN, and no bound is a zero, which has two signs. */
static bool add_file(const ib_data_file *f, const column_def *c, int kind, datum *out)
{
    const ib_column_stats *s = NULL;
    for (uint32_t i = 0; i < f->n_stats; i++)
        if (f->stats[i].field_id == c->field_id)
            s = &f->stats[i];
    if (kind == METRIC_ROWS || (kind == METRIC_VALUES && s && s->null_count >= 0 && s->null_count <= f->record_count))
        return !__builtin_add_overflow(out->i64, f->record_count - (kind == METRIC_VALUES ? s->null_count : 0), &out->i64);
    phys ph = type_phys(c->t);
    if (!s || kind == METRIC_VALUES || ph == PHYS_STR || ph == PHYS_NESTED || ph == PHYS_NONE)
        return false;
    if (s->null_count >= 0 && s->null_count == f->record_count)
        return true;
    bool floats = ph == PHYS_F32 || ph == PHYS_F64, least = kind == METRIC_MIN;
    datum v;
    if (!(least ? s->has_lower : s->has_upper) || (floats && s->nan_count != 0) ||
        ib_bound_decode(c->t, least ? s->lower : s->upper, &v, NULL) != FZ_OK)
        return false;
    if (floats && (ph == PHYS_F32 ? v.f32 == 0 : v.f64 == 0))
        return false;
    int order = out->null ? 0 : datum_cmp(&v, out);
    if (out->null || (least ? order < 0 : order > 0)) {
        *out = v;
        out->t = c->t;
        out->null = false;
    }
    return true;
}

/* From the statistics of the files that are left by pruning, if all their rows count: none are deleted, and the filter is true of all. */
static bool source_metrics(const table_source *base, const scan_request *r, uint32_t n, const table_metric *wanted, arena *a, datum *out)
{
    const iceberg_source *t = (const iceberg_source *)base;
    bool stats = false;
    if (t->shares > 1)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        const column_def *c = &base->schema.cols[wanted[i].col];
        bool extreme = wanted[i].kind == METRIC_MIN || wanted[i].kind == METRIC_MAX;
        stats = stats || wanted[i].kind != METRIC_ROWS;
        out[i] = extreme ? DATUM_NULL(c->t) : (datum){.t = TYPE(T_INT64)};
        if (extreme && (type_phys(c->t) == PHYS_STR || type_is_nested(c->t)))
            return false;
    }
    job j;
    if (job_init(&j, t->lake->rt->rt->p, t->m, NULL))
        return false;
    scan_request own = *r;
    own.j = &j;
    scan_plan *p = NULL;
    const ib_pred *pred;
    bool ok = plan_files(t, &own, stats, &p, &pred, NULL) == FZ_OK && p->plan->n_deletes == 0;
    for (uint32_t k = 0; ok && k < p->plan->n; k++) {
        const ib_scan_file *f = &p->plan->files[k];
        ok = f->all_match;
        for (uint32_t i = 0; i < n && ok; i++)
            ok = add_file(f->file, &base->schema.cols[wanted[i].col], (int)wanted[i].kind, &out[i]);
    }
    if (p)
        scan_plan_free(p);
    job_destroy(&j);
    return ok;
}

static int64_t source_estimate(const table_source *base)
{
    const iceberg_source *t = (const iceberg_source *)base;
    int64_t rows;
    if (!t->snapshot)
        return 0;
    return str_to_i64(ib_prop(&t->snapshot->summary, "total-records"), &rows) ? rows : -1;
}

static void source_explain(const table_source *base, const scan_request *r, sbuf *out)
{
    const iceberg_source *t = (const iceberg_source *)base;
    scan_plan *p;
    const ib_pred *pred;
    if (plan_files(t, r, false, &p, &pred, NULL))
        return;
    sbuf_printf(out, "%u file%s, %lld rows, %u of %u manifests read", p->plan->n, p->plan->n == 1 ? "" : "s",
                (long long)p->plan->rows, p->plan->manifests_read, p->plan->manifests);
    if (p->plan->files_pruned)
        sbuf_printf(out, ", %u files pruned", p->plan->files_pruned);
    if (p->plan->n_deletes)
        sbuf_printf(out, ", %u delete file%s", p->plan->n_deletes, p->plan->n_deletes == 1 ? "" : "s");
    scan_plan_free(p);
}

static void source_release(table_source *base)
{
    iceberg_source *t = (iceberg_source *)base;
    ib_table_unref(t->table);
    arena_free(&t->a);
    fz_lake *lake = t->lake;
    mem_free(t->m, t, sizeof *t);
    fz_lake_close(lake);
}

static const table_source_ops iceberg_source_ops = {source_open, source_count, source_estimate, source_explain,
                                                    source_release, source_metrics};

fz_status schema_columns(const ib_schema *sc, arena *a, row_schema *out, fz_error *err)
{
    out->n = sc->fields->n;
    out->cols = ARENA_ARRAY(a, column_def, out->n + 1);
    if (!out->cols)
        return error_nomem(err);
    for (uint32_t i = 0; i < out->n; i++) {
        const type_field *f = &sc->fields->f[i];
        out->cols[i] = (column_def){.name = f->name, .t = f->t, .not_null = f->required, .field_id = f->field_id, .doc = f->doc};
    }
    return FZ_OK;
}

fz_status iceberg_find_snapshot(const ib_metadata *md, const sql_travel *travel, const ib_snapshot **out, fz_error *err)
{
    *out = NULL;
    if (!travel || travel->kind == TRAVEL_NONE) {
        *out = ib_current_snapshot(md);
        return FZ_OK;
    }
    if (travel->kind == TRAVEL_SNAPSHOT) {
        *out = ib_snapshot_by_id(md, travel->snapshot_id);
        return *out ? FZ_OK : error_sql(err, FZ_INVALID, "42704", "the table has no snapshot %lld", (long long)travel->snapshot_id);
    }
    if (travel->kind == TRAVEL_REF) {
        for (uint32_t i = 0; i < md->n_refs; i++)
            if (str_eq(md->refs_list[i].name, travel->ref))
                *out = ib_snapshot_by_id(md, md->refs_list[i].snapshot_id);
        return *out ? FZ_OK : error_sql(err, FZ_INVALID, "42704", "the table has no branch or tag \"" STR_FMT "\"", STR_ARG(travel->ref));
    }
    /* The state at a time is what the snapshot log says was current then. */
    for (uint32_t i = 0; i < md->n_snapshot_log; i++)
        if (md->snapshot_log[i].timestamp_ms * 1000 <= travel->time_us)
            *out = ib_snapshot_by_id(md, md->snapshot_log[i].snapshot_id);
    return *out ? FZ_OK : error_sql(err, FZ_INVALID, "42704", "the table has no snapshot as old as that");
}

fz_status iceberg_table_open(fz_session *s, ib_table *table, const sql_travel *travel, table_source **out, fz_error *err)
{
    mem *m = &s->lake->rt->rt->root;
    iceberg_source *t = mem_zalloc(m, sizeof *t);
    if (!t)
        return error_nomem(err);
    t->base.ops = &iceberg_source_ops;
    atomic_init(&t->base.refs, 1);
    t->m = m;
    arena_init(&t->a, m);
    t->table = ib_table_ref(table);
    t->lake = s->lake;
    atomic_fetch_add(&s->lake->refs, 1);
    fz_status st = FZ_OK;
    TRY_GOTO(iceberg_find_snapshot(table->md, travel, &t->snapshot, err));
    const ib_schema *sc = ib_current_schema(table->md);
    /* A moment of the past, a snapshot and a tag are read with the schema of then, a branch with the table's own. */
    const ib_ref *ref = travel && travel->kind == TRAVEL_REF ? ib_ref_by_name(table->md, travel->ref) : NULL;
    if (travel && travel->kind != TRAVEL_NONE && !(ref && !ref->is_tag) && t->snapshot->schema_id >= 0)
        sc = ib_schema_by_id(table->md, t->snapshot->schema_id);
    if (!sc) {
        st = error_set(err, FZ_DATA, "the snapshot's schema isn't in the table's metadata");
        goto out;
    }
    TRY_GOTO(schema_columns(sc, &t->a, &t->base.schema, err));
    sbuf name;
    sbuf_init(&name, m);
    sbuf_printf(&name, "%s%s%s", table->ns, *table->ns ? "." : "", table->name);
    t->base.name = (str){arena_strndup(&t->a, name.p, name.n), name.n};
    sbuf_free(&name);
    if (!t->base.name.p)
        st = error_nomem(err);
    *out = &t->base;
out:
    if (st)
        source_release(&t->base);
    return st;
}

void iceberg_table_share(table_source *t, uint32_t share, uint32_t shares)
{
    if (t->ops != &iceberg_source_ops)
        return;
    ((iceberg_source *)t)->share = share;
    ((iceberg_source *)t)->shares = shares;
}

bool iceberg_table_is_main(const table_source *t)
{
    const iceberg_source *x = (const iceberg_source *)t;
    return t->ops == &iceberg_source_ops && x->snapshot && x->snapshot == ib_current_snapshot(x->table->md);
}

const ib_table *iceberg_table_of(const table_source *t)
{
    return t->ops == &iceberg_source_ops ? ((const iceberg_source *)t)->table : NULL;
}
