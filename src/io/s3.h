/*
 * s3.h: buckets of S3 and of what speaks its protocol, as a file system: s3://bucket/key (also s3a, s3n).
 *
 * READING. open is one HEAD (a size that the caller knows spares it: io_open_sized); reads are range GETs, coalesced where
 * they lie close, in parallel, checked for length and, where the store has one, ETag (If-Match: a file that
 * changed is FZ_DATA). io_will_read fetches ahead within `read_ahead` bytes.
 *
 * WRITING. Up to one part is a single PUT; more is a multipart upload of parts that are sent while the next is being filled:
 * memory is part_bytes × parts_in_flight. Creating is exclusive where the store has conditional writes (If-None-Match: *); one that
 * ignores it is asked by HEAD first. Names of tables' files carry UUIDs, so that correctness never rests on it. Abort ends the upload.
 * The file appears at finish, whole or not at all; after a lost answer to the last request it is looked for.
 *
 * Keys are used byte for byte; nothing in a location is percent-decoded.
 */
#ifndef IO_S3_H
#define IO_S3_H

#include "io/aws/credentials.h"
#include "io/io.h"

typedef struct s3_options {
    const char *endpoint;        /* "https://host[:port]"; NULL: AWS's of the region */
    const char *region;          /* NULL: as `profile` says, else what the bucket's redirects say, at first us-east-1 */
    bool default_region;         /* region NULL: the environment and the profile are asked when it is first needed */
    const char *profile;         /* NULL: AWS's own choice */
    aws_credentials *keys;       /* referenced; NULL: anonymous */
    bool virtual_host;           /* https://bucket.host/key instead of https://host/bucket/key */
    bool no_checksum;            /* no x-amz-checksum-crc32 on writes */
    const char *sse, *sse_kms_key_id;
    uint32_t part_bytes;         /* 0: 16 MB */
    uint32_t parts_in_flight;    /* 0: 4 */
    uint64_t read_ahead;         /* bytes per file; 0: 64 MB */
    int64_t request_timeout_ms;  /* 0: none but the client's */
} s3_options;

/* Copies o; references http and keys. Nothing is asked of the server. */
fz_status s3_fs_new(const s3_options *o, http_client *http, mem *m, io_fs **out, fz_error *err);
/* Another reference, given back by close like the first. */
io_fs *s3_fs_again(io_fs *fs);
/* http:// and https:// for reading: sources. */
fz_status http_fs_new(http_client *http, mem *m, io_fs **out, fz_error *err);

#endif
