#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "eval.h"
#include "fulgur/error.h"
#include "json.h"
#include "parse.h"

enum {
    PROGRAM_STEPS = 200000000,              /* of parsing, at most */
    PROGRAM_BYTES = 512 << 20,              /* of a tree, at most */
    PARSE_DEPTH = 4 * FG_JINJA_MAX_NESTING, /* a level of brackets is a few of the parser's */
};

const struct fg_jinja_limits fg_jinja_default_limits = {
    .steps = 50000000, .memory_bytes = 512u << 20, .output_bytes = 64u << 20, .depth = 1000};

struct source {
    struct fg_jinja_program *program;
    struct fg_str text;
};

static void compile(struct fg_jj *j, void *arg)
{
    struct source *s = arg;
    size_t n;
    char *copy;

    j->line = j->column = 1;
    if (s->text.n > FG_JINJA_MAX_TEMPLATE)
        fg_jj_fail(j, FG_JINJA_LIMIT, "the template is larger than %d bytes",
                   FG_JINJA_MAX_TEMPLATE);
    if (fg_utf8_valid(s->text.p, s->text.n) != s->text.n)
        fg_jj_fail(j, FG_JINJA_SYNTAX, "the template is not UTF-8");
    copy = fg_jj_lex_normalize(j, s->text, &n);
    fg_jj_parse(j, s->program, copy, n);
}

static void fail_memory(struct fg_jinja_error *error)
{
    *error = (struct fg_jinja_error){.cause = FG_JINJA_MEMORY, .message = "out of memory"};
}

int fg_jinja_compile(struct fg_str text, struct fg_jinja_program **out,
                     struct fg_jinja_error *error)
{
    struct source s = {.program = calloc(1, sizeof *s.program), .text = text};
    struct fg_jj *j = calloc(1, sizeof *j);
    int code = 0;

    *out = NULL;
    *error = (struct fg_jinja_error){0};
    if (!s.program || !j) {
        fail_memory(error);
        free(s.program);
        free(j);
        return FG_ENOMEM;
    }
    j->arena.limit = PROGRAM_BYTES;
    j->error = error;
    j->max_depth = PARSE_DEPTH;
    j->steps = PROGRAM_STEPS;
    if (!fg_jj_try(j, compile, &s))
        code = j->code;
    s.program->arena = j->arena;
    free(j);
    if (code)
        fg_jinja_program_destroy(s.program);
    else
        *out = s.program;
    return code;
}

void fg_jinja_program_destroy(struct fg_jinja_program *p)
{
    if (!p)
        return;
    fg_jj_arena_finish(&p->arena);
    free(p);
}

static void set_variables(struct fg_jj *j)
{
    for (size_t i = 0; i < j->input->n_variables; i++) {
        const struct fg_jinja_variable *v = &j->input->variables[i];
        const struct fg_jj_str *name = fg_jj_str(j, v->name.p, v->name.n, 0);
        struct fg_jj_value *there = fg_jj_dict_find(j, j->program->names, name);
        struct fg_jj_value value;

        /* What is no JSON is an error even where the template does not look at it. */
        value = fg_jj_read_json(j, v);
        if (there)
            fg_jj_assign(j, j->program->name_list[there->i], value);
    }
}

static void run(struct fg_jj *j, void *arg)
{
    (void)arg;
    fg_jj_add_origin(
        j, (struct fg_jj_origin){.source = FG_JINJA_TEMPLATE, .field = fg_jj_str_c(j, "")});
    fg_jj_scope_push(j, NULL);
    set_variables(j);
    /* What the template sets lies before what it is given. */
    fg_jj_scope_push(j, j->scope);
    fg_jj_exec(j, j->program->body);
}

/* Bytes of memory that the result takes besides its arrays: roles and fields. */
static size_t names_bytes(const struct fg_jj *j)
{
    size_t n = 0;

    for (size_t i = 0; i < j->n_origins; i++) {
        const struct fg_jj_origin *o = &j->origins[i];

        n += o->field->n + (o->role.kind == FG_JJ_STR ? o->role.s->n : 0);
    }
    return n;
}

