/* What all parts of the interpreter share while one template is compiled or rendered: memory, the
 * way out of an error, where in the template we are, and what may still be spent.
 *
 * jj_ is short for the interpreter. Memory comes from an arena that is freed as a whole, so errors
 * leave by longjmp() to jj_try(): nothing between needs cleaning up,
 * and a function that returns has succeeded. One thread at a time uses one struct jj. */
#ifndef JJ_CORE_H
#define JJ_CORE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jinja.h"

struct jj_chunk; /* of the arena */

struct jj_arena {
    struct jj_chunk *chunks; /* newest first */
    char *at, *end;          /* what is left of the newest */
    size_t bytes, limit;     /* taken from the heap so far, and at most */
};

void jj_arena_finish(struct jj_arena *a);

struct jj_scope;
struct jj_text;
struct jj_origin;

struct jj {
    jmp_buf out; /* where errors go */
    struct jj_arena arena;
    struct fg_jinja_error *error;
    int code;              /* of the error: FG_E* */
    uint32_t line, column; /* of what is compiled or run now */
    unsigned depth, max_depth;
    uint64_t steps; /* left */
    /* Only while rendering. */
    const struct fg_jinja_program *program;
    const struct fg_jinja_input *input;
    struct jj_text *text; /* where output goes now */
    struct jj_text *root; /* where the output of the template itself goes */
    size_t max_output;
    struct jj_scope *scope;    /* the innermost */
    struct jj_origin *origins; /* what the numbers of sources mean; [0] is the template */
    size_t n_origins, cap_origins;
    struct fg_jinja_range *turns, *generations;
    size_t n_turns, cap_turns, n_generations, cap_generations;
};

/* Runs body(j, arg). False where jj_fail() ended it: *j->error and j->code say why. */
bool jj_try(struct jj *j, void (*body)(struct jj *j, void *arg), void *arg);
/* Ends what jj_try() runs with this error, at j's line and column. */
__attribute__((format(printf, 3, 4))) _Noreturn void
jj_fail(struct jj *j, enum fg_jinja_cause cause, const char *fmt, ...);
/* The same, for what values do not allow. */
#define jj_raise(j, ...) jj_fail(j, FG_JINJA_RUN, __VA_ARGS__)

/* Spends n steps. */
void jj_spend(struct jj *j, uint64_t n);
/* Spends what it costs to look at n bytes. */
void jj_spend_bytes(struct jj *j, size_t n);
/* Spends what it costs to look at each character of n bytes. */
void jj_spend_chars(struct jj *j, size_t n);
/* One level deeper; each has its jj_leave(). */
void jj_enter(struct jj *j);
void jj_leave(struct jj *j);

/* Zeroed memory from the arena. */
void *jj_alloc(struct jj *j, size_t n);
/* Room for `want` elements of `size` bytes in an array of *cap, of which the first `used` are kept.
 * Returns the array, moved or not. */
void *jj_grow(struct jj *j, void *array, size_t *cap, size_t want, size_t size);

#endif
