/*
 * type.h: the logical types of columns and values, one list for files, tables and queries
 * (Iceberg v2's primitive and nested types), and their physical layout in a vector.
 */
#ifndef ARROW_TYPE_H
#define ARROW_TYPE_H

#include "base/error.h"
#include "base/str.h"

typedef enum type_id {
    T_NULL = 0,     /* the type of a bare NULL; never stored */
    T_BOOL,
    T_INT32,
    T_INT64,
    T_FLOAT32,
    T_FLOAT64,
    T_DECIMAL,      /* precision 1..38, scale 0..precision */
    T_DATE,         /* days since 1970-01-01 */
    T_TIME,         /* microseconds since midnight */
    T_TIMESTAMP,    /* microseconds since 1970-01-01 00:00, no zone */
    T_TIMESTAMPTZ,  /* microseconds since 1970-01-01 00:00 UTC */
    T_STRING,       /* UTF-8 */
    T_BINARY,
    T_UUID,         /* 16 bytes, big-endian order */
    T_FIXED,        /* `width` bytes */
    T_STRUCT, T_LIST, T_MAP, /* members in type.children: see vector.h for their vectors */
    T_COUNT_
} type_id;

typedef struct type {
    uint8_t id;               /* type_id */
    uint8_t precision, scale; /* T_DECIMAL */
    uint32_t width;           /* T_FIXED */
    const struct type_fields *children; /* nested types; NULL otherwise; owner: an arena */
} type;

#define TYPE_DEPTH_MAX 64 /* levels of nesting; who builds a type from outside refuses more */

/* Members of a nested type: a struct's fields, a list's "element", a map's "key", "value". */
typedef struct type_field {
    str name;
    int32_t field_id;  /* Iceberg's, or -1 */
    bool required;
    type t;
    str doc;           /* comment, or empty */
} type_field;
typedef struct type_fields {
    uint32_t n;
    type_field f[];
} type_fields;

#define TYPE(ID)        ((type){.id = (ID)})
#define TYPE_DECIMAL(p, s) ((type){.id = T_DECIMAL, .precision = (p), .scale = (s)})

/* How the values of a type lie in memory. */
typedef enum phys {
    PHYS_NONE = 0,
    PHYS_U8,   /* T_BOOL: one byte, 0 or 1 (bits only at the C data interface and in files) */
    PHYS_I32,  /* T_INT32, T_DATE */
    PHYS_I64,  /* T_INT64, T_TIME, T_TIMESTAMP*, T_DECIMAL up to 18 digits */
    PHYS_I128, /* T_DECIMAL of 19 digits and more */
    PHYS_F32,
    PHYS_F64,
    PHYS_STR,  /* T_STRING, T_BINARY, T_UUID, T_FIXED: strview */
    PHYS_NESTED, /* T_STRUCT, T_LIST, T_MAP: members in vec.kids; size 0 */
} phys;

typedef __int128 i128;
typedef unsigned __int128 u128;

/* 16 bytes: up to 12 bytes lie inside, longer ones start with their first four bytes and
 * point to all of them. Unused inline bytes are zero, so that two short views are equal when
 * their 16 bytes are. */
typedef struct strview {
    union {
        struct {
            uint32_t len;
            char inl[12];
        };
        struct {
            uint32_t len_;
            char prefix[4];
            const char *ptr;
        };
    };
} strview;
_Static_assert(sizeof(strview) == 16, "strview is 16 bytes");

static inline const char *strview_ptr(const strview *v) { return v->len <= 12 ? v->inl : v->ptr; }
static inline str strview_str(const strview *v) { return (str){strview_ptr(v), v->len}; }
static inline strview strview_make(const char *p, uint32_t n)
{
    strview v = {.len = n};
    if (n <= 12) {
        memset(v.inl, 0, 12);
        memcpy(v.inl, p, n);
    } else {
        memcpy(v.prefix, p, 4);
        v.ptr = p;
    }
    return v;
}
bool strview_eq(const strview *a, const strview *b);
int strview_cmp(const strview *a, const strview *b); /* by unsigned bytes */

phys type_phys(type t);
uint32_t phys_size(phys p); /* bytes of a value: 1, 4, 8, 16, 4, 8, 16 */
bool type_eq(type a, type b); /* names and ids of nested fields count */
bool type_is_nested(type t);
/* The type with its members, their names and comments in the arena; false: no memory. */
bool type_copy(type t, arena *a, type *out);
bool type_is_integer(type t);
bool type_is_numeric(type t); /* integers, floats, decimal */

/* SQL's name ("bigint", "decimal(9,2)", "timestamp with time zone"), appended to out. */
void type_sql_name(type t, sbuf *out);

/* ---- single values: constants, bounds, partition values ---- */

typedef struct datum {
    type t;
    bool null;
    union {
        bool b;
        int32_t i32;  /* PHYS_I32 */
        int64_t i64;  /* PHYS_I64 */
        i128 i128v;   /* PHYS_I128 */
        float f32;
        double f64;
        str s;        /* PHYS_STR; who made the datum says what owns the bytes */
        struct { const struct vec *v; uint32_t row; } nested; /* PHYS_NESTED: a row of a vector, borrowed */
    };
} datum;

#define DATUM_NULL(T) ((datum){.t = (T), .null = true})
/* Order of two non-null values of one type: floats with NaN greatest and equal to itself and
 * -0 = +0; text and bytes by unsigned bytes; structs field by field, lists element by element and then by length,
 * maps as lists of key and value; a null member is greater than all others and equals itself. */
int datum_cmp(const datum *a, const datum *b);
bool datum_eq(const datum *a, const datum *b); /* nulls equal each other */
/* Nested values: {'a': 1, 'b': 'x'} for structs, [1, 2, NULL] for lists, {k=v, k2=v2} for maps.
 * Text as SQL's CAST(x AS varchar) gives it; NULL appends nothing. Timestamps with zone in UTC. */
void datum_text(const datum *d, sbuf *out);
/* The unscaled value of a T_DECIMAL, whichever member holds it. */
i128 datum_decimal(const datum *d);

/* v / 10^scale with all `scale` digits; returns the length, writes no NUL. Scale at most 38. */
#define DECIMAL_TEXT_MAX 44
size_t decimal_text(i128 v, unsigned scale, char *out);

#endif
