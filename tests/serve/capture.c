#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <unistd.h>

#include "capture.h"

void capture_begin(struct capture *c)
{
    c->old = dup(2);
    assert_int_equal(pipe(c->fds), 0);
    dup2(c->fds[1], 2);
}

void capture_end(struct capture *c, char *text, size_t n)
{
    ssize_t got;

    dup2(c->old, 2);
    close(c->fds[1]);
    got = read(c->fds[0], text, n - 1);
    assert_true(got >= 0);
    text[got] = '\0';
    close(c->fds[0]);
    close(c->old);
}
