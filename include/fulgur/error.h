/* Error codes of every part of fulgur, and the caller's error buffer.
 *
 * Functions return 0 (or a count) on success and a negative code on failure. Where a function takes
 * a `struct fg_err *`, it may be NULL; otherwise, on failure, it holds one line that names the
 * input, what was wrong and what would be right. A cache miss is not an error. */
#ifndef FULGUR_ERROR_H
#define FULGUR_ERROR_H

#include <stdarg.h>
#include <stdio.h>

#include "export.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    FG_OK = 0,
    FG_ENOMEM = -1,       /* host memory */
    FG_EINVAL = -2,       /* an argument or a field of a request */
    FG_EIO = -3,          /* reading or writing a file or a socket */
    FG_EFORMAT = -4,      /* a malformed file or message */
    FG_EUNSUPPORTED = -5, /* well-formed, but not something fulgur can do */
    FG_ENOTFOUND = -6,    /* no such key, file, model or device */
    FG_EBUSY = -7,        /* in use, or no free slot */
    FG_EFULL = -8,        /* no space left on the disk or in a budget */
    FG_EDEVICE = -9,      /* a Vulkan call failed */
    FG_EDEVICELOST = -10, /* VK_ERROR_DEVICE_LOST */
    FG_ECANCELED = -11,   /* stopped at the caller's wish */
    FG_ETOOLONG = -12,    /* more tokens than the context holds */
    FG_ESERVER = -13,     /* the daemon answered with an error object */
    FG_ECORRUPT = -14,    /* a checksum or an invariant of stored data does not hold */
    FG_EACCESS = -15,     /* permission */
};

/* One line for a code. Never NULL; static storage; any thread. */
FG_API const char *fg_strerror(int code);

/* The caller's buffer for the cause of a failure. */
struct fg_err {
    int code;
    char text[512];
};

/* Fills `err` (may be NULL) and returns `code`, so that `return fg_fail(err, FG_EINVAL, ...)` reads
 * as one statement. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4), unused))
#endif
static inline int
fg_fail(struct fg_err *err, int code, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        err->code = code;
        va_start(ap, fmt);
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
    }
    return code;
}

#ifdef __cplusplus
}
#endif
#endif
