/*
 * main.c: the command frazil. Results go to standard output, everything else (notices, errors, times, progress) to standard error.
 * Ctrl-C cancels the running statement, which leaves nothing behind; a second one ends the process.
 */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static fz_session *volatile interrupted_session;
static volatile sig_atomic_t interrupts;

static void on_interrupt(int sig)
{
    if (interrupts++ || !interrupted_session)
        _exit(EXIT_INTERRUPTED);
    fz_session_cancel(interrupted_session);
}

static void on_notice(void *ctx, const char *message)
{
    fprintf(stderr, "note: %s\n", message);
}

/* Writing to standard output failed: fine where whoever read it has gone. */
static int output_failed(void)
{
    if (stdout_errno == EPIPE)
        return EXIT_FINE;
    fprintf(stderr, "error: writing the result failed: %s\n", strerror(stdout_errno));
    return EXIT_FAILED;
}

static int fail(const fz_error *e, const char *sql)
{
    if (e->status == FZ_CANCELLED && interrupts) {
        fprintf(stderr, "interrupted\n");
        return EXIT_INTERRUPTED;
    }
    if (e->status == FZ_CANCELLED && stdout_errno)
        return output_failed();
    fz_error_text(e, sql, write_stderr, NULL);
    return EXIT_FAILED;
}

/* An error's place in a statement as one in the script that it stands in. */
static void place_in_script(fz_error *e, const char *script, const char *statement)
{
    if (e->line <= 0 || e->where[0])
        return;
    int64_t lines = 0, characters = 0;
    for (const char *p = script; p < statement; p++) {
        characters += ((unsigned char)*p & 0xC0) != 0x80;
        if (*p == '\n') {
            lines++;
            characters = 0;
        }
    }
    if (e->line == 1 && e->column > 0)
        e->column += characters;
    e->line += lines;
}

/* The bar goes before the first of a result is written: a pipe may lead to the terminal that it is drawn on. */
static int write_result(void *bar, const char *text, size_t n)
{
    progress_bar **p = bar;
    progress_stop(*p);
    *p = NULL;
    return write_stdout(NULL, text, n);
}

/* r is what `statement` gave, which begins within `script`; both may be NULL. bar: what is drawn until the result comes; it is stopped. */
static int print_result(const cli *c, fz_result *r, const char *script, const char *statement, progress_bar *bar)
{
    fz_error e = {0};
    fz_text_options o = {.width = term_width()};
    o.max_rows = c->max_rows >= 0 ? c->max_rows : o.width ? 100 : 0;
    fz_text_format f = !c->format || strcmp(c->format, "table") == 0 ? FZ_TEXT_TABLE
                     : strcmp(c->format, "csv") == 0                 ? FZ_TEXT_CSV
                                                                     : FZ_TEXT_JSON;
    fz_status st = fz_result_text(r, f, &o, write_result, &bar, &e);
    progress_stop(bar);
    if (st) {
        place_in_script(&e, script, statement);
        return fail(&e, script);
    }
    if (fflush(stdout) == 0)
        return EXIT_FINE;
    stdout_errno = errno;
    return output_failed();
}

static void print_timing(const cli *c, double start)
{
    if (c->timing)
        fprintf(stderr, "Time: %.1f ms\n", (now_seconds() - start) * 1e3);
}

/* ---- sql ---- */

static char *read_all(FILE *f, const char *name)
{
    size_t n = 0, cap = 1 << 16;
    char *p = malloc(cap);
    while (p) {
        size_t k = fread(p + n, 1, cap - n - 1, f);
        n += k;
        if (k == 0)
            break;
        if (cap - n < 2) {
            char *q = realloc(p, cap *= 2);
            if (!q)
                free(p);
            p = q;
        }
    }
    if (!p || ferror(f)) {
        fprintf(stderr, "error: %s can't be read: %s\n", name, strerror(errno));
        free(p);
        return NULL;
    }
    if (memchr(p, 0, n)) {
        fprintf(stderr, "error: %s holds a NUL byte: it isn't SQL text\n", name);
        free(p);
        return NULL;
    }
    p[n] = 0;
    return p;
}

static char *sql_text(const cli *c)
{
    if (c->file && strcmp(c->file, "-") != 0) {
        FILE *f = fopen(c->file, "rb");
        if (!f) {
            fprintf(stderr, "error: %s can't be opened: %s\n", c->file, strerror(errno));
            return NULL;
        }
        char *text = read_all(f, c->file);
        fclose(f);
        return text;
    }
    if (c->n_args && !c->file)
        return strdup(c->args[0]);
    return read_all(stdin, "standard input");
}

