/*
 * stage.c: see stage.h.
 */
#include "catalog/stage.h"

#include "base/fault.h"
#include "codec/compress.h"
#include "iceberg/update/layout.h"
#include "io/io.h"

#define NAME_MAX_BYTES 255 /* columns of PyIceberg's SqlCatalog */

/* The text as gzip, in place of itself. */
static fz_status gzip_text(mem *m, sbuf *text, fz_error *err)
{
    codec_ctx *ctx = codec_ctx_new(m);
    size_t cap = codec_bound(CODEC_GZIP, text->n), n = 0;
    sbuf out;
    sbuf_init(&out, m);
    if (!ctx || !sbuf_reserve(&out, cap)) {
        codec_ctx_free(ctx);
        sbuf_free(&out);
        return error_nomem(err);
    }
    fz_status st = codec_compress(ctx, CODEC_GZIP, 0, text->p, text->n, out.p, cap, &n, err);
    out.n = n;
    codec_ctx_free(ctx);
    sbuf_free(st ? &out : text);
    if (!st)
        *text = out;
    return st;
}

/* Takes the reference to md. io (NULL: nothing else): what is to be durable together with the file. */
static fz_status stage_write(mem *m, ib_ident id, ib_metadata *md, int64_t version, file_io *io, stage *out, fz_error *err)
{
    char uuid[UUID_TEXT];
    arena a;
    sbuf text;
    fz_status st;
    const char *location = NULL;
    file_io *to = NULL;
    arena_init(&a, m);
    sbuf_init(&text, m);
    *out = (stage){0};
    st = ib_uuid_new(uuid, err);
    if (st == FZ_OK && !(location = ib_metadata_location(md, version < UINT32_MAX ? (uint32_t)version : UINT32_MAX, uuid, &a)))
        st = error_nomem(err);
    if (st != FZ_OK) {
        ib_metadata_unref(md);
        goto out;
    }
    ib_metadata_write(md, &text);
    out->t = ib_table_new(m, id, location, md);
    if (text.failed || !out->t) {
        st = error_nomem(err);
        goto out;
    }
    if (ib_metadata_gzip(out->t->md))
        TRY_GOTO(gzip_text(m, &text, err));
    TRY_GOTO(fault_point("catalog.metadata.write", err));
    to = io ? file_io_ref(io) : file_io_deferring(m, out->t->md->io); /* the file and its folder at least, together */
    if (!to) {
        st = error_nomem(err);
        goto out;
    }
    TRY_GOTO(io_write_all(to, location, m, text.p, text.n, err));
    st = io_settle(to, err);
    if (st != FZ_OK)
        io_remove(to, location, NULL);
out:
    file_io_unref(to);
    sbuf_free(&text);
    arena_free(&a);
    if (st != FZ_OK)
        catalog_stage_free(out);
    return st;
}

fz_status stage_commit(mem *m, const ib_commit *c, const ib_table *cur, stage *out, fz_error *err)
{
    ib_metadata *md;
    *out = (stage){0};
    TRY(ib_requirements_check(cur->md, c->n_requirements, c->requirements, err));
    TRY(ib_metadata_apply(cur->md, cur->metadata_location, c->n_updates, c->updates, m, &md, err));
    int64_t version = ib_metadata_version(str_of(cur->metadata_location));
    return stage_write(m, c->id, md, version + 1, c->io, out, err);
}

fz_status stage_create(mem *m, ib_ident id, const ib_metadata *md, stage *out, fz_error *err)
{
    return stage_write(m, id, ib_metadata_ref(md), 0, NULL, out, err);
}

ib_table *stage_take(stage *s)
{
    ib_table *t = s->t;
    s->t = NULL;
    return t;
}

void catalog_stage_free(stage *s)
{
    ib_table_unref(stage_take(s));
}

void stage_discard(stage *s)
{
    if (s->t)
        io_remove(s->t->md->io, s->t->metadata_location, NULL);
    catalog_stage_free(s);
}

