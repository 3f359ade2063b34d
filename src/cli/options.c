/* options.c: the command line: one table of options, from which parsing, help and suggestions come. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

typedef enum kind { FLAG, VALUE } kind;
typedef struct option {
    const char *name, *value;   /* value: how it is called in help, or NULL for a flag */
    const char *commands;       /* sub-commands it belongs to, or "" for all */
    const char *help;
} option;

static const option options[] = {
    {"lake", "DIR", "", "the lake's directory (default: $FRAZIL_LAKE, $FRAZIL_CATALOG, default-catalog, ./lake)"},
    {"catalog", "NAME", "", "instead of a directory: a catalog that .pyiceberg.yaml or PYICEBERG_CATALOG__… configures"},
    {"set", "KEY=VALUE", "", "a setting of the catalog, as uri=… or credential=@FILE (repeatable)"},
    {"read-only", NULL, "", "never write to the lake"},
    {"threads", "N", "", "how many threads work (default: all processors)"},
    {"memory-limit", "SIZE", "", "bytes, or with k, M, G (default: half of the memory)"},
    {"temp-dir", "DIR", "", "for temporary files (default: $TMPDIR, else /var/tmp)"},
    {"cache", "DIR", "", "for remote files (default: $XDG_CACHE_HOME/frazil, else ~/.cache/frazil); none: keep nothing"},
    {"cache-size", "SIZE", "", "how much is kept there (default: 4 GB)"},
    {"quiet", NULL, "", "no notices, no summary, no progress bar"},
    {"no-progress", NULL, "", "no progress bar"},
    {"help", NULL, "", "this text"},
    {"version", NULL, "", "the version"},

    {"format", "FORMAT", "sql ls inspect load config cache", "table (default), csv or json"},
    {"max-rows", "N", "sql ls inspect", "rows a table shows, 0: all (default: 100 on a terminal)"},
    {"timing", NULL, "sql load", "print the time each statement took, on standard error"},
    {"file", "FILE", "sql", "read statements from a file, - is standard input (short: -f)"},

    {"replace", NULL, "load", "the rows replace what the table held"},
    {"dry-run", NULL, "load", "show the columns and types, load nothing"},
    {"branch", "NAME", "load", "the branch of the table that the rows go to"},
    {"partition-by", "LIST", "load", "partition a new table: month(ts), bucket(16, id), region"},
    {"property", "K=V", "load", "a property of a new table (repeatable)"},
    {"add-columns", NULL, "load", "add columns that the table lacks"},
    {"source-format", "NAME", "load", "csv, json, parquet or avro (default: detected)"},
    {"source-set", "K=V", "load", "a setting of where the files are, as s3.endpoint=… (repeatable; default: the catalog's)"},
    {"anonymous", NULL, "load", "read the files without credentials"},
    {"compression", "NAME", "load", "none, gzip or zstd (default: detected)"},
    {"types", "COL:TYPE", "load", "a column's type, as hs9:varchar,price:decimal(9,2),tags:map(text,int) (repeatable)"},
    {"null", "TEXT", "load", "text that stands for NULL; in CSV instead of NA, NULL, nan, … (repeatable)"},
    {"strict", NULL, "load", "fail where a type would have to be widened or a row is short"},
    {"on-error", "WHAT", "load", "skip or fail (default) at rows that can't be read"},
    {"reject-file", "FILE", "load", "where skipped rows go, as line,reason,text"},
    {"delimiter", "C", "load", "between fields (default: detected); tab for a tab"},
    {"quote", "C", "load", "around fields, or none"},
    {"escape", "C", "load", "before a quote inside quotes, or none (then it is doubled)"},
    {"comment", "C", "load", "starts a line that is skipped, or none"},
    {"header", "BOOL", "load", "whether the first line has the names (default: detected)"},
    {"spool-limit", "SIZE", "load", "how much of standard input is kept for a second reading"},
    {"sample-bytes", "SIZE", "load", "how much text types are inferred from"},

    {"purge", NULL, "drop", "remove the table's files, too"},
    {"yes", NULL, "drop", "don't ask"},
};
#define N_OPTIONS (sizeof options / sizeof options[0])

