/* The file cache over a file system that counts what is asked of it. */
#include "io/cache.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE 3000000

/* A store of one content, whose bytes are a function of their place and the version. */
typedef struct store {
    io_fs base;
    uint64_t version;
    int opens, reads, wholes, fail;
    uint64_t bytes;
} store;

typedef struct store_file { io_file base; store *s; } store_file;

static uint8_t byte_of(uint64_t version, uint64_t at) { return (uint8_t)((at * 2654435761u >> 7) + version); }

static void store_submit(io_file *f, io_req *reqs, size_t n)
{
    store *s = ((store_file *)f)->s;
    for (size_t i = 0; i < n; i++) {
        s->reads++;
        s->bytes += reqs[i].len;
        reqs[i].status = s->fail ? error_set(&reqs[i].error, FZ_IO, "the store fails") : FZ_OK;
        for (size_t k = 0; k < reqs[i].len; k++)
            ((uint8_t *)reqs[i].dst)[k] = byte_of(s->version, reqs[i].offset + k);
        reqs[i].done(&reqs[i]);
    }
}

static void store_close(io_file *f)
{
    free(f->path);
    free(f);
}

static const struct io_file_ops store_ops = {.submit = store_submit, .close = store_close};

static fz_status store_sized(const io_fs *fs, const char *path, uint64_t size, mem *m, io_file **out, fz_error *err)
{
    store_file *f = calloc(1, sizeof *f);
    f->base = (io_file){.ops = &store_ops, .path = strdup(path), .size = size, .m = m};
    f->s = (store *)fs;
    *out = &f->base;
    return FZ_OK;
}

static fz_status store_open(const io_fs *fs, const char *path, mem *m, io_file **out, fz_error *err)
{
    store *s = (store *)fs;
    s->opens++;
    store_sized(fs, path, SIZE, m, out, err);
    (*out)->version = s->version;
    return FZ_OK;
}

static fz_status store_whole(const io_fs *fs, const char *path, mem *m, size_t max, buf **out, fz_error *err)
{
    store *s = (store *)fs;
    s->wholes++;
    *out = buf_new(m, 5000);
    for (size_t k = 0; k < 5000; k++)
        (*out)->data[k] = byte_of(s->version, k);
    return FZ_OK;
}

typedef struct fixture {
    mem m;
    char root[64];
    store s;
    file_cache *c;
    io_fs *fs;
} fixture;

static void cache_open(fixture *f, const char *dir, uint64_t max, const char *scope)
{
    fz_error e;
    f->c = file_cache_new(dir, max, &f->m);
    assert_int_equal(cached_fs_new(f->c, &f->s.base, scope, &f->m, &f->fs, &e), FZ_OK);
}

