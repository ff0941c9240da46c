/* A step: prepared (tables filled, commands recorded), submitted, finished (logits handed out).
 * There are two sets of tables and recorders, so that one step is prepared while another runs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/ticket.h"
#include "engine_state.h"
#include "forward.h"
#include "gpu/command.h"
#include "ops/best.h"
#include "ops/matmul.h"
#include "ops/norm.h"
#include "ops/quantize.h"
#include "sequence.h"
#include "step_set.h"
#include "shaders/lib/rows.h"

static int check_pieces(struct fg_engine *e, const struct fg_step_span *p, uint32_t n,
                        uint32_t *n_tokens, struct fg_err *err)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
        total += p[i].n;
        if (p[i].n < 1 || p[i].n_logits > p[i].n || (p[i].n_logits && !p[i].logits))
            return fg_fail(err, FG_EINVAL, "piece %u: %u tokens, %u logits", i, p[i].n,
                           p[i].n_logits);
        if (p[i].n_best > FG_BEST_MOST || p[i].n_best > fg_best_choices(e) ||
            (p[i].n_best && (!p[i].best || p[i].n_logits > 1)))
            return fg_fail(err, FG_EINVAL, "piece %u: the %u best, %u logits", i, p[i].n_best,
                           p[i].n_logits);
        if (!p[i].seq->state_ready)
            return fg_fail(
                err, FG_EINVAL,
                "piece %u: the sequence has no state: pages were restored without one, or "
                "a step broke off",
                i);
        for (uint32_t j = 0; j < i; j++)
            if (p[j].seq == p[i].seq)
                return fg_fail(err, FG_EINVAL, "pieces %u and %u are of one sequence", j, i);
        for (uint32_t j = 0; j < p[i].n; j++)
            if (p[i].tokens[j] < 0 || (uint32_t)p[i].tokens[j] >= e->hp.n_vocab)
                return fg_fail(err, FG_EINVAL, "token %d is outside the vocabulary of %u",
                               p[i].tokens[j], e->hp.n_vocab);
    }
    if (total == 0 || total > e->opt.n_batch)
        return fg_fail(err, FG_EINVAL, "a step of %llu tokens; 1 to %u fit",
                       (unsigned long long)total, e->opt.n_batch);
    *n_tokens = (uint32_t)total;
    return 0;
}

uint32_t fg_best_choices(const struct fg_engine *e)
{
    uint32_t n = e->opt.n_choices;
    return n && n < e->hp.n_vocab ? n : e->hp.n_vocab;
}

/* The piece that wanted row `i` of all belongs to; *at: its row among the piece's own. */
static const struct fg_step_span *piece_of(const struct fg_step_span *p, uint32_t i, uint32_t *at)
{
    while (i >= fg_span_wants(p))
        i -= fg_span_wants(p++);
    *at = i;
    return p;
}

/* The most that a piece wants of the best tokens of rows [from, from + rows). */
static uint32_t most_best(const struct fg_step_span *p, uint32_t from, uint32_t rows)
{
    uint32_t k = 0, at;
    for (uint32_t i = from; i < from + rows; i++) {
        uint32_t n = piece_of(p, i, &at)->n_best;
        k = n > k ? n : k;
    }
    return k;
}

