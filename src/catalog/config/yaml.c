/*
 * yaml.c: .pyiceberg.yaml as items, from libyaml's events.
 *
 * PyIceberg reads it with strictyaml: values are text ("yes" stays "yes", nothing after a colon is ""), keys count in lower case, anchors, tags, a key
 * given twice and a second document are errors. The same here; mappings in braces, which strictyaml refuses, are read. A list means nothing to a
 * catalog and gets a note.
 *
 * Levels: "catalog" / name / key, which deeper mappings join with dots; any other first level is a setting beside the catalogs, joined likewise.
 */
#include "catalog/config/config_int.h"

#include <yaml.h>

#define DEPTH_MAX 32

typedef struct reader {
    yaml_parser_t p;
    const char *path;
    config_items *items;
    sbuf key;                /* the levels so far, each ended by NUL */
    size_t at[DEPTH_MAX + 1]; /* where a level's key begins */
    uint32_t depth;          /* open mappings */
    uint32_t lists;          /* open lists (and mappings in them): what is in them is passed over */
    bool want_value;
    bool any;                /* a key was seen */
    uint32_t documents;
} reader;

static fz_status wrong(reader *r, yaml_mark_t at, fz_error *err, const char *what)
{
    error_set(err, FZ_INVALID, "%s", what);
    error_where(err, r->path);
    error_line(err, (int64_t)at.line + 1, (int64_t)at.column + 1);
    return FZ_INVALID;
}

static fz_status parser_failed(reader *r, fz_error *err)
{
    if (r->p.error == YAML_MEMORY_ERROR)
        return error_nomem(err);
    yaml_mark_t at = r->p.problem_mark;
    if (r->p.error == YAML_READER_ERROR) { /* has an offset only, and the bytes before it are read */
        error_set(err, FZ_INVALID, "this isn't YAML: %s", r->p.problem ? r->p.problem : "unreadable");
        error_where(err, r->path);
        error_offset(err, (int64_t)r->p.problem_offset);
        return FZ_INVALID;
    }
    error_set(err, FZ_INVALID, "this isn't YAML: %s%s%s", r->p.context ? r->p.context : "", r->p.context ? ", " : "",
              r->p.problem ? r->p.problem : "it can't be parsed");
    error_where(err, r->path);
    error_line(err, (int64_t)at.line + 1, (int64_t)at.column + 1);
    return FZ_INVALID;
}

/* The item that the levels name. */
static fz_status item_of(reader *r, str value, uint32_t line, bool block, fz_error *err)
{
    arena *a = r->items->a;
    config_item x = {.line = line, .block = block};
    sbuf key, origin;
    sbuf_init(&key, r->key.m);
    sbuf_init(&origin, r->key.m);
    const char *first = r->key.p;
    bool in_catalog = strcmp(first, "catalog") == 0;
    uint32_t from = in_catalog ? 2 : 0;
    if (in_catalog && r->depth >= 2)
        x.catalog = config_copy(a, str_of(r->key.p + r->at[2]));
    if (in_catalog && r->depth == 1)
        sbuf_addz(&key, first);
    for (uint32_t d = from + 1; d <= r->depth; d++) {
        if (key.n)
            sbuf_addc(&key, '.');
        sbuf_addz(&key, r->key.p + r->at[d]);
    }
    sbuf_printf(&origin, "%s:%u", r->path, line);
    x.e.key = config_copy(a, (str){key.p, key.n});
    x.e.value = config_copy(a, value);
    x.e.origin = config_copy(a, (str){origin.p, origin.n});
    bool failed = key.failed || origin.failed || !x.e.key.p || !x.e.value.p || !x.e.origin.p || (in_catalog && r->depth >= 2 && !x.catalog.p);
    sbuf_free(&key);
    sbuf_free(&origin);
    return failed ? error_nomem(err) : config_items_add(r->items, &x, err);
}

static fz_status on_key(reader *r, const yaml_event_t *e, fz_error *err)
{
    str s = {(const char *)e->data.scalar.value, e->data.scalar.length};
    if (memchr(s.p, 0, s.n))
        return wrong(r, e->start_mark, err, "a key holds a NUL character");
    if (r->depth == 2 && s.n == 0 && strcmp(r->key.p, "catalog") == 0)
        return wrong(r, e->start_mark, err, "a catalog's name is empty");
    r->any = true;
    r->key.n = r->at[r->depth];
    if (r->key.p)
        r->key.p[r->key.n] = 0;
    for (size_t i = 0; i < s.n; i++)
        sbuf_addc(&r->key, s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] - 'A' + 'a') : s.p[i]);
    sbuf_addc(&r->key, 0);
    r->want_value = true;
    return r->key.failed ? error_nomem(err) : FZ_OK;
}