static void cache_close(fixture *f)
{
    f->fs->close(f->fs);
    file_cache_unref(f->c);
}

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    mem_init(&f->m, NULL, NULL, -1);
    strcpy(f->root, "/tmp/frazil-cache-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    f->s = (store){.base = {.scheme = "x", .open = store_open, .open_sized = store_sized, .read_all = store_whole}, .version = 7};
    cache_open(f, f->root, 0, "one");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    char command[128];
    cache_close(f);
    assert_int_equal(f->m.used, 0);
    snprintf(command, sizeof command, "rm -rf %s", f->root);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void check(fixture *f, io_file *file, uint64_t at, size_t n)
{
    static uint8_t b[SIZE];
    fz_error e = {0};
    if (io_read(file, at, b, n, &e) != FZ_OK)
        fail_msg("%s", e.message);
    for (size_t i = 0; i < n; i++)
        if (b[i] != byte_of(f->s.version, at + i))
            fail_msg("byte %zu of a read at %llu is wrong", i, (unsigned long long)at);
}

static io_file *opened(fixture *f, const char *path, int64_t size)
{
    io_file *file;
    fz_error e;
    if (size < 0)
        assert_int_equal(f->fs->open(f->fs, path, &f->m, &file, &e), FZ_OK);
    else
        assert_int_equal(f->fs->open_sized(f->fs, path, (uint64_t)size, &f->m, &file, &e), FZ_OK);
    return file;
}

static void what_was_read_is_not_asked_for_again(void **state)
{
    fixture *f = *state;
    io_file *a = opened(f, "x://b/source.csv", -1);
    for (uint64_t at = 0; at < SIZE; at += 1 << 20)
        check(f, a, at, SIZE - at < 1 << 20 ? SIZE - at : 1 << 20);
    io_close(a);
    int reads = f->s.reads;
    assert_int_equal(reads, 3);
    a = opened(f, "x://b/source.csv", -1);
    check(f, a, 0, SIZE);
    check(f, a, 1048570, 20); /* over two pieces, in part */
    for (int i = 0; i < 300; i++)
        check(f, a, (uint64_t)(rand() % (SIZE - 5000)), (size_t)(rand() % 5000));
    io_close(a);
    assert_int_equal(f->s.reads, reads);
    assert_int_equal(f->s.opens, 2); /* each asks for the version */
    fz_error e;
    uint8_t b[10];
    a = opened(f, "x://b/source.csv", -1);
    assert_int_equal(io_read(a, SIZE - 5, b, 10, &e), FZ_DATA);
    io_close(a);
}

static void a_new_version_is_another_file(void **state)
{
    fixture *f = *state;
    io_file *a = opened(f, "x://b/source.csv", -1);
    check(f, a, 0, 100000);
    io_close(a);
    f->s.version = 8;
    a = opened(f, "x://b/source.csv", -1);
    check(f, a, 0, 100000);
    io_close(a);
    assert_int_equal(f->s.reads, 2);
    f->s.version = 0; /* not known: not kept */
    for (int i = 0; i < 2; i++) {
        a = opened(f, "x://b/source.csv", -1);
        check(f, a, 0, 100000);
        io_close(a);
    }
    assert_int_equal(f->s.reads, 4);
}

static void small_reads_take_their_surroundings_along(void **state)
{
    fixture *f = *state;
    io_file *a = opened(f, "x://b/data.parquet", SIZE);
    check(f, a, SIZE - 8, 8);
    check(f, a, SIZE - 5000, 4000);
    for (int i = 0; i < 50; i++)
        check(f, a, 1000000 + (uint64_t)i * 1000, 10);
    io_close(a);
    assert_int_equal(f->s.opens, 0); /* its size is known */
    assert_true(f->s.reads <= 4); /* to the next multiple of 64 kB each */
    assert_true(f->s.bytes <= 3 * 65536 + 5000);
    a = opened(f, "x://b/data.parquet", SIZE - 1); /* another size is another file */
    check(f, a, 0, 10);
    io_close(a);
}

static void metadata_is_kept_by_its_name(void **state)
{
    static const struct { const char *path; int asked; } cases[] = {
        {"x://b/t/metadata/00001-f47ac10b-58cc-4372-a567-0e02b2c3d479.metadata.json", 1},
        {"x://b/t/metadata/snap-123-0-f47ac10b-58cc-4372-a567-0e02b2c3d479.avro", 1},
        {"x://b/t/metadata/v3.metadata.json", 2}, {"x://b/t/metadata/version-hint.text", 2}, {"x://b/t/metadata/00001-f47ac10b.metadata.json", 2},
    };
    fixture *f = *state;
    fz_error e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        f->s.wholes = 0;
        for (int k = 0; k < 2; k++) {
            buf *b;
            assert_int_equal(f->fs->read_all(f->fs, cases[i].path, &f->m, 1 << 20, &b, &e), FZ_OK);
            assert_int_equal(b->size, 5000);
            assert_int_equal(b->data[4999], byte_of(7, 4999));
            buf_unref(b);
        }
        assert_int_equal(f->s.wholes, cases[i].asked);
    }
}

/* Every file below the cache's folder. */
static int each_file(const char *dir, void (*fn)(const char *path))
{
    int n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[600];
        struct stat sb;
        if (e->d_name[0] == '.' && (!e->d_name[1] || e->d_name[1] == '.'))
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        lstat(path, &sb);
        if (S_ISDIR(sb.st_mode)) {
            n += each_file(path, fn);
        } else {
            n++;
            if (fn)
                fn(path);
        }
    }
    if (d)
        closedir(d);
    return n;
}

static void damage(const char *path)
{
    int fd = open(path, O_RDWR);
    char c;
    if (pread(fd, &c, 1, 3) == 1) { /* the lock is empty */
        c ^= 1;
        assert_int_equal(pwrite(fd, &c, 1, 3), 1);
    }
    close(fd);
}

static void cut(const char *path) { assert_int_equal(truncate(path, 100), 0); }
static void drop(const char *path) { assert_int_equal(unlink(path), 0); }

static void damaged_pieces_are_asked_for_again(void **state)
{
    static void (*const how[])(const char *) = {damage, cut, drop};
    fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        for (int round = 0; round < 2; round++) {
            io_file *a = opened(f, "x://b/source.csv", -1);
            if (round) /* also while the file is open */
                each_file(f->root, how[i]);
            check(f, a, 0, 1000000);
            check(f, a, 500, 1000);
            io_close(a);
            if (!round)
                each_file(f->root, how[i]);
        }
        io_file *a = opened(f, "x://b/source.csv", -1);
        check(f, a, 0, 1000000);
        io_close(a);
    }
}

