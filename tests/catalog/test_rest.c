/*
 * test_rest.c: what the REST catalog's client does on the wire: configuration, tokens, conditional loads, pages, errors, lost answers,
 * credentials that are vended and renewed; and the protocol's JSON there and back.
 *
 * The catalog's own behaviour is the conformance suite's (tests/conformance). (run with tsan: the HTTP loop and its callers)
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog/memory/memory_catalog.h"
#include "catalog/rest/rest_catalog.h"
#include "catalog/rest_server.h"
#include "conformance/conformance.h"
#include "iceberg/spec/build.h"
#include "iceberg/update/json.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OK(call)                                                         \
    do {                                                                 \
        fz_error e_ = {0};                                               \
        fz_error *err = &e_;                                             \
        fz_status s_ = (call);                                           \
        if (s_ != FZ_OK)                                                 \
            fail_msg("%s: %d %s (%s)", #call, s_, e_.message, e_.where); \
    } while (0)

static fz_status open_memory(void *ctx, const char *warehouse, mem *m, ib_catalog **out, fz_error *err)
{
    if (strcmp(warehouse, "none") == 0)
        return error_set(err, FZ_NOT_FOUND, "no such warehouse");
    return memory_catalog_open(NULL, m, out, err);
}

typedef struct world {
    rest_server *s;
    mem m;
    ib_catalog *c;
} world;

static fz_status try_open(world *w, uint32_t n, const io_prop *more, int64_t staleness, bool keep, fz_error *err)
{
    io_prop p[16] = {{STR("uri"), str_of(rest_server_uri(w->s))}, {STR("warehouse"), STR("w")}};
    for (uint32_t i = 0; i < n; i++)
        p[2 + i] = more[i];
    rest_options o = {.name = "test", .n_props = n + 2, .props = p, .staleness_ms = staleness, .keep_tokens = keep};
    return rest_catalog_open(&o, NULL, &w->m, &w->c, err);
}

static void begin(world *w, const rest_server_options *o, uint32_t n, const io_prop *more, int64_t staleness)
{
    rest_server_options all = *o;
    all.open = open_memory;
    all.location = "file:///tmp/never";
    mem_init(&w->m, NULL, NULL, 0);
    w->s = rest_server_start(&all);
    OK(try_open(w, n, more, staleness, false, err));
}

static void end(world *w)
{
    w->c->ops->close(w->c);
    rest_server_stop(w->s);
    assert_int_equal(w->m.used, 0);
}

#define PROPS(...) (sizeof((io_prop[]){__VA_ARGS__}) / sizeof(io_prop)), (const io_prop[]){__VA_ARGS__}
#define P(k, v) {STR(k), STR(v)}
#define T IDENT("ns", "t")

static ib_table *make(world *w)
{
    OK(w->c->ops->create_namespace(w->c, STR("ns"), NULL, err));
    return sample_create(w->c, T);
}

static void load(world *w, ib_table *have, ib_table **out) { OK(w->c->ops->load_table(w->c, T, have, out, err)); }

/* ---- requests that are needed, and no others ---- */

static void no_needless_request(void **state)
{
    world w;
    ib_table *t, *again;
    begin(&w, &(rest_server_options){.credential = "me:secret", .token_seconds = 3600}, PROPS(P("credential", "me:secret")), 0);
    assert_int_equal(rest_server_requests(w.s), 0); /* opening asks nothing */
    ib_table_unref(make(&w));
    w.c->ops->close(w.c);
    OK(try_open(&w, PROPS(P("credential", "me:secret")), 0, false, err));
    int before = rest_server_requests(w.s);
    load(&w, NULL, &t);
    assert_int_equal(rest_server_requests(w.s) - before, 3); /* token, configuration, table */
    load(&w, t, &again);
    assert_ptr_equal(again, t);
    assert_int_equal(rest_server_requests(w.s) - before, 4);
    assert_int_equal(rest_server_count(w.s, "GET /v1/w/namespaces/ns/tables/t", "if-none-match: \""), 1);
    assert_int_equal(rest_server_count(w.s, "", "X-Iceberg-Access-Delegation: vended-credentials"), rest_server_requests(w.s) - 2); /* but for two tokens */
    ib_table_unref(t);
    ib_table_unref(again);
    end(&w);
}

static void staleness_saves_requests(void **state)
{
    world w;
    begin(&w, &(rest_server_options){0}, 0, NULL, 60000);
    ib_table *t = make(&w), *again, *other, *out;
    int before = rest_server_requests(w.s);
    load(&w, t, &again);
    assert_ptr_equal(again, t);
    ib_table_unref(again);
    assert_int_equal(rest_server_requests(w.s), before);
    /* another client commits: ours finds out by its conflict and doesn't stay behind */
    world o = {.s = w.s};
    mem_init(&o.m, NULL, NULL, 0);
    OK(try_open(&o, 0, NULL, 0, false, err));
    OK(sample_append(o.c, T, NULL, 5, -1, 1, true, &other, err));
    assert_int_equal(sample_append(w.c, T, t, 6, -1, 1, true, &out, NULL), FZ_CONFLICT);
    load(&w, t, &again);
    assert_int_equal(again->md->current_snapshot_id, 5);
    ib_table_unref(again);
    ib_table_unref(other);
    ib_table_unref(t);
    o.c->ops->close(o.c);
    end(&w);
}

