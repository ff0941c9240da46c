#include "spm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "merge_heap.h"

#define NONE UINT32_MAX

struct symbol {
    uint32_t prev, next;  /* indices, NONE at the ends */
    uint32_t start, size; /* bytes of the text; size 0: merged into its left neighbour */
    uint32_t rank;        /* of the merge with the next symbol, NONE: there is none */
};

/* A number that falls as the score rises, and is never NONE. */
static uint32_t rank_of(float score)
{
    uint32_t bits;

    score += 0.0f; /* -0 and 0 are one */
    memcpy(&bits, &score, sizeof bits);
    return ~(bits >> 31 ? ~bits : bits | UINT32_C(1) << 31);
}

int fg_spm_init(struct fg_spm *s, const struct fg_vocab *v, const struct fg_vocab_spec *spec,
                struct fg_err *err)
{
    *s = (struct fg_spm){.longest = 1};
    if (!spec->scores) {
        return fg_fail(err, FG_EFORMAT, "tokenizer.ggml.scores is missing");
    }
    s->rank = malloc(v->n * sizeof *s->rank);
    if (!s->rank) {
        return fg_fail(err, FG_ENOMEM, "out of memory for %zu scores", v->n);
    }
    for (size_t i = 0; i < v->n; i++) {
        size_t n = fg_vocab_piece(v, (int32_t)i).n;
        if (!isfinite(spec->scores[i])) {
            fg_spm_finish(s);
            return fg_fail(err, FG_EFORMAT, "tokenizer.ggml.scores[%zu] is not a finite number", i);
        }
        s->rank[i] = rank_of(spec->scores[i]);
        s->longest = n > s->longest ? n : s->longest;
    }
    return 0;
}

void fg_spm_finish(struct fg_spm *s)
{
    free(s->rank);
    *s = (struct fg_spm){0};
}

/* One call of encode. */
struct merging {
    const struct fg_spm *s;
    const struct fg_vocab *v;
    const char *text;
    struct symbol *symbols;
    uint64_t *heap;
    size_t n_heap;
};

static int32_t token_of(const struct merging *m, size_t start, size_t size)
{
    return size > m->s->longest ? -1 : fg_vocab_find(m->v, (struct fg_str){m->text + start, size});
}

/* Looks up what symbol `at` and its successor make, and queues it. */
static void queue_pair(struct merging *m, uint32_t at)
{
    struct symbol *y = &m->symbols[at];
    int32_t id = -1;

    if (y->next != NONE) {
        id = token_of(m, y->start, (size_t)y->size + m->symbols[y->next].size);
    }
    y->rank = id < 0 ? NONE : m->s->rank[id];
    if (id >= 0) {
        fg_merge_heap_push(m->heap, &m->n_heap, (uint64_t)y->rank << 32 | at);
    }
}

static void merge_all(struct merging *m, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        queue_pair(m, i);
    }
    while (m->n_heap > 0) {
        uint64_t top = fg_merge_heap_pop(m->heap, &m->n_heap);
        struct symbol *y = &m->symbols[(uint32_t)top], *gone;
        /* An entry whose pair has changed since it was queued says nothing any more. */
        if (y->size == 0 || y->rank != top >> 32) {
            continue;
        }
        gone = &m->symbols[y->next];
        y->size += gone->size;
        y->next = gone->next;
        gone->size = 0;
        if (y->next != NONE) {
            m->symbols[y->next].prev = (uint32_t)top;
        }
        queue_pair(m, (uint32_t)top);
        if (y->prev != NONE) {
            queue_pair(m, y->prev);
        }
    }
}

/* The tokens of a symbol. *unknown: the last byte had none. */
static int emit(const struct merging *m, struct fg_bpe_work *w, const struct symbol *y, int32_t unk,
                bool *unknown)
{
    int32_t id = token_of(m, y->start, y->size);
    int rc = 0;

    if (id >= 0) {
        *unknown = false;
        return fg_bpe_emit(w, id);
    }
    for (uint32_t i = 0; rc == 0 && i < y->size; i++) {
        id = m->v->byte[(unsigned char)m->text[y->start + i]];
        if (id >= 0 || (unk >= 0 && !*unknown)) {
            rc = fg_bpe_emit(w, id >= 0 ? id : unk);
        }
        *unknown = id < 0;
    }
    return rc;
}

/* Characters, and bytes that belong to none; returns how many. */
static uint32_t split(struct symbol *symbols, struct fg_str text)
{
    uint32_t n = 0;

    for (size_t at = 0, len; at < text.n; at += len) {
        len = fg_utf8_length(text.p + at, text.n - at);
        len = len ? len : 1;
        symbols[n] = (struct symbol){n - 1, n + 1, (uint32_t)at, (uint32_t)len, NONE};
        n++;
    }
    symbols[n - 1].next = NONE; /* and 0 - 1 is NONE */
    return n;
}

int fg_spm_encode(const struct fg_spm *s, const struct fg_vocab *v, struct fg_bpe_work *w,
                  struct fg_str text, int32_t unk)
{
    struct merging m = {.s = s, .v = v, .text = text.p};
    bool unknown = false;
    uint32_t n;
    int rc = 0;

    if (text.n == 0) {
        return 0;
    }
    if (w->most && text.n / s->longest > w->most - w->n_ids) {
        return FG_ETOOLONG;
    }
    if (text.n > FG_BPE_MAX_PIECE) {
        return FG_EUNSUPPORTED;
    }
    m.symbols = malloc(text.n * sizeof *m.symbols);
    /* Each of at most n - 1 merges takes one entry and leaves two. */
    m.heap = malloc(2 * text.n * sizeof *m.heap);
    if (m.symbols && m.heap) {
        n = split(m.symbols, text);
        merge_all(&m, n);
        for (uint32_t i = 0; rc == 0 && i != NONE; i = m.symbols[i].next) {
            rc = emit(&m, w, &m.symbols[i], unk, &unknown);
        }
    } else {
        rc = FG_ENOMEM;
    }
    free(m.heap);
    free(m.symbols);
    return rc;
}
