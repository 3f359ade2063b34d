/*
 * column_write_int.h: how one column of a file is encoded. Private to the writing half.
 *
 *   batch ──> (levels) ──> stage ──> pages ──> chunk
 *
 * A "column" below is a leaf of the file's schema (column_schema.c). An *entry* is what a leaf has a pair of levels
 * for: a row, or within lists one element or one list without any. Leaves of nested columns get their entries from
 * column_shred.c; those of flat columns, and of structs that are nowhere null, have one per row and need no such walk.
 *
 * The stage (column_stage.c) collects the entries of the page that comes next, nulls taken out.
 * Values of numbers, dates, times and booleans are 64-bit lanes; those of text, bytes and wide
 * decimals are codes of the chunk's dictionary, or plain bytes where the dictionary was given up.
 * At the start of a column the stage holds several pages' worth, the sample: column_plan.c tries
 * encodings and compression on it and keeps the plan for the chunks that follow, until one turns
 * out much larger than the plan promised. column_write.c makes pages of the stage's contents and a
 * chunk of the pages; column_dict.c has the dictionaries, column_bounds.c minima and maxima.
 *
 * Everything of a column is touched by one thread at a time (write.c sees to it); what a thread
 * needs while it encodes, and no longer, is a column_scratch, of which there is one per thread.
 */
#ifndef FORMAT_PARQUET_COLUMN_WRITE_INT_H
#define FORMAT_PARQUET_COLUMN_WRITE_INT_H

#include "arrow/vector.h"
#include "codec/bytes_encode.h"
#include "codec/compress.h"
#include "format/parquet/parquet.h"

#define BOUND_MAX 1024 /* longest text kept as a bound for Iceberg's metrics */

/* ---- the schema (column_schema.c) ---- */

/* One step from a column's vector towards a leaf. */
typedef struct leaf_step {
    bool list;            /* or map: to its elements; else a struct */
    bool optional;        /* the list or struct itself may be null */
    uint8_t rep;          /* list: repetition level of its elements but the first */
    uint32_t member;      /* which of the vector's kids */
} leaf_step;

typedef struct file_leaf {
    uint32_t column;      /* of the table */
    uint32_t element;     /* of the schema */
    int32_t field_id;
    type t;
    bool optional;        /* the value itself, within its parent */
    uint8_t max_def, max_rep;
    uint32_t n_path, n_steps;
    str *path;            /* names in the file's schema, without the root */
    leaf_step *steps;     /* none: a flat column */
    str name;             /* as Iceberg names it: a.b, l.element, m.key */
} file_leaf;

typedef struct file_schema {
    pq_schema_element *elements;
    file_leaf *leaves;
    uint32_t n, cap, n_leaves, cap_leaves;
} file_schema;

/* In the arena; names are those of rows. FZ_UNSUPPORTED for types that have no place in a file. */
fz_status file_schema_make(file_schema *s, const row_schema *rows, arena *a, mem *m, fz_error *err);

/* ---- bounds (column_bounds.c) ---- */

/* A text bound: a copy, cut at BOUND_MAX. */
typedef struct text_bound {
    uint8_t *p; /* BOUND_MAX bytes, allocated with the first value */
    uint32_t n;
    bool cut;
} text_bound;

typedef struct bounds {
    bool any;
    int64_t imin, imax;   /* integers, booleans */
    double fmin, fmax;    /* floats, NaN left out */
    text_bound tmin, tmax;
} bounds;

/* How bounds of a column compare and what they look like in a file. */
typedef enum bound_kind { BOUND_INT, BOUND_FLOAT, BOUND_BYTES, BOUND_SIGNED_BYTES } bound_kind;

int bytes_cmp(bound_kind kind, const uint8_t *a, size_t an, const uint8_t *b, size_t bn);
/* Widens b by n lanes; returns the number of NaNs among them. */
uint32_t bounds_add_lanes(bounds *b, bound_kind kind, bool single, const uint64_t *lanes, size_t n);
fz_status bounds_add_text(bounds *b, bound_kind kind, const uint8_t *lo, size_t lo_n, const uint8_t *hi,
                          size_t hi_n, mem *m, fz_error *err);
