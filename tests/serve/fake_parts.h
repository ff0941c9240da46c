/* What the fake engine's files share. */
#ifndef FAKE_PARTS_H
#define FAKE_PARTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "fake_engine.h"
#include "gpu/device.h"
#include "model/engine.h"

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s: broken contract: %s\n", __func__, #cond), abort();                \
        }                                                                                          \
    } while (0)

struct fg_device {
    struct fg_device_info info;
};

struct page {
    uint64_t rows[FG_BLOCK_TOKENS];
    uint64_t index; /* which chunk of a sequence it is */
    uint64_t marker;
    uint32_t refs;
    bool full;
};

struct state {
    uint64_t s;
    uint64_t at; /* tokens before it */
    uint64_t marker;
};

struct fg_seq {
    struct fg_engine *e;
    uint32_t n;
    uint32_t ahead;    /* tokens of steps that are prepared or submitted */
    bool running;      /* in a submitted step */
    uint32_t in_steps; /* prepared or submitted */
    uint32_t *pages;
    uint32_t n_pages;
    struct state s;                 /* at the start of the current chunk */
    uint64_t rows[FG_BLOCK_TOKENS]; /* of the current chunk */
    bool lacks_state;
};

/* Two at most, as in the engine. */
struct fg_step {
    struct fg_engine *e;
    enum { FREE, PREPARED, SUBMITTED, FAILED } phase;
    struct fg_step_span spans[64];
    int32_t *tokens[64];
    uint32_t begins[64], n;
    uint64_t number; /* of those submitted, from 1 */
    bool ahead;      /* another one ran when it was prepared */
    struct fg_ticket *ticket;
};

struct fg_engine {
    struct fg_engine_info info;
    struct fg_hparams hp;
    uint32_t n_choices;
    struct page *pages;
    uint32_t free_pages;
    struct state *slots;
    uint32_t n_live;
    bool lost;
    pthread_t thread;
    bool has_thread;
    struct fg_step steps[2];
    struct fg_step *submitted;
    /* The device's thread, which runs steps. */
    pthread_t device_thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct fg_step *given; /* what it shall run, or runs; under the lock */
    bool closing;
};

struct fake_counters {
    _Atomic uint64_t steps, tokens, engines, shared_steps, page_reads, state_reads, ahead,
        lost_seqs;
};

extern struct fake_settings fake_settings;
extern struct fake_counters fake_counters;

/* All calls come from one thread. */
void fake_check_thread(struct fg_engine *e);
/* FG_EDEVICELOST, once it is. */
int fake_lost(const struct fg_engine *e, struct fg_err *err);
/* A free page with one reference, to be block `index` of a sequence. */
uint32_t fake_take_page(struct fg_engine *e, uint64_t index);
/* Pages of so many tokens. */
uint32_t fake_page_count(const struct fg_engine *e, uint32_t tokens);
/* Appends the span's tokens to its sequence. */
void fake_compute(struct fg_seq *s, const struct fg_step_span *span);

/* fake_steps.c: runs steps on a thread of the device's own. */
void fake_device_start(struct fg_engine *e);
void fake_device_stop(struct fg_engine *e);

#endif
