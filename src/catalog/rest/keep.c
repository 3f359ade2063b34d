/*
 * keep.c: token and configuration between processes, where the user allows it: a file of mode 0600 in a folder of mode 0700,
 * $XDG_CACHE_HOME/frazil/catalogs/<hash>.json (else ~/.cache/…). It appears by rename. Whatever goes wrong with it, there is none.
 *
 * The name is a hash of who asks whom: server, catalog's name, warehouse, scope, and the credential (so that a changed one is used at once);
 * the file itself holds no credential. The configuration counts for an hour, the token until a minute before it expires.
 */
#include "catalog/rest/rest_int.h"

#include "base/hash.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_MS (3600 * 1000)
#define TOKEN_LEFT_MS (60 * 1000)
#define FILE_MAX ((size_t)1 << 20)

static bool keep_path(const rest_client *c, char *path, size_t size, bool make)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = cache && *cache == '/' ? snprintf(path, size, "%s", cache) : home && *home == '/' ? snprintf(path, size, "%s/.cache", home) : -1;
    if (n < 0 || (size_t)n + 64 >= size)
        return false;
    static const char *const parts[] = {"", "/frazil", "/catalogs"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        n += snprintf(path + n, size - (size_t)n, "%s", parts[i]);
        if (make)
            mkdir(path, 0700);
    }
    struct stat s;
    if (lstat(path, &s) || !S_ISDIR(s.st_mode) || s.st_uid != geteuid() || (s.st_mode & 022))
        return false;
    static const char *const keys[] = {"uri", "warehouse", "prefix", "scope", "credential", "token", "oauth2-server-uri", "audience", "resource",
                                       "auth.oauth2.client_id", "auth.oauth2.client_secret", "auth.oauth2.token_url"};
    uint64_t h = hash_bytes(c->name, strlen(c->name));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        str v = {0};
        for (uint32_t k = 0; k < c->n_given; k++)
            if (str_eqz(c->given[k].key, keys[i]))
                v = c->given[k].value;
        h = hash_mix(h, hash_bytes(v.p, v.n));
    }
    snprintf(path + n, size - (size_t)n, "/%016llx.json", (unsigned long long)h);
    return true;
}

/* The file if it is ours alone. */
static char *file_read(const char *path, arena *a, size_t *n)
{
    struct stat s;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return NULL;
    char *p = NULL;
    if (fstat(fd, &s) == 0 && S_ISREG(s.st_mode) && s.st_uid == geteuid() && (s.st_mode & 077) == 0 && s.st_size > 0 && (size_t)s.st_size < FILE_MAX &&
        (p = arena_alloc(a, (size_t)s.st_size + 1))) {
        ssize_t got = read(fd, p, (size_t)s.st_size);
        *n = got > 0 ? (size_t)got : 0;
        p[*n] = 0;
    }
    close(fd);
    return p && *n ? p : NULL;
}

static int64_t number(const json_doc *d, const char *name)
{
    const json_node *v = json_get(d, json_root(d), name);
    int64_t x;
    return v && json_i64(d, v, &x, NULL) == FZ_OK ? x : 0;
}

static void token_take(rest_client *c, const json_doc *d, arena *a)
{
    str token;
    int64_t expires = number(d, "token-expires-ms"), now = rest_now_ms();
    if (c->token || rest_json_text(d, json_root(d), "token", a, &token, NULL) || !token.n || expires < now + TOKEN_LEFT_MS)
        return;
    char *copy = mem_alloc(c->m, token.n + 1);
    if (!copy)
        return;
    memcpy(copy, token.p, token.n);
    copy[token.n] = 0;
    c->token = copy;
    c->token_expires_ms = expires;
    c->token_life_ms = expires - now;
}

void rest_keep_load(rest_client *c, arena *a, str *config)
{
    char path[PATH_MAX];
    size_t n = 0;
    json_doc d;
    char *text;
    if (!c->keep || !keep_path(c, path, sizeof path, false) || !(text = file_read(path, a, &n)) || json_parse(&d, text, n, NULL, c->m, NULL))
        return;
    if (json_root(&d)->type == JSON_OBJECT) {
        pthread_mutex_lock(&c->lock);
        token_take(c, &d, a);
        pthread_mutex_unlock(&c->lock);
        const json_node *v = json_get(&d, json_root(&d), "config");
        int64_t age = rest_now_ms() - number(&d, "config-ms");
        if (v && v->type == JSON_OBJECT && age >= 0 && age < CONFIG_MS)
            *config = json_raw(&d, v); /* in `text`, which is the arena's */
        c->config_ms = number(&d, "config-ms");
    }
    json_free(&d);
}

void rest_keep_save(rest_client *c)
{
    char path[PATH_MAX], temp[PATH_MAX + 32];
    if (!c->keep || !keep_path(c, path, sizeof path, true))
        return;
    sbuf b;
    sbuf_init(&b, c->m);
    json_writer w = json_writer_on(&b);
    jw_begin(&w, '{');
    if (c->token && c->token_expires_ms != INT64_MAX) {
        jw_key(&w, "token");
        jw_str(&w, str_of(c->token));
        jw_key(&w, "token-expires-ms");
        jw_i64(&w, c->token_expires_ms);
    }
    if (c->config_text) {
        jw_key(&w, "config-ms");
        jw_i64(&w, c->config_ms);
        jw_key(&w, "config");
        jw_raw(&w, str_of(c->config_text));
    }
    jw_end(&w, '}');
    snprintf(temp, sizeof temp, "%s.%ld", path, (long)getpid());
    int fd = b.failed ? -1 : open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) {
        bool ok = write(fd, b.p, b.n) == (ssize_t)b.n;
        ok &= close(fd) == 0;
        if (!ok || rename(temp, path))
            unlink(temp);
    }
    sbuf_free(&b);
}
