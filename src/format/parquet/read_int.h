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

/* ---- read.c: the file; schema.c: its columns ---- */

typedef struct pq_leaf {
    const pq_schema_element *element;
    uint8_t max_def, max_rep;
    uint8_t ctx_def;     /* definition level of the innermost repeated node above */
    type t;              /* T_NULL: refused */
    const char *refused; /* why */
} pq_leaf;

typedef enum pq_node_kind { NODE_LEAF, NODE_STRUCT, NODE_LIST, NODE_MAP } pq_node_kind;

/* A column or a member of one; schema.c says what the levels mean. */
typedef struct pq_node {
    pq_node_kind kind;
    bool optional;
    uint8_t rep, ctx_def, def, item_def;
    uint32_t depth;                 /* of what is below */
    uint32_t element;               /* that names it */
    uint32_t first_leaf, n_leaves;  /* below it */
    type t;                         /* T_NULL: refused */
    const char *refused;            /* why */
    uint32_t refused_element;       /* which member */
    uint32_t n;
    struct pq_node *kids[];         /* members; element; key and value */
} pq_node;

struct pq_file {
    _Atomic int refs;
    mem *m;
    arena a;
    buf *footer;
    pq_file_meta meta;
    row_schema schema;
    const pq_node **columns; /* of schema */
    pq_leaf *leaves;         /* of the footer */
    uint64_t size;
    bool short_chunks;     /* the writer left the dictionary's header out of chunk sizes */
    bool v2_flag_unset;    /* the writer compressed v2 pages and said it didn't */
    bool decimal_order_wrong; /* bounds of decimals in bytes were compared as unsigned bytes */
    bool prefixes_carried; /* DELTA_BYTE_ARRAY pages go on from the last value of the page before */
};

/* Fills schema, columns and leaves; false: no memory. */
bool schema_make(pq_file *p);

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
    CONV_I32_I128, CONV_I64_I128, CONV_F32_F64, CONV_BYTES_I64, CONV_BYTES_I128, CONV_INT96, CONV_F16_F32,
    CONV_F16_F64,
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

#define PAGE_BIG (64u << 20) /* bytes from which on memory for a file's claims is asked for at the budget */

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
/* Takes over memory for pages. */
void pages_inherit(pq_pages *s, pq_pages *from);
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
/* Big-endian whole numbers of fixed width that lie one behind the other: straight to int64_t, or i128 where wide. */
bool values_are_be(const pq_values *v, bool wide);
fz_status values_read_be(pq_values *v, void *dst, size_t n, bool wide, fz_error *err);

/* ---- levels.c: definition and repetition levels ---- */

typedef struct pq_level_reader {
    rle_reader rle;
    uint8_t max;
    buf *made;            /* levels of the deprecated encoding, packed anew; owned */
} pq_level_reader;

/* Levels up to max, RLE in n bytes. */
void levels_open(pq_level_reader *r, const uint8_t *p, size_t n, uint8_t max);
/* `count` levels of a data page of version 1 at *at, of which *n bytes are left; moves both behind them. */
fz_status levels_open_v1(pq_level_reader *r, pq_encoding enc, uint8_t max, uint32_t count, const uint8_t **at, size_t *n,
                         mem *m, fz_error *err);
void levels_close(pq_level_reader *r);
/* The next n levels; the number that there were (fewer: malformed). *all stays true only if all are max. */
size_t levels_read(pq_level_reader *r, uint8_t *dst, size_t n, bool *all);
/* How many of n levels are at least `level` (≥ 1). */
size_t levels_count(const uint8_t *levels, size_t n, uint8_t level);
/* That as bits [at, at+n) of dst; how many. */
size_t levels_bits(const uint8_t *levels, size_t n, uint8_t level, uint64_t *dst, size_t at);
/* The same of those levels alone that are at least `among`, which has `k` of n. */
size_t levels_bits_among(const uint8_t *levels, size_t n, uint8_t among, uint8_t level, uint64_t *dst, size_t at);

/* ---- chunk.c, chunk_read.c: one leaf of one row group ---- */

/* What the entries of a read were: one per row where nothing is repeated. */
typedef struct pq_levels {
    uint32_t n, cap;
    uint8_t *def, *rep;   /* rep NULL where nothing is repeated */
    bool all;             /* every definition level is the largest */
} pq_levels;

typedef struct pq_chunk {
    mem *m;
    pq_file *p;
    const pq_leaf *leaf;
    const pq_column_chunk *meta;
    type as;
    pq_conv conv;
    uint32_t elem;            /* bytes of a delivered value */
    bool with_levels;         /* reads fill `levels` */
    bool no_values;           /* and nothing else is wanted */
    uint64_t rows;            /* of the row group */
    uint64_t row, pending;
    pq_pages pages;
    uint64_t entered;         /* entries of all pages up to and with the present one */

    bool has_page, page_open;
    pq_page page;
    uint32_t page_left;       /* entries not yet passed; repeated: not yet in `look` */
    pq_level_reader defs, reps;
    pq_values values;
    buf *carried;             /* p->prefixes_carried: the last value of the page before */

    /* Repeated: levels that were decoded and not yet passed. */
    buf *look;                /* LOOK definition levels, then LOOK repetition levels */
    uint32_t look_at, look_n;
    bool look_all;

    pq_levels levels;         /* of the last read */

    bool dict_seen, dict_made;
    pq_page dict_page;
    vec dict;                 /* FLAT, in dict_values */
    buf *dict_values, *dict_bytes;
    uint64_t dict_id;

    bool index_tried;
    arena index_mem;
    pq_offset_index index;    /* n 0: none that can be used */
    uint64_t data_start;      /* of the first data page */

    buf *scratch[2];          /* values of reads; used again when nobody keeps them */
} pq_chunk;

#define LOOK 4096

fz_status chunk_open(pq_file *p, io_file *f, uint32_t row_group, uint32_t leaf, type as, bool with_levels, bool no_values,
                     mem *m, pq_chunk **out, fz_error *err);
void chunk_close(pq_chunk *c); /* NULL allowed */
/* Takes over memory for pages and values from one that nothing will be read from any more. */
void chunk_inherit(pq_chunk *c, pq_chunk *from);
/* Rows [first, last) of the next `rows`, whose others may be anything; v NULL with no_values. The vector has a
 * place for each row, or, of a repeated leaf, for each element of the rows that count. */
fz_status chunk_read(pq_chunk *c, uint32_t rows, uint32_t first, uint32_t last, vec *v, batch *out, fz_error *err);

/* For chunk_read.c: does the skips that were put off, and makes sure that an open page with rows is there. */
fz_status chunk_settle(pq_chunk *c, fz_error *err);
/* Repeated: fills `look`. *more false: nothing is left, or (may_end) the page ends and rows end with it. */
fz_status chunk_look(pq_chunk *c, bool may_end, bool *more, fz_error *err);
/* Skips what is pending of a repeated chunk, as far as whole pages go; the rest stays pending. */
fz_status chunk_pages_skip(pq_chunk *c, fz_error *err);
fz_status page_bad(const pq_chunk *c, const char *what, fz_error *err);

/* How many entries before the rows + 1st zero among n repetition levels (n: there are fewer zeros); *rows becomes
 * the zeros among them. */
uint32_t rows_find(const uint8_t *rep, uint32_t n, uint64_t *rows);

#endif
