/* Job events on their way from the flow's threads to the loop. */
#ifndef FG_API_MAILBOX_H
#define FG_API_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/job.h"

/* A copy of one event; what it points to lies in the same allocation. */
struct fg_letter {
    struct fg_letter *next;
    void *to;
    struct fg_job_event event;
};

struct fg_mailbox {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct fg_letter *first, **last;
    int wake_fd; /* readable while letters wait */
};

/* FG_EIO, FG_ENOMEM. */
int fg_mailbox_init(struct fg_mailbox *m, struct fg_err *err);
void fg_mailbox_finish(struct fg_mailbox *m); /* it must be empty */

/* A copy of an event for fg_mailbox_post; its receiver's, to free(). NULL: out of memory. Any
 * thread. */
struct fg_letter *fg_letter_new(void *to, const struct fg_job_event *event);

/* Hands a letter over. Any thread; never waits for the receiver. */
void fg_mailbox_post(struct fg_mailbox *m, struct fg_letter *letter);
/* All letters that wait, oldest first, linked by `next`; `wait`: block until there is one. */
struct fg_letter *fg_mailbox_take(struct fg_mailbox *m, bool wait);

#endif
