/*
 * cache.h: remote files kept on this machine, shared by processes: whole files (sources) and ranges of files (column
 * chunks), by URL and ETag; immutable files (metadata, manifests) by path alone.
 *
 * The folder holds one entry per file; an entry appears by rename, so that a reader sees all of it or nothing, whoever is
 * killed when. Bytes are bounded: the least recently used go first. Without a folder there is no cache and no error.
 */
#ifndef IO_CACHE_H
#define IO_CACHE_H

#include "io/io.h"

typedef struct file_cache file_cache;

/* dir: NULL is $XDG_CACHE_HOME/frazil, else ~/.cache/frazil; made when something is first kept. max_bytes 0: 4 GB. */
file_cache *file_cache_new(const char *dir, uint64_t max_bytes, mem *m);
file_cache *file_cache_ref(file_cache *c);
void file_cache_unref(file_cache *c); /* NULL allowed */

/* A file system in front of `inner` (taken over, also on failure). What a scan reads once is kept as `whole_files` says: true, files are fetched
 * whole while they are first read (sources); false, only ranges asked for and small immutable files. */
fz_status cached_fs_new(file_cache *c, io_fs *inner, bool whole_files, mem *m, io_fs **out, fz_error *err);

typedef struct cache_entry_info { const char *url; uint64_t bytes; int64_t used_us; bool whole; } cache_entry_info;
fz_status file_cache_list(file_cache *c, fz_status (*fn)(void *ctx, const cache_entry_info *e, fz_error *err), void *ctx, fz_error *err);
fz_status file_cache_clear(file_cache *c, uint64_t *bytes, fz_error *err);

#endif
