/*
 * fuzz_json_rows: any bytes as a JSON file. The first byte chooses options; the rest is the text. Read in one block and in blocks of few bytes it
 * must give the same: rows, types, or the error and its place. With the second bit the first line is repeated until the sample is full of it, so that all
 * the other lines come as a surprise.
 */
#include "batch_touch.h"
#include "format/json/json_rows.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct outcome {
    fz_status st;
    fz_error err;
    sbuf rows;
} outcome;

static void must(bool ok)
{
    if (!ok)
        __builtin_trap();
}

static void put_batch(const batch *b, sbuf *out)
{
    for (uint32_t c = 0; c < b->ncols; c++)
        vec_touch(&b->cols[c]);
    for (uint32_t i = 0; i < b->nsel; i++)
        for (uint32_t c = 0; c < b->ncols; c++) {
            datum d = vec_datum(&b->cols[c], i);
            sbuf_addc(out, d.null ? 'N' : ' ');
            if (!d.null)
                datum_text(&d, out);
        }
}

static bool read_once(json_rows *s, outcome *x)
{
    json_local *l;
    json_event ev = JSON_ROWS;
    batch b;
    sbuf_clear(&x->rows);
    const row_schema *schema = json_rows_schema(s);
    for (uint32_t c = 0; c < schema->n; c++) {
        sbuf_str(&x->rows, schema->cols[c].name);
        type_sql_name(schema->cols[c].t, &x->rows);
    }
    must(json_local_new(s, &l, NULL) == FZ_OK);
    batch_init(&b, NULL);
    while (x->st == FZ_OK && ev != JSON_ROWS_END && ev != JSON_ROWS_WIDEN) {
        x->st = json_rows_next(s, l, &b, &ev, &x->err);
        if (x->st == FZ_OK && ev == JSON_ROWS)
            put_batch(&b, &x->rows);
    }
    batch_free(&b);
    json_local_free(l);
    return x->st == FZ_OK && ev == JSON_ROWS_WIDEN;
}

static void run(const char *path, const json_rows_options *o, outcome *x)
{
    json_rows *s;
    *x = (outcome){.st = FZ_OK};
    sbuf_init(&x->rows, NULL);
    x->st = json_rows_open(path, o, NULL, &s, &x->err);
    if (x->st != FZ_OK)
        return;
    for (int i = 0; read_once(s, x); i++) {
        must(i < 30);
        must(json_rows_restart(s, NULL) == FZ_OK);
    }
    json_rows_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 4000)
        return 0;
    json_rows_options o;
    json_rows_options_default(&o);
    o.compression = TEXT_PLAIN;
    o.sample_bytes = 4096;
    o.block_bytes = 16384; /* all of it */
    o.max_record_bytes = 1 << 20;
    o.skip_errors = data[0] & 1;
    o.strict = data[0] >> 2 & 1;
    sbuf text;
    sbuf_init(&text, NULL);
    const char *t = (const char *)data + 1;
    size_t n = size - 1;
    const char *nl = memchr(t, '\n', n);
    for (size_t i = 0; data[0] & 2 && nl && i < 4200; i += (size_t)(nl - t) + 1)
        sbuf_add(&text, t, (size_t)(nl - t) + 1);
    sbuf_add(&text, t, n);
    int fd = memfd_create("json", MFD_CLOEXEC);
    must(fd >= 0 && !text.failed && write(fd, text.p ? text.p : "", text.n) == (ssize_t)text.n);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    outcome a, b;
    run(path, &o, &a);
    o.block_bytes = 1 + (data[0] >> 3) * 3u;
    run(path, &o, &b);
    must(a.st == b.st);
    if (a.st == FZ_OK)
        must(a.rows.n == b.rows.n && (a.rows.n == 0 || memcmp(a.rows.p, b.rows.p, a.rows.n) == 0));
    else
        must(a.err.line == b.err.line && a.err.column == b.err.column && a.err.offset == b.err.offset);
    sbuf_free(&a.rows);
    sbuf_free(&b.rows);
    sbuf_free(&text);
    close(fd);
    return 0;
}
