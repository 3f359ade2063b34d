/*
 * rest_int.h: the parts of the REST catalog.
 *
 *   rest_client   who is asked and how: properties, tokens, what /v1/config said; counted, since credentials of tables renew
 *                 themselves through it after the catalog was closed (client.c, auth.c, keep.c)
 *   rest_call     one request and its answer (client.c)
 *   rest_creds    a table's files, reached with what the server vends (vended.c)
 *   rest_catalog  the ib_catalog: the client and the tables that were loaded (catalog.c, names.c, tables.c, commit.c)
 *
 * Locks: `config_lock` is held while the configuration is asked for and `lock` while a token is, so that each is fetched once;
 * `tables_lock` of the catalog is never held across a request.
 */
#ifndef CATALOG_REST_INT_H
#define CATALOG_REST_INT_H

#include "catalog/rest/rest_catalog.h"
#include "codec/json.h"

#include <pthread.h>

/* What a server may be able to do, by the names its /v1/config uses. */
typedef enum rest_endpoint {
    REST_LIST_NAMESPACES, REST_CREATE_NAMESPACE, REST_LOAD_NAMESPACE, REST_NAMESPACE_EXISTS, REST_DROP_NAMESPACE,
    REST_LIST_TABLES, REST_CREATE_TABLE, REST_LOAD_TABLE, REST_COMMIT_TABLE, REST_DROP_TABLE, REST_RENAME_TABLE,
    REST_REGISTER_TABLE, REST_LOAD_CREDENTIALS, REST_COMMIT_TRANSACTION, REST_REPORT_METRICS, REST_ENDPOINTS,
} rest_endpoint;

typedef enum rest_auth {
    REST_AUTH_NONE,
    REST_AUTH_BASIC,
    REST_AUTH_BEARER,        /* a token that was given, or by client credentials */
} rest_auth;

typedef struct rest_client {
    _Atomic int refs;
    mem *m;
    arena a;                 /* what was given, and what the server's configuration made of it */
    char *name;
    storage shared;          /* referenced */
    http_client *http;       /* shared.http, or one with certificates of its own; referenced */
    bool keep;               /* tokens and configuration outlive the process */
    int64_t staleness_ms;

    pthread_mutex_t config_lock; /* taken before `lock` */
    bool configured;
    uint32_t n_given, n_props;
    const io_prop *given, *props; /* props: defaults, given, overrides; given until configured */
    bool storage_configured; /* the server's configuration says something about storage */
    bool idempotent;         /* it takes Idempotency-Key */
    uint32_t endpoints;      /* 1 << rest_endpoint */
    str base;                /* uri without a slash at its end */
    str prefix, separator;   /* separator: between levels of a namespace, decoded */
    char *config_text;       /* the answer of /v1/config, for keep.c */
    int64_t config_ms;       /* Unix time of it */

    pthread_mutex_t lock;    /* of what follows */
    rest_auth auth;
    aws_credentials *signer; /* SigV4: its keys; NULL: requests aren't signed */
    str signing_region, signing_name;
    char *token;             /* or NULL; Bearer's or Basic's */
    int64_t token_expires_ms; /* Unix time; INT64_MAX: not known */
    int64_t token_life_ms;   /* from when it was fetched */
} rest_client;

fz_status rest_client_new(const rest_options *o, mem *m, rest_client **out, fz_error *err);
rest_client *rest_client_ref(rest_client *c);
void rest_client_unref(rest_client *c); /* NULL allowed */
/* A property as it is in force, or empty. After configuring they change no more. */
str rest_prop(const rest_client *c, const char *key);
fz_status rest_prop_bool(const rest_client *c, const char *key, bool def, bool *out, fz_error *err);
fz_status rest_prop_i64(const rest_client *c, const char *key, int64_t def, int64_t *out, fz_error *err);
/* Asks /v1/config where nobody has yet. */
fz_status rest_configure(rest_client *c, fz_error *err);
bool rest_can(const rest_client *c, rest_endpoint e); /* after configuring */

/* ---- auth.c; each takes the lock ---- */