static const struct { const char *name, *args, *help, *more; } commands[] = {
    {"load", "FILE... TABLE", "load CSV, JSON, Parquet or Avro files into a table, which is made if it is missing",
     "JSON is one record per line, one after the other, or an array; its objects and lists become structs and lists.\n"
     "CSV and JSON may be compressed (gzip, zstd); - is standard input. Everything is one commit.\n\n"
     "  frazil load trade.csv trade\n"
     "  frazil load 2020-*.csv.gz sales --partition-by 'month(sold_at)' --types zip:varchar\n"
     "  frazil load events.ndjson.gz events --types 'labels:map(text,text)'\n"
     "  curl -s https://… | frazil load - default.t --source-format json\n"},
    {"sql", "[\"STATEMENTS\"]", "run SQL statements: the argument, --file, or standard input",
     "  frazil sql \"SELECT ym, sum(Value) FROM trade WHERE exp_imp = 1 GROUP BY ym ORDER BY ym\"\n"
     "  frazil sql \"SELECT * FROM 'flights.csv' LIMIT 5\"\n"
     "  frazil sql -f report.sql --format csv > report.csv\n"},
    {"ls", "[NAMESPACE]", "list tables", ""},
    {"inspect", "TABLE", "show what a table is made of: schema, partitions, snapshots, files", ""},
    {"drop", "TABLE", "drop a table, after asking; its files stay unless --purge is given", ""},
    {"cache", "ls | clear", "list or remove the remote files that are kept on this machine",
     "What is read of s3:// and https:// is kept, so that it is read once: sources by their ETag, files of tables by their names.\n\n"
     "  frazil cache ls\n"
     "  frazil cache clear\n"},
    {"config", "[check] [NAME]", "show which catalogs are configured and where each value came from, or try one out",
     "Catalogs are configured as PyIceberg's: in .pyiceberg.yaml ($PYICEBERG_HOME, home or current directory), by environment variables\n"
     "PYICEBERG_CATALOG__<NAME>__<KEY>, and by --set. Secrets are shown masked.\n\n"
     "  frazil config\n"
     "  frazil config check prod\n"
     "  frazil --catalog prod --set credential=@secret.txt sql \"SHOW TABLES\"\n"},
};
#define N_COMMANDS (sizeof commands / sizeof commands[0])

bool cli_known(const char *command)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(command, commands[i].name) == 0)
            return true;
    return false;
}

static bool belongs(const option *o, const char *command)
{
    size_t n = strlen(command);
    for (const char *p = o->commands; (p = strstr(p, command)); p += n)
        if ((p == o->commands || p[-1] == ' ') && (p[n] == 0 || p[n] == ' '))
            return true;
    return false;
}

/* A line of help whose text begins at a column; on a terminal what doesn't fit goes on below it, broken between words. */
static void put_wrapped(FILE *out, size_t at, const char *text)
{
    size_t width = (size_t)term_width(), column = at;
    bool wraps = width > at + 20;
    while (*text) {
        size_t bytes = strcspn(text, " "), letters = 0;
        for (size_t i = 0; i < bytes; i++)
            letters += ((unsigned char)text[i] & 0xC0) != 0x80;
        if (column > at && wraps && column + 1 + letters > width) {
            fprintf(out, "\n%*s", (int)at, "");
            column = at;
        } else if (column > at) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", (int)bytes, text);
        column += letters;
        text += bytes;
        text += *text == ' ';
    }
    fputc('\n', out);
}

/* What a command's help says besides: sentences, and examples, which are indented and stay as they are. */
static void put_more(FILE *out, const char *more)
{
    while (*more) {
        char line[256];
        size_t n = strcspn(more, "\n");
        snprintf(line, sizeof line, "%.*s", (int)n, more);
        if (line[0] == ' ')
            fprintf(out, "%s\n", line);
        else
            put_wrapped(out, 0, line);
        more += n + (more[n] != 0);
    }
}

static void help_options(const char *command, FILE *out)
{
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const option *o = &options[i];
        if (command ? !belongs(o, command) : *o->commands != 0)
            continue;
        char left[40];
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        fprintf(out, "  %-24s ", left);
        put_wrapped(out, 27, o->help);
    }
}

