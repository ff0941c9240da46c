#include "bpe.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "merge_heap.h"

#define NONE UINT32_MAX

struct fg_bpe_symbol {
    uint32_t prev, next; /* indices, NONE at the ends */
    int32_t id;          /* -1: merged into its left neighbour */
    uint32_t rank;       /* of the merge with the next symbol, NONE: there is none */
};

static size_t slot_of(const struct fg_bpe *b, uint64_t pair)
{
    uint64_t h = pair * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(h ^ h >> 32) & b->mask;

    while (b->table[at].rank != NONE && b->table[at].pair != pair) {
        at = (at + 1) & b->mask;
    }
    return at;
}

static uint64_t pair_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* "left right": neither part is empty, and the alphabet has no space. */
static bool split_merge(struct fg_str merge, struct fg_str *left, struct fg_str *right)
{
    const char *space = merge.n > 2 ? memchr(merge.p + 1, ' ', merge.n - 2) : NULL;

    if (!space) {
        return false;
    }
    *left = (struct fg_str){merge.p, (size_t)(space - merge.p)};
    *right = (struct fg_str){space + 1, merge.n - left->n - 1};
    return true;
}

/* `room` holds the bytes of the merge. */
static int read_merge(struct fg_bpe *b, const struct fg_vocab *v, struct fg_str merge,
                      uint32_t rank, char *room, struct fg_err *err)
{
    struct fg_str left, right;
    size_t n_left, n_right, at;
    int32_t l, r, whole;

    if (!split_merge(merge, &left, &right)) {
        return fg_fail(err, FG_EFORMAT,
                       "tokenizer.ggml.merges[%u] is \"%.*s\"; wanted two tokens "
                       "with a space between them",
                       rank, (int)(merge.n < 80 ? merge.n : 80), merge.p);
    }
    n_left = fg_vocab_unalphabet(left, room);
    n_right = n_left == SIZE_MAX ? SIZE_MAX : fg_vocab_unalphabet(right, room + n_left);
    l = r = whole = -1;
    if (n_right != SIZE_MAX) {
        l = fg_vocab_find(v, (struct fg_str){room, n_left});
        r = fg_vocab_find(v, (struct fg_str){room + n_left, n_right});
        whole = fg_vocab_find(v, (struct fg_str){room, n_left + n_right});
    }
    if (l < 0 || r < 0 || whole < 0) {
        return fg_fail(err, FG_EFORMAT,
                       "tokenizer.ggml.merges[%u] is \"%.*s\", but the vocabulary "
                       "lacks %s",
                       rank, (int)(merge.n < 80 ? merge.n : 80), merge.p,
                       l < 0   ? "its left part"
                       : r < 0 ? "its right part"
                               : "what it makes");
    }
    b->result[rank] = whole;
    b->longest = n_left + n_right > b->longest ? n_left + n_right : b->longest;
    at = slot_of(b, pair_of(l, r));
    if (b->table[at].rank == NONE && v->kind[whole] != FG_TOKEN_CONTROL) {
        b->table[at] = (struct fg_bpe_slot){pair_of(l, r), rank};
    }
    return 0;
}

int fg_bpe_init(struct fg_bpe *b, const struct fg_vocab *v, const struct fg_vocab_spec *spec,
                struct fg_err *err)
{
    size_t slots = 16, longest = 0;
    char *room;
    int rc = 0;

    *b = (struct fg_bpe){.longest = 1};
    if (spec->n_merges > INT32_MAX) {
        return fg_fail(err, FG_EFORMAT, "the tokenizer has %zu merges; wanted at most %d",
                       spec->n_merges, INT32_MAX);
    }
    for (size_t i = 0; i < spec->n_merges; i++) {
        longest = spec->merges[i].n > longest ? spec->merges[i].n : longest;
    }
    while (slots < 2 * spec->n_merges) {
        slots *= 2;
    }
    b->mask = slots - 1;
    b->table = malloc(slots * sizeof *b->table);
    b->result = malloc((spec->n_merges + 1) * sizeof *b->result);
    room = malloc(longest + 1);
    if (!b->table || !b->result || !room) {
        rc = fg_fail(err, FG_ENOMEM, "out of memory for %zu merges", spec->n_merges);
    }
    for (size_t i = 0; rc == 0 && i < slots; i++) {
        b->table[i] = (struct fg_bpe_slot){0, NONE};
    }
    for (size_t i = 0; rc == 0 && i < spec->n_merges; i++) {
        rc = read_merge(b, v, spec->merges[i], (uint32_t)i, room, err);
    }
    free(room);
    if (rc < 0) {
        fg_bpe_finish(b);
    }
    return rc;
}

void fg_bpe_finish(struct fg_bpe *b)
{
    free(b->result);
    free(b->table);
    *b = (struct fg_bpe){0};
}

