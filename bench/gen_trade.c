/*
 * gen_trade.c: writes a made-up foreign-trade table as CSV, in the shape of the trade statistics
 * that customs administrations publish by month.
 *
 *     gen_trade ROWS [FILE|-]
 *
 * The output depends on ROWS alone. Rows are ordered by month (January 2017 to October 2020),
 * direction (1 export, 2 import), hs9 code, country, customs office; no (month, direction,
 * hs9, country, office) occurs twice. Any number of rows spreads over all 46 months.
 *
 * How it works. 9,000 codes are drawn once, each with its own weight per direction, unit price
 * and typical quantity. The rows of a month are dealt out to its codes by cumulated weights, so
 * that the counts add up exactly. For each code that many (country, office) pairs are set as
 * bits of a bitmap, drawn from skewed distributions; walking the bitmap gives them in order.
 * Quantities and values are products of factors from two tables of log-normal quantiles, in
 * fixed point, so that no result hangs on the last bit of a platform's exp().
 */
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MONTHS = 46, FIRST_YEAR = 2017,
    COUNTRIES = 230, OFFICES = 90, CODES = 9000,
    OFFICE_BITS = 7, PAIR_BITS = COUNTRIES << OFFICE_BITS, PAIR_WORDS = PAIR_BITS / 64,
    QUANTILES = 1 << 12, DRAWS = 1 << 12,
    OUT_BYTES = 1 << 20, ROW_MAX = 160,
};

/* ---- random numbers: xoshiro256** ---- */

typedef struct rng { uint64_t s[4]; } rng;

static uint64_t rotl(uint64_t x, int k) { return x << k | x >> (64 - k); }

static uint64_t rng_next(rng *r)
{
    uint64_t *s = r->s, out = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return out;
}

static void rng_seed(rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = (seed += 0x9e3779b97f4a7c15u);
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        r->s[i] = z ^ z >> 31;
    }
}

static uint32_t rng_below(rng *r, uint32_t n) { return (uint32_t)((rng_next(r) >> 32) * n >> 32); }

/* ---- the model ---- */

typedef struct code {
    uint32_t hs9;
    double weight[2];     /* share of the direction's rows, before normalising */
    uint64_t quantity;    /* typical Q2, 1/65536 */
    uint64_t price;       /* value per unit of Q2, 1/65536 */
    uint64_t piece;       /* Q1 per unit of Q2, 1/65536; 0: no first unit */
    char text[26];        /* "hs2,hs4,hs6,hs9," */
} code;

static struct {
    rng r;
    code codes[CODES];
    char country[COUNTRIES][4], office[OFFICES][4];
    uint8_t country_draw[DRAWS], office_draw[DRAWS];
    uint64_t spread_wide[QUANTILES], spread_narrow[QUANTILES]; /* log-normal factors, 1/65536 */
    uint64_t pairs[PAIR_WORDS];
    int fd;
    char out[OUT_BYTES];
    size_t used;
} g;