void bounds_clear(bounds *b);
void bounds_free(bounds *b, mem *m);
/* The longest prefix of a text of at most `max` bytes that ends at a character; not shorter
 * than one character. `utf8` false: bytes. */
size_t text_cut(const uint8_t *p, size_t n, size_t max, bool utf8);
/* Makes p[0..*n) the least text of that length or less that is greater than all that start
 * with it; false if there is none. */
bool text_round_up(uint8_t *p, size_t *n, bool utf8);

/* ---- dictionaries (column_dict.c) ---- */

#define DICT_DIRECT_SPAN (1u << 16)

/* Distinct lanes in the order of their first appearance. A table indexed by value where all lie
 * within DICT_DIRECT_SPAN of each other, else an open-addressing hash table. */
typedef struct lane_dict {
    uint64_t *values;
    uint32_t n, cap;
    uint32_t *direct;      /* code by value - base */
    int64_t base;
    uint32_t span;         /* entries of direct in use; 0: hash table */
    struct lane_slot { uint64_t key; uint32_t code1; } *slots; /* code1: code + 1, 0: free */
    uint32_t nslots;
    mem *m;
} lane_dict;

/* Codes of n lanes whose signed range is [lo, hi] (`ints` false: no order, hash table only).
 * *full: the dictionary would pass `max` entries; codes are then undefined. */
fz_status lane_dict_codes(lane_dict *d, const uint64_t *lanes, size_t n, bool ints, int64_t lo, int64_t hi,
                          uint32_t max, uint32_t *codes, bool *full, fz_error *err);
void lane_dict_clear(lane_dict *d);
void lane_dict_free(lane_dict *d);

/* Distinct byte strings; `blob` has them as a dictionary page does. */
typedef struct text_dict {
    uint8_t *blob;
    size_t blob_n, blob_cap;
    struct text_entry { uint32_t off, len, stamp; } *entries; /* off: of the bytes in blob */
    uint32_t n, cap;
    struct text_slot { uint32_t tag, code1; } *slots;
    uint32_t nslots;
    bool prefixed;         /* BYTE_ARRAY: four bytes of length before each */
    mem *m;
} text_dict;

fz_status text_dict_code(text_dict *d, const uint8_t *p, uint32_t n, uint32_t *code, fz_error *err);
void text_dict_clear(text_dict *d);
void text_dict_free(text_dict *d);
static inline const uint8_t *text_dict_at(const text_dict *d, uint32_t code) { return d->blob + d->entries[code].off; }

/* ---- a finished chunk ---- */

typedef struct page_blob {
    struct page_blob *next;
    size_t alloc;
    uint32_t size;       /* header and body */
    uint8_t data[];
} page_blob;

typedef struct page_note {
    uint32_t size, rows, entries, nulls;
    bool has_bounds, nan_only;
    str min, max;        /* as the column index has them; in the chunk's arena */
    bounds b;            /* numbers: for the boundary order */
} page_note;

typedef struct chunk {
    pq_column_chunk meta; /* offsets relative to the chunk's first byte until it is written */
    page_blob *dict, *first, *last;
    page_note *pages;
    uint32_t n_pages, cap_pages;
    bounds b;             /* of the chunk */
    int64_t nulls, nans, values;
    bool nan_page;        /* a page of nothing but NaN: there can be no column index */
    uint32_t dict_pages;
    uint8_t *bloom;       /* bits; NULL: no Bloom filter */
    size_t bloom_n, bloom_cap;
    sbuf column_index;    /* serialised; empty: none */
    arena a;
} chunk;

void chunk_free(chunk *c, mem *m); /* NULL allowed */

/* ---- entries of nested columns (column_shred.c) ---- */

typedef struct shred_level {
    uint32_t n, cap;
    bool dead;            /* some entries have no row below */
    uint32_t *at;         /* row in the vector that was reached */
    uint8_t *def, *rep;
} shred_level;

