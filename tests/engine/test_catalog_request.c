/* The Iceberg REST protocol answered in the process: namespaces and tables as data, commits, and requests that aren't right. */
#include "engine/lake_util.h"

#include <stdbool.h>

typedef struct fixture {
    char root[128], lake_dir[160];
    fz_lake *lake;
    fz_session *s;
    text answer;
    fz_error e;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    dir_make(f->root, sizeof f->root, "test_catalog_request");
    snprintf(f->lake_dir, sizeof f->lake_dir, "%s/lake", f->root);
    fine(fz_lake_open(NULL, f->lake_dir, NULL, 0, &f->lake, &f->e), &f->e);
    fine(fz_session_open(f->lake, &f->s, &f->e), &f->e);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    fz_session_close(f->s);
    fz_lake_close(f->lake);
    dir_remove(f->root);
    free(f);
    return 0;
}

/* The answer, "" where there is none. */
static const char *ask(fixture *f, const char *method, const char *path, const char *body)
{
    f->answer.n = 0;
    f->answer.p[0] = 0;
    fine(fz_catalog_request(f->s, method, path, body, text_add, &f->answer, &f->e), &f->e);
    return f->answer.p;
}

static void fails(fixture *f, const char *method, const char *path, const char *body, fz_status st, const char *sqlstate, const char *part)
{
    f->answer.n = 0;
    fz_status got = fz_catalog_request(f->s, method, path, body, text_add, &f->answer, &f->e);
    if (got != st || !strstr(f->e.message, part) || (sqlstate && strcmp(f->e.sqlstate, sqlstate)))
        fail_msg("%s %s: %s %s %s", method, path, fz_status_name(got), f->e.sqlstate, f->e.message);
    assert_int_equal(f->answer.n, 0);
    assert_int_equal(fz_catalog_request(f->s, method, path, body, NULL, NULL, NULL), st);
}

static void has(const char *answer, const char *part)
{
    if (!strstr(answer, part))
        fail_msg("no %s in %s", part, answer);
}

#define LONG_A "{\"type\":\"struct\",\"fields\":[{\"id\":1,\"name\":\"a\",\"type\":\"long\",\"required\":false}]}"

static void namespaces_come_and_go(void **state)
{
    fixture *f = *state;
    assert_string_equal(ask(f, "GET", "namespaces", NULL), "{\"namespaces\":[]}");
    fails(f, "GET", "namespaces/x", NULL, FZ_NOT_FOUND, "3F000", "x");
    fails(f, "HEAD", "namespaces/x", NULL, FZ_NOT_FOUND, "3F000", "x");
    assert_string_equal(ask(f, "POST", "namespaces", "{\"namespace\":[\"a\",\"b c\"],\"properties\":{\"owner\":\"me\"}}"),
                        "{\"namespace\":[\"a\",\"b c\"],\"properties\":{\"owner\":\"me\"}}");
    fails(f, "POST", "namespaces", "{\"namespace\":[\"a\",\"b c\"]}", FZ_EXISTS, "42P06", "b c");
    assert_string_equal(ask(f, "GET", "namespaces", NULL), "{\"namespaces\":[[\"a\"]]}");
    assert_string_equal(ask(f, "GET", "namespaces?parent=a", NULL), "{\"namespaces\":[[\"a\",\"b c\"]]}");
    has(ask(f, "GET", "namespaces/a%1Fb%20c", NULL), "\"owner\":\"me\"");
    assert_string_equal(ask(f, "HEAD", "namespaces/a%1Fb%20c", NULL), "");
    assert_string_equal(ask(f, "POST", "namespaces/a%1Fb%20c/properties", "{\"removals\":[\"owner\",\"never\"],\"updates\":{\"k\":\"v\",\"l\":\"w\"}}"),
                        "{\"updated\":[\"k\",\"l\"],\"removed\":[\"owner\"],\"missing\":[\"never\"]}");
    has(ask(f, "GET", "namespaces/a%1Fb%20c", NULL), "\"properties\":{\"k\":\"v\",\"l\":\"w\"}");
    ask(f, "POST", "namespaces/a%1Fb%20c/properties", "{\"removals\":[\"k\",\"l\"]}");
    assert_string_equal(ask(f, "GET", "namespaces/a%1Fb%20c", NULL), "{\"namespace\":[\"a\",\"b c\"],\"properties\":{}}");
    fails(f, "POST", "namespaces/nope/properties", "{}", FZ_NOT_FOUND, "3F000", "nope");
    fails(f, "POST", "namespaces/a%1Fb%20c/properties", "{\"removals\":[\"k\"],\"updates\":{\"k\":\"v\"}}", FZ_INVALID, NULL, "k");
    fails(f, "POST", "namespaces/a%1Fb%20c/properties", "{\"removals\":{}}", FZ_DATA, NULL, "removals");
    fails(f, "GET", "namespaces?parent=nope", NULL, FZ_NOT_FOUND, "3F000", "nope");
    ask(f, "DELETE", "namespaces/a%1Fb%20c", NULL);
    fails(f, "DELETE", "namespaces/a%1Fb%20c", NULL, FZ_NOT_FOUND, "3F000", "b c");
}

