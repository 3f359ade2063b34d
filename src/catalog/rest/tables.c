/*
 * tables.c: loading, beginning, registering, dropping and renaming tables.
 *
 * Loading asks one conditional request. What came before is kept with its ETag; a server without ETags sends everything
 * again: the very same bytes aren't looked at, and of others the metadata is parsed only if its location, uuid or time differ from
 * what is here (some servers name a re-made table's first file as the old one's, so the location alone doesn't tell).
 *
 * Beginning. A new table's place, and the keys to write there, are the server's to give: a staged create asks for both and makes nothing.
 * Rows are written to that place, and create_table (commit.c) commits table and rows in one step. For a server without staged creates
 * the place is below the namespace's location or the warehouse, in a folder nobody used before.
 */
#include "catalog/rest/rest_int.h"

#include "base/hash.h"
#include "catalog/stage.h"
#include "iceberg/spec/build.h"
#include "iceberg/update/layout.h"

fz_status rest_no_table(rest_call *k, ib_ident id, fz_error *err)
{
    fz_error said = {0};
    rest_failed(k, &said);
    return error_sql(err, FZ_NOT_FOUND, "42P01", "table " STR_FMT "." STR_FMT " doesn't exist: %s", STR_ARG(id.ns), STR_ARG(id.name),
                     said.message);
}

static fz_status table_there(rest_call *k, ib_ident id, fz_error *err)
{
    fz_error said = {0};
    rest_failed(k, &said);
    return error_sql(err, FZ_EXISTS, "42P07", "table " STR_FMT "." STR_FMT " exists already: %s", STR_ARG(id.ns), STR_ARG(id.name),
                     said.message);
}

/* A refusal that has to do with a namespace or a table that isn't there. */
static fz_status not_found(rest_call *k, str ns, ib_ident id, fz_error *err)
{
    rest_failed(k, NULL);
    return strstr(k->type, "Namespace") ? rest_no_namespace(k, ns, err) : rest_no_table(k, id, err);
}

/* ---- answers that describe a table ---- */

static bool text_is(const json_doc *d, const json_node *object, const char *name, str want)
{
    const json_node *v = json_get(d, object, name);
    return v && v->type == JSON_STRING && !v->escaped && v->to - v->from == want.n && memcmp(d->text + v->from, want.p, want.n) == 0;
}

static bool same_state(const json_doc *d, const json_node *answer, const json_node *metadata, const ib_table *t)
{
    const json_node *v = json_get(d, metadata, "last-updated-ms");
    int64_t at;
    return t && text_is(d, answer, "metadata-location", str_of(t->metadata_location)) && text_is(d, metadata, "table-uuid", t->md->table_uuid) &&
           v && json_i64(d, v, &at, NULL) == FZ_OK && at == t->md->last_updated_ms;
}

static fz_status table_make(rest_catalog *c, ib_ident id, const json_doc *d, const json_node *answer, const json_node *metadata, file_io *io,
                            ib_table **out, fz_error *err)
{
    ib_metadata *md;
    arena a;
    str location;
    arena_init(&a, c->base.m);
    fz_status st = rest_json_text(d, answer, "metadata-location", &a, &location, err);
    if (st == FZ_OK)
        st = metadata_from_json(d, metadata, c->base.m, &md, err);
    if (st == FZ_OK) {
        md->io = file_io_ref(io);
        *out = ib_table_new(c->base.m, id, location.n ? location.p : "", md);
        st = *out ? FZ_OK : error_nomem(err);
    }
    arena_free(&a);
    return st;
}

/* The caller's table where that is the same state as the one that is known. */
static ib_table *same_as(ib_table *known, ib_table *have)
{
    bool same = have && have->md->io == known->md->io && strcmp(have->metadata_location, known->metadata_location) == 0 &&
                str_eq(have->md->table_uuid, known->md->table_uuid) && have->md->last_updated_ms == known->md->last_updated_ms;
    return ib_table_ref(same ? have : known);
}

