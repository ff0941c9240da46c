/* The form that the answer is to have: OpenAI's response_format, and the fields of vLLM, llama.cpp
 * and SGLang that say the same. Schemas go on as the text that the client wrote. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"
#include "http/json_in.h"
#include "request_json.h"
#include "text/grammar/form.h"

/* One field: its path, its value, and the object's text that it is in. */
struct field {
    const char *path, *name;
    const json_t *v;
    struct fg_str in;
};

static int refuse(const struct field *f, const char *right, struct fg_http_error *e)
{
    char found[64];

    return fg_http_fail(e, 400, f->path, NULL, "%s: found %s, it must be %s", f->path,
                        fg_json_found(f->v, found), right);
}

static int set(struct fg_job_request *job, const struct field *f, enum fg_form_kind kind,
               struct fg_str text, struct fg_http_error *e)
{
    if (job->form)
        return fg_http_fail(e, 400, f->path, NULL,
                            "%s: another field gives the answer's form already", f->path);
    if (text.n > FG_GRAMMAR_MAX_TEXT)
        return fg_http_fail(e, 400, f->path, NULL, "%s: found %zu bytes, at most %d are taken",
                            f->path, text.n, FG_GRAMMAR_MAX_TEXT);
    job->form_text = malloc(text.n + 1);
    if (!job->form_text)
        return fg_json_nomem(e);
    if (text.n)
        memcpy(job->form_text, text.p, text.n);
    job->form_text[text.n] = '\0';
    job->form_bytes = text.n;
    job->form = kind;
    return 0;
}

/* null, false, "" and [] say nothing. */
static bool says_nothing(const json_t *v)
{
    return !v || json_is_null(v) || json_is_false(v) ||
           (json_is_string(v) && !json_string_length(v)) ||
           (json_is_array(v) && !json_array_size(v));
}

static struct fg_str text_of(const struct field *f)
{
    struct fg_str text = {"", 0};

    (void)fg_scan_find(f->in, f->name, &text);
    return text;
}

/* A JSON schema, also as the text of one. */
static int read_schema(struct fg_job_request *job, const struct field *f, struct fg_http_error *e)
{
    if (json_is_string(f->v))
        return set(job, f, FG_FORM_JSON_SCHEMA,
                   (struct fg_str){json_string_value(f->v), json_string_length(f->v)}, e);
    if (!json_is_object(f->v))
        return refuse(f, "a JSON schema, an object", e);
    return set(job, f, FG_FORM_JSON_SCHEMA, text_of(f), e);
}

static int read_string(struct fg_job_request *job, const struct field *f, enum fg_form_kind kind,
                       struct fg_http_error *e)
{
    if (!json_is_string(f->v))
        return refuse(f, "a string", e);
    return set(job, f, kind, (struct fg_str){json_string_value(f->v), json_string_length(f->v)}, e);
}

static int read_one(struct fg_job_request *job, const struct field *f, enum fg_form_kind kind,
                    struct fg_http_error *e)
{
    if (says_nothing(f->v))
        return 0;
    switch (kind) {
    case FG_FORM_JSON_SCHEMA: return read_schema(job, f, e);
    case FG_FORM_CHOICE:
        return json_is_array(f->v) ? set(job, f, kind, text_of(f), e)
                                   : refuse(f, "an array of strings", e);
    case FG_FORM_JSON_OBJECT:
        return json_is_true(f->v) ? set(job, f, kind, (struct fg_str){"", 0}, e)
                                  : refuse(f, "true or false", e);
    default: return read_string(job, f, kind, e);
    }
}

static const struct name {
    const char *name;
    enum fg_form_kind kind;
} names[] = {{"guided_json", FG_FORM_JSON_SCHEMA},
             {"guided_regex", FG_FORM_REGEX},
             {"guided_choice", FG_FORM_CHOICE},
             {"guided_grammar", FG_FORM_GBNF},
             {"json_schema", FG_FORM_JSON_SCHEMA},
             {"grammar", FG_FORM_GBNF},
             {"regex", FG_FORM_REGEX},
             {"ebnf", FG_FORM_GBNF}},
  outputs[] = {{"json", FG_FORM_JSON_SCHEMA},
               {"regex", FG_FORM_REGEX},
               {"choice", FG_FORM_CHOICE},
               {"grammar", FG_FORM_GBNF},
               {"json_object", FG_FORM_JSON_OBJECT}};

/* vLLM's structured_outputs. */
static int read_outputs(const json_t *body, struct fg_str whole, struct fg_job_request *job,
                        struct fg_http_error *e)
{
    struct field f = {"structured_outputs", "structured_outputs",
                      json_object_get(body, "structured_outputs"), whole};
    const json_t *given = f.v, *v;
    const char *key;
    char path[96];
    int r = 0;

    if (says_nothing(given))
        return 0;
    if (!json_is_object(given))
        return refuse(&f, "an object", e);
    f.in = text_of(&f);
    json_object_foreach((json_t *)given, key, v)
    {
        const struct name *known = NULL;

        for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
            if (strcmp(key, outputs[i].name) == 0)
                known = &outputs[i];
        snprintf(path, sizeof path, "structured_outputs.%.60s", key);
        f.path = path;
        f.name = key;
        f.v = v;
        if (known)
            r = read_one(job, &f, known->kind, e);
        else if (!says_nothing(v))
            r = refuse(&f, "absent: it is not done", e);
        if (r)
            break;
    }
    return r;
}

/* OpenAI's response_format; llama.cpp has the schema in its `schema`. */
static int read_response_format(const json_t *body, struct fg_str whole, struct fg_job_request *job,
                                struct fg_http_error *e)
{
    struct field f = {"response_format", "response_format",
                      json_object_get(body, "response_format"), whole};
    const json_t *given = f.v;
    const char *type = json_string_value(json_object_get(given, "type"));

    if (!given || json_is_null(given))
        return 0;
    f.in = text_of(&f);
    f.path = "response_format.type";
    f.v = json_object_get(given, "type");
    if (type && strcmp(type, "text") == 0)
        return 0;
    if (!type || (strcmp(type, "json_object") != 0 && strcmp(type, "json_schema") != 0))
        return refuse(&f, "\"text\", \"json_object\" or \"json_schema\"", e);
    if (strcmp(type, "json_schema") == 0 && json_object_get(given, "json_schema")) {
        f.name = "json_schema";
        f.in = text_of(&f);
        given = json_object_get(given, "json_schema");
    }
    f.path = given == json_object_get(body, "response_format")
                 ? "response_format.schema"
                 : "response_format.json_schema.schema";
    f.name = "schema";
    f.v = json_object_get(given, "schema");
    if (strcmp(type, "json_object") == 0 && !f.v)
        return set(job, &f, FG_FORM_JSON_OBJECT, (struct fg_str){"", 0}, e);
    return read_schema(job, &f, e);
}

int fg_api_request_form(const json_t *body, struct fg_str text, struct fg_api_request *out,
                        struct fg_http_error *e)
{
    struct fg_str whole = {"", 0};
    int r;

    (void)fg_scan_whole(text, &whole);
    r = read_response_format(body, whole, &out->job, e);
    if (!r)
        r = read_outputs(body, whole, &out->job, e);
    for (size_t i = 0; !r && i < sizeof names / sizeof *names; i++) {
        struct field f = {names[i].name, names[i].name, fg_json_field(body, names[i].name), whole};

        r = read_one(&out->job, &f, names[i].kind, e);
    }
    return r;
}
