#include "automaton.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

enum {
    MAX_WAYS = 1 << 14,    /* (state, stack) pairs that are looked at for one byte */
    FULL_BYTES = 24 << 20, /* then it is time for another one */
    MOST_BYTES = 64 << 20, /* what one mask may make of it */
    MASK_WORK = 1 << 25,   /* pairs that are looked at for one mask */
    UNKNOWN = 0x7fffffff,
};

/* A stack: where to go on, and what is below. 0 is the empty one. */
struct stack {
    uint32_t state, below;
};

struct place {
    uint32_t first, n; /* its ways: a->ways[first ..), ascending */
    bool accepts;
    uint32_t *next; /* [n_classes], or NULL */
    struct fg_mask *mask;
};

/* Numbers of equal things, by their hash. */
struct table {
    uint32_t *slots; /* number + 1; 0: free */
    size_t mask, used;
};

struct shared_grammar {
    _Atomic int refs;
    struct fg_grammar *g;
};

struct fg_automaton {
    struct shared_grammar *grammar;
    const struct fg_grammar *g;
    const struct fg_token_trie *trie;
    struct stack *stacks;
    size_t n_stacks, cap_stacks;
    struct table stack_table;
    struct place *places;
    size_t n_places, cap_places;
    struct table place_table;
    uint64_t *ways; /* state << 32 | stack */
    size_t n_ways, cap_ways;
    size_t extra_bytes; /* of rows and masks */
    /* Scratch of one step. */
    uint64_t *todo; /* [MAX_WAYS + 2] */
    size_t n_todo;
    uint64_t *seen; /* [2 * MAX_WAYS], 0: free */
    uint32_t *seen_at;
    size_t n_seen;
    uint64_t *found; /* [MAX_WAYS] */
    size_t n_found;
    bool accepts;
    size_t work; /* pairs looked at */
    int error;
};

