/* An operation's answer, as its events told it. What fails aborts. */
#ifndef TOLD_H
#define TOLD_H

#include <pthread.h>

#include "serve/operation.h"

struct told {
    pthread_mutex_t lock;
    pthread_cond_t change;
    struct fg_operation *operation;
    struct fg_operation_result result;
    struct fg_err error;
    bool ended;
};

/* Starts it; told_wait() must follow. */
void told_begin(struct told *told, struct fg_flow *flow, struct fg_operation_request req);
bool told_ended(struct told *told);
/* Waits for the end and gives the operation back; result and error stay. */
void told_wait(struct told *told);

#endif