/* The head on rows [from, from + rows) of the index, and what the host wants of it. */
static void record_head(struct fg_engine *e, const struct fg_step_span *p, uint32_t from,
                        uint32_t rows)
{
    const struct fg_matrix *head = e->hp.tied_output ? &e->embd : &e->head;
    uint64_t bytes = (uint64_t)e->hp.n_vocab * 4;
    uint32_t k = most_best(p, from, rows), at;
    struct fg_view last = fg_view_of(e->s.last, e->s.ld_embd, rows, e->hp.n_embd);
    struct fg_view logits = fg_view_of(e->s.logits, e->hp.n_vocab, rows, e->hp.n_vocab);
    fg_record_norm(&e->ops, &(struct fg_norm){.x = fg_view_of(e->s.a.x, e->s.ld_embd,
                                                              e->opt.n_batch, e->hp.n_embd),
                                              .y = last,
                                              .w = e->output_norm,
                                              .eps = e->hp.norm_eps,
                                              .index = e->s.tables.index,
                                              .index_at = from});
    fg_cmd_barrier(e->ops.cmd);
    struct fg_operand x = fg_record_quantize(&e->ops, last, &e->s.a.quantized);
    fg_record_matmul(&e->ops, &(struct fg_matmul){.m = head, .x = x, .y = logits});
    fg_cmd_barrier(e->ops.cmd);
    for (uint32_t i = 0; i < rows; i++)
        if (piece_of(p, from + i, &at)->n_logits)
            fg_cmd_copy(e->ops.cmd, e->s.logits, i * bytes, e->s.readback, i * bytes, bytes);
    logits.k = fg_best_choices(e);
    if (k)
        fg_record_best(&e->ops, &(struct fg_best_rows){.logits = logits,
                                                       .k = k,
                                                       .passes = {e->s.best[0], e->s.best[1]},
                                                       .readback = e->s.best_readback});
}

/* Hands out what record_head() brought. */
static void deliver(struct fg_engine *e, const struct fg_step_span *pieces, uint32_t from,
                    uint32_t rows)
{
    const uint32_t *best = fg_buffer_map(e->s.best_readback);
    uint32_t k = most_best(pieces, from, rows), at;
    for (uint32_t i = 0; i < rows; i++) {
        const struct fg_step_span *p = piece_of(pieces, from + i, &at);
        const uint32_t *row = best + 2 * (size_t)i * (k + 1);
        if (p->n_logits)
            memcpy(p->logits + (size_t)at * e->hp.n_vocab,
                   (float *)fg_buffer_map(e->s.readback) + (size_t)i * e->hp.n_vocab,
                   (size_t)e->hp.n_vocab * 4);
        for (uint32_t b = 0; b < p->n_best; b++) {
            p->best[b].id = (int32_t)row[2 * b + 1];
            memcpy(&p->best[b].logit, &row[2 * b], 4);
        }
        if (p->n_best && row[2 * k])
            p->best[0].logit = NAN;
    }
}

/* The next submission of the step that is being recorded; the recorder of the last one goes on
 * where there is no other. */
static void next_submission(struct fg_step *s)
{
    struct fg_engine *e = s->engine;
    struct fg_err err;
    int rc = 0;

    if (s->n_submissions == s->n_made) {
        struct fg_step_submission *grown =
            realloc(s->submissions, (s->n_made + 1) * sizeof *s->submissions);
        if (grown) {
            s->submissions = grown;
            rc = fg_cmd_create(e->device, &grown[s->n_made].cmd, &err);
        } else {
            rc = fg_fail(&err, FG_ENOMEM, "out of memory for a step's submissions");
        }
        if (rc) {
            s->rc = fg_fail(&s->err, rc, "%s", err.text);
            return;
        }
        s->n_made++;
    }
    struct fg_step_submission *sub = &s->submissions[s->n_submissions++];
    sub->layers = 0;
    e->ops.cmd = sub->cmd;
    fg_cmd_begin(sub->cmd);
}

void fg_step_cut(struct fg_engine *e, uint32_t layers)
{
    struct fg_step *s = e->recording;

    s->submissions[s->n_submissions - 1].layers = layers;
    next_submission(s);
}

/* Rows of the head that its passes from `from` on take together with the layers, or alone. */
static uint32_t head_rows(const struct fg_step *s, uint32_t from)
{
    return s->n_logits - from < FG_HEAD_ROWS ? s->n_logits - from : FG_HEAD_ROWS;
}

/* Records the layers and the first pass of the head, and what failed on the way. */
static int record(struct fg_step *s, struct fg_err *err)
{
    struct fg_engine *e = s->engine;
    struct fg_cmd *own = e->ops.cmd;
    uint32_t layers = 0;
    int rc = 0;

    s->rc = 0;
    s->n_submissions = 0;
    e->recording = s;
    next_submission(s);
    if (s->rc == 0) {
        fg_record_layers(e, &s->shape, &layers);
        if (s->n_logits)
            record_head(e, s->pieces, 0, head_rows(s, 0));
        s->submissions[s->n_submissions - 1].layers = layers;
    }
    e->recording = NULL;
    e->ops.cmd = own;
    if (s->rc)
        rc = fg_fail(err, s->rc, "%s", s->err.text);
    for (uint32_t i = 0; rc == 0 && i < s->n_submissions; i++)
        rc = fg_cmd_recorded(s->submissions[i].cmd, err);
    return rc;
}

