/*
 * settle.c: see settle.h.
 *
 * One list of what isn't durable yet: files that are open, directories by name. A sync takes the list's items off one by one
 * in a few threads, this one among them, and keeps the first failure: what failed once stays failed, since the kernel
 * reports a lost write once and forgets it.
 */
#include "io/settle.h"

#include "io/local.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS 32 /* they wait; the more there are, the more files share a journal commit */

typedef struct item { char *path; int fd; } item; /* fd < 0: a directory */

struct settle {
    io_fs fs;
    mem *m;
    pthread_mutex_t lock;     /* of all that follows, also while syncing: who settles waits for others' files too */
    uint32_t n, cap, n_open;
    item *items;
    fz_error failed;          /* status FZ_OK: nothing has failed */
};

static settle *of(const io_fs *fs) { return (settle *)(uintptr_t)fs; }

/* ---- the list; the lock is held ---- */

static void item_end(settle *s, item *x)
{
    if (x->fd >= 0) {
        close(x->fd);
        s->n_open--;
    }
    mem_free(s->m, x->path, strlen(x->path) + 1);
}

static bool item_add(settle *s, const char *path, int fd)
{
    size_t n = strlen(path) + 1;
    if (s->n == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 16;
        item *more = mem_resize(s->m, s->items, s->cap * sizeof *more, cap * sizeof *more);
        if (!more)
            return false;
        s->items = more;
        s->cap = cap;
    }
    char *copy = mem_alloc(s->m, n);
    if (!copy)
        return false;
    memcpy(copy, path, n);
    s->items[s->n++] = (item){copy, fd};
    s->n_open += fd >= 0;
    return true;
}

/* ---- syncing ---- */

typedef struct work {
    settle *s;
    uint32_t n;
    item **items;
    _Atomic uint32_t next;
    pthread_mutex_t lock; /* of failed */
} work;

static void *work_run(void *arg)
{
    work *w = arg;
    for (;;) {
        uint32_t i = atomic_fetch_add(&w->next, 1);
        if (i >= w->n)
            return NULL;
        fz_error e = {0};
        item *x = w->items[i];
        fz_status st = x->fd >= 0 ? local_fd_sync(x->fd, x->path, &e) : local_dir_sync(x->path, &e);
        if (st == FZ_OK)
            continue;
        pthread_mutex_lock(&w->lock);
        if (w->s->failed.status == FZ_OK)
            w->s->failed = e;
        pthread_mutex_unlock(&w->lock);
    }
}

static void work_all(work *w)
{
    pthread_t threads[THREADS - 1];
    uint32_t n = 0;
    pthread_mutex_init(&w->lock, NULL);
    while (n < THREADS - 1 && n + 1 < w->n && pthread_create(&threads[n], NULL, work_run, w) == 0)
        n++;
    work_run(w);
    while (n)
        pthread_join(threads[--n], NULL);
    pthread_mutex_destroy(&w->lock);
}

static int by_path(const void *a, const void *b) { return strcmp((*(item *const *)a)->path, (*(item *const *)b)->path); }

/* Syncs the open files, and with `dirs` the directories, each once; they leave the list. */
static fz_status sync_now(settle *s, bool dirs)
{
    work w = {.s = s};
    item **all = mem_alloc(s->m, (s->n + 1) * sizeof *all);
    if (!all)
        return FZ_NOMEM;
    uint32_t n_dirs = 0;
    for (uint32_t i = 0; i < s->n && dirs; i++)
        if (s->items[i].fd < 0)
            all[n_dirs++] = &s->items[i];
    if (n_dirs)
        qsort(all, n_dirs, sizeof *all, by_path);
    for (uint32_t i = 0; i < n_dirs; i++)
        if (i == 0 || strcmp(all[i]->path, all[w.n - 1]->path) != 0)
            all[w.n++] = all[i];
    for (uint32_t i = 0; i < s->n; i++)
        if (s->items[i].fd >= 0)
            all[w.n++] = &s->items[i];
    w.items = all;
    work_all(&w);
    mem_free(s->m, all, (s->n + 1) * sizeof *all);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->n; i++)
        if (s->items[i].fd < 0 && !dirs)
            s->items[kept++] = s->items[i];
        else
            item_end(s, &s->items[i]);
    s->n = kept;
    return s->failed.status;
}

static fz_status result(settle *s, fz_status st, fz_error *err)
{
    if (st == FZ_NOMEM && s->failed.status == FZ_OK)
        return error_nomem(err);
    if (st != FZ_OK && err)
        *err = s->failed;
    return st;
}

fz_status settle_fs_sync(io_fs *fs, fz_error *err)
{
    settle *s = of(fs);
    pthread_mutex_lock(&s->lock);
    fz_status st = result(s, s->n && s->failed.status == FZ_OK ? sync_now(s, true) : s->failed.status, err);
    pthread_mutex_unlock(&s->lock);
    return st;
}

fz_status settle_file(settle *s, const char *path, int fd, fz_error *err)
{
    fz_status st = FZ_OK;
    pthread_mutex_lock(&s->lock);
    if (!item_add(s, path, fd)) {
        close(fd);
        st = error_nomem(err);
    } else if (s->n_open >= SETTLE_OPEN) {
        st = result(s, sync_now(s, false), err);
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

fz_status settle_dir(settle *s, const char *dir, fz_error *err)
{
    pthread_mutex_lock(&s->lock);
    bool last = false; /* files come one after another into one folder */
    for (uint32_t i = s->n, looked = 0; i-- > 0 && looked < 4 && !last; looked++)
        last = s->items[i].fd < 0 && strcmp(s->items[i].path, dir) == 0;
    fz_status st = last || item_add(s, dir, -1) ? FZ_OK : error_nomem(err);
    pthread_mutex_unlock(&s->lock);
    return st;
}

fz_status settle_remove(settle *s, const char *location, fz_error *err)
{
    const char *path = io_local_path(location);
    pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < s->n; i++)
        if (s->items[i].fd >= 0 && strcmp(s->items[i].path, path) == 0) {
            item_end(s, &s->items[i]);
            s->items[i] = s->items[--s->n];
            break;
        }
    pthread_mutex_unlock(&s->lock);
    return local_fs.remove(&local_fs, location, err);
}

/* ---- the file system ---- */

static fz_status fs_create(const io_fs *fs, const char *location, mem *m, io_writer **out, fz_error *err)
{
    return local_create_later(of(fs), location, m, out, err);
}

static fz_status fs_remove(const io_fs *fs, const char *location, fz_error *err)
{
    return settle_remove(of(fs), location, err);
}

static void fs_close(io_fs *fs)
{
    settle *s = of(fs);
    for (uint32_t i = 0; i < s->n; i++)
        item_end(s, &s->items[i]);
    mem_free(s->m, s->items, s->cap * sizeof *s->items);
    pthread_mutex_destroy(&s->lock);
    mem_free(s->m, s, sizeof *s);
}

io_fs *settle_fs_new(mem *m)
{
    settle *s = mem_zalloc(m, sizeof *s);
    if (!s)
        return NULL;
    s->fs = local_fs;
    s->fs.create = fs_create;
    s->fs.remove = fs_remove;
    s->fs.close = fs_close;
    s->m = m;
    pthread_mutex_init(&s->lock, NULL);
    return &s->fs;
}