/* What the properties say about it. FZ_UNSUPPORTED names a kind that isn't known. */
fz_status rest_auth_init(rest_client *c, fz_error *err);
/* The header's value as of now in the arena, empty for none; fetches a token where one is needed. */
fz_status rest_auth_header(rest_client *c, arena *a, str *out, fz_error *err);
/* The server refused this header: true if there is another one to try. */
bool rest_auth_renew(rest_client *c, str refused, fz_error *err);

/* ---- keep.c: between processes ---- */

/* Takes over a token and configuration that were kept and are still good; *config (may be NULL) in the arena. */
void rest_keep_load(rest_client *c, arena *a, str *config); /* before anybody else has the client */
void rest_keep_save(rest_client *c); /* under the lock */

/* ---- one request ---- */

typedef struct rest_call {
    http_request r;
    rest_client *c;
    arena a;
    sbuf url, body;
    str sent_auth;           /* the header that was sent */
    bool once;               /* never sent twice unless the server takes Idempotency-Key */
    char type[96];           /* the kind of error that the server names, as "NoSuchTableException" */
} rest_call;

/* Configures the client where it isn't yet. The URL is then that of the prefix, to be extended: "https://host/v1/prefix/". Whatever it
 * returns, rest_call_end() frees. */
fz_status rest_call_begin(rest_client *c, rest_call *k, const char *method, fz_error *err);
void rest_call_end(rest_call *k);
void rest_path(rest_call *k, const char *text);           /* as it is */
void rest_path_escaped(rest_call *k, str s);
void rest_path_namespace(rest_call *k, str ns);           /* the levels */
void rest_path_table(rest_call *k, ib_ident id);          /* "namespaces/…/tables/…" */
/* A parameter behind '?' or '&'. */
void rest_query(rest_call *k, const char *name, str value);
void rest_header(rest_call *k, const char *name, str value); /* not copied */
/* FZ_OK for every answer; k->r.code says which. A token that was refused is renewed once. */
fz_status rest_send(rest_call *k, fz_error *err);
static inline bool rest_ok(const rest_call *k) { return k->r.code >= 200 && k->r.code < 300; }
/* What another answer means, in the server's words; `k->type` is set. */
fz_status rest_failed(rest_call *k, fz_error *err);
/* The answer's body as JSON; texts point into it until rest_call_end(). */
fz_status rest_json(rest_call *k, json_doc *d, fz_error *err);
/* A member that is a string, in the arena; missing or null: empty. */
fz_status rest_json_text(const json_doc *d, const json_node *object, const char *name, arena *a, str *out, fz_error *err);
/* A member that is an object of strings; missing or null: none. */
fz_status rest_json_props(const json_doc *d, const json_node *object, const char *name, arena *a, uint32_t *n, io_prop **out, fz_error *err);

/* ---- vended.c ---- */

typedef struct rest_creds rest_creds;
/* What an answer says about a table's files: its members "config" and "storage-credentials". `before` (may be NULL) is what an earlier one
 * said; where only keys differ they are put into it and *out is another reference to it. *out NULL: nothing, the files are the catalog's. */
fz_status rest_creds_read(rest_client *c, ib_ident id, const json_doc *d, const json_node *answer, file_io *parent, rest_creds *before,
                          rest_creds **out, fz_error *err);
rest_creds *rest_creds_ref(rest_creds *x); /* NULL allowed */
void rest_creds_unref(rest_creds *x);      /* NULL allowed */
file_io *rest_creds_io(const rest_creds *x);

/* ---- the catalog ---- */

typedef struct rest_entry {
    ib_table *t;             /* referenced; NULL: free */
    rest_creds *creds;
    char *etag;              /* or NULL */
    uint64_t body;           /* a hash of the answer that described it; 0: of a commit's */
    int64_t loaded_ms;       /* monotonic */
    bool trusted;            /* the next load by `by` takes it for the newest: see queue_lock */
    pthread_t by;
    uint64_t used;
} rest_entry;

#define REST_TABLES 128

typedef struct rest_catalog {
    ib_catalog base;
    rest_client *c;
    pthread_mutex_t tables_lock;
    rest_entry tables[REST_TABLES];
    uint64_t uses;
    struct { uint64_t hash; int64_t until_ms; } spaces[16]; /* namespaces that were there a moment ago */
    uint32_t next_space;
    file_io *files;          /* how tables' files are reached that say nothing else: base.io, or with what the server's configuration adds */
    bool files_made;
} rest_catalog;

