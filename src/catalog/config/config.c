/*
 * config.c: reading what the process was given, and making one catalog of it and of options.
 *
 * Items are collected in one list: a file's, then the environment's, which replace those of the same catalog and key; sorted at the end.
 */
#include "catalog/config/config_int.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern char **environ;

struct config {
    _Atomic int refs;
    mem *m;
    arena a;
    str file;
    const char *cwd;         /* NULL: not known */
    const char *default_name;
    const char *const *env;  /* the caller's; NULL: the process's, which may move when something is set */
    config_items items;
    uint32_t n_settings;
    config_entry *settings;
    uint32_t n_names;
    str *names;
};

/* ---- small things ---- */

str config_copy(arena *a, str s)
{
    return (str){arena_strndup(a, s.p ? s.p : "", s.n), s.n};
}

str config_lower(arena *a, str s)
{
    char *p = arena_strndup(a, s.p ? s.p : "", s.n);
    for (size_t i = 0; p && i < s.n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] - 'A' + 'a');
    return (str){p, s.n};
}

/* One more slot of an array in the arena; false: no memory. */
static bool array_grow(arena *a, void **v, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap)
        return true;
    uint32_t more = *cap ? *cap * 2 : 16;
    void *p = arena_array(a, size, more);
    if (!p)
        return false;
    if (n)
        memcpy(p, *v, n * size);
    *v = p;
    *cap = more;
    return true;
}

fz_status config_items_add(config_items *l, const config_item *x, fz_error *err)
{
    if (l->n >= CONFIG_ENTRIES)
        return error_set(err, FZ_LIMIT, "more than %d settings", CONFIG_ENTRIES);
    if (!array_grow(l->a, (void **)&l->v, l->n, &l->cap, sizeof *l->v))
        return error_nomem(err);
    l->v[l->n++] = *x;
    return FZ_OK;
}

fz_status config_items_note(config_items *l, fz_error *err, const char *fmt, ...)
{
    va_list ap;
    fz_error e; /* cuts long texts between characters */
    va_start(ap, fmt);
    error_vset(&e, FZ_OK, fmt, ap);
    va_end(ap);
    str s = config_copy(l->a, str_of(e.message));
    if (!s.p || !array_grow(l->a, (void **)&l->notes, l->n_notes, &l->cap_notes, sizeof *l->notes))
        return error_nomem(err);
    l->notes[l->n_notes++] = s;
    return FZ_OK;
}

fz_status config_read_file(arena *a, const char *path, size_t max, char **out, size_t *n, fz_error *err)
{
    *out = NULL;
    FILE *f = fopen(path, "rbe");
    if (!f) {
        if (errno == ENOENT || errno == ENOTDIR)
            return FZ_OK;
        return error_errno(err, errno, path, "the file can't be opened");
    }
    fz_status st = FZ_OK;
    char *p = arena_alloc(a, max + 2);
    size_t k = p ? fread(p, 1, max + 1, f) : 0;
    if (!p) {
        st = error_nomem(err);
    } else if (ferror(f)) {
        st = error_errno(err, errno, path, "the file can't be read");
    } else if (k > max) {
        st = error_set(err, FZ_LIMIT, "the file has more than %zu bytes", max);
        error_where(err, path);
    } else {
        p[k] = 0;
        *out = p;
        *n = k;
    }
    fclose(f);
    return st;
}

static const char *const *env_of(const config *c)
{
    return c && c->env ? c->env : (const char *const *)environ;
}

static const char *env_get(const config *c, const char *name)
{
    size_t n = strlen(name);
    for (const char *const *env = env_of(c); *env; env++)
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
            return *env + n + 1;
    return NULL;
}

static int item_order(const void *x, const void *y)
{
    const config_item *a = x, *b = y;
    int r = str_cmp(a->catalog, b->catalog);
    r = r ? r : str_cmp(a->e.key, b->e.key);
    return r ? r : (a->line > b->line) - (a->line < b->line);
}

static void items_sort(config_items *l)
{
    if (l->n)
        qsort(l->v, l->n, sizeof *l->v, item_order);
}

/* ---- the file ---- */

static fz_status path_join(arena *a, const char *dir, const char *name, char **out, fz_error *err)
{
    size_t n = strlen(dir), k = strlen(name);
    while (n && dir[n - 1] == '/')
        n--;
    *out = arena_alloc(a, n + k + 2);
    if (!*out)
        return error_nomem(err);
    memcpy(*out, dir, n);
    (*out)[n] = '/';
    memcpy(*out + n + 1, name, k + 1);
    return FZ_OK;
}

