/* Catalogs by name: which source wins, what a file may hold, aliases, kinds, secrets. tests/interop/test_config.py compares with PyIceberg. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "catalog/config/config.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[128], home[160], cwd[160], own[160];
static char space[32][512];
static const char *env[32];
static unsigned n_env;

static void env_set(const char *fmt, const char *value)
{
    assert_true(n_env < 31);
    snprintf(space[n_env], sizeof space[0], fmt, value);
    env[n_env] = space[n_env];
    env[++n_env] = NULL;
}

static void file_write(const char *dir, const char *name, const char *text)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof root, "%.60s/fz-config-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(root))
        return -1;
    snprintf(home, sizeof home, "%s/home", root);
    snprintf(cwd, sizeof cwd, "%s/cwd", root);
    snprintf(own, sizeof own, "%s/own", root);
    mkdir(home, 0700);
    mkdir(cwd, 0700);
    mkdir(own, 0700);
    n_env = 0;
    env_set("HOME=%s", home);
    return 0;
}

static int remove_one(const char *path, const struct stat *sb, int flag, struct FTW *f)
{
    return remove(path);
}

static int teardown(void **state)
{
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static config *load(void)
{
    config_sources s = {.env = env, .cwd = cwd};
    config *c;
    fz_error e = {0};
    if (config_load(&s, NULL, &c, &e))
        fail_msg("%s (%s:%d)", e.message, e.where, (int)e.line);
    return c;
}

static config_catalog *get(const char *name, uint32_t n, const config_option *o)
{
    config *c = load();
    config_catalog *k;
    fz_error e = {0};
    if (config_open(c, name, n, o, NULL, &k, &e))
        fail_msg("%s", e.message);
    config_unref(c);
    return k;
}

static void check(const config_catalog *k, const char *key, const char *value)
{
    const char *v = config_text(k, key, NULL);
    if (!value)
        assert_null(v);
    else if (!v)
        fail_msg("%s: missing", key);
    else
        assert_string_equal(v, value);
}

/* ---- sources ---- */

static void test_which_file(void **state)
{
    file_write(cwd, ".pyiceberg.yaml", "catalog:\n  a:\n    uri: cwd\n");
    config_catalog *k = get("a", 0, NULL);
    check(k, "uri", "cwd");
    config_catalog_unref(k);
    file_write(home, ".pyiceberg.yaml", "catalog:\n  a:\n    uri: home\n");
    k = get("a", 0, NULL);
    check(k, "uri", "home");
    config_catalog_unref(k);
    env_set("PYICEBERG_HOME=%s", own);
    k = get("a", 0, NULL); /* nothing there: the next */
    check(k, "uri", "home");
    config_catalog_unref(k);
    file_write(own, ".pyiceberg.yaml", "# nothing but a comment\n");
    k = get("a", 0, NULL); /* nothing in it: the next */
    check(k, "uri", "home");
    config_catalog_unref(k);
    file_write(own, ".pyiceberg.yaml", "catalog:\n  b:\n    uri: own\n");
    k = get("a", 0, NULL); /* files aren't merged */
    check(k, "uri", NULL);
    assert_false(k->configured);
    config_catalog_unref(k);
    k = get("B", 0, NULL);
    check(k, "uri", "own");
    assert_true(k->configured);
    assert_string_equal(k->name, "B");
    config_catalog_unref(k);
    config *c = load();
    char path[400];
    snprintf(path, sizeof path, "%s/.pyiceberg.yaml", own);
    assert_true(str_eqz(config_file(c), path));
    config_unref(c);
}

