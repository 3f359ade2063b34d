/*
 * summary.c: a snapshot's summary: what was added and removed, by file, row and byte, how many partitions
 * changed, and the table's totals, in the property names that Java and PyIceberg write. A count of zero is
 * left out. Totals go on from the parent's summary; one that the parent lacks stays unknown.
 */
#include "base/hash.h"
#include "iceberg/update/layout.h"
#include "iceberg/update/snapshot_int.h"

#include <stdio.h>

void summary_init(summary *s, arena *a)
{
    *s = (summary){.a = a};
}

static void count(summary_counts *c, const ib_data_file *f, bool added)
{
    bool data = f->content == IB_DATA;
    if (added) {
        c->added_size += f->file_size_bytes;
        c->added_files += data;
        c->added_delete_files += !data;
        c->added_records += data ? f->record_count : 0;
        return;
    }
    c->removed_size += f->file_size_bytes;
    if (data) {
        c->removed_files++;
        c->deleted_records += f->record_count;
        return;
    }
    bool positions = f->content == IB_POSITION_DELETES;
    c->removed_delete_files++;
    c->removed_position_files += positions;
    c->removed_equality_files += !positions;
    c->removed_position_deletes += positions ? f->record_count : 0;
    c->removed_equality_deletes += positions ? 0 : f->record_count;
}

static fz_status partition_of(summary *s, const ib_metadata *md, const ib_data_file *f, summary_counts **out,
                              fz_error *err)
{
    const ib_partition_spec *spec = ib_spec_by_id(md, f->spec_id);
    if (!s->by_partition) {
        s->by_partition = ARENA_NEW(s->a, strmap);
        if (!s->by_partition)
            return error_nomem(err);
        strmap_init(s->by_partition, s->a);
    }
    sbuf path;
    sbuf_init(&path, s->a->m);
    if (spec && f->n_partition == spec->n)
        ib_partition_path(spec, f->partition, &path);
    str key = {path.p ? path.p : "", path.n};
    void **slot = path.failed ? NULL : strmap_put(s->by_partition, key);
    struct summary_partition *p = slot ? *slot : NULL;
    if (slot && !p && (p = ARENA_NEW(s->a, struct summary_partition)) &&
        (p->path.p = arena_strndup(s->a, key.p, key.n))) {
        p->path.n = key.n;
        *slot = p;
        if (s->n_partitions == s->cap_partitions) {
            uint32_t cap = s->cap_partitions ? s->cap_partitions * 2 : 16;
            void *more = ARENA_ARRAY(s->a, struct summary_partition *, cap);
            if (more && s->n_partitions)
                memcpy(more, s->partitions, s->n_partitions * sizeof *s->partitions);
            s->partitions = more;
            s->cap_partitions = cap;
        }
        if (s->partitions)
            s->partitions[s->n_partitions++] = p;
        else
            p = NULL;
    }
    sbuf_free(&path);
    if (!p)
        return error_nomem(err);
    *out = &p->counts;
    return FZ_OK;
}

fz_status summary_add(summary *s, const ib_metadata *md, const ib_data_file *f, bool added, fz_error *err)
{
    summary_counts *part = NULL;
    TRY(partition_of(s, md, f, &part, err));
    count(&s->all, f, added);
    count(part, f, added);
    return FZ_OK;
}

/* ---- properties ---- */

typedef struct props {
    arena *a;
    ib_kv *kv;
    uint32_t n, cap;
    bool failed;
} props;

static void set(props *p, str key, str value)
{
    for (uint32_t i = 0; i < p->n; i++)
        if (str_eq(p->kv[i].key, key)) {
            p->kv[i].value = value;
            return;
        }
    if (p->n < p->cap && key.p && value.p)
        p->kv[p->n++] = (ib_kv){key, value};
    else
        p->failed = true;
}

static void set_i64(props *p, const char *key, int64_t v)
{
    char tmp[24];
    int n = snprintf(tmp, sizeof tmp, "%lld", (long long)v);
    set(p, str_of(key), (str){arena_strndup(p->a, tmp, (size_t)n), (size_t)n});
}

