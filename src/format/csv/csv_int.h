/*
 * csv_int.h: the structures that the files of this folder share. See README.md for how they
 * work together.
 */
#ifndef FORMAT_CSV_CSV_INT_H
#define FORMAT_CSV_CSV_INT_H

#include "arrow/convert.h"
#include "base/blockpool.h"
#include "format/csv/csv.h"
#include "format/csv/scan.h"
#include "format/text/fit.h"

/* ---- the text's grammar ---- */

typedef struct dialect {
    uint8_t delim;
    uint8_t quote, escape, comment; /* 0: none */
    bool header;
} dialect;

/* token.c: one row, byte by byte. */
typedef enum row_fault { ROW_OK, ROW_QUOTE, ROW_OPEN_QUOTE, ROW_LONG, ROW_SHORT, ROW_UTF8, ROW_NUL } row_fault;
typedef struct row_token {
    uint32_t start;   /* of the row */
    uint32_t end;     /* of its last field: the offset of the line end */
    uint32_t next;    /* start of the next row */
    uint32_t nfields; /* all that it has, also those past `max` */
    uint32_t filled;  /* of them the number up to the last one that isn't empty */
    bool blank, comment;
    row_fault fault;
    uint32_t fault_at;
} row_token;
/* Reads the row at pos < n, which ends at a line end or at n. Writes starts and ends of its
 * first `max` fields. A quoted field's are those of its content. */
void token_row(const char *t, uint32_t n, uint32_t pos, const dialect *d, uint32_t max, uint32_t *beg,
               uint32_t *end, row_token *r);

/* split.c: how much of a text is whole rows. */
typedef struct text_split {
    size_t end;      /* behind the last whole row; 0: not one row ends */
    bool clean;      /* quote parity reads it right */
    bool open;       /* the text ends inside quotes, … */
    size_t open_at;  /* … opened here (set by the exact scan only) */
} text_split;
void text_split_rows(const char *t, size_t n, const dialect *d, const scan_ops *ops, const scan_survey *sv,
                     text_split *out);
/* The same by the grammar alone. */
void text_split_exact(const char *t, size_t n, const dialect *d, text_split *out);
/* Line ends (LF, CRLF, CR) in t[0, n). */
uint64_t text_lines(const char *t, size_t n);

/* ---- columns ---- */

typedef struct null_list {
    str *s;
    uint32_t n;
    bool given;     /* by the caller: holds in text columns too */
    uint64_t lens;  /* bit min(len, 63) set where a string has that length */
} null_list;
static inline bool null_match(const null_list *l, str s)
{
    if (!(l->lens >> (s.n < 63 ? s.n : 63) & 1))
        return false;
    for (uint32_t i = 0; i < l->n; i++)
        if (str_eq(l->s[i], s))
            return true;
    return false;
}

typedef struct csv_column {
    type t;
    uint32_t field;    /* of the file, or UINT32_MAX: missing, NULL in every row */
    bool inferred;     /* a misfit widens it */
    bool undecided;    /* only NULLs so far: the first value decides */
    bool not_null;
    bool nulls_first;  /* a null string looks like a value: ask the list first */
    bool leading_zero; /* the sample has such values */
} csv_column;

/* A misfit that was met: the first of a column, for the notice. */
typedef struct csv_widening {
    bool set;
    type to;
    uint64_t morsel;
    int64_t line;
    char value[64];
} csv_widening;

/* infer.c: types of the sample's columns. names: ncols of them. */
fz_status infer_columns(const char *t, uint32_t n, const dialect *d, const null_list *nulls, uint32_t ncols,
                        csv_column *cols, mem *m, fz_error *err);
/* dialect.c */
fz_status dialect_detect(const char *t, uint32_t n, bool whole, const csv_options *o, dialect *d, fz_error *err);
fz_status header_detect(const char *t, uint32_t n, const dialect *d, uint32_t ncols, mem *m, bool *out, fz_error *err);
/* Bytes of a byte order mark; FZ_DATA for one of another encoding. */
fz_status bom_check(const char *t, size_t n, size_t *skip, fz_error *err);

/* ---- the source ---- */

struct csv_source {
    mem *m;
    arena a;                 /* options, names */
    arena types_a;           /* schema, made anew by a restart */
    csv_options o;
    text_input *in;
    blockpool *pool;
    const scan_ops *ops;
    dialect d;
    null_list nulls;
    uint32_t nfields;        /* of the file's rows */
    str *names;              /* nfields */
    uint32_t ncols;          /* of the schema */
    uint32_t ngiven;
    csv_column *cols;
    row_schema schema;
    uint32_t nproj;
    uint32_t *proj;

