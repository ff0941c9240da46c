/* What a step has of its own: tables, recorders, results. The engine has FG_STEP_SETS of them, so
 * that one is prepared while another runs. */
#ifndef FG_STEP_SET_H
#define FG_STEP_SET_H

#include "forward.h"
#include "gpu/command.h"

enum fg_step_phase { FG_STEP_FREE, FG_STEP_PREPARED, FG_STEP_SUBMITTED, FG_STEP_FAILED };

struct fg_step_submission {
    struct fg_cmd *cmd;
    uint32_t layers; /* recorded in it */
};

struct fg_step {
    struct fg_engine *engine;
    enum fg_step_phase phase;
    struct fg_step_tables tables; /* as those of fg_scratch */
    struct fg_buffer *readback, *best_readback;
    bool owns_tables;                       /* the first set's are those of the engine's scratch */
    struct fg_step_submission *submissions; /* [n_made] */
    uint32_t n_submissions, n_made;
    struct fg_step_span pieces[64];
    uint32_t row_of[64], begins[64]; /* first row; length of its sequence */
    uint32_t n_pieces, n_logits;
    struct fg_step_round rounds[FG_STEP_ROUNDS];
    struct fg_step_shape shape;
    int rc; /* the first failure to get a recorder */
    struct fg_err err;
};

/* Both sets, once the scratch buffers are there; adds to e->s.bytes. FG_ENOMEM, FG_EDEVICE. */
int fg_step_sets_init(struct fg_engine *e, struct fg_err *err);
/* Waits for what runs. Before the scratch buffers go; sets that were never made are fine. */
void fg_step_sets_finish(struct fg_engine *e);
/* The tables and results of e->s are those of this set from now on. */
void fg_step_set_use(const struct fg_step *s);

#endif
