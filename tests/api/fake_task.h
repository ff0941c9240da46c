/* The tasks behind the API's tests; see fake_task.c for what ids mean. */
#ifndef FAKE_TASK_H
#define FAKE_TASK_H

#include <stdbool.h>
#include <stdint.h>

#include "serve/operation.h"

/* An export's pieces are of 'a's, 'b's and so on; that of "breaks" fails after them. */
enum { FAKE_PIECES = 12, FAKE_PIECE = 300000 };

/* What the last task was asked for. */
struct fake_asked {
    enum fg_task_kind kind;
    bool before, all, chat;
    uint32_t limit;
    size_t n_bytes; /* of the pack, which begins with `first` */
    char first;
};
struct fake_asked fake_task_asked(void);
unsigned fake_task_started(void); /* so far */
void fake_task_wait_started(unsigned n);
void fake_task_wait_none(void); /* until each has ended and was released */

#endif