void cli_help(const char *command, FILE *out)
{
    for (size_t i = 0; command && i < N_COMMANDS; i++) {
        if (strcmp(command, commands[i].name) != 0)
            continue;
        fprintf(out, "frazil %s %s\n", command, commands[i].args);
        put_wrapped(out, 0, commands[i].help);
        fputc('\n', out);
        put_more(out, commands[i].more);
        fprintf(out, "%sOptions\n", *commands[i].more ? "\n" : "");
        help_options(command, out);
        fprintf(out, "\nGlobal options\n");
        help_options(NULL, out);
        return;
    }
    fprintf(out, "frazil: Apache Iceberg tables in one command\n\n"
                 "  frazil load trade.csv trade               a CSV file becomes a table in ./lake\n"
                 "  frazil sql \"SELECT count(*) FROM trade\"  and answers a question\n\nCommands\n");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        char left[40];
        snprintf(left, sizeof left, "%s %s", commands[i].name, commands[i].args);
        fprintf(out, "  %-24s ", left);
        put_wrapped(out, 27, commands[i].help);
    }
    fprintf(out, "\nGlobal options (before or after the command)\n");
    help_options(NULL, out);
    fputc('\n', out);
    put_wrapped(out, 0, "frazil COMMAND --help tells more. Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted.");
}

/* Edit distance, small words only. */
static int distance(const char *a, const char *b)
{
    int row[64];
    int n = (int)strlen(b);
    if (n > 60 || strlen(a) > 60)
        return 99;
    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int diag = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int up = row[j], best = diag + (a[i - 1] != b[j - 1]);
            if (up + 1 < best)
                best = up + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diag = up;
            row[j] = best;
        }
    }
    return row[n];
}

/* From how many differences on a word is no misspelling of another one. */
static int too_far(const char *word, int most)
{
    int half = (int)(strlen(word) / 2) + 1;
    return half < most ? half : most;
}

void cli_suggest(const char *word)
{
    const char *best = NULL;
    int d = too_far(word, 3);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        int x = distance(word, commands[i].name);
        if (x < d) {
            d = x;
            best = commands[i].name;
        }
    }
    if (strchr(word, ' '))
        fprintf(stderr, "hint: frazil sql \"…\" runs statements\n");
    else if (best)
        fprintf(stderr, "hint: did you mean \"frazil %s\"?\n", best);
    else
        fprintf(stderr, "hint: frazil --help lists the commands\n");
}

static const option *find_option(const char *name, size_t n)
{
    for (size_t i = 0; i < N_OPTIONS; i++)
        if (strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0)
            return &options[i];
    return NULL;
}

static void unknown_option(const char *arg)
{
    const char *best = NULL;
    int d = too_far(arg + 2, 4);
    for (size_t i = 0; i < N_OPTIONS; i++) {
        int x = distance(arg + 2, options[i].name);
        if (x < d) {
            d = x;
            best = options[i].name;
        }
    }
    fprintf(stderr, "frazil: unknown option %s\n", arg);
    if (best)
        fprintf(stderr, "hint: did you mean --%s?\n", best);
}

static bool parse_count(const char *s, int64_t *out)
{
    if (!*s || strlen(s) > 12)
        return false;
    *out = 0;
    for (; *s; s++) {
        if (*s < '0' || *s > '9')
            return false;
        *out = *out * 10 + (*s - '0');
    }
    return true;
}

bool lake_option(cli *c, const char *key, const char *value)
{
    if (c->n_lake == MAX_OPTIONS) {
        fprintf(stderr, "frazil: there are more than %d settings of the lake\n", MAX_OPTIONS);
        return false;
    }
    c->lake_options[c->n_lake++] = (fz_option){key, value};
    return true;
}

/* The value may be a secret: it is not repeated in a message, and where other users can read it (the process's arguments) it is blanked. */
static char *secret_take(const char *option, char *kv)
{
    const char *eq = strchr(kv, '=');
    if (!eq || eq == kv) {
        fprintf(stderr, "frazil: --%s takes KEY=VALUE\n", option);
        return NULL;
    }
    char *copy = strdup(kv);
    if (!copy) {
        fprintf(stderr, "frazil: out of memory\n");
        return NULL;
    }
    memset(kv + (eq - kv) + 1, 0, strlen(eq + 1));
    return copy;
}

static void runtime_option(cli *c, const char *key, const char *value)
{
    if (c->n_runtime < sizeof c->runtime / sizeof *c->runtime)
        c->runtime[c->n_runtime++] = (fz_option){key, value};
}

