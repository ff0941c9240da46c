/* Fields that would change the answer and that fulgur does not do: refused by name, unless their
 * value changes nothing. Known from OpenAI's API and from the servers that follow it. */
#include <math.h>
#include <string.h>

#include "http/json_in.h"
#include "request_json.h"

#define FORM "absent: it is not done; see the fields that give an answer's form"
#define SAMPLER "off: there is no such sampler here"
#define TEMPLATE "absent: the model's own chat template is used; it gets chat_template_kwargs"
#define REASON "absent: how much a model thinks is not controlled"

/* null, false, "" and [] change nothing. */
struct refused {
    const char *name;
    double off;       /* a number that changes nothing either; NAN: there is none */
    double off_too;   /* another */
    const char *word; /* a string that changes nothing, or NULL */
    bool filled;      /* {} changes something */
    const char *right;
    const char *of; /* says nothing by itself, where that one is given */
};

#define NONE NAN, NAN, NULL, false
#define ZERO 0, NAN, NULL, false
#define AT(x) (x), NAN, NULL, false

static const struct refused refused[] = {
    /* the answer's form */
    {"guided_whitespace_pattern", NONE, FORM, NULL},
    {"structural_tag", NONE, FORM, NULL},
    {"grammar_triggers", NONE, FORM, NULL},
    {"format", NONE, FORM, NULL},
    {"n_indent", ZERO, FORM, NULL},
    {"suffix", NONE, "absent: text is not inserted", NULL},
    {"audio", NAN, NAN, NULL, true, "absent: the model reads and writes text", NULL},
    {"image_data", NONE, "absent: the model reads and writes text", NULL},
    {"images", NONE, "absent: the model reads and writes text", NULL},
    {"functions", NAN, NAN, NULL, true, "absent: use tools", NULL},
    {"function_call", NAN, NAN, "none", true, "absent: use tool_choice", NULL},
    {"web_search_options", NAN, NAN, NULL, true, "absent: the daemon does not reach the web", NULL},
    {"response_fields", NONE, "absent: answers are whole", NULL},
    {"n_probs", ZERO, "0: use logprobs", NULL},
    {"post_sampling_probs", NONE, "false: log-probabilities are the model's own", NULL},
    {"logprob_token_ids", NONE, "absent: the best tokens are told", NULL},
    {"return_tokens_as_token_ids", NONE, "false: use return_token_ids", NULL},
    {"return_tokens", NONE, "false: use return_token_ids", NULL},
    {"include_stop_str_in_output", NONE, "false: the answer ends before the stop string", NULL},
    {"no_stop_trim", NONE, "false: the answer ends before the stop string", NULL},
    {"stop_regex", NONE, "absent: use stop", NULL},
    {"stop_sequences", NONE, "absent: use stop", NULL},
    /* the prompt */
    {"chat_template", NONE, TEMPLATE, NULL},
    {"template", NONE, TEMPLATE, NULL},
    {"documents", NONE, TEMPLATE, NULL},
    {"system", NONE, "absent: use a system message", NULL},
    {"prompt_embeds", NONE, "absent: prompts are text or token ids", NULL},
    {"truncate_prompt_tokens", NONE, "absent: prompts are not cut", NULL},
    {"truncate", NONE, "absent: prompts are not cut", NULL},
    {"mm_processor_kwargs", NONE, "absent: the model reads and writes text", NULL},
    {"reasoning_effort", NAN, NAN, "none", true, REASON, NULL},
    {"reasoning", NONE, REASON, NULL},
    {"reasoning_budget", AT(-1), REASON, NULL},
    {"thinking_token_budget", NONE, REASON, NULL},
    {"enable_thinking", NONE, REASON, NULL},
    {"think", NONE, REASON, NULL},
    {"verbosity", NAN, NAN, "medium", true, "absent: how long answers are is not controlled", NULL},
    {"options", NONE, "absent: its members are fields of the request", NULL},
    {"lora", NONE, "absent: there are no adapters", NULL},
    {"lora_path", NONE, "absent: there are no adapters", NULL},
    {"cache_salt", NONE, "absent: a key of its own makes a tenant; see also fulgur.cache", NULL},
    /* sampling */
    {"use_beam_search", NONE, SAMPLER, NULL},
    {"num_beams", AT(1), SAMPLER, NULL},
    {"length_penalty", 0, 1, NULL, false, SAMPLER, NULL},
    {"early_stopping", NONE, SAMPLER, NULL},
    {"diversity_penalty", ZERO, SAMPLER, NULL},
    {"typical_p", 0, 1, NULL, false, SAMPLER, NULL},
    {"typical", 0, 1, NULL, false, SAMPLER, NULL},
    {"tfs_z", 0, 1, NULL, false, SAMPLER, NULL},
    {"tfs", 0, 1, NULL, false, SAMPLER, NULL},
    {"top_a", ZERO, SAMPLER, NULL},
    {"top_n_sigma", 0, -1, NULL, false, SAMPLER, NULL},
    {"nsigma", 0, -1, NULL, false, SAMPLER, NULL},
    {"epsilon_cutoff", ZERO, SAMPLER, NULL},
    {"eta_cutoff", ZERO, SAMPLER, NULL},
    {"penalty_alpha", ZERO, SAMPLER, NULL},
    {"mirostat", ZERO, SAMPLER, NULL},
    {"mirostat_mode", ZERO, SAMPLER, NULL},
    {"mirostat_tau", 5, NAN, NULL, false, SAMPLER, "mirostat"},
    {"mirostat_eta", 0.1, NAN, NULL, false, SAMPLER, "mirostat"},
    {"dynatemp_range", ZERO, SAMPLER, NULL},
    {"dynatemp_exponent", AT(1), SAMPLER, "dynatemp_range"},
    {"dynamic_temperature", NONE, SAMPLER, NULL},
    {"smoothing_factor", ZERO, SAMPLER, NULL},
    {"xtc_probability", ZERO, SAMPLER, NULL},
    {"xtc_threshold", 0, 0.1, NULL, false, SAMPLER, "xtc_probability"},
    {"dry_multiplier", ZERO, SAMPLER, NULL},
    {"dry_base", 0, 1.75, NULL, false, SAMPLER, "dry_multiplier"},
    {"dry_allowed_length", 0, 2, NULL, false, SAMPLER, "dry_multiplier"},
    {"dry_penalty_last_n", 0, -1, NULL, false, SAMPLER, "dry_multiplier"},
    {"dry_sequence_breakers", NONE, SAMPLER, "dry_multiplier"},
    {"adaptive_target", AT(-1), SAMPLER, NULL},
    {"no_repeat_ngram_size", ZERO, SAMPLER, NULL},
    {"encoder_repetition_penalty", 0, 1, NULL, false, SAMPLER, NULL},
    {"guidance_scale", 0, 1, NULL, false, SAMPLER, NULL},
    {"negative_prompt", NONE, SAMPLER, NULL},
    {"repeat_penalty", 0, 1, NULL, false, "1: use repetition_penalty, which counts all tokens",
     NULL},
    {"repeat_last_n", 0, 64, NULL, false, "absent: use repetition_penalty", "repeat_penalty"},
    {"penalty_last_n", 0, 64, NULL, false, "absent: use repetition_penalty", "repeat_penalty"},
    {"penalty_prompt", NONE, "absent: use repetition_penalty", "repeat_penalty"},
    {"penalize_nl", NONE, "false: use repetition_penalty", "repeat_penalty"},
    {"min_keep", ZERO, SAMPLER, NULL},
    {"samplers", NONE, "absent: the samplers have one order", NULL},
    {"sampler_seq", NONE, "absent: the samplers have one order", NULL},
    {"sampler_priority", NONE, "absent: the samplers have one order", NULL},
    {"logits_processors", NONE, SAMPLER, NULL},
    {"custom_logit_processor", NONE, SAMPLER, NULL},
    {"custom_params", NONE, SAMPLER, NULL},
    {"vllm_xargs", NONE, SAMPLER, NULL},
    {"t_max_predict_ms", 0, -1, NULL, false, "0: answers have no deadline", NULL},
};