static struct fg_step *free_step(struct fg_engine *e, struct fg_err *err)
{
    for (int i = 0; i < FG_STEP_SETS; i++)
        if (e->steps[i]->phase == FG_STEP_FREE)
            return e->steps[i];
    fg_fail(err, FG_EBUSY, "%d steps are under way; finish or drop one first", FG_STEP_SETS);
    return NULL;
}

int fg_step_prepare(struct fg_engine *e, const struct fg_step_span *pieces, uint32_t n_pieces,
                    struct fg_step **out, struct fg_err *err)
{
    struct fg_step *s;
    uint32_t n_tokens;
    int rc;

    *out = NULL;
    if (n_pieces < 1 || n_pieces > e->opt.n_seq)
        return fg_fail(err, FG_EINVAL, "a step of %u pieces; 1 to %u fit", n_pieces, e->opt.n_seq);
    s = free_step(e, err);
    if (!s)
        return FG_EBUSY;
    rc = check_pieces(e, pieces, n_pieces, &n_tokens, err);
    for (uint32_t i = 0; rc == 0 && i < n_pieces; i++) {
        const struct fg_seq *q = pieces[i].seq;
        rc = fg_seq_reserve(pieces[i].seq, q->length + q->ahead + pieces[i].n, err);
    }
    if (rc)
        return rc;
    memcpy(s->pieces, pieces, n_pieces * sizeof *pieces);
    s->n_pieces = n_pieces;
    fg_step_set_use(s);
    fg_step_fill(e, pieces, n_pieces, s->row_of, s->rounds, &s->shape);
    s->n_logits = fg_step_fill_index(e, pieces, n_pieces, s->row_of);
    rc = record(s, err);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < n_pieces; i++) {
        s->begins[i] = pieces[i].seq->length + pieces[i].seq->ahead;
        pieces[i].seq->ahead += pieces[i].n;
    }
    s->phase = FG_STEP_PREPARED;
    *out = s;
    return 0;
}

int fg_step_token(struct fg_step *s, uint32_t i, int32_t id, struct fg_err *err)
{
    struct fg_token_row *tokens = fg_buffer_map(s->tables.tokens);

    if (s->phase != FG_STEP_PREPARED || i >= s->n_pieces || s->pieces[i].n != 1)
        return fg_fail(err, FG_EINVAL, "piece %u is not a single token of a prepared step", i);
    if (id < 0 || (uint32_t)id >= s->engine->hp.n_vocab)
        return fg_fail(err, FG_EINVAL, "token %d is outside the vocabulary of %u", id,
                       s->engine->hp.n_vocab);
    tokens[s->row_of[i]].id = (uint32_t)id;
    return 0;
}

static int may_be_submitted(const struct fg_step *s, struct fg_err *err)
{
    if (s->phase != FG_STEP_PREPARED)
        return fg_fail(err, FG_EINVAL, "the step is not prepared");
    if (s->engine->submitted)
        return fg_fail(err, FG_EBUSY, "a step is under way; finish it first");
    for (uint32_t i = 0; i < s->n_pieces; i++)
        if (s->pieces[i].seq->length != s->begins[i])
            return fg_fail(err, FG_EINVAL,
                           "piece %u was prepared behind %u tokens, the sequence has %u", i,
                           s->begins[i], s->pieces[i].seq->length);
    return 0;
}

/* Some layers of the step have run, and others will not: states may hold its tokens or not. */
static void lose_states(struct fg_step *s)
{
    for (uint32_t i = 0; s->engine->memory.state_bytes && i < s->n_pieces; i++)
        s->pieces[i].seq->state_ready = false;
}

/* The first n submissions run, the next was refused: waits, since tables and pages serve again. */
static void break_off(struct fg_step *s, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        fg_cmd_wait(s->submissions[i].cmd, NULL);
    if (n)
        lose_states(s);
    s->phase = FG_STEP_FAILED;
}

