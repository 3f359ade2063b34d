/*
 * error.h: the status codes and the error structure that every frazil function shares.
 *
 * A function that can fail returns an fz_status and takes a nullable fz_error as its last
 * argument. On failure it fills that structure; setting an error never allocates. On success
 * the structure is left as it was.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FRAZIL_ERROR_H
#define FRAZIL_ERROR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum fz_status {
    FZ_OK = 0,
    FZ_INVALID,     /* an argument, option or statement that can't be used as it is */
    FZ_SYNTAX,      /* SQL text that doesn't parse */
    FZ_DATA,        /* bytes of a file or stream that aren't what their format says */
    FZ_VALUE,       /* a value that can't be computed: overflow, bad cast, division by zero */
    FZ_NOT_FOUND,   /* a file, table, column, … that doesn't exist */
    FZ_EXISTS,      /* something that exists already */
    FZ_UNSUPPORTED, /* valid, but not supported; the message names the feature */
    FZ_IO,          /* the operating system or a server reported a failure */
    FZ_NOMEM,       /* the allocator returned NULL */
    FZ_LIMIT,       /* a limit that the user can set was reached */
    FZ_CONFLICT,    /* a commit's requirements no longer hold */
    FZ_UNKNOWN,     /* a commit whose outcome isn't known */
    FZ_BUSY,        /* a lock wasn't had within its time limit */
    FZ_CANCELLED,   /* the caller asked to stop */
    FZ_INTERNAL,    /* a defect in frazil */
} fz_status;

/* A failure, described. All strings end in NUL and are UTF-8. */
typedef struct fz_error {
    fz_status status;
    char sqlstate[6];   /* five characters of SQL's SQLSTATE, "" where none fits */
    char message[1024]; /* what went wrong, in one sentence, without a final period */
    char hint[512];     /* what to do about it, or "" */
    char where[512];    /* the file, URL or table it is about, or "" */
    int64_t offset;     /* byte offset in `where`, or -1 */
    int64_t line;       /* line in `where` or in the statement, from 1, or -1 */
    int64_t column;     /* column in that line, from 1, or -1 */
} fz_error;

#ifdef __cplusplus
}
#endif
#endif
