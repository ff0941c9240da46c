/* Repair: lines of a prompt's head that change with every request, like the time of day, are left
 * out or moved to the end of their message, so that prompts begin alike and are found in the cache.
 * That changes what the model reads, so it is done by rules that the user gives, and told.
 *
 * A file of rules (docs/repair-rules.md):
 *
 *     [current-time]
 *     where = system
 *     match = ^Current time: .*$
 *     action = move
 *
 * Patterns are PCRE2's and look at one line at a time. */
#ifndef FG_REPAIR_H
#define FG_REPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "fulgur/error.h"
#include "fulgur/str.h"

enum {
    FG_REPAIR_MAX_RULES = 31,
    FG_REPAIR_MAX_FILE = 64 << 10,
    FG_REPAIR_MAX_NAME = 40,
    FG_REPAIR_MAX_PATTERN = 512,
    FG_REPAIR_MAX_LINE = 1024,       /* bytes: longer lines are not looked at */
    FG_REPAIR_MAX_CONTENT = 1 << 20, /* nor is what lies further behind in a message */
    FG_REPAIR_MAX_HITS = 16,         /* of a rule in a message */
};

/* The rule that is built in, and its bit in what was applied. */
#define FG_REPAIR_BILLING "billing-header"
enum { FG_REPAIR_BILLING_BIT = 1 };

enum fg_repair_where {
    FG_REPAIR_SYSTEM,       /* messages of the system */
    FG_REPAIR_FIRST_MESSAGE /* the first message of the user */
};

/* Immutable: any thread. */
struct fg_repair; /* opaque */

/* Reads the rules. `name` of the file, for errors: FG_EINVAL, its line and what is wrong with it;
 * FG_ENOMEM. On success *out is the caller's until fg_repair_destroy(). */
int fg_repair_create(struct fg_str text, const char *name, struct fg_repair **out,
                     struct fg_err *err);
/* The same of a file, FG_REPAIR_MAX_FILE at most; also the errors of fg_file_read(). */
int fg_repair_read(const char *path, struct fg_repair **out, struct fg_err *err);
void fg_repair_destroy(struct fg_repair *r); /* NULL is fine */

/* The name that a bit of what was applied stands for, or NULL; as long as r. r NULL: there are none
 * but the one that is built in. */
const char *fg_repair_name(const struct fg_repair *r, unsigned bit);
bool fg_repair_looks_at(const struct fg_repair *r, enum fg_repair_where where);

/* A message that is repaired. */
struct fg_repaired {
    struct fg_buffer text;
    uint32_t applied; /* a bit for each rule, above FG_REPAIR_BILLING_BIT */
    size_t moved;     /* where in the text begins what was moved to its end; its length: nothing */
    struct fg_repair_cut {
        size_t at, n; /* bytes of the content that are no longer there */
    } * cuts;         /* ascending, disjoint; malloc'd */
    size_t n_cuts;
};
/* Applies the rules, in their order: a line that one has cut another does not see. Where none
 * applies, applied is 0 and the text empty. FG_ENOMEM, with nothing to finish. */
int fg_repair_apply(const struct fg_repair *r, enum fg_repair_where where, struct fg_str content,
                    struct fg_repaired *out);
void fg_repaired_finish(struct fg_repaired *r);
/* Where a place in the content is now: before what was moved, if it was at the end. */
size_t fg_repaired_place(const struct fg_repaired *r, size_t at);

/* Does a line change with time, where it changes from byte `at` on: a date, a time, a number, an
 * id? Then a rule that would move it is appended, as it stands in a file. */
bool fg_repair_suggest(struct fg_str line, size_t at, enum fg_repair_where where,
                       struct fg_buffer *rule);

#endif
