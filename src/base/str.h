/*
 * str.h: text. `str` is a borrowed slice (not NUL-terminated); `sbuf` grows and keeps a sticky
 * out-of-memory flag, so that a sequence of appends is checked once, at its end.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/mem.h"

#include <stdarg.h>

typedef struct str {
    const char *p;
    size_t n;
} str;

#define STR(lit)  ((str){(lit), sizeof(lit) - 1})
#define STR_FMT   "%.*s"
#define STR_ARG(s) (int)(s).n, (s).p

static inline str str_of(const char *z) { return (str){z, z ? strlen(z) : 0}; }
static inline bool str_eq(str a, str b) { return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0); }
static inline bool str_eqz(str a, const char *z) { return str_eq(a, str_of(z)); }
bool str_ieq(str a, str b);        /* equal without regard to ASCII case */
int str_cmp(str a, str b);         /* by bytes, shorter first */
bool str_starts(str s, str prefix);
bool str_ends(str s, str suffix);
str str_trim(str s);               /* without leading and trailing ASCII white space */
bool str_to_i64(str s, int64_t *out); /* whole slice, decimal, optional sign; false: not one */
/* Bytes as people write them: a number, with k, M or G (or kB, KiB, …) for powers of 1,024; false: not one, or too large. */
bool str_to_size(str s, int64_t *out);
/* Number of bytes of the longest valid UTF-8 prefix; s.n when all is valid. */
size_t utf8_valid_prefix(str s);
/* Edit distance (insert, delete, change, swap); ASCII case is ignored. max + 1 stands for
 * everything above `max` (and for texts of more than 255 bytes). */
unsigned str_distance(str a, str b, unsigned max);

#define SBUF_MAX ((size_t)1 << 32) /* an append that would pass this fails as one without memory */

typedef struct sbuf {
    mem *m;
    char *p;      /* NUL-terminated once anything was appended */
    size_t n, cap;
    bool failed;  /* an append had no memory; contents are cut */
} sbuf;

void sbuf_init(sbuf *b, mem *m);
void sbuf_free(sbuf *b);
void sbuf_clear(sbuf *b);
bool sbuf_reserve(sbuf *b, size_t more);
void sbuf_add(sbuf *b, const void *p, size_t n);
void sbuf_addz(sbuf *b, const char *z);
void sbuf_addc(sbuf *b, char c);
void sbuf_str(sbuf *b, str s);
void sbuf_i64(sbuf *b, int64_t v);
void sbuf_printf(sbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
