/*
 * cache.h: remote files kept on this machine, shared by processes.
 *
 * A cached file is a folder of pieces, the ranges that were read of it, as `files/<hash of URL and version>/<offset>-<length>`, with `info`
 * beside them that says what it is. A whole source is the pieces that cover it; a table's data file has those of the columns
 * that were asked for. What was read once isn't asked for again.
 *
 * VERSIONS. A file that may change is known by its ETag: opening it asks the server for that, and nothing more where the pieces are
 * there. Files of tables never change and are known by path and size alone: those that are opened with their size, and metadata
 * files and manifests with a UUID in their names that are read whole.
 *
 * SAFETY. A piece appears by rename, complete and with a checksum of its bytes, which is verified whenever it is read: whoever is killed when, and
 * whatever the disk does, a reader gets the right bytes or asks the server. Writers in several processes may write the
 * same piece. Bytes are bounded: the files that weren't opened for the longest time go first, also while others read them.
 * Without a folder, or without room, there is no cache and no error.
 */
#ifndef IO_CACHE_H
#define IO_CACHE_H

#include "io/io.h"

typedef struct file_cache file_cache;

/* dir: NULL is $XDG_CACHE_HOME/frazil, else ~/.cache/frazil; made when something is first kept. max_bytes 0: 4 GB. One reference; NULL: no memory. */
file_cache *file_cache_new(const char *dir, uint64_t max_bytes, mem *m);
file_cache *file_cache_ref(file_cache *c);
void file_cache_unref(file_cache *c); /* NULL allowed */

/* A file system in front of `inner`, which is taken over, also on failure. scope (may be NULL) tells files apart that have one location
 * on different servers: an endpoint. Writing, listing and removing are inner's. */
fz_status cached_fs_new(file_cache *c, io_fs *inner, const char *scope, mem *m, io_fs **out, fz_error *err);

typedef struct cache_entry_info {
    const char *location;
    uint64_t bytes, size;    /* kept; of the file */
    int64_t used_us;         /* last opened, Unix time */
} cache_entry_info;
/* Calls fn for each file, in no order. */
fz_status file_cache_list(file_cache *c, fz_status (*fn)(void *ctx, const cache_entry_info *e, fz_error *err), void *ctx, fz_error *err);
/* Removes everything; *bytes (may be NULL) receives how much that was. */
fz_status file_cache_clear(file_cache *c, uint64_t *bytes, fz_error *err);
/* The folder; NULL: there is none. */
const char *file_cache_dir(const file_cache *c);

#endif
