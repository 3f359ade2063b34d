/*
 * column_plan.c: choosing how a column is encoded, from a sample: the first pages' worth of it.
 *
 * Each way that could do is tried on the sample: dictionary, PLAIN, and
 *
 *     integers, dates, times   DELTA_BINARY_PACKED
 *     booleans                 RLE
 *     text, binary             DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY (shared prefixes)
 *     floats                   BYTE_STREAM_SPLIT; integers too where the options allow it
 *
 * each as it is and compressed with zstd (with lz4 too where the options allow what only newer readers know).
 * The least cost wins, where
 *
 *     cost of a value = bytes in the file + (time to decode it) * NS_PRICE
 *
 * so a smaller file is not bought with a slow scan. What a dictionary will hold at the end of the
 * chunk is guessed from how it grew within the sample. Compression must save a tenth, else the
 * column is stored without and its pages are never tried again: in pages of version 1 the codec
 * belongs to the chunk. Codes of a dictionary are also tried padded to whole bytes, since
 * zstd's entropy coder sees symbols then.
 *
 * The plan holds for the chunks that follow; column_write.c drops it when a chunk turns out
 * much larger than planned.
 */
#include "format/parquet/column_write_int.h"

#include <math.h>

#define NS_PRICE         0.1  /* bytes that a nanosecond is worth: 100 MB/s of storage per core */
#define ZSTD_NS_PER_BYTE 0.9  /* of uncompressed data, decoding */
#define LZ4_NS_PER_BYTE  0.15
#define MUST_SAVE        0.9
#define TRIAL_BYTES_MIN  256  /* compressing less is not worth the try */
#define TRIAL_BYTES_MAX  (256 * 1024)

/* A way to write the column. */
typedef struct way {
    bool valid, whole_bytes;
    pq_encoding enc;
    pq_codec codec;
    double cost, bytes;   /* per value */
} way;

/* What is tried: `raw` bytes per value before compression, `fixed` ones beside them, `ns` to decode. */
typedef struct attempt {
    pq_encoding enc;
    bool whole_bytes;
    double raw, fixed, ns;
} attempt;

static void consider(way *best, const attempt *x, pq_codec codec, double left)
{
    double bytes = x->raw * left + x->fixed, per_byte = codec == PQ_LZ4_RAW ? LZ4_NS_PER_BYTE : ZSTD_NS_PER_BYTE;
    double cost = bytes + x->ns * NS_PRICE + (codec == PQ_UNCOMPRESSED ? 0 : x->raw * per_byte * NS_PRICE);
    if (!best->valid || cost < best->cost)
        *best = (way){true, x->whole_bytes, x->enc, codec, cost, bytes};
}

/* The share that a codec leaves of the n bytes in the body. */
static fz_status trial(column_writer *c, column_scratch *s, size_t n, codec_id codec, double *left, fz_error *err)
{
    *left = 1;
    if (n < TRIAL_BYTES_MIN)
        return FZ_OK;
    if (n > TRIAL_BYTES_MAX)
        n = TRIAL_BYTES_MAX;
    size_t cap = codec_bound(codec, n), got;
    TRY(scratch_room(&s->packed, &s->packed_cap, cap, c->m, err));
    TRY(codec_compress(s->codec, codec, 1, s->body, n, s->packed, cap, &got, err));
    *left = (double)got / (double)n;
    return FZ_OK;
}