/* A key given twice within the file. */
static fz_status file_duplicates(config_items *l, const char *path, fz_error *err)
{
    items_sort(l);
    for (uint32_t i = 1; i < l->n; i++) {
        const config_item *x = &l->v[i - 1], *y = &l->v[i];
        if (!str_eq(x->catalog, y->catalog) || !str_eq(x->e.key, y->e.key))
            continue;
        bool inside = y->catalog.n && y->e.key.n;
        error_set(err, FZ_INVALID, "\"" STR_FMT "\" is given twice%s" STR_FMT ", in lines %u and %u",
                  STR_ARG(y->e.key.n ? y->e.key : y->catalog), inside ? " for catalog " : "", STR_ARG(inside ? y->catalog : STR("")),
                  x->line, y->line);
        error_where(err, path);
        error_line(err, y->line, -1);
        return FZ_INVALID;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n; i++)
        if (!l->v[i].block)
            l->v[n++] = l->v[i];
    l->n = n;
    return FZ_OK;
}

/* *found: the file says something, so that no other is looked at. dir NULL: no such place. */
static fz_status file_try(config *c, const char *dir, bool *found, fz_error *err)
{
    char *path, *text;
    size_t n;
    *found = false;
    if (!dir)
        return FZ_OK;
    TRY(path_join(&c->a, dir, ".pyiceberg.yaml", &path, err));
    struct arena scratch;
    arena_init(&scratch, c->m);
    fz_status st = config_read_file(&scratch, path, CONFIG_FILE_MAX, &text, &n, err);
    if (!st && text)
        st = config_yaml(path, text, n, &c->items, found, err);
    if (!st && *found)
        st = file_duplicates(&c->items, path, err);
    arena_free(&scratch);
    if (*found)
        c->file = str_of(path);
    return st;
}

static const char *home_dir(const config *c, char *space, size_t size)
{
    const char *home = env_get(c, "HOME");
    if (home)
        return home;
    struct passwd pw, *found = NULL;
    if (getpwuid_r(getuid(), &pw, space, size, &found) == 0 && found)
        return found->pw_dir;
    return NULL;
}

static fz_status read_file(config *c, const char *cwd, fz_error *err)
{
    bool found = false;
    char *space = arena_alloc(&c->a, 4096), *here = arena_alloc(&c->a, PATH_MAX);
    if (!space || !here)
        return error_nomem(err);
    c->cwd = cwd ? arena_strndup(&c->a, cwd, strlen(cwd)) : getcwd(here, PATH_MAX);
    const char *set = env_get(c, "PYICEBERG_HOME");
    TRY(file_try(c, set && *set ? set : NULL, &found, err));
    if (!found)
        TRY(file_try(c, home_dir(c, space, 4096), &found, err));
    if (!found)
        TRY(file_try(c, c->cwd, &found, err));
    return FZ_OK;
}

/* ---- the environment ---- */

static config_item *item_find(config_items *l, str catalog, str key)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (str_eq(l->v[i].catalog, catalog) && str_eq(l->v[i].e.key, key))
            return &l->v[i];
    return NULL;
}

/* Part of a variable's name as a part of a key: "__" is a dot, "_" a hyphen. */
static str env_part(arena *a, str s)
{
    char *p = arena_alloc(a, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; p && i < s.n; i++) {
        if (s.p[i] == '_' && i + 1 < s.n && s.p[i + 1] == '_') {
            p[n++] = '.';
            i++;
        } else {
            p[n++] = s.p[i] == '_' ? '-' : s.p[i];
        }
    }
    if (p)
        p[n] = 0;
    return (str){p, n};
}

/* s up to the next "__", which s then begins behind; the rest where there is none. */
static str env_cut(str *s)
{
    for (size_t i = 0; i + 1 < s->n; i++)
        if (s->p[i] == '_' && s->p[i + 1] == '_') {
            str head = {s->p, i};
            *s = (str){s->p + i + 2, s->n - i - 2};
            return head;
        }
    str head = *s;
    *s = (str){NULL, 0};
    return head;
}

