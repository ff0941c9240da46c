/* A toy model behind the functions of model/engine.h and gpu/device.h, on the CPU, for the flow's
 * tests. Its logits depend on every token before them, and by way of what pages and states hold: a
 * page or state in the wrong place gives other answers. It checks each call against the contract in
 * engine.h and aborts with a line on what breaks it.
 *
 * Link it in front of the real engine. The settings hold for engines created afterwards. */
#ifndef FAKE_ENGINE_H
#define FAKE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

struct fg_ticket;

enum { FAKE_VOCAB = 300 }; /* rows of the logits */

/* Lies in every captured page and state, and is checked when one comes back. */
#define FAKE_MARKER UINT64_C(0x9d2c5680efc60000)

/* A row or state that is not a number: so is all that is computed from it. */
#define FAKE_NAN UINT64_C(0x7ff8000000000bad)

struct fake_settings {
    bool softmax;   /* has KV pages */
    bool lightning; /* has states */
    uint32_t n_ctx; /* when the options leave it open */
    /* Steps are counted from 1 since fake_engine_set(). 0: never. */
    uint64_t lose_at, lose_again_at; /* the device is lost at this step, until it is reopened */
    uint64_t lose_capture_at;        /* the same at this capture of a page or state */
    uint64_t nan_at;                 /* this step computes NaN */
    bool no_reopen;                  /* opening the device again fails */
    uint32_t step_us;                /* how long a step takes on the device's thread */
    void (*on_step)(void *ctx, uint64_t step); /* in each step, on the device's thread */
    void *on_step_ctx;
    /* At the beginning of each transfer, which is done by then. True: whoever says so ends the
     * ticket later. */
    bool (*on_transfer)(void *ctx, struct fg_ticket *ticket);
    void *on_transfer_ctx;
    uint64_t fault; /* not 0: what is computed is wrong by this much */
};

/* Resets the counters. Not while an engine exists. */
void fake_engine_set(const struct fake_settings *s);

/* A model with pages, one with states too, one with states alone. */
enum { FAKE_FAMILIES = 3 };
extern const struct fake_settings fake_families[FAKE_FAMILIES];

/* From here on every row that is computed is FAKE_NAN, or, again, what it should be. Any thread. */
void fake_engine_sick(bool yes);

struct fake_counts {
    uint64_t steps, tokens, engines;
    uint64_t shared_steps;            /* steps of more than one piece */
    uint64_t page_reads, state_reads; /* captures */
    uint64_t ahead;                   /* steps that were prepared while another ran */
    uint64_t lost_seqs;               /* refused because the device was lost */
};
/* Any thread. */
void fake_engine_counts(struct fake_counts *out);

/* The model's definition: the logits behind tokens[n], computed without pages and states. */
void fake_model_logits(bool softmax, bool lightning, const int32_t *tokens, uint32_t n,
                       float logits[FAKE_VOCAB]);

#endif
