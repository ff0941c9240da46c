/* Request traces for the policy bench: generated with fixed seeds, or read from JSON lines
 * (docs/cache-policy.md). Tokens have no values here: the token at offset i of the segment named s
 * is the same wherever (s, i) appears, and differs from every other. */
#ifndef FG_POLICY_TRACE_H
#define FG_POLICY_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "fulgur/error.h"

enum trace_role { ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL };

enum {
    TRACE_MAX_TOKENS = 1 << 24,   /* of a request */
    TRACE_MAX_SEGMENTS = 1 << 16, /* of a request */
    TRACE_MAX_REQUESTS = 1 << 20,
};

struct trace_segment {
    uint64_t id;
    uint32_t tokens;
    enum trace_role role;
};

struct trace_request {
    struct trace_segment *segments; /* the prompt's, then the answer's */
    uint32_t n_segments;
    uint32_t n_prompt, n_total; /* tokens */
    /* Where the first message behind the system prompt begins, and the last one of the user; in
     * tokens, 0: nowhere. */
    uint32_t system_end, user_start;
};

struct trace {
    char name[64];
    struct trace_request *requests;
    size_t n, cap;
};

void trace_finish(struct trace *t); /* frees what it holds; zeroed ones are fine */
/* Appends a copy: n segments of the prompt, and the answer's (tokens 0: none). FG_EINVAL: no
 * prompt, or too many segments, tokens or requests; FG_ENOMEM. */
int trace_add(struct trace *t, const struct trace_segment *prompt, size_t n,
              struct trace_segment answer, struct fg_err *err);
/* Tokens that a and b have in common at their beginning. */
uint32_t trace_common(const struct trace_request *a, const struct trace_request *b);

/* --- generate.c --- */
enum { TRACE_KINDS = 5 };
extern const char *const trace_kinds[TRACE_KINDS];
/* About n requests of kind `kind`; equal arguments give equal traces. FG_ENOMEM. */
int trace_generate(struct trace *t, unsigned kind, size_t n, uint64_t seed, struct fg_err *err);

/* --- read.c --- */
/* Reads all of f; `name` is for messages, which begin with name:line. FG_EINVAL, FG_EIO, FG_ENOMEM.
 */
int trace_read(struct trace *t, FILE *f, const char *name, struct fg_err *err);

#endif
