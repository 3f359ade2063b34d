/*
 * column_plan.c: choosing how a column is encoded, from a sample: the first pages' worth of it.
 *
 * Each way that could do is tried on the sample: dictionary, DELTA_BINARY_PACKED, PLAIN, for
 * booleans RLE and PLAIN; each as it is and compressed with zstd. The least cost wins, where
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
#define ZSTD_MUST_SAVE   0.9
#define TRIAL_BYTES_MIN  256  /* compressing less is not worth the try */
#define TRIAL_BYTES_MAX  (256 * 1024)

typedef struct option {
    bool valid, zstd, whole_bytes;
    double cost, bytes;   /* per value */
} option;

static void consider(option *best, double bytes, double raw_bytes, double ns, bool zstd, bool whole_bytes)
{
    double cost = bytes + ns * NS_PRICE + (zstd ? raw_bytes * ZSTD_NS_PER_BYTE * NS_PRICE : 0);
    if (!best->valid || cost < best->cost)
        *best = (option){true, zstd, whole_bytes, cost, bytes};
}

/* The share that zstd leaves of the n bytes in the body; 1 where it isn't to be used. */
static fz_status trial(column_writer *c, column_scratch *s, size_t n, double *left, fz_error *err)
{
    *left = 1;
    if (c->o->codec == PQ_UNCOMPRESSED || n < TRIAL_BYTES_MIN)
        return FZ_OK;
    if (n > TRIAL_BYTES_MAX)
        n = TRIAL_BYTES_MAX;
    size_t cap = codec_bound(CODEC_ZSTD, n), got;
    TRY(scratch_room(&s->packed, &s->packed_cap, cap, c->m, err));
    TRY(codec_compress(s->codec, CODEC_ZSTD, 1, s->body, n, s->packed, cap, &got, err));
    *left = (double)got / (double)n;
    return FZ_OK;
}

/* One encoding, as it is and compressed: `raw` bytes per value, of which the body has n bytes. */
static fz_status weigh(column_writer *c, column_scratch *s, size_t n, double raw, double fixed, double ns,
                       bool whole_bytes, option *best, fz_error *err)
{
    double left;
    TRY(trial(c, s, n, &left, err));
    bool forced = c->o->codec > PQ_UNCOMPRESSED;
    if (!forced && !whole_bytes)
        consider(best, raw + fixed, raw, ns, false, false);
    if (forced || left < ZSTD_MUST_SAVE)
        consider(best, raw * left + fixed, raw, ns, true, whole_bytes);
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
                            double entry_bytes, double entry_cost, double rows, option *best, fz_error *err)
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
    double raw = (double)size / n * (now ? (double)then / now : 1) * doubt;
    double fixed = entries * entry_cost / (rows > n ? rows : n), ns = raw < 0.2 ? 0.05 + 2 * raw : 0.5;
    TRY(weigh(c, s, size, raw, fixed, ns, false, best, err));
    if (now > 1 && now < 16 && now != 8 && code_width(all, true) == code_width((uint32_t)entries, true)) {
        TRY(encode_codes(s, c->m, codes, n, code_width(all, true), 0, &size, err));
        TRY(weigh(c, s, size, (double)size / n * doubt, fixed, ns, true, best, err));
    }
    return FZ_OK;
}

uint32_t dict_max(const column_writer *c)
{
    int64_t n = c->o->dict_bytes / (c->width ? c->width : 4);
    return n > 1 << 30 ? 1 << 30 : (uint32_t)n;
}

/* ---- lanes ---- */

static fz_status dict_of_lanes(column_writer *c, column_scratch *s, bool whole, double rows, option *best,
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

static fz_status decide_lanes(column_writer *c, column_scratch *s, bool whole, double rows, fz_error *err)
{
    column_stage *g = &c->stage;
    uint32_t n = g->values, part = n < 2 * c->page_rows ? n : 2 * c->page_rows;
    option dict = {0}, delta = {0}, plain = {0};
    size_t size;
    TRY(stage_spread(c, err));
    const uint64_t *from = g->lanes + (n - part) / 2; /* from the middle */
    if (c->physical != PQ_BOOLEAN)
        TRY(dict_of_lanes(c, s, whole, rows, &dict, err));
    if (c->kind == BOUND_INT && n > 1) {
        pq_encoding enc = c->physical == PQ_BOOLEAN ? PQ_ENC_RLE : PQ_ENC_DELTA_BINARY_PACKED;
        TRY(encode_lanes(c, s, from, part, enc, 0, &size, err));
        TRY(weigh(c, s, size, (double)size / part, 0, 1.2, false, &delta, err));
    }
    TRY(encode_lanes(c, s, from, part, PQ_ENC_PLAIN, 0, &size, err));
    TRY(weigh(c, s, size, (double)size / part, 0, 0.2, false, &plain, err));

    option best = plain;
    c->plan.plain = PQ_ENC_PLAIN;
    if (delta.valid && delta.cost < best.cost) {
        best = delta;
        c->plan.plain = c->physical == PQ_BOOLEAN ? PQ_ENC_RLE : PQ_ENC_DELTA_BINARY_PACKED;
    }
    c->plan.plain_cost = best.cost;
    if (dict.valid && dict.cost < best.cost) {
        best = dict;
        c->plan.dict = true;
    }
    c->plan.codec = best.zstd ? PQ_ZSTD : PQ_UNCOMPRESSED;
    c->plan.whole_bytes = best.whole_bytes;
    c->plan.bytes_per_value = best.bytes;
    return FZ_OK;
}

/* ---- text ---- */

static fz_status decide_text(column_writer *c, column_scratch *s, bool whole, double rows, fz_error *err)
{
    column_stage *g = &c->stage;
    text_dict *d = &c->td;
    uint32_t n = g->values, half = 0;
    option dict = {0}, plain = {0};
    for (uint32_t i = 0; i < n / 2; i++)
        half = g->codes[i] >= half ? g->codes[i] + 1 : half;

    size_t size = 0;
    TRY(body_room(s, c->m, 0, TRIAL_BYTES_MAX, err));
    for (uint32_t i = 0; i < n; i++) {
        size_t head = c->width ? 0 : 4, len = d->entries[g->codes[i]].len + head;
        if (size + len > TRIAL_BYTES_MAX)
            break;
        memcpy(s->body + size, text_dict_at(d, g->codes[i]) - head, len);
        size += len;
    }
    double raw = (double)g->value_bytes / n;
    TRY(weigh(c, s, size, raw, 0, 3, false, &plain, err));

    /* Entries cost what plain values do, and compress as they do. */
    if (whole || d->n <= n / 2)
        TRY(weigh_dict(c, s, g->codes, whole ? d->n : half, d->n, (double)d->blob_n / d->n, plain.cost, rows, &dict, err));

    option best = plain;
    c->plan.plain_cost = plain.cost;
    if (dict.valid && dict.cost < best.cost) {
        c->plan.dict = true;
        dict.zstd |= plain.zstd && (double)d->blob_n / n > 0.1 * dict.bytes;
        best = dict;
    }
    c->plan.plain = PQ_ENC_PLAIN;
    c->plan.codec = best.zstd ? PQ_ZSTD : PQ_UNCOMPRESSED;
    c->plan.whole_bytes = best.whole_bytes;
    c->plan.bytes_per_value = best.bytes;
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
