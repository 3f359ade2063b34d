/*
 * path_table.c: see path_table.h. Which metadata file of a folder is the newest:
 *
 *   metadata/version-hint.text says n    v<n>.metadata.json, or the last of those that follow it without a gap (the writer of
 *                                        v<n+1> may not have come to the hint yet)
 *   … says a name                        that name, with ".metadata.json" where it lacks it
 *   no hint                              the highest version in v<n>.metadata.json and <n>-<uuid>.metadata.json, also with .gz
 *                                        in them; of several with one version the one that was written last, by its own account
 */
#include "engine/path_table.h"

#include "engine/files.h"
#include "engine/metadata_tables.h"
#include "engine/parquet_table.h"
#include "io/io.h"

#include <dirent.h>
#include <errno.h>
#include <strings.h>

#define SUFFIX   ".metadata.json"
#define HINT_MAX 4096

/* The version in a metadata file's name; -1: it isn't one. */
static int64_t version_of(str name)
{
    int64_t v;
    size_t at = 0;
    if (!str_ends(name, STR(SUFFIX)))
        return -1;
    if (name.p[0] == 'v')
        at = 1;
    size_t n = at;
    while (n < name.n && name.p[n] >= '0' && name.p[n] <= '9')
        n++;
    if (n == at || (at == 0 ? name.p[n] != '-' : name.p[n] != '.'))
        return -1;
    return str_to_i64((str){name.p + at, n - at}, &v) ? v : -1;
}

typedef struct finding {
    arena *a;
    mem *m;
    file_io *io;
    const char *dir;       /* …/metadata */
    int64_t hint;          /* -1: none */
    bool follow;           /* only v<n> count, and only from the hint on without a gap */
    uint32_t n, cap;
    struct candidate { int64_t version; const char *name; } *all;
} finding;

static fz_status candidate_add(finding *f, const char *name, fz_error *err)
{
    int64_t v = version_of(str_of(name));
    if (v < 0 || (f->follow && (name[0] != 'v' || v < f->hint)))
        return FZ_OK;
    if (f->n == f->cap) {
        struct candidate *more = ARENA_ARRAY(f->a, struct candidate, f->cap = f->cap ? 2 * f->cap : 64);
        if (!more)
            return error_nomem(err);
        if (f->n)
            memcpy(more, f->all, f->n * sizeof *more);
        f->all = more;
    }
    char *copy = arena_strndup(f->a, name, strlen(name));
    if (!copy)
        return error_nomem(err);
    f->all[f->n++] = (struct candidate){v, copy};
    return FZ_OK;
}

static const char *join(arena *a, const char *dir, const char *name, const char *suffix)
{
    size_t n = strlen(dir), k = strlen(name), s = strlen(suffix);
    char *p = arena_alloc(a, n + 1 + k + s + 1);
    if (!p)
        return NULL;
    memcpy(p, dir, n);
    p[n] = '/';
    memcpy(p + n + 1, name, k);
    memcpy(p + n + 1 + k, suffix, s + 1);
    return p;
}

/* version-hint.text: a number, or a name, which is taken at its word. */
static fz_status read_hint(finding *f, const char **named, fz_error *err)
{
    buf *text;
    const char *path = join(f->a, f->dir, "version-hint.text", "");
    *named = NULL;
    f->hint = -1;
    if (!path)
        return error_nomem(err);
    if (io_read_all(f->io, path, f->m, HINT_MAX, &text, NULL) != FZ_OK)
        return FZ_OK; /* most catalogs write none */
    str s = str_trim((str){(const char *)text->data, text->size});
    fz_status st = FZ_OK;
    if (str_to_i64(s, &f->hint) && f->hint >= 0) {
        f->follow = true;
    } else if (s.n && !memchr(s.p, '/', s.n) && !memchr(s.p, 0, s.n)) {
        const char *name = arena_strndup(f->a, s.p, s.n);
        *named = name ? join(f->a, f->dir, name, str_ends(s, STR(SUFFIX)) ? "" : SUFFIX) : NULL;
        if (!*named)
            st = error_nomem(err);
    }
    buf_unref(text);
    return st;
}

static fz_status remote_candidate(void *ctx, const char *path, const io_stat_info *info, fz_error *err)
{
    const char *slash = strrchr(path, '/');
    finding *f = ctx;
    size_t n = strlen(f->dir);
    return slash && (size_t)(slash - path) == n ? candidate_add(f, slash + 1, err) : FZ_OK; /* none of deeper folders */
}

