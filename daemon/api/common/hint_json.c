#include "hint_json.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json_scan.h"
#include "http/json_in.h"

enum {
    MARKS = FG_HINTS - 1, /* of parts and tools; the other one is the prompt's */
    MINUTE = 60,
    HOUR = 3600,
    CACHE_CONTROL_S = 5 * MINUTE,
    BREAKPOINT_S = 30 * MINUTE,
};

static bool is(const json_t *v, const char *text)
{
    return json_is_string(v) && strcmp(json_string_value(v), text) == 0;
}

/* A member that says one of two times, or nothing. */
struct ttl {
    const char *shorter, *longer;
    uint32_t shorter_s, longer_s;
};
static const struct ttl anthropic_ttl = {"5m", "1h", 5 * MINUTE, HOUR};
static const struct ttl openai_ttl = {"30m", "12h", 30 * MINUTE, 12 * HOUR};

static int read_ttl(const json_t *object, const struct ttl *ttl, const char *path,
                    uint32_t *seconds, struct fg_http_error *e)
{
    const json_t *v = fg_json_field(object, "ttl");
    char found[64];

    if (v && !is(v, ttl->shorter) && !is(v, ttl->longer))
        return fg_http_fail(e, 400, path, NULL, "%s.ttl: found %s, it must be \"%s\" or \"%s\"",
                            path, fg_json_found(v, found), ttl->shorter, ttl->longer);
    if (v)
        *seconds = is(v, ttl->shorter) ? ttl->shorter_s : ttl->longer_s;
    return 0;
}

int fg_hint_cache_control(const json_t *v, const char *path, uint32_t *seconds,
                          struct fg_http_error *e)
{
    char found[64];

    if (!json_is_object(v) || !is(json_object_get(v, "type"), "ephemeral"))
        return fg_http_fail(e, 400, path, NULL,
                            "%s: found %s, it must be {\"type\": \"ephemeral\", \"ttl\": \"5m\" or "
                            "\"1h\"}",
                            path, fg_json_found(v, found));
    *seconds = CACHE_CONTROL_S;
    return read_ttl(v, &anthropic_ttl, path, seconds, e);
}

int fg_hint_breakpoint(const json_t *v, const char *path, uint32_t *seconds,
                       struct fg_http_error *e)
{
    char found[64];

    if (!json_is_object(v) || !is(json_object_get(v, "mode"), "explicit"))
        return fg_http_fail(e, 400, path, NULL,
                            "%s: found %s, it must be {\"mode\": \"explicit\", \"ttl\": \"30m\" or "
                            "\"12h\"}",
                            path, fg_json_found(v, found));
    return read_ttl(v, &openai_ttl, path, seconds, e);
}

int fg_hint_check(struct fg_str value, const char *name, const char *path, uint32_t *seconds,
                  struct fg_http_error *e)
{
    json_t *v = json_loadb(value.p, value.n, JSON_DECODE_ANY, NULL);
    int rc;

    if (strcmp(name, FG_HINT_ANTHROPIC) == 0)
        rc = fg_hint_cache_control(v, path, seconds, e);
    else
        rc = fg_hint_breakpoint(v, path, seconds, e);
    json_decref(v);
    return rc;
}

/* Of more than MARKS the last ones stay. */
static void add(struct fg_job_request *job, enum fg_hint_place place, size_t index, size_t at)
{
    if (job->n_hints == MARKS) {
        memmove(job->hints, job->hints + 1, (MARKS - 1) * sizeof *job->hints);
        job->n_hints--;
    }
    job->hints[job->n_hints++] =
        (struct fg_cache_hint){.place = place, .index = index, .at = at, .seconds = 0};
}

/* What an object says; *seconds 0: nothing. `path` is the object's. */
static int read_marks(const json_t *object, const char *path, uint32_t usual, uint32_t *seconds,
                      struct fg_http_error *e)
{
    const json_t *theirs = fg_json_field(object, FG_HINT_ANTHROPIC);
    const json_t *openais = fg_json_field(object, FG_HINT_OPENAI);
    uint32_t a = 0, b = openais ? usual : 0;
    char field[128];
    int rc = 0;

