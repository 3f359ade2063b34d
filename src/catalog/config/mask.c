/*
 * mask.c: what must not be shown.
 *
 * A key is secret if its last words say so, whoever may have invented it: a key that nobody knows may hold a password. Parts of a value are secret
 * too: the password of a URI, what follows "client id:" in a credential.
 */
#include "catalog/config/config_int.h"

#define MASK "****"

bool config_secret(str key)
{
    static const char *const words[] = {"secret", "password", "passwd", "passphrase", "credential", "credentials", "token", "private-key", "account-key",
                                        "access-key", "access-key-id", "secret-access-key", "api-key", "apikey", "sas-token", "session-token",
                                        "connection-string", "client-secret", "client_secret", "sse.key"};
    static const char *const open[] = {"s3.sse.type"};
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
        if (str_eqz(key, open[i]))
            return false;
    if (str_starts(key, STR("header."))) { /* what proxies and gateways want to see: many names, so all but a few */
        static const char *const harmless[] = {"header.content-type", "header.accept", "header.user-agent", "header.x-client-version",
                                               "header.x-iceberg-access-delegation", "header.polaris-realm"};
        for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
            if (str_eqz(key, harmless[i]))
                return false;
        return true;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        str w = str_of(words[i]);
        if (!str_ends(key, w))
            continue;
        char before = key.n > w.n ? key.p[key.n - w.n - 1] : '.';
        if (before == '.' || before == '-' || before == '_')
            return true;
    }
    return false;
}

/* The secret part of a value that isn't one as a whole: a URI's password. Empty: none. */
static str uri_password(str v)
{
    const char *at = NULL, *p = NULL;
    for (size_t i = 0; i + 2 < v.n && !p; i++)
        if (memcmp(v.p + i, "://", 3) == 0)
            p = v.p + i + 3;
    if (!p)
        return (str){0};
    const char *end = v.p + v.n, *host_end = p;
    while (host_end < end && *host_end != '/' && *host_end != '?' && *host_end != '#')
        host_end++;
    for (const char *q = p; q < host_end; q++)
        if (*q == '@')
            at = q; /* the last: a password may hold one */
    if (!at)
        return (str){0};
    const char *colon = memchr(p, ':', (size_t)(at - p));
    return colon ? (str){colon + 1, (size_t)(at - colon - 1)} : (str){0};
}

/* The n-th secret in an entry, empty behind the last. */
static str secret_part(const config_entry *e, unsigned n)
{
    str v = e->value;
    if (config_secret(e->key)) {
        const char *colon = v.n && str_ends(e->key, STR("credential")) ? memchr(v.p, ':', v.n) : NULL;
        if (n == 0 && colon) /* client id:client secret */
            return (str){colon + 1, v.n - (size_t)(colon + 1 - v.p)};
        return n == (colon ? 1u : 0u) ? v : (str){0};
    }
    str password = uri_password(v);
    if (n == 0 && password.n)
        return password;
    /* …?password=… */
    static const char *const names[] = {"password=", "token=", "secret="};
    unsigned at = password.n ? 1 : 0;
    for (size_t k = 0; k < 3; k++) {
        str name = str_of(names[k]);
        for (size_t i = 1; i + name.n < v.n; i++) {
            char before = v.p[i - 1];
            if ((before != '?' && before != '&' && before != ';') || !str_ieq((str){v.p + i, name.n}, name))
                continue;
            if (at++ != n)
                continue;
            str part = {v.p + i + name.n, 0};
            while (i + name.n + part.n < v.n && !strchr("&;", part.p[part.n]))
                part.n++;
            return part;
        }
    }
    return (str){0};
}

void config_mask(const config_entry *e, sbuf *out)
{
    str v = e->value;
    if (config_secret(e->key)) {
        const char *colon = v.n && str_ends(e->key, STR("credential")) ? memchr(v.p, ':', v.n) : NULL;
        if (colon) /* the client's id says which one it is */
            sbuf_add(out, v.p, (size_t)(colon + 1 - v.p));
        if (v.n)
            sbuf_addz(out, MASK);
        if (str_ends(e->key, STR("access-key-id")) && v.n >= 12) /* as AWS's own tools do */
            sbuf_add(out, v.p + v.n - 4, 4);
        return;
    }
    for (size_t i = 0; i < v.n;) {
        str part = {0};
        for (unsigned n = 0; (part = secret_part(e, n)).n && part.p != v.p + i; n++)
            ;
        if (part.n) {
            sbuf_addz(out, MASK);
            i += part.n;
        } else {
            sbuf_addc(out, v.p[i++]);
        }
    }
}

/* Short secrets are left: replacing every "ab" of a message would only spoil it. */
#define REDACT_MIN 4

static void replace_all(char *text, str secret)
{
    if (secret.n < REDACT_MIN)
        return;
    char *to = text;
    const char *from = text, *end = text + strlen(text);
    while (from < end) {
        if ((size_t)(end - from) >= secret.n && memcmp(from, secret.p, secret.n) == 0) {
            memcpy(to, MASK, 4);
            to += 4;
            from += secret.n;
        } else {
            *to++ = *from++;
        }
    }
    *to = 0;
}

void config_redact(const config_catalog *c, char *text)
{
    for (uint32_t i = 0; i < c->n; i++)
        for (unsigned n = 0;; n++) {
            str s = secret_part(&c->entries[i], n);
            if (!s.n)
                break;
            replace_all(text, s);
        }
}

void config_redact_error(const config_catalog *c, fz_error *err)
{
    if (!err)
        return;
    config_redact(c, err->message);
    config_redact(c, err->hint);
    config_redact(c, err->where);
}
