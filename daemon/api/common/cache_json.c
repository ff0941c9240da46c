#include "cache_json.h"

#include "http/lossy.h"

static json_t *diverged_json(const struct fg_cache_why *why)
{
    if (why->diverged_at < 0)
        return json_null();
    return json_pack("{s:I, s:o, s:o, s:o, s:o*}", "token", (json_int_t)why->diverged_at, "before",
                     fg_json_stringn(why->before, why->before_bytes), "prompt",
                     fg_json_stringn(why->prompt, why->prompt_bytes), "stored",
                     fg_json_stringn(why->stored, why->stored_bytes), "rule",
                     why->rule_bytes ? fg_json_stringn(why->rule, why->rule_bytes) : NULL);
}

static json_t *repaired_json(const struct fg_job_account *a)
{
    json_t *names = json_array();

    for (uint32_t i = 0; i < a->n_repaired; i++)
        if (json_array_append_new(names, json_string(a->repaired[i])) < 0) {
            json_decref(names);
            return NULL;
        }
    return names;
}

/* What an answer and a forecast have in common. */
static json_t *reuse_json(const struct fg_job_account *a)
{
    return json_pack("{s:I, s:I, s:s, s:s, s:o, s:o}", "reused_tokens",
                     (json_int_t)a->reused_tokens, "recomputed_tokens",
                     (json_int_t)a->recomputed_tokens, "source", fg_source_name(a->source),
                     "reason", fg_reason_name(a->why.reason), "diverged", diverged_json(&a->why),
                     "repaired", repaired_json(a));
}

/* Estimates need measurements: null before there are any. */
static json_t *estimate(double ms)
{
    return ms > 0 ? json_real(ms) : json_null();
}

/* Adds the members of `more`, which it takes over. NULL when either is, or memory runs out. */
static json_t *joined(json_t *root, json_t *more)
{
    if (!root || !more || json_object_update(root, more) < 0) {
        json_decref(root);
        root = NULL;
    }
    json_decref(more);
    return root;
}

json_t *fg_cache_json(const struct fg_job_account *a)
{
    json_t *times = json_pack("{s:f, s:f, s:f, s:f, s:f}", "restore_ms", a->restore_ms,
                              "prefill_ms", a->prefill_ms, "first_token_ms", a->first_token_ms,
                              "decode_ms", a->decode_ms, "queue_ms", a->queue_ms);
    json_t *saved = a->reused_tokens ? estimate(a->saved_ms) : json_real(0);
    json_t *root = joined(reuse_json(a), joined(times, json_pack("{s:o}", "saved_ms", saved)));

    return json_pack("{s:o}", "cache", root);
}

json_t *fg_cache_forecast_json(const char *model, const struct fg_job_account *a)
{
    json_t *restore = a->source == FG_SOURCE_STORE ? estimate(a->restore_ms) : json_real(0);
    json_t *times =
        json_pack("{s:o, s:o, s:o, s:o}", "restore_ms", restore, "prefill_ms",
                  estimate(a->prefill_ms), "first_token_ms", estimate(a->first_token_ms),
                  "saved_ms", a->reused_tokens ? estimate(a->saved_ms) : json_real(0));
    json_t *root = joined(reuse_json(a), times);

    return json_pack("{s:s, s:o, s:I, s:{s:o}}", "object", "fulgur.cache.forecast", "model",
                     fg_json_string(model), "prompt_tokens", (json_int_t)a->prompt_tokens, "fulgur",
                     "cache", root);
}
