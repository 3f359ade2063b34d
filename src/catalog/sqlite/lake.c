/*
 * lake.c: the directory of an embedded catalog: finding or making it, the catalog's name,
 * and noticing a lake that was moved.
 *
 * A lake is made in this order, so that a folder with anything in it but no catalog.db is never a
 * lake somebody else is about to make: the folder, catalog.db, everything else.
 */
#include "catalog/sqlite/sqlite_int.h"
#include "io/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

/* ---- the folder ---- */

/* mkdir -p, durable. */
static fz_status folder_make(char *path, fz_error *err)
{
    for (char *p = path + 1;; p++) {
        if (*p != '/' && *p)
            continue;
        char c = *p;
        *p = 0;
        int rc = mkdir(path, 0777), e = errno;
        if (rc == 0) {
            char *slash = strrchr(path, '/');
            char keep = slash[1];
            slash[1] = 0;
            int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            slash[1] = keep;
            if (fd >= 0) {
                fsync(fd);
                close(fd);
            }
        }
        *p = c;
        struct stat s;
        if (rc < 0 && e != EEXIST && !(stat(path, &s) == 0 && S_ISDIR(s.st_mode)) && (!c || e != EROFS))
            return error_errno(err, e, path, "the lake's folder can't be made");
        if (!c)
            return FZ_OK;
    }
}

static bool folder_empty(const char *path)
{
    DIR *d = opendir(path);
    if (!d)
        return errno == ENOENT;
    struct dirent *e;
    bool empty = true;
    while (empty && (e = readdir(d)))
        empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || !strcmp(e->d_name, "lost+found");
    closedir(d);
    return empty;
}

/* Whether other machines may have the files open too. */
static bool is_network(const char *path)
{
    static const uint32_t magic[] = {
        0x6969 /* NFS */, 0x517B /* SMB */, 0xFF534D42 /* CIFS */, 0xFE534D42 /* SMB2 */, 0x5346414F /* AFS */,
        0x00C36400 /* Ceph */, 0x01021997 /* 9P */, 0x65735546 /* FUSE: sshfs among others */,
        0x01161970 /* GFS2 */, 0x7461636f /* OCFS2 */, 0x0BD00BD0 /* Lustre */, 0x47504653 /* GPFS */,
    };
    struct statfs f;
    if (statfs(path, &f) < 0)
        return false;
    for (size_t i = 0; i < sizeof magic / sizeof magic[0]; i++)
        if ((uint32_t)f.f_type == magic[i])
            return true;
    return false;
}

static bool joined_exists(const char *path, const char *tail)
{
    char full[PATH_MAX + 16];
    size_t n = strlen(path), k = strlen(tail);
    if (n + k + 1 > sizeof full)
        return false;
    memcpy(full, path, n);
    memcpy(full + n, tail, k + 1);
    return access(full, F_OK) == 0;
}

static fz_status warehouse_set(sq_catalog *c, size_t n, fz_error *err)
{
    static const char head[] = "file://", tail[] = "/warehouse";
    char *p = arena_alloc(&c->mem, n + sizeof head + sizeof tail);
    if (!p)
        return error_nomem(err);
    memcpy(p, head, sizeof head - 1);
    memcpy(p + sizeof head - 1, c->lake, n);
    memcpy(p + sizeof head - 1 + n, tail, sizeof tail);
    c->sql.warehouse = p;
    c->sql.place = c->lake;
    return FZ_OK;
}

/* How a database file that is there can be opened. */
static void file_look(sq_catalog *c, const sqlite_catalog_options *o, bool *create)
{
    struct stat s;
    /* Somebody may still be making it: then its tables are made here as well as there. */
    *create = o->create_if_missing && !o->read_only && stat(c->db_path, &s) == 0 && s.st_size == 0;
    const char *folder = *c->lake ? c->lake : "/";
    bool writable = access(folder, W_OK) == 0 && access(c->db_path, W_OK) == 0;
    c->sql.read_only = o->read_only || !writable;
    c->immutable = access(folder, W_OK) < 0 && !joined_exists(c->db_path, "-wal");
    *create = *create && writable;
}

