/* The device that FG_TEST_DEVICE selects, or the default one, for the tests of daemon/gpu. */
#ifndef OPEN_H
#define OPEN_H

#include "gpu/command.h"

/* cmocka's group setup and teardown: *state is the struct fg_device. */
int open_device(void **state);
int close_device(void **state);
/* Like fg_device_open() with the same choice of device; failing fails the test. */
struct fg_device *device_with_cache(const char *dir);
/* Fails the test unless rc is code, and err holds it and a line with `part` in it. */
void refused(int rc, int code, const struct fg_err *err, const char *part);

#endif
