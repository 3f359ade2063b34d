/*
 * credentials.c: providers: fixed keys, and keys that are fetched and renewed.
 *
 * A fetched provider keeps the keys it has. Within RENEW_MS of their end one caller fetches new ones while the others go on with the old; only
 * where less than NEEDED_MS is left do the others wait for it. A renewal that fails is no failure while the old keys are good; it isn't tried again for
 * RETRY_MS.
 */
#include "io/aws/credentials_int.h"

#include <pthread.h>
#include <time.h>

#define RENEW_MS  (5 * 60 * 1000)
#define NEEDED_MS (60 * 1000)
#define RETRY_MS  (15 * 1000)

typedef struct fetched {
    aws_credentials base;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool fetching;
    bool have;
    int64_t retry_at_ms;
    arena mem[2];           /* of the keys in force, and of those being fetched */
    unsigned at;
    aws_keys keys;
    aws_fetch_fn fetch;
    void (*free)(void *ctx);
    void *ctx;
} fetched;

int64_t aws_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Digits [at, at + n) of s. */
static bool digits(str s, size_t at, size_t n, int *out)
{
    *out = 0;
    if (at + n > s.n)
        return false;
    for (size_t i = at; i < at + n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        *out = *out * 10 + (s.p[i] - '0');
    }
    return true;
}

