/*
 * credentials.h: where AWS credentials come from. A provider gives the ones that are in force now and renews them before they
 * expire. Thread-safe; secrets appear in no message.
 */
#ifndef IO_AWS_CREDENTIALS_H
#define IO_AWS_CREDENTIALS_H

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "io/http.h"

typedef struct aws_keys {
    str access_key_id, secret_access_key, session_token; /* access_key_id empty: anonymous */
    int64_t expires_ms;      /* Unix time; INT64_MAX: never */
} aws_keys;

typedef struct aws_credentials aws_credentials;
struct aws_credentials {
    const struct aws_credentials_ops {
        /* Keys that are good for at least a minute; texts in the arena. Blocks where they have to be fetched: never
         * called on the HTTP event loop, but for keys that are at hand (`cached`: false in *have means they aren't). */
        fz_status (*get)(aws_credentials *c, arena *a, aws_keys *out, fz_error *err);
        bool (*cached)(aws_credentials *c, arena *a, aws_keys *out);
        /* The server says that these have expired: the next get fetches. May be NULL. */
        void (*expire)(aws_credentials *c);
        void (*free)(aws_credentials *c);
    } *ops;
    _Atomic int refs;
    mem *m;
};
aws_credentials *aws_credentials_ref(aws_credentials *c); /* NULL allowed */
void aws_credentials_unref(aws_credentials *c);           /* NULL allowed */

/* Fixed keys; an empty access key id is anonymous. NULL: no memory. */
aws_credentials *aws_credentials_static(const aws_keys *k, mem *m);

/* AWS's own order: environment, shared files with profiles, web identity, container, instance. Nothing is read before the
 * first get. profile (NULL: AWS_PROFILE, "default"). region_out (may be NULL): the region that environment or profile name, or empty. */
aws_credentials *aws_credentials_default(const char *profile, http_client *http, mem *m);
fz_status aws_default_region(const char *profile, arena *a, str *out, fz_error *err);
/* The clock, Unix time. */
int64_t aws_now_ms(void);
/* "2026-11-22T21:30:00Z" (also with a fraction, and +00:00) as Unix time; false: not one. */
bool aws_parse_time(str s, int64_t *out);
/* Keys of a role, assumed by way of `base` (taken over) with STS; session may be NULL. */
aws_credentials *aws_credentials_role(aws_credentials *base, const char *role_arn, const char *session, const char *region,
                                      const char *sts_endpoint, http_client *http, mem *m);

#endif
