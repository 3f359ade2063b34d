/*
 * test_settle.c: durability that is put off: what is synced, how often, when, and what a failure of it means. fsync is this
 * program's own: it notes the path and passes the call on, or fails. (run with tsan)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/io.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOTES = 2000 };

static struct { char path[NOTES][160]; int n; int fail_at; } note; /* fail_at: the how manieth fails; 0: none */
static pthread_mutex_t note_lock = PTHREAD_MUTEX_INITIALIZER;
static char root[64];

int fsync(int fd);
int fsync(int fd)
{
    char link[40];
    int fails;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    pthread_mutex_lock(&note_lock);
    ssize_t n = note.n < NOTES ? readlink(link, note.path[note.n], sizeof note.path[0] - 1) : -1;
    if (n >= 0)
        note.path[note.n++][n] = 0;
    fails = note.fail_at && note.n == note.fail_at;
    pthread_mutex_unlock(&note_lock);
    if (fails) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static int noted(const char *path)
{
    int n = 0;
    for (int i = 0; i < note.n; i++)
        n += strcmp(note.path[i], path) == 0;
    return n;
}

static int open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static const char *in_root(const char *format, int a, int b)
{
    static __thread char path[8][200], name[100];
    static __thread int next;
    char *p = path[next++ & 7];
    snprintf(name, sizeof name, format, a, b);
    snprintf(p, sizeof path[0], "%s/%s", root, name);
    return p;
}

static mem m;
static file_io *io;

static int set_up(void **state)
{
    snprintf(root, sizeof root, "/tmp/frazil-settle-XXXXXX");
    mem_init(&m, NULL, NULL, 0);
    note.n = note.fail_at = 0;
    return mkdtemp(root) && (io = file_io_deferring(&m, NULL)) ? 0 : -1;
}

static int tear_down(void **state)
{
    char cmd[100];
    file_io_unref(io);
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", root);
    return system(cmd) == 0 && m.used == 0 ? 0 : -1;
}

static void fine(fz_status st, const fz_error *e)
{
    if (st != FZ_OK)
        fail_msg("%d %s (%s)", st, e->message, e->where);
}

static void make(const char *path)
{
    fz_error e = {0};
    fine(io_write_all(io, path, &m, "rows", 4, &e), &e);
}

static void each_file_and_folder_once(void **state)
{
    enum { FOLDERS = 50, FILES = 4 };
    fz_error e = {0};
    int before = open_files();
    for (int i = 0; i < FOLDERS; i++)
        for (int k = 0; k < FILES; k++) {
            make(in_root("t/data/p=%d/f%d", i, k));
            assert_true(open_files() - before <= 64);
        }
    assert_int_not_equal(note.n, 0); /* what would have been too many to keep open */
    assert_int_equal(noted(in_root("t/data/p=%d", 0, 0)), 0);
    fine(io_settle(io, &e), &e);
    assert_int_equal(open_files(), before);
    for (int i = 0; i < FOLDERS; i++) {
        assert_int_equal(noted(in_root("t/data/p=%d", i, 0)), 1);
        for (int k = 0; k < FILES; k++)
            assert_int_equal(noted(in_root("t/data/p=%d/f%d", i, k)), 1);
    }
    /* the folders that were made on the way are in folders, too */
    assert_int_equal(noted(in_root("t/data", 0, 0)), 1);
    assert_int_equal(noted(in_root("t", 0, 0)), 1);
    assert_int_equal(noted(root), 1);
    assert_int_equal(note.n, FOLDERS * FILES + FOLDERS + 3);
    fine(io_settle(io, &e), &e);
    assert_int_equal(note.n, FOLDERS * FILES + FOLDERS + 3); /* nothing is left to do */
    make(in_root("t/data/p=%d/f%d", 1, 99));
    fine(io_settle(io, &e), &e);
    assert_int_equal(noted(in_root("t/data/p=%d", 1, 0)), 2); /* a new name in it */
}

static void others_are_durable_at_once(void **state)
{
    fz_error e = {0};
    fine(io_write_all(NULL, in_root("a/now", 0, 0), &m, "rows", 4, &e), &e);
    assert_int_equal(noted(in_root("a/now", 0, 0)), 1);
    assert_int_equal(noted(in_root("a", 0, 0)), 1);
    fine(io_settle(NULL, &e), &e);
    /* one over another: its own files and the lower one's */
    file_io *upper = file_io_new(&m, io);
    fine(io_write_all(upper, in_root("a/later", 0, 0), &m, "rows", 4, &e), &e);
    assert_int_equal(noted(in_root("a/later", 0, 0)), 0);
    buf *b;
    fine(io_read_all(upper, in_root("a/later", 0, 0), &m, 100, &b, &e), &e); /* it is complete meanwhile */
    assert_int_equal(b->size, 4);
    buf_unref(b);
    fine(io_settle(upper, &e), &e);
    assert_int_equal(noted(in_root("a/later", 0, 0)), 1);
    file_io_unref(upper);
    assert_int_equal(io_write_all(io, in_root("a/later", 0, 0), &m, "x", 1, &e), FZ_EXISTS);
}

static void removed_before(void **state)
{
    fz_error e = {0};
    int before = open_files();
    make(in_root("d/one", 0, 0));
    make(in_root("d/two", 0, 0));
    fine(io_remove(io, in_root("d/one", 0, 0), &e), &e);
    assert_int_equal(open_files() - before, 1);
    assert_int_equal(io_remove(io, in_root("d/one", 0, 0), &e), FZ_NOT_FOUND);
    fine(io_settle(io, &e), &e);
    assert_int_equal(noted(in_root("d/two", 0, 0)), 1);
    assert_int_equal(note.n, 3);
    assert_int_equal(access(in_root("d/one", 0, 0), F_OK), -1);
    /* what is forgotten with its file_io is closed, not synced */
    make(in_root("d/three", 0, 0));
    file_io_unref(io);
    io = NULL;
    assert_int_equal(note.n, 3);
    assert_int_equal(open_files(), before);
}

/* A write that the device lost is reported once by the kernel: after it nothing written through this counts as durable. */
static void a_failure_stays(void **state)
{
    fz_error e = {0};
    int before = open_files();
    for (int i = 0; i < 10; i++)
        make(in_root("x/f%d", i, 0));
    note.fail_at = 5;
    assert_int_equal(io_settle(io, &e), FZ_IO);
    assert_non_null(strstr(e.message, "syncing"));
    assert_non_null(strstr(e.where, root));
    note.fail_at = 0;
    fz_error again = {0};
    assert_int_equal(io_settle(io, &again), FZ_IO);
    assert_string_equal(again.message, e.message);
    assert_int_equal(open_files(), before);
    /* in the middle of many files, the one that comes next hears of it, and isn't there */
    file_io_unref(io);
    io = file_io_deferring(&m, NULL);
    note.n = 0;
    note.fail_at = 3;
    fz_status st = FZ_OK;
    int i = 0;
    for (; i < 200 && st == FZ_OK; i++)
        st = io_write_all(io, in_root("y/f%d", i, 0), &m, "rows", 4, &e);
    assert_int_equal(st, FZ_IO);
    assert_int_equal(access(in_root("y/f%d", i - 1, 0), F_OK), -1);
    assert_int_equal(io_settle(io, &e), FZ_IO);
}

static void *many(void *arg)
{
    int nr = *(int *)arg;
    for (int i = 0; i < 40; i++) {
        if (io_write_all(io, in_root("w%d/f%d", nr, i), &m, "rows", 4, NULL) != FZ_OK)
            return arg;
        if (i % 16 == 0 && io_settle(io, NULL) != FZ_OK)
            return arg;
    }
    return NULL;
}

static void writers_share_one(void **state)
{
    pthread_t t[4];
    int nr[4];
    void *bad;
    fz_error e = {0};
    for (int i = 0; i < 4; i++) {
        nr[i] = i;
        mkdir(in_root("w%d", i, 0), 0755);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, many, &nr[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], &bad);
        assert_null(bad);
    }
    fine(io_settle(io, &e), &e);
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 40; k++)
            assert_int_equal(noted(in_root("w%d/f%d", i, k)), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_file_and_folder_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(others_are_durable_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(removed_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failure_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(writers_share_one, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