/* The standard normal quantile (Acklam's rational approximation). */
static double normal_quantile(double p)
{
    static const double a[] = {-39.69683028665376, 220.9460984245205, -275.9285104469687,
                               138.3577518672690, -30.66479806614716, 2.506628277459239};
    static const double b[] = {-54.47609879822406, 161.5858368580409, -155.6989798598866,
                               66.80131188771972, -13.28068155288572};
    static const double c[] = {-0.007784894002430293, -0.3223964580411365, -2.400758277161838,
                               -2.549732539343734, 4.374664141464968, 2.938163982698783};
    static const double d[] = {0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416};
    if (p > 0.5)
        return -normal_quantile(1 - p);
    if (p < 0.02425) {
        double q = sqrt(-2 * log(p));
        return (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
               ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
    }
    double q = p - 0.5, s = q * q;
    return (((((a[0] * s + a[1]) * s + a[2]) * s + a[3]) * s + a[4]) * s + a[5]) * q /
           (((((b[0] * s + b[1]) * s + b[2]) * s + b[3]) * s + b[4]) * s + 1);
}

static double rng_normal(rng *r) { return normal_quantile((rng_below(r, 1u << 30) + 0.5) / (1u << 30)); }

/* A table that gives n things shares falling with their rank, ranks dealt out at random. */
static void fill_draws(uint8_t *draw, int n, double power)
{
    int rank[256];
    double total = 0, cum = 0;
    for (int i = 0; i < n; i++)
        rank[i] = i;
    for (int i = n - 1; i > 0; i--) {
        int j = (int)rng_below(&g.r, (uint32_t)i + 1), t = rank[i];
        rank[i] = rank[j];
        rank[j] = t;
    }
    for (int i = 0; i < n; i++)
        total += pow(i + 3, -power);
    int at = 0;
    for (int i = 0; i < n; i++) {
        cum += pow(rank[i] + 3, -power);
        for (int end = (int)(cum / total * DRAWS + 0.5); at < end; at++)
            draw[at] = (uint8_t)i;
    }
    for (; at < DRAWS; at++)
        draw[at] = 0;
}

static void make_names(char (*name)[4], int n, int first, int last)
{
    for (int i = 0; i < n; i++)
        snprintf(name[i], 4, "%03d", first + (last - first) * i / (n - 1));
}

/* Sorted codes: 98 chapters, some headings in each, some sub-headings in those. */
static void make_codes(void)
{
    uint32_t n = 0;
    for (int chapter = 0; chapter < 98; chapter++) {
        uint32_t until = (uint32_t)((uint64_t)CODES * (unsigned)(chapter + 1) / 98);
        uint32_t hs6 = (uint32_t)chapter * 10000, last3 = 190;
        for (; n < until; n++) {
            g.codes[n].hs9 = hs6 * 1000 + last3;
            uint32_t step = rng_below(&g.r, 10);
            if (step < 5 && last3 < 960) {
                last3 += 1 + rng_below(&g.r, 30);
            } else {
                hs6 += step < 8 ? 1 + rng_below(&g.r, 20) : 100 - hs6 % 100 + rng_below(&g.r, 30);
                last3 = rng_below(&g.r, 3) ? 0 : 10 * (1 + rng_below(&g.r, 9));
            }
        }
    }
    for (n = 0; n < CODES; n++) {
        code *c = &g.codes[n];
        uint32_t only = rng_below(&g.r, 5); /* 0: never exported, 1: never imported */
        for (int d = 0; d < 2; d++)
            c->weight[d] = (uint32_t)d == only ? 0 : exp(1.2 * rng_normal(&g.r));
        c->quantity = (uint64_t)(65536 * exp(7.2 + 1.7 * rng_normal(&g.r)));
        c->price = (uint64_t)(65536 * exp(1.1 + 1.3 * rng_normal(&g.r))) + 1;
        c->piece = rng_below(&g.r, 100) < 34 ? (uint64_t)(65536 * exp(-0.9 + 1.2 * rng_normal(&g.r))) : 0;
        char text[64];
        snprintf(text, sizeof text, "%02u,%04u,%06u,%09u,", c->hs9 / 10000000, c->hs9 / 100000, c->hs9 / 1000,
                 c->hs9);
        memcpy(c->text, text, sizeof c->text);
    }
}

static void make_model(void)
{
    rng_seed(&g.r, 20170101);
    make_names(g.country, COUNTRIES, 103, 703);
    make_names(g.office, OFFICES, 100, 910);
    fill_draws(g.country_draw, COUNTRIES, 1.25);
    fill_draws(g.office_draw, OFFICES, 1.1);
    make_codes();
    for (int i = 0; i < QUANTILES; i++) {
        double z = normal_quantile((i + 0.5) / QUANTILES);
        g.spread_wide[i] = (uint64_t)(65536 * exp(1.9 * z) + 0.5);
        g.spread_narrow[i] = (uint64_t)(65536 * exp(0.6 * z) + 0.5);
    }
}

/* ---- output ---- */

static void flush(void)
{
    for (size_t at = 0; at < g.used;) {
        ssize_t n = write(g.fd, g.out + at, g.used - at);
        if (n < 0) {
            perror("gen_trade: write");
            exit(1);
        }
        at += (size_t)n;
    }
    g.used = 0;
}

static char *put_number(char *p, uint64_t v)
{
    char tmp[20];
    int n = 0;
    do
        tmp[n++] = (char)('0' + v % 10);
    while (v /= 10);
    while (n)
        *p++ = tmp[--n];
    return p;
}

static void put_row(const char *prefix, size_t prefix_n, const code *c, uint32_t pair)
{
    uint64_t r = rng_next(&g.r);
    uint64_t wide = g.spread_wide[r % QUANTILES], mid = g.spread_narrow[(r >> 12) % QUANTILES];
    uint64_t narrow = g.spread_narrow[(r >> 24) % QUANTILES], piece = g.spread_narrow[(r >> 36) % QUANTILES];
    uint64_t q2 = ((c->quantity >> 8) * (wide >> 4) >> 8) * (mid >> 4) >> 24;
    uint64_t value = (q2 + 1) * c->price / 65536 * narrow / 65536 + 200 + (r >> 48) % 64;
    uint64_t q1 = c->piece ? q2 * c->piece / 65536 * piece / 65536 + (r >> 60) / 8 : 0;

    if (g.used + ROW_MAX > OUT_BYTES)
        flush();
    char *p = g.out + g.used;
    memcpy(p, prefix, prefix_n);
    p += prefix_n;
    memcpy(p, g.country[pair >> OFFICE_BITS], 4);
    p[3] = ',';
    memcpy(p + 4, g.office[pair & ((1 << OFFICE_BITS) - 1)], 4);
    p[7] = ',';
    memcpy(p + 8, c->text, sizeof c->text - 1);
    p = put_number(p + 8 + sizeof c->text - 1, q1);
    *p++ = ',';
    p = put_number(p, q2);
    *p++ = ',';
    p = put_number(p, value);
    *p++ = '\n';
    g.used = (size_t)(p - g.out);
}

/* n rows of one code in one month and direction. */
static void put_code(const char *prefix, size_t prefix_n, const code *c, uint32_t n)
{
    if (n > (uint32_t)COUNTRIES * OFFICES)
        n = COUNTRIES * OFFICES;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t r = rng_next(&g.r);
        uint32_t pair = (uint32_t)g.country_draw[r % DRAWS] << OFFICE_BITS | g.office_draw[(r >> 12) % DRAWS];
        for (int tries = 0; g.pairs[pair / 64] >> (pair % 64) & 1; tries++) {
            r = rng_next(&g.r);
            if (tries < 16)
                pair = (uint32_t)g.country_draw[r % DRAWS] << OFFICE_BITS | g.office_draw[(r >> 12) % DRAWS];
            else
                pair = rng_below(&g.r, COUNTRIES) << OFFICE_BITS | rng_below(&g.r, OFFICES);
        }
        g.pairs[pair / 64] |= 1ull << (pair % 64);
    }
    for (uint32_t w = 0; n; w++) {
        for (uint64_t bits = g.pairs[w]; bits; bits &= bits - 1, n--)
            put_row(prefix, prefix_n, c, w * 64 + (uint32_t)__builtin_ctzll(bits));
        g.pairs[w] = 0;
    }
}