static void test_precedence(void **state)
{
    file_write(home, ".pyiceberg.yaml", "catalog:\n"
                                        "  Prod:\n"
                                        "    URI: http://file\n"
                                        "    s3.region: file\n"
                                        "    s3:\n"
                                        "      endpoint: http://nested\n"
                                        "      Access-Key-Id: AKIAFILE\n"
                                        "    auth:\n"
                                        "      type: oauth2\n"
                                        "      oauth2:\n"
                                        "        client_secret: deep-secret\n"
                                        "    kept: x\n");
    env_set("PYICEBERG_CATALOG__PROD__S3__ACCESS_KEY_ID=%s", "AKIAENV");
    env_set("pyiceberg_catalog__prod__s3__region=%s", "env");
    env_set("PYICEBERG_CATALOG__PROD__AUTH__TYPE=%s", "basic");
    env_set("PYICEBERG_CATALOG__PROD__KEPT=%s", "");
    env_set("PYICEBERG_CATALOG__MY_OTHER__HEADER__X_Y=%s", "z=1");
    env_set("PYICEBERG_CATALOG__NOKEY=%s", "v");
    env_set("PYICEBERG_DEFAULT_CATALOG=%s", "Prod");
    config_option o[] = {{"s3.region", "option"}, {"uri", ""}, {"Header.X", "y"}};
    config_catalog *k = get("prod", 3, o);
    check(k, "uri", "http://file"); /* an empty option isn't one */
    check(k, "s3.region", "option");
    check(k, "s3.endpoint", "http://nested");
    check(k, "s3.access-key-id", "AKIAENV");
    check(k, "auth.type", "basic");
    check(k, "auth.oauth2.client_secret", "deep-secret");
    check(k, "kept", NULL); /* an empty variable is one */
    check(k, "header.x", "y");
    char line[400];
    snprintf(line, sizeof line, "%s/.pyiceberg.yaml:3", home);
    assert_string_equal(config_get(k, "uri")->origin.p, line);
    assert_string_equal(config_get(k, "auth.type")->origin.p, "environment variable PYICEBERG_CATALOG__PROD__AUTH__TYPE");
    assert_string_equal(config_get(k, "s3.region")->origin.p, "option");
    for (uint32_t i = 1; i < k->n; i++)
        assert_true(str_cmp(k->entries[i - 1].key, k->entries[i].key) < 0);
    config_catalog_unref(k);
    k = get("my-other", 0, NULL);
    check(k, "header.x-y", "z=1");
    config_catalog_unref(k);
    config *c = load();
    assert_string_equal(config_default(c), "Prod");
    const str *names, *notes;
    assert_int_equal(config_names(c, &names), 2);
    assert_true(str_eqz(names[0], "my-other"));
    assert_true(str_eqz(names[1], "prod"));
    assert_int_equal(config_notes(c, &notes), 1);
    assert_non_null(strstr(notes[0].p, "PYICEBERG_CATALOG__NOKEY names a catalog, but no key"));
    config_unref(c);
}

static void test_default(void **state)
{
    config *c = load();
    assert_null(config_default(c));
    config_unref(c);
    file_write(home, ".pyiceberg.yaml", "catalog:\n  default:\n    uri: x\n");
    c = load();
    assert_string_equal(config_default(c), "default");
    config_unref(c);
    file_write(home, ".pyiceberg.yaml", "default-catalog: two\nmax-workers: 4\ncatalog:\n  default:\n    uri: x\n  two:\n    uri: y\n");
    c = load();
    assert_string_equal(config_default(c), "two");
    assert_string_equal(config_setting(c, "max-workers")->value.p, "4");
    config_unref(c);
}

/* ---- the file ---- */

static void test_values_are_text(void **state)
{
    file_write(home, ".pyiceberg.yaml", "\xef\xbb\xbf" "catalog:\n"
                                        "  a: # the first\n"
                                        "    yes: yes\n"
                                        "    number: 1.50\n"
                                        "    none: null\n"
                                        "    tilde: ~\n"
                                        "    nothing:\n"
                                        "    quoted: 'it''s'\n"
                                        "    double: \"a\\tb\"\n"
                                        "    folded: >-\n"
                                        "      x\n"
                                        "      y\n"
                                        "    list:\n"
                                        "      - 1\n"
                                        "      - {a: [b]}\n"
                                        "    after: {x.y: 1, z: {q: 2}}\n"
                                        "  \"with space\":\n"
                                        "    uri: \"\xc3\xa9\"\n"
                                        "  empty:\n");
    config_catalog *k = get("a", 0, NULL);
    static const char *const want[][2] = {{"yes", "yes"}, {"number", "1.50"}, {"none", "null"}, {"tilde", "~"}, {"nothing", NULL},
                                          {"quoted", "it's"}, {"double", "a\tb"}, {"folded", "x y"}, {"list", NULL}, {"after.x.y", "1"}, {"after.z.q", "2"}};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        check(k, want[i][0], want[i][1]);
    assert_int_equal(k->n, 10);
    config_catalog_unref(k);
    k = get("with space", 0, NULL);
    check(k, "uri", "\xc3\xa9");
    config_catalog_unref(k);
    config *c = load();
    const str *notes;
    assert_int_equal(config_notes(c, &notes), 1);
    assert_non_null(strstr(notes[0].p, ".yaml:14: \"list\" is a list"));
    config_unref(c);
}

