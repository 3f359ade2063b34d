/* The XML that S3 answers with: any bytes; what is read must lie in bounds, and reading it again gives the same. */
#include "io/xml.h"

#include <stdlib.h>

static fz_status add(void *ctx, const str *path, uint32_t depth, str text, fz_error *err)
{
    sbuf *out = ctx;
    if (depth == 0 || depth > XML_DEPTH_MAX)
        abort();
    for (uint32_t i = 0; i < depth; i++)
        sbuf_str(out, path[i]);
    sbuf_str(out, text);
    return FZ_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    sbuf a, b;
    fz_error e;
    sbuf_init(&a, NULL);
    sbuf_init(&b, NULL);
    fz_status x = xml_read((str){(const char *)data, n}, NULL, add, &a, &e), y = xml_read((str){(const char *)data, n}, NULL, add, &b, &e);
    if (x != y || a.n != b.n || (a.n && memcmp(a.p, b.p, a.n) != 0))
        abort();
    sbuf_clear(&a);
    sbuf_addz(&a, "<k>"); /* what is written is read */
    xml_escape((str){(const char *)data, n < 5000 ? n : 5000}, &a);
    sbuf_addz(&a, "</k>");
    sbuf_clear(&b);
    x = xml_read((str){a.p, a.n}, NULL, add, &b, &e);
    size_t want = n < 5000 ? n : 5000;
    if (memchr(data, 0, want) == NULL && (x != FZ_OK || b.n != want + 1 || memcmp(b.p + 1, data, want) != 0))
        abort();
    sbuf_free(&a);
    sbuf_free(&b);
    return 0;
}
