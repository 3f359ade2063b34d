/*
 * machine.c: what this process may use: CPUs (affinity, cgroup quota) and memory (cgroup limit,
 * physical memory). Control groups of version 2 and 1 are looked up along /proc/self/cgroup;
 * every level up to the root counts, and the smallest limit holds. Inside a container the path
 * in that file may not exist below /sys/fs/cgroup: the root of the mount is always read too.
 */
#include "base/machine_int.h"
#include "base/runtime.h"

#include "base/str.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#define FILE_BYTES_MAX 4096
#define PATH_BYTES_MAX 1024

/* The start of a small file, NUL-terminated; an empty text if it can't be read. */
static str file_head(const char *path, char *out)
{
    out[0] = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return (str){out, 0};
    ssize_t n = read(fd, out, FILE_BYTES_MAX - 1);
    close(fd);
    size_t len = n > 0 ? (size_t)n : 0;
    out[len] = 0;
    return (str){out, len};
}

static str cut(str *rest, char at)
{
    const char *hit = rest->n ? memchr(rest->p, at, rest->n) : NULL;
    str head = {rest->p, hit ? (size_t)(hit - rest->p) : rest->n};
    size_t used = head.n + (hit != NULL);
    *rest = (str){rest->p + used, rest->n - used};
    return head;
}

bool cgroup_path(str table, str controller, str *path)
{
    while (table.n) {
        str line = cut(&table, '\n');
        cut(&line, ':');
        str names = cut(&line, ':');
        if (controller.n == 0 && names.n == 0) {
            *path = line;
            return true;
        }
        while (controller.n && names.n)
            if (str_eq(cut(&names, ','), controller)) {
                *path = line;
                return true;
            }
    }
    return false;
}

/* The smallest value that read(dir) gives for the group's directory and those above it. */
static int64_t smallest(const char *mount, str path, int64_t (*limit)(const char *dir))
{
    int64_t least = INT64_MAX;
    while (path.n && path.p[path.n - 1] == '/')
        path.n--;
    for (;;) {
        char dir[PATH_BYTES_MAX];
        int n = snprintf(dir, sizeof dir, "%s%.*s", mount, STR_ARG(path));
        if (n > 0 && (size_t)n < sizeof dir) {
            int64_t v = limit(dir);
            least = v < least ? v : least;
        }
        if (path.n == 0)
            return least;
        while (path.n && path.p[path.n - 1] != '/')
            path.n--;
        while (path.n && path.p[path.n - 1] == '/')
            path.n--;
    }
}

static str group_file(const char *dir, const char *name, char *out)
{
    char path[PATH_BYTES_MAX + 64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return str_trim(file_head(path, out));
}

static int64_t memory_of(const char *dir, const char *name)
{
    char text[FILE_BYTES_MAX];
    int64_t v;
    return str_to_i64(group_file(dir, name, text), &v) && v > 0 ? v : INT64_MAX;
}
static int64_t memory_v2(const char *dir) { return memory_of(dir, "memory.max"); }
static int64_t memory_v1(const char *dir) { return memory_of(dir, "memory.limit_in_bytes"); }

int64_t cpus_of_quota(str quota, str period)
{
    int64_t q, p;
    if (!str_to_i64(str_trim(quota), &q) || !str_to_i64(str_trim(period), &p) || q <= 0 || p <= 0)
        return INT64_MAX; /* "max", "-1" */
    return q / p + (q % p != 0);
}

static int64_t cpus_v2(const char *dir)
{
    char text[FILE_BYTES_MAX];
    str rest = group_file(dir, "cpu.max", text);
    str quota = cut(&rest, ' ');
    return cpus_of_quota(quota, rest);
}

static int64_t cpus_v1(const char *dir)
{
    char quota[FILE_BYTES_MAX], period[FILE_BYTES_MAX];
    str q = group_file(dir, "cpu.cfs_quota_us", quota);
    return cpus_of_quota(q, group_file(dir, "cpu.cfs_period_us", period));
}

static int64_t least_of(int64_t a, int64_t b) { return a < b ? a : b; }

int cpu_count(void)
{
    char text[FILE_BYTES_MAX];
    int64_t n = 0;
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
    if (n < 1) /* more CPUs than a cpu_set_t has bits */
        n = sysconf(_SC_NPROCESSORS_ONLN);
    str table = file_head("/proc/self/cgroup", text), path;
    if (cgroup_path(table, STR(""), &path))
        n = least_of(n, smallest("/sys/fs/cgroup", path, cpus_v2));
    if (cgroup_path(table, STR("cpu"), &path))
        n = least_of(n, smallest("/sys/fs/cgroup/cpu", path, cpus_v1));
    return n < 1 ? 1 : n > 1024 ? 1024 : (int)n;
}

int64_t memory_available(void)
{
    char text[FILE_BYTES_MAX];
    int64_t pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
    int64_t n = pages > 0 && page > 0 ? pages * page : (int64_t)1 << 31;
    str table = file_head("/proc/self/cgroup", text), path;
    if (cgroup_path(table, STR(""), &path))
        n = least_of(n, smallest("/sys/fs/cgroup", path, memory_v2));
    if (cgroup_path(table, STR("memory"), &path))
        n = least_of(n, smallest("/sys/fs/cgroup/memory", path, memory_v1));
    return n;
}
