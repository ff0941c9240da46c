#include "sample.h"

#include <math.h>
#include <stdlib.h>

#define IN_PROMPT (UINT32_C(1) << 31)

struct fg_candidate {
    int32_t id;
    float logit;
    double p;
};

int fg_sampler_init(struct fg_sampler *s, uint32_t n_vocab, struct fg_err *err)
{
    s->n_vocab = n_vocab;
    s->cand = calloc(n_vocab ? n_vocab : 1, sizeof *s->cand);
    s->counts = calloc(n_vocab ? n_vocab : 1, sizeof *s->counts);
    if (!s->cand || !s->counts)
        return fg_fail(err, FG_ENOMEM, "no memory to sample from %u tokens", n_vocab);
    return 0;
}

void fg_sampler_finish(struct fg_sampler *s)
{
    free(s->cand);
    free(s->counts);
    s->cand = NULL;
    s->counts = NULL;
}

int fg_sampling_check(const struct fg_sampling *p, struct fg_err *err)
{
    /* Written so that NaN fails. */
    if (!(p->temperature >= 0) || !isfinite(p->temperature))
        return fg_fail(err, FG_EINVAL, "temperature is %g; it must be finite and at least 0",
                       (double)p->temperature);
    if (p->top_k < 0)
        return fg_fail(err, FG_EINVAL, "top_k is %d; it must be at least 0 (0 is off)", p->top_k);
    if (!(p->top_p >= 0 && p->top_p <= 1))
        return fg_fail(err, FG_EINVAL, "top_p is %g; it must lie within 0..1", (double)p->top_p);
    if (!(p->min_p >= 0 && p->min_p <= 1))
        return fg_fail(err, FG_EINVAL, "min_p is %g; it must lie within 0..1", (double)p->min_p);
    return 0;
}

uint64_t fg_sample_random(uint64_t seed, uint64_t n)
{
    uint64_t z = seed + (n + 1) * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* The best logit's id, lowest on ties; checks all of them. */
static int find_best(const float *logits, uint32_t n, int32_t *best, struct fg_err *err)
{
    *best = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (isnan(logits[i]) || logits[i] == INFINITY)
            return fg_fail(err, FG_EDEVICE, "the device computed a logit of %s for token %u",
                           isnan(logits[i]) ? "NaN" : "infinity", i);
        if (logits[i] > logits[*best])
            *best = (int32_t)i;
    }
    if (n == 0 || logits[*best] == -INFINITY)
        return fg_fail(err, FG_EDEVICE, "the device computed no finite logit");
    return 0;
}

static bool ranks_before(const struct fg_candidate *a, const struct fg_candidate *b)
{
    return a->logit > b->logit || (a->logit == b->logit && a->id < b->id);
}

static void sift_down(struct fg_candidate *h, uint32_t n, uint32_t i)
{
    struct fg_candidate x = h[i];

    for (;;) {
        uint32_t c = 2 * i + 1;

        if (c >= n)
            break;
        if (c + 1 < n && ranks_before(&h[c + 1], &h[c]))
            c++;
        if (!ranks_before(&h[c], &x))
            break;
        h[i] = h[c];
        i = c;
    }
    h[i] = x;
}

static void make_heap(struct fg_candidate *h, uint32_t n)
{
    for (uint32_t i = n / 2; i-- > 0;)
        sift_down(h, n, i);
}

/* Moves the best of the heap h[0..n) behind it, to h[n-1]: the ranked ones grow from the array's
 * end downwards, so that only as many as are wanted get sorted. */
static void pop_best(struct fg_candidate *h, uint32_t n)
{
    struct fg_candidate best = h[0];

    h[0] = h[n - 1];
    sift_down(h, n - 1, 0);
    h[n - 1] = best;
}

static void reverse(struct fg_candidate *c, uint32_t n)
{
    for (uint32_t i = 0; i < n / 2; i++) {
        struct fg_candidate t = c[i];

        c[i] = c[n - 1 - i];
        c[n - 1 - i] = t;
    }
}

/* Keeps the k best, ranked, at the front. */
static uint32_t keep_top_k(struct fg_candidate *c, uint32_t n, uint32_t k)
{
    make_heap(c, n);
    for (uint32_t i = 0; i < k; i++)
        pop_best(c, n - i);
    reverse(c, n);
    return k;
}

