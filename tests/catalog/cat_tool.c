/*
 * cat_tool.c: the embedded catalog from a command line, for tests against other programs.
 *
 *   cat_tool LAKE create-namespace NS [K V]...     cat_tool LAKE namespaces
 *   cat_tool LAKE create-table NS T [TRANSFORM]    cat_tool LAKE tables NS
 *   cat_tool LAKE set NS T K V                     cat_tool LAKE props NS T
 *   cat_tool LAKE show NS T                        cat_tool LAKE drop NS T
 *   cat_tool LAKE set-many NS T N NAME             N commits of one property
 *   cat_tool transform TRANSFORM TYPE              values on standard input, one a line; results
 *
 * A failure prints "status: message" to standard error and gives exit code 1.
 */
#include "catalog/sqlite/sqlite_catalog.h"
#include "iceberg/transform/transform.h"
#include "iceberg/update/update.h"

#include <stdio.h>
#include <stdlib.h>

#define DO(call)                                                                   \
    do {                                                                           \
        fz_error e_ = {0}, *err = &e_;                                             \
        if ((call) != FZ_OK) {                                                     \
            fprintf(stderr, "%s: %s\n%s\n", status_name(e_.status), e_.message, e_.hint); \
            exit(1);                                                               \
        }                                                                          \
    } while (0)

static arena a;

static void print(str s) { printf(STR_FMT "\n", STR_ARG(s)); }

static void create_table(ib_catalog *c, ib_ident id, const char *transform)
{
    struct { type_fields f; type_field x[4]; } cols = {
        .f = {.n = 4},
        .x = {{.name = STR("id"), .field_id = 1, .required = true, .t = TYPE(T_INT64), .doc = STR("a \"key\"")},
              {.name = STR("name"), .field_id = 2, .t = TYPE(T_STRING)},
              {.name = STR("ts"), .field_id = 3, .t = TYPE(T_TIMESTAMPTZ)},
              {.name = STR("price"), .field_id = 4, .t = TYPE_DECIMAL(9, 2)}}};
    ib_schema s = {.fields = &cols.f};
    ib_partition_field f = {.source_id = 3, .field_id = -1, .name = STR("part")};
    ib_partition_spec spec = {.n = transform ? 1 : 0, .fields = &f};
    if (transform)
        ib_transform_parse(str_of(transform), &a, &f.transform);
    ib_kv kv = {STR("made-by"), STR("cat_tool")};
    ib_props props = {1, &kv};
    str location;
    ib_metadata *md;
    ib_table *t;
    DO(c->ops->default_location(c, id, &a, &location, err));
    DO(ib_metadata_new(location, &s, &spec, NULL, &props, c->m, &md, err));
    DO(c->ops->create_table(c, id, md, &t, err));
    printf("%s\n", t->metadata_location);
    ib_table_unref(t);
    ib_metadata_unref(md);
}

static void set(ib_catalog *c, ib_ident id, const char *key, const char *value)
{
    ib_kv kv = {str_of(key), str_of(value)};
    ib_update u = {.kind = IB_SET_PROPERTIES, .props = {1, &kv}};
    ib_commit k = {.id = id, .n_updates = 1, .updates = &u};
    ib_table *t;
    void *token;
    DO(c->ops->queue_lock(c, id, 60000, &token, err));
    DO(c->ops->commit(c, 1, &k, NULL, &t, err));
    c->ops->queue_unlock(c, token);
    ib_table_unref(t);
}

static void show(const ib_metadata *md)
{
    const ib_schema *s = ib_current_schema(md);
    print(md->location);
    for (uint32_t i = 0; i < s->fields->n; i++) {
        sbuf b;
        sbuf_init(&b, NULL);
        ib_type_name(s->fields->f[i].t, &b);
        printf("%d " STR_FMT " %s%s\n", s->fields->f[i].field_id, STR_ARG(s->fields->f[i].name), b.p,
               s->fields->f[i].required ? " required" : "");
        sbuf_free(&b);
    }
    const ib_partition_spec *p = ib_spec_by_id(md, md->default_spec_id);
    for (uint32_t i = 0; i < p->n; i++)
        printf("partition " STR_FMT " " STR_FMT " %d\n", STR_ARG(p->fields[i].name), STR_ARG(p->fields[i].transform.text),
               p->fields[i].source_id);
    for (uint32_t i = 0; i < md->n_snapshots; i++)
        printf("snapshot %lld " STR_FMT "\n", (long long)md->snapshots[i]->sequence_number,
               STR_ARG(ib_prop(&md->snapshots[i]->summary, "operation")));
}