/* The answer's ETag as the server knows it. Jetty marks those of compressed answers with "--gzip", and what is behind it (Apache's server)
 * doesn't recognise them by that. */
static str etag_of(rest_call *k)
{
    str tag = http_response_header(&k->r, "etag");
    bool quoted = tag.n && tag.p[tag.n - 1] == '"';
    str bare = {tag.p, tag.n - quoted};
    if (!str_ends(bare, STR("--gzip")))
        return tag;
    char *p = arena_strndup(&k->a, tag.p, tag.n);
    if (!p)
        return tag;
    tag.n = bare.n - 6;
    if (quoted)
        p[tag.n++] = '"';
    return (str){p, tag.n};
}

fz_status rest_take_table(rest_catalog *c, ib_ident id, rest_call *k, const rest_known *known, ib_table *have, bool of_commit, file_io *io,
                          ib_table **out, fz_error *err)
{
    json_doc d;
    const json_node *metadata;
    rest_creds *creds = NULL;
    file_io *files;
    ib_table *t = NULL, *old = known->t ? known->t : have;
    fz_status st;
    uint64_t body = 0;
    if (!of_commit && k->r.response)
        body = hash_mix(hash_bytes(k->r.response->data, k->r.response->size), k->r.response->size);
    if (body && body == known->body && known->t) { /* the very same answer, keys and all */
        rest_touch(c, known->t);
        *out = same_as(known->t, have);
        return FZ_OK;
    }
    TRY(rest_json(k, &d, err));
    const json_node *answer = json_root(&d);
    TRY_GOTO(json_want(&d, answer, JSON_OBJECT, "the server's table", err));
    TRY_GOTO(json_need(&d, answer, "metadata", "the server's table", &metadata, err));
    TRY_GOTO(json_want(&d, metadata, JSON_OBJECT, "metadata", err));
    if (!of_commit) {
        TRY_GOTO(rest_files(c, &files, err));
        TRY_GOTO(rest_creds_read(c->c, id, &d, answer, files, known->creds, &creds, err));
        io = creds ? rest_creds_io(creds) : files;
    } else if (known->creds && rest_creds_io(known->creds) == io) {
        creds = rest_creds_ref(known->creds);
    }
    if (have && have->md->io == io && same_state(&d, answer, metadata, have))
        t = ib_table_ref(have);
    else if (old && old->md->io == io && same_state(&d, answer, metadata, old))
        t = ib_table_ref(old);
    else
        TRY_GOTO(table_make(c, id, &d, answer, metadata, io, &t, err));
    rest_space_seen(c, id.ns, true);
    rest_remember(c, t, creds, etag_of(k), body);
    *out = t;
out:
    rest_creds_unref(creds);
    json_free(&d);
    return st;
}

/* ---- loading ---- */

fz_status rest_load_table(ib_catalog *b, ib_ident id, ib_table *have, ib_table **out, fz_error *err)
{
    rest_catalog *c = rest_of(b);
    rest_known known;
    rest_call k;
    fz_status st;
    rest_recall(c, id, &known);
    if (known.t && (known.age_ms < c->c->staleness_ms || (known.trusted && have))) {
        *out = same_as(known.t, have);
        rest_known_free(c, &known);
        return FZ_OK;
    }
    TRY_GOTO(rest_call_begin(c->c, &k, "GET", err));
    rest_path_table(&k, id);
    if (known.etag)
        rest_header(&k, "If-None-Match", str_of(known.etag));
    TRY_GOTO(rest_send(&k, err));
    if (k.r.code == 304 && known.t) {
        rest_touch(c, known.t);
        *out = same_as(known.t, have);
    } else if (rest_ok(&k)) {
        st = rest_take_table(c, id, &k, &known, have, false, NULL, out, err);
    } else if (k.r.code == 404 || (k.r.code == 400 && (rest_odd_name(id.ns) || rest_odd_name(id.name)))) {
        rest_forget(c, id);
        st = rest_no_table(&k, id, err);
    } else {
        st = rest_failed(&k, err);
    }
out:
    rest_call_end(&k);
    rest_known_free(c, &known);
    return st;
}

