/* Local files: reading, durable writing, failures that leave nothing behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/io.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char root[64];
static char path_buf[4][400];

static const char *at(int slot, const char *name)
{
    snprintf(path_buf[slot], sizeof path_buf[slot], "%s/%s", root, name);
    return path_buf[slot];
}

static int setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof root, "%.40s/fz-io-XXXXXX", tmp && tmp[0] ? tmp : "/tmp");
    return mkdtemp(root) ? 0 : -1;
}

static fz_status remove_one(void *ctx, const char *path, const io_stat_info *info, fz_error *err)
{
    return io_remove(NULL, path, err);
}

static int teardown(void **state)
{
    static const char *const dirs[] = {"d/e/f", "d/e", "d", "race/a/b", "race/a", "race", "list/sub/deep", "list/sub", "list", "ro", ""};
    io_list(NULL, root, remove_one, NULL, NULL);
    unlink(at(0, "fifo"));
    unlink(at(0, "list/loop"));
    unlink(at(0, "list/alias"));
    unlink(at(0, "list/dangling"));
    chmod(at(0, "ro"), 0700);
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
        rmdir(at(0, dirs[i]));
    return access(root, F_OK) == 0 ? -1 : 0; /* nothing may be left over */
}

static void locations_are_understood(void **state)
{
    assert_string_equal(io_local_path("file:///a/b%20c"), "/a/b%20c");
    assert_string_equal(io_local_path("file:/a/b"), "/a/b");
    assert_string_equal(io_local_path("FILE:///a"), "/a");
    assert_string_equal(io_local_path("/a/b"), "/a/b");
    assert_string_equal(io_local_path("rel:name"), "rel:name");
    assert_string_equal(io_local_path("./s3://x"), "./s3://x");
    assert_null(io_local_path("s3://bucket/key"));
    assert_null(io_local_path("file://host/a"));
    io_file *f;
    fz_error e;
    assert_int_equal(io_open(NULL, "s3://bucket/key", NULL, &f, &e), FZ_UNSUPPORTED);
    assert_string_equal(e.message, "locations of scheme s3:// aren't supported");
    assert_string_equal(e.where, "s3://bucket/key");
    assert_int_equal(io_open(NULL, "file://host/key", NULL, &f, &e), FZ_UNSUPPORTED);
    assert_int_equal(io_open(NULL, "", NULL, &f, &e), FZ_INVALID);
    assert_null(f);
}

static void small_files_go_there_and_back(void **state)
{
    mem m;
    fz_error e;
    buf *b;
    mem_init(&m, NULL, NULL, 0);
    const char *p = at(0, "d/e/f/small"); /* directories are made */
    assert_int_equal(io_write_all(NULL, p, &m, "hello", 5, &e), FZ_OK);
    assert_int_equal(io_read_all(NULL, p, &m, 5, &b, &e), FZ_OK);
    assert_int_equal(b->size, 5);
    assert_memory_equal(b->data, "hello", 5);
    buf_unref(b);
    assert_int_equal(io_read_all(NULL, p, &m, 4, &b, &e), FZ_LIMIT);
    assert_null(b);
    assert_int_equal(io_write_all(NULL, p, &m, "other", 5, &e), FZ_EXISTS);
    assert_string_equal(e.where, p);
    assert_int_equal(io_read_all(NULL, p, &m, 100, &b, &e), FZ_OK);
    assert_memory_equal(b->data, "hello", 5); /* untouched */
    buf_unref(b);
    assert_int_equal(io_write_all(NULL, at(1, "d/empty"), &m, NULL, 0, &e), FZ_OK);
    assert_int_equal(io_read_all(NULL, at(1, "d/empty"), &m, 0, &b, &e), FZ_OK);
    assert_int_equal(b->size, 0);
    buf_unref(b);
    io_stat_info info;
    assert_int_equal(io_stat(NULL, p, &info, &e), FZ_OK);
    assert_int_equal(info.size, 5);
    assert_true(!info.is_dir && info.mtime_us > 1500000000000000);
    assert_int_equal(io_stat(NULL, at(1, "d"), &info, &e), FZ_OK);
    assert_true(info.is_dir);
    assert_int_equal(io_remove(NULL, p, &e), FZ_OK);
    assert_int_equal(io_remove(NULL, p, &e), FZ_NOT_FOUND);
    assert_int_equal(io_stat(NULL, p, &info, &e), FZ_NOT_FOUND);
    assert_int_equal(io_open(NULL, p, &m, &(io_file *){NULL}, &e), FZ_NOT_FOUND);
    assert_string_equal(e.where, p);
    assert_int_equal(m.used, 0);
}