static const struct { const char *key; size_t at; } COUNTS[] = {
    {"added-files-size", offsetof(summary_counts, added_size)},
    {"removed-files-size", offsetof(summary_counts, removed_size)},
    {"added-data-files", offsetof(summary_counts, added_files)},
    {"deleted-data-files", offsetof(summary_counts, removed_files)},
    {"added-delete-files", offsetof(summary_counts, added_delete_files)},
    {"removed-delete-files", offsetof(summary_counts, removed_delete_files)},
    {"removed-position-delete-files", offsetof(summary_counts, removed_position_files)},
    {"removed-equality-delete-files", offsetof(summary_counts, removed_equality_files)},
    {"added-records", offsetof(summary_counts, added_records)},
    {"deleted-records", offsetof(summary_counts, deleted_records)},
    {"removed-position-deletes", offsetof(summary_counts, removed_position_deletes)},
    {"removed-equality-deletes", offsetof(summary_counts, removed_equality_deletes)},
};
#define N_COUNTS (sizeof COUNTS / sizeof *COUNTS)

static int64_t count_at(const summary_counts *c, size_t i)
{
    int64_t v;
    memcpy(&v, (const char *)c + COUNTS[i].at, sizeof v);
    return v;
}

/* "added-data-files=1,added-records=2" of one partition, under "partitions.<path>". */
static void set_partition(props *p, const struct summary_partition *part)
{
    sbuf key, value;
    sbuf_init(&key, p->a->m);
    sbuf_init(&value, p->a->m);
    sbuf_addz(&key, "partitions.");
    sbuf_str(&key, part->path);
    for (size_t i = 0; i < N_COUNTS; i++) {
        int64_t v = count_at(&part->counts, i);
        if (v > 0)
            sbuf_printf(&value, "%s%s=%lld", value.n ? "," : "", COUNTS[i].key, (long long)v);
    }
    if (key.failed || value.failed)
        p->failed = true;
    else if (value.n)
        set(p, (str){arena_strndup(p->a, key.p, key.n), key.n}, (str){arena_strndup(p->a, value.p, value.n), value.n});
    sbuf_free(&key);
    sbuf_free(&value);
}

static void set_total(props *p, const ib_props *parent, const char *key, int64_t added, int64_t removed)
{
    int64_t v = 0;
    if (parent) {
        str old = ib_prop(parent, key);
        if (!old.p || !str_to_i64(old, &v) || v < 0)
            return;
    }
    if (!__builtin_add_overflow(v, added, &v) && !__builtin_sub_overflow(v, removed, &v) && v >= 0)
        set_i64(p, key, v);
}

fz_status summary_props(const summary *s, const ib_metadata *md, const char *operation, const ib_props *extra,
                        const ib_props *parent, arena *a, ib_props *out, fz_error *err)
{
    int64_t limit;
    TRY(ib_prop_i64(&md->properties, "write.summary.partition-limit", 0, &limit, err));
    bool by_partition = s->n_partitions > 0 && s->n_partitions <= limit;
    props p = {.a = a, .cap = 48 + extra->n + (by_partition ? s->n_partitions : 0)};
    p.kv = ARENA_ARRAY(a, ib_kv, p.cap);
    if (!p.kv)
        return error_nomem(err);
    set(&p, STR("operation"), str_of(operation));
    set(&p, STR("engine-name"), STR("frazil"));
#ifdef FRAZIL_VERSION
    set(&p, STR("engine-version"), STR(FRAZIL_VERSION));
#endif
    for (uint32_t i = 0; i < extra->n; i++)
        if (!str_eqz(extra->kv[i].key, "operation"))
            set(&p, extra->kv[i].key, extra->kv[i].value.p ? extra->kv[i].value : STR(""));
    for (size_t i = 0; i < N_COUNTS; i++)
        if (count_at(&s->all, i) > 0)
            set_i64(&p, COUNTS[i].key, count_at(&s->all, i));
    if (s->n_partitions)
        set_i64(&p, "changed-partition-count", s->n_partitions);
    if (by_partition) {
        set(&p, STR("partition-summaries-included"), STR("true"));
        for (uint32_t i = 0; i < s->n_partitions; i++)
            set_partition(&p, s->partitions[i]);
    }
    const summary_counts *c = &s->all;
    set_total(&p, parent, "total-records", c->added_records, c->deleted_records);
    set_total(&p, parent, "total-files-size", c->added_size, c->removed_size);
    set_total(&p, parent, "total-data-files", c->added_files, c->removed_files);
    set_total(&p, parent, "total-delete-files", c->added_delete_files, c->removed_delete_files);
    set_total(&p, parent, "total-position-deletes", 0, c->removed_position_deletes);
    set_total(&p, parent, "total-equality-deletes", 0, c->removed_equality_deletes);
    if (p.failed)
        return error_nomem(err);
    *out = (ib_props){p.n, p.kv};
    return FZ_OK;
}
