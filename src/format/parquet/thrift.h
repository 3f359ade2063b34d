/*
 * thrift.h: reading Thrift's compact protocol, as far as Parquet uses it.
 *
 * A thrift_in walks over bytes once. The first fault sticks: afterwards every call returns
 * zero, empty or false, so that a parser checks once, at its end (thrift_fault). A struct is
 * read as
 *
 *     thrift_field f = {0};
 *     while (thrift_next(t, &f))
 *         switch (f.id) {
 *         case 1: x = thrift_i64(t, f.type); break;
 *         default: thrift_skip(t, f.type);
 *         }
 *
 * Invariants: `at` never passes `end`; a list's count is at most the bytes that are left divided
 * by the least size of an element; nothing recurses on the input (thrift_skip has a stack of
 * fixed depth); strings point into the input.
 */
#ifndef FORMAT_PARQUET_THRIFT_H
#define FORMAT_PARQUET_THRIFT_H

#include "base/error.h"
#include "base/str.h"

enum {
    THRIFT_STOP = 0, THRIFT_TRUE = 1, THRIFT_FALSE = 2, THRIFT_I8 = 3, THRIFT_I16 = 4, THRIFT_I32 = 5,
    THRIFT_I64 = 6, THRIFT_DOUBLE = 7, THRIFT_BINARY = 8, THRIFT_LIST = 9, THRIFT_SET = 10,
    THRIFT_MAP = 11, THRIFT_STRUCT = 12, THRIFT_UUID = 13,
};

typedef struct thrift_in {
    const uint8_t *start, *at, *end;
    const char *fault;       /* NULL: none so far */
    size_t fault_at;         /* offset from start */
} thrift_in;

typedef struct thrift_field {
    int32_t id;
    uint8_t type;
} thrift_field;

void thrift_init(thrift_in *t, const uint8_t *data, size_t n);
/* Records a fault at the present place unless there is one already. */
void thrift_fail(thrift_in *t, const char *why);
/* The next field of the struct being read; false at its end and after a fault. `f` starts
 * zeroed and is handed back unchanged (ids are relative to the one before). */
bool thrift_next(thrift_in *t, thrift_field *f);
int32_t thrift_i32(thrift_in *t, uint8_t type);
int64_t thrift_i64(thrift_in *t, uint8_t type);
bool thrift_bool(thrift_in *t, uint8_t type);
str thrift_binary(thrift_in *t, uint8_t type);
/* The head of a list of `elem` whose elements take at least min_bytes each. */
uint32_t thrift_list(thrift_in *t, uint8_t type, uint8_t elem, size_t min_bytes);
/* An element of a list of booleans. */
bool thrift_bool_element(thrift_in *t);
/* Whether f opens a struct (a fault otherwise). */
bool thrift_struct(thrift_in *t, uint8_t type);
void thrift_skip(thrift_in *t, uint8_t type);
/* FZ_OK, or FZ_DATA naming `what`, the fault and its offset, counted from `base`. */
fz_status thrift_fault(const thrift_in *t, const char *what, uint64_t base, fz_error *err);

#endif
