/* A sequence as the files of the engine see it. */
#ifndef FG_SEQUENCE_H
#define FG_SEQUENCE_H

#include "engine.h"

struct fg_seq {
    struct fg_engine *engine;
    uint32_t slot, length;
    uint32_t ahead;   /* tokens of steps that are prepared or submitted, and not finished */
    bool running;     /* in a submitted step */
    bool state_ready; /* the slot's state is the one at the last chunk boundary */
    uint32_t *pages;  /* [max_pages] */
    uint32_t n_pages;
};

/* Makes room for `length` tokens. FG_ETOOLONG, FG_EBUSY. */
int fg_seq_reserve(struct fg_seq *s, uint32_t length, struct fg_err *err);
/* Waits for the copies of states that are under way. */
void fg_copiers_finish(struct fg_engine *e);

#endif
