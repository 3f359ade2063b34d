/* batch_touch.h: looks at everything that the owner of a vector may look at, and traps where a nested one isn't whole. */
#ifndef FUZZ_BATCH_TOUCH_H
#define FUZZ_BATCH_TOUCH_H

#include "arrow/vector.h"

static volatile uint64_t touch_sink; /* so that reading the values isn't optimised away */

static inline void vec_touch(const vec *v)
{
    uint64_t sum = 0;
    if (v->enc == VEC_CONST && type_is_nested(v->t))
        return;
    if (type_is_nested(v->t)) {
        const uint32_t *off = v->data;
        uint32_t n = v->t.children->n, need = v->len;
        if (v->t.id != T_STRUCT) {
            for (uint32_t i = 0; i < v->len; i++)
                if (off[i] > off[i + 1])
                    __builtin_trap();
            need = off[v->len];
        }
        for (uint32_t i = 0; i < n; i++) {
            if (v->kids[i].len < need)
                __builtin_trap();
            vec_touch(&v->kids[i]);
        }
    }
    for (uint32_t i = 0; i < v->len; i++) {
        if (type_is_nested(v->t)) {
            sum += v->valid && !bit_get(v->valid, i);
            continue;
        }
        datum d = vec_datum(v, i);
        if (d.null)
            continue;
        if (type_phys(v->t) == PHYS_STR)
            for (size_t j = 0; j < d.s.n; j += 1 + d.s.n / 64)
                sum += (uint8_t)d.s.p[j];
        else if (type_phys(v->t) == PHYS_I64)
            sum += (uint64_t)d.i64;
    }
    touch_sink += sum;
}

#endif
