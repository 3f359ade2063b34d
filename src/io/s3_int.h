/* s3_int.h: the parts of S3 among themselves: s3.c (the file system, one call and what its answer means), s3_read.c, s3_write.c, s3_list.c
 * (listing, removing many), xml.c. */
#ifndef IO_S3_INT_H
#define IO_S3_INT_H

#include "io/s3.h"
#include "io/xml.h"

#include <pthread.h>

typedef struct s3_region {   /* learned from a server */
    struct s3_region *next;
    const char *bucket, *region;
} s3_region;

/* A file system of S3: options, and what was learned about the servers meanwhile (under the lock). Files and writers hold references. */
typedef struct s3_fs {
    io_fs base;
    _Atomic int refs;
    mem *m;
    http_client *http;
    aws_credentials *keys;   /* NULL: anonymous */
    s3_options o;            /* texts in `texts` */
    pthread_mutex_t lock;
    arena texts;
    s3_region *regions;
    _Atomic int64_t skew_ms; /* server's clock minus ours */
    _Atomic bool no_conditional; /* the store ignores If-None-Match, or refuses it */
    _Atomic bool probed;         /* that was looked for */
    _Atomic bool no_checksum;
} s3_fs;

s3_fs *s3_fs_ref(s3_fs *fs);
void s3_fs_unref(s3_fs *fs);

/* "s3://bucket/key", taken apart: slices of the location. */
fz_status s3_split(const char *location, str *bucket, str *key, fz_error *err);

/* One request to a bucket. r is first: callbacks get at the call through it. */
typedef struct s3_call {
    http_request r;
    s3_fs *fs;
    const char *location;    /* for messages; outlives the call */
    str bucket, key;         /* outlive the call */
    const char *query;       /* escaped, without '?'; NULL: none; outlives the call */
    sbuf url;
    bool unsigned_payload;   /* its body isn't hashed for the signature (it has a checksum) */
    bool key_expired;        /* keys were renewed once */
    char text[256];          /* for header values */
    size_t text_n;
} s3_call;

/* retry stays true: every call here may be sent twice. */
fz_status s3_call_init(s3_call *c, s3_fs *fs, const char *method, const char *location, str bucket, str key, fz_error *err);
/* The URL from bucket, key and query; before sending. */
fz_status s3_call_url(s3_call *c, fz_error *err);
/* A header; the value is copied (256 bytes of them per call) or, where it is longer, must outlive it. */
void s3_call_header(s3_call *c, const char *name, str value);
void s3_call_sse(s3_call *c);
void s3_call_free(s3_call *c);
/* Sends and waits; an answer that isn't 2xx is an error. */
fz_status s3_call_run(s3_call *c, fz_error *err);
/* The same, with the statuses of `pass` (0-terminated) as success too. */
fz_status s3_call_run_or(s3_call *c, const int *pass, fz_error *err);
/* What an answer means as an error, by the server's XML. */
fz_status s3_answer_error(s3_call *c, fz_error *err);
/* The text of an element directly below the root of an answer, in `out` (cut); false: there is none. */
bool s3_answer_text(const s3_call *c, const char *name, char *out, size_t n);

fz_status s3_head(s3_fs *fs, const char *location, str bucket, str key, io_stat_info *info, char *etag, size_t etag_n, fz_error *err);

/* CRC-32 as S3 writes it: base64 of its four bytes, big-endian. */
void s3_crc_text(uint32_t crc, char out[9]);
uint32_t s3_crc(const void *p, size_t n);
void s3_base64(const unsigned char *p, size_t n, char *out); /* 4 * ((n + 2) / 3) + 1 bytes */

/* s3_read.c */
fz_status s3_file_new(s3_fs *fs, const char *location, uint64_t size, const char *etag, mem *m, io_file **out, fz_error *err);
fz_status s3_read_all(const io_fs *fs, const char *location, mem *m, size_t max_bytes, buf **out, fz_error *err);
/* s3_write.c */
fz_status s3_create(const io_fs *fs, const char *location, mem *m, io_writer **out, fz_error *err);
/* s3_list.c */
typedef fz_status (*s3_list_fn)(void *ctx, const char *path, const io_stat_info *info, fz_error *err);
fz_status s3_list(const io_fs *fs, const char *location, s3_list_fn fn, void *ctx, fz_error *err);
fz_status s3_remove_many(const io_fs *fs, uint32_t n, const char *const *paths, fz_error *err);
/* Whether anything lies below the key, with '/' as its end. */
fz_status s3_any_below(s3_fs *fs, const char *location, str bucket, str key, bool *any, fz_error *err);

#endif