static int transform_run(const char *transform, const char *type_text)
{
    ib_transform t;
    type in;
    char line[1000];
    ib_transform_parse(str_of(transform), &a, &t);
    DO(ib_type_parse(str_of(type_text), &in, err));
    while (fgets(line, sizeof line, stdin)) {
        datum d = {.t = in}, out;
        int64_t v = 0;
        line[strcspn(line, "\n")] = 0;
        if (type_phys(in) == PHYS_STR) {
            d.s = str_of(line);
        } else if (!str_to_i64(str_of(line), &v)) {
            return 2;
        } else if (type_phys(in) == PHYS_I32) {
            d.i32 = (int32_t)v;
        } else if (type_phys(in) == PHYS_I128) {
            d.i128v = v;
        } else {
            d.i64 = v;
        }
        DO(ib_transform_value(&t, &d, &a, &out, err));
        phys p = type_phys(out.t);
        if (p == PHYS_STR)
            print(out.s);
        else
            printf("%lld\n", (long long)(p == PHYS_I32 ? out.i32 : p == PHYS_I128 ? (int64_t)out.i128v : out.i64));
    }
    return 0;
}

static int run(ib_catalog *c, int n, char **arg)
{
    const char *what = arg[0];
    ib_ident id = {n > 1 ? str_of(arg[1]) : (str){0}, n > 2 ? str_of(arg[2]) : (str){0}};
    uint32_t k = 0;
    if (!strcmp(what, "create-namespace")) {
        ib_kv kv[16];
        ib_props props = {0, kv};
        for (int i = 2; i + 1 < n && props.n < 16; i += 2)
            kv[props.n++] = (ib_kv){str_of(arg[i]), str_of(arg[i + 1])};
        DO(c->ops->create_namespace(c, id.ns, &props, err));
    } else if (!strcmp(what, "namespaces")) {
        str *l;
        DO(c->ops->list_namespaces(c, (str){0}, &a, &k, &l, err));
        for (uint32_t i = 0; i < k; i++)
            print(l[i]);
    } else if (!strcmp(what, "namespace-props")) {
        ib_props p;
        DO(c->ops->namespace_props(c, id.ns, &a, &p, err));
        for (uint32_t i = 0; i < p.n; i++)
            printf(STR_FMT "=" STR_FMT "\n", STR_ARG(p.kv[i].key), STR_ARG(p.kv[i].value));
    } else if (!strcmp(what, "tables")) {
        ib_ident *l;
        DO(c->ops->list_tables(c, id.ns, &a, &k, &l, err));
        for (uint32_t i = 0; i < k; i++)
            print(l[i].name);
    } else if (!strcmp(what, "create-table")) {
        create_table(c, id, n > 3 ? arg[3] : NULL);
    } else if (!strcmp(what, "set") && n == 5) {
        set(c, id, arg[3], arg[4]);
    } else if (!strcmp(what, "set-many") && n == 5) {
        for (int i = 0; i < (int)strtol(arg[3], NULL, 10); i++) {
            char key[64];
            snprintf(key, sizeof key, "%.40s-%d", arg[4], i);
            set(c, id, key, "x");
        }
    } else if (!strcmp(what, "drop")) {
        DO(c->ops->drop_table(c, id, err));
    } else if (!strcmp(what, "props") || !strcmp(what, "show")) {
        ib_table *t;
        DO(c->ops->load_table(c, id, NULL, &t, err));
        if (what[0] == 's')
            show(t->md);
        else
            for (uint32_t i = 0; i < t->md->properties.n; i++)
                printf(STR_FMT "=" STR_FMT "\n", STR_ARG(t->md->properties.kv[i].key), STR_ARG(t->md->properties.kv[i].value));
        ib_table_unref(t);
    } else {
        return 2;
    }
    return 0;
}

int main(int argc, char **argv)
{
    int rc = 2;
    arena_init(&a, NULL);
    if (argc == 4 && !strcmp(argv[1], "transform")) {
        rc = transform_run(argv[2], argv[3]);
    } else if (argc >= 3) {
        ib_catalog *c;
        sqlite_catalog_options o = {.lake_dir = argv[1], .create_if_missing = true};
        DO(sqlite_catalog_open(&o, NULL, NULL, &c, err));
        rc = run(c, argc - 2, argv + 2);
        c->ops->close(c);
    }
    arena_free(&a);
    return rc;
}