void shred_level_free(shred_level *l, mem *m);

/* A block of entries; what it points to is valid until the next one. */
typedef struct shredded {
    uint32_t n, n_values;
    const uint8_t *def, *rep;
    uint32_t *at;         /* n_values positions in values, any order */
    const vec *values;    /* FLAT, or the one value of a CONST */
} shredded;

/* ---- the column ---- */

typedef struct column_scratch {
    codec_ctx *codec;
    shred_level shred[2];
    uint8_t *codes_mem;  /* codes (uint32_t) of the lanes of one page */
    size_t codes_cap;
    uint8_t *body;       /* a page before compression */
    size_t body_cap;
    uint8_t *packed;     /* the same, compressed */
    size_t packed_cap;
    uint8_t *trial;      /* values that encodings are tried on; scratch of encodings of bytes */
    size_t trial_cap;
    uint32_t rep_len, def_len; /* bytes of the body's levels */
    sbuf header;
    uint32_t index[BATCH_ROWS]; /* value of each row that is added */
    struct column_scratch *next;
} column_scratch;

/* What column_plan.c decides. */
typedef struct column_plan {
    bool known;
    bool dict;            /* try a dictionary first */
    pq_encoding plain;    /* without one, or when it is given up: any but RLE_DICTIONARY */
    pq_codec codec;
    bool whole_bytes;     /* codes are padded to 8 or 16 bits, since they compress better so */
    double bytes_per_value; /* what the sample promised; 0: not known */
    double plain_cost;    /* of a value without a dictionary, time included */
} column_plan;

typedef struct column_stage {
    uint32_t entries, values, rows; /* rows that began: entries, but within lists */
    uint32_t cap, cap_entries; /* rows at most; entries about, which ends a page within lists only */
    uint64_t *lanes;
    uint32_t lanes_cap;
    bool constant;        /* all lanes equal lanes[0], the others aren't stored */
    uint32_t *codes;      /* bytes with a dictionary */
    uint32_t codes_cap;
    uint8_t *plain;       /* bytes without */
    size_t plain_n, plain_cap;
    uint64_t *valid;      /* over entries; meaningful where has_nulls */
    uint32_t valid_cap;
    bool has_nulls;
    uint8_t *def;         /* of entries: where has_nulls and there are several levels */
    uint8_t *rep;         /* of entries: within lists */
    uint32_t def_cap, rep_cap;
    size_t value_bytes;   /* bytes of text so far */
} column_stage;

typedef struct column_writer {
    /* fixed */
    const pq_write_options *o;
    mem *m;
    const file_leaf *leaf;
    const pq_leaf_options *want; /* NULL: nothing in particular */
    str name;
    type t;
    phys ph;
    pq_physical physical;
    uint32_t width;       /* bytes in PLAIN encoding; 0: BYTE_ARRAY */
    uint8_t max_def, max_rep;
    bool bytes, utf8, single; /* single: 4-byte float */
    bound_kind kind;
    uint32_t page_rows;   /* rows of a page at most */
    uint32_t page_entries; /* within lists: entries from which a page is full */
    uint32_t block;       /* rows that are shredded at a time */
    /* moving */
    column_plan plan;
    bool sampling;        /* the stage collects a sample */
    bool dict_on;         /* this chunk's pages so far are dictionary pages */
    uint32_t poor_pages;  /* in a row for which the dictionary didn't pay */
    column_stage stage;
    lane_dict ld;
    text_dict td;
    uint32_t stamp;
    chunk *ch;            /* under construction */
    _Atomic int64_t done_bytes;   /* of finished pages, over all chunks */
    _Atomic int64_t staged_bytes; /* what the stage will come to, about */
    /* of the whole file */
    bounds b;
    int64_t size_bytes, value_count, null_count, nan_count;
} column_writer;

