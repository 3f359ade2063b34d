/* json_int.h: what the files of this folder share. See README.md for how they work together. */
#ifndef FORMAT_JSON_JSON_INT_H
#define FORMAT_JSON_JSON_INT_H

#include "arrow/convert.h"
#include "arrow/grow.h"
#include "base/hash.h"
#include "format/json/json_rows.h"
#include "format/json/token.h"

/* ---- tally.c: what values were seen, and the type that holds them ---- */

enum {
    SEEN_BOOL = 1, SEEN_INT = 2, SEEN_BIG = 4 /* not in 64 bits, but in 38 digits */, SEEN_REAL = 8, SEEN_TEXT = 16,
    SEEN_LIST = 32, SEEN_OBJECT = 64, SEEN_RAW = 128 /* what no other type holds */,
};

typedef struct tally {
    uint8_t seen;
    uint8_t fits;        /* of texts: FIT_DATE … that all of them fit */
    bool loses;          /* a number that a double doesn't hold */
    uint32_t n, cap;     /* keys, in order of appearance; or the list's element */
    uint32_t next;       /* where the next key is looked for first */
    struct tally **kids;
    str key;
    strmap *index;       /* of many keys */
} tally;

fz_status tally_new(arena *a, str key, tally **out, fz_error *err);
/* Takes a value into account. Returns behind it; NULL: the fault, or FZ_NOMEM or FZ_LIMIT in *st. */
const char *tally_value(tally *y, const char *p, arena *a, sbuf *scratch, unsigned depth, json_fault *f, fz_status *st);
fz_status tally_merge(tally *into, const tally *from, arena *a, fz_error *err);
fz_status tally_type(const tally *y, arena *a, type *out, fz_error *err);
static inline bool tally_undecided(const tally *y) { return y->seen == 0; }

/* ---- the source ---- */

typedef enum layout { LAYOUT_LINES, LAYOUT_VALUES, LAYOUT_ARRAY } layout;

typedef struct json_column {
    type t;
    const tally *y;       /* NULL: the sample lacks it */
    bool inferred, not_null;
} json_column;

struct json_rows {
    mem *m;
    arena a;              /* everything that lives as long as the source: options, tallies, types */
    json_rows_options o;
    text_input *in;
    blockpool *pool;
    layout layout;
    bool wrapped;         /* values aren't objects: one column "value" */
    tally *root;          /* of the records; wrapped: its only kid is "value" */
    uint32_t ncols, ngiven;
    json_column *cols;
    row_schema schema;
    uint32_t nproj;
    uint32_t *proj;
    bool lax;             /* not all columns are wanted: keys that come later don't matter */

    pthread_mutex_t lock;   /* guards what follows */
    char *carry;            /* text read but not handed out: carry[carry_at, carry_n) */
    size_t carry_cap, carry_at, carry_n;
    size_t data_start;      /* offset of the first record */
    int64_t data_line;
    uint64_t offset;        /* of carry[carry_at] in the text */
    int64_t line;
    size_t line_start;      /* bytes between the start of its line and carry[carry_at] */
    bool eof;
    bool closed;            /* the array's end was handed out */
    uint64_t morsel;        /* next */
    bool done;
    uint32_t active;        /* workers with a block */
    bool failed;
    uint64_t failed_morsel;
    fz_error error;
    bool misfit_set;        /* the first misfit in the file, for the notice */
    uint64_t misfit_morsel;
    int64_t misfit_line;
    char misfit[160];
    _Atomic bool probing;
    _Atomic bool keep_types;
    bool started, told;
    uint32_t unchanged;     /* restarts that changed no type */
    int64_t rejected;
    int reject_fd;
};

/* ---- next.c: the worker ---- */

/* A node of the types, with what it takes to read values of it. */
typedef struct jnode {
    type t;
    str name;
    uint32_t col;          /* in the batch in the making; UINT32_MAX: passed unread */
    bool inferred;         /* a misfit widens it */
    bool undecided;        /* text until a value comes */
    bool not_null;
    uint32_t nkids;
    struct jnode *kids;    /* fields of a struct; element of a list; key and value of a map */
    str quoted;            /* the name as it was first met, with its quotes */
    strmap keys;           /* of a struct: name to its kid */
    struct jkey {          /* the key that stood at each place of the object before: "name" with its quotes */
        uint64_t head[2], mask[2];
        const char *text;
        uint32_t len, kid;
    } *order;
    uint32_t norder;
} jnode;

typedef enum json_why {
    WHY_NONE,
    WHY_SYNTAX,            /* fault */
    WHY_MISFIT,            /* value, node: an inferred type that is too narrow */
    WHY_KEY,               /* value: a key that isn't known */
    WHY_VALUE,             /* value, node, conv: a given type doesn't take it */
    WHY_NULL,              /* node: NOT NULL */
    WHY_TWICE,             /* value: a key that stands twice */
    WHY_STATUS,            /* status: out of memory, a limit */
} json_why;

struct json_local {
    json_rows *s;
    arena a;
    arena tally_mem;
    tally *probe;          /* what this worker saw while probing */
    bool ended;
    jnode root;
    grow g;
    buf *block;
    char *text;
    uint32_t n;
    uint64_t offset, morsel;
    int64_t line, lines;
    size_t line_start;
    bool last;             /* the block that ends the array */
    bool through;          /* no record is left in it */
    bool check;            /* its bytes aren't all UTF-8: each record is looked at */
    uint32_t pos, seq;
    uint32_t cap;          /* rows of a batch */
    uint32_t batch_rows;   /* of the last one */
    uint32_t row;          /* values of the columns so far */
    /* the fault of a record */
    json_why why;
    json_fault fault;
    const jnode *node;
    const char *value;     /* where the value or key starts */
    conv conv;
    fz_status status;
    fz_error error;
    sbuf scratch, rejects;
    int64_t nrejects;
};

/* value.c: one record at p into the columns; NULL: l->why. */
const char *record_read(json_local *l, const char *p);
/* The nodes of the columns; in the local's arena. */
fz_status nodes_make(json_local *l, fz_error *err);

/* next.c: takes text[0, n), whole records, into account; those in error are passed over. *first_fault (may be NULL): of the first of them. */
fz_status records_tally(const json_rows *s, const char *text, size_t n, bool check, tally *root, arena *a, sbuf *scratch, uint64_t *records,
                        json_fault *first_fault, fz_error *err);
/* handout.c */
fz_status rows_block(json_rows *s, json_local *l, bool *got, fz_error *err);
fz_status rows_block_done(json_rows *s, json_local *l, fz_error *err);
void rows_fail(json_rows *s, uint64_t morsel, const fz_error *err);
fz_status rows_end(json_rows *s, json_event *ev, fz_error *err);
int64_t text_line_ends(const char *t, size_t n);
/* Bytes of t[0, n) that are whole records (with their commas); 0: not one. *closed: the array's end is the last of them. */
size_t records_end(layout lay, const char *t, size_t n, bool *closed);

#endif