static void without_etags(void **state)
{
    world w;
    begin(&w, &(rest_server_options){.no_etags = true}, 0, NULL, 0);
    ib_table *t = make(&w), *again;
    load(&w, t, &again);
    assert_ptr_equal(again, t); /* the same state isn't parsed again */
    ib_table_unref(again);
    /* made again under the same name */
    OK(w.c->ops->drop_table(w.c, T, err));
    ib_table *fresh = sample_create(w.c, T);
    load(&w, t, &again);
    assert_true(str_eq(again->md->table_uuid, fresh->md->table_uuid));
    ib_table_unref(again);
    ib_table_unref(fresh);
    ib_table_unref(t);
    end(&w);
}

static void etags_of_compressed_answers(void **state)
{
    world w;
    begin(&w, &(rest_server_options){.gzip_etags = true}, 0, NULL, 0);
    ib_table *made = make(&w), *t, *again;
    load(&w, NULL, &t);
    load(&w, t, &again);
    assert_ptr_equal(t, again);
    assert_int_equal(rest_server_count(w.s, "GET /v1/w/namespaces/ns/tables/t", "if-none-match: \""), 1);
    assert_int_equal(rest_server_count(w.s, "", "--gzip"), 0);
    ib_table_unref(again);
    ib_table_unref(t);
    ib_table_unref(made);
    end(&w);
}

static void pages(void **state)
{
    world w;
    arena a;
    uint32_t n;
    str *names;
    ib_ident *tables;
    char name[16];
    begin(&w, &(rest_server_options){.page = 4}, PROPS(P("rest-page-size", "4")), 0);
    arena_init(&a, NULL);
    for (int i = 0; i < 11; i++) {
        snprintf(name, sizeof name, "n%02d", i);
        OK(w.c->ops->create_namespace(w.c, str_of(name), NULL, err));
        ib_table_unref(sample_create(w.c, (ib_ident){.ns = STR("n00"), .name = str_of(name)}));
    }
    OK(w.c->ops->list_namespaces(w.c, (str){0}, &a, &n, &names, err));
    assert_int_equal(n, 11);
    assert_true(str_eqz(names[10], "n10"));
    OK(w.c->ops->list_tables(w.c, STR("n00"), &a, &n, &tables, err));
    assert_int_equal(n, 11);
    assert_true(str_eqz(tables[9].name, "n09"));
    assert_int_equal(rest_server_count(w.s, "GET /v1/w/namespaces/n00/tables?", NULL), 3);
    assert_int_equal(rest_server_count(w.s, "pageSize=4", NULL), rest_server_count(w.s, "pageToken=", NULL));
    arena_free(&a);
    end(&w);
}

/* ---- who we are ---- */

static void tokens(void **state)
{
    world w;
    bool there;
    fz_error e = {0};
    rest_server_options o = {.credential = "me:se cret&", .token_seconds = 3600};
    begin(&w, &o, PROPS(P("credential", "me:se cret&"), P("scope", "PRINCIPAL_ROLE:ALL")), 0);
    /* the form is escaped: this server compares text, so it refuses what is right here too */
    assert_int_equal(w.c->ops->namespace_exists(w.c, STR("x"), &there, &e), FZ_IO);
    assert_non_null(strstr(e.message, "401"));
    assert_non_null(strstr(e.message, "Bad credentials"));
    assert_null(strstr(e.message, "cret"));
    assert_string_equal(e.sqlstate, "28000");
    end(&w);
    o.credential = "me:secret";
    begin(&w, &o, PROPS(P("credential", "me:secret")), 0);
    OK(w.c->ops->namespace_exists(w.c, STR("x"), &there, err));
    OK(w.c->ops->namespace_exists(w.c, STR("x"), &there, err));
    assert_int_equal(rest_server_count(w.s, "oauth/tokens", NULL), 1);
    rest_server_expire_tokens(w.s); /* 401: a new one is fetched, once */
    OK(w.c->ops->namespace_exists(w.c, STR("x"), &there, err));
    assert_int_equal(rest_server_count(w.s, "oauth/tokens", NULL), 2);
    assert_int_equal(rest_server_count(w.s, "", "authorization: bearer token-1"), 1);
    end(&w);
    /* one that lives for a second is renewed before it is refused */
    o.token_seconds = 1;
    begin(&w, &o, PROPS(P("credential", "me:secret")), 0);
    OK(w.c->ops->namespace_exists(w.c, STR("x"), &there, err));
    nanosleep(&(struct timespec){.tv_nsec = 900000000}, NULL);
    OK(w.c->ops->namespace_exists(w.c, STR("x"), &there, err));
    assert_int_equal(rest_server_count(w.s, "oauth/tokens", NULL), 2);
    end(&w);
}