    /* the cutting edge: under `lock` */
    pthread_mutex_t lock;
    char *carry;             /* text read but not handed out: carry[carry_at, carry_n) */
    size_t carry_cap, carry_at, carry_n;
    size_t bom;              /* bytes of a byte order mark */
    size_t data_start;       /* offset of the first data row */
    int64_t data_line;
    uint64_t offset;         /* of carry[carry_at] in the text */
    int64_t line;
    bool eof;                /* of the input; carry may still have text */
    uint64_t morsel;         /* next */
    bool done;               /* nothing more is handed out */
    uint32_t active;         /* workers with a block */
    bool failed;
    uint64_t failed_morsel;
    fz_error error;
    csv_widening *widenings; /* ncols */
    _Atomic bool probing;    /* a misfit was met: nothing more is emitted */
    _Atomic uint32_t widened; /* counts changes of widenings */
    _Atomic bool keep_types;
    bool started;
    int64_t rows_short, short_line;
    int64_t rejected;
    int reject_fd;           /* -1: none */
    bool told;               /* closing notices were given */
};

/* How the rows of a frame are found in its text: field c of row r is
 * text[beg[r * stride + c] + bias, end[r * stride + c]). */
typedef struct csv_frame {
    const char *text;
    const uint32_t *beg, *end;
    size_t stride;
    uint32_t bias;
    uint32_t n;
    const uint32_t *row_start; /* row r starts at row_start[r * row_stride] + row_bias */
    const uint32_t *row_end;   /* and its last field ends at row_end[r * row_stride] */
    size_t row_stride;
    uint32_t row_bias;
} csv_frame;

/* A field that doesn't fit its column. */
typedef struct csv_bad {
    uint32_t row;  /* of the frame */
    uint32_t col;  /* of the schema */
    conv why;      /* CONV_OK: a NULL in a column that is NOT NULL */
} csv_bad;

enum csv_mode { MODE_PLAIN, MODE_QUOTED, MODE_EXACT };

struct csv_local {
    csv_source *s;
    /* the block */
    buf *block;              /* NULL: none */
    char *text;
    uint32_t n;
    uint64_t offset;         /* of text[0] in the input */
    int64_t line;            /* that text[0] is on */
    uint64_t lines;          /* line ends in it */
    uint64_t morsel;
    uint32_t seq;
    enum csv_mode mode;
    bool check;              /* rows may have bad bytes */
    bool ended;
    bool morsel_end;         /* to be reported */
    /* frames */
    csv_column *cols;        /* the source's; while probing with the types it found so far */
    uint32_t widened;        /* s->widened when they were copied */
    uint32_t nf;             /* fields of a row */
    uint32_t *idx;           /* idx[0]: the separator before; then the listed ones */
    uint32_t idx_cap;
    scan_state scan;         /* .n entries behind idx[0] */
    uint32_t taken;          /* entries that the last frame used */
    uint32_t *beg, *end;     /* fields of MODE_QUOTED and MODE_EXACT frames */
    uint32_t *row_start, *row_end, rows_cap;
    uint32_t pos;            /* the next row, while not listing */
    uint32_t exact_left;     /* rows to read exactly before listing is tried again */
    uint32_t exact_step;
    bool listing;
    uint32_t *todo;          /* rows_cap */
    int64_t *wide;           /* rows_cap */
    /* the batch in the making */
    batch *out;
    uint32_t cap;            /* rows of this block's batches */
    void **data;             /* per projected column */
    uint64_t **valid;
    bool *has_null;
    bool *undecided;
    buf *mem;                /* columns; NULL: none yet */
    buf *extra;              /* unescaped strings, current piece; the batch keeps it */
    size_t extra_at;
    csv_bad *bad;
    uint32_t nbad, capbad;
    bool *drop;              /* BATCH_ROWS: rows of the batch to leave out */
    uint32_t ndrop;
    sbuf scratch;            /* an unescaped value */
    sbuf rejects;
    int64_t nrejects, nshort, short_line;
};

/* next.c */
/* Line and column (from 1) of a position in the block. */
void local_place(const csv_local *l, uint32_t at, int64_t *line, int64_t *column);

/* column.c: converts the fields of column `p` (of the projection) of a frame into rows
 * [row0, row0 + f->n) of the batch; misfits go to l->bad. */
fz_status column_convert(csv_local *l, uint32_t p, const csv_frame *f, uint32_t row0, fz_error *err);
/* The value that a field stands for: unescaped, into l->scratch if need be. */
fz_status field_value(csv_local *l, const char *p, uint32_t n, bool quoted, str *out, fz_error *err);

/* Notes a field that doesn't fit. */
fz_status local_bad(csv_local *l, uint32_t row, uint32_t col, conv why, fz_error *err);

/* csv.c */
/* Whether a string of the null list would be read as a value of a type: then every value must
 * be compared with the list first. Words in numeric columns never reach the fast paths. */
bool nulls_look_like(const csv_source *s, type t);

/* handout.c */
/* The next block into the local, or *got = false: there is none. */
fz_status source_block(csv_source *s, csv_local *l, bool *got, fz_error *err);
/* The worker is through with its block; what it counted goes to the source. */
fz_status source_block_done(csv_source *s, csv_local *l, fz_error *err);
/* Keeps the error that comes first in the file. */
void source_fail(csv_source *s, uint64_t morsel, const fz_error *err);
/* What a worker without a block is told. */
fz_status source_end(csv_source *s, csv_event *ev, fz_error *err);

#endif