static struct fg_str copy_name(const struct fg_jj_str *s, char **to)
{
    struct fg_str copy = {.p = *to, .n = s->n};

    if (s->n)
        memcpy(*to, s->p, s->n);
    *to += s->n;
    return copy;
}

/* Origins that the spans name, in the result's own memory. */
static void copy_spans(const struct fg_jj *j, struct fg_jinja_result *r, char *names)
{
    const struct fg_jj_text *t = j->root;
    struct fg_str *fields = (struct fg_str *)(r->spans + t->n_runs), *roles;
    size_t from = 0;

    roles = fields + j->n_origins;
    for (size_t i = 0; i < j->n_origins; i++) {
        const struct fg_jj_origin *o = &j->origins[i];

        fields[i] = copy_name(o->field, &names);
        roles[i] = (struct fg_str){.p = "", .n = 0};
        if (o->role.kind == FG_JJ_STR)
            roles[i] = copy_name(o->role.s, &names);
    }
    for (size_t i = 0; i < t->n_runs; i++) {
        const struct fg_jj_origin *o = &j->origins[t->runs[i].src];

        r->spans[i] = (struct fg_jinja_span){.offset = from,
                                             .length = t->runs[i].end - from,
                                             .source = o->source,
                                             .message = o->message,
                                             .role = roles[t->runs[i].src],
                                             .field = fields[t->runs[i].src]};
        from = t->runs[i].end;
    }
    r->n_spans = t->n_runs;
}

/* Out of the arena, into one piece of memory. */
static int copy_result(const struct fg_jj *j, struct fg_jinja_result *r)
{
    const struct fg_jj_text *t = j->root;
    size_t spans = t->n_runs * sizeof *r->spans, names = j->n_origins * 2 * sizeof(struct fg_str);
    size_t turns = j->n_turns * sizeof *r->turns;
    size_t generations = j->n_generations * sizeof *r->generations;
    char *p = malloc(spans + names + turns + generations + names_bytes(j) + t->n + 1);

    if (!p)
        return FG_ENOMEM;
    *r = (struct fg_jinja_result){.memory = p, .bytes = t->n};
    r->spans = (struct fg_jinja_span *)p;
    p += spans + names;
    r->turns = (struct fg_jinja_range *)p;
    r->n_turns = j->n_turns;
    if (turns)
        memcpy(p, j->turns, turns);
    p += turns;
    r->generations = (struct fg_jinja_range *)p;
    r->n_generations = j->n_generations;
    if (generations)
        memcpy(p, j->generations, generations);
    p += generations;
    copy_spans(j, r, p);
    r->text = p + names_bytes(j);
    if (t->n)
        memcpy(r->text, t->p, t->n);
    r->text[t->n] = '\0';
    return 0;
}

int fg_jinja_render(const struct fg_jinja_program *p, const struct fg_jinja_input *input,
                    const struct fg_jinja_limits *limits, struct fg_jinja_result *out,
                    struct fg_jinja_error *error)
{
    struct fg_jj *j = calloc(1, sizeof *j);
    struct fg_jj_text *root = calloc(1, sizeof *root);
    int code = FG_ENOMEM;

    *out = (struct fg_jinja_result){0};
    *error = (struct fg_jinja_error){0};
    if (!j || !root)
        goto out;
    j->error = error;
    j->arena.limit = limits->memory_bytes;
    j->max_depth = limits->depth;
    j->steps = limits->steps;
    j->program = p;
    j->input = input;
    j->text = j->root = root;
    j->max_output = limits->output_bytes;
    code = fg_jj_try(j, run, NULL) ? copy_result(j, out) : j->code;
    fg_jj_arena_finish(&j->arena);
out:
    if (code == FG_ENOMEM)
        fail_memory(error);
    free(root);
    free(j);
    return code;
}

void fg_jinja_result_finish(struct fg_jinja_result *r)
{
    free(r->memory);
    *r = (struct fg_jinja_result){0};
}
