/*
 * fuzz_config: bytes as a .pyiceberg.yaml, read through an environment whose $PYICEBERG_HOME holds it, and as one of AWS's profile files. What is
 * accepted is looked at as every catalog: kind, databases, typed values; whatever is secret must not be in what is shown.
 */
#include "catalog/config/config_int.h"
#include "io/aws/credentials_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const config_entry *e, mem *m)
{
    config_catalog one = {.m = m, .name = "x", .n = 1, .entries = e};
    config_type t;
    arena a;
    str s;
    bool b;
    int64_t v;
    sbuf shown;
    arena_init(&a, m);
    sbuf_init(&shown, m);
    config_catalog_type(&one, &t, NULL);
    config_sqlite_path(&one, &a, &s, NULL);
    config_postgres_uri(&one, &a, &s, NULL);
    config_bool(&one, e->key.p, false, &b, NULL);
    config_int(&one, e->key.p, 0, &v, NULL);
    config_seconds_ms(&one, e->key.p, 0, &v, NULL);
    config_mask(e, &shown);
    if (config_secret(e->key) && e->value.n > 12 && !memchr(e->value.p, ':', e->value.n) && !memchr(e->value.p, '*', e->value.n) && shown.n &&
        memmem(shown.p, shown.n, e->value.p, e->value.n))
        __builtin_trap();
    char *copy = arena_strndup(&a, e->value.p, e->value.n);
    if (copy) {
        config_redact(&one, copy);
        if (strlen(copy) > e->value.n)
            __builtin_trap();
    }
    sbuf_free(&shown);
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    arena a;
    arena_init(&a, NULL);
    config_items items = {.a = &a};
    bool any;
    if (size <= CONFIG_FILE_MAX && config_yaml("fuzz", (const char *)data, size, &items, &any, NULL) == FZ_OK)
        for (uint32_t i = 0; i < items.n && i < 200; i++)
            look_at(&items.v[i].e, NULL);
    aws_profile p = {0};
    int64_t ms;
    aws_profile_parse((str){(const char *)data, size}, true, "default", &p);
    aws_profile_parse((str){(const char *)data, size}, false, "default", &p);
    aws_parse_time((str){(const char *)data, size}, &ms);
    arena_free(&a);
    return 0;
}