bool aws_parse_time(str s, int64_t *out)
{
    int y, mo, d, h, mi, sec;
    if (!digits(s, 0, 4, &y) || !digits(s, 5, 2, &mo) || !digits(s, 8, 2, &d) || !digits(s, 11, 2, &h) || !digits(s, 14, 2, &mi) ||
        !digits(s, 17, 2, &sec) || s.p[4] != '-' || s.p[7] != '-' || (s.p[10] != 'T' && s.p[10] != ' ') || s.p[13] != ':' || s.p[16] != ':')
        return false;
    if (y < 1970 || mo < 1 || mo > 12 || d < 1 || d > 31 || h > 23 || mi > 59 || sec > 60)
        return false;
    size_t i = 19;
    if (i < s.n && s.p[i] == '.')
        for (i++; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
            ;
    str zone = {s.p + i, s.n - i};
    if (zone.n && !str_eqz(zone, "Z") && !str_eqz(zone, "+00:00") && !str_eqz(zone, "UTC"))
        return false;
    /* days since 1970: years begin in March, so that a leap day is a year's last */
    int64_t yy = y - (mo <= 2), era = yy / 400, yoe = yy - era * 400, doy = (153 * (mo + (mo > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t days = era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
    *out = ((days * 24 + h) * 60 + mi) * 60000 + (int64_t)sec * 1000;
    return true;
}

static fz_status copy_str(arena *a, str s, str *out, fz_error *err)
{
    *out = (str){arena_strndup(a, s.p ? s.p : "", s.n), s.n};
    return out->p ? FZ_OK : error_nomem(err);
}

static fz_status copy_keys(const aws_keys *k, arena *a, aws_keys *out, fz_error *err)
{
    out->expires_ms = k->expires_ms;
    TRY(copy_str(a, k->access_key_id, &out->access_key_id, err));
    TRY(copy_str(a, k->secret_access_key, &out->secret_access_key, err));
    return copy_str(a, k->session_token, &out->session_token, err);
}

aws_credentials *aws_credentials_ref(aws_credentials *c)
{
    if (c)
        atomic_fetch_add(&c->refs, 1);
    return c;
}

void aws_credentials_unref(aws_credentials *c)
{
    if (c && atomic_fetch_sub(&c->refs, 1) == 1)
        c->ops->free(c);
}

/* ---- fixed ---- */

typedef struct fixed {
    aws_credentials base;
    arena mem;
    aws_keys keys;
} fixed;

static fz_status fixed_get(aws_credentials *c, arena *a, aws_keys *out, fz_error *err)
{
    return copy_keys(&((fixed *)c)->keys, a, out, err);
}

static bool fixed_cached(aws_credentials *c, arena *a, aws_keys *out)
{
    return copy_keys(&((fixed *)c)->keys, a, out, NULL) == FZ_OK;
}

static void fixed_free(aws_credentials *c)
{
    fixed *f = (fixed *)c;
    arena_free(&f->mem);
    mem_free(c->m, f, sizeof *f);
}

aws_credentials *aws_credentials_static(const aws_keys *k, mem *m)
{
    static const struct aws_credentials_ops ops = {.get = fixed_get, .cached = fixed_cached, .free = fixed_free};
    fixed *f = mem_zalloc(m, sizeof *f);
    if (!f)
        return NULL;
    f->base = (aws_credentials){.ops = &ops, .m = m};
    atomic_init(&f->base.refs, 1);
    arena_init(&f->mem, m);
    if (copy_keys(k, &f->mem, &f->keys, NULL) == FZ_OK)
        return &f->base;
    fixed_free(&f->base);
    return NULL;
}

/* ---- fetched ---- */

/* The keys in force are good for so long; INT64_MAX: for ever. Locked. */
static int64_t left_ms(const fetched *f, int64_t now)
{
    if (!f->have)
        return INT64_MIN;
    return f->keys.expires_ms == INT64_MAX ? INT64_MAX : f->keys.expires_ms - now;
}

/* Fetches with the lock released. Locked. */
static fz_status renew(fetched *f, fz_error *err)
{
    unsigned next = f->at ^ 1;
    aws_keys k = {.expires_ms = INT64_MAX};
    f->fetching = true;
    pthread_mutex_unlock(&f->lock);
    arena_reset(&f->mem[next]);
    fz_status st = f->fetch(f->ctx, &f->mem[next], &k, err);
    pthread_mutex_lock(&f->lock);
    f->fetching = false;
    if (st) {
        f->retry_at_ms = aws_now_ms() + RETRY_MS;
    } else {
        f->keys = k;
        f->at = next;
        f->have = true;
        f->retry_at_ms = 0;
    }
    pthread_cond_broadcast(&f->changed);
    return st;
}

static fz_status fetched_get(aws_credentials *c, arena *a, aws_keys *out, fz_error *err)
{
    fetched *f = (fetched *)c;
    fz_status st = FZ_OK;
    pthread_mutex_lock(&f->lock);
    for (;;) {
        int64_t now = aws_now_ms(), left = left_ms(f, now);
        bool good = left >= NEEDED_MS;
        if (left >= RENEW_MS || (good && (f->fetching || now < f->retry_at_ms)))
            break;
        if (f->fetching) {
            pthread_cond_wait(&f->changed, &f->lock);
            continue;
        }
        st = renew(f, err);
        /* what was got may itself be near its end: it is the newest there is */
        if (st && good)
            st = FZ_OK;
        break;
    }
    if (!st)
        st = copy_keys(&f->keys, a, out, err);
    pthread_mutex_unlock(&f->lock);
    return st;
}

static bool fetched_cached(aws_credentials *c, arena *a, aws_keys *out)
{
    fetched *f = (fetched *)c;
    pthread_mutex_lock(&f->lock);
    bool good = left_ms(f, aws_now_ms()) >= NEEDED_MS && copy_keys(&f->keys, a, out, NULL) == FZ_OK;
    pthread_mutex_unlock(&f->lock);
    return good;
}

static void fetched_expire(aws_credentials *c)
{
    fetched *f = (fetched *)c;
    pthread_mutex_lock(&f->lock);
    f->have = false;
    f->retry_at_ms = 0;
    pthread_mutex_unlock(&f->lock);
}

static void fetched_free(aws_credentials *c)
{
    fetched *f = (fetched *)c;
    if (f->free)
        f->free(f->ctx);
    arena_free(&f->mem[0]);
    arena_free(&f->mem[1]);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    mem_free(c->m, f, sizeof *f);
}

aws_credentials *aws_credentials_fetched(aws_fetch_fn fetch, void (*free)(void *ctx), void *ctx, mem *m)
{
    static const struct aws_credentials_ops ops = {.get = fetched_get, .cached = fetched_cached, .expire = fetched_expire, .free = fetched_free};
    fetched *f = mem_zalloc(m, sizeof *f);
    if (!f) {
        if (free)
            free(ctx);
        return NULL;
    }
    f->base = (aws_credentials){.ops = &ops, .m = m};
    atomic_init(&f->base.refs, 1);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    arena_init(&f->mem[0], m);
    arena_init(&f->mem[1], m);
    f->fetch = fetch;
    f->free = free;
    f->ctx = ctx;
    return &f->base;
}
