/*
 * json.h: JSON texts: a reader that gives a flat tree of slices, and a writer onto an sbuf.
 *
 * Reading. json_parse() checks the whole text (RFC 8259, UTF-8, nesting up to JSON_MAX_DEPTH) and
 * makes an array of nodes in document order. A node keeps where its value lies in the text, so
 * that a member nobody knows can be kept as the text it was; strings are unescaped when they are
 * asked for. Values are walked by index arithmetic:
 *
 *   array    node, element, element, …        element + element->skip is the next one
 *   object   node, key, value, key, value, …  key + 1 is the value, value + value->skip the next key
 *
 * Why not jansson: table metadata is parsed on the hot path of every commit that lost a race, and
 * nine tenths of it are snapshots that are written back unchanged. Keeping slices makes that a memcpy
 * and keeps numbers and unknown members as they were written; there is no recursion.
 *
 * Errors are FZ_DATA with file, byte offset, line and column.
 */
#ifndef CODEC_JSON_H
#define CODEC_JSON_H

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

#define JSON_MAX_DEPTH 128

typedef enum json_type {
    JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_INT, JSON_REAL, JSON_STRING, JSON_ARRAY, JSON_OBJECT,
} json_type;

typedef struct json_node {
    uint8_t type;      /* json_type */
    uint8_t escaped;   /* a string with backslashes */
    uint32_t n;        /* elements or members */
    uint32_t skip;     /* nodes from here to the next sibling */
    uint32_t from, to; /* the value's text; a string's without its quotes */
} json_node;

typedef struct json_doc {
    mem *m;
    const char *text;
    size_t n;
    const char *where;  /* names the text in errors; may be NULL */
    json_node *nodes;   /* nodes[0] is the root */
    uint32_t count, cap;
    bool compact;       /* no white space between tokens */
} json_doc;

/* `text` stays the caller's and must outlive the doc. On failure nothing is left to free. */
fz_status json_parse(json_doc *d, const char *text, size_t n, const char *where, mem *m, fz_error *err);
void json_free(json_doc *d); /* a zeroed doc is allowed */

static inline const json_node *json_root(const json_doc *d) { return d->nodes; }
static inline const json_node *json_next(const json_node *n) { return n + n->skip; }
/* The value of a member; NULL: no such member. The last one counts where a name stands twice. */
const json_node *json_get(const json_doc *d, const json_node *object, const char *name);
/* The same; a missing member or null is an error that names it and `what`. */
fz_status json_need(const json_doc *d, const json_node *object, const char *name, const char *what,
                    const json_node **out, fz_error *err);

/* The text of a value, quotes included. */
str json_raw(const json_doc *d, const json_node *n);
/* Whether a string equals z, without unescaping escaped ones (those never match). */
bool json_is(const json_doc *d, const json_node *n, const char *z);
/* Unescapes into dst, which has n->to - n->from bytes; returns the length. */
size_t json_unescape(const json_doc *d, const json_node *n, char *dst);
/* A copy in the arena; an error unless it is a string. */
fz_status json_str(const json_doc *d, const json_node *n, arena *a, str *out, fz_error *err);
fz_status json_i64(const json_doc *d, const json_node *n, int64_t *out, fz_error *err);
fz_status json_i32(const json_doc *d, const json_node *n, int32_t *out, fz_error *err);
fz_status json_bool(const json_doc *d, const json_node *n, bool *out, fz_error *err);
fz_status json_want(const json_doc *d, const json_node *n, json_type type, const char *what, fz_error *err);
/* FZ_DATA at the node's place. */
fz_status json_error(const json_doc *d, const json_node *n, fz_error *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Appends the text without white space between tokens. */
void json_compact(str text, sbuf *out);

/* ---- writing: calls follow the document; commas are added by the writer ---- */

typedef struct json_writer {
    sbuf *out;
    bool comma; /* the next value or key is not the first of its container */
} json_writer;

static inline json_writer json_writer_on(sbuf *out) { return (json_writer){.out = out}; }
void jw_begin(json_writer *w, char bracket); /* '{' or '[' */
void jw_end(json_writer *w, char bracket);   /* '}' or ']' */
void jw_key(json_writer *w, const char *key); /* a plain ASCII name */
void jw_key_str(json_writer *w, str key);
void jw_str(json_writer *w, str value);
void jw_i64(json_writer *w, int64_t value);
void jw_bool(json_writer *w, bool value);
void jw_raw(json_writer *w, str json); /* a value that is JSON already */

#endif