/* One encoding, as it is and compressed; n bytes of it are in the body. */
static fz_status weigh(column_writer *c, column_scratch *s, size_t n, const attempt *x, way *best, fz_error *err)
{
    double left;
    if (c->o->codec == PQ_UNCOMPRESSED || (c->o->codec < 0 && !x->whole_bytes))
        consider(best, x, PQ_UNCOMPRESSED, 1);
    if (c->o->codec == PQ_UNCOMPRESSED)
        return FZ_OK;
    TRY(trial(c, s, n, CODEC_ZSTD, &left, err));
    if (c->o->codec > PQ_UNCOMPRESSED || left < MUST_SAVE)
        consider(best, x, c->o->codec < 0 ? PQ_ZSTD : (pq_codec)c->o->codec, left);
    if (c->o->codec >= 0 || c->o->split != PQ_SPLIT_ALL)
        return FZ_OK;
    TRY(trial(c, s, n, CODEC_LZ4, &left, err));
    if (left < MUST_SAVE)
        consider(best, x, PQ_LZ4_RAW, left);
    return FZ_OK;
}

/* Entries that a dictionary will have after `rows` values, if it had `half` after half of the n
 * values of the sample and `all` after all. */
static double grown(double half, double all, double n, double rows)
{
    if (rows <= n || half < 1 || all <= half)
        return all;
    double power = log2(all / half);
    double guess = all * pow(rows / n, power < 1 ? power : 1);
    return guess < rows ? guess : rows;
}

/* Codes of the whole sample, whose dictionary grew from `half` to `all` entries of entry_bytes, each of
 * which costs entry_cost, once. */
static fz_status weigh_dict(column_writer *c, column_scratch *s, const uint32_t *codes, double half, uint32_t all,
                            double entry_bytes, double entry_cost, double rows, way *best, fz_error *err)
{
    uint32_t n = c->stage.values;
    double entries = grown(half, all, n, rows);
    if (entries * entry_bytes > (double)c->o->dict_bytes)
        return FZ_OK;
    size_t size;
    unsigned now = code_width(all, false), then = code_width((uint32_t)entries, false);
    TRY(encode_codes(s, c->m, codes, n, now, 0, &size, err));
    /* A dictionary that still grows tends to cost more than it promises. Few bytes per value are
     * runs, which readers hand on as such. */
    double doubt = 1 + 0.3 * (all > half ? log2(all / half) : 0);
    attempt x = {.enc = PQ_ENC_RLE_DICTIONARY, .raw = (double)size / n * (now ? (double)then / now : 1) * doubt,
                 .fixed = entries * entry_cost / (rows > n ? rows : n)};
    x.ns = x.raw < 0.2 ? 0.05 + 2 * x.raw : 0.5;
    TRY(weigh(c, s, size, &x, best, err));
    if (now > 1 && now < 16 && now != 8 && code_width(all, true) == code_width((uint32_t)entries, true)) {
        TRY(encode_codes(s, c->m, codes, n, code_width(all, true), 0, &size, err));
        x.raw = (double)size / n * doubt;
        x.whole_bytes = true;
        TRY(weigh(c, s, size, &x, best, err));
    }
    return FZ_OK;
}

uint32_t dict_max(const column_writer *c)
{
    int64_t n = c->o->dict_bytes / (c->width ? c->width : 4);
    return n > 1 << 30 ? 1 << 30 : (uint32_t)n;
}

/* ---- lanes ---- */

static fz_status dict_of_lanes(column_writer *c, column_scratch *s, bool whole, double rows, way *best,
                               fz_error *err)
{
    column_stage *g = &c->stage;
    uint32_t n = g->values, half_n = n / 2, max = dict_max(c), half;
    bool full = false, ints = c->kind == BOUND_INT;
    if (max > n / 2 + 16)
        max = n / 2 + 16; /* more than that never pays */
    bounds b = {0};
    bounds_add_lanes(&b, c->kind, c->single, g->lanes, n);
    TRY(scratch_room(&s->codes_mem, &s->codes_cap, n * sizeof(uint32_t), c->m, err));
    uint32_t *codes = (uint32_t *)(void *)s->codes_mem;
    fz_status st = lane_dict_codes(&c->ld, g->lanes, half_n, ints, b.imin, b.imax, max, codes, &full, err);
    half = c->ld.n;
    if (st == FZ_OK && !full)
        st = lane_dict_codes(&c->ld, g->lanes + half_n, n - half_n, ints, b.imin, b.imax, max, codes + half_n,
                             &full, err);
    uint32_t all = c->ld.n;
    lane_dict_clear(&c->ld);
    if (st != FZ_OK || full)
        return st;
    return weigh_dict(c, s, codes, whole ? all : half, all, c->width, c->width, rows, best, err);
}

