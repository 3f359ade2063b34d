/*
 * test_conformance.c: the cases of conformance.h against every catalog there is. A back end is one row of the table
 * below; one that needs a program which isn't installed is skipped. Every case gets an empty catalog of its own. (run with tsan: callers are threads)
 *
 *   test_conformance                       everything
 *   test_conformance only BACKEND          one back end
 *   test_conformance child BACKEND NAME    see conformance_child
 *
 * REST servers by other people take part where they run: tests/servers.py weed reference -- t_conformance_test_conformance only weed
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog/memory/memory_catalog.h"
#include "catalog/postgres/postgres_catalog.h"
#include "catalog/rest/rest_catalog.h"
#include "catalog/rest_server.h"
#include "catalog/sqlite/sqlite_catalog.h"
#include "conformance/conformance.h"
#include "conformance/pg_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the back ends ---- */

/* Children that are started anew find them in the environment. */
#define ENV_ROOT "FRAZIL_CONFORMANCE_ROOT"
#define ENV_PG "FRAZIL_CONFORMANCE_PG"
#define ENV_REST "FRAZIL_CONFORMANCE_REST"

static pg_server pg;

static fz_status open_memory(const char *catalog, mem *m, ib_catalog **out, fz_error *err)
{
    return memory_catalog_open(NULL, m, out, err);
}

static fz_status open_sqlite(const char *catalog, mem *m, ib_catalog **out, fz_error *err)
{
    char dir[300];
    snprintf(dir, sizeof dir, "%s/%s", getenv(ENV_ROOT), catalog);
    sqlite_catalog_options o = {.lake_dir = dir, .create_if_missing = true};
    return sqlite_catalog_open(&o, m, NULL, out, err);
}

/* A catalog is a name in the rows. The server is started by the first one. */
static fz_status open_postgres(const char *catalog, mem *m, ib_catalog **out, fz_error *err)
{
    char warehouse[300];
    if (!getenv(ENV_PG)) {
        if (!pg_server_make(&pg))
            return error_set(err, FZ_UNSUPPORTED, "PostgreSQL isn't installed");
        setenv(ENV_PG, pg.uri, 1);
    }
    snprintf(warehouse, sizeof warehouse, "file://%s/pg-%s", getenv(ENV_ROOT), catalog);
    postgres_options o = {.uri = getenv(ENV_PG), .catalog_name = catalog, .warehouse = warehouse};
    return postgres_catalog_open(&o, NULL, m, NULL, out, err);
}

/* A server of our own in front of SQLite catalogs; a catalog is a warehouse of it. */
static rest_server *rest;

static fz_status open_warehouse(void *ctx, const char *warehouse, mem *m, ib_catalog **out, fz_error *err)
{
    char name[80];
    snprintf(name, sizeof name, "rest-%s", warehouse);
    return open_sqlite(name, m, out, err);
}

static fz_status open_rest(const char *catalog, mem *m, ib_catalog **out, fz_error *err)
{
    if (!getenv(ENV_REST)) {
        static char location[100];
        snprintf(location, sizeof location, "file://%s/rest", getenv(ENV_ROOT));
        rest = rest_server_start(&(rest_server_options){.open = open_warehouse, .location = location, .credential = "me:secret", .page = 3});
        setenv(ENV_REST, rest_server_uri(rest), 1);
    }
    io_prop props[] = {{STR("uri"), str_of(getenv(ENV_REST))}, {STR("warehouse"), str_of(catalog)}, {STR("credential"), STR("me:secret")}};
    rest_options o = {.name = catalog, .n_props = sizeof props / sizeof *props, .props = props};
    return rest_catalog_open(&o, NULL, m, out, err);
}

/* A real server, where somebody started one (tests/servers.py): it has one catalog, which is emptied for each case. */
static void empty(ib_catalog *c)
{
    arena a;
    uint32_t n, k;
    str *ns;
    ib_ident *t;
    arena_init(&a, NULL);
    if (c->ops->list_namespaces(c, (str){0}, &a, &n, &ns, NULL) == FZ_OK)
        for (uint32_t i = n; i-- > 0;) {
            if (c->ops->list_tables(c, ns[i], &a, &k, &t, NULL) == FZ_OK)
                for (uint32_t j = 0; j < k; j++)
                    c->ops->drop_table(c, t[j], NULL);
            c->ops->drop_namespace(c, ns[i], NULL);
        }
    arena_free(&a);
}