static void other_ways_in(void **state)
{
    world w;
    bool there;
    fz_error e = {0};
    begin(&w, &(rest_server_options){0}, PROPS(P("token", "abc")), 0);
    OK(w.c->ops->namespace_exists(w.c, STR("x"), &there, err));
    assert_int_equal(rest_server_count(w.s, "", "authorization: bearer abc\r"), 2);
    end(&w);
    begin(&w, &(rest_server_options){0}, PROPS(P("auth.type", "basic"), P("auth.basic.username", "Aladdin"), P("auth.basic.password", "open sesame")), 0);
    OK(w.c->ops->namespace_exists(w.c, STR("x"), &there, err));
    assert_int_equal(rest_server_count(w.s, "", "authorization: basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r"), 2);
    end(&w);
    begin(&w, &(rest_server_options){0}, PROPS(P("header.X-Mine", "yes"), P("header.X-Iceberg-Access-Delegation", "remote-signing")), 0);
    OK(w.c->ops->namespace_exists(w.c, STR("x"), &there, err));
    assert_int_equal(rest_server_count(w.s, "", "X-Mine: yes\r"), 2);
    assert_int_equal(rest_server_count(w.s, "", "Delegation: remote-signing\r"), 2);
    assert_int_equal(rest_server_count(w.s, "", "vended"), 0);
    end(&w);
    begin(&w, &(rest_server_options){0},
          PROPS(P("rest.sigv4-enabled", "true"), P("rest.signing-region", "eu-x-1"), P("rest.signing-name", "glue"), P("s3.access-key-id", "AKID"),
                P("s3.secret-access-key", "secret")), 0);
    OK(w.c->ops->namespace_exists(w.c, STR("x"), &there, err));
    assert_int_equal(rest_server_count(w.s, "", "eu-x-1/glue/aws4_request,SignedHeaders="), 2);
    end(&w);
    begin(&w, &(rest_server_options){.credential = "me:secret"}, PROPS(P("token", "verysecrettoken")), 0);
    assert_int_equal(w.c->ops->namespace_exists(w.c, STR("x"), &there, &e), FZ_IO);
    assert_non_null(strstr(e.message, "401 Unauthorized: Token refused: Bearer ****"));
    assert_null(strstr(e.message, "verysecret"));
    end(&w);
    w.s = rest_server_start(&(rest_server_options){.open = open_memory, .location = ""});
    mem_init(&w.m, NULL, NULL, 0);
    assert_int_equal(try_open(&w, PROPS(P("auth.type", "entra")), 0, false, &e), FZ_UNSUPPORTED);
    assert_non_null(strstr(e.message, "entra"));
    assert_int_equal(try_open(&w, PROPS(P("uri", "ftp://x")), 0, false, &e), FZ_INVALID);
    assert_int_equal(w.m.used, 0);
    rest_server_stop(w.s);
}

/* A token and the configuration serve the next process too, from a file that is nobody else's. */
static void kept_between_processes(void **state)
{
    char dir[] = "/tmp/frazil-rest-XXXXXX", cmd[200];
    struct stat s;
    bool there;
    world w;
    assert_non_null(mkdtemp(dir));
    setenv("XDG_CACHE_HOME", dir, 1);
    rest_server_options o = {.open = open_memory, .location = "file:///tmp/never", .credential = "me:secret", .token_seconds = 3600};
    mem_init(&w.m, NULL, NULL, 0);
    w.s = rest_server_start(&o);
    for (int i = 0; i < 3; i++) {
        OK(try_open(&w, PROPS(P("credential", "me:secret")), 0, true, err));
        OK(w.c->ops->namespace_exists(w.c, STR("x"), &there, err));
        w.c->ops->close(w.c);
        assert_int_equal(rest_server_count(w.s, "oauth/tokens", NULL), 1);
        assert_int_equal(rest_server_count(w.s, "v1/config", NULL), 1);
    }
    snprintf(cmd, sizeof cmd, "test $(find %s -type f | wc -l) = 1 -a $(find %s -type f -perm 600 | wc -l) = 1 && ! grep -rq secret %s", dir, dir, dir);
    assert_int_equal(system(cmd), 0);
    /* a token that the server forgot meanwhile is replaced */
    rest_server_expire_tokens(w.s);
    OK(try_open(&w, PROPS(P("credential", "me:secret")), 0, true, err));
    OK(w.c->ops->namespace_exists(w.c, STR("x"), &there, err));
    w.c->ops->close(w.c);
    assert_int_equal(rest_server_count(w.s, "oauth/tokens", NULL), 2);
    /* a file that others may read isn't used */
    snprintf(cmd, sizeof cmd, "find %s -type f -exec chmod 644 {} +", dir);
    assert_int_equal(system(cmd), 0);
    OK(try_open(&w, PROPS(P("credential", "me:secret")), 0, true, err));
    OK(w.c->ops->namespace_exists(w.c, STR("x"), &there, err));
    w.c->ops->close(w.c);
    assert_int_equal(rest_server_count(w.s, "oauth/tokens", NULL), 3);
    assert_int_equal(stat(dir, &s), 0);
    rest_server_stop(w.s);
    assert_int_equal(w.m.used, 0);
    unsetenv("XDG_CACHE_HOME");
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    assert_int_equal(system(cmd), 0);
}