static inline rest_catalog *rest_of(ib_catalog *c) { return (rest_catalog *)c; }

/* catalog.c. A copy of what is known of a table, with references. */
typedef struct rest_known { ib_table *t; rest_creds *creds; char *etag; uint64_t body; int64_t age_ms; bool trusted; } rest_known;
void rest_recall(rest_catalog *c, ib_ident id, rest_known *out);
void rest_known_free(rest_catalog *c, rest_known *k);
/* References t and creds, copies etag. */
void rest_remember(rest_catalog *c, ib_table *t, rest_creds *creds, str etag, uint64_t body);
void rest_touch(rest_catalog *c, ib_table *t); /* it is still the newest */
void rest_doubt(rest_catalog *c, ib_ident id);       /* it may not be: the next load asks, whatever staleness is allowed */
void rest_forget(rest_catalog *c, ib_ident id);
/* A namespace that was seen; known for some seconds. */
void rest_space_seen(rest_catalog *c, str ns, bool there);
bool rest_space_known(rest_catalog *c, str ns);
/* Files of tables that say nothing else; not referenced. */
fz_status rest_files(rest_catalog *c, file_io **out, fz_error *err);

/* names.c */
fz_status rest_list_namespaces(ib_catalog *b, str parent, arena *a, uint32_t *n, str **out, fz_error *err);
fz_status rest_namespace_exists(ib_catalog *b, str ns, bool *out, fz_error *err);
fz_status rest_create_namespace(ib_catalog *b, str ns, const ib_props *props, fz_error *err);
fz_status rest_drop_namespace(ib_catalog *b, str ns, fz_error *err);
fz_status rest_namespace_props(ib_catalog *b, str ns, arena *a, ib_props *out, fz_error *err);
fz_status rest_change_namespace_props(ib_catalog *b, str ns, const ib_props_change *change, fz_error *err);
fz_status rest_list_tables(ib_catalog *b, str ns, arena *a, uint32_t *n, ib_ident **out, fz_error *err);
/* Other than lower-case letters, digits and '_': some servers take no such names, and answer 400 where they are asked for one. */
bool rest_odd_name(str s);
void rest_levels_to_json(str ns, json_writer *w);
fz_status rest_no_namespace(rest_call *k, str ns, fz_error *err);

/* tables.c */
fz_status rest_load_table(ib_catalog *b, ib_ident id, ib_table *have, ib_table **out, fz_error *err);
fz_status rest_default_location(ib_catalog *b, ib_ident id, arena *a, str *out, fz_error *err);
fz_status rest_begin_table(ib_catalog *b, ib_ident id, const ib_metadata *md, bool placed, ib_metadata **out, fz_error *err);
fz_status rest_register_table(ib_catalog *b, ib_ident id, const char *metadata_location, ib_table **out, fz_error *err);
fz_status rest_drop_table(ib_catalog *b, ib_ident id, fz_error *err);
fz_status rest_rename_table(ib_catalog *b, ib_ident from, ib_ident to, fz_error *err);
/* A LoadTableResult, or a CommitTableResponse, which says nothing about how files are reached: by io, as before. The table it describes,
 * remembered; where it is the one that was known (or `have`, may be NULL), another reference to that. */
fz_status rest_take_table(rest_catalog *c, ib_ident id, rest_call *k, const rest_known *known, ib_table *have, bool of_commit, file_io *io,
                          ib_table **out, fz_error *err);
fz_status rest_no_table(rest_call *k, ib_ident id, fz_error *err);

/* commit.c */
fz_status rest_create_table(ib_catalog *b, ib_ident id, const ib_metadata *md, ib_table **out, fz_error *err);
fz_status rest_commit(ib_catalog *b, uint32_t n, const ib_commit *commits, ib_table *const *base, ib_table **out, fz_error *err);

/* report.c. Does nothing unless it was asked for; s may be NULL. */
void rest_report_commit(rest_catalog *c, ib_ident id, const ib_snapshot *s, int attempts, int64_t ms);

int64_t rest_clock_ms(void); /* monotonic */
int64_t rest_now_ms(void);   /* Unix time */

#endif
