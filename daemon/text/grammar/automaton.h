/* The automaton of a grammar over the tokens of a vocabulary: where a text stands, and which tokens
 * may come next.
 *
 * A place is a set of (state, stack of returns): all ways in which the grammar can have taken what
 * was said. Stacks are lists that share their ends, and equal ones are one; so equal places are one
 * too, and what was found out of a place (where a byte leads, which tokens are allowed) is found
 * once. The memory of that is bounded: fg_automaton_full() says when to move on to another one.
 *
 * One thread at a time; a mask is read by any thread as long as the automaton is there. */
#ifndef FG_AUTOMATON_H
#define FG_AUTOMATON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fulgur/error.h"
#include "grammar.h"
#include "token_trie.h"

struct fg_automaton;

enum {
    FG_PLACE_NOWHERE, /* what was said is no beginning of a text of the grammar */
    FG_PLACE_START,   /* nothing was said */
};

struct fg_mask {
    bool complete;   /* what was said is a whole text of the grammar: the answer may end */
    size_t n;        /* tokens that are allowed */
    uint64_t bits[]; /* by id; (n_vocab + 63) / 64 words */
};

/* Takes over the grammar; the trie (NULL: there are only bytes, and no masks) must outlive it.
 * FG_ENOMEM; FG_EFULL: the grammar can be read in too many ways at once. On failure the grammar is
 * destroyed. */
int fg_automaton_create(struct fg_grammar *g, const struct fg_token_trie *trie,
                        struct fg_automaton **out, struct fg_err *err);
void fg_automaton_destroy(struct fg_automaton *a); /* takes NULL */

/* From a place by some bytes: *to may be FG_PLACE_NOWHERE. FG_ENOMEM, FG_EFULL as above. */
int fg_automaton_walk(struct fg_automaton *a, uint32_t from, struct fg_str bytes, uint32_t *to,
                      struct fg_err *err);
/* May the text end there? */
bool fg_automaton_accepts(const struct fg_automaton *a, uint32_t place);
/* The tokens that lead anywhere from a place; the automaton's. FG_ENOMEM, FG_EFULL. */
int fg_automaton_mask(struct fg_automaton *a, uint32_t place, const struct fg_mask **out,
                      struct fg_err *err);

size_t fg_automaton_bytes(const struct fg_automaton *a);
/* Does it hold more than it should? Then a new one of the same grammar takes its place:
 * fg_automaton_renew() makes one, whose grammar is shared with the old one, and
 * fg_automaton_move() finds the same place there. FG_ENOMEM, FG_EFULL. */
bool fg_automaton_full(const struct fg_automaton *a);
int fg_automaton_renew(const struct fg_automaton *a, struct fg_automaton **out, struct fg_err *err);
int fg_automaton_move(const struct fg_automaton *from, uint32_t place, struct fg_automaton *to,
                      uint32_t *out, struct fg_err *err);

#endif
