/*
 * profile.c: AWS's shared files: ~/.aws/credentials and ~/.aws/config ($AWS_SHARED_CREDENTIALS_FILE, $AWS_CONFIG_FILE).
 *
 * "[name]" begins a profile in the first, "[profile name]" (or "[default]") in the second; "key = value" lines follow. An indented line continues
 * a nested setting of the line before, none of which matter here. "#" and ";" begin a comment, also after white space behind a value.
 */
#include "io/aws/credentials_int.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_MAX (1 << 20)

fz_status aws_read_file(arena *a, const char *path, char **out, size_t *n, fz_error *err)
{
    *out = NULL;
    FILE *f = fopen(path, "rbe");
    if (!f) {
        if (errno == ENOENT || errno == ENOTDIR)
            return FZ_OK;
        return error_errno(err, errno, path, "the file can't be opened");
    }
    sbuf b;
    sbuf_init(&b, a->m);
    char piece[4096];
    size_t k;
    while (b.n <= FILE_MAX && (k = fread(piece, 1, sizeof piece, f)) > 0)
        sbuf_add(&b, piece, k);
    fz_status st = FZ_OK;
    if (ferror(f)) {
        st = error_errno(err, errno, path, "the file can't be read");
    } else if (b.n > FILE_MAX) {
        st = error_set(err, FZ_LIMIT, "the file has more than %d bytes", FILE_MAX);
        error_where(err, path);
    } else if (b.failed || !(*out = arena_strndup(a, b.p ? b.p : "", b.n))) {
        st = error_nomem(err);
    }
    *n = b.n;
    fclose(f);
    sbuf_free(&b);
    return st;
}

const char *aws_profile_name(bool *chosen)
{
    const char *v = getenv("AWS_PROFILE");
    if (!v || !*v)
        v = getenv("AWS_DEFAULT_PROFILE");
    *chosen = v && *v;
    return *chosen ? v : "default";
}

/* The profile's name in a "[…]" line; empty: another kind of section. */
static str section_name(str line, bool config_file)
{
    const char *end = memchr(line.p, ']', line.n);
    str s = str_trim((str){line.p + 1, end ? (size_t)(end - line.p - 1) : 0});
    if (!config_file || str_eqz(s, "default"))
        return s;
    if (!str_starts(s, STR("profile ")) && !str_starts(s, STR("profile\t")))
        return (str){0};
    s = str_trim((str){s.p + 8, s.n - 8});
    if (s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.n - 1] == s.p[0])
        s = (str){s.p + 1, s.n - 2};
    return s;
}

static void set_key(aws_profile *p, str key, str value)
{
    const struct { const char *name; str *at; } keys[] = {
        {"aws_access_key_id", &p->access_key_id}, {"aws_secret_access_key", &p->secret_access_key}, {"aws_session_token", &p->session_token},
        {"aws_security_token", &p->session_token}, {"region", &p->region}, {"role_arn", &p->role_arn}, {"source_profile", &p->source_profile},
        {"credential_source", &p->credential_source}, {"role_session_name", &p->role_session_name}, {"external_id", &p->external_id},
        {"web_identity_token_file", &p->web_identity_token_file}, {"credential_process", &p->credential_process}, {"sso_session", &p->sso},
        {"sso_start_url", &p->sso}, {"mfa_serial", &p->mfa_serial},
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (str_ieq(key, str_of(keys[i].name)) && !keys[i].at->n)
            *keys[i].at = value;
}

void aws_profile_parse(str text, bool config_file, const char *name, aws_profile *out)
{
    bool inside = false;
    if (str_starts(text, STR("\xef\xbb\xbf")))
        text = (str){text.p + 3, text.n - 3};
    while (text.n) {
        const char *nl = memchr(text.p, '\n', text.n);
        str line = {text.p, nl ? (size_t)(nl - text.p) : text.n};
        text = nl ? (str){nl + 1, text.n - line.n - 1} : (str){0};
        bool indented = line.n && (line.p[0] == ' ' || line.p[0] == '\t');
        line = str_trim(line);
        if (!line.n || line.p[0] == '#' || line.p[0] == ';' || indented)
            continue;
        if (line.p[0] == '[') {
            inside = str_eqz(section_name(line, config_file), name);
            out->found |= inside;
            continue;
        }
        const char *eq = memchr(line.p, '=', line.n);
        if (!inside || !eq)
            continue;
        str value = {eq + 1, line.n - (size_t)(eq + 1 - line.p)};
        for (size_t i = 1; i < value.n; i++)
            if ((value.p[i] == '#' || value.p[i] == ';') && (value.p[i - 1] == ' ' || value.p[i - 1] == '\t'))
                value.n = i - 1;
        set_key(out, str_trim((str){line.p, (size_t)(eq - line.p)}), str_trim(value));
    }
}

/* The file that a variable names, else one below the home directory. */
static fz_status file_path(const char *variable, const char *below, arena *a, char **out, fz_error *err)
{
    const char *v = getenv(variable), *home = getenv("HOME");
    char space[4096];
    struct passwd pw, *found = NULL;
    if (v && v[0] == '~' && v[1] == '/')
        below = v + 1;
    else if (v && *v)
        return (*out = arena_strndup(a, v, strlen(v))) ? FZ_OK : error_nomem(err);
    if ((!home || !*home) && getpwuid_r(getuid(), &pw, space, sizeof space, &found) == 0 && found)
        home = found->pw_dir;
    *out = NULL;
    if (!home)
        return FZ_OK;
    size_t n = strlen(home), k = strlen(below);
    if (!(*out = arena_alloc(a, n + k + 1)))
        return error_nomem(err);
    memcpy(*out, home, n);
    memcpy(*out + n, below, k + 1);
    return FZ_OK;
}

fz_status aws_profile_read(const char *name, arena *a, aws_profile *out, fz_error *err)
{
    static const char *const files[2][2] = {{"AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials"}, {"AWS_CONFIG_FILE", "/.aws/config"}};
    *out = (aws_profile){0};
    for (int i = 0; i < 2; i++) {
        char *path, *text = NULL;
        size_t n;
        TRY(file_path(files[i][0], files[i][1], a, &path, err));
        if (path)
            TRY(aws_read_file(a, path, &text, &n, err));
        if (text)
            aws_profile_parse((str){text, n}, i == 1, name, out);
    }
    return FZ_OK;
}