static unsigned char byte_at(uint64_t i) { return (unsigned char)((i * 2654435761u) >> 13); }

static void large_files_are_written_in_pieces(void **state)
{
    static unsigned char piece[700000];
    const char *p = at(0, "large");
    io_writer *w;
    io_file *f;
    fz_error e;
    uint64_t total = 0;
    assert_int_equal(io_create(NULL, p, NULL, &w, &e), FZ_OK);
    for (size_t n = 1; total < 12 << 20; n = n * 7 % 699967 + 1) {
        for (size_t i = 0; i < n; i++)
            piece[i] = byte_at(total + i);
        assert_int_equal(io_write(w, piece, n, &e), FZ_OK);
        total += n;
        assert_int_equal(w->pos, total);
    }
    assert_int_equal(io_writer_finish(w, &e), FZ_OK);
    assert_int_equal(io_open(NULL, p, NULL, &f, &e), FZ_OK);
    assert_int_equal(f->size, total);
    for (uint64_t o = 0; o + 1000 < total; o += 54321) {
        assert_int_equal(io_read(f, o, piece, 1000, &e), FZ_OK);
        for (int i = 0; i < 1000; i++)
            assert_int_equal(piece[i], byte_at(o + (uint64_t)i));
    }
    assert_int_equal(io_read(f, total - 10, piece, 11, &e), FZ_DATA);
    assert_string_equal(e.where, p);
    assert_int_equal(e.offset, (int64_t)total - 10);
    assert_int_equal(io_read(f, total + 5, piece, 1, &e), FZ_DATA);
    assert_int_equal(io_read(f, UINT64_MAX - 2, piece, 10, &e), FZ_DATA);
    assert_int_equal(io_read(f, total, piece, 0, &e), FZ_OK);
    io_close(f);
    io_close(NULL);
}

static int completions;
static void count_done(io_req *r) { completions += *(int *)r->ctx; }

static void requests_complete_each(void **state)
{
    const char *p = at(0, "reqs");
    io_file *f;
    fz_error e;
    char a[4], b[4], c[4];
    int one = 1, ten = 10, hundred = 100;
    assert_int_equal(io_write_all(NULL, p, NULL, "0123456789", 10, &e), FZ_OK);
    assert_int_equal(io_open(NULL, p, NULL, &f, &e), FZ_OK);
    io_req r[3] = {{.offset = 6, .len = 4, .dst = a, .done = count_done, .ctx = &one},
                   {.offset = 8, .len = 4, .dst = b, .done = count_done, .ctx = &ten},
                   {.offset = 0, .len = 4, .dst = c, .done = count_done, .ctx = &hundred}};
    io_submit(f, r, 3);
    assert_int_equal(completions, 111);
    assert_int_equal(r[0].status, FZ_OK);
    assert_memory_equal(a, "6789", 4);
    assert_int_equal(r[1].status, FZ_DATA);
    assert_string_equal(r[1].error.message, "the file ends at byte 10; 2 more were expected");
    assert_int_equal(r[2].status, FZ_OK);
    assert_memory_equal(c, "0123", 4);
    io_close(f);
}

