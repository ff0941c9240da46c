/* JSON Schema as its files see it. */
#ifndef FG_JSON_SCHEMA_PARTS_H
#define FG_JSON_SCHEMA_PARTS_H

#include "chars.h"
#include "json_schema.h"

/* Of all schemas that one is made of, counted each time that one is read. */
enum { FG_SCHEMA_MAX_DEPTH = 64, FG_SCHEMA_MAX_STEPS = 1 << 14 };

struct fg_schema_reader {
    struct fg_exprs *x;
    const json_t *root;
    json_t *rules; /* of schemas that were read: by their addresses */
    json_t *made;  /* merged ones, kept as long as the addresses count */
    int depth;
    unsigned steps;
    uint32_t blanks, value, string; /* rules */
    int rc;                         /* the first failure */
    struct fg_err *err;
};

/* Ends with fg_schema_reader_finish(), also where it fails: FG_ENOMEM. */
int fg_schema_reader_init(struct fg_schema_reader *r, struct fg_exprs *x, const json_t *schema,
                          struct fg_err *err);
void fg_schema_reader_finish(struct fg_schema_reader *r);
/* Notes a failure, unless there was one before. FG_EXPR_NEVER. */
__attribute__((format(printf, 3, 4))) fg_expr fg_schema_fail(struct fg_schema_reader *r, int code,
                                                             const char *fmt, ...);
/* The values of a schema, which lives as long as the reader. */
fg_expr fg_schema_value(struct fg_schema_reader *r, const json_t *schema);
/* One JSON value, as it is or with blanks. */
fg_expr fg_schema_literal(struct fg_schema_reader *r, const json_t *value);
/* The member that a non-negative whole number is, or `otherwise`. */
uint32_t fg_schema_count(struct fg_schema_reader *r, const json_t *schema, const char *name,
                         uint32_t otherwise);

/* json_merge.c: what both schemas ask, as one; borrowed, it lives as long as the reader. NULL: a
 * failure was noted. */
const json_t *fg_schema_merge(struct fg_schema_reader *r, const json_t *a, const json_t *b);
/* The schema without a member. */
const json_t *fg_schema_without(struct fg_schema_reader *r, const json_t *schema, const char *name);
/* What a $ref names. */
const json_t *fg_schema_find(struct fg_schema_reader *r, const json_t *ref);
/* Does a keyword constrain nothing? */
bool fg_schema_is_note(const char *keyword);

/* json_values.c, json_number.c: of one type. */
fg_expr fg_schema_object(struct fg_schema_reader *r, const json_t *schema);
fg_expr fg_schema_array(struct fg_schema_reader *r, const json_t *schema);
fg_expr fg_schema_string(struct fg_schema_reader *r, const json_t *schema);
fg_expr fg_schema_number(struct fg_schema_reader *r, const json_t *schema, bool whole);

/* The regular expression of a `format`; NULL: it is not done. */
const char *fg_schema_format(const char *name);
/* One character of a JSON string, escaped or not; text as a JSON string has it, without quotes. */
fg_expr fg_schema_char(struct fg_exprs *x);
fg_expr fg_schema_text(struct fg_exprs *x, struct fg_str text);

#endif