/* The same as sq_lake_find for a database file by its path. */
fz_status sq_file_find(sq_catalog *c, const sqlite_catalog_options *o, bool *create, fz_error *err)
{
    const char *path = io_local_path(o->db_file);
    const char *name = path ? strrchr(path, '/') : NULL;
    char real[PATH_MAX], folder[PATH_MAX];
    if (!path || !*path)
        return error_set(err, FZ_UNSUPPORTED, "a SQLite catalog must be a local file, not \"%s\"", o->db_file);
    size_t n = name ? (size_t)(name - path) : 0, k = strlen(name ? name + 1 : path);
    if (n >= sizeof folder)
        return error_errno(err, ENAMETOOLONG, path, "the catalog's folder can't be opened");
    memcpy(folder, n ? path : name ? "/" : ".", n ? n : 1);
    folder[n ? n : 1] = 0;
    if (!realpath(folder, real))
        return error_errno(err, errno, path, "the catalog's folder can't be opened");
    n = strlen(real);
    c->lake = arena_strndup(&c->mem, real, n);
    c->db_path = arena_alloc(&c->mem, n + k + 2);
    if (!c->lake || !c->db_path)
        return error_nomem(err);
    n -= real[n - 1] == '/';
    memcpy(c->db_path, real, n);
    c->db_path[n] = '/';
    memcpy(c->db_path + n + 1, name ? name + 1 : path, k + 1);
    c->sql.place = c->db_path;
    if (o->warehouse && *o->warehouse) {
        size_t w = strlen(o->warehouse);
        while (w > 1 && o->warehouse[w - 1] == '/')
            w--;
        if (!(c->sql.warehouse = arena_strndup(&c->mem, o->warehouse, w)))
            return error_nomem(err);
    }
    struct stat s;
    if (stat(c->db_path, &s) == 0 && S_ISDIR(s.st_mode))
        return error_errno(err, EISDIR, c->db_path, "the catalog isn't a SQLite file");
    c->network = is_network(real);
    *create = access(c->db_path, F_OK) < 0;
    if (!*create) {
        file_look(c, o, create);
        return FZ_OK;
    }
    if (o->create_if_missing && !o->read_only)
        return FZ_OK;
    error_set(err, FZ_NOT_FOUND, "there is no catalog here yet: the file is missing");
    error_where(err, c->db_path);
    return FZ_NOT_FOUND;
}

/* Fills lake, db_path, network, read_only, immutable. *create: the file is still to be made. */
fz_status sq_lake_find(sq_catalog *c, const sqlite_catalog_options *o, bool *create, fz_error *err)
{
    const char *dir = o->lake_dir && *o->lake_dir ? io_local_path(o->lake_dir) : NULL;
    if (!dir || !*dir)
        return error_set(err, FZ_UNSUPPORTED, "a lake must be a local folder, not \"%s\"", o->lake_dir ? o->lake_dir : "");
    struct stat s;
    bool there = stat(dir, &s) == 0;
    if (there && !S_ISDIR(s.st_mode)) {
        error_set(err, FZ_INVALID, "a lake must be a folder, this is a file");
        error_where(err, dir);
        return FZ_INVALID;
    }
    if (!there && (!o->create_if_missing || o->read_only)) {
        error_set(err, FZ_NOT_FOUND, "there is no lake here");
        error_where(err, dir);
        return FZ_NOT_FOUND;
    }
    if (!there) {
        char *copy = arena_strndup(&c->mem, dir, strlen(dir));
        if (!copy)
            return error_nomem(err);
        TRY(folder_make(copy, err));
    }
    char real[PATH_MAX];
    if (!realpath(dir, real))
        return error_errno(err, errno, dir, "the lake's folder can't be opened");
    size_t n = strcmp(real, "/") ? strlen(real) : 0;
    c->lake = arena_strndup(&c->mem, real, n);
    c->db_path = arena_alloc(&c->mem, n + sizeof "/catalog.db");
    if (!c->lake || !c->db_path)
        return error_nomem(err);
    memcpy(c->db_path, real, n);
    memcpy(c->db_path + n, "/catalog.db", sizeof "/catalog.db");
    TRY(warehouse_set(c, n, err));
    c->network = is_network(real);
    *create = access(c->db_path, F_OK) < 0;
    if (!*create) {
        file_look(c, o, create);
        return FZ_OK;
    }
    bool empty = folder_empty(real);
    if (!empty && access(c->db_path, F_OK) == 0) { /* made this moment */
        *create = o->create_if_missing && !o->read_only;
        return FZ_OK;
    }
    if (!empty) {
        error_set(err, FZ_INVALID, "the folder holds other things and no catalog.db: it isn't a lake");
        error_hint(err, "name another folder, or an empty one");
    } else if (!o->create_if_missing || o->read_only) {
        error_set(err, FZ_NOT_FOUND, "there is no lake here: the folder is empty");
    } else {
        return FZ_OK;
    }
    error_where(err, real);
    return empty ? FZ_NOT_FOUND : FZ_INVALID;
}

