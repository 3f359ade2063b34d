/* Fault points, the runtime, and what the machine allows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/machine_int.h"
#include "base/runtime.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The environment is read once per process: this one runs first, in a child. */
static void passed_points_are_listed(void **state)
{
    int fds[2], status;
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setenv("FRAZIL_FAULT", "list", 1);
        dup2(fds[1], STDERR_FILENO);
        bool ok = true;
        for (int i = 0; i < 3; i++)
            ok = fault_point("one.a", NULL) == FZ_OK && fault_point("one.b", NULL) == FZ_OK && ok;
        _exit(ok ? 0 : 1);
    }
    close(fds[1]);
    char text[100] = {0};
    size_t n = 0;
    for (ssize_t k; n < sizeof text - 1 && (k = read(fds[0], text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)k;
    close(fds[0]);
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_string_equal(text, "one.a\none.b\n");
}

static void armed_points_fire(void **state)
{
    setenv("FRAZIL_FAULT", "a=error, b:3=enospc,c:0=error,d=sleep20,k:2,bad:x,=error,e=what", 1);
    fz_error e;
    assert_int_equal(fault_point("nothing", &e), FZ_OK);
    assert_int_equal(fault_point("a", &e), FZ_IO);
    assert_string_equal(e.message, "fault point a");
    assert_int_equal(fault_point("a", &e), FZ_OK); /* the first pass only */
    assert_int_equal(fault_point("b", &e), FZ_OK);
    assert_int_equal(fault_point("b", &e), FZ_OK);
    assert_int_equal(fault_point("b", &e), FZ_IO);
    assert_string_equal(e.message, "b: No space left on device");
    assert_int_equal(fault_point("b", &e), FZ_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(fault_point("c", NULL), FZ_IO);
    struct timespec t0, t1;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    assert_int_equal(fault_point("d", &e), FZ_OK);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    assert_true((t1.tv_sec - t0.tv_sec) * 1000 + (t1.tv_nsec - t0.tv_nsec) / 1000000 >= 19);
    assert_int_equal(fault_point("bad", &e), FZ_OK);
    assert_int_equal(fault_point("e", &e), FZ_OK);
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        fault_point("k", NULL);
        fault_point("k", NULL);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void groups_are_found(void **state)
{
    static const char v1[] = "9:name=systemd:/\n4:memory:/job/abc\n2:cpu,cpuacct:/x y\n";
    static const char v2[] = "0::/user.slice/a.scope\n";
    str p;
    assert_true(cgroup_path(STR(v1), STR("memory"), &p));
    assert_true(str_eqz(p, "/job/abc"));
    assert_true(cgroup_path(STR(v1), STR("cpu"), &p));
    assert_true(str_eqz(p, "/x y"));
    assert_false(cgroup_path(STR(v1), STR("cp"), &p));
    assert_false(cgroup_path(STR(v1), STR(""), &p));
    assert_true(cgroup_path(STR(v2), STR(""), &p));
    assert_true(str_eqz(p, "/user.slice/a.scope"));
    assert_false(cgroup_path(STR(""), STR("memory"), &p));
    assert_false(cgroup_path(STR("garbage\n::\n:"), STR("memory"), &p));
    assert_int_equal(cpus_of_quota(STR("200000"), STR("100000\n")), 2);
    assert_int_equal(cpus_of_quota(STR("150000"), STR("100000")), 2);
    assert_int_equal(cpus_of_quota(STR("1000"), STR("100000")), 1);
    assert_int_equal(cpus_of_quota(STR("max"), STR("100000")), INT64_MAX);
    assert_int_equal(cpus_of_quota(STR("-1"), STR("100000")), INT64_MAX);
    assert_int_equal(cpus_of_quota(STR("5"), STR("0")), INT64_MAX);
}

static void affinity_limits_the_threads(void **state)
{
    cpu_set_t old, one;
    assert_int_equal(sched_getaffinity(0, sizeof old, &old), 0);
    assert_true(cpu_count() >= 1 && cpu_count() <= CPU_COUNT(&old));
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &old)) {
            CPU_SET(i, &one);
            break;
        }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(cpu_count(), 1);
    pool *p = pool_create(NULL, -1);
    assert_int_equal(pool_width(p), 1);
    pool_destroy(p);
    sched_setaffinity(0, sizeof old, &old);
}

static void runtimes_are_counted(void **state)
{
    runtime *a, *b, *c;
    assert_int_equal(runtime_default(&a, NULL), FZ_OK);
    assert_int_equal(runtime_default(&b, NULL), FZ_OK);
    assert_ptr_equal(a, b);
    assert_true(a->root.limit > 0 && a->root.limit <= memory_available() / 2 + 1);
    assert_int_equal(pool_width(a->p), cpu_count());
    runtime_unref(a);
    assert_int_equal(pool_width(b->p), cpu_count()); /* still there */
    runtime_unref(b);
    runtime_options o = {.memory_limit = 12345, .threads = 3};
    assert_int_equal(runtime_create(&o, &c, NULL), FZ_OK);
    assert_int_equal(c->root.limit, 12345);
    assert_int_equal(pool_width(c->p), 3);
    assert_int_equal(runtime_default(&a, NULL), FZ_OK);
    assert_ptr_not_equal(a, c);
    runtime_unref(runtime_ref(c));
    runtime_unref(c);
    runtime_unref(a);
    o.memory_limit = -1;
    assert_int_equal(runtime_create(&o, &c, NULL), FZ_OK);
    assert_int_equal(c->root.limit, 0);
    runtime_unref(c);
    runtime_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passed_points_are_listed),
        cmocka_unit_test(armed_points_fire),
        cmocka_unit_test(groups_are_found),
        cmocka_unit_test(affinity_limits_the_threads),
        cmocka_unit_test(runtimes_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
