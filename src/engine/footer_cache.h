/*
 * footer_cache.h: parsed Parquet footers, kept between statements. Files of tables never change, and any other file is
 * looked up with its size and time of change, a remote one with its ETag. Thread-safe; bounded by a number of entries, the oldest leave first.
 */
#ifndef ENGINE_FOOTER_CACHE_H
#define ENGINE_FOOTER_CACHE_H

#include "format/parquet/parquet.h"

typedef struct footer_cache footer_cache;

footer_cache *footer_cache_new(mem *m, uint32_t max_entries);
void footer_cache_free(footer_cache *c);

/* Opens a file with its footer, parsed or from the cache. size: what the table's metadata says, or -1. The caller closes both (pq_close gives one
 * reference back). c may be NULL. */
fz_status footer_cache_open(footer_cache *c, file_io *io, const char *path, int64_t size, mem *m, io_file **f, pq_file **p, fz_error *err);
/* Whether it is there: nothing will be read for it. c may be NULL. */
bool footer_cache_has(footer_cache *c, const io_file *f, bool sized);
/* The footer of a file that is open. sized: it was opened with the size from a table's metadata, so that it is a file that never changes. */
fz_status footer_cache_get(footer_cache *c, file_io *io, io_file *f, bool sized, mem *m, pq_file **p, fz_error *err);

#endif