    snprintf(field, sizeof field, "%s." FG_HINT_ANTHROPIC, path);
    if (theirs)
        rc = fg_hint_cache_control(theirs, field, &a, e);
    snprintf(field, sizeof field, "%s." FG_HINT_OPENAI, path);
    if (rc == 0 && openais)
        rc = fg_hint_breakpoint(openais, field, &b, e);
    *seconds = a > b ? a : b;
    return rc;
}

static int read_tools(const json_t *tools, struct fg_job_request *job, struct fg_http_error *e)
{
    const json_t *tool;
    char path[48];
    size_t i;

    json_array_foreach(tools, i, tool)
    {
        const json_t *at = tool;
        uint32_t seconds;
        int rc;

        snprintf(path, sizeof path, "tools[%zu]", i);
        if (!fg_json_field(tool, FG_HINT_ANTHROPIC) && !fg_json_field(tool, FG_HINT_OPENAI)) {
            snprintf(path, sizeof path, "tools[%zu].function", i);
            at = json_object_get(tool, "function");
        }
        rc = read_marks(at, path, BREAKPOINT_S, &seconds, e);
        if (rc)
            return rc;
        if (seconds) {
            add(job, FG_HINT_TOOL, i, 0);
            job->hints[job->n_hints - 1].seconds = seconds;
        }
    }
    return 0;
}

static int read_message(const json_t *message, size_t number, uint32_t usual,
                        struct fg_job_request *job, struct fg_http_error *e)
{
    const json_t *parts = json_object_get(message, "content"), *part;
    size_t i, at = 0;
    uint32_t seconds;
    char path[64];
    int rc;

    json_array_foreach(parts, i, part)
    {
        snprintf(path, sizeof path, "messages[%zu].content[%zu]", number, i);
        rc = read_marks(part, path, usual, &seconds, e);
        if (rc)
            return rc;
        at += json_string_length(json_object_get(part, "text"));
        if (seconds) {
            add(job, FG_HINT_CONTENT, number, at);
            job->hints[job->n_hints - 1].seconds = seconds;
        }
    }
    snprintf(path, sizeof path, "messages[%zu]", number);
    rc = read_marks(message, path, usual, &seconds, e);
    if (rc == 0 && seconds) {
        add(job, FG_HINT_MESSAGE, number, 0);
        job->hints[job->n_hints - 1].seconds = seconds;
    }
    return rc;
}

/* OpenAI's, of the whole request: *usual is the time of what says none itself, *whole that of the
 * prompt's end. */
static int read_options(const json_t *body, uint32_t *usual, uint32_t *whole,
                        struct fg_http_error *e)
{
    static const char name[] = "prompt_cache_options";
    const json_t *options = fg_json_field(body, name), *mode = fg_json_field(options, "mode");
    bool prewarm = false;
    char found[64];

    if (!options)
        return 0;
    if (!json_is_object(options))
        return fg_http_fail(e, 400, name, NULL, "%s: found %s, it must be an object", name,
                            fg_json_found(options, found));
    if (mode && !is(mode, "implicit") && !is(mode, "explicit"))
        return fg_http_fail(e, 400, name, NULL,
                            "%s.mode: found %s, it must be \"implicit\" or \"explicit\"", name,
                            fg_json_found(mode, found));
    if (fg_json_bool(options, "prewarm", &prewarm, e))
        return FG_EINVAL;
    if (prewarm)
        return fg_http_fail(e, 400, name, "unsupported_parameter",
                            "%s.prewarm: found true, it must be false: with max_tokens 0 only the "
                            "prompt is read",
                            name);
    if (read_ttl(options, &openai_ttl, name, usual, e))
        return FG_EINVAL;
    if (!is(mode, "explicit"))
        *whole = *usual;
    return 0;
}

