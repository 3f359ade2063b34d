/* log.c: see log.h. A message longer than the buffer is cut. */
#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#define LOG_MESSAGE_MAX 2048

void log_msg(const logger *l, log_level level, const char *fmt, ...)
{
    if (!l || !l->fn || level > l->max)
        return;
    char message[LOG_MESSAGE_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    l->fn(l->ctx, level, message);
}