static void tables_are_made_changed_renamed_and_dropped(void **state)
{
    fixture *f = *state;
    ask(f, "POST", "namespaces", "{\"namespace\":[\"n\"]}");
    assert_string_equal(ask(f, "GET", "namespaces/n/tables", NULL), "{\"identifiers\":[]}");
    const char *t = ask(f, "POST", "namespaces/n/tables",
                        "{\"name\":\"t\",\"schema\":{\"type\":\"struct\",\"identifier-field-ids\":[70],\"fields\":["
                        "{\"id\":70,\"name\":\"a\",\"type\":\"long\",\"required\":true},"
                        "{\"id\":9,\"name\":\"l\",\"type\":{\"type\":\"list\",\"element-id\":71,\"element\":\"string\",\"element-required\":false},\"required\":false},"
                        "{\"id\":3,\"name\":\"d\",\"type\":\"date\",\"required\":false}]},"
                        "\"partition-spec\":{\"spec-id\":0,\"fields\":[{\"source-id\":3,\"field-id\":1000,\"transform\":\"month\",\"name\":\"m\"}]},"
                        "\"write-order\":{\"order-id\":5,\"fields\":[{\"source-id\":70,\"transform\":\"identity\",\"direction\":\"desc\",\"null-order\":\"nulls-last\"}]},"
                        "\"properties\":{\"k\":\"v\"}}");
    has(t, "\"identifier-field-ids\":[1]"); /* ids are given anew: columns first */
    has(t, "\"element-id\":4");
    has(t, "\"source-id\":3,\"field-id\":1000,\"transform\":\"month\"");
    has(t, "\"order-id\":1,\"fields\":[{\"transform\":\"identity\",\"source-id\":1");
    has(t, "\"k\":\"v\"");
    fails(f, "POST", "namespaces/n/tables", "{\"name\":\"t\",\"schema\":" LONG_A "}", FZ_EXISTS, "42P07", "t");
    fails(f, "POST", "namespaces/nope/tables", "{\"name\":\"t\",\"schema\":" LONG_A "}", FZ_NOT_FOUND, "3F000", "nope");
    fails(f, "DELETE", "namespaces/n", NULL, FZ_INVALID, "2BP01", "n");
    run(f->s, "INSERT INTO n.t VALUES (1, ['x'], date '2020-02-03')", NULL);
    has(ask(f, "GET", "namespaces/n/tables/t", NULL), "\"added-records\":\"1\"");
    ask(f, "POST", "tables/rename", "{\"source\":{\"namespace\":[\"n\"],\"name\":\"t\"},\"destination\":{\"namespace\":[\"n\"],\"name\":\"ü\"}}");
    assert_string_equal(ask(f, "GET", "namespaces/n/tables", NULL), "{\"identifiers\":[{\"namespace\":[\"n\"],\"name\":\"ü\"}]}");
    fails(f, "HEAD", "namespaces/n/tables/t", NULL, FZ_NOT_FOUND, "42P01", "t");
    assert_string_equal(ask(f, "HEAD", "namespaces/n/tables/%C3%BC", NULL), "");
    check(f->s, "SELECT a FROM n.\"ü\"", "a\n1\n");

    const char *at = strstr(ask(f, "GET", "namespaces/n/tables/%C3%BC", NULL), "\"metadata-location\":\"");
    char location[512], body[700];
    assert_int_equal(sscanf(at + strlen("\"metadata-location\":"), "\"%511[^\"]\"", location), 1);
    fails(f, "DELETE", "namespaces/n/tables/%C3%BC?purgeRequested=true", NULL, FZ_UNSUPPORTED, NULL, "PURGE");
    ask(f, "DELETE", "namespaces/n/tables/%C3%BC", NULL);
    fails(f, "DELETE", "namespaces/n/tables/%C3%BC", NULL, FZ_NOT_FOUND, "42P01", "ü");
    snprintf(body, sizeof body, "{\"name\":\"back\",\"metadata-location\":\"%s\"}", location);
    has(ask(f, "POST", "namespaces/n/register", body), "\"added-records\":\"1\"");
    check(f->s, "SELECT a FROM n.back", "a\n1\n");
}

