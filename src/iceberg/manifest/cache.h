/*
 * cache.h: decoded manifest lists and manifests, kept by path. The files are immutable, so an
 * entry never goes stale; it is dropped when the cache's bytes pass their bound, least recently
 * used first. What is handed out is immutable and reference counted: it outlives its place in
 * the cache and may be read by any thread.
 *
 * A cache may be NULL everywhere: then everything is read anew.
 */
#ifndef ICEBERG_MANIFEST_CACHE_H
#define ICEBERG_MANIFEST_CACHE_H

#include "iceberg/manifest/manifest.h"

/* The decoded form of one file: a manifest list (files) or a manifest (entries). */
typedef struct ib_decoded {
    _Atomic int refs;
    arena mem;                     /* owns everything below */
    str path;
    uint32_t n;
    ib_manifest_file *files;       /* of a list, else NULL */
    ib_manifest_entry *entries;    /* of a manifest, inheritance applied, else NULL */
    struct ib_index *index;        /* of a manifest as scan planning wants it (index.h), else NULL; n live entries */
    bool has_stats;                /* entries were read with their statistics */
    int64_t sequence_number;       /* of the manifest: what was inherited */
} ib_decoded;

typedef struct ib_manifest_cache ib_manifest_cache;

ib_manifest_cache *ib_manifest_cache_new(mem *m, int64_t max_bytes); /* NULL: no memory */
void ib_manifest_cache_free(ib_manifest_cache *c);                   /* NULL allowed */

/* From the cache, else read and kept there. One reference in *out. Thread-safe. */
fz_status ib_manifest_list_get(ib_manifest_cache *c, file_io *io, str location, mem *m, ib_decoded **out, fz_error *err);
fz_status ib_manifest_get(ib_manifest_cache *c, const ib_manifest_file *mf, const ib_metadata *md, bool want_stats,
                          mem *m, ib_decoded **out, fz_error *err);
/* For planning: a manifest's index; or its entries with statistics where the cache has those, as of what was written here. */
fz_status ib_manifest_index_get(ib_manifest_cache *c, const ib_manifest_file *mf, const ib_metadata *md, mem *m, ib_decoded **out,
                                fz_error *err);
/* The index d has grown by so many bytes. */
void ib_manifest_index_grew(ib_manifest_cache *c, const ib_decoded *d, size_t bytes);
/* For who has just written a file: puts its content (copied) in the cache. Without memory nothing happens. */
void ib_manifest_list_put(ib_manifest_cache *c, str location, uint32_t n, const ib_manifest_file *files);
void ib_manifest_put(ib_manifest_cache *c, const ib_manifest_file *mf, uint32_t n, const ib_manifest_entry *entries);

ib_decoded *ib_decoded_ref(ib_decoded *d);
void ib_decoded_unref(ib_decoded *d); /* NULL allowed */

#endif