static uint64_t mix(uint64_t h)
{
    h ^= h >> 32;
    h *= UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

/* Room for one more in a table: true. */
static bool grow_table(struct table *t, uint64_t (*hash)(const struct fg_automaton *, uint32_t),
                       const struct fg_automaton *a)
{
    size_t old = t->slots ? t->mask + 1 : 0, size = old ? 2 * old : 256;
    uint32_t *slots;

    if (old && 2 * (t->used + 1) <= old)
        return true;
    slots = calloc(size, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < old; i++) {
        size_t at;

        if (!t->slots[i])
            continue;
        at = hash(a, t->slots[i] - 1) & (size - 1);
        while (slots[at])
            at = (at + 1) & (size - 1);
        slots[at] = t->slots[i];
    }
    free(t->slots);
    t->slots = slots;
    t->mask = size - 1;
    return true;
}

static uint64_t hash_stack_of(struct stack s)
{
    return mix((uint64_t)s.state << 32 | s.below);
}

static uint64_t hash_stack(const struct fg_automaton *a, uint32_t i)
{
    return hash_stack_of(a->stacks[i]);
}

static uint64_t hash_ways(const uint64_t *ways, size_t n, bool accepts)
{
    uint64_t h = mix(n * 2 + accepts);

    for (size_t i = 0; i < n; i++)
        h = mix(h ^ ways[i]);
    return h;
}

static uint64_t hash_place(const struct fg_automaton *a, uint32_t i)
{
    const struct place *p = &a->places[i];

    return hash_ways(a->ways + p->first, p->n, p->accepts);
}

/* The stack with `state` on `below`. */
static uint32_t push(struct fg_automaton *a, uint32_t state, uint32_t below)
{
    struct stack s = {state, below};
    struct table *t = &a->stack_table;
    size_t at;

    if (!grow_table(t, hash_stack, a) ||
        !fg_grow((void **)&a->stacks, &a->cap_stacks, a->n_stacks + 1, sizeof *a->stacks)) {
        a->error = FG_ENOMEM;
        return 0;
    }
    for (at = hash_stack_of(s) & t->mask; t->slots[at]; at = (at + 1) & t->mask) {
        const struct stack *other = &a->stacks[t->slots[at] - 1];

        if (other->state == state && other->below == below)
            return t->slots[at] - 1;
    }
    a->stacks[a->n_stacks] = s;
    t->slots[at] = (uint32_t)++a->n_stacks;
    t->used++;
    return (uint32_t)a->n_stacks - 1;
}

/* --- one step: ways are added, and followed to where they wait for a byte --- */

static void begin_step(struct fg_automaton *a)
{
    for (size_t i = 0; i < a->n_seen; i++)
        a->seen[a->seen_at[i]] = 0;
    a->n_seen = a->n_todo = a->n_found = 0;
    a->accepts = false;
}

static void add_way(struct fg_automaton *a, uint32_t state, uint32_t stack)
{
    uint64_t way = (uint64_t)state << 32 | stack;
    size_t at = mix(way) & (2 * MAX_WAYS - 1);

    if (state == 0 || a->error)
        return;
    while (a->seen[at] && a->seen[at] != way)
        at = (at + 1) & (2 * MAX_WAYS - 1);
    if (a->seen[at])
        return;
    if (a->n_seen == MAX_WAYS) {
        a->error = FG_EFULL;
        return;
    }
    a->seen[at] = way;
    a->seen_at[a->n_seen++] = (uint32_t)at;
    a->todo[a->n_todo++] = way;
}

static void follow(struct fg_automaton *a)
{
    while (a->n_todo && !a->error) {
        uint64_t way = a->todo[--a->n_todo];
        uint32_t stack = (uint32_t)way;
        const struct fg_state *s = &a->g->states[way >> 32];

        a->work++;
        switch (s->kind) {
        case FG_STATE_BYTE: a->found[a->n_found++] = way; break;
        case FG_STATE_SPLIT:
            add_way(a, s->next, stack);
            add_way(a, s->other, stack);
            break;
        case FG_STATE_CALL: /* what would only return is not pushed */
            add_way(a, s->other,
                    a->g->states[s->next].kind == FG_STATE_RETURN ? stack
                                                                  : push(a, s->next, stack));
            break;
        case FG_STATE_RETURN:
            if (stack)
                add_way(a, a->stacks[stack].state, a->stacks[stack].below);
            else
                a->accepts = true;
            break;
        default: break;
        }
    }
}

static int compare_ways(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;

    return a < b ? -1 : a > b;
}

static uint32_t add_place(struct fg_automaton *a, size_t slot)
{
    if (!fg_grow((void **)&a->places, &a->cap_places, a->n_places + 1, sizeof *a->places) ||
        !fg_grow((void **)&a->ways, &a->cap_ways, a->n_ways + a->n_found + 1, sizeof *a->ways)) {
        a->error = FG_ENOMEM;
        return FG_PLACE_NOWHERE;
    }
    a->places[a->n_places] = (struct place){
        .first = (uint32_t)a->n_ways, .n = (uint32_t)a->n_found, .accepts = a->accepts};
    if (a->n_found)
        memcpy(a->ways + a->n_ways, a->found, a->n_found * sizeof *a->ways);
    a->n_ways += a->n_found;
    a->place_table.slots[slot] = (uint32_t)++a->n_places;
    a->place_table.used++;
    return (uint32_t)a->n_places - 1;
}

/* The place of what the step found. */
static uint32_t end_step(struct fg_automaton *a)
{
    struct table *t = &a->place_table;
    size_t at;

    if (a->error)
        return FG_PLACE_NOWHERE;
    qsort(a->found, a->n_found, sizeof *a->found, compare_ways);
    if (!grow_table(t, hash_place, a)) {
        a->error = FG_ENOMEM;
        return FG_PLACE_NOWHERE;
    }
    at = hash_ways(a->found, a->n_found, a->accepts) & t->mask;
    for (; t->slots[at]; at = (at + 1) & t->mask) {
        const struct place *p = &a->places[t->slots[at] - 1];

        if (p->n == a->n_found && p->accepts == a->accepts &&
            (!p->n || memcmp(a->ways + p->first, a->found, p->n * sizeof *a->ways) == 0))
            return t->slots[at] - 1;
    }
    return add_place(a, at);
}

static uint32_t step(struct fg_automaton *a, uint32_t from, uint8_t byte)
{
    struct place *p = &a->places[from];
    uint8_t class = a->g->classes[byte];
    uint32_t to;

    if (!p->next) {
        p->next = malloc(a->g->n_classes * sizeof *p->next);
        if (!p->next) {
            a->error = FG_ENOMEM;
            return FG_PLACE_NOWHERE;
        }
        for (uint32_t i = 0; i < a->g->n_classes; i++)
            p->next[i] = UNKNOWN;
        a->extra_bytes += a->g->n_classes * sizeof *p->next;
    }
    if (p->next[class] != UNKNOWN)
        return p->next[class];
    begin_step(a);
    for (uint32_t i = 0; i < p->n; i++) {
        uint64_t way = a->ways[p->first + i];
        const struct fg_state *s = &a->g->states[way >> 32];

        a->work++;
        if (byte >= s->low && byte <= s->high)
            add_way(a, s->next, (uint32_t)way);
    }
    follow(a);
    to = end_step(a);
    if (!a->error) /* the array of places may lie elsewhere now */
        a->places[from].next[class] = to;
    return to;
}

/* What went wrong since, if anything did. */
static int outcome(struct fg_automaton *a, struct fg_err *err)
{
    int rc = a->error;

    a->error = 0;
    if (rc == FG_ENOMEM)
        return fg_fail(err, rc, "no memory to follow a grammar");
    if (rc)
        return fg_fail(err, rc, "the grammar can be read in too many ways at once");
    return 0;
}

int fg_automaton_walk(struct fg_automaton *a, uint32_t from, struct fg_str bytes, uint32_t *to,
                      struct fg_err *err)
{
    *to = from;
    for (size_t i = 0; i < bytes.n && *to && !a->error; i++)
        *to = step(a, *to, (uint8_t)bytes.p[i]);
    return outcome(a, err);
}

bool fg_automaton_accepts(const struct fg_automaton *a, uint32_t place)
{
    return a->places[place].accepts;
}

/* --- masks --- */

static void fill(struct fg_automaton *a, uint32_t place, uint32_t *at, struct fg_mask *mask)
{
    const struct fg_token_trie *trie = a->trie;

    at[0] = place;
    for (size_t i = 0; i < trie->n_nodes && !a->error;) {
        const struct fg_trie_node *node = &trie->nodes[i];
        uint32_t to = step(a, at[node->depth - 1], (uint8_t)node->byte);

        if (a->work > MASK_WORK || fg_automaton_bytes(a) > MOST_BYTES)
            a->error = a->error ? a->error : FG_EFULL;
        if (!to) {
            i = node->after;
            continue;
        }
        at[node->depth] = to;
        for (uint32_t t = node->token; t < trie->nodes[i + 1].token; t++) {
            uint32_t id = (uint32_t)trie->tokens[t];

            mask->bits[id / 64] |= UINT64_C(1) << id % 64;
            mask->n++;
        }
        i++;
    }
}

int fg_automaton_mask(struct fg_automaton *a, uint32_t place, const struct fg_mask **out,
                      struct fg_err *err)
{
    size_t words = (a->trie->n_vocab + 63) / 64;
    struct fg_mask *mask = a->places[place].mask;
    uint32_t *at;
    int rc;

    *out = mask;
    if (mask)
        return 0;
    mask = calloc(1, sizeof *mask + words * sizeof *mask->bits);
    at = malloc((a->trie->deepest + 2) * sizeof *at);
    if (!mask || !at)
        a->error = FG_ENOMEM;
    else
        fill(a, place, at, mask);
    a->work = 0;
    free(at);
    rc = outcome(a, err);
    if (rc) {
        free(mask);
        return rc;
    }
    mask->complete = a->places[place].accepts;
    a->places[place].mask = mask;
    a->extra_bytes += sizeof *mask + words * sizeof *mask->bits;
    *out = mask;
    return 0;
}

/* --- life --- */

static void unref(struct shared_grammar *grammar)
{
    if (!grammar || atomic_fetch_sub(&grammar->refs, 1) != 1)
        return;
    fg_grammar_destroy(grammar->g);
    free(grammar);
}

static int create(struct shared_grammar *grammar, const struct fg_token_trie *trie,
                  struct fg_automaton **out, struct fg_err *err)
{
    struct fg_automaton *a = calloc(1, sizeof *a);
    int rc;

    *out = NULL;
    if (!a)
        return fg_fail(err, FG_ENOMEM, "no memory to follow a grammar");
    atomic_fetch_add(&grammar->refs, 1);
    a->grammar = grammar;
    a->g = grammar->g;
    a->trie = trie;
    a->todo = malloc((MAX_WAYS + 2) * sizeof *a->todo);
    a->seen = calloc(2 * MAX_WAYS, sizeof *a->seen);
    a->seen_at = malloc(MAX_WAYS * sizeof *a->seen_at);
    a->found = malloc(MAX_WAYS * sizeof *a->found);
    if (!a->todo || !a->seen || !a->seen_at || !a->found)
        a->error = FG_ENOMEM;
    if (!a->error)
        push(a, 0, 0); /* the empty stack */
    if (!a->error)
        end_step(a); /* nowhere */
    if (!a->error)
        add_way(a, a->g->start, 0);
    if (!a->error)
        follow(a);
    if (!a->error)
        end_step(a);
    rc = outcome(a, err);
    if (rc)
        fg_automaton_destroy(a);
    else
        *out = a;
    return rc;
}

int fg_automaton_create(struct fg_grammar *g, const struct fg_token_trie *trie,
                        struct fg_automaton **out, struct fg_err *err)
{
    struct shared_grammar *grammar = calloc(1, sizeof *grammar);
    int rc;

    *out = NULL;
    if (!grammar) {
        fg_grammar_destroy(g);
        return fg_fail(err, FG_ENOMEM, "no memory for a grammar");
    }
    grammar->g = g;
    atomic_init(&grammar->refs, 1);
    rc = create(grammar, trie, out, err);
    unref(grammar);
    return rc;
}

void fg_automaton_destroy(struct fg_automaton *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->n_places; i++) {
        free(a->places[i].next);
        free(a->places[i].mask);
    }
    free(a->places);
    free(a->stacks);
    free(a->ways);
    free(a->stack_table.slots);
    free(a->place_table.slots);
    free(a->todo);
    free(a->seen);
    free(a->seen_at);
    free(a->found);
    unref(a->grammar);
    free(a);
}