static void only_regular_files_are_opened(void **state)
{
    io_file *f;
    fz_error e;
    char expect[200];
    assert_int_equal(io_open(NULL, root, NULL, &f, &e), FZ_INVALID);
    snprintf(expect, sizeof expect, "%s is a directory, not a file", root);
    assert_string_equal(e.message, expect);
    const char *p = at(0, "fifo");
    assert_int_equal(mkfifo(p, 0600), 0);
    assert_int_equal(io_open(NULL, p, NULL, &f, &e), FZ_INVALID); /* and doesn't wait for a writer */
    snprintf(expect, sizeof expect, "%s is a pipe; only a regular file can be read here", p);
    assert_string_equal(e.message, expect);
    assert_int_equal(io_open(NULL, "/dev/null", NULL, &f, &e), FZ_INVALID);
    assert_int_equal(io_write_all(NULL, at(1, "reqs/below"), NULL, "x", 1, &e), FZ_IO); /* below a file */
}

static void an_abort_leaves_nothing(void **state)
{
    const char *p = at(0, "aborted");
    io_writer *w;
    fz_error e;
    assert_int_equal(io_create(NULL, p, NULL, &w, &e), FZ_OK);
    assert_int_equal(access(p, F_OK), 0);
    assert_int_equal(io_write(w, "abc", 3, &e), FZ_OK);
    io_writer_abort(w);
    assert_int_equal(access(p, F_OK), -1);
    io_writer_abort(NULL);
}