/* Keeps the shortest ranked run whose probability reaches top_p, one at least. */
static uint32_t keep_top_p(struct fg_candidate *c, uint32_t n, double sum, double top_p,
                           bool ranked)
{
    double cum = 0;
    uint32_t kept = 0;

    if (!ranked)
        make_heap(c, n);
    while (kept < n) {
        if (ranked) {
            cum += c[kept].p;
        } else {
            pop_best(c, n - kept);
            cum += c[n - 1 - kept].p;
        }
        kept++;
        if (cum >= top_p * sum)
            break;
    }
    if (!ranked)
        reverse(c, n);
    return kept;
}

static uint32_t keep_min_p(struct fg_candidate *c, uint32_t n, double min_p)
{
    uint32_t kept = 0;

    /* The best one's weight is exp(0) = 1. */
    for (uint32_t i = 0; i < n; i++)
        if (c[i].p >= min_p)
            c[kept++] = c[i];
    return kept;
}

static double sum_weights(const struct fg_candidate *c, uint32_t n)
{
    double sum = 0;

    for (uint32_t i = 0; i < n; i++)
        sum += c[i].p;
    return sum;
}

/* The draw from the first n candidates; ranked: they are in order. max: the highest logit. */
static int32_t draw(struct fg_sampler *s, uint32_t n, bool ranked, double max,
                    const struct fg_sampling *p, uint64_t index)
{
    struct fg_candidate *c = s->cand;
    double u, cum = 0;
    int32_t token = c[0].id;

    for (uint32_t i = 0; i < n; i++)
        c[i].p = exp((c[i].logit - max) / p->temperature);
    if (p->top_p < 1)
        n = keep_top_p(c, n, sum_weights(c, n), p->top_p, ranked);
    if (p->min_p > 0)
        n = keep_min_p(c, n, p->min_p);
    s->n_drawn = n;
    u = (double)(fg_sample_random(p->seed, index) >> 11) * 0x1p-53 * sum_weights(c, n);
    for (uint32_t i = 0; i < n; i++) {
        if (c[i].p > 0)
            token = c[i].id; /* the last one with weight stands if rounding eats the end */
        cum += c[i].p;
        if (cum > u)
            break;
    }
    return token;
}

int fg_sample(struct fg_sampler *s, const float *logits, const struct fg_sampling *p,
              uint64_t index, int32_t *token, struct fg_err *err)
{
    struct fg_candidate *c = s->cand;
    uint32_t n = s->n_vocab;
    bool ranked = false;
    int rc = find_best(logits, n, token, err);

    s->n_drawn = 0;
    if (rc || !(p->temperature > 0))
        return rc;
    for (uint32_t i = 0; i < n; i++)
        c[i] = (struct fg_candidate){.id = (int32_t)i, .logit = logits[i]};
    if (p->top_k > 0 && (uint32_t)p->top_k < n) {
        n = keep_top_k(c, n, (uint32_t)p->top_k);
        ranked = true;
    }
    *token = draw(s, n, ranked, logits[*token], p, index);
    return 0;
}

/* Candidate i is token i. */
static void penalize(struct fg_sampler *s, const struct fg_sampling *p, const struct fg_adjust *a)
{
    const float repetition = p->repetition_penalty;
    const bool repeats = repetition != 0 && repetition != 1;

    if (!repeats && p->presence_penalty == 0 && p->frequency_penalty == 0)
        return;
    /* The answer's are counted; the prompt's get the highest bit. */
    for (uint32_t i = 0; i < a->n_tokens; i++) {
        uint32_t id = (uint32_t)a->tokens[i];

        if (id < s->n_vocab)
            s->counts[id] = i < a->n_prompt ? IN_PROMPT : s->counts[id] + 1;
    }
    for (uint32_t i = 0; i < a->n_tokens; i++) {
        uint32_t id = (uint32_t)a->tokens[i], count;

        if (id >= s->n_vocab || !s->counts[id])
            continue;
        count = s->counts[id] & ~IN_PROMPT;
        if (repeats)
            s->cand[id].logit = s->cand[id].logit > 0 ? s->cand[id].logit / repetition
                                                      : s->cand[id].logit * repetition;
        s->cand[id].logit -= (float)count * p->frequency_penalty;
        s->cand[id].logit -= count ? p->presence_penalty : 0;
        s->counts[id] = 0;
    }
}

