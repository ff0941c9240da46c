#include "rules.h"

#include <stdlib.h>
#include <string.h>

#include "job.h"
#include "vocabulary.h"

enum { FORM_SPARES = 3 /* each one costs the device time */ };

static bool among(const int32_t *ids, size_t n, int32_t id)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] == id)
            return true;
    return false;
}

bool fg_rules_end(const struct fg_job_request *req, const struct fg_tokenizer *t, int32_t token)
{
    return (!req->ignore_eos && fg_tokenizer_is_eog(t, token)) ||
           among(req->rules.stop, req->rules.n_stop, token);
}

/* They are few, and looked for once. */
static int find_ends(struct fg_rules *r, const struct fg_job_request *req,
                     const struct fg_tokenizer *t, struct fg_err *err)
{
    size_t n_vocab = fg_tokenizer_n_vocab(t), cap = r->n_suppressed;

    for (size_t id = 0; id < n_vocab; id++) {
        if (!fg_rules_end(req, t, (int32_t)id))
            continue;
        if (!fg_grow((void **)&r->banned, &cap, r->n_suppressed + r->n_ends + 1, sizeof *r->banned))
            return fg_fail(err, FG_ENOMEM, "no memory for the tokens that end an answer");
        r->banned[r->n_suppressed + r->n_ends++] = (int32_t)id;
    }
    return 0;
}

int fg_rules_init(struct fg_rules *r, const struct fg_job_request *req,
                  const struct fg_vocabulary *v, struct fg_err *err)
{
    if (r->set)
        return 0;
    if (v->n_suppressed) {
        r->banned = malloc(v->n_suppressed * sizeof *r->banned);
        if (!r->banned)
            return fg_fail(err, FG_ENOMEM, "no memory for the tokens that the model suppresses");
        memcpy(r->banned, v->suppressed, v->n_suppressed * sizeof *r->banned);
        r->n_suppressed = v->n_suppressed;
    }
    r->set = true;
    r->control = req->show_control;
    for (size_t i = 0; i < req->rules.n_bad_words; i++) {
        size_t n = strlen(req->rules.bad_words[i]);

        r->longest = n > r->longest ? n : r->longest;
    }
    return req->rules.min_tokens || req->form ? find_ends(r, req, v->tokenizer, err) : 0;
}

void fg_rules_finish(struct fg_rules *r)
{
    free(r->banned);
    free(r->bad);
    free(r->bits);
    fg_buffer_finish(&r->said);
    *r = (struct fg_rules){0};
}

/* Are logits changed, or tokens looked at apart from a mask? */
static bool adjusts(const struct fg_job_request *req)
{
    const struct fg_sampling *s = &req->sampling;
    const struct fg_token_rules *rules = &req->rules;

    return s->presence_penalty != 0 || s->frequency_penalty != 0 ||
           (s->repetition_penalty != 0 && s->repetition_penalty != 1) || rules->n_bias ||
           rules->n_allowed || rules->n_bad_words;
}

bool fg_rules_plain(const struct fg_job_request *req)
{
    return !adjusts(req) && !req->form;
}

uint32_t fg_rules_need(const struct fg_rules *r, const struct fg_job_request *req, uint32_t n_vocab)
{
    uint32_t n = adjusts(req) ? 0 : fg_sample_needs(&req->sampling, n_vocab);
    size_t n_banned = r->n_suppressed + r->n_ends;

    /* How many a mask leaves of them is not known; most often the best ones are of the form. */
    if (n && req->form) {
        n = n + FORM_SPARES < FG_BEST_MOST ? n + FORM_SPARES : FG_BEST_MOST;
        return n < n_vocab ? n : 0;
    }
    /* Those that must not be chosen may be the best ones. */
    return n && n + n_banned <= FG_BEST_MOST && n + n_banned < n_vocab ? n + (uint32_t)n_banned : 0;
}

struct fg_adjust fg_rules_adjust(const struct fg_rules *r, const struct fg_job_request *req,
                                 uint32_t n_answer)
{
    const struct fg_token_rules *rules = &req->rules;
    struct fg_adjust a = {.bias = rules->bias,
                          .n_bias = rules->n_bias,
                          .allowed = rules->allowed,
                          .n_allowed = rules->n_allowed,
                          .banned = r->banned,
                          .n_banned = r->n_suppressed,
                          .index = n_answer};

    if (n_answer < rules->min_tokens)
        a.n_banned += r->n_ends;
    return a;
}

