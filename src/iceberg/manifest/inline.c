/*
 * inline.c: snapshots with a "manifests" array instead of a manifest list, as version 1 allows. What a list would say of a manifest
 * is taken from its own header; the list so made isn't cached, since there is no file it belongs to.
 */
#include "iceberg/manifest/inline.h"

#include "codec/json.h"
#include "format/avro/avro.h"
#include "iceberg/manifest/manifest_int.h"

static fz_status manifest_describe(file_io *io, const ib_snapshot *s, str path, mem *m, ib_manifest_file *out, fz_error *err)
{
    buf *data;
    avro_reader r;
    int64_t spec_id = 0;
    TRY(io_read_all(io, path.p, m, MANIFEST_MAX_BYTES, &data, err));
    fz_status st = avro_reader_open(&r, data->data, data->size, path.p, m, err);
    if (st == FZ_OK) {
        str id = avro_reader_meta(&r, "partition-spec-id");
        if (id.n && (!str_to_i64(id, &spec_id) || spec_id < 0 || spec_id > INT32_MAX)) {
            st = error_set(err, FZ_DATA, "a manifest's partition-spec-id isn't a number");
            error_where(err, path.p);
        }
        *out = (ib_manifest_file){.path = path, .length = (int64_t)data->size, .spec_id = (int32_t)spec_id, .content = IB_DATA,
                                  .added_snapshot_id = s->snapshot_id, .added_files = -1, .existing_files = -1, .deleted_files = -1,
                                  .added_rows = -1, .existing_rows = -1, .deleted_rows = -1};
        avro_reader_close(&r);
    }
    buf_unref(data);
    return st;
}

static fz_status read_names(ib_decoded *d, file_io *io, const ib_snapshot *s, mem *m, fz_error *err)
{
    json_doc doc;
    TRY(json_parse(&doc, s->json.p, s->json.n, NULL, m, err));
    const json_node *list = json_get(&doc, json_root(&doc), "manifests"), *e;
    fz_status st = FZ_OK;
    if (!list || list->type != JSON_ARRAY) {
        st = error_set(err, FZ_DATA, "snapshot %lld has neither a manifest list nor manifests", (long long)s->snapshot_id);
        goto out;
    }
    d->files = ARENA_ARRAY(&d->mem, ib_manifest_file, list->n + 1);
    if (!d->files) {
        st = error_nomem(err);
        goto out;
    }
    e = list + 1;
    for (uint32_t i = 0; i < list->n; i++, e = json_next(e)) {
        str path;
        TRY_GOTO(json_str(&doc, e, &d->mem, &path, err));
        TRY_GOTO(manifest_describe(io, s, path, m, &d->files[i], err));
        d->n = i + 1;
    }
out:
    json_free(&doc);
    return st;
}

fz_status ib_snapshot_manifests(ib_manifest_cache *c, const ib_metadata *md, const ib_snapshot *s, mem *m, ib_decoded **out, fz_error *err)
{
    if (s->manifest_list.n)
        return ib_manifest_list_get(c, md->io, s->manifest_list, m, out, err);
    ib_decoded *d = mem_zalloc(m, sizeof *d);
    if (!d)
        return error_nomem(err);
    atomic_init(&d->refs, 1);
    arena_init(&d->mem, m);
    fz_status st = read_names(d, md->io, s, m, err);
    if (st)
        ib_decoded_unref(d);
    else
        *out = d;
    return st;
}
