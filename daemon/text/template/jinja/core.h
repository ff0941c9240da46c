/* What all parts of the interpreter share while one template is compiled or rendered: memory, the
 * way out of an error, where in the template we are, and what may still be spent.
 *
 * fg_jj_ is short for the interpreter. Memory comes from an arena that is freed as a whole, so
 * errors leave by longjmp() to fg_jj_try(): nothing between needs cleaning up, and a function that
 * returns has succeeded. One thread at a time uses one struct fg_jj. */
#ifndef FG_JJ_CORE_H
#define FG_JJ_CORE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jinja.h"

struct fg_jj_chunk; /* of the arena */

struct fg_jj_arena {
    struct fg_jj_chunk *chunks; /* newest first */
    char *at, *end;             /* what is left of the newest */
    size_t bytes, limit;        /* taken from the heap so far, and at most */
};

void fg_jj_arena_finish(struct fg_jj_arena *a);

struct fg_jj_scope;
struct fg_jj_text;
struct fg_jj_origin;

struct fg_jj {
    jmp_buf out; /* where errors go */
    struct fg_jj_arena arena;
    struct fg_jinja_error *error;
    int code;              /* of the error: FG_E* */
    uint32_t line, column; /* of what is compiled or run now */
    unsigned depth, max_depth;
    uint64_t steps; /* left */
    /* Only while rendering. */
    const struct fg_jinja_program *program;
    const struct fg_jinja_input *input;
    struct fg_jj_text *text; /* where output goes now */
    struct fg_jj_text *root; /* where the output of the template itself goes */
    size_t max_output;
    struct fg_jj_scope *scope;    /* the innermost */
    struct fg_jj_origin *origins; /* what the numbers of sources mean; [0] is the template */
    size_t n_origins, cap_origins;
    struct fg_jinja_range *turns, *generations;
    size_t n_turns, cap_turns, n_generations, cap_generations;
};

/* Runs body(j, arg). False where fg_jj_fail() ended it: *j->error and j->code say why. */
bool fg_jj_try(struct fg_jj *j, void (*body)(struct fg_jj *j, void *arg), void *arg);
/* Ends what fg_jj_try() runs with this error, at j's line and column. */
__attribute__((format(printf, 3, 4))) _Noreturn void
fg_jj_fail(struct fg_jj *j, enum fg_jinja_cause cause, const char *fmt, ...);
/* The same, for what values do not allow. */
#define fg_jj_raise(j, ...) fg_jj_fail(j, FG_JINJA_RUN, __VA_ARGS__)

/* Spends n steps. */
void fg_jj_spend(struct fg_jj *j, uint64_t n);
/* Spends what it costs to look at n bytes. */
void fg_jj_spend_bytes(struct fg_jj *j, size_t n);
/* Spends what it costs to look at each character of n bytes. */
void fg_jj_spend_chars(struct fg_jj *j, size_t n);
/* One level deeper; each has its fg_jj_leave(). */
void fg_jj_enter(struct fg_jj *j);
void fg_jj_leave(struct fg_jj *j);

/* Zeroed memory from the arena. */
void *fg_jj_alloc(struct fg_jj *j, size_t n);
/* Room for `want` elements of `size` bytes in an array of *cap, of which the first `used` are kept.
 * Returns the array, moved or not. */
void *fg_jj_grow(struct fg_jj *j, void *array, size_t *cap, size_t want, size_t size);

#endif
