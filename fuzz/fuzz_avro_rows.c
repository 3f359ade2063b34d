/*
 * fuzz_avro_rows: an Avro file read as batches. The first byte says what the rest is: a whole file, or the length of a schema, the schema, and the
 * bytes of its one block, around which the file is made here. The mutator knows both parts: it swaps types and
 * attributes within the schema and leaves the rest to libFuzzer. What is read is touched, read again with columns turned round, and written.
 */
#include "../tests/format/mem_file.h"
#include "batch_touch.h"
#include "format/avro/avro_file.h"
#include "format/avro/avro_write.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max) __attribute__((weak));
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

#define ROWS_MAX 100000
#define HEAD 4 /* what | rows | length of the schema, two bytes */

static void read_runs(avro_file *p, io_file *f, uint32_t n, const column_def *want, const avro_match *how)
{
    avro_plan *plan;
    avro_rows *rows;
    const avro_run *runs;
    uint32_t n_runs;
    int64_t total = 0;
    batch b;
    if (avro_plan_new(p, n, want, how, NULL, &plan, NULL) != FZ_OK)
        return;
    if (avro_file_runs(p, f, &runs, &n_runs, NULL) == FZ_OK && avro_rows_open(p, f, plan, NULL, &rows, NULL) == FZ_OK) {
        batch_init(&b, NULL);
        for (uint32_t i = 0; i < n_runs && total < ROWS_MAX; i++) {
            bool more = avro_rows_start(rows, &runs[i], NULL) == FZ_OK;
            int64_t first, next = runs[i].row;
            while (more && total < ROWS_MAX) {
                if (avro_rows_next(rows, &b, &first, &more, NULL) != FZ_OK)
                    break;
                if (first != next || b.nrows > BATCH_ROWS)
                    __builtin_trap();
                next += b.nrows;
                total += b.nrows;
                for (uint32_t c = 0; c < b.ncols; c++) {
                    if (b.cols[c].len != b.nrows)
                        __builtin_trap();
                    vec_touch(&b.cols[c]);
                }
            }
        }
        batch_free(&b);
        avro_rows_close(rows);
    }
    avro_plan_free(plan);
}

static void read_file(const uint8_t *data, size_t size)
{
    mem_file f;
    avro_file *p;
    mem_file_init(&f, data, size);
    if (avro_file_open(&f.f, NULL, &p, NULL) != FZ_OK)
        return;
    const row_schema *s = avro_file_schema(p);
    static const avro_match by_name = {.by_name = true};
    column_def *want = calloc(s->n + 1, sizeof *want);
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n && n < 200; i++)
        if (s->cols[i].t.id != T_NULL)
            want[n++] = s->cols[i];
    read_runs(p, &f.f, n, want, &by_name);
    sbuf json;
    sbuf_init(&json, NULL);
    avro_schema_write(&(row_schema){n, want}, &json);
    sbuf_free(&json);
    for (uint32_t i = 0; i < n / 2; i++) {
        column_def x = want[i];
        want[i] = want[n - 1 - i];
        want[n - 1 - i] = x;
    }
    read_runs(p, &f.f, n ? n - 1 : 0, want, NULL);
    free(want);
    avro_file_close(p);
}

static void put_file(sbuf *b, str schema, str body, uint8_t rows)
{
    static const char sync[] = "0123456789abcdef";
    sbuf_add(b, "Obj\1", 4);
    avro_put_long(b, 1);
    avro_put_bytes(b, STR("avro.schema"));
    avro_put_bytes(b, schema);
    avro_put_long(b, 0);
    sbuf_add(b, sync, 16);
    for (int i = 0; i < 2; i++) {
        avro_put_long(b, rows);
        avro_put_bytes(b, body);
        sbuf_add(b, sync, 16);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD || size > 1 << 16)
        return 0;
    if (data[0] % 4 == 0) {
        read_file(data + 1, size - 1);
        return 0;
    }
    size_t n = data[2] | (size_t)data[3] << 8;
    if (n > size - HEAD)
        n = size - HEAD;
    sbuf b;
    sbuf_init(&b, NULL);
    put_file(&b, (str){(const char *)data + HEAD, n}, (str){(const char *)data + HEAD + n, size - HEAD - n}, data[1]);
    read_file((const uint8_t *)b.p, b.n);
    sbuf_free(&b);
    return 0;
}

