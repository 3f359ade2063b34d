/* Allocators with a budget, arenas and refcounted buffers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"

#include <stdlib.h>

/* An allocator that counts, checks old sizes, and can be told to fail. */
struct fake {
    int64_t live, calls, fail_at; /* fail_at: the call that fails; 0: none */
};

static void *fake_resize(void *ctx, void *p, size_t old_size, size_t new_size)
{
    struct fake *f = ctx;
    size_t *block = p ? (size_t *)p - 2 : NULL;
    if (block)
        assert_int_equal(block[0], old_size);
    if (new_size == 0) {
        f->live -= (int64_t)old_size;
        free(block);
        return NULL;
    }
    if (++f->calls == f->fail_at)
        return NULL;
    block = realloc(block, new_size + 16);
    block[0] = new_size;
    f->live += (int64_t)new_size - (int64_t)old_size;
    return block + 2;
}

static void sizes_are_counted_up_to_the_root(void **state)
{
    mem root, child;
    mem_init(&root, NULL, NULL, 1000);
    mem_init(&child, &root, NULL, 0);
    void *p = mem_alloc(&child, 100), *q = mem_zalloc(&root, 50), *z = mem_alloc(&child, 0);
    assert_non_null(z);
    assert_int_equal((uintptr_t)p % 16, 0);
    assert_int_equal(child.used, 101);
    assert_int_equal(root.used, 151);
    for (int i = 0; i < 50; i++)
        assert_int_equal(((char *)q)[i], 0);
    p = mem_resize(&child, p, 100, 400);
    assert_int_equal(root.used, 451);
    mem_free(&child, p, 400);
    mem_free(&child, z, 0);
    mem_free(&child, NULL, 77);
    mem_free(&root, q, 50);
    assert_int_equal(child.used, 0);
    assert_int_equal(root.used, 0);
    assert_int_equal(child.peak, 401);
    assert_int_equal(root.peak, 451);
    p = mem_alloc(NULL, 10); /* uncounted */
    mem_free(NULL, p, 10);
}

static void limits_are_soft_and_asked_for(void **state)
{
    mem root, child;
    mem_init(&root, NULL, NULL, 1000);
    mem_init(&child, &root, NULL, 600);
    assert_false(mem_over(&child, 600));
    assert_true(mem_over(&child, 601));
    assert_true(mem_reserve(&child, 600));
    assert_false(mem_reserve(&child, 1));
    mem_charge(&root, 350);
    assert_int_equal(root.used, 950);
    mem_charge(&child, -100);
    assert_true(mem_reserve(&child, 100));
    mem_charge(&child, -100);
    mem_charge(&root, 100);
    assert_true(mem_over(&child, 60)); /* the parent's limit */
    assert_false(mem_reserve(&child, 60));
    assert_int_equal(child.used, 500); /* nothing left behind */
    assert_int_equal(root.used, 950);
    void *p = mem_alloc(&child, 5000); /* an allocation isn't refused */
    assert_non_null(p);
    mem_free(&child, p, 5000);
    assert_false(mem_over(NULL, INT64_MAX));
    assert_true(mem_reserve(NULL, 5));
}

static void hooks_serve_children(void **state)
{
    struct fake f = {0};
    mem_hooks h = {fake_resize, &f};
    mem root, child;
    mem_init(&root, NULL, &h, 0);
    mem_init(&child, &root, NULL, 0);
    char *p = mem_zalloc(&child, 33);
    assert_int_equal(p[32], 0);
    assert_int_equal(f.live, 33);
    f.fail_at = f.calls + 1;
    assert_null(mem_resize(&child, p, 33, 66));
    assert_int_equal(child.used, 33); /* and p stays */
    f.fail_at = f.calls + 1;
    assert_null(mem_alloc(&child, 8));
    assert_int_equal(root.used, 33);
    p = mem_resize(&child, p, 33, 66);
    mem_free(&child, p, 66);
    assert_int_equal(f.live, 0);
    assert_null(mem_alloc(&child, SIZE_MAX));
    assert_null(mem_zalloc(&child, SIZE_MAX - 8));
}

