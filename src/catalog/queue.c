/*
 * queue.c: see queue.h.
 */
#include "catalog/queue.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifdef F_OFD_SETLK

#define TICKETS ((int64_t)1 << 32)
#define WAIT_MS 50       /* at most this long between two looks, should an event get lost */
#define WAIT_BLIND_MS 2  /* without inotify */

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* 0, or errno. */
static int range_lock(int fd, int cmd, short type, int64_t from, int64_t n)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = from, .l_len = n};
    int rc;
    do
        rc = fcntl(fd, cmd, &l);
    while (rc < 0 && errno == EINTR);
    return rc < 0 ? errno : 0;
}

/* Draws a ticket: -1 if that can't be done here. Byte 0 is only ever held for these few calls. */
static int64_t ticket_draw(int fd)
{
    int64_t t = 0;
    if (range_lock(fd, F_OFD_SETLKW, F_WRLCK, 0, 1))
        return -1;
    ssize_t n = pread(fd, &t, sizeof t, 0);
    if (n != (ssize_t)sizeof t || t < 0 || t > INT64_MAX / 4)
        t = 0;
    int64_t next = t + 1;
    bool ok = !range_lock(fd, F_OFD_SETLK, F_WRLCK, TICKETS + t, 1) &&
              pwrite(fd, &next, sizeof next, 0) == (ssize_t)sizeof next;
    range_lock(fd, F_OFD_SETLK, F_UNLCK, 0, 1);
    return ok ? t : -1;
}

static bool is_turn(int fd, int64_t t, bool *broken)
{
    if (t == 0)
        return true;
    struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = TICKETS, .l_len = t};
    if (fcntl(fd, F_OFD_GETLK, &l) < 0) {
        *broken = true;
        return true;
    }
    return l.l_type == F_UNLCK;
}

static fz_status turn_wait(int fd, const char *path, int64_t t, int64_t timeout_ms, fz_error *err)
{
    bool broken = false;
    if (is_turn(fd, t, &broken))
        return FZ_OK;
    int64_t start = now_ms();
    int events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (events >= 0 && inotify_add_watch(events, path, IN_CLOSE_WRITE) < 0) {
        close(events);
        events = -1;
    }
    fz_status st = FZ_OK;
    while (!is_turn(fd, t, &broken)) {
        int64_t left = timeout_ms < 0 ? WAIT_MS : start + timeout_ms - now_ms();
        if (left <= 0) {
            st = error_set(err, FZ_BUSY, "other writers kept the table busy for %lld ms", (long long)timeout_ms);
            break;
        }
        int64_t wait = events >= 0 ? WAIT_MS : WAIT_BLIND_MS;
        struct pollfd p = {.fd = events, .events = POLLIN};
        if (poll(&p, 1, (int)(left < wait ? left : wait)) > 0) {
            char drop[4096];
            while (read(events, drop, sizeof drop) > 0)
                ;
        }
    }
    if (events >= 0)
        close(events);
    return st;
}

fz_status queue_enter(const char *path, int64_t timeout_ms, int *out, fz_error *err)
{
    *out = -1;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return FZ_OK;
    int64_t t = ticket_draw(fd);
    if (t < 0) {
        close(fd);
        return FZ_OK;
    }
    fz_status st = turn_wait(fd, path, t, timeout_ms, err);
    if (st != FZ_OK) {
        close(fd);
        return st;
    }
    *out = fd;
    return FZ_OK;
}

/* Unlocks by itself too: a child that was forked meanwhile keeps the file open. */
void queue_leave(int fd)
{
    if (fd < 0)
        return;
    range_lock(fd, F_OFD_SETLK, F_UNLCK, 0, 0);
    close(fd);
}

#else

fz_status queue_enter(const char *path, int64_t timeout_ms, int *fd, fz_error *err)
{
    *fd = -1;
    return FZ_OK;
}

void queue_leave(int fd)
{
}

#endif

/* ---- a table's lock: <folder>/<hash of its names>.lock ---- */

/* Part of a file name that several versions of this program must agree on: FNV-1a. */
static uint64_t name_hash(uint64_t h, str s)
{
    for (size_t i = 0; i < s.n; i++)
        h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
    return (h ^ 0xff) * 0x100000001b3u;
}

/* The folder and the one above it. */
static void folder_make(const char *folder)
{
    char above[PATH_MAX];
    const char *slash = strrchr(folder, '/');
    size_t n = slash ? (size_t)(slash - folder) : 0;
    if (n && n < sizeof above) {
        memcpy(above, folder, n);
        above[n] = 0;
        mkdir(above, 0777);
    }
    mkdir(folder, 0777);
}

fz_status queue_table_lock(const char *folder, uint32_t n, const str *names, int64_t timeout_ms, void **token, fz_error *err)
{
    char path[PATH_MAX + 64];
    uint64_t h = 0xcbf29ce484222325u;
    *token = NULL;
    for (uint32_t i = 0; i < n; i++)
        h = name_hash(h, names[i]);
    int len = snprintf(path, sizeof path, "%s/%016llx.lock", folder, (unsigned long long)h);
    if (len < 0 || (size_t)len >= sizeof path)
        return FZ_OK;
    int fd;
    TRY(queue_enter(path, timeout_ms, &fd, err));
    if (fd < 0) { /* the first time, or somebody tidied up */
        folder_make(folder);
        TRY(queue_enter(path, timeout_ms, &fd, err));
    }
    *token = fd < 0 ? NULL : (void *)(intptr_t)(fd + 1);
    return FZ_OK;
}

void queue_table_unlock(void *token)
{
    if (token)
        queue_leave((int)(intptr_t)token - 1);
}

bool queue_user_folder(char *path, size_t size)
{
    const char *run = getenv("XDG_RUNTIME_DIR"), *tmp = getenv("TMPDIR");
    int n = run && *run == '/' ? snprintf(path, size, "%s/frazil", run)
                               : snprintf(path, size, "%s/frazil-%lu", tmp && *tmp == '/' ? tmp : "/var/tmp", (unsigned long)getuid());
    struct stat s;
    if (n < 0 || (size_t)n + sizeof "/locks" > size)
        return false;
    mkdir(path, 0700);
    if (lstat(path, &s) != 0 || !S_ISDIR(s.st_mode) || s.st_uid != geteuid() || (s.st_mode & 022))
        return false;
    memcpy(path + n, "/locks", sizeof "/locks");
    return true;
}