static void print_tag(const cli *c, fz_result *r)
{
    char n[32];
    if (c->quiet || !isatty(STDERR_FILENO))
        return;
    int64_t rows = fz_result_rows_affected(r);
    format_count(n, rows);
    if (rows >= 0)
        fprintf(stderr, "%s: %s row%s\n", fz_result_tag(r), n, rows == 1 ? "" : "s");
    else
        fprintf(stderr, "%s\n", fz_result_tag(r));
}

static int run_script(const cli *c, fz_session *s, const char *sql)
{
    const char *rest = sql;
    int code = EXIT_FINE;
    while (rest && code == EXIT_FINE) {
        if (interrupts) { /* between two statements */
            fprintf(stderr, "interrupted\n");
            return EXIT_INTERRUPTED;
        }
        const char *text = rest;
        fz_result *r = NULL;
        fz_error e = {0};
        double start = now_seconds();
        progress_bar *p = c->no_progress ? NULL : progress_start(s, "running");
        fz_status st = fz_execute(s, text, &rest, NULL, &r, &e);
        if (st) {
            progress_stop(p);
            place_in_script(&e, sql, text);
            return fail(&e, sql);
        }
        if (!r) {
            progress_stop(p);
            break;
        }
        if (fz_result_has_rows(r)) {
            code = print_result(c, r, sql, text, p);
        } else {
            progress_stop(p);
            print_tag(c, r);
        }
        fz_result_release(r);
        print_timing(c, start);
    }
    return code;
}

static int cmd_sql(const cli *c, fz_session *s)
{
    if (c->n_args > 1) {
        fprintf(stderr, "frazil: sql takes one argument; put the statements in quotes\n");
        return EXIT_USAGE;
    }
    if (!c->n_args && !c->file && isatty(STDIN_FILENO)) {
        cli_help("sql", stderr);
        return EXIT_USAGE;
    }
    char *sql = sql_text(c);
    if (!sql)
        return EXIT_FAILED;
    int code = run_script(c, s, sql);
    free(sql);
    return code;
}

/* ---- the others ---- */

static int cmd_load(const cli *c, fz_session *s)
{
    if (c->n_args < 2) {
        fprintf(stderr, "frazil: load takes one or more files and then the table: frazil load FILE... TABLE\n");
        return EXIT_USAGE;
    }
    fz_error e = {0};
    fz_result *r;
    double start = now_seconds();
    const char *table = c->args[c->n_args - 1];
    progress_bar *p = c->no_progress ? NULL : progress_start(s, "loading");
    fz_status st = fz_load(s, c->args, c->n_args - 1, table, c->load, c->n_load, &r, &e);
    progress_stop(p);
    if (st)
        return fail(&e, NULL);
    int code = EXIT_FINE;
    if (fz_result_has_rows(r)) {
        code = print_result(c, r, NULL, NULL, NULL);
    } else if (!c->quiet) {
        char n[32];
        int64_t rows = fz_result_rows_affected(r);
        double t = now_seconds() - start;
        format_count(n, rows);
        fprintf(stderr, "%s row%s loaded into %s in %.2f s", n, rows == 1 ? "" : "s", table, t);
        if (rows > 100000)
            fprintf(stderr, " (%.1f million rows/s)", (double)rows / 1e6 / t);
        fprintf(stderr, "\n");
    }
    fz_result_release(r);
    print_timing(c, start);
    return code;
}

static int run_one(const cli *c, fz_session *s, const char *sql)
{
    fz_error e = {0};
    fz_result *r;
    if (fz_execute(s, sql, NULL, NULL, &r, &e))
        return fail(&e, sql);
    int code = fz_result_has_rows(r) ? print_result(c, r, sql, sql, NULL) : EXIT_FINE;
    fz_result_release(r);
    return code;
}

/* One statement about a name from the command line. */
static int run_on_name(const cli *c, fz_session *s, const char *before, const char *name, const char *after)
{
    char sql[1024];
    int n = snprintf(sql, sizeof sql, "%s%s%s", before, name, after);
    if (n < 0 || (size_t)n >= sizeof sql || strchr(name, ';')) {
        fprintf(stderr, "error: \"%.80s\" isn't a name\n", name);
        return EXIT_FAILED;
    }
    return run_one(c, s, sql);
}

static int cmd_ls(const cli *c, fz_session *s)
{
    if (c->n_args > 1) {
        fprintf(stderr, "frazil: ls takes at most one namespace\n");
        return EXIT_USAGE;
    }
    if (!c->n_args)
        return run_one(c, s, "SHOW TABLES");
    return run_on_name(c, s, "SHOW TABLES IN ", c->args[0], "");
}