static fz_status env_one(config *c, const char *var, fz_error *err)
{
    const char *eq = strchr(var, '=');
    if (!eq)
        return FZ_OK;
    arena *a = &c->a;
    str name = {var, (size_t)(eq - var)}, low, rest, head, catalog = {0}, key;
    if (name.n <= 10 || !str_ieq((str){name.p, 10}, STR("PYICEBERG_")) || str_eqz(name, "PYICEBERG_HOME"))
        return FZ_OK;
    low = config_lower(a, name);
    if (!low.p)
        return error_nomem(err);
    rest = (str){low.p + 10, low.n - 10};
    head = env_part(a, env_cut(&rest));
    if (head.p && str_eqz(head, "catalog")) {
        if (!rest.p)
            return config_items_note(&c->items, err, "environment variable " STR_FMT " names no catalog and key: it is ignored", STR_ARG(name));
        catalog = env_part(a, env_cut(&rest));
        if (!rest.p || !rest.n)
            return config_items_note(&c->items, err, "environment variable " STR_FMT " names a catalog, but no key of it: it is ignored",
                                     STR_ARG(name));
        key = env_part(a, rest);
    } else {
        key = env_part(a, (str){low.p + 10, low.n - 10});
    }
    sbuf origin;
    sbuf_init(&origin, c->m);
    sbuf_printf(&origin, "environment variable " STR_FMT, STR_ARG(name));
    config_item x = {.catalog = catalog, .e = {key, config_copy(a, str_of(eq + 1)), config_copy(a, (str){origin.p, origin.n})}};
    bool failed = origin.failed;
    sbuf_free(&origin);
    if (failed || !head.p || !key.p || !x.e.value.p || !x.e.origin.p || (catalog.n && !catalog.p))
        return error_nomem(err);
    config_item *old = item_find(&c->items, catalog, key);
    if (!old)
        return config_items_add(&c->items, &x, err);
    old->e = x.e;
    return FZ_OK;
}

/* ---- all of it ---- */

/* The sorted items as settings beside the catalogs and names of catalogs. */
static fz_status index_items(config *c, fz_error *err)
{
    config_items *l = &c->items;
    items_sort(l);
    c->settings = ARENA_ARRAY(&c->a, config_entry, l->n + 1);
    c->names = ARENA_ARRAY(&c->a, str, l->n + 1);
    if (!c->settings || !c->names)
        return error_nomem(err);
    for (uint32_t i = 0; i < l->n; i++) {
        if (!l->v[i].catalog.n)
            c->settings[c->n_settings++] = l->v[i].e;
        else if (!c->n_names || !str_eq(c->names[c->n_names - 1], l->v[i].catalog))
            c->names[c->n_names++] = l->v[i].catalog;
    }
    const config_entry *e = config_setting(c, "default-catalog");
    c->default_name = e && e->value.n ? e->value.p : config_has(c, "default") ? "default" : NULL;
    return FZ_OK;
}

fz_status config_load(const config_sources *s, mem *m, config **out, fz_error *err)
{
    config *c = mem_zalloc(m, sizeof *c);
    if (!c)
        return error_nomem(err);
    atomic_init(&c->refs, 1);
    c->m = m;
    arena_init(&c->a, m);
    c->items.a = &c->a;
    c->env = s ? s->env : NULL;
    fz_status st;
    TRY_GOTO(read_file(c, s ? s->cwd : NULL, err));
    for (const char *const *v = env_of(c); *v; v++)
        TRY_GOTO(env_one(c, *v, err));
    TRY_GOTO(index_items(c, err));
    *out = c;
out:
    if (st)
        config_unref(c);
    return st;
}

config *config_ref(config *c)
{
    if (c)
        atomic_fetch_add(&c->refs, 1);
    return c;
}

void config_unref(config *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    arena_free(&c->a);
    mem_free(c->m, c, sizeof *c);
}

str config_file(const config *c)
{
    return c->file;
}

uint32_t config_names(const config *c, const str **out)
{
    *out = c->names;
    return c->n_names;
}

bool config_has(const config *c, const char *name)
{
    for (uint32_t i = 0; i < c->n_names; i++)
        if (str_ieq(c->names[i], str_of(name)))
            return true;
    return false;
}

const config_entry *config_setting(const config *c, const char *key)
{
    for (uint32_t i = 0; i < c->n_settings; i++)
        if (str_eqz(c->settings[i].key, key))
            return &c->settings[i];
    return NULL;
}

uint32_t config_settings(const config *c, const config_entry **out)
{
    *out = c->settings;
    return c->n_settings;
}

const char *config_default(const config *c)
{
    return c->default_name;
}

uint32_t config_notes(const config *c, const str **out)
{
    *out = c->items.notes;
    return c->items.n_notes;
}

/* ---- one catalog ---- */