/* ---- beginning ---- */

static bool is_place(str s) { return memmem(s.p ? s.p : "", s.n, "://", 3) || str_starts(s, STR("file:/")) || str_starts(s, STR("/")); }

fz_status rest_default_location(ib_catalog *b, ib_ident id, arena *a, str *out, fz_error *err)
{
    ib_props props;
    char uuid[UUID_TEXT];
    TRY(table_name_check(id, err));
    TRY(rest_namespace_props(b, id.ns, a, &props, err));
    str at = ib_prop(&props, "location");
    bool of_namespace = is_place(at);
    static const char *const places[] = {"default-base-location", "warehouse-location", "warehouse"};
    for (size_t i = 0; i < sizeof places / sizeof *places && !is_place(at); i++)
        at = rest_prop(rest_of(b)->c, places[i]);
    if (!is_place(at)) {
        error_set(err, FZ_UNSUPPORTED, "the catalog doesn't say where table " STR_FMT "." STR_FMT " goes", STR_ARG(id.ns), STR_ARG(id.name));
        error_hint(err, "name a place: CREATE TABLE … LOCATION 's3://bucket/folder'");
        return FZ_UNSUPPORTED;
    }
    while (at.n > 1 && at.p[at.n - 1] == '/')
        at.n--;
    TRY(ib_uuid_new(uuid, err));
    uuid[8] = 0;
    sbuf s;
    sbuf_init(&s, b->m);
    sbuf_str(&s, at);
    sbuf_addc(&s, '/');
    if (!of_namespace) {
        folder_name(id.ns, &s);
        sbuf_addc(&s, '/');
    }
    folder_name(id.name, &s);
    sbuf_addc(&s, '-');
    sbuf_addz(&s, uuid);
    *out = (str){s.failed ? NULL : arena_strndup(a, s.p, s.n), s.n};
    sbuf_free(&s);
    return out->p ? FZ_OK : error_nomem(err);
}

static void create_body(const ib_metadata *md, ib_ident id, bool placed, sbuf *out)
{
    json_writer writer = json_writer_on(out), *w = &writer;
    jw_begin(w, '{');
    jw_key(w, "name");
    jw_str(w, id.name);
    if (placed) {
        jw_key(w, "location");
        jw_str(w, md->location);
    }
    jw_key(w, "schema");
    schema_to_json(ib_current_schema(md), w);
    const ib_partition_spec *spec = ib_spec_by_id(md, md->default_spec_id);
    if (spec && spec->n) {
        jw_key(w, "partition-spec");
        spec_to_json(spec, w);
    }
    const ib_sort_order *order = ib_order_by_id(md, md->default_sort_order_id);
    if (order && order->n) {
        jw_key(w, "write-order");
        order_to_json(order, w);
    }
    jw_key(w, "stage-create");
    jw_bool(w, true);
    jw_key(w, "properties");
    jw_begin(w, '{');
    for (uint32_t i = 0; i < md->properties.n; i++) {
        jw_key_str(w, md->properties.kv[i].key);
        jw_str(w, md->properties.kv[i].value);
    }
    jw_end(w, '}');
    jw_end(w, '}');
}

/* md as the server's answer to the staged create begins it: its place, identity and what it adds to the properties. A name mapping
 * that it made names fields by ids of its own, which the table won't have. */
