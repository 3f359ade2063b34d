/*
 * log.h: notices for the user and debug lines, through a callback of the runtime; the library
 * itself prints nothing.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

typedef enum log_level { LOG_ERROR, LOG_NOTICE, LOG_DEBUG } log_level;

/* A sink for messages; fn may be NULL (nothing is formatted then). Must be thread-safe. */
typedef struct logger {
    void (*fn)(void *ctx, log_level level, const char *message);
    void *ctx;
    log_level max;
} logger;

void log_msg(const logger *l, log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
