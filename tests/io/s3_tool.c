/* s3_tool.c: remote files from the command line, for tests with real servers:
 *
 *   s3_tool [key=value…] put LOCATION FILE | get LOCATION FILE | open LOCATION FILE OFFSET:LEN… | sized LOCATION SIZE FILE OFFSET:LEN…
 *           | ahead LOCATION FILE PIECE | ls LOCATION | stat LOCATION | rm LOCATION… | give-up LOCATION BYTES
 *
 * Prints "error <status>: <message> [where]" and ends with 1 where it fails. */
#include "io/storage.h"

#include <stdio.h>
#include <stdlib.h>

static int failed(const fz_error *e)
{
    printf("error %s: %s [%s] %s\n", status_name(e->status), e->message, e->where, e->sqlstate);
    return 1;
}

static fz_status print_file(void *ctx, const char *path, const io_stat_info *info, fz_error *err)
{
    printf("%llu %s\n", (unsigned long long)info->size, path);
    return FZ_OK;
}

static int save(const char *file, const void *p, size_t n)
{
    FILE *f = fopen(file, "wb");
    int bad = !f || fwrite(p, 1, n, f) != n;
    return (f ? fclose(f) : 0) || bad;
}

static fz_status put(const file_io *io, mem *m, const char *location, const char *file, fz_error *err)
{
    static char piece[100000];
    io_writer *w;
    FILE *f = fopen(file, "rb");
    size_t n;
    fz_status st = io_create(io, location, m, &w, err);
    while (st == FZ_OK && (n = fread(piece, 1, sizeof piece, f)) > 0)
        if ((st = io_write(w, piece, n, err)) != FZ_OK)
            io_writer_abort(w);
    fclose(f);
    return st == FZ_OK ? io_writer_finish(w, err) : st;
}

static fz_status ranges(io_file *f, const char *file, char **args, int n, fz_error *err)
{
    FILE *out = fopen(file, "wb");
    fz_status st = FZ_OK;
    for (int i = 0; i < n && st == FZ_OK; i++) {
        unsigned long long at = 0, len = 0;
        sscanf(args[i], "%llu:%llu", &at, &len);
        char *p = malloc(len + 1);
        st = io_read(f, at, p, len, err);
        fwrite(p, 1, st == FZ_OK ? len : 0, out);
        free(p);
    }
    fclose(out);
    return st;
}

/* All of the file in pieces, told beforehand. */
static fz_status ahead(io_file *f, const char *file, size_t piece, fz_error *err)
{
    FILE *out = fopen(file, "wb");
    size_t n = (size_t)((f->size + piece - 1) / piece);
    io_range *r = calloc(n + 1, sizeof *r);
    char *p = malloc(piece);
    fz_status st = FZ_OK;
    for (size_t i = 0; i < n; i++)
        r[i] = (io_range){i * piece, i + 1 < n ? piece : f->size - i * piece};
    io_will_read(f, r, n);
    for (size_t i = 0; i < n && st == FZ_OK; i++) {
        st = io_read(f, r[i].offset, p, r[i].len, err);
        fwrite(p, 1, st == FZ_OK ? r[i].len : 0, out);
    }
    free(p);
    free(r);
    fclose(out);
    return st;
}

static fz_status give_up(const file_io *io, mem *m, const char *location, long long bytes, fz_error *err)
{
    static char piece[1 << 20];
    io_writer *w;
    TRY(io_create(io, location, m, &w, err));
    for (; bytes > 0; bytes -= sizeof piece) {
        fz_status st = io_write(w, piece, sizeof piece, err);
        if (st != FZ_OK) {
            io_writer_abort(w);
            return st;
        }
    }
    io_writer_abort(w);
    return FZ_OK;
}

static fz_status run(const file_io *io, mem *m, char **a, int n, fz_error *err)
{
    io_file *f = NULL;
    fz_status st = FZ_OK;
    if (strcmp(a[0], "put") == 0)
        return put(io, m, a[1], a[2], err);
    if (strcmp(a[0], "give-up") == 0)
        return give_up(io, m, a[1], atoll(a[2]), err);
    if (strcmp(a[0], "ls") == 0)
        return io_list(io, a[1], print_file, NULL, err);
    if (strcmp(a[0], "rm") == 0)
        return n == 2 ? io_remove(io, a[1], err) : io_remove_many(io, (uint32_t)n - 1, (const char *const *)a + 1, err);
    if (strcmp(a[0], "stat") == 0) {
        io_stat_info info;
        TRY(io_stat(io, a[1], &info, err));
        printf("%llu %d %lld\n", (unsigned long long)info.size, info.is_dir, (long long)info.mtime_us);
        return FZ_OK;
    }
    if (strcmp(a[0], "get") == 0) {
        buf *b;
        TRY(io_read_all(io, a[1], m, (size_t)1 << 30, &b, err));
        save(a[2], b->data, b->size);
        buf_unref(b);
        return FZ_OK;
    }
    bool sized = strcmp(a[0], "sized") == 0;
    TRY(sized ? io_open_sized(io, a[1], atoll(a[2]), m, &f, err) : io_open(io, a[1], m, &f, err));
    if (strcmp(a[0], "ahead") == 0)
        st = ahead(f, a[2], strtoul(a[3], NULL, 10), err);
    else
        st = ranges(f, a[sized ? 3 : 2], a + (sized ? 4 : 3), n - (sized ? 4 : 3), err);
    io_close(f);
    return st;
}

int main(int argc, char **argv)
{
    io_prop props[32];
    uint32_t n = 0;
    int i = 1;
    for (; i < argc && strchr(argv[i], '=') && !strstr(argv[i], "://x") && n < 32 && (strncmp(argv[i], "s3.", 3) == 0 || strncmp(argv[i], "client.", 7) == 0); i++) {
        char *eq = strchr(argv[i], '=');
        props[n++] = (io_prop){{argv[i], (size_t)(eq - argv[i])}, str_of(eq + 1)};
    }
    mem m;
    mem_init(&m, NULL, NULL, 0);
    fz_error err;
    http_options o = {.retry_ms = getenv("RETRY_MS") ? atoll(getenv("RETRY_MS")) : 5000};
    storage shared = {.http = http_client_new(&o, &m)};
    file_io *io = file_io_new(&m, NULL);
    fz_status st = storage_add(io, NULL, &shared, n, props, NULL, &m, &err);
    if (st == FZ_OK && i < argc)
        st = run(io, &m, argv + i, argc - i, &err);
    int rc = st == FZ_OK ? 0 : failed(&err);
    file_io_unref(io);
    http_client_unref(shared.http);
    fprintf(stderr, "peak %lld left %lld\n", (long long)m.peak, (long long)m.used);
    return rc;
}
