/*
 * scan.h: the loops over raw text, one set per instruction set. All take text with 64 readable
 * bytes behind it. Positions are offsets into the text.
 *
 * Private to this folder.
 */
#ifndef FORMAT_CSV_SCAN_H
#define FORMAT_CSV_SCAN_H

#include "arrow/type.h"
#include "format/csv/csv.h"

/* What a block of text contains. */
typedef struct scan_survey {
    uint64_t lines; /* line ends: LF, CRLF, CR */
    bool cr, quote, nul, high; /* high: bytes of 0x80 and above */
} scan_survey;

/* The bytes that structure a text; quote 0: none. */
typedef struct scan_chars {
    uint8_t delim, quote;
} scan_chars;

/* Where listing separators stands; kept between calls on one block. */
typedef struct scan_state {
    uint32_t at;       /* next byte to look at */
    uint32_t n;        /* entries written to pos */
    uint32_t lines;    /* of them line ends */
    uint64_t in_quote; /* all ones inside a quoted field */
} scan_state;

/* The end of the last row, followed with quote parity. */
typedef struct scan_split {
    size_t end;        /* offset behind the last line end outside quotes; 0: none */
    bool clean;        /* every quote stands where it may */
    bool in_quote;     /* the text ends inside a quoted field */
} scan_split;

typedef struct scan_ops {
    const char *name;
    void (*survey)(const char *t, size_t n, uint8_t quote, scan_survey *out);
    /* Appends positions of delimiters and line feeds of t[st->at, to) to pos until it has at
     * least `want` entries or `to` is reached; writes at most want + 64. */
    void (*list_plain)(const char *t, uint32_t to, scan_chars c, uint32_t want, uint32_t *pos, scan_state *st);
    /* The same outside quotes; CR ends a line too, the CR of a CRLF is not listed. */
    void (*list_quoted)(const char *t, uint32_t to, scan_chars c, uint32_t want, uint32_t *pos, scan_state *st);
    /* c.quote is set. If the result isn't clean, the other members mean nothing. A CR that ends
     * the text ends no line: its LF may follow. */
    void (*split)(const char *t, size_t n, scan_chars c, scan_split *out);
    /* Fields of 1 to 16 digits to integers: field i is t[beg[i * stride] + bias,
     * end[i * stride]), 16 bytes before any field are readable. Rows of other fields are
     * listed in todo (room for n), ascending, and their values set to 0; returns how many. */
    uint32_t (*digits)(const char *t, const uint32_t *beg, const uint32_t *end, size_t stride,
                       uint32_t bias, uint32_t n, int64_t *out, uint32_t *todo);
} scan_ops;

/* The best set that the CPU has, not above `isa`. */
const scan_ops *scan_ops_for(csv_isa isa);

/* The loops of digits.c. */
uint32_t digits_scalar(const char *t, const uint32_t *beg, const uint32_t *end, size_t stride,
                       uint32_t bias, uint32_t n, int64_t *out, uint32_t *todo);
#ifdef __x86_64__
uint32_t digits_avx2(const char *t, const uint32_t *beg, const uint32_t *end, size_t stride,
                     uint32_t bias, uint32_t n, int64_t *out, uint32_t *todo);
uint32_t digits_avx512(const char *t, const uint32_t *beg, const uint32_t *end, size_t stride,
                       uint32_t bias, uint32_t n, int64_t *out, uint32_t *todo);
#endif

#endif
