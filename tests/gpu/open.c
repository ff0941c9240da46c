#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "open.h"

#include <stdlib.h>
#include <string.h>

struct fg_device *device_with_cache(const char *dir)
{
    struct fg_device *d;
    struct fg_err err;

    if (fg_device_open(getenv("FG_TEST_DEVICE"), dir, &d, &err))
        fail_msg("%s", err.text);
    return d;
}

int open_device(void **state)
{
    *state = device_with_cache(NULL);
    return 0;
}

int close_device(void **state)
{
    fg_device_close(*state);
    return 0;
}

void refused(int rc, int code, const struct fg_err *err, const char *part)
{
    assert_int_equal(rc, code);
    assert_int_equal(err->code, code);
    if (!strstr(err->text, part))
        fail_msg("\"%s\" does not name \"%s\"", err->text, part);
}