static fz_status try_lanes(column_writer *c, column_scratch *s, const uint64_t *lanes, uint32_t n, pq_encoding enc, double ns,
                           way *best, fz_error *err)
{
    size_t size;
    TRY(encode_lanes(c, s, lanes, n, enc, 0, &size, err));
    return weigh(c, s, size, &(attempt){.enc = enc, .raw = (double)size / n, .ns = ns}, best, err);
}

/* The plan is the dictionary or, if that isn't better, `plain`, which is also what follows a dictionary that is given up. */
static void take(column_writer *c, const way *plain, const way *dict)
{
    const way *best = dict->valid && dict->cost < plain->cost ? dict : plain;
    c->plan.dict = best == dict;
    c->plan.plain = plain->enc;
    c->plan.plain_cost = plain->cost;
    c->plan.codec = best->codec;
    c->plan.whole_bytes = best->whole_bytes;
    c->plan.bytes_per_value = best->bytes;
}

static fz_status decide_lanes(column_writer *c, column_scratch *s, bool whole, double rows, fz_error *err)
{
    column_stage *g = &c->stage;
    uint32_t n = g->values, part = n < 2 * c->page_rows ? n : 2 * c->page_rows;
    way dict = {0}, plain = {0};
    TRY(stage_spread(c, err));
    const uint64_t *from = g->lanes + (n - part) / 2; /* from the middle */
    if (c->physical != PQ_BOOLEAN)
        TRY(dict_of_lanes(c, s, whole, rows, &dict, err));
    TRY(try_lanes(c, s, from, part, PQ_ENC_PLAIN, 0.2, &plain, err));
    if (c->kind == BOUND_INT && n > 1)
        TRY(try_lanes(c, s, from, part, c->physical == PQ_BOOLEAN ? PQ_ENC_RLE : PQ_ENC_DELTA_BINARY_PACKED, 1.2, &plain, err));
    if (c->physical != PQ_BOOLEAN && (c->kind == BOUND_FLOAT ? c->o->split != PQ_SPLIT_NONE : c->o->split == PQ_SPLIT_ALL))
        TRY(try_lanes(c, s, from, part, PQ_ENC_BYTE_STREAM_SPLIT, 0.5, &plain, err));
    take(c, &plain, &dict);
    return FZ_OK;
}

/* ---- text ---- */

/* Some of the sample's values one behind the other, from its middle; as many as a trial takes. */
static fz_status sample_bytes(column_writer *c, column_scratch *s, byte_values *v, size_t *bytes, fz_error *err)
{
    const column_stage *g = &c->stage;
    const text_dict *d = &c->td;
    uint32_t n = g->values, from = 0, count = 0;
    double each = (double)g->value_bytes / n + 1;
    if (each * n > TRIAL_BYTES_MAX)
        from = (uint32_t)((n - TRIAL_BYTES_MAX / each) / 2);
    TRY(scratch_room(&s->codes_mem, &s->codes_cap, (size_t)n * 2 * sizeof(uint32_t), c->m, err));
    TRY(scratch_room(&s->trial, &s->trial_cap, TRIAL_BYTES_MAX, c->m, err));
    uint32_t *off = (uint32_t *)(void *)s->codes_mem, *lens = off + n;
    *bytes = 0;
    for (uint32_t i = from; i < n; i++, count++) {
        uint32_t len = d->entries[g->codes[i]].len;
        if (len > TRIAL_BYTES_MAX - *bytes)
            break;
        if (len)
            memcpy(s->trial + *bytes, text_dict_at(d, g->codes[i]), len);
        off[count] = (uint32_t)*bytes;
        lens[count] = len;
        *bytes += len;
    }
    *v = (byte_values){s->trial, off, lens, count};
    return FZ_OK;
}

