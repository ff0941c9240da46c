#include "log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

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

void fg_log_bar(const char *what, double share)
{
    static const char full[] = "##############################";
    int width = (int)sizeof full - 1, n = (int)(share * width + 0.5);

    if (!isatty(STDERR_FILENO) || n < 0 || n > width)
        return;
    fprintf(stderr, "\r%s [%-*.*s] %3.0f%%%s", what, width, n, full, 100 * share,
            share >= 1 ? "\n" : "");
}