static void commits_hold_what_they_require(void **state)
{
    fixture *f = *state;
    ask(f, "POST", "namespaces", "{\"namespace\":[\"n\"]}");
    ask(f, "POST", "namespaces/n/tables", "{\"name\":\"t\",\"schema\":" LONG_A "}");
    ask(f, "POST", "namespaces/n/tables", "{\"name\":\"u\",\"schema\":" LONG_A "}");
    has(ask(f, "POST", "namespaces/n/tables/t",
            "{\"requirements\":[{\"type\":\"assert-current-schema-id\",\"current-schema-id\":0}],\"updates\":[{\"action\":\"set-properties\",\"updates\":{\"k\":\"1\"}}]}"),
        "\"k\":\"1\"");
    fails(f, "POST", "namespaces/n/tables/t",
          "{\"requirements\":[{\"type\":\"assert-current-schema-id\",\"current-schema-id\":7}],\"updates\":[{\"action\":\"set-properties\",\"updates\":{\"k\":\"2\"}}]}",
          FZ_CONFLICT, NULL, "");
    has(ask(f, "GET", "namespaces/n/tables/t", NULL), "\"k\":\"1\"");
    /* Two tables: both or none. */
#define SET(name, id) "{\"identifier\":{\"namespace\":[\"n\"],\"name\":\"" name "\"},\"requirements\":[{\"type\":\"assert-current-schema-id\",\"current-schema-id\":" id \
    "}],\"updates\":[{\"action\":\"set-properties\",\"updates\":{\"both\":\"yes\"}}]}"
    fails(f, "POST", "transactions/commit", "{\"table-changes\":[" SET("t", "0") "," SET("u", "3") "]}", FZ_CONFLICT, NULL, "");
    assert_null(strstr(ask(f, "GET", "namespaces/n/tables/t", NULL), "both"));
    assert_string_equal(ask(f, "POST", "transactions/commit", "{\"table-changes\":[" SET("t", "0") "," SET("u", "0") "]}"), "");
    has(ask(f, "GET", "namespaces/n/tables/t", NULL), "\"both\":\"yes\"");
    has(ask(f, "GET", "namespaces/n/tables/u", NULL), "\"both\":\"yes\"");
    fails(f, "POST", "transactions/commit", "{\"table-changes\":[" SET("nope", "0") "]}", FZ_NOT_FOUND, "42P01", "nope");
    assert_string_equal(ask(f, "POST", "transactions/commit", "{\"table-changes\":[]}"), "");
}