/* ---- what goes wrong ---- */

static void errors(void **state)
{
    world w;
    fz_error e = {0};
    ib_table *t;
    bool there;
    begin(&w, &(rest_server_options){0}, 0, NULL, 0);
    assert_int_equal(w.c->ops->load_table(w.c, T, NULL, &t, &e), FZ_NOT_FOUND);
    assert_string_equal(e.sqlstate, "42P01");
    assert_non_null(strstr(e.message, "table ns.t doesn't exist: the server answered 404 Not Found: "));
    rest_server_fault(w.s, "GET", REST_500_UNDONE, 1000);
    (void)there;
    end(&w);
    begin(&w, &(rest_server_options){0}, PROPS(P("warehouse", "none")), 0);
    assert_int_equal(w.c->ops->load_table(w.c, T, NULL, &t, &e), FZ_NOT_FOUND);
    assert_non_null(strstr(e.message, "No such warehouse"));
    end(&w);
    /* reading is tried again */
    begin(&w, &(rest_server_options){0}, 0, NULL, 0);
    ib_table_unref(make(&w));
    rest_server_fault(w.s, "GET /v1/w/namespaces/ns/tables/t", REST_503_UNDONE, 2);
    load(&w, NULL, &t);
    ib_table_unref(t);
    rest_server_fault(w.s, "GET /v1/w/namespaces/ns/tables/t", REST_LOSE_ANSWER, 1);
    load(&w, NULL, &t);
    ib_table_unref(t);
    end(&w);
}

/* A commit whose answer was lost happens once, whatever was lost, and the client says what is. */
static void lost_answers(void **state)
{
    static const struct { rest_fault f; int times; } faults[] = {
        {REST_LOSE_ANSWER, 1}, {REST_LOSE_REQUEST, 1}, {REST_LOSE_REQUEST, 3}, {REST_500_DONE, 1}, {REST_500_UNDONE, 1}, {REST_500_UNDONE, 2},
        {REST_503_UNDONE, 1}};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        world w;
        begin(&w, &(rest_server_options){0}, 0, NULL, 0);
        ib_table *t = make(&w), *t1, *t2;
        rest_server_fault(w.s, "POST /v1/w/namespaces/ns/tables/t", faults[i].f, faults[i].times);
        OK(sample_append(w.c, T, t, 7, -1, 1, true, &t1, err));
        assert_int_equal(t1->md->n_snapshots, 1);
        assert_int_equal(t1->md->n_metadata_log, 1); /* once */
        /* without a snapshot to tell by */
        if (faults[i].f != REST_LOSE_REQUEST) {
            rest_server_fault(w.s, "POST /v1/w/namespaces/ns/tables/t", faults[i].f, 1);
            OK(sample_set(w.c, T, "k", "v", &t2, err));
            assert_int_equal(t2->md->n_metadata_log, 2);
            ib_table_unref(t2);
        }
        /* a table */
        ib_metadata *md = sample_metadata(w.c, IDENT("ns", "made"));
        rest_server_fault(w.s, "POST /v1/w/namespaces/ns/tables/made", faults[i].f, 1);
        if (faults[i].f != REST_LOSE_REQUEST) {
            OK(w.c->ops->create_table(w.c, IDENT("ns", "made"), md, &t2, err));
            assert_true(str_eq(t2->md->table_uuid, md->table_uuid));
            ib_table_unref(t2);
        }
        ib_metadata_unref(md);
        ib_table_unref(t1);
        ib_table_unref(t);
        end(&w);
    }
}

/* What can't be told by anything is unknown: nothing was applied, but it might have been. */
static void unknown_stays_unknown(void **state)
{
    world w;
    ib_table *out;
    fz_error e = {0};
    begin(&w, &(rest_server_options){0}, 0, NULL, 0);
    ib_table *t = make(&w);
    rest_server_fault(w.s, "POST /v1/w/namespaces/ns/tables/t", REST_LOSE_REQUEST, 1);
    assert_int_equal(sample_set(w.c, T, "k", "v", &out, &e), FZ_UNKNOWN);
    assert_non_null(strstr(e.message, "isn't known"));
    ib_table_unref(t);
    end(&w);
    /* with a key that makes it idempotent it is simply sent again */
    begin(&w, &(rest_server_options){.config = "\"idempotency-key-lifetime\":\"PT30M\""}, 0, NULL, 0);
    t = make(&w);
    rest_server_fault(w.s, "POST /v1/w/namespaces/ns/tables/t", REST_LOSE_REQUEST, 1);
    OK(sample_set(w.c, T, "k", "v", &out, err));
    assert_int_equal(rest_server_count(w.s, "POST /v1/w/namespaces/ns/tables/t", "idempotency-key: 0"), 3); /* creation, and both tries */
    ib_table_unref(out);
    ib_table_unref(t);
    end(&w);
}

