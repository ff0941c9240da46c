#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "told.h"

static void on_operation(void *ctx, struct fg_operation_event *event)
{
    struct told *told = ctx;

    if (event->kind != FG_OPERATION_DONE && event->kind != FG_OPERATION_FAILED)
        return;
    pthread_mutex_lock(&told->lock);
    told->result = event->result;
    told->error = event->error;
    told->ended = true;
    pthread_cond_signal(&told->change);
    pthread_mutex_unlock(&told->lock);
}

void told_begin(struct told *told, struct fg_flow *flow, struct fg_operation_request req)
{
    *told = (struct told){.ended = false};
    pthread_mutex_init(&told->lock, NULL);
    pthread_cond_init(&told->change, NULL);
    assert_int_equal(fg_operation_start(flow, &req, on_operation, told, &told->operation, NULL), 0);
}

bool told_ended(struct told *told)
{
    bool yes;

    pthread_mutex_lock(&told->lock);
    yes = told->ended;
    pthread_mutex_unlock(&told->lock);
    return yes;
}

void told_wait(struct told *told)
{
    pthread_mutex_lock(&told->lock);
    while (!told->ended)
        pthread_cond_wait(&told->change, &told->lock);
    pthread_mutex_unlock(&told->lock);
    fg_operation_release(told->operation);
    pthread_cond_destroy(&told->change);
    pthread_mutex_destroy(&told->lock);
}