/* ---- the name ---- */

/* The next catalog name behind `after` (in *at, an arena copy), NULL at the end: two index look-ups. */
static fz_status name_next(sq_catalog *c, const char *after, char **out, fz_error *err)
{
    static const char text[] =
        "SELECT min(n) FROM (SELECT min(catalog_name) n FROM iceberg_tables WHERE catalog_name > ?1 UNION ALL "
        "SELECT min(catalog_name) FROM iceberg_namespace_properties WHERE catalog_name > ?1)";
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(c->read.db, text, -1, &s, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(s, 1, after, -1, SQLITE_STATIC);
    if (rc != SQLITE_OK) {
        sqlite3_finalize(s);
        return sq_fail(c, c->read.db, rc, "the catalog can't be read", err);
    }
    fz_status st = sq_step(c, &c->read, s, &rc, err);
    *out = NULL;
    if (st == FZ_OK && sqlite3_column_type(s, 0) != SQLITE_NULL) {
        str v = sq_column(s, 0);
        *out = arena_strndup(&c->mem, v.p, v.n);
        if (!*out)
            st = error_nomem(err);
    }
    sqlite3_finalize(s);
    return st;
}

fz_status sq_name_find(sq_catalog *c, const char *wanted, fz_error *err)
{
    static char default_name[] = "default";
    if (wanted && *wanted) {
        c->sql.name = arena_strndup(&c->mem, wanted, strlen(wanted));
        return c->sql.name ? FZ_OK : error_nomem(err);
    }
    char *name = "", *first = NULL, *second = NULL;
    bool has_default = false;
    for (int i = 0; i < 64; i++) {
        TRY(name_next(c, name, &name, err));
        if (!name)
            break;
        has_default |= !strcmp(name, default_name);
        if (!first)
            first = name;
        else if (!second)
            second = name;
    }
    c->sql.name = has_default || !first ? default_name : first;
    if (!second)
        return FZ_OK;
    if (has_default) {
        log_msg(c->log, LOG_NOTICE, "the lake's catalog.db also holds tables of the catalog \"%s\", which aren't shown",
                strcmp(first, default_name) ? first : second);
        return FZ_OK;
    }
    error_set(err, FZ_INVALID, "the lake holds several catalogs, \"%s\" and \"%s\" among them", first, second);
    error_hint(err, "choose one with catalog-name, as in --set catalog-name=%s", first);
    error_where(err, c->db_path);
    return FZ_INVALID;
}

/* ---- a lake that was moved ---- */

static bool file_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

fz_status sq_moved_check(sql_catalog *b, ib_ident id, const char *location, fz_error *err)
{
    sq_catalog *c = sq_of(b);
    static const char warehouse[] = "/warehouse/";
    const char *path = io_local_path(location);
    size_t n = strlen(c->lake);
    if (!path || (strncmp(path, c->lake, n) == 0 && path[n] == '/'))
        return FZ_OK;
    for (const char *tail = path; (tail = strstr(tail, warehouse)); tail++) {
        char here[PATH_MAX + 1];
        size_t k = strlen(tail);
        if (n + k + 1 > sizeof here)
            continue;
        memcpy(here, c->lake, n);
        memcpy(here + n, tail, k + 1);
        if (access(here, F_OK) < 0 || file_same(path, here))
            continue;
        error_set(err, FZ_INVALID,
                  "the lake was moved or copied: table " STR_FMT "." STR_FMT " is recorded at %s, but its files lie at %s",
                  STR_ARG(id.ns), STR_ARG(id.name), path, here);
        error_hint(err, "Iceberg metadata holds absolute paths: make the lake reachable as %.*s again (move it back, or "
                   "link or mount it there)", (int)(tail - path), path);
        error_where(err, c->lake);
        return FZ_INVALID;
    }
    return FZ_OK;
}
