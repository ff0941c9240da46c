/* Renders templates for the scripts that compare with Jinja2 (tools/compare-jinja).
 *
 * Standard input: a JSON object a line, {"template": text, "variables": {name: JSON text},
 * "messages": name of the variable that holds messages or absent, "trusted": [names], "now":
 * seconds}. Standard output: a line for each, {"text", "spans", "turns", "generations"} or
 * {"error": {...}}. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/template/jinja/jinja.h"

static const char *const sources[] = {"template", "message", "input"};
static const char *const causes[] = {"syntax", "run", "raised", "limit", "context", "memory"};

static json_t *error_of(const struct fg_jinja_error *e)
{
    return json_pack("{s:{s:s, s:i, s:i, s:s}}", "error", "cause", causes[e->cause], "line",
                     (int)e->line, "column", (int)e->column, "message", e->message);
}

static json_t *ranges_of(const struct fg_jinja_range *r, size_t n)
{
    json_t *all = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(all, json_pack("[I, I, I]", (json_int_t)r[i].offset,
                                             (json_int_t)r[i].length, (json_int_t)r[i].message));
    return all;
}

static json_t *spans_of(const struct fg_jinja_result *r)
{
    json_t *all = json_array();

    for (size_t i = 0; i < r->n_spans; i++) {
        const struct fg_jinja_span *s = &r->spans[i];

        json_array_append_new(all, json_pack("[I, I, s, I, s%, s%]", (json_int_t)s->offset,
                                             (json_int_t)s->length, sources[s->source],
                                             (json_int_t)s->message, s->role.p, s->role.n,
                                             s->field.p, s->field.n));
    }
    return all;
}

static enum fg_jinja_source source_of(const json_t *job, const char *name)
{
    const json_t *messages = json_object_get(job, "messages");
    const json_t *trusted = json_object_get(job, "trusted"), *t;
    size_t i;

    if (messages && strcmp(json_string_value(messages), name) == 0)
        return FG_JINJA_MESSAGE;
    json_array_foreach(trusted, i, t)
    {
        if (strcmp(json_string_value(t), name) == 0)
            return FG_JINJA_TEMPLATE;
    }
    return FG_JINJA_INPUT;
}

static json_t *render(const json_t *job)
{
    json_t *variables = json_object_get(job, "variables"), *text = json_object_get(job, "template");
    size_t n = json_object_size(variables), i = 0;
    struct fg_jinja_variable *v = calloc(n + 1, sizeof *v);
    struct fg_jinja_input input = {.variables = v, .n_variables = n};
    struct fg_jinja_program *p = NULL;
    struct fg_jinja_result r;
    struct fg_jinja_error e;
    const char *name;
    json_t *value, *out;

    json_object_foreach(variables, name, value)
    {
        v[i].name = (struct fg_str){name, strlen(name)};
        v[i].json = (struct fg_str){json_string_value(value), json_string_length(value)};
        v[i++].source = source_of(job, name);
    }
    input.now = json_integer_value(json_object_get(job, "now"));
    if (fg_jinja_compile((struct fg_str){json_string_value(text), json_string_length(text)}, &p,
                         &e) ||
        fg_jinja_render(p, &input, &fg_jinja_default_limits, &r, &e)) {
        out = error_of(&e);
    } else {
        out = json_pack("{s:s%, s:o, s:o, s:o}", "text", r.text, r.bytes, "spans", spans_of(&r),
                        "turns", ranges_of(r.turns, r.n_turns), "generations",
                        ranges_of(r.generations, r.n_generations));
        fg_jinja_result_finish(&r);
    }
    fg_jinja_program_destroy(p);
    free(v);
    return out;
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    while ((n = getline(&line, &cap, stdin)) > 0) {
        json_t *job = json_loadb(line, (size_t)n, JSON_ALLOW_NUL, NULL), *out;

        out = job ? render(job) : NULL;
        if (!out || json_dumpf(out, stdout, JSON_COMPACT) || putchar('\n') == EOF ||
            fflush(stdout)) {
            fprintf(stderr, "a line could not be read or answered\n");
            return 1;
        }
        json_decref(out);
        json_decref(job);
    }
    free(line);
    return 0;
}