/* An answer belongs to one of several requests: a conflict with what this commit itself made is no conflict, and a refusal says nothing of an earlier
 * one that nobody answered. */
static void answers_of_another_try(void **state)
{
    world w;
    ib_table *t, *t1;
    fz_error e = {0};
    begin(&w, &(rest_server_options){0}, 0, NULL, 0);
    t = make(&w);
    rest_server_fault(w.s, "POST /v1/w/namespaces/ns/tables/t", REST_409_DONE, 1);
    OK(sample_append(w.c, T, t, 7, -1, 1, true, &t1, err));
    assert_int_equal(t1->md->n_metadata_log, 1);
    rest_server_fault(w.s, "POST /v1/w/namespaces/ns/tables/made", REST_409_DONE, 1);
    ib_metadata *md = sample_metadata(w.c, IDENT("ns", "made"));
    ib_table_unref(t);
    OK(w.c->ops->create_table(w.c, IDENT("ns", "made"), md, &t, err));
    assert_true(str_eq(t->md->table_uuid, md->table_uuid));
    ib_metadata_unref(md);
    ib_table_unref(t);
    rest_server_fault(w.s, "POST /v1/w/namespaces/ns/tables/t", REST_LOSE_THEN_403, 2);
    assert_int_equal(sample_append(w.c, T, t1, 8, 7, 2, true, &t, &e), FZ_UNKNOWN);
    assert_non_null(strstr(e.message, "no longer yours"));
    rest_server_fault(w.s, "POST /v1/w/namespaces/ns/tables/t", REST_403_UNDONE, 1);
    assert_int_equal(sample_append(w.c, T, t1, 8, 7, 2, true, &t, &e), FZ_IO);
    ib_table_unref(t1);
    end(&w);
}

/* Who committed to another branch took the sequence number: a conflict at once, that another snapshot settles, and not a request over and over. */
static void another_branch_took_the_number(void **state)
{
    world w;
    ib_table *t, *t1;
    fz_error e = {0};
    begin(&w, &(rest_server_options){0}, 0, NULL, 0);
    t = make(&w);
    ib_kv kv = {STR("operation"), STR("append")};
    ib_snapshot s = {.snapshot_id = 9, .parent_id = -1, .sequence_number = 1, .timestamp_ms = (int64_t)time(NULL) * 1000 + 2000,
                     .manifest_list = STR("file:///none.avro"), .schema_id = 0, .summary = {1, &kv}};
    ib_update u[] = {{.kind = IB_ADD_SNAPSHOT, .snapshot = &s}, {.kind = IB_SET_SNAPSHOT_REF, .ref = {.name = STR("b"), .snapshot_id = 9}}};
    ib_commit k = {.id = T, .n_updates = 2, .updates = u};
    OK(w.c->ops->commit(w.c, 1, &k, &t, &t1, err));
    ib_table_unref(t1);
    int before = rest_server_requests(w.s);
    assert_int_equal(sample_append(w.c, T, t, 7, -1, 1, true, &t1, &e), FZ_CONFLICT);
    assert_non_null(strstr(e.message, "sequence number"));
    assert_int_equal(rest_server_requests(w.s) - before, 2); /* the commit, a look */
    OK(sample_append(w.c, T, NULL, 7, -1, 2, true, &t1, err));
    ib_table_unref(t1);
    ib_table_unref(t);
    end(&w);
}

/* Of several tables nothing is handed over unless all is well. */
static void lost_answer_of_several(void **state)
{
    world w;
    ib_table *out[2] = {0};
    fz_error e = {0};
    begin(&w, &(rest_server_options){0}, 0, NULL, 0);
    ib_table_unref(make(&w));
    ib_table_unref(sample_create(w.c, IDENT("ns", "other")));
    ib_kv kv = {STR("both"), STR("yes")};
    ib_update u = {.kind = IB_SET_PROPERTIES, .props = {1, &kv}};
    ib_commit two[2] = {{.id = T, .n_updates = 1, .updates = &u}, {.id = IDENT("ns", "other"), .n_updates = 1, .updates = &u}};
    rest_server_fault(w.s, "POST /v1/w/transactions/commit", REST_LOSE_REQUEST, 1);
    assert_int_equal(w.c->ops->commit(w.c, 2, two, NULL, out, &e), FZ_UNKNOWN);
    assert_null(out[0]);
    assert_null(out[1]);
    rest_server_fault(w.s, "POST /v1/w/transactions/commit", REST_LOSE_ANSWER, 1);
    OK(w.c->ops->commit(w.c, 2, two, NULL, out, err));
    for (int i = 0; i < 2; i++) {
        assert_true(str_eqz(ib_prop(&out[i]->md->properties, "both"), "yes"));
        ib_table_unref(out[i]);
    }
    end(&w);
}