/* The file size limit of the process stands in for a full disk. */
static void a_failing_write_is_told_and_undone(void **state)
{
    static char block[300000];
    const char *p = at(0, "full");
    struct rlimit old, tight;
    io_writer *w;
    fz_error e;
    getrlimit(RLIMIT_FSIZE, &old);
    tight = (struct rlimit){500000, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    for (int how = 0; how < 2; how++) {
        assert_int_equal(io_create(NULL, p, NULL, &w, &e), FZ_OK);
        setrlimit(RLIMIT_FSIZE, &tight);
        fz_status st = io_write(w, block, sizeof block, &e);
        assert_int_equal(st, FZ_OK);
        st = io_write(w, block, how ? sizeof block : 250000, &e);
        if (how) {
            assert_int_equal(st, FZ_IO);
            assert_string_equal(e.message, "writing: File too large");
            assert_string_equal(e.where, p);
            assert_int_equal(io_write(w, block, 1, &e), FZ_IO); /* and stays so */
        }
        st = io_writer_finish(w, &e); /* how 0: the failure shows when the buffer is written */
        setrlimit(RLIMIT_FSIZE, &old);
        assert_int_equal(st, FZ_IO);
        assert_string_equal(e.where, p);
        assert_int_equal(access(p, F_OK), -1);
    }
}

static int without_permission(void)
{
    fz_error e;
    if (io_write_all(NULL, at(1, "ro/x"), NULL, "x", 1, &e) != FZ_IO ||
        strcmp(e.message, "creating the file: Permission denied") != 0)
        return 1;
    if (io_write_all(NULL, at(1, "ro/y/x"), NULL, "x", 1, &e) != FZ_IO ||
        strcmp(e.message, "making the directory: Permission denied") != 0)
        return 2;
    return 0;
}

static void a_directory_without_permission(void **state)
{
    int status;
    mkdir(at(0, "ro"), 0555);
    chmod(root, 0755);
    if (fork() == 0) /* root may write everywhere: be somebody else */
        _exit(geteuid() == 0 && setuid(65534) != 0 ? 3 : without_permission());
    wait(&status);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Each fault point in turn, in a child: error leaves no file, kill leaves at most an
 * unfinished one, and after io.finished the file is whole. */
static void every_step_may_fail(void **state)
{
    static const char *const points[] = {"io.create", "io.write", "io.sync", "io.dirsync", "io.finished"};
    static const char *const actions[] = {"error", "enospc", "kill"};
    const char *p = at(0, "faulty");
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        for (int k = 0; k < 3; k++) {
            char spec[64];
            int status;
            snprintf(spec, sizeof spec, "%s=%s", points[i], actions[k]);
            pid_t pid = fork();
            if (pid == 0) {
                fz_error e = {0};
                setenv("FRAZIL_FAULT", spec, 1);
                fz_status st = io_write_all(NULL, p, NULL, "whole", 5, &e);
                _exit(st == FZ_IO && strcmp(e.where, p) == 0 && access(p, F_OK) != 0 ? 42 : 1);
            }
            waitpid(pid, &status, 0);
            struct stat sb;
            if (k < 2) {
                assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
                assert_int_equal(stat(p, &sb), -1);
            } else {
                assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
                assert_int_equal(stat(p, &sb), i == 0 ? -1 : 0);
                if (i > 1)
                    assert_int_equal(sb.st_size, 5);
                unlink(p);
            }
        }
}

/* Several processes make the same directories at once. */
static void directories_may_be_made_together(void **state)
{
    char name[100];
    for (int i = 0; i < 4; i++)
        if (fork() == 0) {
            int bad = 0;
            for (int k = 0; k < 20; k++) {
                snprintf(name, sizeof name, "race/a/b/%d-%d", i, k);
                bad += io_write_all(NULL, at(0, name), NULL, "x", 1, NULL) != FZ_OK;
            }
            _exit(bad);
        }
    for (int i = 0; i < 4; i++) {
        int status;
        wait(&status);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

struct listed { int files; uint64_t bytes; bool prefixed; };
static fz_status list_one(void *ctx, const char *path, const io_stat_info *info, fz_error *err)
{
    struct listed *l = ctx;
    l->files++;
    l->bytes += info->size;
    l->prefixed = l->prefixed && strncmp(path, "file:///", 8) == 0 && !strstr(path + 8, "//");
    buf *b; /* the path can be used as it is */
    TRY(io_read_all(NULL, path, NULL, 1000, &b, err));
    buf_unref(b);
    return l->files == 100 ? error_set(err, FZ_LIMIT, "enough") : FZ_OK;
}

static void files_are_listed(void **state)
{
    fz_error e;
    char location[200];
    assert_int_equal(io_write_all(NULL, at(0, "list/one"), NULL, "1", 1, &e), FZ_OK);
    assert_int_equal(io_write_all(NULL, at(0, "list/sub/two"), NULL, "22", 2, &e), FZ_OK);
    assert_int_equal(io_write_all(NULL, at(0, "list/sub/deep/three"), NULL, "333", 3, &e), FZ_OK);
    assert_int_equal(symlink("..", at(0, "list/loop")), 0);
    assert_int_equal(symlink("nowhere", at(0, "list/dangling")), 0);
    assert_int_equal(symlink("one", at(0, "list/alias")), 0);
    snprintf(location, sizeof location, "file://%s/", at(0, "list"));
    struct listed l = {.prefixed = true};
    assert_int_equal(io_list(NULL, location, list_one, &l, &e), FZ_OK);
    assert_int_equal(l.files, 4);
    assert_int_equal(l.bytes, 7);
    assert_true(l.prefixed);
    l = (struct listed){.files = 98, .prefixed = true};
    assert_int_equal(io_list(NULL, location, list_one, &l, &e), FZ_LIMIT);
    assert_string_equal(e.message, "enough");
    assert_int_equal(io_list(NULL, at(0, "nothing"), list_one, &l, &e), FZ_NOT_FOUND);
    assert_int_equal(io_list(NULL, at(0, "list/one"), list_one, &l, &e), FZ_IO);
    assert_int_equal(io_remove(NULL, at(0, "list"), &e), FZ_IO); /* not empty */
    mkdir(at(0, "list/empty"), 0700);
    assert_int_equal(io_remove(NULL, at(0, "list/empty"), &e), FZ_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_may_fail), /* first: the environment is read once per process */
        cmocka_unit_test(locations_are_understood),
        cmocka_unit_test(small_files_go_there_and_back),
        cmocka_unit_test(large_files_are_written_in_pieces),
        cmocka_unit_test(requests_complete_each),
        cmocka_unit_test(only_regular_files_are_opened),
        cmocka_unit_test(an_abort_leaves_nothing),
        cmocka_unit_test(a_failing_write_is_told_and_undone),
        cmocka_unit_test(a_directory_without_permission),
        cmocka_unit_test(directories_may_be_made_together),
        cmocka_unit_test(files_are_listed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
