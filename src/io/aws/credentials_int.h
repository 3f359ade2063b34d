/* credentials_int.h: the parts of AWS credentials among themselves. */
#ifndef IO_AWS_CREDENTIALS_INT_H
#define IO_AWS_CREDENTIALS_INT_H

#include "io/aws/credentials.h"

/* ---- credentials.c ---- */

/* A provider that fetches: `fetch` fills *out with texts in the arena, `free` (may be NULL) lets ctx go. Takes ctx over, also on failure (NULL: no memory). */
typedef fz_status (*aws_fetch_fn)(void *ctx, arena *a, aws_keys *out, fz_error *err);
aws_credentials *aws_credentials_fetched(aws_fetch_fn fetch, void (*free)(void *ctx), void *ctx, mem *m);

/* ---- profile.c: ~/.aws/config and ~/.aws/credentials ---- */

typedef struct aws_profile {
    bool found;
    str access_key_id, secret_access_key, session_token, region, role_arn, source_profile, credential_source, role_session_name, external_id,
        web_identity_token_file, credential_process, sso, mfa_serial;
} aws_profile;
/* Both files; the credentials file counts before the other. A file that isn't there is no error. */
fz_status aws_profile_read(const char *name, arena *a, aws_profile *out, fz_error *err);
/* The profile that counts where none is named: AWS_PROFILE, AWS_DEFAULT_PROFILE, "default"; *chosen: a variable says so. */
const char *aws_profile_name(bool *chosen);
/* One file's text, for tests: the section's keys are added to *out. */
void aws_profile_parse(str text, bool config_file, const char *name, aws_profile *out);
/* A small file, ended by NUL; *out NULL: there is none. */
fz_status aws_read_file(arena *a, const char *path, char **out, size_t *n, fz_error *err);

/* ---- sts.c ---- */

typedef struct aws_role {
    const char *arn, *session, *external_id, *region, *endpoint; /* NULL: defaults */
} aws_role;
/* AssumeRole, signed with `base`; AssumeRoleWithWebIdentity, with the token in a file. */
fz_status aws_sts_assume(const aws_role *r, const aws_keys *base, http_client *http, arena *a, aws_keys *out, fz_error *err);
fz_status aws_sts_web_identity(const aws_role *r, const char *token_file, http_client *http, arena *a, aws_keys *out, fz_error *err);

/* ---- instance.c ---- */

/* FZ_NOT_FOUND: this isn't such a place. */
fz_status aws_container_keys(http_client *http, arena *a, aws_keys *out, fz_error *err);
fz_status aws_instance_keys(http_client *http, arena *a, aws_keys *out, fz_error *err);

#endif