static void requests_that_are_not_right(void **state)
{
    fixture *f = *state;
    ask(f, "POST", "namespaces", "{\"namespace\":[\"n\"]}");
    fails(f, "GET", "nothing", NULL, FZ_UNSUPPORTED, NULL, "nothing");
    fails(f, "GET", "", NULL, FZ_UNSUPPORTED, NULL, "");
    fails(f, "PATCH", "namespaces", NULL, FZ_UNSUPPORTED, NULL, "PATCH");
    fails(f, "GET", "a/b/c/d/e/f/g", NULL, FZ_NOT_FOUND, NULL, "");
    fails(f, "GET", "namespaces/%", NULL, FZ_INVALID, NULL, "hexadecimal");
    fails(f, "GET", "namespaces/%2", NULL, FZ_INVALID, NULL, "hexadecimal");
    fails(f, "GET", "namespaces/%zz", NULL, FZ_INVALID, NULL, "hexadecimal");
    fails(f, "POST", "namespaces", NULL, FZ_DATA, NULL, "empty");
    fails(f, "POST", "namespaces", "[", FZ_DATA, NULL, "JSON");
    fails(f, "POST", "namespaces", "[]", FZ_DATA, NULL, "namespace");
    fails(f, "POST", "namespaces", "{}", FZ_DATA, NULL, "namespace");
    fails(f, "POST", "namespaces", "{\"namespace\":\"n\"}", FZ_DATA, NULL, "namespace");
    fails(f, "POST", "namespaces", "{\"namespace\":[1]}", FZ_DATA, NULL, "");
    fails(f, "POST", "namespaces", "{\"namespace\":[]}", FZ_INVALID, NULL, "");
    fails(f, "POST", "namespaces/n/tables", "{\"name\":\"t\"}", FZ_DATA, NULL, "schema");
    fails(f, "POST", "namespaces/n/tables", "{\"name\":\"t\",\"schema\":[]}", FZ_DATA, NULL, "");
    fails(f, "POST", "namespaces/n/tables",
          "{\"name\":\"t\",\"schema\":" LONG_A ",\"partition-spec\":{\"fields\":[{\"source-id\":8,\"transform\":\"identity\",\"name\":\"x\"}]}}", FZ_INVALID,
          NULL, "no field 8");
    fails(f, "POST", "namespaces/n/tables", "{\"name\":\"t\",\"schema\":{\"type\":\"struct\",\"identifier-field-ids\":[4],\"fields\":[]}}", FZ_DATA, NULL, "field 4");
    assert_string_equal(ask(f, "GET", "namespaces/n/tables", NULL), "{\"identifiers\":[]}");
    ask(f, "POST", "namespaces/n/tables", "{\"name\":\"t\",\"schema\":" LONG_A "}");
    fails(f, "POST", "namespaces/n/tables/t", "{\"updates\":[]}", FZ_DATA, NULL, "requirements");
    fails(f, "POST", "namespaces/n/tables/t", "{\"requirements\":[],\"updates\":[{\"action\":\"fly\"}]}", FZ_UNSUPPORTED, NULL, "fly");
    fails(f, "POST", "namespaces/n/tables/t", "{\"requirements\":[{\"type\":\"assert-fun\"}],\"updates\":[]}", FZ_UNSUPPORTED, NULL, "assert-fun");
    fails(f, "POST", "transactions/commit", "{\"table-changes\":{}}", FZ_DATA, NULL, "");
}

static int stop(void *ctx, const char *s, size_t n) { return 1; }

static void the_caller_may_stop(void **state)
{
    fixture *f = *state;
    assert_int_equal(fz_catalog_request(f->s, "GET", "namespaces", NULL, stop, NULL, &f->e), FZ_CANCELLED);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(namespaces_come_and_go), TEST(tables_are_made_changed_renamed_and_dropped), TEST(commits_hold_what_they_require),
        TEST(requests_that_are_not_right), TEST(the_caller_may_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