static fz_status begun(rest_catalog *c, ib_ident id, rest_call *k, const ib_metadata *md, ib_metadata **out, fz_error *err)
{
    json_doc d;
    const json_node *metadata;
    ib_metadata *staged = NULL;
    rest_creds *creds = NULL;
    file_io *files;
    fz_status st;
    TRY(rest_json(k, &d, err));
    TRY_GOTO(json_want(&d, json_root(&d), JSON_OBJECT, "the server's table", err));
    TRY_GOTO(json_need(&d, json_root(&d), "metadata", "the server's table", &metadata, err));
    TRY_GOTO(metadata_from_json(&d, metadata, c->base.m, &staged, err));
    TRY_GOTO(rest_files(c, &files, err));
    TRY_GOTO(rest_creds_read(c->c, id, &d, json_root(&d), files, NULL, &creds, err));
    ib_kv *kv = ARENA_ARRAY(&k->a, ib_kv, staged->properties.n);
    uint32_t n = 0;
    if (!kv) {
        st = error_nomem(err);
        goto out;
    }
    for (uint32_t i = 0; i < staged->properties.n; i++) {
        const ib_kv *p = &staged->properties.kv[i];
        bool ours = str_eqz(p->key, "schema.name-mapping.default") || str_eqz(p->key, "format-version");
        for (uint32_t j = 0; j < md->properties.n && !ours; j++)
            ours = str_eq(md->properties.kv[j].key, p->key);
        if (!ours)
            kv[n++] = *p;
    }
    const ib_update u[] = {
        {.kind = IB_ASSIGN_UUID, .text = staged->table_uuid.n ? staged->table_uuid : md->table_uuid},
        {.kind = IB_SET_LOCATION, .text = staged->location},
        {.kind = IB_SET_PROPERTIES, .props = {n, kv}},
    };
    TRY_GOTO(ib_metadata_apply(md, NULL, sizeof u / sizeof *u, u, c->base.m, out, err));
    file_io_unref((*out)->io);
    (*out)->io = file_io_ref(creds ? rest_creds_io(creds) : files);
out:
    rest_creds_unref(creds);
    ib_metadata_unref(staged);
    json_free(&d);
    return st;
}

/* Without a staged create. */
static fz_status begin_alone(rest_catalog *c, ib_ident id, const ib_metadata *md, bool placed, ib_metadata **out, fz_error *err)
{
    arena a;
    file_io *files;
    ib_update u = {.kind = IB_SET_LOCATION, .text = md->location};
    arena_init(&a, c->base.m);
    fz_status st = placed ? FZ_OK : rest_default_location(&c->base, id, &a, &u.text, err);
    if (st == FZ_OK)
        st = rest_files(c, &files, err);
    if (st == FZ_OK)
        st = ib_metadata_apply(md, NULL, 1, &u, c->base.m, out, err);
    if (st == FZ_OK) {
        file_io_unref((*out)->io);
        (*out)->io = file_io_ref(files);
    }
    arena_free(&a);
    return st;
}

fz_status rest_begin_table(ib_catalog *b, ib_ident id, const ib_metadata *md, bool placed, ib_metadata **out, fz_error *err)
{
    rest_catalog *c = rest_of(b);
    rest_call k;
    fz_status st;
    TRY(table_name_check(id, err));
    TRY_GOTO(rest_call_begin(c->c, &k, "POST", err));
    rest_path(&k, "namespaces/");
    rest_path_namespace(&k, id.ns);
    rest_path(&k, "/tables");
    create_body(md, id, placed, &k.body);
    TRY_GOTO(rest_send(&k, err)); /* it makes nothing: may be sent again */
    int code = k.r.code;
    if (rest_ok(&k))
        st = begun(c, id, &k, md, out, err);
    else if (code == 404)
        st = rest_no_namespace(&k, id.ns, err);
    else if (code == 409)
        st = table_there(&k, id, err);
    else if (code != 400 && code != 405 && code != 406 && code != 422 && code != 501)
        st = rest_failed(&k, err);
    else if (begin_alone(c, id, md, placed, out, NULL) != FZ_OK)
        st = rest_failed(&k, err);
out:
    rest_call_end(&k);
    return st;
}

/* ---- the rest ---- */

