/* term.c: output and the progress bar. */
#include "cli/cli.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

double now_seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

int term_width(void)
{
    struct winsize w;
    if (!isatty(STDOUT_FILENO))
        return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0)
        return w.ws_col;
    return 80;
}

int stdout_errno;

int write_stdout(void *ctx, const char *text, size_t n)
{
    if (fwrite(text, 1, n, stdout) == n)
        return 0;
    stdout_errno = errno ? errno : EIO;
    return 1;
}

int write_stderr(void *ctx, const char *text, size_t n)
{
    return fwrite(text, 1, n, stderr) != n;
}

void format_count(char out[32], int64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)n), at = 0;
    for (int i = 0; i < len; i++) {
        out[at++] = digits[i];
        int left = len - 1 - i;
        if (left && left % 3 == 0 && digits[i] != '-')
            out[at++] = ',';
    }
    out[at] = 0;
}

struct progress_bar {
    fz_session *s;
    const char *what;
    double start;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop, drawn;
};

static void draw(progress_bar *p)
{
    fz_progress g;
    fz_session_progress(p->s, &g);
    double t = now_seconds() - p->start;
    char rows[32], line[256];
    format_count(rows, g.rows_done);
    int n;
    if (g.bytes_total > 0 && g.bytes_done > 0) {
        double share = (double)g.bytes_done / (double)g.bytes_total;
        if (share > 1)
            share = 1;
        char bar[64] = "";
        for (int i = 0; i < 20; i++)
            strncat(bar, i < (int)(share * 20) ? "#" : ".", 2);
        double left = share > 0 ? t / share - t : 0;
        n = snprintf(line, sizeof line, "%s [%s] %3.0f %%  %s rows  %.0f MB/s  %.0f s left", p->what, bar, share * 100, rows,
                     (double)g.bytes_done / 1e6 / t, left);
    } else {
        n = snprintf(line, sizeof line, "%s  %s rows  %.0f s", p->what, rows, t);
    }
    struct winsize w;
    int width = ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
    if (n >= width)
        line[width - 1] = 0;
    fprintf(stderr, "\r\033[K%s", line);
    fflush(stderr);
    p->drawn = true;
}

static void *run(void *arg)
{
    progress_bar *p = arg;
    pthread_mutex_lock(&p->lock);
    while (!p->stop) {
        struct timespec ts;
        clock_gettime(CLOCK_REALTIME, &ts);
        ts.tv_nsec += 200000000;
        if (ts.tv_nsec >= 1000000000) {
            ts.tv_nsec -= 1000000000;
            ts.tv_sec++;
        }
        pthread_cond_timedwait(&p->wake, &p->lock, &ts);
        if (!p->stop && now_seconds() - p->start > 0.8)
            draw(p);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

progress_bar *progress_start(fz_session *s, const char *what)
{
    if (!isatty(STDERR_FILENO))
        return NULL;
    progress_bar *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->s = s;
    p->what = what;
    p->start = now_seconds();
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    if (pthread_create(&p->thread, NULL, run, p)) {
        free(p);
        return NULL;
    }
    return p;
}

void progress_stop(progress_bar *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    if (p->drawn)
        fprintf(stderr, "\r\033[K");
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
