/*
 * fuzz_json: bytes as JSON. What is accepted is walked to its end, and its compact form must be accepted, have as many nodes
 * and be its own compact form.
 */
#include "codec/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const json_doc *d, arena *a)
{
    for (uint32_t i = 0; i < d->count; i++) {
        const json_node *n = &d->nodes[i];
        int64_t v;
        str s;
        if (n->from > n->to || n->to > d->n || n->skip == 0 || i + n->skip > d->count)
            __builtin_trap();
        json_i64(d, n, &v, NULL);
        json_str(d, n, a, &s, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_doc d, again;
    if (json_parse(&d, (const char *)data, size, "fuzz", NULL, NULL) != FZ_OK)
        return 0;
    arena a;
    sbuf one, two;
    arena_init(&a, NULL);
    sbuf_init(&one, NULL);
    sbuf_init(&two, NULL);
    walk(&d, &a);
    json_compact((str){(const char *)data, size}, &one);
    if (json_parse(&again, one.p, one.n, NULL, NULL, NULL) != FZ_OK || again.count != d.count)
        __builtin_trap();
    json_compact((str){one.p, one.n}, &two);
    if (one.n != two.n || memcmp(one.p, two.p, one.n) != 0)
        __builtin_trap();
    json_free(&again);
    json_free(&d);
    sbuf_free(&one);
    sbuf_free(&two);
    arena_free(&a);
    return 0;
}