fz_status rest_register_table(ib_catalog *b, ib_ident id, const char *metadata_location, ib_table **out, fz_error *err)
{
    rest_catalog *c = rest_of(b);
    rest_known none = {0};
    rest_call k;
    fz_status st;
    TRY(table_name_check(id, err));
    TRY_GOTO(rest_call_begin(c->c, &k, "POST", err));
    k.once = true;
    rest_path(&k, "namespaces/");
    rest_path_namespace(&k, id.ns);
    rest_path(&k, "/register");
    json_writer w = json_writer_on(&k.body);
    jw_begin(&w, '{');
    jw_key(&w, "name");
    jw_str(&w, id.name);
    jw_key(&w, "metadata-location");
    jw_str(&w, str_of(metadata_location));
    jw_end(&w, '}');
    TRY_GOTO(rest_send(&k, err));
    if (rest_ok(&k))
        st = rest_take_table(c, id, &k, &none, NULL, false, NULL, out, err);
    else if (k.r.code == 404)
        st = not_found(&k, id.ns, id, err);
    else
        st = k.r.code == 409 ? table_there(&k, id, err) : rest_failed(&k, err);
out:
    rest_call_end(&k);
    return st;
}

static fz_status table_gone(rest_catalog *c, ib_ident id, bool *out, fz_error *err)
{
    rest_call k;
    fz_status st;
    TRY_GOTO(rest_call_begin(c->c, &k, "GET", err));
    rest_path_table(&k, id);
    rest_query(&k, "snapshots", STR("refs"));
    TRY_GOTO(rest_send(&k, err));
    *out = k.r.code == 404;
out:
    rest_call_end(&k);
    return st;
}

fz_status rest_drop_table(ib_catalog *b, ib_ident id, fz_error *err)
{
    rest_catalog *c = rest_of(b);
    rest_call k;
    fz_status st;
    bool gone = false;
    TRY_GOTO(rest_call_begin(c->c, &k, "DELETE", err));
    k.once = true;
    rest_path_table(&k, id);
    rest_query(&k, "purgeRequested", STR("false"));
    st = rest_send(&k, err);
    bool unclear = st == FZ_UNKNOWN || (st == FZ_OK && k.r.code >= 500);
    if (unclear && table_gone(c, id, &gone, NULL) == FZ_OK && gone)
        st = FZ_OK;
    else if (st == FZ_OK && !rest_ok(&k))
        st = k.r.code == 404 ? rest_no_table(&k, id, err) : rest_failed(&k, err);
    if (st == FZ_OK)
        rest_forget(c, id);
out:
    rest_call_end(&k);
    return st;
}

static void ident_to_json(const char *key, ib_ident id, json_writer *w)
{
    jw_key(w, key);
    jw_begin(w, '{');
    jw_key(w, "namespace");
    rest_levels_to_json(id.ns, w);
    jw_key(w, "name");
    jw_str(w, id.name);
    jw_end(w, '}');
}

fz_status rest_rename_table(ib_catalog *b, ib_ident from, ib_ident to, fz_error *err)
{
    rest_catalog *c = rest_of(b);
    rest_call k;
    fz_status st;
    TRY(table_name_check(to, err));
    TRY_GOTO(rest_call_begin(c->c, &k, "POST", err));
    k.once = true;
    rest_path(&k, "tables/rename");
    json_writer w = json_writer_on(&k.body);
    jw_begin(&w, '{');
    ident_to_json("source", from, &w);
    ident_to_json("destination", to, &w);
    jw_end(&w, '}');
    TRY_GOTO(rest_send(&k, err));
    if (rest_ok(&k)) {
        rest_forget(c, from);
        rest_forget(c, to);
    } else if (k.r.code == 404) {
        st = not_found(&k, to.ns, from, err);
    } else {
        st = k.r.code == 409 ? table_there(&k, to, err) : rest_failed(&k, err);
    }
out:
    rest_call_end(&k);
    return st;
}