static int cmd_inspect(const cli *c, fz_session *s)
{
    if (c->n_args != 1) {
        fprintf(stderr, "frazil: inspect takes a table: frazil inspect TABLE\n");
        return EXIT_USAGE;
    }
    fz_error e = {0};
    fz_result *r;
    if (fz_inspect(s, c->args[0], &r, &e))
        return fail(&e, NULL);
    int code = print_result(c, r, NULL, NULL, NULL);
    fz_result_release(r);
    return code;
}

static int cmd_drop(const cli *c, fz_session *s)
{
    if (c->n_args != 1) {
        fprintf(stderr, "frazil: drop takes a table: frazil drop TABLE\n");
        return EXIT_USAGE;
    }
    if (!c->yes) {
        char answer[16] = "";
        if (!isatty(STDIN_FILENO)) {
            fprintf(stderr, "frazil: drop asks before it drops; without a terminal give --yes\n");
            return EXIT_USAGE;
        }
        interrupted_session = NULL; /* there is nothing to cancel yet: Ctrl-C ends the process */
        fprintf(stderr, "Drop the table %s%s? [y/N] ", c->args[0], c->purge ? " and remove its files" : "");
        bool answered = fgets(answer, sizeof answer, stdin);
        interrupted_session = s;
        if (!answered)
            fputc('\n', stderr);
        if (!answered || (answer[0] != 'y' && answer[0] != 'Y')) {
            fprintf(stderr, "nothing was dropped\n");
            return EXIT_FAILED;
        }
    }
    int code = run_on_name(c, s, "DROP TABLE ", c->args[0], c->purge ? " PURGE" : "");
    if (code == EXIT_FINE && !c->quiet)
        fprintf(stderr, "dropped %s%s\n", c->args[0], c->purge ? " and its files" : "; its files stay (--purge removes them)");
    return code;
}

int main(int argc, char **argv)
{
    cli c;
    signal(SIGPIPE, SIG_IGN);
    if (!cli_parse(&c, argc, argv)) {
        cli_free(&c);
        return EXIT_USAGE;
    }
    int code = EXIT_FINE;
    if (c.version) {
        printf("frazil %s\n", fz_version());
        goto out;
    }
    if (!c.command || c.help || strcmp(c.command, "help") == 0) {
        const char *about = c.command && strcmp(c.command, "help") == 0 ? (c.n_args ? c.args[0] : NULL) : c.command;
        if (about && !cli_known(about) && strcmp(about, "help") != 0) {
            fprintf(stderr, "frazil: unknown command \"%s\"\n", about);
            cli_suggest(about);
            code = EXIT_USAGE;
            goto out;
        }
        cli_help(about, c.command || c.help ? stdout : stderr);
        code = c.command || c.help ? EXIT_FINE : EXIT_USAGE;
        goto out;
    }
    if (!cli_known(c.command)) {
        fprintf(stderr, "frazil: unknown command \"%s\"\n", c.command);
        cli_suggest(c.command);
        code = EXIT_USAGE;
        goto out;
    }
    if (strcmp(c.command, "config") == 0) {
        code = cmd_config(&c);
        goto out;
    }
    fz_error e = {0};
    fz_runtime *rt = NULL;
    if (strcmp(c.command, "cache") == 0) {
        code = fz_runtime_create(c.runtime, c.n_runtime, NULL, &rt, &e) ? EXIT_FAILED : cmd_cache(&c, rt, &e);
        if (code == EXIT_FAILED)
            fail(&e, NULL);
        fz_runtime_release(rt);
        goto out;
    }
    fz_lake *lake = NULL;
    fz_session *s = NULL;
    if (fz_runtime_create(c.runtime, c.n_runtime, NULL, &rt, &e) || fz_lake_open(rt, c.lake, c.lake_options, c.n_lake, &lake, &e) ||
        fz_session_open(lake, &s, &e)) {
        code = fail(&e, NULL);
    } else {
        if (!c.quiet)
            fz_session_on_notice(s, on_notice, NULL);
        interrupted_session = s;
        struct sigaction sa = {.sa_handler = on_interrupt};
        sigaction(SIGINT, &sa, NULL);
        sigaction(SIGTERM, &sa, NULL);
        code = strcmp(c.command, "load") == 0      ? cmd_load(&c, s)
             : strcmp(c.command, "sql") == 0       ? cmd_sql(&c, s)
             : strcmp(c.command, "ls") == 0        ? cmd_ls(&c, s)
             : strcmp(c.command, "inspect") == 0   ? cmd_inspect(&c, s)
                                                   : cmd_drop(&c, s);
        interrupted_session = NULL;
    }
    fz_session_close(s);
    fz_lake_close(lake);
    fz_runtime_release(rt);
out:
    cli_free(&c);
    return code;
}
