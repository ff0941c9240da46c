/* What Ollama's clients are told of the model that is served. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/openai/request_json.h"
#include "dialect.h"
#include "http/json_in.h"
#include "http/lossy.h"

bool fg_ollama_target(const char *target)
{
    static const char path[] = "/api/";

    return strncmp(target, path, sizeof path - 1) == 0;
}

json_t *fg_ollama_error(const struct fg_http_error *e)
{
    return json_pack("{s:o}", "error", fg_json_string(e->message));
}

int fg_ollama_model(const json_t *body, const struct fg_flow_info *info, struct fg_http_error *e)
{
    static const char tag[] = ":latest";
    const char *member = fg_json_field(body, "model") ? "model" : "name";
    char *name = NULL, *end;
    int rc = fg_json_text(body, member, member, &name, e);
    size_t n = name ? strlen(name) : 0;

    if (rc || !n) {
        free(name);
        return rc;
    }
    if (!fg_api_model_matches(name, info)) {
        end = n > strlen(tag) ? name + n - strlen(tag) : name;
        if (strcmp(end, tag) == 0)
            *end = '\0';
        if (!fg_api_model_matches(name, info))
            rc = fg_http_fail(e, 404, member, "model_not_found",
                              "%s: found \"%.64s\", this daemon serves \"%s\"", member, name,
                              info->model_name);
    }
    free(name);
    return rc;
}

static json_t *when(uint64_t seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;
    char text[32] = "1970-01-01T00:00:00Z";

    if (gmtime_r(&t, &tm))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_string(text);
}

static json_t *details(const struct fg_flow_info *info)
{
    return json_pack("{s:s, s:s, s:o, s:[o], s:s, s:s}", "parent_model", "", "format", "gguf",
                     "family", fg_json_string(info->architecture), "families",
                     fg_json_string(info->architecture), "parameter_size", "", "quantization_level",
                     "");
}

static json_t *model(const struct fg_flow_info *info, const char *name)
{
    return json_pack("{s:o, s:o, s:o, s:I, s:o, s:o}", "name", fg_json_string(name), "model",
                     fg_json_string(name), "modified_at", when(info->model_created), "size",
                     (json_int_t)info->weight_bytes, "digest", fg_json_string(info->numerics_id),
                     "details", details(info));
}

json_t *fg_ollama_tags(const struct fg_service *s)
{
    json_t *list = json_pack("[o]", model(&s->info, s->info.model_name));

    for (size_t i = 0; list && i < s->info.n_aliases; i++)
        if (json_array_append_new(list, model(&s->info, s->info.aliases[i])) < 0) {
            json_decref(list);
            list = NULL;
        }
    return json_pack("{s:o}", "models", list);
}

/* It stays loaded as long as the daemon runs: the date says never. */
json_t *fg_ollama_running(const struct fg_service *s)
{
    const struct fg_flow_info *info = &s->info;
    json_t *one = model(info, info->model_name);
    json_t *more = json_pack("{s:s, s:I, s:I}", "expires_at", "2318-01-01T00:00:00Z", "size_vram",
                             (json_int_t)info->weight_bytes, "context_length",
                             (json_int_t)info->context_tokens);

    if (one && (!more || json_object_update(one, more) < 0)) {
        json_decref(one);
        one = NULL;
    }
    json_decref(more);
    return json_pack("{s:[o]}", "models", one);
}

static json_t *model_info(const struct fg_flow_info *info)
{
    char name[96];

    snprintf(name, sizeof name, "%.64s.context_length", info->architecture);
    return json_pack("{s:o, s:o}", "general.architecture", fg_json_string(info->architecture), name,
                     json_integer(info->context_tokens));
}

json_t *fg_ollama_show(const struct fg_service *s)
{
    const struct fg_flow_info *info = &s->info;
    const struct fg_str template = info->tokenizer.chat_template;
    json_t *abilities = json_pack("[s]", "completion");

    if (abilities && info->answer_form.tools != FG_TOOLS_NONE)
        json_array_append_new(abilities, json_string("tools"));
    if (abilities && info->answer_form.reasoning != FG_REASONING_NONE)
        json_array_append_new(abilities, json_string("thinking"));
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "license", "", "modelfile", "",
                     "parameters", "", "template", fg_json_stringn(template.p, template.n),
                     "details", details(info), "model_info", model_info(info), "capabilities",
                     abilities, "modified_at", when(info->model_created));
}