/* Only those that are allowed, at the front. */
static uint32_t keep_allowed(struct fg_sampler *s, const struct fg_adjust *a)
{
    struct fg_candidate *c = s->cand;
    uint32_t n = 0;

    for (size_t i = 0; i < a->n_banned; i++)
        if ((uint32_t)a->banned[i] < s->n_vocab)
            c[a->banned[i]].logit = -INFINITY;
    for (size_t i = 0; i < a->n_allowed; i++)
        if ((uint32_t)a->allowed[i] < s->n_vocab)
            s->counts[a->allowed[i]] = 1;
    for (uint32_t i = 0; i < s->n_vocab; i++) {
        if (c[i].logit > -INFINITY && (!a->n_allowed || s->counts[i]) &&
            (!a->mask || a->mask[i / 64] >> i % 64 & 1))
            c[n++] = c[i];
        s->counts[i] = 0;
    }
    return n;
}

int fg_sample_adjusted(struct fg_sampler *s, const float *logits, const struct fg_sampling *p,
                       const struct fg_adjust *a, int32_t *token, struct fg_err *err)
{
    struct fg_candidate *c = s->cand;
    uint32_t n = s->n_vocab, best = 0;
    bool ranked = false;
    double max;
    int rc = find_best(logits, n, token, err);

    s->n_drawn = 0;
    if (rc)
        return rc;
    for (uint32_t i = 0; i < n; i++)
        c[i] = (struct fg_candidate){.id = (int32_t)i, .logit = logits[i]};
    penalize(s, p, a);
    for (size_t i = 0; i < a->n_bias; i++)
        if ((uint32_t)a->bias[i].token < n)
            c[a->bias[i].token].logit += a->bias[i].bias;
    n = keep_allowed(s, a);
    if (n == 0)
        return fg_fail(err, FG_EINVAL, "no token is left that may be chosen");
    for (uint32_t i = 1; i < n; i++)
        if (c[i].logit > c[best].logit)
            best = i;
    *token = c[best].id;
    max = c[best].logit;
    if (!(p->temperature > 0))
        return 0;
    if (p->top_k > 0 && (uint32_t)p->top_k < n) {
        n = keep_top_k(c, n, (uint32_t)p->top_k);
        ranked = true;
    }
    *token = draw(s, n, ranked, max, p, a->index);
    return 0;
}

uint32_t fg_sample_unban(struct fg_best *best, uint32_t n, const int32_t *banned, size_t n_banned)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < n; i++) {
        bool out = false;

        for (size_t b = 0; !out && b < n_banned; b++)
            out = banned[b] == best[i].id;
        if (!out)
            best[kept++] = best[i];
    }
    return kept;
}

uint32_t fg_sample_needs(const struct fg_sampling *p, uint32_t n_vocab)
{
    if (!(p->temperature > 0))
        return 1;
    return p->top_k > 0 && p->top_k <= FG_BEST_MOST && (uint32_t)p->top_k < n_vocab
               ? (uint32_t)p->top_k
               : 0;
}

int fg_sample_best(struct fg_sampler *s, const struct fg_best *best, const struct fg_sampling *p,
                   uint64_t index, int32_t *token, struct fg_err *err)
{
    uint32_t n = fg_sample_needs(p, s->n_vocab);

    s->n_drawn = 0;
    if (isnan(best[0].logit))
        return fg_fail(err, FG_EDEVICE, "the device computed a logit of NaN or infinity");
    if (best[0].logit == -INFINITY)
        return fg_fail(err, FG_EDEVICE, "the device computed no finite logit");
    *token = best[0].id;
    if (!(p->temperature > 0))
        return 0;
    for (uint32_t i = 0; i < n; i++)
        s->cand[i] = (struct fg_candidate){.id = best[i].id, .logit = best[i].logit};
    *token = draw(s, n, true, best[0].logit, p, index);
    return 0;
}

/* Those of the best that may be chosen, ranked, at the front; returns how many. */
static uint32_t keep_best(struct fg_sampler *s, const struct fg_best *best, uint32_t n_best,
                          const struct fg_adjust *a)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < n_best; i++) {
        uint32_t id = (uint32_t)best[i].id;
        bool banned = !(best[i].logit > -INFINITY) || !(a->mask[id / 64] >> id % 64 & 1);

        for (size_t b = 0; !banned && b < a->n_banned; b++)
            banned = a->banned[b] == best[i].id;
        if (!banned)
            s->cand[n++] = (struct fg_candidate){.id = best[i].id, .logit = best[i].logit};
    }
    return n;
}

