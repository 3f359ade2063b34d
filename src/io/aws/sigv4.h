/*
 * sigv4.h: AWS Signature Version 4 on an HTTP request (S3 and other services; REST catalogs with rest.sigv4-enabled).
 */
#ifndef IO_AWS_SIGV4_H
#define IO_AWS_SIGV4_H

#include "io/aws/credentials.h"

typedef struct sigv4_scope {
    str region, service;       /* "s3", "execute-api", "glue" */
    bool escape_path_twice;    /* every service but S3 */
    int64_t now_ms;            /* the clock, with the skew that was learned from a server's Date */
} sigv4_scope;

/* Adds x-amz-date, x-amz-content-sha256, x-amz-security-token and Authorization to r's headers, which are all signed but
 * those that proxies change. payload_sha256: hex, "UNSIGNED-PAYLOAD", or empty: of r->body. Memory from a. Anonymous keys add nothing. */
fz_status sigv4_sign(http_request *r, const aws_keys *k, const sigv4_scope *s, str payload_sha256, arena *a, fz_error *err);
/* The same as query parameters, for a URL that works for `seconds` without headers. */
fz_status sigv4_presign(const char *method, const char *url, const aws_keys *k, const sigv4_scope *s, int64_t seconds, arena *a, str *out,
                        fz_error *err);
/* Hex digests, through libcrypto. */
fz_status sha256_hex(const void *p, size_t n, char out[65], fz_error *err);

#endif
