/* The operations behind the API's tests; see fake_operation.c for what ids mean. */
#ifndef FAKE_OPERATION_H
#define FAKE_OPERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "serve/backend.h"

/* An export's pieces are of 'a's, 'b's and so on; that of "breaks" fails after them. */
enum { FAKE_PIECES = 12, FAKE_PIECE = 300000 };

/* What the last operation was asked for. */
struct fake_asked {
    enum fg_operation_kind kind;
    bool before, all, chat, unsigned_too, runs_daemon;
    uint32_t limit;
    size_t n_bytes; /* of the pack, which begins with `first` */
    char first;
};
struct fake_asked fake_operation_asked(void);
unsigned fake_operation_started(void); /* so far */
void fake_operation_wait_started(unsigned n);
void fake_operation_wait_none(void); /* until each has ended and was released */

/* Their functions in the table of a backend. */
void fake_operation_table(struct fg_backend *out);

#endif
