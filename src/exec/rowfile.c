/* rowfile.c: see rowfile_int.h. What is read back is checked as far as its sizes go together. */
#include "exec/rowfile_int.h"

#include <errno.h>

static inline strview *text_of(const row_shape *s, uint8_t *row, uint32_t i) { return (strview *)(row + s->text_at[i]); }

static fz_status block_write(spill_file *f, const row_shape *s, uint8_t *const *rows, uint32_t n, fz_error *err)
{
    uint32_t head[2] = {n, 0};
    uint64_t bytes = 0;
    for (uint32_t k = 0; s->ntext && k < n; k++)
        for (uint32_t i = 0; i < s->ntext; i++) {
            const strview *v = text_of(s, rows[k], i);
            bytes += v->len > 12 ? v->len : 0;
        }
    TRY(spill_put(f, head, sizeof head, err));
    TRY(spill_put(f, &bytes, sizeof bytes, err));
    for (uint32_t k = 0; k < n; k++)
        TRY(spill_put(f, rows[k], s->width, err));
    for (uint32_t k = 0; bytes && k < n; k++)
        for (uint32_t i = 0; i < s->ntext; i++) {
            const strview *v = text_of(s, rows[k], i);
            if (v->len > 12)
                TRY(spill_put(f, v->ptr, v->len, err));
        }
    return FZ_OK;
}

fz_status rowfile_write(spill_file *f, const row_shape *s, uint8_t *const *rows, uint32_t n, fz_error *err)
{
    for (uint32_t k = 0; k < n; k += ROWFILE_BLOCK)
        TRY(block_write(f, s, rows + k, n - k < ROWFILE_BLOCK ? n - k : ROWFILE_BLOCK, err));
    return FZ_OK;
}

fz_status rowfile_read(spill_file *f, const row_shape *s, arena *a, uint8_t **rows, uint32_t *n, fz_error *err)
{
    uint32_t head[2];
    uint64_t bytes;
    *n = 0;
    if (spill_end(f))
        return FZ_OK;
    TRY(spill_get(f, head, sizeof head, err));
    TRY(spill_get(f, &bytes, sizeof bytes, err));
    if (head[0] > ROWFILE_BLOCK || bytes > (uint64_t)spill_bytes(f))
        return error_set(err, FZ_IO, "a temporary file isn't as it was written");
    size_t size = (size_t)head[0] * s->width;
    uint8_t *p = arena_alloc(a, size);
    char *text = arena_alloc(a, bytes);
    if (!p || !text)
        return error_nomem(err);
    TRY(spill_get(f, p, size, err));
    TRY(spill_get(f, text, bytes, err));
    for (uint32_t k = 0; s->ntext && k < head[0]; k++)
        for (uint32_t i = 0; i < s->ntext; i++) {
            strview *v = text_of(s, p + (size_t)k * s->width, i);
            if (v->len <= 12)
                continue;
            if (v->len > bytes)
                return error_set(err, FZ_IO, "a temporary file isn't as it was written");
            v->ptr = text;
            text += v->len;
            bytes -= v->len;
        }
    *rows = p;
    *n = head[0];
    return FZ_OK;
}