static void commits_are_reported(void **state)
{
    world w;
    ib_table *t, *out;
    for (int asked = 0; asked < 2; asked++) {
        begin(&w, &(rest_server_options){0}, (uint32_t)asked, (const io_prop[]){P("rest-metrics-reporting-enabled", "true")}, 0);
        t = make(&w);
        OK(sample_append(w.c, T, t, 7, -1, 1, true, &out, err));
        ib_table_unref(out);
        OK(sample_set(w.c, T, "k", "v", &out, err)); /* no snapshot: nothing to tell */
        assert_int_equal(rest_server_count(w.s, "POST /v1/w/namespaces/ns/tables/t/metrics", NULL), asked);
        ib_table_unref(out);
        ib_table_unref(t);
        end(&w);
    }
}

/* What base has already is named, what is new has its ids. */
static void updates_are_resolved(void **state)
{
    world w;
    arena a;
    uint32_t n;
    const ib_update *out;
    begin(&w, &(rest_server_options){0}, 0, NULL, 0);
    ib_table *t = make(&w);
    const ib_metadata *md = t->md;
    ib_partition_field field = {.source_id = 1, .field_id = -1, .name = STR("b"), .transform = {IB_BUCKET, 4, STR("bucket[4]")}};
    ib_partition_spec spec = {.n = 1, .fields = &field}, none = {0};
    const ib_update u[] = {{.kind = IB_ADD_SCHEMA, .schema = md->schemas}, {.kind = IB_SET_CURRENT_SCHEMA, .id = -1},
                           {.kind = IB_ADD_SPEC, .spec = &spec}, {.kind = IB_SET_DEFAULT_SPEC, .id = -1},
                           {.kind = IB_ADD_SPEC, .spec = &none}, {.kind = IB_SET_DEFAULT_SPEC, .id = -1}};
    arena_init(&a, NULL);
    OK(ib_updates_resolve(md, sizeof u / sizeof *u, u, &a, &n, &out, err));
    assert_int_equal(n, 4);
    assert_int_equal(out[0].kind, IB_SET_CURRENT_SCHEMA);
    assert_int_equal(out[0].id, 0);
    assert_int_equal(out[1].kind, IB_ADD_SPEC);
    assert_int_equal(out[1].spec->spec_id, 1);
    assert_int_equal(out[1].spec->fields[0].field_id, 1000);
    assert_int_equal(out[2].id, -1);
    assert_int_equal(out[3].kind, IB_SET_DEFAULT_SPEC);
    assert_int_equal(out[3].id, 0);
    arena_free(&a);
    ib_table_unref(t);
    end(&w);
}

/* ---- new tables ---- */

static void staged(void **state)
{
    world w;
    ib_metadata *md, *begun;
    ib_table *t;
    struct { type_fields f; type_field x[1]; } cols = {.f = {.n = 1}, .x = {{.name = STR("a"), .field_id = 1, .t = TYPE(T_INT64)}}};
    ib_schema s = {.fields = &cols.f};
    for (int staging = 1; staging >= 0; staging--) {
        begin(&w, &(rest_server_options){.no_staging = !staging}, 0, NULL, 0);
        OK(w.c->ops->create_namespace(w.c, STR("ns"), NULL, err));
        OK(ib_metadata_new(STR("nowhere"), &s, NULL, NULL, NULL, &w.m, &md, err));
        OK(w.c->ops->begin_table(w.c, T, md, false, &begun, err));
        assert_int_equal(w.c->ops->load_table(w.c, T, NULL, &t, NULL), FZ_NOT_FOUND); /* nothing was made */
        assert_false(str_eqz(begun->location, "nowhere"));
        assert_int_equal(begun->properties.n, staging);
        OK(w.c->ops->create_table(w.c, T, begun, &t, err));
        assert_true(str_eq(t->md->table_uuid, begun->table_uuid));
        assert_true(str_eq(t->md->location, begun->location));
        assert_int_equal(t->md->n_schemas, 1);
        ib_table_unref(t);
        ib_metadata_unref(begun);
        assert_int_equal(w.c->ops->begin_table(w.c, T, md, false, &begun, NULL), staging ? FZ_EXISTS : FZ_OK);
        if (!staging)
            ib_metadata_unref(begun);
        assert_int_equal(w.c->ops->begin_table(w.c, IDENT("none", "t"), md, false, &begun, NULL), staging ? FZ_NOT_FOUND : FZ_UNSUPPORTED);
        ib_metadata_unref(md);
        end(&w);
    }
}

/* ---- credentials of a table ---- */