int fg_rules_mask(struct fg_rules *r, const struct fg_mask *mask, size_t n_vocab,
                  struct fg_adjust *a, size_t *n, struct fg_err *err)
{
    size_t words = (n_vocab + 63) / 64;

    if (!r->bits)
        r->bits = malloc((words + 1) * sizeof *r->bits);
    if (!r->bits)
        return fg_fail(err, FG_ENOMEM, "no memory for a mask");
    memcpy(r->bits, mask->bits, words * sizeof *r->bits);
    *n = mask->n;
    for (size_t i = 0; i < r->n_ends; i++) {
        uint32_t id = (uint32_t)r->banned[r->n_suppressed + i];
        uint64_t bit = UINT64_C(1) << id % 64;

        *n -= (r->bits[id / 64] & bit) != 0;
        r->bits[id / 64] = mask->complete ? r->bits[id / 64] | bit : r->bits[id / 64] & ~bit;
    }
    a->mask = r->bits;
    a->n_mask = *n + (mask->complete ? r->n_ends : 0);
    return 0;
}

/* Do the last bytes of what was said, and a token's, hold a bad word that ends in the token's? */
static bool completes(const struct fg_rules *r, const struct fg_token_rules *rules,
                      const char *piece, size_t n)
{
    size_t keep = r->longest ? r->longest - 1 : 0, held = r->said.n;

    for (size_t i = 0; i < rules->n_bad_words; i++) {
        const char *word = rules->bad_words[i];
        size_t len = strlen(word);

        if (len <= n && memmem(piece, n, word, len))
            return true;
        /* It begins in what was said: `head` bytes of it. */
        for (size_t head = 1; head < len && head <= held && head <= keep; head++) {
            size_t tail = len - head;

            if (tail <= n && memcmp(word + head, piece, tail) == 0 &&
                memcmp(r->said.p + held - head, word, head) == 0)
                return true;
        }
    }
    return false;
}

bool fg_rules_bad(const struct fg_rules *r, const struct fg_job_request *req,
                  const struct fg_tokenizer *t, int32_t token)
{
    size_t n = 0;
    const char *piece = fg_tokenizer_piece(t, token, &n);

    return req->rules.n_bad_words && n && (r->control || !fg_tokenizer_is_control(t, token)) &&
           completes(r, &req->rules, piece, n);
}

int fg_rules_ban_bad(struct fg_rules *r, const struct fg_job_request *req,
                     const struct fg_tokenizer *t, struct fg_adjust *a, struct fg_err *err)
{
    size_t n_vocab = fg_tokenizer_n_vocab(t), n = a->n_banned;

    if (!r->bad)
        r->bad = calloc(n_vocab + r->n_suppressed + r->n_ends, sizeof *r->bad);
    if (!r->bad)
        return fg_fail(err, FG_ENOMEM, "no memory for bad words");
    if (n)
        memcpy(r->bad, a->banned, n * sizeof *r->bad);
    for (size_t id = 0; id < n_vocab; id++)
        if (fg_rules_bad(r, req, t, (int32_t)id))
            r->bad[n++] = (int32_t)id;
    a->banned = r->bad;
    a->n_banned = n;
    return 0;
}

int fg_rules_push(struct fg_rules *r, const struct fg_tokenizer *t, int32_t token,
                  struct fg_err *err)
{
    size_t n = 0;
    const char *piece = fg_tokenizer_piece(t, token, &n);

    if (!r->longest || !n || (!r->control && fg_tokenizer_is_control(t, token)))
        return 0;
    if (r->said.n > 2 * r->longest) { /* only its end can begin a word */
        memmove(r->said.p, r->said.p + r->said.n - r->longest, r->longest);
        r->said.n = r->longest;
    }
    fg_buffer_add(&r->said, piece, n);
    return r->said.failed ? fg_fail(err, FG_ENOMEM, "no memory for the end of an answer") : 0;
}
