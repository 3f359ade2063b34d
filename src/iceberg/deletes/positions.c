/* positions.c: the deleted positions of one data file: a sorted array, or a bitmap where more than one row in 32 is deleted. */
#include "iceberg/deletes/deletes_int.h"

#include <stdlib.h>

bool positions_add(positions *p, uint32_t pos, mem *m)
{
    if (p->n == p->cap) {
        if (p->cap > UINT32_MAX / 2)
            return false;
        uint32_t cap = p->cap ? p->cap * 2 : 64;
        uint32_t *at = mem_resize(m, p->at, p->cap * sizeof *at, cap * sizeof *at);
        if (!at)
            return false;
        p->at = at;
        p->cap = cap;
    }
    p->at[p->n++] = pos;
    return true;
}

static int ascending(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    return a < b ? -1 : a > b;
}

void positions_finish(positions *p, mem *m)
{
    bool sorted = true;
    for (uint32_t i = 1; i < p->n && sorted; i++)
        sorted = p->at[i - 1] < p->at[i];
    if (!sorted) {
        qsort(p->at, p->n, sizeof *p->at, ascending);
        uint32_t k = 0;
        for (uint32_t i = 0; i < p->n; i++)
            if (i == 0 || p->at[i] != p->at[i - 1])
                p->at[k++] = p->at[i];
        p->n = k;
    }
    size_t words = BITMAP_WORDS(p->rows) + 1;
    if (p->n > p->rows / 32 && (p->bits = mem_zalloc(m, words * sizeof *p->bits))) {
        for (uint32_t i = 0; i < p->n; i++)
            bit_set(p->bits, p->at[i]);
        mem_free(m, p->at, p->cap * sizeof *p->at);
        p->at = NULL;
        p->cap = 0;
    } else if (p->n && p->n < p->cap) {
        uint32_t *at = mem_resize(m, p->at, p->cap * sizeof *at, p->n * sizeof *at);
        if (at) {
            p->at = at;
            p->cap = p->n;
        }
    }
}

void positions_free(positions *p, mem *m)
{
    mem_free(m, p->at, p->cap * sizeof *p->at);
    if (p->bits)
        mem_free(m, p->bits, (BITMAP_WORDS(p->rows) + 1) * sizeof *p->bits);
}

static uint32_t lower_bound(const positions *p, uint64_t row)
{
    uint32_t lo = 0, hi = p->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (p->at[mid] < row)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

uint32_t positions_select(const positions *p, uint64_t row, uint32_t n, const uint16_t *iota, uint16_t *sel)
{
    uint32_t k = 0;
    if (p->bits) {
        for (uint32_t i = 0; i < n; i++) {
            sel[k] = (uint16_t)i;
            k += row + i >= p->rows || !bit_get(p->bits, row + i);
        }
        return k;
    }
    uint32_t d = lower_bound(p, row), i = 0;
    if (d == p->n || p->at[d] >= row + n)
        return n;
    for (; d < p->n && p->at[d] < row + n; d++) {
        uint32_t gone = (uint32_t)(p->at[d] - row);
        memcpy(sel + k, iota + i, (gone - i) * sizeof *sel);
        k += gone - i;
        i = gone + 1;
    }
    memcpy(sel + k, iota + i, (n - i) * sizeof *sel);
    return k + n - i;
}
