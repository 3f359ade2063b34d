/*
 * meta.h: the footer, page headers and indexes of a Parquet file as structures, as
 * parquet.thrift of the Parquet format specification (2.11) declares them, narrowed to what is used.
 * Reading checks them (see meta_read.c); writing produces them (meta_write.c).
 */
#ifndef FORMAT_PARQUET_META_H
#define FORMAT_PARQUET_META_H

#include "arrow/type.h"
#include "base/mem.h"
#include "base/str.h"

#define SCHEMA_DEPTH 64 /* nesting of groups in a footer's schema */

typedef enum pq_physical {
    PQ_BOOLEAN = 0, PQ_INT32 = 1, PQ_INT64 = 2, PQ_INT96 = 3, PQ_FLOAT = 4, PQ_DOUBLE = 5,
    PQ_BYTE_ARRAY = 6, PQ_FIXED = 7,
} pq_physical;

typedef enum pq_repetition { PQ_REQUIRED = 0, PQ_OPTIONAL = 1, PQ_REPEATED = 2 } pq_repetition;

typedef enum pq_encoding {
    PQ_ENC_PLAIN = 0, PQ_ENC_PLAIN_DICTIONARY = 2, PQ_ENC_RLE = 3, PQ_ENC_BIT_PACKED = 4,
    PQ_ENC_DELTA_BINARY_PACKED = 5, PQ_ENC_DELTA_LENGTH_BYTE_ARRAY = 6, PQ_ENC_DELTA_BYTE_ARRAY = 7,
    PQ_ENC_RLE_DICTIONARY = 8, PQ_ENC_BYTE_STREAM_SPLIT = 9,
} pq_encoding;

/* parquet.thrift CompressionCodec */
typedef enum pq_codec {
    PQ_UNCOMPRESSED = 0, PQ_SNAPPY = 1, PQ_GZIP = 2, PQ_LZO = 3, PQ_BROTLI = 4, PQ_LZ4 = 5, PQ_ZSTD = 6,
    PQ_LZ4_RAW = 7,
} pq_codec;

typedef enum pq_page_type { PQ_PAGE_DATA = 0, PQ_PAGE_INDEX = 1, PQ_PAGE_DICT = 2, PQ_PAGE_DATA_V2 = 3 } pq_page_type;

/* parquet.thrift ConvertedType; -1 = none */
typedef enum pq_converted {
    PQ_CONV_NONE = -1, PQ_CONV_UTF8 = 0, PQ_CONV_MAP = 1, PQ_CONV_MAP_KEY_VALUE = 2, PQ_CONV_LIST = 3,
    PQ_CONV_ENUM = 4, PQ_CONV_DECIMAL = 5, PQ_CONV_DATE = 6, PQ_CONV_TIME_MILLIS = 7,
    PQ_CONV_TIME_MICROS = 8, PQ_CONV_TIMESTAMP_MILLIS = 9, PQ_CONV_TIMESTAMP_MICROS = 10,
    PQ_CONV_UINT_8 = 11, PQ_CONV_UINT_16 = 12, PQ_CONV_UINT_32 = 13, PQ_CONV_UINT_64 = 14,
    PQ_CONV_INT_8 = 15, PQ_CONV_INT_16 = 16, PQ_CONV_INT_32 = 17, PQ_CONV_INT_64 = 18,
    PQ_CONV_JSON = 19, PQ_CONV_BSON = 20, PQ_CONV_INTERVAL = 21,
} pq_converted;

/* The union LogicalType, by field id. */
typedef enum pq_logical {
    PQ_LOG_NONE = 0, PQ_LOG_STRING = 1, PQ_LOG_MAP = 2, PQ_LOG_LIST = 3, PQ_LOG_ENUM = 4, PQ_LOG_DECIMAL = 5,
    PQ_LOG_DATE = 6, PQ_LOG_TIME = 7, PQ_LOG_TIMESTAMP = 8, PQ_LOG_INTEGER = 10, PQ_LOG_UNKNOWN = 11,
    PQ_LOG_JSON = 12, PQ_LOG_BSON = 13, PQ_LOG_UUID = 14, PQ_LOG_FLOAT16 = 15,
} pq_logical;

typedef struct pq_schema_element {
    str name;
    bool has_type;            /* a leaf */
    pq_physical type;
    int32_t type_length;      /* FIXED */
    pq_repetition repetition;
    int32_t num_children;
    int32_t field_id;         /* -1: none */
    pq_converted converted;
    int32_t scale, precision; /* of a decimal, from either place */
    pq_logical logical;
    bool adjusted_to_utc;     /* TIME, TIMESTAMP */
    int unit;                 /* TIME, TIMESTAMP: 0 ms, 1 us, 2 ns */
    int bit_width;            /* INTEGER */
    bool is_signed;
} pq_schema_element;