/* ---- mutating ---- */

static const char *const TYPES[] = {
    "\"null\"", "\"boolean\"", "\"int\"", "\"long\"", "\"float\"", "\"double\"", "\"bytes\"", "\"string\"", "[\"null\",\"long\"]", "[\"string\",\"null\"]",
    "[\"int\",\"string\"]", "{\"type\":\"array\",\"items\":\"int\"}", "{\"type\":\"array\",\"items\":[\"null\",\"string\"]}", "{\"type\":\"map\",\"values\":\"long\"}",
    "{\"type\":\"fixed\",\"name\":\"f\",\"size\":3}", "{\"type\":\"enum\",\"name\":\"e\",\"symbols\":[\"A\",\"B\"]}", "\"f\"", "\"e\"",
    "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":20,\"scale\":2}", "{\"type\":\"int\",\"logicalType\":\"date\"}",
    "{\"type\":\"int\",\"logicalType\":\"time-millis\"}", "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\",\"adjust-to-utc\":true}",
    "{\"type\":\"string\",\"logicalType\":\"uuid\"}", "{\"type\":\"record\",\"name\":\"q\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"b\",\"type\":[\"null\",\"string\"]}]}",
    "{\"type\":\"record\",\"name\":\"z\",\"fields\":[]}",
    "{\"type\":\"array\",\"logicalType\":\"map\",\"items\":{\"type\":\"record\",\"name\":\"kv\",\"fields\":[{\"name\":\"key\",\"type\":\"int\"},{\"name\":\"value\",\"type\":\"long\"}]}}",
};

/* The value that begins at p in a JSON text, roughly: up to where its brackets close. */
static size_t value_size(const char *p, size_t n)
{
    size_t depth = 0;
    for (size_t i = 0; i < n; i++) {
        depth += p[i] == '{' || p[i] == '[';
        if (p[i] == '}' || p[i] == ']')
            depth--;
        if (depth == 0 && (p[i] == '}' || p[i] == ']' || (i && p[i] == '"')))
            return i + 1;
        if (depth > n)
            return i;
    }
    return n;
}

/* Puts another type in place of one in the schema. */
static size_t swap_type(uint8_t *data, size_t size, size_t max, size_t n, unsigned seed)
{
    const char *text = (const char *)data + HEAD;
    size_t at[256], k = 0;
    for (size_t i = 0; i + 8 < n && k < 256; i++)
        if (memcmp(text + i, "\"type\":", 7) == 0 || memcmp(text + i, "\"items\":", 8) == 0)
            at[k++] = i + (text[i + 1] == 't' ? 7 : 8);
    if (k == 0)
        return 0;
    size_t from = at[seed / 32 % k], old = value_size(text + from, n - from);
    str put = str_of(TYPES[seed % (sizeof TYPES / sizeof TYPES[0])]);
    if (size - old + put.n > max || n - old + put.n > 0xffff)
        return 0;
    memmove(data + HEAD + from + put.n, data + HEAD + from + old, size - HEAD - from - old);
    memcpy(data + HEAD + from, put.p, put.n);
    n = n - old + put.n;
    data[2] = (uint8_t)n;
    data[3] = (uint8_t)(n >> 8);
    return size - old + put.n;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    if (!LLVMFuzzerMutate)
        return size;
    size_t n = size >= HEAD ? data[2] | (size_t)data[3] << 8 : 0;
    if (size >= HEAD && data[0] % 4 && n <= size - HEAD) {
        if (seed % 3 == 0) {
            size_t got = swap_type(data, size, max, n, seed / 3);
            if (got)
                return got;
        }
        if (seed % 3 == 1 && max > HEAD + n) /* the block alone */
            return HEAD + n + LLVMFuzzerMutate(data + HEAD + n, size - HEAD - n, max - HEAD - n);
    }
    return LLVMFuzzerMutate(data, size, max);
}
