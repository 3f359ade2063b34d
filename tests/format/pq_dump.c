/*
 * pq_dump: prints every column of a Parquet file, value by value, for the comparison with other
 * readers (tests/interop/test_parquet_read.py).
 *
 *     pq_dump [-b ROWS] FILE
 *
 *     column <number> <type> <name>
 *     <value> ...                                 one a line: \N, numbers, bytes in hex
 *     error <status> <message>                    instead of the rest of a column
 *
 * Booleans are 0 and 1; decimals their unscaled integer; dates days; times and timestamps
 * microseconds; floats the bits in hex; text and bytes hex after "x", long ones "z" length:crc32. Nested values: {a,b} structs, [a,b] lists,
 * <k:v,k:v> maps.
 */
#include "format/parquet/parquet.h"

#include <inttypes.h>
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>

#define LONG_VALUE 65536

static void i128_print(i128 v)
{
    char digits[48];
    int n = sizeof digits;
    u128 u = v < 0 ? -(u128)v : (u128)v;
    digits[--n] = 0;
    do
        digits[--n] = (char)('0' + (int)(u % 10));
    while (u /= 10);
    printf("%s%s", v < 0 ? "-" : "", digits + n);
}

static void value_print(datum d)
{
    if (d.null) {
        fputs("\\N", stdout);
        return;
    }
    uint32_t bits32;
    uint64_t bits64;
    switch (type_phys(d.t)) {
    case PHYS_U8: printf("%d", d.b); break;
    case PHYS_I32: printf("%" PRId32, d.i32); break;
    case PHYS_I64: printf("%" PRId64, d.i64); break;
    case PHYS_I128: i128_print(d.i128v); break;
    case PHYS_F32:
        memcpy(&bits32, &d.f32, 4);
        printf("%08" PRIx32, bits32);
        break;
    case PHYS_F64:
        memcpy(&bits64, &d.f64, 8);
        printf("%016" PRIx64, bits64);
        break;
    case PHYS_NESTED:
        putchar(d.t.id == T_STRUCT ? '{' : d.t.id == T_LIST ? '[' : '<');
        for (uint32_t i = 0; i < nested_count(&d); i++) {
            if (i)
                putchar(',');
            value_print(nested_member(&d, i, 0));
            if (d.t.id == T_MAP) {
                putchar(':');
                value_print(nested_member(&d, i, 1));
            }
        }
        putchar(d.t.id == T_STRUCT ? '}' : d.t.id == T_LIST ? ']' : '>');
        break;
    default:
        if (d.s.n > LONG_VALUE) {
            printf("z%zu:%" PRIu32, d.s.n, libdeflate_crc32(0, d.s.p, d.s.n));
            break;
        }
        putchar('x');
        for (size_t i = 0; i < d.s.n; i++)
            printf("%02x", (unsigned char)d.s.p[i]);
    }
}

static fz_status column_print(pq_file *p, io_file *f, uint32_t column, uint32_t step, fz_error *err)
{
    batch b;
    batch_init(&b, NULL);
    fz_status st = FZ_OK;
    for (uint32_t g = 0; g < pq_meta(p)->n_row_groups && st == FZ_OK; g++) {
        pq_cursor *c;
        st = pq_cursor_open(p, f, g, column, pq_schema(p)->cols[column].t, NULL, NULL, &c, err);
        while (st == FZ_OK && pq_cursor_left(c)) {
            uint64_t left = pq_cursor_left(c);
            vec v;
            st = pq_cursor_read(c, left < step ? (uint32_t)left : step, NULL, 0, &v, &b, err);
            for (uint32_t i = 0; st == FZ_OK && i < v.len; i++) {
                value_print(vec_datum(&v, i));
                putchar('\n');
            }
            batch_reset(&b);
        }
        pq_cursor_close(c);
    }
    batch_free(&b);
    return st;
}

int main(int argc, char **argv)
{
    uint32_t step = BATCH_ROWS;
    int at = 1;
    if (argc > 3 && strcmp(argv[1], "-b") == 0) {
        step = (uint32_t)strtoul(argv[2], NULL, 10);
        at = 3;
    }
    if (at >= argc || step == 0 || step > BATCH_ROWS)
        return 2;
    io_file *f = NULL;
    pq_file *p = NULL;
    fz_error err = {0};
    fz_status st = io_open(NULL, argv[at], NULL, &f, &err);
    if (st == FZ_OK)
        st = pq_open(f, NULL, &p, &err);
    for (uint32_t i = 0; st == FZ_OK && i < pq_schema(p)->n; i++) {
        const column_def *d = &pq_schema(p)->cols[i];
        sbuf t;
        sbuf_init(&t, NULL);
        type_sql_name(d->t, &t);
        for (size_t j = 0; j < t.n; j++)
            t.p[j] = t.p[j] == ' ' ? '_' : t.p[j];
        printf("column %u %s " STR_FMT "\n", i, t.p, STR_ARG(d->name));
        sbuf_free(&t);
        fz_error cerr = {0};
        fz_status cst = column_print(p, f, i, step, &cerr);
        if (cst != FZ_OK)
            printf("error %s %s\n", status_name(cst), cerr.message);
    }
    if (st != FZ_OK)
        printf("error %s %s\n", status_name(st), err.message);
    pq_close(p);
    io_close(f);
    return 0;
}