size_t fg_automaton_bytes(const struct fg_automaton *a)
{
    return a->extra_bytes + a->cap_places * sizeof *a->places + a->cap_ways * sizeof *a->ways +
           a->cap_stacks * sizeof *a->stacks;
}

bool fg_automaton_full(const struct fg_automaton *a)
{
    return fg_automaton_bytes(a) > FULL_BYTES;
}

int fg_automaton_renew(const struct fg_automaton *a, struct fg_automaton **out, struct fg_err *err)
{
    return create(a->grammar, a->trie, out, err);
}

/* The same stack in another automaton: its states from the bottom. */
static uint32_t move_stack(const struct fg_automaton *from, uint32_t stack, uint32_t *states,
                           struct fg_automaton *to)
{
    size_t n = 0;
    uint32_t moved = 0;

    for (; stack; stack = from->stacks[stack].below)
        states[n++] = from->stacks[stack].state;
    while (n-- > 0 && !to->error)
        moved = push(to, states[n], moved);
    return moved;
}

int fg_automaton_move(const struct fg_automaton *from, uint32_t place, struct fg_automaton *to,
                      uint32_t *out, struct fg_err *err)
{
    const struct place *p = &from->places[place];
    uint32_t *states = malloc((from->n_stacks + 1) * sizeof *states);

    begin_step(to);
    if (!states)
        to->error = FG_ENOMEM;
    for (uint32_t i = 0; i < p->n && !to->error; i++) {
        uint64_t way = from->ways[p->first + i];

        to->found[to->n_found++] = (way >> 32) << 32 | move_stack(from, (uint32_t)way, states, to);
    }
    to->accepts = p->accepts;
    free(states);
    *out = end_step(to);
    return outcome(to, err);
}
