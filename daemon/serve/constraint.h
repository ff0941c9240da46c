/* Answers of a given form: which tokens may come next is found on a thread of its own, while the
 * device computes the logits that the next one is chosen from.
 *
 * A job that needs a mask which is not there yet is put off; other jobs go on. Forms that were used
 * are kept, with what was found out of them, for later requests of the same tenant. */
#ifndef FG_SERVE_CONSTRAINT_H
#define FG_SERVE_CONSTRAINT_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "job.h"
#include "text/grammar/automaton.h"

struct fg_held_form;
struct fg_vocabulary;

/* Of a job, which it belongs to; zero-initialized: none. */
struct fg_constraint {
    struct fg_link link; /* in the thread's queue */
    struct fg_job *job;
    struct fg_held_form *form; /* NULL: answers are free */
    uint32_t place;            /* in its automaton; the thread's */
    int32_t token;             /* to be taken; -1: none */
    _Atomic bool ready;        /* what follows may be read, until a token is given */
    const struct fg_mask *mask;
    struct fg_err error; /* code 0: there is a mask */
};

/* The flow's. */
struct fg_constraints {
    struct fg_queue queue; /* of constraints */
    pthread_t thread;
    bool runs;
    struct fg_queue *wake; /* when a mask is there */
    const struct fg_vocabulary *vocabulary;
    struct fg_token_trie *trie; /* of it */
    pthread_mutex_t lock;       /* guards the list */
    struct fg_held_form *held;  /* last used first */
};

/* Starts the thread; the vocabulary and `wake` outlive it. FG_ENOMEM. On failure and otherwise it
 * ends with fg_constraints_finish(), once no job is left. */
int fg_constraints_init(struct fg_constraints *c, const struct fg_vocabulary *v,
                        struct fg_queue *wake, struct fg_err *err);
void fg_constraints_finish(struct fg_constraints *c);

/* Lets go the forms that a tenant used. Any thread. */
void fg_constraints_forget(struct fg_constraints *c, const struct fg_tenant *tenant);

/* Compiles the form of a job's request, or finds it, and asks for the first mask; does nothing
 * where there is none. Where the answer to a chat starts is known. A text thread's. FG_EINVAL (what
 * is wrong with it), FG_ENOMEM. */
int fg_constraint_begin(struct fg_constraints *c, struct fg_job *job, struct fg_err *err);
/* Is a mask, or an error, there? */
static inline bool fg_constraint_ready(const struct fg_constraint *c)
{
    return atomic_load(&c->ready);
}
/* The token was chosen: asks for the mask of what comes behind it. */
void fg_constraint_take(struct fg_constraints *c, struct fg_job *job, int32_t token);
void fg_constraint_finish(struct fg_constraint *c);

#endif
