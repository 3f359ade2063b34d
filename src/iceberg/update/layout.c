/*
 * layout.c: locations of a table's files (see layout.h) and random identifiers, from the kernel.
 */
#include "iceberg/update/layout.h"
#include "iceberg/transform/transform.h"

#include <errno.h>
#include <stdio.h>
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

static str without_slash(str dir)
{
    while (dir.n > 1 && dir.p[dir.n - 1] == '/')
        dir.n--;
    return dir;
}

/* Appends the folder that one of the properties names, else <location>/<sub>, with a trailing slash. */
static void put_folder(const ib_metadata *md, uint32_t n, const char *const *properties, const char *sub, sbuf *b)
{
    str own = {0};
    for (uint32_t i = 0; i < n && !own.n; i++)
        own = ib_prop(&md->properties, properties[i]);
    sbuf_str(b, without_slash(own.n ? own : md->location));
    if (!own.n) {
        sbuf_addc(b, '/');
        sbuf_addz(b, sub);
    }
    sbuf_addc(b, '/');
}

static void put_metadata_folder(const ib_metadata *md, sbuf *b)
{
    static const char *const property[] = {"write.metadata.path"};
    put_folder(md, 1, property, "metadata", b);
}

static bool flag(const ib_metadata *md, const char *property, bool def)
{
    bool on;
    return ib_prop_bool(&md->properties, property, def, &on, NULL) == FZ_OK ? on : def;
}

/* The last two parts of the location, with a slash behind: what a table's files are told apart by outside of it. */
static void put_context(str location, sbuf *b)
{
    size_t from = location.n, slashes = 0;
    while (from > 0 && !(location.p[from - 1] == '/' && ++slashes == 2))
        from--;
    sbuf_add(b, location.p + from, location.n - from);
    sbuf_addc(b, '/');
}

#define HASH_BITS 20 /* as folders of 4, 4, 4 and 8 */

static char *object_location(const ib_metadata *md, str partition_path, const char *file, arena *a)
{
    static const char *const properties[] = {"write.data.path", "write.object-storage.path", "write.folder-storage.path"};
    bool partitioned = flag(md, "write.object-storage.partitioned-paths", true);
    sbuf b, name;
    sbuf_init(&b, a->m);
    sbuf_init(&name, a->m);
    if (partitioned && partition_path.n) {
        sbuf_str(&name, partition_path);
        sbuf_addc(&name, '/');
    }
    sbuf_addz(&name, file);
    put_folder(md, 3, properties, "data", &b);
    bool inside = !b.failed && str_starts((str){b.p, b.n}, md->location);
    uint32_t hash = name.failed ? 0 : ib_murmur3_32(name.p, name.n);
    for (int i = 0; i < HASH_BITS; i++) {
        if (i == 4 || i == 8 || i == 12)
            sbuf_addc(&b, '/');
        sbuf_addc(&b, hash >> (HASH_BITS - 1 - i) & 1 ? '1' : '0');
    }
    sbuf_addc(&b, !inside || partitioned ? '/' : '-');
    if (!inside)
        put_context(md->location, &b);
    sbuf_add(&b, name.p, name.n);
    b.failed |= name.failed;
    sbuf_free(&name);
    char *s = b.failed ? NULL : arena_strndup(a, b.p, b.n);
    sbuf_free(&b);
    return s;
}

static char *finish(sbuf *b, arena *a)
{
    char *s = b->failed ? NULL : arena_strndup(a, b->p, b->n);
    sbuf_free(b);
    return s;
}

char *ib_data_location(const ib_metadata *md, str partition_path, uint32_t task, uint32_t n, const char *uuid, arena *a)
{
    static const char *const properties[] = {"write.data.path", "write.folder-storage.path"};
    char file[80];
    snprintf(file, sizeof file, "%05u-%u-%s.parquet", task, n, uuid);
    if (flag(md, "write.object-storage.enabled", false))
        return object_location(md, partition_path, file, a);
    sbuf b;
    sbuf_init(&b, a->m);
    put_folder(md, 2, properties, "data", &b);
    if (partition_path.n) {
        sbuf_str(&b, partition_path);
        sbuf_addc(&b, '/');
    }
    sbuf_addz(&b, file);
    return finish(&b, a);
}

char *ib_manifest_location(const ib_metadata *md, const char *uuid, uint32_t n, arena *a)
{
    sbuf b;
    sbuf_init(&b, a->m);
    put_metadata_folder(md, &b);
    sbuf_printf(&b, "%s-m%u.avro", uuid, n);
    return finish(&b, a);
}

char *ib_list_location(const ib_metadata *md, int64_t snapshot_id, uint32_t attempt, const char *uuid, arena *a)
{
    sbuf b;
    sbuf_init(&b, a->m);
    put_metadata_folder(md, &b);
    sbuf_printf(&b, "snap-%lld-%u-%s.avro", (long long)snapshot_id, attempt, uuid);
    return finish(&b, a);
}

bool ib_metadata_gzip(const ib_metadata *md)
{
    return str_ieq(ib_prop(&md->properties, "write.metadata.compression-codec"), STR("gzip"));
}

char *ib_metadata_location(const ib_metadata *md, uint32_t version, const char *uuid, arena *a)
{
    sbuf b;
    sbuf_init(&b, a->m);
    put_metadata_folder(md, &b);
    sbuf_printf(&b, "%05u-%s%s.metadata.json", version, uuid, ib_metadata_gzip(md) ? ".gz" : "");
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