static int read_retention(const json_t *body, uint32_t *whole, struct fg_http_error *e)
{
    static const char name[] = "prompt_cache_retention", key[] = "prompt_cache_key";
    const json_t *v = fg_json_field(body, name), *k = fg_json_field(body, key);
    char found[64];

    if (k && !json_is_string(k))
        return fg_http_fail(e, 400, key, NULL, "%s: found %s, it must be a string", key,
                            fg_json_found(k, found));
    if (v && !is(v, "in_memory") && !is(v, "in-memory") && !is(v, "24h"))
        return fg_http_fail(e, 400, name, NULL, "%s: found %s, it must be \"in_memory\" or \"24h\"",
                            name, fg_json_found(v, found));
    if (is(v, "24h"))
        *whole = 24 * HOUR;
    return 0;
}

static int read_whole(const json_t *body, uint32_t *usual, uint32_t *whole, struct fg_http_error *e)
{
    const json_t *control = fg_json_field(body, FG_HINT_ANTHROPIC);
    uint32_t seconds = 0;

    if (read_options(body, usual, whole, e) || read_retention(body, whole, e) ||
        (control && fg_hint_cache_control(control, FG_HINT_ANTHROPIC, &seconds, e)))
        return FG_EINVAL;
    if (seconds > *whole)
        *whole = seconds;
    return 0;
}

int fg_hint_read(const json_t *body, struct fg_job_request *job, struct fg_http_error *e)
{
    const json_t *messages = json_object_get(body, "messages"), *message;
    uint32_t usual = BREAKPOINT_S, whole = 0;
    size_t i;
    int rc = read_whole(body, &usual, &whole, e);

    if (job->kind == FG_PROMPT_CHAT) {
        if (rc == 0)
            rc = read_tools(json_object_get(body, "tools"), job, e);
        json_array_foreach(messages, i, message)
        {
            if (rc == 0)
                rc = read_message(message, i, usual, job, e);
        }
    }
    if (rc == 0 && whole)
        job->hints[job->n_hints++] =
            (struct fg_cache_hint){.place = FG_HINT_PROMPT, .seconds = whole};
    return rc;
}

bool fg_hint_is(struct fg_str name)
{
    return fg_scan_is(name, FG_HINT_ANTHROPIC) || fg_scan_is(name, FG_HINT_OPENAI);
}

/* The object without its hints; where it is a tool, also without those of its function. */
static bool strip(struct fg_str object, bool tool, struct fg_buffer *out)
{
    struct fg_scan s = {.text = object};
    const char *between = "{";
    bool any = false;

    while (fg_scan_next(&s)) {
        if (fg_hint_is(s.name)) {
            any = true;
            continue;
        }
        fg_buffer_str(out, between);
        fg_buffer_view(out, s.name);
        fg_buffer_str(out, ": ");
        if (tool && fg_scan_is(s.name, "function") && s.value.p[0] == '{')
            any = strip(s.value, false, out) || any;
        else
            fg_buffer_view(out, s.value);
        between = ", ";
    }
    fg_buffer_str(out, *between == '{' ? "{}" : "}");
    return any;
}

int fg_hint_strip_tools(struct fg_str list, char **out)
{
    struct fg_scan s = {.text = list};
    struct fg_buffer text = {0};
    bool any = false;

    *out = NULL;
    /* Most have none, and are long. */
    if (!list.n || (!memmem(list.p, list.n, FG_HINT_ANTHROPIC, sizeof FG_HINT_ANTHROPIC - 1) &&
                    !memmem(list.p, list.n, FG_HINT_OPENAI, sizeof FG_HINT_OPENAI - 1)))
        return 0;
    while (fg_scan_next(&s)) {
        fg_buffer_str(&text, text.n ? ", " : "[");
        if (s.value.p[0] == '{')
            any = strip(s.value, true, &text) || any;
        else
            fg_buffer_view(&text, s.value);
    }
    fg_buffer_str(&text, "]");
    fg_buffer_add(&text, "", 1);
    if (text.failed || !any) {
        bool failed = text.failed;

        fg_buffer_finish(&text);
        return failed ? FG_ENOMEM : 0;
    }
    *out = text.p;
    return 0;
}
