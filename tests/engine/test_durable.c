/*
 * test_durable.c: when the catalog's pointer moves, everything it will point to is on the disk: the files, and the folders
 * that hold their names. fsync and fdatasync are this program's own: they note the path and pass the call on. The pointer has
 * moved when SQLite syncs its log.
 */
#include "engine/lake_util.h"

#include <pthread.h>
#include <sys/syscall.h>

enum { NOTES = 4000 };

static struct { char path[NOTES][200]; int n; } note;
static pthread_mutex_t note_lock = PTHREAD_MUTEX_INITIALIZER;

static void note_fd(int fd)
{
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    pthread_mutex_lock(&note_lock);
    ssize_t n = note.n < NOTES ? readlink(link, note.path[note.n], sizeof note.path[0] - 1) : -1;
    if (n >= 0)
        note.path[note.n++][n] = 0;
    pthread_mutex_unlock(&note_lock);
}

__attribute__((visibility("default"))) int fsync(int fd); /* for shared libraries too */
int fsync(int fd)
{
    int rc = (int)syscall(SYS_fsync, fd); /* noted when it is done */
    note_fd(fd);
    return rc;
}

__attribute__((visibility("default"))) int fdatasync(int fd);
int fdatasync(int fd)
{
    int rc = (int)syscall(SYS_fdatasync, fd);
    note_fd(fd);
    return rc;
}

/* Where the log was synced first; -1: it wasn't. */
static int moved_at(void)
{
    for (int i = 0; i < note.n; i++) {
        const char *end = strrchr(note.path[i], '/');
        if (end && strcmp(end, "/catalog.db-wal") == 0)
            return i;
    }
    return -1;
}

static int moved, seen, missing;
static char what[300];

static int synced_before(const char *path)
{
    for (int i = 0; i < moved; i++)
        if (strcmp(note.path[i], path) == 0)
            return 1;
    return 0;
}

static struct { char path[4000][200]; int n; } old; /* files that were there before the statement */

static int is_old(const char *path)
{
    for (int i = 0; i < old.n; i++)
        if (strcmp(old.path[i], path) == 0)
            return 1;
    return 0;
}

static int remember(const char *path, const struct stat *sb, int flag, struct FTW *f)
{
    if (old.n < 4000)
        snprintf(old.path[old.n++], sizeof old.path[0], "%s", path);
    return 0;
}

/* A new file or folder: itself (files) and what holds its name. */
static int look(const char *path, const struct stat *sb, int flag, struct FTW *f)
{
    char folder[300];
    if (is_old(path))
        return 0;
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    seen++;
    if ((flag == FTW_F && !synced_before(path)) || !synced_before(folder)) {
        missing++;
        snprintf(what, sizeof what, "%s", path);
    }
    return 0;
}


static char root[128], warehouse[200];
static fz_lake *lake;
static fz_session *s;

/* What the n statements, the last of which commits, leave behind. */
static void durable_all(int n, const char *const *sql, int at_least)
{
    old.n = 0;
    nftw(warehouse, remember, 16, FTW_PHYS);
    note.n = seen = missing = 0;
    for (int i = 0; i < n; i++)
        run(s, sql[i], NULL);
    moved = moved_at();
    if (moved < 0)
        fail_msg("%s: the catalog's log was never synced", sql[n - 1]);
    nftw(warehouse, look, 16, FTW_PHYS);
    if (missing)
        fail_msg("%s: %d of %d new names weren't durable in time, as %s", sql[n - 1], missing, seen, what);
    assert_true(seen >= at_least);
}

static void durable(const char *sql, int at_least)
{
    durable_all(1, &sql, at_least);
}

static void every_statement_that_writes(void **state)
{
    fz_error e;
    char dir[160];
    dir_make(root, sizeof root, "test_durable");
    snprintf(dir, sizeof dir, "%s/lake", root);
    snprintf(warehouse, sizeof warehouse, "%s/lake/warehouse", root);
    fine(fz_lake_open(NULL, dir, NULL, 0, &lake, &e), &e);
    fine(fz_session_open(lake, &s, &e), &e);
    run(s, "CREATE TABLE first (a int)", NULL); /* makes the warehouse */
    durable("CREATE TABLE t (a int, s text)", 2);
    durable("INSERT INTO t VALUES (1, 'x')", 4);  /* data, manifest, list, metadata */
    durable("INSERT INTO t VALUES (2, 'y')", 4);
    durable("CREATE TABLE u AS SELECT a, s FROM t", 4);
    char csv[160], sql[400];
    snprintf(csv, sizeof csv, "%s/p.csv", root);
    FILE *f = fopen(csv, "w");
    fputs("a\n", f);
    for (int i = 0; i < 300; i++)
        fprintf(f, "%d\n", i);
    fclose(f);
    snprintf(sql, sizeof sql, "CREATE TABLE p PARTITIONED BY (a) AS SELECT a FROM '%s'", csv);
    durable(sql, 600);
    snprintf(sql, sizeof sql, "INSERT INTO p SELECT a + 150 FROM '%s'", csv);
    durable(sql, 300 + 150);
    static const char *const tx[] = {"BEGIN", "INSERT INTO t VALUES (3, 'z')", "INSERT INTO p VALUES (1), (1000)",
                                     "CREATE TABLE w AS SELECT a FROM t", "COMMIT"};
    durable_all(5, tx, 4 + 6 + 4);
    fz_session_close(s);
    fz_lake_close(lake);
    dir_remove(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_statement_that_writes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
