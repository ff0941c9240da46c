/* An inbox: jobs handed from any thread to one, in order. */
#ifndef FG_INBOX_H
#define FG_INBOX_H

#include <pthread.h>
#include <stdbool.h>

struct fg_job;

struct fg_inbox {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct fg_job *first, *last; /* linked by job->next */
    bool closed;
    bool woken;
};

void fg_inbox_init(struct fg_inbox *b);
void fg_inbox_finish(struct fg_inbox *b);
/* Never blocks for long; any thread. */
void fg_inbox_post(struct fg_inbox *b, struct fg_job *job);
/* Has the owner return from waiting once, with or without jobs; any thread. */
void fg_inbox_wake(struct fg_inbox *b);
/* No more posts will come; any thread. */
void fg_inbox_close(struct fg_inbox *b);
/* All that is there, oldest first, linked by job->next. With `wait`, blocks until there is
 * something or the box is closed or woken; NULL then means empty. The owner's thread. */
struct fg_job *fg_inbox_take(struct fg_inbox *b, bool wait);
bool fg_inbox_closed(struct fg_inbox *b);

#endif
