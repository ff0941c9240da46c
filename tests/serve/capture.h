/* What is written to descriptor 2 between two calls, up to what a pipe holds. What fails aborts. */
#ifndef CAPTURE_H
#define CAPTURE_H

#include <stddef.h>

struct capture {
    int fds[2], old;
};

void capture_begin(struct capture *c);
/* Into text[n], which is cut at its end. */
void capture_end(struct capture *c, char *text, size_t n);

#endif
