#include "policy.h"

#include <math.h>
#include <string.h>

/* Seconds to write a byte: a state that is likely to save less than that is not worth an SSD's
 * time. */
#define WRITE_SECONDS 0.25e-9

/* What is believed of a class before anything is seen, and how many records that weighs as. The
 * weight is small: a few dozen records count for more. Blocks stay as they are: where there are
 * states, blocks without one serve nothing yet, and where there are none all are alike. */
static const struct {
    double first, again; /* part that is used once; once more */
} belief[FG_BOUNDARIES] = {
    [FG_AT_BLOCK] = {0.1, 0.2},      [FG_AT_SPACING] = {0.1, 0.5},
    [FG_AT_PROMPT_END] = {0.3, 0.3}, [FG_AT_ANSWER_END] = {0.5, 0.2},
    [FG_AT_USER_START] = {0.3, 0.3}, [FG_AT_SYSTEM_END] = {0.5, 0.8},
    [FG_AT_BRANCH] = {0.6, 0.8},     [FG_AT_HINT] = {0.6, 0.8},
    [FG_AT_DOCUMENT] = {0.5, 0.8},
};
#define BELIEF_WEIGHT 4.0
#define BELIEF_WAIT 0.5

/* What is older than so many records of a class counts little, and less and less. */
enum { MEMORY = 256 };
#define KEPT (MEMORY / (MEMORY + 1.0))

#define MIN_WAIT (1.0 / 256)
/* Estimates that moved by less than this (log2) leave the values as they are. */
#define DRIFT 0.125

static unsigned class_of(enum fg_boundary kind, uint32_t uses)
{
    unsigned k = (unsigned)kind < FG_BOUNDARIES ? (unsigned)kind : FG_AT_BLOCK;

    return k * FG_POLICY_USES + (uses < FG_POLICY_USES ? uses : FG_POLICY_USES - 1);
}

static double part_used(const struct fg_policy *p, unsigned c)
{
    unsigned k = c / FG_POLICY_USES;
    double before = c % FG_POLICY_USES ? belief[k].again : belief[k].first;

    return (p->used[c] + before * BELIEF_WEIGHT) / (p->seen[c] + BELIEF_WEIGHT);
}

static double mean_wait(const struct fg_policy *p, unsigned c)
{
    double w = (p->waited[c] + BELIEF_WAIT * BELIEF_WEIGHT) / (p->used[c] + BELIEF_WEIGHT);

    return w > MIN_WAIT ? w : MIN_WAIT;
}

static void renew(struct fg_policy *p, unsigned c)
{
    double part = part_used(p, c), wait = mean_wait(p, c);

    if (fabs(log2(part / p->p[c])) < DRIFT && fabs(log2(wait / p->w[c])) < DRIFT)
        return;
    p->p[c] = part;
    p->w[c] = wait;
    p->epoch++;
}

void fg_policy_init(struct fg_policy *p)
{
    memset(p, 0, sizeof *p);
    p->level = FG_POLICY_NOTHING;
    for (unsigned c = 0; c < FG_POLICY_CLASSES; c++) {
        p->p[c] = part_used(p, c);
        p->w[c] = mean_wait(p, c);
    }
}

static void see(struct fg_policy *p, unsigned c)
{
    if (c / FG_POLICY_USES == FG_AT_BLOCK)
        return;
    p->seen[c]++;
    if (p->seen[c] > MEMORY) {
        p->seen[c] *= KEPT;
        p->used[c] *= KEPT;
        p->waited[c] *= KEPT;
    }
    renew(p, c);
}

void fg_policy_put(struct fg_policy *p, enum fg_boundary kind)
{
    see(p, class_of(kind, 0));
}

void fg_policy_use(struct fg_policy *p, enum fg_boundary kind, uint32_t uses, uint64_t age)
{
    unsigned from = class_of(kind, uses);

    /* Not the uses of what has been forgotten; nor blocks'. */
    if (p->used[from] + 1 <= p->seen[from]) {
        p->used[from]++;
        p->waited[from] += (double)age / (double)FG_POLICY_TURN;
    }
    renew(p, from);
    see(p, class_of(kind, uses < FG_POLICY_USES ? uses + 1 : uses));
}

void fg_policy_recall(struct fg_policy *p, enum fg_boundary kind, uint32_t uses)
{
    fg_policy_put(p, kind);
    for (uint32_t u = 0; u < uses && u < FG_POLICY_USES; u++)
        fg_policy_use(p, kind, u, (uint64_t)(p->w[class_of(kind, u)] * (double)FG_POLICY_TURN));
}

void fg_policy_evicted(struct fg_policy *p, double value, uint64_t now)
{
    if (value < FG_POLICY_NOTHING / 2)
        return;
    p->level = value;
    p->level_at = now;
}

double fg_policy_chance(const struct fg_policy *p, enum fg_boundary kind, uint32_t uses)
{
    return p->p[class_of(kind, uses)];
}

double fg_policy_value(const struct fg_policy *p, enum fg_boundary kind, uint32_t uses,
                       double seconds, uint64_t bytes, uint64_t age)
{
    unsigned c = class_of(kind, uses);
    /* Never quite sure: what was always used still ages. */
    double part = 0.001 + 0.998 * p->p[c];
    double soon = 1 / (1 + (double)age / (double)FG_POLICY_TURN / (2 * p->w[c]));
    double left = part * soon * soon;

    return log2(left / (1 - part + left) * soon) + log2(seconds > 1e-9 ? seconds : 1e-9) -
           log2(bytes ? (double)bytes : 1);
}

bool fg_policy_admits(const struct fg_policy *p, enum fg_boundary kind, double seconds,
                      uint64_t bytes, uint64_t now)
{
    double turns = now > p->level_at ? (double)(now - p->level_at) / (double)FG_POLICY_TURN : 0;

    if (kind == FG_AT_HINT)
        return true;
    return fg_policy_chance(p, kind, 0) * seconds > (double)bytes * WRITE_SECONDS &&
           fg_policy_value(p, kind, 0, seconds, bytes, 0) > p->level - turns;
}

uint64_t fg_policy_ticks(uint64_t bytes, uint64_t max_bytes)
{
    double n = (double)bytes / (double)(max_bytes ? max_bytes : 1) * (double)FG_POLICY_TURN;

    return n < 1 ? 1 : n > (double)FG_POLICY_TURN ? FG_POLICY_TURN : (uint64_t)n;
}
