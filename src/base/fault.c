/*
 * fault.c: see fault.h. The environment is parsed once, at the first point that is passed;
 * the arms are fixed from then on and only their counters change. This is a tool of tests:
 * its table is the one piece of process-wide state besides the default runtime.
 */
#include "base/fault.h"
#include "base/str.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define FAULT_ARMS_MAX  16
#define FAULT_NAMES_MAX 512

enum fault_action { FAULT_KILL, FAULT_ERROR, FAULT_ENOSPC, FAULT_SLEEP };

static struct fault_table {
    bool active, list;
    unsigned narms, nseen;
    struct fault_arm {
        str name;
        int64_t nth; /* 0: every time */
        enum fault_action action;
        int64_t sleep_ms;
        _Atomic int64_t passed;
    } arms[FAULT_ARMS_MAX];
    const char *seen[FAULT_NAMES_MAX];
} table;
static pthread_once_t table_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;

/* One "name[:nth][=action]"; false: not understood. */
static bool arm_parse(str s, struct fault_arm *arm)
{
    str action = STR("kill");
    const char *eq = memchr(s.p, '=', s.n);
    if (eq) {
        action = (str){eq + 1, (size_t)(s.p + s.n - eq - 1)};
        s.n = (size_t)(eq - s.p);
    }
    arm->nth = 1;
    const char *colon = memchr(s.p, ':', s.n);
    if (colon) {
        if (!str_to_i64((str){colon + 1, (size_t)(s.p + s.n - colon - 1)}, &arm->nth))
            return false;
        s.n = (size_t)(colon - s.p);
    }
    arm->name = s;
    if (str_eqz(action, "kill"))
        arm->action = FAULT_KILL;
    else if (str_eqz(action, "error"))
        arm->action = FAULT_ERROR;
    else if (str_eqz(action, "enospc"))
        arm->action = FAULT_ENOSPC;
    else if (str_starts(action, STR("sleep")) &&
             str_to_i64((str){action.p + 5, action.n - 5}, &arm->sleep_ms) && arm->sleep_ms >= 0)
        arm->action = FAULT_SLEEP;
    else
        return false;
    return s.n > 0 && arm->nth >= 0;
}

static void table_load(void)
{
    static char spec[1024]; /* names point into it; the environment may change */
    const char *env = getenv("FRAZIL_FAULT");
    if (!env || !env[0] || strlen(env) >= sizeof spec)
        return;
    memcpy(spec, env, strlen(env) + 1);
    for (char *at = spec; at && *at && table.narms < FAULT_ARMS_MAX;) {
        char *comma = strchr(at, ',');
        str one = str_trim((str){at, comma ? (size_t)(comma - at) : strlen(at)});
        if (str_eqz(one, "list"))
            table.list = true;
        else if (arm_parse(one, &table.arms[table.narms]))
            table.narms++;
        at = comma ? comma + 1 : NULL;
    }
    table.active = table.list || table.narms > 0;
}

static void name_list(const char *name)
{
    pthread_mutex_lock(&seen_lock);
    unsigned i = 0;
    while (i < table.nseen && strcmp(table.seen[i], name) != 0)
        i++;
    if (i == table.nseen && i < FAULT_NAMES_MAX) {
        table.seen[table.nseen++] = name;
        dprintf(STDERR_FILENO, "%s\n", name);
    }
    pthread_mutex_unlock(&seen_lock);
}

static fz_status arm_fire(const struct fault_arm *arm, const char *name, fz_error *err)
{
    switch (arm->action) {
    case FAULT_KILL:
        kill(getpid(), SIGKILL);
        for (;;) /* the signal is on its way: nothing more of this thread may happen */
            pause();
    case FAULT_ERROR:
        return error_set(err, FZ_IO, "fault point %s", name);
    case FAULT_ENOSPC:
        return error_errno(err, ENOSPC, NULL, name);
    case FAULT_SLEEP:
        nanosleep(&(struct timespec){arm->sleep_ms / 1000, arm->sleep_ms % 1000 * 1000000}, NULL);
        return FZ_OK;
    }
    return FZ_OK;
}

fz_status fault_point(const char *name, fz_error *err)
{
    pthread_once(&table_once, table_load);
    if (__builtin_expect(!table.active, 1))
        return FZ_OK;
    if (table.list)
        name_list(name);
    for (unsigned i = 0; i < table.narms; i++) {
        struct fault_arm *arm = &table.arms[i];
        if (!str_eqz(arm->name, name))
            continue;
        int64_t nth = atomic_fetch_add(&arm->passed, 1) + 1;
        if (arm->nth == 0 || nth == arm->nth)
            TRY(arm_fire(arm, name, err));
    }
    return FZ_OK;
}
