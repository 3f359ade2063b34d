/*
 * column_bloom.c: the Bloom filter of a chunk being written.
 *
 * Nobody knows how many distinct values a chunk will have, and the hashes of all of them would take more memory than the
 * filter may. So a filter starts as large as it may become and is folded at the end: with a power of two of blocks, the
 * block of a hash is given by its top bits, and half a filter is the OR of each two neighbouring blocks. It is folded as
 * long as the chance of a false answer, reckoned from the bits that are set, stays within what was asked for.
 *
 * Values that a dictionary has are put in once, at the chunk's end; others when their page is made.
 */
#include "codec/bloom.h"
#include "format/parquet/column_write_int.h"

static fz_status bloom_start(column_writer *c, fz_error *err)
{
    chunk *k = c->ch;
    if (k->bloom)
        return FZ_OK;
    const pq_leaf_options *o = c->want;
    uint64_t most = o->bloom_ndv > 0 ? (uint64_t)o->bloom_ndv : c->max_rep ? UINT64_MAX : (uint64_t)c->o->row_group_rows;
    k->bloom_n = bloom_size(most, o->bloom_fpp > 0 ? o->bloom_fpp : BLOOM_FPP, (size_t)c->o->bloom_max_bytes);
    k->bloom = mem_zalloc(c->m, k->bloom_n);
    k->bloom_cap = k->bloom_n;
    return k->bloom ? FZ_OK : error_nomem(err);
}

fz_status bloom_add_lanes(column_writer *c, const uint64_t *lanes, size_t n, fz_error *err)
{
    if (!c->want || !c->want->bloom || c->physical == PQ_BOOLEAN || !n)
        return FZ_OK;
    TRY(bloom_start(c, err));
    uint64_t hashes[256];
    for (size_t i = 0; i < n;) {
        size_t k = 0;
        for (; k < 256 && i < n; k++, i++) {
            uint64_t v = lanes[i];
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
            v = __builtin_bswap64(v);
#endif
            hashes[k] = bloom_hash(&v, c->width);
        }
        bloom_insert_all(c->ch->bloom, c->ch->bloom_n, hashes, k);
    }
    return FZ_OK;
}

fz_status bloom_add_bytes(column_writer *c, const uint8_t *p, size_t n, fz_error *err)
{
    if (!c->want || !c->want->bloom)
        return FZ_OK;
    TRY(bloom_start(c, err));
    bloom_insert(c->ch->bloom, c->ch->bloom_n, bloom_hash(p, n));
    return FZ_OK;
}

static fz_status add_dictionary(column_writer *c, fz_error *err)
{
    if (!c->ch->dict_pages)
        return FZ_OK;
    if (!c->bytes)
        return bloom_add_lanes(c, c->ld.values, c->ld.n, err);
    for (uint32_t i = 0; i < c->td.n; i++)
        TRY(bloom_add_bytes(c, text_dict_at(&c->td, i), c->td.entries[i].len, err));
    return FZ_OK;
}

/* The chance that all eight bits of a value that isn't there are set, if each two blocks were one (`fold`), or as it is. */
static double false_chance(const uint8_t *bits, size_t n, bool fold)
{
    double sum = 0;
    size_t step = fold ? 2 * BLOOM_BLOCK : BLOOM_BLOCK;
    for (size_t at = 0; at < n; at += step) {
        double all = 1;
        for (size_t w = 0; w < BLOOM_BLOCK; w += 4) {
            uint32_t x, y = 0;
            memcpy(&x, bits + at + w, 4);
            if (fold)
                memcpy(&y, bits + at + BLOOM_BLOCK + w, 4);
            all *= __builtin_popcount(x | y) / 32.0;
        }
        sum += all;
    }
    return sum / (double)(n / step);
}

static void fold(uint8_t *bits, size_t n)
{
    for (size_t at = 0; at < n / 2; at += BLOOM_BLOCK)
        for (size_t i = 0; i < BLOOM_BLOCK; i++)
            bits[at + i] = bits[2 * at + i] | bits[2 * at + BLOOM_BLOCK + i];
}

fz_status bloom_finish(column_writer *c, fz_error *err)
{
    chunk *k = c->ch;
    if (!c->want || !c->want->bloom || c->physical == PQ_BOOLEAN)
        return FZ_OK;
    TRY(bloom_start(c, err)); /* a chunk of nulls has an empty one, which is certain of its answer */
    TRY(add_dictionary(c, err));
    double fpp = c->want->bloom_fpp > 0 ? c->want->bloom_fpp : BLOOM_FPP;
    while (k->bloom_n >= 2 * BLOOM_BLOCK && false_chance(k->bloom, k->bloom_n, true) <= fpp) {
        fold(k->bloom, k->bloom_n);
        k->bloom_n /= 2;
    }
    return FZ_OK;
}
