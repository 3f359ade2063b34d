/* inline.h: the manifests of any snapshot, also of one that has no manifest list but names its manifests itself (version 1). */
#ifndef ICEBERG_INLINE_H
#define ICEBERG_INLINE_H

#include "iceberg/manifest/cache.h"

/* As ib_manifest_list_get for a snapshot. Of manifests that a snapshot names itself neither counts nor summaries are known. */
fz_status ib_snapshot_manifests(ib_manifest_cache *c, const ib_metadata *md, const ib_snapshot *s, mem *m, ib_decoded **out, fz_error *err);

#endif
