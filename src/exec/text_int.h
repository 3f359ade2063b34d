/*
 * text_int.h: helpers of the text functions. Private to exec/.
 */
#ifndef EXEC_TEXT_INT_H
#define EXEC_TEXT_INT_H

#include "exec/func_int.h"

#define TEXT_MAX ((size_t)1 << 28) /* bytes of one text that a function may make */

/* The text of a row of a FLAT or CONST vector; valid as long as the vector. */
static inline str text_at(const vec *v, uint32_t row)
{
    return strview_str((const strview *)v->data + (v->enc == VEC_CONST ? 0 : row));
}
static inline int64_t i64_at(const vec *v, uint32_t row)
{
    return ((const int64_t *)v->data)[v->enc == VEC_CONST ? 0 : row];
}
/* Stores bytes that live as long as the result; those of an argument do if they lie outside the view. */
static inline void text_set(kcall *c, uint32_t row, const char *p, size_t n)
{
    ((strview *)c->out->data)[row] = strview_make(p, (uint32_t)n);
}
/* Room for n bytes of a result; NULL: error set. */
static inline char *text_room(kcall *c, size_t n, fz_error *err)
{
    if (n > TEXT_MAX) {
        kernel_error(c, err, "54000", "a text of %zu bytes is too long", n);
        return NULL;
    }
    char *p = arena_alloc(c->a, n ? n : 1);
    if (!p)
        error_nomem(err);
    return p;
}
static inline fz_status text_copy(kcall *c, uint32_t row, const char *p, size_t n, fz_error *err)
{
    char *to = text_room(c, n, err);
    if (!to)
        return n > TEXT_MAX ? FZ_VALUE : FZ_NOMEM;
    if (n)
        memcpy(to, p, n);
    text_set(c, row, to, n);
    return FZ_OK;
}
static inline bool utf8_cont(char c) { return ((unsigned char)c & 0xc0) == 0x80; }
/* Bytes of the first n characters. */
static inline size_t utf8_skip(str s, int64_t n)
{
    size_t i = 0;
    while (i < s.n && n > 0) {
        i++;
        while (i < s.n && utf8_cont(s.p[i]))
            i++;
        n--;
    }
    return i;
}
static inline int64_t utf8_count(str s)
{
    int64_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += !utf8_cont(s.p[i]);
    return n;
}
/* Lower or upper case, appended. */
void text_case(str s, bool upper, sbuf *out);

#endif
