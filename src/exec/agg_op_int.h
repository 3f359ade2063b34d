/*
 * agg_op_int.h: an aggregation and its workers' states: what op_agg.c (start, end, result) and agg_group.c (batches to
 * groups) share. Private to exec/.
 */
#ifndef EXEC_AGG_OP_INT_H
#define EXEC_AGG_OP_INT_H

#include "exec/agg_store_int.h"
#include "exec/eval_int.h"

#define DIRECT_SLOTS 65536

typedef struct agg_op agg_op;

typedef struct agg_local {
    agg_op *op;
    group_table g;
    uint32_t most;         /* groups in g before they go to the store */
    arena mem, scratch;
    evaluator **key_ev, **arg_ev, **filter_ev;
    vec *keys, *raw, *args; /* raw: arguments as they come; args: FLAT or CONST */
    const vec **key_ptrs;
    uint16_t **filter_sel;
    uint32_t *filter_n;
    uint32_t set;          /* which aggregates are updated: agg_inst.set */
    uint8_t *tuples;
    uint64_t *hashes;
    uint8_t **rows;        /* the group of each selected row */
    uint8_t **by_row;      /* by row number, for FILTER; else NULL */
    uint8_t **some;
    uint8_t *one;          /* no keys */
    uint8_t **codes;       /* groups of the codes of all keys, in mixed radix */
    uint32_t ncodes, capcodes;
    uint64_t *codes_of;    /* dict_id of each key */
    uint32_t *radix;
    uint8_t *null_group;   /* of a single key */
    uint8_t **direct;      /* groups of the values base … base + DIRECT_SLOTS - 1 */
    int64_t base;
    bool direct_off;
    uint64_t seen;         /* rows since g was empty */
    uint32_t straight;     /* so many batches go to the store at once */
    uint16_t *order, *order_rows; /* selected rows by partition: their place in the selection; their numbers */
    uint32_t turn;         /* the partition to begin with */
    void **inner;          /* a state in each set of distinct values */
} agg_local;

struct agg_op {
    psink s;
    psource src;
    psink more;            /* takes the distinct values, set after set, once the input is through */
    query *q;
    const plan *p;
    row_layout key;
    agg_inst *aggs;
    uint32_t state_bytes;
    bool any_filter;
    agg_local **locals;
    uint32_t nlocals, locals_from;
    agg_op **inner;        /* sets of distinct values: groups of (keys, value) without aggregates */
    uint32_t *inner_arg;   /* the aggregate that names a set's value and filter */
    uint32_t ninner;
    agg_store store;
    _Atomic bool stored;   /* the store has groups */
    /* the result */
    group_table few;       /* all groups, where they aren't stored */
    _Atomic uint64_t at;   /* next piece of it */
    uint64_t npieces;
    uint32_t *pieces_before; /* by partition */
    _Atomic uint64_t morsels;
};

/* agg_group.c */
fz_status agg_push(psink *s, void *local, worker *w, const batch *b, fz_error *err);
fz_status agg_push_more(psink *s, void *local, worker *w, const batch *b, fz_error *err);
/* A worker's groups to the store; its table is empty then. */
fz_status agg_flush(agg_local *l, fz_error *err);

#define OP_OF_MORE(s) ((agg_op *)((char *)(s) - offsetof(agg_op, more)))

#endif