static void vended(void **state)
{
    world w;
    ib_table *t, *again;
    const io_fs *fs;
    char table[500];
    long long soon = (long long)time(NULL) * 1000 + 3000;
    snprintf(table, sizeof table,
             "\"config\":{\"s3.region\":\"r\",\"s3.endpoint\":\"http://127.0.0.1:1\"},"
             "\"storage-credentials\":[{\"prefix\":\"s3://bucket/t\",\"config\":{\"s3.access-key-id\":\"AKIDVENDED\",\"s3.secret-access-key\":\"hush\","
             "\"s3.session-token\":\"tok\",\"s3.session-token-expires-at-ms\":\"%lld\"}}]", soon);
    begin(&w, &(rest_server_options){.table = table, .no_etags = true}, 0, NULL, 0);
    ib_table_unref(make(&w));
    load(&w, NULL, &t);
    assert_ptr_not_equal(t->md->io, w.c->io);
    OK(file_io_find(t->md->io, "s3://bucket/t/x", &fs, err));
    load(&w, t, &again); /* newer keys go into what is there: the table is the same one */
    assert_ptr_equal(again, t);
    ib_table_unref(again);
    /* a commit's answer says nothing about files */
    OK(sample_append(w.c, T, t, 9, -1, 1, true, &again, err));
    assert_ptr_equal(again->md->io, t->md->io);
    ib_table_unref(again);
    /* keys that are about to expire are asked for again when they are used, also after the catalog was closed */
    int before = rest_server_count(w.s, "GET /v1/w/namespaces/ns/tables/t?snapshots=refs", NULL);
    io_stat_info info;
    w.c->ops->close(w.c);
    assert_int_not_equal(io_stat(t->md->io, "s3://bucket/t/x", &info, NULL), FZ_OK); /* nobody listens there */
    assert_true(rest_server_count(w.s, "GET /v1/w/namespaces/ns/tables/t?snapshots=refs", NULL) > before);
    ib_table_unref(t);
    rest_server_stop(w.s);
    assert_int_equal(w.m.used, 0);
    begin(&w, &(rest_server_options){.table = "\"config\":{\"s3.remote-signing-enabled\":\"true\"}"}, 0, NULL, 0);
    ib_table_unref(make(&w));
    fz_error e = {0};
    w.c->ops->close(w.c);
    OK(try_open(&w, 0, NULL, 0, false, err));
    assert_int_equal(w.c->ops->load_table(w.c, T, NULL, &t, &e), FZ_UNSUPPORTED);
    assert_non_null(strstr(e.message, "s3.remote-signing-enabled"));
    end(&w);
}

/* ---- JSON ---- */

static void update_is(const char *json)
{
    json_doc d;
    arena a;
    ib_update u;
    sbuf b;
    arena_init(&a, NULL);
    sbuf_init(&b, NULL);
    OK(json_parse(&d, json, strlen(json), NULL, NULL, err));
    OK(ib_update_from_json(&d, json_root(&d), &a, &u, err));
    json_writer w = json_writer_on(&b);
    OK(ib_update_to_json(&u, 2, NULL, &w, err));
    assert_string_equal(b.p, json);
    json_free(&d);
    sbuf_free(&b);
    arena_free(&a);
}

static void requirement_is(const char *json)
{
    json_doc d;
    arena a;
    ib_requirement r;
    sbuf b;
    arena_init(&a, NULL);
    sbuf_init(&b, NULL);
    OK(json_parse(&d, json, strlen(json), NULL, NULL, err));
    OK(ib_requirement_from_json(&d, json_root(&d), &a, &r, err));
    json_writer w = json_writer_on(&b);
    ib_requirement_to_json(&r, &w);
    assert_string_equal(b.p, json);
    json_free(&d);
    sbuf_free(&b);
    arena_free(&a);
}

