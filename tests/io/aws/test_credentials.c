/* AWS credentials: where they come from and in which order, roles, renewal. The services are played by a small HTTP server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/aws/credentials.h"
#include "io/aws/credentials_int.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- the services ---- */

static struct {
    int fd, port;
    pthread_t thread;
    pthread_mutex_t lock;
    int requests;             /* all so far */
    int life_s;               /* of the keys that are handed out */
    int fail;                 /* this many answers are 500 (403 for STS, which isn't tried again) */
    int delay_ms;
    char last[8192];
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void time_text(int in_s, char out[32])
{
    time_t t = time(NULL) + in_s;
    struct tm tm;
    gmtime_r(&t, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static void answer(int fd, int code, const char *body)
{
    char head[256];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", code, strlen(body));
    if (write(fd, head, (size_t)n) != n || write(fd, body, strlen(body)) < 0)
        return;
}

static void keys_json(char *out, size_t cap, const char *id)
{
    char when[32];
    time_text(server.life_s, when);
    snprintf(out, cap, "{\"Code\":\"Success\",\"AccessKeyId\":\"%s-%d\",\"SecretAccessKey\":\"sec/ret\",\"Token\":\"tok\\u002btok\",\"Expiration\":\"%s\"}", id,
             server.requests, when);
}

static void serve(int fd, const char *request)
{
    char body[2048], when[32];
    time_text(server.life_s, when);
    if (server.delay_ms)
        usleep((useconds_t)server.delay_ms * 1000);
    if (server.fail > 0) {
        server.fail--;
        answer(fd, 403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you &amp; not now</Message></Error></ErrorResponse>");
    } else if (strncmp(request, "POST / ", 7) == 0) {
        const char *action = strstr(request, "Action="), *arn = strstr(request, "RoleArn=");
        snprintf(body, sizeof body, "<R><Credentials><AccessKeyId>STS-%.25s-%.12s-%d</AccessKeyId><SecretAccessKey>a&amp;b</SecretAccessKey>"
                 "<SessionToken>t</SessionToken><Expiration>%s</Expiration></Credentials></R>", action + 7, arn + 8, server.requests, when);
        answer(fd, 200, body);
    } else if (strncmp(request, "PUT /latest/api/token ", 22) == 0) {
        answer(fd, strcasestr(request, "x-aws-ec2-metadata-token-ttl-seconds: ") ? 200 : 400, "THE-TOKEN");
    } else if (strncmp(request, "GET /latest/meta-data/iam/security-credentials/ ", 48) == 0) {
        answer(fd, strcasestr(request, "x-aws-ec2-metadata-token: THE-TOKEN") ? 200 : 401, "my role\nother");
    } else if (strncmp(request, "GET /latest/meta-data/iam/security-credentials/my%20role ", 57) == 0) {
        keys_json(body, sizeof body, "IMDS");
        answer(fd, 200, body);
    } else if (strncmp(request, "GET /container ", 15) == 0) {
        keys_json(body, sizeof body, "BOX");
        answer(fd, strcasestr(request, "authorization: let-me-in") ? 200 : 403, body);
    } else {
        answer(fd, 404, "nothing here");
    }
}

static void *run(void *ctx)
{
    for (;;) {
        int fd = accept(server.fd, NULL, NULL);
        if (fd < 0)
            return NULL;
        char buf[8192];
        size_t n = 0;
        ssize_t k;
        while (n < sizeof buf - 1 && (k = read(fd, buf + n, sizeof buf - 1 - n)) > 0) {
            buf[n += (size_t)k] = 0;
            const char *end = strstr(buf, "\r\n\r\n"), *length = strcasestr(buf, "content-length: ");
            if (end && n >= (size_t)(end + 4 - buf) + (length && length < end ? strtoul(length + 16, NULL, 10) : 0))
                break;
        }
        pthread_mutex_lock(&server.lock);
        server.requests++;
        snprintf(server.last, sizeof server.last, "%s", buf);
        pthread_mutex_unlock(&server.lock);
        serve(fd, buf);
        close(fd);
    }
}

static int server_start(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    server.fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server.fd, (struct sockaddr *)&a, n) || listen(server.fd, 64) || getsockname(server.fd, (struct sockaddr *)&a, &n))
        return -1;
    server.port = ntohs(a.sin_port);
    return pthread_create(&server.thread, NULL, run, NULL);
}

static int server_stop(void **state)
{
    shutdown(server.fd, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.fd);
    return 0;
}

/* ---- each test: no AWS settings, a home of its own ---- */

static char home[128];
static http_client *http;
static arena mem_of_test;

static void set(const char *name, const char *fmt, ...)
{
    char v[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(v, sizeof v, fmt, ap);
    va_end(ap);
    setenv(name, v, 1);
}

static void file_write(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", home, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int setup(void **state)
{
    static const char *const names[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_CREDENTIAL_EXPIRATION", "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_STS", "AWS_EC2_METADATA_SERVICE_ENDPOINT"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    const char *tmp = getenv("TMPDIR");
    snprintf(home, sizeof home, "%.60s/fz-aws-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(home))
        return -1;
    setenv("HOME", home, 1);
    char dir[160];
    snprintf(dir, sizeof dir, "%s/.aws", home);
    mkdir(dir, 0700);
    server.requests = server.fail = server.delay_ms = 0;
    server.life_s = 3600;
    http = http_client_new(NULL, NULL);
    arena_init(&mem_of_test, NULL);
    return http ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *sb, int flag, struct FTW *f)
{
    return remove(path);
}

static int teardown(void **state)
{
    http_client_unref(http);
    arena_free(&mem_of_test);
    return nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void expect(const char *profile, const char *id, const char *secret, const char *token)
{
    aws_credentials *c = aws_credentials_default(profile, http, NULL);
    aws_keys k = {0};
    fz_error e = {0};
    assert_non_null(c);
    if (c->ops->get(c, &mem_of_test, &k, &e))
        fail_msg("%s (%s)", e.message, e.where);
    assert_string_equal(k.access_key_id.p, id);
    assert_string_equal(k.secret_access_key.p, secret);
    assert_string_equal(k.session_token.p, token);
    aws_credentials_unref(c);
}

static fz_error expect_failure(const char *profile, fz_status st, const char *says)
{
    aws_credentials *c = aws_credentials_default(profile, http, NULL);
    aws_keys k = {0};
    fz_error e = {0};
    fz_status got = c->ops->get(c, &mem_of_test, &k, &e);
    if (got != st || !strstr(e.message, says))
        fail_msg("%d: %s", (int)got, e.message);
    assert_int_equal(e.status, st);
    aws_credentials_unref(c);
    return e;
}

/* ---- parsing ---- */

static void test_times(void **state)
{
    static const struct { const char *text; int64_t ms; } good[] = {
        {"1970-01-01T00:00:00Z", 0}, {"2000-02-29T12:34:56Z", 951827696000}, {"2026-11-22T21:30:00.123Z", 1795383000000},
        {"2026-11-22T21:30:00+00:00", 1795383000000}, {"2099-12-31T23:59:59Z", 4102444799000},
    };
    static const char *const bad[] = {"", "2026", "2026-11-22", "2026-13-22T21:30:00Z", "2026-11-22T21:30:00+01:00", "2026-11-22T2a:30:00Z", "2026/11/22T21:30:00Z"};
    int64_t v;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(aws_parse_time(str_of(good[i].text), &v));
        assert_int_equal(v, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(aws_parse_time(str_of(bad[i]), &v));
}

static void test_profile_files(void **state)
{
    static const char config[] = "\xef\xbb\xbf; first\r\n[default]\r\nregion = eu-central-1 # here\r\n\n[profile dev]\naws_access_key_id=ID=1\n"
                                 "s3 =\n  region = nested\n  addressing_style = path\nregion=us-west-2\nrole_arn = arn:a#b\n[dev]\nregion = wrong\n"
                                 "[sso-session dev]\nregion=wrong too\n[profile \"two words\"]\nregion = q\nno equals sign\n[unclosed\nregion=x";
    aws_profile p = {0};
    aws_profile_parse(STR(config), true, "default", &p);
    assert_true(p.found);
    assert_true(str_eqz(p.region, "eu-central-1"));
    p = (aws_profile){0};
    aws_profile_parse(STR(config), true, "dev", &p);
    assert_true(str_eqz(p.access_key_id, "ID=1"));
    assert_true(str_eqz(p.region, "us-west-2"));
    assert_true(str_eqz(p.role_arn, "arn:a#b"));
    p = (aws_profile){0};
    aws_profile_parse(STR(config), true, "two words", &p);
    assert_true(str_eqz(p.region, "q"));
    p = (aws_profile){0};
    aws_profile_parse(STR("[dev]\nregion=r\n"), false, "dev", &p);
    assert_true(p.found);
}

/* ---- sources ---- */

static void test_fixed(void **state)
{
    aws_keys in = {STR("id"), STR("secret"), {0}, INT64_MAX}, k;
    aws_credentials *c = aws_credentials_static(&in, NULL);
    assert_int_equal(c->ops->get(c, &mem_of_test, &k, NULL), FZ_OK);
    assert_true(str_eqz(k.access_key_id, "id") && str_eqz(k.secret_access_key, "secret") && k.session_token.n == 0);
    assert_int_equal(k.expires_ms, INT64_MAX);
    assert_true(c->ops->cached(c, &mem_of_test, &k));
    aws_credentials_unref(c);
}

static void test_order(void **state)
{
    file_write(".aws/credentials", "[default]\naws_access_key_id = FILE\naws_secret_access_key = fs\n[both]\naws_access_key_id = CRED\naws_secret_access_key = s1\n");
    file_write(".aws/config", "[default]\nregion = conf-1\n[profile both]\naws_access_key_id = CONF\naws_secret_access_key = s2\nregion = conf-2\n"
                              "[profile only]\naws_access_key_id = ONLY\naws_secret_access_key = s3\naws_session_token = st\n");
    expect(NULL, "FILE", "fs", "");
    set("AWS_PROFILE", "both");
    expect(NULL, "CRED", "s1", ""); /* the credentials file before the other */
    expect("only", "ONLY", "s3", "st");
    str region;
    assert_int_equal(aws_default_region(NULL, &mem_of_test, &region, NULL), FZ_OK);
    assert_true(str_eqz(region, "conf-2"));
    set("AWS_DEFAULT_REGION", "dr");
    aws_default_region(NULL, &mem_of_test, &region, NULL);
    assert_true(str_eqz(region, "dr"));
    set("AWS_REGION", "r");
    aws_default_region(NULL, &mem_of_test, &region, NULL);
    assert_true(str_eqz(region, "r"));
    set("AWS_ACCESS_KEY_ID", "ENV");
    expect_failure(NULL, FZ_INVALID, "only one is set");
    set("AWS_SECRET_ACCESS_KEY", "es");
    set("AWS_SESSION_TOKEN", "et");
    expect(NULL, "ENV", "es", "et");
    expect("only", "ONLY", "s3", "st"); /* a profile that is asked for counts before the environment */
    assert_int_equal(server.requests, 0);
}

static void test_nothing(void **state)
{
    fz_error e = expect_failure(NULL, FZ_INVALID, "there are no AWS credentials");
    assert_string_equal(e.sqlstate, "28000");
    assert_non_null(strstr(e.hint, "s3.anonymous"));
    set("AWS_PROFILE", "nope");
    expect_failure(NULL, FZ_NOT_FOUND, "there is no AWS profile \"nope\"");
    file_write(".aws/config", "[profile sso]\nsso_start_url = https://x\n[profile run]\ncredential_process = /bin/x\n[profile empty]\n"
                              "[profile loop]\nrole_arn = a\nsource_profile = loop2\n[profile loop2]\nrole_arn = a\nsource_profile = loop\n"
                              "[profile half]\nrole_arn = a\n[profile mfa]\nrole_arn = a\nmfa_serial = x\nsource_profile = mfa\naws_access_key_id=a\naws_secret_access_key=b\n");
    expect_failure("sso", FZ_UNSUPPORTED, "SSO");
    expect_failure("run", FZ_UNSUPPORTED, "credential_process");
    expect_failure("empty", FZ_NOT_FOUND, "has no keys");
    expect_failure("loop", FZ_INVALID, "more than 8");
    expect_failure("half", FZ_INVALID, "neither source_profile");
    expect_failure("mfa", FZ_UNSUPPORTED, "mfa_serial");
}

static void test_roles(void **state)
{
    file_write(".aws/config", "[profile base]\naws_access_key_id = BASE\naws_secret_access_key = topsecret\n"
                              "[profile mid]\nrole_arn = arn:aws:mid1\nsource_profile = base\nexternal_id = x&y\nrole_session_name = me\n"
                              "[profile top]\nrole_arn = arn:aws:top1\nsource_profile = mid\nregion = eu-x\n"
                              "[profile env]\nrole_arn = arn:aws:env1\ncredential_source = Environment\n");
    set("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:%d", server.port);
    expect("mid", "STS-AssumeRole&Version=2011-0-arn%3Aaws%3A-1", "a&b", "t");
    assert_non_null(strstr(server.last, "ExternalId=x%26y"));
    assert_non_null(strstr(server.last, "RoleSessionName=me"));
    assert_non_null(strcasestr(server.last, "authorization: AWS4-HMAC-SHA256 Credential=BASE/"));
    assert_null(strstr(server.last, "topsecret"));
    expect("top", "STS-AssumeRole&Version=2011-0-arn%3Aaws%3A-3", "a&b", "t");
    assert_non_null(strstr(server.last, "Credential=STS-AssumeRole"));
    assert_non_null(strstr(server.last, "/eu-x/sts/aws4_request"));
    expect_failure("env", FZ_NOT_FOUND, "the environment has no AWS keys");
    set("AWS_ACCESS_KEY_ID", "ENV");
    set("AWS_SECRET_ACCESS_KEY", "es");
    expect("env", "STS-AssumeRole&Version=2011-0-arn%3Aaws%3A-4", "a&b", "t");
    /* by hand, as s3.role-arn */
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", server.port);
    aws_credentials *c = aws_credentials_role(aws_credentials_default(NULL, http, NULL), "arn:aws:s3role", "sess", "r1", url, http, NULL);
    aws_keys k;
    fz_error e = {0};
    assert_int_equal(c->ops->get(c, &mem_of_test, &k, &e), FZ_OK);
    assert_non_null(strstr(server.last, "RoleArn=arn%3Aaws%3As3role&RoleSessionName=sess"));
    assert_true(k.expires_ms > aws_now_ms() + 3500000 && k.expires_ms < aws_now_ms() + 3700000);
    c->ops->expire(c);
    server.fail = 1;
    assert_int_not_equal(c->ops->get(c, &mem_of_test, &k, &e), FZ_OK);
    assert_non_null(strstr(e.message, "403"));
    assert_non_null(strstr(e.message, "not you & not now"));
    assert_non_null(strstr(e.hint, "arn:aws:s3role"));
    aws_credentials_unref(c);
}

static void test_web_identity(void **state)
{
    char path[200];
    snprintf(path, sizeof path, "%s/token", home);
    set("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:%d", server.port);
    set("AWS_WEB_IDENTITY_TOKEN_FILE", "%s", path);
    set("AWS_ROLE_ARN", "arn:aws:web1");
    expect_failure(NULL, FZ_NOT_FOUND, "token's file isn't there");
    file_write("token", "eyJ.a+b\n");
    expect(NULL, "STS-AssumeRoleWithWebIdentity-arn%3Aaws%3A-1", "a&b", "t");
    assert_non_null(strstr(server.last, "WebIdentityToken=eyJ.a%2Bb"));
    assert_null(strcasestr(server.last, "authorization:"));
}

static void test_container(void **state)
{
    set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:%d/container", server.port);
    expect_failure(NULL, FZ_IO, "403");
    set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me-in");
    expect(NULL, "BOX-2", "sec/ret", "tok+tok");
    unsetenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "%s/tok", home);
    expect_failure(NULL, FZ_NOT_FOUND, "authorization token isn't there");
    file_write("tok", "let-me-in\n");
    expect(NULL, "BOX-3", "sec/ret", "tok+tok");
    set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.org/container");
    expect_failure(NULL, FZ_INVALID, "must be https");
    set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1.example.org/container");
    expect_failure(NULL, FZ_INVALID, "must be https");
}

static void test_instance(void **state)
{
    set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:%d/", server.port);
    expect_failure(NULL, FZ_INVALID, "AWS_EC2_METADATA_DISABLED");
    assert_int_equal(server.requests, 0);
    unsetenv("AWS_EC2_METADATA_DISABLED");
    expect(NULL, "IMDS-3", "sec/ret", "tok+tok");
    /* nobody there: quickly known, and remembered */
    set("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1");
    aws_credentials *c = aws_credentials_default(NULL, http, NULL);
    aws_keys k;
    fz_error e = {0};
    int64_t from = aws_now_ms();
    assert_int_equal(c->ops->get(c, &mem_of_test, &k, &e), FZ_INVALID);
    assert_true(aws_now_ms() - from < 3000);
    from = aws_now_ms();
    assert_int_equal(c->ops->get(c, &mem_of_test, &k, &e), FZ_INVALID);
    assert_true(aws_now_ms() - from < 200);
    aws_credentials_unref(c);
}

/* ---- renewal ---- */

static aws_credentials *box(void)
{
    set("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:%d/container", server.port);
    set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let-me-in");
    return aws_credentials_default(NULL, http, NULL);
}

static void test_renewal(void **state)
{
    aws_credentials *c = box();
    aws_keys k;
    fz_error e = {0};
    assert_false(c->ops->cached(c, &mem_of_test, &k));
    for (int i = 0; i < 3; i++)
        assert_int_equal(c->ops->get(c, &mem_of_test, &k, &e), FZ_OK);
    assert_int_equal(server.requests, 1); /* kept */
    assert_true(c->ops->cached(c, &mem_of_test, &k));
    c->ops->expire(c);
    assert_false(c->ops->cached(c, &mem_of_test, &k));
    server.life_s = 200; /* soon over, but good */
    assert_int_equal(c->ops->get(c, &mem_of_test, &k, &e), FZ_OK);
    assert_string_equal(k.access_key_id.p, "BOX-2");
    server.fail = 1; /* renewing fails: the old ones are used, and it isn't tried at once again */
    assert_int_equal(c->ops->get(c, &mem_of_test, &k, &e), FZ_OK);
    assert_string_equal(k.access_key_id.p, "BOX-2");
    assert_int_equal(server.requests, 3);
    assert_int_equal(c->ops->get(c, &mem_of_test, &k, &e), FZ_OK);
    assert_int_equal(server.requests, 3);
    c->ops->expire(c);
    server.life_s = 30; /* the newest there is */
    assert_int_equal(c->ops->get(c, &mem_of_test, &k, &e), FZ_OK);
    assert_string_equal(k.access_key_id.p, "BOX-4");
    assert_false(c->ops->cached(c, &mem_of_test, &k));
    server.life_s = 3600;
    assert_int_equal(c->ops->get(c, &mem_of_test, &k, &e), FZ_OK);
    assert_string_equal(k.access_key_id.p, "BOX-5");
    aws_credentials_unref(c);
}

static void *get_one(void *ctx)
{
    aws_credentials *c = ctx;
    arena a;
    aws_keys k = {0};
    fz_error e = {0};
    arena_init(&a, NULL);
    fz_status st = c->ops->get(c, &a, &k, &e);
    bool good = st == FZ_OK && str_eqz(k.access_key_id, "BOX-1");
    arena_free(&a);
    return good ? NULL : (void *)1;
}

static void test_one_fetches_for_all(void **state)
{
    aws_credentials *c = box();
    pthread_t t[8];
    server.delay_ms = 100;
    for (int i = 0; i < 8; i++)
        pthread_create(&t[i], NULL, get_one, c);
    for (int i = 0; i < 8; i++) {
        void *wrong;
        pthread_join(t[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(server.requests, 1);
    aws_credentials_unref(c);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_times), T(test_profile_files), T(test_fixed), T(test_order), T(test_nothing), T(test_roles), T(test_web_identity),
        T(test_container), T(test_instance), T(test_renewal), T(test_one_fetches_for_all),
    };
    return cmocka_run_group_tests(tests, server_start, server_stop);
}