/* What a value that was given as an option stands for; `origin` says so. */
static fz_status value_read(const config *c, const char *key, const char *v, arena *a, str *out, sbuf *origin, fz_error *err)
{
    *out = str_of(v);
    if (strncmp(v, "env:", 4) == 0) {
        const char *name = v + 4;
        *out = str_of(env_get(c, name));
        if (!out->p)
            return error_set(err, FZ_NOT_FOUND, "%s: there is no environment variable \"%s\"", key, name);
        sbuf_printf(origin, " (environment variable %s)", name);
    } else if (v[0] == '@' && v[1] == '@') {
        *out = str_of(v + 1);
    } else if (v[0] == '@') {
        const char *path = v + 1;
        char *text;
        size_t n;
        TRY(config_read_file(a, path, CONFIG_SECRET_MAX, &text, &n, err));
        if (!text) {
            error_set(err, FZ_NOT_FOUND, "%s: there is no file \"%s\"", key, path);
            error_hint(err, "a value that begins with @ names a file; @@ stands for a value's own @");
            return FZ_NOT_FOUND;
        }
        if (memchr(text, 0, n)) {
            error_set(err, FZ_INVALID, "%s: the file holds a NUL byte", key);
            error_where(err, path);
            return FZ_INVALID;
        }
        while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
            n--;
        *out = (str){text, n};
        sbuf_printf(origin, " (file %s)", path);
    }
    return FZ_OK;
}

fz_status config_value(const config *c, const char *key, const char *v, arena *a, str *out, fz_error *err)
{
    sbuf origin;
    sbuf_init(&origin, a->m);
    fz_status st = value_read(c, key, v, a, out, &origin, err);
    sbuf_free(&origin);
    return st;
}

static fz_status option_value(const config *c, config_catalog *k, const config_option *o, config_entry *e, fz_error *err)
{
    str v;
    sbuf origin;
    sbuf_init(&origin, k->m);
    sbuf_addz(&origin, "option");
    fz_status st = FZ_OK;
    TRY_GOTO(value_read(c, o->key, o->value, &k->a, &v, &origin, err));
    *e = (config_entry){config_lower(&k->a, str_of(o->key)), config_copy(&k->a, v), config_copy(&k->a, (str){origin.p, origin.n})};
    if (origin.failed || !e->key.p || !e->value.p || !e->origin.p)
        st = error_nomem(err);
out:
    sbuf_free(&origin);
    return st;
}

static int entry_order(const void *x, const void *y)
{
    return str_cmp(((const config_entry *)x)->key, ((const config_entry *)y)->key);
}

static fz_status catalog_fill(const config *c, config_catalog *k, uint32_t n, const config_option *options, fz_error *err)
{
    static const config_items none;
    const config_items *l = c ? &c->items : &none;
    config_entry *v = ARENA_ARRAY(&k->a, config_entry, l->n + (size_t)n + 1);
    if (!v)
        return error_nomem(err);
    k->entries = v;
    for (uint32_t i = 0; i < l->n; i++) {
        const config_entry *e = &l->v[i].e;
        if (!l->v[i].catalog.n || !str_ieq(l->v[i].catalog, str_of(k->name)))
            continue;
        k->configured = true;
        v[k->n] = (config_entry){config_copy(&k->a, e->key), config_copy(&k->a, e->value), config_copy(&k->a, e->origin)};
        if (!v[k->n].key.p || !v[k->n].value.p || !v[k->n].origin.p)
            return error_nomem(err);
        k->n++;
    }
    for (uint32_t i = 0; i < n; i++) {
        const config_option *o = &options[i];
        if (!o->key || !*o->key)
            return error_set(err, FZ_INVALID, "an option of catalog \"%s\" has no key", k->name);
        if (!o->value || !*o->value)
            continue;
        config_entry e;
        TRY(option_value(c, k, o, &e, err));
        uint32_t at = 0;
        while (at < k->n && !str_eq(v[at].key, e.key))
            at++;
        v[at] = e;
        k->n += at == k->n;
    }
    if (k->n)
        qsort(v, k->n, sizeof *v, entry_order);
    return FZ_OK;
}

fz_status config_open(const config *c, const char *name, uint32_t n_options, const config_option *options, mem *m,
                      config_catalog **out, fz_error *err)
{
    config_catalog *k = mem_zalloc(m, sizeof *k);
    if (!k)
        return error_nomem(err);
    atomic_init(&k->refs, 1);
    k->m = m;
    arena_init(&k->a, m);
    k->name = arena_strndup(&k->a, name, strlen(name));
    k->cwd = c && c->cwd ? arena_strndup(&k->a, c->cwd, strlen(c->cwd)) : NULL;
    fz_status st = k->name ? catalog_fill(c, k, n_options, options, err) : error_nomem(err);
    if (st)
        config_catalog_unref(k);
    else
        *out = k;
    return st;
}

config_catalog *config_catalog_ref(config_catalog *c)
{
    if (c)
        atomic_fetch_add(&c->refs, 1);
    return c;
}

void config_catalog_unref(config_catalog *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    arena_free(&c->a);
    mem_free(c->m, c, sizeof *c);
}