static fz_status list_candidates(finding *f, fz_error *err)
{
    if (io_is_remote(f->io, f->dir))
        return io_list(f->io, f->dir, remote_candidate, f, err);
    DIR *d = opendir(f->dir);
    if (!d) {
        if (errno == ENOENT || errno == ENOTDIR)
            return FZ_OK;
        return error_errno(err, errno, f->dir, "the table's metadata folder can't be opened");
    }
    fz_status st = FZ_OK;
    for (struct dirent *e; !st && (e = readdir(d));)
        st = candidate_add(f, e->d_name, err);
    closedir(d);
    return st;
}

/* The version that is meant; -1: there is none. */
static int64_t newest_version(const finding *f)
{
    int64_t v = -1;
    if (!f->follow) {
        for (uint32_t i = 0; i < f->n; i++)
            v = f->all[i].version > v ? f->all[i].version : v;
        return v;
    }
    for (bool found = true; found;) {
        found = false;
        for (uint32_t i = 0; i < f->n && !found; i++)
            found = f->all[i].version == (v < 0 ? f->hint : v + 1);
        if (found)
            v = v < 0 ? f->hint : v + 1;
    }
    return v;
}

/* The newest metadata of the table in a folder; *md NULL: it has none. */
static fz_status newest_metadata(const char *folder, file_io *io, mem *m, arena *a, ib_metadata **md, const char **location, fz_error *err)
{
    finding f = {.a = a, .m = m, .io = io, .dir = join(a, folder, "metadata", "")};
    *md = NULL;
    if (!f.dir)
        return error_nomem(err);
    TRY(read_hint(&f, location, err));
    if (*location)
        return ib_metadata_load(io, *location, m, md, err);
    TRY(list_candidates(&f, err));
    int64_t version = newest_version(&f);
    if (version < 0 && f.follow) { /* a hint that points nowhere */
        f.follow = false;
        TRY(list_candidates(&f, err));
        version = newest_version(&f);
    }
    fz_status st = FZ_OK;
    for (uint32_t i = 0; i < f.n && version >= 0; i++) {
        ib_metadata *x = NULL;
        if (f.all[i].version != version)
            continue;
        const char *path = join(a, f.dir, f.all[i].name, "");
        st = path ? ib_metadata_load(io, path, m, &x, err) : error_nomem(err);
        if (st)
            break;
        if (!*md || x->last_updated_ms > (*md)->last_updated_ms) {
            ib_metadata_unref(*md);
            *md = x;
            *location = path;
        } else {
            ib_metadata_unref(x);
        }
    }
    if (st) {
        ib_metadata_unref(*md);
        *md = NULL;
    }
    return st;
}

fz_status path_table_load(str path, file_io *io, mem *m, arena *a, ib_table **out, int *kind, fz_error *err)
{
    char *z = arena_strndup(a, path.p, path.n);
    io_stat_info info = {0};
    ib_metadata *md = NULL;
    const char *location = z;
    *out = NULL;
    *kind = -1;
    if (!z)
        return error_nomem(err);
    /* A web server has no folders, and what is called like a file of data is taken for one: that spares a request. */
    source_format format;
    bool remote = io_is_remote(io, z);
    if (remote && !str_ends(path, STR(SUFFIX)) && !strchr(z, '$') &&
        (path_is_pattern(path) || strncasecmp(z, "http", 4) == 0 || source_by_name(path, &format)))
        return FZ_OK;
    bool there = io_stat(io, z, &info, NULL) == FZ_OK;
    char *dollar = there ? NULL : strrchr(z, '$');
    if (dollar && (*kind = metadata_table_find(str_of(dollar + 1))) >= 0) {
        *dollar = 0;
        there = io_stat(io, z, &info, NULL) == FZ_OK;
    }
    if (str_ends(str_of(z), STR(SUFFIX)) && !(there && info.is_dir)) {
        TRY(ib_metadata_load(io, z, m, &md, err));
    } else if (there && info.is_dir) {
        const char *at = remote ? z : io_local_path(z);
        size_t n = strlen(at);
        while (n > 1 && at[n - 1] == '/')
            n--;
        char *folder = arena_strndup(a, at, n);
        if (!folder)
            return error_nomem(err);
        TRY(newest_metadata(folder, io, m, a, &md, &location, err));
        if (!md) {
            error_set(err, FZ_INVALID, "the folder isn't an Iceberg table: no metadata/*.metadata.json is in it");
            error_where(err, z);
            error_hint(err, "for the files in a folder give a pattern, as '%s/*.parquet'", folder);
            return FZ_INVALID;
        }
    } else {
        *kind = -1;
        return FZ_OK;
    }
    *out = ib_table_new(m, (ib_ident){STR(""), str_of(z)}, location, md);
    return *out ? FZ_OK : error_nomem(err);
}
