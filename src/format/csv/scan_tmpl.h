/*
 * scan_tmpl.h: the loops of scan.h, once for each instruction set. Included by scan.c with
 *
 *   FN(name)          the function's name with the set's suffix
 *   TARGET            its target attribute
 *   BLOCK             the type of 64 loaded bytes, LOAD(p), EQ(v, byte) -> 64-bit mask,
 *                     HIGH(v) -> mask of bytes with the top bit
 *   PREFIX_XOR(m)     bit i = xor of bits 0..i of m
 *   EMIT(pos, base, m)  writes base + i for each set bit; may write up to 64 entries
 */

TARGET static void FN(survey)(const char *t, size_t n, uint8_t quote, scan_survey *out)
{
    uint64_t lines = 0, any_cr = 0, q = 0, nul = 0, high = 0;
    for (size_t i = 0; i < n; i += 64) {
        BLOCK v = LOAD(t + i);
        uint64_t keep = n - i >= 64 ? ~0ull : (1ull << (n - i)) - 1;
        uint64_t lf = EQ(v, '\n'), cr = EQ(v, '\r') & keep;
        lines += (unsigned)__builtin_popcountll(lf & keep);
        if (__builtin_expect(cr != 0, 0)) {
            uint64_t next_lf = (lf & keep) >> 1 | (n - i > 64 && t[i + 64] == '\n' ? 1ull << 63 : 0);
            lines += (unsigned)__builtin_popcountll(cr & ~next_lf);
            any_cr = 1;
        }
        q |= EQ(v, quote) & keep;
        nul |= EQ(v, 0) & keep;
        high |= HIGH(v) & keep;
    }
    *out = (scan_survey){.lines = lines, .cr = any_cr, .quote = quote && q, .nul = nul != 0, .high = high != 0};
}

TARGET static void FN(list_plain)(const char *t, uint32_t to, scan_chars c, uint32_t want,
                                  uint32_t *pos, scan_state *st)
{
    uint32_t at = st->at, n = st->n, lines = st->lines;
    for (; n < want && at + 64 <= to; at += 64) {
        BLOCK v = LOAD(t + at);
        uint64_t lf = EQ(v, '\n'), m = EQ(v, c.delim) | lf;
        EMIT(pos + n, at, m);
        n += (unsigned)__builtin_popcountll(m);
        lines += (unsigned)__builtin_popcountll(lf);
    }
    if (n < want && at < to) {
        BLOCK v = LOAD(t + at);
        uint64_t keep = (1ull << (to - at)) - 1;
        uint64_t lf = EQ(v, '\n') & keep, m = (EQ(v, c.delim) & keep) | lf;
        EMIT(pos + n, at, m);
        n += (unsigned)__builtin_popcountll(m);
        lines += (unsigned)__builtin_popcountll(lf);
        at = to;
    }
    st->at = at;
    st->n = n;
    st->lines = lines;
}

TARGET static void FN(list_quoted)(const char *t, uint32_t to, scan_chars c, uint32_t want,
                                   uint32_t *pos, scan_state *st)
{
    uint32_t at = st->at, n = st->n, lines = st->lines;
    uint64_t carry = st->in_quote;
    while (n < want && at < to) {
        BLOCK v = LOAD(t + at);
        uint32_t left = to - at;
        uint64_t keep = left >= 64 ? ~0ull : (1ull << left) - 1;
        uint64_t lf = EQ(v, '\n'), cr = EQ(v, '\r');
        uint64_t q = c.quote ? EQ(v, c.quote) & keep : 0;
        uint64_t inside = PREFIX_XOR(q) ^ carry;
        uint64_t next_lf = lf >> 1 | (left > 64 && t[at + 64] == '\n' ? 1ull << 63 : 0);
        uint64_t nl = (lf | (cr & ~next_lf)) & ~inside & keep;
        uint64_t m = (EQ(v, c.delim) & ~inside & keep) | nl;
        EMIT(pos + n, at, m);
        n += (unsigned)__builtin_popcountll(m);
        lines += (unsigned)__builtin_popcountll(nl);
        carry = (uint64_t)((int64_t)inside >> 63);
        if (left <= 64) {
            at = to;
            break;
        }
        at += 64;
    }
    st->at = at;
    st->n = n;
    st->lines = lines;
    st->in_quote = carry;
}

/* Quotes alternate between opening and closing (an escaped pair closes and opens again). That
 * reading is exact if every opening one follows a separator or a closing one, and every closing
 * one is followed by a separator or an opening one. */
TARGET static void FN(split)(const char *t, size_t n, scan_chars c, scan_split *out)
{
    uint64_t carry = 0, prev_open_ok = 1, prev_close = 0;
    size_t end = 0;
    *out = (scan_split){0};
    for (size_t at = 0; at < n; at += 64) {
        BLOCK v = LOAD(t + at);
        uint64_t keep = n - at >= 64 ? ~0ull : (1ull << (n - at)) - 1;
        uint64_t lf = EQ(v, '\n'), cr = EQ(v, '\r');
        uint64_t q = EQ(v, c.quote) & keep;
        uint64_t inside = PREFIX_XOR(q) ^ carry;
        uint64_t sep = EQ(v, c.delim) | lf | cr;
        uint64_t opens = q & inside, closes = q & ~inside;
        uint64_t open_ok = (sep | closes) << 1 | prev_open_ok;
        uint64_t after_close = closes << 1 | prev_close;
        if ((opens & ~open_ok) | (after_close & ~(sep | q) & keep))
            return; /* not clean */
        prev_open_ok = (sep | closes) >> 63;
        prev_close = closes >> 63;
        bool next_known = n - at > 64;
        uint64_t last = next_known ? 1ull << 63 : 1ull << (n - at - 1);
        uint64_t next_lf = lf >> 1 | (next_known ? (t[at + 64] == '\n' ? last : 0) : last);
        uint64_t nl = (lf | (cr & ~next_lf)) & ~inside & keep;
        if (nl)
            end = at + 64 - (unsigned)__builtin_clzll(nl);
        carry = (uint64_t)((int64_t)inside >> 63);
        if (n - at < 64)
            carry = inside >> (n - at - 1) & 1 ? ~0ull : 0;
    }
    out->end = end;
    out->clean = true;
    out->in_quote = carry != 0;
}

#undef FN
#undef TARGET
#undef BLOCK
#undef LOAD
#undef EQ
#undef HIGH
#undef PREFIX_XOR
#undef EMIT