static void test_wrong_files(void **state)
{
    static const struct { const char *text; int line, column; const char *says; } cases[] = {
        {"catalog:\n  a:\n\turi: x\n", 3, 1, "isn't YAML"},
        {"catalog:\n  a:\n    uri: 'x\n", 4, 1, "isn't YAML"},
        {"catalog: x\n", 1, 10, "must hold catalogs by name"},
        {"catalog:\n  a: http://x\n", 2, 6, "a catalog must hold settings"},
        {"- a\n", 1, 1, "not a list"},
        {"just text\n", 1, 1, "\"key: value\" lines"},
        {"a: &x 1\n", 1, 4, "anchors"},
        {"a: !!str 1\n", 1, 4, "tags"},
        {"a: *x\n", 1, 4, "anchors"},
        {"catalog:\n  a:\n    uri: x\n    uri: y\n", 4, -1, "\"uri\" is given twice for catalog a, in lines 3 and 4"},
        {"catalog:\n  a:\n    uri: x\n  A:\n    s: y\n", 5, -1, "\"a\" is given twice, in lines 3 and 5"},
        {"catalog:\n  a:\n    uri: x\ncatalog:\n  b:\n    uri: x\n", 5, -1, "\"catalog\" is given twice"},
        {"a: 1\n---\nb: 2\n", 2, 1, "second document"},
        {"catalog:\n  '':\n    uri: x\n", 2, 3, "name is empty"},
        {"{[a]: b}\n", 1, 2, "a key must be text"},
        {"a: \"\\0\"\n", 1, 4, "NUL"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        file_write(home, ".pyiceberg.yaml", cases[i].text);
        config_sources s = {.env = env, .cwd = cwd};
        config *c;
        fz_error e = {0};
        assert_int_equal(config_load(&s, NULL, &c, &e), FZ_INVALID);
        if (!strstr(e.message, cases[i].says) || e.line != cases[i].line || e.column != cases[i].column)
            fail_msg("%s: \"%s\" at %d:%d", cases[i].text, e.message, (int)e.line, (int)e.column);
        assert_non_null(strstr(e.where, "/home/.pyiceberg.yaml"));
    }
    file_write(home, ".pyiceberg.yaml", "a: \xff\n");
    config_sources s = {.env = env, .cwd = cwd};
    config *c;
    fz_error e = {0};
    assert_int_equal(config_load(&s, NULL, &c, &e), FZ_INVALID);
    assert_int_equal(e.offset, 3);
    /* deep nesting ends in an error and not in the stack's end */
    char *deep = malloc(200001);
    memset(deep, '{', 200000);
    deep[200000] = 0;
    file_write(home, ".pyiceberg.yaml", deep);
    assert_int_not_equal(config_load(&s, NULL, &c, &e), FZ_OK);
    free(deep);
}

static void test_no_place(void **state)
{
    n_env = 0;
    env[0] = NULL; /* not even HOME: the user's entry, then the folder */
    env_set("%s", "NOTHING");
    file_write(cwd, ".pyiceberg.yaml", "catalog:\n  here-only-for-this-test:\n    uri: cwd\n");
    config *c = load();
    config_unref(c);
}

/* ---- options ---- */

static void test_secrets_from_elsewhere(void **state)
{
    char at[400];
    file_write(root, "key.txt", "top secret\r\n");
    snprintf(at, sizeof at, "@%s/key.txt", root);
    env_set("MY_TOKEN=%s", "tok");
    config_option o[] = {{"credential", at}, {"token", "env:MY_TOKEN"}, {"other", "@@home"}, {"uri", "http://x"}};
    config_catalog *k = get("n", 4, o);
    check(k, "credential", "top secret");
    check(k, "token", "tok");
    check(k, "other", "@home");
    assert_string_equal(config_get(k, "token")->origin.p, "option (environment variable MY_TOKEN)");
    config_catalog_unref(k);
    config *c = load();
    fz_error e = {0};
    config_option missing = {"credential", "@/no/such/file"}, unset = {"token", "env:NOT_SET"};
    assert_int_equal(config_open(c, "n", 1, &missing, NULL, &k, &e), FZ_NOT_FOUND);
    assert_string_equal(e.message, "credential: there is no file \"/no/such/file\"");
    assert_int_equal(config_open(c, "n", 1, &unset, NULL, &k, &e), FZ_NOT_FOUND);
    assert_string_equal(e.message, "token: there is no environment variable \"NOT_SET\"");
    config_unref(c);
}

static void test_typed(void **state)
{
    config_option o[] = {{"a", "Yes"}, {"b", "0"}, {"c", "maybe"}, {"n", " 42 "}, {"bad", "4x"}, {"s", "1.5"}, {"s2", "60"}, {"s3", "-1"},
                         {"s4", "0.0001"}, {"token", "hush"}, {"client.region", "eu-1"}, {"s3.path-style-access", "true"}};
    config_catalog *k = get("n", 12, o);
    fz_error e = {0};
    bool b;
    int64_t v;
    assert_int_equal(config_bool(k, "a", false, &b, &e), FZ_OK);
    assert_true(b);
    assert_int_equal(config_bool(k, "b", true, &b, &e), FZ_OK);
    assert_false(b);
    assert_int_equal(config_bool(k, "none", true, &b, &e), FZ_OK);
    assert_true(b);
    assert_int_equal(config_bool(k, "c", true, &b, &e), FZ_INVALID);
    assert_string_equal(e.message, "c: \"maybe\" is neither true nor false");
    assert_string_equal(e.where, "option");
    assert_int_equal(config_bool(k, "token", true, &b, &e), FZ_INVALID);
    assert_string_equal(e.message, "token is neither true nor false");
    assert_int_equal(config_int(k, "n", 1, &v, &e), FZ_OK);
    assert_int_equal(v, 42);
    assert_int_equal(config_int(k, "bad", 1, &v, &e), FZ_INVALID);
    assert_int_equal(config_seconds_ms(k, "s", 1, &v, &e), FZ_OK);
    assert_int_equal(v, 1500);
    assert_int_equal(config_seconds_ms(k, "s2", 1, &v, &e), FZ_OK);
    assert_int_equal(v, 60000);
    assert_int_equal(config_seconds_ms(k, "s3", 1, &v, &e), FZ_INVALID);
    assert_int_equal(config_seconds_ms(k, "s4", 1, &v, &e), FZ_OK);
    assert_int_equal(v, 1); /* not "none" */
    assert_int_equal(config_seconds_ms(k, "none", 7, &v, &e), FZ_OK);
    assert_int_equal(v, 7);
    check(k, "s3.region", "eu-1");
    assert_int_equal(config_virtual_addressing(k, &b, &e), FZ_OK);
    assert_false(b);
    config_catalog_unref(k);
    config_option w[] = {{"s3.endpoint", "http://h"}};
    k = get("n", 1, w);
    assert_int_equal(config_virtual_addressing(k, &b, &e), FZ_OK);
    assert_false(b);
    config_catalog_unref(k);
    k = get("n", 0, NULL);
    assert_int_equal(config_virtual_addressing(k, &b, &e), FZ_OK);
    assert_true(b);
    config_catalog_unref(k);
}

/* ---- kinds ---- */

static void test_types(void **state)
{
    static const struct { const char *type, *uri; fz_status st; config_type t; } cases[] = {
        {NULL, "http://x", FZ_OK, CONFIG_REST}, {NULL, "https://x", FZ_OK, CONFIG_REST}, {NULL, "sqlite:///a.db", FZ_OK, CONFIG_SQLITE},
        {NULL, "postgresql+psycopg2://u@h/d", FZ_OK, CONFIG_POSTGRES}, {NULL, "jdbc:postgresql://h/d", FZ_OK, CONFIG_POSTGRES},
        {NULL, "jdbc:sqlite:/a.db", FZ_OK, CONFIG_SQLITE}, {NULL, "thrift://x", FZ_UNSUPPORTED, 0}, {NULL, "ftp://x", FZ_INVALID, 0},
        {NULL, NULL, FZ_INVALID, 0}, {"REST", "x", FZ_OK, CONFIG_REST}, {"rest", NULL, FZ_INVALID, 0}, {"sql", "sqlite:////a", FZ_OK, CONFIG_SQLITE},
        {"sql", "postgresql://", FZ_OK, CONFIG_POSTGRES}, {"sql", "mysql://x", FZ_UNSUPPORTED, 0}, {"sql", NULL, FZ_INVALID, 0},
        {"in-memory", NULL, FZ_OK, CONFIG_MEMORY}, {"glue", NULL, FZ_UNSUPPORTED, 0}, {"hive", "thrift://", FZ_UNSUPPORTED, 0},
        {"nonsense", "http://x", FZ_UNSUPPORTED, 0}, {NULL, "sqlite:a.db", FZ_INVALID, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        config_option o[] = {{"type", cases[i].type}, {"uri", cases[i].uri}, {"x", "y"}};
        config_catalog *k = get("n", 3, o);
        config_type t = 99;
        fz_error e = {0};
        fz_status st = config_catalog_type(k, &t, &e);
        if (st != cases[i].st || (!st && t != cases[i].t))
            fail_msg("%s %s: %d %s", cases[i].type, cases[i].uri, (int)st, e.message);
        config_catalog_unref(k);
    }
    config_catalog *k = get("no-such", 0, NULL);
    config_type t;
    fz_error e = {0};
    assert_int_equal(config_catalog_type(k, &t, &e), FZ_NOT_FOUND);
    assert_string_equal(e.message, "there is no catalog \"no-such\": neither .pyiceberg.yaml nor the environment knows it");
    assert_non_null(strstr(e.hint, "PYICEBERG_CATALOG__NO_SUCH__URI"));
    config_catalog_unref(k);
}

static void test_databases(void **state)
{
    static const char *const sqlite[][2] = {{"sqlite:///rel.db", "cwd/rel.db"}, {"sqlite:////abs/x%20y.db", "/abs/x%20y.db"}, {"sqlite://", ""},
                                            {"sqlite:///:memory:", ""}, {"sqlite+pysqlite:////a.db?timeout=5", "/a.db"},
                                            {"jdbc:sqlite:/a/b.db", "/a/b.db"}};
    arena a;
    arena_init(&a, NULL);
    fz_error e = {0};
    str s;
    for (size_t i = 0; i < sizeof sqlite / sizeof sqlite[0]; i++) {
        config_option o = {"uri", sqlite[i][0]};
        config_catalog *k = get("n", 1, &o);
        assert_int_equal(config_sqlite_path(k, &a, &s, &e), FZ_OK);
        if (strncmp(sqlite[i][1], "cwd/", 4) == 0) {
            assert_memory_equal(s.p, cwd, strlen(cwd));
            assert_string_equal(s.p + strlen(cwd), sqlite[i][1] + 3);
        } else {
            assert_string_equal(s.p, sqlite[i][1]);
        }
        config_catalog_unref(k);
    }
    config_option bad = {"uri", "sqlite:///file:x?mode=ro&uri=true"};
    config_catalog *k = get("n", 1, &bad);
    assert_int_equal(config_sqlite_path(k, &a, &s, &e), FZ_INVALID);
    config_catalog_unref(k);
    static const char *const pg[][2] = {{"postgresql+psycopg2://u:p@h:5/d?sslmode=require", "postgresql://u:p@h:5/d?sslmode=require"},
                                        {"postgresql://h/d", "postgresql://us%20er:p%40ss@h/d"}, {"jdbc:postgresql://h/d", "postgresql://us%20er:p%40ss@h/d"},
                                        {"postgresql:///d?host=/run", "postgresql://us%20er:p%40ss@/d?host=/run"}};
    for (size_t i = 0; i < sizeof pg / sizeof pg[0]; i++) {
        config_option o[] = {{"uri", pg[i][0]}, {"jdbc.user", "us er"}, {"jdbc.password", "p@ss"}};
        k = get("n", 3, o);
        assert_int_equal(config_postgres_uri(k, &a, &s, &e), FZ_OK);
        assert_string_equal(s.p, pg[i][1]);
        config_catalog_unref(k);
    }
    arena_free(&a);
}

/* ---- secrets ---- */

static void test_masks(void **state)
{
    static const struct { const char *key, *value, *shown; } cases[] = {
        {"credential", "id:verysecret", "id:****"}, {"credential", "verysecret", "****"}, {"token", "abc", "****"}, {"token", "", ""},
        {"s3.access-key-id", "AKIAABCDEFGHIJKL", "****IJKL"}, {"s3.access-key-id", "minio", "****"}, {"client.secret-access-key", "x", "****"},
        {"auth.basic.password", "x", "****"}, {"auth.oauth2.client_secret", "x", "****"}, {"header.x-api-key", "x", "****"},
        {"header.x-iceberg-access-delegation", "vended-credentials", "vended-credentials"}, {"unknown.db-password", "x", "****"},
        {"uri", "postgresql://u:p@s:s@h/d", "postgresql://u:****@h/d"}, {"uri", "postgresql://u@h/d?password=abc&x=y", "postgresql://u@h/d?password=****&x=y"},
        {"uri", "http://h:80/a:b@c", "http://h:80/a:b@c"}, {"uri", "https://u:a@h/aaa", "https://u:****@h/aaa"}, {"s3.endpoint", "http://h:1", "http://h:1"},
        {"ssl.client.key", "/path", "/path"}, {"scope", "catalog", "catalog"}, {"s3.sse-kms-key-id", "arn", "arn"}, {"jdbc.password", "p", "****"},
        {"adls.account-key", "p", "****"}, {"warehouse", "s3://token/secret", "s3://token/secret"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        config_entry x = {str_of(cases[i].key), str_of(cases[i].value), STR("option")};
        sbuf b;
        sbuf_init(&b, NULL);
        config_mask(&x, &b);
        sbuf_addz(&b, "");
        if (strcmp(b.p ? b.p : "", cases[i].shown) != 0)
            fail_msg("%s %s: %s", cases[i].key, cases[i].value, b.p);
        sbuf_free(&b);
    }
}

static void test_redaction(void **state)
{
    config_option o[] = {{"credential", "client:s3cr3t-value"}, {"uri", "postgresql://u:pa55word@h/d"}, {"token", "abc"}, {"plain", "visible"}};
    config_catalog *k = get("n", 4, o);
    fz_error e = {0};
    error_set(&e, FZ_IO, "bad client:s3cr3t-value and s3cr3t-value, pa55word, abc, visible");
    error_where(&e, "postgresql://u:pa55word@h/d");
    config_redact_error(k, &e);
    assert_string_equal(e.message, "bad client:**** and ****, ****, abc, visible");
    assert_string_equal(e.where, "postgresql://u:****@h/d");
    config_catalog_unref(k);
}

static void test_known_keys(void **state)
{
    const char *why;
    assert_int_equal(config_key_use(STR("uri"), &why), CONFIG_USED);
    assert_int_equal(config_key_use(STR("header.anything"), &why), CONFIG_USED);
    assert_int_equal(config_key_use(STR("py-io-impl"), &why), CONFIG_NO_USE);
    assert_non_null(why);
    assert_int_equal(config_key_use(STR("adls.account-name"), &why), CONFIG_NO_USE);
    assert_int_equal(config_key_use(STR("adls."), &why), CONFIG_UNKNOWN);
    assert_int_equal(config_key_use(STR("made.up"), NULL), CONFIG_UNKNOWN);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_which_file), T(test_precedence), T(test_default), T(test_values_are_text), T(test_wrong_files), T(test_no_place),
        T(test_secrets_from_elsewhere), T(test_typed), T(test_types), T(test_databases), T(test_masks), T(test_redaction), T(test_known_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