/* Statistics: bytes in the plain encoding of the value (no length prefix). */
typedef struct pq_statistics {
    bool has_null_count, has_min, has_max, min_exact, max_exact;
    int64_t null_count;
    str min, max;             /* min_value, max_value; the old min and max only for signed integers and floats */
    bool has_nan_count;       /* floats */
    int64_t nan_count;
    bool deprecated;          /* reading: min, max come from the old fields */
} pq_statistics;

/* How many pages of a chunk have an encoding: writing only. */
typedef struct pq_encoding_stat { pq_page_type page_type; pq_encoding encoding; int32_t count; } pq_encoding_stat;

typedef struct pq_column_chunk {
    pq_physical type;
    pq_codec codec;
    int64_t num_values;
    int64_t total_uncompressed_size, total_compressed_size;
    int64_t data_page_offset;
    int64_t dictionary_page_offset;   /* -1: none */
    pq_statistics stats;
    int64_t offset_index_offset, column_index_offset; /* -1: none */
    int32_t offset_index_length, column_index_length;
    int64_t bloom_offset;             /* -1: no Bloom filter */
    int32_t bloom_length;             /* header and bits; 0: unknown, as old writers leave it out */
    uint32_t encodings;               /* bit set by pq_encoding */
    const str *path;                  /* writing only: names from the root down … */
    uint32_t n_path;                  /* … 0: that of the leaf's element alone */
    uint32_t n_encoding_stats;        /* writing only */
    pq_encoding_stat encoding_stats[4];
} pq_column_chunk;

/* Writing only. */
typedef struct pq_sorting_column { int32_t leaf; bool descending, nulls_first; } pq_sorting_column;

typedef struct pq_row_group {
    int64_t num_rows, total_byte_size, first_row; /* first_row: sum of the groups before */
    int64_t file_offset, total_compressed_size;   /* file_offset: of the first page */
    pq_column_chunk *columns;                     /* one per leaf */
    const pq_sorting_column *sorting;             /* writing only */
    uint32_t n_sorting;
} pq_row_group;

typedef struct pq_file_meta {
    int32_t version;
    int64_t num_rows;
    uint32_t n_schema;
    pq_schema_element *schema;   /* depth first, [0] is the root */
    uint32_t n_leaves;
    uint32_t *leaf_element;      /* schema index of each leaf */
    uint32_t n_row_groups;
    pq_row_group *row_groups;
    str created_by;
    uint32_t n_kv;
    struct pq_kv { str key, value; } *kv;
} pq_file_meta;

typedef struct pq_page_header {
    pq_page_type type;
    int32_t uncompressed_size, compressed_size;
    bool has_crc;
    uint32_t crc;
    int32_t num_values;          /* dictionary and data pages */
    int32_t num_nulls, num_rows; /* v2 */
    pq_encoding encoding;
    pq_encoding def_encoding, rep_encoding; /* v1 */
    int32_t def_length, rep_length;         /* v2 */
    bool v2_compressed;                     /* v2: is_compressed */
} pq_page_header;

typedef struct pq_page_location { int64_t offset; int32_t compressed_size; int64_t first_row; } pq_page_location;
typedef struct pq_offset_index { uint32_t n; pq_page_location *pages; } pq_offset_index;
typedef struct pq_column_index {
    uint32_t n;
    bool *null_pages;
    str *min, *max;
    int boundary_order;          /* 0 unordered, 1 ascending, 2 descending */
    int64_t *null_counts;        /* NULL: none */
} pq_column_index;

/* ---- Thrift compact protocol (thrift.c reads, meta_write.c writes) ---- */

/* Everything is allocated in the arena; strings point into `data`, which must outlive them.
 * `base` is data's offset in the file, for messages. Bounded: depth, list lengths (checked against
 * the bytes left), one pass. Structural checks of the footer (leaf counts, offsets within
 * file_size, sums) are made here; what fails is FZ_DATA with the byte offset. */
fz_status pq_read_footer(const uint8_t *data, size_t n, uint64_t base, uint64_t file_size, arena *a,
                         pq_file_meta *out, fz_error *err);
/* *used = bytes of the header. FZ_DATA if it is not complete within n bytes. */
fz_status pq_read_page_header(const uint8_t *data, size_t n, uint64_t base, pq_page_header *out,
                              size_t *used, fz_error *err);
fz_status pq_read_offset_index(const uint8_t *data, size_t n, arena *a, pq_offset_index *out, fz_error *err);
fz_status pq_read_column_index(const uint8_t *data, size_t n, arena *a, pq_column_index *out, fz_error *err);

void pq_write_footer(sbuf *out, const pq_file_meta *m);
/* The header in front of a Bloom filter's bits. */
void pq_write_bloom_header(sbuf *out, int32_t bytes);
void pq_write_page_header(sbuf *out, const pq_page_header *h);
void pq_write_offset_index(sbuf *out, const pq_offset_index *x);
void pq_write_column_index(sbuf *out, const pq_column_index *x);

#endif