static void json_both_ways(void **state)
{
    static const char *const updates[] = {
        "{\"action\":\"assign-uuid\",\"uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\"}",
        "{\"action\":\"upgrade-format-version\",\"format-version\":2}",
        "{\"action\":\"add-schema\",\"schema\":{\"type\":\"struct\",\"schema-id\":3,\"fields\":[{\"id\":1,\"name\":\"x\\\"y\",\"required\":true,\"type\":"
        "\"decimal(9, 2)\",\"doc\":\"d\"}]},\"last-column-id\":7}",
        "{\"action\":\"set-current-schema\",\"schema-id\":-1}",
        "{\"action\":\"add-spec\",\"spec\":{\"spec-id\":1,\"fields\":[{\"source-id\":1,\"field-id\":1000,\"transform\":\"bucket[16]\",\"name\":\"b\"}]}}",
        "{\"action\":\"set-default-spec\",\"spec-id\":-1}",
        "{\"action\":\"add-sort-order\",\"sort-order\":{\"order-id\":2,\"fields\":[{\"transform\":\"identity\",\"source-id\":1,\"direction\":\"desc\","
        "\"null-order\":\"nulls-last\"}]}}",
        "{\"action\":\"set-default-sort-order\",\"sort-order-id\":2}",
        "{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":9007199254740993,\"sequence-number\":4,\"timestamp-ms\":5,\"manifest-list\":"
        "\"s3://b/l.avro\",\"summary\":{\"operation\":\"append\",\"k\":\"\\u00e9\"},\"schema-id\":0,\"unknown\":[1.50,null]}}",
        "{\"action\":\"set-snapshot-ref\",\"ref-name\":\"main\",\"type\":\"branch\",\"snapshot-id\":9007199254740993,\"min-snapshots-to-keep\":2,"
        "\"max-snapshot-age-ms\":3,\"max-ref-age-ms\":4}",
        "{\"action\":\"set-snapshot-ref\",\"ref-name\":\"v1\",\"type\":\"tag\",\"snapshot-id\":1}",
        "{\"action\":\"remove-snapshots\",\"snapshot-ids\":[1,9007199254740993]}",
        "{\"action\":\"remove-snapshot-ref\",\"ref-name\":\"v1\"}",
        "{\"action\":\"set-location\",\"location\":\"s3://b/x y\"}",
        "{\"action\":\"set-properties\",\"updates\":{\"a\":\"1\",\"\":\"line\\nbreak\"}}",
        "{\"action\":\"remove-properties\",\"removals\":[\"a\",\"b\"]}",
        "{\"action\":\"set-statistics\",\"snapshot-id\":3,\"statistics\":{\"snapshot-id\":3,\"statistics-path\":\"p\",\"blob-metadata\":[]}}",
        "{\"action\":\"remove-statistics\",\"snapshot-id\":3}",
        "{\"action\":\"set-partition-statistics\",\"partition-statistics\":{\"snapshot-id\":3,\"statistics-path\":\"p\"}}",
        "{\"action\":\"remove-partition-statistics\",\"snapshot-id\":3}",
        "{\"action\":\"remove-partition-specs\",\"spec-ids\":[1]}",
        "{\"action\":\"remove-schemas\",\"schema-ids\":[0,2]}",
    };
    static const char *const requirements[] = {
        "{\"type\":\"assert-create\"}",
        "{\"type\":\"assert-table-uuid\",\"uuid\":\"u\"}",
        "{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"main\",\"snapshot-id\":null}",
        "{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"b\",\"snapshot-id\":9007199254740993}",
        "{\"type\":\"assert-last-assigned-field-id\",\"last-assigned-field-id\":3}",
        "{\"type\":\"assert-current-schema-id\",\"current-schema-id\":0}",
        "{\"type\":\"assert-last-assigned-partition-id\",\"last-assigned-partition-id\":999}",
        "{\"type\":\"assert-default-spec-id\",\"default-spec-id\":0}",
        "{\"type\":\"assert-default-sort-order-id\",\"default-sort-order-id\":0}",
    };
    for (size_t i = 0; i < sizeof updates / sizeof *updates; i++)
        update_is(updates[i]);
    for (size_t i = 0; i < sizeof requirements / sizeof *requirements; i++)
        requirement_is(requirements[i]);
}

static void json_refuses(void **state)
{
    static const struct { const char *json; fz_status want; } bad[] = {
        {"[]", FZ_DATA}, {"{}", FZ_DATA}, {"{\"action\":7}", FZ_DATA}, {"{\"action\":\"add-view-version\"}", FZ_UNSUPPORTED},
        {"{\"action\":\"assign-uuid\"}", FZ_DATA}, {"{\"action\":\"add-schema\",\"schema\":[]}", FZ_DATA},
        {"{\"action\":\"add-snapshot\",\"snapshot\":null}", FZ_DATA}, {"{\"action\":\"remove-snapshots\",\"snapshot-ids\":{}}", FZ_DATA},
        {"{\"action\":\"remove-snapshots\",\"snapshot-ids\":[1.5]}", FZ_DATA}, {"{\"action\":\"set-properties\",\"updates\":[]}", FZ_DATA},
        {"{\"action\":\"set-snapshot-ref\",\"ref-name\":\"x\",\"type\":\"twig\",\"snapshot-id\":1}", FZ_DATA},
        {"{\"action\":\"set-statistics\",\"statistics\":{}}", FZ_DATA}, {"{\"action\":\"add-spec\",\"spec\":{}}", FZ_DATA},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_doc d;
        arena a;
        ib_update u;
        arena_init(&a, NULL);
        OK(json_parse(&d, bad[i].json, strlen(bad[i].json), NULL, NULL, err));
        if (ib_update_from_json(&d, json_root(&d), &a, &u, NULL) != bad[i].want)
            fail_msg("%s", bad[i].json);
        json_free(&d);
        arena_free(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_both_ways), cmocka_unit_test(json_refuses), cmocka_unit_test(no_needless_request),
        cmocka_unit_test(staleness_saves_requests), cmocka_unit_test(without_etags),
        cmocka_unit_test(etags_of_compressed_answers), cmocka_unit_test(pages), cmocka_unit_test(tokens),
        cmocka_unit_test(other_ways_in), cmocka_unit_test(kept_between_processes), cmocka_unit_test(errors), cmocka_unit_test(lost_answers),
        cmocka_unit_test(unknown_stays_unknown), cmocka_unit_test(commits_are_reported),
        cmocka_unit_test(updates_are_resolved), cmocka_unit_test(answers_of_another_try), cmocka_unit_test(another_branch_took_the_number),
        cmocka_unit_test(lost_answer_of_several), cmocka_unit_test(staged), cmocka_unit_test(vended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
