/* cache_int.h: a cache's entries on the disk (cache.c), for the file system in front of others (cached_fs.c). */
#ifndef IO_CACHE_INT_H
#define IO_CACHE_INT_H

#include "io/cache.h"

#define CACHE_DIR_MAX 3000
#define CACHE_PATH 4096

struct file_cache {
    _Atomic int refs;
    mem *m;
    char *dir;                   /* NULL: there is no cache */
    uint64_t max_bytes;
    _Atomic uint64_t written;    /* by this process */
    _Atomic unsigned names;      /* of files that are being written */
};

/* The folder of a file; false: there is no cache. */
bool cache_entry_path(const file_cache *c, const char *scope, const char *location, const char *version, char out[CACHE_PATH]);
/* Whether the folder is this file's, of that size (-1: any; *size is then what it is). Counts as use. */
bool cache_info_check(const char *dir, const char *scope, const char *location, const char *version, int64_t *size);
bool cache_entry_make(file_cache *c, const char *dir, const char *scope, const char *location, const char *version, int64_t size);
/* Keeps a range; false: it couldn't be. May remove old files. */
bool cache_piece_put(file_cache *c, const char *dir, uint64_t at, const void *p, size_t len);
/* The whole of a piece; false: it isn't there, or isn't what was written, and then it is removed. */
bool cache_piece_get(const char *dir, uint64_t at, uint64_t len, void *dst);
bool cache_piece_parse(const char *name, uint64_t *at, uint64_t *len);
void cache_trim(file_cache *c);

#endif