int fg_bpe_emit(struct fg_bpe_work *w, int32_t id)
{
    void *mem = w->ids;

    if (w->most && w->n_ids >= w->most) {
        return FG_ETOOLONG;
    }
    if (!fg_grow(&mem, &w->ids_cap, w->n_ids + 1, sizeof *w->ids)) {
        return FG_ENOMEM;
    }
    w->ids = mem;
    w->ids[w->n_ids++] = id;
    return 0;
}

/* Looks up the merge of symbol `at` with its successor and queues it. */
static void queue_pair(const struct fg_bpe *b, struct fg_bpe_work *w, size_t *n_heap, uint32_t at)
{
    struct fg_bpe_symbol *s = &w->symbols[at];

    s->rank = NONE;
    if (s->next != NONE) {
        s->rank = b->table[slot_of(b, pair_of(s->id, w->symbols[s->next].id))].rank;
    }
    if (s->rank != NONE) {
        fg_merge_heap_push(w->heap, n_heap, (uint64_t)s->rank << 32 | at);
    }
}

static void merge_all(const struct fg_bpe *b, struct fg_bpe_work *w, uint32_t n)
{
    size_t n_heap = 0;

    for (uint32_t i = 0; i < n; i++) {
        queue_pair(b, w, &n_heap, i);
    }
    while (n_heap > 0) {
        uint64_t top = fg_merge_heap_pop(w->heap, &n_heap);
        struct fg_bpe_symbol *s = &w->symbols[(uint32_t)top], *gone;
        /* An entry whose pair has changed since it was queued says nothing any more. */
        if (s->id < 0 || s->rank != top >> 32) {
            continue;
        }
        gone = &w->symbols[s->next];
        s->id = b->result[s->rank];
        s->next = gone->next;
        gone->id = -1;
        if (s->next != NONE) {
            w->symbols[s->next].prev = (uint32_t)top;
        }
        queue_pair(b, w, &n_heap, (uint32_t)top);
        if (s->prev != NONE) {
            queue_pair(b, w, &n_heap, s->prev);
        }
    }
}

static int reserve(struct fg_bpe_work *w, size_t n)
{
    void *symbols = w->symbols, *heap = w->heap;
    bool ok = fg_grow(&symbols, &w->symbols_cap, n, sizeof *w->symbols);

    w->symbols = symbols;
    /* Each of at most n - 1 merges takes one entry and leaves two. */
    ok = ok && fg_grow(&heap, &w->heap_cap, 2 * n, sizeof *w->heap);
    w->heap = heap;
    return ok ? 0 : FG_ENOMEM;
}

/* What the piece takes, before any of it is taken: no token is made of more symbols than the
 * longest has bytes. */
static int check_length(const struct fg_bpe *b, const struct fg_bpe_work *w, size_t symbols)
{
    const size_t least = symbols / b->longest + (symbols % b->longest != 0);

    if (w->most && least > w->most - w->n_ids) {
        return FG_ETOOLONG;
    }
    return symbols > FG_BPE_MAX_PIECE ? FG_EUNSUPPORTED : 0;
}

static size_t count_symbols(const struct fg_vocab *v, struct fg_str piece, int32_t unk)
{
    size_t n = 0;

    for (size_t i = 0; i < piece.n; i++) {
        n += unk >= 0 || v->byte[(unsigned char)piece.p[i]] >= 0;
    }
    return n;
}

int fg_bpe_encode(const struct fg_bpe *b, const struct fg_vocab *v, struct fg_bpe_work *w,
                  struct fg_str piece, int32_t unk)
{
    const size_t symbols = count_symbols(v, piece, unk);
    uint32_t n = 0;
    int rc = check_length(b, w, symbols);

    if (rc == 0) {
        rc = reserve(w, symbols);
    }

    for (size_t i = 0; rc == 0 && i < piece.n; i++) {
        int32_t id = v->byte[(unsigned char)piece.p[i]];
        id = id < 0 ? unk : id;
        if (id >= 0) {
            w->symbols[n] = (struct fg_bpe_symbol){n - 1, n + 1, id, NONE};
            n++;
        }
    }
    if (rc < 0 || n == 0) {
        return rc;
    }
    w->symbols[n - 1].next = NONE; /* and 0 - 1 is NONE */
    merge_all(b, w, n);
    for (uint32_t i = 0; rc == 0 && i != NONE; i = w->symbols[i].next) {
        rc = fg_bpe_emit(w, w->symbols[i].id);
    }
    return rc;
}

void fg_bpe_work_finish(struct fg_bpe_work *w)
{
    free(w->ids);
    free(w->heap);
    free(w->symbols);
    *w = (struct fg_bpe_work){0};
}
