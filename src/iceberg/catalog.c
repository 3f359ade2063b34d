/*
 * catalog.c: loaded tables, what all catalogs share of catalog.h.
 */
#include "iceberg/catalog.h"

static char *text_new(mem *m, const char *p, size_t n)
{
    char *s = mem_alloc(m, n + 1);
    if (!s)
        return NULL;
    if (n)
        memcpy(s, p, n);
    s[n] = 0;
    return s;
}

static void text_free(mem *m, char *s)
{
    if (s)
        mem_free(m, s, strlen(s) + 1);
}

static void table_free(ib_table *t)
{
    ib_metadata_unref(t->md);
    text_free(t->m, t->ns);
    text_free(t->m, t->name);
    text_free(t->m, t->metadata_location);
    mem_free(t->m, t, sizeof *t);
}

ib_table *ib_table_new(mem *m, ib_ident id, const char *metadata_location, ib_metadata *md)
{
    ib_table *t = mem_zalloc(m, sizeof *t);
    if (!t) {
        ib_metadata_unref(md);
        return NULL;
    }
    t->refs = 1;
    t->m = m;
    t->md = md;
    t->ns = text_new(m, id.ns.p, id.ns.n);
    t->name = text_new(m, id.name.p, id.name.n);
    t->metadata_location = text_new(m, metadata_location, strlen(metadata_location));
    if (t->ns && t->name && t->metadata_location)
        return t;
    table_free(t);
    return NULL;
}

ib_table *ib_table_ref(ib_table *t)
{
    if (t)
        atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void ib_table_unref(ib_table *t)
{
    if (t && atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1)
        table_free(t);
}
