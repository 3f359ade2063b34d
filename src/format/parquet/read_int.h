/*
 * read_int.h: what the reading half of Parquet shares: the open file, the conversion from a
 * file's values to the engine's, the source of pages, and the decoders of values.
 */
#ifndef FORMAT_PARQUET_READ_INT_H
#define FORMAT_PARQUET_READ_INT_H

#include "codec/compress.h"
#include "codec/delta.h"
#include "codec/rle.h"
#include "format/parquet/parquet.h"

/* ---- read.c: the file ---- */

typedef struct pq_leaf {
    const pq_schema_element *element;
    bool flat;           /* child of the root, not repeated */
    bool optional;
    type t;              /* T_NULL: refused */
    const char *refused; /* why */
} pq_leaf;

struct pq_file {
    _Atomic int refs;
    mem *m;
    arena a;
    buf *footer;
    pq_file_meta meta;
    row_schema schema;
    pq_leaf *leaves;
    uint64_t size;
    bool short_chunks;     /* the writer left the dictionary's header out of chunk sizes */
    bool v2_flag_unset;    /* the writer compressed v2 pages and said it didn't */
};

/* Bounds from the bytes of a minimum and a maximum; `known` stays false if they make no sense. */
void bounds_make(const pq_leaf *l, str min, str max, bool exact, bool may_nan, pq_bounds *out);

/* ---- page_index.c ---- */

/* The offset index of a chunk whose pages lie in [data_start, end); false (and n = 0): there is none
 * that can be used. */
bool offset_index_load(io_file *f, const pq_column_chunk *c, uint64_t data_start, uint64_t end, uint64_t rows,
                       arena *a, pq_offset_index *out);

/* ---- convert.c: from a file's values to the engine's ---- */

typedef enum pq_conv {
    CONV_COPY, CONV_I32_I64, CONV_U32_I64, CONV_I32_MILLIS, CONV_MILLIS, CONV_NANOS, CONV_U64_I128,
    CONV_I32_I128, CONV_I64_I128, CONV_F32_F64, CONV_BYTES_I64, CONV_BYTES_I128, CONV_INT96,
} pq_conv;

/* How a column of that leaf is delivered as `as`; FZ_INVALID names the pair that isn't possible. */
fz_status conv_find(const pq_leaf *l, type as, pq_conv *out, fz_error *err);
/* Bytes of a value as values_read leaves it. */
uint32_t source_size(pq_physical p);
/* n values from src (as values_read leaves them) to dst. CONV_COPY never needs it. */
fz_status conv_run(pq_conv c, const void *src, void *dst, size_t n, fz_error *err);
/* FZ_DATA if a delivered decimal has more digits than its type. */
fz_status decimal_check(type t, const void *values, size_t n, fz_error *err);

/* ---- page.c: pages of a chunk, in order ---- */

typedef struct pq_pages {
    pq_file *p;
    io_file *f;
    mem *m;
    codec_ctx *ctx;
    pq_codec codec;
    uint64_t at, start, end;  /* next header; bounds of the chunk in the file */
    buf *win;                 /* bytes [win_at, win_at + win->size) of the file */
    uint64_t win_at;
    buf *spare;               /* where pages are decompressed to, reused when nobody keeps it */
    uint64_t fetched;
} pq_pages;

typedef struct pq_page {
    pq_page_header h;
    uint64_t at;              /* of the header, for messages */
    uint64_t body;
    uint32_t header_size;
    buf *keep;                /* holds data; one reference */
    const uint8_t *data;      /* decompressed: levels and values; BUF_PAD readable bytes follow */
    size_t n;
} pq_page;

fz_status pages_init(pq_pages *s, pq_file *p, io_file *f, const pq_column_chunk *c, mem *m, fz_error *err);
void pages_free(pq_pages *s);
bool pages_done(const pq_pages *s);
/* The header at s->at; the page counts as passed: s->at moves behind it. */
fz_status pages_next(pq_pages *s, pq_page *out, fz_error *err);
/* Fetches, checks and decompresses the body of a page from pages_next. */
fz_status page_load(pq_pages *s, pq_page *g, fz_error *err);
/* len bytes at offset within [start, end), valid until the next call unless s->win is kept. */
fz_status pages_fetch(pq_pages *s, uint64_t offset, size_t len, const uint8_t **out, fz_error *err);

/* ---- values.c: the values of a page ---- */

typedef enum pq_values_kind {
    VALUES_FIXED, VALUES_BYTES, VALUES_BITS, VALUES_RLE_BITS, VALUES_DICT, VALUES_DELTA,
    VALUES_DELTA_LENGTH, VALUES_DELTA_BYTES, VALUES_SPLIT,
} pq_values_kind;

typedef struct pq_values {
    pq_values_kind kind;
    pq_physical type;
    uint32_t width;            /* bytes of a value of fixed size */
    bool utf8;                 /* values must be text … */
    bool ascii;                /* … and all bytes of the page are */
    const uint8_t *at, *end;
    uint64_t pos, total;       /* BITS, SPLIT */
    rle_reader rle;            /* DICT codes, RLE_BITS */
    delta_reader lens, prefixes, ints;
    mem *m;
    buf *last;                 /* DELTA_BYTES: the value before; owned */
    buf *made;                 /* DELTA_BYTES: bytes of the latest values_read; the caller takes it */
} pq_values;

/* At the values' bytes (behind the levels); BUF_PAD bytes behind n are readable. width: of FIXED. */
fz_status values_open(pq_values *v, pq_encoding enc, pq_physical p, uint32_t width, bool utf8,
                      const uint8_t *data, size_t n, mem *m, fz_error *err);
void values_close(pq_values *v);
/* The next n values in source form: u8, int32_t, int64_t, float, double, or strview (byte arrays,
 * fixed, INT96) that points into the page or into v->made. Not for VALUES_DICT. */
fz_status values_read(pq_values *v, void *dst, size_t n, fz_error *err);
fz_status values_skip(pq_values *v, size_t n, fz_error *err);

#endif
