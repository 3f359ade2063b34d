/*
 * footer_cache.h: parsed Parquet footers, kept between statements. Files of tables never change, and any other file is
 * looked up with its size and time of change. Thread-safe; bounded by a number of entries, the oldest leave first.
 */
#ifndef ENGINE_FOOTER_CACHE_H
#define ENGINE_FOOTER_CACHE_H

#include "format/parquet/parquet.h"

typedef struct footer_cache footer_cache;

footer_cache *footer_cache_new(mem *m, uint32_t max_entries);
void footer_cache_free(footer_cache *c);

/* Opens a file with its footer, parsed or from the cache. The caller closes both (pq_close gives one reference back). c may be NULL. */
fz_status footer_cache_open(footer_cache *c, file_io *io, const char *path, mem *m, io_file **f, pq_file **p, fz_error *err);

#endif