void stage_clean(const ib_metadata *old, const ib_metadata *now)
{
    bool on;
    if (ib_prop_bool(&now->properties, "write.metadata.delete-after-commit.enabled", false, &on, NULL) != FZ_OK || !on)
        return;
    for (uint32_t i = 0; i < old->n_metadata_log; i++) {
        str file = old->metadata_log[i].metadata_file;
        bool kept = false;
        for (uint32_t k = 0; k < now->n_metadata_log && !kept; k++)
            kept = str_eq(now->metadata_log[k].metadata_file, file);
        if (!kept)
            io_remove(now->io, file.p, NULL);
    }
}

/* ---- names ---- */

static fz_status name_check(str name, const char *what, fz_error *err)
{
    if (!name.n)
        return error_set(err, FZ_INVALID, "a %s needs a name", what);
    if (name.n > NAME_MAX_BYTES)
        return error_set(err, FZ_INVALID, "the name of a %s can't be longer than %d bytes", what, NAME_MAX_BYTES);
    if (utf8_valid_prefix(name) < name.n)
        return error_set(err, FZ_INVALID, "the name of a %s isn't UTF-8", what);
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f)
            return error_set(err, FZ_INVALID, "the name of a %s has a control character in it", what);
    return FZ_OK;
}

fz_status namespace_name_check(str ns, fz_error *err)
{
    TRY(name_check(ns, "namespace", err));
    for (size_t i = 0; i < ns.n; i++)
        if (ns.p[i] == '.' && (i == 0 || i + 1 == ns.n || ns.p[i + 1] == '.'))
            return error_set(err, FZ_INVALID, "the namespace \"" STR_FMT "\" has an empty level", STR_ARG(ns));
    return FZ_OK;
}

static bool in_change(const ib_props_change *c, str key)
{
    for (uint32_t i = 0; i < c->n_removals; i++)
        if (str_eq(c->removals[i], key))
            return true;
    for (uint32_t i = 0; i < c->updates.n; i++)
        if (str_eq(c->updates.kv[i].key, key))
            return true;
    return false;
}

fz_status namespace_props_changed(const ib_props *have, const ib_props_change *change, arena *a, ib_props *out, fz_error *err)
{
    ib_kv *kv = ARENA_ARRAY(a, ib_kv, (size_t)have->n + change->updates.n + 1);
    uint32_t n = 0;
    if (!kv)
        return error_nomem(err);
    for (uint32_t i = 0; i < have->n; i++)
        if (!in_change(change, have->kv[i].key))
            kv[n++] = have->kv[i];
    for (uint32_t i = 0; i < change->updates.n; i++)
        kv[n++] = change->updates.kv[i];
    for (uint32_t i = 0; i < n; i++) {
        kv[i].key.p = arena_strndup(a, kv[i].key.p, kv[i].key.n);
        kv[i].value.p = arena_strndup(a, kv[i].value.p, kv[i].value.n);
        if (!kv[i].key.p || !kv[i].value.p)
            return error_nomem(err);
    }
    *out = (ib_props){.n = n, .kv = kv};
    return FZ_OK;
}

fz_status table_name_check(ib_ident id, fz_error *err)
{
    TRY(namespace_name_check(id.ns, err));
    TRY(name_check(id.name, "table", err));
    if (memchr(id.name.p, '.', id.name.n))
        return error_set(err, FZ_INVALID, "the table name \"" STR_FMT "\" has a dot in it: other programs would take it for a namespace",
                         STR_ARG(id.name));
    return FZ_OK;
}

void folder_name(str name, sbuf *out)
{
    if (str_eqz(name, ".") || str_eqz(name, "..")) {
        sbuf_add(out, "__", name.n);
        return;
    }
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        /* '?' and '#' end the path for programs that parse locations as URLs. */
        sbuf_addc(out, c == '/' || c == '\\' || c == '?' || c == '#' || (unsigned char)c < 0x20 ? '_' : c);
    }
}
