/*
 * layout.c: locations of a table's files (see layout.h) and random identifiers, from the kernel.
 */
#include "iceberg/update/layout.h"
#include "iceberg/transform/transform.h"

#include <errno.h>
#include <sys/random.h>

fz_status ib_random(void *p, size_t n, fz_error *err)
{
    for (size_t got = 0; got < n;) {
        ssize_t k = getrandom((char *)p + got, n - got, 0);
        if (k < 0 && errno != EINTR)
            return error_errno(err, errno, NULL, "can't get random bytes");
        got += k > 0 ? (size_t)k : 0;
    }
    return FZ_OK;
}

fz_status ib_uuid_new(char out[UUID_TEXT], fz_error *err)
{
    static const char HEX[] = "0123456789abcdef";
    uint8_t b[16];
    TRY(ib_random(b, sizeof b, err));
    b[6] = (uint8_t)(0x40 | (b[6] & 0x0f));
    b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
    char *p = out;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = HEX[b[i] >> 4];
        *p++ = HEX[b[i] & 15];
    }
    *p = 0;
    return FZ_OK;
}

fz_status ib_snapshot_id_new(const ib_metadata *md, int64_t *out, fz_error *err)
{
    do {
        uint64_t v;
        TRY(ib_random(&v, sizeof v, err));
        *out = (int64_t)(v & INT64_MAX);
    } while (*out == 0 || (md && ib_snapshot_by_id(md, *out)));
    return FZ_OK;
}

/* Appends the folder that `property` names, else <location>/<sub>, without a trailing slash. */
static void put_folder(const ib_metadata *md, const char *property, const char *sub, sbuf *b)
{
    str own = ib_prop(&md->properties, property);
    str dir = own.n ? own : md->location;
    while (dir.n > 1 && dir.p[dir.n - 1] == '/')
        dir.n--;
    sbuf_str(b, dir);
    if (!own.n) {
        sbuf_addc(b, '/');
        sbuf_addz(b, sub);
    }
    sbuf_addc(b, '/');
}

static char *finish(sbuf *b, arena *a)
{
    char *s = b->failed ? NULL : arena_strndup(a, b->p, b->n);
    sbuf_free(b);
    return s;
}

char *ib_data_location(const ib_metadata *md, str partition_path, uint32_t task, uint32_t n, const char *uuid, arena *a)
{
    sbuf b;
    sbuf_init(&b, a->m);
    put_folder(md, "write.data.path", "data", &b);
    if (partition_path.n) {
        sbuf_str(&b, partition_path);
        sbuf_addc(&b, '/');
    }
    sbuf_printf(&b, "%05u-%u-%s.parquet", task, n, uuid);
    return finish(&b, a);
}

char *ib_manifest_location(const ib_metadata *md, const char *uuid, uint32_t n, arena *a)
{
    sbuf b;
    sbuf_init(&b, a->m);
    put_folder(md, "write.metadata.path", "metadata", &b);
    sbuf_printf(&b, "%s-m%u.avro", uuid, n);
    return finish(&b, a);
}

char *ib_list_location(const ib_metadata *md, int64_t snapshot_id, uint32_t attempt, const char *uuid, arena *a)
{
    sbuf b;
    sbuf_init(&b, a->m);
    put_folder(md, "write.metadata.path", "metadata", &b);
    sbuf_printf(&b, "snap-%lld-%u-%s.avro", (long long)snapshot_id, attempt, uuid);
    return finish(&b, a);
}

char *ib_metadata_location(const ib_metadata *md, uint32_t version, const char *uuid, arena *a)
{
    sbuf b;
    sbuf_init(&b, a->m);
    put_folder(md, "write.metadata.path", "metadata", &b);
    sbuf_printf(&b, "%05u-%s.metadata.json", version, uuid);
    return finish(&b, a);
}

int64_t ib_metadata_version(str location)
{
    size_t at = location.n;
    while (at > 0 && location.p[at - 1] != '/')
        at--;
    bool v = at < location.n && location.p[at] == 'v';
    size_t from = at += v;
    int64_t n;
    while (at < location.n && location.p[at] >= '0' && location.p[at] <= '9')
        at++;
    bool ended = at < location.n && location.p[at] == (v ? '.' : '-');
    return ended && at - from < 19 && str_to_i64((str){location.p + from, at - from}, &n) ? n : -1;
}

void ib_partition_path(const ib_partition_spec *spec, const datum *values, sbuf *out)
{
    bool first = true;
    for (uint32_t i = 0; i < spec->n; i++) {
        if (!first)
            sbuf_addc(out, '/');
        first = false;
        ib_transform name = {.kind = IB_IDENTITY};
        datum text = {.t = TYPE(T_STRING), .s = spec->fields[i].name};
        ib_transform_path(&name, &text, out);
        sbuf_addc(out, '=');
        ib_transform_path(&spec->fields[i].transform, &values[i], out);
    }
}
