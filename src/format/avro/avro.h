/*
 * avro.h: Avro object container files (Apache Avro specification 1.11), read and written.
 *
 * READING. A schema is parsed into a tree of avro_type, with the attributes Iceberg adds
 * ("field-id", "element-id", "key-id", "value-id", logicalType "map"). Records are not turned into
 * a generic value: the caller walks the writer's schema with a cursor and takes or skips each
 * value. Schema resolution is a table: avro_bind() says, for each field of the writer's record, which
 * of the caller's fields it is (by field id, else by name) or that it is to be skipped; a field
 * of the caller's that no writer field maps to keeps the caller's default.
 *
 *     avro_reader_open -> avro_bind ... -> { avro_next -> avro_get_* | avro_skip ... } -> avro_reader_close
 *
 * The cursor has a sticky error: after the first bad byte every get returns zero and every loop
 * ends, and the next avro_next() reports it. Files are hostile: counts are checked against the
 * bytes that are left, blocks against a size limit, the schema's depth and expanded size are
 * bounded, so the work is linear in the (decompressed) bytes.
 *
 * WRITING. avro_put_* append values to the writer's `body`; avro_writer_record() ends a record; the file is
 * built in memory, for who writes it durably.
 */
#ifndef FORMAT_AVRO_H
#define FORMAT_AVRO_H

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "codec/compress.h"

typedef enum avro_kind {
    AVRO_NULL, AVRO_BOOL, AVRO_INT, AVRO_LONG, AVRO_FLOAT, AVRO_DOUBLE, AVRO_BYTES, AVRO_STRING, AVRO_FIXED,
    AVRO_ENUM, AVRO_RECORD, AVRO_ARRAY, AVRO_MAP, AVRO_UNION,
} avro_kind;

typedef enum avro_logical {
    AVRO_PLAIN, AVRO_DATE, AVRO_TIME_MILLIS, AVRO_TIME_MICROS, AVRO_TIMESTAMP_MILLIS, AVRO_TIMESTAMP_MICROS,
    AVRO_LOCAL_TIMESTAMP_MILLIS, AVRO_LOCAL_TIMESTAMP_MICROS,
    AVRO_DECIMAL, AVRO_UUID, AVRO_ID_MAP, /* array of key-value records */
    AVRO_OTHER,
} avro_logical;

typedef struct avro_type {
    uint8_t kind, logical;      /* avro_kind, avro_logical */
    bool utc, utc_given;        /* timestamps: adjust-to-utc, and whether it is there */
    int32_t precision, scale;   /* AVRO_DECIMAL */
    uint32_t size;              /* AVRO_FIXED: bytes; AVRO_ENUM: symbols */
    uint32_t n;                 /* fields of a record, branches of a union, 1 for arrays and maps */
    struct avro_field *fields;
    str name;                   /* of a record, enum or fixed; without its namespace */
    const str *symbols;         /* AVRO_ENUM: `size` of them */
    int32_t key_id;             /* AVRO_MAP; -1: none */
    uint64_t min_size;          /* fewest bytes a value takes; 0 only where every value takes none */
    uint32_t nodes;             /* types in the tree below, with repetitions */
} avro_type;

typedef struct avro_field {
    str name;                   /* of a record's field, else empty */
    int32_t field_id;           /* field-id, element-id, value-id; -1: none */
    const avro_type *type;
} avro_field;

/* Parses a schema. FZ_DATA: not one; FZ_UNSUPPORTED: recursive types; bounded in depth and size. */
fz_status avro_schema_parse(str json, arena *a, const avro_type **out, fz_error *err);
/* t without its null branch: the other branch of a union of null and one more type, else t. */
const avro_type *avro_nonnull(const avro_type *t);

/* ---- values ---- */

typedef struct avro_cursor {
    const uint8_t *p, *end;
    const char *bad;            /* what is wrong, or NULL */
} avro_cursor;

/* Resolves a union: reads its branch and sets *t to it. False where the value is null. */
bool avro_value(avro_cursor *c, const avro_type **t);
/* *t must not be a union. int and long; float, double, int and long; … anything else is bad. */
int64_t avro_get_long(avro_cursor *c, const avro_type *t);
double avro_get_double(avro_cursor *c, const avro_type *t);
bool avro_get_bool(avro_cursor *c, const avro_type *t);
str avro_get_bytes(avro_cursor *c, const avro_type *t); /* bytes, string, fixed; borrowed from the block */
/* The number of items of the next block of an array or map (each map item: a string key, then the
 * value); 0 at the end. Call again after that many items. */
uint64_t avro_items(avro_cursor *c, const avro_type *t);
void avro_skip(avro_cursor *c, const avro_type *t);
int64_t avro_varint(avro_cursor *c);

/* One of the caller's fields, for avro_bind. */
typedef struct avro_want { int32_t field_id; const char *name; } avro_want;
#define AVRO_SKIP 0xff
/* slots[i] = index in `want` of the writer's i-th field, or AVRO_SKIP; n_want < 255. t must be a record. */
void avro_bind(const avro_type *t, const avro_want *want, uint32_t n_want, uint8_t *slots);

/* ---- files ---- */

typedef struct avro_kv { str key, value; } avro_kv;

typedef struct avro_reader {
    const avro_type *schema;
    uint32_t n_meta;
    avro_kv *meta;              /* borrowed from the data */
    avro_cursor cur;            /* at a record after avro_next */
    /* below: the reader's own */
    const char *where;
    const uint8_t *data;
    size_t size, at;            /* at: of the next block */
    size_t block_at;            /* of this block, for messages */
    uint8_t sync[16];
    codec_id codec;
    codec_ctx *ctx;
    mem *m;
    buf *block;
    uint64_t left;              /* records of this block not yet begun */
    arena schema_mem;
} avro_reader;

/* `data` (the whole file) and `where` must outlive the reader. After a failure nothing is to be closed. */
fz_status avro_reader_open(avro_reader *r, const void *data, size_t n, const char *where, mem *m, fz_error *err);
void avro_reader_close(avro_reader *r);
str avro_reader_meta(const avro_reader *r, const char *key); /* {NULL, 0}: not there */
/* Moves to the next record; *more false at the end of the file. Reports what was bad in the one before. */
fz_status avro_next(avro_reader *r, bool *more, fz_error *err);

typedef struct avro_writer {
    sbuf out;                   /* the file so far */
    sbuf body;                  /* the open block: avro_put_* go here */
    uint64_t records;           /* in the open block */
    codec_id codec;
    codec_ctx *ctx;
    uint8_t sync[16];
    mem *m;
} avro_writer;

/* Writes the header: `meta` plus avro.schema and avro.codec. codec: CODEC_NONE or CODEC_DEFLATE. */
fz_status avro_writer_open(avro_writer *w, str schema, uint32_t n_meta, const avro_kv *meta, codec_id codec, mem *m,
                           fz_error *err);
/* Ends the record that was put; closes the block when it is large. */
fz_status avro_writer_record(avro_writer *w, fz_error *err);
/* Bytes of the file if it ended now, about. */
size_t avro_writer_size(const avro_writer *w);
/* Closes the last block; w->out is the file. */
fz_status avro_writer_finish(avro_writer *w, fz_error *err);
void avro_writer_free(avro_writer *w);

void avro_put_long(sbuf *b, int64_t v);          /* int, long, enum, union branch, block count */
void avro_put_bytes(sbuf *b, str s);             /* bytes, string */
void avro_put_float(sbuf *b, float v);
void avro_put_double(sbuf *b, double v);
static inline void avro_put_bool(sbuf *b, bool v) { sbuf_addc(b, v); }

#endif