static fz_status on_value(reader *r, const yaml_event_t *e, fz_error *err)
{
    str s = {(const char *)e->data.scalar.value, e->data.scalar.length};
    if (memchr(s.p, 0, s.n))
        return wrong(r, e->start_mark, err, "a value holds a NUL character");
    r->want_value = false;
    if (strcmp(r->key.p, "catalog") == 0 && r->depth <= 2) {
        if (s.n == 0) /* nothing below it */
            return FZ_OK;
        return wrong(r, e->start_mark, err, r->depth == 1 ? "\"catalog\" must hold catalogs by name: a line for each, indented, with its settings below it"
                                                          : "a catalog must hold settings: \"key: value\", indented below its name");
    }
    return item_of(r, s, (uint32_t)e->start_mark.line + 1, false, err);
}

static fz_status on_mapping(reader *r, const yaml_event_t *e, fz_error *err)
{
    if (r->depth == 0) {
        /* nothing to name it by */
    } else if (!r->want_value) {
        return wrong(r, e->start_mark, err, "a key must be text");
    } else {
        TRY(item_of(r, STR(""), (uint32_t)e->start_mark.line + 1, true, err));
    }
    if (r->depth == DEPTH_MAX)
        return wrong(r, e->start_mark, err, "mappings are nested too deep");
    r->at[++r->depth] = r->key.n;
    r->want_value = false;
    return FZ_OK;
}

static void mapping_end(reader *r)
{
    /* The key whose value it was ends where this level began. */
    r->key.n = r->at[r->depth--];
    r->want_value = false;
}

/* An event outside of lists. */
static fz_status on_event(reader *r, const yaml_event_t *e, fz_error *err)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return r->documents++ ? wrong(r, e->start_mark, err, "a second document: there can be only one") : FZ_OK;
    case YAML_ALIAS_EVENT:
        return wrong(r, e->start_mark, err, "anchors and aliases (& and *) aren't allowed here; put the text in quotes");
    case YAML_MAPPING_START_EVENT:
        if (e->data.mapping_start.anchor || e->data.mapping_start.tag)
            return wrong(r, e->start_mark, err, "anchors and tags (& and !) aren't allowed here");
        return on_mapping(r, e, err);
    case YAML_MAPPING_END_EVENT:
        mapping_end(r);
        return FZ_OK;
    case YAML_SEQUENCE_START_EVENT:
        if (r->depth == 0 || !r->want_value)
            return wrong(r, e->start_mark, err, r->depth ? "a key must be text" : "the file must hold \"key: value\" lines, not a list");
        r->lists = 1;
        r->want_value = false;
        return config_items_note(r->items, err, "%s:%zu: \"%s\" is a list, which has no meaning here: it is ignored", r->path,
                                 e->start_mark.line + 1, r->key.p + r->at[r->depth]);
    case YAML_SCALAR_EVENT:
        if (e->data.scalar.anchor || e->data.scalar.tag)
            return wrong(r, e->start_mark, err, "anchors and tags (& and !) aren't allowed here; put the text in quotes");
        if (r->depth == 0) {
            if (e->data.scalar.length == 0) /* a document with nothing in it */
                return FZ_OK;
            return wrong(r, e->start_mark, err, "the file must hold \"key: value\" lines");
        }
        return r->want_value ? on_value(r, e, err) : on_key(r, e, err);
    default:
        return FZ_OK;
    }
}

fz_status config_yaml(const char *path, const char *text, size_t n, config_items *l, bool *any, fz_error *err)
{
    reader r = {.path = path, .items = l};
    *any = false;
    if (!yaml_parser_initialize(&r.p))
        return error_nomem(err);
    sbuf_init(&r.key, l->a->m);
    yaml_parser_set_input_string(&r.p, (const unsigned char *)text, n);
    fz_status st = FZ_OK;
    for (bool end = false; st == FZ_OK && !end;) {
        yaml_event_t e;
        if (!yaml_parser_parse(&r.p, &e)) {
            st = parser_failed(&r, err);
            break;
        }
        if (r.lists) {
            r.lists += e.type == YAML_SEQUENCE_START_EVENT || e.type == YAML_MAPPING_START_EVENT;
            r.lists -= e.type == YAML_SEQUENCE_END_EVENT || e.type == YAML_MAPPING_END_EVENT;
        } else {
            st = on_event(&r, &e, err);
        }
        end = e.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&e);
    }
    *any = r.any;
    sbuf_free(&r.key);
    yaml_parser_delete(&r.p);
    return st;
}
