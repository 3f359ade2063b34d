/* avro_file_int.h: what the files that read Avro as batches share: types.c, plan.c, file.c, rows.c. */
#ifndef FORMAT_AVRO_AVRO_FILE_INT_H
#define FORMAT_AVRO_AVRO_FILE_INT_H

#include "arrow/grow.h"
#include "format/avro/avro_file.h"

#include <pthread.h>

struct avro_file {
    _Atomic int refs;
    mem *m;
    arena a;
    char *path;
    uint64_t size, body;     /* body: offset of the first block */
    uint8_t sync[16];
    codec_id codec;
    const avro_type *root;   /* a record */
    row_schema schema;
    const char **why;        /* per column: why it can't be read, or NULL */
    uint32_t members;
    pthread_mutex_t lock;    /* guards what follows */
    bool indexed;
    avro_run *runs;
    uint32_t n_runs, cap_runs;
};

/* types.c */
fz_status avro_types(const avro_type *root, arena *a, row_schema *out, const char ***why, fz_error *err);
/* Columns or members in a type: itself and all below. */
uint32_t avro_type_members(type t);
/* A field's type without its union with null: *opt 0 for none, 1 or 2 where null is its first or second branch. NULL: another union. */
const avro_type *avro_strip(const avro_type *t, uint8_t *opt);
/* Whether an array is a map by Iceberg's convention: records of a key and a value. */
bool avro_is_pairs(const avro_type *t);
fz_status avro_damaged(const avro_file *p, uint64_t at, const char *what, fz_error *err);

/* ---- plan.c: the program that decodes a record ---- */

typedef enum avro_code {
    AV_END,                                  /* of the record */
    AV_SKIP_FIXED,                           /* a: bytes */
    AV_SKIP_VARINT, AV_SKIP_BYTES, AV_SKIP,  /* AV_SKIP: type */
    AV_BOOL, AV_I32, AV_I64, AV_I32_I64, AV_F32, AV_F64, AV_F32_F64,
    AV_TIME_MILLIS, AV_TIME, AV_MILLIS,      /* AV_MILLIS: to microseconds */
    AV_TEXT, AV_BYTES, AV_FIXED,             /* AV_FIXED: a: bytes */
    AV_UUID_TEXT, AV_ENUM,                   /* AV_ENUM: type */
    AV_DECIMAL, AV_DECIMAL_FIXED,            /* the latter: a: bytes */
    AV_STRUCT,                               /* a: the operation behind its AV_STRUCT_END */
    AV_STRUCT_END,
    AV_LIST,                                 /* a: behind its AV_LIST_END; size: fewest bytes of an item */
    AV_LIST_END,                             /* a: the first operation of the item */
} avro_code;

typedef struct avro_op {
    uint8_t code, opt;       /* avro_code; opt as of avro_strip */
    uint32_t col;            /* of the batch in the making, from AV_BOOL on */
    uint32_t a;
    uint64_t size;
    const avro_type *type;
} avro_op;

struct avro_plan {
    mem *m;
    arena mem_;
    uint32_t n;              /* columns */
    type *types;
    bool *has;
    uint32_t n_cols;         /* with members */
    bool *absent;            /* n_cols */
    uint32_t n_ops, cap_ops;
    avro_op *ops;
    buf *symbols;            /* texts of enums, which batches point to; or NULL */
    strview **views;         /* of each enum that is read: its symbols */
};

#endif