/* l, its element and o outlive c. */
void column_open(column_writer *c, const file_leaf *l, const pq_schema_element *e, const pq_write_options *o, mem *m);
void column_free(column_writer *c);
/* Adds rows of v, the vector of the leaf's whole column: positions [from, from+n) of the selection (of all rows where sel is NULL). */
fz_status column_add(column_writer *c, column_scratch *s, const vec *v, const uint16_t *sel, uint32_t from,
                     uint32_t n, fz_error *err);
/* Ends the chunk; the caller owns it. */
fz_status column_end_chunk(column_writer *c, column_scratch *s, chunk **out, fz_error *err);

column_scratch *scratch_new(mem *m);
void scratch_free(column_scratch *s, mem *m);
/* Makes *p at least `want` bytes; contents are lost. */
fz_status scratch_room(uint8_t **p, size_t *cap, size_t want, mem *m, fz_error *err);

/* column_shred.c: entries of n rows of v, the column's vector. */
fz_status shred(column_writer *c, column_scratch *s, const vec *v, const uint16_t *sel, uint32_t from, uint32_t n,
                shredded *out, fz_error *err);
/* The leaf's vector, if it has one row for each of v and no struct on the way has a null; else NULL. */
const vec *shred_plain_path(const column_writer *c, const vec *v);

/* column_stage.c: rows of v into the stage; *taken is less than n where the stage is full then. */
fz_status stage_add(column_writer *c, column_scratch *s, const vec *v, const uint16_t *sel, uint32_t from,
                    uint32_t n, uint32_t *taken, fz_error *err);
/* Entries of `rows` rows. */
fz_status stage_add_entries(column_writer *c, const shredded *x, uint32_t rows, fz_error *err);
bool stage_full(const column_writer *c);
void stage_clear(column_stage *s);
void stage_free(column_stage *s, mem *m);
/* Stores all lanes of a constant stage. */
fz_status stage_spread(column_writer *c, fz_error *err);
/* The staged codes as plain bytes, when a dictionary is given up before its first page. */
fz_status stage_to_plain(column_writer *c, fz_error *err);
/* Length of the value at an offset in stage.plain. */
uint32_t stage_plain_len(const column_writer *c, size_t off);
fz_status stage_put_plain(column_writer *c, const uint8_t *p, uint32_t n, fz_error *err);

/* column_encode.c: values of one page into s->body from `at`; *size is where they end. */
fz_status encode_lanes(column_writer *c, column_scratch *s, const uint64_t *lanes, size_t n, pq_encoding enc,
                       size_t at, size_t *size, fz_error *err);
/* `bytes`: sum of the lengths. v->data isn't s->body. */
fz_status encode_bytes(column_writer *c, column_scratch *s, const byte_values *v, size_t bytes, pq_encoding enc, size_t at,
                       size_t *size, fz_error *err);
fz_status encode_codes(column_scratch *s, mem *m, const uint32_t *codes, size_t n, unsigned width, size_t at,
                       size_t *size, fz_error *err);
/* Levels of n entries of the stage; *size: where values begin. */
fz_status encode_levels(column_writer *c, column_scratch *s, uint32_t from, uint32_t n, size_t *size, fz_error *err);
fz_status body_room(column_scratch *s, mem *m, size_t keep, size_t want, fz_error *err);
unsigned code_width(uint32_t n_entries, bool whole_bytes);
codec_id codec_of(pq_codec c);

/* column_bloom.c: values of the chunk that aren't in its dictionary; the filter, made as small as it may be. */
#define BLOOM_FPP 0.01
fz_status bloom_add_lanes(column_writer *c, const uint64_t *lanes, size_t n, fz_error *err);
fz_status bloom_add_bytes(column_writer *c, const uint8_t *p, size_t n, fz_error *err);
fz_status bloom_finish(column_writer *c, fz_error *err);

/* column_plan.c: decides from the stage's contents; `whole`: they are all the chunk will have. */
uint32_t dict_max(const column_writer *c); /* entries of a dictionary at most */
fz_status column_decide(column_writer *c, column_scratch *s, bool whole, fz_error *err);

#endif