static fz_status try_bytes(column_writer *c, column_scratch *s, const byte_values *v, size_t bytes, pq_encoding enc, double ns,
                           way *best, fz_error *err)
{
    size_t size;
    TRY(encode_bytes(c, s, v, bytes, enc, 0, &size, err));
    return weigh(c, s, size, &(attempt){.enc = enc, .raw = (double)size / (double)v->n, .ns = ns}, best, err);
}

static fz_status decide_text(column_writer *c, column_scratch *s, bool whole, double rows, fz_error *err)
{
    column_stage *g = &c->stage;
    text_dict *d = &c->td;
    uint32_t n = g->values, half = 0;
    way dict = {0}, plain = {0};
    byte_values v;
    size_t bytes;
    for (uint32_t i = 0; i < n / 2; i++)
        half = g->codes[i] >= half ? g->codes[i] + 1 : half;
    TRY(sample_bytes(c, s, &v, &bytes, err));
    if (v.n) {
        TRY(try_bytes(c, s, &v, bytes, PQ_ENC_PLAIN, 3, &plain, err));
        /* Polars 2.1 stops at several such pages of a required text below a level that may be null. */
        if (!c->width && (c->leaf->optional || c->max_def == 0))
            TRY(try_bytes(c, s, &v, bytes, PQ_ENC_DELTA_LENGTH_BYTE_ARRAY, 3, &plain, err));
        if (!c->width && bytes_shared(&v) * 8 > bytes)
            TRY(try_bytes(c, s, &v, bytes, PQ_ENC_DELTA_BYTE_ARRAY, 12, &plain, err));
    } else { /* the first one is longer than a trial */
        consider(&plain, &(attempt){.enc = PQ_ENC_PLAIN, .raw = (double)g->value_bytes / n, .ns = 3},
                 c->o->codec < 0 ? PQ_ZSTD : (pq_codec)c->o->codec, 1);
    }

    /* Entries cost what plain values do, and compress as they do. */
    if (whole || d->n <= n / 2)
        TRY(weigh_dict(c, s, g->codes, whole ? d->n : half, d->n, (double)d->blob_n / d->n, plain.cost, rows, &dict, err));
    if (dict.valid && dict.codec == PQ_UNCOMPRESSED && (double)d->blob_n / n > 0.1 * dict.bytes)
        dict.codec = plain.codec;
    take(c, &plain, &dict);
    return FZ_OK;
}

fz_status column_decide(column_writer *c, column_scratch *s, bool whole, fz_error *err)
{
    column_stage *g = &c->stage;
    c->plan = (column_plan){.plain = PQ_ENC_PLAIN, .codec = PQ_UNCOMPRESSED};
    double rows = (double)g->values;
    if (!whole && g->rows)
        rows = rows * (double)c->o->row_group_rows / g->rows; /* as many values per row to come */
    if (g->values == 0) {
        c->plan.dict = false;
    } else if (g->constant && c->physical != PQ_BOOLEAN) {
        /* One value: a dictionary of one entry, whose pages are a run each. */
        c->plan.dict = g->values > 1;
        c->plan.plain = c->kind == BOUND_INT && c->plan.dict ? PQ_ENC_DELTA_BINARY_PACKED : PQ_ENC_PLAIN;
        c->plan.bytes_per_value = 0.01;
        c->plan.plain_cost = c->width;
        c->plan.known = !whole;
    } else {
        if (c->bytes)
            TRY(decide_text(c, s, whole, rows, err));
        else
            TRY(decide_lanes(c, s, whole, rows, err));
        c->plan.known = true;
    }
    if (c->o->codec >= 0)
        c->plan.codec = (pq_codec)c->o->codec;
    return FZ_OK;
}