int fg_step_submit(struct fg_step *s, struct fg_ticket *ticket, struct fg_err *err)
{
    struct fg_engine *e = s->engine;
    int rc = may_be_submitted(s, err);

    if (rc)
        return rc;
    for (uint32_t i = 0; i < s->n_submissions; i++) {
        rc = fg_cmd_submit(s->submissions[i].cmd, i + 1 == s->n_submissions ? ticket : NULL, err);
        if (rc) {
            break_off(s, i);
            return rc;
        }
    }
    e->n_submissions += s->n_submissions;
    e->submitted = s;
    for (uint32_t i = 0; i < s->n_pieces; i++)
        s->pieces[i].seq->running = true;
    s->phase = FG_STEP_SUBMITTED;
    return 0;
}

/* The sequences grow by the step's tokens, or do not; the set is free again. */
static void leave(struct fg_step *s, bool grow)
{
    for (uint32_t i = 0; i < s->n_pieces; i++) {
        s->pieces[i].seq->ahead -= s->pieces[i].n;
        if (s->phase == FG_STEP_SUBMITTED)
            s->pieces[i].seq->running = false;
        if (grow)
            s->pieces[i].seq->length += s->pieces[i].n;
    }
    if (s->engine->submitted == s)
        s->engine->submitted = NULL;
    s->phase = FG_STEP_FREE;
}

/* Waits for the submissions; what they took tells where later steps are cut. */
static int collect(struct fg_step *s, struct fg_err *err)
{
    double seconds = 0;
    uint64_t rows = 0;
    int rc = 0;

    for (uint32_t i = 0; i < s->n_submissions; i++) {
        const struct fg_step_submission *sub = &s->submissions[i];
        int one = fg_cmd_wait(sub->cmd, rc ? NULL : err);

        rc = rc ? rc : one;
        if (sub->layers)
            seconds += fg_cmd_seconds(sub->cmd);
        rows += (uint64_t)sub->layers * s->shape.n_tokens;
    }
    if (rc == 0 && rows)
        s->engine->token_layer_s[s->shape.n_tokens > 1] = seconds / (double)rows;
    return rc;
}

/* The passes of the head behind the first: many logits are for tools, which wait. */
static int more_logits(struct fg_step *s, struct fg_err *err)
{
    struct fg_engine *e = s->engine;
    int rc = 0;

    for (uint32_t from = FG_HEAD_ROWS, rows; rc == 0 && from < s->n_logits; from += rows) {
        rows = head_rows(s, from);
        fg_step_set_use(s);
        fg_cmd_begin(e->ops.cmd);
        record_head(e, s->pieces, from, rows);
        rc = fg_cmd_run(e->ops.cmd, err);
        e->n_submissions++;
        if (rc == 0)
            deliver(e, s->pieces, from, rows);
    }
    return rc;
}

int fg_step_finish(struct fg_step *s, struct fg_err *err)
{
    int rc;

    if (s->phase != FG_STEP_SUBMITTED)
        return fg_fail(err, FG_EINVAL, "the step was not submitted");
    rc = collect(s, err);
    if (rc == 0 && s->n_logits) {
        fg_step_set_use(s);
        deliver(s->engine, s->pieces, 0, head_rows(s, 0));
        rc = more_logits(s, err);
    }
    if (rc)
        lose_states(s);
    leave(s, rc == 0);
    return rc;
}

void fg_step_drop(struct fg_step *s)
{
    if (s && (s->phase == FG_STEP_PREPARED || s->phase == FG_STEP_FAILED))
        leave(s, false);
}

int fg_engine_step(struct fg_engine *e, const struct fg_step_span *pieces, uint32_t n_pieces,
                   struct fg_err *err)
{
    struct fg_step *s;
    int rc = fg_step_prepare(e, pieces, n_pieces, &s, err);

    if (rc)
        return rc;
    rc = fg_step_submit(s, NULL, err);
    if (rc) {
        fg_step_drop(s);
        return rc;
    }
    return fg_step_finish(s, err);
}
