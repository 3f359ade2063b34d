/* test_memory.c: the catalog in memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog/conformance.h"
#include "catalog/memory/memory_catalog.h"

static void test_conformance(void **state)
{
    mem m;
    ib_catalog *c;
    mem_init(&m, NULL, NULL, 0);
    assert_int_equal(memory_catalog_open(NULL, &m, &c, NULL), FZ_OK);
    conformance_run(c);
    c->ops->close(c);
    assert_int_equal(m.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_conformance)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