static fz_status count_one(void *ctx, const cache_entry_info *e, fz_error *err)
{
    assert_string_equal(e->location, "x://b/source.csv");
    assert_int_equal(e->size, SIZE);
    assert_true(e->bytes > 200000 && e->bytes < 210000 && e->used_us > 1600000000000000);
    ++*(int *)ctx;
    return FZ_OK;
}

static void it_is_listed_and_cleared(void **state)
{
    fixture *f = *state;
    fz_error e;
    io_file *a = opened(f, "x://b/source.csv", -1);
    check(f, a, 0, 200000);
    io_close(a);
    int n = 0;
    uint64_t bytes;
    assert_int_equal(file_cache_list(f->c, count_one, &n, &e), FZ_OK);
    assert_int_equal(n, 1);
    assert_int_equal(file_cache_clear(f->c, &bytes, &e), FZ_OK);
    assert_true(bytes > 200000);
    n = 0;
    assert_int_equal(file_cache_list(f->c, count_one, &n, &e), FZ_OK);
    assert_int_equal(n, 0);
}

static void it_is_bounded(void **state)
{
    fixture *f = *state;
    fz_error e;
    cache_close(f);
    cache_open(f, f->root, 2000000, "one");
    for (int i = 0; i < 10; i++) {
        char path[64];
        snprintf(path, sizeof path, "x://b/%d", i);
        io_file *a = opened(f, path, -1);
        check(f, a, 0, 500000);
        io_close(a);
        usleep(5000);
    }
    uint64_t bytes;
    int reads = f->s.reads;
    io_file *a = opened(f, "x://b/9", -1);
    check(f, a, 0, 500000);
    io_close(a);
    assert_int_equal(f->s.reads, reads); /* the newest is there */
    assert_int_equal(file_cache_clear(f->c, &bytes, &e), FZ_OK);
    assert_true(bytes <= 2000000 + 500000);
}

static void servers_and_folders_are_told_apart(void **state)
{
    fixture *f = *state;
    io_file *a = opened(f, "x://b/1", -1);
    check(f, a, 0, 1000);
    io_close(a);
    cache_close(f);
    cache_open(f, f->root, 0, "another");
    a = opened(f, "x://b/1", -1);
    check(f, a, 0, 1000);
    io_close(a);
    assert_int_equal(f->s.reads, 2);
    cache_close(f);
    cache_open(f, "/proc/no/such/folder", 0, NULL); /* no folder: no cache, no error */
    for (int i = 0; i < 2; i++) {
        a = opened(f, "x://b/1", -1);
        check(f, a, 0, 1000);
        io_close(a);
    }
    assert_int_equal(f->s.reads, 4);
}

static void errors_of_the_store_are_passed_on(void **state)
{
    fixture *f = *state;
    fz_error e;
    uint8_t b[10];
    io_file *a = opened(f, "x://b/1", -1);
    f->s.fail = 1;
    assert_int_equal(io_read(a, 0, b, 10, &e), FZ_IO);
    f->s.fail = 0;
    check(f, a, 0, 10);
    io_close(a);
}

static void processes_share_it(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 8; i++)
        if (fork() == 0) {
            srand((unsigned)i);
            for (int round = 0; round < 20; round++) {
                io_file *a;
                fz_error e;
                static uint8_t b[100000];
                if (f->fs->open(f->fs, "x://b/shared", &f->m, &a, &e) != FZ_OK)
                    _exit(2);
                for (int k = 0; k < 20; k++) {
                    uint64_t at = (uint64_t)(rand() % (SIZE - 100000));
                    if (io_read(a, at, b, sizeof b, &e) != FZ_OK || b[0] != byte_of(7, at) || b[99999] != byte_of(7, at + 99999))
                        _exit(3);
                }
                io_close(a);
                if (i == 7 && round % 5 == 0)
                    file_cache_clear(f->c, NULL, NULL);
            }
            _exit(0);
        }
    for (int i = 0; i < 8; i++) {
        int status;
        wait(&status);
        assert_int_equal(status, 0);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_was_read_is_not_asked_for_again), TEST(a_new_version_is_another_file), TEST(small_reads_take_their_surroundings_along),
        TEST(metadata_is_kept_by_its_name), TEST(damaged_pieces_are_asked_for_again), TEST(it_is_listed_and_cleared), TEST(it_is_bounded),
        TEST(servers_and_folders_are_told_apart), TEST(errors_of_the_store_are_passed_on), TEST(processes_share_it),
    };
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}
