#include "log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic int max_level = FG_LOG_INFO;

void fg_log_set_level(enum fg_log_level level)
{
    atomic_store(&max_level, (int)level);
}

void fg_log(enum fg_log_level level, const char *stage, const char *fmt, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    char line[1024];
    va_list ap;

    if ((int)level > atomic_load(&max_level))
        return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    /* A line must stay a line whatever a file name or a driver's message holds. */
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20)
            *c = ' ';
    fprintf(stderr, "%s %s %s\n", names[level], stage, line);
}