/* rows of one month and direction, dealt out to the codes. */
static void put_part(int month, int direction, uint64_t rows)
{
    static double cum[CODES];
    char prefix[32];
    int year = FIRST_YEAR + month / 12, of_year = month % 12 + 1;
    int n = snprintf(prefix, sizeof prefix, "%d,%d,%02d,%d%02d,", direction + 1, year, of_year, year, of_year);
    double total = 0;
    for (int i = 0; i < CODES; i++) {
        double jitter = g.spread_narrow[rng_below(&g.r, QUANTILES)] / 65536.0;
        total += g.codes[i].weight[direction] * jitter;
        cum[i] = total;
    }
    uint64_t done = 0;
    double phase = rng_below(&g.r, 1000) / 1000.0;
    for (int i = 0; i < CODES && done < rows; i++) {
        uint64_t until = i == CODES - 1 ? rows : (uint64_t)(cum[i] / total * (double)rows + phase);
        if (until > rows)
            until = rows;
        if (until > done) {
            put_code(prefix, (size_t)n, &g.codes[i], (uint32_t)(until - done));
            done = until;
        }
    }
}

/* The first row that is not of the months before m. */
static uint64_t month_start(uint64_t rows, int m)
{
    static const uint8_t weight[12] = {88, 94, 106, 102, 96, 101, 102, 97, 100, 105, 103, 106};
    uint64_t before = 0, total = 0;
    for (int i = 0; i < MONTHS; i++) {
        uint64_t w = weight[i % 12] + (uint64_t)i / 12;
        before += i < m ? w : 0;
        total += w;
    }
    return (uint64_t)((unsigned __int128)rows * before / total);
}

int main(int argc, char **argv)
{
    char *end = NULL;
    uint64_t rows = argc > 1 ? strtoull(argv[1], &end, 10) : 0;
    if (argc < 2 || argc > 3 || *end || end == argv[1] || argv[1][0] == '-' || rows > 100000000) {
        fprintf(stderr, "usage: gen_trade ROWS [FILE|-]   (at most 100,000,000 rows)\n");
        return 2;
    }
    g.fd = STDOUT_FILENO;
    if (argc == 3 && strcmp(argv[2], "-") != 0)
        g.fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (g.fd < 0) {
        perror(argv[2]);
        return 1;
    }
    make_model();
    static const char header[] = "exp_imp,Year,month,ym,Country,Custom,hs2,hs4,hs6,hs9,Q1,Q2,Value\n";
    memcpy(g.out, header, sizeof header - 1);
    g.used = sizeof header - 1;
    for (int m = 0; m < MONTHS; m++) {
        uint64_t n = month_start(rows, m + 1) - month_start(rows, m);
        uint64_t exports = n * (43 + (unsigned)m % 5) / 100;
        put_part(m, 0, exports);
        put_part(m, 1, n - exports);
    }
    flush();
    if (close(g.fd)) {
        perror("gen_trade: close");
        return 1;
    }
    return 0;
}
