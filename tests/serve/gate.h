/* Holds the fake device in its steps, or the store's reader, for tests of what goes on meanwhile.
 */
#ifndef GATE_H
#define GATE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>

#include "cache/cache.h"
#include "serve/job.h"

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t change;
    uint64_t allowed, reached; /* steps, from 1 */
    struct fg_job *cancel;     /* canceled amid step cancel_at; or NULL */
    uint64_t cancel_at;
};

/* No step is allowed. */
void gate_init(struct gate *g);
void gate_finish(struct gate *g);
/* The fake engine's on_step, with the gate for its context: returns once the step is allowed. */
void gate_hold(void *gate, uint64_t step);
/* Lets all steps up to this one go on. Any thread. */
void gate_allow(struct gate *g, uint64_t step);
/* Returns when the device is in that step or behind it. */
void gate_wait(struct gate *g, uint64_t step);
/* The step that the device is in, or the last one. */
uint64_t gate_reached(struct gate *g);

struct reader_hold {
    struct fg_cache_call call;
    sem_t *stands, go;
};

/* Has the store's reader stand still once it has done what it was given before; *stands is posted
 * then. */
void reader_hold(struct reader_hold *h, struct fg_cache *cache, sem_t *stands);
void reader_let_go(struct reader_hold *h);

#endif