static void an_arena_hands_out_aligned_memory(void **state)
{
    mem m;
    arena a;
    mem_init(&m, NULL, NULL, 0);
    arena_init(&a, &m);
    char *ps[300];
    for (int i = 0; i < 300; i++) {
        size_t n = (size_t)i * 37 % 3000;
        ps[i] = arena_alloc(&a, n);
        assert_int_equal((uintptr_t)ps[i] % 16, 0);
        memset(ps[i], i & 0xff, n);
    }
    for (int i = 0; i < 300; i++)
        for (size_t k = 0; k < (size_t)i * 37 % 3000; k++)
            assert_int_equal((unsigned char)ps[i][k], i & 0xff);
    char *big = arena_zalloc(&a, 3 << 20);
    assert_int_equal(big[(3 << 20) - 1], 0);
    assert_string_equal(arena_strndup(&a, "hallo", 4), "hall");
    assert_string_equal(arena_strndup(&a, NULL, 0), "");
    assert_true(m.used > 3 << 20);
    assert_int_equal(m.used, a.total);
    arena_reset(&a);
    assert_int_equal(m.used, a.total);
    assert_true(a.total >= 3 << 20 && a.total < (3 << 20) + 100); /* the largest chunk stays */
    int64_t before = m.used;
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_alloc(&a, 20000));
    assert_int_equal(m.used, before); /* it is used again */
    arena_free(&a);
    assert_int_equal(m.used, 0);
    assert_non_null(arena_alloc(&a, 1)); /* usable after free */
    arena_free(&a);
}

static void an_arena_refuses_what_overflows(void **state)
{
    arena a;
    arena_init(&a, NULL);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 15));
    assert_null(ARENA_ARRAY(&a, uint64_t, SIZE_MAX / 4));
    assert_null(ARENA_ARRAY(&a, char, SIZE_MAX / 2));
    assert_null(arena_strndup(&a, "x", SIZE_MAX));
    assert_non_null(ARENA_ARRAY(&a, uint64_t, 0));
    arena_free(&a);
}

static void buffers_grow_and_are_padded(void **state)
{
    mem m;
    mem_init(&m, NULL, NULL, 0);
    buf *b = buf_new(&m, 100);
    assert_int_equal(b->size, 100);
    assert_int_equal((uintptr_t)b->data % 64, 0);
    for (int i = 0; i < BUF_PAD; i++)
        assert_int_equal(b->data[100 + i], 0);
    for (size_t n = 100; n < 1000000; n = n * 2 + 7) {
        memset(b->data, 0x5a, b->cap);
        size_t had = b->cap;
        assert_true(buf_reserve(b, n));
        assert_true(b->cap >= n);
        assert_int_equal(b->size, 100);
        assert_int_equal((uintptr_t)b->data % 64, 0);
        for (size_t i = 0; i < had; i++)
            assert_int_equal(b->data[i], 0x5a);
        for (int i = 0; i < BUF_PAD; i++)
            assert_int_equal(b->data[b->cap + i], 0);
    }
    assert_false(buf_reserve(b, SIZE_MAX - 10));
    buf_unref(buf_ref(b));
    assert_true(m.used > 0);
    buf_unref(b);
    buf_unref(NULL);
    assert_null(buf_ref(NULL));
    assert_int_equal(m.used, 0);
    assert_null(buf_new(&m, SIZE_MAX - 100));
}

static int released;
static void count_release(buf *b)
{
    released++;
    assert_ptr_equal(b->owner, &released);
}

static void wrapped_memory_is_given_back(void **state)
{
    static const char bytes[] = "foreign";
    buf *b = buf_wrap(NULL, bytes, 7, count_release, &released);
    assert_ptr_equal(b->data, bytes);
    assert_false(buf_reserve(b, 8));
    buf_ref(b);
    buf_unref(b);
    assert_int_equal(released, 0);
    buf_unref(b);
    assert_int_equal(released, 1);
    buf_unref(buf_wrap(NULL, bytes, 7, NULL, NULL));
}

/* Every allocation in turn fails: nothing leaks, and NULL is all that is seen of it. */
static void failing_allocations_leave_nothing(void **state)
{
    for (int64_t at = 1; at < 8; at++) {
        struct fake f = {.fail_at = at};
        mem m;
        mem_init(&m, NULL, &(mem_hooks){fake_resize, &f}, 0);
        arena a;
        arena_init(&a, &m);
        bool ok = arena_alloc(&a, 100) && arena_alloc(&a, 5000) && arena_alloc(&a, 100000);
        buf *b = buf_new(&m, 10);
        ok = b && buf_reserve(b, 1000) && ok;
        assert_int_equal(ok, at > 6);
        buf_unref(b);
        arena_free(&a);
        assert_int_equal(f.live, 0);
        assert_int_equal(m.used, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_counted_up_to_the_root),
        cmocka_unit_test(limits_are_soft_and_asked_for),
        cmocka_unit_test(hooks_serve_children),
        cmocka_unit_test(an_arena_hands_out_aligned_memory),
        cmocka_unit_test(an_arena_refuses_what_overflows),
        cmocka_unit_test(buffers_grow_and_are_padded),
        cmocka_unit_test(wrapped_memory_is_given_back),
        cmocka_unit_test(failing_allocations_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
