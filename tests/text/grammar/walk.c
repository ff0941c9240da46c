/* For e2e/test_grammar.py: reads lines of JSON, {"kind", "text", "walks", "seed", "accept":
 * [texts]}, and writes for each {"error"}, or {"walks": [texts of the form], "accept": [booleans]}.
 * A walk takes any byte that may come; the longer it is, the rather one that ends what was begun.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "text/grammar/automaton.h"
#include "text/grammar/form.h"

enum { MOST_BYTES = 4000, SOON = 60 };

static uint64_t state;

static uint32_t chance(uint32_t n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 33) % n;
}

static enum fg_form_kind kind_of(const char *name)
{
    static const char *const names[] = {"",       "json_schema", "json_object", "regex",
                                        "choice", "gbnf",        "calls"};

    for (size_t i = 1; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum fg_form_kind)i;
    return FG_FORM_NONE;
}

static uint32_t step(struct fg_automaton *a, uint32_t at, uint8_t byte)
{
    struct fg_err err = {0};
    uint32_t to;

    if (fg_automaton_walk(a, at, (struct fg_str){(char *)&byte, 1}, &to, &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return to;
}

/* NULL: it got too long. */
static json_t *walk(struct fg_automaton *a)
{
    struct fg_buffer text = {0};
    uint32_t at = FG_PLACE_START;
    json_t *out = NULL;

    while (text.n < MOST_BYTES) {
        uint8_t may[256], ends[256];
        uint32_t n = 0, n_ends = 0;

        for (int b = 0; b < 256; b++) {
            if (!step(a, at, (uint8_t)b))
                continue;
            may[n++] = (uint8_t)b;
            if (b && strchr("\"]}0.-", b))
                ends[n_ends++] = (uint8_t)b;
        }
        if (fg_automaton_accepts(a, at) && (n == 0 || chance(4) == 0)) {
            out = json_stringn(text.n ? text.p : "", text.n);
            break;
        }
        if (n == 0)
            abort(); /* every place leads to an end */
        may[0] = n_ends && text.n > SOON && chance(8) ? ends[chance(n_ends)] : may[chance(n)];
        fg_buffer_add(&text, may, 1);
        at = step(a, at, may[0]);
    }
    fg_buffer_finish(&text);
    return out ? out : json_null();
}

static json_t *answer(const json_t *line)
{
    const json_t *accept = json_object_get(line, "accept"), *v,
                 *text = json_object_get(line, "text");
    static const struct fg_answer_form hermes = {.tools = FG_TOOLS_HERMES};
    struct fg_form form = {kind_of(json_string_value(json_object_get(line, "kind"))),
                           {json_string_value(text), json_string_length(text)},
                           {&hermes, FG_STARTS_ANYHOW}};
    json_t *walks = json_array(), *accepted = json_array();
    struct fg_automaton *a = NULL;
    struct fg_grammar *g;
    struct fg_err err = {0};
    size_t i;

    state = (uint64_t)json_integer_value(json_object_get(line, "seed"));
    if (fg_form_compile(&form, &g, &err) || fg_automaton_create(g, NULL, &a, &err)) {
        json_decref(walks);
        json_decref(accepted);
        return json_pack("{s:s}", "error", err.text);
    }
    for (json_int_t n = json_integer_value(json_object_get(line, "walks")); n > 0; n--)
        json_array_append_new(walks, walk(a));
    json_array_foreach(accept, i, v)
    {
        uint32_t at = FG_PLACE_START;

        for (size_t k = 0; k < json_string_length(v) && at; k++)
            at = step(a, at, (uint8_t)json_string_value(v)[k]);
        json_array_append_new(accepted, json_boolean(at && fg_automaton_accepts(a, at)));
    }
    fg_automaton_destroy(a);
    return json_pack("{s:o, s:o}", "walks", walks, "accept", accepted);
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;

    while ((n = getline(&line, &cap, stdin)) > 0) {
        json_t *v = json_loadb(line, (size_t)n, JSON_ALLOW_NUL, NULL), *out = v ? answer(v) : NULL;

        if (!out)
            return 1;
        json_dumpf(out, stdout, JSON_COMPACT);
        putchar('\n');
        fflush(stdout);
        json_decref(out);
        json_decref(v);
    }
    free(line);
    return 0;
}
