/* pg_server.c: see pg_server.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "conformance/pg_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_S 60

static bool bin_find(char *out, size_t size, const char *name)
{
    glob_t g;
    bool found = false;
    if (glob("/usr/lib/postgresql/*/bin/postgres", 0, NULL, &g) == 0) {
        char *slash = strrchr(g.gl_pathv[g.gl_pathc - 1], '/');
        found = snprintf(out, size, "%.*s/%s", (int)(slash - g.gl_pathv[g.gl_pathc - 1]), g.gl_pathv[g.gl_pathc - 1], name) < (int)size;
        globfree(&g);
    }
    return found && access(out, X_OK) == 0;
}

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    close(fd);
    return ntohs(a.sin_port);
}

/* The user that the server runs as: it refuses to be root. */
static uid_t server_user(gid_t *group)
{
    struct passwd *p = getuid() ? NULL : getpwnam("postgres");
    if (getuid() == 0 && !p)
        p = getpwnam("nobody");
    *group = p ? p->pw_gid : getgid();
    return p ? p->pw_uid : getuid();
}

/* Starts a program as that user, its words going to the log. */
static pid_t spawn(pg_server *s, char *const *argv)
{
    gid_t group;
    uid_t user = server_user(&group);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        char log[300];
        snprintf(log, sizeof log, "%s/log", s->dir);
        if (getuid() == 0 && (setgroups(0, NULL) != 0 || setgid(group) != 0 || setuid(user) != 0))
            _exit(98);
        prctl(PR_SET_PDEATHSIG, SIGQUIT);
        if (getppid() != parent || chdir(s->dir) != 0)
            _exit(97);
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        int null = open("/dev/null", O_RDONLY);
        dup2(null, 0);
        dup2(fd, 1);
        dup2(fd, 2);
        setenv("LC_ALL", "C", 1);
        unsetenv("LD_PRELOAD");
        execv(argv[0], argv);
        _exit(99);
    }
    assert_true(pid > 0);
    return pid;
}

/* Listening, it may still be starting up. */
static bool is_ready(pg_server *s)
{
    char isready[300], port[20];
    int status;
    assert_true(bin_find(isready, sizeof isready, "pg_isready"));
    snprintf(port, sizeof port, "%d", s->port);
    char *argv[] = {isready, "-q", "-h", "127.0.0.1", "-p", port, NULL};
    waitpid(spawn(s, argv), &status, 0);
    return status == 0;
}

bool pg_server_make(pg_server *s)
{
    char initdb[300], data[300], password[300], pwfile[320];
    *s = (pg_server){0};
    if (!bin_find(initdb, sizeof initdb, "initdb"))
        return false;
    snprintf(s->dir, sizeof s->dir, "/tmp/frazil-pg-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    gid_t group;
    uid_t user = server_user(&group);
    snprintf(data, sizeof data, "%s/data", s->dir);
    snprintf(password, sizeof password, "%s/password", s->dir);
    snprintf(pwfile, sizeof pwfile, "--pwfile=%s", password);
    FILE *f = fopen(password, "w");
    fputs(PG_PASSWORD "\n", f);
    fclose(f);
    if (getuid() == 0) {
        assert_int_equal(chown(password, user, group), 0);
        assert_int_equal(chown(s->dir, user, group), 0);
    }
    char *argv[] = {initdb, "-D", data, "-U", "frazil", "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "-N", pwfile, NULL};
    int status;
    assert_int_equal(waitpid(spawn(s, argv), &status, 0) > 0, 1);
    if (status)
        fail_msg("initdb: %d, see %s/log", status, s->dir);
    s->port = free_port();
    snprintf(s->uri, sizeof s->uri, "postgresql+psycopg2://frazil:%s@127.0.0.1:%d/postgres", PG_PASSWORD_URI, s->port);
    pg_server_start(s);
    while (!is_ready(s))
        usleep(20000);
    return true;
}

static bool answers(pg_server *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool ok = connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
    close(fd);
    return ok;
}

void pg_server_start(pg_server *s)
{
    char postgres[300], data[300], port[20];
    assert_true(bin_find(postgres, sizeof postgres, "postgres"));
    snprintf(data, sizeof data, "%s/data", s->dir);
    snprintf(port, sizeof port, "%d", s->port);
    char *argv[] = {postgres, "-D", data, "-h", "127.0.0.1", "-p", port, "-k", s->dir, "-c", "fsync=off", "-c", "max_connections=60", NULL};
    s->pid = spawn(s, argv);
    time_t end = time(NULL) + START_S;
    while (!answers(s)) {
        int status;
        if (time(NULL) > end || waitpid(s->pid, &status, WNOHANG) == s->pid)
            fail_msg("postgres didn't start, see %s/log", s->dir);
        usleep(20000);
    }
}

void pg_server_stop(pg_server *s, int how)
{
    int status;
    if (!s->pid)
        return;
    kill(s->pid, how);
    waitpid(s->pid, &status, 0);
    s->pid = 0;
}

void pg_server_free(pg_server *s)
{
    char cmd[300];
    pg_server_stop(s, SIGINT);
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", s->dir);
    if (s->dir[0] && system(cmd) != 0)
        fail_msg("%s", cmd);
    s->dir[0] = 0;
}

const char *pg_server_sql(pg_server *s, const char *database, const char *sql)
{
    static char answer[4000];
    char psql[300], port[20], file[300];
    assert_true(bin_find(psql, sizeof psql, "psql"));
    snprintf(port, sizeof port, "%d", s->port);
    snprintf(file, sizeof file, "%s/answer", s->dir);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(fd, 1);
        setenv("PGPASSWORD", PG_PASSWORD, 1);
        unsetenv("LD_PRELOAD");
        execl(psql, "psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", port, "-U", "frazil", "-d", database, "-c", sql,
              (char *)NULL);
        _exit(99);
    }
    int status;
    waitpid(pid, &status, 0);
    if (status)
        fail_msg("psql: %s", sql);
    FILE *f = fopen(file, "r");
    size_t n = fread(answer, 1, sizeof answer - 1, f);
    fclose(f);
    answer[n] = 0;
    return answer;
}
