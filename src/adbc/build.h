/*
 * build.h: small Arrow tables made row by row: what the metadata functions of the driver answer with.
 *
 *     struct ArrowSchema s;
 *     adbc_struct(&s, 2, adbc_field("table_type", "u", 0), adbc_field("n", "l", ARROW_FLAG_NULLABLE));
 *     builder *b = builder_new(&s);
 *     build_text(b->kids[0], "table", 5); build_null(b->kids[1]); build_end(b);      // a row
 *     builder_stream(b, &s, &stream);                                                // both are taken
 *
 * A column of a table, a member of a struct, the elements of a list are builders of their own (`kids`). Whoever fills a struct
 * appends one value to each member, then build_end of the struct; of a list, any number of elements, then build_end of the list;
 * of a dense union, one value to the member, then build_member. Running out of memory sticks to the root and is reported once, by
 * builder_stream.
 */
#ifndef ADBC_BUILD_H
#define ADBC_BUILD_H

#include <frazil/adbc_abi.h>
#include <stdbool.h>

typedef struct bytes { unsigned char *p; size_t n, cap; } bytes;

typedef struct builder {
    struct builder *root;
    bool failed;                   /* the root's */
    const char *format;            /* in the schema */
    int64_t length, nulls;
    bytes valid, offsets, data;    /* validity bits; 32-bit offsets, of a union its type codes; values */
    uint32_t n_kids;
    struct builder **kids;
} builder;

/* Schemas. A field is NULL where there is no memory; adbc_struct and the nested ones take their fields and then report it. */
struct ArrowSchema *adbc_field(const char *name, const char *format, int64_t flags);
struct ArrowSchema *adbc_nested(const char *name, const char *format, int64_t flags, uint32_t n, ... /* struct ArrowSchema * */);
bool adbc_struct(struct ArrowSchema *out, uint32_t n, ... /* struct ArrowSchema * */); /* a table's; false: no memory */

builder *builder_new(const struct ArrowSchema *s); /* the schema outlives it; NULL: no memory */
void builder_free(builder *b);                     /* NULL allowed */
void build_null(builder *b);
void build_int(builder *b, int64_t v);             /* c C s S i I l L, tdD and timestamps; b */
void build_double(builder *b, double v);
void build_text(builder *b, const char *p, size_t n); /* u, z */
void build_z(builder *b, const char *z);           /* NULL: null */
void build_end(builder *b);
void build_member(builder *b, uint8_t code);       /* code: also the member's number */
/* The rows as a stream of one array. Takes the builder and the schema, also on failure. False: no memory. */
bool builder_stream(builder *b, struct ArrowSchema *s, struct ArrowArrayStream *out);
struct ArrowSchema *adbc_renamed(const struct ArrowSchema *s, const char *name); /* a copy; NULL: no memory */
bool adbc_schema_copy(const struct ArrowSchema *s, struct ArrowSchema *out); /* false: no memory */
/* A stream of one array, both taken; array->release NULL: of none. */
bool stream_of_array(struct ArrowSchema *s, struct ArrowArray *a, struct ArrowArrayStream *out);

#endif