static void order_by_id(struct fg_candidate *c, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        struct fg_candidate x = c[i];
        uint32_t k = i;

        for (; k > 0 && c[k - 1].id > x.id; k--)
            c[k] = c[k - 1];
        c[k] = x;
    }
}

bool fg_sample_few(struct fg_sampler *s, const struct fg_best *best, uint32_t n_best,
                   const struct fg_sampling *p, const struct fg_adjust *a, int32_t *token)
{
    uint32_t need = fg_sample_needs(p, s->n_vocab), n = 0;
    bool all, ranked;
    double max;

    s->n_drawn = 0;
    if (!isnan(best[0].logit))
        n = keep_best(s, best, n_best, a);
    if (!n)
        return false;
    *token = s->cand[0].id;
    if (!(p->temperature > 0))
        return true;
    /* With as many as top_k takes, or fewer, there is no ranking: the order is another one, and
     * whether there are more has to be known. */
    all = n == a->n_mask;
    ranked = n > need;
    if (!ranked && !all)
        return false;
    max = s->cand[0].logit;
    if (!ranked)
        order_by_id(s->cand, n);
    *token = draw(s, ranked ? need : n, ranked, max, p, a->index);
    return true;
}

static bool likelier(float v, int32_t id, const struct fg_token_logprob *than)
{
    return v > than->logprob || (v == than->logprob && id < than->token);
}

static void insert_top(struct fg_token_logprob *top, uint32_t *n, uint32_t cap, int32_t id, float v)
{
    uint32_t i = *n;

    if (i == cap && !likelier(v, id, &top[i - 1]))
        return;
    if (i < cap)
        *n = i + 1;
    else
        i--;
    for (; i > 0 && likelier(v, id, &top[i - 1]); i--) {
        top[i].token = top[i - 1].token;
        top[i].logprob = top[i - 1].logprob;
    }
    top[i].token = id;
    top[i].logprob = v;
}

uint32_t fg_sample_logprobs(const float *logits, uint32_t n_vocab, struct fg_token_logprob *chosen,
                            struct fg_token_logprob *top, uint32_t n_top)
{
    const struct fg_token_logprob own = {.token = chosen->token, .logprob = logits[chosen->token]};
    double max = -INFINITY, sum = 0, lse;
    uint32_t n = 0;

    for (uint32_t i = 0; i < n_vocab; i++)
        if (logits[i] > max)
            max = logits[i];
    for (uint32_t i = 0; i < n_vocab; i++)
        sum += exp(logits[i] - max);
    lse = max + log(sum);
    chosen->logprob = (float)(logits[chosen->token] - lse);
    chosen->rank = 1;
    for (uint32_t i = 0; i < n_vocab; i++) {
        chosen->rank += likelier(logits[i], (int32_t)i, &own);
        if (n_top && logits[i] > -INFINITY)
            insert_top(top, &n, n_top, (int32_t)i, logits[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        top[i].logprob = (float)(top[i].logprob - lse);
        top[i].rank = i + 1;
    }
    return n;
}

uint32_t fg_sample_drawn(const struct fg_sampler *s, struct fg_token_logprob *chosen,
                         struct fg_token_logprob *top, uint32_t n_top)
{
    /* At temperature 0 the best token has all of the probability. */
    const struct fg_candidate best = {.id = chosen->token, .p = 1};
    const struct fg_candidate *c = s->n_drawn ? s->cand : &best;
    uint32_t n_drawn = s->n_drawn ? s->n_drawn : 1, n = 0;
    double sum = sum_weights(c, n_drawn);

    for (uint32_t i = 0; i < n_drawn; i++)
        if (c[i].id == chosen->token)
            chosen->logprob = (float)log(c[i].p / sum);
    chosen->rank = 1;
    for (uint32_t i = 0; i < n_drawn; i++) {
        float v = (float)log(c[i].p / sum);

        chosen->rank += c[i].id != chosen->token && likelier(v, c[i].id, chosen);
        if (n_top && v > -INFINITY)
            insert_top(top, &n, n_top, c[i].id, v);
    }
    for (uint32_t i = 0; i < n; i++)
        top[i].rank = i + 1;
    return n;
}
