/*
 * test_slab.c: blocks cut from slabs. (run with tsan)
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/slab.h"

#include <pthread.h>
#include <stdlib.h>

static void blocks_keep_what_is_written(void **state)
{
    enum { N = 600 };
    slab_pool *p = slab_pool_new();
    mem m;
    mem_hooks h = slab_hooks(p);
    mem_init(&m, NULL, &h, 0);
    unsigned char *at[N];
    size_t size[N];
    unsigned seed = 7;
    for (int i = 0; i < N; i++) { /* all sizes: libc's small and large ones too */
        seed = seed * 1103515245 + 12345;
        size[i] = i % 10 == 0 ? 10 : i % 50 == 1 ? 1500000 : 16384 + (seed >> 8) % 100000;
        at[i] = mem_alloc(&m, size[i]);
        assert_non_null(at[i]);
        assert_int_equal((uintptr_t)at[i] % 16, 0);
        memset(at[i], i & 255, size[i]);
    }
    for (int i = 0; i < N; i += 3) {
        mem_free(&m, at[i], size[i]);
        at[i] = NULL;
    }
    for (int i = 1; i < N; i += 3) { /* growing moves between libc and slabs */
        size_t more = i % 2 ? size[i] * 2 : size[i] / 4 + 1, keep = more < size[i] ? more : size[i];
        at[i] = mem_resize(&m, at[i], size[i], more);
        assert_non_null(at[i]);
        for (size_t k = 0; k < keep; k += 97)
            assert_int_equal(at[i][k], i & 255);
        memset(at[i], i & 255, more);
        size[i] = more;
    }
    slab_pool_release(p); /* blocks outlive it */
    for (int i = 0; i < N; i++) {
        for (size_t k = 0; at[i] && k < size[i]; k += 101)
            assert_int_equal(at[i][k], i & 255);
        mem_free(&m, at[i], size[i]);
    }
    assert_int_equal(atomic_load(&m.used), 0);
}

static void an_empty_slab_is_used_again(void **state)
{
    slab_pool *p = slab_pool_new();
    mem m;
    mem_hooks h = slab_hooks(p);
    mem_init(&m, NULL, &h, 0);
    uintptr_t seen[16];
    unsigned n = 0;
    for (int i = 0; i < 1000; i++) { /* 1000 x 512 kB pass through few slabs */
        void *b = mem_alloc(&m, 512 << 10);
        uintptr_t s = (uintptr_t)b >> 22;
        unsigned k = 0;
        while (k < n && seen[k] != s)
            k++;
        if (k == n) {
            assert_true(n < 8);
            seen[n++] = s;
        }
        mem_free(&m, b, 512 << 10);
    }
    slab_pool_release(p);
    slab_pool_release(NULL);
}

/* Frees what another thread allocated, also after the pool's end. */
typedef struct other { mem *m; void *at[200]; } other;

static void *free_all(void *ctx)
{
    other *o = ctx;
    for (int i = 0; i < 200; i++)
        mem_free(o->m, o->at[i], 60000);
    return NULL;
}

static void other_threads_free(void **state)
{
    slab_pool *p = slab_pool_new();
    mem m;
    mem_hooks h = slab_hooks(p);
    mem_init(&m, NULL, &h, 0);
    pthread_t t[4];
    other *o = calloc(4, sizeof *o);
    for (int k = 0; k < 4; k++) {
        o[k].m = &m;
        for (int i = 0; i < 200; i++)
            assert_non_null(o[k].at[i] = mem_alloc(&m, 60000));
        assert_int_equal(pthread_create(&t[k], NULL, free_all, &o[k]), 0);
    }
    slab_pool_release(p);
    for (int k = 0; k < 4; k++)
        pthread_join(t[k], NULL);
    free(o);
}

/* All allocate, write, check and free at once: 100 MB pass through, so that huge pages are tried. */
static void *churn(void *ctx)
{
    mem *m = ctx;
    enum { N = 40, SIZE = 300000 };
    unsigned char *at[N] = {NULL};
    for (int i = 0; i < 400; i++) {
        unsigned char **x = &at[i * 7 % N];
        if (*x && ((*x)[0] != (*x)[SIZE - 1] || (*x)[1] != (unsigned char)((uintptr_t)*x >> 16)))
            return ctx;
        mem_free(m, *x, SIZE);
        if (!(*x = mem_alloc(m, SIZE)))
            return ctx;
        (*x)[0] = (*x)[SIZE - 1] = (unsigned char)i;
        (*x)[1] = (unsigned char)((uintptr_t)*x >> 16);
    }
    for (int i = 0; i < N; i++)
        mem_free(m, at[i], SIZE);
    return NULL;
}

static void threads_allocate_at_once(void **state)
{
    slab_pool *p = slab_pool_new();
    mem m;
    mem_hooks h = slab_hooks(p);
    mem_init(&m, NULL, &h, 0);
    pthread_t t[4];
    void *bad;
    for (int k = 0; k < 4; k++)
        assert_int_equal(pthread_create(&t[k], NULL, churn, &m), 0);
    for (int k = 0; k < 4; k++) {
        pthread_join(t[k], &bad);
        assert_null(bad);
    }
    slab_pool_release(p);
    assert_int_equal(atomic_load(&m.used), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_keep_what_is_written),
        cmocka_unit_test(an_empty_slab_is_used_again),
        cmocka_unit_test(other_threads_free),
        cmocka_unit_test(threads_allocate_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
