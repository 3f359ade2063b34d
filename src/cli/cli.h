/*
 * cli.h: the command's parts: options (options.c), progress bar and output (term.c), sub-commands (main.c).
 * The command is a door: it knows the library by frazil/frazil.h alone.
 */
#ifndef CLI_H
#define CLI_H

#include <frazil/frazil.h>
#include <stdbool.h>
#include <stdio.h>

enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

#define MAX_OPTIONS 256

typedef struct cli {
    const char *command;        /* "load", … */
    const char **args;          /* what isn't an option */
    size_t n_args;
    const char *lake, *file, *format;
    bool help, version, timing, quiet, yes, purge, no_progress;
    int64_t max_rows;           /* -1: by default */
    fz_option runtime[16], lake_options[MAX_OPTIONS], load[MAX_OPTIONS];
    size_t n_runtime, n_lake, n_load;
} cli;

/* Fills c from the arguments; a message on stderr and false for a wrong one. */
bool cli_parse(cli *c, int argc, char **argv);
void cli_free(cli *c);
void cli_help(const char *command, FILE *out);
bool cli_known(const char *command);
void cli_suggest(const char *word);

/* Adds an option of the lake; both texts are kept as they are. */
bool lake_option(cli *c, const char *key, const char *value);

/* frazil cache [ls | clear] (cache.c): needs no lake at all. The failure of EXIT_FAILED is in err. */
int cmd_cache(cli *c, fz_runtime *rt, fz_error *err);

/* frazil config [check] [NAME] (config.c): needs no lake that works. */
int cmd_config(cli *c);
void json_text(const char *s); /* to standard output, in quotes */

/* ---- terminal ---- */

typedef struct progress_bar progress_bar;
/* Draws on stderr until stopped, when that is a terminal and the work takes longer than a moment. NULL: nothing is drawn. */
progress_bar *progress_start(fz_session *s, const char *what);
void progress_stop(progress_bar *p);

int term_width(void); /* of stdout; 0: not a terminal */
extern int stdout_errno; /* why the last write_stdout failed; 0: none did */
int write_stdout(void *ctx, const char *text, size_t n);
int write_stderr(void *ctx, const char *text, size_t n);
void format_count(char out[32], int64_t n); /* 1,234,567 */
double now_seconds(void);

#endif