static fz_status open_real(const char *kind, const char *catalog, mem *m, ib_catalog **out, fz_error *err)
{
    static const char *const what[] = {"REST", "WAREHOUSE", "KEY", "SECRET"};
    const char *v[4];
    char name[64], credential[200];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "FRAZIL_TEST_%s_%s", kind, what[i]);
        v[i] = getenv(name);
    }
    if (!v[0])
        return error_set(err, FZ_UNSUPPORTED, "no such server runs");
    snprintf(credential, sizeof credential, "%s:%s", v[2] ? v[2] : "", v[3] ? v[3] : "");
    io_prop p[] = {{STR("uri"), str_of(v[0])}, {STR("warehouse"), str_of(v[1] ? v[1] : "")}, {STR("scope"), STR("PRINCIPAL_ROLE:ALL")},
                   {STR("credential"), str_of(v[2] ? credential : "")}};
    TRY(rest_catalog_open(&(rest_options){.name = catalog, .n_props = 4, .props = p}, NULL, m, out, err));
    snprintf(name, sizeof name, "%s/%s", kind, catalog);
    if (!getenv("FRAZIL_CONFORMANCE_EMPTIED") || strcmp(getenv("FRAZIL_CONFORMANCE_EMPTIED"), name) != 0)
        empty(*out);
    setenv("FRAZIL_CONFORMANCE_EMPTIED", name, 1);
    return FZ_OK;
}

static fz_status open_weed(const char *catalog, mem *m, ib_catalog **out, fz_error *err) { return open_real("WEED", catalog, m, out, err); }
static fz_status open_reference(const char *catalog, mem *m, ib_catalog **out, fz_error *err) { return open_real("REFERENCE", catalog, m, out, err); }

#ifdef __SANITIZE_THREAD__
#define THREADS_HERE QUIRK_NO_FORK
#else
#define THREADS_HERE 0
#endif

static const conformance_backend backends[] = {
    {"memory", QUIRK_ONE_HANDLE | QUIRK_NO_FILES, open_memory},
    {"sqlite", 0, open_sqlite},
    {"postgres", 0, open_postgres},
    {"rest", THREADS_HERE, open_rest},
    {"weed", QUIRK_NAMES | QUIRK_WORDS | QUIRK_PLACES | QUIRK_CREATORS | QUIRK_TOGETHER | THREADS_HERE, open_weed},
    {"reference", QUIRK_NAMES | QUIRK_WORDS | QUIRK_PLACES | QUIRK_RENAMES | QUIRK_TOGETHER | THREADS_HERE, open_reference},
};
enum { BACKENDS = sizeof backends / sizeof backends[0], CASES_MAX = 32 };

/* ---- running ---- */

typedef struct one_case { const conformance_backend *b; const conformance_case *k; int nr; char name[80]; } one_case;

static void run(void **state)
{
    const one_case *j = *state;
    char catalog[40];
    mem m;
    fz_error why = {0};
    conformance_env e = {.b = j->b, .catalog = catalog, .m = &m};
    if (j->b->quirks & j->k->not_with)
        skip();
    snprintf(catalog, sizeof catalog, "case%d", j->nr);
    mem_init(&m, NULL, NULL, 0);
    fz_status st = j->b->open(catalog, &m, &e.c, &why);
    if (st == FZ_UNSUPPORTED)
        skip();
    if (st != FZ_OK)
        fail_msg("%s (%s)", why.message, why.where);
    j->k->run(&e);
    e.c->ops->close(e.c);
    assert_int_equal(m.used, 0);
}

static char root[64];

static int tear_down(void **state)
{
    char cmd[100];
    if (pg.dir[0])
        pg_server_free(&pg);
    if (rest)
        rest_server_stop(rest);
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", root);
    return system(cmd);
}

int main(int argc, char **argv)
{
    static one_case jobs[BACKENDS * CASES_MAX];
    static struct CMUnitTest tests[BACKENDS * CASES_MAX];
    size_t n = 0;
    if (argc == 4) {
        for (int i = 0; i < BACKENDS; i++)
            if (strcmp(argv[2], backends[i].name) == 0)
                return conformance_child(&backends[i], argv[3]);
        return 98;
    }
    snprintf(root, sizeof root, "/tmp/frazil-conformance-XXXXXX");
    if (!mkdtemp(root))
        return 97;
    setenv(ENV_ROOT, root, 1);
    unsetenv(ENV_PG);
    unsetenv(ENV_REST);
    for (int i = 0; i < BACKENDS; i++)
        for (const conformance_case *k = conformance_cases; k->name; k++) {
            if (argc == 3 && strcmp(argv[2], backends[i].name) != 0)
                continue;
            jobs[n] = (one_case){&backends[i], k, (int)n, ""};
            snprintf(jobs[n].name, sizeof jobs[n].name, "%s: %s", backends[i].name, k->name);
            tests[n] = (struct CMUnitTest){jobs[n].name, run, NULL, NULL, &jobs[n]};
            n++;
        }
    return _cmocka_run_group_tests("conformance", tests, n, NULL, tear_down);
}