static bool changes_nothing(const json_t *v, const struct refused *r)
{
    double number = json_number_value(v);

    switch (json_typeof(v)) {
    case JSON_FALSE: return true;
    case JSON_ARRAY: return json_array_size(v) == 0;
    case JSON_OBJECT: return json_object_size(v) == 0 && !r->filled;
    case JSON_INTEGER:
    case JSON_REAL: return number == r->off || number == r->off_too;
    case JSON_STRING:
        return !json_string_length(v) || (r->word && strcmp(json_string_value(v), r->word) == 0);
    default: return false;
    }
}

static int refuse(const char *name, const json_t *v, const char *right, struct fg_http_error *e)
{
    char found[64];

    return fg_http_fail(e, 400, name, "unsupported_parameter", "%s: found %s, it must be %s", name,
                        fg_json_found(v, found), right);
}

/* Fields whose neutral value is an object or true. */
static int check_forms(const json_t *body, struct fg_http_error *e)
{
    const json_t *modalities = fg_json_field(body, "modalities");
    const json_t *thinking = fg_json_field(body, "thinking");
    const char *mode = json_string_value(json_array_get(modalities, 0));
    const char *type = json_string_value(json_object_get(thinking, "type"));

    if (modalities && (json_array_size(modalities) != 1 || !mode || strcmp(mode, "text") != 0))
        return fg_http_fail(e, 400, "modalities", "unsupported_parameter",
                            "modalities: it must be [\"text\"]");
    if (thinking && !json_is_false(thinking) && !(type && strcmp(type, "disabled") == 0))
        return refuse("thinking", thinking, REASON, e);
    return 0;
}

/* What is said to a chat template, where there is none. */
static int check_chat(const json_t *body, struct fg_http_error *e)
{
    const json_t *variables = fg_json_field(body, "chat_template_kwargs");
    const json_t *header = fg_json_field(body, "add_generation_prompt");
    const json_t *go_on = fg_json_field(body, "continue_final_message");

    if (variables && !json_is_false(variables) && json_object_size(variables) > 0)
        return refuse("chat_template_kwargs", variables, "absent: no template is used", e);
    if (header && !json_is_true(header))
        return refuse("add_generation_prompt", header, "absent: no template is used", e);
    if (go_on && !json_is_false(go_on))
        return refuse("continue_final_message", go_on, "absent: no template is used", e);
    return 0;
}

int fg_api_request_refuse(const json_t *body, bool chat, struct fg_http_error *e)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof refused / sizeof *refused; i++) {
        const struct refused *r = &refused[i];
        const json_t *v = fg_json_field(body, r->name);

        if (!v || (r->of && fg_json_field(body, r->of)) || changes_nothing(v, r))
            continue;
        rc = refuse(r->name, v, r->right, e);
    }
    if (rc == 0 && !chat)
        rc = check_chat(body, e);
    return rc ? rc : check_forms(body, e);
}