static bool apply(cli *c, const option *o, char *value)
{
    const char *n = o->name;
    if (strcmp(n, "lake") == 0)
        c->lake = value;
    else if (strcmp(n, "set") == 0 || strcmp(n, "source-set") == 0) {
        char *kv = secret_take(n, value);
        if (!kv)
            return false;
        if (n[1] == 'e')
            return lake_option(c, "set", kv);
        if (c->n_load < MAX_OPTIONS)
            c->load[c->n_load++] = (fz_option){"source-set", kv};
    }
    else if (strcmp(n, "catalog") == 0)
        return lake_option(c, "catalog", value);
    else if (strcmp(n, "read-only") == 0)
        return lake_option(c, "read-only", "true");
    else if (strcmp(n, "cache") == 0)
        runtime_option(c, "cache-dir", value);
    else if (strcmp(n, "threads") == 0 || strcmp(n, "memory-limit") == 0 || strcmp(n, "temp-dir") == 0 || strcmp(n, "cache-size") == 0) {
        runtime_option(c, n, value);
    } else if (strcmp(n, "quiet") == 0)
        c->quiet = c->no_progress = true;
    else if (strcmp(n, "no-progress") == 0)
        c->no_progress = true;
    else if (strcmp(n, "help") == 0)
        c->help = true;
    else if (strcmp(n, "version") == 0)
        c->version = true;
    else if (strcmp(n, "timing") == 0)
        c->timing = true;
    else if (strcmp(n, "purge") == 0)
        c->purge = true;
    else if (strcmp(n, "yes") == 0)
        c->yes = true;
    else if (strcmp(n, "file") == 0)
        c->file = value;
    else if (strcmp(n, "max-rows") == 0) {
        if (!parse_count(value, &c->max_rows)) {
            fprintf(stderr, "frazil: --max-rows takes a number, not \"%s\"\n", value);
            return false;
        }
    } else if (strcmp(n, "format") == 0) {
        if (strcmp(value, "table") != 0 && strcmp(value, "csv") != 0 && strcmp(value, "json") != 0) {
            fprintf(stderr, "frazil: --format is table, csv or json, not \"%s\"\n", value);
            return false;
        }
        c->format = value;
    } else if (c->n_load < MAX_OPTIONS)
        c->load[c->n_load++] = (fz_option){n, value ? value : "true"};
    return true;
}

void cli_free(cli *c)
{
    for (size_t i = 0; i < c->n_lake; i++)
        if (strcmp(c->lake_options[i].key, "set") == 0)
            free((char *)c->lake_options[i].value); /* set_option's copies */
    free(c->args);
}

bool cli_parse(cli *c, int argc, char **argv)
{
    const option *used[MAX_OPTIONS];
    size_t n_used = 0;
    bool only_args = false;
    *c = (cli){.max_rows = -1};
    c->args = calloc((size_t)argc + 1, sizeof *c->args);
    if (!c->args)
        return false;
    for (int i = 1; i < argc; i++) {
        char *a = argv[i];
        if (only_args || a[0] != '-' || a[1] == 0) {
            if (!c->command)
                c->command = a;
            else
                c->args[c->n_args++] = a;
            continue;
        }
        if (strcmp(a, "--") == 0) {
            only_args = true;
            continue;
        }
        static char help[] = "--help", file[] = "--file", quiet[] = "--quiet", version[] = "--version";
        if (a[1] != '-' && a[2] == 0)
            a = a[1] == 'h' ? help : a[1] == 'f' ? file : a[1] == 'q' ? quiet : a[1] == 'V' ? version : a;
        char *eq = a[1] == '-' ? strchr(a, '=') : NULL;
        size_t n = eq ? (size_t)(eq - a) - 2 : strlen(a) - 2;
        const option *o = a[1] == '-' ? find_option(a + 2, n) : NULL;
        if (!o) {
            unknown_option(a);
            return false;
        }
        char *value = eq ? eq + 1 : NULL;
        if (!o->value && eq) {
            fprintf(stderr, "frazil: --%s takes no value\n", o->name);
            return false;
        }
        if (o->value && !eq) {
            if (i + 1 == argc) {
                fprintf(stderr, "frazil: --%s needs a value: --%s %s\n", o->name, o->name, o->value);
                return false;
            }
            value = argv[++i];
        }
        if (n_used < MAX_OPTIONS)
            used[n_used++] = o;
        if (!apply(c, o, value))
            return false;
    }
    for (size_t i = 0; i < n_used; i++)
        if (c->command && cli_known(c->command) && *used[i]->commands && !belongs(used[i], c->command)) {
            fprintf(stderr, "frazil: --%s is not an option of %s (it belongs to: %s)\n", used[i]->name, c->command, used[i]->commands);
            return false;
        }
    return true;
}
