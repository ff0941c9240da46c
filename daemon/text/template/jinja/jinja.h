/* Chat templates as model files carry them: a small interpreter of the Jinja language, with the
 * meaning that Jinja2 gives it under the settings that the templates were written for: an immutable
 * sandbox, trim_blocks, lstrip_blocks, break and continue, the `generation` block, the filter
 * `tojson` as json.dumps(ensure_ascii=False), raise_exception() and strftime_now().
 *
 * Every byte of the output is known by where it came from: the text of the template, a message, or
 * another value of the request. What a template derives from a value (a slice, a replacement, its
 * JSON, ...) came from where the value did.
 *
 * Limits: integers have 64 bits, and what is larger is an error; numbers of the request that are
 * only printed stay as they were written. There are no includes, imports and inheritance, and no
 * escaping of HTML but by the filter that does it. */
#ifndef FG_JINJA_H
#define FG_JINJA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fulgur/str.h"

/* The template's own limits. */
enum {
    FG_JINJA_MAX_TEMPLATE = 1 << 20, /* bytes of text */
    FG_JINJA_MAX_NESTING = 200,      /* levels of expressions and blocks */
};

enum fg_jinja_cause {
    FG_JINJA_SYNTAX,  /* the template is malformed, or asks for what is not to be had */
    FG_JINJA_RUN,     /* the template does what its values do not allow */
    FG_JINJA_RAISED,  /* the template called raise_exception(): the message is its own */
    FG_JINJA_LIMIT,   /* too many steps, too much memory or output, too deep */
    FG_JINJA_CONTEXT, /* a value that was handed in is no JSON */
    FG_JINJA_MEMORY,  /* the process is out of memory */
};

struct fg_jinja_error {
    enum fg_jinja_cause cause;
    uint32_t line, column; /* in the template, from 1; of a JSON value for FG_JINJA_CONTEXT */
    char message[512];     /* one line of UTF-8, cut where it is longer; may hold request text */
};

/* A compiled template. Immutable: any number of threads may render it at once. */
struct fg_jinja_program; /* opaque */

/* Compiles text[n], which is not kept. On success *out is the caller's until
 * fg_jinja_program_destroy(). FG_EINVAL (*error says where and why), FG_EFULL (larger or deeper
 * than the limits above; *error), FG_ENOMEM; *out is NULL then. */
int fg_jinja_compile(struct fg_str text, struct fg_jinja_program **out,
                     struct fg_jinja_error *error);
void fg_jinja_program_destroy(struct fg_jinja_program *p); /* NULL is fine */

enum fg_jinja_source {
    FG_JINJA_TEMPLATE, /* the template, or a value that the server set (bos_token) */
    FG_JINJA_MESSAGE,  /* a message of the conversation */
    FG_JINJA_INPUT,    /* another value of the request: tools, documents, arguments */
};

/* A variable that the template sees. */
struct fg_jinja_variable {
    struct fg_str name;
    struct fg_str
        json; /* its value. Of members with one name the last counts, at the first's place */
    /* What text from it counts as. FG_JINJA_MESSAGE: the value is an array of messages, and text
     * counts as of the message that it lies in. */
    enum fg_jinja_source source;
};

struct fg_jinja_limits {
    uint64_t steps;      /* of evaluation; text that is worked on counts too, by its length */
    size_t memory_bytes; /* of values and text while the template runs */
    size_t output_bytes;
    unsigned depth; /* of expressions, blocks and macros in each other. Each level takes up to
                     * 1 KiB of the thread's stack, and a macro several levels */
};

/* Enough for any real conversation: 50 million steps, 512 MiB, 64 MiB of output, 1,000 levels. */
extern const struct fg_jinja_limits fg_jinja_default_limits;

struct fg_jinja_input {
    const struct fg_jinja_variable *variables; /* with different names */
    size_t n_variables;
    int64_t now; /* for strftime_now(): seconds since 1970; printed in the local time zone */
};

/* A run of output bytes of one source. */
struct fg_jinja_span {
    size_t offset, length;
    enum fg_jinja_source source;
    size_t message;      /* FG_JINJA_MESSAGE: its index */
    struct fg_str role;  /* FG_JINJA_MESSAGE: its role, empty where it has none */
    struct fg_str field; /* FG_JINJA_MESSAGE: the message's member that the text came from;
                          * FG_JINJA_INPUT, FG_JINJA_TEMPLATE: the variable, empty for the
                          * template's own text */
};

/* Output bytes that belong together. */
struct fg_jinja_range {
    size_t offset, length;
    size_t message; /* turns: the index of the message; generations: 0 */
};

struct fg_jinja_result {
    char *text; /* NUL-terminated beyond its `bytes` bytes; valid UTF-8 */
    size_t bytes;
    struct fg_jinja_span *spans; /* ascending, without gaps: together they are the whole text */
    size_t n_spans;
    /* What the template wrote while it ran through a loop over messages, with the template's own
     * text before and after the content: ascending, disjoint, not empty. A message may have none
     * (it was written outside of a loop) or several. */
    struct fg_jinja_range *turns;
    size_t n_turns;
    struct fg_jinja_range *generations; /* what `generation` blocks wrote */
    size_t n_generations;
    void *memory; /* what all of the above lies in */
};

/* Runs the program. On success *out is the caller's until fg_jinja_result_finish(), and does not
 * need the program or the input any more; on failure it needs none. FG_EINVAL (*error says where
 * and why), FG_EFULL (beyond the limits; *error), FG_ENOMEM. Any thread. */
int fg_jinja_render(const struct fg_jinja_program *p, const struct fg_jinja_input *input,
                    const struct fg_jinja_limits *limits, struct fg_jinja_result *out,
                    struct fg_jinja_error *error);
void fg_jinja_result_finish(struct fg_jinja_result *r);

#endif
